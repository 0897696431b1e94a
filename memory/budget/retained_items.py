"""What each event still holds, as rows of `holdings`: found by event, by time and by worth, each through an index.

An event has up to two holdings, of what was `seen` and of what was `said`; what was `asked` (questions, answers,
corrections, derived) has one for its moment, and an episode one of what is `told` of it. ``t1_s`` of a holding is
exclusive: where a source ends it lies a millisecond beyond, so that what was noticed at the very end belongs to it.
"""

# ruff: noqa: S608 - only names of columns are put into statements
from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory.budget.value_density import RetainedItem
from memory.index.keys import telling_terms
from memory.index.vocabulary import term_counts
from memory.store.records import OBSERVATION_COLUMNS, OBSERVATION_JOIN, observation_of
from memory.store.size_accounting import INSTANT, Kind, Stage, channels_of
from runtime.messages import Observation, Span

# Of an event's terms so many of the rarest are remembered with it.
TERMS_KEPT = 8
SPAN_BYTES = "120 + 3 * length(id) + length(CAST(text AS BLOB)) + length(parent) + length(keyframe) + length(why)"
_COLUMNS = "span, kind, source, t0_s, t1_s, begun_wall_s, stage, bytes, trust, novelty, uses, rate, keys, terms"


def read_members(
    connection: sqlite3.Connection, source: int, kind: Kind, t0_s: float, t1_s: float
) -> list[tuple[int, Observation]]:
    """(seq, observation) of one kind that belong to [t0_s, t1_s) of a source, in order of time; no pictures."""
    rows: list[tuple[Any, ...]] = []
    for instant, column in ((True, "t0_s"), (False, "t1_s")):
        channels = [channel for channel in channels_of(kind) if (channel in INSTANT) == instant]
        if channels:
            rows += connection.execute(
                f"SELECT {OBSERVATION_COLUMNS}, o.seq FROM {OBSERVATION_JOIN} WHERE o.source=? AND o.{column}>=?"
                f" AND o.{column}<? AND o.channel IN ({','.join('?' * len(channels))})",
                (source, t0_s, t1_s, *channels),
            ).fetchall()
    rows.sort(key=lambda row: (row[3], row[4], row[2], row[0]))
    return [(row[11], observation_of(row)) for row in rows]


def weigh(connection: sqlite3.Connection, seqs: Sequence[int]) -> int:
    """Bytes that observations are charged."""
    marks = ",".join("?" * len(seqs))
    found = connection.execute(f"SELECT sum(row_bytes + picture_bytes) FROM charges WHERE seq IN ({marks})", seqs)
    return int(found.fetchone()[0] or 0)


def weigh_span(connection: sqlite3.Connection, id_: str) -> int:
    """Bytes that the row of a span is charged; 0 if it is not there."""
    row = connection.execute(f"SELECT {SPAN_BYTES} FROM spans WHERE id=?", (id_,)).fetchone()
    return int(row[0]) if row else 0


def weigh_moments(connection: sqlite3.Connection, source: int, event: Span) -> int:
    """Bytes that the moments of an event are charged."""
    row = connection.execute(
        f"SELECT sum({SPAN_BYTES}) FROM spans WHERE source=? AND level='moment' AND t1_s>=? AND t1_s<=? AND parent=?",
        (source, event.t0_s, event.t1_s, event.id),
    ).fetchone()
    return int(row[0] or 0)


def rarities(connection: sqlite3.Connection, terms: Sequence[tuple[str, int]]) -> list[float]:
    """0..1 for each (term, how many of the event's own observations hold it): 1 where nothing else in memory does."""
    held = term_counts(connection, (term for term, _ in terms))
    return [1.0 / (1.0 + max(0, held.get(term, 0) - own)) for term, own in terms]


def rarest_terms(
    connection: sqlite3.Connection, observations: Sequence[Observation]
) -> tuple[list[tuple[str, int]], list[float]]:
    """The rarest terms of an event, each with how many of its observations hold it; and, for each observation, the sum
    of the rarity of its terms."""
    counts: Counter[str] = Counter()
    terms_of = []
    for observation in observations:
        terms_of.append(telling_terms(observation.text))
        counts.update(terms_of[-1])
    rarity = dict(zip(counts, rarities(connection, list(counts.items())), strict=True))
    rarest = sorted(counts, key=lambda term: (-rarity[term], term))[:TERMS_KEPT]
    return [(term, counts[term]) for term in rarest], [sum(rarity[term] for term in terms) for terms in terms_of]


def add_retained(connection: sqlite3.Connection, holding: RetainedItem) -> None:
    """Note a new holding; one that is there already grows by its bytes."""
    h = holding
    connection.execute(
        f"INSERT INTO holdings({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
        " ON CONFLICT DO UPDATE SET bytes=bytes+excluded.bytes",
        (
            h.span, h.kind, h.source, h.t0_s, h.t1_s, h.begun_wall_s, h.stage, h.bytes, h.trust, h.novelty, h.uses,
            h.rate, json.dumps(h.keys), json.dumps(h.terms),
        ),
    )  # fmt: skip


def update_retained(connection: sqlite3.Connection, holding: RetainedItem) -> None:
    h = holding
    connection.execute(
        "UPDATE holdings SET stage=?, bytes=?, novelty=?, uses=?, rate=?, keys=?, terms=? WHERE span=? AND kind=?",
        (h.stage, h.bytes, h.novelty, h.uses, h.rate, json.dumps(h.keys), json.dumps(h.terms), h.span, h.kind),
    )


def remove_retained(connection: sqlite3.Connection, holding: RetainedItem) -> None:
    connection.execute("DELETE FROM holdings WHERE span=? AND kind=?", (holding.span, holding.kind))


def read_retained(connection: sqlite3.Connection, span: str, kind: Kind) -> RetainedItem | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM holdings WHERE span=? AND kind=?", (span, kind)).fetchone()
    return _retained_of(row) if row else None


def retained_at(connection: sqlite3.Connection, source: int, kind: Kind, at_s: float) -> RetainedItem | None:
    """The holding of one kind that a moment of a source belongs to."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM holdings WHERE source=? AND kind=? AND t0_s<=? ORDER BY t0_s DESC LIMIT 1",
        (source, kind, at_s),
    ).fetchone()
    return _retained_of(row) if row and at_s < row[4] else None


def least_valuable(connection: sqlite3.Connection, held: Sequence[tuple[Kind, Stage]], n: int) -> list[RetainedItem]:
    """The ``n`` of lowest rate among holdings of these kinds and stages, the oldest of equals first."""
    rows: list[tuple[Any, ...]] = []
    for kind, stage in held:
        rows += connection.execute(
            f"SELECT {_COLUMNS} FROM holdings WHERE kind=? AND stage=? ORDER BY rate, begun_wall_s LIMIT ?",
            (kind, stage, n),
        ).fetchall()
    rows.sort(key=lambda row: (row[11], row[5]))
    return [_retained_of(row) for row in rows[:n]]


def read_keys(connection: sqlite3.Connection, seqs: Sequence[int]) -> tuple[str, list[NDArray[np.float32]]]:
    """(vector space, vectors) of frames; those of one space, the first's."""
    marks = ",".join("?" * len(seqs))
    rows = connection.execute(f"SELECT space, vector FROM vectors WHERE seq IN ({marks}) ORDER BY seq", seqs).fetchall()
    if not rows:
        return "", []
    space, size = rows[0][0], len(rows[0][1])
    same = [blob for name, blob in rows if name == space and len(blob) == size]
    return space, [np.frombuffer(blob, np.float16).astype(np.float32) for blob in same]


def _retained_of(row: tuple[Any, ...]) -> RetainedItem:
    span, kind, source, t0_s, t1_s, begun_wall_s, stage, n_bytes, trust, novelty, uses, rate, keys, terms = row
    return RetainedItem(
        span=span, kind=kind, source=source, t0_s=t0_s, t1_s=t1_s, begun_wall_s=begun_wall_s, stage=stage,
        bytes=n_bytes, trust=trust, novelty=novelty, uses=uses, rate=rate, keys=json.loads(keys),
        terms=[(term, own) for term, own in json.loads(terms)],
    )  # fmt: skip
