"""Footage in an archive: which files of what live sources sent go out with it, and which come in.

Out goes what is finished, shows nothing that was forgotten and no region that is private by now. In comes what has
room beside what is there, never what was forgotten here, and of somebody else's archive never footage of a camera of
one's own. Files are copied beside memory first and take their places once the rest of the archive is committed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from memory.archive.format import FOOTAGE_FILE, ArchivedFootage
from memory.archive.reading import Archive
from memory.store.admission import is_time
from runtime.errors import StoreError
from runtime.footage import (
    FOOTAGE,
    Segment,
    around_s,
    blanked_in,
    folder_of,
    held,
    mark,
    note_keeping,
    segment_name,
    segments,
)
from runtime.messages import Keeping, SourceRecord
from runtime.sources import Rect, session_of

# In the memory folder: files of an archive that is being taken in.
STAGED = "footage-import"
# Ours are of ten seconds; of a camera that sends few key pictures longer.
MAX_STRETCH_S, MAX_BYTES = 120.0, 64 << 20
MAX_FILES = 200_000
_CHUNK_BYTES = 1 << 20
# How a Matroska file begins. Anything else under that name a player might take for a list of other files.
_EBML, _KIND, _HEAD_BYTES = b"\x1a\x45\xdf\xa3", b"matroska", 64

# Source -> (channel or "" for all, t0_s, t1_s) of what was forgotten of it.
Stones = Mapping[str, Sequence[tuple[str, float, float]]]


class Outgoing:
    """What of the footage in the memory folder an archive may hold; ``left_out`` counts what it may not."""

    def __init__(self, directory: Path, private: Mapping[str, Sequence[Rect]], stones: Stones) -> None:
        self._root = directory / FOOTAGE
        self._private = private
        self._stones = stones
        self.left_out: Counter[str] = Counter()

    def segments(self, sources: Iterable[str]) -> Iterator[tuple[Segment, bool]]:
        """Finished files of these sources, and whether each is marked."""
        for label in dict.fromkeys(session_of(source)[0] for source in sources):
            blank = frozenset(self._private.get(label, ()))
            for marked, files in held(self._root, label).items() if label else ():
                for _, segment in files:
                    if was_forgotten(self._stones, segment.source, segment.t0_s, segment.t1_s):
                        self.left_out["forgotten footage"] += 1
                    elif blank <= blanked_in(segment.path.parent):
                        yield segment, marked
                    else:
                        self.left_out["footage whose private regions are not blanked yet"] += 1


def was_forgotten(stones: Stones, source: str, t0_s: float, t1_s: float) -> bool:
    """Whether a stretch shows something that was forgotten."""
    return any(
        stone_t0_s - around_s(channel) <= t1_s and stone_t1_s + around_s(channel) >= t0_s
        for channel, stone_t0_s, stone_t1_s in stones.get(source, ())
    )


def check(record: ArchivedFootage, sources: Mapping[str, SourceRecord], ends_s: Mapping[str, float]) -> None:
    """Whether a record of footage is within bounds.

    Raises:
        ValueError: it is not.
    """
    name = f"footage of {record.source[:80]!r}"
    known = sources.get(record.source)
    if known is None or known.kind == "file" or len(record.source) > 200:
        raise ValueError(f"{name}: no live source in it is called so")
    folder_of(Path(), record.source)
    times = is_time(record.t0_s) and is_time(record.t1_s) and record.t1_s <= ends_s[record.source]
    if not times or not 0.0 < record.t1_s - record.t0_s <= MAX_STRETCH_S:
        raise ValueError(f"{name}: its time is wrong")
    if not FOOTAGE_FILE.fullmatch(record.file):
        raise ValueError(f"{name}: {record.file[:80]!r} is no footage of an archive")


class Intake:
    """The footage of one archive on its way into the memory folder; ``most`` bytes of it in all."""

    def __init__(self, archive: Archive, directory: Path, keeping: Keeping, most: float) -> None:
        self._archive = archive
        self._root = directory / FOOTAGE
        self._staged = directory / STAGED
        self._keeping = keeping
        self._left = most
        # (label, whether marked) -> bytes that are still to be had.
        self._room: dict[tuple[str, bool], int] = {}
        self._taken: list[tuple[ArchivedFootage, float]] = []
        self.left_out: Counter[str] = Counter()

    def stage(
        self, records: Sequence[ArchivedFootage], sources: Mapping[str, SourceRecord], stones: Stones, own: set[str]
    ) -> None:
        """Copy what is taken beside memory, the newest of each source first as far as there is room.

        own  labels of which footage is not taken.

        Raises:
            ValueError: a file is not what its record says.
            StoreError: there is no room on the disk.
        """
        began_s = {source: record.started_wall_s for source, record in sources.items()}
        newest_s: dict[str, float] = {}
        there = {source: segments(self._root, source) for source in {record.source for record in records}}
        for record in sorted(records, key=lambda r: (r.t1_s + began_s[r.source], r.source), reverse=True):
            self._archive.progressed()
            label, ends_s = session_of(record.source)[0], record.t1_s + began_s[record.source]
            if label in own:
                self.left_out["footage of sources of your own"] += 1
            elif was_forgotten(stones, record.source, record.t0_s, record.t1_s):
                self.left_out["forgotten footage"] += 1
            elif not _holds(there[record.source], record):
                age_s = newest_s.setdefault(label, ends_s) - ends_s
                if self._has_room(label, record, age_s):
                    self._copy(record)
                    self._left -= record.bytes
                    self._room[label, record.marked] -= record.bytes
                    self._taken.append((record, age_s))
                else:
                    self.left_out["footage beyond what is kept (perception.live.footage)"] += 1

    def settle(self) -> int:
        """Put what was staged in its place; how many files."""
        now_s, n = time.time(), 0
        for record, age_s in self._taken:
            folder = folder_of(self._root, record.source)
            staged = self._staged / Path(record.file).name
            # It is kept for as long as if its newest had been recorded now.
            os.utime(staged, (now_s - age_s, now_s - age_s))
            note_keeping(self._root, record.source, self._keeping)
            staged.replace(folder / segment_name(record.t0_s, record.t1_s))
            if record.marked:
                mark(self._root, record.source, record.t0_s, record.t1_s, around_s=0.0)
            n += 1
        return n

    def clear(self) -> None:
        clear_staged(self._staged.parent)

    def _has_room(self, label: str, record: ArchivedFootage, age_s: float) -> bool:
        """Whether a file fits beside what is there and what was taken of a label."""
        if not record.marked and age_s > self._keeping.age_s:
            return False
        if (label, record.marked) not in self._room:
            most = {False: self._keeping.bytes, True: self._keeping.marked_bytes}
            for marked, files in held(self._root, label).items():
                self._room[label, marked] = most[marked] - sum(segment.bytes for _, segment in files)
        return record.bytes <= min(self._room[label, record.marked], self._left)

    def _copy(self, record: ArchivedFootage) -> None:
        """Copy a file out of the archive, and see that it is the one that is meant."""
        digest, left, head = hashlib.sha256(), min(record.bytes, MAX_BYTES), b""
        with self._archive.open(record.file) as file:
            try:
                self._staged.mkdir(mode=0o700, exist_ok=True)
                with (self._staged / Path(record.file).name).open("xb") as out:
                    while chunk := file.read(min(_CHUNK_BYTES, left + 1)):
                        left -= len(chunk)
                        if left < 0:
                            raise ValueError(f"{record.file} is larger than its record says, or than footage may be")
                        head = head or chunk[:_HEAD_BYTES]
                        digest.update(chunk)
                        out.write(chunk)
                        self._archive.progressed()
            except FileExistsError:
                raise ValueError(f"{record.file} is named twice") from None
            except OSError as error:
                raise StoreError(f"footage cannot be kept: {error.strerror or error}; nothing was imported") from error
        if digest.hexdigest() != record.sha256:
            raise ValueError(f"{record.file} has another checksum than its record says")
        if not head.startswith(_EBML) or _KIND not in head:
            raise ValueError(f"{record.file} is no Matroska file")


def _holds(there: Sequence[Segment], record: ArchivedFootage) -> bool:
    """Whether files of a source, in order and one after the other, hold something of a stretch already."""
    before = bisect_left(there, record.t1_s, key=lambda segment: segment.t0_s)
    return before > 0 and there[before - 1].t1_s > record.t0_s


def clear_staged(directory: Path) -> None:
    """Remove what an import that was killed left in the memory folder."""
    shutil.rmtree(directory / STAGED, ignore_errors=True)
