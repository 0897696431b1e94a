"""The crash benchmark sees what it is there to see: each kind of damage a kill could do is counted."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from benchmarks.crash import Tally, examine
from benchmarks.memory_process import Stream
from memory.store.batch import Batch
from tests.fixtures.memory_cases import memory_of


def written(directory: Path, n: int) -> Path:
    stream = Stream("camera", 100.0, picture_bytes=100)
    store = memory_of(directory, Batch(observations=tuple(stream.next() for _ in range(n))))
    store.close()
    return directory


def damage(directory: Path, statement: str) -> None:
    with sqlite3.connect(directory / "memory.db") as plain:
        plain.execute(statement)


def test_a_whole_memory_counts_nothing(tmp_path: Path) -> None:
    tally = Tally()
    examine(written(tmp_path, 40), acknowledged=40, due=40, tally=tally)
    assert tally == Tally()


def test_what_was_acknowledged_or_a_second_old_and_is_not_there_is_lost(tmp_path: Path) -> None:
    tally = Tally()
    examine(written(tmp_path, 40), acknowledged=43, due=42, tally=tally)
    assert (tally.lost_acknowledged, tally.lost_after_1_s, tally.half, tally.corrupt) == (3, 2, 0, 0)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM payloads WHERE seq = 5",
        "DELETE FROM vectors WHERE seq = 9",
        "DELETE FROM unsealed WHERE seq = 3",
        "DELETE FROM observations WHERE seq = 7",
    ],
)
def test_an_observation_without_a_part_of_it_is_half(tmp_path: Path, statement: str) -> None:
    directory, tally = written(tmp_path, 40), Tally()
    damage(directory, statement)
    examine(directory, acknowledged=0, due=0, tally=tally)
    assert tally.half >= 1 and tally.corrupt == 0


def test_a_file_that_does_not_open_is_corrupt(tmp_path: Path) -> None:
    directory, tally = written(tmp_path, 40), Tally()
    path = directory / "memory.db"
    path.write_bytes(path.read_bytes()[:100] + bytes(path.stat().st_size - 100))
    examine(directory, acknowledged=0, due=0, tally=tally)
    assert tally.corrupt == 1
