"""Import: an archive is taken in whole or not at all, and nobody else's archive decides what the agent perceives.

It is read through once before a row is written: typed, within bounds, in times of its sources. Then it is one
transaction. What is `--trusted` is the user's own and comes in as it was. Of any other archive only what it tells comes
in, believed less, and no control: its sources are its own (another fingerprint keeps a recording that is perceived here
from being taken for one of them), it ends no track and advances none of what is perceived here, and its erasures
refuse nothing here.
"""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from memory.archive.format import ERASURES, LISTS, SOURCES, SPANS, ArchivedErasure, size_of
from memory.archive.reading import Archive, reading_from
from memory.store.admission import find_fault_of_source, find_fault_of_span, is_time, is_track
from memory.store.database import Store
from memory.store.writing import Writing
from runtime.errors import StoreError
from runtime.messages import PERCEIVED_CHANNELS, ArchiveReply, ImportRequest, SourceOpened, SourceRecord, Span
from runtime.trust import TRUST

# So many budgets may it hold when read out: an archive of a larger memory comes in, and what is worth least goes.
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
            with store.write() as writing:
                reply = _Import(archive, writing, request.trusted).take_in(found)
                fit(writing)
    except (zipfile.BadZipFile, zlib.error, EOFError, msgspec.MsgspecError, ValueError, RuntimeError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise StoreError(f"archive {path}: damaged ({why}); nothing was imported") from error
    except OSError as error:
        raise StoreError(f"archive {path} cannot be read: {error.strerror or error}; nothing was imported") from error
    return reply


class _Checked:
    """All of an archive looked through: its sources, when each ends, and the ids of its pictures."""

    def __init__(self, archive: Archive) -> None:
        for name in LISTS:
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
            spans=writing.spans, known=known, bytes=size_of(self._archive.path), left_out=dict(self.left_out),
        )  # fmt: skip

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
