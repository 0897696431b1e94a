"""The audio process: decodes the sound of its sources, finds and transcribes speech, names other sounds.

Decoding, voice activity and sounds run in the model thread; recognisers in processes of their own. What they
give passes through one queue in the order of the media, together with the marks of progress between, so that
what is published does not depend on which recogniser is quicker.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import anyio
import anyio.abc
import av

from perception.audio import AudioBlock
from perception.file_audio import AudioReader, describe_audio
from perception.file_source import audio_stream, open_container
from perception.segment_speech import (
    SegmentSpeech,
    SpeechModel,
    SpeechOptions,
    Utterance,
    VoiceActivity,
    VoiceStart,
    load_silero,
)
from perception.sounds import NameSounds, Sound, SoundOptions
from perception.transcribe import Transcript, check_transcriber
from perception.transcriber_pool import TranscriberPool, WorkerFailed
from runtime.config import HearingConfig
from runtime.errors import MediaError
from runtime.messages import (
    Channel,
    Message,
    Observation,
    Progress,
    SourceEnded,
    SourceOpened,
    SpeechStarted,
    observation_id,
    round_time,
)
from runtime.service import Service, remembered

# Progress is told this often.
_MARK_S = 1.0
# After a restart hearing begins this much before the watermark: longer than the longest pause between two
# statements of one sound, and long enough for the voice activity model to forget that it starts anew.
_WARM_UP_S = 32.0
# Utterances that wait or are being transcribed, for each recogniser; more would only cost memory.
_UTTERANCES_AHEAD = 3
_QUEUE = 64
# Damage shorter than this is a crackle, not a stretch that was not heard.
_HOLE_S = 1.0

Heard = VoiceStart | Utterance | Sound


async def main(service: Service) -> None:
    """Hear every source of ``service.params["sources"]`` in turn, from where memory last heard of it."""
    check_transcriber(service.config.perception.hearing.transcribe)
    model = await service.in_thread(load_silero)
    service.ready()
    heard_before = await remembered(service, "audio")
    hearing = service.config.perception.hearing
    counters = dict.fromkeys(("audio_s", "utterances", "words", "not_understood", "sounds"), 0.0)
    async with TranscriberPool(hearing.transcribe, hearing.workers) as pool:
        for source in service.params["sources"]:
            watermark_s = heard_before.get(source["source"], 0.0)
            if watermark_s is not None and not service.stopping.is_set():
                await _Listener(service, source, pool, model, watermark_s, counters).run()
        await service.outbox.drained()
    service.report(idle=True)


class Hearing:
    """The stages of hearing as one: blocks in; voice starts, utterances and sounds out."""

    def __init__(self, config: HearingConfig, model: SpeechModel) -> None:
        self._speech = SegmentSpeech(
            SpeechOptions(
                threshold=config.speech_threshold,
                min_speech_s=config.min_speech_s,
                min_silence_s=config.min_silence_s,
                pad_s=config.pad_s,
                max_utterance_s=config.max_utterance_s,
            ),
            model,
        )
        self._sounds = NameSounds(SoundOptions()) if config.sounds else None

    @property
    def settled_s(self) -> float:
        """Media time before which nothing new can begin."""
        settled_s = self._speech.settled_s
        return settled_s if self._sounds is None else min(settled_s, self._sounds.settled_s)

    def step(self, block: AudioBlock) -> list[Heard]:
        return self._name(self._speech.step(block))

    def finish(self) -> list[Heard]:
        out = self._name(self._speech.finish())
        return out + (self._sounds.finish() if self._sounds is not None else [])

    def _name(self, events: list[VoiceStart | Utterance | VoiceActivity]) -> list[Heard]:
        out: list[Heard] = []
        for event in events:
            if not isinstance(event, VoiceActivity):
                out.append(event)
            elif self._sounds is not None:
                out += self._sounds.step(event)
        return out


class _Transcription:
    """An utterance in the queue; ``transcript`` is there once ``done`` is set."""

    def __init__(self, utterance: Utterance) -> None:
        self.utterance = utterance
        self.transcript = Transcript()
        self.done = anyio.Event()


class _Listener:
    """Hears one source from ``watermark_s`` to its end, or until the process is to stop."""

    def __init__(
        self,
        service: Service,
        source: dict[str, Any],
        pool: TranscriberPool,
        model: SpeechModel,
        watermark_s: float,
        counters: dict[str, float],
    ) -> None:
        self._service = service
        self._source = source
        self._name: str = source["source"]
        self._timeline_s = float(source.get("timeline_s", 0.0))
        self._pool = pool
        self._watermark_s = watermark_s
        config = service.config.perception.hearing
        self._engine = config.transcribe
        self._hearing = Hearing(config, model)
        self._ahead = anyio.Semaphore(_UTTERANCES_AHEAD * config.workers)
        self._numbers: deque[tuple[Channel, float]] = deque(maxlen=64)
        self._counters = counters
        self._marked_s = watermark_s
        self._lost_from_s: float | None = None
        self._decoding = threading.Lock()

    async def run(self) -> None:
        with ExitStack() as stack:
            try:
                container = await self._service.in_thread(stack.enter_context, open_container(self._source["path"]))
                # Before it is closed the model thread must have let go of it, even if its result is not awaited.
                stack.callback(self._decoding.acquire)
            except MediaError as error:
                await self._send(self._opened(missing=str(error)), self._ended(0.0, str(error)))
                return
            stream = audio_stream(container)
            if stream is None:
                lacks = "no decoder for its sound" if container.streams.audio else "no audio track"
                await self._send(self._opened(missing=lacks), self._ended(0.0))
                return
            self._service.log.info("%s: hearing %s", self._name, describe_audio(container, stream))
            duration_s = container.duration / av.time_base if container.duration else None
            reader = AudioReader(container, stream)
            if self._watermark_s > 0:
                await self._service.in_thread(reader.seek, self._watermark_s - _WARM_UP_S)
            await self._send(self._opened(duration_s=duration_s))
            await self._hear(reader)

    async def _hear(self, reader: AudioReader) -> None:
        give, take = anyio.create_memory_object_stream[Message | _Transcription](_QUEUE)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._stop_when_told, tasks.cancel_scope)
            tasks.start_soon(self._publish, take, tasks.cancel_scope)
            async with give:
                blocks = iter(reader)
                while True:
                    heard, block = await self._service.in_thread(self._step, blocks)
                    for event in heard:
                        await self._queue(event, give, tasks)
                    if block is None:
                        break
                    for message in self._holes(block):
                        await give.send(message)
                    await self._mark(give, self._hearing.settled_s)
                    self._service.report(source=self._name, media_s=block.t1_s, idle=False)
                    self._counters["audio_s"] = round(self._counters["audio_s"] + block.t1_s - block.t0_s, 3)
                    await self._service.clock.sleep_until(self._timeline_s + block.t1_s)
                for message in self._holes(None, reader.end_s):
                    await give.send(message)
                await give.send(self._ended(max(reader.end_s, self._watermark_s), reader.reason))

    def _step(self, blocks: Iterator[AudioBlock]) -> tuple[list[Heard], AudioBlock | None]:
        """One block further, in the model thread: what was heard in it, and the block; None after the last."""
        with self._decoding:
            block = next(blocks, None)
            return (self._hearing.finish(), None) if block is None else (self._hearing.step(block), block)

    async def _stop_when_told(self, scope: anyio.CancelScope) -> None:
        await self._service.stopping.wait()
        scope.cancel()

    async def _queue(
        self,
        event: Heard,
        give: anyio.abc.ObjectSendStream[Message | _Transcription],
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        if isinstance(event, VoiceStart):
            if event.t_s >= self._watermark_s:
                self._service.publish("voice", SpeechStarted(source=self._name, t_s=event.t_s))
                await self._pool.warm()
        elif event.t1_s <= self._watermark_s:
            self._number("speech" if isinstance(event, Utterance) else "sound", event.t0_s)
        elif isinstance(event, Sound):
            self._counters["sounds"] += 1
            await give.send(self._sound(event))
        else:
            await self._ahead.acquire()
            transcription = _Transcription(event)
            tasks.start_soon(self._transcribe, transcription)
            await give.send(transcription)

    async def _transcribe(self, transcription: _Transcription) -> None:
        try:
            transcription.transcript = await self._pool.transcribe(transcription.utterance.samples)
        except WorkerFailed as error:
            self._service.log.warning("%s at %.1f s: %s", self._name, transcription.utterance.t0_s, error)
            self._service.drop("speech:recogniser failed")
        transcription.done.set()
        self._ahead.release()

    async def _publish(
        self, take: anyio.abc.ObjectReceiveStream[Message | _Transcription], scope: anyio.CancelScope
    ) -> None:
        """Send what comes out of the queue, in its order; after the last of it the source is done."""
        async with take:
            async for entry in take:
                if isinstance(entry, _Transcription):
                    await entry.done.wait()
                    await self._send(self._speech(entry.utterance, entry.transcript))
                else:
                    await self._send(entry)
                self._service.report(counters=dict(self._counters))
        scope.cancel()

    async def _mark(self, give: anyio.abc.ObjectSendStream[Message | _Transcription], settled_s: float) -> None:
        if settled_s >= self._marked_s + _MARK_S:
            self._marked_s = settled_s
            await give.send(Progress(source=self._name, track="audio", t_s=round_time(settled_s)))

    async def _send(self, *messages: Message) -> None:
        await self._service.outbox.send(*messages)

    # --- the words for it --------------------------------------------------------------------------

    def _speech(self, utterance: Utterance, transcript: Transcript) -> Observation:
        t0_s = utterance.t0_s
        words = [
            [word.text, round_time(t0_s + word.t0_s), round_time(t0_s + word.t1_s), word.confidence]
            for word in transcript.words
        ]
        self._counters["utterances"] += 1
        self._counters["words"] += len(words)
        self._counters["not_understood"] += not transcript.understood
        data: dict[str, Any] = {
            "words": words,
            "confidence": transcript.confidence,
            "engine": self._engine,
            "understood": transcript.understood,
        }
        return self._observation("speech", t0_s, utterance.t1_s, transcript.text, data)

    def _sound(self, sound: Sound) -> Observation:
        data: dict[str, Any] = {"class": sound.kind, "level_db": sound.level_db}
        if sound.onsets > 1:
            data["onsets"] = sound.onsets
        if sound.goes_on:
            data["goes_on"] = True
        return self._observation("sound", sound.t0_s, sound.t1_s, sound.text, data)

    def _holes(self, block: AudioBlock | None, end_s: float = 0.0) -> list[Observation]:
        """A gap for damage that ended before ``block``, or with the sound."""
        if block is not None and block.lost:
            self._lost_from_s = block.t0_s if self._lost_from_s is None else self._lost_from_s
            return []
        t0_s, self._lost_from_s = self._lost_from_s, None
        t1_s = end_s if block is None else block.t0_s
        if t0_s is None or t1_s - t0_s < _HOLE_S or t1_s <= self._watermark_s:
            return []
        text = f"the sound could not be decoded for {t1_s - t0_s:.1f} s"
        return [self._observation("gap", t0_s, t1_s, text, {"track": "audio", "reason": "damaged"})]

    def _observation(self, channel: Channel, t0_s: float, t1_s: float, text: str, data: dict[str, Any]) -> Observation:
        k = self._number(channel, t0_s)
        identity = observation_id(self._name, channel, t0_s, k)
        return Observation(id=identity, source=self._name, channel=channel, t0_s=t0_s, t1_s=t1_s, text=text, data=data)

    def _number(self, channel: Channel, t0_s: float) -> int:
        """How many observations of this channel began in this millisecond already."""
        k = self._numbers.count((channel, t0_s))
        self._numbers.append((channel, t0_s))
        return k

    def _opened(self, missing: str = "", duration_s: float | None = None) -> SourceOpened:
        encoders = {
            "voice": "Silero VAD",
            "speech": self._engine,
            "sound": "levels and spectral peaks",
        }
        return SourceOpened(
            source=self._name,
            track="audio",
            kind="file",
            uri=self._source["path"],
            fingerprint=self._source.get("fingerprint", ""),
            started_wall_s=self._source.get("started_wall_s", 0.0),
            duration_s=duration_s,
            missing=missing,
            encoders={} if missing else encoders,
        )

    def _ended(self, t_s: float, reason: str = "end") -> SourceEnded:
        return SourceEnded(source=self._name, track="audio", t_s=round_time(t_s), reason=reason)
