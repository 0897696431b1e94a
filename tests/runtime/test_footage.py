"""Footage as files: found by their names, trimmed to a budget and an age, marked, erased whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime.footage import (
    close_abandoned,
    erase,
    folder_of,
    mark,
    note_keeping,
    segment_name,
    segments,
    touching,
    trim,
    trim_all,
)
from runtime.messages import Keeping, TimeWindow

FIRST, SECOND, OTHER = "door@2026-11-29T10:00:00", "door@2026-11-30T10:00:00", "yard@2026-11-30T10:00:00"
NOW_S = 1_800_000_000.0


def put(root: Path, source: str, t0_s: float, t1_s: float | None, age_s: float = 0.0, size: int = 100) -> Path:
    folder = folder_of(root, source)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / segment_name(t0_s, t1_s)
    path.write_bytes(b"x" * size)
    os.utime(path, (NOW_S - age_s, NOW_S - age_s))
    return path


def names(root: Path) -> list[str]:
    return [f"{s.source.partition('@')[0]} {s.t0_s:g}" for s in segments(root)]


def test_each_source_is_trimmed_as_its_newest_session_noted_also_where_it_is_watched_no_more(tmp_path: Path) -> None:
    put(tmp_path, FIRST, 0.0, 10.0, age_s=3000)
    put(tmp_path, SECOND, 0.0, 10.0, age_s=200)
    put(tmp_path, OTHER, 0.0, 10.0, age_s=9000)
    note_keeping(tmp_path, FIRST, Keeping(bytes=1000, age_s=86_400.0))
    note_keeping(tmp_path, SECOND, Keeping(bytes=1000, age_s=1000.0))
    trim_all(tmp_path, NOW_S)
    assert names(tmp_path) == ["door 0", "yard 0"]
    (tmp_path / SECOND / "keeping.json").write_bytes(b"{")
    trim_all(tmp_path, NOW_S)
    trim_all(tmp_path / "none", NOW_S)
    assert names(tmp_path) == ["door 0", "yard 0"]


def test_what_touches_a_stretch_is_found_also_while_it_is_written(tmp_path: Path) -> None:
    for t0_s, t1_s in ((0.0, 10.0), (10.0, 20.0), (20.0, None)):
        put(tmp_path, FIRST, t0_s, t1_s)
    put(tmp_path, OTHER, 0.0, 10.0)
    (tmp_path / FIRST / "notes.mkv").touch()
    assert [s.t0_s for s in touching(tmp_path, FIRST, 5.0, 9.0)] == [0.0]
    assert [s.t0_s for s in touching(tmp_path, FIRST, 10.0, 10.0)] == [0.0, 10.0]
    assert [(s.t0_s, s.is_open) for s in touching(tmp_path, FIRST, 90.0, 95.0)] == [(20.0, True)]


def test_erasing_takes_whole_files_of_that_source_alone_and_its_marks(tmp_path: Path) -> None:
    for t0_s, t1_s in ((0.0, 10.0), (10.0, 20.0), (30.0, None)):
        put(tmp_path, FIRST, t0_s, t1_s)
    put(tmp_path, OTHER, 0.0, 40.0)
    mark(tmp_path, FIRST, 12.0, 13.0)
    assert erase(tmp_path, [TimeWindow(source=FIRST, t0_s=12.0, t1_s=35.0)]) == 2
    assert names(tmp_path) == ["door 0", "yard 0"]
    assert not list((tmp_path / FIRST / "marks").iterdir())
    assert erase(tmp_path, [TimeWindow(source="talk.mp4", t0_s=0.0, t1_s=9.0)]) == 0


def test_the_oldest_goes_first_across_sessions_and_other_sources_are_left(tmp_path: Path) -> None:
    put(tmp_path, FIRST, 0.0, 10.0, age_s=3000)
    put(tmp_path, SECOND, 0.0, 10.0, age_s=200)
    put(tmp_path, SECOND, 10.0, 20.0, age_s=100)
    put(tmp_path, SECOND, 20.0, None)
    put(tmp_path, OTHER, 0.0, 10.0, age_s=9000)
    trim(tmp_path, "door", Keeping(bytes=250, age_s=86_400.0), NOW_S)
    assert names(tmp_path) == ["door 0", "door 10", "door 20", "yard 0"]
    assert not list((tmp_path / FIRST).glob("*.mkv"))
    trim(tmp_path, "door", Keeping(bytes=250, age_s=150.0), NOW_S)
    assert names(tmp_path) == ["door 10", "door 20", "yard 0"]


def test_what_is_marked_outlasts_the_rest_up_to_a_budget_of_its_own(tmp_path: Path) -> None:
    for t0_s in (0.0, 100.0, 200.0, 300.0):
        put(tmp_path, FIRST, t0_s, t0_s + 10.0, age_s=90_000 - t0_s)
    mark(tmp_path, FIRST, 105.0, 106.0)
    mark(tmp_path, FIRST, 205.0, 206.0)
    trim(tmp_path, "door", Keeping(bytes=1000, age_s=86_400.0, marked_bytes=1000), NOW_S)
    assert names(tmp_path) == ["door 100", "door 200"]
    trim(tmp_path, "door", Keeping(bytes=1000, age_s=86_400.0, marked_bytes=150), NOW_S)
    assert names(tmp_path) == ["door 200"]


def test_nothing_is_kept_where_nothing_may_be_and_half_a_file_is_none(tmp_path: Path) -> None:
    put(tmp_path, FIRST, 0.0, 10.0)
    put(tmp_path, SECOND, 0.0, None)
    close_abandoned(tmp_path, SECOND)
    assert names(tmp_path) == ["door 0"]
    trim(tmp_path, "door", Keeping(), NOW_S)
    assert names(tmp_path) == []


@pytest.mark.parametrize("source", ["talk.mp4", "../door@2026-11-29T10:00:00", ".door@2026-11-29T10:00:00", ""])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, source: str) -> None:
    with pytest.raises(ValueError, match="no live source"):
        folder_of(tmp_path, source)
    with pytest.raises(ValueError, match="no live source"):
        mark(tmp_path, source, 0.0, 1.0)
