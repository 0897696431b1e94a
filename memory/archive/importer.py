"""Import: an archive is taken in whole or not at all, and nobody else's archive decides what the agent perceives.

It is read through once before a row is written: typed, within bounds, in times of its sources. Then it is one
transaction. What is `--trusted` is the user's own and comes in as it was. Of any other archive only what it tells comes
in, believed less, and no control: its sources are its own (another fingerprint keeps a recording that is perceived here
from being taken for one of them), it ends no track and advances none of what is perceived here, and its erasures
refuse nothing here.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import msgspec

from memory.archive.footage import MAX_FILES, Intake, check
from memory.archive.format import (
    ERASURES,
    FOOTAGE_LIST,
    LISTS,
    MORE_LISTS,
    SOURCES,
    SPANS,
    TITLES,
    ArchivedErasure,
    ArchivedFootage,
    ArchivedTitle,
    size_of,
)
from memory.archive.reading import Archive, reading_from
from memory.store.admission import find_fault_of_source, find_fault_of_span, is_time, is_track
from memory.store.database import Store
from memory.store.reader import read_sources
from memory.store.writing import Writing
from runtime.errors import StoreError, UserError
from runtime.messages import (
    PERCEIVED_CHANNELS,
    ArchiveReply,
    ImportRequest,
    Keeping,
    SourceOpened,
    SourceRecord,
    Span,
)
from runtime.sources import session_of
from runtime.titles import set_title, titles
from runtime.trust import TRUST

# So many budgets may it hold when read out: an archive of a larger memory comes in, and what is worth least goes. Of
# footage as many times what is kept of one source, unless it is the user's own.
BUDGETS = 4
# What ends after its source did, by an announced length or a watermark, is of another one.
AFTER_END_S = 180.0
FOREIGN = "imported:"


def import_memory(
    store: Store, request: ImportRequest, fit: Callable[[Writing], None] = lambda writing: None
) -> ArchiveReply:
    """Take in an archive in one transaction; what is there already stays as it is. ``fit`` makes it fit into the
    budget, in the same transaction.

    Raises:
        StoreError: there is no archive, it is damaged, too large or of a newer program, something in it is out of
            bounds, or a source of it is another recording than the one of that name here. Nothing was imported.
    """
    path = Path(request.path)
    try:
        with reading_from(path, store.progressed) as archive:
            if (size := archive.size_bytes()) > BUDGETS * store.budget.total:
                raise StoreError(
                    f"archive {path}: holds {size / 1e6:.0f} MB, memory may have {store.budget.total / 1e6:.0f} MB"
                    " (memory.budget); nothing was imported"
                )
            found = _Checked(archive)
            keeping = request.footage or Keeping()
            most = math.inf if request.trusted else BUDGETS * (keeping.bytes + keeping.marked_bytes)
            intake = Intake(archive, store.directory, keeping, most)
            try:
                with store.write() as writing:
                    importing = _Import(archive, writing, request.trusted)
                    reply = importing.take_in(found)
                    if request.footage is not None:
                        importing.stage_footage(found, intake)
                    elif found.footage:
                        importing.left_out["footage (import --footage takes it)"] = len(found.footage)
                    fit(writing)
                footage, called = intake.settle(), importing.take_titles(found, store)
            finally:
                intake.clear()
            left_out = dict(importing.left_out + intake.left_out)
            reply = msgspec.structs.replace(reply, footage=footage, titles=called, left_out=left_out)
    except (zipfile.BadZipFile, zlib.error, EOFError, msgspec.MsgspecError, ValueError, RuntimeError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise StoreError(f"archive {path}: damaged ({why}); nothing was imported") from error
    except OSError as error:
        raise StoreError(f"archive {path} cannot be read: {error.strerror or error}; nothing was imported") from error
    return reply


class _Checked:
    """All of an archive looked through: its sources, when each ends, and the ids of its pictures."""

    def __init__(self, archive: Archive) -> None:
        for name in (*LISTS, *filter(archive.lists, MORE_LISTS)):
            archive.check(name)
        self.sources = list(archive.records(SOURCES, SourceRecord))
        self.ends_s: dict[str, float] = {}
        for record in self.sources:
            for track in (*record.watermarks, *record.ended):
                if not is_track(track):
                    raise ValueError(f"source {record.source[:80]!r} has a track {track[:80]!r}")
            times = [record.duration_s or 0.0, *record.watermarks.values()]
            faults = [find_fault_of_source(opened) for opened in _tracks_of(record, "")]
            faults += ["time"] * (not all(map(is_time, times)))
            if fault := next(filter(None, faults), ""):
                raise ValueError(f"source {record.source[:80]!r}: its {fault} is wrong")
            self.ends_s[record.source] = max(times) + AFTER_END_S
        self.frames: set[str] = set()
        for observation in archive.observations(""):
            ends_s = self.ends_s.get(observation.source)
            perceived = observation.channel in PERCEIVED_CHANNELS
            if perceived and (ends_s is None or observation.t1_s > ends_s):
                raise ValueError(f"observation {observation.id[:80]!r}: its time is wrong, or it is of no source in it")
            if observation.channel == "frame":
                self.frames.add(observation.id)
        for span in archive.records(SPANS, Span):
            if fault := find_fault_of_span(span):
                raise ValueError(f"span {span.id[:80]!r}: its {fault} is wrong")
        for erasure in archive.records(ERASURES, ArchivedErasure):
            if not (is_time(erasure.t0_s) and is_time(erasure.t1_s)):
                raise ValueError(f"an erasure of {erasure.source[:80]!r}: its time is wrong")
        self.titles: list[ArchivedTitle] = []
        if archive.lists(TITLES):
            self.titles += islice(archive.records(TITLES, ArchivedTitle), len(self.sources))
        self.records = {record.source: record for record in self.sources}
        self.footage: list[ArchivedFootage] = []
        for footage in archive.records(FOOTAGE_LIST, ArchivedFootage) if archive.lists(FOOTAGE_LIST) else ():
            check(footage, self.records, self.ends_s)
            self.footage.append(footage)
            if len(self.footage) > MAX_FILES:
                raise ValueError(f"it holds more than {MAX_FILES} files of footage")


class _Import:
    """One archive on its way into memory. ``left_out`` counts what of it was not taken."""

    def __init__(self, archive: Archive, writing: Writing, trusted: bool) -> None:
        self._archive = archive
        self._writing = writing
        self._trusted = trusted
        self._own: set[str] = set()
        self.left_out: Counter[str] = Counter()

    def take_in(self, found: _Checked) -> ArchiveReply:
        writing = self._writing
        for record in found.sources:
            self._take_source(record)
        for erasure in self._archive.records(ERASURES, ArchivedErasure):
            if self._trusted or self._is_foreign(erasure.source):
                writing.add_erasure(*msgspec.structs.astuple(erasure))
            else:
                self.left_out["erasures"] += 1
        known = pictures = 0
        for observation in self._archive.observations("" if self._trusted else self._archive.manifest.id):
            known += not writing.add_observation(observation)
            pictures += observation.payload is not None
        for span in self._archive.records(SPANS, Span):
            self._take_span(span, found)
        return ArchiveReply(
            path=str(self._archive.path), sources=len(found.sources), observations=writing.stored, pictures=pictures,
            spans=writing.spans, known=known, bytes=size_of(self._archive.path),
        )  # fmt: skip

    def stage_footage(self, found: _Checked, intake: Intake) -> None:
        """Have footage copied beside memory; of an archive that is not the user's own none of a camera of theirs."""
        own: set[str] = set()
        if not self._trusted:
            names = [name for name in self._writing.media_sources() if not self._is_foreign(name)]
            own = {session_of(name)[0] for name in names}
        intake.stage(found.footage, found.records, self._writing.stones(), own)

    def take_titles(self, found: _Checked, store: Store) -> int:
        """Call sources as the archive does, where they have no title here and nothing else is meant by it; how many."""
        reader, directory = store.reader(), store.directory
        try:
            known = read_sources(reader)
        finally:
            reader.close()
        names = {record.source for record in known}
        meant = {name.casefold() for name in (*names, *(session_of(name)[0] for name in names))}
        n = 0
        for called in found.titles:
            there, title = titles(directory), " ".join(called.title.split())
            if there.get(called.source) == title:
                continue
            is_meant = title.casefold() in meant | {other.casefold() for other in there.values()}
            try:
                if called.source in self._own or called.source in there or is_meant:
                    raise UserError(f"{called.source!r} is not to be called {title!r} here")
                set_title(directory, known, called.source, title)
                n += 1
            except UserError:
                self.left_out["titles"] += 1
        return n

    def _take_source(self, record: SourceRecord) -> None:
        known = self._writing.fingerprint(record.source)
        bare = record.fingerprint.removeprefix(FOREIGN)
        if known is not None and known.removeprefix(FOREIGN) != bare:
            raise StoreError(
                f"archive {self._archive.path}: its source {record.source!r} is another recording than the one of that"
                " name in this memory; import it into a memory of its own"
            )
        if self._trusted:
            self._writing.recognise(record.source, record.fingerprint)
        elif known is not None and not known.startswith(FOREIGN):
            self._own.add(record.source)
            self.left_out["tracks"] += len({*record.watermarks, *record.ended})
            return
        for opened in _tracks_of(record, "" if self._trusted else FOREIGN):
            self._writing.open_track(opened)
            self._writing.advance(record.source, opened.track, record.watermarks.get(opened.track, 0.0))
            if opened.track in record.ended:
                self._writing.end_track(record.source, opened.track, record.ended[opened.track])

    def _take_span(self, span: Span, found: _Checked) -> None:
        if span.source not in found.ends_s or span.t1_s > found.ends_s[span.source] or span.source in self._own:
            self.left_out["spans"] += 1
            return
        if span.keyframe and span.keyframe not in found.frames:
            span = msgspec.structs.replace(span, keyframe="")
        most = 1.0 if self._trusted else TRUST["imported"]
        self._writing.add_span(
            self._writing.source(span.source), msgspec.structs.replace(span, trust=min(span.trust, most))
        )

    def _is_foreign(self, source: str) -> bool:
        return (self._writing.fingerprint(source) or "").startswith(FOREIGN)


def _tracks_of(record: SourceRecord, mark: str) -> list[SourceOpened]:
    """Its tracks as they were opened, with ``mark`` before its fingerprint.

    Raises:
        msgspec.ValidationError: it is of no kind there is.
    """
    opened = {
        "type": "source_opened",
        "source": record.source,
        "kind": record.kind,
        "uri": record.uri,
        "fingerprint": mark + record.fingerprint.removeprefix(FOREIGN),
        "started_wall_s": record.started_wall_s,
        "duration_s": record.duration_s,
        "encoders": record.encoders,
    }
    return [
        msgspec.convert({**opened, "track": track, "missing": record.missing.get(track, "")}, SourceOpened)
        for track in {**record.watermarks, **record.ended}
    ]
