"""Portable archives of memory: what a file of them is called and what is in a line of it (docs/archive.md)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from runtime.messages import Channel

# Version 2 has titles and, where it was asked for, footage.
FORMAT, VERSION = "mindstream-memory", 2
MANIFEST = "manifest.json"
SOURCES, OBSERVATIONS, SPANS, ERASURES = "sources.jsonl", "observations.jsonl", "spans.jsonl", "erasures.jsonl"
LISTS = (SOURCES, OBSERVATIONS, SPANS, ERASURES)
TITLES, FOOTAGE_LIST = "titles.jsonl", "footage.jsonl"
# What an archive may lack.
MORE_LISTS = (TITLES, FOOTAGE_LIST)
PICTURE = re.compile(r"pictures/\d{1,12}\.jpg")
FOOTAGE_FILE = re.compile(r"footage/\d{1,12}\.mkv")


class ArchivedObservation(Struct, frozen=True, omit_defaults=True):
    """One line of observations.jsonl. ``vector``: base64 of float16 little-endian; ``picture``: its file."""

    id: str
    source: str
    channel: Channel
    t0_s: float
    t1_s: float
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    trust: float = 1.0
    vector_space: str = ""
    vector: str = ""
    picture: str = ""
    picture_sha256: str = ""


class ArchivedErasure(Struct, frozen=True):
    """One line of erasures.jsonl: a stretch that is not to be perceived again."""

    source: str
    channel: str
    t0_s: float
    t1_s: float
    erased_wall_s: float


class ArchivedTitle(Struct, frozen=True):
    """One line of titles.jsonl: what the user calls a source."""

    source: str
    title: str


class ArchivedFootage(Struct, frozen=True, omit_defaults=True):
    """One line of footage.jsonl: what a live source sent in a stretch. ``file`` is its entry, of ``bytes``."""

    source: str
    t0_s: float
    t1_s: float
    file: str
    bytes: Annotated[int, Meta(ge=0)]
    sha256: str
    marked: bool = False


class Manifest(Struct, frozen=True):
    """``files``: list file -> sha256 of its bytes. ``id`` names the archive in the records it is imported to."""

    format: str
    version: int
    id: str
    counts: dict[str, int]
    files: dict[str, str]


def size_of(path: Path) -> int:
    """Bytes of an archive, a file or a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
