"""Words on screen, each block told once when it is first seen, and which of them every frame still shows.

Finding and reading text is the dearest thing vision does, so it is done where text may have changed only
(`text_regions`), and a line is read once however it moves (`text_lines`). What it may cost is a budget of media time
(a bucket that fills as the video goes on), by a fixed tariff instead of a clock, so that a replay makes the same
decisions every time.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from msgspec import Struct

from perception.vision.layout import place_of
from perception.vision.ocr import Reading, TextEngine
from perception.vision.text_lines import (
    SAME_PLACE,
    Box,
    Line,
    Look,
    RecentReadings,
    blocks,
    compare,
    compare_looks,
    crop,
    is_legible,
    overlap,
    reading_order,
    same_extent,
)
from perception.vision.text_regions import TextRegions, Tile
from runtime.messages import Observation, TextFacts, WrittenLine, observation_id, round_time

# The tariff, in ms of one core, measured on RapidTextEngine.
_FIND_MS_PER_PIXEL = 0.3e-3
_READ_MS, _READ_MS_PER_HEIGHT = 13.0, 2.1  # a line costs the more of both: 13 up to 6:1, 42 at 20:1
# What may be spent each second of media: little while no text is expected, more while it is, and the more of what is
# searched holds some: the whole where half of the latest tiles did.
_BUDGET_MS_PER_S = 25.0
_BUDGET_TEXT_MS_PER_S = 200.0
_TEXTUAL_S = 12.0  # so long after new text more is expected
_YIELD_ENOUGH, _YIELD_FOLLOWS = 0.5, 0.2
_SAVED_MAX_MS = 300.0
_SAVED_LEAST_MS = 60.0  # to begin a search where no text is expected
# And besides for print-like parts that move or held nothing before, which are foliage more often than signs.
_DOUBT_MS_PER_S, _DOUBT_TEXT_MS_PER_S = 25.0, 75.0
_DOUBT_MAX_MS = 150.0
# A screen full of new text is read at once: ten seconds later it is paid for.
_DEBT_MAX_MS, _DEBT_TEXT_MAX_MS = 150.0, 2000.0
# Where fewer lines are known, and so many tiles of a picture held none, the rest may be foliage: what fades in is still
# to be read.
_SCREENFUL, _IN_VAIN_MAX = 5, 2
_DOUBTS_MAX = 2  # so often a line is read anew because it looks different
_EDGE_PX = 2
# A line up to so high, in pixels of the picture, has letters of 9 px at most, and single ones are misread below this
# confidence; what looks like a few words, and is less sure, is writing too small to be read.
_SMALL_PX, _SMALL_SURE = 14.0, 0.93
_SMALL_ASPECT, _SMALL_LETTERS, _SMALL_LEAST = 4.0, 6, 0.4
# Letters of 4 px are not even found: where strokes are this dense and nothing is found, it is sought at twice the size,
# once in so many seconds.
_ENLARGED, _ENLARGED_DENSITY, _ENLARGED_EVERY_S = 2.0, 0.15, 10.0
_FORGET_S = 8.0  # text that comes back later than this is news
_LINES_MAX = 400


class TextOptions(Struct, frozen=True):
    source: str
    min_confidence: float = 0.8


class _Found(NamedTuple):
    """A line that is still to be read: its corners in pixels of the picture, where it is, how it looked."""

    corners: np.ndarray
    box: Box
    look: Look


class TextReader:
    """Stage: sampled pictures in, `text` observations out; `visible` lists those the last picture shows."""

    def __init__(self, options: TextOptions, engine: TextEngine) -> None:
        self._options = options
        self._engine = engine
        self._regions = TextRegions()
        self._readings = RecentReadings()
        self._lines: list[Line] = []
        self._found: list[_Found] = []
        self._last_t_s = 0.0
        self._saved_ms, self._doubt_ms = _SAVED_MAX_MS, _DOUBT_MAX_MS
        self._told_t_s = -_TEXTUAL_S
        self._enlarged_t_s = -_ENLARGED_EVERY_S
        self._yield = 1.0  # share of the latest tiles that held legible writing
        self.searches = 0
        self.budget = 1.0  # factor of what may be spent each second of media

    @property
    def visible(self) -> tuple[str, ...]:
        """Ids of the observations whose text the last picture showed, in order of reading."""
        shown = [line for line in self._lines if line.seen_s == self._last_t_s and line.id]
        return tuple(dict.fromkeys(line.id for line in sorted(shown, key=reading_order)))

    @property
    def shown(self) -> tuple[tuple[str, Box], ...]:
        """The lines that the last picture showed, and where."""
        return tuple((line.text, line.box) for line in self._lines if line.seen_s == self._last_t_s and line.text)

    @property
    def unread(self) -> tuple[Box, ...]:
        """Where the last picture showed writing that is too small to be read."""
        shown = [line for line in self._lines if line.seen_s == self._last_t_s and not line.text]
        return tuple(line.box for line in sorted(shown, key=reading_order))

    def step(
        self, t_s: float, bgr: np.ndarray, moving: np.ndarray | None = None, new_shot: bool = False
    ) -> list[Observation]:
        """Look at a picture, uint8 (height, width, 3).

        moving    bool (rows, columns) of any size: where the picture is changing just now.
        new_shot  a cut lies before it.
        """
        self._regions.look(bgr, moving)
        textual = t_s - self._told_t_s <= _TEXTUAL_S
        passed = (t_s - self._last_t_s) * self.budget
        rate = self._between(_BUDGET_MS_PER_S, _BUDGET_TEXT_MS_PER_S, textual)
        doubt_rate = self._between(_DOUBT_MS_PER_S, _DOUBT_TEXT_MS_PER_S, textual)
        self._saved_ms = min(_SAVED_MAX_MS, self._saved_ms + passed * rate)
        self._doubt_ms = min(_DOUBT_MAX_MS, self._doubt_ms + passed * doubt_rate)
        self._last_t_s = t_s
        for line in self._lines:
            sight = line.seen_in(self._regions.greys)
            if sight.is_there:
                line.seen_s = t_s
            if sight.gained:
                self._regions.ask_for(line.box)
            elif sight.is_there and not sight.unchanged and line.doubts < _DOUBTS_MAX:
                line.doubts += 1
                now = crop(self._regions.greys, line.box, line.look.level)
                self._found.append(_Found(line.corners, line.box, now))
        new: list[Line] = []
        self._read_found(t_s, bgr, textual, new)
        if textual or new_shot or self._saved_ms >= _SAVED_LEAST_MS:
            self._search(t_s, bgr, textual, new)
        told = self._tell(t_s, [line for line in new if line.text])
        self._lines = [line for line in self._lines if t_s - line.seen_s <= _FORGET_S][-_LINES_MAX:]
        return told

    def _between(self, least: float, most: float, textual: bool) -> float:
        """``least`` where no text is expected, else the more of ``most`` the more of what is searched holds some."""
        return least + (most - least) * min(1.0, self._yield / _YIELD_ENOUGH) * textual

    def _least_ms(self, textual: bool, new: list[Line]) -> float:
        return -self._between(_DEBT_MAX_MS, _DEBT_TEXT_MAX_MS, textual or bool(new))

    def _search(self, t_s: float, bgr: np.ndarray, textual: bool, new: list[Line]) -> None:
        """Look for lines where there may be new ones, as far as the budget goes, and add them to ``new``."""
        searched, in_vain = False, 0
        for with_moving in (False, True):
            for tile in self._regions.tiles(with_moving):
                doubtful = with_moving or not tile.is_fresh
                in_debt = in_vain < _IN_VAIN_MAX or len(self._lines) >= _SCREENFUL
                least_ms = self._least_ms(textual, new) if in_debt else -_DEBT_MAX_MS
                if self._saved_ms <= least_ms or (doubtful and self._doubt_ms <= 0):
                    continue
                searched = True
                before_ms = self._saved_ms
                legible = self._look_into(t_s, bgr, tile, new)
                legible |= self._read_found(t_s, bgr, textual, new)
                self._yield += _YIELD_FOLLOWS * (legible - self._yield)
                in_vain += not legible
                if doubtful:
                    self._doubt_ms -= before_ms - self._saved_ms
                    self._saved_ms = before_ms
        self.searches += searched

    def _look_into(self, t_s: float, bgr: np.ndarray, tile: Tile, new: list[Line]) -> bool:
        """Find the lines of a tile; those that are not known by how they look wait to be read. Whether one that was
        not there before is."""
        quads = self._find(tile)
        if any(
            self._is_cut(quad, tile, across=True) or (_is_tall(quad) and self._is_cut(quad, tile, False))
            for quad in quads
        ):
            tile = self._regions.widened(tile)
            quads = self._find(tile)
        if not quads and tile.is_fresh and tile.level == 0 and tile.density >= _ENLARGED_DENSITY:
            quads = self._find_tiny(t_s, tile)
        quads = [quad for quad in quads if not (self._is_cut(quad, tile, True) or self._is_cut(quad, tile, False))]
        greys = self._regions.greys
        height, width = bgr.shape[:2]
        any_new = False
        per_pixel = np.array([width, height], np.float32) / greys[tile.level].shape[::-1]
        found = [(quad + np.array(tile.box[:2], np.float32)) * per_pixel for quad in quads]
        boxes = [_box(corners, width, height) for corners in found]
        changed = [self._regions.is_pending(box) for box in boxes]
        self._regions.searched(tile, in_vain=not quads)
        for corners, box, is_changed in zip(found, boxes, changed, strict=True):
            sights = [(line, line.seen_in(greys)) for line in self._lines if overlap(line.box, box) >= SAME_PLACE]
            alike = [line for line, sight in sights if (sight.same if is_changed else sight.unchanged)]
            known = next((line for line in alike if same_extent(line.box, box, greys[0].shape)), None)
            if known is not None:
                known.seen_s = t_s
                continue
            look = crop(greys, box)
            # What was read here looked a little different: it was fading in, or a letter has changed.
            was_read = any(sight.is_there for _, sight in sights)
            reading = None if was_read else self._readings.find(greys, box, look)
            if reading is not None:
                any_new = True
                self._take(Line(reading, corners, box, look, t_s), new)
            else:
                self._found.append(_Found(corners, box, look))
        return any_new

    def _read_found(self, t_s: float, bgr: np.ndarray, textual: bool, new: list[Line]) -> bool:
        """Read what was found, large letters first, as far as the budget goes; the rest waits, if it stays. Whether
        any of it is legible."""
        legible = False
        self._found.sort(key=lambda found: (-found.look.level, found.box[1], found.box[0]))
        del self._found[_LINES_MAX:]
        while self._found and self._saved_ms > self._least_ms(textual, new):
            found = self._found.pop(0)
            if not compare_looks(found.look, crop(self._regions.greys, found.box, found.look.level)).unchanged:
                continue  # it has changed since, so that it is sought again
            aspect, high_px = _shape(found.corners)
            reading = self._engine.recognise(bgr, found.corners)
            self._saved_ms -= reading.attempts * max(_READ_MS, _READ_MS_PER_HEIGHT * aspect)
            reading = reading._replace(text=" ".join(reading.text.split()))
            least = max(self._options.min_confidence, _SMALL_SURE if high_px <= _SMALL_PX else 0.0)
            if is_legible(reading.text, reading.confidence, aspect, least):
                self._readings.add(found.look, reading)
            elif high_px <= _SMALL_PX and aspect >= _SMALL_ASPECT and _looks_like_words(reading):
                reading = reading._replace(text="")
            else:
                self._regions.note_vain(found.box)
                continue
            legible |= bool(reading.text)
            self._take(Line(reading, found.corners, found.box, found.look, t_s), new)
        return legible

    def _find(self, tile: Tile) -> list[np.ndarray]:
        self._saved_ms -= _FIND_MS_PER_PIXEL * tile.pixels
        return self._engine.detect(self._regions.picture(tile))

    def _find_tiny(self, t_s: float, tile: Tile) -> list[np.ndarray]:
        if t_s - self._enlarged_t_s < _ENLARGED_EVERY_S:
            return []
        self._enlarged_t_s = t_s
        self._saved_ms -= _FIND_MS_PER_PIXEL * tile.pixels * _ENLARGED**2
        picture = self._regions.picture(tile)
        size = (round(picture.shape[1] * _ENLARGED), round(picture.shape[0] * _ENLARGED))
        return [
            quad / _ENLARGED for quad in self._engine.detect(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC))
        ]

    def _is_cut(self, quad: np.ndarray, tile: Tile, across: bool) -> bool:
        """Whether a line runs over the sides of its tile, or over its top or bottom, where the next one overlaps it."""
        axis = 0 if across else 1
        limit = self._regions.greys[tile.level].shape[1 - axis]
        begin, end = tile.box[axis], tile.box[axis + 2]
        over_begin = begin > 0 and quad[:, axis].min() < _EDGE_PX
        return bool(over_begin or (end < limit and quad[:, axis].max() > end - begin - _EDGE_PX))

    def _take(self, line: Line, new: list[Line]) -> None:
        if not self._merge(line, new):
            new.append(line)
            self._lines.append(line)

    def _merge(self, line: Line, new: list[Line]) -> bool:
        """Take ``line`` as another sight of a known one, if it is, and bring that up to date; what it shows to be a
        piece of it, or a worse reading, is known no more."""
        for known in tuple(self._lines):
            match compare(known, line):
                case "same":
                    known.corners, known.box, known.look, known.seen_s = line.corners, line.box, line.look, line.seen_s
                    return True
                case "piece":
                    known.seen_s = line.seen_s
                    return True
                case "better":
                    self._lines.remove(known)
                    if known in new:
                        new.remove(known)
                case _:
                    pass
        return False

    def _tell(self, t_s: float, new: list[Line]) -> list[Observation]:
        told = []
        for k, block in enumerate(blocks(new)):
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
        if told:
            self._told_t_s = t_s
        return told


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


def _is_tall(quad: np.ndarray) -> bool:
    width, height = np.ptp(quad, axis=0)
    return bool(height > 1.5 * width)


def _looks_like_words(reading: Reading) -> bool:
    return reading.confidence >= _SMALL_LEAST and sum(c.isalnum() for c in reading.text) >= _SMALL_LETTERS


def _shape(quad: np.ndarray) -> tuple[float, float]:
    """How much longer than high a line is, and its height in pixels."""
    width, height = float(np.linalg.norm(quad[1] - quad[0])), float(np.linalg.norm(quad[3] - quad[0]))
    return max(width, height) / max(1.0, min(width, height)), min(width, height)
