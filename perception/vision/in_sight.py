"""Where what the last look found is in a later picture: boxes for whoever watches.

A look is done a moment after its picture was taken, and the next comes up to ten seconds later. What moves is carried
on by the movement it is part of, which is followed in every fifth of a second; what stands still is where it was for
as long as its place looks the same. What is neither is not shown: a box belongs to the picture it is drawn in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from perception.vision.followed import looks_as_before, place_patch
from perception.vision.motion import Box, MovingThing, Place, centre
from runtime.messages import Marked

_SHOWN = 32  # boxes in one picture


class InSight(NamedTuple):
    """What a look found, to be found again.

    motion     the movement it is part of, as it was followed then.
    ahead_s    how long before the look that was.
    patch      what its place looked like, see `place_patch`.
    """

    name: str
    box: Box
    motion: MovingThing | None
    ahead_s: float
    patch: np.ndarray


def sight(found: Iterable[tuple[str, Box, MovingThing | None]], t_s: float, luma: np.ndarray) -> tuple[InSight, ...]:
    """What a look at the picture of ``t_s`` found; ``luma`` is that picture's, uint8 (rows, columns)."""
    return tuple(
        InSight(name, box, motion, t_s - motion.last_s if motion else 0.0, place_patch(luma, box))
        for name, box, motion in found
    )


def find_again(seen: Iterable[InSight], places: Mapping[int, Place], luma: np.ndarray) -> tuple[Marked, ...]:
    """What of it is in a later picture, and where; ``places`` is where each movement is by then."""
    found = []
    for thing in seen:
        place = places.get(thing.motion.track) if thing.motion is not None else None
        if thing.motion is not None and place is not None:
            (x, y), (vx, vy) = centre(thing.motion.box), place.velocity
            dx, dy = place.x - x - vx * thing.ahead_s, place.y - y - vy * thing.ahead_s
            box = (thing.box[0] + dx, thing.box[1] + dy, thing.box[2], thing.box[3])
        elif looks_as_before(place_patch(luma, thing.box), thing.patch):
            box = thing.box
        else:
            continue
        if (inside := _within(box)) is not None:
            found.append(Marked(thing.name, inside))
    return tuple(found[:_SHOWN])


def _within(box: Box) -> Box | None:
    """The part of a box that is in the picture; None where nothing of it is."""
    left, top = max(0.0, box[0]), max(0.0, box[1])
    right, bottom = min(1.0, box[0] + box[2]), min(1.0, box[1] + box[3])
    if right <= left or bottom <= top:
        return None
    return round(left, 4), round(top, 4), round(right - left, 4), round(bottom - top, 4)
