"""Looking because somebody asks "what do you see now?": the next picture of a live source, whole, and at once; and
showing the next picture, small, to somebody who merely watches.

The thread that attends takes the next picture as a keyframe, so that it is described and remembered like any other,
and codes it at nearly its own size; what is kept of it is smaller. In a pause, and while the source is away, there is
nothing to see, and the reply says so without waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
from msgspec import Struct

from perception.vision.in_sight import InSight, find_again
from runtime.broadcast import Broadcast
from runtime.messages import LookReply, LookRequest, Marked, PreviewRequest, round_time
from runtime.service import Service

if TYPE_CHECKING:
    from perception.capture.file_video import Picture
    from perception.vision.pipeline import FrameSelector

# As much as models that look at pictures take without shrinking them themselves.
LONGEST_PX = 1280
QUALITY = 85
# For a picture that is replaced in half a second.
PREVIEW_MIN_PX, PREVIEW_QUALITY = 160, 72


class Shown(Struct, frozen=True):
    """A picture for whoever asked: its media time, it as JPEG, and what is marked in it."""

    t_s: float
    jpeg: bytes
    marked: tuple[Marked, ...] = ()


def show(
    picture: Picture, longest_px: int = LONGEST_PX, quality: int = QUALITY, marked: tuple[Marked, ...] = ()
) -> Shown:
    """The picture for whoever asked, upright, private regions black, its longest side at most ``longest_px``."""
    bgr = picture.bgr()
    height, width = bgr.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = bgr if scale == 1.0 else cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
    coded, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert coded
    return Shown(round_time(picture.t_s), bytes(jpeg.tobytes()), marked)


class AskedLooks:
    """Those who ask to look at one source, and the thread that attends to it."""

    def __init__(self, service: Service, source: str) -> None:
        self._service = service
        self._source = source
        self._looks, self._previews = _Waiting(), _Waiting()
        self._preview_px = 0
        # What the last look found, and how often watching had begun anew by then.
        self.in_sight: tuple[int, tuple[InSight, ...]] = (0, ())
        # Nothing comes from the source at present.
        self.away = False

    @property
    def wanted(self) -> bool:
        """Read by the thread that attends: somebody waits for the next picture to be looked at."""
        return self._looks.wanted

    def show_preview(self, picture: Picture, stretch: int, attention: FrameSelector) -> Shown | None:
        """By the thread that attends: the picture with what is noticed in it, where somebody watches."""
        if not self._previews.wanted:
            return None
        of, seen = self.in_sight
        marked = find_again(seen, attention.places(picture.t_s), picture.luma) if of == stretch else ()
        return show(picture, self._preview_px, PREVIEW_QUALITY, marked)

    async def look(self, request: LookRequest) -> LookReply:
        """The next picture; waits for it as long as the caller does."""
        return await self._next(self._looks)

    async def preview(self, request: PreviewRequest) -> LookReply:
        """The next picture, small; nothing looks at it and nothing remembers it."""
        self._preview_px = max(PREVIEW_MIN_PX, min(request.width_px, LONGEST_PX))
        return await self._next(self._previews)

    async def _next(self, waiting: _Waiting) -> LookReply:
        shown = None
        if self._service.paused_since_s is None and not self.away:
            shown = await waiting.next()
        now_s, paused_since_s = round_time(self._service.clock.now()), self._service.paused_since_s
        if shown is None or paused_since_s is not None:
            return LookReply(source=self._source, now_s=now_s, paused_since_s=paused_since_s)
        return LookReply(source=self._source, now_s=now_s, t_s=shown.t_s, jpeg=shown.jpeg, marked=shown.marked)

    def give(self, shown: Shown | None) -> None:
        """Answer all who wait for a look, from the event loop."""
        self._looks.give(shown)

    def give_preview(self, shown: Shown) -> None:
        """Answer all who watch, from the event loop."""
        self._previews.give(shown)

    def none(self) -> None:
        """Nothing will come for anybody."""
        self._looks.give(None)
        self._previews.give(None)


class _Waiting:
    """Those who wait for one picture."""

    def __init__(self) -> None:
        self.wanted = False
        self._shown: Shown | None = None
        self._answered = Broadcast()

    async def next(self) -> Shown | None:
        self.wanted = True
        await self._answered.wait()
        return self._shown

    def give(self, shown: Shown | None) -> None:
        self.wanted = False
        self._shown = shown
        self._answered.notify()
