"""Moving things seen by a camera that stands still: found against a learned background and followed.

The background is a running mean and variance per pixel (Wren et al., "Pfinder", 1997, section 3), updated fast
where nothing moves and slowly where something does. Only what differs from it *and* moved just now is a thing, so
that neither the hole a parked car leaves nor a thing put down is followed for ever. While the camera itself moves,
or after a cut, nothing is claimed.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from msgspec import Struct

Box = tuple[float, float, float, float]

_INTERVAL_S = 0.19  # five looks a second follow a cyclist; each costs 1 ms
_LEARN, _LEARN_UNDER = 0.06, 0.004  # share of the new picture taken into the background, elsewhere and under things
_LEVELS_MIN, _DEVIATIONS = 16.0, 3.5  # what differs from the background: grey levels, and multiples of its noise
_MOVED_LEVELS = 10.0
_WARM_UP_LOOKS = 3
_SHIFT_PX = 0.6  # of the small picture between two looks: more is the camera
_SHIFT_SURE = 0.15
_SHIFT_LOOKS = 2
_CELLS, _CELL_TEXTURE, _CELL_CHANGE = (8, 6), 3.0, 3.0
_CELLS_MOVED, _CELLS_MOVED_OF_ALL, _CELLS_MOVED_SURELY = 0.6, 0.45, 0.9
_FLOOD = 0.5  # more of the picture changed than this is light or a camera, not a thing
_AREA_MIN = 0.0005
_AREA_MAX = 0.6
_MOVING_SHARE = 0.08  # of a part of the foreground must have moved between the last looks
_EDGE = 0.02
_LOST_S = 1.2
_STANDING_S = 4.0  # a thing that stops is waited for so long
_CONFIRM_LOOKS = 4
_TRAVEL_MIN = 0.035  # of the picture's width: leaves in the wind do not get anywhere
_THINGS_MAX = 24


class MovingThing(Struct, frozen=True):
    """A thing as far as it has been followed. Boxes are [x, y, width, height] in 0..1 of the picture.

    aspect      height to width in pixels, median over its way.
    entered     border it came in over ("left", ...), "" if it appeared inside the picture.
    left_over   border it went out over, "" while visible or if it vanished inside.
    travel      (dx, dy) from its first to its last centre.
    reach       farthest it got from where it began, in widths of the picture.
    straight    0..1, that distance by the way it made: near 1 for who walks or drives, low for what fidgets.
    """

    track: int
    first_s: float
    last_s: float
    box: Box
    first_box: Box
    looks: int
    aspect: float
    entered: str
    left_over: str
    travel: tuple[float, float]
    reach: float
    straight: float
    gone: bool


class Place(NamedTuple):
    """The centre of what moves, and how fast it moves, in widths and heights of the picture."""

    x: float
    y: float
    velocity: tuple[float, float]


class _Track:
    __slots__ = (
        "aspects",
        "box",
        "first_box",
        "first_s",
        "last_s",
        "looks",
        "moved_s",
        "number",
        "path",
        "reach",
        "velocity",
    )

    def __init__(self, number: int, t_s: float, box: Box, aspect: float) -> None:
        self.number = number
        self.first_s = self.last_s = self.moved_s = t_s
        self.first_box = self.box = box
        self.aspects = [aspect]
        self.velocity = (0.0, 0.0)
        self.looks = 1
        self.reach = self.path = 0.0

    def follow(self, t_s: float, box: Box, aspect: float) -> None:
        x, y = centre(box)
        old_x, old_y = centre(self.box)
        dt_s = max(0.05, t_s - self.last_s)
        vx, vy = self.velocity
        self.velocity = (0.6 * vx + 0.4 * (x - old_x) / dt_s, 0.6 * vy + 0.4 * (y - old_y) / dt_s)
        self.path += ((x - old_x) ** 2 + (y - old_y) ** 2) ** 0.5
        self.box, self.last_s, self.moved_s = box, t_s, t_s
        self.looks += 1
        first_x, first_y = centre(self.first_box)
        self.reach = max(self.reach, ((x - first_x) ** 2 + (y - first_y) ** 2) ** 0.5)
        if len(self.aspects) < 200:
            self.aspects.append(aspect)

    def predicted(self, t_s: float) -> tuple[float, float]:
        x, y = centre(self.box)
        dt_s = min(1.0, t_s - self.last_s)
        return x + self.velocity[0] * dt_s, y + self.velocity[1] * dt_s

    @property
    def confirmed(self) -> bool:
        return self.looks >= _CONFIRM_LOOKS and self.reach >= _TRAVEL_MIN

    def thing(self, gone: bool) -> MovingThing:
        first, now = centre(self.first_box), centre(self.box)
        return MovingThing(
            track=self.number,
            first_s=self.first_s,
            last_s=self.last_s,
            box=self.box,
            first_box=self.first_box,
            looks=self.looks,
            aspect=float(np.median(self.aspects)),
            entered=border_of(self.first_box, (now[0] - first[0], now[1] - first[1])),
            left_over=border_of(self.box, (-self.velocity[0], -self.velocity[1])) if gone else "",
            travel=(round(now[0] - first[0], 4), round(now[1] - first[1], 4)),
            reach=round(self.reach, 4),
            straight=round(min(1.0, self.reach / self.path), 3) if self.path else 0.0,
            gone=gone,
        )


class MotionTracker:
    """Stage: `step` takes every picture's luma, `things` tells what is followed, `take_gone` what went since."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._gone: list[MovingThing] = []
        self._numbers = 0
        self._last_s: float | None = None
        self._mean: np.ndarray | None = None
        self._variance: np.ndarray | None = None
        self._previous: np.ndarray | None = None
        self._moved_before: np.ndarray | None = None
        self._looks = self._shifted = 0

    def step(self, t_s: float, luma: np.ndarray, new_shot: bool = False) -> bool:
        """Look at a picture's luma, uint8 (rows, columns); whether what moves was followed in it."""
        if new_shot:
            self._forget_background()
        if self._last_s is not None and t_s - self._last_s < _INTERVAL_S and not new_shot:
            return False
        self._last_s = t_s
        picture = luma.astype(np.float32)
        if self._mean is None or self._previous is None or self._mean.shape != picture.shape or min(luma.shape) < 24:
            self._forget_background()
            self._mean, self._variance, self._previous = picture, np.full_like(picture, 16.0), picture
            return False
        moved = cv2.absdiff(picture, self._previous) > _MOVED_LEVELS
        shifts = self._camera_shifts(picture)
        self._previous = picture
        if shifts:
            self._forget_background()
            self._mean, self._variance, self._previous = picture, np.full_like(picture, 16.0), picture
            return False
        foreground = self._foreground(picture)
        covered = float(foreground.mean())
        if covered > _FLOOD:
            self._forget_background()
            return False
        self._looks += 1
        recent = (moved if self._moved_before is None else moved | self._moved_before).astype(np.uint8)
        self._moved_before = moved
        if self._looks > _WARM_UP_LOOKS:
            blobs = _blobs(foreground.astype(np.uint8), recent) if covered else []
            self._follow(t_s, blobs, foreground)
        return self._looks > _WARM_UP_LOOKS

    def things(self) -> tuple[MovingThing, ...]:
        """What is being followed now and has got somewhere."""
        return tuple(track.thing(gone=False) for track in self._tracks if track.confirmed)

    def places(self, t_s: float) -> dict[int, Place]:
        """Track -> where what moved in the newest look should be at ``t_s``."""
        newest_s = self._last_s or 0.0
        seen = [track for track in self._tracks if track.confirmed and track.moved_s >= newest_s]
        return {track.number: Place(*track.predicted(t_s), track.velocity) for track in seen}

    def take_gone(self) -> tuple[MovingThing, ...]:
        """What was followed and is gone since the last call."""
        gone, self._gone = tuple(self._gone), []
        return gone

    def _forget_background(self) -> None:
        self._mean = self._variance = self._previous = self._moved_before = None
        self._looks = self._shifted = 0
        for track in self._tracks:
            if track.confirmed:
                self._gone.append(track.thing(gone=True))
        self._tracks = []

    def _camera_shifts(self, picture: np.ndarray) -> bool:
        """Whether the whole picture moved, twice in a row: most of what has texture changed, and by one shift."""
        assert self._previous is not None
        rows, columns = picture.shape
        texture = cv2.resize(cv2.absdiff(picture[:, 1:], picture[:, :-1]), _CELLS, interpolation=cv2.INTER_AREA)
        change = cv2.resize(cv2.absdiff(picture, self._previous), _CELLS, interpolation=cv2.INTER_AREA)
        changed, textured = change > _CELL_CHANGE, texture > _CELL_TEXTURE
        # A large car changes all that has texture on an empty road, but not most of the picture.
        shifted = (
            float(changed.mean()) > _CELLS_MOVED_OF_ALL
            and int(textured.sum()) >= 6
            and float(changed[textured].mean()) > _CELLS_MOVED
        )
        if shifted and float(changed.mean()) < _CELLS_MOVED_SURELY:
            window = cv2.createHanningWindow((columns, rows), cv2.CV_32F)
            (dx, dy), sure = cv2.phaseCorrelate(self._previous, picture, window)
            shifted = (dx * dx + dy * dy) ** 0.5 > _SHIFT_PX and sure > _SHIFT_SURE
        self._shifted = self._shifted + 1 if shifted else 0
        return self._shifted >= _SHIFT_LOOKS

    def _foreground(self, picture: np.ndarray) -> np.ndarray:
        """bool: where the picture is not the background, which learns from it."""
        assert self._mean is not None
        assert self._variance is not None
        difference = picture - self._mean
        squared = difference * difference
        foreground: np.ndarray = squared > np.maximum(_LEVELS_MIN**2, _DEVIATIONS**2 * self._variance)
        # The first looks learn fast: a mean of what was seen so far.
        learn = max(_LEARN, 1.0 / (self._looks + 2))
        rate = np.where(foreground, max(_LEARN_UNDER, learn if self._looks < 2 else 0.0), learn).astype(np.float32)
        self._mean += rate * difference
        self._variance += rate * (np.minimum(squared, 900.0) - self._variance)
        np.maximum(self._variance, 4.0, out=self._variance)
        return foreground

    def _follow(self, t_s: float, blobs: list[tuple[Box, float]], foreground: np.ndarray) -> None:
        """Match blobs to tracks, nearest first; the rest begin tracks, and tracks without any end in time."""
        pairs = []
        for i, track in enumerate(self._tracks):
            x, y = track.predicted(t_s)
            reach = 0.04 + 0.8 * max(track.box[2], track.box[3]) + 0.1 * min(1.0, t_s - track.last_s)
            for j, (box, _) in enumerate(blobs):
                bx, by = centre(box)
                distance = ((x - bx) ** 2 + (y - by) ** 2) ** 0.5
                size = abs(np.log((box[2] * box[3]) / (track.box[2] * track.box[3])))
                if distance <= reach and size < 1.8:
                    pairs.append((distance / reach + 0.3 * size, i, j))
        used_tracks: set[int] = set()
        used_blobs: set[int] = set()
        for _, i, j in sorted(pairs):
            if i not in used_tracks and j not in used_blobs:
                used_tracks.add(i)
                used_blobs.add(j)
                self._tracks[i].follow(t_s, *blobs[j])
        kept = []
        for i, track in enumerate(self._tracks):
            if i not in used_tracks and self._has_ended(t_s, track, foreground):
                if track.confirmed:
                    self._gone.append(track.thing(gone=True))
            else:
                kept.append(track)
        self._tracks = kept
        for j, (box, aspect) in enumerate(blobs):
            if j not in used_blobs and len(self._tracks) < _THINGS_MAX:
                self._numbers += 1
                self._tracks.append(_Track(self._numbers, t_s, box, aspect))

    def _has_ended(self, t_s: float, track: _Track, foreground: np.ndarray) -> bool:
        if not track.confirmed:
            return t_s - track.last_s > 2.5 * _INTERVAL_S
        rows, columns = foreground.shape
        x, y, width, height = track.box
        inside = foreground[
            int(y * rows) : max(int(y * rows) + 1, int((y + height) * rows)),
            int(x * columns) : max(int(x * columns) + 1, int((x + width) * columns)),
        ]
        standing = float(inside.mean()) > 0.3
        if standing:
            track.last_s = t_s
        return t_s - track.moved_s > (_STANDING_S if standing else _LOST_S)


def centre(box: Box) -> tuple[float, float]:
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def border_of(box: Box, inwards: tuple[float, float]) -> str:
    """The border that ``box`` touches and that movement ``inwards`` leads away from; "" inside the picture."""
    x, y, width, height = box
    candidates = []
    if x <= _EDGE:
        candidates.append((inwards[0], "left"))
    if x + width >= 1 - _EDGE:
        candidates.append((-inwards[0], "right"))
    if y <= _EDGE:
        candidates.append((inwards[1], "top"))
    if y + height >= 1 - _EDGE:
        candidates.append((-inwards[1], "bottom"))
    return max(candidates)[1] if candidates else ""


def _blobs(foreground: np.ndarray, moved: np.ndarray) -> list[tuple[Box, float]]:
    """(box, height to width in pixels) of the connected parts of the foreground that moved, largest first.

    A part counts whole if enough of it moved: of a thing of one colour only the edges change between two looks.
    """
    rows, columns = foreground.shape
    solid = cv2.morphologyEx(foreground, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    solid = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, np.ones((9, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    moving = np.bincount(labels.ravel(), weights=moved.ravel(), minlength=count)
    found = []
    for part in range(1, count):
        x, y, width, height, area = (int(value) for value in stats[part])
        large_enough = _AREA_MIN * solid.size <= area <= _AREA_MAX * solid.size and width >= 2 and height >= 3
        if large_enough and moving[part] >= _MOVING_SHARE * area:
            box = (round(x / columns, 4), round(y / rows, 4), round(width / columns, 4), round(height / rows, 4))
            found.append((area, box, height / width))
    found.sort(key=lambda blob: (-blob[0], blob[1]))
    return [(box, aspect) for _, box, aspect in found]
