"""Does looking, or answering, hold up capture or an interruption?

    python -m benchmarks.interference [--seconds S] [--json] [--no-history]

A camera on the loopback network (640x360, 30 frames/s, in a process of its own) is watched by the whole agent of the
embedded profile. Its vision stage is made slow in turn: by 200 ms, by 1 s, and hung for 10 s a look. Meanwhile an
interruption is sent every 50 ms over the control socket, and its arrival in the reasoning process is noted. Then
questions are asked back to back, each when the one before is answered.

Keys:
    control_p99_ms                99th percentile of an interruption's way to reasoning, over all slow stages
    capture_ratio_slow_stage      least share of the camera's frames captured, of all slow stages
    capture_ratio_while_answering frames perceived a second while answering / while idle
    queue_growth_mb               growth of the video process over the slow stages
    questions_per_s               how many were answered meanwhile
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import numpy as np

from benchmarks import harness
from benchmarks.live_mains import SLOW_FILE, stand_in
from runtime.agent import open_agent
from runtime.config import load_config
from runtime.interfaces.attach import client_of
from runtime.interfaces.client import Client
from runtime.messages import AskRequest, Heartbeat
from runtime.plan import PerceiveLive
from runtime.processes import member
from runtime.sources import begin_session, parse_source

RATE_HZ = 30.0
SLOW_S = (0.2, 1.0, 10.0)
INTERRUPT_EVERY_S = 0.05
MEMBER = member("video", "camera")
QUESTION = "What colour is the thing that moves?"


class _Agent:
    """The agent under test, with what its heartbeats say."""

    def __init__(self, client: Client, run_dir: Path) -> None:
        self.client = client
        self.run_dir = run_dir

    def beat(self) -> Heartbeat:
        return self.client.heartbeats[MEMBER.name]

    async def rate_hz(self, counter: str, seconds: float) -> float:
        """How much a counter grows a second, between two heartbeats about ``seconds`` apart."""
        first, began_s = await self._next_beat()
        await anyio.sleep(seconds)
        last, ended_s = await self._next_beat()
        return (last.counters[counter] - first.counters[counter]) / (ended_s - began_s)

    async def _next_beat(self) -> tuple[Heartbeat, float]:
        before = self.beat()
        while self.beat() is before:
            await anyio.sleep(0.002)
        return self.beat(), time.monotonic()

    async def interrupt_forever(self) -> None:
        """Interruptions of a conversation that nobody has, named by the moment they left."""
        while True:
            self.client.interrupt(f"probe-{time.monotonic()}")
            await anyio.sleep(INTERRUPT_EVERY_S)

    def delays_ms(self) -> list[float]:
        lines = (self.run_dir / "arrivals").read_text(encoding="ascii").splitlines()
        pairs = [line.removeprefix("probe-").split() for line in lines if line.startswith("probe-")]
        return [1000 * (float(arrived) - float(sent)) for sent, arrived in pairs]


async def measure(url: str, folder: Path, seconds: float) -> dict[str, Any]:
    """All figures, of the camera under ``url``."""
    stand_in(video="slow_video", reasoning="told_reasoning")
    source = begin_session(parse_source(f"camera={url}"), time.time(), ())
    work = PerceiveLive(source=source, epoch_s=time.monotonic())
    figures: dict[str, Any] = {}
    async with (
        open_agent(folder / "memory", load_config(), perceivers=(MEMBER,)) as agent,
        client_of(agent) as client,
        anyio.create_task_group() as tasks,
    ):
        slow = agent.run_dir / SLOW_FILE
        slow.write_text("0")
        tasks.start_soon(agent.perceive, {MEMBER.name: work})
        await agent.until_ready()
        watched = _Agent(client, agent.run_dir)
        with anyio.fail_after(120):
            while client.heartbeats.get(MEMBER.name) is None or watched.beat().counters.get("keyframes", 0) < 3:
                await anyio.sleep(0.1)
        harness.progress("idle")
        idle_hz = await watched.rate_hz("frames", seconds)
        before_bytes, ratios = watched.beat().rss_bytes, []
        async with anyio.create_task_group() as beside:
            beside.start_soon(watched.interrupt_forever)
            for slow_s in SLOW_S:
                slow.write_text(str(slow_s))
                harness.progress(f"each look takes {slow_s:g} s longer")
                ratios.append(await watched.rate_hz("captured", max(seconds, 1.5 * slow_s)) / RATE_HZ)
            beside.cancel_scope.cancel()
        growth_bytes = watched.beat().rss_bytes - before_bytes
        slow.write_text("0")
        delays_ms = watched.delays_ms()
        await anyio.sleep(SLOW_S[-1])  # until the hung look has come to its end
        harness.progress("answering")
        answered = 0

        async def ask_forever() -> None:
            nonlocal answered
            while True:
                await client.answer(AskRequest(question=QUESTION))
                answered += 1

        async with anyio.create_task_group() as beside:
            beside.start_soon(ask_forever)
            began_s = time.monotonic()
            answering_hz = await watched.rate_hz("frames", seconds)
            figures["questions_per_s"] = round(answered / (time.monotonic() - began_s), 1)
            beside.cancel_scope.cancel()
        figures |= {
            "control_p99_ms": round(float(np.percentile(delays_ms, 99)), 2),
            "control_max_ms": round(max(delays_ms), 2),
            "interruptions": len(delays_ms),
            "capture_ratio_slow_stage": round(min(ratios), 4),
            "capture_ratio_while_answering": round(answering_hz / idle_hz, 4),
            "idle_frames_per_s": round(idle_hz, 2),
            "queue_growth_mb": round(growth_bytes / 1e6, 1),
            "looks_passed_over": watched.beat().drops.get("look:busy", 0),
        }
        tasks.cancel_scope.cancel()
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, metavar="S", help="length of each stage (default: 20)")
    args = parser.parse_args(argv)
    command = [sys.executable, "-m", "tests.fixtures.loopback", "--size", "640x360", "--rate", str(RATE_HZ)]
    camera = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=harness.PROJECT)
    try:
        assert camera.stdout is not None
        url = camera.stdout.readline().split()[0]
        with tempfile.TemporaryDirectory(prefix="mindstream-interference-") as folder:
            figures = anyio.run(measure, url, Path(folder), args.seconds)
    finally:
        camera.terminate()
        camera.wait()
    harness.report("interference", figures, args, args.seconds == parser.get_default("seconds"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
