"""What an event is worth keeping: trust x novelty against what is kept x (1 + log2(1 + cited uses)).

Novelty is how far the event's pooled frames are from those of all other events whose pictures are kept, and how
rare its words are among what is remembered, each by itself and all of a sentence, a sign or a thing together
(`memory.index.keys.phrase_of`), whichever says more. Age is no part of it: on LoCoMo, keeping what is
novel beats keeping what is recent at equal bytes (.408 against .345 at a quarter of them), so age only decides
between equals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from memory.store.size_accounting import Kind, Stage

# What is like everything else is worth next to nothing, but trust and use still decide. It must stay far below what is
# new: an event that holds a few hundred bytes of nothing new must not outweigh one of a picture seen nowhere else.
NOVELTY_FLOOR = 0.001
# A cosine distance that makes a picture wholly new.
NEW_DISTANCE = 0.5
# So many of its rarest terms speak for an event: one alone may be a misreading.
TERMS_COUNTED = 3
# Worths that differ by less than a twelfth (log2 steps of an eighth) are equal, and age decides.
_STEPS = 8


class RetainedItem(Struct):
    """What memory still holds of an event, of one kind; a row of `holdings`."""

    span: str
    kind: Kind
    source: int
    t0_s: float
    t1_s: float
    begun_wall_s: float
    stage: Stage
    bytes: int
    trust: float
    novelty: float
    uses: int
    rate: float
    keys: list[int]
    terms: list[tuple[str, int]]


class Policy(Protocol):
    """In what order holdings give up bytes, and in what steps."""

    def rate(self, holding: RetainedItem) -> float:
        """What is lowest goes first."""
        ...

    def next_stage(self, holding: RetainedItem) -> Stage: ...


_NEXT: dict[tuple[Kind, Stage], Stage] = {
    ("seen", "full"): "sketch",
    ("seen", "sketch"): "pointer",
    ("said", "full"): "sketch",
}


class ValueDensity:
    """The ladder: the one of least worth per byte steps down first, one step at a time."""

    def rate(self, holding: RetainedItem) -> float:
        """log2 of worth per byte, in steps of an eighth."""
        worth = holding.trust * holding.novelty * (1.0 + math.log2(1.0 + holding.uses))
        return round(math.log2(max(worth, 1e-9) / max(holding.bytes, 1)) * _STEPS) / _STEPS

    def next_stage(self, holding: RetainedItem) -> Stage:
        return _NEXT.get((holding.kind, holding.stage), "tombstone")


def novelty(distance: float, rarities: Sequence[float]) -> float:
    """0..1 from the cosine distance to the likest event kept, and the rarity (0..1) of the event's terms."""
    rarest = sorted(rarities, reverse=True)[:TERMS_COUNTED]
    by_words = sum(rarest) / TERMS_COUNTED
    by_sight = min(1.0, distance / NEW_DISTANCE)
    return max(NOVELTY_FLOOR, 1.0 - (1.0 - by_sight) * (1.0 - by_words))


class KeptVectors:
    """The pooled frame vectors of all events whose pictures are kept, by vector space.

    A few for each event, so its size follows the budget and not the length of the stream.
    """

    def __init__(self) -> None:
        self._spaces: dict[tuple[str, int], _Space] = {}
        self._places: dict[str, tuple[tuple[str, int], list[int]]] = {}

    def add(self, span: str, space: str, vectors: Sequence[NDArray[np.float32]]) -> None:
        """Note an event's keys, in place of those noted before."""
        self.remove(span)
        if vectors:
            key = (space, vectors[0].size)
            known = self._spaces.setdefault(key, _Space(vectors[0].size))
            self._places[span] = (key, known.add([vector for vector in vectors if vector.size == key[1]]))

    def remove(self, span: str) -> None:
        """Forget an event's keys; none may be known."""
        key, rows = self._places.pop(span, (("", 0), []))
        if rows:
            self._spaces[key].remove(rows)

    def distance(self, span: str) -> float:
        """Largest cosine distance of any of the event's keys from the likest key of another event; 0 without keys."""
        key, rows = self._places.get(span, (("", 0), []))
        return self._spaces[key].distance(rows) if rows else 0.0


class _Space:
    def __init__(self, dimensions: int) -> None:
        self._rows = np.zeros((64, dimensions), np.float32)
        self._free = list(range(64))

    def add(self, vectors: Sequence[NDArray[np.float32]]) -> list[int]:
        while len(self._free) < len(vectors):
            size = len(self._rows)
            self._free += range(size, 2 * size)
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        taken = [self._free.pop() for _ in vectors]
        self._rows[taken] = np.stack(vectors)
        return taken

    def remove(self, rows: list[int]) -> None:
        self._rows[rows] = 0.0
        self._free += rows

    def distance(self, rows: list[int]) -> float:
        likeness = self._rows @ self._rows[rows].T
        likeness[rows] = 0.0
        return max(0.0, 1.0 - float(likeness.max(axis=0).min()))
