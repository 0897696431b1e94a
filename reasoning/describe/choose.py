"""Which pictures are described, and in which order: the newest hour first, within it what changed most.

Memory itself says what was described: its captions cite their frames. So there is no other state, and whoever goes on
after a restart reads where to.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from reasoning.describe.captions import HOUR_CAPTIONS, HOUR_S
from reasoning.query.context import Context
from reasoning.query.memory_client import MemoryClient
from runtime.messages import CAPTION, HOUR, DerivedFacts, FrameFacts, Observation, SourceRecord, Span, View
from runtime.stretches import goes_on

# Further pictures of an event are this far from those that are described, in seconds, and differ at least so much
# (0..1, as sampling measures it) from the picture before them.
APART_S, CHANGED = 8.0, 0.04
FURTHER_KEPT = 1024
SCAN_LIMIT = 2000


class Hour(Struct, frozen=True):
    """What of an hour of a source is still to be described.

    frames  in the order in which they are to be; without their pictures.
    told    where all have a caption, and the hour is over, what its paragraph is to be made of; else nothing.
    """

    source: str
    number: int
    frames: tuple[Observation, ...] = ()
    told: tuple[Observation, ...] = ()


def is_describable(record: SourceRecord) -> bool:
    """Whether pictures of it may be described by now: of a recording once all of it is perceived, since that takes all
    there is of the machine."""
    return record.kind != "file" or not goes_on(record)


class Chooser:
    """Reads from memory what is to be described. ``per_event``: pictures of an event, at most."""

    def __init__(self, memory: MemoryClient, per_event: int) -> None:
        self._memory = memory
        self._per_event = per_event
        self._further: dict[str, tuple[Observation, ...]] = {}

    async def hour(self, view: View, record: SourceRecord, number: int, skip: frozenset[str]) -> Hour:
        """What of an hour is to be described; ``skip``: ids of frames that cannot be."""
        source, t0_s, t1_s, until_s = record.source, number * HOUR_S, (number + 1) * HOUR_S, view.limits[record.source]
        is_over = until_s >= t1_s or not goes_on(record)
        context = Context(self._memory, view, t0_s=t0_s, t1_s=min(t1_s, until_s), source=source)
        # An event that reaches the end of what is known goes on, and may yet get another keyframe.
        events = [
            span
            for span in await context.spans("event", SCAN_LIMIT)
            if t0_s <= span.t0_s < t1_s and span.keyframe and (span.t1_s < until_s or is_over)
        ]
        # The last event may reach beyond the hour, and its keyframe lie there.
        wide = context.within(t0_s, max([t1_s, *(span.t1_s for span in events)]))
        derived = [(o, o.facts(DerivedFacts).kind) for o in await wide.scan("derived", limit=SCAN_LIMIT)]
        known = skip | {id_ for o, kind in derived if kind == CAPTION for id_ in o.evidence}
        frames = list(await context.by_id(span.keyframe for span in events if span.keyframe not in known))
        if not frames and self._per_event > 1:
            further = [await self._further_of(context, span) for span in events]
            frames = [o for pictures in further for o in pictures if o.id not in known]
        frames.sort(key=lambda o: (-round(o.facts(FrameFacts).change, 1), -o.t0_s, o.id))
        mine = {kind: [o for o, of in derived if of == kind and t0_s <= o.t0_s < t1_s] for kind in (CAPTION, HOUR)}
        told: list[Observation] = []
        if is_over and not frames and not mine[HOUR] and len(mine[CAPTION]) >= HOUR_CAPTIONS:
            said = await context.scan("speech", limit=SCAN_LIMIT)
            told = sorted((*mine[CAPTION], *said), key=lambda o: (o.t0_s, o.id))
        return Hour(source, number, tuple(frames), tuple(told))

    def forget(self) -> None:
        """Something was erased: nothing of a picture is known any more."""
        self._further.clear()

    async def _further_of(self, context: Context, event: Span) -> tuple[Observation, ...]:
        """The pictures of an event that differ most from its keyframe and each other; the same every time."""
        if event.t1_s - event.t0_s < APART_S:
            return ()
        if event.keyframe not in self._further:
            frames = await context.within(event.t0_s, event.t1_s).scan("frame", limit=SCAN_LIMIT)
            self._further[event.keyframe] = further_pictures(frames, event.keyframe, self._per_event)
            while len(self._further) > FURTHER_KEPT:
                del self._further[next(iter(self._further))]
        return self._further[event.keyframe]


def further_pictures(frames: Sequence[Observation], keyframe: str, most: int) -> tuple[Observation, ...]:
    """Of an event's frames up to ``most`` less one that changed most, apart from the keyframe and from each other."""
    at_s = [o.t0_s for o in frames if o.id == keyframe]
    chosen: list[Observation] = []
    for o in sorted(frames, key=lambda o: (-o.facts(FrameFacts).change, o.t0_s)):
        if len(chosen) == most - 1 or o.facts(FrameFacts).change < CHANGED:
            break
        if o.id != keyframe and all(abs(o.t0_s - t_s) >= APART_S for t_s in at_s):
            chosen.append(o)
            at_s.append(o.t0_s)
    return tuple(chosen)
