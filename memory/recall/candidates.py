"""Which observations are scored: what holds a word of the query, or stands beside what does.

Terms name candidates, the rarest first. Once more are named than are scored, a commoner term brings only what holds
more of the query than the least of those (as MaxScore does; Turtle and Flood 1995), `CANDIDATES` at most. Of these and
who stands next to them, the `SCORED` that hold the most of the query, with what their neighbours lend them, are scored
in full (decision 10 tells what that loses). In a memory of some thousand observations every match is scored.
"""

from __future__ import annotations

import numpy as np

from memory.index.arrays import Floats, Ints, union
from memory.index.postings import Index
from memory.index.visible import Visible
from memory.recall.bm25 import saturate
from memory.recall.enrich import ASKED, BACKWARD, neighbour_weights, share_lent
from memory.recall.held_terms import HeldTerms
from memory.recall.match import Match
from memory.recall.request_filter import RequestFilter

CANDIDATES = 4000
SCORED = 3000


def gather(
    index: Index, visible: Visible, wanted: RequestFilter, matches: list[Match], held: HeldTerms, with_vector: Ints
) -> Ints:
    """Positions of the candidates, ascending; ``with_vector`` are among them."""
    named, others = _named(wanted, matches, held)
    beside = wanted.pick(_beside(np.concatenate([named, others]), visible))
    at = union(named, beside, with_vector)
    if len(at) > SCORED:
        at = union(_most(at, _held_around(at, index, visible, held, len(matches)), SCORED), with_vector)
    return at


def _named(wanted: RequestFilter, matches: list[Match], held: HeldTerms) -> tuple[Ints, Ints]:
    """What holds words of the query, wanted and other (which may lend to what is): all while that is little, then what
    holds the most of it."""
    named: Ints = np.zeros(0, np.int64)
    others = named
    least = 0.0  # of the query, for one of the `SCORED` that hold the most
    left = sum(match.idf * (1 + bool(len(match.speaker))) for match in matches)
    for match in sorted(matches, key=lambda match: -match.idf):
        if left <= least:  # whoever is not named yet holds no more than that
            break
        left -= match.idf * (1 + bool(len(match.speaker)))
        for places in (match.positions, match.speaker):
            if not len(places):
                continue
            places = places[held.share(places) > least] if least else places
            is_wanted = wanted.among(places)
            named = _holding_most(union(named, _holding_most(places[is_wanted], held)), held)
            if not is_wanted.all():
                others = _holding_most(union(others, _holding_most(places[~is_wanted], held)), held)
        if len(named) > SCORED:
            least = float(np.partition(held.share(named), -SCORED)[-SCORED])
    return named, others


def _holding_most(positions: Ints, held: HeldTerms) -> Ints:
    return positions if len(positions) <= CANDIDATES else _most(positions, held.share(positions), CANDIDATES)


def _beside(positions: Ints, visible: Visible) -> Ints:
    """Who directly follows or precedes these positions; some more than once."""
    beside = np.concatenate([visible.previous[positions], visible.next[positions]])
    beside = beside[beside >= 0]
    return beside[visible.among(beside)]


def _held_around(at: Ints, index: Index, visible: Visible, held: HeldTerms, asked: int) -> Floats:
    """About what BM25 gives each of these positions: each term once, by who holds it nearest."""
    lent: Floats = share_lent(index.column("terms")[at], asked).astype(np.float32)  # type: ignore[arg-type]
    whole = np.ones(1, np.float32)
    asks = index.column("asks")
    nearest: list[tuple[float, Floats, Ints]] = []
    for following, share in ((visible.previous, 1.0), (visible.next, BACKWARD)):
        there = at
        for distance, weight in enumerate(neighbour_weights(asked)):
            there = following[there].astype(np.intp)  # -1 at the end of a row, and from there on; nothing is held at -1
            gets = share * weight * lent
            if following is visible.previous and not distance:
                gets = np.where(asks[there], np.float32(weight * ASKED), gets)
            nearest.append((share * weight, saturate(gets, whole), there))
    nearest.sort(key=lambda lender: -lender[0])
    return held.first_share([(whole, at), *((gain, there) for _, gain, there in nearest)])


def _most(at: Ints, value: Floats, n: int) -> Ints:
    """The ``n`` of these positions with the largest values; of equals the last."""
    least = np.partition(value, -n)[-n]
    more, equals = at[value > least], at[value == least]
    return np.concatenate([more, equals[len(equals) - (n - len(more)) :]])
