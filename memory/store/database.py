"""The memory folder: one SQLite file in WAL mode, one writer, any number of readers.

`memory.db` is the truth, readable with any SQL tool (see `memory.store.migrations`); `memory.lock` names the
process that has it open. Every way in which a folder cannot be used is a `StoreError` of one line, found
before anything is written, so that old data stay untouched.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from memory.index.blocks import reindex
from memory.store.connect import BUSY_TIMEOUT_S, OPERATIONAL_ERRORS, connect, open_reader
from memory.store.decrypted import Decrypted, Readable
from memory.store.folder import FILE_NAME, explained, identity, lock_of_folder, remove_unfinished
from memory.store.free_space import zero_unused
from memory.store.levels import Budget
from memory.store.log import WriteAheadLog, drop_outdated_log
from memory.store.migrations import SCHEMA, migrate, schema_version
from memory.store.pending import PendingErasure
from memory.store.records import mend_progress
from memory.store.writing import Writing
from runtime.encryption import Key
from runtime.errors import RestartNeeded, StoreError

# For so long a file is looked through at opening (a few ms each MiB); what is left is the hourly check's.
CHECK_S = 1.0
# Steps of SQLite's virtual machine, some milliseconds, after each of which it says that it gets on.
PROGRESS_STEPS = 100_000
# Connections whose log was cut: to close the last one would fold what is left of the log into the file.
_LEFT_OPEN: list[sqlite3.Connection] = []
# The log is copied into the file when so many pages are in it: SQLite's own default.
COPIED_FROM_PAGES = 1000
# How long a commit waits for readers to finish with the write-ahead log before it leaves the log to the next commit.
FOLD_TIMEOUT_S = 1.0
FOLD_TRIES = 3

# synchronous=FULL: what is acknowledged survives a power cut too; at four commits a second its fsync is free.
# journal_size_limit: a long reader lets the WAL grow; it is cut back after.
_WRITER_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    f"PRAGMA journal_size_limit={16 << 20}",
    f"PRAGMA wal_autocheckpoint={COPIED_FROM_PAGES}",
    f"PRAGMA cache_size=-{16 << 10}",
    "PRAGMA foreign_keys=OFF",
    # What is deleted is overwritten, also where the full-text index merges its segments.
    "PRAGMA secure_delete=ON",
)


class Store:
    """An open memory folder. One thread writes; readers have connections of their own."""

    def __init__(
        self,
        directory: Path,
        budget: Budget | None = None,
        progress: Callable[[str], None] = lambda text: None,
        key: Key | None = None,
    ) -> None:
        """Open the folder, made if it is not there. After a commit the files are no larger than ``budget`` allows,
        if what is in them is not.

        ``progress`` is called again and again while anything is done here that may take long: with a text where there
        is something to tell of it, else with "". A file of an older version takes minutes. ``key``: memory is encrypted
        by it.

        Raises:
            StoreError: a file is in the way, it cannot be written, another process has it, it is damaged,
                or a newer program wrote it.
        """
        self.directory = directory
        self.path = directory / FILE_NAME
        self.where = str(directory)
        self.budget = budget or Budget()
        self.key = key
        self._progress = progress
        self._log = WriteAheadLog(self.path)
        with explained(self.where):
            self._lock = lock_of_folder(directory)
            try:
                remove_unfinished(directory)
                self._connection = self._open()
                self._file = identity(self.path)
                self.fold()  # what a process that was killed left in its log
                self._connection.execute("PRAGMA wal_autocheckpoint=0")  # only a log that was looked at is copied
            except BaseException:
                os.close(self._lock)
                raise
        self._raw: BinaryIO | None = None
        self._known_terms: set[str] = set()
        self.pending_erasure = PendingErasure()
        self.scrub_if_needed()  # where a process died before it could

    def _open(self) -> sqlite3.Connection:
        if self.path.exists() and self.path.stat().st_size:
            drop_outdated_log(self.path)
            with closing(connect(self.path, "ro", self.key)) as reader:
                schema_version(reader, self.where)
                until_s = time.monotonic() + CHECK_S
                reader.set_progress_handler(lambda: int(time.monotonic() > until_s), 10_000)
                with suppress(*OPERATIONAL_ERRORS):  # out of time
                    verdict = reader.execute("PRAGMA quick_check(1)").fetchone()[0]
                    if verdict != "ok":
                        raise sqlite3.DatabaseError(f"malformed: {verdict}")
        connection = connect(self.path, "rwc", self.key)
        try:
            version = schema_version(connection, self.where)
            if version == 0:
                # Freed pages can be given back to the file system later; must be set before the first table.
                connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            for pragma in _WRITER_PRAGMAS:
                connection.execute(pragma)
            connection.set_progress_handler(self.progressed, PROGRESS_STEPS)
            if version < SCHEMA:
                migrate(connection, version, self._progress)
            reindex(connection, self._progress)
            mend_progress(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def progressed(self) -> None:
        """What is being done gets on; SQLite says so by itself."""
        self._progress("")

    @property
    def reading_mode(self) -> str:
        """How the file is opened by who only reads it (SQLite's URI parameters)."""
        return "ro"

    @contextmanager
    def write(self) -> Iterator[Writing]:
        """One transaction, durable when the block ends, undone if it raises.

        Raises:
            StoreError: it could not be written (disk full, damaged, ...).
            RestartNeeded: the log was cut.
        """
        with self._explained():
            self._check_in_place()
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                writing = Writing(self._connection, self._known_terms, self.pending_erasure)
                yield writing
                writing.finish()
                self.check_log()
                self._connection.execute("COMMIT")
            except BaseException:
                self._known_terms.clear()
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            if not self._log.note_commit():
                self._check_in_place()
                raise self._cut()
            if self._log.size_bytes() > self.budget.log or self.size_bytes() > self.budget.total:
                self.fold()
            elif self._log.pages >= COPIED_FROM_PAGES:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def reader(self) -> sqlite3.Connection:
        """A new read-only connection; it never blocks the writer nor is blocked."""
        with self._explained():
            return open_reader(self.path, self.key)

    @contextmanager
    def maintainer(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own for what the thread that writes does to the file itself."""
        with self._explained():
            self.check_log()
            with closing(connect(self.path, "rw", self.key)) as connection:
                for pragma in _WRITER_PRAGMAS:
                    connection.execute(pragma)
                yield connection
            self._log.note_commit()

    def scrub(self, rewrite: bool = False) -> None:
        """Take out of the file, byte for byte, what was deleted: free pages are given back, the write-ahead log is
        emptied and what lies unused inside of pages is zeroed. ``rewrite`` copies the whole file anew instead; an
        encrypted one always, whose pages nobody but SQLCipher writes, and through the log alone.

        Raises:
            StoreError: it could not be done, disk full or another program reading the file; it is done at the next
                opening.
        """
        with self._explained():
            self.check_log()
            # As a script: of a single statement without columns the module makes one step, which frees one page.
            self._connection.executescript("VACUUM" if rewrite or self.key else "PRAGMA incremental_vacuum")
            self._begin_with_empty_log()
            try:
                if not self.key:
                    zero_unused(self._file_descriptor().fileno(), self.progressed)
                # Also tells connections that maintain the index that what they have read is out of date.
                self._connection.execute("UPDATE memory SET value=0 WHERE key='unscrubbed'")
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            # Pages read before would be written with what was in their gaps then.
            self._connection.execute("PRAGMA shrink_memory")
            self._log.note_commit()

    def _begin_with_empty_log(self) -> None:
        """Begin a transaction while everything is in the file and nothing in the write-ahead log."""
        for _ in range(FOLD_TRIES):
            if self._empty_log():
                self._connection.execute("BEGIN IMMEDIATE")
                if not self._log.size_bytes():
                    return
                self._connection.execute("ROLLBACK")
        raise StoreError(
            f"memory {self.where}: another program is reading it, so that its log still holds what was erased;"
            " end it, then forget once more"
        )

    def raw(self) -> Iterator[Readable]:
        """The file and its write-ahead log as the bytes they are, or would be if they were not encrypted.

        The file stays open until the store is closed: closing any descriptor of it would let go of SQLite's own locks
        on it (POSIX locks belong to the process), and the next program that looked into it and closed would take
        itself for the last one and remove the log that is written here
        (sqlite.org/howtocorrupt.html, "Posix advisory locks canceled by a separate thread doing close()").
        """
        file = self._file_descriptor()
        yield Decrypted(file, self.key) if self.key else file
        with suppress(FileNotFoundError), self.path.with_name(FILE_NAME + "-wal").open("rb") as log:
            yield Decrypted(log, self.key, is_log=True) if self.key else log

    def _file_descriptor(self) -> BinaryIO:
        if self._raw is None:
            self._raw = self.path.open("r+b", buffering=0)
        return self._raw

    def _check_in_place(self) -> None:
        """What is written into a file, or a log, that is no longer where it was would be lost unnoticed."""
        if identity(self.path) != self._file:
            raise StoreError(
                f"memory {self.where}: {FILE_NAME} was moved or removed while it was in use; put it back, or choose"
                " another folder with --memory"
            )
        self.check_log()

    def check_log(self) -> None:
        """For the thread that writes.

        Raises:
            RestartNeeded: somebody else has cut or removed the write-ahead log.
        """
        if self._log_is_cut:
            raise self._cut()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with explained(self.where):
                yield
        except StoreError:
            self.check_log()  # what a hole in it reads like is no matter for the user
            raise

    def _cut(self) -> RestartNeeded:
        return RestartNeeded(f"memory {self.where}: another program cut or removed the log of {FILE_NAME}")

    @property
    def _log_is_cut(self) -> bool:
        # A folder that was moved takes its log with it.
        return self._log.is_cut and identity(self.path) == self._file

    @property
    def is_unscrubbed(self) -> bool:
        """Whether bytes of what was removed may still lie in the file."""
        with self._explained():
            return bool(self._connection.execute("SELECT value FROM memory WHERE key='unscrubbed'").fetchone()[0])

    def scrub_if_needed(self) -> None:
        """Scrub where anything was removed since it was done last. Where it cannot be done now, it is at the next
        opening."""
        with suppress(StoreError):
            if self.is_unscrubbed:
                self.scrub()

    def fold(self) -> bool:
        """Fold the write-ahead log into the file and cut both to what they hold; False if a reader was in the way."""
        self._connection.execute(f"PRAGMA busy_timeout={FOLD_TIMEOUT_S * 1000:.0f}")
        try:
            return self._empty_log()
        finally:
            self._connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000:.0f}")

    def _empty_log(self) -> bool:
        self.check_log()
        (is_read, *_) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not is_read:
            self._log.note_emptied()
        return not is_read

    def size_bytes(self) -> int:
        """Bytes on disk: the file with its free pages, and the write-ahead log with its index."""
        return sum(_size(self.path.with_name(FILE_NAME + suffix)) for suffix in ("", "-wal", "-shm"))

    def close(self) -> None:
        """Fold the write-ahead log into the file, leave nothing in it of what was removed, and let go of the folder."""
        try:
            if not self._log_is_cut:
                self.scrub_if_needed()
                with explained(self.where):
                    self._empty_log()
        finally:
            if self._log_is_cut:
                _LEFT_OPEN.append(self._connection)
            else:
                self._connection.close()
            if self._raw is not None:
                self._raw.close()
            os.close(self._lock)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
