"""Work that takes long says that it gets on, so that nobody takes it for a standstill."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from memory.archive.exporter import export_memory
from memory.archive.importer import import_memory
from memory.erasure.forget import forget
from memory.store import database
from memory.store.database import Store
from memory.store.migrations import MIGRATIONS, SCHEMA, migrate
from runtime.messages import ExportRequest, ForgetRequest, ImportRequest
from tests.fixtures.memory_cases import memory_of, say, stream


def talk(directory: Path, n: int = 400) -> Store:
    said = [say(float(t), t + 0.5, f"sentence {t} of the harbour") for t in range(n)]
    return memory_of(directory, stream(*said, end_s=float(n)))


@pytest.fixture
def progress(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a store told; SQLite speaks up after a thousandth of the steps."""
    monkeypatch.setattr(database, "PROGRESS_STEPS", 100)
    return []


def told_by(progress: list[str], work: Callable[[], object]) -> int:
    """How often ``work`` said that it gets on."""
    progress.clear()
    work()
    return len(progress)


def test_an_import_and_erasing_get_on(tmp_path: Path, progress: list[str]) -> None:
    first = talk(tmp_path / "first")
    reader = first.reader()
    export_memory(reader, ExportRequest(path=str(tmp_path / "archive.zip")))
    reader.close()
    first.close()
    store = Store(tmp_path / "second", progress=progress.append)
    request = ImportRequest(path=str(tmp_path / "archive.zip"), trusted=True)
    assert told_by(progress, lambda: import_memory(store, request)) > 50
    assert told_by(progress, lambda: forget(store, ForgetRequest(text="harbour"))) > 50
    assert set(progress) == {""}
    store.close()


def test_a_file_of_an_older_version_says_which_step_it_is_at(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    told: list[str] = []
    with monkeypatch.context() as older:
        older.setattr("memory.store.migrations.MIGRATIONS", MIGRATIONS[:-2])
        migrate(connection, 0, told.append)
    assert told == []
    migrate(connection, SCHEMA - 2, told.append)
    assert told == ["bringing it up to date, step 1 of 2", "bringing it up to date, step 2 of 2"]


def test_a_memory_that_is_indexed_anew_says_how_far_it_is(tmp_path: Path, progress: list[str]) -> None:
    store = talk(tmp_path)
    with store.write() as writing:
        writing.connection.execute("UPDATE memory SET value=0 WHERE key='analysis'")
    store.close()
    Store(tmp_path, progress=progress.append).close()
    assert "indexing it anew, 0 % done" in progress
    assert progress.count("") > 20
