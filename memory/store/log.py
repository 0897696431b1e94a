"""The write-ahead log of a memory file, and what is done where somebody else cuts it or takes it away.

SQLite takes its log for its own. Of one that was cut it reads what is there no more, and what it appends behind the
hole is gone at the next opening, though it was committed. So a process that finds its log cut writes nothing more and
ends, and what was lost is perceived again, or known as a gap. The file must not fall behind the log, either: where
pages of later commits are in the file already, an earlier part of the log would mix two states.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from contextlib import suppress
from pathlib import Path

# sqlite.org/walformat.html: of the log a head of 32 bytes and one of 24 before each page, with the same salt in both;
# of its index the head twice, and then how many pages are in the file already, and how many may be.
_HEAD_BYTES, _FRAME_BYTES = 32, 24
_HEAD = struct.Struct(">I4xI4x8s8x")
_MAGIC = (0x377F0682, 0x377F0683)
_INDEX_HEAD_BYTES = 48
_IN_FILE_AT, _MAY_BE_IN_FILE_AT, _INDEX_BYTES = 96, 128, 136


class WriteAheadLog:
    """The log as the one process that writes it left it."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + "-wal")
        self._left = (0, 0)

    def size_bytes(self) -> int:
        return self._look()[1]

    def note(self) -> None:
        """So it is now, and by nobody but us."""
        self._left = self._look()

    @property
    def is_cut(self) -> bool:
        """Whether something is gone that was left in it."""
        file, size = self._look()
        return size < self._left[1] or bool(self._left[1] and file != self._left[0])

    def _look(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return 0, 0
        return found.st_ino, found.st_size


def drop_outdated_log(database: Path) -> None:
    """Before anybody opens a file whose last process did not close it: take away a log that was cut so far that the
    file holds later commits than what is left of it. Nobody of this process has it open: SQLite's locks would go with
    the descriptors that are closed here.

    Raises:
        sqlite3.DatabaseError: it was cut while it was being folded into the file, which then holds parts of commits.
    """
    log, index = database.with_name(database.name + "-wal"), database.with_name(database.name + "-shm")
    with suppress(FileNotFoundError), log.open("rb") as file:
        told = index.read_bytes()[:_INDEX_BYTES]
        if len(told) < _INDEX_BYTES or told[:_INDEX_HEAD_BYTES] != told[_INDEX_HEAD_BYTES : 2 * _INDEX_HEAD_BYTES]:
            return
        (in_file,), (may_be,) = (struct.unpack_from("=I", told, at) for at in (_IN_FILE_AT, _MAY_BE_IN_FILE_AT))
        there = _frames(file.fileno())
        if there >= max(in_file, may_be):
            return
        if in_file < may_be:
            raise sqlite3.DatabaseError(f"malformed: {log.name} was cut while it was needed")
        log.unlink()


def _frames(log: int) -> int:
    """How many pages of the log follow each other from its begin."""
    head = os.pread(log, _HEAD_BYTES, 0)
    if len(head) < _HEAD_BYTES:
        return 0
    magic, page_bytes, salt = _HEAD.unpack(head)
    if magic not in _MAGIC:
        return 0
    n = 0
    while True:
        at = _HEAD_BYTES + n * (_FRAME_BYTES + page_bytes)
        frame = os.pread(log, _FRAME_BYTES + page_bytes, at)
        if len(frame) < _FRAME_BYTES + page_bytes or frame[8:16] != salt:
            return n
        n += 1
