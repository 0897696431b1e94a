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

from perception.audio.blocks import SAMPLE_RATE_HZ, Samples
from perception.audio.vad import Probabilities
from perception.speech.recognisers import ALWAYS, Loaded, Recogniser, Request, frame
from perception.speech.transcript import NO_VOICE_KNOWN, Transcript
from runtime.errors import MindstreamError

_PROJECT_DIR = Path(__file__).resolve().parents[2]
# A recogniser loads in a second or two, and even ten times slower than speech is a worker that works.
_LOADING_S = 60.0
_SLOWEST = 20.0


class WorkerFailed(MindstreamError):
    """A recogniser could not be loaded, or died or hung, twice, on one utterance."""


class _Worker:
    """A recogniser process. ``loaded`` once it said so."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self.process = process
        self.loaded = False


class TranscriberPool:
    """At most ``workers`` processes of one recogniser. Use as ``async with``; on exit no worker is left."""

    def __init__(self, recogniser: Recogniser, workers: int) -> None:
        self._recogniser = recogniser
        self._limit = anyio.CapacityLimiter(workers)
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._decoder = msgspec.msgpack.Decoder(Transcript)
        self._checked: anyio.Event | None = None  # while it is being loaded
        self.failures = 0
        self.engine = recogniser.name

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
        return sorted(worker.process.pid for worker in self._all)

    @property
    def loading(self) -> bool:
        """Whether `check` is under way: what is to be transcribed waits for it."""
        return self._checked is not None

    @property
    def free(self) -> bool:
        """Whether an utterance would be begun at once."""
        return not self.loading and self._limit.available_tokens >= 1

    async def check(self) -> str:
        """Load a recogniser that has weights of its own, so that what is wrong with them shows before anything is
        transcribed; in one line why PocketSphinx takes its place, or nothing. ``engine`` is then what transcribes."""
        if self._recogniser == ALWAYS:
            return ""
        self._checked = anyio.Event()
        try:
            return await self._load()
        finally:
            self._checked.set()
            self._checked = None

    async def _load(self) -> str:
        worker = await self._start()
        try:
            with anyio.fail_after(_LOADING_S):
                self.engine = await self._hear_loaded(worker)
            self._idle.append(worker)
            return ""
        except (WorkerFailed, anyio.EndOfStream, anyio.BrokenResourceError, TimeoutError) as error:
            await self._discard(worker)
            why = str(error) or "it could not be loaded"
            lost, self._recogniser, self.engine = self._recogniser.name, ALWAYS, ALWAYS.name
            return f"speech by PocketSphinx instead of {lost}: {why}"

    async def warm(self) -> None:
        """Have one worker started, so that it loads while somebody still speaks."""
        if not self._all:
            self._idle.append(await self._start())

    async def transcribe(
        self, samples: Samples, voice: Probabilities = NO_VOICE_KNOWN, partial: bool = False
    ) -> Transcript:
        """Words of one utterance, float32 (n,) at 16 kHz; see `Transcriber`. A worker that fails is replaced once.

        Raises:
            WorkerFailed: the replacement failed too.
        """
        request = frame(Request.of(samples, voice, partial))
        if self._checked is not None:
            await self._checked.wait()
        async with self._limit:
            for _ in range(2):
                worker = self._idle.pop() if self._idle else await self._start()
                done = False
                try:
                    with anyio.fail_after(_LOADING_S + _SLOWEST * len(samples) / SAMPLE_RATE_HZ):
                        if not worker.loaded:
                            await self._hear_loaded(worker)
                        transcript = await self._ask(worker, request)
                    done = True
                    self._idle.append(worker)
                    return transcript
                except (
                    WorkerFailed,
                    anyio.BrokenResourceError,
                    anyio.ClosedResourceError,
                    anyio.EndOfStream,
                    TimeoutError,
                ):
                    self.failures += 1
                finally:
                    if not done:  # cancelled ones too: the rest of its reply must not reach the next utterance
                        with anyio.CancelScope(shield=True):
                            await self._discard(worker)
            raise WorkerFailed(f"the speech recogniser {self.engine} failed twice on one utterance")

    async def transcribe_partial(self, samples: Samples, voice: Probabilities) -> Transcript | None:
        """What is said so far of an utterance that goes on; None at once unless a worker stays free for the
        utterances that have ended, or if it fails."""
        if self.loading or self._limit.available_tokens < 2:
            return None
        try:
            return await self.transcribe(samples, voice, partial=True)
        except WorkerFailed:
            return None

    async def _start(self) -> _Worker:
        process = await anyio.open_process(
            [sys.executable, "-m", "perception.speech.recognisers", msgspec.json.encode(self._recogniser).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None,
            cwd=_PROJECT_DIR,
        )
        worker = _Worker(process)
        self._all.add(worker)
        return worker

    async def _hear_loaded(self, worker: _Worker) -> str:
        """The name of what the worker loaded, once it has."""
        loaded = msgspec.msgpack.decode(await self._reply(worker), type=Loaded)
        if loaded.error:
            raise WorkerFailed(loaded.error)
        worker.loaded = True
        return loaded.name

    async def _ask(self, worker: _Worker, request: bytes) -> Transcript:
        assert worker.process.stdin is not None
        await worker.process.stdin.send(request)
        return self._decoder.decode(await self._reply(worker))

    async def _reply(self, worker: _Worker) -> bytes:
        assert worker.process.stdout is not None
        reply = b""
        while len(reply) < 4 or len(reply) < 4 + int.from_bytes(reply[:4], "little"):
            reply += await worker.process.stdout.receive()
        return reply[4:]

    async def _discard(self, worker: _Worker) -> None:
        self._all.discard(worker)
        with suppress(ProcessLookupError):
            worker.process.kill()
        await worker.process.wait()
        await worker.process.aclose()
