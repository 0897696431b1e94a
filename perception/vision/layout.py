"""What a picture is like as a whole: its colours by region, its brightness, and a vector to compare it by.

No weights are needed. It knows colours and their arrangement, not objects, and its words claim no more than that.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from perception.vision.colours import ACHROMATIC, NAMES, name_pixels, shares
from perception.vision.description import LAYOUT_SPACE, Description

_WORK_WIDTH_PX = 160
_SHARE_MIN = 0.04  # a colour with less of the picture is not one of its colours
_PATCH_MIN = 0.004  # smallest coloured patch worth a word: a mug on a table, a face in a wide shot
_PATCHES = 6
_GRID = 8
_EDGE_CELLS, _EDGE_DIRECTIONS = 4, 4
# Shares of the squared length: where the colours are, which there are, and where edges run.
_LAYOUT_WEIGHT, _COLOUR_WEIGHT, _EDGE_WEIGHT = 0.5, 0.3, 0.2
LAYOUT_DIMENSIONS = _GRID * _GRID * 3 + len(NAMES) * 4 + _EDGE_CELLS * _EDGE_CELLS * _EDGE_DIRECTIONS
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_ROWS, _COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")


class LayoutEncoder:
    """Colours, their arrangement and the run of edges; deterministic, 2 ms a picture.

    The vector has `LAYOUT_DIMENSIONS` = 308 numbers: Lab means (centred on mid-grey) of an 8x8 grid (192), square
    roots of the colour-name shares of the four quadrants (52), square roots of edge energy in 4 directions of a 4x4
    grid (64), each part scaled to a fixed share of the length. In kind it is MPEG-7's colour layout and edge
    histogram descriptors (ISO/IEC 15938-3) with names in place of hue bins.
    """

    space = LAYOUT_SPACE
    dimensions = LAYOUT_DIMENSIONS
    batch = 1
    names_things = False

    meaning = f"{LAYOUT_SPACE} (colours and arrangement)"

    def __init__(self, lacking: str = "") -> None:
        self.lacking = lacking

    def describe(self, bgrs: Sequence[np.ndarray]) -> list[Description]:
        return [self._describe(bgr) for bgr in bgrs]

    def _describe(self, bgr: np.ndarray) -> Description:
        small = _shrink(bgr)
        names = name_pixels(small)
        luma = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        brightness = round(float(luma.mean()) / 255, 3)
        colours = [(name, round(share, 3)) for name, share in shares(names) if share >= _SHARE_MIN]
        regions = _regions(names)
        patches = _patches(names, small)
        return Description(
            text=_sentence(brightness, colours, regions, patches),
            vector=_vector(small, names, luma),
            colours=colours,
            regions=regions,
            patches=patches,
            brightness=brightness,
        )


def place_of(x: float, y: float) -> str:
    """The ninth of the picture a point in 0..1 lies in: "top left", "centre", "bottom right", ..."""
    row, column = _ROWS[min(2, int(y * 3))], _COLUMNS[min(2, int(x * 3))]
    if row == "middle":
        return column
    return row if column == "centre" else f"{row} {column}"


def _shrink(bgr: np.ndarray) -> np.ndarray:
    height, width = bgr.shape[:2]
    scale = min(1.0, _WORK_WIDTH_PX / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)


def _regions(names: np.ndarray) -> dict[str, str]:
    """The main colour of each third at the border, and of the middle."""
    rows, columns = names.shape
    third_rows, third_columns = max(1, rows // 3), max(1, columns // 3)
    parts = {
        "top": names[:third_rows],
        "bottom": names[-third_rows:],
        "left": names[:, :third_columns],
        "right": names[:, -third_columns:],
        "centre": names[
            third_rows : max(third_rows + 1, rows - third_rows),
            third_columns : max(third_columns + 1, columns - third_columns),
        ],
    }
    return {place: ranked[0][0] for place, part in parts.items() if (ranked := shares(part))}


def _patches(names: np.ndarray, bgr: np.ndarray) -> list[tuple[str, str, float]]:
    """Connected parts of one chromatic colour, the most striking first: large, vivid and of a rare colour."""
    rows, columns = names.shape
    smooth = cv2.medianBlur(names, 3) if min(rows, columns) >= 3 else names
    lab = cv2.cvtColor(bgr, cv2.COLOR_BGR2Lab).astype(np.float32) - 128
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    found: list[tuple[float, str, str, float]] = []
    for k, name in enumerate(NAMES):
        if name in ACHROMATIC:
            continue
        same = (smooth == k).astype(np.uint8)
        total = float(same.mean())
        if total < _PATCH_MIN:
            continue
        count, labels, stats, centres = cv2.connectedComponentsWithStats(same, connectivity=8)
        for part in range(1, count):
            share = float(stats[part, cv2.CC_STAT_AREA]) / names.size
            if share < _PATCH_MIN:
                continue
            vivid = float(chroma[labels == part].mean())
            striking = vivid * share**0.4 * (1.2 - total)
            x, y = centres[part]
            found.append((striking, name, place_of((x + 0.5) / columns, (y + 0.5) / rows), round(share, 3)))
    found.sort(key=lambda patch: (-patch[0], patch[1], patch[2]))
    unique: dict[tuple[str, str], float] = {}
    for _, name, place, share in found:
        unique[name, place] = round(unique.get((name, place), 0.0) + share, 3)
    return [(name, place, share) for (name, place), share in list(unique.items())[:_PATCHES]]


def _sentence(
    brightness: float, colours: list[tuple[str, float]], regions: dict[str, str], patches: list[tuple[str, str, float]]
) -> str:
    """The picture in words: brightness, main colours, then where the others are."""
    if not colours:
        return "a picture of many colours"
    first, first_share = colours[0]
    if first_share > 0.97:
        return f"{a(first)} picture"
    light = "a very dark picture" if brightness < 0.1 else "a dark picture" if brightness < 0.25 else (
        "a bright picture" if brightness > 0.65 else "a picture"
    )  # fmt: skip
    main = [name for name, share in colours if share >= 0.15][:3] or [first]
    parts = [f"{light}, mostly {_listed(main)}"]
    said: set[tuple[str, str]] = set()
    for place in ("top", "bottom", "left", "right", "centre"):
        name = regions.get(place, "")
        if name and name != first:
            parts.append(f"{name} at the {place}")
            said.add((name, place))
    striking = [(name, place) for name, place, _ in patches if (name, place) not in said][:3]
    parts.extend(f"{a(name)} patch at the {place}" for name, place in striking)
    return "; ".join(parts)


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _vector(bgr: np.ndarray, names: np.ndarray, luma: np.ndarray) -> bytes:
    grid = cv2.resize(bgr.astype(np.float32) / 255, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
    layout = cv2.cvtColor(grid, cv2.COLOR_BGR2Lab).astype(np.float64) - (50.0, 0.0, 0.0)
    parts = (
        _scaled(layout.ravel(), _LAYOUT_WEIGHT),
        _scaled(_quadrant_colours(names), _COLOUR_WEIGHT),
        _scaled(_edges(luma), _EDGE_WEIGHT),
    )
    vector = np.concatenate(parts)
    length = float(np.linalg.norm(vector))
    return (vector / length if length else vector).astype("<f2").tobytes()


def _quadrant_colours(names: np.ndarray) -> np.ndarray:
    """Square roots of the colour-name shares of the four quadrants, so that dot products compare distributions."""
    rows, columns = max(1, names.shape[0] // 2), max(1, names.shape[1] // 2)
    quadrants = (names[:rows, :columns], names[:rows, -columns:], names[-rows:, :columns], names[-rows:, -columns:])
    counts = [np.bincount(quadrant.ravel(), minlength=len(NAMES)) / quadrant.size for quadrant in quadrants]
    return np.sqrt(np.concatenate(counts))


def _edges(luma: np.ndarray) -> np.ndarray:
    """Square roots of gradient energy by direction (of 4) in a 4x4 grid."""
    picture = cv2.resize(luma, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    across, down = cv2.Sobel(picture, cv2.CV_32F, 1, 0), cv2.Sobel(picture, cv2.CV_32F, 0, 1)
    strength = np.hypot(across, down)
    direction = ((np.arctan2(down, across) % np.pi) / np.pi * _EDGE_DIRECTIONS).astype(np.int64) % _EDGE_DIRECTIONS
    cell = 64 // _EDGE_CELLS
    planes = [
        (strength * (direction == k)).reshape(_EDGE_CELLS, cell, _EDGE_CELLS, cell).sum(axis=(1, 3))
        for k in range(_EDGE_DIRECTIONS)
    ]
    return np.sqrt(np.stack(planes, axis=-1).astype(np.float64).ravel())


def _scaled(part: np.ndarray, weight: float) -> np.ndarray:
    length = float(np.linalg.norm(part))
    return part * (np.sqrt(weight) / length) if length > 1e-9 else part * 0.0


def a(word: str) -> str:
    """ "a cup", "an orange"."""
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"
