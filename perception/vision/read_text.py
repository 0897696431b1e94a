"""Words on screen, each block told once when it is first seen, and which of them every frame still shows.

Finding and reading text is the dearest thing vision does, so it is done where text may have changed only: blocks of
the picture with the dense strokes of text that differ from what was last read. What it may cost is a budget of
media time (a bucket that fills as the video goes on), by a fixed tariff instead of a clock, so that a replay makes
the same decisions every time.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np
from msgspec import Struct
from rapidfuzz.distance import Indel

from perception.vision.describe import place_of
from perception.vision.ocr import TextEngine
from runtime.messages import Observation, TextFacts, WrittenLine, observation_id, round_time

Box = tuple[float, float, float, float]

_GREY_SIDE_PX = 640
_BLOCK_PX = 16
# Share of a block's neighbouring pixels that differ strongly across: print has 0.15 to 0.4, foliage less.
_STROKE_STEP = 40
_STROKE_DENSITY = 0.10
_BLOCK_CHANGED = 10.0  # grey levels, mean; noise of a coded picture stays below 5
_BLOCKS_MIN = 2
# The tariff, in ms of one core, measured on RapidTextEngine.
_FIND_MS_PER_PIXEL = 0.45e-3
_FIND_MS = 60.0  # what a search without result costs
_READ_MS_PER_HEIGHT = 9.0  # per line height of width: a line of 10:1 costs 90
# What may be spent each second of media: little while there is no text to be found, more while there is. A screen full
# of new text is read at once, and delays the next search by 2 s at most.
_BUDGET_MS_PER_S = 25.0
_BUDGET_TEXT_MS_PER_S = 100.0
_TEXTUAL_S = 12.0  # so long after new text more is expected
_SAVED_MAX_MS = 240.0
_SAVED_FOR_MOVING_MS = 150.0  # print-like blocks that move are foliage or people more often than signs
_DEBT_MAX_MS = 150.0
_SAME_PLACE = 0.5  # overlap of the boxes
_SAME_PIXELS = 0.85  # correlation under which a known line is read again
_STILL_THERE = 0.6  # correlation down to which it counts as seen without reading
_SAME_TEXT = 0.75
_BETTER = 0.02  # gain in confidence that makes a differing reading of the same line news
_SURE = (1.0, 0.95, 0.9, 0.8, 0.75, 0.0)  # least confidence by number of letters and digits
_FADED_IN = 1.2
_FORGET_S = 8.0  # text that comes back later than this is news
_LINES_MAX = 400


class TextOptions(Struct, frozen=True):
    source: str
    min_confidence: float = 0.6


class _Line:
    """A line on screen: its words, where it is, how it looks, and the observation that told of it."""

    __slots__ = ("box", "confidence", "id", "pixels", "seen_s", "text")

    def __init__(self, text: str, confidence: float, box: Box, pixels: np.ndarray, seen_s: float) -> None:
        self.text, self.confidence, self.box, self.pixels, self.seen_s = text, confidence, box, pixels, seen_s
        self.id = ""


class TextReader:
    """Stage: sampled pictures in, `text` observations out; `visible` lists those the last picture shows."""

    def __init__(self, options: TextOptions, engine: TextEngine) -> None:
        self._options = options
        self._engine = engine
        self._lines: list[_Line] = []
        self._last: np.ndarray | None = None
        self._last_t_s = 0.0
        self._saved_ms = _SAVED_MAX_MS
        self._told_t_s = -_TEXTUAL_S
        self._changed_at_rest = self._changed_moving = False
        self.searches = 0
        self.budget = 1.0  # factor of what may be spent each second of media

    @property
    def visible(self) -> tuple[str, ...]:
        """Ids of the observations whose text the last picture showed, in order of reading."""
        shown = [line for line in self._lines if line.seen_s == self._last_t_s]
        return tuple(dict.fromkeys(line.id for line in sorted(shown, key=_reading_order)))

    def step(
        self, t_s: float, bgr: np.ndarray, moving: np.ndarray | None = None, new_shot: bool = False
    ) -> list[Observation]:
        """Look at a picture, uint8 (height, width, 3).

        moving    bool (rows, columns) of any size: where the picture is changing just now.
        new_shot  a cut lies before it.
        """
        grey = _grey(bgr)
        textual = t_s - self._told_t_s <= _TEXTUAL_S
        rate = _BUDGET_TEXT_MS_PER_S if textual else _BUDGET_MS_PER_S
        self._saved_ms = min(_SAVED_MAX_MS, self._saved_ms + (t_s - self._last_t_s) * rate * self.budget)
        self._last_t_s = t_s
        self._note_changes(grey, moving, new_shot)
        at_rest = self._changed_at_rest and self._saved_ms >= (0.0 if textual or new_shot else _FIND_MS)
        if at_rest or (self._changed_moving and self._saved_ms >= _SAVED_FOR_MOVING_MS):
            self._changed_at_rest = self._changed_moving = False
            self._last = grey
            told = self._read(t_s, bgr, grey)
        else:
            told = []
            for line in self._lines:
                if _similarity(line.pixels, _crop(grey, line.box)) >= _STILL_THERE:
                    line.seen_s = t_s
        self._lines = [line for line in self._lines if t_s - line.seen_s <= _FORGET_S][-_LINES_MAX:]
        return told

    def _note_changes(self, grey: np.ndarray, moving: np.ndarray | None, new_shot: bool) -> None:
        """Whether blocks that look like print differ from the picture last read, and whether they are at rest now."""
        changed = _stroke_density(grey) >= _STROKE_DENSITY
        if self._last is not None and self._last.shape == grey.shape and not new_shot:
            changed &= _block_means(cv2.absdiff(grey, self._last)) > _BLOCK_CHANGED
        size = (changed.shape[1], changed.shape[0])
        in_motion = np.zeros(changed.shape, bool) if moving is None else (
            cv2.resize(moving.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.1
        )  # fmt: skip
        # What changed and is gone again needs no search: each picture decides anew for itself.
        faded_in = any(_gained_contrast(line.pixels, _crop(grey, line.box)) for line in self._lines)
        self._changed_at_rest = int((changed & ~in_motion).sum()) >= _BLOCKS_MIN or faded_in
        self._changed_moving = int(changed.sum()) >= _BLOCKS_MIN

    def _read(self, t_s: float, bgr: np.ndarray, grey: np.ndarray) -> list[Observation]:
        self.searches += 1
        height, width = bgr.shape[:2]
        quads, pixels = self._engine.detect(bgr)
        self._saved_ms -= _FIND_MS_PER_PIXEL * pixels
        boxes = [_box(quad, width, height) for quad in quads]
        unread: list[int] = []
        for k, box in enumerate(boxes):
            known = self._known_by_pixels(box, grey)
            if known is None:
                unread.append(k)
            else:
                known.seen_s = t_s
        read = self._engine.recognise(bgr, [quads[k] for k in unread])
        self._saved_ms -= sum(_READ_MS_PER_HEIGHT * _heights_wide(quads[k]) for k in unread)
        self._saved_ms = max(-_DEBT_MAX_MS, self._saved_ms)
        new = []
        for k, (text, confidence) in zip(unread, read, strict=True):
            text = " ".join(text.split())
            if not _is_legible(text, confidence, self._options.min_confidence):
                continue
            line = _Line(text, confidence, boxes[k], _crop(grey, boxes[k]), t_s)
            if not self._merge(line):
                new.append(line)
        return self._tell(t_s, new)

    def _known_by_pixels(self, box: Box, grey: np.ndarray) -> _Line | None:
        for line in self._lines:
            if _overlap(line.box, box) < _SAME_PLACE:
                continue
            pixels = _crop(grey, line.box)
            if _similarity(line.pixels, pixels) >= _SAME_PIXELS and not _gained_contrast(line.pixels, pixels):
                return line
        return None

    def _merge(self, line: _Line) -> bool:
        """Take ``line`` as another sight of a known one, whose place and look it brings up to date."""
        for known in self._lines:
            if _same_text(known.text, line.text, _overlap(known.box, line.box) > 0.2):
                if line.confidence > known.confidence + _BETTER and _plain(line.text) != _plain(known.text):
                    self._lines.remove(known)  # it was fading in or half covered: tell the better reading
                    return False
                known.box, known.pixels, known.seen_s = line.box, line.pixels, line.seen_s
                return True
        return False

    def _tell(self, t_s: float, new: list[_Line]) -> list[Observation]:
        told = []
        for k, block in enumerate(_blocks(new)):
            left, top = min(line.box[0] for line in block), min(line.box[1] for line in block)
            right = max(line.box[0] + line.box[2] for line in block)
            bottom = max(line.box[1] + line.box[3] for line in block)
            observation = Observation(
                id=observation_id(self._options.source, "text", t_s, k),
                source=self._options.source,
                channel="text",
                t0_s=round_time(t_s),
                t1_s=round_time(t_s),
                text=" / ".join(line.text for line in block),
                data=TextFacts(
                    lines=tuple(WrittenLine(line.text, round(line.confidence, 3), line.box) for line in block),
                    region=place_of((left + right) / 2, (top + bottom) / 2),
                ),
            )
            for line in block:
                line.id = observation.id
            told.append(observation)
        self._lines.extend(new)
        if told:
            self._told_t_s = t_s
        return told


def _grey(bgr: np.ndarray) -> np.ndarray:
    height, width = bgr.shape[:2]
    scale = min(1.0, _GREY_SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.cvtColor(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)


def _stroke_density(grey: np.ndarray) -> np.ndarray:
    """Share of strong steps between horizontal neighbours, per block."""
    steps = cv2.absdiff(grey[:, 1:], grey[:, :-1]) if grey.shape[1] > 1 else np.zeros_like(grey)
    strong = (steps > _STROKE_STEP).astype(np.uint8)
    return _block_means(cv2.copyMakeBorder(strong, 0, 0, 0, 1, cv2.BORDER_REPLICATE) if grey.shape[1] > 1 else strong)


def _block_means(picture: np.ndarray) -> np.ndarray:
    rows, columns = picture.shape
    size = (max(1, -(-columns // _BLOCK_PX)), max(1, -(-rows // _BLOCK_PX)))
    return cv2.resize(picture.astype(np.float32), size, interpolation=cv2.INTER_AREA)


def _box(quad: np.ndarray, width: int, height: int) -> Box:
    """[x, y, width, height] in 0..1 of the upright rectangle around ``quad``."""
    (left, top), (right, bottom) = quad.min(axis=0), quad.max(axis=0)
    left, right = np.clip((left, right), 0, width)
    top, bottom = np.clip((top, bottom), 0, height)
    return (
        round(float(left) / width, 4),
        round(float(top) / height, 4),
        round(float(right - left) / width, 4),
        round(float(bottom - top) / height, 4),
    )


def _heights_wide(quad: np.ndarray) -> float:
    width, height = float(np.linalg.norm(quad[1] - quad[0])), float(np.linalg.norm(quad[3] - quad[0]))
    return max(width, height) / max(1.0, min(width, height))


def _crop(grey: np.ndarray, box: Box) -> np.ndarray:
    rows, columns = grey.shape
    left, top = int(box[0] * columns), int(box[1] * rows)
    right, bottom = int(np.ceil((box[0] + box[2]) * columns)), int(np.ceil((box[1] + box[3]) * rows))
    return grey[top : max(top + 1, bottom), left : max(left + 1, right)]


def _similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation -1..1 of two grey pictures of one size; 0 where sizes differ or one is flat."""
    if one.shape != other.shape:
        return 0.0
    a, b = one.astype(np.float32) - float(one.mean()), other.astype(np.float32) - float(other.mean())
    power = float((a * a).sum()) * float((b * b).sum())
    return float((a * b).sum()) / power**0.5 if power > 1.0 else 0.0


def _gained_contrast(then: np.ndarray, now: np.ndarray) -> bool:
    """Whether the same line stands out clearly more than when it was read: it was fading in."""
    return then.shape == now.shape and float(now.std()) > _FADED_IN * float(then.std()) and _similarity(then, now) > 0.7


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (one[2] * one[3] + other[2] * other[3] - width * height)


def _is_legible(text: str, confidence: float, least: float) -> bool:
    letters = [c for c in text if c.isalnum()]
    if not letters or confidence < least:
        return False
    # A few characters are as often a window frame or a leaf: the fewer, the surer they must be.
    return confidence >= max(least, _SURE[min(len(letters), len(_SURE) - 1)])


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def _same_text(known: str, new: str, same_place: bool) -> bool:
    """Whether two readings are one text; readings of one place may differ more, longer ones elsewhere hardly."""
    one, other = _plain(known), _plain(new)
    if one == other:
        return same_place or len(one) >= 4
    if not same_place and min(len(one), len(other)) < 6:
        return False
    return Indel.normalized_similarity(one, other) >= (_SAME_TEXT if same_place else 0.9)


def _reading_order(line: _Line) -> tuple[float, float]:
    return (line.box[1], line.box[0])


def _blocks(lines: Sequence[_Line]) -> list[list[_Line]]:
    """Lines joined that stand close below or beside each other in like size, blocks and lines in reading order."""
    blocks: list[list[_Line]] = []
    for line in sorted(lines, key=_reading_order):
        home = next((block for block in blocks if any(_belong(other, line) for other in block)), None)
        if home is None:
            blocks.append([line])
        else:
            home.append(line)
    return blocks


def _belong(one: _Line, other: _Line) -> bool:
    x, y, width, height = one.box
    other_x, other_y, other_width, other_height = other.box
    if max(height, other_height) > 1.9 * min(height, other_height):
        return False
    tall = max(height, other_height)
    gap_down = max(y, other_y) - min(y + height, other_y + other_height)
    gap_across = max(x, other_x) - min(x + width, other_x + other_width)
    return (gap_down < 1.0 * tall and gap_across < 0) or (gap_down < -0.5 * tall and gap_across < 0.03)
