"""A recording that has grown since it was perceived goes on where it was; another of the same length is another."""

from __future__ import annotations

import itertools
import sqlite3
import wave
from contextlib import closing
from pathlib import Path

import numpy as np

from tests.fixtures.agent_runs import run

RATE_HZ = 16000


def write(path: Path, *beeps_at_s: float, seconds: int) -> Path:
    """A WAV file of silence with a beep of a second at each of these times."""
    samples = np.zeros(seconds * RATE_HZ)
    for at_s in beeps_at_s:
        t = np.arange(RATE_HZ) / RATE_HZ
        samples[int(at_s * RATE_HZ) :][:RATE_HZ] = 8000 * np.sin(2 * np.pi * 880 * t)
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        out.writeframes(samples.astype("<i2").tobytes())
    return path


def rows(memory: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{memory / 'memory.db'}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchall()


def test_a_grown_recording_is_perceived_from_where_it_ended(tmp_path: Path) -> None:
    memory, path = tmp_path / "memory", write(tmp_path / "diary.wav", 4.0, seconds=10)
    assert run("replay", path, "--memory", memory, "--ask", "what?").code == 0
    before = rows(memory, "SELECT id FROM observations WHERE channel='sound' ORDER BY id")
    assert before
    write(path, 4.0, 14.0, seconds=20)
    grown = run("replay", path, "--memory", memory, "--ask", "what?")
    assert grown.code == 0
    assert "diary.wav (0:20): remembered up to 0:10, going on from there" in grown.err
    assert rows(memory, "SELECT name, duration_s FROM sources WHERE kind='file'") == [("diary.wav", 20.0)]
    assert rows(memory, "SELECT watermark_s, ended FROM tracks WHERE track='audio'") == [(20.0, "end")]
    after = rows(memory, "SELECT id FROM observations WHERE channel='sound' ORDER BY id")
    assert set(before) < set(after)
    spans = rows(memory, "SELECT t0_s, t1_s FROM spans WHERE level='event' ORDER BY t0_s")
    assert spans[0][0] == 0.0 and spans[-1][1] == 20.0
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(spans))
    assert "diary.wav (0:20) is in memory already" in run("replay", path, "--memory", memory, "--ask", "what?").err


def test_two_recordings_with_the_same_quiet_ends_are_both_perceived(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    one, other = write(tmp_path / "one.wav", 4.0, seconds=12), write(tmp_path / "other.wav", 7.0, seconds=12)
    assert run("replay", one, other, "--memory", memory, "--ask", "what?").code == 0
    assert [name for (name,) in rows(memory, "SELECT name FROM sources WHERE kind='file' ORDER BY name")] == [
        "one.wav",
        "other.wav",
    ]
