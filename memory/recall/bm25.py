"""The gain of a term by BM25 (Robertson and Zaragoza, "The probabilistic relevance framework", 2009, section 3.4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from memory.index.arrays import Floats

# Chosen on five conversations of LoCoMo by the rule of `benchmarks/locomo_choice.py` (decision 13).
K1 = 1.2
B = 0.3

Numbers = TypeVar("Numbers", float, Floats)


def saturate(counts: Numbers, lengths: Numbers) -> Numbers:
    """The gain of a term that occurs ``counts`` times in keys of ``lengths`` times the mean length, over its idf."""
    return counts * (K1 + 1.0) / (counts + K1 * (1.0 - B + B * lengths))


def most_of(idf: Iterable[float]) -> float:
    """What a key of nothing but terms of these idf would score; 1 where there are none."""
    return sum(idf) * (K1 + 1.0) or 1.0
