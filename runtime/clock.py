"""Clocks: where time comes from. Stages never read one; processes pace themselves with one."""

from __future__ import annotations

import math
import time
from typing import Protocol

import anyio


def media_time(t_s: float) -> str:
    """Seconds as m:ss, or h:mm:ss."""
    minutes, seconds = divmod(int(t_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class Clock(Protocol):
    """Seconds that only grow, and a way to wait for a moment of them."""

    def now(self) -> float: ...

    async def sleep_until(self, t_s: float) -> None: ...


class MonotonicClock:
    """The machine's monotonic clock, the same for all processes of one machine."""

    def now(self) -> float:
        return time.monotonic()

    async def sleep_until(self, t_s: float) -> None:
        await anyio.sleep(max(0.0, t_s - time.monotonic()))


class LiveClock:
    """Seconds since a live session began, at ``epoch_s`` of the monotonic clock."""

    def __init__(self, epoch_s: float) -> None:
        self.epoch_s = epoch_s

    def now(self) -> float:
        return time.monotonic() - self.epoch_s

    async def sleep_until(self, t_s: float) -> None:
        await anyio.sleep(max(0.0, t_s - self.now()))


class ReplayClock:
    """Media time at ``speed`` times real time from ``epoch_s`` of the monotonic clock.

    ``speed`` = inf replays as fast as the media can be processed: no wait ever blocks, and nothing is
    dropped, because a replay waits for its readers instead.
    """

    def __init__(self, epoch_s: float, speed: float) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be positive, not {speed}")
        self.epoch_s = epoch_s
        self.speed = speed

    def now(self) -> float:
        if math.isinf(self.speed):
            return math.inf
        return (time.monotonic() - self.epoch_s) * self.speed

    async def sleep_until(self, t_s: float) -> None:
        wait_s = self.wait_s(t_s)
        if wait_s > 0:
            await anyio.sleep(wait_s)

    def wait_s(self, t_s: float) -> float:
        """Real seconds from now until media time ``t_s``; 0 when it is due."""
        if math.isinf(self.speed):
            return 0.0
        return max(0.0, self.epoch_s + t_s / self.speed - time.monotonic())
