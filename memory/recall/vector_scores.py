"""How near the vectors of observations are to that of a query, among what it can see and asks for."""

# ruff: noqa: S608 - only question marks are put into statements
from __future__ import annotations

import sqlite3

import numpy as np

from memory.index.arrays import Floats, Ints, find
from memory.index.postings import Index
from memory.index.vectors import VectorIndex
from memory.index.visible import Visible
from memory.recall.request_filter import RequestFilter

# So many are compared by their vectors, whether they were found by words or by vectors: in one byte a dimension, which
# tells a cosine to about 0.002. The best of all, at least so many, are put in order by the vectors themselves.
VECTOR_HITS = 256
EXACT_HITS = 64
_VECTORS_AT_ONCE = 500

Near = tuple[Ints, Floats]  # positions, ascending, and their cosines


class VectorScores:
    """Cosines of one query's vector (float16, of unit length) with those of its ``space``."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        index: Index,
        vectors: VectorIndex,
        visible: Visible,
        wanted: RequestFilter,
        query: bytes,
        space: str,
    ) -> None:
        self._connection = connection
        self._vectors = vectors
        self._visible = visible
        self._wanted = wanted
        self._query: Floats = np.frombuffer(query, "<f2").astype(np.float32)
        self._space = space
        self._seqs: Ints = index.column("seq")  # type: ignore[assignment]

    def nearest(self, limit: int) -> Near:
        """The visible and wanted whose vectors are nearest, and their cosines as coded.

        Inside a window, or where too few of the nearest are wanted, all that is wanted is compared: filter first.
        """
        n = max(VECTOR_HITS, 4 * limit)
        if self._wanted.scope is None:
            found = self._seen(*self._vectors.nearest(self._query, n))
            if len(found[0]) >= limit or len(found[0]) == min(n, len(self._vectors)):
                return found
            inside = np.arange(len(self._seqs))
        else:
            inside = self._wanted.scope
        inside = self._wanted.pick(inside[self._visible.among(inside)])
        seqs, cosine = self._vectors.among(self._query, self._seqs[inside])
        if len(seqs) > n:
            nearest = np.argpartition(-cosine, n)[:n]
            seqs, cosine = seqs[nearest], cosine[nearest]
        return self._seen(seqs, cosine)

    def score(self, at: Ints, by_words: Floats, nearest: Near) -> Floats:
        """By candidate (positions ``at``, ascending): the cosines of the ``nearest``, and of the candidates that are
        best by words; 0 at least, 0 without a vector."""
        best = np.flatnonzero(by_words > 0)
        if len(best) > VECTOR_HITS:
            best = np.sort(best[np.argpartition(-by_words[best], VECTOR_HITS)[:VECTOR_HITS]])
        scores = np.zeros(len(at))
        for places, cosine in (self._seen(*self._vectors.among(self._query, self._seqs[at[best]])), nearest):
            scores[np.searchsorted(at, places)] = np.maximum(cosine, 0.0)
        return scores

    def refine(self, at: Ints, scores: Floats, fused: Floats, n: int) -> None:
        """Put the true cosines in place of the coded ones where the list of ``n`` is decided."""
        n = max(EXACT_HITS, n)
        best = np.flatnonzero(scores > 0)
        if len(best) > n:
            best = np.sort(best[np.argpartition(-fused[best], n)[:n]])
        places, cosine = self._exact(at[best])
        scores[np.searchsorted(at, places)] = cosine

    def _seen(self, seqs: Ints, cosines: Floats) -> Near:
        """Positions of those of these observations that are visible and wanted, ascending, and their cosines."""
        order = np.argsort(seqs)
        seqs, cosines = seqs[order], cosines[order]
        at = np.minimum(np.searchsorted(self._seqs, seqs), len(self._seqs) - 1)
        here = np.flatnonzero(self._seqs[at] == seqs)
        here = here[self._visible.among(at[here])]
        wanted = self._wanted.among(at[here])
        return at[here][wanted], cosines[here][wanted]

    def _exact(self, at: Ints) -> Near:
        """Those of these positions that have a vector of the query's space, and their cosines, 0 at least."""
        seqs = self._seqs[at].tolist()
        found: list[int] = []
        vectors: list[bytes] = []
        for i in range(0, len(seqs), _VECTORS_AT_ONCE):
            some = seqs[i : i + _VECTORS_AT_ONCE]
            for seq, vector in self._connection.execute(
                f"SELECT seq, vector FROM vectors WHERE seq IN ({','.join('?' * len(some))}) AND space=? ORDER BY seq",
                (*some, self._space),
            ):
                if len(vector) == 2 * len(self._query):
                    found.append(seq)
                    vectors.append(vector)
        matrix = np.frombuffer(b"".join(vectors), "<f2").reshape(len(found), len(self._query)).astype(np.float32)
        held = at[find(np.array(found, np.int64), self._seqs[at])[1]]
        return held, np.maximum((matrix @ self._query).astype(np.float64), 0.0)
