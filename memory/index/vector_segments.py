"""Segments: stretches of a vector space put into cells, made in the background and stored beside the vectors.

A segment is a stretch of observations in the order of storing, cut into cells once and never changed but by removal.
Eight small ones are put together into a large one, whose finer cells need fewer to be read. What is not in a segment
yet is searched whole, so nothing waits for this work: it only makes searching quicker. A segment is written in many
short transactions under the state `building`, so that storing observations never waits for it, and counts from the
moment it is `live`; one left behind by a crash is deleted when the next is begun.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
from msgspec import Struct

from memory.index.vector_cells import CELL_SIZE, encode, make_cells

# Vectors a segment is made of: few enough to be searched whole until then, so many that cells are small.
SMALL = 32_768
LARGE = 8 * SMALL
_ROWS_AT_ONCE = 64

Transaction = Callable[[], AbstractContextManager[sqlite3.Connection]]


class Plan(Struct, frozen=True):
    """Make a segment of the vectors of a space stored from ``first`` to ``last``, in place of ``replaced``."""

    space: str
    first: int
    last: int
    replaced: tuple[int, ...] = ()


def plan_segment(connection: sqlite3.Connection) -> Plan | None:
    """What should be made next; None if nothing."""
    for (space,) in connection.execute("SELECT DISTINCT space FROM vectors").fetchall():
        live = connection.execute(
            "SELECT segment, first_seq, last_seq, n FROM vector_segments WHERE space=? AND state='live'"
            " ORDER BY last_seq",
            (space,),
        ).fetchall()
        after = live[-1][2] if live else -1
        for size in (LARGE, SMALL):
            row = connection.execute(
                "SELECT seq FROM vectors WHERE space=? AND seq>? ORDER BY seq LIMIT 1 OFFSET ?",
                (space, after, size - 1),
            ).fetchone()
            if row is not None:
                return Plan(space, after + 1, row[0])
        small = [segment for segment in live if segment[3] <= SMALL]
        if len(small) >= LARGE // SMALL:
            return Plan(space, small[0][1], small[-1][2], tuple(segment[0] for segment in small))
    return None


def segment_vectors(connection: sqlite3.Connection, is_over: Callable[[], bool] = lambda: False) -> bool:
    """Make the next segment over a connection of its own, if one is due; False if none is, or ``is_over``."""
    plan = plan_segment(connection)
    if plan is None or is_over():
        return False

    @contextmanager
    def transaction() -> Iterator[sqlite3.Connection]:
        if is_over():
            raise _OverError
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    try:
        _make_segment(connection, transaction, plan)
    except _OverError:
        return False
    return True


class _OverError(Exception):
    """The process ends; what was begun is deleted when the next segment is made."""


def _make_segment(reader: sqlite3.Connection, transaction: Transaction, plan: Plan) -> None:
    with transaction() as writer:
        stale = [s for (s,) in writer.execute("SELECT segment FROM vector_segments WHERE state!='live'").fetchall()]
    for segment in stale:
        _delete(transaction, segment)
    seqs, vectors = _read(reader, plan)
    with transaction() as writer:
        segment = writer.execute(
            "INSERT INTO vector_segments(space, first_seq, last_seq, n, state) VALUES (?,?,?,0,'building')",
            (plan.space, plan.first, plan.last),
        ).lastrowid
    centroids, cell = make_cells(vectors)
    order = np.argsort(cell, kind="stable")
    begins = np.searchsorted(cell[order], np.arange(len(centroids) + 1))
    for first in range(0, len(centroids), _ROWS_AT_ONCE):
        rows = []
        for c in range(first, min(first + _ROWS_AT_ONCE, len(centroids))):
            members = order[begins[c] : begins[c + 1]]
            if len(members):
                coded = encode(vectors[members])
                rows.append(
                    (
                        segment, c, centroids[c].astype("<f2").tobytes(), seqs[members].astype("<i8").tobytes(),
                        coded.scales.astype("<f4").tobytes(), coded.codes.tobytes(),
                    )
                )  # fmt: skip
        with transaction() as writer:
            writer.executemany("INSERT INTO vector_cells VALUES (?,?,?,?,?,?)", rows)
    with transaction() as writer:
        # What was removed while the cells were made; from here on `remove_vectors` sees to it.
        there = {s for (s,) in _stored(writer, plan)}
        drop_from_cells(writer, [int(s) for s in seqs if int(s) not in there], segment)
        writer.execute(
            "UPDATE vector_segments SET state='live', n=? WHERE segment=? AND state='building'", (len(there), segment)
        )
        for old in plan.replaced:
            writer.execute("UPDATE vector_segments SET state='dead' WHERE segment=?", (old,))
    for old in plan.replaced:
        _delete(transaction, old)


def drop_from_cells(connection: sqlite3.Connection, seqs: list[int], segment: int | None = None) -> None:
    """Delete the vectors of these observations from the cells they lie in."""
    by_segment: dict[int, list[int]] = {}
    for seq in seqs:
        for (number,) in connection.execute(
            "SELECT segment FROM vector_segments WHERE first_seq<=? AND last_seq>=? AND (? IS NULL OR segment=?)",
            (seq, seq, segment, segment),
        ):
            by_segment.setdefault(number, []).append(seq)
    for number, gone in by_segment.items():
        for cell, listed in connection.execute(
            "SELECT cell, seqs FROM vector_cells WHERE segment=?", (number,)
        ).fetchall():
            held = np.frombuffer(listed, "<i8")
            left = ~np.isin(held, gone)
            if left.all():
                continue
            scales, codes = connection.execute(
                "SELECT scales, codes FROM vector_cells WHERE segment=? AND cell=?", (number, cell)
            ).fetchone()
            connection.execute(
                "UPDATE vector_cells SET seqs=?, scales=?, codes=? WHERE segment=? AND cell=?",
                (
                    held[left].tobytes(),
                    np.frombuffer(scales, "<f4")[left].tobytes(),
                    np.frombuffer(codes, np.int8).reshape(len(held), -1)[left].tobytes(),
                    number,
                    cell,
                ),
            )
        if not connection.execute(
            "SELECT 1 FROM vector_cells WHERE segment=? AND length(seqs)>0 LIMIT 1", (number,)
        ).fetchone():
            connection.execute("UPDATE vector_segments SET state='dead' WHERE segment=?", (number,))


def move_vectors(connection: sqlite3.Connection, seqs: list[int], space: str) -> None:
    """Count these vectors, stored just now under numbers of before, among those of ``space``, and tell who holds any.

    Its segments from the first of them on are given up: they would seem to hold them. They are made again in time.
    """
    connection.execute("UPDATE vector_segments SET state='dead' WHERE space=? AND last_seq>=?", (space, min(seqs)))
    connection.execute("UPDATE memory SET value=value+1 WHERE key='redescribed'")


def times_redescribed(connection: sqlite3.Connection) -> int:
    """How often `move_vectors` was called on this file."""
    return int(connection.execute("SELECT value FROM memory WHERE key='redescribed'").fetchone()[0])


def segment_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of all cells, from what the segments say of themselves."""
    total = 0
    for n, space in connection.execute("SELECT n, space FROM vector_segments WHERE state='live'").fetchall():
        row = connection.execute("SELECT length(vector) FROM vectors WHERE space=? LIMIT 1", (space,)).fetchone()
        dimensions = row[0] // 2 if row else 0
        total += n * (dimensions + 12) + n // CELL_SIZE * (2 * dimensions + 32)
    return total


def _stored(connection: sqlite3.Connection, plan: Plan) -> Iterator[tuple[int]]:
    return connection.execute(
        "SELECT seq FROM vectors WHERE space=? AND seq BETWEEN ? AND ?", (plan.space, plan.first, plan.last)
    )


def _read(reader: sqlite3.Connection, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    rows = reader.execute(
        "SELECT seq, vector FROM vectors WHERE space=? AND seq BETWEEN ? AND ? ORDER BY seq",
        (plan.space, plan.first, plan.last),
    )
    seqs: list[int] = []
    parts: list[bytes] = []
    size = 0
    for seq, vector in rows:
        size = size or len(vector)
        if len(vector) == size:
            seqs.append(seq)
            parts.append(vector)
    return np.array(seqs, np.int64), np.frombuffer(b"".join(parts), "<f2").reshape(len(seqs), -1)


def _delete(transaction: Transaction, segment: int) -> None:
    """Delete a segment that does not count, a few cells at a time."""
    while True:
        with transaction() as writer:
            gone = writer.execute(
                "DELETE FROM vector_cells WHERE rowid IN (SELECT rowid FROM vector_cells WHERE segment=? LIMIT ?)",
                (segment, _ROWS_AT_ONCE),
            ).rowcount
            if not gone:
                writer.execute("DELETE FROM vector_segments WHERE segment=? AND state!='live'", (segment,))
                return
