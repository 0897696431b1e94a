"""Portable archives of memory: what a file of them is called and what is in a line of it (docs/archive.md)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from runtime.messages import Channel

FORMAT, VERSION = "mindstream-memory", 1
MANIFEST = "manifest.json"
SOURCES, OBSERVATIONS, SPANS, ERASURES = "sources.jsonl", "observations.jsonl", "spans.jsonl", "erasures.jsonl"
LISTS = (SOURCES, OBSERVATIONS, SPANS, ERASURES)
PICTURE = re.compile(r"pictures/\d{1,12}\.jpg")


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
