"""How well the words of candidates fit a query, and those of the events they lie in.

Words are scored by BM25 (Robertson and Zaragoza, 2009) over keys enriched by neighbours (`memory.enrich`;
LongMemEval's "enrich the key, keep the value"; on LoCoMo worth nine points of recall@10). An event is scored by the
words of its visible members (HCAM's chunk first, detail inside).
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from memory.arrays import Floats, Ints, find
from memory.candidates import CANDIDATES
from memory.enrich import Neighbourhood, neighbour_weights
from memory.index import Index
from memory.matches import Match
from memory.visible import Visible

# Chosen on five conversations of LoCoMo by the rule of `benchmarks/locomo_choice.py` (decision 13).
K1 = 1.2
B = 0.3
# The day it was and the name of the source belong to the key of everything in it.
CONTEXT_WEIGHT = 1.0


class WordScores(Struct, frozen=True):
    """By candidate. ``leaf``: BM25 of its enriched key. ``own`` and ``near``: idf share of the query's terms in the own
    text, and with neighbours'; ``exact``: in the own text as asked, near spellings left out."""

    leaf: Floats
    own: Floats
    near: Floats
    exact: Floats


def score_words(index: Index, visible: Visible, matches: list[Match], at: Ints, window_s: float) -> WordScores:
    """Scores of the candidates ``at`` (positions, ascending); neighbours are at most ``window_s`` apart."""
    around = Neighbourhood(index, visible, at, window_s, neighbour_weights(len(matches)))
    lengths = around.lengths()
    counts = index.tally  # of one term, by position
    own, lent, spoken = [], [], []
    has_own = np.zeros(len(at), np.bool_)
    for match in matches:
        counts[match.positions] = match.counts
        own.append(counts[at] > 0)
        lent.append(around.pull(counts))
        counts[match.positions] = 0
        spoken.append(_held(match.speaker, at))
        has_own |= own[-1] | spoken[-1]
    scores = WordScores(*(np.zeros(len(at)) for _ in range(4)))
    total = sum(match.idf for match in matches) or 1.0
    for match, holds, count, speaks in zip(matches, own, lent, spoken, strict=True):
        share = match.idf * match.sure / total
        held = holds | speaks
        scores.own[held] += share
        if match.sure == 1.0:
            scores.exact[held] += share
        # Pictures change little and say much the same: without a match of its own, none is raised.
        lacking = np.flatnonzero(has_own & (count == 0))
        if len(match.positions) <= CANDIDATES:
            rows, beside = around.beside(lacking, match.positions)
            count[rows] += match.sure * beside
        count += speaks
        if len(match.context):
            count += CONTEXT_WEIGHT * (has_own & _held(match.context, at))
        scores.leaf[:] += match.idf * saturate(count, lengths)
        scores.near[count > 0] += share
    return scores


def score_events(index: Index, matches: list[Match], at: Ints, leaf: Floats) -> Floats:
    """For each candidate with a score of its own, that of the event it lies in, from its visible members."""
    source: Ints = index.column("source")  # type: ignore[assignment]
    here = np.unique(source[at])
    first = np.full(int(here.max(initial=0)) + 2, -1, np.int64)
    number = 0
    for of in here.tolist():
        first[of] = number
        number += index.events(of)
    event = index.event
    total = np.zeros(number)
    for match in matches:
        members, counts = match.positions, match.counts
        if len(members) > CANDIDATES:
            held, _ = find(members, at)
            members, counts = members[held], counts[held]
        begins = first[np.minimum(source[members], len(first) - 1)]
        inside = begins >= 0
        if not inside.all():
            members, counts, begins = members[inside], counts[inside], begins[inside]
        by_event = np.bincount(begins + event[members], counts, minlength=number)
        total += match.idf * saturate(by_event.astype(np.float64), np.ones(number))
    scores: Floats = np.where(leaf > 0, total[first[source[at]] + event[at]], 0.0)
    return scores


def most_of(matches: list[Match]) -> float:
    """What a key of nothing but these terms would score; 1 where there are none."""
    return sum(match.idf for match in matches) * (K1 + 1.0) or 1.0


def saturate(counts: Floats, lengths: Floats) -> Floats:
    """BM25's gain of a term that occurs ``counts`` times in keys of ``lengths`` times the mean length."""
    return counts * (K1 + 1.0) / (counts + K1 * (1.0 - B + B * lengths))


def _held(positions: Ints, at: Ints) -> np.ndarray:
    """Which of ``at`` are among these positions, both ascending."""
    held = np.zeros(len(at), np.bool_)
    held[find(positions, at)[1]] = True
    return held
