"""An archive as it is read: entries by name, nothing unpacked, every line and picture within bounds and typed.

Nothing is believed that an archive says of itself but the checksums of its manifest, and those only tell that it is
whole: whoever made it may have meant harm.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from memory.archive.format import (
    FOOTAGE_FILE,
    FORMAT,
    LISTS,
    MANIFEST,
    MORE_LISTS,
    OBSERVATIONS,
    PICTURE,
    VERSION,
    ArchivedObservation,
    Manifest,
)
from memory.store.admission import find_fault
from runtime.errors import StoreError
from runtime.messages import GapFacts, Observation, fitting_facts

MAX_LINE_BYTES = 16 << 20
MAX_PICTURE_BYTES = 8 << 20
# Facts are lists of lists at most.
MAX_NESTING = 16
_CHUNK_BYTES = 1 << 20

T = TypeVar("T")


class Archive:
    """An archive to read from."""

    def __init__(self, path: Path, archive: zipfile.ZipFile | None, progressed: Callable[[], None]) -> None:
        self.path = path
        self.progressed = progressed
        self._archive = archive
        for name in self._names():
            if name not in (*LISTS, *MORE_LISTS, MANIFEST) and not (
                PICTURE.fullmatch(name) or FOOTAGE_FILE.fullmatch(name)
            ):
                raise StoreError(f"archive {path}: holds {name!r}, as no archive of memory does; nothing was imported")
        manifest = decoded(self.read(MANIFEST, MAX_LINE_BYTES), Manifest)
        if manifest.format != FORMAT:
            raise StoreError(f"archive {path}: {manifest.format!r} is no archive of memory")
        if manifest.version > VERSION:
            raise StoreError(
                f"archive {path}: of a newer version ({manifest.version}, this program knows {VERSION}); update it"
            )
        self.manifest = manifest

    def size_bytes(self) -> int:
        """Bytes of all its entries but footage, read out: of a zip file that can be a thousand times its own."""
        if self._archive is not None:
            return sum(e.file_size for e in self._archive.infolist() if not FOOTAGE_FILE.fullmatch(e.filename))
        files = {name: self.path / name for name in self._names()}
        return sum(path.stat().st_size for name, path in files.items() if not FOOTAGE_FILE.fullmatch(name))

    def lists(self, name: str) -> bool:
        """Whether it has a list that it may lack."""
        return name in self.manifest.files

    def read(self, name: str, limit: int) -> bytes:
        with self.open(name) as file:
            data: bytes = file.read(limit + 1)
        if len(data) > limit:
            raise ValueError(f"{name} is too large")
        return data

    def check(self, name: str) -> None:
        """The bytes of a list file are those the manifest tells of."""
        digest = hashlib.sha256()
        with self.open(name) as file:
            while chunk := file.read(_CHUNK_BYTES):
                self.progressed()
                digest.update(chunk)
        if digest.hexdigest() != self.manifest.files.get(name):
            raise ValueError(f"{name} has another checksum than its manifest says")

    def records(self, name: str, kind: type[T]) -> Iterator[T]:
        """The lines of a list, typed."""
        for line in self._lines(name):
            yield decoded(line, kind)

    def observations(self, imported_from: str) -> Iterator[Observation]:
        """All observations, within bounds; with the name of the archive they are from where that is given."""
        for archived in self.records(OBSERVATIONS, ArchivedObservation):
            observation = self._observation(archived, imported_from)
            if fault := find_fault(observation):
                raise ValueError(f"observation {archived.id[:80]!r}: its {fault} is wrong")
            yield observation

    def _observation(self, archived: ArchivedObservation, imported_from: str) -> Observation:
        payload = None
        if archived.picture:
            if not PICTURE.fullmatch(archived.picture):
                raise ValueError(f"observation {archived.id!r}: {archived.picture!r} is no picture of an archive")
            payload = self.read(archived.picture, MAX_PICTURE_BYTES)
            if hashlib.sha256(payload).hexdigest() != archived.picture_sha256:
                raise ValueError(f"{archived.picture} has another checksum than its observation says")
        if _is_nested(archived.data, MAX_NESTING):
            raise ValueError(f"observation {archived.id[:80]!r}: its facts are nested without end")
        facts = fitting_facts(archived.channel, archived.data)
        if imported_from:
            facts = msgspec.structs.replace(facts, imported=imported_from)
            if isinstance(facts, GapFacts):  # the end of a track is its perceiver's to tell
                facts = msgspec.structs.replace(facts, ends_track=False)
        return Observation(
            id=archived.id, source=archived.source, channel=archived.channel, t0_s=archived.t0_s, t1_s=archived.t1_s,
            text=archived.text, data=facts, evidence=archived.evidence, trust=archived.trust,
            vector=base64.b64decode(archived.vector, validate=True) if archived.vector else None,
            vector_space=archived.vector_space, payload=payload,
        )  # fmt: skip

    def _lines(self, name: str) -> Iterator[bytes]:
        with self.open(name) as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                if len(line) > MAX_LINE_BYTES:
                    raise ValueError(f"{name} has a line without end")
                self.progressed()
                yield line

    def _names(self) -> list[str]:
        if self._archive is not None:
            return [name for name in self._archive.namelist() if name not in ("pictures/", "footage/")]
        inside = list(self.path.rglob("*"))
        links = [path for path in inside if path.is_symlink()]
        if links:
            raise StoreError(f"archive {self.path}: holds a link, {links[0].name!r}; nothing was imported")
        return [path.relative_to(self.path).as_posix() for path in inside if not path.is_dir()]

    def open(self, name: str) -> Any:
        """An entry, to be read.

        Raises:
            ValueError: it is missing.
        """
        try:
            return self._archive.open(name) if self._archive is not None else (self.path / name).open("rb")
        except (OSError, KeyError) as error:
            raise ValueError(f"{name} is missing") from error


@contextmanager
def reading_from(path: Path, progressed: Callable[[], None]) -> Iterator[Archive]:
    """The archive at a path, a folder or a zip file; ``progressed`` is called again and again while it is read.

    Raises:
        StoreError: there is none, it is no archive of memory, or of a newer version.
    """
    if path.is_dir():
        if not (path / MANIFEST).is_file():
            raise StoreError(f"archive {path}: there is no {MANIFEST} in it; give what export wrote")
        yield Archive(path, None, progressed)
    elif path.is_file():
        with zipfile.ZipFile(path) as archive:
            yield Archive(path, archive, progressed)
    else:
        raise StoreError(f"archive {path}: there is no such file or folder")


def decoded(line: bytes, kind: type[T]) -> T:
    """A record of this kind.

    Raises:
        ValueError: it is none, or nested without end.
    """
    try:
        return msgspec.json.decode(line, type=kind)
    except RecursionError as error:
        raise ValueError("a record in it is nested without end") from error


def _is_nested(value: object, most: int) -> bool:
    """Whether lists and maps are in one another more than so often."""
    level = [value]
    for _ in range(most + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True
