"""Taking observations out of the store: out of every table that knows of them, in the transaction of a `Writing`.

The only place where an observation is deleted, whether to keep a budget, by age, or because a user asked. What is
removed is deleted, not marked: pictures, vectors, words, postings, links; a term that nothing holds any more leaves
the vocabulary. Running totals and the holding of its event are put right. What remains is the number each
observation was stored under, in `removals`, so that an index held in memory can drop it too; it says nothing of
what was there, and only the last are listed. Derived observations that rest on a removed one, and the text of
spans, are the caller's.
"""

# ruff: noqa: S608 - only names of columns and question marks are put into statements
from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Container, Iterable, Sequence

from msgspec import Struct

from memory.index.keys import Key, counted_terms, observation_key
from memory.index.vocabulary import term_counts
from memory.store.records import OBSERVATION_COLUMNS, OBSERVATION_JOIN, observation_of
from memory.store.size_accounting import belongs_at_s, charge, kind_of, level_of

# A reader that has missed more than these reads everything anew.
REMOVALS_KEPT = 20_000
_AT_ONCE = 500


class Removed(Struct, frozen=True):
    """Ids of those that were there, terms that are now in none, and what the index still has to drop."""

    ids: list[str]
    terms: set[str]
    keys: list[tuple[int, Key]]


def remove_observations(connection: sqlite3.Connection, ids: Iterable[str]) -> Removed:
    """Delete these observations and all that is kept of them, but for the index (`blocks.unindex`): that is
    cheaper for many at once, and is the caller's before the transaction ends."""
    wanted = list(dict.fromkeys(ids))
    removed = Removed([], set(), [])
    for i in range(0, len(wanted), _AT_ONCE):
        some = wanted[i : i + _AT_ONCE]
        rows = connection.execute(
            f"SELECT {OBSERVATION_COLUMNS}, o.seq FROM {OBSERVATION_JOIN} WHERE o.id IN ({','.join('?' * len(some))})",
            some,
        ).fetchall()
        uncharge(connection, [row[11] for row in rows], "row_bytes + picture_bytes", n=1)
        removed.keys.extend((row[11], observation_key(observation_of(row))) for row in rows)
        removed.terms.update(uncount_terms(connection, removed.keys[-len(rows) :] if rows else []))
        seqs = [(row[11],) for row in rows]
        for table in ("payloads", "vectors", "observations"):
            connection.executemany(f"DELETE FROM {table} WHERE seq=?", seqs)
        connection.executemany("DELETE FROM links WHERE to_id=?", [(row[0],) for row in rows])
        connection.executemany("DELETE FROM links WHERE from_seq=?", seqs)
        connection.executemany("INSERT INTO removals(seq) VALUES (?)", seqs)
        removed.ids.extend(row[0] for row in rows)
    if removed.ids:
        connection.execute(
            "DELETE FROM removals WHERE removal <= (SELECT max(removal) FROM removals) - ?", (REMOVALS_KEPT,)
        )
    return removed


def remove_pictures(connection: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Delete the pictures of these observations; what else is known of them stays."""
    wanted = list(dict.fromkeys(ids))
    for i in range(0, len(wanted), _AT_ONCE):
        some = wanted[i : i + _AT_ONCE]
        seqs = [
            seq
            for (seq,) in connection.execute(
                f"SELECT seq FROM observations JOIN payloads USING (seq) WHERE id IN ({','.join('?' * len(some))})",
                some,
            )
        ]
        uncharge(connection, seqs, "picture_bytes", n=0)
        connection.executemany("DELETE FROM payloads WHERE seq=?", [(seq,) for seq in seqs])


def count_terms(connection: sqlite3.Connection, counts: Iterable[tuple[str, int]]) -> None:
    """Add to the numbers of observations that hold these terms."""
    connection.executemany("INSERT INTO term_counts VALUES (?,?) ON CONFLICT DO UPDATE SET n=n+excluded.n", counts)


def uncharge(connection: sqlite3.Connection, seqs: Sequence[int], weight: str, n: int) -> None:
    """Take what goes out of the totals of its channel and its level, and out of the holding of its event."""
    for source, channel, t0_s, t1_s, n_bytes in connection.execute(
        f"SELECT source, channel, t0_s, t1_s, {weight} FROM charges WHERE seq IN ({','.join('?' * len(seqs))})", seqs
    ).fetchall():
        charge(connection, channel, -n, -n_bytes)
        kind, at_s = kind_of(channel), belongs_at_s(channel, t0_s, t1_s)
        held = connection.execute(
            "SELECT span, stage, t1_s FROM holdings WHERE source=? AND kind=? AND t0_s<=? ORDER BY t0_s DESC LIMIT 1",
            (source, kind, at_s),
        ).fetchone()
        level = level_of(kind)
        if held is not None and at_s <= held[2]:
            level = level_of(kind, held[1])
            connection.execute("UPDATE holdings SET bytes=bytes-? WHERE span=? AND kind=?", (n_bytes, held[0], kind))
        charge(connection, level, -n, -n_bytes)


def uncount_terms(connection: sqlite3.Connection, keys: Sequence[tuple[int, Key]]) -> set[str]:
    """Count the terms of observations no more; returns those that none holds any more, out of the vocabulary."""
    counts = Counter(term for _, key in keys for term in counted_terms(key))
    count_terms(connection, [(term, -n) for term, n in counts.items()])
    gone = {t for t in counts if connection.execute("DELETE FROM term_counts WHERE term=? AND n<=0", (t,)).rowcount}
    for term in gone:
        connection.execute("DELETE FROM vocabulary WHERE term=?", (term,))
    return gone


def forget_terms(connection: sqlite3.Connection, span: str | None = None, gone: Container[int] = ()) -> None:
    """Have an event, or all, no longer be known by terms that nothing holds any more, nor by observations ``gone``."""
    where, values = ("", ()) if span is None else (" WHERE span=?", (span,))
    for id_, kind, keys, rare in connection.execute(
        f"SELECT span, kind, keys, terms FROM holdings{where}", values
    ).fetchall():
        seqs, told = json.loads(keys), json.loads(rare)
        held = term_counts(connection, (term for term, _ in told))
        kept, known = [seq for seq in seqs if seq not in gone], [pair for pair in told if pair[0] in held]
        if (kept, known) != (seqs, told):
            connection.execute(
                "UPDATE holdings SET keys=?, terms=? WHERE span=? AND kind=?",
                (json.dumps(kept), json.dumps(known), id_, kind),
            )
