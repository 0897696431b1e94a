"""Traces of what was erased: what to look for is noted before it goes, every file of the memory folder is read after.

Looked for are the words that occur nowhere else now, the erased sentences, and pieces of the erased pictures and
vectors. A piece that something still remembered holds as well (pictures of a still scene can be equal) is no trace.
Words of three letters and less are met by chance in pictures; that none of them stays, `memory.store.free_space` sees
to, which leaves nothing in a page but what is remembered.
"""

# ruff: noqa: S608 - only names of columns and question marks are put into statements
from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct, field

from memory.index.analysis import terms
from memory.index.vocabulary import term_counts
from memory.spans.consolidate import told_in_state
from memory.store.decrypted import Readable
from memory.store.told import told_in

PIECE_BYTES = 4
SENTENCE_BYTES = 96
BINARY_BYTES = 32
# Of a picture or vector so many bytes are looked for in each of this many: less than a page holds. Where a JPEG begins
# it is like any other of its kind.
PIECE_EVERY_BYTES = 1024
JPEG_HEAD_BYTES = 640
_CHUNK_BYTES = 16 << 20
_AT_ONCE = 500
# Beginnings of pieces are told by so many bits first, then by all 32.
_HEAD_BITS = 22
_PACKAGES = ("runtime", "perception", "memory", "reasoning")


class Noted(Struct, frozen=True):
    """Bytes to look for in all files. ``terms`` are those of the words, in the index."""

    words: frozenset[bytes] = frozenset()
    sentences: frozenset[bytes] = frozenset()
    pictures: frozenset[bytes] = frozenset()
    vectors: frozenset[bytes] = frozenset()
    terms: frozenset[str] = field(default_factory=frozenset)

    def everywhere(self) -> frozenset[bytes]:
        return self.words | self.sentences | self.pictures | self.vectors

    def elsewhere(self) -> frozenset[bytes]:
        """What to look for outside of the database: the program's own words stand in its logs whatever is erased."""
        own = program_words()
        return self.everywhere() - {word for word in self.words if word.lower() in own}


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
            "SELECT o.text, o.data, p.jpeg, v.vector FROM observations o LEFT JOIN payloads p USING (seq)"
            f" LEFT JOIN vectors v USING (seq) WHERE o.seq IN ({','.join('?' * len(some))})",
            some,
        )
        for told, data, jpeg, vector in rows:
            sentences.update(_sentences([told]))
            own_terms.update(terms(told))
            for word in f"{told} {told_in(msgspec.json.decode(data))}".split():
                words.update(_spellings(word))
            pictures.update(_pieces(jpeg))
            vectors.update(_pieces(vector))
    return Noted(frozenset(words), frozenset(sentences), frozenset(pictures), frozenset(vectors), frozenset(own_terms))


def vanished(connection: sqlite3.Connection, noted: Noted) -> Noted:
    """Only what nothing holds any more, to be called when it is gone: the words all of whose terms vanished."""
    gone = noted.terms - term_counts(connection, noted.terms).keys()
    schema = {word for (sql,) in connection.execute("SELECT sql FROM sqlite_master") for word in terms(sql or "")}
    for row in connection.execute("SELECT name, kind, uri, fingerprint FROM sources"):
        schema.update(term for value in row for term in terms(value))
    for row in connection.execute("SELECT track, coalesce(ended, ''), missing, encoders FROM tracks"):
        schema.update(term for value in row for term in terms(value))
    own = {word: frozenset(terms(word.decode())) for word in noted.words}
    words = frozenset(word for word, made in own.items() if made and made <= gone and not made & schema)
    return Noted(words, noted.sentences, noted.pictures, noted.vectors, gone)


def indexed(connection: sqlite3.Connection, wanted: frozenset[str]) -> int:
    """How often the index knows any of these terms still."""
    listed = sorted(wanted)
    known = 0
    for i in range(0, len(listed), _AT_ONCE):
        some = listed[i : i + _AT_ONCE]
        for table in ("postings", "vocabulary", "term_counts"):
            select = f"SELECT count(*) FROM {table} WHERE term IN ({','.join('?' * len(some))})"
            known += connection.execute(select, some).fetchone()[0]
    for row in connection.execute("SELECT own, speaker FROM unsealed") if wanted else ():
        known += len(wanted.intersection(" ".join(row).split()))
    return known


@cache
def program_words() -> frozenset[bytes]:
    """Every word of the program's own text."""
    root = Path(__file__).resolve().parents[2]
    found: set[bytes] = set()
    for path in (file for package in _PACKAGES for file in (root / package).rglob("*.py")):
        found.update(word.lower() for word in re.findall(rb"[A-Za-z]{%d,}" % PIECE_BYTES, path.read_bytes()))
    return frozenset(found)


def find_residue(
    file: Readable, pieces: frozenset[bytes], progressed: Callable[[], None] = lambda: None
) -> Counter[bytes]:
    """How often each of these pieces (of at least `PIECE_BYTES`) stands in an open file, from its begin."""
    found: Counter[bytes] = Counter()
    if not pieces:
        return found
    by_head: dict[int, list[bytes]] = {}
    for piece in pieces:
        by_head.setdefault(int.from_bytes(piece[:4], "little"), []).append(piece)
    heads = np.array(sorted(by_head), np.uint32)
    low = np.zeros(1 << _HEAD_BITS, np.bool_)
    low[heads & (len(low) - 1)] = True
    longest = max(map(len, pieces))
    file.seek(0)
    kept = b""
    while chunk := file.read(_CHUNK_BYTES):
        progressed()
        data = kept + chunk
        for at in _candidates(data, heads, low):
            for piece in by_head[int.from_bytes(data[at : at + 4], "little")]:
                # What reaches into the kept end is met again, whole, with the next chunk.
                is_new = at + len(piece) > len(kept)
                if is_new and data.startswith(piece, at) and _stands_alone(data, at, piece):
                    found[piece] += 1
        kept = data[-longest:]
    return found


def still_held(
    connection: sqlite3.Connection, noted: Noted, found: Iterable[bytes], windows: Sequence[tuple[int, float, float]]
) -> frozenset[bytes]:
    """Those of the pieces found in the database file that something still remembered holds too; what is told of
    ``windows`` is not."""
    asked = frozenset(found)
    held: set[bytes] = set()
    for table, column, wanted in (
        ("payloads", "jpeg", asked - noted.sentences - noted.vectors),
        ("vectors", "vector", asked - noted.sentences - noted.pictures),
    ):
        if wanted:
            for (value,) in connection.execute(f"SELECT {column} FROM {table}"):
                held.update(piece for piece in wanted if piece in value)
    if wanted := asked & (noted.sentences | noted.words):
        for line in _told(connection, windows):
            held.update(piece for piece in wanted if any(True for _ in _places(line, piece)))
    return frozenset(held)


def _told(connection: sqlite3.Connection, windows: Sequence[tuple[int, float, float]]) -> Iterator[bytes]:
    for told, data in connection.execute("SELECT text, data FROM observations"):
        yield f"{told}\n{data}".encode()
    spans = connection.execute("SELECT source, t0_s, t1_s, text FROM spans").fetchall()
    for source, state in connection.execute("SELECT source, state FROM consolidation"):
        spans += [(source, event.t0_s, event.t1_s, event.text) for event in told_in_state(bytes(state))]
    for source, t0_s, t1_s, told in spans:
        if not any(source == of and t0_s <= end_s and t1_s >= begin_s for of, begin_s, end_s in windows):
            yield told.encode()


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
            for at in _places(data, piece):
                file.seek(at)
                file.write(b"*" * len(piece))
                blotted += 1
    return blotted


def _sentences(texts: Iterable[str]) -> Iterator[bytes]:
    for text in texts:
        told = text.strip().encode()[:SENTENCE_BYTES]
        if len(told) >= PIECE_BYTES:
            yield told


def _spellings(word: str) -> Iterator[bytes]:
    for part in re.findall(r"[^\W_]+", word):
        for spelt in {part, part.lower(), part.upper(), part.capitalize()}:
            if len(spelt.encode()) >= PIECE_BYTES:
                yield spelt.encode()


def _pieces(blob: bytes | None) -> Iterator[bytes]:
    """Stretches of a picture or vector, one of its middle at least."""
    if blob is None or len(blob) < 4 * BINARY_BYTES:
        return
    for at in (len(blob) // 2, *range(JPEG_HEAD_BYTES, len(blob) - BINARY_BYTES, PIECE_EVERY_BYTES)):
        piece = bytes(blob[at : at + BINARY_BYTES])
        if len(set(piece)) > 4:  # a run of one value stands anywhere
            yield piece


def _candidates(data: bytes, heads: np.ndarray, low: np.ndarray) -> Iterator[int]:
    for offset in range(4):
        count = (len(data) - offset) // 4
        values = np.frombuffer(data, "<u4", count, offset)
        maybe = np.flatnonzero(low[values & (len(low) - 1)])
        for i in maybe[np.isin(values[maybe], heads)]:
            yield 4 * int(i) + offset


def _places(data: bytes, piece: bytes) -> Iterator[int]:
    """Where a piece stands alone in some bytes."""
    at = data.find(piece)
    while at >= 0:
        if _stands_alone(data, at, piece):
            yield at
        at = data.find(piece, at + 1)


def _stands_alone(data: bytes, at: int, piece: bytes) -> bool:
    """Whether a piece of text is not the inside of a longer word; anything may surround a piece of a picture."""
    if not piece.isascii() or not (piece[:1].isalnum() and piece[-1:].isalnum()):
        return True
    before, after = data[at - 1 : at] if at else b"", data[at + len(piece) : at + len(piece) + 1]
    return not ((before.isalnum() and piece.isalnum()) or (after.isalnum() and len(piece) < SENTENCE_BYTES))
