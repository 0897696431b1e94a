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
from typing import NamedTuple

# sqlite.org/walformat.html: of the log a head of 32 bytes and one of 24 before each page, with the same salt in both;
# of its index the head twice, and then how many pages are in the file already, and how many may be.
_HEAD_BYTES, _FRAME_BYTES = 32, 24
_HEAD = struct.Struct(">I4xI4x8s8x")
_MAGIC = (0x377F0682, 0x377F0683)
_INDEX_HEAD_BYTES = 48
_IN_FILE_AT, _MAY_BE_IN_FILE_AT, _INDEX_BYTES = 96, 128, 136


class _Head(NamedTuple):
    """What the head of a log says of the pages in it."""

    page_bytes: int
    salt: bytes

    @classmethod
    def of(cls, log: int) -> _Head | None:
        """None where there is none."""
        data = os.pread(log, _HEAD_BYTES, 0)
        if len(data) < _HEAD_BYTES:
            return None
        magic, page_bytes, salt = _HEAD.unpack(data)
        return cls(page_bytes, salt) if magic in _MAGIC else None

    def is_there(self, log: int, n: int) -> bool:
        """Whether page ``n`` of the log is there, counted from 0."""
        return bool(self._frame(log, n))

    def count(self, log: int, n: int = 0) -> int:
        """How many pages of commits follow each other from the begin; ``n`` of them are known to. What a transaction
        left that was undone ends no commit."""
        committed = n
        while frame := self._frame(log, n):
            n += 1
            if any(frame[4:8]):  # how large the file is after a commit
                committed = n
        return committed

    def _frame(self, log: int, n: int) -> bytes:
        at = _HEAD_BYTES + n * (_FRAME_BYTES + self.page_bytes)
        frame = os.pread(log, _FRAME_BYTES, at)
        is_whole = frame[8:16] == self.salt and os.fstat(log).st_size >= at + _FRAME_BYTES + self.page_bytes
        return frame if is_whole else b""


class WriteAheadLog:
    """The log as the one process that writes it left it; ``pages`` that it then held of commits."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + "-wal")
        self._inode = 0
        self._salt = b""
        self.pages = 0

    def size_bytes(self) -> int:
        try:
            return self._path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return 0

    @property
    def is_cut(self) -> bool:
        """Whether something is gone of what was noted."""
        if not self.pages:
            return False
        try:
            with self._path.open("rb") as file:
                head = _Head.of(file.fileno())
                if head is None or os.fstat(file.fileno()).st_ino != self._inode:
                    return True
                # Of another salt it was begun anew, by us: what was in it is in the file.
                return head.salt == self._salt and not head.is_there(file.fileno(), self.pages - 1)
        except (FileNotFoundError, NotADirectoryError):
            return True

    def note_commit(self) -> bool:
        """Note what was added to it; False where that cannot be found behind what was there: it was cut meanwhile."""
        if self.is_cut:
            return False
        try:
            with self._path.open("rb") as file:
                head = _Head.of(file.fileno())
                if head is None:
                    return False
                before = self.pages if head.salt == self._salt else 0
                frames = head.count(file.fileno(), before)
                self._inode, self._salt, self.pages = os.fstat(file.fileno()).st_ino, head.salt, frames
                return frames > before
        except (FileNotFoundError, NotADirectoryError):
            return False

    def note_emptied(self) -> None:
        """All of it is in the file."""
        self.pages = 0


def committed_bytes(log: Path) -> int:
    """How much of a log is of commits that are not all in the file; the rest is of before it was begun anew."""
    with suppress(FileNotFoundError), log.open("rb") as file:
        if head := _Head.of(file.fileno()):
            return _HEAD_BYTES + head.count(file.fileno()) * (_FRAME_BYTES + head.page_bytes)
    return 0


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
        head = _Head.of(file.fileno())
        there = head.count(file.fileno()) if head else 0
        if there >= max(in_file, may_be):
            return
        if in_file < may_be:
            raise sqlite3.DatabaseError(f"malformed: {log.name} was cut while it was needed")
        log.unlink()
