"""Forgetting on demand, from the request to the proof: erase in one transaction, scrub the file, look for traces.

The order that must hold: what to look for is noted before it goes, and looked for only after the file was scrubbed.
A crash in between loses nothing of the wish: erasing is one transaction, and the file is scrubbed at the next opening.
"""

# ruff: noqa: S608 - only names of columns and tables of ours are put into statements
from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from memory.erasure.erase import Found, erase, find_to_erase
from memory.erasure.residue import Noted, blot_out, find_residue, indexed, note_residue, still_held, vanished
from memory.store.database import Store
from memory.store.folder import FILE_NAME
from memory.store.reader import snapshot
from memory.store.records import OBSERVATION_COLUMNS, OBSERVATION_JOIN, observation_of
from runtime.footage import FOOTAGE, around_s, touching
from runtime.footage import erase as erase_footage
from runtime.messages import PERCEIVED_CHANNELS, ForgetReply, ForgetRequest, Observation, TimeWindow

# Shown before the user agrees.
EXAMPLES = 12
# What reasoning keeps there (reasoning/standing/store.py).
STANDING = "standing.json"
LOG_SUFFIXES = (".log", ".stderr", ".stacks", ".1")


def preview(connection: sqlite3.Connection, request: ForgetRequest) -> ForgetReply:
    """What would go, and nothing changed.

    Raises:
        StoreError: see `find_to_erase`.
    """
    with snapshot(connection):
        return _account(connection, find_to_erase(connection, request.windows, request.text), with_examples=True)


def forget(store: Store, request: ForgetRequest, log_folders: Sequence[Path] = ()) -> ForgetReply:
    """Erase what is asked for, and prove that it is gone. Runs on the writing thread.

    ``log_folders``: where log lines may repeat what was perceived, besides the memory folder.

    Raises:
        StoreError: see `find_to_erase`; or it was erased, but the file could not be scrubbed yet.
    """
    bytes_before = store.size_bytes()
    with store.write() as writing:
        connection = writing.connection
        found = find_to_erase(connection, request.windows, request.text)
        reply = _account(connection, found)
        noted = note_residue(connection, found.rows, request.text)
        spans = erase(writing, found, request.wall_s, request.text)
        names = dict(connection.execute("SELECT source, name FROM sources"))
    if request.text:
        store.pending_erasure.add(request.text, _until_s(request))
    footage = _in_footage(request, found, names)
    erase_footage(store.directory / FOOTAGE, footage)
    store.scrub()
    reader = store.reader()
    try:
        noted = vanished(reader, noted)
        traces = _residue_in_file(store, reader, noted, found.windows)
        if traces:
            store.scrub(rewrite=True)
            traces = _residue_in_file(store, reader, noted, found.windows)
        searched = _search_again(reader, request, noted, found)
        searched["footage"] = sum(len(touching(store.directory / FOOTAGE, w.source, w.t0_s, w.t1_s)) for w in footage)
    finally:
        reader.close()
    files = {FILE_NAME: store.path.stat().st_size}
    left = {FILE_NAME: sum(traces.values())} if traces else {}
    elsewhere = noted.elsewhere()
    for path in _other_files(store, log_folders):
        # What the user waits for may name what was perceived in an erased stretch; that is the user's own word.
        wanted = elsewhere if request.text or path.name != STANDING else elsewhere - noted.words
        with suppress(FileNotFoundError):  # it went meanwhile
            if path.suffix in LOG_SUFFIXES:
                blot_out(path, wanted)
            with path.open("rb") as file:
                files[_named(path, store)] = path.stat().st_size
                if n := sum(find_residue(file, wanted, store.progressed).values()):
                    left[_named(path, store)] = n
    return ForgetReply(
        observations=reply.observations,
        frames_bytes=reply.frames_bytes,
        extents=reply.extents,
        spans=spans,
        searched=searched,
        files=files,
        traces=left,
        bytes_before=bytes_before,
        bytes_after=store.size_bytes(),
    )


def _in_footage(request: ForgetRequest, found: Found, names: dict[int, str]) -> tuple[TimeWindow, ...]:
    """The stretches of footage that show what goes: where the user named them those, else where it was perceived."""
    if not request.text:
        return request.windows
    return tuple(
        TimeWindow(
            source=names[source],
            t0_s=t0_s - around_s(channel),
            t1_s=t1_s + around_s(channel),
        )
        for _, _, source, channel, t0_s, t1_s in found.rows.values()
        if channel in PERCEIVED_CHANNELS
    )


def readd(store: Store, source: str, grown_to: str = "") -> None:
    """Let a source be perceived again from its begin, what is still known of it not stored twice; or, grown to the
    recording of this fingerprint, from its end.

    Raises:
        StoreError: there is no such source.
    """
    with store.write() as writing:
        if grown_to:
            writing.go_on(source, grown_to)
        else:
            writing.begin_again(source)


def _until_s(request: ForgetRequest) -> dict[str, float]:
    """Media time by source up to which what holds the text is pending_erasure: that of asking, or a window's end."""
    if not request.windows:
        return request.until_s
    ends = {window.source: window.t1_s for window in request.windows}
    return {source: min(t_s, ends[source]) for source, t_s in request.until_s.items() if source in ends}


def _account(connection: sqlite3.Connection, found: Found, with_examples: bool = False) -> ForgetReply:
    extents: dict[int, tuple[float, float]] = {}
    for _, _, source, channel, t0_s, t1_s in found.rows.values():
        if channel in PERCEIVED_CHANNELS:
            low, high = extents.get(source, (t0_s, t1_s))
            extents[source] = (min(low, t0_s), max(high, t1_s))
    names = dict(connection.execute("SELECT source, name FROM sources"))
    frames_bytes = 0
    for seq in found.rows:
        row = connection.execute("SELECT length(jpeg) FROM payloads WHERE seq=?", (seq,)).fetchone()
        frames_bytes += row[0] if row else 0
    return ForgetReply(
        observations=dict(Counter(row[3] for row in found.rows.values())),
        frames_bytes=frames_bytes,
        extents={names[source]: extent for source, extent in extents.items()},
        spans=found.sketches,
        examples=_examples(connection, found) if with_examples else (),
        bytes_before=0,
    )


def _examples(connection: sqlite3.Connection, found: Found) -> tuple[Observation, ...]:
    """Some of what goes: words first, they are what a person can judge."""
    rows = sorted(found.rows.values(), key=lambda row: (row[3] in ("frame", "object", "sound"), row[2], row[4]))
    shown = []
    for seq, *_ in rows[:EXAMPLES]:
        row = connection.execute(f"SELECT {OBSERVATION_COLUMNS} FROM {OBSERVATION_JOIN} WHERE o.seq=?", (seq,))
        shown.append(observation_of(row.fetchone()))
    return tuple(sorted(shown, key=lambda o: (o.source, o.t0_s, o.id)))


def _residue_in_file(
    store: Store, connection: sqlite3.Connection, noted: Noted, windows: Sequence[tuple[int, float, float]]
) -> Counter[bytes]:
    """Pieces that stand in the database file or its log and in nothing that is still remembered."""
    found: Counter[bytes] = Counter()
    for file in store.raw():
        found += find_residue(file, noted.everywhere(), store.progressed)
    for piece in still_held(connection, noted, found, windows):
        del found[piece]
    return found


def _search_again(connection: sqlite3.Connection, request: ForgetRequest, noted: Noted, found: Found) -> dict[str, int]:
    """What is still found of it by every way there is to find it."""
    with snapshot(connection):
        left = find_to_erase(connection, request.windows, request.text)
        tombstones = sum(1 for row in left.rows.values() if row[3] == "gap")

        def count(table: str, column: str, values: Iterable[object]) -> int:
            select = f"SELECT count(*) FROM {table} WHERE {column}=?"
            return sum(connection.execute(select, (value,)).fetchone()[0] for value in values)

        searched = {
            "observations": max(count("observations", "id", found.ids), len(left.rows) - tombstones),
            "evidence": count("links", "to_id", found.ids),
            "pictures": count("payloads", "seq", found.rows),
            "vectors": count("vectors", "seq", found.rows),
            "index terms": indexed(connection, noted.terms),
        }
        if request.text:
            searched["sketches"] = left.sketches
    return searched


def _other_files(store: Store, log_folders: Sequence[Path]) -> list[Path]:
    ours = {FILE_NAME, FILE_NAME + "-wal", FILE_NAME + "-shm"}
    found = [path for path in sorted(store.directory.rglob("*")) if path.is_file() and path.name not in ours]
    for folder in log_folders:
        found += [path for path in sorted(folder.glob("*")) if path.is_file() and path.suffix in LOG_SUFFIXES]
    return found


def _named(path: Path, store: Store) -> str:
    return str(path.relative_to(store.directory)) if path.is_relative_to(store.directory) else str(path)
