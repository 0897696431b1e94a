"""The vectors of one space, each compared with a query: int8 codes in memory, one byte a dimension.

600,000 are compared in 13 ms of one core, three times as many as the default budgets could hold without any picture: so
no index is kept, and nothing is missed that one would lose (decision 10). Codes tell a cosine to about 0.002; the true
vectors lie in the table `vectors` and put the best in their final order. Used by one thread.
"""

from __future__ import annotations

import sqlite3

import numkong
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from memory.index.arrays import Floats, Ints, find, grown

_ROWS_AT_ONCE = 4096
# Codes of vectors that were removed stay until as many, and so many more, have been added as there were.
_ADDED_AT_LEAST = 8192


class Coded(Struct, frozen=True):
    """Vectors as int8: codes (n, d), scales (n,) float32; vector = code * scale."""

    codes: NDArray[np.int8]
    scales: Floats


def encode(vectors: NDArray[np.floating]) -> Coded:
    """Vectors (n, d) coded; a vector of zeros stays one."""
    largest = np.maximum(np.abs(vectors).max(axis=1, initial=0.0), 1e-12).astype(np.float32)
    codes = np.rint(vectors.astype(np.float32) * (127.0 / largest)[:, None]).astype(np.int8)
    return Coded(codes, largest / np.float32(127.0))


def dots(vectors: Coded, query: Coded) -> Floats:
    """Dot products of each vector with one coded vector, float32."""
    if not len(vectors.codes):
        return np.zeros(0, np.float32)
    whole = np.asarray(numkong.cdist(vectors.codes, query.codes, metric="dot", dtype="int8"))[:, 0]
    result: Floats = whole.astype(np.float32) * vectors.scales * query.scales[0]
    return result


def note_redescribed(connection: sqlite3.Connection) -> None:
    """Tell whoever holds vectors in memory that some have become others under the numbers they had."""
    connection.execute("UPDATE memory SET value=value+1 WHERE key='redescribed'")


def times_redescribed(connection: sqlite3.Connection) -> int:
    """How often `note_redescribed` was called on this file."""
    return int(connection.execute("SELECT value FROM memory WHERE key='redescribed'").fetchone()[0])


class VectorIndex:
    """The vectors of a space by the numbers of their observations; all of the length of the first."""

    def __init__(self, connection: sqlite3.Connection, space: str) -> None:
        self._connection = connection
        self._space = space
        self._redescribed = 0
        self._restart()

    def _restart(self) -> None:
        self.dimensions = 0
        self._seqs: Ints = np.zeros(0, np.int64)
        self._coded = Coded(np.zeros((0, 0), np.int8), np.zeros(0, np.float32))
        self._size = self._loaded = 0

    def __len__(self) -> int:
        return self._size

    def fits(self, vector: bytes) -> bool:
        """Whether a vector (float16) has as many dimensions as those of the space."""
        return len(vector) == 2 * self.dimensions

    def refresh(self) -> None:
        """Take in what was stored since; call it inside the read transaction of the query."""
        redescribed = times_redescribed(self._connection)
        if redescribed != self._redescribed or self._size > 2 * self._loaded + _ADDED_AT_LEAST:
            self._restart()
            self._redescribed = redescribed
        is_new = not self._size
        last = int(self._seqs[self._size - 1]) if self._size else -1
        rows = self._connection.execute(
            "SELECT seq, vector FROM vectors WHERE space=? AND seq>? ORDER BY seq", (self._space, last)
        )
        while some := rows.fetchmany(_ROWS_AT_ONCE):
            self._append(some)
        if is_new:
            self._loaded = self._size

    def nearest(self, query: Floats, n: int) -> tuple[Ints, Floats]:
        """Numbers of the ``n`` nearest to a unit vector, and their cosines, to about 0.002."""
        seqs, cosine = self._seqs[: self._size], dots(self._held(), encode(query[None]))
        if len(seqs) > n:
            best = np.argpartition(-cosine, n)[:n]
            seqs, cosine = seqs[best], cosine[best]
        return seqs, cosine

    def among(self, query: Floats, seqs: Ints) -> tuple[Ints, Floats]:
        """Those of these observations (numbers ascending) that have a vector, and their cosines, to about 0.002."""
        held = self._held()
        rows, there = find(self._seqs[: self._size], seqs)
        return seqs[there], dots(Coded(held.codes.take(rows, axis=0), held.scales[rows]), encode(query[None]))

    def _held(self) -> Coded:
        return Coded(self._coded.codes[: self._size], self._coded.scales[: self._size])

    def _append(self, some: list[tuple[int, bytes]]) -> None:
        size = self.dimensions = self.dimensions or len(some[0][1]) // 2
        kept = [(seq, vector) for seq, vector in some if len(vector) == 2 * size]
        if not kept:
            return
        coded = encode(np.frombuffer(b"".join(vector for _, vector in kept), "<f2").reshape(len(kept), -1))
        end = self._size + len(kept)
        if self._coded.codes.shape[1] != size:
            self._coded = Coded(np.zeros((0, size), np.int8), np.zeros(0, np.float32))
        if end > len(self._seqs):
            capacity = max(end, 2 * len(self._seqs))
            self._coded = Coded(grown(self._coded.codes, capacity), grown(self._coded.scales, capacity))
            self._seqs = grown(self._seqs, capacity)
        self._seqs[self._size : end] = [seq for seq, _ in kept]
        self._coded.codes[self._size : end] = coded.codes
        self._coded.scales[self._size : end] = coded.scales
        self._size = end
