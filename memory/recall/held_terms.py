"""Which of a query's terms each observation holds: one bit a term and observation, so that a common term of a large
memory costs one pass over its places, and what a candidate and its neighbours hold is read at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from memory.index.arrays import Bools, Floats, Ints
from memory.index.postings import Index
from memory.recall.match import Match

Plane = NDArray[np.uint8]  # eight terms by position
_BITS = ((np.arange(256)[:, None] >> np.arange(8)) & 1).astype(np.float32)  # of each value of a plane


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
        spoken = [match for match in matches if len(match.speaker)]
        self._places = [match.positions for match in matches] + [match.speaker for match in spoken]
        n_planes = -(-len(self._places) // 8)
        self.planes = [index.plane(i) for i in range(n_planes)]
        for i, positions in enumerate(self._places):
            self.planes[i // 8][positions] |= np.uint8(1 << i % 8)
        # Where any is held more than once, or less surely; and by how much that differs from once.
        self._other = index.plane(n_planes)
        self._differ: list[tuple[Ints, Floats]] = []
        for match in matches:
            some = np.flatnonzero(match.counts != 1)
            self._differ.append((match.positions[some], match.counts[some] - 1))
            self._other[match.positions[some]] = 1
        idf = np.zeros(8 * n_planes, np.float32)
        idf[: len(self._places)] = [match.idf for match in (*matches, *spoken)]
        # What each value of a plane is worth.
        self._shares = [(_BITS * idf[8 * i : 8 * i + 8]).sum(axis=1) for i in range(n_planes)]

    def clear(self) -> None:
        """Leave the room as it was."""
        for i, positions in enumerate(self._places):
            self.planes[i // 8][positions] = 0
        for positions, _ in self._differ:
            self._other[positions] = 0

    def share(self, positions: Ints) -> Floats:
        """How much of the query, by idf, each of these positions holds, in what it says and who says it; 0 at -1."""
        total: Floats = np.zeros(positions.shape, np.float32)
        for plane, shares in zip(self.planes, self._shares, strict=True):
            total += shares[plane[positions]]
        return total

    def first_share(self, lenders: Sequence[tuple[Floats, Ints]]) -> Floats:
        """The same for rows of positions with what each lends of what those before it do not hold: (weight, positions
        by row), the most first."""
        total: Floats = np.zeros(len(lenders[0][1]), np.float32)
        for plane, shares in zip(self.planes, self._shares, strict=True):
            known = np.zeros(len(total), np.uint8)
            for weight, positions in lenders:
                new = plane[positions] & ~known
                total += weight * shares[new]
                known |= new
        return total

    def at(self, positions: Ints) -> TermsAt:
        """What these positions hold."""
        differ = np.flatnonzero(self._other[positions])
        return TermsAt([plane[positions] for plane in self.planes], differ, positions.flat[differ], self)

    def differences(self, i: int, positions: Ints) -> Floats:
        """By how much the counts of term i differ from once, or none."""
        places, more = self._differ[i]
        self._tally[places] = more
        found = self._tally[positions]
        self._tally[places] = 0
        return found


class TermsAt:
    """The terms that some positions hold; arrays have the shape of the positions. ``differ``: which of them, counted
    through, hold any more or less than once, and their positions."""

    def __init__(self, planes: list[Plane], differ: Ints, differ_at: Ints, held: HeldTerms) -> None:
        self._planes = planes
        self._differ = differ
        self._differ_at = differ_at
        self._held = held

    def has(self, i: int) -> Bools:
        """Where term i is held."""
        has: Bools = (self._planes[i // 8] & np.uint8(1 << i % 8)) != 0
        return has

    def counts(self, i: int) -> Floats:
        """How often term i is held."""
        counts: Floats = self.has(i).astype(np.float32)
        if len(self._differ):
            counts.flat[self._differ] += self._held.differences(i, self._differ_at)
        return counts
