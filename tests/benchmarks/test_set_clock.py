"""The clock that campaigns set: that of all processes, and the monotonic one of none."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.set_clock import set_ahead, settable_clock

pytestmark = pytest.mark.processes
DAY_S = 86400.0
TELL = "import time; print(time.time(), time.time_ns() / 1e9, time.monotonic())"


def told() -> list[float]:
    ran = subprocess.run([sys.executable, "-c", TELL], capture_output=True, text=True, check=True)
    return [float(value) for value in ran.stdout.split()]


def test_the_wall_clock_of_this_process_and_of_those_it_starts_is_set_and_put_right_again(tmp_path: Path) -> None:
    before_s = time.time()
    with settable_clock(tmp_path) as clock:
        for offset_s in (100 * DAY_S, -100 * DAY_S):
            set_ahead(clock, offset_s)
            wall_s, wall_ns_s, monotonic_s = told()
            for found_s in (wall_s, wall_ns_s, time.time(), time.time_ns() / 1e9):
                assert abs(found_s - (before_s + offset_s)) < DAY_S
            assert abs(monotonic_s - time.monotonic()) < DAY_S
    assert abs(time.time() - before_s) < DAY_S
    assert abs(told()[0] - before_s) < DAY_S
