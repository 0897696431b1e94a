"""The arrays that the index is made of."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.signedinteger[Any]]
Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

Scalar = TypeVar("Scalar", bound=np.generic)


def find(held: Ints, asked: Ints) -> tuple[Ints, Ints]:
    """(places in ``held``, places in ``asked``) of what is in both; both ascending, each value once."""
    if not len(held) or not len(asked):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    # Only where they overlap, and the fewer among the more: one may be a window, the other all there is.
    begin, last = np.searchsorted(held, asked[[0, -1]]).tolist()
    held = held[begin : last + 1]
    if len(held) < len(asked):
        there, at = _look_up(asked, held)
    else:
        at, there = _look_up(held, asked)
    return at + begin, there


def _look_up(held: Ints, asked: Ints) -> tuple[Ints, Ints]:
    at = np.minimum(np.searchsorted(held, asked), len(held) - 1)
    there = np.flatnonzero(held[at] == asked)
    return at[there], there


def union(*parts: Ints) -> Ints:
    """Each value of any of these once, ascending; quickest where each of them is ascending."""
    values = np.sort(np.concatenate(parts), kind="stable")  # which merges what is in order
    is_first = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=is_first[1:])
    return values[is_first]


def grown(column: NDArray[Scalar], capacity: int) -> NDArray[Scalar]:
    """The same with room for more rows, which are zero."""
    larger = np.zeros((capacity, *column.shape[1:]), column.dtype)
    larger[: len(column)] = column
    return larger
