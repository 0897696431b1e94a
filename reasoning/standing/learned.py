"""False alarms that the user marked, and what is not told again because of them. Pure.

What is learned is one picture each: the frame that was looked at, as its descriptor (`perception.vision.description`).
What looks like a false alarm of the same query and source, and not more like what was rightly told, is not told. How
alike that is depends on the camera: one that stands still sees nearly the same all day. So a picture counts as like a
false alarm when it is nearer to it than half of the usual distance of that source's pictures to it, by median.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from msgspec import Struct

from runtime.language.lists import quote

# The share of the usual distance, and the distance (1 - cosine) below which two pictures are one in any case.
SHARE, SAME = 0.5, 0.0005
# Fewer of the source's pictures than this tell nothing of what is usual.
USUAL_LEAST = 8
KEPT_PER_QUERY = 16


class Mistake(Struct, frozen=True):
    """A false alarm: of which query and source, which frame, its vector, and what was said of it."""

    query: str
    source: str
    picture: str
    vector: tuple[float, ...]
    said: str = ""


def is_mistaken_again(
    vector: Sequence[float],
    mistakes: Sequence[Mistake],
    right: Sequence[Sequence[float]],
    usual: Sequence[Sequence[float]],
) -> bool:
    """Whether a picture is like a marked false alarm.

    ``mistakes`` are those of its query and source; ``right``: vectors of what was told and not marked, ``usual``: of
    the source's pictures around.
    """
    for mistake in mistakes:
        apart = distance(vector, mistake.vector)
        if any(distance(vector, other) <= apart for other in right):
            continue
        if apart <= SAME:
            return True
        if len(usual) >= USUAL_LEAST and apart <= SHARE * median(distance(mistake.vector, v) for v in usual):
            return True
    return False


def distance(a: Sequence[float], b: Sequence[float]) -> float:
    """1 - cosine of two vectors of unit length; 1 where they are of different spaces."""
    return 1.0 - sum(x * y for x, y in zip(a, b, strict=True)) if len(a) == len(b) else 1.0


def told_of(mistakes: Sequence[Mistake]) -> str:
    """What a model is told of them, in a sentence; "" where there are none."""
    said = dict.fromkeys(m.said for m in mistakes if m.said)
    if not said:
        return ""
    return f"These were called false alarms: {'; '.join(quote(text) for text in list(said)[-3:])}."
