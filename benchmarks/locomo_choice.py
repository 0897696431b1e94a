"""Constants of recall chosen on some conversations, so that they can be scored on another.

One pass of coordinate ascent: from textbook values, each constant in turn is set to the value of `GRID` with the best
mean recall@10 over the questions of those conversations, the others as they are by then.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

# Where each constant lives (a name without dots is a field of `RecallOptions`), and its values: the first is the start.
GRID: dict[str, tuple[Any, ...]] = {
    "memory.recall.enrich.NEIGHBOUR_WEIGHTS": ((0.3, 0.1), (0.3, 0.15, 0.07), (0.4, 0.2, 0.1), (0.5, 0.3, 0.2)),
    "memory.recall.enrich.BACKWARD": (1.0, 0.7, 0.5),
    "memory.recall.enrich.ASKED": (1.0, 1.7, 2.5),
    "memory.recall.enrich.HALF_LENT": (0.0, 4.0, 8.0),
    "memory.recall.bm25.K1": (1.2, 0.9, 1.8),
    "memory.recall.bm25.B": (0.75, 0.5, 0.3),
    "memory.recall.word_scores.CONTEXT_WEIGHT": (1.0, 0.5, 0.25),
    "parent_weight": (0.0, 0.2, 0.4),
}

Setting = dict[str, Any]


class Choice:
    """``score(i, changed)``: recall@10 of each question of conversation i with these fields of `RecallOptions` changed.

    What was scored once is kept, since most settings are met for every set of conversations.
    """

    def __init__(self, score: Callable[[int, Setting], list[float]]) -> None:
        self._score = score
        self._known: dict[tuple[int, str], list[float]] = {}

    def best(self, among: list[int]) -> Setting:
        """The setting of `GRID` that serves these conversations best."""
        chosen = {name: values[0] for name, values in GRID.items()}
        for name, values in GRID.items():
            # The earlier value wins a draw.
            chosen[name] = max(values, key=lambda value: self._mean(among, chosen | {name: value}))
        return chosen

    @contextmanager
    def with_constants(self, setting: Setting) -> Iterator[Setting]:
        """Recall with these constants; gives the fields of `RecallOptions` that have to be changed as well."""
        with ExitStack() as stack:
            for where, value in setting.items():
                if "." in where:
                    stack.enter_context(mock.patch(where, value))
            yield {name: value for name, value in setting.items() if "." not in name}

    def _mean(self, among: list[int], setting: Setting) -> float:
        with self.with_constants(setting) as changed:
            for i in among:
                if (i, repr(setting)) not in self._known:
                    self._known[i, repr(setting)] = self._score(i, changed)
        return statistics.fmean(score for i in among for score in self._known[i, repr(setting)])
