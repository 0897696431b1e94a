"""The index as it is stored: blocks of 16,384 observations, made from them and always to be made again.

While a block fills, its observations' terms wait in `unsealed`. When the next block begins it is sealed: one row of
packed columns (`ROW`), and for each term one row of the places it occurs at. A term of a million observations is so
read as sixty short rows, nothing is ever merged, and a removed observation is deleted from its block for good, as
SQLite's secure_delete deletes. `ANALYSIS` is the number of the way text becomes terms: a file made with another is
indexed again when it is opened for writing.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory.index.keys import SAID, Key, counted_terms, observation_key
from memory.index.vocabulary import learn
from memory.store.records import OBSERVATION_COLUMNS, OBSERVATION_JOIN, observation_of
from runtime.messages import Channel

ANALYSIS = 3
BLOCK_BITS = 14
BLOCK = 1 << BLOCK_BITS
# Fields of a posting: the words of an observation, and the name of who speaks.
OWN, SPEAKER = 0, 1

CHANNELS: tuple[Channel, ...] = (
    "frame", "object", "text", "speech", "sound", "question", "answer", "correction", "gap", "derived",
)  # fmt: skip
CODES = {channel: code for code, channel in enumerate(CHANNELS)}
# 0: what is said, an observation's neighbours are its conversation; 1: what is written; 2: what is seen and heard;
# 3: what is told of that afterwards, longer than a sign and no part of a conversation.
GROUPS = 4
GROUP_OF_CODE = np.array(
    [0 if c in SAID else 1 if c == "text" else 3 if c == "derived" else 2 for c in CHANNELS], np.int8
)

ROW = np.dtype(
    [
        ("seq", "<i8"), ("source", "<i4"), ("channel", "i1"), ("asks", "?"), ("terms", "<i4"), ("generation", "<i8"),
        ("t0_s", "<f8"), ("t1_s", "<f8"), ("trust", "<f4"),
    ]
)  # fmt: skip
_FACTS = "o.seq, o.source, o.channel, u.asks, u.terms, o.generation, o.t0_s, o.t1_s, o.trust, u.own, u.speaker"
# Writing the rows of a block anew takes 15 ms and 170 KB of log: what has gone is listed until that is worth it.
REPACKED_SHARE = 16
# What a posting takes beside its term and places: the number of its block, lengths, its cell in the tree.
_POSTING_BYTES = 12


def index_key(connection: sqlite3.Connection, seq: int, key: Key) -> None:
    """Add one stored observation by its key."""
    connection.execute(
        "INSERT INTO unsealed VALUES (?,?,?,?,?)",
        (seq, len(key.own), key.asks, " ".join(key.own), " ".join(key.speaker)),
    )


def seal_full_blocks(connection: sqlite3.Connection) -> None:
    """Seal every block that no further observation can belong to."""
    first, last = connection.execute(
        "SELECT (SELECT min(seq) FROM unsealed), (SELECT seq FROM sqlite_sequence WHERE name='observations')"
    ).fetchone()
    if first is not None:
        for block in range(first >> BLOCK_BITS, last >> BLOCK_BITS):
            _seal(connection, block)


def _seal(connection: sqlite3.Connection, block: int) -> None:
    span = block << BLOCK_BITS, (block + 1) << BLOCK_BITS
    found = unsealed_rows(connection, span[0] - 1, span[1])
    if not found:
        return
    places: dict[tuple[str, int], list[int]] = defaultdict(list)
    for *facts, own, speaker in found:
        at = facts[0] & (BLOCK - 1)
        for term in own.split():
            places[term, OWN].append(at)
        for term in speaker.split():
            places[term, SPEAKER].append(at)
    packed = pack_rows(rows_of(found))
    connection.execute("INSERT INTO blocks VALUES (?,?)", (block, packed))
    postings = [(term, field, block, np.array(at, "<u2").tobytes()) for (term, field), at in sorted(places.items())]
    connection.executemany("INSERT INTO postings VALUES (?,?,?,?)", postings)
    _charge(connection, len(packed) + sum(len(p[3]) + len(p[0].encode()) + _POSTING_BYTES for p in postings))
    connection.execute("DELETE FROM unsealed WHERE seq >= ? AND seq < ?", span)


def unsealed_rows(connection: sqlite3.Connection, after: int, before: int = 1 << 62) -> list[tuple[Any, ...]]:
    """(the fields of `ROW` ..., own terms, speaker's terms) of observations not in a sealed block, in order of seq."""
    return connection.execute(
        f"SELECT {_FACTS} FROM unsealed u JOIN observations o USING (seq) WHERE u.seq > ? AND u.seq < ? ORDER BY u.seq",  # noqa: S608
        (after, before),
    ).fetchall()


def rows_of(found: Iterable[tuple[Any, ...]]) -> NDArray[np.void]:
    """What `unsealed_rows` gives as an array of `ROW`."""
    return np.array([(seq, source, CODES[channel], *rest[:-2]) for seq, source, channel, *rest in found], ROW)


def pack_rows(rows: NDArray[np.void]) -> bytes:
    """Columns one after the other, which compress to a third."""
    names = ROW.names or ()
    return zlib.compress(b"".join(np.ascontiguousarray(rows[name]).tobytes() for name in names), 1)


def unpack_rows(packed: bytes) -> NDArray[np.void]:
    """The rows in a block."""
    data = zlib.decompress(packed)
    rows = np.empty(len(data) // ROW.itemsize, ROW)
    at = 0
    for name in ROW.names or ():
        kind = ROW[name]
        rows[name] = np.frombuffer(data, kind, len(rows), at)
        at += kind.itemsize * len(rows)
    return rows


def sealed_blocks(connection: sqlite3.Connection, after: int) -> Iterator[tuple[int, NDArray[np.void]]]:
    """The blocks that hold anything stored after the observation of this number, in order."""
    for block, packed in connection.execute(
        "SELECT block, rows FROM blocks WHERE block >= ? ORDER BY block", (max(after + 1, 0) >> BLOCK_BITS,)
    ):
        yield block, _without(unpack_rows(packed), _unpacked(connection, block))


def unindex(connection: sqlite3.Connection, removed: Iterable[tuple[int, Key]]) -> None:
    """Delete observations, given as their numbers and keys, from the index."""
    gone: dict[int, set[int]] = defaultdict(set)
    places: dict[tuple[str, int, int], set[int]] = defaultdict(set)
    for seq, key in removed:
        if connection.execute("DELETE FROM unsealed WHERE seq=?", (seq,)).rowcount:
            continue
        block, at = seq >> BLOCK_BITS, seq & (BLOCK - 1)
        gone[block].add(seq)
        for field, terms in ((OWN, key.own), (SPEAKER, key.speaker)):
            for term in terms:
                places[term, field, block].add(at)
    connection.executemany("INSERT INTO unpacked VALUES (?,?)", [(block, seq) for block in gone for seq in gone[block]])
    for place, some in places.items():
        _drop_places(connection, place, some)


def rewrite_keys(connection: sqlite3.Connection, changed: Iterable[tuple[int, Key, Key]]) -> None:
    """Have the index hold observations, given as their numbers, under other keys (number, before, after)."""
    sizes: dict[int, dict[int, int]] = defaultdict(dict)
    for seq, before, after in changed:
        if connection.execute(
            "UPDATE unsealed SET terms=?, asks=?, own=?, speaker=? WHERE seq=?",
            (len(after.own), after.asks, " ".join(after.own), " ".join(after.speaker), seq),
        ).rowcount:
            continue
        block, at = seq >> BLOCK_BITS, seq & (BLOCK - 1)
        sizes[block][seq] = len(after.own)
        for field, old, new in ((OWN, before.own, after.own), (SPEAKER, before.speaker, after.speaker)):
            was, becomes = Counter(old), Counter(new)
            for term in sorted(was.keys() | becomes.keys()):
                if was[term] != becomes[term]:
                    _drop_places(connection, (term, field, block), {at})
                    _add_places(connection, (term, field, block), [at] * becomes[term])
    for block, terms_of in sizes.items():
        packed = connection.execute("SELECT rows FROM blocks WHERE block=?", (block,)).fetchone()[0]
        rows = unpack_rows(packed)
        for place in np.flatnonzero(np.isin(rows["seq"], list(terms_of))):
            rows["terms"][place] = terms_of[int(rows["seq"][place])]
        repacked = pack_rows(rows)
        connection.execute("UPDATE blocks SET rows=? WHERE block=?", (repacked, block))
        _charge(connection, len(repacked) - len(packed))


def repack(connection: sqlite3.Connection) -> None:
    """Write anew the packed rows of blocks from which so many observations have gone: numbers and times, no words."""
    for (block,) in connection.execute(
        "SELECT block FROM unpacked GROUP BY block HAVING count(*) >= ?", (BLOCK // REPACKED_SHARE,)
    ).fetchall():
        packed = connection.execute("SELECT rows FROM blocks WHERE block=?", (block,)).fetchone()[0]
        rows = _without(unpack_rows(packed), _unpacked(connection, block))
        left = pack_rows(rows) if len(rows) else b""
        if left:
            connection.execute("UPDATE blocks SET rows=? WHERE block=?", (left, block))
        else:
            connection.execute("DELETE FROM blocks WHERE block=?", (block,))
        connection.execute("DELETE FROM unpacked WHERE block=?", (block,))
        _charge(connection, len(left) - len(packed))


def _unpacked(connection: sqlite3.Connection, block: int) -> list[int]:
    return [seq for (seq,) in connection.execute("SELECT seq FROM unpacked WHERE block=?", (block,))]


def _without(rows: NDArray[np.void], seqs: list[int]) -> NDArray[np.void]:
    return rows[~np.isin(rows["seq"], seqs)] if seqs else rows


def seqs_holding(connection: sqlite3.Connection, terms: Iterable[str]) -> set[int]:
    """Numbers of the observations that hold all of these terms, in the text or the speaker's name."""
    found: set[int] | None = None
    for term in terms:
        seqs: set[int] = set()
        for block, places in connection.execute("SELECT block, places FROM postings WHERE term=?", (term,)):
            seqs.update((np.frombuffer(places, "<u2").astype(np.int64) + (block << BLOCK_BITS)).tolist())
        # The blanks make the first and the last term like any other.
        seqs.update(
            seq
            for (seq,) in connection.execute(
                "SELECT seq FROM unsealed WHERE instr(' ' || own || ' ' || speaker || ' ', ' ' || ? || ' ')", (term,)
            )
        )
        found = seqs if found is None else found & seqs
    return found or set()


def _drop_places(connection: sqlite3.Connection, place: tuple[str, int, int], gone: set[int]) -> None:
    where = "WHERE term=? AND field=? AND block=?"
    row = connection.execute(f"SELECT places FROM postings {where}", place).fetchone()  # noqa: S608
    if row is None:
        return
    at = np.frombuffer(row[0], "<u2")
    left = at[~np.isin(at, list(gone))]
    freed = 2 * (len(at) - len(left))
    if len(left):
        connection.execute(f"UPDATE postings SET places=? {where}", (left.tobytes(), *place))  # noqa: S608
    else:
        connection.execute(f"DELETE FROM postings {where}", place)  # noqa: S608
        freed += len(place[0].encode()) + _POSTING_BYTES
    _charge(connection, -freed)


def _add_places(connection: sqlite3.Connection, place: tuple[str, int, int], added: list[int]) -> None:
    if not added:
        return
    where = "WHERE term=? AND field=? AND block=?"
    row = connection.execute(f"SELECT places FROM postings {where}", place).fetchone()  # noqa: S608
    known = np.frombuffer(row[0], "<u2") if row else np.zeros(0, "<u2")
    places = np.sort(np.concatenate([known, np.array(added, "<u2")])).tobytes()
    connection.execute("INSERT OR REPLACE INTO postings VALUES (?,?,?,?)", (*place, places))
    _charge(connection, 2 * len(added) + (0 if row else len(place[0].encode()) + _POSTING_BYTES))


def index_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the index in the file, within a few percent; quick, because sealed blocks are counted as they change."""
    sealed, filling = connection.execute(
        "SELECT (SELECT value FROM memory WHERE key='index_bytes'),"
        " (SELECT coalesce(sum(length(own) + length(speaker) + 8), 0) FROM unsealed)"
    ).fetchone()
    return int(sealed + filling)


def _charge(connection: sqlite3.Connection, n_bytes: int) -> None:
    connection.execute("UPDATE memory SET value=value+? WHERE key='index_bytes'", (n_bytes,))


def is_indexed(connection: sqlite3.Connection) -> bool:
    """Whether the index is of this `ANALYSIS`."""
    row = connection.execute("SELECT value FROM memory WHERE key='analysis'").fetchone()
    return row is not None and row[0] == ANALYSIS


def reindex(connection: sqlite3.Connection, progress: Callable[[str], None] = lambda text: None) -> None:
    """Make the whole index again from the observations, unless it is of this `ANALYSIS`: block after block, each in a
    transaction of its own, so that what is interrupted goes on from there."""
    state = dict(connection.execute("SELECT key, value FROM memory WHERE key IN ('analysis', 'reindexed')").fetchall())
    if state["analysis"] == ANALYSIS:
        return
    last_seq = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name='observations'), 0)"
    (last,) = connection.execute(last_seq).fetchone()
    if not last:
        connection.execute("UPDATE memory SET value=? WHERE key='analysis'", (ANALYSIS,))
        return
    if state["analysis"] != -ANALYSIS:
        with _transaction(connection):
            for table in ("unsealed", "blocks", "postings", "unpacked", "vocabulary", "term_counts"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608
            connection.execute("UPDATE memory SET value=0 WHERE key='index_bytes'")
            connection.execute("UPDATE memory SET value=? WHERE key='analysis'", (-ANALYSIS,))
            connection.execute("INSERT OR REPLACE INTO memory VALUES ('reindexed', 0)")
        state["reindexed"] = 0
    for block in range(state["reindexed"], (last >> BLOCK_BITS) + 1):
        progress(f"indexing it anew, {10 * (block << BLOCK_BITS) // last * 10} % done")
        with _transaction(connection):
            _reindex_block(connection, block)
            if block < last >> BLOCK_BITS:
                _seal(connection, block)
            connection.execute("UPDATE memory SET value=? WHERE key='reindexed'", (block + 1,))
    with _transaction(connection):
        connection.execute("DELETE FROM memory WHERE key='reindexed'")
        connection.execute("UPDATE memory SET value=? WHERE key='analysis'", (ANALYSIS,))


def _reindex_block(connection: sqlite3.Connection, block: int) -> None:
    counts: Counter[str] = Counter()
    learned: set[str] = set()
    rows = connection.execute(
        f"SELECT {OBSERVATION_COLUMNS}, o.seq FROM {OBSERVATION_JOIN} WHERE o.seq >= ? AND o.seq < ? ORDER BY o.seq",  # noqa: S608
        (block << BLOCK_BITS, (block + 1) << BLOCK_BITS),
    )
    for row in rows.fetchall():
        key = observation_key(observation_of(row))
        index_key(connection, row[11], key)
        counts.update(counted_terms(key))
        learned.update((*key.own, *key.speaker))
    connection.executemany(
        "INSERT INTO term_counts VALUES (?,?) ON CONFLICT DO UPDATE SET n=n+excluded.n", counts.items()
    )
    for term in sorted(learned):
        learn(connection, term)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
