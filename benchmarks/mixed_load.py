"""Writing and asking at once: 200 observations a second are stored while ten questions a second are asked.

    python -m benchmarks.mixed_load [--seconds S] [--filled N] [--json] [--no-history]

Memory is the real process over ZeroMQ, filled with N observations beforehand. One observation in four is a frame with
a 4 kB picture and a vector of 512 dimensions, the others are words seen, read and said. A question is what an
answer asks of memory: a View, then recall by words and a vector over all that is remembered. Both are sent on time
whether or not the one before is done. Figures:
    lost            observations sent and not there in the end
    dropped         messages memory refused, by its own count
    recall_p50_ms, recall_p99_ms, recall_max_ms   from sending the question to having the hits
    written_hz, asked_hz                          what was really sent each second
    ack_lag_max_s   the longest that anything sent waited to be durable
    filled          observations in memory when the measuring began
"""

from __future__ import annotations

import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import numpy as np

from benchmarks import harness
from benchmarks.memory_process import SPACE, Stream, outbox_of, publisher, run_directory, start_memory, until_ready
from runtime.bus import Subscription
from runtime.calls import Caller
from runtime.config import BudgetConfig, Config, MemoryConfig
from runtime.errors import CallError
from runtime.messages import Heartbeat, Progress, RecallReply, RecallRequest, SourceOpened, View, ViewRequest
from runtime.service import Service

SECONDS = 60.0
FILLED = 100_000
WRITE_HZ, ASK_HZ = 200.0, 10.0
QUESTION_DEADLINE_S = 10.0
PROGRESS_EVERY = 50
FILL_SOURCE, SOURCE = "before", "camera"


class Load:
    """What is sent and what came back."""

    def __init__(self, service: Service, caller: Caller) -> None:
        self.service = service
        self.caller = caller
        self.took_ms: list[float] = []
        self.failed = 0
        self.found = 0
        self.sent = 0
        self.lag_s = 0.0
        self.dropped = 0

    async def fill(self, n: int) -> None:
        """Send as fast as memory takes it, until all is acknowledged."""
        outbox = outbox_of(self.service)
        stream = Stream(FILL_SOURCE, 20.0, seed=7)
        await outbox.send(SourceOpened(source=FILL_SOURCE, track="video", kind="camera"))
        for i in range(n):
            observation = stream.next()
            await outbox.send(observation)
            if i % PROGRESS_EVERY == 0:
                await outbox.send(Progress(source=FILL_SOURCE, track="video", t_s=observation.t1_s))
            if i % 20_000 == 0:
                harness.progress(f"filling: {i} of {n}")
        await outbox.send(Progress(source=FILL_SOURCE, track="video", t_s=stream.n / 20.0))
        await outbox.drained()

    async def write(self, seconds: float) -> None:
        """200 a second by the clock; what finds no room counts as lost, as for a live source."""
        outbox = outbox_of(self.service)
        stream = Stream(SOURCE, WRITE_HZ, seed=11)
        await outbox.send(SourceOpened(source=SOURCE, track="video", kind="camera"))
        began_s = anyio.current_time()
        for i in range(int(seconds * WRITE_HZ)):
            await anyio.sleep_until(began_s + i / WRITE_HZ)
            observation = stream.next()
            outbox.offer(observation)
            self.sent += 1
            if i % PROGRESS_EVERY == 0:
                outbox.offer(Progress(source=SOURCE, track="video", t_s=observation.t1_s))

    async def ask(self, seconds: float) -> None:
        """Ten questions a second, each in a task of its own."""
        stream = Stream("questions", 1.0, seed=13)
        began_s = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for i in range(int(seconds * ASK_HZ)):
                await anyio.sleep_until(began_s + i / ASK_HZ)
                tasks.start_soon(self._ask, stream.question(), stream.vector())

    async def _ask(self, question: str, vector: bytes) -> None:
        began_s = time.perf_counter()
        try:
            view: View = await self.caller.call(ViewRequest(), QUESTION_DEADLINE_S)
            request = RecallRequest(query=question, view=view, vector=vector, vector_space=SPACE)
            reply: RecallReply = await self.caller.call(request, QUESTION_DEADLINE_S)
        except CallError:
            self.failed += 1
            return
        self.took_ms.append((time.perf_counter() - began_s) * 1000)
        self.found += bool(reply.hits)

    async def watch_lag(self) -> None:
        """How long the oldest unacknowledged message has been waiting."""
        waiting_since_s, before = anyio.current_time(), 0
        while True:
            await anyio.sleep(0.02)
            now_s, left = anyio.current_time(), len(outbox_of(self.service))
            if left == 0 or left < before:
                waiting_since_s = now_s
            before = left
            self.lag_s = max(self.lag_s, now_s - waiting_since_s)

    async def count_drops(self, heartbeats: Subscription) -> None:
        async for delivery in heartbeats:
            beat = delivery.message
            if isinstance(beat, Heartbeat) and beat.process == "memory":
                self.dropped = sum(beat.drops.values())


async def measure(memory_dir: Path, seconds: float, filled: int) -> dict[str, float]:
    """The figures of one run."""
    # Room for all of it: what is missing then was lost by fault, not given up for its bytes.
    roomy = BudgetConfig(hot_mib=4096, events_mib=1024, episodes_mib=1024, words_mib=1024)
    config = Config(memory=MemoryConfig(budget=roomy))
    with run_directory() as run_dir:
        async with publisher(run_dir, config) as service, anyio.create_task_group() as tasks:
            process = start_memory(run_dir, memory_dir, config)
            try:
                caller = service.caller("memory")
                await until_ready(caller, process)
                load = Load(service, caller)
                tasks.start_soon(load.count_drops, service.subscribe("heartbeat"))
                await load.fill(filled)
                await load._ask("kitchen?", Stream("warm", 1.0).vector())
                load.took_ms.clear()
                load.found = 0
                before = load.dropped
                harness.progress(f"measuring for {seconds:g} s")
                began_s = anyio.current_time()
                async with anyio.create_task_group() as work:
                    tasks.start_soon(load.watch_lag)
                    work.start_soon(load.write, seconds)
                    work.start_soon(load.ask, seconds)
                took_s = anyio.current_time() - began_s
                with anyio.move_on_after(30):
                    await service.outbox.drained()
                tasks.cancel_scope.cancel()
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()
    with sqlite3.connect(memory_dir / "memory.db") as plain:
        count = "SELECT count(*) FROM observations JOIN sources USING (source) WHERE name=? AND channel!='gap'"
        (there,) = plain.execute(count, (SOURCE,)).fetchone()
    p50, p99 = np.percentile(load.took_ms or [float("nan")], (50, 99))
    return {
        "lost": load.sent - there,
        "dropped": load.dropped - before,
        "questions_failed": load.failed,
        "questions_without_hits": len(load.took_ms) - load.found,
        "recall_p50_ms": round(float(p50), 1),
        "recall_p99_ms": round(float(p99), 1),
        "recall_max_ms": round(max(load.took_ms, default=float("nan")), 1),
        "written_hz": round(load.sent / took_s, 1),
        "asked_hz": round(len(load.took_ms) / took_s, 1),
        "ack_lag_max_s": round(load.lag_s, 3),
        "filled": filled,
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="S", help=f"measured (default: {SECONDS:g})")
    parser.add_argument("--filled", type=int, default=FILLED, metavar="N", help=f"in memory before (default: {FILLED})")
    args = parser.parse_args(argv)
    if args.seconds < 1 or args.filled < 0:
        parser.error("--seconds: at least 1; --filled: at least 0")
    with tempfile.TemporaryDirectory(prefix="mindstream-mixed-") as folder:
        figures = anyio.run(
            measure, Path(folder, "memory"), args.seconds, args.filled, backend_options={"use_uvloop": True}
        )
    harness.report("mixed_load", figures, args, args.seconds == SECONDS and args.filled == FILLED)
    return 1 if figures["lost"] or figures["questions_failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
