"""Recall: what fits a query among what a View can see.

Time and View come first (`memory.index.visible`, `request_filter`): they make the set in which everything else is
counted, so a match inside a window cannot be pushed out by better ones outside, and no score knows of anything the
question could not. Then: what each word fits (`match`), which observations are worth scoring (`candidates`), how well
they fit by words and by their event (`word_scores`) and, where the query has a vector, by that (`vector_scores`), and
which make the list (`selection`).
"""

# ruff: noqa: S608 - only names of columns and question marks are put into statements
from __future__ import annotations

import sqlite3
import time

import msgspec
import numpy as np
from msgspec import Struct

from memory.index.arrays import Floats, Ints
from memory.index.blocks import CODES
from memory.index.keys import query_terms
from memory.index.postings import Index
from memory.index.vectors import VectorIndex
from memory.index.visible import Visible, see
from memory.recall.bm25 import most_of
from memory.recall.candidates import gather
from memory.recall.held_terms import held_terms
from memory.recall.match import Matcher
from memory.recall.request_filter import RequestFilter
from memory.recall.selection import choose, is_doubtful
from memory.recall.vector_scores import VectorScores
from memory.recall.word_scores import score_events, score_words
from memory.store.reader import snapshot
from memory.store.records import OBSERVATION_COLUMNS, OBSERVATION_JOIN, observation_of
from runtime.config import MemoryConfig
from runtime.messages import Hit, Observation, RecallReply, RecallRequest

RECALL_LIMIT = 1000
# Of so many of the best derived observations the kind is read; the rest cannot reach the list.
DERIVED_READ = 2 * RECALL_LIMIT
RETOLD = ("notice", "topic")


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
            for (space,) in self._connection.execute("SELECT DISTINCT space FROM vectors").fetchall():
                self._space(space)

    def recall(self, request: RecallRequest) -> RecallReply:
        """The best hits, best first; equals in order of time."""
        began_s = time.perf_counter()
        with snapshot(self._connection):
            self._index.refresh()
            reply = self._find(request)
        return msgspec.structs.replace(reply, took_s=round(time.perf_counter() - began_s, 6))

    def _find(self, request: RecallRequest) -> RecallReply:
        if not len(self._index):
            return RecallReply()
        visible = see(self._connection, self._index, request.view)
        if not request.limit:  # asked only how common the words are
            matcher = Matcher(self._connection, self._index, visible, None)
            matcher.match(query_terms(request.query))
            groups = (*visible.group_sizes.tolist(), *visible.group_terms.tolist())
            return RecallReply(counted=matcher.counted, size=visible.size, groups=groups)
        if request.elsewhere_groups:
            visible = visible.counting_in(request.elsewhere_size, request.elsewhere_groups)
        return RecallReply(hits=tuple(self._hits(request, visible)))

    def _hits(self, request: RecallRequest, visible: Visible) -> list[Hit]:
        limit = max(0, min(request.limit, RECALL_LIMIT))
        options, index = self.options, self._index
        wanted = RequestFilter(self._connection, index, request, options.neighbour_window_s)
        if not limit or (wanted.scope is not None and not len(wanted.scope)):
            return []
        matcher = Matcher(self._connection, index, visible, wanted.scope, request.elsewhere)
        matches = matcher.match(query_terms(request.query))
        vectors = None
        nearest: tuple[Ints, Floats] = np.zeros(0, np.int64), np.zeros(0)
        if request.vector is not None and (space := self._space(request.vector_space)).fits(request.vector):
            vectors = VectorScores(
                self._connection, index, space, visible, wanted, request.vector, request.vector_space
            )
            nearest = vectors.nearest(limit)
        with held_terms(index, matches) as held:
            at = gather(index, visible, wanted, matches, held, nearest[0])
            if not len(at):
                return []
            words = score_words(index, visible, matches, held, at, options.neighbour_window_s)
        leaf = words.leaf
        nothing: Floats = np.zeros(len(at))
        parent = score_events(index, matches, at, leaf) if options.parent_weight else nothing
        best = most_of(match.idf for match in matches)
        by_words = (leaf + options.parent_weight * parent) / (best * (1.0 + options.parent_weight))
        score: Floats = by_words
        vector = nothing if vectors is None else vectors.score(at, leaf, nearest)
        # Where nothing lies in the question's space, a score must mean what it means without vectors.
        if vectors is not None and vector.any():
            vectors.refine(at, vector, self._fuse(by_words, vector), 3 * limit)
            score = self._fuse(by_words, vector)
        self._leave_out_retold(at, score)
        lent = (words.near > 2 * words.own) | (options.parent_weight * parent > leaf)
        limits = visible.limits
        chosen = choose(index, at, score, is_doubtful(index, at, lent, limits), limit)
        of_events = index.event_trust(at[chosen], limits)
        return [
            Hit(
                observation=observation,
                score=round(float(score[i]), 6),
                why={
                    "bm25": round(float(leaf[i] / best), 4),
                    "coverage": round(float(words.own[i]), 4),
                    "coverage_neighbours": round(float(max(words.near[i], words.own[i])), 4),
                    "exact": round(float(words.exact[i]), 4),
                    "parent": round(float(parent[i] / best), 4),
                    "vector": round(float(vector[i]), 4),
                    "trust": observation.trust,
                    "event_trust": round(float(of_event), 4),
                },
            )
            for i, observation, of_event in zip(chosen, self._observations(at[chosen]), of_events, strict=True)
        ]

    def _leave_out_retold(self, at: Ints, score: Floats) -> None:
        """No score for what only tells again what is evidence itself: notices, and topics of conversations."""
        derived = np.flatnonzero((self._index.column("channel")[at] == CODES["derived"]) & (score > 0))
        derived = derived[np.argsort(-score[derived], kind="stable")[:DERIVED_READ]]
        seqs = self._index.column("seq")[at[derived]].tolist()
        marks = ",".join("?" * len(seqs))
        kinds = dict(
            self._connection.execute(
                f"SELECT seq, json_extract(data, '$.kind') FROM observations WHERE seq IN ({marks})", seqs
            )
        )
        retold = [i for i, seq in zip(derived, seqs, strict=True) if kinds.get(seq) in RETOLD]
        score[retold] = 0.0

    def _fuse(self, by_words: Floats, vector: Floats) -> Floats:
        weight = self.options.vector_weight
        fused: Floats = (by_words + weight * vector) / (1.0 + weight)
        return fused

    def _space(self, space: str) -> VectorIndex:
        vectors = self._vectors.setdefault(space, VectorIndex(self._connection, space))
        vectors.refresh()
        return vectors

    def _observations(self, positions: Ints) -> list[Observation]:
        seqs = self._index.column("seq")[positions].tolist()
        marks = ",".join("?" * len(seqs))
        rows = self._connection.execute(
            f"SELECT {OBSERVATION_COLUMNS}, o.seq FROM {OBSERVATION_JOIN} WHERE o.seq IN ({marks})", seqs
        )
        by_seq = {row[11]: observation_of(row) for row in rows}
        return [by_seq[seq] for seq in seqs]
