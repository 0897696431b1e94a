"""Replay regression: what the sample gave when it was recorded, it gives now.

After a change that is meant to change it: `python -m tests.fixtures.record_sample`, and read the difference.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from runtime.messages import Message, Observation, Progress, SourceEnded, Span
from runtime.recording import SUFFIX, read_recording
from tests.fixtures.agent_runs import SAMPLE, run
from tests.fixtures.record_sample import SPANS, recorded, spans_of_recordings


def test_the_recorded_observations_give_the_recorded_spans_exactly() -> None:
    expected = msgspec.json.decode(SPANS.read_bytes(), type=list[Span])
    assert len(expected) > 5
    assert spans_of_recordings() == expected


def test_a_recording_tells_its_story_in_order() -> None:
    for name in ("video", "audio"):
        marks = [message.t_s for message in recorded(name) if isinstance(message, Progress | SourceEnded)]
        assert marks == sorted(marks)
        assert marks[-1] > 60.0


def test_the_sample_is_perceived_as_it_was_recorded(tmp_path: Path) -> None:
    """Words and times exactly; scores of models may differ in their last digits from machine to machine."""
    result = run("replay", SAMPLE, "--memory", tmp_path / "memory", "--record", tmp_path, "--ask", "what?")
    assert result.code == 0, result.err
    for name in ("video", "audio"):
        now = list(read_recording(tmp_path / f"{name}{SUFFIX}"))
        assert essence(now) == essence(recorded(name))
    with closing(sqlite3.connect(tmp_path / "memory" / "memory.db")) as database:
        stored = database.execute("SELECT id, t0_s, t1_s FROM spans ORDER BY id").fetchall()
    expected = msgspec.json.decode(SPANS.read_bytes(), type=list[Span])
    assert stored == sorted((span.id, span.t0_s, span.t1_s) for span in expected)


def essence(messages: list[Message]) -> list[tuple[object, ...]]:
    return [(m.id, m.t0_s, m.t1_s, m.text) for m in messages if isinstance(m, Observation)]
