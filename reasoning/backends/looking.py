"""The tools by which a model looks: at several moments or a stretch, closer at a part, at two moments side by side.

A moment means its whole second. Pictures are those that memory kept, small; of a recording that is still on disk and
still the same they are decoded again, in full, and each picture says which of the two it is.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import msgspec

from reasoning.answer.draft import mark
from reasoning.backends.brackets import Brackets
from reasoning.backends.chat_model import Picture
from reasoning.backends.pack import picture_of
from reasoning.backends.tool_results import BadArguments, ToolResult, lines_of, seconds_of, time_in
from reasoning.query.context import Context
from reasoning.query.evicted import why_no_picture
from reasoning.safety.untrusted import Guard
from runtime.clock import media_time

LOOKS = 8
# Longest side of a picture that was asked for, of several at once and of one or two.
SEVERAL_PX, FEW_PX = 768, 1280
ZOOM_PX = 1024
# A picture further from the moment asked for is only the nearest that is left.
SAME_MOMENT_S = 1.0
NO_PICTURE = "The picture of {moment} is no longer kept."
# The part of the picture, from the left and from the top, that each region begins and ends at.
_COLUMNS = {"left": (0.0, 0.5), "right": (0.5, 1.0)}
_ROWS = {"top": (0.0, 0.5), "bottom": (0.5, 1.0)}
_MIDDLE = (0.25, 0.75)
QUALITY = 85


class Looking:
    """The looking tools of one question."""

    def __init__(self, context: Context, guard: Guard, brackets: Brackets, sees: bool) -> None:
        self._context = context
        self._guard = guard
        self._brackets = brackets
        self._sees = sees

    async def look(self, arguments: dict[str, Any]) -> ToolResult:
        """``times``, ``time``, or ``n`` moments ``from`` .. ``to``."""
        times = self._times(arguments)
        return await self._show(times, FEW_PX if len(times) < 3 else SEVERAL_PX)

    async def zoom(self, arguments: dict[str, Any]) -> ToolResult:
        """``region`` of the picture at ``time``."""
        t_s = time_in(arguments, "time")
        if t_s is None:
            raise BadArguments('"time" is missing')
        return await self._show([t_s], 0, _region(arguments.get("region")), str(arguments.get("region"))[:20])

    async def compare(self, arguments: dict[str, Any]) -> ToolResult:
        """The pictures at ``t1`` and ``t2``."""
        pair = [time_in(arguments, name) for name in ("t1", "t2")]
        if None in pair:
            raise BadArguments('"t1" and "t2" are needed')
        return await self._show([t_s for t_s in pair if t_s is not None], FEW_PX)

    def _times(self, arguments: dict[str, Any]) -> list[float]:
        given = arguments.get("times", arguments.get("time"))
        several = given if isinstance(given, list) else [given]
        times = [t_s for value in several[:LOOKS] if (t_s := seconds_of(value, "times")) is not None]
        begin_s, end_s = time_in(arguments, "from"), time_in(arguments, "to")
        if begin_s is not None and end_s is not None:
            if begin_s > end_s:
                raise BadArguments('"from" is after "to"')
            count = max(2, min(LOOKS - len(times), _count(arguments.get("n"))))
            times += [begin_s + (end_s - begin_s) * k / (count - 1) for k in range(count)]
        if not times:
            raise BadArguments('"times", or "from" and "to", are missing')
        return times[:LOOKS]

    async def _show(
        self, times: Sequence[float], longest_px: int, part: tuple[float, ...] = (), region: str = ""
    ) -> ToolResult:
        """The pictures nearest to these moments, each after its bracket; in words for a model that is blind."""
        now_s = self._context.view.as_of_s
        if all(t_s > now_s for t_s in times):
            raise BadArguments(f"that is not over yet; it is {media_time(now_s)}")
        frames = await self._context.frames_at([("", t_s) for t_s in times if t_s <= now_s])
        told: list[str] = []
        for t_s in times:
            if not any(int(f.t0_s) == int(t_s) or abs(f.t0_s - t_s) <= SAME_MOMENT_S for f in frames if f.payload):
                why = await why_no_picture(self._context, t_s) if t_s <= now_s else ""
                nearest = "There is no picture of {moment}." if not frames else NO_PICTURE
                told.append(why or ("" if any(f.payload for f in frames) else nearest.format(moment=media_time(t_s))))
        visible = await self._context.by_id(i for f in frames for i in f.evidence)
        if self._sees:  # of what is there it tells better itself, but for what was read in the whole picture
            visible = tuple(o for o in visible if o.channel == "text" and o not in self._brackets)
        shown = [f for f in frames if f.payload] if self._sees else []
        full = await self._context.decoded([(f.source, f.t0_s) for f in shown]) if shown else {}
        content: list[str | Picture] = []
        for frame in shown:
            jpeg = full.get((frame.source, frame.t0_s))
            cut = _cut(jpeg or frame.payload or b"", part, longest_px or ZOOM_PX)
            what = f" ({region}{', ' if region else ''}{'from the recording' if jpeg else 'as kept'})"
            content += picture_of(msgspec.structs.replace(frame, payload=cut), self._brackets, None, what)
        lines = lines_of([*([] if self._sees else frames), *visible], self._guard, self._brackets)
        marks = ", ".join(mark(f.t0_s) for f in (shown or frames))
        text = "\n".join(filter(None, (lines.text if visible or not self._sees else "", *dict.fromkeys(told))))
        found = f"the picture{'s' * (len(shown or frames) > 1)} of {marks}" if shown or frames else "no picture"
        if shown:
            text = f"{text}\n{len(shown)} picture{'s' * (len(shown) > 1)} follow.".strip()
        return ToolResult(text or "There is no picture of that time.", found, tuple(content))


def _count(value: Any) -> int:
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return 4


def _region(value: Any) -> tuple[float, ...]:
    """(left, top, right, bottom) in 0..1 of a region by its name, or of a box [x, y, width, height]."""
    if isinstance(value, list) and len(value) == 4 and all(isinstance(n, int | float) for n in value):
        x, y, width, height = (min(1.0, max(0.0, float(n))) for n in value)
        if width > 0.02 and height > 0.02:
            return (x, y, min(1.0, x + width), min(1.0, y + height))
    words = str(value).lower().replace("-", " ").split()
    left, right = next((_COLUMNS[w] for w in words if w in _COLUMNS), _MIDDLE)
    top, bottom = next((_ROWS[w] for w in words if w in _ROWS), _MIDDLE)
    return (left, top, right, bottom)


def _cut(jpeg: bytes, part: tuple[float, ...], longest_px: int) -> bytes:
    """A picture, or a part of it, no larger than ``longest_px`` and, of a part, no smaller; as it is where it cannot
    be decoded."""
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
    except (OSError, ValueError, UnidentifiedImageError):
        return jpeg
    if not part and max(picture.size) <= longest_px:
        return jpeg
    if part:
        wide, high = picture.size
        box = (int(part[0] * wide), int(part[1] * high), int(part[2] * wide), int(part[3] * high))
        picture = picture.crop((box[0], box[1], max(box[0] + 1, box[2]), max(box[1] + 1, box[3])))
    scale = longest_px / max(picture.size)
    size = (max(1, round(picture.size[0] * scale)), max(1, round(picture.size[1] * scale)))
    out = io.BytesIO()
    picture.resize(size, Image.Resampling.LANCZOS).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
