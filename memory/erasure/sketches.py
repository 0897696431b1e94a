"""What spans tell, and what consolidation has not told yet, without what was erased.

A sketch quotes what was perceived, and often outlives it: by then the budget has let the words go, their event may be
a tombstone, and only its episode tells of them still. So what is told of an erased stretch is made anew from what is
left there, on every level, and of an erased word it is blanked.
"""

# ruff: noqa: S608 - only names of columns and question marks are put into statements
from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from memory.spans.consolidate import EventFacts, erase_from_state, resketch_event, told_of_episode
from memory.store.records import (
    OBSERVATION_COLUMNS,
    OBSERVATION_JOIN,
    SPAN_COLUMNS,
    insert_span,
    observation_of,
    span_of,
)
from memory.store.size_accounting import Stage
from memory.store.told import Wanted
from memory.store.writing import Writing
from runtime.messages import PERCEIVED_CHANNELS, Observation, Span

KEPT_STAGES: tuple[Stage, ...] = ("full", "sketch", "pointer")
_Stretch = tuple[float, float]


def forget_in_spans(
    writing: Writing,
    source: int,
    stretches: Sequence[_Stretch],
    windows: Sequence[_Stretch],
    gone: set[str],
    pictures: bool,
) -> int:
    """Make anew what is told of ``stretches`` of a source, in which observations ``gone`` were removed, of ``windows``
    whole; how many sketches that are. ``pictures``: some of them had any."""
    connection = writing.connection
    sketches = resketch(connection, source, stretches)
    episodes: set[str] = set()
    for t0_s, t1_s in stretches:
        rows = connection.execute(
            "SELECT id FROM spans WHERE source=? AND level='episode' AND stage!='tombstone' AND t0_s<=? AND t1_s>=?",
            (source, t1_s, t0_s),
        )
        episodes.update(id_ for (id_,) in rows)
    for episode in episodes:
        _retell_episode(connection, source, episode)

    def is_gone(o: Observation) -> bool:
        return o.id in gone or _overlaps(o.t0_s, o.t1_s, windows)

    def retell(facts: EventFacts) -> EventFacts:
        if event := sketches.get(facts.t0_s):
            return EventFacts(event.t0_s, event.t1_s, event.text, event.keyframe, trust=event.trust)
        return _untold(facts) if _overlaps(facts.t0_s, facts.t1_s, stretches) else facts

    if state := writing.consolidation(source):
        writing.save_consolidation(source, erase_from_state(state, is_gone, retell, pictures))
    return len(sketches)


def spans_telling(
    connection: sqlite3.Connection, text: str, within: Sequence[tuple[int, float, float]] = ()
) -> list[str]:
    """Ids of the spans whose sketch holds ``text``; only of those that overlap ``within`` where that is given."""
    wanted = Wanted(text)
    return [
        id_
        for id_, source, t0_s, t1_s, told in connection.execute("SELECT id, source, t0_s, t1_s, text FROM spans")
        if wanted.is_sketched(told)
        and (not within or any(source == of and t0_s <= end_s and t1_s >= begin_s for of, begin_s, end_s in within))
    ]


def blank_sketches(writing: Writing, text: str, within: Sequence[tuple[int, float, float]] = ()) -> int:
    """Empty what sketches still tell of ``text`` after all that rests on observations was made anew."""
    held = [(id_,) for id_ in spans_telling(writing.connection, text, within)]
    writing.connection.executemany("UPDATE spans SET text='' WHERE id=?", held)
    wanted = Wanted(text)
    of = [source for source, _, _ in within]
    for source, state in writing.connection.execute("SELECT source, state FROM consolidation").fetchall():
        if of and source not in of:
            continue
        windows = [(t0_s, t1_s) for number, t0_s, t1_s in within if number == source] or [(-1.0, float("inf"))]

        def is_meant(t0_s: float, t1_s: float, told: bool, windows: list[_Stretch] = windows) -> bool:
            return told and _overlaps(t0_s, t1_s, windows)

        anew = erase_from_state(
            bytes(state),
            lambda o, is_meant=is_meant: is_meant(o.t0_s, o.t1_s, wanted.is_in(o)),  # type: ignore[misc]
            lambda facts, is_meant=is_meant: (  # type: ignore[misc]
                _untold(facts) if is_meant(facts.t0_s, facts.t1_s, wanted.is_sketched(facts.text)) else facts
            ),
        )
        if anew != state:
            writing.save_consolidation(source, anew)
    return len(held)


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
        connection.execute(
            "UPDATE spans SET text=?, keyframe=?, trust=? WHERE id=?", (anew.text, anew.keyframe, anew.trust, event.id)
        )
    for parent in {event.parent for event in sketched.values()}:
        _retell_episode(connection, source, parent)
    return sketched


def _retell_episode(connection: sqlite3.Connection, source: int, episode: str) -> None:
    """Have an episode tell what its events tell that are still kept."""
    events = connection.execute(
        f"SELECT {SPAN_COLUMNS} FROM spans p JOIN sources s USING (source) WHERE p.source=? AND p.level='event'"
        " AND p.parent=? ORDER BY p.t0_s",
        (source, episode),
    ).fetchall()
    connection.execute(
        "UPDATE spans SET text=?, keyframe=?, trust=? WHERE id=? AND level='episode'",
        (*told_of_episode([span_of(row) for row in events]), episode),
    )


def _untold(facts: EventFacts) -> EventFacts:
    return EventFacts(facts.t0_s, facts.t1_s, "", "", trust=facts.trust)


def _overlaps(t0_s: float, t1_s: float, stretches: Sequence[_Stretch]) -> bool:
    return any(t0_s <= end_s and t1_s >= begin_s for begin_s, end_s in stretches)
