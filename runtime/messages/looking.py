"""Looking at what is there now, and what of it stays private: calls to a process that watches one live source."""

from __future__ import annotations

from msgspec import Struct

from runtime.messages.base import Message


class LookRequest(Message, frozen=True, tag="look_request"):
    """Look at the next picture, and show it. What is looked at is remembered like all that is looked at."""


class Marked(Struct, frozen=True):
    """Something noticed and where it is in the picture it comes with: [x, y, width, height] in 0..1."""

    name: str
    box: tuple[float, float, float, float]


class LookReply(Message, frozen=True, tag="look_reply"):
    """What a live source shows.

    now_s           media time of the reply.
    t_s, jpeg       the picture and its media time; its frame has the id of that moment. None while the source is away
                    or paused.
    marked          of a preview, what is noticed in it, where it is in this very picture.
    paused_since_s  media time since which the user has perception paused; None where it goes on.
    """

    source: str
    now_s: float
    t_s: float = 0.0
    jpeg: bytes = b""
    marked: tuple[Marked, ...] = ()
    paused_since_s: float | None = None


class PreviewRequest(Message, frozen=True, tag="preview_request"):
    """The next picture as it is, for somebody who watches: not looked at, not remembered. -> `LookReply`

    Of all that watch one source only one may ask, a few times a second.
    """

    width_px: int = 640


class MaskRequest(Message, frozen=True, tag="mask_request"):
    """From the next picture on blank these rectangles [x, y, width, height] in 0..1, and no others. -> `Done`"""

    mask: tuple[tuple[float, float, float, float], ...] = ()
