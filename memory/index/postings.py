"""The index recall works on: when each observation was, who stands beside it, and which observations hold a term.

Facts of all observations lie in arrays in memory (about 60 bytes each), read from the stored blocks
(`memory.index.blocks`) in a fraction of a second for a million; postings are read from the file when a term is asked
about. Used by one thread; `refresh` takes in what was stored and removed since, and never reads what it has again.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict, defaultdict
from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from memory.index.arrays import Bools, Floats, Ints, grown
from memory.index.blocks import (
    BLOCK,
    BLOCK_BITS,
    CHANNELS,
    CODES,
    GROUP_OF_CODE,
    GROUPS,
    OWN,
    ROW,
    SPEAKER,
    rows_of,
    sealed_blocks,
    unsealed_rows,
)
from memory.index.time_order import TimeOrder
from memory.index.vectors import times_redescribed

# Postings kept between questions, in occurrences of 8 bytes: names and pictures are asked about again and again.
KEPT_POSTINGS = 4_000_000
_AT_END = (GROUP_OF_CODE == 0) | np.isin(np.arange(len(CHANNELS)), (CODES["sound"], CODES["gap"]))
# Removed rows are skipped until there are so many that moving the others up pays.
_COMPACT_FROM = 4096
_COMPACT_SHARE = 0.25


class Postings(Struct, frozen=True):
    """Where a term occurs: positions in the index, ascending, and how often; of the sealed blocks."""

    positions: Ints
    counts: Floats


_NO_BLOCK = 1 << 62  # no observation has such a number
_NOWHERE = Postings(np.zeros(0, np.int32), np.zeros(0, np.float32))


class Index:
    """A view of all observations by position: 0 is the first stored of those that are left."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._removal = 0
        self._redescribed = 0
        self._columns = {name: np.zeros(1024, ROW[name]) for name in ROW.names or ()}
        # Neither has a row for the last place: so -1, the end of a row of neighbours, leads to -1 and holds nothing.
        self.previous: Ints = np.full(1024, -1, np.int32)
        self.next: Ints = np.full(1024, -1, np.int32)
        self.event: Ints = np.zeros(1024, np.int32)
        # Zeros by position, for a query to count in; it leaves zeros behind. The planes are made when asked for.
        self.tally: Floats = np.zeros(1024, np.float32)
        self._planes: list[NDArray[np.uint8]] = []
        self._alive: Bools = np.zeros(1024, np.bool_)
        self._restart()

    def _restart(self) -> None:
        self._size = 0
        self._sealed = 0
        self._dead = 0
        # By group, of those that are alive: how many, and their terms together.
        self.group_sizes = np.zeros(GROUPS, np.int64)
        self.group_terms = np.zeros(GROUPS, np.int64)
        self._orders: dict[int, TimeOrder] = defaultdict(TimeOrder)
        self._said: dict[int, TimeOrder] = defaultdict(TimeOrder)
        self._last_end_s: dict[int, float] = defaultdict(float)
        self._event_ends: dict[int, Floats] = {}
        self._event_trust: dict[int, Floats] = {}
        self._tail: dict[tuple[str, int], list[int]] = defaultdict(list)
        self._forget_postings()

    def _forget_postings(self) -> None:
        self._kept: OrderedDict[tuple[str, int], Postings] = OrderedDict()
        self._kept_positions = 0

    def __len__(self) -> int:
        return self._size

    def column(self, name: str) -> NDArray[np.generic]:
        """One field of `ROW` of all observations."""
        return self._columns[name][: self._size]

    @property
    def alive(self) -> Bools:
        """False at the positions of observations that were removed since they were read."""
        return self._alive[: self._size]

    @property
    def n_alive(self) -> int:
        """How many observations there are."""
        return self._size - self._dead

    def plane(self, i: int) -> NDArray[np.uint8]:
        """The i-th array of zeros by position for a query to write in; it leaves zeros behind."""
        while len(self._planes) <= i:
            self._planes.append(np.zeros(len(self.tally), np.uint8))
        return self._planes[i]

    # --- taking in ---------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Take in what was stored and removed since; call it inside the read transaction of the query."""
        if (redescribed := times_redescribed(self._connection)) != self._redescribed:
            self._restart()
            self._redescribed = redescribed
        removals = self._connection.execute(
            "SELECT removal, seq FROM removals WHERE removal > ? ORDER BY removal", (self._removal,)
        ).fetchall()
        if removals and self._size and removals[0][0] != self._removal + 1:
            self._restart()  # so many were removed meanwhile that not all are on the list any more
        if removals:
            self._removal = removals[-1][0]
            self._drop(np.array([seq for _, seq in removals], np.int64))
        last = int(self._columns["seq"][self._size - 1]) if self._size else 0
        sealed = self._connection.execute("SELECT max(block) FROM blocks").fetchone()[0]
        if sealed is not None and (sealed + 1) << BLOCK_BITS > self._sealed:
            self._take_sealed(last, sealed)
            last = max(last, int(self._columns["seq"][self._size - 1]) if self._size else 0)
        if fresh := unsealed_rows(self._connection, last):
            begin = self._append(rows_of(fresh))
            for position, row in enumerate(fresh, start=begin):
                for term in row[-2].split():
                    self._tail[term, OWN].append(position)
                for term in row[-1].split():
                    self._tail[term, SPEAKER].append(position)

    def _take_sealed(self, last: int, sealed: int) -> None:
        """Read the blocks sealed since; what was known of them from their time as a tail stays."""
        for _, rows in sealed_blocks(self._connection, last):
            rows = rows[rows["seq"] > last]
            if len(rows):
                self._append(rows)
        self._sealed = (sealed + 1) << BLOCK_BITS
        self._tail.clear()
        self._forget_postings()

    def _append(self, rows: NDArray[np.void]) -> int:
        begin, end = self._size, self._size + len(rows)
        if end >= len(self._columns["seq"]):
            capacity = max(end + 1, 2 * len(self._columns["seq"]))
            for name, column in self._columns.items():
                self._columns[name] = grown(column, capacity)
            self.previous, self.next = grown(self.previous, capacity), grown(self.next, capacity)
            self.previous[-1] = self.next[-1] = -1
            self.event, self._alive = grown(self.event, capacity), grown(self._alive, capacity)
            self.tally = np.zeros(capacity, np.float32)
            self._planes.clear()
        for name, column in self._columns.items():
            column[begin:end] = rows[name]
        self._size = end
        self._alive[begin:end] = True
        self._count(rows["channel"], rows["terms"], 1)
        self._order(np.arange(begin, end), rows)
        return begin

    def _order(self, places: Ints, rows: NDArray[np.void]) -> None:
        self.previous[places] = self.next[places] = -1
        is_said = GROUP_OF_CODE[rows["channel"]] == 0
        for source in np.unique(rows["source"]):
            number = int(source)
            mine = rows["source"] == source
            self._orders[number].add(places[mine], rows["t0_s"][mine], rows["t1_s"][mine])
            self._last_end_s[number] = max(self._last_end_s[number], float(rows["t1_s"][mine].max()))
            self._number(places[mine], self._event_ends.get(number, np.zeros(0)))
            mine &= is_said
            if mine.any():
                begin = self._said[number].add(places[mine], rows["t0_s"][mine], rows["t1_s"][mine])
                said = self.said(number)
                if self._dead:
                    link(said[self._alive[said]], self.previous, self.next)
                else:
                    link(said[max(0, begin - 1) :], self.previous, self.next)

    # --- removal -----------------------------------------------------------------------------------

    def _drop(self, seqs: Ints) -> None:
        seqs = np.unique(seqs)
        known: Ints = self.column("seq")  # type: ignore[assignment]
        at = np.searchsorted(known, seqs)
        at = at[(at < self._size)]
        places = at[np.isin(known[at], seqs)]
        places = places[self._alive[places]]
        if not len(places):
            return
        self._alive[places] = False
        self._dead += len(places)
        self._count(self._columns["channel"][places], self._columns["terms"][places], -1)
        if self._dead > max(_COMPACT_FROM, _COMPACT_SHARE * self._size):
            self._compact()
            return
        for source in np.unique(self._columns["source"][places]):
            said = self.said(int(source))
            link(said[self._alive[said]], self.previous, self.next)

    def _count(self, channel: Ints, terms: Ints, sign: int) -> None:
        group = GROUP_OF_CODE[channel]
        self.group_sizes += sign * np.bincount(group, minlength=GROUPS)
        self.group_terms += sign * np.bincount(group, terms, minlength=GROUPS).astype(np.int64)

    def _compact(self) -> None:
        """Move the rows that are left up into the places of the removed ones."""
        left = self.alive.copy()
        rows = np.empty(int(left.sum()), ROW)
        for name in ROW.names or ():
            rows[name] = self.column(name)[left]
        moved = np.cumsum(left) - 1
        tail = {key: [int(moved[p]) for p in places if left[p]] for key, places in self._tail.items()}
        sealed = self._sealed
        self._restart()
        self._append(rows)
        self._sealed = sealed
        self._tail.update(tail)

    # --- time --------------------------------------------------------------------------------------

    def sources(self) -> list[int]:
        """Numbers of the sources that have observations."""
        return list(self._orders)

    def last_end_s(self, source: int) -> float:
        """When the last observation of a source ended; -1 without any."""
        return self._last_end_s[source] if source in self._orders else -1.0

    def overlapping(self, source: int, t0_s: float, t1_s: float) -> Ints:
        """Positions of a source's observations that overlap a window, ascending, among some that do not."""
        return self._orders[source].overlapping(t0_s, t1_s) if source in self._orders else np.zeros(0, np.int64)

    def said(self, source: int) -> Ints:
        """Positions of what was said in a source, in order of time."""
        return self._said[source].places if source in self._said else np.zeros(0, np.int32)

    def in_order(self, source: int) -> tuple[Ints, Floats]:
        """Positions of a source in order of begin, and when they begin."""
        order = self._orders.get(source) or TimeOrder()
        return order.places, order.t0_s

    def events(self, source: int) -> int:
        """Bring the `event` numbers of a source up to date; how many there are, the open one included.

        An event's number is how many of its source ended before it. What is noticed at one moment lies in the event
        of that moment, what lasts in the one it ends in.
        """
        known = self._event_ends.get(source, np.zeros(0))
        last_s = float(known[-1]) if len(known) else -1.0
        new = self._connection.execute(
            "SELECT t1_s, trust FROM spans WHERE source=? AND level='event' AND t1_s>? ORDER BY t1_s", (source, last_s)
        ).fetchall()
        if new:
            known = self._event_ends[source] = np.concatenate([known, [t1_s for t1_s, _ in new]])
            trust = self._event_trust.get(source, np.zeros(0))
            self._event_trust[source] = np.concatenate([trust, [trust for _, trust in new]])
            if source in self._orders:
                self._number(self._orders[source].overlapping(last_s, np.inf), known)
        return len(known) + 1

    def event_trust(self, places: Ints, limits: Mapping[int, float]) -> Floats:
        """How far the event is believed in which each position lies; 1 where it had not ended by the limit (media
        seconds) of its source."""
        trust = np.ones(len(places))
        sources = self.column("source")[places]
        for source in np.flatnonzero(np.bincount(sources)).tolist():
            self.events(source)
            ended = int(np.searchsorted(self._event_ends.get(source, []), limits.get(source, 0.0), side="right"))
            known = np.append(self._event_trust.get(source, np.zeros(0))[:ended], 1.0)
            mine = sources == source
            trust[mine] = known[np.minimum(self.event[places[mine]], ended)]
        return trust

    def _number(self, places: Ints, ends_s: Floats) -> None:
        at_end = _AT_END[self._columns["channel"][places]]
        instant_s = np.where(at_end, self._columns["t1_s"][places], self._columns["t0_s"][places])
        self.event[places] = np.searchsorted(ends_s, instant_s, side="right")

    # --- words -------------------------------------------------------------------------------------

    def postings(self, term: str, field: int = OWN) -> Postings:
        """Where a term occurs in the text, or in the name of who speaks (`SPEAKER`); removed ones may be among them."""
        known = self._kept.pop((term, field), None)
        if known is None:
            known = self._read_postings(term, field)
            self._kept_positions += len(known.positions)
        self._kept[term, field] = known
        while self._kept_positions > KEPT_POSTINGS and len(self._kept) > 1:
            self._kept_positions -= len(self._kept.popitem(last=False)[1].positions)
        return self._with_tail(known, term, field)

    def postings_between(self, term: str, field: int, first: int, last: int) -> Postings:
        """Where a term occurs in a field from one position to another, and somewhat beyond; quicker than all."""
        known = self._kept.get((term, field))
        if known is None:
            begin, end = (int(self._columns["seq"][place]) >> BLOCK_BITS for place in (first, last))
            known = self._read_postings(term, field, begin, end)
        return self._with_tail(known, term, field)

    def _with_tail(self, known: Postings, term: str, field: int) -> Postings:
        tail = self._tail.get((term, field))
        if not tail:
            return known
        found = _counted(np.array(tail, np.int32))
        return Postings(
            np.concatenate([known.positions, found.positions]), np.concatenate([known.counts, found.counts])
        )

    def _read_postings(self, term: str, field: int, first_block: int = 0, last_block: int = _NO_BLOCK) -> Postings:
        found = self._connection.execute(
            "SELECT block, places FROM postings WHERE term=? AND field=? AND block BETWEEN ? AND ?",
            (term, field, first_block, last_block),
        ).fetchall()
        if not found:
            return _NOWHERE
        blocks = np.array([block for block, _ in found], np.int64)
        lengths = np.array([len(places) // 2 for _, places in found])
        places = np.frombuffer(b"".join(places for _, places in found), "<u2")
        known: Ints = self.column("seq")  # type: ignore[assignment]
        if self._size and known[-1] - known[0] == self._size - 1:  # nothing is missing between
            at = np.repeat(((blocks << BLOCK_BITS) - known[0]).astype(np.int32), lengths)
            at += places
            return _counted(at)
        seqs = places + np.repeat(blocks << BLOCK_BITS, lengths)
        # Block by block, because a search in one stays in the processor's cache.
        at = np.empty(len(seqs), np.int32)
        ends = np.cumsum(lengths)
        for block, begin, end in zip(blocks, ends - lengths, ends, strict=True):
            low, high = np.searchsorted(known, (block << BLOCK_BITS, (block << BLOCK_BITS) + BLOCK))
            at[begin:end] = low + np.searchsorted(known[low:high], seqs[begin:end])
        return _counted(at)


def link(order: Ints, previous: Ints, following: Ints) -> None:
    """Write who stands before and after whom in this order."""
    following[order[:-1]] = order[1:]
    previous[order[1:]] = order[:-1]
    if len(order):
        following[order[-1]] = -1


def _counted(places: Ints) -> Postings:
    """Ascending places, repeated where a term is, as places and counts."""
    first = np.ones(len(places), np.bool_)
    np.not_equal(places[1:], places[:-1], out=first[1:])
    begins = np.flatnonzero(first)
    if len(begins) == len(places):
        return Postings(places, np.ones(len(places), np.float32))
    counts = np.diff(np.append(begins, len(places))).astype(np.float32)
    return Postings(places[begins], counts)
