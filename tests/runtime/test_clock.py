"""Clocks: a replay is paced by media time."""

from __future__ import annotations

import math
import time

import pytest

from runtime.clock import ReplayClock


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
