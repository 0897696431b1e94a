"""The index recall works on: when each observation was, and which observations hold a term.

Times, sources and lengths of all observations lie in arrays in memory (about 50 bytes each); the terms lie
in full-text tables of the same file. Both follow from the observations and can be made again from them.
Used by one thread; `refresh` takes in what was stored since.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from memory.keys import SAID, can_be_misspelt, similarity, sound_of
from runtime.messages import Channel

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

CHANNELS: tuple[Channel, ...] = (
    "frame", "object", "text", "speech", "sound", "question", "answer", "correction", "gap", "derived",
)  # fmt: skip
CODES = {channel: code for code, channel in enumerate(CHANNELS)}
# 0: what is said, an observation's neighbours are its conversation; 1: what is written; 2: what is seen and heard.
LANE_OF_CODE = np.array([0 if c in SAID else 1 if c == "text" else 2 for c in CHANNELS], np.int64)

_ROW = np.dtype(
    [
        ("seq", np.int64), ("source", np.int32), ("channel", np.int8), ("asks", np.bool_), ("terms", np.int32),
        ("generation", np.int64), ("t0_s", np.float64), ("t1_s", np.float64),
    ]
)  # fmt: skip
_SELECT = (
    "SELECT o.seq, o.source, o.channel, k.asks, k.terms, o.generation, o.t0_s, o.t1_s"
    " FROM observations o JOIN keys k USING (seq) WHERE o.seq > ? ORDER BY o.seq"
)
_AT_ONCE = 50_000
# Postings kept between questions, in occurrences of 16 bytes: names and pictures are asked about again and again.
KEPT_POSTINGS = 2_000_000
_NEAR_CANDIDATES = 200
# Two words that sound the same may differ more in spelling than two that only look alike.
_SIMILAR_BY_SOUND = 0.6
_SIMILAR_BY_LOOK = 0.8
_LOOK_ALIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s", "8": "b", "q": "g"})


class Postings(Struct, frozen=True):
    """Where a term occurs: positions in the index, ascending, and how often. ``size``: of the index it holds for."""

    positions: Ints
    counts: Floats
    size: int


class Index:
    """A view of all observations by position: 0 is the first stored."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._removal = self._last_removal()
        self._forget_all()

    def _forget_all(self) -> None:
        self._rows = np.zeros(1024, _ROW)
        self._size = 0
        self._said: dict[int, Ints] = {}
        self._events: dict[int, list[float]] = {}
        self._kept: OrderedDict[tuple[str, str], Postings] = OrderedDict()
        self._kept_positions = 0

    def refresh(self) -> None:
        """Take in what was stored and removed since; call it inside the read transaction of the query."""
        removal = self._last_removal()
        if removal != self._removal:
            self._forget_all()
            self._removal = removal
        rows = self._connection.execute(_SELECT, (int(self._rows["seq"][self._size - 1]) if self._size else 0,))
        while some := rows.fetchmany(_AT_ONCE):
            self._append([(seq, source, CODES[channel], *rest) for seq, source, channel, *rest in some])

    def _last_removal(self) -> int:
        return int(self._connection.execute("SELECT coalesce(max(removal), 0) FROM removals").fetchone()[0])

    def __len__(self) -> int:
        return self._size

    def column(self, name: str) -> NDArray[np.generic]:
        """One column of all rows: seq, source, channel, asks, terms, generation, t0_s or t1_s."""
        return self._rows[name][: self._size]

    def said(self, source: int) -> Ints:
        """Positions of what was said in a source, in order of time."""
        return self._said.get(source, np.zeros(0, np.int64))

    def event_ends(self, source: int) -> Floats:
        """Ends of a source's events, ascending."""
        known = self._events.setdefault(source, [])
        known += [
            t1_s
            for (t1_s,) in self._connection.execute(
                "SELECT t1_s FROM spans WHERE source=? AND level='event' AND t1_s>? ORDER BY t1_s",
                (source, known[-1] if known else -1.0),
            )
        ]
        return np.array(known)

    def postings(self, term: str, column: str = "own") -> Postings:
        """Where a term occurs in the text ("own") or the name of who speaks ("speaker")."""
        key = (term, column)
        known = self._kept.pop(key, None)
        if known is None or known.size < self._size:
            since, before = (0, 0) if known is None else (known.size, len(known.positions))
            found = self._read_postings(term, column, since)
            if known is not None:
                found = Postings(
                    np.concatenate([known.positions, found.positions]),
                    np.concatenate([known.counts, found.counts]),
                    found.size,
                )
            known = found
            self._kept_positions += len(found.positions) - before
        self._kept[key] = known
        while self._kept_positions > KEPT_POSTINGS and len(self._kept) > 1:
            self._kept_positions -= len(self._kept.popitem(last=False)[1].positions)
        return known

    def _read_postings(self, term: str, column: str, since: int) -> Postings:
        """Occurrences at positions from ``since`` on."""
        seqs = self.column("seq")
        if since:
            (new,) = self._connection.execute(
                "SELECT group_concat(rowid) FROM observation_terms WHERE observation_terms MATCH ? AND rowid > ?",
                (f'{column} : "{term}"', int(seqs[since - 1])),
            ).fetchone()
            if new is None:
                return Postings(np.zeros(0, np.int64), np.zeros(0), self._size)
        (listed,) = self._connection.execute(
            "SELECT group_concat(doc) FROM term_postings WHERE term=? AND col=?", (term, column)
        ).fetchone()
        if listed is None:
            return Postings(np.zeros(0, np.int64), np.zeros(0), self._size)
        found, counts = np.unique(np.fromstring(listed, np.int64, sep=","), return_counts=True)
        at = np.searchsorted(seqs, found).astype(np.int64)
        return Postings(at[at >= since], counts[at >= since].astype(np.float64), self._size)

    def phrase(self, first: str, second: str) -> Ints:
        """Positions of the observations in whose text one term directly follows another."""
        rows = self._connection.execute(
            "SELECT rowid FROM observation_terms WHERE observation_terms MATCH ?", (f'own : "{first} {second}"',)
        )
        return np.searchsorted(self.column("seq"), [seq for (seq,) in rows]).astype(np.int64)

    def near_terms(self, term: str) -> list[tuple[str, float]]:
        """Terms that a recogniser may have made of this one, with their likeness 0..1, the likest first.

        Alike in sound (misheard speech), or in look up to one letter with the same beginning (misread text).
        """
        if not can_be_misspelt(term):
            return []
        trigrams = " OR ".join(f'"{term[i : i + 3]}"' for i in range(len(term) - 2))
        looks = self._connection.execute(
            "SELECT term FROM vocabulary_trigrams WHERE vocabulary_trigrams MATCH ? ORDER BY rank LIMIT ?",
            (trigrams, _NEAR_CANDIDATES),
        ).fetchall()
        sound = sound_of(term)
        sounds = self._connection.execute(
            "SELECT term FROM vocabulary WHERE sound=? LIMIT ?", (sound, _NEAR_CANDIDATES)
        ).fetchall()
        likeness: dict[str, float] = {}
        for (other,) in (*looks, *sounds):
            if other == term or other in likeness:
                continue
            same_sound = len(sound) >= 2 and sound_of(other) == sound
            same_begin = other[0].translate(_LOOK_ALIKE) == term[0].translate(_LOOK_ALIKE)
            if not (same_sound or same_begin) or abs(len(other) - len(term)) > 0.4 * len(term):
                continue
            alike = similarity(term.translate(_LOOK_ALIKE), other.translate(_LOOK_ALIKE))
            if (same_sound and alike >= _SIMILAR_BY_SOUND) or (same_begin and alike >= _SIMILAR_BY_LOOK):
                likeness[other] = alike
        return sorted(likeness.items(), key=lambda item: (-item[1], item[0]))

    def knows(self, term: str) -> bool:
        """Whether any observation ever held the term (letters only)."""
        return self._connection.execute("SELECT 1 FROM vocabulary WHERE term=?", (term,)).fetchone() is not None

    def _append(self, rows: list[tuple[object, ...]]) -> None:
        new = np.array(rows, _ROW)
        end = self._size + len(new)
        if end > len(self._rows):
            grown = np.zeros(max(end, 2 * len(self._rows)), _ROW)
            grown[: self._size] = self._rows[: self._size]
            self._rows = grown
        self._rows[self._size : end] = new
        is_said = LANE_OF_CODE[new["channel"]] == 0
        for source in np.unique(new["source"][is_said]):
            mine = np.flatnonzero(is_said & (new["source"] == source)) + self._size
            self._said[int(source)] = self._merge(self.said(int(source)), mine.astype(np.int64))
        self._size = end

    def _merge(self, before: Ints, new: Ints) -> Ints:
        """Positions in order of begin; what began at once, in order of end."""
        t0_s, t1_s = self._rows["t0_s"], self._rows["t1_s"]
        new = new[np.lexsort((t1_s[new], t0_s[new]))]
        if not len(before) or t0_s[new[0]] > t0_s[before[-1]]:
            return np.concatenate([before, new])
        both = np.concatenate([before, new])
        return both[np.lexsort((t1_s[both], t0_s[both]))]
