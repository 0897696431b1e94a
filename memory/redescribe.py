"""Frames described anew: with the vector, the tags and the words of another encoder, under the number they have.

The number stays, because it is what age is told by (`memory.budget.retention`); so the index is rewritten where the
frame stands, and whoever holds some of it in memory reads it again. Nothing else of an observation ever changes.
Sketches of events that are kept in full are made anew; a sketch in whose event frames are missing tells more than they
could, and stays.
"""

# ruff: noqa: S608 - only names of columns are put into statements
from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from memory.index.blocks import rewrite_keys
from memory.index.keys import Key, counted_terms, observation_key
from memory.index.vectors import note_redescribed
from memory.index.vocabulary import learn
from memory.spans.resketch import resketch
from memory.store.records import OBSERVATION_COLUMNS, OBSERVATION_JOIN, insert_vector, observation_of, reword
from memory.store.removal import count_terms, uncharge, uncount_terms
from memory.store.writing import Writing
from runtime.errors import StoreError
from runtime.messages import ForeignReply, ForeignRequest, Observation

FOREIGN_LIMIT = 256


def foreign_frames(connection: sqlite3.Connection, request: ForeignRequest) -> ForeignReply:
    """Frames with a picture and without a vector of the space, with their pictures, in the order of storing."""
    rows = connection.execute(
        f"SELECT {OBSERVATION_COLUMNS}, o.seq, p.jpeg FROM {OBSERVATION_JOIN} JOIN payloads p USING (seq)"
        " WHERE o.channel='frame' AND o.seq>? AND v.space IS NOT ? ORDER BY o.seq LIMIT ?",
        (request.after, request.space, max(1, min(request.limit, FOREIGN_LIMIT))),
    ).fetchall()
    frames = tuple(observation_of(row, payload=row[12]) for row in rows)
    return ForeignReply(frames=frames, last=rows[-1][11] if rows else request.after)


def redescribe(writing: Writing, frames: Sequence[Observation]) -> int:
    """Give frames that are known by their ids these texts, facts and vectors, in the transaction of ``writing``; how
    many are there still.

    Raises:
        StoreError: they are not all described by one encoder.
    """
    spaces = {frame.vector_space for frame in frames if frame.vector}
    if len(spaces) != 1 or not all(frame.vector for frame in frames):
        raise StoreError("frames described anew must have vectors of one space")
    connection = writing.connection
    writing.settle()
    seqs: list[int] = []
    reworded: list[tuple[int, Key, Key]] = []
    touched: dict[int, list[tuple[float, float]]] = {}
    for frame in frames:
        row = connection.execute(
            f"SELECT {OBSERVATION_COLUMNS}, o.seq, o.source FROM {OBSERVATION_JOIN} WHERE o.id=? AND o.channel='frame'",
            (frame.id,),
        ).fetchone()
        if row is None:  # forgotten meanwhile
            continue
        known, seq = observation_of(row), row[11]
        seqs.append(seq)
        uncharge(connection, [seq], "row_bytes", n=0)
        assert frame.vector is not None
        insert_vector(connection, seq, frame.vector_space, frame.vector)
        if (frame.text, frame.data) != (known.text, known.data):
            anew = msgspec.structs.replace(known, text=frame.text, data=frame.data)
            reword(connection, seq, text=anew.text, data=msgspec.json.encode(anew.data).decode())
            reworded.append((seq, observation_key(known), observation_key(anew)))
            touched.setdefault(row[12], []).append((known.t0_s, known.t1_s))
        uncharge(connection, [seq], "-row_bytes", n=0)
    if seqs:
        note_redescribed(connection)
    _reword(writing, reworded)
    for source, stretches in touched.items():
        resketch(connection, source, stretches, ("full",))
    return len(seqs)


def _reword(writing: Writing, changed: Sequence[tuple[int, Key, Key]]) -> None:
    """Have index, vocabulary and counts of terms follow the words of these frames."""
    connection = writing.connection
    rewrite_keys(connection, changed)
    # What a frame has before and after is never counted down to nothing between.
    for _, _, after in changed:
        count_terms(connection, [(term, 1) for term in counted_terms(after)])
        for term in {*after.own, *after.speaker}:
            learn(connection, term)
    writing.unlearn(uncount_terms(connection, [(seq, before) for seq, before, _ in changed]))
