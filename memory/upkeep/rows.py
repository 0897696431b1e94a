"""Rows that are not as they were stored: found by their checksums, put aside, and what was made of them made again.

A flipped bit in a page need not break the file; it can change a word in silence. So observations, pictures, vectors and
spans have a checksum (`memory.store.records`). A row that differs from its own, or cannot be read, is deleted and noted
in `quarantine` with when it was, so that the agent knows that it has lost something; then indexes are made again. A
span stays, and tells what can be made anew of what it told of.
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
from memory.spans.resketch import resketch, retell_episode
from memory.spans.summarise import GONE_TEXT
from memory.store.database import Store
from memory.store.records import CHECKED, CHECKED_TYPES, KEYS, change_span, checksum
from memory.store.removal import uncharge
from runtime.messages import FACTS, read_facts

_AT_ONCE = 2000
# Moments are made anew with their event.
_TOLD, _STAGES = (b"event", b"episode"), (b"full", b"sketch", b"pointer", b"tombstone")
_WHAT = {"observations": "observation", "payloads": "picture", "vectors": "vector", "spans": "sketch"}


class BadRow(Struct, frozen=True):
    """A row that is not as it was stored: its table, the number it is known by there, or the id as bytes, and why."""

    table: str
    key: int | bytes
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
            if (b"crc",) not in connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall():
                continue  # an older version's, looked at as it is
            key, marks = KEYS[table], ""
            before: tuple[Any, ...] = ()
            select = (
                f"SELECT {key}, crc, {' || '.join(f'typeof({c})' for c in columns)}, {', '.join(columns)} FROM {table}"
            )
            while until_s is None or time.monotonic() < until_s:
                rows = connection.execute(
                    f"{select} {marks} ORDER BY {key} DESC LIMIT ?", (*before, _AT_ONCE)
                ).fetchall()
                for of, crc, types, *values in rows:
                    if why := _fault(table, crc, types, values):
                        yield BadRow(table, of, why)
                if len(rows) < _AT_ONCE:
                    break
                before, marks = (rows[-1][0],), f"WHERE {key} < {'CAST(? AS TEXT)' if key == 'id' else '?'}"
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
            if row.table == "spans":
                continue
            known = connection.execute(
                "SELECT CAST(id AS BLOB), source, CAST(channel AS TEXT), t0_s, t1_s FROM observations WHERE seq=?",
                (row.key,),
            ).fetchone()
            if known is None:
                continue
            id_, source, channel, t0_s, t1_s = known
            if row.table == "observations" and channel in FACTS:
                assert isinstance(row.key, int)
                uncharge(connection, [row.key], "row_bytes + picture_bytes", n=1)
            tables = (row.table,) if row.table != "observations" else ("payloads", "vectors", "observations")
            for table in tables:
                connection.execute(f"DELETE FROM {table} WHERE seq=?", (row.key,))
            if row.table == "observations":
                connection.execute("DELETE FROM links WHERE from_seq=?", (row.key,))
                connection.execute("INSERT INTO removals(seq) VALUES (?)", (row.key,))
            connection.execute(
                "INSERT OR REPLACE INTO quarantine VALUES (?,?,?,?,?,?,?)",
                (row.key, id_.decode(errors="replace"), source, t0_s, t1_s, row.why, wall_s),
            )
        _tell_anew(connection, [row for row in bad if row.table == "spans"], wall_s)
        # Whoever holds an index in memory reads it again.
        connection.execute("UPDATE memory SET value=0 WHERE key='analysis'")
        connection.execute("UPDATE memory SET value=value+1 WHERE key='redescribed'")
        connection.execute("UPDATE memory SET value=1 WHERE key='unscrubbed'")
        connection.execute("COMMIT")
        reindex(connection)


def _tell_anew(connection: sqlite3.Connection, bad: list[BadRow], wall_s: float) -> None:
    """Have damaged spans tell what is left to tell. One that says no more which it is, is deleted."""
    stretches: dict[int, list[tuple[float, float]]] = {}
    episodes: list[tuple[int, str]] = []
    for row in bad:
        id_, level, stage, *others, source, t0_s, t1_s = connection.execute(
            "SELECT CAST(id AS BLOB), CAST(level AS BLOB), CAST(stage AS BLOB), CAST(parent AS BLOB),"
            " CAST(why AS BLOB), source, t0_s, t1_s FROM spans WHERE id=CAST(? AS TEXT)",
            (row.key,),
        ).fetchone()
        name = id_.decode(errors="replace")
        connection.execute(
            "INSERT INTO quarantine SELECT min(0, coalesce(min(seq), 0)) - 1, ?,?,?,?,?,? FROM quarantine",
            (
                name,
                *(value if isinstance(value, (int, float)) else 0 for value in (source, t0_s, t1_s)),
                row.why,
                wall_s,
            ),
        )
        is_placed = isinstance(source, int) and isinstance(t0_s, float) and isinstance(t1_s, float) and t0_s <= t1_s
        if is_placed:
            stretches.setdefault(source, []).append((t0_s, t1_s))
        if level not in _TOLD or stage not in _STAGES or not is_placed or name.encode() != id_:
            connection.execute("DELETE FROM spans WHERE id=CAST(? AS TEXT)", (row.key,))
            continue
        parent, why = (other.decode(errors="ignore") for other in others)
        text = GONE_TEXT if stage == b"tombstone" else ""
        change_span(connection, name, text=text, parent=parent, keyframe="", why=why, trust=1.0)
        if level == b"episode" and stage != b"tombstone":
            episodes.append((source, name))
    for source, of in stretches.items():
        resketch(connection, source, of)
    for source, name in episodes:
        retell_episode(connection, source, name)
