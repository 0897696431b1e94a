"""Which observations are scored: what holds a word of the query, or stands beside what does.

Terms name candidates rarest first until there are `CANDIDATES`; commoner terms then count for those there are but bring
no more (Moffat and Zobel 1996, "continue"). Of these, the `SCORED` that hold the most of the query, with their
neighbours, are scored in full (decision 10 tells what that loses). In a memory of some thousand observations every
match is scored.
"""

from __future__ import annotations

import numpy as np

from memory.arrays import Floats, Ints, union
from memory.bm25 import saturate
from memory.enrich import BACKWARD, neighbour_weights, share_lent
from memory.held_terms import HeldTerms
from memory.index import Index
from memory.matches import Match
from memory.visible import Visible
from memory.wanted import Wanted

CANDIDATES = 10_000
# What a term makes a candidate only by standing beside it is worth looking at while the term is rare.
CANDIDATES_BESIDE = 3000
SCORED = 4000


def gather(
    index: Index, visible: Visible, wanted: Wanted, matches: list[Match], held: HeldTerms, with_vector: Ints
) -> Ints:
    """Positions of the candidates, ascending; ``with_vector`` are among them."""
    weights = neighbour_weights(len(matches))
    found = [with_vector]
    n_found = 0
    for match in sorted(matches, key=lambda match: -match.idf):
        places = wanted.pick(match.positions)
        if len(match.speaker):
            places = union(places, wanted.pick(match.speaker))
        if len(places) > CANDIDATES:
            if n_found:
                break
            places = _most(places, held.share(places), CANDIDATES)
        found.append(places)
        n_found += len(places)
        if len(match.positions) <= CANDIDATES_BESIDE:
            found.append(wanted.pick(_beside(match.positions, visible, weights)))
            n_found += len(found[-1])
        if n_found > CANDIDATES:
            break
    at = union(*found)
    if len(at) > SCORED:
        lent = share_lent(index.column("terms")[at], len(matches))  # type: ignore[arg-type]
        likely = _held_around(at, held, visible, weights, lent)
        at = union(_most(at, likely, SCORED), with_vector)
    return at


def _beside(positions: Ints, visible: Visible, weights: tuple[float, ...]) -> Ints:
    """Who stands beside these positions, as far as words are lent; some more than once."""
    found = []
    for following in (visible.previous, visible.next):
        at = positions
        for _ in weights:
            at = following[at]
            at = at[at >= 0]
            found.append(at)
    beside = np.concatenate(found)
    return beside[visible.among(beside)]


def _held_around(at: Ints, held: HeldTerms, visible: Visible, weights: tuple[float, ...], lent: Floats) -> Floats:
    """About what BM25 gives each of these positions: each term once, by who holds it nearest. ``lent``: how much each
    gets of what the others lend."""
    nearest = []
    for following, share in ((visible.previous, 1.0), (visible.next, BACKWARD)):
        there = at
        for weight in weights:
            there = following[there]  # -1 at the end of a row, and from there on; nothing is held at -1
            nearest.append((share * weight, there))
    nearest.sort(key=lambda lender: -lender[0])
    own = held.share(at)
    whole = held.first_share([(1.0, at), *((saturate(weight, 1.0), there) for weight, there in nearest)])
    likely: Floats = own + lent * (whole - own)
    return likely


def _most(at: Ints, value: Floats, n: int) -> Ints:
    """The ``n`` of these positions with the largest values; of equals the last."""
    least = np.partition(value, -n)[-n]
    more, equals = at[value > least], at[value == least]
    return np.concatenate([more, equals[len(equals) - (n - len(more)) :]])
