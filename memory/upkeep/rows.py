"""Rows that are not as they were stored: found by their checksums, put aside, and what was made of them made again.

A flipped bit in a page need not break the file; it can change a word in silence. So observations, pictures and vectors
have a checksum (`memory.store.records`). A row that differs from its own, or cannot be read, is deleted and noted in
`quarantine` with when it was, so that the agent knows that it has lost something; then indexes are made again.
"""

# ruff: noqa: S608 - only names of tables and columns are put into statements
from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from memory.index.blocks import reindex
from memory.store.database import Store
from memory.store.records import CHECKED, CHECKED_TYPES, checksum
from memory.store.removal import uncharge
from runtime.messages import FACTS, read_facts

_AT_ONCE = 2000
_WHAT = {"observations": "observation", "payloads": "picture", "vectors": "vector"}


class BadRow(Struct, frozen=True):
    """A row that is not as it was stored: its table, number, and why."""

    table: str
    seq: int
    why: str


def find_bad_rows(connection: sqlite3.Connection, until_s: float | None = None) -> Iterator[BadRow]:
    """All rows that differ from their checksum or cannot be read, newest first; up to ``until_s`` of the monotonic
    clock where that is given. The connection is the caller's alone.

    Raises:
        sqlite3.DatabaseError: a page cannot be read: the file needs more than this.
    """
    factory, connection.text_factory = connection.text_factory, bytes
    try:
        for table, columns in CHECKED.items():
            before = 1 << 62
            select = (
                f"SELECT seq, crc, {' || '.join(f'typeof({c})' for c in columns)}, {', '.join(columns)} FROM {table}"
            )
            while until_s is None or time.monotonic() < until_s:
                rows = connection.execute(
                    f"{select} WHERE seq<? ORDER BY seq DESC LIMIT ?", (before, _AT_ONCE)
                ).fetchall()
                for seq, crc, types, *values in rows:
                    if why := _fault(table, crc, types, values):
                        yield BadRow(table, seq, why)
                if len(rows) < _AT_ONCE:
                    break
                before = rows[-1][0]
    finally:
        connection.text_factory = factory


def _fault(table: str, crc: int, types: bytes, values: list[Any]) -> str:
    if types.decode() != CHECKED_TYPES[table]:
        return f"{_WHAT[table]} of another type"
    if crc:  # 0: stored before there were checksums
        return "" if checksum(values) == crc else f"{_WHAT[table]} differs from its checksum"
    if table == "observations":
        try:
            channel, text, data, evidence = (bytes(values[i]).decode() for i in (1, 4, 5, 6))
            text.encode()
            read_facts(channel, data)  # type: ignore[arg-type]
            msgspec.json.decode(evidence, type=tuple[str, ...])
        except (ValueError, KeyError):
            return "observation cannot be read"
    return ""


def quarantine(store: Store, bad: list[BadRow], wall_s: float) -> None:
    """Put rows aside: delete them, note when they were, and have everything that is made of observations made again."""
    with store.maintainer() as connection:
        connection.execute("BEGIN IMMEDIATE")
        # What stands in an index of a row that has changed cannot be deleted with it: it is made anew from the rows.
        connection.execute("REINDEX")
        for row in bad:
            known = connection.execute(
                "SELECT CAST(id AS BLOB), source, CAST(channel AS TEXT), t0_s, t1_s FROM observations WHERE seq=?",
                (row.seq,),
            ).fetchone()
            if known is None:
                continue
            id_, source, channel, t0_s, t1_s = known
            if row.table == "observations" and channel in FACTS:
                uncharge(connection, [row.seq], "row_bytes + picture_bytes", n=1)
            tables = (row.table,) if row.table != "observations" else ("payloads", "vectors", "observations")
            for table in tables:
                connection.execute(f"DELETE FROM {table} WHERE seq=?", (row.seq,))
            if row.table == "observations":
                connection.execute("DELETE FROM links WHERE from_seq=?", (row.seq,))
                connection.execute("INSERT INTO removals(seq) VALUES (?)", (row.seq,))
            connection.execute(
                "INSERT OR REPLACE INTO quarantine VALUES (?,?,?,?,?,?,?)",
                (row.seq, id_.decode(errors="replace"), source, t0_s, t1_s, row.why, wall_s),
            )
        # Whoever holds an index in memory reads it again.
        connection.execute("UPDATE memory SET value=0 WHERE key='analysis'")
        connection.execute("UPDATE memory SET value=value+1 WHERE key='redescribed'")
        connection.execute("UPDATE memory SET value=1 WHERE key='unscrubbed'")
        connection.execute("COMMIT")
        reindex(connection)
