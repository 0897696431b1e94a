"""What a View shows of the index: nearly always all but the last few rows, so only what is hidden costs anything."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec import Struct

from memory.index.arrays import Bools, Floats, Ints
from memory.index.blocks import GROUP_OF_CODE, GROUPS
from memory.index.postings import Index, link
from memory.store.views import limits_by_number
from runtime.messages import View

_BY_SOURCE_UP_TO = 4


class Visible(Struct, frozen=True):
    """The observations a View shows, and what is counted among them only.

    ``mask``: by position. ``hidden``: positions of what is there and not shown; ``all``: nothing is, and nothing gone.
    ``previous``, ``next``: who stands beside whom among what was said (a position that is hidden ends the row).
    ``group_sizes``, ``group_terms``: observations and terms by group.
    """

    limits: dict[int, float]
    mask: Bools
    hidden: Ints
    all: bool
    size: int
    previous: Ints
    next: Ints
    group_sizes: Ints
    group_terms: Ints

    def counting_in(self, size: int, groups: Sequence[int]) -> Visible:
        """The same, where so many observations of other memories are counted as well: by group how many, then their
        terms."""
        elsewhere = np.array(groups, np.int64).reshape(2, -1)
        return msgspec.structs.replace(
            self,
            size=self.size + size,
            group_sizes=self.group_sizes + elsewhere[0],
            group_terms=self.group_terms + elsewhere[1],
        )

    def among(self, positions: Ints) -> Bools | slice:
        """Which of these positions are visible."""
        return slice(None) if self.all else self.mask[positions]


def see(connection: sqlite3.Connection, index: Index, view: View) -> Visible:
    """What ``view`` shows of ``index``."""
    limits = limits_by_number(connection, view)
    generation: Ints = index.column("generation")  # type: ignore[assignment]
    source: Ints = index.column("source")  # type: ignore[assignment]
    t1_s: Floats = index.column("t1_s")  # type: ignore[assignment]
    newer = int(np.searchsorted(generation, view.generation, side="right"))
    partly = [s for s in index.sources() if limits.get(s, -1.0) < index.last_end_s(s)]
    # As a rule nothing is hidden, and nothing need be looked at.
    is_past = bool(partly) or newer < len(index)
    mask = index.alive.copy() if is_past else index.alive
    mask[newer:] = False
    if len(partly) > _BY_SOURCE_UP_TO:
        by_number = np.full(max(index.sources()) + 1, -1.0)
        for s, limit_s in limits.items():
            if s < len(by_number):
                by_number[s] = limit_s
        mask &= t1_s <= by_number[source]
    else:
        for s in partly:
            mask &= (source != s) | (t1_s <= limits.get(s, -1.0))
    hidden = np.flatnonzero(index.alive & ~mask) if is_past else np.zeros(0, np.int64)
    group, terms = GROUP_OF_CODE[index.column("channel")[hidden]], index.column("terms")[hidden]
    previous, following = index.previous, index.next
    for s in {*partly, *np.unique(source[newer:]).tolist()}:
        said = index.said(s)
        said = said[index.alive[said]]
        seen = mask[said]
        if not seen[: int(seen.sum())].all():  # someone hidden stands between visible ones
            if following is index.next:
                previous, following = previous.copy(), following.copy()
            link(said[seen], previous, following)
    return Visible(
        limits=limits,
        mask=mask,
        hidden=hidden,
        all=not len(hidden) and index.n_alive == len(index),
        size=index.n_alive - len(hidden),
        previous=previous,
        next=following,
        group_sizes=index.group_sizes - np.bincount(group, minlength=GROUPS),
        group_terms=index.group_terms - np.bincount(group, terms, minlength=GROUPS).astype(np.int64),
    )
