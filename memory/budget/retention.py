"""Retention: what a channel may be kept for, and how many bytes it may have, whatever it is worth.

Age counts from when an observation was stored, to the hour: a recording of ten years ago that is replayed today is a
memory of today. The oldest of a channel goes first. What a span says of a channel that has been forgotten goes from
its sketch too, and from that of its episode.
"""

# ruff: noqa: S608 - only question marks are put into statements
from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from msgspec import Struct

from memory.spans.consolidate import MOMENT_OF
from memory.spans.summarise import sketch_episode, without_channel
from memory.store.size_accounting import LEVELS, belongs_at_s, charged
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
        wanted = _too_old(db, channel, limit, now_wall_s, room) if limit.age_s is not None else []
        if limit.bytes is not None and len(wanted) < room:
            wanted = list(dict.fromkeys([*wanted, *_too_many(writing, channel, limit.bytes, room)]))
        if wanted:
            remove_with_sketches(writing, channel, wanted[:room])
            room -= len(wanted[:room])
        if room <= 0:
            return True
    return False


def remove_with_sketches(writing: Writing, channel: Channel, ids: list[str]) -> None:
    """Remove observations of a channel, and what the sketches of their events and episodes say of that channel."""
    db = writing.connection
    events: dict[str, str] = {}
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
            events |= {id_: parent for id_, parent, begin_s in found if begin_s <= at_s}
            if (k := MOMENT_OF.get(channel)) is not None:
                db.execute("DELETE FROM spans WHERE id=?", (observation_id(name, "moment", t0_s, k),))
    writing.remove(ids)
    episodes = set()
    for id_, parent in events.items():
        (text,) = db.execute("SELECT text FROM spans WHERE id=?", (id_,)).fetchone()
        if text != (less := without_channel(text, channel)):
            db.execute("UPDATE spans SET text=? WHERE id=?", (less, id_))
            episodes.add(parent)
    for episode in episodes - {""}:
        row = db.execute("SELECT source, t0_s, t1_s FROM spans WHERE id=?", (episode,)).fetchone()
        if row is not None:
            told = db.execute(
                "SELECT t0_s, text FROM spans WHERE source=? AND level='event' AND t1_s>? AND t1_s<=? AND parent=?"
                " ORDER BY t0_s",
                (*row, episode),
            ).fetchall()
            db.execute("UPDATE spans SET text=? WHERE id=?", (sketch_episode(told), episode))


def _too_old(db: sqlite3.Connection, channel: Channel, limit: Limit, now_wall_s: float, n: int) -> list[str]:
    assert limit.age_s is not None
    latest_s = now_wall_s - limit.age_s - HOUR_S
    if db.execute("SELECT 1 FROM hours WHERE wall_s<=? LIMIT 1", (latest_s,)).fetchone() is None:
        return []
    # All before the first hour that may still be young enough was stored in an hour that is not.
    (cut,) = db.execute("SELECT coalesce(min(seq), 1 << 62) FROM hours WHERE wall_s>?", (latest_s,)).fetchone()
    older = "SELECT id FROM observations WHERE channel=? AND seq<? ORDER BY seq LIMIT ?"
    return [id_ for (id_,) in db.execute(older, (channel, cut, n))]


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
