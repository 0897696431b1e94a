"""Time as a test tells it."""

from __future__ import annotations

import heapq
import itertools

import anyio


class VirtualClock:
    """A `runtime.clock.Clock` that tests move by hand: sleepers wake in order of their time, at once."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s
        self._sleepers: list[tuple[float, int, anyio.Event]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self._now_s

    async def sleep_until(self, t_s: float) -> None:
        if t_s <= self._now_s:
            await anyio.lowlevel.checkpoint()
            return
        event = anyio.Event()
        heapq.heappush(self._sleepers, (t_s, next(self._order), event))
        await event.wait()

    def advance(self, dt_s: float) -> None:
        """Move time on by ``dt_s`` seconds and wake who is due."""
        self._now_s += dt_s
        while self._sleepers and self._sleepers[0][0] <= self._now_s:
            heapq.heappop(self._sleepers)[2].set()
