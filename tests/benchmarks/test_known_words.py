"""How words are counted as misheard, and which recordings of a media folder have known words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.known_words import english, misheard, without_speech, words_of


@pytest.mark.parametrize(
    ("said", "heard", "wrong"),
    [
        ("the keys are here", "the keys are here", 0),
        ("the keys are here", "the bees are here", 1),
        ("the keys are here", "keys are here", 1),
        ("the keys are here", "the keys they are here now", 2),
        ("the keys are here", "", 4),
        ("", "who is there", 3),
    ],
)
def test_words_replaced_left_out_and_put_in_count_once_each(said: str, heard: str, wrong: int) -> None:
    assert misheard(words_of(said), words_of(heard)) == wrong


def test_ways_of_writing_are_no_mishearing() -> None:
    assert words_of("Mr. O’Neill's train, at 7!") == words_of("mister oneills train at seven")


def test_recordings_are_told_by_what_is_known_of_them(tmp_path: Path) -> None:
    (tmp_path / "lines.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nGood morning\n\n2\n00:00 --> 00:01\nall\n")
    (tmp_path / "notes.json").write_text(json.dumps({"audio_notes": "Music.", "speech": [{"text": "Who is there?"}]}))
    (tmp_path / "some.json").write_text(json.dumps({"speech": [{"text": "known"}, {"text": None}]}))
    rows = [
        {"file": "a.wav", "language": "en", "transcript": "see lines.srt", "side_files": ["lines.srt"]},
        {"file": "b.wav", "language": "de", "transcript": "guten Tag"},
        {"file": "video/c.mp4", "annotation": "notes.json"},
        {"file": "video/d.mp4", "annotation": "some.json"},
        {"file": "audio/sounds/rain.wav"},
        {"file": "e.wav", "transcript": ""},
    ]
    (tmp_path / "INDEX.json").write_text(json.dumps({"files": rows}))
    known = [(spoken.path.name, spoken.words, spoken.film) for spoken in english(tmp_path)]
    assert known == [("a.wav", "Good morning all", False), ("c.mp4", "Who is there?", True)]
    assert [path.name for path in without_speech(tmp_path)] == ["rain.wav", "e.wav"]
