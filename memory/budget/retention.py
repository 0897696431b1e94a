"""Retention: what a channel may be kept for, and how many bytes it may have, whatever it is worth.

Age counts from when an observation was stored, to the hour: a recording of ten years ago that is replayed today is a
memory of today. The oldest of a channel goes first. What a span says of a channel that has been forgotten goes from
its sketch too, and from that of its episode.
"""

# ruff: noqa: S608 - only question marks are put into statements
from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from memory.budget.retained_items import retained_at
from memory.spans.consolidate import MOMENT_OF, erase_from_state
from memory.spans.summarise import episode_without_channel, without_channel
from memory.store.records import change_span
from memory.store.removal import forget_terms
from memory.store.size_accounting import LEVELS, belongs_at_s, charged, kind_of
from memory.store.writing import Writing
from runtime.messages import Channel, observation_id

# In one commit no more than this, so that a commit stays short; the next goes on.
AT_ONCE = 2000
HOUR_S = 3600
DAY_S = 86400.0
# Two years and more of hours, 300 KB: the longest age that can be kept.
HOURS_KEPT = 20_000


class Limit(Struct, frozen=True):
    """Longest age in seconds and most bytes of a channel; None is no limit."""

    age_s: float | None = None
    bytes: int | None = None


def note_hour(db: sqlite3.Connection, now_wall_s: float, next_seq: int) -> None:
    """Remember which observation is the first of this hour of the wall clock; once an hour this writes a row."""
    hour = int(now_wall_s // HOUR_S * HOUR_S)
    if db.execute("INSERT OR IGNORE INTO hours VALUES (?,?)", (hour, next_seq)).rowcount:
        db.execute("DELETE FROM hours WHERE wall_s < ?", (hour - HOURS_KEPT * HOUR_S,))


def retain(writing: Writing, limits: Mapping[Channel, Limit], now_wall_s: float) -> bool:
    """Remove what is beyond the limits, at most so much at once; True if there is more to remove."""
    db = writing.connection
    writing.settle()
    room = AT_ONCE
    for channel, limit in limits.items():
        cut = _age_cut(db, limit.age_s, now_wall_s) if limit.age_s is not None else 0
        wanted = _older(db, channel, cut, room)
        if limit.bytes is not None and len(wanted) < room:
            wanted = list(dict.fromkeys([*wanted, *_too_many(writing, channel, limit.bytes, room)]))
        if wanted:
            remove_with_sketches(writing, channel, wanted[:room])
            room -= len(wanted[:room])
        if room <= 0:
            return True
        if cut:
            _untell_before(writing, channel, cut)
    return False


def remove_with_sketches(writing: Writing, channel: Channel, ids: list[str]) -> None:
    """Remove observations of a channel, and what the sketches of their events and episodes say of that channel."""
    db = writing.connection
    spans: set[str] = set()
    latest_s: dict[int, float] = {}
    for i in range(0, len(ids), 500):
        some = ids[i : i + 500]
        rows = db.execute(
            f"SELECT o.source, s.name, o.t0_s, o.t1_s FROM observations o JOIN sources s USING (source)"
            f" WHERE o.id IN ({','.join('?' * len(some))})",
            some,
        ).fetchall()
        for source, name, t0_s, t1_s in rows:
            at_s = belongs_at_s(channel, t0_s, t1_s)
            found = db.execute(
                "SELECT id, parent, t0_s FROM spans WHERE source=? AND level='event' AND t1_s>=? ORDER BY t1_s LIMIT 2",
                (source, at_s),
            ).fetchall()
            for id_, parent, begin_s in found:
                spans.update((id_, parent) if begin_s <= at_s else ())
            if held := retained_at(db, source, kind_of(channel), at_s):
                spans.add(held.span)
            if (k := MOMENT_OF.get(channel)) is not None:
                spans.add(observation_id(name, "moment", t0_s, k))
            latest_s[source] = max(latest_s.get(source, 0.0), t1_s)
    writing.remove(ids)
    _untell(writing, channel, spans)
    for source, until_s in latest_s.items():
        _untell_state(writing, source, channel, until_s)


def _untell_before(writing: Writing, channel: Channel, cut: int) -> None:
    """Take a channel out of all sketches made before observation ``cut`` was stored: the budget may have let the words
    go long before, and only sketches tell of them still. Once an hour there is something to do."""
    db = writing.connection
    first = db.execute("SELECT generation FROM observations WHERE seq>=? ORDER BY seq LIMIT 1", (cut,)).fetchone()
    generation = first[0] if first else writing.generation
    key = f"untold {channel}"
    (done,) = db.execute("SELECT coalesce((SELECT value FROM memory WHERE key=?), 0)", (key,)).fetchone()
    if generation <= done:
        return
    old = db.execute("SELECT id FROM spans WHERE generation>=? AND generation<?", (done, generation)).fetchall()
    _untell(writing, channel, {id_ for (id_,) in old})
    for (source,) in db.execute("SELECT source FROM consolidation").fetchall():
        if not db.execute("SELECT 1 FROM observations WHERE source=? AND seq>=? LIMIT 1", (source, cut)).fetchone():
            _untell_state(writing, source, channel, math.inf)
    db.execute("INSERT OR REPLACE INTO memory VALUES (?,?)", (key, generation))


def _untell(writing: Writing, channel: Channel, spans: Iterable[str]) -> None:
    """Take what they say of a channel out of these spans, and its terms out of what their events are known by."""
    db = writing.connection
    of_moment = MOMENT_OF.get(channel)
    for id_ in spans:
        forget_terms(db, id_)
        row = db.execute("SELECT level, text, stage FROM spans WHERE id=?", (id_,)).fetchone()
        if row is None:
            continue
        level, text, stage = row
        if level == "moment":
            if of_moment is not None and id_.endswith(".1") == (of_moment == 1):
                db.execute("DELETE FROM spans WHERE id=?", (id_,))
        elif stage != "tombstone":
            less = episode_without_channel(text, channel) if level == "episode" else without_channel(text, channel)
            if less != text:
                change_span(db, id_, text=less)


def _untell_state(writing: Writing, source: int, channel: Channel, until_s: float) -> None:
    """Take a channel out of what is still to be told of a source, up to a media time."""
    if not (state := writing.consolidation(source)):
        return
    anew = erase_from_state(
        state,
        lambda o: o.channel == channel and o.t1_s <= until_s,
        lambda facts: (
            msgspec.structs.replace(facts, text=without_channel(facts.text, channel))
            if facts.t0_s <= until_s
            else facts
        ),
    )
    if anew != state:
        writing.save_consolidation(source, anew)
        writing.untold = True


def _age_cut(db: sqlite3.Connection, age_s: float, now_wall_s: float) -> int:
    """Number of the first observation that may still be young enough: all before it were stored in an hour that is
    not. 0 where all may be."""
    latest_s = now_wall_s - age_s - HOUR_S
    if db.execute("SELECT 1 FROM hours WHERE wall_s<=? LIMIT 1", (latest_s,)).fetchone() is None:
        return 0
    (cut,) = db.execute("SELECT coalesce(min(seq), 1 << 62) FROM hours WHERE wall_s>?", (latest_s,)).fetchone()
    return int(cut)


def _older(db: sqlite3.Connection, channel: Channel, cut: int, n: int) -> list[str]:
    older = "SELECT id FROM observations WHERE channel=? AND seq<? ORDER BY seq LIMIT ?"
    return [id_ for (id_,) in db.execute(older, (channel, cut, n))] if cut else []


def _too_many(writing: Writing, channel: Channel, most_bytes: int, n: int) -> list[str]:
    db = writing.connection
    totals = charged(db)
    scale = writing.file_bytes()[0] / max(1, sum(totals.get(level, 0) for level in LEVELS))
    over = totals.get(channel, 0) * scale - most_bytes
    found: list[str] = []
    if over > 0:
        # So far the weights are needed of a few only: the oldest, until they make up what is over.
        for id_, weight in db.execute(
            "SELECT o.id, c.row_bytes + c.picture_bytes FROM observations o JOIN charges c USING (seq)"
            " WHERE o.channel=? ORDER BY o.seq LIMIT ?",
            (channel, n),
        ):
            if over <= 0:
                break
            found.append(id_)
            over -= weight * scale
    return found
