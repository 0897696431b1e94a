"""What spans tell, and what consolidation has not told yet, without what was erased.

A sketch quotes what was perceived, and often outlives it: by then the budget has let the words go, their event may be
a tombstone, and only its episode tells of them still. So what is told of an erased stretch is made anew from what is
left there, on every level, and of an erased word it is blanked.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from memory.spans.consolidate import EventFacts, erase_from_state
from memory.spans.resketch import resketch, retell_episode
from memory.store.records import change_span
from memory.store.told import Wanted
from memory.store.writing import Writing
from runtime.messages import Observation

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
        retell_episode(connection, source, episode)

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
    held = spans_telling(writing.connection, text, within)
    for id_ in held:
        change_span(writing.connection, id_, text="")
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


def _untold(facts: EventFacts) -> EventFacts:
    return EventFacts(facts.t0_s, facts.t1_s, "", "", trust=facts.trust)


def _overlaps(t0_s: float, t1_s: float, stretches: Sequence[_Stretch]) -> bool:
    return any(t0_s <= end_s and t1_s >= begin_s for begin_s, end_s in stretches)
