"""Which pictures are described, and in which order: the newest hour first, within it what is least like the rest.

Memory itself says what was described: its captions cite their frames. So there is no other state, and whoever goes on
after a restart reads where to.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import anyio.lowlevel
from msgspec import Struct

from reasoning.describe.captions import HOUR_CAPTIONS, HOUR_S
from reasoning.query.memory_client import MemoryClient
from runtime.messages import (
    CAPTION,
    HOUR,
    DerivedFacts,
    FrameFacts,
    Observation,
    ScanRequest,
    SourceRecord,
    SpansRequest,
    View,
)

# Further pictures of an event are this far from those that are described, in seconds, and differ at least so much
# (0..1, as sampling measures it) from the picture before them.
APART_S, CHANGED = 8.0, 0.04
# Pictures are compared with so many described ones of their hour, the newest.
COMPARED = 64
VECTORS_KEPT = 1024
SCAN_LIMIT = 2000


class Hour(Struct, frozen=True):
    """What of an hour of a source is still to be described.

    frames  in the order in which they are to be; without their pictures. done  how many have a caption.
    told    where all have one, and the hour is over, what its paragraph is to be made of; else nothing.
    """

    source: str
    number: int
    frames: tuple[Observation, ...] = ()
    done: int = 0
    told: tuple[Observation, ...] = ()

    @property
    def is_complete(self) -> bool:
        return not (self.frames or self.told)


def is_describable(record: SourceRecord) -> bool:
    """Whether pictures of it may be described by now: of a recording once all of it is perceived, since that takes all
    there is of the machine."""
    return record.kind != "file" or set(record.watermarks) <= set(record.ended)


class Chooser:
    """Reads from memory what is to be described. ``per_event``: pictures of an event, at most."""

    def __init__(self, memory: MemoryClient, per_event: int) -> None:
        self._memory = memory
        self._per_event = per_event
        self._vectors: OrderedDict[str, tuple[float, ...]] = OrderedDict()
        # By frame: the distance to the likest of those that it was compared with.
        self._nearest: dict[str, tuple[float, frozenset[str]]] = {}
        self._further: dict[str, tuple[Observation, ...]] = {}

    async def hour(self, view: View, record: SourceRecord, number: int, skip: frozenset[str]) -> Hour:
        """What of an hour is to be described; ``skip``: ids of frames that cannot be."""
        source, t0_s = record.source, number * HOUR_S
        t1_s = min(t0_s + HOUR_S, view.limits[source])
        is_over = view.limits[source] >= t0_s + HOUR_S or set(record.watermarks) <= set(record.ended)
        spans = await self._memory.spans(
            SpansRequest(view=view, source=source, level="event", t0_s=t0_s, t1_s=t1_s, limit=SCAN_LIMIT)
        )
        # An event that reaches the end of what is known goes on, and may yet get another keyframe.
        events = [
            span
            for span in spans.spans
            if t0_s <= span.t0_s < t0_s + HOUR_S and span.keyframe and (span.t1_s < view.limits[source] or is_over)
        ]
        # The last event may reach beyond the hour, and its keyframe lie there.
        until_s = max([t1_s, *(span.t1_s for span in events)])
        derived = await self._memory.scan(
            ScanRequest(
                view=view, source=source, channels=("derived",), kinds=(CAPTION, HOUR), t0_s=t0_s, t1_s=until_s,
                limit=SCAN_LIMIT,
            )
        )  # fmt: skip
        made = [o for o in derived.observations if o.facts(DerivedFacts).kind == CAPTION]
        captions = [o for o in made if t0_s <= o.t0_s < t0_s + HOUR_S]
        described = {id_ for o in made for id_ in o.evidence}
        wanted = [span.keyframe for span in events if span.keyframe not in described | skip]
        frames = await self._by_id(view, wanted)
        if not frames and self._per_event > 1:
            for span in events:
                frames += [
                    o for o in await self._further_of(view, source, span.t0_s, span.t1_s, span.keyframe)
                    if o.id not in described | skip
                ]  # fmt: skip
        ordered = await self._by_novelty(view, frames, [id_ for o in captions for id_ in o.evidence][-COMPARED:])
        has_paragraph = any(
            o.facts(DerivedFacts).kind == HOUR and t0_s <= o.t0_s < t0_s + HOUR_S for o in derived.observations
        )
        told: tuple[Observation, ...] = ()
        if is_over and not ordered and not has_paragraph and len(captions) >= HOUR_CAPTIONS:
            said = await self._memory.scan(
                ScanRequest(
                    view=view, source=source, channels=("speech",), t0_s=t0_s, t1_s=t1_s, limit=SCAN_LIMIT
                )
            )  # fmt: skip
            told = tuple(sorted((*captions, *said.observations), key=lambda o: (o.t0_s, o.id)))
        return Hour(source, number, tuple(ordered), len(captions), told)

    async def with_picture(self, view: View, frame: Observation) -> Observation | None:
        """A frame with its JPEG; None where that is not kept any more."""
        reply = await self._memory.scan(ScanRequest(view=view, ids=(frame.id,), limit=1, with_payload=True))
        return next((o for o in reply.observations if o.payload), None)

    def forget(self) -> None:
        """Something was erased: nothing of a picture is known any more."""
        self._vectors.clear()
        self._nearest.clear()
        self._further.clear()

    async def _by_id(self, view: View, ids: Sequence[str]) -> list[Observation]:
        if not ids:
            return []
        return list((await self._memory.scan(ScanRequest(view=view, ids=tuple(ids), limit=len(ids)))).observations)

    async def _further_of(
        self, view: View, source: str, t0_s: float, t1_s: float, keyframe: str
    ) -> tuple[Observation, ...]:
        """The pictures of an event that differ most from its keyframe and each other; the same every time."""
        if t1_s - t0_s < APART_S:
            return ()
        if keyframe not in self._further:
            reply = await self._memory.scan(
                ScanRequest(view=view, source=source, channels=("frame",), t0_s=t0_s, t1_s=t1_s, limit=SCAN_LIMIT)
            )
            self._further[keyframe] = further_pictures(reply.observations, keyframe, self._per_event)
            while len(self._further) > VECTORS_KEPT:
                del self._further[next(iter(self._further))]
        return self._further[keyframe]

    async def _by_novelty(
        self, view: View, frames: Sequence[Observation], described: Sequence[str]
    ) -> list[Observation]:
        """Frames by their distance from the likest of those that are described, the farthest first; equals, and what
        cannot be compared, the newest first."""
        self._note(frames)
        self._note(await self._by_id(view, [id_ for id_ in described if id_ not in self._vectors]))
        known = frozenset(id_ for id_ in described if id_ in self._vectors)
        novelty: dict[str, float] = {}
        for frame in frames:
            mine = self._vectors.get(frame.id, ())
            distance, compared = self._nearest.get(frame.id, (1.0, frozenset()))
            if new := known - compared:
                distance = min(distance, *(1.0 - likeness(mine, self._vectors[id_]) for id_ in new))
                self._nearest[frame.id] = distance, compared | new
                await anyio.lowlevel.checkpoint()  # 64 comparisons take 1.5 ms, and somebody may ask
            novelty[frame.id] = distance
        while len(self._nearest) > VECTORS_KEPT:
            del self._nearest[next(iter(self._nearest))]
        return sorted(frames, key=lambda o: (-round(novelty[o.id], 2), -o.t0_s, o.id))

    def _note(self, frames: Iterable[Observation]) -> None:
        for frame in frames:
            if frame.vector and frame.id not in self._vectors:
                self._vectors[frame.id] = struct.unpack(f"<{len(frame.vector) // 2}e", frame.vector)
        while len(self._vectors) > VECTORS_KEPT:
            self._vectors.popitem(last=False)


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


def likeness(a: Sequence[float], b: Sequence[float]) -> float:
    """Cosine of two vectors of unit length; 0 where they are of different spaces."""
    return sum(x * y for x, y in zip(a, b, strict=True)) if len(a) == len(b) else 0.0
