"""Keys enriched by neighbours, made when the question is asked and only from what it can see.

An utterance also counts the words of the few utterances before and after it, less with distance and less the less it
says itself; what follows a question counts the question's words more and whole, because it answers them. What is seen
and read is found by its own words; what happened beside it in the other groups can only raise it.
"""

from __future__ import annotations

import numpy as np

from memory.index.arrays import Bools, Floats, Ints
from memory.index.blocks import GROUP_OF_CODE
from memory.index.postings import Index
from memory.index.visible import Visible

# Chosen on five conversations of LoCoMo by the rule of `benchmarks/locomo_choice.py` (decision 13); the weights for
# long queries by hand on three lectures, where all larger ones serve about as well.
NEIGHBOUR_WEIGHTS = (0.5, 0.3, 0.2)
# A query of so many words (a slide, a paragraph) describes a stretch of talk and no single utterance of it.
LONG_QUERY = 12
LONG_NEIGHBOUR_WEIGHTS = (0.8, 0.6, 0.4, 0.2)
BACKWARD = 0.7
ASKED = 2.5
BESIDE_WEIGHT = 0.2
# An utterance of so many terms is lent half: "mm-hmm" beside what fits is not what was looked for.
HALF_LENT = 8.0


def neighbour_weights(asked: int) -> tuple[float, ...]:
    """What neighbours lend, the nearest first, where a query asks for so many words."""
    return NEIGHBOUR_WEIGHTS if asked <= LONG_QUERY else LONG_NEIGHBOUR_WEIGHTS


def share_lent(terms: Ints, asked: int) -> Floats:
    """0..1, how much of what its neighbours and its event lend an utterance of so many terms gets, where a query asks
    for so many words; all of it where that describes a stretch of talk, in which the short ones lie as well."""
    own = np.maximum(terms, 1.0)
    share: Floats = own / (own + (HALF_LENT if asked <= LONG_QUERY else 0.0))
    return share


class Neighbourhood:
    """Who stands near the candidates, and what they lend them. Candidates are positions in the index, ascending;
    ``asked``: for how many words the query asks."""

    def __init__(self, index: Index, visible: Visible, candidates: Ints, window_s: float, asked: int) -> None:
        self._window_s = window_s
        self._at = candidates
        self._t0_s: Floats = index.column("t0_s")  # type: ignore[assignment]
        self._t1_s: Floats = index.column("t1_s")  # type: ignore[assignment]
        self._source: Ints = index.column("source")  # type: ignore[assignment]
        self._asks: Bools = index.column("asks")  # type: ignore[assignment]
        self._terms: Ints = index.column("terms")  # type: ignore[assignment]
        self._channel: Ints = index.column("channel")  # type: ignore[assignment]
        self._lane = GROUP_OF_CODE[self._channel[candidates]]
        # Of what was said, which rows of candidates; their neighbours (distance, row) as positions, -1 where there is
        # none, and the share each lends of its length and of its words.
        self._said = np.flatnonzero(self._lane == 0)
        weights = neighbour_weights(asked)
        self.there, self._shares, self._weights = self._find_neighbours(visible, weights, asked)
        means = visible.group_terms / np.maximum(visible.group_sizes, 1)
        means[0] *= 1.0 + sum(weights) * (1.0 + BACKWARD)
        self._mean_length: Floats = np.maximum(means, 1.0)

    def pull(self, own: Floats, beside: Floats) -> Floats:
        """For each candidate, its ``own`` count of a term and what its neighbours (``there``) lend of theirs."""
        total = own.astype(np.float64)
        total[self._said] += np.einsum("ij,ij->j", self._weights, beside)
        return total

    def lengths(self) -> Floats:
        """Length of each enriched key, in terms, over that of a mean one of its group with all its neighbours."""
        lengths = self._terms[self._at].astype(np.float64)
        lengths[self._said] += (self._shares * self._terms[self.there]).sum(axis=0)
        return lengths / self._mean_length[self._lane]

    def beside(self, rows: Ints, lenders: Ints) -> tuple[Ints, Floats]:
        """What other groups lend (said, written, seen) to these of the candidates: by the nearest lender in time,
        less with distance. The rows that get something, and how much."""
        found: list[Ints] = [np.zeros(0, np.int64)]
        lent: list[Floats] = [np.zeros(0)]
        lender_group = GROUP_OF_CODE[self._channel[lenders]]
        for group in np.unique(self._lane[rows]) if self._window_s > 0 else ():
            mine = rows[self._lane[rows] == group]
            others = lenders[lender_group != group]
            if len(mine) and len(others):
                gap_s = self._gap_to_nearest(self._at[mine], others)
                near = gap_s < self._window_s
                found.append(mine[near])
                lent.append(BESIDE_WEIGHT * (1.0 - gap_s[near] / self._window_s))
        return np.concatenate(found), np.concatenate(lent)

    def _find_neighbours(self, visible: Visible, weights: tuple[float, ...], asked: int) -> tuple[Ints, Floats, Floats]:
        here = self._at[self._said]
        begin_s, end_s = self._t0_s[here], self._t1_s[here]
        there = np.empty((2 * len(weights), len(here)), np.int64)
        shares = np.empty(there.shape)
        for backward, following in enumerate((visible.previous, visible.next)):
            at = here
            for distance, weight in enumerate(weights):
                row = backward * len(weights) + distance
                there[row] = following[at]  # -1 at the end of a row, and from there on
                at = there[row]
                if not visible.all:
                    at[~visible.mask[at]] = -1
                apart_s = self._t0_s[at] - end_s if backward else begin_s - self._t1_s[at]
                lends = (at >= 0) & (apart_s <= self._window_s)
                shares[row] = lends * (weight * (BACKWARD if backward else 1.0))
        words = shares * share_lent(self._terms[here], asked)
        if len(weights):
            answers = self._asks[there[0]]  # as a single word may
            words[0, answers] = shares[0, answers] * ASKED
        return there, shares, words

    def _gap_to_nearest(self, mine: Ints, others: Ints) -> Floats:
        """Seconds to the nearest of ``others`` in the same source; 0 if they overlap."""
        # One axis for all sources, so far apart that none is near another's end.
        axis = self._source[others] * 1e9 + self._t0_s[others]
        order = np.argsort(axis, kind="stable")
        others, axis = others[order], axis[order]
        after = np.searchsorted(axis, self._source[mine] * 1e9 + self._t0_s[mine])
        gap_s = np.full(len(mine), np.inf)
        for at in (after - 1, after):
            other = others[np.clip(at, 0, len(others) - 1)]
            valid = (at >= 0) & (at < len(others)) & (self._source[mine] == self._source[other])
            apart_s = np.maximum(self._t0_s[mine] - self._t1_s[other], self._t0_s[other] - self._t1_s[mine])
            gap_s = np.minimum(gap_s, np.where(valid, np.maximum(apart_s, 0.0), np.inf))
        return gap_s
