"""Search among the vectors of one space: those not in a segment whole, those in segments by their nearest cells.

What is not in a segment is compared whole; of what is, the nearest cells that hold `SCAN_SHARE` of it, and at least
`SCAN_LEAST` vectors. Codes of all vectors lie in memory, one byte a dimension. Used by one thread.
"""

from __future__ import annotations

import sqlite3

import numpy as np
from msgspec import Struct

from memory.index.arrays import Floats, Ints, find, grown
from memory.index.vector_cells import CELL_SIZE, Coded, dots, encode
from memory.index.vector_segments import times_redescribed

SCAN_LEAST = 8192
SCAN_SHARE = 0.02
_ROWS_AT_ONCE = 4096


class _Segment(Struct, frozen=True):
    """Rows cell by cell. ``begins``: where each cell begins, and the end; ``bounds``: the same as a list, which is
    quicker to look into. ``ranked``: rows in order of seq, and ``in_order``: the seqs in that order."""

    seqs: Ints
    coded: Coded
    centroids: Coded
    begins: Ints
    bounds: list[int]
    ranked: Ints
    in_order: Ints


class VectorIndex:
    """The vectors of a space by the numbers of their observations; all of the length of the first."""

    def __init__(self, connection: sqlite3.Connection, space: str) -> None:
        self._connection = connection
        self._space = space
        self._redescribed = 0
        self._restart()

    def _restart(self) -> None:
        self._segments: dict[int, _Segment] = {}
        self.dimensions = 0
        self._segmented_to = -1
        self._tail_seqs: Ints = np.zeros(0, np.int64)
        self._tail = Coded(np.zeros((0, 0), np.int8), np.zeros(0, np.float32))
        self._tail_size = 0

    def __len__(self) -> int:
        return self._tail_size + sum(len(segment.seqs) for segment in self._segments.values())

    def fits(self, vector: bytes) -> bool:
        """Whether a vector (float16) has as many dimensions as those of the space."""
        return len(vector) == 2 * self.dimensions

    @property
    def is_whole(self) -> bool:
        """Whether every vector is compared with a query."""
        return len(self) - self._tail_size <= SCAN_LEAST

    def refresh(self) -> None:
        """Take in what was stored and segmented since; call it inside the read transaction of the query."""
        if (redescribed := times_redescribed(self._connection)) != self._redescribed:
            self._restart()
            self._redescribed = redescribed
        live = self._connection.execute(
            "SELECT segment, last_seq FROM vector_segments WHERE space=? AND state='live'", (self._space,)
        ).fetchall()
        if {segment for segment, _ in live} != set(self._segments):
            self._segments = {s: self._segments[s] if s in self._segments else self._load(s) for s, _ in live}
            self._segmented_to = max((last for _, last in live), default=-1)
            left = self._tail_seqs[: self._tail_size] > self._segmented_to
            self._tail_seqs = self._tail_seqs[: self._tail_size][left]
            codes, scales = self._tail.codes[: self._tail_size][left], self._tail.scales[: self._tail_size][left]
            self._tail, self._tail_size = Coded(codes, scales), len(codes)
        last = int(self._tail_seqs[self._tail_size - 1]) if self._tail_size else self._segmented_to
        rows = self._connection.execute(
            "SELECT seq, vector FROM vectors WHERE space=? AND seq>? ORDER BY seq", (self._space, last)
        )
        while some := rows.fetchmany(_ROWS_AT_ONCE):
            self._append(some)

    def nearest(self, query: Floats, n: int) -> tuple[Ints, Floats]:
        """Numbers of the ``n`` nearest to a unit vector among those compared, and their cosines, to about 0.002."""
        coded = encode(query[None])
        parts = [self._tail_part()]
        seqs = [self._tail_seqs[: self._tail_size]]
        segments = list(self._segments.values())
        if segments:
            budget = max(SCAN_LEAST, int(SCAN_SHARE * (len(self) - self._tail_size)))
            likeness = dots([segment.centroids for segment in segments], coded)
            sizes = np.concatenate([np.diff(segment.begins) for segment in segments])
            chosen = np.sort(_likest(likeness, sizes, budget))
            first = 0
            for segment in segments:
                number = len(segment.begins) - 1
                for cell in (chosen[(chosen >= first) & (chosen < first + number)] - first).tolist():
                    begin, end = segment.bounds[cell], segment.bounds[cell + 1]
                    seqs.append(segment.seqs[begin:end])
                    parts.append(Coded(segment.coded.codes[begin:end], segment.coded.scales[begin:end]))
                first += number
        found, cosine = np.concatenate(seqs), dots(parts, coded)
        if len(found) > n:
            best = np.argpartition(-cosine, n)[:n]
            found, cosine = found[best], cosine[best]
        return found, cosine

    def among(self, query: Floats, seqs: Ints) -> tuple[Ints, Floats]:
        """Those of these observations (numbers ascending) that have a vector, and their cosines, to about 0.002."""
        coded = encode(query[None])
        tail = self._tail_seqs[: self._tail_size]
        rows, there = find(tail, seqs)
        found, parts = [seqs[there]], [_take(self._tail_part(), rows)]
        for segment in self._segments.values():
            if not len(seqs) or segment.in_order[0] > seqs[-1] or segment.in_order[-1] < seqs[0]:
                continue
            ranks, there = find(segment.in_order, seqs)
            found.append(seqs[there])
            parts.append(_take(segment.coded, segment.ranked[ranks]))
        return np.concatenate(found), dots(parts, coded)

    def _tail_part(self) -> Coded:
        return Coded(self._tail.codes[: self._tail_size], self._tail.scales[: self._tail_size])

    def _append(self, some: list[tuple[int, bytes]]) -> None:
        size = self.dimensions = self.dimensions or len(some[0][1]) // 2
        kept = [(seq, vector) for seq, vector in some if len(vector) == 2 * size]
        if not kept:
            return
        coded = encode(np.frombuffer(b"".join(vector for _, vector in kept), "<f2").reshape(len(kept), -1))
        end = self._tail_size + len(kept)
        if self._tail.codes.shape[1] != size:
            self._tail = Coded(np.zeros((0, size), np.int8), np.zeros(0, np.float32))
        if end > len(self._tail_seqs):
            capacity = max(end, 2 * len(self._tail_seqs))
            self._tail = Coded(grown(self._tail.codes, capacity), grown(self._tail.scales, capacity))
            self._tail_seqs = grown(self._tail_seqs, capacity)
        self._tail_seqs[self._tail_size : end] = [seq for seq, _ in kept]
        self._tail.codes[self._tail_size : end] = coded.codes
        self._tail.scales[self._tail_size : end] = coded.scales
        self._tail_size = end

    def _load(self, segment: int) -> _Segment:
        centroids, seqs, scales, codes = parts = tuple(bytearray() for _ in range(4))
        bounds = [0]
        for cell in self._connection.execute(
            "SELECT centroid, seqs, scales, codes FROM vector_cells WHERE segment=? ORDER BY cell", (segment,)
        ):
            # One after the other, so that no more than one cell is in memory twice.
            for part, blob in zip(parts, cell, strict=True):
                part += blob
            bounds.append(len(seqs) // 8)
        vectors = np.frombuffer(centroids, "<f2").reshape(len(bounds) - 1, -1)
        numbers = np.frombuffer(seqs, "<i8")
        coded = Coded(np.frombuffer(codes, np.int8).reshape(len(numbers), -1), np.frombuffer(scales, "<f4"))
        self.dimensions = vectors.shape[1]
        ranked = np.argsort(numbers, kind="stable")
        return _Segment(numbers, coded, encode(vectors), np.array(bounds), bounds, ranked, numbers[ranked])


def _likest(likeness: Floats, sizes: Ints, budget: int) -> Ints:
    """The likest cells that hold ``budget`` vectors together, and one more."""
    for n in (2 * budget // CELL_SIZE, len(sizes)):  # as a rule the first are enough, and few are put in order
        order = np.argpartition(-likeness, n)[:n] if n < len(sizes) else np.arange(len(sizes))
        order = order[np.argsort(-likeness[order], kind="stable")]
        held = np.cumsum(sizes[order])
        if len(order) == len(sizes) or held[-1] > budget:
            break
    return order[: int(np.searchsorted(held, budget)) + 1]


def _take(coded: Coded, rows: Ints) -> Coded:
    return Coded(coded.codes.take(rows, axis=0), coded.scales[rows])
