"""The shape of memory.db: made whole, recognised, and never touched when it is not ours to touch."""

from __future__ import annotations

import sqlite3

import pytest

from memory.store.migrations import APPLICATION_ID, MIGRATIONS, SCHEMA, migrate, schema_version
from runtime.errors import StoreError


def test_an_empty_file_is_brought_to_the_newest_schema_one_migration_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    assert schema_version(connection, "here") == 0
    for number in range(SCHEMA):
        monkeypatch.setattr("memory.store.migrations.MIGRATIONS", MIGRATIONS[: number + 1])
        migrate(connection, number)
        assert schema_version(connection, "here") == number + 1
    assert schema_version(connection, "here") == SCHEMA == len(MIGRATIONS)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    assert {"sources", "tracks", "observations", "payloads", "vectors", "links", "spans", "publisher_seq"} <= tables


def test_a_newer_schema_is_refused_by_its_number() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, 0)
    connection.execute(f"PRAGMA user_version={SCHEMA + 1}")
    with pytest.raises(StoreError, match=rf"newer version \(schema {SCHEMA + 1}, this program knows {SCHEMA}\)"):
        schema_version(connection, "here")


def test_another_programs_database_is_refused() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE mine (a)")
    with pytest.raises(StoreError, match="not one of this program"):
        schema_version(connection, "here")


def test_a_migration_that_fails_leaves_the_version_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, 0)
    monkeypatch.setattr(
        "memory.store.migrations.MIGRATIONS", (*MIGRATIONS, "CREATE TABLE new (a); CREATE TABLE new (a)")
    )
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, SCHEMA)
    connection.execute("ROLLBACK")
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name='new'").fetchall()
