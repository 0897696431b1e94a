"""Taking observations out of the store: out of every table that knows of them, in the transaction of a `Writing`.

What is removed is deleted, not marked: pictures, vectors, words, postings, links. What remains is the number each
observation was stored under, in `removals`, so that an index held in memory can drop it too; it says nothing of
what was there. Spans and derived observations that rest on a removed one are the caller's to find first.
"""

# ruff: noqa: S608 - only names of columns and question marks are put into statements
from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from memory.keys import observation_key
from memory.records import OBSERVATION_COLUMNS, OBSERVATION_JOIN, observation_of

_AT_ONCE = 500


def remove_observations(connection: sqlite3.Connection, ids: Iterable[str]) -> tuple[str, ...]:
    """Delete these observations and all that is kept of them; the ids of those that were there."""
    wanted = list(dict.fromkeys(ids))
    removed: list[str] = []
    for i in range(0, len(wanted), _AT_ONCE):
        removed += _remove_some(connection, wanted[i : i + _AT_ONCE])
    return tuple(removed)


def _remove_some(connection: sqlite3.Connection, ids: Sequence[str]) -> list[str]:
    rows = connection.execute(
        f"SELECT {OBSERVATION_COLUMNS}, o.seq FROM {OBSERVATION_JOIN} WHERE o.id IN ({','.join('?' * len(ids))})", ids
    ).fetchall()
    for row in rows:
        seq, key = row[11], observation_key(observation_of(row))
        if key.own or key.speaker:
            connection.execute(
                "INSERT INTO observation_terms(observation_terms, rowid, own, speaker) VALUES ('delete',?,?,?)",
                (seq, " ".join(key.own), " ".join(key.speaker)),
            )
    seqs = [(row[11],) for row in rows]
    for table in ("keys", "payloads", "vectors", "observations"):
        connection.executemany(f"DELETE FROM {table} WHERE seq=?", seqs)
    connection.executemany("DELETE FROM links WHERE to_id=?", [(row[0],) for row in rows])
    connection.executemany("DELETE FROM links WHERE from_seq=?", seqs)
    connection.executemany("INSERT INTO removals(seq) VALUES (?)", seqs)
    return [row[0] for row in rows]
