"""Names of colours as people use them, for pictures and parts of pictures.

The thirteen names are the eleven basic colour terms (Berlin and Kay, 1969) with turquoise and beige, which people
also use unprompted for clothes and walls. Borders are set in CIE LCh (D65): hue angle decides between chromatic
names, chroma and lightness between those and black, grey, white, brown, beige and pink.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

NAMES = (
    "black", "grey", "white", "red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink", "brown",
    "beige",
)  # fmt: skip
ACHROMATIC = frozenset({"black", "grey", "white"})
_WEIGHT = {"black": 1.0, "grey": 1.0, "white": 1.4}
_LEVELS = 32  # per channel of the naming table: 32768 entries, built once in 0.1 s
_BLACK_L, _DARK_L, _WHITE_L = 17.0, 30.0, 80.0
# Camera noise and colour casts leave greys with some chroma, more in light and dark parts than between.
_GREY_CHROMA, _WHITE_CHROMA, _DARK_CHROMA = 9.0, 11.0, 13.0
_ROSY_CHROMA = 6.5  # light pink is seen as pink long before light blue is seen as blue
_SHADE_CHROMA = 12.0  # shade under a blue sky is bluish, and still called grey


def name_pixels(bgr: np.ndarray) -> np.ndarray:
    """Index into NAMES for each pixel; uint8 of the shape of the picture without its last axis."""
    level = (bgr >> 3).astype(np.int32)
    named: np.ndarray = _table()[(level[..., 0] * _LEVELS + level[..., 1]) * _LEVELS + level[..., 2]]
    return named


def shares(names: np.ndarray, mask: np.ndarray | None = None) -> list[tuple[str, float]]:
    """(name, share) of named pixels, largest first, shares summing to 1; empty without pixels."""
    chosen = names.ravel() if mask is None else names[mask]
    if chosen.size == 0:
        return []
    counts = np.bincount(chosen, minlength=len(NAMES))
    order = sorted(range(len(NAMES)), key=lambda k: (-int(counts[k]), k))
    return [(NAMES[k], float(counts[k]) / chosen.size) for k in order if counts[k]]


def main_colour(bgr: np.ndarray, mask: np.ndarray | None = None) -> str:
    """The one name for a thing's colour; "" without pixels.

    Shadow and shine turn parts of a coloured thing black, grey or white, so a chromatic name counts double; and
    shadow turns more of a white thing grey than light turns a grey one white.
    """
    ranked = shares(name_pixels(bgr), mask)
    weighted = [(share * _WEIGHT.get(name, 2.0), name) for name, share in ranked]
    return max(weighted, key=lambda pair: pair[0])[1] if weighted else ""


@cache
def _table() -> np.ndarray:
    """uint8 (32768,): the name of each coarse blue-green-red cell."""
    centre = (np.arange(_LEVELS) * 8 + 4).astype(np.float32) / 255
    blue, green, red = np.meshgrid(centre, centre, centre, indexing="ij")
    bgr = np.stack([blue, green, red], axis=-1).reshape(1, -1, 3)
    lab = cv2.cvtColor(bgr, cv2.COLOR_BGR2Lab)[0].astype(np.float64)
    lightness, chroma = lab[:, 0], np.hypot(lab[:, 1], lab[:, 2])
    hue = np.degrees(np.arctan2(lab[:, 2], lab[:, 1])) % 360
    return np.array([NAMES.index(_name(*values)) for values in zip(lightness, chroma, hue, strict=True)], np.uint8)


def _name(lightness: float, chroma: float, hue: float) -> str:
    """The name of one colour: lightness 0..100, chroma 0..134, hue in degrees."""
    if (lightness < _BLACK_L and chroma < 28) or lightness < 8:
        return "black"
    if lightness < _DARK_L and chroma < _DARK_CHROMA:
        return "black" if lightness < 24 else "grey"
    rosy = hue > 310 or hue < 40
    ivory = lightness > 92 and chroma < 16 and 85 < hue < 125
    if ivory or (lightness > _WHITE_L and chroma < (_ROSY_CHROMA if rosy else _WHITE_CHROMA)):
        return "white"
    if chroma < (_ROSY_CHROMA if rosy and lightness > 70 else _SHADE_CHROMA if 190 <= hue < 290 else _GREY_CHROMA):
        return "grey"
    return _chromatic_name(lightness, chroma, hue)


def _chromatic_name(lightness: float, chroma: float, hue: float) -> str:
    if hue >= 345 or hue < 25:  # crimson to rose
        if (lightness > 62 and chroma < 60) or ((hue >= 345 or hue < 8) and lightness > 48):
            return "pink"
        if chroma < 22:
            return "pink" if lightness > 50 else "brown"
        return "red" if (hue < 25 and hue >= 8) or chroma > 30 else "purple"
    if hue < 47:  # red, or flesh and wood when weak
        if chroma < 38:
            return _earth(lightness)
        return "red" if lightness < 62 or chroma > 70 else "orange" if chroma > 45 else "pink"
    if hue < 72:
        if chroma < 32:
            return _earth(lightness)
        return "orange" if lightness > 52 else "brown"
    if hue < 78 and chroma > 65 and lightness < 80:
        return "orange"
    if hue < 108:
        if lightness > 62:
            return "yellow" if chroma > 38 else "beige"
        if hue < 95:
            return "yellow" if chroma > 60 else "brown"
        return "green"
    if hue < 165:
        return "green"
    if hue < 218:
        return "turquoise"
    if hue < 298 or (hue < 308 and (chroma > 90 or lightness < 40)):
        return "blue"
    return "pink" if (hue > 318 and lightness > 55) or (hue > 335 and lightness > 45) else "purple"


def _earth(lightness: float) -> str:
    return "beige" if lightness > 68 else "brown"
