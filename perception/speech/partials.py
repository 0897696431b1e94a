"""What is being said while it is being said: hypotheses of the utterance that goes on, live or in a replay at a pace.

They are published and never stored: the next one may say something else, and the utterance replaces them all. They
are begun only where the recogniser has nothing else to do, and rest between two of them.

In a pause that may be its end the utterance is transcribed as it will be if nobody speaks on. Mostly nobody does: then
its words are known when it is over, or soon after, and nothing was done twice. Else they are one more hypothesis.
"""

from __future__ import annotations

import anyio
import anyio.abc

from perception.audio.pipeline import Hearing
from perception.audio.vad import Utterance
from perception.speech.language import Spoken
from perception.speech.recogniser import Recogniser, RecogniserFailed
from perception.speech.transcript import Transcript
from runtime.messages import PartialTranscript
from runtime.service import Service

# Less speech than this is a word at most, and half of it misheard.
_FIRST_S = 0.8
# The next hypothesis takes in this much more, at least; and rests for eight times what the last one took, foreseen or
# not, so that at most a ninth of a core goes into what will be thrown away.
_EVERY_S = 0.8
_REST = 8.0


class _Foreseen:
    """An utterance as it will be if nobody speaks on. ``transcript`` counts once ``done`` is set: None if it failed."""

    def __init__(self, utterance: Utterance) -> None:
        self.utterance = utterance
        self.transcript: Transcript | None = None
        self.done = anyio.Event()


class Partials:
    """Hypotheses of one source. ``tasks`` outlives them."""

    def __init__(self, service: Service, source: str, recogniser: Recogniser) -> None:
        self._service = service
        self._source = source
        self._recogniser = recogniser
        self._open_s: float | None = None
        self._not_before_s = 0.0
        self._busy = False
        self._live = False
        self._foreseen: _Foreseen | None = None
        self._told_s: float | None = None  # start of the utterance whose hypothesis was told last
        self._transcribed_s: float | None = None  # and of the one that ended and is being transcribed

    def follow(self, hearing: Hearing, now_s: float, spoken: Spoken, tasks: anyio.abc.TaskGroup) -> None:
        """``hearing`` has come to media time ``now_s``; ``spoken`` is what is known of its language."""
        self._live = True
        open_s = hearing.open_s
        if open_s != self._open_s:
            self._open_s = open_s
            if open_s is not None:  # what the hypotheses of the one before cost is still to be rested for
                self._not_before_s = max(self._not_before_s, open_s + _FIRST_S)
            if self._told_s is not None and self._told_s not in (open_s, self._transcribed_s):
                self.over(self._told_s)  # it ended and was no utterance after all
        if open_s is None:
            return
        foreseen = hearing.foreseen()
        if foreseen is not None:
            if not self._is_foreseen(foreseen) and self._recogniser.free:
                self._foreseen = _Foreseen(foreseen)
                tasks.start_soon(self._transcribe_foreseen, self._foreseen, spoken)
        elif not self._busy and now_s >= self._not_before_s and self._recogniser.free:
            self._busy = True
            tasks.start_soon(self._transcribe, hearing.so_far(), spoken)

    async def words(self, utterance: Utterance) -> Transcript | None:
        """The transcript of an utterance that has ended, if it was foreseen; None if it must be transcribed now."""
        foreseen = self._foreseen
        if foreseen is None or not self._is_foreseen(utterance):
            return None
        await foreseen.done.wait()
        return foreseen.transcript

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

    def _is_foreseen(self, utterance: Utterance) -> bool:
        known = None if self._foreseen is None else self._foreseen.utterance
        same = known is not None and (known.t0_s, known.t1_s) == (utterance.t0_s, utterance.t1_s)
        return same and not utterance.side

    async def _transcribe_foreseen(self, foreseen: _Foreseen, spoken: Spoken) -> None:
        utterance, began_s = foreseen.utterance, anyio.current_time()
        try:
            foreseen.transcript = await self._recogniser.transcribe(utterance.samples, utterance.voice, spoken)
        except RecogniserFailed:  # told when the utterance itself fails
            return
        finally:
            foreseen.done.set()
            if utterance.t0_s == self._open_s:
                self._rest(utterance, anyio.current_time() - began_s)
        self._tell(utterance, foreseen.transcript)

    async def _transcribe(self, utterance: Utterance, spoken: Spoken) -> None:
        began_s = anyio.current_time()
        transcript = None
        try:
            transcript = await self._recogniser.transcribe(utterance.samples, utterance.voice, spoken)
        except RecogniserFailed:  # told when the utterance itself fails
            pass
        finally:
            self._busy = False
        self._rest(utterance, anyio.current_time() - began_s)
        if transcript is not None:
            self._tell(utterance, transcript)

    def _rest(self, utterance: Utterance, took_s: float) -> None:
        """No hypothesis for a while, after that of ``utterance`` took so long and is no longer all that is said."""
        self._not_before_s = max(self._not_before_s, utterance.t1_s) + max(_EVERY_S, _REST * took_s)

    def _tell(self, utterance: Utterance, transcript: Transcript) -> None:
        """Publish a hypothesis, unless what was said is over by now."""
        if not transcript.words or utterance.t0_s != self._open_s:
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
