"""Where and when a thing was last perceived: over tags, detections, words read and said, newest first.

Recall ranks by how well something fits; this asks for the newest of all that fit, which a ranked list may not hold.
An observation fits if it holds every word of the thing in some form. With it comes until when it was seen, which the
frames say that list it as visible, and the picture of that moment, which says what was around it.
"""

# ruff: noqa: S608 - only names of columns and question marks are put into statements
from __future__ import annotations

import sqlite3

from memory.index.analysis import terms
from memory.index.blocks import seqs_holding
from memory.store.reader import snapshot
from memory.store.records import OBSERVATION_COLUMNS, OBSERVATION_JOIN, observation_of
from memory.store.views import limits_by_number
from runtime.messages import LastSeenReply, LastSeenRequest, Observation, Sighted

CHANNELS = ("frame", "object", "text", "speech")
LIMIT = 100
# A picture so long before is still of the same scene: while nothing changes, frames are kept every ten seconds.
BESIDE_S = 11.0
_AT_ONCE = 500


def last_seen(connection: sqlite3.Connection, request: LastSeenRequest) -> LastSeenReply:
    """The newest sightings of a thing among what the View shows, newest first."""
    wanted = list(dict.fromkeys(terms(request.thing)))
    limit = max(0, min(request.limit, LIMIT))
    if not wanted or not limit:
        return LastSeenReply()
    with snapshot(connection):
        limits = limits_by_number(connection, request.view, request.source)
        found: list[Sighted] = []
        # Stored later means happened later, within a source always, between sources as good as always.
        seqs = sorted(seqs_holding(connection, wanted), reverse=True)
        for i in range(0, len(seqs), _AT_ONCE):
            some = seqs[i : i + _AT_ONCE]
            rows = connection.execute(
                f"SELECT {OBSERVATION_COLUMNS}, o.source, o.seq FROM {OBSERVATION_JOIN}"
                f" WHERE o.seq IN ({','.join('?' * len(some))}) AND o.generation<=? ORDER BY o.seq DESC",
                (*some, request.view.generation),
            )
            for row in rows:
                o, source = observation_of(row), row[11]
                visible = source in limits and o.t1_s <= limits[source] and o.channel in CHANNELS
                if not visible or not _in_window(o, request):
                    continue
                found.append(_sighted(connection, o, source, limits[source], request.view.generation))
                if len(found) == limit:
                    return LastSeenReply(sightings=tuple(found))
    return LastSeenReply(sightings=tuple(found))


def _in_window(o: Observation, request: LastSeenRequest) -> bool:
    return (request.t0_s is None or o.t1_s >= request.t0_s) and (request.t1_s is None or o.t0_s <= request.t1_s)


def _sighted(connection: sqlite3.Connection, o: Observation, source: int, limit_s: float, generation: int) -> Sighted:
    select = f"SELECT {OBSERVATION_COLUMNS} FROM {OBSERVATION_JOIN}"
    seen = "o.source=? AND o.channel='frame' AND o.t1_s<=? AND o.generation<=?"
    if o.channel == "frame":
        return Sighted(observation=o, until_s=o.t1_s, beside=o)
    listed = connection.execute(
        f"{select} JOIN links l ON l.from_seq=o.seq WHERE l.to_id=? AND {seen} ORDER BY o.t0_s DESC LIMIT 1",
        (o.id, source, limit_s, generation),
    ).fetchone()
    if listed is not None:
        beside = observation_of(listed)
        return Sighted(observation=o, until_s=max(o.t1_s, beside.t1_s), beside=beside)
    near = connection.execute(
        f"{select} WHERE {seen} AND o.t0_s BETWEEN ? AND ? ORDER BY o.t0_s DESC LIMIT 1",
        (source, limit_s, generation, o.t0_s - BESIDE_S, o.t1_s),
    ).fetchone()
    return Sighted(observation=o, until_s=o.t1_s, beside=observation_of(near) if near is not None else None)
