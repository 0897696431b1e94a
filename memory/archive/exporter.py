"""Export: all that memory holds as JSON lines and pictures, in a folder or in one zip file of the same names."""

from __future__ import annotations

import base64
import hashlib
import shutil
import sqlite3
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from memory.archive.footage import Outgoing, clear_staged
from memory.archive.format import (
    ERASURES,
    FOOTAGE_LIST,
    FORMAT,
    MANIFEST,
    OBSERVATIONS,
    SOURCES,
    SPANS,
    TITLES,
    VERSION,
    ArchivedErasure,
    ArchivedFootage,
    ArchivedObservation,
    ArchivedTitle,
    Manifest,
    size_of,
)
from memory.store.reader import read_sources, snapshot
from memory.store.records import OBSERVATION_COLUMNS, OBSERVATION_JOIN, SPAN_COLUMNS, observation_of, span_of
from runtime.errors import StoreError
from runtime.messages import ArchiveReply, ExportRequest, Observation
from runtime.titles import titles

# In the memory folder while an archive is written: where.
UNFINISHED = "unfinished-export"
_PART = ".part"
_CHUNK_BYTES = 1 << 20


def clear_unfinished(directory: Path) -> None:
    """Remove what is left of an archive whose export from this memory folder was killed, or whose import into it."""
    clear_staged(directory)
    note = directory / UNFINISHED
    with suppress(OSError, ValueError):
        beside = Path(note.read_text(encoding="utf-8"))
        if beside.name.startswith(".") and beside.name.endswith(_PART):
            _clear(beside)
        note.unlink()


def export_memory(connection: sqlite3.Connection, request: ExportRequest) -> ArchiveReply:
    """Write an archive beside its place, then put it there: one that is there is whole. What a killed process leaves of
    one is removed when memory is opened next (`clear_unfinished`).

    Raises:
        StoreError: something is in its place already, or it cannot be written.
    """
    path = Path(request.path)
    if path.exists():
        raise StoreError(f"archive {path} is there already; give another name")
    beside = path.with_name(f".{path.name}{_PART}")
    directory = Path(connection.execute("PRAGMA database_list").fetchone()[2]).parent
    note = directory / UNFINISHED
    try:
        note.write_text(str(beside.absolute()), encoding="utf-8")
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(beside)
        with writing_to(beside, path.suffix == ".zip") as target, snapshot(connection):
            counts, left_out = _write_all(connection, target, request, directory)
        beside.replace(path)
    except OSError as error:
        raise StoreError(f"archive {path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            _clear(beside)
            note.unlink(missing_ok=True)
    return ArchiveReply(
        path=str(path), sources=counts["sources"], observations=counts["observations"], pictures=counts["pictures"],
        spans=counts["spans"], titles=counts["titles"], footage=counts["footage"], bytes=size_of(path),
        left_out=left_out,
    )  # fmt: skip


class Target:
    """Where an archive is written to, entry by entry."""

    def __init__(self, folder: Path | None, archive: zipfile.ZipFile | None) -> None:
        self._folder = folder
        self._archive = archive
        self.sums: dict[str, str] = {}

    def write_lines(self, name: str, records: Iterable[Any]) -> int:
        """A list file; how many lines."""
        digest = hashlib.sha256()
        n = 0
        with self._open(name) as file:
            for record in records:
                line = msgspec.json.encode(record) + b"\n"
                digest.update(line)
                file.write(line)
                n += 1
        self.sums[name] = digest.hexdigest()
        return n

    def write(self, name: str, data: bytes) -> None:
        with self._open(name) as file:
            file.write(data)

    def copy(self, name: str, file: IO[bytes]) -> tuple[int, str]:
        """An open file, from its begin; how many bytes, and their SHA-256."""
        digest, n = hashlib.sha256(), 0
        with self._open(name) as entry:
            while chunk := file.read(_CHUNK_BYTES):
                n += len(chunk)
                digest.update(chunk)
                entry.write(chunk)
        return n, digest.hexdigest()

    def _open(self, name: str) -> Any:
        if self._archive is not None:
            info = zipfile.ZipInfo(name)
            # Pictures are compressed already.
            info.compress_type = zipfile.ZIP_STORED if name.endswith((".jpg", ".mkv")) else zipfile.ZIP_DEFLATED
            return self._archive.open(info, "w", force_zip64=True)
        assert self._folder is not None
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        return path.open("wb")


def archived(o: Observation, seq: int, jpeg: bytes | None) -> ArchivedObservation:
    """Its line; ``seq`` names its picture."""
    return ArchivedObservation(
        id=o.id, source=o.source, channel=o.channel, t0_s=o.t0_s, t1_s=o.t1_s, text=o.text,
        data=msgspec.to_builtins(o.data), evidence=o.evidence, trust=o.trust, vector_space=o.vector_space,
        vector=base64.b64encode(o.vector).decode() if o.vector else "",
        picture=f"pictures/{seq}.jpg" if jpeg is not None else "",
        picture_sha256=hashlib.sha256(jpeg).hexdigest() if jpeg is not None else "",
    )  # fmt: skip


@contextmanager
def writing_to(path: Path, as_zip: bool) -> Iterator[Target]:
    if as_zip:
        with zipfile.ZipFile(path, "w") as archive:
            yield Target(None, archive)
    else:
        path.mkdir(mode=0o700)
        yield Target(path, None)


def _write_all(
    connection: sqlite3.Connection, target: Target, request: ExportRequest, directory: Path
) -> tuple[dict[str, int], dict[str, int]]:
    """Everything, into ``target``: how much of it, and what was left out, by kind."""
    pictures: list[int] = []

    def observations() -> Iterator[ArchivedObservation]:
        select = f"SELECT {OBSERVATION_COLUMNS}, o.seq, p.jpeg FROM {OBSERVATION_JOIN} LEFT JOIN payloads p USING (seq)"  # noqa: S608
        for *row, seq, jpeg in connection.execute(f"{select} ORDER BY o.seq"):
            o = observation_of(tuple(row))
            if jpeg is not None:
                pictures.append(seq)
            yield archived(o, seq, jpeg)

    spans = connection.execute(
        f"SELECT {SPAN_COLUMNS} FROM spans p JOIN sources s USING (source) ORDER BY p.source, p.t0_s, p.id"  # noqa: S608
    )
    erased = connection.execute(
        "SELECT name, channel, t0_s, t1_s, erased_wall_s FROM erasures JOIN sources USING (source) ORDER BY erasure"
    )
    erasures = [ArchivedErasure(*row) for row in erased]
    sources = read_sources(connection)
    names = [record.source for record in sources]
    called = [ArchivedTitle(*entry) for entry in titles(directory).items() if entry[0] in names]
    counts = {
        "sources": target.write_lines(SOURCES, sources),
        "observations": target.write_lines(OBSERVATIONS, observations()),
        "spans": target.write_lines(SPANS, (span_of(row) for row in spans)),
    }
    target.write_lines(ERASURES, erasures)
    counts["titles"] = target.write_lines(TITLES, called)
    for seq in pictures:
        (jpeg,) = connection.execute("SELECT jpeg FROM payloads WHERE seq=?", (seq,)).fetchone()
        target.write(f"pictures/{seq}.jpg", jpeg)
    counts["pictures"] = len(pictures)
    stones: dict[str, list[tuple[str, float, float]]] = {}
    for stone in erasures:
        stones.setdefault(stone.source, []).append((stone.channel, stone.t0_s, stone.t1_s))
    out = Outgoing(directory, request.private, stones)
    counts["footage"] = target.write_lines(FOOTAGE_LIST, list(_footage(target, out, names))) if request.footage else 0
    seal(target, counts)
    return counts, dict(out.left_out)


def _footage(target: Target, out: Outgoing, sources: list[str]) -> Iterator[ArchivedFootage]:
    """Files of footage, each once it is written."""
    for number, (segment, marked) in enumerate(out.segments(sources), start=1):
        name = f"footage/{number}.mkv"
        with suppress(FileNotFoundError), segment.path.open("rb") as file:  # or it went meanwhile
            size, digest = target.copy(name, file)
            yield ArchivedFootage(segment.source, segment.t0_s, segment.t1_s, name, size, digest, marked)


def seal(target: Target, counts: dict[str, int]) -> None:
    """Write the manifest: the archive is whole."""
    manifest = Manifest(FORMAT, VERSION, uuid.uuid4().hex, counts, target.sums)
    target.write(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))


def _clear(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
