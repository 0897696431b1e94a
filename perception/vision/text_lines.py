"""Lines of writing: how each looked when it was read, by which it is known again without reading, and how they belong
together."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Literal, NamedTuple

import cv2
import numpy as np
from rapidfuzz.distance import Indel

from perception.vision.ocr import Reading

Box = tuple[float, float, float, float]

_LETTERS_PX = 24  # a line is compared at the level of the pyramid where it is this high, or up to twice
_SAME_PIXELS = 0.85  # correlation under which a known line is read again
# And the mean change of some letter above which it is, of the range of its grey levels: that between a 3 and an 8 of
# 14 px, the least of two digits, is .075. Where nothing else tells of a change, coding alone makes .2 of it.
_SAME_LETTERS, _SAME_AT_REST, _SAME_LEVELS = 0.07, 0.25, 6.0
_STILL_THERE = 0.6  # correlation down to which it counts as seen without reading
_FADED_IN = 1.2
SAME_PLACE = 0.5  # overlap of the boxes
_LETTER = 0.75  # of a line's height, by which two sights of it may differ in length
_CONTAINED = 0.5  # of a box in another
_SAME_TEXT = 0.75
_BETTER = 0.01  # gain in confidence that makes a differing reading of the same line news
# Other digits in a line read without doubt are news, but not those of a clock that shows seconds.
_COUNTS_S, _DOUBTLESS = 5.0, 0.95
_SURE = (1.0, 0.98, 0.95, 0.9, 0.85, 0.0)  # least confidence by number of letters and digits
# Characters that any line is taken for.
_STROKES = "一丨丶"
# Letters and digits are half as wide as a line is high. Of a script that the recogniser lacks it gives a few of them.
_LETTER_WIDTH, _LETTERS_LEAST = 0.5, 0.3
# Readings remembered by how they look, and how alike two must be at a size of 48x8 to be compared closely.
_REMEMBERED = 400
_SIGNATURE_PX, _SIGNATURE_ALIKE = (48, 8), 0.5
_SHIFT_PX = 4
_SIZE_DIFFERS_PX = 6


class Look(NamedTuple):
    """Grey pixels of a part of the picture at a level of its pyramid."""

    level: int
    pixels: np.ndarray


class Line:
    """A line on screen: what it says ("" where that could not be read), where it is, how it looks, what told of it."""

    __slots__ = ("box", "corners", "doubts", "id", "look", "read_s", "reading", "seen_s")

    def __init__(self, reading: Reading, corners: np.ndarray, box: Box, look: Look, seen_s: float) -> None:
        self.reading, self.corners, self.box, self.look, self.seen_s = reading, corners, box, look, seen_s
        self.read_s = seen_s  # when it was first read as what it is
        self.doubts = 0  # how often it was read anew because it looked different
        self.id = ""

    @property
    def text(self) -> str:
        return self.reading.text

    @property
    def confidence(self) -> float:
        return self.reading.confidence

    def seen_in(self, greys: Sequence[np.ndarray]) -> Sight:
        """What of it is to be seen where it was."""
        return compare_looks(self.look, crop(greys, self.box, self.look.level))


class Sight(NamedTuple):
    """How a part of the picture looks compared with before.

    is_there   a line in it may be counted as seen without reading it.
    unchanged  it looks the same, but for what coding does.
    same       it looks the same in each of its letters.
    gained     it stands out clearly more: it was fading in.
    """

    is_there: bool = False
    unchanged: bool = False
    same: bool = False
    gained: bool = False


def compare_looks(then: Look, now: Look) -> Sight:
    if now.pixels.shape != then.pixels.shape:
        return Sight()
    alike = float(cv2.matchTemplate(now.pixels, then.pixels, cv2.TM_CCOEFF_NORMED)[0, 0])
    contrast, before = (float(cv2.meanStdDev(look.pixels)[1][0, 0]) for look in (now, then))
    gained = alike > 0.7 and contrast > _FADED_IN * before
    change = _letter_change(then.pixels, now.pixels) if alike >= _SAME_PIXELS and not gained else 1.0
    return Sight(alike >= _STILL_THERE, change <= _SAME_AT_REST, change <= _SAME_LETTERS, gained)


class RecentReadings:
    """What was read of how a line looked, so that one that has moved, or comes back, need not be read again."""

    def __init__(self) -> None:
        self._kept: list[tuple[Look, Reading]] = []
        self._signatures = np.zeros((_REMEMBERED, _SIGNATURE_PX[0] * _SIGNATURE_PX[1]), np.float32)
        self._next = 0

    def add(self, look: Look, reading: Reading) -> None:
        if min(look.pixels.shape) <= 2 * _SHIFT_PX:
            return
        self._signatures[self._next] = _signature(look.pixels)
        self._kept[self._next : self._next + 1] = [(look, reading)]
        self._next = (self._next + 1) % _REMEMBERED

    def find(self, greys: Sequence[np.ndarray], box: Box, look: Look) -> Reading | None:
        """The reading of what looked like this, None where nothing did."""
        alike = self._signatures[: len(self._kept)] @ _signature(look.pixels)
        for k in np.argsort(-alike)[:3]:
            known, reading = self._kept[int(k)]
            sizes = zip(known.pixels.shape, look.pixels.shape, strict=True)
            if alike[k] < _SIGNATURE_ALIKE or known.level != look.level:
                continue
            if any(abs(one - other) > _SIZE_DIFFERS_PX for one, other in sizes):
                continue
            if _is_in(known.pixels, crop(greys, box, look.level, margin_px=_SHIFT_PX).pixels):
                return reading
        return None


def crop(greys: Sequence[np.ndarray], box: Box, level: int | None = None, margin_px: int = 0) -> Look:
    """How a part of the picture looks, at the level at which a line is compared, or the one given."""
    if level is None:
        letters_px = max(1.0, min(box[3] * greys[0].shape[0], box[2] * greys[0].shape[1]))
        level = int(np.clip(np.log2(letters_px / _LETTERS_PX), 0, len(greys) - 1))
    level = min(level, len(greys) - 1)
    rows, columns = greys[level].shape
    left, top = int(box[0] * columns) - margin_px, int(box[1] * rows) - margin_px
    right, bottom = (
        int(np.ceil((box[0] + box[2]) * columns)) + margin_px,
        int(np.ceil((box[1] + box[3]) * rows)) + margin_px,
    )
    left, top = max(0, left), max(0, top)
    return Look(level, greys[level][top : max(top + 1, bottom), left : max(left + 1, right)])


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (one[2] * one[3] + other[2] * other[3] - width * height)


def compare(known: Line, new: Line) -> Literal["same", "piece", "better", "other"]:
    """What a line just read is to a known one: the same, a piece of it, better than it, or another."""
    if not new.text:
        return "same" if overlap(known.box, new.box) >= SAME_PLACE else "other"
    if not known.text:  # it can be read now
        return "better" if overlap(known.box, new.box) >= SAME_PLACE else "other"
    one, other = _plain(known.text), _plain(new.text)
    if other in one and one != other and _share_in(new.box, known.box) >= _CONTAINED:
        return "piece"
    if one in other and one != other and _share_in(known.box, new.box) >= _CONTAINED:
        return "better"
    same_place = overlap(known.box, new.box) > 0.2
    if not same_place and one != other and known.seen_s == new.seen_s:
        return "other"  # both are there: rows of a table are much alike
    if not _same_text(one, other, same_place):
        return "other"
    sure = min(known.confidence, new.confidence) >= _DOUBTLESS and new.seen_s - known.read_s >= _COUNTS_S
    if sure and [c for c in one if c.isdigit()] != [c for c in other if c.isdigit()]:  # a price, a time of day
        return "better"
    # It was fading in, or half covered.
    return "better" if new.confidence > known.confidence + _BETTER and one != other else "same"


def same_extent(one: Box, other: Box, size: tuple[int, int]) -> bool:
    """Whether two boxes in a picture of this size (rows, columns) hold one line, none with letters more at an end."""
    axis = 0 if one[2] * size[1] >= one[3] * size[0] else 1
    letter = min(one[3 - axis], other[3 - axis]) * size[axis] / size[1 - axis]
    ends = abs(one[axis] - other[axis]), abs(one[axis] + one[2 + axis] - other[axis] - other[2 + axis])
    return overlap(one, other) >= SAME_PLACE and max(ends) < _LETTER * letter


def _share_in(one: Box, other: Box) -> float:
    """How much of the first box lies in the second, 0..1."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height) / max(1e-9, one[2] * one[3])


def is_legible(text: str, confidence: float, aspect: float, least: float) -> bool:
    """Whether a reading is sure enough to be told. ``aspect``: length of the line by its height."""
    letters = [c for c in text if c.isalnum() and c not in _STROKES]
    if not letters or confidence < least:
        return False
    wide = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in letters)
    if len(letters) > 1 and wide < _LETTERS_LEAST * aspect / _LETTER_WIDTH:
        return False
    # A few characters are as often a window frame or a leaf: the fewer, the surer they must be.
    return confidence >= max(least, _SURE[min(len(letters), len(_SURE) - 1)])


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def _same_text(one: str, other: str, same_place: bool) -> bool:
    """Whether two readings are one text; readings of one place may differ more, longer ones elsewhere hardly."""
    if one == other:
        return same_place or len(one) >= 4
    if not same_place and min(len(one), len(other)) < 6:
        return False
    return Indel.normalized_similarity(one, other) >= (_SAME_TEXT if same_place else 0.9)


def reading_order(line: Line) -> tuple[float, float]:
    """Sorts lines as they are read, whichever way they are turned."""
    x, y, width, height = line.box
    match line.reading.turned_deg:
        case 90:  # running down: the first line is at the right
            return -x - width, y
        case 180:
            return -y - height, -x - width
        case 270:
            return x, -y - height
        case _:
            return y, x


def blocks(lines: Sequence[Line]) -> list[list[Line]]:
    """Lines joined that stand close below or beside each other in like size, blocks and lines in reading order."""
    found: list[list[Line]] = []
    for line in sorted(lines, key=reading_order):
        home = next((block for block in found if any(_belong(other, line) for other in block)), None)
        if home is None:
            found.append([line])
        else:
            home.append(line)
    return found


def _belong(one: Line, other: Line) -> bool:
    if one.reading.turned_deg != other.reading.turned_deg:
        return False
    across, down = (1, 0) if one.reading.turned_deg in (90, 270) else (0, 1)
    size, other_size = one.box[2 + down], other.box[2 + down]
    if max(size, other_size) > 1.9 * min(size, other_size):
        return False
    tall = max(size, other_size)
    gap_down, gap_across = _gap(one.box, other.box, down), _gap(one.box, other.box, across)
    return (gap_down < 1.0 * tall and gap_across < 0) or (gap_down < -0.5 * tall and gap_across < 0.03)


def _gap(one: Box, other: Box, axis: int) -> float:
    """Room between two boxes along an axis; below 0 where they overlap in it."""
    return max(one[axis], other[axis]) - min(one[axis] + one[2 + axis], other[axis] + other[2 + axis])


def _letter_change(then: np.ndarray, now: np.ndarray) -> float:
    """The greatest change of a letter of a line, of one size and in one place, as a share of its range of grey."""
    side = max(3, min(then.shape) // 2)
    change = float(cv2.blur(cv2.absdiff(then, now), (side, side)).max())
    return change / max(1.0, float(np.ptp(then))) if change > _SAME_LEVELS else 0.0


def _signature(pixels: np.ndarray) -> np.ndarray:
    small = cv2.resize(pixels, _SIGNATURE_PX, interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    return np.asarray(small / max(1e-6, float(np.linalg.norm(small))))


def _is_in(known: np.ndarray, pixels: np.ndarray) -> bool:
    """Whether what is known is to be seen in these pixels, moved by a few of them."""
    inner = known[2:-2, 2:-2]
    if any(one > other for one, other in zip(inner.shape, pixels.shape, strict=True)):
        return False
    _, best, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(pixels, inner, cv2.TM_CCOEFF_NORMED))
    there = pixels[y : y + inner.shape[0], x : x + inner.shape[1]]
    return best >= _SAME_PIXELS and _letter_change(inner, there) <= _SAME_LETTERS
