"""Where writing may be that was not looked at yet, as tiles of the picture, each at the scale its writing asks for.

A detector of text sees letters of 8 to 50 pixels, and overlooks a single line in a large picture (PP-OCRv6: of lines of
16 px none in 1920x1080, all in 960x480). So the picture is searched in small tiles, and only where it is dense with
strokes: strong steps between neighbouring pixels, or weak ones on calm ground, as of grey on dark. The level of a
pyramid where strokes are densest tells how large the letters are (scale selection as in Lindeberg, "Feature Detection
with Automatic Scale Selection", 1998).
"""

from __future__ import annotations

import cv2
import numpy as np
from msgspec import Struct

# The finest level: letters of 16 px on a screen of 2560x1440 are 12 there.
_SIDE_MAX_PX = 1920
# Smaller pictures are enlarged, at most twice: letters of 8 pixels become legible, beyond that nothing is won.
_SIDE_MIN_PX, _ENLARGE_MAX = 640, 2.0
_LEVELS = 4
_LEVEL_SIDE_MIN_PX = 90
# Pixels of the finest level to a cell of the maps.
_CELL_PX = 16
# Steps of grey levels: of letters, and of faint letters, which count where most of the ground is calm.
_STRONG, _WEAK, _CALM = 32, 12, 3
_CALM_SHARE = 0.4
# Share of the pixels of a window with such a step: print has 0.15 to 0.4 at its own level; a single edge, blurred over
# two pixels, 0.125.
_DENSE = 0.13
# A finer level is taken if its strokes are nearly as dense: letters may be small for the detector there, not here.
_FINER = 0.6
# Mean change of a cell, in grey levels; noise of a coded picture stays below 5.
_CHANGED = 10.0
_MOVING = 0.1
# Tiles: a single line of 16 px is found in any up to 960x480.
_TILE_MIN_PX, _TILE_MAX_PIXELS = (320, 128), 500_000
_ASPECT_MAX = 7.5  # of wider ones RapidOCR pads the height
_OVERLAP_PX = 32
# Words of a line stand closer than this, in pixels of their level: a line is searched whole, whatever of it changed.
_WORD_GAP_PX = 32
_JOINED_WASTE = 1.2  # two tiles become one if that is not much larger than both
_TILES_MAX = 60


class Tile(Struct, frozen=True):
    """A part of the picture to look at: ``level`` of the pyramid, [left, top, right, bottom] in its pixels.

    cells     the same part in cells of the maps: rows and columns from, to.
    density   of strokes, 0..1.
    is_fresh  part of it was not searched in vain before.
    """

    level: int
    box: tuple[int, int, int, int]
    cells: tuple[int, int, int, int]
    density: float
    is_fresh: bool

    @property
    def pixels(self) -> int:
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])


class TextRegions:
    """Stage: pictures in; tiles that differ from what was searched before out."""

    def __init__(self) -> None:
        self.greys: list[np.ndarray] = []  # the pyramid, each level half the size of the one before
        self._bgr = np.zeros((1, 1, 3), np.uint8)
        self._searched: np.ndarray | None = None  # grey as last searched, at the level of changes
        self._vain: np.ndarray | None = None  # cells that were searched and held nothing
        self._pending = self._moving = self._best = np.zeros((1, 1), bool)
        self._density = np.zeros((1, 1), np.float32)

    def look(self, bgr: np.ndarray, moving: np.ndarray | None) -> None:
        """Take a picture, uint8 (height, width, 3). ``moving``: bool of any size, where it is changing just now."""
        self._bgr = bgr
        side = max(bgr.shape[:2])
        scale = min(_ENLARGE_MAX, _SIDE_MIN_PX / side) if side < _SIDE_MIN_PX else min(1.0, _SIDE_MAX_PX / side)
        self.greys = [_resized(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), scale)]
        while len(self.greys) < _LEVELS and min(self.greys[-1].shape) >= 2 * _LEVEL_SIDE_MIN_PX:
            self.greys.append(_resized(self.greys[-1], 0.5))
        rows, columns = (-(-length // _CELL_PX) for length in self.greys[0].shape)
        grid = (columns, rows)
        densities = np.stack([_stroke_density(grey, grid, both=k > 0) for k, grey in enumerate(self.greys)])
        self._density = highest = densities.max(axis=0)
        # The first level, from the finest on, that is dense enough as far around as the window of the coarsest reaches.
        for k, density in enumerate(densities[:-1]):
            reach = 2 ** (len(densities) - k) + 1
            densities[k] = cv2.dilate(density, np.ones((reach, reach), np.uint8))
        self._best = (densities >= _FINER * densities.max(axis=0)).argmax(axis=0)
        current = self._change_grey
        if self._searched is None or self._searched.shape != current.shape or self._vain is None:
            self._searched = np.full_like(current, 255) - current  # differs everywhere
            self._vain = np.zeros((rows, columns), bool)
        changes = _block_means(cv2.absdiff(current, self._searched), _CELL_PX >> self._change_level)
        changed = cv2.resize(changes, grid, interpolation=cv2.INTER_LINEAR) > _CHANGED
        self._pending = changed & (highest >= _DENSE)
        self._moving = np.zeros((rows, columns), bool) if moving is None else (
            cv2.resize(moving.astype(np.float32), grid, interpolation=cv2.INTER_AREA) > _MOVING
        )  # fmt: skip

    @property
    def _change_level(self) -> int:
        """The level at which it is seen what changed: noise is half as strong as at the finest."""
        return min(1, len(self.greys) - 1)

    @property
    def _change_grey(self) -> np.ndarray:
        return self.greys[self._change_level]

    def ask_for(self, box: tuple[float, float, float, float]) -> None:
        """Have this part, [x, y, width, height] in 0..1, searched though it moves, and however like before it is."""
        cells = self._cells_of(box)
        self._pending[cells], self._moving[cells] = True, False

    def tiles(self, with_moving: bool) -> list[Tile]:
        """What to search, large letters first, then where strokes are densest; what moves only if asked for."""
        pending = self._pending if with_moving else self._pending & ~self._moving
        found = []
        for level in reversed(range(len(self.greys))):
            here = self._best == level
            mask = (pending & here).astype(np.uint8)
            if not mask.any():
                continue
            dense = (self._density >= _DENSE) & here
            # Words of a line, and lines of a block, come together.
            reach = 2**level
            joined = cv2.dilate(mask, np.ones((2 * reach + 1, 4 * reach + 1), np.uint8))
            _, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
            boxes = [_whole_lines(dense, int(x), int(y), int(x + w), int(y + h), level) for x, y, w, h, _ in stats[1:]]
            tiles = [tile for box in self._united(boxes, level) for tile in self._split(box, level, mask)]
            found += sorted(tiles, key=lambda tile: (not tile.is_fresh, -tile.density))
        return found[:_TILES_MAX]

    def widened(self, tile: Tile) -> Tile:
        """The same tile with more on all sides, where a line of it goes on."""
        top, left, bottom, right = tile.cells
        rows, columns = self._pending.shape
        across, down = (side * 2**tile.level // _CELL_PX for side in _TILE_MIN_PX)
        left, right = max(0, left - across), min(columns, right + across)
        top, bottom = max(0, top - down), min(rows, bottom + down)
        return self._tile((left, top, right, bottom), tile.level, self._pending.astype(np.uint8))

    def picture(self, tile: Tile) -> np.ndarray:
        """What is to be searched, uint8 (rows, columns, 3), at the scale of its level."""
        left, top, right, bottom = tile.box
        rows, columns = self.greys[tile.level].shape
        height, width = self._bgr.shape[:2]
        part = self._bgr[
            round(top * height / rows) : round(bottom * height / rows),
            round(left * width / columns) : round(right * width / columns),
        ]
        size = (right - left, bottom - top)
        if part.shape[1::-1] == size:
            return part
        return cv2.resize(part, size, interpolation=cv2.INTER_AREA if part.shape[1] > size[0] else cv2.INTER_CUBIC)

    def searched(self, tile: Tile, in_vain: bool) -> None:
        """``tile`` was looked at, and held legible writing or not."""
        assert self._searched is not None
        assert self._vain is not None
        top, left, bottom, right = tile.cells
        self._vain[top:bottom, left:right] = in_vain
        self._pending[top:bottom, left:right] = False
        per_cell = _CELL_PX * self._change_grey.shape[1] / self.greys[0].shape[1]
        rows = slice(int(top * per_cell), int(np.ceil(bottom * per_cell)))
        columns = slice(int(left * per_cell), int(np.ceil(right * per_cell)))
        self._searched[rows, columns] = self._change_grey[rows, columns]

    def is_pending(self, box: tuple[float, float, float, float]) -> bool:
        """Whether something in this part has changed since it was searched."""
        return bool(self._pending[self._cells_of(box)].any())

    def note_vain(self, box: tuple[float, float, float, float]) -> None:
        """What was found in this part is no legible writing."""
        assert self._vain is not None
        self._vain[self._cells_of(box)] = True

    def _cells_of(self, box: tuple[float, float, float, float]) -> tuple[slice, slice]:
        height, width = self.greys[0].shape
        left, top = int(box[0] * width / _CELL_PX), int(box[1] * height / _CELL_PX)
        right, bottom = (box[0] + box[2]) * width / _CELL_PX, (box[1] + box[3]) * height / _CELL_PX
        return slice(top, int(np.ceil(bottom))), slice(left, int(np.ceil(right)))

    def _united(self, boxes: list[tuple[int, int, int, int]], level: int) -> list[tuple[int, int, int, int]]:
        """Boxes in cells, each at least as large as a tile must be, those close together as one."""
        boxes = [self._grown(box, level) for box in boxes[: 4 * _TILES_MAX]]
        united: list[tuple[int, int, int, int]] = []
        for box in sorted(boxes, key=lambda b: (b[1], b[0])):
            for k, other in enumerate(united):
                both = (min(box[0], other[0]), min(box[1], other[1]), max(box[2], other[2]), max(box[3], other[3]))
                if _area(both) <= _JOINED_WASTE * (_area(box) + _area(other)) and self._fits(both, level):
                    united[k] = both
                    break
            else:
                united.append(box)
        return united

    def _grown(self, box: tuple[int, int, int, int], level: int) -> tuple[int, int, int, int]:
        rows, columns = self._pending.shape
        per_cell = _CELL_PX / 2**level
        width = max(box[2] - box[0], -(-_TILE_MIN_PX[0] // per_cell))
        height = max(box[3] - box[1], -(-_TILE_MIN_PX[1] // per_cell), -(-width // _ASPECT_MAX))
        left, right = _widened(box[0], box[2], int(width), columns)
        top, bottom = _widened(box[1], box[3], int(height), rows)
        return left, top, right, bottom

    def _fits(self, box: tuple[int, int, int, int], level: int) -> bool:
        return bool(_area(box) * (_CELL_PX / 2**level) ** 2 <= _TILE_MAX_PIXELS)

    def _split(self, box: tuple[int, int, int, int], level: int, mask: np.ndarray) -> list[Tile]:
        """A box as tiles no larger than allowed, cut between lines if it can be, overlapping by a line."""
        left, top, right, bottom = box
        if self._fits(box, level):
            return [self._tile(box, level, mask)]
        overlap = int(np.ceil(_OVERLAP_PX * 2**level / _CELL_PX))
        rows = mask[top:bottom, left:right].sum(axis=1)
        third = max(1, len(rows) // 3)
        cut = top + third + int(np.argmin(rows[third : max(third + 1, 2 * third)]))
        halves = [(left, top, right, min(bottom, cut + overlap)), (left, max(top, cut - overlap), right, bottom)]
        if box in halves:
            return [self._tile(box, level, mask)]
        return [tile for half in halves for tile in self._split(half, level, mask)]

    def _tile(self, box: tuple[int, int, int, int], level: int, mask: np.ndarray) -> Tile:
        left, top, right, bottom = box
        per_cell = _CELL_PX / 2**level
        height, width = self.greys[level].shape
        pixels = (
            int(left * per_cell),
            int(top * per_cell),
            min(width, int(np.ceil(right * per_cell))),
            min(height, int(np.ceil(bottom * per_cell))),
        )
        part = mask[top:bottom, left:right] > 0
        assert self._vain is not None
        fresh = part & ~self._vain[top:bottom, left:right]
        density = float(self._density[top:bottom, left:right][part].mean()) if part.any() else 0.0
        return Tile(level, pixels, (top, left, bottom, right), density, bool(fresh.any()))


def _resized(picture: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1.0:
        return picture
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    # Averaging at a ratio that is not whole takes six times as long, and softens little that half a pixel does not.
    way = cv2.INTER_AREA if scale <= 0.5 else cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(picture, size, interpolation=way)


def _stroke_density(grey: np.ndarray, grid: tuple[int, int], both: bool) -> np.ndarray:
    """float32 (rows, columns) of the grid: share of pixels at which a stroke begins or ends, along a line and, with
    ``both``, down a column for writing that runs there."""
    density = np.zeros((grid[1], grid[0]), np.float32)
    for steps in [cv2.absdiff(grey[:, 1:], grey[:, :-1])] + [cv2.absdiff(grey[1:], grey[:-1])] * both:
        if not steps.size:
            continue
        strong, weak = _window_means(steps, _STRONG, grid), _window_means(steps, _WEAK, grid)
        rough = _window_means(steps, _CALM, grid)
        np.maximum(density, strong, out=density)
        np.maximum(density, np.where(rough <= 1 - _CALM_SHARE, weak, 0), out=density)
    return density


def _window_means(steps: np.ndarray, least: int, grid: tuple[int, int]) -> np.ndarray:
    """Share of the steps above ``least`` in a window of 16x16 pixels around each cell of the grid."""
    means = _block_means(cv2.threshold(steps, least, 255, cv2.THRESH_BINARY)[1], _CELL_PX)
    return cv2.resize(means, grid, interpolation=cv2.INTER_LINEAR) / 255


def _block_means(picture: np.ndarray, side_px: int) -> np.ndarray:
    """float32 of one mean for each block; what does not fill a block is filled up, as an exact ratio is six times as
    fast."""
    rows, columns = picture.shape
    whole = cv2.copyMakeBorder(picture, 0, -rows % side_px, 0, -columns % side_px, cv2.BORDER_REPLICATE)
    size = (whole.shape[1] // side_px, whole.shape[0] // side_px)
    return cv2.resize(whole, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def _area(box: tuple[int, int, int, int]) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _widened(begin: int, end: int, length: int, limit: int) -> tuple[int, int]:
    """``length`` cells around begin..end, as far as there are so many."""
    begin = max(0, min(begin - (length - (end - begin)) // 2, limit - length))
    return begin, max(end, min(limit, begin + length))


def _whole_lines(
    dense: np.ndarray, left: int, top: int, right: int, bottom: int, level: int
) -> tuple[int, int, int, int]:
    """The box, widened over whatever stands in the same rows without a gap."""
    filled = np.asarray(dense[top:bottom].any(axis=0))
    gap = max(1, _WORD_GAP_PX * 2**level // _CELL_PX)
    while left > 0 and filled[max(0, left - gap) : left].any():
        left = max(0, left - gap)
    while right < len(filled) and filled[right : right + gap].any():
        right = min(len(filled), right + gap)
    return left, top, right, bottom
