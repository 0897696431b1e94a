"""What memory holds in the order in which it was stored, for whoever keeps a copy of it elsewhere."""

# ruff: noqa: S608 - only names of columns are put into statements
from __future__ import annotations

import sqlite3

from memory.store.reader import read_sources, snapshot
from memory.store.records import OBSERVATION_COLUMNS, OBSERVATION_JOIN, observation_of
from runtime.messages import JournalEntry, JournalReply, JournalRequest, Observation, Tombstone

WHOLE_LIMIT = 1000
# Digests are some 40 bytes each.
DIGESTS_LIMIT = 50_000
# A reply is held in memory, here and there; pictures are what is large.
_PICTURES_BYTES = 8 << 20


def read_journal(connection: sqlite3.Connection, request: JournalRequest) -> JournalReply:
    """The entries after a number, as one state of the store."""
    limit = max(1, min(request.limit, WHOLE_LIMIT if request.whole else DIGESTS_LIMIT))
    with snapshot(connection):
        given = dict(connection.execute("SELECT name, seq FROM sqlite_sequence"))
        entries = _whole(connection, request, limit) if request.whole else _digests(connection, request, limit)
        last_told = entries[-1].seq if entries else request.after
        more = connection.execute("SELECT 1 FROM observations WHERE seq>? LIMIT 1", (last_told,)).fetchone()
        return JournalReply(
            entries=tuple(entries),
            last=given.get("observations", 0),
            removed=given.get("removals", 0),
            at_end=more is None,
            sources=read_sources(connection) if more is None else (),
            erasures=_erasures(connection) if more is None else (),
        )


def _whole(connection: sqlite3.Connection, request: JournalRequest, limit: int) -> list[JournalEntry]:
    entries: list[JournalEntry] = []
    size = 0
    rows = connection.execute(
        f"SELECT {OBSERVATION_COLUMNS}, o.seq, o.crc, v.crc, p.crc, {'p.jpeg' if request.with_pictures else 'NULL'}"
        f" FROM {OBSERVATION_JOIN} LEFT JOIN payloads p USING (seq) WHERE o.seq>? ORDER BY o.seq LIMIT ?",
        (request.after, limit),
    )
    for row in rows:
        seq, crc, vector_crc, picture_crc, jpeg = row[11:]
        entries.append(_entry(seq, crc, vector_crc, picture_crc, observation_of(row, jpeg)))
        size += len(jpeg or b"")
        if size > _PICTURES_BYTES:
            break
    return entries


def _digests(connection: sqlite3.Connection, request: JournalRequest, limit: int) -> list[JournalEntry]:
    rows = connection.execute(
        "SELECT o.seq, o.crc, v.crc, p.crc FROM observations o LEFT JOIN vectors v USING (seq)"
        " LEFT JOIN payloads p USING (seq) WHERE o.seq>? ORDER BY o.seq LIMIT ?",
        (request.after, limit),
    )
    return [_entry(seq, crc, vector_crc, picture_crc, None) for seq, crc, vector_crc, picture_crc in rows]


def _entry(
    seq: int, crc: int, vector_crc: int | None, picture_crc: int | None, observation: Observation | None
) -> JournalEntry:
    return JournalEntry(
        seq=seq,
        digest=f"{crc:08x}{vector_crc or 0:08x}",
        picture="" if picture_crc is None else f"{picture_crc:08x}",
        observation=observation,
    )


def _erasures(connection: sqlite3.Connection) -> tuple[Tombstone, ...]:
    rows = connection.execute(
        "SELECT name, channel, t0_s, t1_s, erased_wall_s FROM erasures JOIN sources USING (source) ORDER BY erasure"
    )
    return tuple(
        Tombstone(source=source, channel=channel, t0_s=t0_s, t1_s=t1_s, erased_wall_s=wall_s)
        for source, channel, t0_s, t1_s, wall_s in rows
    )
