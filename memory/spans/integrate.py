"""Consolidation inside the transaction that stores: whatever a commit releases is taken in with it.

State lies in memory between commits and is saved whenever an event ends, with the spans it led to. After a
restart the observations since are read again from the store, so the spans end up the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from memory.spans.consolidate import Consolidator, state_after
from memory.spans.segment import SegmentOptions
from memory.spans.summarise import clock
from memory.store.writing import Writing
from runtime.messages import GapFacts, Observation, Span, observation_id, round_time

# Containers announce lengths that are off by a frame or a second; only more than this is a hole.
TAIL_TOLERANCE_S = 1.0
OPEN_SOURCES_LIMIT = 64


class Closed(Struct, frozen=True):
    """An event or episode that has ended, its source's number, and whether the source ended with it."""

    source: int
    span: Span
    is_last: bool = False


class Integration:
    """The consolidators of the sources that are going on."""

    def __init__(self, options: SegmentOptions) -> None:
        self.options = options
        self._open: dict[int, Consolidator] = {}

    def advance(self, writing: Writing, sources: Iterable[str]) -> list[Closed]:
        """Take in what these sources have released up to now; store the spans that are complete and return them."""
        closed: list[Closed] = []
        for name in sources:
            source = writing.source(name)
            upto_s, ended = writing.release_point(source)
            if ended and (gap := missing_tail(writing, name, source, upto_s)):
                writing.add_observation(gap)
                upto_s = gap.t1_s
            consolidator = self._consolidator(writing, name, source)
            spans = []
            for observation in writing.released(source, consolidator.state.position, upto_s):
                spans += consolidator.step(observation)
            spans += consolidator.finish(upto_s) if ended else consolidator.advance(upto_s)
            last = max((span.t1_s for span in spans), default=0.0)
            for span in spans:
                writing.add_span(source, span)
                closed.append(Closed(source, span, is_last=ended and span.t1_s == last))
            if spans:
                writing.save_consolidation(source, consolidator.to_bytes())
            if ended:
                self._open.pop(source, None)
        return closed

    def forget_unsaved(self) -> None:
        """A transaction was undone: go on from what is durable."""
        self._open.clear()

    def _consolidator(self, writing: Writing, name: str, source: int) -> Consolidator:
        if source not in self._open:
            while len(self._open) >= OPEN_SOURCES_LIMIT:
                self._open.pop(next(iter(self._open)))
            state = writing.consolidation(source)
            if not state and (last_s := writing.last_event_s(source)):  # it was damaged, and let go
                state = state_after(last_s)
            self._open[source] = Consolidator(name, self.options, state)
        return self._open[source]


def missing_tail(writing: Writing, name: str, source: int, end_s: float) -> Observation | None:
    """The gap between where a source's tracks broke off and its announced length, if there is one.

    Of tracks that came to their end the announced length is what is wrong: stamps that jump count in it.
    """
    duration_s = writing.duration_s(source) if writing.broke_off(source) else None
    if duration_s is None or duration_s - end_s <= TAIL_TOLERANCE_S:
        return None
    t0_s, t1_s = round_time(end_s), round_time(duration_s)
    return Observation(
        id=observation_id(name, "gap", t0_s),
        source=name,
        channel="gap",
        t0_s=t0_s,
        t1_s=t1_s,
        text=f"nothing could be perceived from {clock(t0_s)} to {clock(t1_s)}",
        data=GapFacts(track="all", reason="the source ended before its announced length"),
    )
