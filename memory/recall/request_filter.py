"""What of the visible a request asks for: its window of time, its source, its channels."""

from __future__ import annotations

import math
import sqlite3

import numpy as np

from memory.index.arrays import Bools, Floats, Ints
from memory.index.blocks import CODES
from memory.index.postings import Index
from memory.store.views import limits_by_number
from runtime.messages import EVIDENCE_CHANNELS, RecallRequest

# How far beyond a window its events and conversations may reach.
REACH_S = 128.0


class RequestFilter:
    """The filter of one request; positions it is given are taken to be visible.

    ``scope``: positions, ascending, of what can bear on the score of anything in the window: it, and all that an event
    or a neighbourhood (of ``neighbour_window_s``) reaches. None if there is no window.
    """

    def __init__(
        self, connection: sqlite3.Connection, index: Index, request: RecallRequest, neighbour_window_s: float
    ) -> None:
        self._t0_s: Floats = index.column("t0_s")  # type: ignore[assignment]
        self._t1_s: Floats = index.column("t1_s")  # type: ignore[assignment]
        self._source: Ints = index.column("source")  # type: ignore[assignment]
        self._channel: Ints = index.column("channel")  # type: ignore[assignment]
        sources = limits_by_number(connection, request.view, request.source)
        self._sources = list(sources) if request.source else None
        self._codes = np.zeros(len(CODES), np.bool_)
        self._codes[[CODES[channel] for channel in request.channels or EVIDENCE_CHANNELS]] = True
        self._window = _window(request)
        self.scope: Ints | None = None
        if self._window is not None:
            reach_s = REACH_S + neighbour_window_s
            begin_s, end_s = self._window[0] - reach_s, self._window[1] + reach_s
            parts = [index.overlapping(source, begin_s, end_s) for source in sources]
            scope = np.concatenate([np.zeros(0, np.int32), *parts])
            self.scope = scope if len(parts) < 2 else np.sort(scope)

    def among(self, positions: Ints) -> Bools:
        """Which of these positions are wanted."""
        wanted: Bools = self._codes[self._channel[positions]]
        if self._sources is not None:
            wanted &= np.isin(self._source[positions], self._sources)
        if self._window is not None:
            t0_s, t1_s = self._window
            wanted &= (self._t1_s[positions] >= t0_s) & (self._t0_s[positions] <= t1_s)
        return wanted

    def pick(self, positions: Ints) -> Ints:
        """Those of these positions that are wanted."""
        return positions[self.among(positions)]


def _window(request: RecallRequest) -> tuple[float, float] | None:
    if request.t0_s is None and request.t1_s is None:
        return None
    return (
        -math.inf if request.t0_s is None else request.t0_s,
        math.inf if request.t1_s is None else request.t1_s,
    )
