"""The audio process: finds and transcribes speech, names other sounds, of files one after another or of one live
source (`perception.processes.listen_live`).

Decoding, voice activity and sounds run in the model thread, the recogniser in one of its own.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import anyio

from perception.audio.pipeline import Heard, Hearing
from perception.audio.sound_events import SoundEvents, load_sound_events
from perception.audio.vad import SpeechModel, load_silero
from perception.capture.blocks import AudioBlock
from perception.capture.file_tracks import SoundReader, open_sound
from perception.processes.listen_live import listen_live
from perception.speech.models import choose_recogniser
from perception.speech.publish import COUNTED, AudioPublisher
from perception.speech.recogniser import Recogniser
from runtime.clock import ReplayClock
from runtime.errors import MediaError, NoSoundError
from runtime.messages import Observation, SourceEnded, SourceOpened, round_time
from runtime.plan import FileSource, PerceiveFiles, PerceiveLive
from runtime.service import Service, remembered

# After a restart hearing begins this much before the watermark: longer than the longest pause between two
# statements of one sound, and long enough for the voice activity model to forget that it starts anew.
_WARM_UP_S = 32.0
# Damage shorter than this is a crackle, not a stretch that was not heard.
_HOLE_S = 1.0


async def main(service: Service) -> None:
    """Hear every file it is started for in turn, from where memory last heard of it; or listen to a live source until
    the process is to stop.
    """
    hearing = service.config.perception.hearing
    recogniser = await service.in_thread(choose_recogniser, hearing, service.config.perception.threads)
    model = await service.in_thread(load_silero)
    events, unnamed = await service.in_thread(load_sound_events, hearing.sound_events if hearing.sounds else "off")
    service.ready()
    heard_before = await remembered(service, "audio")
    counters = dict.fromkeys(COUNTED, 0.0)
    notes = [note for note in (recogniser.lacking, unnamed) if note]
    for note in notes:
        service.log.warning("%s", note)
    service.report(notes=tuple(notes))
    work = service.work
    if isinstance(work, PerceiveLive):
        live = work.source
        known_s = max(0.0, heard_before.get(live.source) or 0.0)
        begin = functools.partial(Hearing, hearing, model, events)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_load_meanwhile, service, recogniser, notes)
            encoders = active_encoders(recogniser, events)
            await listen_live(service, recogniser, begin, live, known_s, counters, encoders, notes)
            tasks.cancel_scope.cancel()
        return
    assert isinstance(work, PerceiveFiles)
    for source in work.sources:
        watermark_s = heard_before.get(source.source, 0.0)
        if watermark_s is not None and not service.stopping.is_set():
            known_s = max(0.0, watermark_s)
            await _FileListener(service, source, recogniser, model, events, known_s, counters).run()
    await service.outbox.drained()
    service.report(idle=True)


async def _load_meanwhile(service: Service, recogniser: Recogniser, notes: list[str]) -> None:
    """Have the recogniser loaded while a live source is listened to already, told while it lasts."""
    if recogniser.there_is:
        waiting = f"{recogniser.engine} is being loaded; what is said meanwhile is transcribed then"
        notes.append(waiting)
        await recogniser.load()
        notes.remove(waiting)
        service.report(notes=tuple(notes))


def active_encoders(recogniser: Recogniser, events: SoundEvents | None) -> dict[str, str]:
    """What hears, by channel."""
    sounds = "levels and spectral peaks" + ("" if events is None else f", {events.name}")
    return {"voice": "Silero VAD", "speech": recogniser.engine, "sound": sounds}


class _FileListener:
    """Hears one file from ``watermark_s`` to its end, or until the process is to stop."""

    def __init__(
        self,
        service: Service,
        source: FileSource,
        recogniser: Recogniser,
        model: SpeechModel,
        events: SoundEvents | None,
        watermark_s: float,
        counters: dict[str, float],
    ) -> None:
        self._service = service
        self._source = source
        self._name = source.source
        self._timeline_s = source.timeline_s
        self._watermark_s = watermark_s
        self._hearing = Hearing(service.config.perception.hearing, model, events)
        self._teller = AudioPublisher(service, self._name, recogniser, watermark_s, counters)
        self._counters = counters
        self._recogniser = recogniser
        self._events = events
        self._lost_from_s: float | None = None
        self._decoding = threading.Lock()
        # At a pace of its own a replay is like live: what is being said is told. At full speed it would be late.
        self._is_paced = isinstance(service.clock, ReplayClock) and math.isfinite(service.clock.speed)

    async def run(self) -> None:
        send = self._service.outbox.send
        with ExitStack() as stack:
            try:
                reader = await self._service.in_thread(stack.enter_context, open_sound(self._source.path))
                # Before it is closed the model thread must have let go of it, even if its result is not awaited.
                stack.callback(self._decoding.acquire)
            except NoSoundError as error:
                await send(self._opened(missing=str(error)), self._ended(0.0))
                return
            except MediaError as error:
                await send(self._opened(missing=str(error)), self._ended(0.0, str(error)))
                return
            self._service.log.info("%s: hearing %s", self._name, reader.words)
            if self._watermark_s > 0:
                await self._service.in_thread(reader.seek, self._watermark_s - _WARM_UP_S)
            await send(self._opened(duration_s=self._source.duration_s))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._stop_when_told, tasks.cancel_scope)
                await self._hear(reader)
                tasks.cancel_scope.cancel()

    async def _hear(self, reader: SoundReader) -> None:
        teller = self._teller
        async with teller.telling():
            blocks = iter(reader)
            while True:
                heard, block = await self._service.in_thread(self._step, blocks)
                heard_s = reader.end_s if block is None else block.t1_s
                for event in heard:
                    await teller.take(event, heard_s)
                if block is None:
                    break
                if self._is_paced:
                    teller.follow(self._hearing, heard_s)
                for hole in self._holes(block):
                    await teller.send(hole)
                await teller.mark(self._hearing.settled_s)
                self._service.report(source=self._name, media_s=block.t1_s, idle=False)
                self._counters["audio_s"] = round(self._counters["audio_s"] + block.t1_s - block.t0_s, 3)
                await self._service.clock.sleep_until(self._timeline_s + block.t1_s)
            for hole in self._holes(None, reader.end_s):
                await teller.send(hole)
            await teller.send(self._ended(max(reader.end_s, self._watermark_s), reader.reason))

    def _step(self, blocks: Iterator[AudioBlock]) -> tuple[list[Heard], AudioBlock | None]:
        """One block further, in the model thread: what was heard in it, and the block; None after the last."""
        with self._decoding:
            block = next(blocks, None)
            return (self._hearing.finish(), None) if block is None else (self._hearing.step(block), block)

    async def _stop_when_told(self, scope: anyio.CancelScope) -> None:
        await self._service.stopping.wait()
        scope.cancel()

    def _holes(self, block: AudioBlock | None, end_s: float = 0.0) -> list[Observation]:
        """A gap for damage that ended before ``block``, or with the sound."""
        if block is not None and block.lost:
            self._lost_from_s = block.t0_s if self._lost_from_s is None else self._lost_from_s
            return []
        t0_s, self._lost_from_s = self._lost_from_s, None
        t1_s = end_s if block is None else block.t0_s
        if t0_s is None or t1_s - t0_s < _HOLE_S or t1_s <= self._watermark_s:
            return []
        return [self._teller.gap(t0_s, t1_s, f"the sound could not be decoded for {t1_s - t0_s:.1f} s", "damaged")]

    def _opened(self, missing: str = "", duration_s: float | None = None) -> SourceOpened:
        return SourceOpened(
            source=self._name,
            track="audio",
            kind="file",
            uri=self._source.path,
            fingerprint=self._source.fingerprint,
            started_wall_s=self._source.started_wall_s,
            duration_s=duration_s,
            missing=missing,
            encoders={} if missing else active_encoders(self._recogniser, self._events),
        )

    def _ended(self, t_s: float, reason: str = "end") -> SourceEnded:
        return SourceEnded(source=self._name, track="audio", t_s=round_time(t_s), reason=reason)
