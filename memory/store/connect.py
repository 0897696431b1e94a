"""Connections to a memory file: by Python's own SQLite, or by SQLCipher's where the memory is encrypted.

Both speak one interface (PEP 249), but raise errors of their own: whoever catches any catches both.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as sqlcipher

from runtime.encryption import Key

BUSY_TIMEOUT_S = 5.0
SQL_ERRORS = (sqlite3.Error, sqlcipher.Error)
DATABASE_ERRORS = (sqlite3.DatabaseError, sqlcipher.DatabaseError)
OPERATIONAL_ERRORS = (sqlite3.OperationalError, sqlcipher.OperationalError)
VALUE_ERRORS = (
    sqlite3.IntegrityError, sqlite3.InterfaceError, sqlcipher.IntegrityError, sqlcipher.InterfaceError, OverflowError,
)  # fmt: skip
# mmap: pages of the index are read without copying them through our own cache; encrypted ones cannot be.
_READER_PRAGMAS = ("PRAGMA query_only=ON", f"PRAGMA cache_size=-{8 << 10}", f"PRAGMA mmap_size={2 << 30}")


def connect(path: Path, mode: str, key: Key | None = None) -> sqlite3.Connection:
    """A connection to a file; ``key``: it is encrypted by it, or shall be if it is new."""
    connection = _open(sqlcipher if key else sqlite3, path, mode)
    if key:
        _unlock(connection, key)
    return connection


def _open(driver: Any, path: Path, mode: str) -> sqlite3.Connection:
    # One thread at a time uses a connection, but not always the same one of a pool.
    connection: sqlite3.Connection = driver.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    return connection


def _unlock(connection: sqlite3.Connection, key: Key) -> None:
    connection.execute(f'PRAGMA key="{key.literal}"')
    connection.execute("PRAGMA cipher_log_level=NONE")  # it would write to standard error; what fails is raised


def open_reader(path: Path, key: Key | None = None, is_idle: bool = False) -> sqlite3.Connection:
    """A read-only connection to a memory file; to one that is ``is_idle``, which nobody writes, none that makes files
    beside it."""
    connection = connect(path, "ro&immutable=1" if is_idle else "ro", key)
    for pragma in _READER_PRAGMAS:
        connection.execute(pragma)
    return connection


def copy_as(path: Path, key: Key | None, target: Path, new_key: Key | None) -> None:
    """Copy a memory file that nobody else has open, its log folded in, to one of another key, or of none."""
    connection = _open(sqlcipher, path, "rw")
    try:
        if key:
            _unlock(connection, key)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("ATTACH DATABASE ? AS copy KEY ?", (str(target), new_key.literal if new_key else ""))
        connection.execute("PRAGMA copy.auto_vacuum=INCREMENTAL")
        connection.execute("SELECT sqlcipher_export('copy')").fetchall()
        for name in ("application_id", "user_version"):  # what stands in the head of a file is no table's
            (value,) = connection.execute(f"PRAGMA main.{name}").fetchone()
            connection.execute(f"PRAGMA copy.{name}={value}")
        connection.execute("DETACH DATABASE copy")
    finally:
        connection.close()
