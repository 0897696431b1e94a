"""The arrays that the index is made of."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.signedinteger[Any]]
Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

Scalar = TypeVar("Scalar", bound=np.generic)


def grown(column: NDArray[Scalar], capacity: int) -> NDArray[Scalar]:
    """The same with room for more rows, which are zero."""
    larger = np.zeros((capacity, *column.shape[1:]), column.dtype)
    larger[: len(column)] = column
    return larger
