"""Spans made anew from what is left of what they told of: after something was erased, or where a sketch was damaged."""

# ruff: noqa: S608 - only names of columns and question marks are put into statements
from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from memory.spans.consolidate import resketch_event, told_of_episode
from memory.store.records import (
    OBSERVATION_COLUMNS,
    OBSERVATION_JOIN,
    SPAN_COLUMNS,
    change_span,
    insert_span,
    observation_of,
    span_of,
)
from memory.store.size_accounting import Stage
from runtime.messages import PERCEIVED_CHANNELS, Span

KEPT_STAGES: tuple[Stage, ...] = ("full", "sketch", "pointer")


def resketch(
    connection: sqlite3.Connection,
    source: int,
    stretches: Sequence[tuple[float, float]],
    stages: Sequence[Stage] = KEPT_STAGES,
) -> dict[float, Span]:
    """Make anew the spans these stretches touch, those of these stages, from what is left. Returns the events by their
    begin."""
    marks = ",".join("?" * len(PERCEIVED_CHANNELS))
    select = f"SELECT {SPAN_COLUMNS}, p.generation FROM spans p JOIN sources s USING (source) WHERE p.source=?"
    rows = {}
    for t0_s, t1_s in stretches:
        for row in connection.execute(
            f"{select} AND p.level='event' AND p.stage IN ({','.join('?' * len(stages))}) AND p.t0_s<=? AND p.t1_s>=?",
            (source, *stages, t1_s, t0_s),
        ):
            rows[row[0]] = row
    (last_s,) = connection.execute(
        "SELECT coalesce(max(t1_s), 0) FROM spans WHERE source=? AND level='event'", (source,)
    ).fetchone()
    sketched: dict[float, Span] = {}
    for row in rows.values():
        event = span_of(row[:-1])
        members = [
            observation_of(found)
            for found in connection.execute(
                f"SELECT {OBSERVATION_COLUMNS} FROM {OBSERVATION_JOIN} WHERE o.source=? AND o.t1_s>=? AND o.t0_s<=?"
                f" AND o.channel IN ({marks}) ORDER BY o.t1_s, o.t0_s, o.channel, o.id",
                (source, event.t0_s, event.t1_s, *PERCEIVED_CHANNELS),
            )
        ]
        anew, moments = resketch_event(event, members, is_last=event.t1_s >= last_s)
        connection.execute("DELETE FROM spans WHERE level='moment' AND source=? AND parent=?", (source, event.id))
        for moment in moments if event.stage == "full" else ():
            insert_span(connection, moment, source, row[-1])
        sketched[event.t0_s] = anew
        change_span(connection, event.id, text=anew.text, keyframe=anew.keyframe, trust=anew.trust)
    for parent in {event.parent for event in sketched.values()}:
        retell_episode(connection, source, parent)
    return sketched


def retell_episode(connection: sqlite3.Connection, source: int, episode: str) -> None:
    """Have an episode tell what its events tell that are still kept."""
    events = connection.execute(
        f"SELECT {SPAN_COLUMNS} FROM spans p JOIN sources s USING (source) WHERE p.source=? AND p.level='event'"
        " AND p.parent=? ORDER BY p.t0_s",
        (source, episode),
    ).fetchall()
    text, keyframe, trust = told_of_episode([span_of(row) for row in events])
    change_span(connection, episode, text=text, keyframe=keyframe, trust=trust)
