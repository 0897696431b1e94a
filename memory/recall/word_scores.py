"""How well the words of candidates fit a query, and those of the events they lie in.

Words are scored by BM25 (`memory.recall.bm25`) over keys enriched by neighbours (`memory.recall.enrich`;
LongMemEval's "enrich the key, keep the value"; on LoCoMo worth nine points of recall@10). An event is scored by the
words of its visible members (HCAM's chunk first, detail inside).
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from memory.index.arrays import Floats, Ints, find
from memory.index.blocks import GROUP_OF_CODE
from memory.index.postings import Index
from memory.index.visible import Visible
from memory.recall.bm25 import saturate
from memory.recall.enrich import Neighbourhood, share_lent
from memory.recall.held_terms import HeldTerms
from memory.recall.match import Match

# The day it was and the name of the source belong to the key of everything in it.
CONTEXT_WEIGHT = 1.0
# A term at more places says little: it lends nothing across groups, and in events it counts where candidates hold it.
COMMON = 10_000


class WordScores(Struct, frozen=True):
    """By candidate. ``leaf``: BM25 of its enriched key. ``own`` and ``near``: idf share of the query's terms in the own
    text, and with neighbours'; ``exact``: in the own text as asked, near spellings left out."""

    leaf: Floats
    own: Floats
    near: Floats
    exact: Floats


def score_words(
    index: Index, visible: Visible, matches: list[Match], held: HeldTerms, at: Ints, window_s: float
) -> WordScores:
    """Scores of the candidates ``at`` (positions, ascending); neighbours are at most ``window_s`` apart."""
    around = Neighbourhood(index, visible, at, window_s, len(matches))
    lengths = around.lengths()
    here, there = held.at(at), held.at(around.there)
    spoken = [_are_among(match.speaker, at) for match in matches]
    has_own = np.zeros(len(at), np.bool_)
    for i, speaks in enumerate(spoken):
        has_own |= here.has(i) | speaks
    scores = WordScores(*(np.zeros(len(at)) for _ in range(4)))
    total = sum(match.idf for match in matches) or 1.0
    for i, (match, speaks) in enumerate(zip(matches, spoken, strict=True)):
        share = match.idf * match.sure / total
        is_held = here.has(i) | speaks
        scores.own[:] += share * is_held
        if match.sure == 1.0:
            scores.exact[:] += share * is_held
        count = around.pull(here.counts(i), there.counts(i))
        # Pictures change little and say much the same: without a match of its own, none is raised.
        lacking = np.flatnonzero(has_own & (count == 0))
        if len(match.positions) <= COMMON:
            rows, beside = around.beside(lacking, match.positions)
            count[rows] += match.sure * beside
        count += speaks
        if len(match.context):
            count += CONTEXT_WEIGHT * (has_own & _are_among(match.context, at))
        scores.leaf[:] += match.idf * saturate(count, lengths)
        scores.near[:] += share * (count > 0)
    return scores


def score_events(index: Index, matches: list[Match], at: Ints, leaf: Floats) -> Floats:
    """For each candidate with a score of its own, that of the event it lies in, from its visible members."""
    source: Ints = index.column("source")  # type: ignore[assignment]
    first = np.full(max(index.sources(), default=0) + 1, -1, np.int64)
    number = 0
    for of in np.flatnonzero(np.bincount(source[at])).tolist():
        first[of] = number
        number += index.events(of)
    event = index.event
    total = np.zeros(number)
    for match in matches:
        members, counts = match.positions, match.counts
        if len(members) > COMMON:
            held, _ = find(members, at)
            members, counts = members[held], counts[held]
        begins = first[source[members]]
        inside = begins >= 0
        if not inside.all():
            members, counts, begins = members[inside], counts[inside], begins[inside]
        by_event = np.bincount(begins + event[members], counts, minlength=number)
        total += match.idf * saturate(by_event.astype(np.float64), np.ones(number))
    scores: Floats = np.where(leaf > 0, total[first[source[at]] + event[at]], 0.0)
    said = GROUP_OF_CODE[index.column("channel")[at]] == 0
    scores[said] *= share_lent(index.column("terms")[at[said]], len(matches))
    return scores


def _are_among(positions: Ints, at: Ints) -> np.ndarray:
    """Which of ``at`` are among these positions, both ascending."""
    held = np.zeros(len(at), np.bool_)
    held[find(positions, at)[1]] = True
    return held
