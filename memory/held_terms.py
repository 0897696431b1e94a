"""Which of a query's terms each observation holds: one bit a term and observation, so that a common term of a large
memory costs one pass over its places, and what a candidate and its neighbours hold is read at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from memory.arrays import Bools, Floats, Ints
from memory.index import Index
from memory.matches import Match

Plane = NDArray[np.uint8]  # eight terms by position


@contextmanager
def held_terms(index: Index, matches: Sequence[Match]) -> Iterator[HeldTerms]:
    """The terms of ``matches`` by position. One at a time for an index, since it lends the room."""
    held = HeldTerms(index, matches)
    try:
        yield held
    finally:
        held.clear()


class HeldTerms:
    """Term i is that of ``matches[i]`` in the own text."""

    def __init__(self, index: Index, matches: Sequence[Match]) -> None:
        self._tally = index.tally
        # Who speaks comes after all that is said.
        self._spoken = [match for match in matches if len(match.speaker)]
        places = [match.positions for match in matches] + [match.speaker for match in self._spoken]
        self._places = places
        # Where a term is held more than once, or less surely, and by how much that differs from once.
        more = [np.flatnonzero(match.counts != 1) for match in matches]
        self._more = [(m.positions[some], m.counts[some] - 1) for m, some in zip(matches, more, strict=True)]
        self.planes = [index.plane(i) for i in range(-(-len(places) // 8))]
        for i, positions in enumerate(places):
            self.planes[i // 8][positions] |= np.uint8(1 << i % 8)
        idf = np.zeros(8 * len(self.planes), np.float32)
        idf[: len(places)] = [match.idf for match in (*matches, *self._spoken)]
        bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
        self._shares = [(bits * idf[8 * i : 8 * i + 8]).sum(axis=1, dtype=np.float32) for i in range(len(self.planes))]

    def clear(self) -> None:
        """Leave the room as it was."""
        for i, positions in enumerate(self._places):
            self.planes[i // 8][positions] = 0

    def share(self, positions: Ints) -> Floats:
        """How much of the query, by idf, each of these positions holds, in what it says and who says it; 0 at -1."""
        total: Floats = np.zeros(positions.shape, np.float32)
        for plane, shares in zip(self.planes, self._shares, strict=True):
            total += shares[plane[positions]]
        return total

    def first_share(self, lenders: Sequence[tuple[float, Ints]]) -> Floats:
        """The same for rows of positions with what each lends of what those before it do not hold: (weight, positions
        by row), the most first."""
        total: Floats = np.zeros(len(lenders[0][1]), np.float32)
        for plane, shares in zip(self.planes, self._shares, strict=True):
            known = np.zeros(len(total), np.uint8)
            for weight, positions in lenders:
                new = plane[positions] & ~known
                total += np.float32(weight) * shares[new]
                known |= new
        return total

    def at(self, positions: Ints) -> TermsAt:
        """What these positions hold."""
        return TermsAt([plane[positions] for plane in self.planes], self._more, positions, self._tally)


class TermsAt:
    """The terms that some positions hold; arrays have the shape of the positions."""

    def __init__(
        self, planes: list[Plane], more: Sequence[tuple[Ints, Floats]], positions: Ints, tally: Floats
    ) -> None:
        self._planes = planes
        self._more = more
        self._positions = positions
        self._tally = tally

    def has(self, i: int) -> Bools:
        """Where term i is held."""
        held: Bools = (self._planes[i // 8] & np.uint8(1 << i % 8)) != 0
        return held

    def counts(self, i: int) -> Floats:
        """How often term i is held."""
        counts: Floats = self.has(i).astype(np.float32)
        places, more = self._more[i]
        if len(places):
            self._tally[places] = more
            counts += self._tally[self._positions]
            self._tally[places] = 0
        return counts
