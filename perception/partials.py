"""What is being said while it is being said: hypotheses of the utterance that goes on, live or in a replay at a pace.

They are published and never stored: the next one may say something else, and the utterance replaces them all. They
take no recogniser that an utterance that has ended could need, and rest between two of them.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
import anyio.abc

from perception.segment_speech import Utterance
from perception.transcriber_pool import TranscriberPool
from perception.transcript import Transcript
from runtime.messages import PartialTranscript
from runtime.service import Service

# Less speech than this is a word at most, and half of it misheard.
_FIRST_S = 0.8
# The next hypothesis takes in this much more, at least; and rests for twice what the last one took, so that at most
# a third of a core goes into what will be thrown away.
_EVERY_S = 0.8
_REST = 2.0


class Partials:
    """Hypotheses of one source. ``tasks`` outlives them."""

    def __init__(self, service: Service, source: str, pool: TranscriberPool) -> None:
        self._service = service
        self._source = source
        self._pool = pool
        self._open_s: float | None = None
        self._not_before_s = 0.0
        self._busy = False
        self._live = False
        self._told_s: float | None = None  # start of the utterance whose hypothesis was told last
        self._transcribed_s: float | None = None  # and of the one that ended and is being transcribed

    def follow(
        self, open_s: float | None, so_far: Callable[[], Utterance], now_s: float, tasks: anyio.abc.TaskGroup
    ) -> None:
        """Hearing has come to media time ``now_s``; ``open_s`` is when the utterance began that is still spoken."""
        self._live = True
        if open_s != self._open_s:
            self._open_s = open_s
            self._not_before_s = now_s if open_s is None else open_s + _FIRST_S
            if self._told_s is not None and self._told_s not in (open_s, self._transcribed_s):
                self.over(self._told_s)  # it ended and was no utterance after all
        if open_s is None or self._busy or now_s < self._not_before_s:
            return
        self._busy = True
        tasks.start_soon(self._transcribe, so_far())

    def ended(self, t0_s: float) -> None:
        """The utterance that began at ``t0_s`` has ended; its hypothesis stands until its words are known."""
        self._transcribed_s = t0_s

    def over(self, t0_s: float, t1_s: float | None = None, transcript: Transcript | None = None) -> None:
        """What was said is known, or was nothing: tell it in place of the hypothesis."""
        if not self._live or (transcript is None and self._told_s != t0_s):
            return
        if self._told_s == t0_s:
            self._told_s = None
        self._service.publish(
            "partial",
            PartialTranscript(
                source=self._source,
                t0_s=t0_s,
                t_s=t0_s if t1_s is None else t1_s,
                text="" if transcript is None else transcript.text,
                confidence=0.0 if transcript is None else transcript.confidence,
                over=True,
            ),
        )

    async def _transcribe(self, utterance: Utterance) -> None:
        began_s = anyio.current_time()
        transcript = await self._pool.transcribe_partial(utterance.samples, utterance.voice)
        took_s = anyio.current_time() - began_s
        self._busy = False
        self._not_before_s = utterance.t1_s + max(_EVERY_S, _REST * took_s)
        if transcript is None or not transcript.words or utterance.t0_s != self._open_s:
            return
        self._told_s = utterance.t0_s
        self._service.publish(
            "partial",
            PartialTranscript(
                source=self._source,
                t0_s=utterance.t0_s,
                t_s=utterance.t1_s,
                text=transcript.text,
                confidence=transcript.confidence,
            ),
        )
