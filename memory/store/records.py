"""Observations and spans as rows of the tables in `memory.store.migrations`, and back."""

# ruff: noqa: S608 - only names of tables and columns are put into statements
from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from runtime.messages import Observation, Span, read_facts

# Of `observations o JOIN sources s USING (source) LEFT JOIN vectors v USING (seq)`.
OBSERVATION_COLUMNS = "o.id, s.name, o.channel, o.t0_s, o.t1_s, o.text, o.data, o.evidence, o.trust, v.vector, v.space"
OBSERVATION_JOIN = "observations o JOIN sources s USING (source) LEFT JOIN vectors v USING (seq)"
SPAN_COLUMNS = "p.id, s.name, p.level, p.t0_s, p.t1_s, p.text, p.parent, p.keyframe, p.stage, p.why, p.trust"

# What a checksum is made of, by table, and what types these have.
CHECKED = {
    "observations": ("id", "channel", "t0_s", "t1_s", "text", "data", "evidence", "trust"),
    "payloads": ("jpeg",),
    "vectors": ("space", "vector"),
    "spans": (
        "id",
        "generation",
        "source",
        "level",
        "t0_s",
        "t1_s",
        "text",
        "parent",
        "keyframe",
        "stage",
        "why",
        "trust",
    ),
}
# By which a row of each is known.
KEYS = {"observations": "seq", "payloads": "seq", "vectors": "seq", "spans": "id"}
CHECKED_TYPES = {
    "observations": "texttextrealrealtexttexttextreal",
    "payloads": "blob",
    "vectors": "textblob",
    "spans": "textintegerintegertextrealrealtexttexttexttexttextreal",
}

_to_json = msgspec.json.Encoder().encode
_ids_of = msgspec.json.Decoder(tuple[str, ...]).decode


def insert_observation(
    connection: sqlite3.Connection, observation: Observation, source: int, generation: int, wall_s: float
) -> int | None:
    """Store one observation with its picture, vector and links; None if its id is there already."""
    o = observation
    t0_s, t1_s, trust = float(o.t0_s), float(o.t1_s), float(o.trust)
    data, evidence = _to_json(o.data).decode(), _to_json(o.evidence).decode()
    crc = checksum((o.id, o.channel, t0_s, t1_s, o.text, data, evidence, trust))
    added = connection.execute(
        "INSERT OR IGNORE INTO observations(id, generation, source, channel, t0_s, t1_s, wall_s, text, data, evidence,"
        " trust, crc) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        (o.id, generation, source, o.channel, t0_s, t1_s, wall_s, o.text, data, evidence, trust, crc),
    )
    if not added.rowcount:
        return None
    seq = added.lastrowid
    assert seq is not None
    if o.payload is not None:
        connection.execute("INSERT INTO payloads VALUES (?,?,?)", (seq, o.payload, checksum((o.payload,))))
    if o.vector is not None:
        insert_vector(connection, seq, o.vector_space, o.vector)
    if o.evidence:
        connection.executemany("INSERT OR IGNORE INTO links VALUES (?,?)", [(to, seq) for to in o.evidence])
    return seq


def insert_vector(connection: sqlite3.Connection, seq: int, space: str, vector: bytes) -> None:
    """Store the vector of an observation, in the place of the one it has."""
    connection.execute(
        "INSERT OR REPLACE INTO vectors VALUES (?,?,?,?)", (seq, space, vector, checksum((space, vector)))
    )


def reword(connection: sqlite3.Connection, seq: int, **columns: str) -> None:
    """Give an observation other words, facts or evidence, as their columns hold them."""
    _change(connection, "observations", seq, columns)


def change_span(connection: sqlite3.Connection, id_: str, **columns: object) -> None:
    """Give a span other values of these columns; nothing where there is none."""
    _change(connection, "spans", id_, columns)


def _change(connection: sqlite3.Connection, table: str, key: object, columns: Mapping[str, object]) -> None:
    of, names = f"{KEYS[table]}=?", ", ".join(f"{name}=?" for name in columns)
    connection.execute(f"UPDATE {table} SET {names} WHERE {of}", (*columns.values(), key))
    row = connection.execute(f"SELECT {', '.join(CHECKED[table])} FROM {table} WHERE {of}", (key,)).fetchone()
    if row is not None:
        connection.execute(f"UPDATE {table} SET crc=? WHERE {of}", (checksum(row), key))


def checksum(values: Iterable[object]) -> int:
    """CRC-32 of the values of a row, texts as their UTF-8; never 0, which is none."""
    crc = 0
    for value in values:
        told = value if isinstance(value, bytes) else str(value).encode()
        crc = zlib.crc32(told, zlib.crc32(b"%d:" % len(told), crc))
    return crc or 1


def seal_tracks(connection: sqlite3.Connection, source: int) -> None:
    """Give the tracks of a source their checksums, as they are now."""
    rows = connection.execute("SELECT track, watermark_s, ended FROM tracks WHERE source=?", (source,)).fetchall()
    connection.executemany(
        "UPDATE tracks SET crc=? WHERE source=? AND track=?",
        [(checksum((source, *row)), source, row[0]) for row in rows],
    )


def mend_progress(connection: sqlite3.Connection) -> None:
    """Let go of tracks that are not as they were stored: they begin again, and what is there is told again under the
    same ids and stored once. Consolidation that is not goes on from the last event."""
    factory, connection.text_factory = connection.text_factory, bytes  # also what is no text any more
    try:
        for table, columns in (("tracks", "track, watermark_s, ended"), ("consolidation", "state")):
            rows = connection.execute(f"SELECT source, crc, {columns} FROM {table}").fetchall()
            for source, crc, *told in rows:
                if crc not in (0, checksum((source, *told))):
                    connection.execute(f"DELETE FROM {table} WHERE source=? AND crc=?", (source, crc))
    finally:
        connection.text_factory = factory


def read_durable(connection: sqlite3.Connection) -> dict[tuple[str, int], int]:
    """(publisher, epoch) -> last sequence number stored; without those that are not as they were stored, whose
    messages are taken once more."""
    rows = connection.execute("SELECT publisher, epoch, seq, crc FROM publisher_seq").fetchall()
    return {
        (publisher, epoch): seq
        for publisher, epoch, seq, crc in rows
        if crc in (0, checksum((publisher, epoch, seq)))  # 0: of before there were checksums
    }


def observation_of(row: tuple[Any, ...], payload: bytes | None = None) -> Observation:
    """The observation in a row of `OBSERVATION_COLUMNS`."""
    id_, source, channel, t0_s, t1_s, text, data, evidence, trust, vector, space = row[:11]
    return Observation(
        id=id_, source=source, channel=channel, t0_s=t0_s, t1_s=t1_s, text=text, data=read_facts(channel, data),
        evidence=_ids_of(evidence), trust=trust, vector=vector, vector_space=space or "", payload=payload,
    )  # fmt: skip


def insert_span(connection: sqlite3.Connection, span: Span, source: int, generation: int) -> bool:
    """Store one span; False if its id is there already."""
    row = (
        span.id, generation, source, span.level, float(span.t0_s), float(span.t1_s), span.text, span.parent,
        span.keyframe, span.stage, span.why, float(span.trust),
    )  # fmt: skip
    insert = "INSERT OR IGNORE INTO spans VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"
    return connection.execute(insert, (*row, checksum(row))).rowcount > 0


def span_of(row: tuple[Any, ...]) -> Span:
    """The span in a row of `SPAN_COLUMNS`."""
    id_, source, level, t0_s, t1_s, text, parent, keyframe, stage, why, trust = row
    return Span(
        id=id_, source=source, level=level, t0_s=t0_s, t1_s=t1_s, text=text, parent=parent, keyframe=keyframe,
        stage=stage, why=why, trust=trust,
    )  # fmt: skip
