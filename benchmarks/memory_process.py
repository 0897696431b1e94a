"""The real memory process, driven by a publisher and a caller of this process over ZeroMQ, as in a running agent."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import msgspec
import numpy as np

from benchmarks.harness import PROJECT
from runtime.bus import Member, Outbox
from runtime.calls import Caller
from runtime.config import Config
from runtime.errors import CallError
from runtime.messages import Channel, Observation, StatusRequest, observation_id
from runtime.plan import OnFolder, Plan, Serve, plan_path
from runtime.service import Service
from runtime.supervisor import environment_of

MEMBERS = (Member(name="memory", role="memory"), Member(name="video", role="video"))
READY_S = 60.0
SPACE = "bench-512"
_WORDS = (
    "kitchen table window garden letter bridge station harbour engine teacher ticket morning evening winter market "
    "doctor music picture bottle basket ladder corner village river mountain paper candle mirror pocket button"
).split()


@contextmanager
def run_directory() -> Iterator[Path]:
    """A private folder for the sockets."""
    with tempfile.TemporaryDirectory(prefix="mindstream-bench-") as folder:
        yield Path(folder)


def start_memory(run_dir: Path, memory_dir: Path, config: Config) -> subprocess.Popen[bytes]:
    """The memory process on a folder, started as the supervisor does."""
    memory_dir.mkdir(parents=True, exist_ok=True)
    plan = Plan("memory", "memory", "memory.process:main", OnFolder(path=str(memory_dir)), config, MEMBERS)
    return start_process(run_dir, plan)


def start_process(run_dir: Path, plan: Plan) -> subprocess.Popen[bytes]:
    """A process of the agent, started as the supervisor does."""
    plan_path(run_dir, plan.name).write_bytes(msgspec.json.encode(plan))
    with open(run_dir / f"{plan.name}.stderr", "ab") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "runtime.service", str(run_dir), plan.name],
            stdin=subprocess.PIPE,
            stdout=stderr,
            stderr=stderr,
            cwd=PROJECT,
            env=environment_of(plan),
            start_new_session=True,
        )


@asynccontextmanager
async def publisher(run_dir: Path, config: Config) -> AsyncIterator[Service]:
    """A perceiving process of this process's own: its outbox is resent until memory acknowledges, as in the agent."""
    service = Service(Plan("video", "video", "", Serve(), config, MEMBERS), run_dir)
    is_up, is_over = anyio.Event(), anyio.Event()

    async def live(_: Service) -> None:
        is_up.set()
        await is_over.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.run, live)
        await is_up.wait()
        try:
            yield service
        finally:
            is_over.set()


def outbox_of(service: Service) -> Outbox:
    """What a `publisher` sends through."""
    assert isinstance(service.outbox, Outbox)
    return service.outbox


async def until_ready(caller: Caller, process: subprocess.Popen[bytes]) -> None:
    """Wait until memory answers calls.

    Raises:
        RuntimeError: it ended, or did not answer in a minute.
    """
    with anyio.move_on_after(READY_S):
        while process.poll() is None:
            try:
                await caller.call(StatusRequest(), 2.0)
            except CallError:
                continue
            return
    raise RuntimeError(f"memory did not become ready (exit code {process.poll()})")


class Stream:
    """Observations without end, reproducible: three kinds of sights and words, each frame with picture and vector."""

    def __init__(self, source: str, rate_hz: float, seed: int = 1, picture_bytes: int = 4000) -> None:
        self.source = source
        self._rate_hz = rate_hz
        self._random = random.Random(seed)
        self._vectors = np.random.default_rng(seed)
        self._picture_bytes = picture_bytes
        self.n = 0

    def next(self) -> Observation:
        t_s = round(self.n / self._rate_hz, 3)
        channel: Channel = ("frame", "speech", "object", "text")[self.n % 4]
        self.n += 1
        is_frame = channel == "frame"
        words = self._random.choices(_WORDS, k=8)
        return Observation(
            id=observation_id(self.source, channel, t_s),
            source=self.source,
            channel=channel,
            t0_s=t_s,
            t1_s=t_s,
            text=f"{' '.join(words)} {self.n}",
            vector=self.vector() if is_frame else None,
            vector_space=SPACE if is_frame else "",
            payload=b"\xff\xd8\xff\xda" + self._random.randbytes(self._picture_bytes) if is_frame else None,
        )

    def vector(self) -> bytes:
        values = self._vectors.standard_normal(512)
        return (values / np.linalg.norm(values)).astype("<f2").tobytes()

    def question(self) -> str:
        return f"where was the {' or the '.join(self._random.sample(_WORDS, 2))}?"
