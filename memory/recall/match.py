"""Which observations each word of a query fits: as written, written as one or as two, misspelt, as the name of who
speaks, as the day it was or the name of the source."""

# ruff: noqa: S608 - only question marks are put into statements
from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Mapping
from itertools import islice
from types import MappingProxyType

import numpy as np
from msgspec import Struct

from memory.index.analysis import MAX_TERM_LENGTH, terms, word_terms
from memory.index.arrays import Floats, Ints, find
from memory.index.blocks import OWN, SPEAKER
from memory.index.keys import QueryTerm, dates_asked, day_of, day_span, day_terms
from memory.index.postings import Index, Postings
from memory.index.visible import Visible
from memory.index.vocabulary import near_terms, term_counts

# A near spelling may be another word, so it counts for less than a match.
NEAR_WEIGHT = 0.6
NEAR_TERMS = 3
_SHORTEST_PART = 3
_TEXTS_READ = 500

Found = tuple[Ints, Floats]


class Match(Struct):
    """One query term among the visible: positions holding it, ascending, how often, and how surely it is that term.

    ``speaker``: positions spoken by whom it names; ``context``: those whose day or source it names. ``idf`` is
    counted among all that is visible, also where the positions are only those near a window.
    """

    positions: Ints
    counts: Floats
    speaker: Ints
    context: Ints
    idf: float
    sure: float


class Matcher:
    """Looks up the terms of one query. ``scope``: positions, ascending, one at least; all others are left out. None
    for no limit. ``elsewhere``: as in `RecallRequest`, whose sizes ``visible`` counts in."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        index: Index,
        visible: Visible,
        scope: Ints | None,
        elsewhere: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._connection = connection
        self._index = index
        self._visible = visible
        self._scope = scope
        self._held: dict[str, int] = {}
        self._elsewhere = elsewhere
        # Term -> how many of the visible fit it.
        self.counted: dict[str, int] = {}

    def match(self, asked: list[QueryTerm]) -> list[Match]:
        """Each term among the visible; one that occurs nowhere, by its near spellings."""
        matches = []
        self._held = term_counts(self._connection, {term for query_term in asked for term in _terms_of(query_term)})
        contexts = self._contexts([query_term.term for query_term in asked])
        for query_term, context in zip(asked, contexts, strict=True):
            own, *joined = [self._find(term) for term in (query_term.term, *query_term.joined)]
            at, counts = add_up([own, *joined, self._find_in_two(query_term.word)])
            speaker = self._find(query_term.term, SPEAKER)[0]
            if self._scope is None:
                met = union_size(at, speaker, context)
            else:
                met = self._met_anywhere(query_term, own[0], at, speaker, context)
                context = context[find(context, self._scope)[0]]
            sure = 1.0
            if not met:
                # A near spelling is no more common than the word it stands for, which was never met.
                found = ((self._anywhere(t), likeness) for t, likeness in near_terms(self._connection, query_term.term))
                near = list(islice(((some, likeness) for some, likeness in found if len(some[0])), NEAR_TERMS))
                if near:
                    sure = NEAR_WEIGHT * near[0][1]
                    at, counts = add_up([(p, n * NEAR_WEIGHT * likeness) for (p, n), likeness in near])
                    if self._scope is not None:
                        inside = find(at, self._scope)[0]
                        at, counts = at[inside], counts[inside]
            self.counted[query_term.term] = met
            everywhere = met + self._elsewhere.get(query_term.term, 0)
            idf = math.log1p(max(0.0, self._visible.size - everywhere + 0.5) / (everywhere + 0.5))
            matches.append(Match(at, counts, speaker, context, idf, sure))
        return matches

    def _met_anywhere(self, asked: QueryTerm, own: Ints, at: Ints, speaker: Ints, context: Ints) -> int:
        """How many of all that is visible a term fits, given what it fits inside the scope: ``own`` as it is written,
        ``at`` in any way, ``speaker``; and anywhere: ``context``."""
        if len(context) or not self._held.keys().isdisjoint(asked.joined):
            held = [self._anywhere(term)[0] for term in (asked.term, *asked.joined)]
            return union_size(*held, at, self._anywhere(asked.term, SPEAKER)[0], context)
        # A common term is not read where it lies outside; what is written as two is looked for inside only.
        return self._times_held(asked.term) + union_size(at, speaker) - union_size(own, speaker)

    def _times_held(self, term: str) -> int:
        """How many of all that is visible hold a term, in the text or in the name of who speaks."""
        held, hidden = self._held.get(term, 0), self._visible.hidden
        if held and len(hidden):
            held -= union_size(*(self._among(hidden, term, field).positions for field in (OWN, SPEAKER)))
        return held

    def _anywhere(self, term: str, field: int = OWN) -> Found:
        return self._seen_of(self._index.postings(term, field))

    def _find(self, term: str, field: int = OWN) -> Found:
        """What of the visible holds a term of the query, and how often; inside the scope if there is one."""
        if term not in self._held:
            return np.zeros(0, np.int32), np.zeros(0)
        if self._scope is None:
            return self._anywhere(term, field)
        return self._seen_of(self._among(self._scope, term, field))

    def _among(self, places: Ints, term: str, field: int) -> Postings:
        found = self._index.postings_between(term, field, places[0], places[-1])
        inside = find(found.positions, places)[0]
        return Postings(found.positions[inside], found.counts[inside])

    def _seen_of(self, postings: Postings) -> Found:
        seen = self._visible.among(postings.positions)
        return postings.positions[seen], postings.counts[seen]

    def _find_in_two(self, word: str) -> Found:
        """Observations that write the word as two ("cleanroom" as "clean room")."""
        held = [pair for pair in _pairs(word) if all(_term(part) in self._held for part in pair)]
        found = [self._phrase(*pair) for pair in held]
        return add_up([(at, np.ones(len(at))) for at in found])

    def _phrase(self, *pair: str) -> Ints:
        """Positions of the observations in whose text one word directly follows another, inside the scope if there is
        one; where many hold both, among the newest, since the words are as common then as not to tell much."""
        first, second = map(_term, pair)
        before = self._find(first)[0]
        both = before[find(self._find(second)[0], before)[1]][-_TEXTS_READ:]
        if not len(both):
            return both
        seqs = self._index.column("seq")[both].tolist()
        # The first as it is and the begin of the second, one character between: so few texts are taken apart.
        begin = second if pair[1].startswith(second) else pair[1]
        rows = self._connection.execute(
            f"SELECT seq, text FROM observations WHERE seq IN ({','.join('?' * len(seqs))}) AND text LIKE ?",
            (*seqs, f"%{pair[0]}_{begin}%"),
        )
        found = []
        for seq, text in rows:
            spoken = terms(text)
            if any(spoken[j : j + 2] == [first, second] for j in range(len(spoken) - 1)):
                found.append(seq)
        return both[np.isin(seqs, found)]

    def _contexts(self, asked: list[str]) -> list[Ints]:
        """For each term, the visible observations whose source it names, or whose day."""
        found: list[list[Ints]] = [[] for _ in asked]
        dates = dates_asked(asked)
        for source, name, started_wall_s in self._connection.execute(
            "SELECT source, name, started_wall_s FROM sources"
        ):
            named_by = set(terms(name)) & set(asked)
            dated_by = dates - named_by if started_wall_s else frozenset()
            if source not in self._visible.limits or not (named_by or dated_by):
                continue
            order, t0_s = self._index.in_order(source)
            for i, term in enumerate(asked):
                if term in named_by:
                    found[i].append(self._seen(order))
                elif term in dated_by:
                    found[i] += [self._seen(order[some]) for some in _days_named(term, started_wall_s, t0_s)]
        return [np.unique(np.concatenate(some)) if some else np.zeros(0, np.int64) for some in found]

    def _seen(self, positions: Ints) -> Ints:
        return positions[self._visible.among(positions)]


def _days_named(term: str, started_wall_s: float, t0_s: Floats) -> list[slice]:
    """The stretches of a source, given its times in order, that lie on days this term names."""
    if not len(t0_s):
        return []
    first, last = (day_of(started_wall_s + t_s) for t_s in (float(t0_s[0]), float(t0_s[-1])))
    stretches = []
    for day in range(first, last + 1):
        if term in day_terms(day):
            bounds = [wall_s - started_wall_s for wall_s in day_span(day)]
            begin, end = np.searchsorted(t0_s, bounds, side="left").tolist()
            if begin < end:
                stretches.append(slice(begin, end))
    return stretches


def _pairs(word: str) -> Iterator[tuple[str, str]]:
    """The ways to write a word as two."""
    if word.isalpha() and len(word) <= MAX_TERM_LENGTH:
        for i in range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1):
            yield word[:i], word[i:]


def _terms_of(asked: QueryTerm) -> set[str]:
    """All the terms that are looked for."""
    return {asked.term, *asked.joined, *(_term(part) for pair in _pairs(asked.word) for part in pair)}


def _term(word: str) -> str:
    return word_terms(word)[0]


def add_up(parts: list[Found]) -> Found:
    """Sum of counts by position, positions ascending."""
    parts = [part for part in parts if len(part[0])]
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0)
    if len(parts) == 1:
        return parts[0]
    at, counts = np.concatenate([p for p, _ in parts]), np.concatenate([n for _, n in parts])
    found, inverse = np.unique(at, return_inverse=True)
    return found.astype(np.int64), np.bincount(inverse, counts, minlength=len(found)).astype(np.float64)


def union_size(first: Ints, *others: Ints) -> int:
    """How many different positions there are, each given in ascending order."""
    size, known = len(first), [first] if len(first) else []
    for some in others:
        if not len(some):
            continue
        is_new = np.ones(len(some), np.bool_)
        for part in known:
            is_new[find(part, some)[1]] = False
        size += int(np.count_nonzero(is_new))
        known.append(some)
    return size
