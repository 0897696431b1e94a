"""Repair of a memory that nobody has open: in place where rows are bad, into a new file where pages are.

From a file with damaged pages every row is taken that can be reached, by its number from both ends of what is missing.
Indexes and counts are not taken but made again. The damaged file stays beside the new one, for whoever
can make more of it.
"""

# ruff: noqa: S608 - only names of tables and columns are put into statements
from __future__ import annotations

import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from memory.store.connect import DATABASE_ERRORS, OPERATIONAL_ERRORS, VALUE_ERRORS, connect
from memory.store.database import Store
from memory.store.decrypted import Decrypted
from memory.store.folder import FILE_NAME, REPAIRED, explained, locked
from memory.store.migrations import schema_version
from memory.store.size_accounting import charge, charge_since, level_of
from memory.upkeep.rows import BadRow, find_bad_rows, quarantine
from runtime.encryption import Key
from runtime.errors import StoreError

# In the order in which they refer to each other; the number of a row, where it has one.
_SALVAGED = {
    "sources": "source", "tracks": "", "erasures": "erasure", "publisher_seq": "", "hours": "wall_s",
    "observations": "seq", "payloads": "seq", "vectors": "seq", "links": "", "spans": "", "consolidation": "source",
    "holdings": "", "quarantine": "seq",
}  # fmt: skip
_AT_ONCE = 500


class Repaired(Struct, frozen=True):
    """What was done. ``bad``: rows put aside, by why; ``unread``: by table how many could not be read at least;
    ``lost``: of observations among them (source, first t0_s, last t0_s, how many); ``kept``: where the damaged file is,
    "" where nothing was written anew."""

    bad: dict[str, int] = field(default_factory=dict)
    unread: dict[str, int] = field(default_factory=dict)
    lost: list[tuple[str, float, float, int]] = field(default_factory=list)
    saved: int = 0
    kept: str = ""

    @property
    def was_needed(self) -> bool:
        return bool(self.bad or self.unread or self.kept)


def find_damage(path: Path, limit_s: float = 60.0, key: Key | None = None) -> str:
    """What is wrong with a memory file, in a line; "" where nothing is found in the time. Nothing is changed.

    Raises:
        StoreError: it is no memory of this program.
    """
    is_idle = not path.with_name(path.name + "-wal").exists()  # then no file is made beside it, either
    try:
        with closing(connect(path, "ro&immutable=1" if is_idle else "ro", key)) as connection:
            schema_version(connection, str(path.parent))
            until_s = time.monotonic() + limit_s
            connection.set_progress_handler(lambda: int(time.monotonic() > until_s), 10_000)
            with suppress(*OPERATIONAL_ERRORS):  # out of time
                if (verdict := connection.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
                    return " ".join(str(verdict).split())
            connection.set_progress_handler(None, 0)
            bad = Counter(row.why for row in find_bad_rows(connection, until_s))
            return ", ".join(f"{n} x {why}" for why, n in bad.items())
    except DATABASE_ERRORS as error:
        return str(error)


def repair(directory: Path, wall_s: float, key: Key | None = None) -> Repaired:
    """Mend what is damaged, so that the memory opens again and holds nothing that differs from what was stored.

    Raises:
        StoreError: there is no memory, another process has it, it is a newer program's, or nothing can be written.
    """
    path = directory / FILE_NAME
    if not path.exists():
        raise StoreError(f"no memory in {directory}; give its folder with --memory")
    with explained(str(directory)):
        try:
            return _repair_in_place(directory, wall_s, key)
        except (StoreError, *DATABASE_ERRORS) as error:
            if not _is_damage(error):
                raise
        return _repair_into_new(directory, wall_s, key)


def _repair_in_place(directory: Path, wall_s: float, key: Key | None) -> Repaired:
    store = Store(directory, key=key)
    try:
        with closing(store.reader()) as reader:
            verdict = reader.execute("PRAGMA integrity_check(1)").fetchone()[0]
            bad = list(find_bad_rows(reader))
        if verdict != "ok" and not bad:
            bad = [BadRow("observations", -1, "an index that differs from its table")]
        # Also where nothing is bad: a flipped bit in the index is in no row, and nothing tells of it. It is made again.
        quarantine(store, bad, wall_s)
        if bad:
            with closing(store.reader()) as reader:
                if (verdict := reader.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
                    raise sqlite3.DatabaseError(f"malformed: {verdict}")
    finally:
        store.close()
    return Repaired(bad=dict(Counter(row.why for row in bad)))


def _repair_into_new(directory: Path, wall_s: float, key: Key | None) -> Repaired:
    path = directory / FILE_NAME
    stamp = datetime.fromtimestamp(wall_s).astimezone().strftime("%Y%m%d-%H%M%S")
    kept = directory / f"damaged-{stamp}.db"
    fresh = directory / REPAIRED
    shutil.rmtree(fresh, ignore_errors=True)
    with locked(directory):
        new = Store(fresh, key=key)
        try:
            with closing(_damaged(path, key)) as damaged:
                damaged.text_factory = lambda data: data.decode(errors="replace")
                # A table whose entry in the schema cannot be read is passed over, not everything for its sake.
                damaged.execute("PRAGMA writable_schema=ON")
                salvage = _Salvage(damaged, new)
                salvage.run()
            with closing(new.reader()) as reader:
                bad = list(find_bad_rows(reader))
            quarantine(new, bad, wall_s)
        finally:
            new.close()
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(FILE_NAME + suffix).replace(kept.with_name(kept.name + suffix))
        (fresh / FILE_NAME).replace(path)
        shutil.rmtree(fresh, ignore_errors=True)
    return Repaired(
        bad=dict(Counter(row.why for row in bad)), unread=dict(salvage.unread), lost=salvage.lost, saved=salvage.saved,
        kept=kept.name,
    )  # fmt: skip


def _damaged(path: Path, key: Key | None) -> sqlite3.Connection:
    if key is None:
        return connect(path, "ro")
    with suppress(*DATABASE_ERRORS), closing(connect(path, "rw", key)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(path, "rb") as file:
        image = Decrypted(file, key).image()
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(image)
    return connection


class _Salvage:
    """All rows that can be read, from a damaged file into a new one."""

    def __init__(self, damaged: sqlite3.Connection, new: Store) -> None:
        self._damaged = damaged
        self._new = new
        self.unread: Counter[str] = Counter()
        self.saved = 0
        self.lost: list[tuple[str, float, float, int]] = []

    def run(self) -> None:
        with self._new.maintainer() as target:
            target.execute("BEGIN IMMEDIATE")
            for table, key in _SALVAGED.items():
                self._copy(target, table, key)
            for name in ("generation", "redescribed"):
                (value,) = target.execute(
                    "SELECT coalesce(max(generation), 0) FROM (SELECT generation FROM observations UNION ALL"
                    " SELECT generation FROM spans)"
                ).fetchone()
                target.execute("UPDATE memory SET value=max(value, ?) WHERE key=?", (value, name))
            target.execute("UPDATE memory SET value=0 WHERE key='analysis'")
            _charge_anew(target)
            self.saved = target.execute("SELECT count(*) FROM observations").fetchone()[0]
            self._note_lost(target)
            target.execute("COMMIT")

    def _copy(self, target: sqlite3.Connection, table: str, key: str) -> None:
        columns = [row[1] for row in target.execute(f"PRAGMA table_info({table})")]
        there = {row[1] for row in self._damaged.execute(f"PRAGMA table_info({table})")}
        shared = [column for column in columns if column in there]
        if not shared:  # its entry cannot be read; or the file is older than the table
            self.unread[table] += self._damaged.execute(
                "SELECT count(*) FROM sqlite_master WHERE name=?", (table,)
            ).fetchone()[0]
            return
        insert = f"INSERT OR IGNORE INTO {table}({', '.join(shared)}) VALUES ({', '.join('?' * len(shared))})"
        rows = self._by_number(table, shared, key) if key else self._from_both_ends(table, shared)
        for row in rows:
            try:
                target.execute(insert, row)
            except VALUE_ERRORS:
                self.unread[table] += 1

    def _by_number(self, table: str, columns: list[str], key: str) -> Iterator[tuple[Any, ...]]:
        """Rows in the order of their numbers; what cannot be read is stepped over in doubling strides."""
        select, at = f"SELECT {', '.join(columns)} FROM {table}", columns.index(key)
        number, stride, last = 0, 0, self._last(table, key)
        while number <= last:
            try:
                rows = self._damaged.execute(
                    f"{select} WHERE {key}>=? ORDER BY {key} LIMIT ?", (number, 1 if stride else _AT_ONCE)
                ).fetchall()
            except DATABASE_ERRORS:
                stride = max(1, 2 * stride)
                number += stride
                continue
            if stride:  # between what failed and what was reached, each row by itself: half a stride may be whole
                yield from self._single(table, f"{select} WHERE {key}=?", range(number - stride, number))
                stride = 0
            if not rows:
                return
            yield from rows
            number = rows[-1][at] + 1

    def _single(self, table: str, select: str, numbers: range) -> Iterator[tuple[Any, ...]]:
        for number in numbers:
            try:
                row = self._damaged.execute(select, (number,)).fetchone()
            except DATABASE_ERRORS:
                self.unread[table] += 1
                continue
            if row is not None:
                yield row

    def _last(self, table: str, key: str) -> int:
        for sql in (f"SELECT max({key}) FROM {table}", f"SELECT seq FROM sqlite_sequence WHERE name='{table}'"):
            with suppress(*DATABASE_ERRORS):
                if (row := self._damaged.execute(sql).fetchone()) and row[0] is not None:
                    return int(row[0])
        return 1 << 24

    def _from_both_ends(self, table: str, columns: list[str]) -> Iterator[tuple[Any, ...]]:
        """Rows of a table without numbers: forwards until one cannot be read, then backwards."""
        select = f"SELECT {', '.join(columns)} FROM {table} ORDER BY {columns[0]}"
        for order in ("ASC", "DESC"):
            try:
                yield from self._damaged.execute(f"{select} {order}")
                return
            except DATABASE_ERRORS:
                self.unread[table] += order == "ASC"

    def _note_lost(self, target: sqlite3.Connection) -> None:
        """When what is missing was, as far as an index of the damaged file tells still."""
        held = {seq for (seq,) in target.execute("SELECT seq FROM observations")}
        names = dict(target.execute("SELECT source, name FROM sources"))
        missing: dict[int, list[float]] = {}
        with suppress(*DATABASE_ERRORS):
            listed = self._damaged.execute(
                "SELECT seq, source, t0_s FROM observations INDEXED BY observations_by_begin"
            )
            for seq, source, t0_s in listed:
                if seq not in held:
                    missing.setdefault(source, []).append(t0_s)
        self.lost = [(names.get(s, "?"), min(times), max(times), len(times)) for s, times in missing.items()]
        self.unread["observations"] = max(self.unread["observations"], sum(map(len, missing.values())))
        self.unread = +self.unread


def _charge_anew(target: sqlite3.Connection) -> None:
    """The running totals of what everything weighs, from what is there."""
    target.execute("DELETE FROM charged")
    charge_since(target, 0)
    for kind, stage, n_bytes in target.execute(
        "SELECT kind, stage, sum(bytes) FROM holdings WHERE kind='seen' AND stage!='full' GROUP BY kind, stage"
    ).fetchall():
        charge(target, level_of(kind), 0, -n_bytes)
        charge(target, level_of(kind, stage), 0, n_bytes)


def _is_damage(error: BaseException) -> bool:
    told = f"{error} {error.__cause__ or ''}".lower()
    return any(word in told for word in ("malformed", "not a database", "corrupt", "disk i/o", "damaged", "missing"))
