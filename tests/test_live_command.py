"""`live` as a user runs it: a camera on the loopback network that goes away and comes back, and nothing at all."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.loopback import Loopback, moving_square
from tests.agent_runs import DEADLINE_S, run, start


def remembered(memory: Path, query: str) -> int:
    try:
        with closing(sqlite3.connect(f"file:{memory / 'memory.db'}?mode=ro", uri=True)) as database:
            return int(database.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # not made yet


def wait_for(memory: Path, query: str, at_least: int) -> None:
    deadline_s = time.monotonic() + DEADLINE_S / 2
    while remembered(memory, query) < at_least:
        assert time.monotonic() < deadline_s, query
        time.sleep(0.05)


def until_told(agent: subprocess.Popen[str], words: str) -> str:
    """What the agent says on standard error up to the line with ``words``."""
    assert agent.stderr
    said = ""
    for line in agent.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(f"ended without saying {words!r}:\n{said}")


def test_with_nothing_connected_there_is_one_clear_line(tmp_path: Path) -> None:
    if list(Path("/dev").glob("video*")):
        pytest.skip("this machine has a camera")
    line = run("live", "--mic", "off", "--memory", tmp_path / "memory").assert_one_clear_line()
    assert "no camera is connected" in line


def test_a_recording_or_a_wrong_address_is_refused_in_one_line(tmp_path: Path) -> None:
    assert "replay" in run("live", "talk.mp4", "--memory", tmp_path / "memory").assert_one_clear_line()


@pytest.mark.slow
def test_a_camera_that_goes_away_is_a_gap_and_its_return_is_told(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    profile = tmp_path / "quick.yaml"
    profile.write_text("perception: {live: {stall_s: 1.0, reopen_max_s: 0.5}, vision: {read_text: false}}")
    frames = "SELECT count(*) FROM observations WHERE channel = 'frame'"
    with Loopback(moving_square((320, 240)), rate_hz=10.0, clip_s=1.0) as camera:
        # No terminal and no input: it perceives until it is stopped.
        agent = start("live", f"door={camera.url('mjpeg')}", "--memory", memory, "--config", profile)
        wait_for(memory, frames, 2)
        camera.refusing = True
        camera.disconnect()
        wait_for(
            memory, "SELECT count(*) FROM observations WHERE channel = 'gap' AND text LIKE '%nothing was seen%'", 2
        )
        err = until_told(agent, "door cannot be seen")
        camera.refusing = False
        wait_for(memory, frames, remembered(memory, frames) + 2)
        err += until_told(agent, "door is seen again")
        agent.terminate()
        err += agent.communicate(timeout=60)[1]
    assert agent.returncode == 143, err
    assert "Traceback" not in err
    assert remembered(memory, "SELECT count(*) FROM tracks WHERE track = 'audio' AND missing = 'no audio track'") == 1
    assert remembered(memory, "SELECT count(*) FROM tracks WHERE ended IS NULL") == 0
