"""Listening to a live source: sound waits in a bounded queue, is put on the media clock, and heard in order."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import anyio.to_thread
from msgspec import Struct

from perception.audio.echo import CancelEcho, WebRtcCanceller
from perception.audio.pipeline import Heard, Hearing
from perception.capture.align import AlignSound, SoundPiece
from perception.capture.blocks import CHUNK_S, SAMPLE_RATE_HZ, AudioBlock
from perception.capture.microphone import Resampler, open_sound
from perception.capture.outage import OPENING, OUTAGE_MIN_S, RESUMED, STOPPED, Outage, away_notes
from perception.capture.reopening import LOOK_UP_S, STALLS, CaptureThread, Inbox, Taken
from perception.processes.keep_footage import keeper_of, mark_noticed
from perception.processes.live_track import tell_track
from perception.speech.publish import AudioPublisher
from perception.speech.recogniser import Recogniser
from runtime.calls import Handler
from runtime.errors import MindstreamError
from runtime.messages import Done, Forgotten, Message, Observation, Sounding, TimeWindow
from runtime.pcm import decoded
from runtime.service import Service
from runtime.sources import LiveSource

_RESTARTED = "listening was interrupted"
_LOST = "sound was lost on the way"
# Pieces of a stream come 80 times a second, and each way from the model thread to the event loop costs half a
# millisecond: nothing is told of most.
_TELL_EVERY_S, _PIECES_AT_ONCE = 0.1, 16


class _Step(Struct, frozen=True):
    """What one piece of sound, or its absence, led to. ``heard_s`` is how far hearing is."""

    heard: tuple[Heard, ...] = ()
    gaps: tuple[Observation, ...] = ()
    heard_s: float | None = None
    settled_s: float | None = None
    away: str = ""
    over: str = ""

    @property
    def is_quiet(self) -> bool:
        """Whether sound was heard and nothing is to be told of it."""
        return self.heard_s is not None and not (self.heard or self.gaps or self.away or self.over)


async def listen_live(
    service: Service,
    recogniser: Recogniser,
    begin: Callable[[], Hearing],
    source: LiveSource,
    watermark_s: float,
    counters: dict[str, float],
    encoders: dict[str, str],
    notes: Sequence[str] = (),
) -> None:
    """Listen until the process is to stop; told is what comes after ``watermark_s``.

    ``begin`` makes the stage that hears anew, after each break; ``notes`` are what else is to be said, and
    may change meanwhile.

    Raises:
        UserError: the source has no sound, and never will.
        MindstreamError: its driver hangs.
    """
    teller = AudioPublisher(service, source.source, recogniser, watermark_s, counters, waits=False)
    listener = _LiveListener(
        service, source, LiveAudioPipeline(service, source, begin, watermark_s), teller, counters, notes
    )
    await tell_track(service, source, "audio", encoders, listener.run)


class LiveAudioPipeline:
    """What hears, in the model thread: takes captured sound, aligns and hears it, and notices when none comes."""

    def __init__(self, service: Service, source: LiveSource, begin: Callable[[], Hearing], watermark_s: float) -> None:
        self._service = service
        self._source = source
        self._begin_hearing = begin
        self._live = service.config.perception.live
        size = max(1, round(self._live.sound_ahead_s / CHUNK_S))
        self.inbox: Inbox[SoundPiece] = Inbox(size, functools.partial(service.drop, "audio:busy"))
        self._align = AlignSound(watermark_s)
        self._echo: CancelEcho | None = None
        self.may_cancel = source.kind == "microphone"
        self.hearing: Hearing | None = None
        # Set where hearing is to begin anew, and what it has heard half of is let go.
        self.anew = threading.Event()
        # Of a stream the process that watches it keeps sound and picture together.
        self._footage = keeper_of(service, source, ()) if source.kind == "microphone" else None
        self._outage = Outage(source.source, "audio")
        self._connection = 0
        self._heard_s = max(0.0, watermark_s)
        self._unheard = _RESTARTED if watermark_s > 0 else OPENING
        self._lost_from_s: float | None = None
        self._began_s = service.clock.now()
        self._told_s = 0.0

    @property
    def heard_s(self) -> float:
        """Media time that hearing has come to."""
        return self._heard_s

    @property
    def drift_ppm(self) -> float:
        return self._align.clock.drift_ppm

    @property
    def offset_s(self) -> float:
        """How far the sound told is from where the clock puts it, before it is corrected."""
        return self._align.offset_s

    def step(self) -> _Step:
        """Work on what comes, until there is something to tell, a while of sound was heard, or none comes soon.

        Raises:
            MindstreamError: the thread that captures hangs in a driver.
        """
        for _ in range(_PIECES_AT_ONCE):
            step = self._piece()
            if not step.is_quiet or self._heard_s >= self._told_s + _TELL_EVERY_S:
                break
        self._told_s = self._heard_s
        return step

    def _piece(self) -> _Step:
        """Work on the next piece of sound, if one comes soon."""
        taken = self.inbox.take(LOOK_UP_S)
        if self.anew.is_set():
            self.anew.clear()
            self.hearing = None
        if taken.item is None:
            return self._without_sound(taken)
        if taken.connection != self._connection:
            self._connection = taken.connection
            self._align = AlignSound(self._heard_s)
            if self._echo is not None:
                self._echo.learn()
        heard: list[Heard] = []
        gaps: list[Observation] = []
        blocks = self._align.step(taken.item)
        if self._echo is not None:
            blocks = [own for block in blocks for own in self._echo.step(block)]
        for block in blocks:
            if self.hearing is None or block.t0_s - self._heard_s > OUTAGE_MIN_S:
                heard += self._begin(block, gaps)
            assert self.hearing is not None
            heard += self.hearing.step(block)
            gaps += self._holes(block)
            if self._footage is not None:
                self._footage.sound(block)
            self._heard_s, self._unheard = block.t1_s, STOPPED
        settled_s = None if self.hearing is None else self.hearing.settled_s
        return _Step(tuple(heard), tuple(gaps), self._heard_s, settled_s)

    def pause(self) -> _Step:
        """Let what waits be, in a pause of the user's; its time goes by. The outbox tells of it."""
        heard = [] if self.hearing is None else self.hearing.finish()
        self.hearing, self._lost_from_s = None, None
        self.close()
        now_s = max(self._heard_s, self._service.clock.now())
        gaps = self._outage.finish(now_s)
        self._heard_s, self._unheard = now_s, RESUMED
        while self.inbox.take(0.0).item is not None:
            self._service.drop("audio:paused")
        return _Step(tuple(heard), tuple(gaps), now_s, now_s)

    def sounds(self, sounding: Sounding) -> None:
        """The agent's own voice sounds, or was cut off; called from any thread."""
        if self._echo is None:
            return
        start = round(sounding.t0_s * SAMPLE_RATE_HZ)
        if not sounding.samples:
            self._echo.silence(start)
            return
        self._echo.play(start, Resampler().step(decoded(sounding.samples), sounding.sample_rate_hz))

    def load_echo(self) -> None:
        """Have the agent's own voice taken out from now on, where that can be done here; takes a moment."""
        self.may_cancel = False
        try:
            self._echo = CancelEcho(WebRtcCanceller())
        except (ImportError, OSError) as error:
            self._service.log.info("the own voice is not taken out of what is heard: %s", error)

    def forget(self, windows: tuple[TimeWindow, ...]) -> None:
        """Keep nothing of what the user had forgotten; what is said from now on begins anew."""
        self.anew.set()
        if self._footage is not None:
            self._footage.forget(windows)

    def close(self) -> None:
        """Finish the footage: no sound comes for now, or any more."""
        if self._footage is not None:
            self._footage.close()

    def _begin(self, block: AudioBlock, gaps: list[Observation]) -> list[Heard]:
        """Hear anew from ``block`` on; what was being said when the sound went away."""
        heard = [] if self.hearing is None else self.hearing.finish()
        why = _LOST if self.hearing is not None else self._unheard
        gaps += self._outage.finish(block.t0_s, self._heard_s, why)
        self.hearing = self._begin_hearing()
        return heard

    def _without_sound(self, taken: Taken[SoundPiece]) -> _Step:
        now_s = self._service.clock.now()
        silent_s = now_s - max(self._heard_s, self._began_s)
        if taken.over:
            return _Step(away=taken.over, over=taken.over)
        if not taken.reason and silent_s < self._live.stall_s and not self._outage.lasts:
            return _Step()
        if silent_s < OUTAGE_MIN_S:
            return _Step()
        if not taken.reason and silent_s > STALLS * max(self._live.stall_s, self._live.open_s):
            raise MindstreamError(f"{self._source.label}: its driver does not answer")
        heard: list[Heard] = []
        if self.hearing is not None:
            heard, self.hearing = self.hearing.finish(), None
        reason = taken.reason or self._outage.reason or self._unheard
        gaps = self._outage.step(self._heard_s, now_s, reason)
        heard_s = gaps[-1].t1_s if gaps else None
        return _Step(tuple(heard), tuple(gaps), heard_s, heard_s, away=reason)

    def _holes(self, block: AudioBlock) -> list[Observation]:
        """A gap for sound that the device lost, when it goes on."""
        if block.lost:
            self._lost_from_s = block.t0_s if self._lost_from_s is None else self._lost_from_s
            return []
        t0_s, self._lost_from_s = self._lost_from_s, None
        return [] if t0_s is None else self._outage.finish(block.t0_s, t0_s, _LOST)


class _LiveListener:
    def __init__(
        self,
        service: Service,
        source: LiveSource,
        ears: LiveAudioPipeline,
        teller: AudioPublisher,
        counters: dict[str, float],
        notes: Sequence[str],
    ) -> None:
        self._service = service
        self._source = source
        self._ears = ears
        self._teller = teller
        self._counters = counters
        self._notes = notes

    async def run(self) -> str:
        """Listen until the process is to stop (""), or the source has nothing more (why)."""
        live, service = self._service.config.perception.live, self._service
        capture: CaptureThread[Any] = CaptureThread(
            functools.partial(open_sound, self._source, live, service.clock.now),
            self._ears.inbox,
            live.reopen_min_s,
            live.reopen_max_s,
        )
        capture.start()
        handlers: dict[type[Message], Handler] = {Forgotten: self._let_go, Sounding: self._sounds}
        over = ""
        try:
            async with self._teller.telling(), anyio.create_task_group() as tasks:
                tasks.start_soon(service.serve, handlers)
                if self._source.kind == "microphone":
                    tasks.start_soon(mark_noticed, service, self._source.source)
                while not over and not service.stopping.is_set():
                    if service.paused:
                        capture.pause()
                        await self._tell(await service.in_thread(self._ears.pause))
                        service.report(idle=True, notes=tuple(self._notes))
                        await anyio.sleep(LOOK_UP_S)
                        continue
                    capture.resume()
                    step = await service.in_thread(self._ears.step)
                    await self._tell(step)
                    over = step.over
                tasks.cancel_scope.cancel()
        finally:
            capture.stop()
            self._ears.close()
        return over

    async def _sounds(self, sounding: Sounding) -> Done:
        if self._ears.may_cancel:
            await anyio.to_thread.run_sync(self._ears.load_echo)
        self._ears.sounds(sounding)  # not in the model thread: hearing may be behind, this must not be
        return Done()

    async def _let_go(self, forgotten: Forgotten) -> Done:
        if any(window.source == self._source.source for window in forgotten.windows):
            await self._service.in_thread(self._ears.forget, forgotten.windows)
        return Done()

    async def _tell(self, step: _Step) -> None:
        for event in step.heard:
            await self._teller.take(event, self._ears.heard_s)
        if self._ears.hearing is not None and step.heard_s is not None:
            self._teller.follow(self._ears.hearing, step.heard_s)
        for gap in step.gaps:
            await self._teller.send(gap)
        if step.settled_s is not None:
            await self._teller.mark(step.settled_s)
        if step.away:
            notes = away_notes(self._source.label, "audio", step.away)
            self._service.report(source=self._source.source, idle=True, notes=(*notes, *self._notes))
        elif step.heard_s is not None:
            self._counters["audio_s"] = round(step.heard_s, 3)
            self._counters["captured"] = float(self._ears.inbox.captured)
            self._counters["drift_ppm"] = round(self._ears.drift_ppm, 1)
            self._service.report(
                source=self._source.source, idle=False, notes=tuple(self._notes), counters=dict(self._counters)
            )
        if step.heard_s is not None:
            self._service.report(media_s=step.heard_s)
