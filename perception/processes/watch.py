"""The video process: tells what is seen, of files one after another or of one live source (`watch_live`).

Of a file, two threads work beside the event loop: one decodes, scores and follows movement, the other does the costly
looking. Between them waits a short queue, so that memory's acknowledgements hold up the decoder and nothing piles up.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.to_thread
import msgspec
from anyio.streams.memory import MemoryObjectSendStream
from msgspec import Struct

from perception.processes.resume import Fresh
from runtime.errors import MediaError
from runtime.messages import (
    GapFacts,
    Message,
    Observation,
    Progress,
    SourceEnded,
    SourceOpened,
    observation_id,
    round_time,
)
from runtime.plan import FileSource, PerceiveFiles, PerceiveLive
from runtime.service import LOADING_S, NOTHING_YET, Service, remembered
from runtime.sources import kept_masks

if TYPE_CHECKING:
    from perception.vision.models import VisionModels

# Looks that wait for the costly stages. Each holds a decoded frame (1.4 MB at 720p).
_LOOKS_WAITING = 4
# Decoded pictures that wait to be scored, likewise.
_PICTURES_AHEAD = 8
_PROGRESS_S = 1.0
# After a restart the stages see this much again before anything new is told: long enough for the background, the
# tracks and the text on screen to be known as before.
_WARM_UP_S = 20.0
_PACE_S = 0.005


class _Passed(Struct, frozen=True):
    """The decoder is past this moment."""

    t_s: float
    frames: int


class _Gap(Struct, frozen=True):
    """No picture could be decoded here, at the start of a recording or in it."""

    t0_s: float
    t1_s: float
    is_start: bool


class _Ended(Struct, frozen=True):
    t_s: float
    reason: str
    frames: int


async def main(service: Service) -> None:
    """Perceive the picture of every file it is started for, then wait until all of it is durable; or watch a live
    source until the process is to stop.
    """
    from perception.vision.models import VisionModels

    work = service.work
    # A recording is through a fifth sooner where its detector may have a second core (6 % more processor time), with
    # the same result; of what is live two threads work already, and one core each is what they have.
    opencv_threads = 1 if isinstance(work, PerceiveLive) else service.config.perception.threads
    models = VisionModels(service.config.perception, opencv_threads)
    if isinstance(work, PerceiveLive):
        from perception.processes.watch_live import watch_live

        kept = kept_masks(Path(work.masks))
        source = msgspec.structs.replace(work.source, mask=kept.get(work.source.label, work.source.mask))
        service.ready()
        seen_before = await remembered(service, "video")
        await watch_live(service, models, source, seen_before.get(source.source) or NOTHING_YET)
        return
    watcher = _FileWatcher(service, models)
    service.ready()
    seen_before = await remembered(service, "video")
    assert isinstance(work, PerceiveFiles)
    for recording in work.sources:
        if service.stopping.is_set():
            return
        watermark_s = seen_before.get(recording.source, NOTHING_YET)
        if watermark_s is not None:
            await watcher.watch(recording, watermark_s)
    service.report(idle=True)
    await service.outbox.drained()


class _FileWatcher:
    """Watches files with one set of models."""

    def __init__(self, service: Service, models: VisionModels) -> None:
        self._service = service
        self._perception = service.config.perception
        self._models = models
        self._frames = self._keyframes = 0
        self._text_searches = 0

    async def watch(self, source: FileSource, watermark_s: float) -> None:
        """Tell everything of one source after ``watermark_s``."""
        from perception.capture.file import probe

        name, service = source.source, self._service
        service.report(source=name, idle=False, media_s=max(0.0, watermark_s))
        try:
            info = await anyio.to_thread.run_sync(probe, source.path)
        except MediaError as error:
            await service.outbox.send(
                SourceOpened(source=name, track="video", uri=source.path, missing=str(error)),
                SourceEnded(source=name, track="video", t_s=0.0, reason=str(error)),
            )
            return
        lacks = "" if info.has_video else _about_picture(info.missing)
        encoders: dict[str, str] = {}
        if info.has_video:
            with service.may_take(LOADING_S):
                encoders = await service.in_thread(self._models.load)
        await service.outbox.send(
            SourceOpened(
                source=name,
                track="video",
                uri=source.path,
                fingerprint=source.fingerprint or info.fingerprint,
                started_wall_s=source.started_wall_s or info.started_wall_s,
                duration_s=info.duration_s,
                missing=lacks,
                encoders=encoders,
            )
        )
        if info.has_video:
            service.report(notes=self._models.lacking)
        else:
            await service.outbox.send(SourceEnded(source=name, track="video", t_s=0.0, reason="end"))
            return
        await self._watch_picture(source, watermark_s)

    async def _watch_picture(self, source: FileSource, watermark_s: float) -> None:
        from perception.vision.pipeline import Look, QuickDetection

        name, service = source.source, self._service
        sight = self._models.sight(name)
        fresh = Fresh(watermark_s)
        send, receive = anyio.create_memory_object_stream[Any](_LOOKS_WAITING)
        async with anyio.create_task_group() as tasks, receive:
            decode = functools.partial(self._decode, source, watermark_s, send)
            tasks.start_soon(functools.partial(anyio.to_thread.run_sync, decode, abandon_on_cancel=True))
            async for item in receive:
                if isinstance(item, Look):
                    messages: list[Message] = list(fresh.pick(await service.in_thread(sight.step, item)))
                    self._keyframes += 1
                elif isinstance(item, QuickDetection):
                    messages = list(fresh.pick(await service.in_thread(sight.glance, item)))
                elif isinstance(item, _Gap):
                    messages = list(fresh.pick([_gap(name, item)]))
                elif isinstance(item, _Passed):
                    messages = [Progress(source=name, track="video", t_s=item.t_s)] if item.t_s > watermark_s else []
                    self._report(item.t_s, item.frames, sight.text_searches)
                else:
                    messages = [SourceEnded(source=name, track="video", t_s=item.t_s, reason=item.reason)]
                    self._report(item.t_s, item.frames, sight.text_searches)
                    self._frames += item.frames
                    self._text_searches += sight.text_searches
                await service.outbox.send(*messages)

    def _decode(self, source: FileSource, watermark_s: float, send: MemoryObjectSendStream[Any]) -> None:
        """Run in the decoder's thread: hand on looks and progress, waiting where the queue is full."""
        try:
            for item in self._items(source, watermark_s):
                if self._service.stopping.is_set():
                    return
                anyio.from_thread.run(send.send, item)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            return  # the process is being stopped
        finally:
            anyio.from_thread.run_sync(send.close)

    def _items(self, source: FileSource, watermark_s: float) -> Iterator[Any]:
        """Looks, gaps and progress of one source in the order of media time."""
        from perception.capture.file import open_container, video_stream
        from perception.capture.file_video import FrameReader, hold, read_ahead
        from perception.vision.pipeline import FrameSelector

        vision = self._perception.vision
        attention = FrameSelector(self._perception.sampling, vision.motion)
        frames, passed_s = 0, 0.0
        with ExitStack() as stack:
            container = stack.enter_context(open_container(source.path))
            stream = video_stream(container)
            assert stream is not None
            reader = FrameReader(container, stream, vision.mask, self._perception.threads)
            if watermark_s > _WARM_UP_S:
                reader.seek(watermark_s - _WARM_UP_S)
            pictures = stack.enter_context(closing(read_ahead(reader, _PICTURES_AHEAD)))
            for picture in hold(pictures, lambda: reader.end_s):
                self._wait_until(source.timeline_s + picture.t_s)
                if self._service.stopping.is_set():
                    return
                frames += 1
                if picture.lost_s:
                    yield _Gap(round_time(picture.t_s - picture.lost_s), picture.t_s, is_start=frames == 1)
                yield from attention.step(picture)
                if picture.t_s - passed_s >= _PROGRESS_S:
                    # This picture may yet deserve a look, as the last one before a change.
                    passed_s = picture.t_s
                    yield _Passed(round_time(passed_s - 0.001), frames)
            yield from attention.finish()
            if not frames and reader.end_s > watermark_s:
                yield _Gap(0.0, reader.end_s, is_start=True)
            yield _Ended(max(reader.end_s, watermark_s), reader.reason, frames)

    def _wait_until(self, timeline_s: float) -> None:
        """Keep to the replay's clock: a frame is not seen before its time."""
        wait_s = getattr(self._service.clock, "wait_s", None)
        while wait_s is not None and not self._service.stopping.is_set():
            left_s = wait_s(timeline_s)
            if left_s <= _PACE_S:
                return
            time.sleep(min(left_s, 0.1))  # in the decoder's own thread

    def _report(self, t_s: float, frames: int, text_searches: int) -> None:
        self._service.report(
            media_s=t_s,
            counters={
                "frames": float(self._frames + frames),
                "keyframes": float(self._keyframes),
                "ocr_runs": float(self._text_searches + text_searches),
                "media_s": t_s,
            },
        )


def _gap(source: str, gap: _Gap) -> Observation:
    lost = f"{gap.t1_s - gap.t0_s:.1f} s could not be seen"
    why = "no picture can be decoded here" if gap.is_start else "the picture is damaged here"
    return Observation(
        id=observation_id(source, "gap", gap.t0_s),
        source=source,
        channel="gap",
        t0_s=gap.t0_s,
        t1_s=gap.t1_s,
        text=f"{why}: {lost}",
        data=GapFacts(track="video", reason="damaged"),
    )


def _about_picture(missing: str) -> str:
    """What of the words on what a file lacks concerns its picture."""
    return "; ".join(part for part in missing.split("; ") if "audio" not in part and "sound" not in part)
