"""A memory whose disk cannot be written: it can be asked, and nothing is remembered of that."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from memory.index.blocks import is_indexed
from memory.store.connect import connect, open_reader
from memory.store.database import Store
from memory.store.folder import FILE_NAME, explained
from memory.store.levels import Budget
from memory.store.migrations import SCHEMA, schema_version
from runtime.encryption import Key
from runtime.errors import StoreError


class ReadOnlyStore(Store):
    """An open memory folder in which nothing is written: no lock, no log, no file."""

    def __init__(
        self,
        directory: Path,
        budget: Budget | None = None,
        progress: Callable[[str], None] = lambda text: None,
        key: Key | None = None,
    ) -> None:
        """Open the folder. Arguments as of `Store`.

        Raises:
            StoreError: it cannot be read as it is: damaged, not closed in order, of an older or a newer version.
        """
        self.directory = directory
        self.path = directory / FILE_NAME
        self.where = str(directory)
        self.budget = budget or Budget()
        self.key = key
        log = self.path.with_name(FILE_NAME + "-wal")
        if log.exists() and log.stat().st_size:
            raise StoreError(
                f"{self._refusal}, and the newest is in its log still; copy the folder to a disk that can be"
            )
        with explained(self.where):
            self._connection = connect(self.path, self.reading_mode, key)
            if schema_version(self._connection, self.where) < SCHEMA or not is_indexed(self._connection):
                self._connection.close()
                raise StoreError(
                    f"{self._refusal}, and it is an older version's; copy the folder to a disk that can be"
                )

    @property
    def _refusal(self) -> str:
        return f"memory {self.where}: it cannot be written"

    @property
    def reading_mode(self) -> str:
        """Of a file that nobody changes: SQLite makes none beside it."""
        return "ro&immutable=1"

    def write(self) -> NoReturn:
        """
        Raises:
            StoreError: always, as do all that would write.
        """
        raise StoreError(f"{self._refusal}; copy the folder to a disk that can be")

    def maintainer(self) -> NoReturn:
        self.write()

    def scrub(self, rewrite: bool = False) -> NoReturn:
        self.write()

    def reader(self) -> sqlite3.Connection:
        with explained(self.where):
            return open_reader(self.path, self.key, is_idle=True)

    def close(self) -> None:
        self._connection.close()
