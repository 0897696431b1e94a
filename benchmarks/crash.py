"""What a kill -9 costs: the memory process is killed at random instants while it writes, and opened again each time.

    python -m benchmarks.crash [--trials N] [--json] [--no-history]

A perceiving process sends without pause, so that nearly always a transaction is under way; after a random time
memory is killed with SIGKILL and its file is examined before the next process opens it. The sender lives on, and
sends again what was not acknowledged, as in the agent. Figures:
    trials              how often memory was killed while it wrote
    corrupt             how often the file did not open or `PRAGMA integrity_check` found a fault
    lost_acknowledged   observations acknowledged but not there
    lost_after_1_s      observations sent to a memory that was taking them in, more than a second before the kill, and
                        not there
    half                observations without a part of them (picture, vector, index), or without those sent before them
    lost_at_the_end     observations not there when all was acknowledged at last
    in_transaction      of the trials, those in which the kill left a write-ahead log to recover from
"""

from __future__ import annotations

import json
import math
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
from msgspec import Struct, structs

from benchmarks import harness
from benchmarks.memory_process import READY_S, Stream, outbox_of, publisher, run_directory, start_memory, until_ready
from memory.store.database import Store
from runtime.config import Config
from runtime.errors import StoreError
from runtime.messages import Message, Observation, Progress, SourceOpened
from runtime.service import Service

TRIALS = 200
# A memory of its own for so many trials: that each file is examined in full would take longer and longer.
TRIALS_A_MEMORY = 25
# Nine kills in ten come soon, so that many fit in; the others late enough for the last second to mean something.
SOON_S, LATE_S = (0.0, 0.5), (1.2, 2.0)
LATE_SHARE = 0.1
RATE_HZ = 100.0
PICTURE_BYTES = 600


class Tally(Struct):
    trials: int = 0
    corrupt: int = 0
    lost_acknowledged: int = 0
    lost_after_1_s: int = 0
    half: int = 0
    lost_at_the_end: int = 0
    in_transaction: int = 0
    sent: int = 0


class Sender:
    """Sends observations as fast as memory takes them; knows when each was sent and how many are acknowledged.
    ``first``: so many are in memory already, and it goes on behind them."""

    def __init__(self, service: Service, source: str, rate_hz: float = RATE_HZ, first: int = 0) -> None:
        self._service = service
        self.stream = Stream(source, rate_hz, picture_bytes=PICTURE_BYTES)
        for _ in range(first):
            self.stream.next()
        self.sent_at_s = [-math.inf] * first
        # Of the first so many messages, how many are observations.
        self._observations = [first]

    async def run(self) -> None:
        await self._send(SourceOpened(source=self.stream.source, track="video", kind="camera"))
        while True:
            observation = self.stream.next()
            await self._send(observation)
            if len(self.sent_at_s) % 16 == 0:
                await self._send(Progress(source=self.stream.source, track="video", t_s=observation.t1_s))

    @property
    def acknowledged(self) -> int:
        """How many observations memory has acknowledged."""
        return self._observations[max(0, len(self._observations) - 1 - len(outbox_of(self._service)))]

    async def until_taken_in(self) -> None:
        """Until memory has made durable what waits now."""
        waiting = len(self.sent_at_s)
        with anyio.fail_after(READY_S):
            while self.acknowledged < waiting:
                await anyio.sleep(0.005)

    async def _send(self, message: Message) -> None:
        await self._service.outbox.send(message)
        is_observation = isinstance(message, Observation)
        if is_observation:
            self.sent_at_s.append(time.monotonic())
        self._observations.append(self._observations[-1] + is_observation)


def examine(memory_dir: Path, acknowledged: int, due: int, tally: Tally) -> None:
    """Open what the killed process left, and count what is wrong with it."""
    log = memory_dir / "memory.db-wal"
    tally.in_transaction += log.exists() and log.stat().st_size > 0
    try:
        store = Store(memory_dir)
    except StoreError as error:
        harness.progress(f"does not open: {error}")
        tally.corrupt += 1
        return
    reader = store.reader()
    try:
        verdict = reader.execute("PRAGMA integrity_check").fetchall()
        if verdict != [("ok",)]:
            harness.progress(f"integrity_check: {verdict[:3]}")
            tally.corrupt += 1
            return
        texts = reader.execute("SELECT text FROM observations ORDER BY seq")
        stored = [int(text.rsplit(" ", 1)[1]) for (text,) in texts]  # the generator numbers them
        durable = len(stored)
        tally.lost_acknowledged += max(0, acknowledged - durable)
        tally.lost_after_1_s += max(0, due - durable)
        tally.half += stored != list(range(1, durable + 1))
        tally.half += _without_a_part(reader)
    except sqlite3.DatabaseError as error:
        harness.progress(f"cannot be read: {error}")
        tally.corrupt += 1
    finally:
        reader.close()
        store.close()


def _without_a_part(reader: sqlite3.Connection) -> int:
    select = (
        "SELECT count(*) FROM observations o LEFT JOIN unsealed u USING (seq) LEFT JOIN payloads p USING (seq)"
        " LEFT JOIN vectors v USING (seq) WHERE (u.seq IS NULL AND (o.seq >> 14) NOT IN (SELECT block FROM blocks))"
        " OR (channel='frame') != (p.seq IS NOT NULL) OR (channel='frame') != (v.seq IS NOT NULL)"
    )
    return int(reader.execute(select).fetchone()[0])


async def kill_again_and_again(memory_dir: Path, trials: int, seed: int, tally: Tally) -> None:
    """Trials on one memory, then an undisturbed end in which all must arrive."""
    at_random = random.Random(seed)
    config = Config()
    with run_directory() as run_dir:
        async with publisher(run_dir, config) as service, anyio.create_task_group() as tasks:
            caller = service.caller("memory")
            sender = Sender(service, "camera")
            sending = anyio.CancelScope()

            async def send() -> None:
                with sending:
                    await sender.run()

            tasks.start_soon(send)
            for _ in range(trials):
                process = start_memory(run_dir, memory_dir, config)
                await until_ready(caller, process)
                # What waited while there was no memory is taken in first; from then on all is on time.
                await sender.until_taken_in()
                on_time = len(sender.sent_at_s)
                await anyio.sleep(at_random.uniform(*(LATE_S if at_random.random() < LATE_SHARE else SOON_S)))
                acknowledged = sender.acknowledged
                process.send_signal(signal.SIGKILL)
                killed_at_s = time.monotonic()
                process.wait()
                due = sum(sent_at_s < killed_at_s - 1.0 for sent_at_s in sender.sent_at_s[on_time:])
                due = on_time + due if due else 0
                await anyio.to_thread.run_sync(examine, memory_dir, acknowledged, due, tally)
                tally.trials += 1
            sending.cancel()
            process = start_memory(run_dir, memory_dir, config)
            await until_ready(caller, process)
            with anyio.move_on_after(30):
                await service.outbox.drained()
            process.send_signal(signal.SIGTERM)
            process.wait()
            sent = len(sender.sent_at_s)
            tally.sent += sent
            with sqlite3.connect(memory_dir / "memory.db") as plain:
                (there,) = plain.execute("SELECT count(*) FROM observations WHERE channel != 'gap'").fetchone()
            # One may be on its way between the outbox and the count when sending is cancelled.
            tally.lost_at_the_end += max(0, sent - there)


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS, metavar="N", help=f"kills (default: {TRIALS})")
    args = parser.parse_args(argv)
    if args.trials < 1:
        parser.error("--trials: at least 1")
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="mindstream-crash-") as folder:
        memory_number = 0
        while tally.trials < args.trials:
            memory_dir = Path(folder, str(memory_number))
            todo = min(TRIALS_A_MEMORY, args.trials - tally.trials)
            anyio.run(
                kill_again_and_again, memory_dir, todo, memory_number, tally, backend_options={"use_uvloop": True}
            )
            harness.progress(f"{tally.trials} of {args.trials} kills, {tally.corrupt} corrupt")
            shutil.rmtree(memory_dir)
            memory_number += 1
    figures = structs.asdict(tally)
    if args.json:
        print(json.dumps(figures))
    else:
        print(harness.table(("figure", "value"), list(figures.items())))
    if not args.no_history and args.trials == TRIALS:
        harness.remember("crash", figures)
    failed = tally.corrupt or tally.lost_acknowledged or tally.lost_after_1_s or tally.half or tally.lost_at_the_end
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
