"""What a picture shows: how much of what, and where what the last look found is in later ones, for whoever watches.

A look is done a moment after its picture was taken, and the next comes up to ten seconds later. What moves is carried
on by the movement it is part of, which is followed in every fifth of a second; what stands still is where it was for
as long as its place looks the same. What is neither is not shown: a box belongs to the picture it is drawn in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from perception.vision.followed import looks_as_before, place_patch
from perception.vision.motion import Box, MovingThing, Place, centre
from runtime.messages import Marked

_SHOWN = 32  # boxes in one picture
_LOST_S = 0.3  # movements are followed in every picture that comes 0.19 s after the last


class InView(Struct, frozen=True):
    """How much of what a picture shows. ``things``: (name, how many), people first, then the most numerous."""

    people: int = 0
    faces: int = 0
    things: tuple[tuple[str, int], ...] = ()


class Found(NamedTuple):
    """What a look left known: where it was when it was found last, or where its ``motion``, the movement it is part of,
    has carried it since."""

    name: str
    box: Box
    found_s: float = 0.0
    motion: MovingThing | None = None


class InSight(NamedTuple):
    """What is known, to be found again; ``patch`` is what its place looked like, see `place_patch`."""

    found: Found
    patch: np.ndarray


def sight(found: Iterable[Found], t_s: float, luma: np.ndarray) -> tuple[InSight, ...]:
    """What the picture of ``t_s`` shows after a look at it; ``luma`` is that picture's, uint8 (rows, columns)."""
    # A movement that was lost is waited for, at the place where it was.
    there = [at for at in found if at.motion is None or t_s - max(at.found_s, at.motion.last_s) <= _LOST_S]
    return tuple(InSight(thing, place_patch(luma, thing.box)) for thing in there)


def find_again(seen: Iterable[InSight], places: Mapping[int, Place], luma: np.ndarray) -> tuple[Marked, ...]:
    """What of it is in a later picture, and where; ``places`` is where each movement is by then."""
    marked = []
    for thing, patch in seen:
        box, motion = thing.box, thing.motion
        if motion is not None and (place := places.get(motion.track)) is not None:
            # The movement was seen last a little before the thing was.
            (x, y), ahead_s = centre(motion.box), max(0.0, thing.found_s - motion.last_s)
            dx, dy = place.x - x - place.velocity[0] * ahead_s, place.y - y - place.velocity[1] * ahead_s
            box = (box[0] + dx, box[1] + dy, box[2], box[3])
        elif not looks_as_before(place_patch(luma, box), patch):
            continue
        if (inside := _within(box)) is not None:
            marked.append(Marked(thing.name, inside))
    return tuple(marked[:_SHOWN])


def _within(box: Box) -> Box | None:
    """The part of a box that is in the picture; None where nothing of it is."""
    left, top = max(0.0, box[0]), max(0.0, box[1])
    right, bottom = min(1.0, box[0] + box[2]), min(1.0, box[1] + box[3])
    if right <= left or bottom <= top:
        return None
    return round(left, 4), round(top, 4), round(right - left, 4), round(bottom - top, 4)
