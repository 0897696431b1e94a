"""What things in the store weigh: running totals by channel and by level, so that no budget needs a full scan.

An observation is charged what the view `charges` estimates (`memory.store.migrations`, number 2): its row in every
table and index, its vector, its picture. The estimates share out what the file really uses (`memory.budget`), so
their error moves bytes between levels and never out of sight.

Levels: what was seen is `hot` while its event is kept in full, then in `events` as a sketch, then in `episodes`
as a pointer; what was said, read, asked and answered is `words` throughout.
"""

from __future__ import annotations

import sqlite3
from typing import Literal, get_args

from runtime.messages import PERCEIVED_CHANNELS, Channel

Kind = Literal["seen", "said", "asked", "told"]
Stage = Literal["full", "sketch", "pointer", "tombstone"]
Level = Literal["hot", "events", "episodes", "words"]

LEVELS: tuple[Level, ...] = ("hot", "events", "episodes", "words")
CHANNELS: tuple[Channel, ...] = get_args(Channel)
# Channels of pixels and of what was made out in them or heard beside words: forgotten before words are.
PICTURED: tuple[Channel, ...] = ("frame", "object", "sound")
# Noticed at one moment; what lasts belongs to the event it ends in.
INSTANT: tuple[Channel, ...] = ("frame", "object", "text")

_LEVEL_OF_STAGE: dict[Stage, Level] = {
    "full": "hot",
    "sketch": "events",
    "pointer": "episodes",
    "tombstone": "episodes",
}


def kind_of(channel: str) -> Kind:
    """What a channel counts among: what was seen, what was said (or read, or missed), what was asked."""
    if channel in PICTURED:
        return "seen"
    return "said" if channel in PERCEIVED_CHANNELS else "asked"


def channels_of(kind: Kind) -> tuple[Channel, ...]:
    """The perceived channels of one kind."""
    return tuple(channel for channel in PERCEIVED_CHANNELS if kind_of(channel) == kind)


def level_of(kind: Kind, stage: Stage = "full") -> Level:
    """The level whose budget bears a holding; what is told of an episode is there as a pointer."""
    return "words" if kind in ("said", "asked") else _LEVEL_OF_STAGE[stage]


def belongs_at_s(channel: str, t0_s: float, t1_s: float) -> float:
    """The media time that decides which event an observation belongs to."""
    return t0_s if channel in INSTANT else t1_s


def charge(connection: sqlite3.Connection, name: str, n: int, n_bytes: int) -> None:
    """Add to the running total of a channel or a level."""
    connection.execute(
        "INSERT INTO charged VALUES (?,?,?) ON CONFLICT DO UPDATE SET n=n+excluded.n, bytes=bytes+excluded.bytes",
        (name, n, n_bytes),
    )


def charge_since(connection: sqlite3.Connection, seq: int) -> int:
    """Charge all observations stored after ``seq``; returns the last of them."""
    last = seq
    # The + keeps SQLite from walking the index of channels, all of it, to have the groups in order.
    for channel, n, n_bytes, newest in connection.execute(
        "SELECT channel, count(*), sum(row_bytes + picture_bytes), max(seq) FROM charges WHERE seq > ?"
        " GROUP BY +channel",
        (seq,),
    ).fetchall():
        charge(connection, channel, n, n_bytes)
        charge(connection, level_of(kind_of(channel)), n, n_bytes)
        last = max(last, newest)
    return last


def charged(connection: sqlite3.Connection) -> dict[str, int]:
    """Bytes by channel and by level, as estimated."""
    return dict(connection.execute("SELECT name, bytes FROM charged"))
