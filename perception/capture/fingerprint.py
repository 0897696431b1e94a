"""What tells one recording from another: marks of its content, and of what it was before it grew."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from typing import BinaryIO

# Containers state lengths here, and restate them as they grow (WAV, AVI, FLV, Matroska): looked at apart.
HEAD_BYTES = 4096
# Read whole up to this; of larger ones as much in pieces from the begin to the end, which takes 20 ms.
WHOLE_BYTES = 16 << 20
PIECES = 256
# Before version 0.1 a mark was made of the size and of this much at either end alone.
_EDGE_BYTES = 64 << 10


def fingerprint(path: str) -> str:
    """The mark of a file: hex digits of its body and its head, and its size.

    Raises:
        OSError: it cannot be read.
    """
    status = os.stat(path)
    return _mark(os.path.abspath(path), status.st_size, status.st_size, status.st_mtime_ns)


def is_recording(path: str, known: str) -> bool:
    """Whether the file is the recording of the mark ``known``, also one of an older version.

    Raises:
        OSError: it cannot be read.
    """
    return known == (fingerprint(path) if "-" in known else former_fingerprint(path))


def has_grown(path: str, known: str) -> bool:
    """Whether the file begins with all of the recording that the mark ``known`` was made of, and goes on after it.

    Raises:
        OSError: it cannot be read.
    """
    marks, _, stated = known.partition("-")
    if not stated.isdecimal():
        return False
    size, status = int(stated), os.stat(path)
    if not HEAD_BYTES < size < status.st_size:
        return False
    body, _ = _split(_mark(os.path.abspath(path), size, status.st_size, status.st_mtime_ns))
    return body == _split(marks)[0]


def former_fingerprint(path: str) -> str:
    """The mark that versions before 0.1 made of a file: equal for files that differ in the middle alone.

    Raises:
        OSError: it cannot be read.
    """
    size = os.stat(path).st_size
    digest = hashlib.sha256(str(size).encode())
    with open(path, "rb") as file:
        digest.update(file.read(_EDGE_BYTES))
        file.seek(max(0, size - _EDGE_BYTES))
        digest.update(file.read(_EDGE_BYTES))
    return digest.hexdigest()[:16]


def _split(mark: str) -> tuple[str, str]:
    """(marks of the body, of the head)"""
    return mark[:16], mark[16:24]


@lru_cache(maxsize=64)
def _mark(path: str, size: int, _size_now: int, _modified_ns: int) -> str:
    """The mark of the first ``size`` bytes; the file as it is now is part of what is kept of it."""
    with open(path, "rb") as file:
        head = hashlib.blake2b(file.read(min(HEAD_BYTES, size)), digest_size=4)
        body = hashlib.blake2b(digest_size=8)
        for begin, length in _pieces(size):
            _read(file, begin, length, body)
    return f"{body.hexdigest()}{head.hexdigest()}-{size}"


def _pieces(size: int) -> list[tuple[int, int]]:
    """(begin, length) in bytes of what is read of the body of a file of this size."""
    if size <= WHOLE_BYTES:
        return [(HEAD_BYTES, max(0, size - HEAD_BYTES))]
    length = WHOLE_BYTES // PIECES
    last = size - length
    return [(HEAD_BYTES + (last - HEAD_BYTES) * k // (PIECES - 1), length) for k in range(PIECES)]


def _read(file: BinaryIO, begin: int, length: int, digest: hashlib.blake2b) -> None:
    file.seek(begin)
    while length > 0 and (chunk := file.read(min(length, 1 << 20))):
        digest.update(chunk)
        length -= len(chunk)
