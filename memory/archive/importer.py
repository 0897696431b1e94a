"""Import: an archive is read back whole or not at all.

Nothing is unpacked: entries are read by the names `memory.archive.format` knows, any other name refuses the archive,
and what is read must have the checksum its manifest gives. It is one transaction, so that a damaged archive leaves
nothing behind.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from memory.archive.format import (
    ERASURES,
    FORMAT,
    LISTS,
    MANIFEST,
    OBSERVATIONS,
    PICTURE,
    SOURCES,
    SPANS,
    VERSION,
    ArchivedErasure,
    ArchivedObservation,
    Manifest,
    size_of,
)
from memory.store.batch import find_fault
from memory.store.database import Store
from memory.store.writing import Writing
from runtime.errors import StoreError
from runtime.messages import (
    ArchiveReply,
    ImportRequest,
    Observation,
    SourceOpened,
    SourceRecord,
    Span,
    fitting_facts,
)
from runtime.trust import TRUST

MAX_LINE_BYTES = 16 << 20
MAX_PICTURE_BYTES = 8 << 20
_CHUNK_BYTES = 1 << 20


def import_memory(store: Store, request: ImportRequest) -> ArchiveReply:
    """Take in an archive in one transaction; what is there already stays as it is.

    Raises:
        StoreError: there is no archive, it is damaged or of a newer program, or a source of it is another recording
            than the one of that name here. Nothing was imported.
    """
    path = Path(request.path)
    try:
        with _reading_from(path) as archive, store.write() as writing:
            reply = _read_all(archive, writing, path, request.trusted)
    except (zipfile.BadZipFile, zlib.error, EOFError, msgspec.MsgspecError, ValueError, RuntimeError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise StoreError(f"archive {path}: damaged ({why}); nothing was imported") from error
    except OSError as error:
        raise StoreError(f"archive {path} cannot be read: {error.strerror or error}; nothing was imported") from error
    return reply


class _Archive:
    """An archive to read from: entries by name, nothing unpacked."""

    def __init__(self, path: Path, archive: zipfile.ZipFile | None) -> None:
        self._path = path
        self._archive = archive
        for name in self._names():
            if name not in (*LISTS, MANIFEST) and not PICTURE.fullmatch(name):
                raise StoreError(f"archive {path}: holds {name!r}, as no archive of memory does; nothing was imported")
        manifest = msgspec.json.decode(self.read(MANIFEST, MAX_LINE_BYTES), type=Manifest)
        if manifest.format != FORMAT:
            raise StoreError(f"archive {path}: {manifest.format!r} is no archive of memory")
        if manifest.version > VERSION:
            raise StoreError(
                f"archive {path}: of a newer version ({manifest.version}, this program knows {VERSION}); update it"
            )
        self.manifest = manifest

    def read(self, name: str, limit: int) -> bytes:
        with self._open(name) as file:
            data: bytes = file.read(limit + 1)
        if len(data) > limit:
            raise ValueError(f"{name} is too large")
        return data

    def check(self, name: str) -> None:
        """The bytes of a list file are those the manifest tells of."""
        digest = hashlib.sha256()
        with self._open(name) as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
        if digest.hexdigest() != self.manifest.files.get(name):
            raise ValueError(f"{name} has another checksum than its manifest says")

    def lines(self, name: str) -> Iterator[bytes]:
        with self._open(name) as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                if len(line) > MAX_LINE_BYTES:
                    raise ValueError(f"{name} has a line without end")
                yield line

    def _names(self) -> list[str]:
        if self._archive is not None:
            return [name for name in self._archive.namelist() if name != "pictures/"]
        inside = list(self._path.rglob("*"))
        links = [path for path in inside if path.is_symlink()]
        if links:
            raise StoreError(f"archive {self._path}: holds a link, {links[0].name!r}; nothing was imported")
        return [path.relative_to(self._path).as_posix() for path in inside if not path.is_dir()]

    def _open(self, name: str) -> Any:
        try:
            return self._archive.open(name) if self._archive is not None else (self._path / name).open("rb")
        except (OSError, KeyError) as error:
            raise ValueError(f"{name} is missing") from error


@contextmanager
def _reading_from(path: Path) -> Iterator[_Archive]:
    if path.is_dir():
        if not (path / MANIFEST).is_file():
            raise StoreError(f"archive {path}: there is no {MANIFEST} in it; give what export wrote")
        yield _Archive(path, None)
    elif path.is_file():
        with zipfile.ZipFile(path) as archive:
            yield _Archive(path, archive)
    else:
        raise StoreError(f"archive {path}: there is no such file or folder")


def _read_all(archive: _Archive, writing: Writing, path: Path, trusted: bool) -> ArchiveReply:
    for name in LISTS:
        archive.check(name)
    sources = [msgspec.json.decode(line, type=SourceRecord) for line in archive.lines(SOURCES)]
    for record in sources:
        _import_source(writing, record, path)
    for line in archive.lines(ERASURES):
        writing.add_erasure(*msgspec.structs.astuple(msgspec.json.decode(line, type=ArchivedErasure)))
    known = pictures = 0
    for line in archive.lines(OBSERVATIONS):
        archived = msgspec.json.decode(line, type=ArchivedObservation)
        observation = _observation(archive, archived, "" if trusted else archive.manifest.id)
        if fault := find_fault(observation):
            raise ValueError(f"observation {archived.id!r}: its {fault} is wrong")
        known += not writing.add_observation(observation)
        pictures += observation.payload is not None
    for line in archive.lines(SPANS):
        span = msgspec.json.decode(line, type=Span)
        most = 1.0 if trusted else TRUST["imported"]
        writing.add_span(writing.source(span.source), msgspec.structs.replace(span, trust=min(span.trust, most)))
    return ArchiveReply(
        path=str(path), sources=len(sources), observations=writing.stored, pictures=pictures, spans=writing.spans,
        known=known, bytes=size_of(path),
    )  # fmt: skip


def _import_source(writing: Writing, record: SourceRecord, path: Path) -> None:
    fingerprint = writing.fingerprint(record.source)
    if fingerprint is not None and fingerprint != record.fingerprint:
        raise StoreError(
            f"archive {path}: its source {record.source!r} is another recording than the one of that name in this"
            " memory; import it into a memory of its own"
        )
    for track in {**record.watermarks, **record.ended}:
        writing.open_track(
            SourceOpened(
                source=record.source, track=track, kind=record.kind, uri=record.uri, fingerprint=record.fingerprint,  # type: ignore[arg-type]
                started_wall_s=record.started_wall_s, duration_s=record.duration_s,
                missing=record.missing.get(track, ""), encoders=record.encoders,
            )
        )  # fmt: skip
        writing.advance(record.source, track, record.watermarks.get(track, 0.0))
        if track in record.ended:
            writing.end_track(record.source, track, record.ended[track])


def _observation(archive: _Archive, archived: ArchivedObservation, imported_from: str) -> Observation:
    payload = None
    if archived.picture:
        if not PICTURE.fullmatch(archived.picture):
            raise ValueError(f"observation {archived.id!r}: {archived.picture!r} is no picture of an archive")
        payload = archive.read(archived.picture, MAX_PICTURE_BYTES)
        if hashlib.sha256(payload).hexdigest() != archived.picture_sha256:
            raise ValueError(f"{archived.picture} has another checksum than its observation says")
    facts = archived.data | ({"imported": imported_from} if imported_from else {})
    return Observation(
        id=archived.id, source=archived.source, channel=archived.channel, t0_s=archived.t0_s, t1_s=archived.t1_s,
        text=archived.text, data=fitting_facts(archived.channel, facts), evidence=archived.evidence,
        trust=archived.trust,
        vector=base64.b64decode(archived.vector, validate=True) if archived.vector else None,
        vector_space=archived.vector_space, payload=payload,
    )  # fmt: skip
