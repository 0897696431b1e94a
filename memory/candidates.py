"""Which observations are scored: what holds a word of the query, or stands beside what does.

Terms name candidates rarest first until there are `CANDIDATES`; commoner terms then count for those there are but bring
no more (Moffat and Zobel 1996, "continue"). Of these, the `SCORED` that hold the most of the query, with their
neighbours, are scored in full: BM25's gains grow with that sum, so what is far behind in it cannot come to the front.
In a memory of some thousand observations every match is scored.
"""

from __future__ import annotations

import numpy as np

from memory.arrays import Bools, Floats, Ints
from memory.enrich import BACKWARD, neighbour_weights
from memory.index import Index
from memory.matches import Match
from memory.visible import Visible
from memory.wanted import Wanted

CANDIDATES = 10_000
# What a term makes a candidate only by standing beside it is worth looking at while the term is rare.
CANDIDATES_BESIDE = 1500
SCORED = 4000


def gather(index: Index, visible: Visible, wanted: Wanted, matches: list[Match], with_vector: Ints) -> Ints:
    """Positions of the candidates, ascending; ``with_vector`` are among them."""
    weights = neighbour_weights(len(matches))
    # How much of the query each observation holds, by idf.
    held = index.tally
    for match in matches:
        for some in (match.positions, match.speaker):
            held[some] += np.float32(match.idf)
    marked = np.zeros(len(index), np.bool_)
    marked[with_vector] = True
    n_named = 0
    for match in sorted(matches, key=lambda match: -match.idf):
        places = [wanted.pick(some) for some in (match.positions, match.speaker)]
        if sum(map(len, places)) > CANDIDATES:
            if n_named:
                break
            either: Ints = np.union1d(*places)
            places = [_most(either, held[either], CANDIDATES)]
        for some in places:
            marked[some] = True
        if len(match.positions) <= CANDIDATES_BESIDE:
            _mark_beside(marked, match.positions, visible, wanted, weights)
        n_named = int(np.count_nonzero(marked)) - len(with_vector)
        if n_named > CANDIDATES:
            break
    at: Ints = np.flatnonzero(marked)
    if len(at) > SCORED:
        likely = _held_around(at, held, visible, weights)
        at = np.union1d(_most(at, likely, SCORED), with_vector)
    for match in matches:
        held[match.positions] = held[match.speaker] = 0.0
    return at


def _mark_beside(marked: Bools, positions: Ints, visible: Visible, wanted: Wanted, weights: tuple[float, ...]) -> None:
    """Mark who stands beside these positions, as far as words are lent."""
    for following in (visible.previous, visible.next):
        at = positions
        for _ in weights:
            at = following[at]
            at = at[at >= 0]
            marked[wanted.pick(at[visible.among(at)])] = True


def _held_around(at: Ints, held: Floats, visible: Visible, weights: tuple[float, ...]) -> Floats:
    """How much of the query each of these positions holds, with what its neighbours would lend it."""
    total = held[at]
    for following, share in ((visible.previous, 1.0), (visible.next, BACKWARD)):
        there = at
        for weight in weights:
            there = following[there]  # -1 at the end of a row, and from there on; nothing is held at -1
            total += np.float32(share * weight) * held[there]
    return total


def _most(at: Ints, value: Floats, n: int) -> Ints:
    """The ``n`` of these positions with the largest values; of equals the last."""
    least = np.partition(value, -n)[-n]
    more, equals = at[value > least], at[value == least]
    return np.concatenate([more, equals[len(equals) - (n - len(more)) :]])
