"""The colours of a thing in a picture: of its own pixels, not of what is behind it, as the eye sees them."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np

from perception.vision.colours import ACHROMATIC, main_colour
from perception.vision.motion import Box

_BACKGROUND_NEAR = 14.0  # Lab distance to what is beside a thing, under which a pixel shows what is behind it
_OWN_SHARE_MIN = 0.15
_GAIN_MAX = 1.35
# Where a standing person's top and trousers are, in shares of the height.
_TOP, _BOTTOM = (0.18, 0.48), (0.58, 0.88)


class ThingColours:
    """What colours a thing has been seen in, as a whole and where a person's top and trousers are."""

    __slots__ = ("_bottom", "_top", "_whole", "looks")

    def __init__(self) -> None:
        self.looks = 0
        self._top: Counter[str] = Counter()
        self._bottom: Counter[str] = Counter()
        self._whole: Counter[str] = Counter()

    def look(self, bgr: np.ndarray, box: Box, gain: float) -> None:
        """Take note of the thing in ``box``; ``gain`` is the picture's `exposure_gain`."""
        self.looks += 1
        pixels, own = _thing_pixels(bgr, box, gain)
        rows = len(pixels)
        for colours, (start, end) in ((self._whole, (0.0, 1.0)), (self._top, _TOP), (self._bottom, _BOTTOM)):
            part = slice(int(start * rows), max(int(start * rows) + 1, int(end * rows)))
            mask = own[part] if float(own[part].mean()) >= _OWN_SHARE_MIN else np.ones_like(own[part])
            colours[main_colour(pixels[part], mask)] += 1

    @property
    def whole(self) -> str:
        return _most(self._whole)

    @property
    def top(self) -> str:
        return _most(self._top)

    @property
    def bottom(self) -> str:
        return _most(self._bottom)


def exposure_gain(bgr: np.ndarray) -> float:
    """Factor that brings the brightest part of a dull picture to white, as the eye does; 1 to _GAIN_MAX."""
    small = cv2.resize(bgr, (64, 64), interpolation=cv2.INTER_AREA)
    return float(np.clip(245.0 / max(1.0, float(np.percentile(small.max(axis=2), 99.5))), 1.0, _GAIN_MAX))


def colour_of(bgr: np.ndarray, box: Box) -> str:
    """The main colour inside ``box``; "" outside the picture."""
    return main_colour(_part(bgr, box))


def _thing_pixels(bgr: np.ndarray, box: Box, gain: float) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of a moving thing's box, and which of them (bool) are unlike what is right beside the box."""
    x, y, width, height = box
    margin_x, margin_y = 0.35 * width, 0.2 * height
    inside = _part(bgr, box)
    sides = (
        (x - margin_x, y, margin_x, height),
        (x + width, y, margin_x, height),
        (x, y - margin_y, width, margin_y),
        (x, y + height, width, margin_y),
    )
    pixels = np.clip(inside.astype(np.float32) * gain, 0, 255).astype(np.uint8)
    lab = cv2.cvtColor(inside.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
    own = np.ones(inside.shape[:2], bool)
    for side in sides:
        if side[0] < 0 or side[1] < 0 or side[0] + side[2] > 1 or side[1] + side[3] > 1:
            continue  # nothing is beside it there
        beside = cv2.cvtColor(_part(bgr, side).astype(np.float32) / 255, cv2.COLOR_BGR2Lab).reshape(-1, 3)
        own &= np.linalg.norm(lab - np.median(beside, axis=0), axis=2) > _BACKGROUND_NEAR
    return pixels, own


def _part(bgr: np.ndarray, box: Box) -> np.ndarray:
    """The pixels of ``box``, at most 32x32 of them; empty outside the picture."""
    rows, columns = bgr.shape[:2]
    left, right = (int(np.clip(value * columns, 0, columns)) for value in (box[0], box[0] + box[2]))
    top, bottom = (int(np.clip(value * rows, 0, rows)) for value in (box[1], box[1] + box[3]))
    part = bgr[top : max(bottom, top + 1), left : max(right, left + 1)]
    if part.size == 0 or max(part.shape[:2]) <= 32:
        return part
    return cv2.resize(part, (min(32, part.shape[1]), min(32, part.shape[0])), interpolation=cv2.INTER_AREA)


def _most(colours: Counter[str]) -> str:
    """The colour seen most often; where a chromatic one is seen in a third of the looks it is the thing's own."""
    total = sum(colours.values())
    ranked = sorted(colours.items(), key=lambda pair: (-pair[1], pair[0]))
    for name, count in ranked:
        if name and name not in ACHROMATIC and count >= 0.34 * total:
            return name
    return next((name for name, _ in ranked if name), "")
