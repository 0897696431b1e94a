"""Looking because somebody asks "what do you see now?": the next picture of a live source, whole, and at once.

The thread that attends takes the next picture as a keyframe, so that it is described and remembered like any other,
and codes it at nearly its own size; what is kept of it is smaller. In a pause, and while the source is away, there is
nothing to see, and the reply says so without waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
from msgspec import Struct

from runtime.broadcast import Broadcast
from runtime.messages import LookReply, LookRequest, round_time
from runtime.service import Service

if TYPE_CHECKING:
    from perception.capture.file_video import Picture

# As much as models that look at pictures take without shrinking them themselves.
LONGEST_PX = 1280
QUALITY = 85


class Shown(Struct, frozen=True):
    """A picture for whoever asked: its media time, and it as JPEG."""

    t_s: float
    jpeg: bytes


def show(picture: Picture) -> Shown:
    """The picture for whoever asked, upright, private regions black, its longest side at most `LONGEST_PX`."""
    bgr = picture.bgr()
    height, width = bgr.shape[:2]
    scale = min(1.0, LONGEST_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = bgr if scale == 1.0 else cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
    coded, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert coded
    return Shown(round_time(picture.t_s), bytes(jpeg.tobytes()))


class AskedLooks:
    """Those who ask to look at one source, and the thread that attends to it."""

    def __init__(self, service: Service, source: str) -> None:
        self._service = service
        self._source = source
        self._shown: Shown | None = None
        self._answered = Broadcast()
        # Read by the thread that attends: somebody waits for the next picture.
        self.wanted = False
        # Nothing comes from the source at present.
        self.away = False

    async def look(self, request: LookRequest) -> LookReply:
        """The next picture; waits for it as long as the caller does."""
        shown = None
        if self._service.paused_since_s is None and not self.away:
            self.wanted = True
            await self._answered.wait()
            shown = self._shown
        now_s, paused_since_s = round_time(self._service.clock.now()), self._service.paused_since_s
        if shown is None or paused_since_s is not None:
            return LookReply(source=self._source, now_s=now_s, paused_since_s=paused_since_s)
        return LookReply(source=self._source, now_s=now_s, t_s=shown.t_s, jpeg=shown.jpeg)

    def give(self, shown: Shown | None) -> None:
        """Answer all who wait, from the event loop; None where nothing will come."""
        self.wanted = False
        self._shown = shown
        self._answered.notify()
