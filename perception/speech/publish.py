"""Telling what was heard: voice starts at once, the rest in the order of the media.

Utterances are transcribed one after another beside hearing, when their turn comes in the one queue that they pass
through together with sounds and the marks of progress between: so what is published does not depend on how quick the
recogniser is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc

from perception.audio.channels import is_clipped
from perception.audio.pipeline import Heard, Hearing
from perception.audio.sounds import Sound
from perception.audio.vad import Utterance, VoiceStart
from perception.speech.language import NOTHING_KNOWN
from perception.speech.partials import Partials
from perception.speech.recogniser import Recogniser, RecogniserFailed
from perception.speech.transcript import Transcript
from runtime.messages import (
    Channel,
    Facts,
    GapFacts,
    Message,
    Observation,
    Progress,
    SoundFacts,
    SpeechFacts,
    SpeechStarted,
    SpokenWord,
    observation_id,
    round_time,
)
from runtime.service import LOADING_S, Service

# Progress is told this often.
_MARK_S = 1.0
# Of the ten seconds a process has to stop (`supervisor.stop_deadline_s`).
_LAST_WORDS_S = 6.0
# A recogniser that takes so many seconds for each second of speech is slow; one that takes more hangs.
_SLOWEST = 30.0
# Utterances that wait or are being transcribed; more would only cost memory.
_UTTERANCES_AHEAD = 6
_QUEUE = 64
# Words of clipped sound are as sure as this share of what the recogniser thinks, which never heard the crests.
_CLIPPED = 0.7
COUNTED = ("audio_s", "utterances", "words", "not_understood", "sounds")


class _Transcription:
    """An utterance in the queue; ``transcript`` once it is known. ``scope`` is that of the work."""

    def __init__(self, utterance: Utterance, known_s: float) -> None:
        self.utterance = utterance
        self.known_s = known_s
        self.scope = anyio.CancelScope()
        self.transcript: Transcript | None = None


class AudioPublisher:
    """Tells what was heard of one source after ``watermark_s``. Use inside ``async with teller.telling()``.

    ``waits`` is false for a live source: an utterance that finds too many before it goes without its words. While the
    recogniser loads, hearing waits instead, and captured sound behind it in its own bounded queue.
    """

    def __init__(
        self,
        service: Service,
        source: str,
        recogniser: Recogniser,
        watermark_s: float,
        counters: dict[str, float],
        waits: bool = True,
    ) -> None:
        self._service = service
        self._source = source
        self._recogniser = recogniser
        self._watermark_s = watermark_s
        self._waits = waits
        self._counters = counters
        self._ahead = anyio.Semaphore(_UTTERANCES_AHEAD)
        self._numbers: deque[tuple[Channel, float]] = deque(maxlen=64)
        self._marked_s = watermark_s
        self._open: set[_Transcription] = set()
        self._spoken = NOTHING_KNOWN
        self._partials = Partials(service, source, recogniser)
        self._give: anyio.abc.ObjectSendStream[Message | _Transcription]
        self._tasks: anyio.abc.TaskGroup

    @asynccontextmanager
    async def telling(self) -> AsyncIterator[None]:
        """Publish what is taken; on leaving, everything taken has been sent, of a live source within `_LAST_WORDS_S`:
        what was said last goes without its words rather than not at all."""
        self._give, take = anyio.create_memory_object_stream[Message | _Transcription](_QUEUE)
        async with anyio.create_task_group() as self._tasks:
            self._tasks.start_soon(self._publish, take)
            async with self._give:
                yield
            if not self._waits:
                for transcription in self._open:
                    transcription.scope.deadline = anyio.current_time() + _LAST_WORDS_S

    async def take(self, event: Heard, heard_s: float) -> None:
        """Tell of this event when its turn comes; a voice start at once. Hearing has come to media time ``heard_s``."""
        heard_s = round_time(heard_s)
        if isinstance(event, VoiceStart):
            if event.t_s >= self._watermark_s:
                self._service.publish("voice", SpeechStarted(source=self._source, t_s=event.t_s, known_s=heard_s))
                if not self._recogniser.loaded:  # while somebody still speaks
                    self._tasks.start_soon(self._recogniser.load)
        elif event.t1_s <= self._watermark_s:
            self._number("speech" if isinstance(event, Utterance) else "sound", event.t0_s)
        elif isinstance(event, Sound):
            self._counters["sounds"] += 1
            await self._give.send(self._sound(event, heard_s))
        else:
            self._partials.ended(event.t0_s)
            transcription = _Transcription(event, heard_s)
            if self._waits or not self._recogniser.loaded or self._ahead.value:
                await self._ahead.acquire()
                self._open.add(transcription)
            else:  # the recogniser is too slow; that there was speech is known all the same
                self._give_up(transcription, "recogniser busy", "busy")
            await self._give.send(transcription)

    def follow(self, hearing: Hearing, now_s: float) -> None:
        """Tell, live, what is being said: ``hearing`` has come to media time ``now_s``."""
        self._partials.follow(hearing, now_s, self._spoken, self._tasks)

    async def send(self, message: Message) -> None:
        """Send this message when everything taken before it has been sent."""
        await self._give.send(message)

    async def mark(self, settled_s: float) -> None:
        """Tell, now and then, that nothing will be heard any more before ``settled_s``."""
        if settled_s >= self._marked_s + _MARK_S:
            self._marked_s = settled_s
            await self._give.send(Progress(source=self._source, track="audio", t_s=round_time(settled_s)))

    def gap(self, t0_s: float, t1_s: float, text: str, reason: str) -> Observation:
        """That nothing was heard in this stretch."""
        return self._observation("gap", t0_s, t1_s, text, GapFacts(track="audio", reason=reason))

    async def _transcribe(self, transcription: _Transcription) -> Transcript:
        """Its words, and what they tell of the language of those that follow."""
        utterance = transcription.utterance
        try:
            with transcription.scope:
                transcript = await self._partials.words(utterance)
                if transcript is None:
                    transcript = await self._words(utterance)
                if transcript.understood:
                    self._spoken = transcript.spoken
                transcription.transcript = transcript
            if transcription.scope.cancelled_caught:
                self._give_up(transcription, "stopped meanwhile", "stopped")
        except RecogniserFailed as error:
            self._service.log.warning("%s at %.1f s: %s", self._source, utterance.t0_s, error)
            self._give_up(transcription, "recogniser failed", "failed")
        self._open.discard(transcription)
        self._ahead.release()
        assert transcription.transcript is not None
        return transcription.transcript

    async def _words(self, utterance: Utterance) -> Transcript:
        length_s = utterance.t1_s - utterance.t0_s
        limit_s = _SLOWEST * length_s if self._recogniser.loaded else LOADING_S
        with self._service.may_take(limit_s):
            return await self._recogniser.transcribe(utterance.samples, utterance.voice, self._spoken)

    def _give_up(self, transcription: _Transcription, counted: str, unheard: str) -> None:
        """Its words are lost, which is counted, and told beside that somebody spoke."""
        self._service.drop(f"speech:{counted}")
        transcription.transcript = Transcript(unheard=unheard)

    async def _publish(self, take: anyio.abc.ObjectReceiveStream[Message | _Transcription]) -> None:
        """Send what comes out of the queue, in its order."""
        async with take:
            async for entry in take:
                if isinstance(entry, _Transcription):
                    transcript = entry.transcript or await self._transcribe(entry)
                    await self._service.outbox.send(self._speech(entry, transcript))
                    self._partials.over(entry.utterance.t0_s, entry.utterance.t1_s, transcript)
                else:
                    await self._service.outbox.send(entry)
                self._service.report(counters=dict(self._counters))
        self._tasks.cancel_scope.cancel()  # what may still be at work is a hypothesis of what is over

    # --- the words for it --------------------------------------------------------------------------

    def _speech(self, entry: _Transcription, transcript: Transcript) -> Observation:
        utterance = entry.utterance
        t0_s = utterance.t0_s
        words = tuple(
            SpokenWord(word.text, round_time(t0_s + word.t0_s), round_time(t0_s + word.t1_s), word.confidence)
            for word in transcript.words
        )
        self._counters["utterances"] += 1
        self._counters["words"] += len(words)
        self._counters["not_understood"] += not transcript.understood
        clipped = transcript.understood and is_clipped(utterance.samples)
        facts = SpeechFacts(
            words=words,
            confidence=round(transcript.confidence * (_CLIPPED if clipped else 1.0), 3),
            engine=self._recogniser.engine,
            understood=transcript.understood,
            doubt=transcript.doubt or ("the sound is clipped" if clipped else ""),
            speaker=f"{utterance.side} channel" if utterance.side else "",
            unheard=transcript.unheard,
            language=transcript.language,
            known_s=entry.known_s,
        )
        return self._observation("speech", t0_s, utterance.t1_s, transcript.text, facts)

    def _sound(self, sound: Sound, heard_s: float) -> Observation:
        facts = SoundFacts(
            kind=sound.kind,
            level_db=sound.level_db,
            onsets=sound.onsets if sound.onsets > 1 else 0,
            labels=sound.labels,
            goes_on=sound.goes_on,
            known_s=heard_s,
        )
        return self._observation("sound", sound.t0_s, sound.t1_s, sound.text, facts)

    def _observation(self, channel: Channel, t0_s: float, t1_s: float, text: str, facts: Facts) -> Observation:
        k = self._number(channel, t0_s)
        identity = observation_id(self._source, channel, t0_s, k)
        return Observation(
            id=identity, source=self._source, channel=channel, t0_s=t0_s, t1_s=t1_s, text=text, data=facts
        )

    def _number(self, channel: Channel, t0_s: float) -> int:
        """How many observations of this channel began in this millisecond already."""
        k = self._numbers.count((channel, t0_s))
        self._numbers.append((channel, t0_s))
        return k
