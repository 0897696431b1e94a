"""The speech recogniser of a process: one model in a thread of its own, one utterance after another.

CTranslate2 lets go of the interpreter while it computes, so the event loop and the model thread stay free; one
thread, because what is said is transcribed ten times faster than it is said, and because in order each utterance
knows which language was spoken before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

from perception.audio.vad import Probabilities
from perception.capture.blocks import Samples
from perception.speech.language import NOTHING_KNOWN, Spoken
from perception.speech.transcript import NO_VOICE_KNOWN, Transcriber, Transcript
from runtime.errors import MindstreamError

T = TypeVar("T")


class RecogniserFailed(MindstreamError):
    """The recogniser gave an error for one utterance."""


class Recogniser:
    """Loads when it is first needed. What is to be transcribed meanwhile waits.

    engine  what it is called.
    load    makes it; None where speech is not transcribed, which ``lacking`` says the reason of.
    """

    def __init__(self, engine: str, load: Callable[[], Transcriber] | None, lacking: str = "") -> None:
        self.engine = engine
        self.lacking = lacking
        self._load = load
        self._transcriber: Transcriber | None = None
        self._thread = anyio.CapacityLimiter(1)

    @property
    def there_is(self) -> bool:
        """Whether speech is transcribed at all."""
        return self._load is not None

    @property
    def loaded(self) -> bool:
        return self._transcriber is not None

    @property
    def free(self) -> bool:
        """Whether an utterance would be begun at once."""
        return self.loaded and self._thread.available_tokens > 0

    async def load(self) -> None:
        """Have it loaded.

        Raises:
            ConfigError: its weights are damaged, or of another model.
        """
        if self.there_is and not self.loaded:
            await self._run(self._loaded)

    async def transcribe(
        self, samples: Samples, voice: Probabilities = NO_VOICE_KNOWN, spoken: Spoken = NOTHING_KNOWN
    ) -> Transcript:
        """Words of an utterance, float32 (n,) at 16 kHz; see `Transcriber`. It waits for those that came before.

        Raises:
            ConfigError: see `load`.
            RecogniserFailed: it could not work on this utterance.
        """
        if not self.there_is:
            return Transcript(unheard="absent")

        def work() -> Transcript:
            transcriber = self._loaded()
            try:
                return transcriber.transcribe(samples, voice, spoken)
            except (RuntimeError, MemoryError) as error:  # CTranslate2's
                raise RecogniserFailed(f"{self.engine} failed on an utterance: {error}") from error

        return await self._run(work)

    async def _run(self, work: Callable[[], T]) -> T:
        """``work`` in the thread; one that is given up is waited for by the next."""
        return await anyio.to_thread.run_sync(work, limiter=self._thread, abandon_on_cancel=True)

    def _loaded(self) -> Transcriber:
        if self._transcriber is None:
            assert self._load is not None
            self._transcriber = self._load()
        return self._transcriber
