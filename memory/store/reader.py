"""What is read from the store without ranking: scans in order of time, sources, status.

Each function runs in one read transaction of its own, so it sees one state however long it takes.
"""

# ruff: noqa: S608 - only names of columns and question marks are put into statements
from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from memory.index.blocks import index_bytes
from memory.store.connect import open_reader
from memory.store.folder import FILE_NAME, explained
from memory.store.levels import Budget, share_out
from memory.store.records import OBSERVATION_COLUMNS, OBSERVATION_JOIN, observation_of
from memory.store.size_accounting import LEVELS, charged
from memory.store.views import limits_by_number
from runtime.encryption import Key
from runtime.messages import (
    LevelBytes,
    MemoryStatus,
    Observation,
    ScanRequest,
    SourceRecord,
    SpaceRecord,
)

# Observations longer than this have an index of their own (migration 1).
LONG_S = 64.0
SCAN_LIMIT = 10_000
WINDOWS_LIMIT = 64
# These have an index of their own (migration 9), which SQLite takes only where the condition stands as it does there.
_TALK = ("question", "answer", "correction", "derived")
_IS_TALK = f"o.channel IN {_TALK}"
_IDS_AT_ONCE = 500


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """One state of the store for all reads in the block."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def scan(connection: sqlite3.Connection, request: ScanRequest) -> tuple[Observation, ...]:
    """Visible observations in order of source, then time. Ids that are not there, or not visible, are left out."""
    limit = max(0, min(request.limit, SCAN_LIMIT))
    with snapshot(connection):
        limits = limits_by_number(connection, request.view, request.source)
        if request.windows:
            rows = _scan_windows(connection, request, limit)
        elif request.ids:
            rows = _scan_ids(connection, request, limits)[:limit]
        else:
            rows = []
            for source in reversed(limits) if request.newest_first else limits:
                rows += _scan_source(connection, request, source, limits[source], limit - len(rows))
                if len(rows) >= limit:
                    break
        payloads = _payloads(connection, [row[11] for row in rows]) if request.with_payload else {}
        return tuple(observation_of(row, payloads.get(row[11])) for row in rows)


def _scan_source(
    connection: sqlite3.Connection, request: ScanRequest, source: int, limit_s: float, limit: int
) -> list[tuple[Any, ...]]:
    # Indexes are named: some versions of SQLite look by end, where nearly everything is before the limit, and sort it.
    index, index_of_long = "observations_by_begin", "observations_long"
    where = "o.source=? AND o.t1_s<=? AND o.generation<=?"
    values: list[Any] = [source, limit_s, request.view.generation]
    if request.after_generation:
        where += " AND o.generation>?"
        values.append(request.after_generation)
    if request.channels:
        where += f" AND o.channel IN ({','.join('?' * len(request.channels))})"
        values += request.channels
        if set(request.channels) <= set(_TALK):
            where += f" AND {_IS_TALK}"
            index = index_of_long = "observations_of_talk"
    if request.kinds:
        kinds = ",".join("?" * len(request.kinds))
        where += f" AND (o.channel!='derived' OR json_extract(o.data, '$.kind') IN ({kinds}))"
        values += request.kinds
    if request.t1_s is not None:
        where += " AND o.t0_s<=?"
        values.append(request.t1_s)
    order = "DESC" if request.newest_first else "ASC"

    def select(index: str) -> str:
        join = OBSERVATION_JOIN.replace("observations o", f"observations o INDEXED BY {index}")
        return f"SELECT {OBSERVATION_COLUMNS}, o.seq FROM {join} WHERE {where}"

    ordered = f" ORDER BY t0_s {order}, t1_s {order}, channel {order}, id {order} LIMIT ?"
    if request.t0_s is None:
        return connection.execute(select(index) + ordered, (*values, limit)).fetchall()
    # The window by its begin through the index, and the few long ones that reach into it.
    short = f"{select(index)} AND o.t0_s>=? AND o.t1_s>=? AND o.t1_s - o.t0_s <= {LONG_S:.0f}"
    long = f"{select(index_of_long)} AND o.t1_s>=? AND o.t1_s - o.t0_s > {LONG_S:.0f}"
    parameters = (*values, request.t0_s - LONG_S, request.t0_s, *values, request.t0_s, limit)
    return connection.execute(f"SELECT * FROM ({short} UNION ALL {long}) {ordered}", parameters).fetchall()


def _scan_windows(connection: sqlite3.Connection, request: ScanRequest, limit: int) -> list[tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for window in request.windows[:WINDOWS_LIMIT]:
        inside = msgspec.structs.replace(request, t0_s=window.t0_s, t1_s=window.t1_s)
        for source, limit_s in limits_by_number(connection, request.view, window.source).items():
            found.update((row[0], row) for row in _scan_source(connection, inside, source, limit_s, limit))
    rows = sorted(found.values(), key=lambda row: (row[1], row[3], row[4], row[2], row[0]))
    return rows[::-1] if request.newest_first else rows


def _scan_ids(connection: sqlite3.Connection, request: ScanRequest, limits: dict[int, float]) -> list[tuple[Any, ...]]:
    rows = []
    for i in range(0, len(request.ids), _IDS_AT_ONCE):
        ids = request.ids[i : i + _IDS_AT_ONCE]
        rows += connection.execute(
            f"SELECT {OBSERVATION_COLUMNS}, o.seq, o.source FROM {OBSERVATION_JOIN}"
            f" WHERE o.id IN ({','.join('?' * len(ids))}) AND o.generation<=?",
            (*ids, request.view.generation),
        ).fetchall()
    rows = [row for row in rows if row[12] in limits and row[4] <= limits[row[12]] and _in_window(row, request)]
    return sorted(rows, key=lambda row: (row[12], row[3], row[4], row[2], row[0]), reverse=request.newest_first)


def _in_window(row: tuple[Any, ...], request: ScanRequest) -> bool:
    return (
        (not request.channels or row[2] in request.channels)
        and (request.t0_s is None or row[4] >= request.t0_s)
        and (request.t1_s is None or row[3] <= request.t1_s)
    )


def _payloads(connection: sqlite3.Connection, seqs: list[int]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for i in range(0, len(seqs), _IDS_AT_ONCE):
        some = seqs[i : i + _IDS_AT_ONCE]
        marks = ",".join("?" * len(some))
        found.update(connection.execute(f"SELECT seq, jpeg FROM payloads WHERE seq IN ({marks})", some).fetchall())
    return found


def read_sources(connection: sqlite3.Connection) -> tuple[SourceRecord, ...]:
    """All sources in the order they were first opened."""
    tracks: dict[int, list[tuple[str, float, str | None, str, str]]] = {}
    for source, *track in connection.execute(
        "SELECT source, track, watermark_s, ended, missing, encoders FROM tracks ORDER BY source, track"
    ):
        tracks.setdefault(source, []).append(tuple(track))
    records = []
    for row in connection.execute(
        "SELECT source, name, kind, uri, fingerprint, started_wall_s, duration_s FROM sources WHERE kind != ''"
        " ORDER BY source"
    ):
        encoders: dict[str, str] = {}
        for *_, found in tracks.get(row[0], ()):
            encoders |= msgspec.json.decode(found, type=dict[str, str])
        records.append(
            SourceRecord(
                source=row[1], kind=row[2], uri=row[3], fingerprint=row[4], started_wall_s=row[5], duration_s=row[6],
                watermarks={track: watermark_s for track, watermark_s, *_ in tracks.get(row[0], ())},
                ended={track: ended for track, _, ended, *_ in tracks.get(row[0], ()) if ended is not None},
                missing={track: missing for track, _, _, missing, _ in tracks.get(row[0], ()) if missing},
                encoders=encoders,
            )
        )  # fmt: skip
    return tuple(records)


def read_spaces(connection: sqlite3.Connection) -> dict[str, SpaceRecord]:
    """What memory holds of each vector space."""
    vectors = dict(connection.execute("SELECT space, count(*) FROM vectors GROUP BY space"))
    pictures = dict(
        connection.execute("SELECT space, count(*) FROM payloads JOIN vectors USING (seq) GROUP BY space").fetchall()
    )
    return {space: SpaceRecord(vectors=n, pictures=pictures.get(space, 0)) for space, n in sorted(vectors.items())}


def spaces_in(directory: Path, key: Key | None = None) -> dict[str, SpaceRecord]:
    """`read_spaces` of a memory folder, whether an agent runs on it or not; nothing where there is none.

    Raises:
        StoreError: it cannot be read.
    """
    path = directory / FILE_NAME
    if not path.exists():
        return {}
    is_idle = not path.with_name(FILE_NAME + "-wal").exists()
    with explained(str(directory)), closing(open_reader(path, key, is_idle)) as connection:
        return read_spaces(connection)


def read_status(
    connection: sqlite3.Connection, path: str, size_bytes: int, budget: Budget | None = None
) -> MemoryStatus:
    """What memory holds, counted."""
    with snapshot(connection):
        totals = charged(connection)
        borne = share_out(totals, size_bytes)
        scale = size_bytes / max(1, sum(totals.get(level, 0) for level in LEVELS))
        return MemoryStatus(
            generation=connection.execute("SELECT value FROM memory WHERE key='generation'").fetchone()[0],
            sources=read_sources(connection),
            observations=dict(connection.execute("SELECT channel, count(*) FROM observations GROUP BY channel")),
            spans=dict(connection.execute("SELECT level, count(*) FROM spans GROUP BY level")),
            bytes=size_bytes,
            index_bytes=index_bytes(connection),
            path=path,
            schema=connection.execute("PRAGMA user_version").fetchone()[0],
            levels={level: LevelBytes(bytes=borne[level], budget=(budget or Budget()).of(level)) for level in LEVELS},
            channel_bytes={c: round(n * scale) for c, n in totals.items() if c not in LEVELS and n > 0},
            spaces=read_spaces(connection),
        )
