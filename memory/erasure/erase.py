"""Erasing at the user's wish: what goes with a stretch of time or a word, and taking it out in one transaction.

With what was perceived goes all that rests on it: answers that cite it, their questions, corrections, what was
derived, the pictures a forgotten word stood in, and the words of it in the sketches of spans. What stays is a
tombstone that says when and nothing more, so that the same stretch is not remembered again by accident, when a
process resumes or a message is delivered twice.
"""

# ruff: noqa: S608 - only names of columns and question marks are put into statements
from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from memory.erasure.sketches import blank_sketches, forget_in_spans, spans_telling
from memory.index.analysis import terms
from memory.index.blocks import seqs_holding
from memory.store.records import reword
from memory.store.removal import forget_terms, uncharge
from memory.store.told import Wanted
from memory.store.writing import Writing
from runtime.errors import StoreError
from runtime.messages import PERCEIVED_CHANNELS, GapFacts, Observation, TimeWindow, observation_id, round_time

ERASED_REASON = "erased"
ERASED_TEXT = "erased at your wish"
# Gaps that begin in the same millisecond have other numbers: a missing tail 0, lost tracks 1 and 2.
_ERASED_K = 9
_AT_ONCE = 500
_Row = tuple[int, str, int, str, float, float]  # seq, id, source, channel, t0_s, t1_s
_ROW = "o.seq, o.id, o.source, o.channel, o.t0_s, o.t1_s"


class Found(Struct, frozen=True):
    """What a request is about. ``rows`` by seq; ``windows``: (source, t0_s, t1_s), given or, for words, none;
    ``within``: those that words are sought in, none for everywhere. ``sketches``: how many tell of the words."""

    rows: dict[int, _Row]
    windows: tuple[tuple[int, float, float], ...]
    within: tuple[tuple[int, float, float], ...] = ()
    sketches: int = 0

    @property
    def ids(self) -> list[str]:
        return [row[1] for row in self.rows.values()]


def find_to_erase(connection: sqlite3.Connection, windows: Sequence[TimeWindow], text: str) -> Found:
    """Everything that goes, in a read transaction of the caller.

    Raises:
        StoreError: nothing was asked for, a window is no stretch of a known source, or the text has no word.
    """
    numbered = tuple(_numbered(connection, window) for window in windows)
    within: tuple[tuple[int, float, float], ...] = ()
    sketches = 0
    if text.strip():
        if not terms(text):
            raise StoreError(f"nothing to forget in {text!r}: there is no word in it")
        rows = _holding(connection, text)
        if numbered:
            rows = [row for row in rows if any(_overlaps(row, window) for window in numbered)]
        rows = _with_pictures(connection, rows)
        numbered, within = (), numbered
        sketches = len(spans_telling(connection, text, within))
    elif numbered:
        rows = [row for window in numbered for row in _inside(connection, window)]
    else:
        raise StoreError("nothing to forget: give a stretch of time or a text")
    found = {row[0]: row for row in rows}
    fresh = list(found.values())
    while fresh:
        resting = [row for row in _resting_on(connection, fresh) if row[0] not in found]
        found.update((row[0], row) for row in resting)
        fresh = resting
    ordered = sorted(found.values(), key=lambda row: (row[2], row[4], row[1]))
    return Found({row[0]: row for row in ordered}, numbered, within, sketches)


def erase(writing: Writing, found: Found, wall_s: float, text: str = "") -> int:
    """Take it out, in the transaction of ``writing``, and ``text`` from what sketches tell of what was let go before;
    how many of those were made anew."""
    connection = writing.connection
    writing.settle()
    gone = set(found.ids)
    _forget_evidence(connection, gone)
    touched = _touched(found)
    writing.remove(gone)
    # What only conversations are beside is perceived nowhere near this memory: nothing of it can come again.
    perceived = {source for (source,) in connection.execute("SELECT source FROM sources WHERE kind!=''")}
    connection.executemany(
        "INSERT INTO erasures(source, channel, t0_s, t1_s, erased_wall_s) VALUES (?,?,?,?,?)",
        [(*tombstone, wall_s) for tombstone in _tombstones(found) if tombstone[0] in perceived],
    )
    for source, t0_s, t1_s in found.windows:
        writing.add_observation(_erased_gap(_name(connection, source), t0_s, t1_s))
    sketched = 0
    forget_terms(connection, gone=found.rows)
    for source, stretches in touched.items():
        windows = [(t0_s, t1_s) for of, t0_s, t1_s in found.windows if of == source]
        pictures = any(row[2:4] == (source, "frame") for row in found.rows.values())
        sketched += forget_in_spans(writing, source, stretches, windows, gone, pictures)
    if text:
        sketched += blank_sketches(writing, text, found.within)
    return sketched


# --- what goes ------------------------------------------------------------------------------------


def _numbered(connection: sqlite3.Connection, window: TimeWindow) -> tuple[int, float, float]:
    row = connection.execute("SELECT source FROM sources WHERE name=?", (window.source,)).fetchone()
    if row is None:
        raise StoreError(f"there is no source {window.source!r} in memory")
    if not 0.0 <= window.t0_s <= window.t1_s < 1e9:
        raise StoreError(f"{window.t0_s:g}..{window.t1_s:g} s is no stretch of time")
    return int(row[0]), window.t0_s, window.t1_s


def _inside(connection: sqlite3.Connection, window: tuple[int, float, float]) -> list[_Row]:
    """What overlaps a window; of gaps only earlier tombstones, which the new one covers."""
    rows = connection.execute(
        f"SELECT {_ROW}, json_extract(o.data, '$.reason') FROM observations o"
        " WHERE o.source=? AND o.t0_s<=? AND o.t1_s>=?",
        (window[0], window[2], window[1]),
    )
    return [
        row[:6]
        for row in rows
        if row[3] != "gap" or (row[6] == ERASED_REASON and window[1] <= row[4] and row[5] <= window[2])
    ]


def _holding(connection: sqlite3.Connection, text: str) -> list[_Row]:
    """What holds all words of ``text`` in any form of them, or ``text`` as it is in what it tells."""
    seqs = seqs_holding(connection, terms(text))
    wanted = Wanted(text)
    found = []
    for *row, told, data in connection.execute(f"SELECT {_ROW}, o.text, o.data FROM observations o"):
        if row[3] != "gap" and (row[0] in seqs or wanted.is_told(told, data)):
            found.append(tuple(row))
    return found


def _overlaps(row: _Row, window: tuple[int, float, float]) -> bool:
    return row[2] == window[0] and row[4] <= window[2] and row[5] >= window[1]


def _with_pictures(connection: sqlite3.Connection, rows: list[_Row]) -> list[_Row]:
    """A forgotten word, or thing, is gone only with the pictures it can be seen in; of a caption with the picture that
    it describes, which would be described so again."""
    seen = [row[1] for row in rows if row[3] in ("text", "object")]
    pictures = [row for row in _linked_to(connection, seen) if row[3] == "frame"]
    shown: list[str] = []
    for some in _some_at_once(row[1] for row in rows if row[3] == "derived"):
        shown += [
            to_id
            for (to_id,) in connection.execute(
                "SELECT l.to_id FROM observations o JOIN links l ON l.from_seq=o.seq"
                f" WHERE o.id IN ({','.join('?' * len(some))}) AND json_extract(o.data, '$.kind')='caption'",
                some,
            )
        ]
    return rows + pictures + [row for row in _by_id(connection, shown) if row[3] == "frame"]


def _resting_on(connection: sqlite3.Connection, rows: list[_Row]) -> list[_Row]:
    """What cannot stay without these: all that is not perceived, a thing's leaving, and the other half of a question
    and its answer."""
    ids = [row[1] for row in rows]
    resting = [row for row in _linked_to(connection, ids) if row[3] not in PERCEIVED_CHANNELS or row[3] == "object"]
    talk = [row for row in rows if row[3] in ("question", "answer")]
    if talk:
        said = {row[1] for row in talk}
        asked: set[str] = set()
        for *row, question in connection.execute(
            f"SELECT {_ROW}, json_extract(o.data, '$.question') FROM observations o WHERE o.channel='answer'"
        ):
            if question in said:
                resting.append(tuple(row))
            if row[1] in said and question:
                asked.add(question)
        resting += _by_id(connection, asked)
    return resting


def _linked_to(connection: sqlite3.Connection, ids: Iterable[str]) -> list[_Row]:
    found: list[_Row] = []
    for some in _some_at_once(ids):
        found += connection.execute(
            f"SELECT DISTINCT {_ROW} FROM links l JOIN observations o ON o.seq=l.from_seq"
            f" WHERE l.to_id IN ({','.join('?' * len(some))})",
            some,
        ).fetchall()
    return found


def _by_id(connection: sqlite3.Connection, ids: Iterable[str]) -> list[_Row]:
    found: list[_Row] = []
    for some in _some_at_once(ids):
        marks = ",".join("?" * len(some))
        found += connection.execute(f"SELECT {_ROW} FROM observations o WHERE o.id IN ({marks})", some).fetchall()
    return found


def _some_at_once(ids: Iterable[str]) -> Iterable[list[str]]:
    listed = list(ids)
    return (listed[i : i + _AT_ONCE] for i in range(0, len(listed), _AT_ONCE))


# --- taking it out --------------------------------------------------------------------------------


def _forget_evidence(connection: sqlite3.Connection, gone: set[str]) -> None:
    """Frames that stay name no longer what is gone."""
    for row in _linked_to(connection, gone):
        if row[1] in gone:
            continue
        (held,) = connection.execute("SELECT evidence FROM observations WHERE seq=?", (row[0],)).fetchone()
        kept = [id_ for id_ in msgspec.json.decode(held, type=list[str]) if id_ not in gone]
        uncharge(connection, [row[0]], "row_bytes", n=0)
        reword(connection, row[0], evidence=msgspec.json.encode(kept).decode())
        uncharge(connection, [row[0]], "-row_bytes", n=0)


def _tombstones(found: Found) -> list[tuple[int, str, float, float]]:
    """(source, channel, t0_s, t1_s): whole windows, and single perceptions that lie in none."""
    stones = [(source, "", t0_s, t1_s) for source, t0_s, t1_s in found.windows]
    for row in found.rows.values():
        _, _, source, channel, t0_s, t1_s = row
        perceived = channel in PERCEIVED_CHANNELS and channel != "gap"
        if perceived and not any(_overlaps(row, window) for window in found.windows):
            stones.append((source, channel, t0_s, t1_s))
    return list(dict.fromkeys(stones))


def _erased_gap(source: str, t0_s: float, t1_s: float) -> Observation:
    return Observation(
        id=observation_id(source, "gap", t0_s, _ERASED_K),
        source=source,
        channel="gap",
        t0_s=round_time(t0_s),
        t1_s=round_time(t1_s),
        text=ERASED_TEXT,
        data=GapFacts(track="all", reason=ERASED_REASON),
    )


def _name(connection: sqlite3.Connection, source: int) -> str:
    return str(connection.execute("SELECT name FROM sources WHERE source=?", (source,)).fetchone()[0])


def _touched(found: Found) -> dict[int, list[tuple[float, float]]]:
    """Source -> stretches in which something goes, apart from each other and in order."""
    stretches: dict[int, list[tuple[float, float]]] = {}
    for source, t0_s, t1_s in found.windows:
        stretches.setdefault(source, []).append((t0_s, t1_s))
    for _, _, source, channel, t0_s, t1_s in found.rows.values():
        if channel in PERCEIVED_CHANNELS:
            stretches.setdefault(source, []).append((t0_s, t1_s))
    for source, some in stretches.items():
        merged: list[tuple[float, float]] = []
        for t0_s, t1_s in sorted(some):
            if merged and t0_s <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(t1_s, merged[-1][1]))
            else:
                merged.append((t0_s, t1_s))
        stretches[source] = merged
    return stretches
