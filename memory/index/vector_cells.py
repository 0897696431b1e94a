"""Vectors in few bytes, and in cells of neighbours: what makes a million of them searchable (an inverted file,
Jegou, Douze and Schmid, "Product quantization for nearest neighbor search", 2011, section IV, with whole vectors in
its lists).

A vector is kept as one int8 a dimension and one scale (cosine exact to about 0.002); the true ones lie in the table
`vectors` and put the best in their final order. Cells are made by spherical k-means over a sample (Dhillon and Modha,
2001). Everything here is a function of its arguments: the same vectors give the same cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numkong
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from memory.index.arrays import Floats, Ints

Codes = NDArray[np.int8]
Matrix = NDArray[np.float32]

# On average so many vectors a cell: a slice of 64 KiB at 512 dimensions, long enough to be read at full speed.
CELL_SIZE = 128
_SAMPLE_PER_CELL = 16
_ROUNDS = 5
_AT_ONCE = 4096


class Coded(Struct, frozen=True):
    """Vectors as int8: codes (n, d), scales (n,) float32; vector = code * scale."""

    codes: Codes
    scales: Floats


def dots(parts: Sequence[Coded], query: Coded) -> Floats:
    """Dot products of each vector of each part with one coded vector, one after the other, float32."""
    whole = [
        np.asarray(numkong.cdist(part.codes, query.codes, metric="dot", dtype="int8"))[:, 0]
        for part in parts
        if len(part.codes)
    ]
    if not whole:
        return np.zeros(0, np.float32)
    result: Floats = np.concatenate(whole, dtype=np.float32, casting="same_kind")
    result *= np.concatenate([part.scales for part in parts])
    result *= query.scales[0]
    return result


def encode(vectors: NDArray[np.floating]) -> Coded:
    """Vectors (n, d) coded; a vector of zeros stays one."""
    largest = np.maximum(np.abs(vectors).max(axis=1, initial=0.0), 1e-12).astype(np.float32)
    codes = np.rint(vectors.astype(np.float32) * (127.0 / largest)[:, None]).astype(np.int8)
    return Coded(codes, largest / np.float32(127.0))


def make_cells(vectors: NDArray[np.float16]) -> tuple[Matrix, Ints]:
    """Centroids (cells, d) float32 of unit length, and which cell each of the vectors (n, d) belongs to."""
    number = max(1, len(vectors) // CELL_SIZE)
    step = max(1, len(vectors) // (number * _SAMPLE_PER_CELL))
    sample = vectors[::step].astype(np.float32)
    centroids = sample[:: max(1, len(sample) // number)][:number].copy()
    for _ in range(_ROUNDS):
        cell = np.concatenate(list(_nearest(sample, centroids)))
        order = np.argsort(cell, kind="stable")
        sizes = np.bincount(cell, minlength=len(centroids))
        held = np.flatnonzero(sizes)
        begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        sums = np.add.reduceat(sample[order], begins[held], axis=0)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        # A cell that lost all its members keeps its place.
        centroids[held] = sums / np.maximum(lengths, 1e-12)
    return centroids, np.concatenate(list(_nearest(vectors, centroids)))


def _nearest(vectors: NDArray[np.floating], centroids: Matrix) -> Iterator[Ints]:
    for i in range(0, len(vectors), _AT_ONCE):
        yield (vectors[i : i + _AT_ONCE].astype(np.float32, copy=False) @ centroids.T).argmax(axis=1)
