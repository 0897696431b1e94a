"""Watching a live source: capture at its own rate, attention to the newest picture, one look in flight, one waiting.

Three threads beside the event loop: one captures, one attends (scores and follows movement), one looks. Each takes
the newest of what the one before it has, so that a slow look costs looks and never pictures, and nothing piles up:
what was passed over is counted, as "video:busy" where attention was too slow and "look:busy" where looking was.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING

import anyio
import anyio.from_thread
import anyio.to_thread
from msgspec import Struct

from perception.capture.camera import Shot, open_picture
from perception.capture.outage import OPENING, OUTAGE_MIN_S, RESUMED, STOPPED, Outage, away_notes
from perception.capture.reopening import LOOK_UP_S, STALLS, CaptureThread, Inbox, Taken
from perception.processes.keep_footage import keeper_of, mark_noticed
from perception.processes.live_track import keep_budget, tell_track
from perception.processes.resume import Fresh
from perception.vision.asked_look import AskedLooks, Shown, show
from perception.vision.sampling_budget import LEVELS, SamplingBudget
from runtime.broadcast import Broadcast
from runtime.calls import Handler
from runtime.config import VisionConfig
from runtime.errors import MindstreamError
from runtime.messages import (
    Done,
    Forgotten,
    LookRequest,
    MaskRequest,
    Message,
    Observation,
    PreviewRequest,
    Progress,
    round_time,
)
from runtime.service import Service
from runtime.sources import LiveSource, checked_mask

if TYPE_CHECKING:
    from perception.vision.models import VisionModels
    from perception.vision.pipeline import FrameSelector, Look, QuickDetection

_PROGRESS_S = 1.0
_RESTARTED = "watching was interrupted"
_LOADING = "the model that describes pictures is being loaded; nothing is seen until then"
# How often it is looked up whether the user paused watching.
_PAUSE_S = 0.2


class _Attended(Struct, frozen=True):
    """FrameSelector is past ``t_s``. ``stretch`` counts how often watching began anew."""

    t_s: float
    captured: int
    attended: int
    stretch: int = 0
    looks: tuple[Look, ...] = ()
    glance: QuickDetection | None = None
    gaps: tuple[Observation, ...] = ()
    about: str = ""
    shown: Shown | None = None
    preview: Shown | None = None


class _Away(Struct, frozen=True):
    """Nothing is to be seen: ``reason``. What is over will not be tried again."""

    reason: str
    gaps: tuple[Observation, ...] = ()
    over: bool = False


async def watch_live(service: Service, models: VisionModels, source: LiveSource, watermark_s: float) -> None:
    """Watch until the process is to stop; told is what comes after ``watermark_s``.

    Raises:
        UserError: the source has no picture, and never will.
        MindstreamError: its driver hangs.
    """
    if service.config.perception.vision.describe != "layout":
        service.report(notes=(_LOADING,))  # seconds; minutes where the model has to be exported first
    encoders = await service.in_thread(models.load)
    service.report(notes=models.lacking)
    watcher = _LiveWatcher(service, models, source, watermark_s)
    await tell_track(service, source, "video", encoders, watcher.run)


class _LiveWatcher:
    def __init__(self, service: Service, models: VisionModels, source: LiveSource, watermark_s: float) -> None:
        self._service = service
        self._models = models
        self._source = source
        # Private regions; whoever watches may change them.
        self._mask = source.mask or service.config.perception.vision.mask
        self._live = service.config.perception.live
        self._watermark_s = watermark_s
        self._inbox: Inbox[Shot] = Inbox(1, functools.partial(service.drop, "video:busy"))
        self._stopped = threading.Event()
        self._changed = Broadcast()
        self._waiting: list[tuple[int, Look]] = []
        self._glance: tuple[int, QuickDetection] | None = None
        self._paused = False
        # Set where attention is to begin anew.
        self._anew = threading.Event()
        self._looking_s: float | None = None
        self._passed_s = self._marked_s = max(0.0, watermark_s)
        self._budget = SamplingBudget(service.config.perception.cpu_budget)
        self._keyframes = 0
        self._text_searches = 0
        self._began_s = 0.0
        self._over = ""
        self._asked = AskedLooks(service, source.source)
        self._footage = keeper_of(service, source, self._mask)

    async def run(self) -> str:
        """Watch until the process is to stop (""), or the source has nothing more (why)."""
        capture = CaptureThread(
            functools.partial(open_picture, self._source, self._live, self._service.clock.now, self._footage.packet),
            self._inbox,
            self._live.reopen_min_s,
            self._live.reopen_max_s,
        )
        handlers: dict[type[Message], Handler] = {
            LookRequest: self._asked.look,
            PreviewRequest: self._asked.preview,
            MaskRequest: self._set_mask,
            Forgotten: self._let_go,
        }
        capture.start()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(functools.partial(anyio.to_thread.run_sync, self._attend, abandon_on_cancel=True))
                tasks.start_soon(self._look_forever)
                tasks.start_soon(keep_budget, self._service, self._source.label, self._budget)
                tasks.start_soon(self._follow_pause, capture)
                tasks.start_soon(self._until_over, tasks.cancel_scope)
                tasks.start_soon(mark_noticed, self._service, self._source.source)
                tasks.start_soon(self._service.serve, handlers)
                await self._service.stopping.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._stopped.set()
            capture.stop()
            self._footage.close()
        return self._over

    async def _until_over(self, scope: anyio.CancelScope) -> None:
        await self._changed.until(lambda: bool(self._over))
        scope.cancel()

    async def _follow_pause(self, capture: CaptureThread[Shot]) -> None:
        """In a pause have the source closed and nothing looked at; its time goes by all the same."""
        while True:
            paused = self._service.paused
            if paused != self._paused:
                self._paused = paused
                (capture.pause if paused else capture.resume)()
                if paused:  # a file reaches into the pause by as long as that took to be noticed
                    self._footage.discard(self._service.paused_since_s or self._service.clock.now())
            if paused:
                self._waiting.clear()
                self._asked.none()
                self._service.report(source=self._source.source, idle=True, notes=())
                self._passed_s = self._service.clock.now()
                self._mark()
            await anyio.sleep(_PAUSE_S)

    async def _let_go(self, forgotten: Forgotten) -> Done:
        """Keep nothing of what the user had forgotten: what is still there is another view, noticed as if it came."""
        if any(window.source == self._source.source for window in forgotten.windows):
            self._begin_anew()
        self._footage.forget(forgotten.windows)
        return Done()

    async def _set_mask(self, request: MaskRequest) -> Done:
        """Blank other regions from the next picture on; what waits to be looked at shows what may be private now.

        Raises:
            UserError: these are no regions of a picture.
        """
        self._mask = checked_mask(request.mask)
        self._footage.set_mask(self._mask)
        self._begin_anew()
        return Done()

    def _begin_anew(self) -> None:
        self._anew.set()
        self._waiting.clear()
        self._glance = None
        self._asked.none()

    def _notes(self) -> tuple[str, ...]:
        """That less is seen than the profile says, if so."""
        level = self._budget.level
        lowered = () if level == LEVELS[0] else (f"{self._source.label}: {level.what}, to keep the processor budget",)
        return (*self._models.lacking, *lowered)

    # --- attention, in its own thread --------------------------------------------------------------

    def _attend(self) -> None:
        """Take the newest picture, again and again; tell the event loop of what deserves a look, and of outages."""
        from perception.capture.file_video import Picture
        from perception.vision.pipeline import FrameSelector, Look, QuickDetection

        outage = Outage(self._source.source, "video")
        attention: FrameSelector | None = None
        size, connection, stretch, attended = (0, 0), 0, 0, 0
        seen_s = max(0.0, self._watermark_s)
        unseen = _RESTARTED if self._watermark_s > 0 else OPENING
        self._began_s = self._service.clock.now()
        while not self._stopped.is_set():
            taken = self._inbox.take(LOOK_UP_S)
            if self._paused:
                # The pause is told of by the outbox; what comes after it is another view.
                attention, seen_s, unseen = None, self._service.clock.now(), RESUMED
                gaps = outage.finish(seen_s)
                if gaps and not self._post(_Away("", tuple(gaps))):
                    return
                if taken.item is not None:
                    self._service.drop("video:paused")
                continue
            if taken.item is None:
                away = self._is_away(taken, outage, seen_s, unseen)
                if away is not None and (not self._post(away) or away.over):
                    return
                continue
            if self._anew.is_set():
                self._anew.clear()
                attention = None
            shot = taken.item
            t_s = round_time(max(shot.t_s, seen_s + 0.001))
            anew = attention is None or taken.connection != connection
            gaps = outage.finish(t_s, seen_s if anew or t_s - seen_s > self._live.stall_s else None, unseen)
            if attention is None or gaps or anew or shot.size != size:
                # Not the same view any more: what moved before is not followed into it.
                attention = FrameSelector(self._service.config.perception.sampling, self._vision.motion)
                size, connection, stretch = shot.size, taken.connection, stretch + 1
            attention.adapt(self._budget.level)
            unseen = STOPPED
            asked = self._asked.wanted
            picture = Picture(shot.frame(), t_s, self._mask, aspect=shot.aspect)
            self._footage.picture(picture)
            seen = attention.step(picture, asked)
            looks = tuple(item for item in seen if isinstance(item, Look))
            glance = next((item for item in seen if isinstance(item, QuickDetection)), None)
            seen_s, attended = t_s, attended + 1
            about = f"{size[0]}x{size[1]}"
            shown = show(looks[-1].keyframe.picture) if asked and looks else None
            preview = self._asked.show_preview(picture, stretch, attention)
            told = _Attended(
                t_s, self._inbox.captured, attended, stretch, looks, glance, tuple(gaps), about, shown, preview
            )
            if not self._post(told):
                return

    def _is_away(self, taken: Taken[Shot], outage: Outage, seen_s: float, unseen: str) -> _Away | None:
        """The outage that lasts, if one does.

        Raises:
            MindstreamError: the thread that captures hangs in a driver.
        """
        now_s = self._service.clock.now()
        silent_s = now_s - max(seen_s, self._began_s)
        if taken.over:
            return _Away(taken.over, over=True)
        if not taken.reason and silent_s < self._live.stall_s and not outage.lasts:
            return None
        if silent_s < OUTAGE_MIN_S:
            return None
        if not taken.reason and silent_s > STALLS * max(self._live.stall_s, self._live.open_s):
            raise MindstreamError(f"{self._source.label}: its driver does not answer")
        reason = taken.reason or outage.reason or unseen
        return _Away(reason, tuple(outage.step(seen_s, now_s, reason)))

    def _post(self, item: _Attended | _Away) -> bool:
        """Hand an item to the event loop; False if that is gone."""
        try:
            anyio.from_thread.run_sync(self._accept, item)
        except RuntimeError:
            return False
        return True

    # --- looking, from the event loop --------------------------------------------------------------

    def _accept(self, item: _Attended | _Away) -> None:
        if self._stopped.is_set():
            return
        self._service.live_outbox.put(*item.gaps)
        if item.gaps:
            self._passed_s = item.gaps[-1].t1_s
        if self._paused:
            return
        if isinstance(item, _Away):
            self._accept_away(item)
        else:
            self._service.report(
                source=self._source.source,
                idle=False,
                notes=self._notes(),
                counters={"captured": float(item.captured), "frames": float(item.attended)},
            )
            # The newest picture may yet deserve a look, as the last one before a change.
            self._passed_s = round_time(item.t_s - 0.001)
            self._asked.away = False
            if item.shown is not None:
                self._asked.give(item.shown)
            if item.preview is not None:
                self._asked.give_preview(item.preview)
            for look in item.looks:
                self._wait_for_look(item.stretch, look)
            if item.glance is not None and not self._waiting and self._looking_s is None:
                self._glance = (item.stretch, item.glance)
        self._mark()
        self._wake()

    def _accept_away(self, item: _Away) -> None:
        if item.over:
            self._over = item.reason
        self._asked.away = True
        self._asked.none()
        # Nothing to do until it is back, so that its standing still is no fault of ours.
        notes = away_notes(self._source.label, "video", item.reason)
        self._service.report(source=self._source.source, idle=True, notes=(*notes, *self._models.lacking))

    def _wait_for_look(self, stretch: int, look: Look) -> None:
        """The newest looks wait, as many as one batch holds; one too many is merged into the one before it."""
        # What somebody asked to see is told whatever comes after it.
        if len(self._waiting) >= self._models.batch and self._waiting[-1][1].keyframe.reason != "asked":
            from perception.vision.pipeline import merge_looks

            self._service.drop("look:busy")
            before, older = self._waiting.pop()
            look = merge_looks(older, look) if before == stretch else look
        self._waiting.append((stretch, look))
        self._glance = None  # it would come after what is newer

    async def _look_forever(self) -> None:
        fresh = Fresh(self._watermark_s)
        sight, sighted = self._models.sight(self._source.source), 0
        while True:
            while not self._waiting:
                if self._glance is None:
                    await self._changed.wait()
                    continue
                (glanced, glance), self._glance = self._glance, None
                if glanced == sighted:
                    self._looking_s = glance.picture.t_s
                    self._service.live_outbox.put(*fresh.pick(await self._service.in_thread(sight.glance, glance)))
                    self._asked.in_sight = (sighted, sight.in_sight(glance.picture))
                    self._looking_s = None
                    self._mark()
            stretch = self._waiting[0][0]
            looks = [look for of, look in self._waiting if of == stretch]
            del self._waiting[: len(looks)]
            if stretch != sighted:
                self._text_searches += sight.text_searches
                sight, sighted = self._models.sight(self._source.source), stretch
            self._looking_s = looks[0].keyframe.picture.t_s
            sight.adapt(self._budget.level)
            told = await self._service.in_thread(sight.step, *looks)
            self._service.live_outbox.put(*fresh.pick(told))
            self._asked.in_sight = (sighted, sight.in_sight(looks[-1].keyframe.picture))
            self._looking_s = None
            self._keyframes += len(looks)
            ocr_runs = float(self._text_searches + sight.text_searches)
            self._service.report(counters={"keyframes": float(self._keyframes), "ocr_runs": ocr_runs})
            self._mark()

    def _mark(self) -> None:
        """Tell how far everything has been told: to where attention is, but for looks that are not done."""
        open_looks = [look.keyframe.picture.t_s for _, look in self._waiting[:1]]
        if self._glance is not None:
            open_looks.append(self._glance[1].picture.t_s)
        if self._looking_s is not None:
            open_looks.append(self._looking_s)
        upto_s = min([self._passed_s, *(t_s - 0.001 for t_s in open_looks)])
        self._service.report(media_s=upto_s, counters={"media_s": upto_s})
        if upto_s >= self._marked_s + _PROGRESS_S:
            self._marked_s = upto_s
            message: Message = Progress(source=self._source.source, track="video", t_s=round_time(upto_s))
            self._service.live_outbox.put(message)

    def _wake(self) -> None:
        self._changed.notify()

    @property
    def _vision(self) -> VisionConfig:
        return self._service.config.perception.vision
