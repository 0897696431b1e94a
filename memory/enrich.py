"""Keys enriched by neighbours, made when the question is asked and only from what it can see.

An utterance also counts the words of the three utterances before and after it, less with distance; what
follows a question counts the question's words more, because it answers them. What is seen and read is
found by its own words; what happened beside it in the other lanes can only raise it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from memory.index import LANE_OF_CODE, Bools, Floats, Index, Ints

# Chosen by hand on five conversations of LoCoMo, where all lie on a plateau.
NEIGHBOUR_WEIGHTS = (0.4, 0.2, 0.1)
BACKWARD = 0.7
ASKED = 1.7
BESIDE_WEIGHT = 0.2
DENSE_FROM = 32


class Neighbourhood:
    """Who stands near whom among the visible observations of some sources."""

    def __init__(self, index: Index, visible: Bools, sources: Iterable[int], window_s: float) -> None:
        self._window_s = window_s
        self._t0_s: Floats = index.column("t0_s")  # type: ignore[assignment]
        self._t1_s: Floats = index.column("t1_s")  # type: ignore[assignment]
        self._source: Ints = index.column("source")  # type: ignore[assignment]
        self._asks: Bools = index.column("asks")  # type: ignore[assignment]
        self._lane: Ints = LANE_OF_CODE[index.column("channel")]
        said = [index.said(source) for source in sources]
        order = np.concatenate([np.zeros(0, np.int64), *said])
        self._order: Ints = order[visible[order]]
        self._rank: Ints = np.full(len(index), -1, np.int64)
        self._rank[self._order] = np.arange(len(self._order))
        self._length: Floats = index.column("terms").astype(np.float64)
        lane = self._lane[visible]
        means = np.bincount(lane, self._length[visible], minlength=3) / np.maximum(np.bincount(lane, minlength=3), 1)
        means[0] *= 1.0 + sum(NEIGHBOUR_WEIGHTS) * (1.0 + BACKWARD)
        self._mean_length: Floats = np.maximum(means, 1.0)

    def spread(self, positions: Ints, counts: Floats) -> tuple[Ints, Floats]:
        """Counts of a term, with those that neighbours in the conversation lend."""
        parts = [(positions, counts)]
        said = self._rank[positions] >= 0
        at, counts = self._rank[positions[said]], counts[said]
        asks = self._asks[positions[said]]
        for distance, weight in enumerate(NEIGHBOUR_WEIGHTS, start=1):
            valid, other = self._neighbours(at, distance)
            lent = weight * np.where(asks & (distance == 1), ASKED, 1.0) * counts
            parts.append((other[valid], lent[valid]))
            valid, other = self._neighbours(at, -distance)
            parts.append((other[valid], weight * BACKWARD * counts[valid]))
        return add_up(parts)

    def lengths(self, positions: Ints) -> Floats:
        """Length of each enriched key, in terms, over that of a mean one of its lane with all its neighbours."""
        lengths = self._length[positions]
        said = np.flatnonzero(self._rank[positions] >= 0)
        at = self._rank[positions[said]]
        for distance, weight in enumerate(NEIGHBOUR_WEIGHTS, start=1):
            for step, share in ((-distance, weight), (distance, weight * BACKWARD)):
                valid, other = self._neighbours(at, step)
                lengths[said[valid]] += share * self._length[other[valid]]
        return lengths / self._mean_length[self._lane[positions]]

    def beside(self, targets: Ints, lenders: Ints) -> tuple[Ints, Floats]:
        """Counts lent across lanes (said, written, seen): by the nearest lender in time, less with distance."""
        parts = []
        for lane in range(3) if self._window_s > 0 else ():
            mine = targets[self._lane[targets] == lane]
            others = lenders[self._lane[lenders] != lane]
            if len(mine) and len(others):
                gap_s = self._gap_to_nearest(mine, others)
                near = gap_s < self._window_s
                parts.append((mine[near], BESIDE_WEIGHT * (1.0 - gap_s[near] / self._window_s)))
        return add_up(parts)

    def _neighbours(self, at: Ints, step: int) -> tuple[Bools, Ints]:
        """Who stands ``step`` places from these ranks, where that is the same conversation and near in time."""
        other = at + step
        inside = (other >= 0) & (other < len(self._order))
        if not len(self._order):
            return inside, other
        here, there = self._order[at], self._order[np.where(inside, other, 0)]
        first, second = (here, there) if step > 0 else (there, here)
        close = self._t0_s[second] - self._t1_s[first] <= self._window_s
        return inside & close & (self._source[first] == self._source[second]), there

    def _gap_to_nearest(self, mine: Ints, others: Ints) -> Floats:
        """Seconds to the nearest of ``others`` in the same source; 0 if they overlap."""
        # One axis for all sources, so far apart that none is near another's end.
        axis = self._source[others] * 1e9 + self._t0_s[others]
        others = others[np.argsort(axis, kind="stable")]
        after = np.searchsorted(np.sort(axis), self._source[mine] * 1e9 + self._t0_s[mine])
        gap_s = np.full(len(mine), np.inf)
        for at in (after - 1, after):
            other = others[np.clip(at, 0, len(others) - 1)]
            valid = (at >= 0) & (at < len(others)) & (self._source[mine] == self._source[other])
            apart_s = np.maximum(self._t0_s[mine] - self._t1_s[other], self._t0_s[other] - self._t1_s[mine])
            gap_s = np.minimum(gap_s, np.where(valid, np.maximum(apart_s, 0.0), np.inf))
        return gap_s


def add_up(parts: list[tuple[Ints, Floats]]) -> tuple[Ints, Floats]:
    """Sum of counts by position, positions ascending."""
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0)
    at, counts = np.concatenate([p for p, _ in parts]), np.concatenate([n for _, n in parts])
    last = int(at.max(initial=-1))
    if len(at) * DENSE_FROM > last:  # adding up in place beats sorting
        total = np.bincount(at, counts, minlength=last + 1).astype(np.float64)
        found = np.flatnonzero(total)
        return found.astype(np.int64), total[found]
    found, inverse = np.unique(at, return_inverse=True)
    return found.astype(np.int64), np.bincount(inverse, counts, minlength=len(found)).astype(np.float64)
