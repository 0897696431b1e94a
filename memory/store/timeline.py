"""A stretch of a source at a glance: how much was noticed when, one kept picture each while, and what is missing."""

from __future__ import annotations

import math
import sqlite3

from memory.store.reader import snapshot
from memory.store.views import limits_by_number
from runtime.errors import StoreError
from runtime.messages import TimelineReply, TimelineRequest

BUCKETS_MAX = 2000
GAPS_MAX = 2000
# Gaps of one reason that are closer than this are shown as one: an outage is told of piece by piece.
_JOINED_S = 1.0


def read_timeline(connection: sqlite3.Connection, request: TimelineRequest) -> TimelineReply:
    """What a stretch holds, bucket by bucket; nothing where the source is not visible.

    Raises:
        StoreError: the stretch is none, or the number of buckets makes no sense.
    """
    length_s = request.t1_s - request.t0_s
    if not (math.isfinite(length_s) and length_s > 0 and 0 < request.buckets <= BUCKETS_MAX):
        raise StoreError(f"a timeline needs an end after its begin and 1 to {BUCKETS_MAX} buckets")
    width_s = length_s / request.buckets
    with snapshot(connection):
        limits = limits_by_number(connection, request.view, request.source)
        if not limits or not request.source:
            return TimelineReply(pictures=("",) * request.buckets)
        ((source, limit_s),) = limits.items()
        # By begin, through its index; the + keeps SQLite from looking by end.
        where = "o.source=? AND o.t0_s>=? AND o.t0_s<? AND +o.t1_s<=? AND o.generation<=?"
        values = (source, request.t0_s, request.t1_s, limit_s, request.view.generation)
        bucket = "CAST((o.t0_s - ?) / ? AS INTEGER)"
        place = (request.t0_s, width_s)
        counts: dict[str, list[int]] = {}
        for channel, at, n in connection.execute(
            f"SELECT o.channel, {bucket}, count(*) FROM observations o WHERE {where} GROUP BY 1, 2",  # noqa: S608
            (*place, *values),
        ):
            counts.setdefault(channel, [0] * request.buckets)[min(at, request.buckets - 1)] += n
        # One small look for each bucket: joining all frames of a day with their pictures took half of the time.
        first = (
            "SELECT o.id FROM observations o JOIN payloads p USING (seq) WHERE o.source=? AND o.t0_s>=? AND o.t0_s<?"
            " AND +o.t1_s<=? AND o.generation<=? AND o.channel='frame' ORDER BY o.t0_s LIMIT 1"
        )
        pictures = []
        for n in range(request.buckets):
            inside = (source, request.t0_s + n * width_s, request.t0_s + (n + 1) * width_s, *values[3:])
            row = connection.execute(first, inside).fetchone()
            pictures.append(row[0] if row else "")
        gaps = connection.execute(
            "SELECT t0_s, t1_s, text FROM observations WHERE source=? AND channel='gap' AND t0_s<? AND t1_s>?"
            " AND t1_s<=? AND generation<=? ORDER BY t0_s, t1_s LIMIT ?",
            (source, request.t1_s, request.t0_s, limit_s, request.view.generation, GAPS_MAX),
        ).fetchall()
    return TimelineReply(
        counts={channel: tuple(row) for channel, row in sorted(counts.items())},
        pictures=tuple(pictures),
        gaps=_joined(gaps),
    )


def _joined(gaps: list[tuple[float, float, str]]) -> tuple[tuple[float, float, str], ...]:
    joined: list[tuple[float, float, str]] = []
    for t0_s, t1_s, why in gaps:
        last = next((i for i in reversed(range(len(joined))) if joined[i][2] == why), None)
        if last is not None and t0_s <= joined[last][1] + _JOINED_S:
            joined[last] = (joined[last][0], max(joined[last][1], t1_s), why)
        else:
            joined.append((t0_s, t1_s, why))
    return tuple(joined)
