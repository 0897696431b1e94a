"""Positions of a source in order of time, so that a window or a neighbour is found without looking at the rest."""

from __future__ import annotations

import numpy as np

from memory.index.arrays import Floats, Ints, grown

# The few that last longer lie apart, so that a window is found by its begin without reading everything before it.
LONG_S = 64.0


class TimeOrder:
    """Grows at its end at no cost; what comes late is merged into the part that follows it."""

    def __init__(self) -> None:
        self._places = np.zeros(64, np.int32)
        self._t0_s = np.zeros(64)
        self._t1_s = np.zeros(64)
        self._size = 0
        self._long = np.zeros(0, np.int64)

    @property
    def places(self) -> Ints:
        """Positions in order of begin; what began at once, in order of end."""
        return self._places[: self._size]

    @property
    def t0_s(self) -> Floats:
        """When those begin."""
        return self._t0_s[: self._size]

    def add(self, places: Ints, t0_s: Floats, t1_s: Floats) -> int:
        """Take these in; from which rank on the order is new."""
        begin = int(np.searchsorted(self._t0_s[: self._size], t0_s.min(), side="left"))
        end = self._size + len(places)
        if end > len(self._places):
            capacity = max(end, 2 * len(self._places))
            self._places = grown(self._places, capacity)
            self._t0_s, self._t1_s = grown(self._t0_s, capacity), grown(self._t1_s, capacity)
        self._places[self._size : end], self._t0_s[self._size : end], self._t1_s[self._size : end] = places, t0_s, t1_s
        order = begin + np.lexsort((self._t1_s[begin:end], self._t0_s[begin:end]))
        for column in (self._places, self._t0_s, self._t1_s):
            column[begin:end] = column[order]
        self._size = end
        is_long = t1_s - t0_s > LONG_S
        if is_long.any():
            self._long = np.concatenate([self._long, places[is_long]])
        return begin

    def overlapping(self, t0_s: float, t1_s: float) -> Ints:
        """Positions of what overlaps t0_s..t1_s, ascending, and of every long one."""
        begin = np.searchsorted(self._t0_s[: self._size], t0_s - LONG_S, side="left")
        end = np.searchsorted(self._t0_s[: self._size], t1_s, side="right")
        inside = self._places[begin:end][self._t1_s[begin:end] >= t0_s]
        return np.union1d(inside, self._long) if len(self._long) else np.sort(inside)
