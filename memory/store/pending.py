"""Forgotten words that are still on their way: what was being perceived when they were forgotten comes after.

A stretch of time leaves a tombstone that refuses it for good. A word cannot, for a tombstone would say it. So the
writing process alone knows it, in its memory, as long as anything that began before may still arrive.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from memory.index.analysis import terms
from memory.index.keys import observation_key
from memory.store.told import Wanted
from runtime.messages import Observation

# What is perceived arrives no later than this after it began: an utterance, the queue of its recogniser, a restart.
LATE_S = 180.0
WISHES_KEPT = 64


class _Wish(Struct, frozen=True):
    terms: frozenset[str]
    wanted: Wanted
    until_s: dict[str, float]


class PendingErasure:
    """Words whose bearers are refused if they began in time: by source, up to a media time."""

    def __init__(self) -> None:
        self._wishes: list[_Wish] = []

    def add(self, text: str, until_s: Mapping[str, float]) -> None:
        """Refuse what holds ``text`` and began by ``until_s`` of its source."""
        if until_s:
            self._wishes.append(_Wish(frozenset(terms(text)), Wanted(text), dict(until_s)))
            del self._wishes[:-WISHES_KEPT]

    def passed(self, source: str, t_s: float) -> None:
        """All of ``source`` up to media time ``t_s`` has arrived."""
        for wish in self._wishes:
            if t_s > wish.until_s.get(source, t_s) + LATE_S:
                del wish.until_s[source]
        self._wishes = [wish for wish in self._wishes if wish.until_s]

    def began_in_time(self, observation: Observation) -> bool:
        """Whether any words are forgotten of what its source gave by then."""
        return any(self._is_of(wish, observation) for wish in self._wishes)

    def holds(self, observation: Observation) -> bool:
        """Whether it holds forgotten words, in any form of them, and began in time."""
        wishes = [wish for wish in self._wishes if self._is_of(wish, observation)]
        if not wishes:
            return False
        key = observation_key(observation)
        own = {*key.own, *key.speaker}
        return any(wish.terms <= own or wish.wanted.is_in(observation) for wish in wishes)

    @staticmethod
    def _is_of(wish: _Wish, observation: Observation) -> bool:
        return observation.t0_s <= wish.until_s.get(observation.source, -1.0)
