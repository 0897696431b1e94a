"""Which observations each word of a query fits: as written, written as one or as two, misspelt, as the name of who
speaks, as the day it was or the name of the source."""

# ruff: noqa: S608 - only question marks are put into statements
from __future__ import annotations

import math
import sqlite3

import numpy as np
from msgspec import Struct

from memory.arrays import Floats, Ints, find
from memory.blocks import OWN, SPEAKER
from memory.index import Index
from memory.keys import MIN_FUZZY_LENGTH, QueryTerm, dates_asked, day_span, day_terms, local_days
from memory.visible import Visible
from memory.vocabulary import knows, near_terms
from memory.words import terms, word_terms

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
    """Looks up the terms of one query. ``scope``: positions, ascending; all others are left out. None for no limit."""

    def __init__(self, connection: sqlite3.Connection, index: Index, visible: Visible, scope: Ints | None) -> None:
        self._connection = connection
        self._index = index
        self._visible = visible
        self._scope = scope

    def match(self, asked: list[QueryTerm]) -> list[Match]:
        """Each term among the visible; one that occurs nowhere, by its near spellings."""
        matches = []
        contexts = self._contexts([query_term.term for query_term in asked])
        for query_term, context in zip(asked, contexts, strict=True):
            parts = [self._find(term) for term in (query_term.term, *query_term.joined)]
            at, counts = add_up([*parts, self._find_in_two(query_term.word)])
            speaker = self._find(query_term.term, SPEAKER)[0]
            met, sure = union_size(at, speaker, context), 1.0
            if not met:
                # A near spelling is no more common than the word it stands for, which was never met.
                near = [(self._find(t), likeness) for t, likeness in near_terms(self._connection, query_term.term)]
                near = [(found, likeness) for found, likeness in near if len(found[0])][:NEAR_TERMS]
                if near:
                    sure = NEAR_WEIGHT * near[0][1]
                    at, counts = add_up([(p, n * NEAR_WEIGHT * likeness) for (p, n), likeness in near])
            if self._scope is not None:
                inside = find(at, self._scope)[0]
                at, counts = at[inside], counts[inside]
                speaker, context = (some[find(some, self._scope)[0]] for some in (speaker, context))
            idf = math.log1p((self._visible.size - met + 0.5) / (met + 0.5))
            matches.append(Match(at, counts, speaker, context, idf, sure))
        return matches

    def _find(self, term: str, field: int = OWN) -> Found:
        found = self._index.postings(term, field)
        seen = self._visible.among(found.positions)
        return found.positions[seen], found.counts[seen]

    def _find_in_two(self, word: str) -> Found:
        """Observations that write the word as two ("cleanroom" as "clean room")."""
        parts: list[Found] = []
        if word.isalpha():
            for i in range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1):
                pair = word[:i], word[i:]
                if all(len(t) < MIN_FUZZY_LENGTH or knows(self._connection, t) for t in map(_term, pair)):
                    at = self._phrase(*pair)
                    parts.append((at, np.ones(len(at))))
        return add_up(parts)

    def _phrase(self, *pair: str) -> Ints:
        """Positions of the observations in whose text one word directly follows another, inside the scope if there is
        one; where many hold both, among the newest, since the words are as common then as not to tell much."""
        first, second = map(_term, pair)
        before = self._inside(first)
        if not len(before):
            return before
        both = before[find(self._inside(second), before)[1]][-_TEXTS_READ:]
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

    def _inside(self, term: str) -> Ints:
        """The visible positions that hold a term, those outside the scope left out."""
        scope = self._scope
        if scope is None:
            return self._find(term)[0]
        if not len(scope):
            return scope
        found = self._index.postings_between(term, scope[0], scope[-1]).positions
        found = found[find(found, scope)[0]]
        return found[self._visible.among(found)]

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
    first, last = local_days(started_wall_s, t0_s[[0, -1]]).tolist()
    stretches = []
    for day in range(first, last + 1):
        if term in day_terms(day):
            begin, end = np.searchsorted(t0_s, day_span(started_wall_s, day), side="left").tolist()
            if begin < end:
                stretches.append(slice(begin, end))
    return stretches


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
            held, asked = (part, some) if len(some) <= len(part) else (some, part)
            at_held, at_asked = find(held, asked)
            is_new[at_asked if held is part else at_held] = False
        size += int(np.count_nonzero(is_new))
        known.append(some)
    return size
