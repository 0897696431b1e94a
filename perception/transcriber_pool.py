"""Several utterances transcribed at once, each recogniser in a process of its own.

PocketSphinx holds Python's interpreter lock while it decodes: threads would wait for each other and the event loop
for them all. Workers start when the first voice is heard, so that what never speaks costs nothing; they end with
their standard input, and on Linux are killed with their parent.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import anyio
import anyio.abc
import msgspec

from perception.audio import SAMPLE_RATE_HZ, Samples
from perception.transcribe import Transcript
from runtime.errors import MindstreamError

_PROJECT_DIR = Path(__file__).resolve().parent.parent
# A recogniser loads in a second or two, and even ten times slower than speech is a worker that works.
_LOADING_S = 60.0
_SLOWEST = 20.0


class WorkerFailed(MindstreamError):
    """A recogniser died or hung, twice, on one utterance."""


class TranscriberPool:
    """At most ``workers`` recognisers called ``name``. Use as ``async with``; on exit no worker is left."""

    def __init__(self, name: str, workers: int) -> None:
        self._name = name
        self._limit = anyio.CapacityLimiter(workers)
        self._idle: list[anyio.abc.Process] = []
        self._all: set[anyio.abc.Process] = set()
        self._decoder = msgspec.msgpack.Decoder(Transcript)
        self.failures = 0

    async def __aenter__(self) -> TranscriberPool:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            for worker in list(self._all):
                await self._discard(worker)

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that live."""
        return sorted(worker.pid for worker in self._all)

    async def warm(self) -> None:
        """Have one worker started, so that it loads while somebody still speaks."""
        if not self._all:
            self._idle.append(await self._start())

    async def transcribe(self, samples: Samples) -> Transcript:
        """Words of one utterance, float32 (n,) at 16 kHz. A worker that fails is replaced once.

        Raises:
            WorkerFailed: the replacement failed too.
        """
        async with self._limit:
            for _ in range(2):
                worker = self._idle.pop() if self._idle else await self._start()
                done = False
                try:
                    with anyio.fail_after(_LOADING_S + _SLOWEST * len(samples) / SAMPLE_RATE_HZ):
                        transcript = await self._ask(worker, samples)
                    done = True
                    self._idle.append(worker)
                    return transcript
                except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, TimeoutError):
                    self.failures += 1
                finally:
                    if not done:  # cancelled ones too: the rest of its reply must not reach the next utterance
                        with anyio.CancelScope(shield=True):
                            await self._discard(worker)
            raise WorkerFailed(f"the speech recogniser {self._name} failed twice on one utterance")

    async def _start(self) -> anyio.abc.Process:
        worker = await anyio.open_process(
            [sys.executable, "-m", "perception.transcribe", self._name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None,
            cwd=_PROJECT_DIR,
        )
        self._all.add(worker)
        return worker

    async def _ask(self, worker: anyio.abc.Process, samples: Samples) -> Transcript:
        assert worker.stdin is not None
        assert worker.stdout is not None
        await worker.stdin.send(len(samples).to_bytes(4, "little") + samples.astype("<f4").tobytes())
        reply = b""
        while len(reply) < 4 or len(reply) < 4 + int.from_bytes(reply[:4], "little"):
            reply += await worker.stdout.receive()
        return self._decoder.decode(reply[4:])

    async def _discard(self, worker: anyio.abc.Process) -> None:
        self._all.discard(worker)
        with suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()
        await worker.aclose()
