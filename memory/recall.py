"""Recall: what fits a query among what a View can see.

Time and View come first: they make the set in which everything else is counted, so a match inside a window
cannot be pushed out by better ones outside, and no score knows of anything the question could not.

Words are scored by BM25 (Robertson and Zaragoza, 2009) over keys enriched by neighbours (`memory.enrich`;
LongMemEval's "enrich the key, keep the value"; on LoCoMo worth ten points of recall@10). On top comes a share
of the score of the event it lies in (HCAM's chunk first, detail inside), and of the likeness of vectors where
the query has one of the same space.
"""

# ruff: noqa: S608 - only names of columns and question marks are put into statements
from __future__ import annotations

import math
import sqlite3
import time

import numpy as np
from msgspec import Struct

from memory.enrich import Neighbourhood, add_up
from memory.index import CODES, LANE_OF_CODE, Bools, Floats, Index, Ints
from memory.keys import MIN_FUZZY_LENGTH, QueryTerm, dates_asked, day_terms, local_days, query_terms
from memory.reader import snapshot
from memory.records import OBSERVATION_COLUMNS, OBSERVATION_JOIN, observation_of
from memory.views import limits_by_number
from memory.words import terms, word_terms
from runtime.messages import PERCEIVED_CHANNELS, Hit, Observation, RecallReply, RecallRequest

# Chosen on LoCoMo, where they lie on a plateau.
K1 = 1.2
B = 0.5
# A near spelling may be another word, so it counts for less than a match.
NEAR_WEIGHT = 0.6
NEAR_TERMS = 3
# The day it was and the name of the source belong to the key of everything in it.
CONTEXT_WEIGHT = 0.5
RECALL_LIMIT = 1000
# How far beyond a window its events and conversations may reach.
REACH_S = 128.0
# So many of the best are put in order; the rest cannot reach the list.
CHOICE_LIMIT = 5000
_SHORTEST_PART = 3


class RecallOptions(Struct, frozen=True):
    """See the `memory` section of a profile."""

    parent_weight: float = 0.2
    vector_weight: float = 0.5
    neighbour_window_s: float = 12.0


class _Match(Struct):
    """One query term among the visible: positions holding it, how often, and how surely it is that term.
    ``speaker``: positions spoken by whom it names; ``context``: those whose day or source it names."""

    positions: Ints
    counts: Floats
    speaker: Ints
    context: Ints
    idf: float
    sure: float


class Recall:
    """Answers recall requests over one read connection; used by one thread."""

    def __init__(self, connection: sqlite3.Connection, options: RecallOptions) -> None:
        self.options = options
        self._connection = connection
        self._index = Index(connection)

    def recall(self, request: RecallRequest) -> RecallReply:
        """The best hits, best first; equals in order of time."""
        began_s = time.perf_counter()
        with snapshot(self._connection):
            self._index.refresh()
            hits = _Query(self._connection, self._index, self.options, request).hits()
        return RecallReply(hits=tuple(hits), took_s=round(time.perf_counter() - began_s, 6))


class _Query:
    """One request against one state of the index."""

    def __init__(
        self, connection: sqlite3.Connection, index: Index, options: RecallOptions, request: RecallRequest
    ) -> None:
        self._connection = connection
        self._index = index
        self._options = options
        self._request = request
        self._t0_s: Floats = index.column("t0_s")  # type: ignore[assignment]
        self._t1_s: Floats = index.column("t1_s")  # type: ignore[assignment]
        self._source: Ints = index.column("source")  # type: ignore[assignment]
        self._channel: Ints = index.column("channel")  # type: ignore[assignment]
        self._length: Floats = index.column("terms").astype(np.float64)
        self._lane: Ints = LANE_OF_CODE[self._channel]
        self._limits = limits_by_number(connection, request.view)
        self._visible = self._see()
        self._wanted = self._visible & self._want()
        self._scope = self._around_window()

    def hits(self) -> list[Hit]:
        limit = max(0, min(self._request.limit, RECALL_LIMIT))
        if not limit or not self._wanted.any():
            return []
        matches = self._match(query_terms(self._request.query))
        leaf, own, near = self._score_words(matches)
        parent = self._score_events(matches, leaf)
        vector = self._score_vectors()
        best = sum(match.idf for match in matches) * (K1 + 1.0) or 1.0
        weight = self._options.parent_weight
        words = (leaf + weight * parent) / (best * (1.0 + weight))
        score = words
        if self._request.vector is not None:
            score = (words + self._options.vector_weight * vector) / (1.0 + self._options.vector_weight)
        chosen = self._choose(np.where(self._wanted, score, 0.0), limit)
        why = [
            {
                "bm25": round(float(leaf[p] / best), 4),
                "coverage": round(float(own[p]), 4),
                "coverage_neighbours": round(float(max(near[p], own[p])), 4),
                "exact": round(self._exact(matches, p), 4),
                "parent": round(float(parent[p] / best), 4),
                "vector": round(float(vector[p]), 4),
            }
            for p in chosen
        ]
        observations = self._observations(chosen)
        return [
            Hit(observation=o, score=round(float(score[p]), 6), why=w)
            for o, p, w in zip(observations, chosen, why, strict=True)
        ]

    # --- time and View first -----------------------------------------------------------------------

    def _see(self) -> Bools:
        limits = np.full(max([0, *self._limits, int(self._source.max(initial=0))]) + 1, -1.0)
        for source, limit_s in self._limits.items():
            limits[source] = limit_s
        generation: Ints = self._index.column("generation")  # type: ignore[assignment]
        return (self._t1_s <= limits[self._source]) & (generation <= self._request.view.generation)

    def _want(self) -> Bools:
        request = self._request
        codes = [CODES[channel] for channel in request.channels or PERCEIVED_CHANNELS]
        wanted = np.isin(self._channel, codes)
        if request.source:
            numbers = limits_by_number(self._connection, request.view, request.source)
            wanted &= np.isin(self._source, list(numbers))
        if request.t0_s is not None:
            wanted &= self._t1_s >= request.t0_s
        if request.t1_s is not None:
            wanted &= self._t0_s <= request.t1_s
        return wanted

    def _around_window(self) -> Bools | None:
        """What can bear on the score of anything in the window: it, and all that an event or a neighbourhood
        reaches. None if there is no window."""
        request = self._request
        if request.t0_s is None and request.t1_s is None:
            return None
        reach_s = REACH_S + self._options.neighbour_window_s
        begin_s = -math.inf if request.t0_s is None else request.t0_s - reach_s
        end_s = math.inf if request.t1_s is None else request.t1_s + reach_s
        return (self._t1_s >= begin_s) & (self._t0_s <= end_s)

    # --- words -------------------------------------------------------------------------------------

    def _match(self, asked: list[QueryTerm]) -> list[_Match]:
        """Each term among the visible; one that occurs nowhere, by its near spellings."""
        total = int(self._visible.sum())
        matches = []
        contexts = self._contexts([query_term.term for query_term in asked])
        for query_term, context in zip(asked, contexts, strict=True):
            parts = [self._find(term) for term in (query_term.term, *query_term.joined)]
            at, counts = add_up([*parts, self._find_in_two(query_term.word)])
            speaker = self._find_speaker(query_term.term)
            met, sure = _count(at, speaker, context), 1.0
            if not met:
                # A near spelling is no more common than the word it stands for, which was never met.
                near = [(self._find(term), likeness) for term, likeness in self._index.near_terms(query_term.term)]
                near = [(found, likeness) for found, likeness in near if len(found[0])][:NEAR_TERMS]
                if near:
                    sure = NEAR_WEIGHT * near[0][1]
                    at, counts = add_up([(p, n * NEAR_WEIGHT * likeness) for (p, n), likeness in near])
            if self._scope is not None:
                inside = self._scope[at]
                at, counts, speaker = at[inside], counts[inside], speaker[self._scope[speaker]]
            matches.append(_Match(at, counts, speaker, context, math.log1p((total - met + 0.5) / (met + 0.5)), sure))
        return matches

    def _contexts(self, asked: list[str]) -> list[Ints]:
        """For each term, the visible observations whose source it names, or whose day."""
        found: list[list[Ints]] = [[] for _ in asked]
        for source, name, started_wall_s in self._connection.execute(
            "SELECT source, name, started_wall_s FROM sources"
        ):
            if source not in self._limits:
                continue
            named = [term in terms(name) for term in asked]
            dated = dates_asked(asked) if started_wall_s else frozenset()
            if not (any(named) or dated):
                continue
            mine = np.flatnonzero(self._visible & (self._source == source))
            days = local_days(started_wall_s, self._t0_s[mine])
            for i, term in enumerate(asked):
                if named[i]:
                    found[i].append(mine)
                elif term in dated:
                    found[i] += [mine[days == day] for day in np.unique(days) if term in day_terms(int(day))]
        return [np.unique(np.concatenate(some)) if some else np.zeros(0, np.int64) for some in found]

    def _find(self, term: str) -> tuple[Ints, Floats]:
        found = self._index.postings(term)
        seen = self._visible[found.positions]
        return found.positions[seen], found.counts[seen]

    def _find_speaker(self, term: str) -> Ints:
        found = self._index.postings(term, "speaker").positions
        return found[self._visible[found]]

    def _find_in_two(self, word: str) -> tuple[Ints, Floats]:
        """Observations that write the word as two ("cleanroom" as "clean room")."""
        parts: list[tuple[Ints, Floats]] = []
        if word.isalpha():
            for i in range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1):
                pair = word_terms(word[:i])[0], word_terms(word[i:])[0]
                if all(len(part) < MIN_FUZZY_LENGTH or self._index.knows(part) for part in pair):
                    at = self._index.phrase(*pair)
                    at = at[self._visible[at]]
                    parts.append((at, np.ones(len(at))))
        return add_up(parts)

    def _score_words(self, matches: list[_Match]) -> tuple[Floats, Floats, Floats]:
        """(BM25 of the enriched key, idf share of the terms in the own text, the same with neighbours)."""
        n = len(self._index)
        leaf, own, near = np.zeros(n), np.zeros(n), np.zeros(n)
        around = Neighbourhood(self._index, self._visible, self._limits, self._options.neighbour_window_s)
        has_own = np.zeros(n, np.bool_)
        for match in matches:
            has_own[match.positions] = True
            has_own[match.speaker] = True
        total = sum(match.idf for match in matches) or 1.0
        for match in matches:
            own[np.union1d(match.positions, match.speaker)] += match.idf * match.sure / total
            spread = around.spread(match.positions, match.counts)
            # Pictures change little and say much the same: without a match of its own, none is raised.
            lacks = has_own.copy()
            lacks[spread[0]] = False
            lacking = np.flatnonzero(lacks)
            beside, lent = around.beside(lacking, match.positions)
            context = match.context[has_own[match.context]]
            parts = [
                spread,
                (match.speaker, np.ones(len(match.speaker))),
                (beside, match.sure * lent),
                (context, np.full(len(context), CONTEXT_WEIGHT)),
            ]
            at, counts = add_up(parts)
            leaf[at] += match.idf * saturate(counts, around.lengths(at))
            near[at] += match.idf * match.sure / total
        return leaf, own, near

    # --- events and vectors ------------------------------------------------------------------------

    def _score_events(self, matches: list[_Match], leaf: Floats) -> Floats:
        """For each observation with a score, that of the event it lies in, from its visible members."""
        parent = np.zeros(len(leaf))
        scored = np.flatnonzero(leaf)
        if not len(scored) or not self._options.parent_weight:
            return parent
        event = np.full(len(leaf), -1, np.int64)
        begin = 0
        instant = np.where(self._lane == 0, self._t1_s, self._t0_s)
        instant = np.where(np.isin(self._channel, (CODES["sound"], CODES["gap"])), self._t1_s, instant)
        is_touched = leaf > 0
        for match in matches:
            is_touched[match.positions] = True
        touched = np.flatnonzero(is_touched)
        for source in np.unique(self._source[touched]):
            mine = touched[self._source[touched] == source]
            ends = self._index.event_ends(int(source))
            event[mine] = begin + np.searchsorted(ends, instant[mine], side="right")
            begin += len(ends) + 1
        scores = np.zeros(begin)
        for match in matches:
            counts = np.bincount(event[match.positions], match.counts, minlength=begin).astype(np.float64)
            scores += match.idf * saturate(counts, np.ones(begin))
        parent[scored] = scores[event[scored]]
        return parent

    def _score_vectors(self) -> Floats:
        """Cosine with the query's vector, 0 where there is none of its space; exact, over what is wanted."""
        cosine = np.zeros(len(self._index))
        if self._request.vector is None:
            return cosine
        query = np.frombuffer(self._request.vector, np.float16).astype(np.float32)
        seqs: Ints = self._index.column("seq")  # type: ignore[assignment]
        rows = self._connection.execute("SELECT seq, vector FROM vectors WHERE space=?", (self._request.vector_space,))
        while some := rows.fetchmany(4096):
            at = np.searchsorted(seqs, [seq for seq, _ in some])
            keep = [i for i, p in enumerate(at) if self._wanted[p] and len(some[i][1]) == 2 * len(query)]
            if keep:
                matrix = np.frombuffer(b"".join(some[i][1] for i in keep), np.float16).reshape(len(keep), -1)
                cosine[at[keep]] = matrix.astype(np.float32) @ query
        return np.maximum(cosine, 0.0)

    # --- the choice --------------------------------------------------------------------------------

    def _choose(self, score: Floats, limit: int) -> list[int]:
        """Best positions first. What looks the same as a better hit of its event comes after all others, so
        that a picture that stood for a minute does not fill the list."""
        found = np.flatnonzero(score > 0)
        if len(found) > CHOICE_LIMIT:
            found = found[score[found] >= np.partition(score[found], -CHOICE_LIMIT)[-CHOICE_LIMIT]]
        order = found[
            np.lexsort((self._channel[found], self._t0_s[found], self._source[found], -score[found].round(9)))
        ]
        same = np.empty(len(order), [("source", np.int64), ("channel", np.int64), ("score", np.float64)])
        same["source"], same["channel"], same["score"] = (
            self._source[order],
            self._channel[order],
            score[order].round(9),
        )
        is_first = np.zeros(len(order), np.bool_)
        is_first[np.unique(same, return_index=True)[1]] = True
        is_first |= self._lane[order] != 2
        return [int(p) for p in np.concatenate([order[is_first], order[~is_first]])[:limit]]

    def _exact(self, matches: list[_Match], position: int) -> float:
        """Coverage by words as asked, near spellings left out."""
        total = sum(match.idf for match in matches) or 1.0
        found = sum(
            m.idf for m in matches if m.sure == 1.0 and (_holds(m.positions, position) or _holds(m.speaker, position))
        )
        return found / total

    def _observations(self, positions: list[int]) -> list[Observation]:
        seqs = [int(seq) for seq in self._index.column("seq")[positions]]
        marks = ",".join("?" * len(seqs))
        rows = self._connection.execute(
            f"SELECT {OBSERVATION_COLUMNS}, o.seq FROM {OBSERVATION_JOIN} WHERE o.seq IN ({marks})", seqs
        )
        by_seq = {row[11]: observation_of(row) for row in rows}
        return [by_seq[seq] for seq in seqs]


def saturate(counts: Floats, lengths: Floats) -> Floats:
    """BM25's gain of a term that occurs ``counts`` times in keys of ``lengths`` times the mean length."""
    return counts * (K1 + 1.0) / (counts + K1 * (1.0 - B + B * lengths))


def _count(first: Ints, *others: Ints) -> int:
    """How many different positions there are."""
    if not any(len(other) for other in others):
        return len(first)
    return len(np.unique(np.concatenate([first, *others])))


def _holds(positions: Ints, position: int) -> bool:
    at = int(np.searchsorted(positions, position))
    return at < len(positions) and int(positions[at]) == position
