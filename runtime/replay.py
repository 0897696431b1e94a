"""Replaying recorded files: what to call them, where they stand, and when a moment is reached.

Files are replayed one after another; each is a source of its own, named by its file name. Memory knows
what it already holds: a recording it has in full is not perceived again, one it has in part is resumed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

from msgspec import Struct

from runtime.broadcast import Broadcast
from runtime.messages import LOST_MARK, SourceRecord, Stored
from runtime.plan import FileSource
from runtime.printable import printable


class Recording(Struct, frozen=True):
    """A media file to replay. Times in seconds; ``duration_s`` None when the container does not say. ``former`` is the
    fingerprint that an older version gave it."""

    path: str
    fingerprint: str
    started_wall_s: float
    duration_s: float | None
    missing: str = ""
    former: str = ""


class SourcePlan(Struct, frozen=True):
    """One recording with its source name and its place on the replay's timeline."""

    source: str
    recording: Recording
    timeline_s: float
    remembered_s: float | None = None
    complete: bool = False

    def as_work(self) -> FileSource:
        """What the perceiving processes are told of it."""
        return FileSource(
            source=self.source,
            path=self.recording.path,
            fingerprint=self.recording.fingerprint,
            started_wall_s=self.recording.started_wall_s,
            duration_s=self.recording.duration_s,
            timeline_s=self.timeline_s,
        )


def plan_sources(recordings: Iterable[Recording], known: Iterable[SourceRecord]) -> list[SourcePlan]:
    """Name the recordings: the file's name, with a mark of its content where another file has the name."""
    records = tuple(known)
    names = {record.source: record.fingerprint for record in records}
    plans: dict[str, SourcePlan] = {}
    timeline_s = 0.0
    for recording in recordings:
        if recording.fingerprint in plans:
            continue  # the same recording given twice
        record = record_of(recording, records)
        if record is not None:
            name = record.source
        else:
            name = plain = printable(Path(recording.path).name, in_line=True)
            marks = _marks(recording.fingerprint)
            while names.get(name, recording.fingerprint) != recording.fingerprint:
                # Whoever made an imported archive may have named a source of it so, too.
                name = f"{plain}~{next(marks)}"
        names[name] = recording.fingerprint
        complete = record is not None and is_complete(record)
        remembered_s = None if record is None else _remembered_s(record)
        plans[recording.fingerprint] = SourcePlan(name, recording, timeline_s, remembered_s, complete)
        timeline_s += recording.duration_s or 0.0
    return list(plans.values())


def record_of(recording: Recording, known: Iterable[SourceRecord]) -> SourceRecord | None:
    """What memory knows of a recording. Of one perceived by an older version only where its name is the same as well:
    those gave some recordings the same fingerprint."""
    former = None
    for record in known:
        if record.fingerprint == recording.fingerprint:
            return record
        if record.fingerprint == recording.former and Path(record.uri).name == Path(recording.path).name:
            former = record
    return former


def _remembered_s(record: SourceRecord) -> float:
    """Media seconds up to which all tracks are in memory that the recording has."""
    there = [t_s for track, t_s in record.watermarks.items() if not record.missing.get(track)]
    return min(there or record.watermarks.values(), default=0.0)


def _marks(fingerprint: str) -> Iterator[str]:
    """Ever other marks of a recording, the shortest first."""
    for length in range(min(6, len(fingerprint)), len(fingerprint) + 1):
        yield fingerprint[:length]
    for number in count(2):
        yield f"{fingerprint}-{number}"


def is_complete(record: SourceRecord) -> bool:
    """Whether nothing more can be perceived of a source: every track ended by itself."""
    lost = any(reason.startswith(LOST_MARK) for reason in record.ended.values())
    return bool(record.ended) and set(record.watermarks) <= set(record.ended) and not lost


class Watermarks:
    """How far memory is, as told by its `Stored` messages; tasks wait here for a moment to be reached."""

    def __init__(self) -> None:
        self.stored = Stored(generation=0, watermarks={})
        self._changed = Broadcast()

    def update(self, stored: Stored) -> None:
        self.stored = stored
        self._changed.notify()

    def reached(self, source: str, t_s: float) -> bool:
        """Whether everything of ``source`` up to ``t_s`` is in memory, or nothing more will come.

        A watermark of 0.0 may be that of a source of which nothing has come yet.
        """
        watermark_s = self.stored.watermarks.get(source, 0.0)
        return source in self.stored.ended or (watermark_s > 0.0 and watermark_s >= t_s)

    async def wait_for(self, source: str, t_s: float) -> None:
        await self._changed.until(lambda: self.reached(source, t_s))

    async def wait_for_end(self, sources: Iterable[str]) -> None:
        for source in sources:
            await self._changed.until(functools.partial(self._has_ended, source))

    def _has_ended(self, source: str) -> bool:
        return source in self.stored.ended
