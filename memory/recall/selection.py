"""Which of the scored make the list, and in which order."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from memory.index.arrays import Bools, Floats, Ints
from memory.index.blocks import GROUP_OF_CODE
from memory.index.postings import Index
from runtime.trust import LOW_TRUST

# So many of the best are put in order; the rest cannot reach the list.
CHOICE_LIMIT = 5000
_AT_FIRST = 10
# What is trusted less than `LOW_TRUST` has this share of a list. Whether a claim is corroborated is judged where it is
# made, on the evidence that got in.
LOW_TRUST_SHARE = 0.25


def is_doubtful(index: Index, at: Ints, lent: Bools, limits: Mapping[int, float]) -> Bools:
    """Which of ``at`` (positions) are trusted little, or lie in such an event and owe their score to it: ``lent``.
    ``limits``: media time up to which each source is seen."""
    trust: Floats = index.column("trust")  # type: ignore[assignment]
    doubtful: Bools = trust[at] < LOW_TRUST
    owing = np.flatnonzero(lent)
    doubtful[owing] |= index.event_trust(at[owing], limits) < LOW_TRUST
    return doubtful


def choose(index: Index, at: Ints, score: Floats, doubtful: Bools, limit: int) -> list[int]:
    """Rows of ``at`` (positions) by score, best first, equals in order of time. What looks the same as a better hit of
    its event comes after all others, so that a picture that stood for a minute does not fill the list;
    what is ``doubtful`` gets no more than its share of it."""
    found = np.flatnonzero(score > 0)
    # As a rule the list is full long before all are in order.
    for n in (_AT_FIRST * limit, CHOICE_LIMIT):
        best = found
        if len(found) > n:
            best = found[score[found] >= np.partition(score[found], -n)[-n]]
        chosen, n_different = _in_order(index, at, score, doubtful, best, limit)
        if n_different >= limit or len(best) == len(found):
            break
    return chosen


def _in_order(index: Index, at: Ints, score: Floats, doubtful: Bools, found: Ints, limit: int) -> tuple[list[int], int]:
    """The first ``limit`` of these rows of ``at``, and how many of all that may be listed look different."""
    place = at[found]
    rounded = score[found].round(9)
    channel, source = index.column("channel")[place], index.column("source")[place]
    order = np.lexsort((channel, index.column("t0_s")[place], source, -rounded))
    found, place, rounded, channel, source = found[order], place[order], rounded[order], channel[order], source[order]
    is_first = np.ones(len(order), np.bool_)
    seen = np.flatnonzero(GROUP_OF_CODE[channel] == 2)
    if len(seen):
        same = np.stack([source[seen], channel[seen], rounded[seen]], axis=1)
        is_first[seen] = False
        is_first[seen[np.unique(same, axis=0, return_index=True)[1]]] = True
    order = np.concatenate([np.flatnonzero(is_first), np.flatnonzero(~is_first)])
    # However many were planted, and however well they fit, they take no more than their share of the list.
    is_low = doubtful[found[order]]
    listed = order[~(is_low & (np.cumsum(is_low) > max(1, int(LOW_TRUST_SHARE * limit))))]
    return found[listed[:limit]].tolist(), int(np.count_nonzero(is_first[listed]))
