"""Looking at a part of a picture closer: what to cut out around a thing, and what is found there, put back in place.

Detectors squeeze a whole picture into a few hundred pixels. A thing cut out with what is around it is seen larger and
in its true proportions. Cars from above, called "cell phone" at .95 in the whole picture, are a "car" at .7 then, a
"motorcycle" at .5 is a "bicycle" at .98, and of a logo called "clock" at .6 nothing is left (SSD, three clips).
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from perception.vision.detector import Detection, Detector
from perception.vision.motion import Box, centre

# How much of what is around a thing is shown with it, in sides of the thing; the smaller the thing, the blurrier.
_AROUND = 1.6
_SIDE_MIN_PX = 64
_AS_GOOD = 0.85
_EDGE = 0.01


class Part(Struct, frozen=True):
    """A rectangle of a picture in pixels, and whether it is to be looked at mirrored."""

    left: int
    top: int
    right: int
    bottom: int
    mirrored: bool = False


def part_around(size: tuple[int, int], box: Box, mirrored: bool = False) -> Part:
    """The square around ``box`` in a picture of ``size`` (height, width), cut and moved to lie in it."""
    rows, columns = size
    x, y = centre(box)
    side = max(_SIDE_MIN_PX, _AROUND * max(box[2] * columns, box[3] * rows))
    width, height = min(side, columns), min(side, rows)
    left = min(max(0.0, x * columns - width / 2), columns - width)
    top = min(max(0.0, y * rows - height / 2), rows - height)
    return Part(int(left), int(top), int(left + width), int(top + height), mirrored)


def shows_all(size: tuple[int, int], part: Part) -> bool:
    """Whether a part is as good as the whole picture, so that looking at it shows nothing new unless mirrored."""
    return (part.right - part.left) * (part.bottom - part.top) >= _AS_GOOD * size[0] * size[1]


def look_closer(detector: Detector, bgr: np.ndarray, part: Part) -> list[Detection]:
    """What is found in a part, with boxes in 0..1 of the whole picture."""
    rows, columns = bgr.shape[:2]
    cut = bgr[part.top : part.bottom, part.left : part.right]
    wide, high = part.right - part.left, part.bottom - part.top
    found = []
    for seen in detector.detect(np.ascontiguousarray(cut[:, ::-1]) if part.mirrored else cut):
        x, y, width, height = seen.box
        if part.mirrored:
            x = 1.0 - x - width
        box = (
            (part.left + x * wide) / columns,
            (part.top + y * high) / rows,
            width * wide / columns,
            height * high / rows,
        )
        if not _is_cut_off((x, y, width, height), box):
            found.append(Detection(seen.name, seen.probability, box))
    return found


def _is_cut_off(in_part: Box, in_picture: Box) -> bool:
    """Whether a box ends at the border of the part, and not at that of the picture: the rest of it is not shown."""
    before = any(in_part[k] <= _EDGE < in_picture[k] for k in (0, 1))
    behind = any(in_part[k] + in_part[k + 2] >= 1 - _EDGE > in_picture[k] + in_picture[k + 2] for k in (0, 1))
    return before or behind
