"""Traces of what was erased: what to look for is noted before it goes, every file of the memory folder is read after.

Looked for are the words that occur nowhere else now, the erased sentences, and pieces of the erased pictures and
vectors. A piece that something still remembered holds as well (pictures of a still scene can be equal) is no trace.
"""

# ruff: noqa: S608 - only names of columns and question marks are put into statements
from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from msgspec import Struct, field

from memory.index.analysis import terms
from memory.index.blocks import seqs_holding

# Shorter pieces are met by chance in pictures; whether short words are gone, the search in the tables tells.
PIECE_BYTES = 6
SENTENCE_BYTES = 96
BINARY_BYTES = 32
_CHUNK_BYTES = 16 << 20
_AT_ONCE = 500


class Noted(Struct, frozen=True):
    """Bytes to look for. ``words``: in the database file alone, other files may use them; the rest in all files."""

    words: frozenset[bytes] = frozenset()
    sentences: frozenset[bytes] = frozenset()
    pictures: frozenset[bytes] = frozenset()
    vectors: frozenset[bytes] = frozenset()
    terms: frozenset[str] = field(default_factory=frozenset)

    def everywhere(self) -> frozenset[bytes]:
        return self.sentences | self.pictures | self.vectors


def note_residue(connection: sqlite3.Connection, seqs: Iterable[int], text: str = "") -> Noted:
    """What to look for once the observations under these numbers are gone; ``text`` is what was asked to go."""
    words: set[bytes] = set()
    own_terms: set[str] = set()
    sentences = set(_sentences([text])) if text else set()
    pictures: set[bytes] = set()
    vectors: set[bytes] = set()
    listed = list(seqs)
    for i in range(0, len(listed), _AT_ONCE):
        some = listed[i : i + _AT_ONCE]
        rows = connection.execute(
            "SELECT o.text, p.jpeg, v.vector FROM observations o LEFT JOIN payloads p USING (seq)"
            f" LEFT JOIN vectors v USING (seq) WHERE o.seq IN ({','.join('?' * len(some))})",
            some,
        )
        for told, jpeg, vector in rows:
            sentences.update(_sentences([told]))
            for word in told.split():
                own_terms.update(terms(word))
                words.update(_spellings(word))
            pictures.update(_piece(jpeg))
            vectors.update(_piece(vector))
    return Noted(frozenset(words), frozenset(sentences), frozenset(pictures), frozenset(vectors), frozenset(own_terms))


def vanished(connection: sqlite3.Connection, noted: Noted) -> Noted:
    """Only what nothing holds any more, to be called when it is gone: the words all of whose terms vanished."""
    gone = frozenset(term for term in noted.terms if not seqs_holding(connection, [term]))
    schema = {word for (sql,) in connection.execute("SELECT sql FROM sqlite_master") for word in terms(sql or "")}
    for row in connection.execute("SELECT name, kind, uri, fingerprint FROM sources"):
        schema.update(term for value in row for term in terms(value))
    for row in connection.execute("SELECT track, coalesce(ended, ''), missing, encoders FROM tracks"):
        schema.update(term for value in row for term in terms(value))
    words = {word for word in noted.words if gone.issuperset(terms(word.decode())) and terms(word.decode())}
    words = {word for word in words if not schema.intersection(terms(word.decode()))}
    return Noted(frozenset(words), noted.sentences, noted.pictures, noted.vectors, gone)


def find_residue(file: BinaryIO, pieces: frozenset[bytes]) -> Counter[bytes]:
    """How often each of these pieces (of at least `PIECE_BYTES`) stands in an open file, from its begin, in any
    capitals for text."""
    found: Counter[bytes] = Counter()
    if not pieces:
        return found
    by_head: dict[int, list[bytes]] = {}
    for piece in pieces:
        by_head.setdefault(int.from_bytes(piece[:4], "little"), []).append(piece)
    heads = np.array(sorted(by_head), np.uint32)
    low = np.zeros(1 << 16, np.bool_)
    low[heads & 0xFFFF] = True
    longest = max(map(len, pieces))
    file.seek(0)
    kept = b""
    while chunk := file.read(_CHUNK_BYTES):
        data = kept + chunk
        for at in _candidates(data, heads, low):
            for piece in by_head[int.from_bytes(data[at : at + 4], "little")]:
                # What reaches into the kept end is met again, whole, with the next chunk.
                is_new = at + len(piece) > len(kept)
                if is_new and data.startswith(piece, at) and _stands_alone(data, at, piece):
                    found[piece] += 1
        kept = data[-longest:]
    return found


def still_held(connection: sqlite3.Connection, noted: Noted, found: Iterable[bytes]) -> frozenset[bytes]:
    """Those of the pieces found in the database file that something still remembered holds too."""
    asked = frozenset(found)
    held: set[bytes] = set()
    for table, column, kind in (("payloads", "jpeg", noted.pictures), ("vectors", "vector", noted.vectors)):
        if wanted := asked & kind:
            for (value,) in connection.execute(f"SELECT {column} FROM {table}"):
                held.update(piece for piece in _piece(value) if piece in wanted)
    if wanted := asked & (noted.sentences | noted.words):
        for told, data in connection.execute("SELECT text, data FROM observations"):
            line = f"{told}\n{data}".encode()
            held.update(piece for piece in wanted if piece in line)
    return frozenset(held)


def blot_out(path: Path, pieces: frozenset[bytes]) -> int:
    """Write over these pieces in a file of lines (a log) where they stand; how many there were.

    In place and of the same length, because a process may be writing at the end of it.
    """
    blotted = 0
    with path.open("r+b") as file:
        if not find_residue(file, pieces):
            return 0
        file.seek(0)
        data = file.read()
        for piece in pieces:
            at = data.find(piece)
            while at >= 0:
                file.seek(at)
                file.write(b"*" * len(piece))
                blotted += 1
                at = data.find(piece, at + 1)
    return blotted


def _sentences(texts: Iterable[str]) -> Iterator[bytes]:
    for text in texts:
        told = text.strip().encode()[:SENTENCE_BYTES]
        if len(told) >= PIECE_BYTES:
            yield told


def _spellings(word: str) -> Iterator[bytes]:
    bare = word.strip(".,;:!?\"'()[]“”’")
    for spelt in {bare, bare.lower()}:
        if len(spelt.encode()) >= PIECE_BYTES and bare.isalnum():
            yield spelt.encode()


def _piece(blob: bytes | None) -> Iterator[bytes]:
    """A stretch from the middle: the ends of pictures are alike."""
    if blob is not None and len(blob) >= 4 * BINARY_BYTES:
        middle = len(blob) // 2
        piece = bytes(blob[middle : middle + BINARY_BYTES])
        if len(set(piece)) > 4:  # a run of one value stands anywhere
            yield piece


def _candidates(data: bytes, heads: np.ndarray, low: np.ndarray) -> Iterator[int]:
    for offset in range(4):
        count = (len(data) - offset) // 4
        values = np.frombuffer(data, "<u4", count, offset)
        maybe = np.flatnonzero(low[values & 0xFFFF])
        for i in maybe[np.isin(values[maybe], heads)]:
            yield 4 * int(i) + offset


def _stands_alone(data: bytes, at: int, piece: bytes) -> bool:
    """Whether a piece of text is not the inside of a longer word; anything may surround a piece of a picture."""
    if not piece.isascii() or not (piece[:1].isalnum() and piece[-1:].isalnum()):
        return True
    before, after = data[at - 1 : at] if at else b"", data[at + len(piece) : at + len(piece) + 1]
    return not ((before.isalnum() and piece.isalnum()) or (after.isalnum() and len(piece) < SENTENCE_BYTES))
