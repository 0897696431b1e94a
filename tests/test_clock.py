"""Clocks: a replay is paced by media time, a virtual clock moves only when told."""

from __future__ import annotations

import math
import time

import anyio
import pytest

from runtime.clock import ReplayClock, VirtualClock

pytestmark = pytest.mark.anyio


def test_a_replay_at_full_speed_never_waits() -> None:
    clock = ReplayClock(epoch_s=time.monotonic(), speed=math.inf)
    assert clock.wait_s(1e9) == 0.0


def test_a_replay_at_double_speed_is_due_after_half_the_media_time() -> None:
    clock = ReplayClock(epoch_s=time.monotonic(), speed=2.0)
    assert clock.wait_s(1000.0) == pytest.approx(500.0, abs=1.0)
    assert clock.wait_s(0.0) == 0.0


def test_a_speed_that_is_no_speed_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        ReplayClock(0.0, 0.0)


async def test_a_virtual_clock_wakes_sleepers_in_order_of_their_time() -> None:
    clock, woken = VirtualClock(), []

    async def sleeper(t_s: float) -> None:
        await clock.sleep_until(t_s)
        woken.append(t_s)

    async with anyio.create_task_group() as tasks:
        for t_s in (3.0, 1.0, 2.0):
            tasks.start_soon(sleeper, t_s)
        await anyio.wait_all_tasks_blocked()
        clock.advance(2.5)
        await anyio.wait_all_tasks_blocked()
        assert woken == [1.0, 2.0]
        clock.advance(0.5)
    assert woken == [1.0, 2.0, 3.0]
