"""Recall: what fits a query among what a View can see.

Time and View come first: they make the set in which everything else is counted, so a match inside a window
cannot be pushed out by better ones outside, and no score knows of anything the question could not.

Words are scored by BM25 (Robertson and Zaragoza, 2009) over keys enriched by neighbours (`memory.enrich`;
LongMemEval's "enrich the key, keep the value"; on LoCoMo worth ten points of recall@10). On top comes a share
of the score of the event it lies in (HCAM's chunk first, detail inside), and of the likeness of vectors where
the query has one of the same space.

Only candidates are scored. Terms name them rarest first until there are `CANDIDATES`; commoner terms then count for
those there are but bring no more (Moffat and Zobel 1996, "continue"). In a memory of some ten thousand observations
every match is a candidate.
"""

# ruff: noqa: S608 - only names of columns and question marks are put into statements
from __future__ import annotations

import math
import sqlite3
import time

import numpy as np
from msgspec import Struct

from memory.arrays import Bools, Floats, Ints, find
from memory.blocks import CODES, LANE_OF_CODE
from memory.enrich import Neighbourhood, neighbour_weights
from memory.index import Index
from memory.keys import query_terms
from memory.matches import Match, Matcher
from memory.reader import snapshot
from memory.records import OBSERVATION_COLUMNS, OBSERVATION_JOIN, observation_of
from memory.vector_index import VectorIndex
from memory.views import limits_by_number
from memory.visible import see
from runtime.config import MemoryConfig
from runtime.messages import PERCEIVED_CHANNELS, Hit, Observation, RecallReply, RecallRequest
from runtime.trust import LOW_TRUST

# Chosen on five conversations of LoCoMo by the rule of `benchmarks/locomo_choice.py` (decision 13).
K1 = 1.2
B = 0.3
# The day it was and the name of the source belong to the key of everything in it.
CONTEXT_WEIGHT = 1.0
RECALL_LIMIT = 1000
# How far beyond a window its events and conversations may reach.
REACH_S = 128.0
CANDIDATES = 10_000
# What a term makes a candidate only by standing beside it is worth looking at while the term is rare.
CANDIDATES_BESIDE = 1500
# So many are compared by their vectors, whether they were found by words or by vectors: in one byte a dimension, which
# tells a cosine to about 0.002. The best of all, at least so many, are put in order by the vectors themselves.
VECTOR_HITS = 256
EXACT_HITS = 64
_VECTORS_AT_ONCE = 500
# So many of the best are put in order; the rest cannot reach the list.
CHOICE_LIMIT = 5000
# What is trusted less than `LOW_TRUST` has this share of a list. Whether a claim is corroborated is judged where it is
# made, on the evidence that got in.
LOW_TRUST_SHARE = 0.25


class RecallOptions(Struct, frozen=True):
    """See the `memory` section of a profile."""

    parent_weight: float = 0.2
    vector_weight: float = 0.5
    neighbour_window_s: float = 12.0

    @classmethod
    def of(cls, config: MemoryConfig) -> RecallOptions:
        """Those of a profile."""
        return cls(**{name: getattr(config, name) for name in cls.__struct_fields__})


class Recall:
    """Answers recall requests over one read connection; used by one thread."""

    def __init__(self, connection: sqlite3.Connection, options: RecallOptions) -> None:
        self.options = options
        self._connection = connection
        self._index = Index(connection)
        self._vectors: dict[str, VectorIndex] = {}

    def warm(self) -> None:
        """Read what a first question would otherwise wait for."""
        with snapshot(self._connection):
            self._index.refresh()
            for (space,) in self._connection.execute("SELECT DISTINCT space FROM vector_segments").fetchall():
                self._space(space)

    def _space(self, space: str) -> VectorIndex:
        vectors = self._vectors.setdefault(space, VectorIndex(self._connection, space))
        vectors.refresh()
        return vectors

    def recall(self, request: RecallRequest) -> RecallReply:
        """The best hits, best first; equals in order of time."""
        began_s = time.perf_counter()
        with snapshot(self._connection):
            self._index.refresh()
            vectors = None
            if request.vector is not None:
                vectors = self._space(request.vector_space)
                if 2 * vectors.dimensions != len(request.vector):
                    vectors = None
            hits = _Query(self._connection, self._index, vectors, self.options, request).hits()
        return RecallReply(hits=tuple(hits), took_s=round(time.perf_counter() - began_s, 6))


class _Scores(Struct):
    """By candidate. ``own`` and ``near``: idf share of the query's terms in the own text, and with neighbours';
    ``exact``: in the own text as asked, near spellings left out."""

    leaf: Floats
    own: Floats
    near: Floats
    exact: Floats
    parent: Floats
    vector: Floats


class _Query:
    """One request against one state of the index."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        index: Index,
        vectors: VectorIndex | None,
        options: RecallOptions,
        request: RecallRequest,
    ) -> None:
        self._connection = connection
        self._index = index
        self._vectors = vectors
        self._options = options
        self._request = request
        self._t0_s: Floats = index.column("t0_s")  # type: ignore[assignment]
        self._t1_s: Floats = index.column("t1_s")  # type: ignore[assignment]
        self._source: Ints = index.column("source")  # type: ignore[assignment]
        self._channel: Ints = index.column("channel")  # type: ignore[assignment]
        self._visible = see(connection, index, request.view)
        self._sources = limits_by_number(connection, request.view, request.source)
        self._wanted_codes = np.zeros(len(CODES), np.bool_)
        self._wanted_codes[[CODES[channel] for channel in request.channels or PERCEIVED_CHANNELS]] = True
        self._window = _window(request)
        self._scope = self._around_window()

    def hits(self) -> list[Hit]:
        limit = max(0, min(self._request.limit, RECALL_LIMIT))
        if not limit or not len(self._index):
            return []
        matcher = Matcher(self._connection, self._index, self._visible, self._scope)
        matches = matcher.match(query_terms(self._request.query))
        vector_at, cosine = self._nearest_vectors(limit)
        candidates = self._gather(matches, vector_at)
        if not len(candidates):
            return []
        scores = self._score_words(matches, candidates)
        self._score_events(matches, candidates, scores)
        self._score_vectors(candidates, scores, vector_at, cosine)
        best = sum(match.idf for match in matches) * (K1 + 1.0) or 1.0
        score = self._fuse(scores, best)
        if self._vectors is not None and scores.vector.any():
            self._refine(candidates, scores, score, 3 * limit)
            score = self._fuse(scores, best)
        chosen = self._choose(candidates, score, self._is_doubtful(candidates, scores), limit)
        observations = self._observations(candidates[chosen])
        trust = self._index.event_trust(candidates[chosen], self._visible.limits)
        return [
            Hit(
                observation=observation,
                score=round(float(score[i]), 6),
                why={
                    "bm25": round(float(scores.leaf[i] / best), 4),
                    "coverage": round(float(scores.own[i]), 4),
                    "coverage_neighbours": round(float(max(scores.near[i], scores.own[i])), 4),
                    "exact": round(float(scores.exact[i]), 4),
                    "parent": round(float(scores.parent[i] / best), 4),
                    "vector": round(float(scores.vector[i]), 4),
                    "trust": observation.trust,
                    "event_trust": round(float(of_event), 4),
                },
            )
            for i, observation, of_event in zip(chosen, observations, trust, strict=True)
        ]

    def _fuse(self, scores: _Scores, best: float) -> Floats:
        options = self._options
        words = (scores.leaf + options.parent_weight * scores.parent) / (best * (1.0 + options.parent_weight))
        # Where nothing lies in the question's space, a score must mean what it means without vectors.
        if self._request.vector is None or not scores.vector.any():
            return words
        fused: Floats = (words + options.vector_weight * scores.vector) / (1.0 + options.vector_weight)
        return fused

    # --- time and View first -----------------------------------------------------------------------

    def _want(self, positions: Ints) -> Ints:
        """Those of these visible positions that the request asks for."""
        return positions[self._is_wanted(positions)]

    def _is_wanted(self, positions: Ints) -> Bools:
        request = self._request
        wanted: Bools = self._wanted_codes[self._channel[positions]]
        if request.source:
            wanted &= np.isin(self._source[positions], list(self._sources))
        if self._window is not None:
            t0_s, t1_s = self._window
            wanted &= (self._t1_s[positions] >= t0_s) & (self._t0_s[positions] <= t1_s)
        return wanted

    def _around_window(self) -> Ints | None:
        """Positions, ascending, of what can bear on the score of anything in the window: it, and all that an event or
        a neighbourhood reaches. None if there is no window."""
        if self._window is None:
            return None
        reach_s = REACH_S + self._options.neighbour_window_s
        begin_s, end_s = self._window[0] - reach_s, self._window[1] + reach_s
        parts = [self._index.overlapping(source, begin_s, end_s) for source in self._sources]
        return np.sort(np.concatenate([np.zeros(0, np.int64), *parts]))

    def _gather(self, matches: list[Match], with_vector: Ints) -> Ints:
        """The candidates, ascending: what holds a term or stands beside what does, of the rarest terms first."""
        marked = np.zeros(len(self._index), np.bool_)
        marked[with_vector] = True
        for match in sorted(matches, key=lambda match: -match.idf):
            places = [self._want(some) for some in (match.positions, match.speaker)]
            if sum(map(len, places)) > CANDIDATES:
                if marked.any():
                    break
                places = [self._hold_most(np.union1d(*places), matches)]
            for some in places:
                marked[some] = True
            beside = [match.positions]
            for following in (self._visible.previous, self._visible.next):
                at = match.positions if len(match.positions) <= CANDIDATES_BESIDE else match.positions[:0]
                for _ in neighbour_weights(len(matches)):
                    at = following[at]
                    at = at[at >= 0]
                    beside.append(at)
            for some in beside[1:]:
                marked[self._want(some[self._visible.among(some)])] = True
            if np.count_nonzero(marked) > CANDIDATES:
                break
        return np.flatnonzero(marked)

    def _hold_most(self, positions: Ints, matches: list[Match]) -> Ints:
        """The `CANDIDATES` of these positions that hold the most of the query, by idf; of equals the newest."""
        held = np.zeros(len(self._index), np.float32)
        for match in matches:
            for some in (match.positions, match.speaker):
                held[some] += match.idf
        share = held[positions]
        least = np.partition(share, -CANDIDATES)[-CANDIDATES]
        equals = positions[share == least]
        more = positions[share > least]
        return np.concatenate([more, equals[len(equals) - (CANDIDATES - len(more)) :]])

    # --- words -------------------------------------------------------------------------------------

    def _score_words(self, matches: list[Match], at: Ints) -> _Scores:
        weights = neighbour_weights(len(matches))
        around = Neighbourhood(self._index, self._visible, at, self._options.neighbour_window_s, weights)
        lengths = around.lengths()
        counts = np.zeros(len(self._index), np.float32)  # of one term, by position
        own, lent, spoken = [], [], []
        has_own = np.zeros(len(at), np.bool_)
        for match in matches:
            counts[match.positions] = match.counts
            own.append(counts[at] > 0)
            lent.append(around.pull(counts))
            counts[match.positions] = 0
            counts[match.speaker] = 1
            spoken.append(counts[at] > 0)
            counts[match.speaker] = 0
            has_own |= own[-1] | spoken[-1]
        scores = _Scores(*(np.zeros(len(at)) for _ in range(6)))
        total = sum(match.idf for match in matches) or 1.0
        for match, holds, count, speaks in zip(matches, own, lent, spoken, strict=True):
            share = match.idf * match.sure / total
            held = holds | speaks
            scores.own += share * held
            scores.exact += share * held * (match.sure == 1.0)
            # Pictures change little and say much the same: without a match of its own, none is raised.
            lacking = np.flatnonzero(has_own & (count == 0))
            if len(match.positions) <= CANDIDATES:
                rows, beside = around.beside(lacking, match.positions)
                count[rows] += match.sure * beside
            count += speaks
            if len(match.context):
                counts[match.context] = 1
                count += CONTEXT_WEIGHT * (has_own & (counts[at] > 0))
                counts[match.context] = 0
            scores.leaf += match.idf * saturate(count, lengths)
            scores.near += share * (count > 0)
        return scores

    # --- events and vectors ------------------------------------------------------------------------

    def _score_events(self, matches: list[Match], at: Ints, scores: _Scores) -> None:
        """For each candidate with a score, that of the event it lies in, from its visible members."""
        if not self._options.parent_weight:
            return
        first = np.zeros(int(self._source.max(initial=0)) + 1, np.int64)
        number = 0
        for source in np.unique(self._source[at]).tolist():
            first[source] = number
            number += self._index.events(source)
        is_near = np.zeros(len(first), np.bool_)
        is_near[np.unique(self._source[at])] = True
        event: Ints = self._index.event
        total = np.zeros(number)
        for match in matches:
            members, counts = match.positions, match.counts
            if len(members) > CANDIDATES:
                held, _ = find(members, at)
                members, counts = members[held], counts[held]
            inside = is_near[self._source[members]]
            members, counts = members[inside], counts[inside]
            by_event = np.bincount(first[self._source[members]] + event[members], counts, minlength=number)
            total += match.idf * saturate(by_event.astype(np.float64), np.ones(number))
        scores.parent[:] = np.where(scores.leaf > 0, total[first[self._source[at]] + event[at]], 0.0)

    def _nearest_vectors(self, limit: int) -> tuple[Ints, Floats]:
        """Positions of the visible and wanted whose vectors are nearest to the query's, and their cosines as coded.

        Inside a window, or where too few of the nearest are wanted, all that is wanted is compared: filter first.
        """
        if self._vectors is None:
            return np.zeros(0, np.int64), np.zeros(0)
        n = max(VECTOR_HITS, 4 * limit)
        if self._scope is None:
            found = self._positions(*self._vectors.nearest(self._query_vector(), n))
            if len(found[0]) >= limit or (self._vectors.is_whole and len(found[0]) == min(n, len(self._vectors))):
                return found
            inside = np.arange(len(self._index))
        else:
            inside = self._scope
        inside = self._want(inside[self._visible.among(inside)])
        known: Ints = self._index.column("seq")  # type: ignore[assignment]
        seqs, cosine = self._vectors.among(self._query_vector(), known[inside])
        if len(seqs) > n:
            nearest = np.argpartition(-cosine, n)[:n]
            seqs, cosine = seqs[nearest], cosine[nearest]
        return self._positions(seqs, cosine)

    def _score_vectors(self, at: Ints, scores: _Scores, nearest: Ints, cosine: Floats) -> None:
        """Cosines of the nearest, and of the candidates that are best by words; 0 at least, 0 without a vector."""
        if self._vectors is None:
            return
        by_words = scores.leaf
        best = np.flatnonzero(by_words > 0)
        if len(best) > VECTOR_HITS:
            best = np.sort(best[np.argpartition(-by_words[best], VECTOR_HITS)[:VECTOR_HITS]])
        seqs: Ints = self._index.column("seq")[at[best]]  # type: ignore[assignment]
        places, near = self._positions(*self._vectors.among(self._query_vector(), seqs))
        scores.vector[np.searchsorted(at, places)] = np.maximum(near, 0.0)
        scores.vector[np.searchsorted(at, nearest)] = np.maximum(cosine, 0.0)

    def _refine(self, at: Ints, scores: _Scores, score: Floats, n: int) -> None:
        """Put the true cosines in place of the coded ones where the list is decided."""
        n = max(EXACT_HITS, n)
        best = np.flatnonzero(scores.vector > 0)
        if len(best) > n:
            best = np.sort(best[np.argpartition(-score[best], n)[:n]])
        places, cosine = self._exact_cosines(at[best])
        scores.vector[np.searchsorted(at, places)] = cosine

    def _query_vector(self) -> Floats:
        return np.frombuffer(self._request.vector or b"", "<f2").astype(np.float32)

    def _positions(self, seqs: Ints, cosines: Floats) -> tuple[Ints, Floats]:
        """Positions of those of these observations that are visible and wanted, ascending, and their cosines."""
        known: Ints = self._index.column("seq")  # type: ignore[assignment]
        order = np.argsort(seqs)
        seqs, cosines = seqs[order], cosines[order]
        at = np.minimum(np.searchsorted(known, seqs), len(known) - 1)
        here = np.flatnonzero(known[at] == seqs)
        here = here[self._visible.among(at[here])]
        wanted = self._is_wanted(at[here])
        return at[here][wanted], cosines[here][wanted]

    def _exact_cosines(self, at: Ints) -> tuple[Ints, Floats]:
        """Those of these positions that have a vector of the query's space, and their cosines, 0 at least."""
        query = self._query_vector()
        seqs = self._index.column("seq")[at].tolist()
        found: list[int] = []
        vectors: list[bytes] = []
        for i in range(0, len(seqs), _VECTORS_AT_ONCE):
            some = seqs[i : i + _VECTORS_AT_ONCE]
            for seq, vector in self._connection.execute(
                f"SELECT seq, vector FROM vectors WHERE seq IN ({','.join('?' * len(some))}) AND space=? ORDER BY seq",
                (*some, self._request.vector_space),
            ):
                if len(vector) == 2 * len(query):
                    found.append(seq)
                    vectors.append(vector)
        matrix = np.frombuffer(b"".join(vectors), "<f2").reshape(len(found), len(query)).astype(np.float32)
        held = at[find(np.array(found, np.int64), self._index.column("seq")[at])[1]]  # type: ignore[arg-type]
        return held, np.maximum((matrix @ query).astype(np.float64), 0.0)

    # --- the choice --------------------------------------------------------------------------------

    def _is_doubtful(self, at: Ints, scores: _Scores) -> Bools:
        """What is trusted little, and what owes more to its neighbours and its event than to its own words where that
        event is."""
        trust: Floats = self._index.column("trust")  # type: ignore[assignment]
        doubtful = trust[at] < LOW_TRUST
        lent = (scores.near > 2 * scores.own) | (self._options.parent_weight * scores.parent > scores.leaf)
        owing = np.flatnonzero(lent)
        doubtful[owing] |= self._index.event_trust(at[owing], self._visible.limits) < LOW_TRUST
        return doubtful

    def _choose(self, at: Ints, score: Floats, doubtful: Bools, limit: int) -> list[int]:
        """Best candidates first. What looks the same as a better hit of its event comes after all others, so
        that a picture that stood for a minute does not fill the list."""
        found = np.flatnonzero(score > 0)
        if len(found) > CHOICE_LIMIT:
            found = found[score[found] >= np.partition(score[found], -CHOICE_LIMIT)[-CHOICE_LIMIT]]
        place = at[found]
        rounded = score[found].round(9)
        order = np.lexsort((self._channel[place], self._t0_s[place], self._source[place], -rounded))
        found, place, rounded = found[order], place[order], rounded[order]
        is_first = np.ones(len(order), np.bool_)
        seen = np.flatnonzero(LANE_OF_CODE[self._channel[place]] == 2)
        if len(seen):
            same = np.stack([self._source[place[seen]], self._channel[place[seen]], rounded[seen]], axis=1)
            is_first[seen] = False
            is_first[seen[np.unique(same, axis=0, return_index=True)[1]]] = True
        ranked = np.concatenate([found[is_first], found[~is_first]])
        # However many were planted, and however well they fit, they take no more than their share of the list.
        is_low = doubtful[ranked]
        over = is_low & (np.cumsum(is_low) > max(1, int(LOW_TRUST_SHARE * limit)))
        return [int(i) for i in ranked[~over][:limit]]

    def _observations(self, positions: Ints) -> list[Observation]:
        seqs = self._index.column("seq")[positions].tolist()
        marks = ",".join("?" * len(seqs))
        rows = self._connection.execute(
            f"SELECT {OBSERVATION_COLUMNS}, o.seq FROM {OBSERVATION_JOIN} WHERE o.seq IN ({marks})", seqs
        )
        by_seq = {row[11]: observation_of(row) for row in rows}
        return [by_seq[seq] for seq in seqs]


def saturate(counts: Floats, lengths: Floats) -> Floats:
    """BM25's gain of a term that occurs ``counts`` times in keys of ``lengths`` times the mean length."""
    return counts * (K1 + 1.0) / (counts + K1 * (1.0 - B + B * lengths))


def _window(request: RecallRequest) -> tuple[float, float] | None:
    if request.t0_s is None and request.t1_s is None:
        return None
    return (
        -math.inf if request.t0_s is None else request.t0_s,
        math.inf if request.t1_s is None else request.t1_s,
    )
