"""A `MemoryClient` over a list of observations: the same View and window rules as memory, no process."""

from __future__ import annotations

from typing import Any

import anyio

from reasoning.words import match, stem, words
from runtime.errors import MindstreamError
from runtime.messages import (
    PERCEIVED_CHANNELS,
    Channel,
    Done,
    Hit,
    LastSeenReply,
    LastSeenRequest,
    MemoryStatus,
    Observation,
    RecallReply,
    RecallRequest,
    RememberRequest,
    ScanReply,
    ScanRequest,
    Sighted,
    SourceRecord,
    SpansReply,
    SpansRequest,
    StatusRequest,
    TimeWindow,
    View,
    ViewRequest,
    observation_id,
)

SOURCE = "clip"


def observe(
    channel: Channel,
    t0_s: float,
    text: str = "",
    t1_s: float | None = None,
    *,
    evidence: tuple[str, ...] = (),
    k: int = 0,
    **data: Any,
) -> Observation:
    """An observation of the source "clip"."""
    return Observation(
        id=observation_id(SOURCE, channel, t0_s, k),
        source=SOURCE,
        channel=channel,
        t0_s=t0_s,
        t1_s=t0_s if t1_s is None else t1_s,
        text=text,
        data=data,
        evidence=evidence,
    )


def said(t0_s: float, t1_s: float, text: str) -> Observation:
    """An utterance whose words are spread evenly over its time."""
    spoken = text.split()
    step_s = (t1_s - t0_s) / max(1, len(spoken))
    timed = [[w, round(t0_s + i * step_s, 2), round(t0_s + (i + 1) * step_s, 2), 0.5] for i, w in enumerate(spoken)]
    return observe("speech", t0_s, text, t1_s, words=timed, confidence=0.6, understood=bool(spoken))


def written(t0_s: float, *lines: str, k: int = 0, region: str = "centre", height: float = 0.05) -> Observation:
    """A text block of these lines, one below the other."""
    boxes = [[line, 0.9, [0.3, 0.4 + i * height, 0.4, height]] for i, line in enumerate(lines)]
    return observe("text", t0_s, " / ".join(lines), k=k, lines=boxes, region=region)


def frame(t_s: float, text: str = "", *visible: Observation, **data: Any) -> Observation:
    """A sampled frame that lists ``visible``."""
    facts = {"cut": False, "people": 0, "faces": 0, "motion": 0.0, "brightness": 0.5, "colours": []} | data
    return observe("frame", t_s, text, evidence=tuple(o.id for o in visible), **facts)


def appears(t_s: float, kind: str, text: str, *, k: int = 0, **data: Any) -> Observation:
    """Something coming into view."""
    return observe("object", t_s, text, k=k, kind=kind, event="appears", **data)


class ListedMemory:
    """Holds observations in a list. ``gate`` holds calls up until it is set; ``failing`` is raised by calls.

    ``gated`` is the call that the gate holds up: "view", or "recall" (which scans, too). ``ended_s`` is when its source
    came to its end, None where it goes on.
    """

    def __init__(self, *observations: Observation, as_of_s: float | None = None, missing: str = "") -> None:
        self.ended_s: float | None = None
        self.observations = list(observations)
        self.as_of_s = as_of_s if as_of_s is not None else max((o.t1_s for o in observations), default=0.0)
        self.missing = missing
        self.remembered: list[Observation] = []
        self.gate: anyio.Event | None = None
        self.gated = "recall"
        self.waiting = anyio.Event()
        self.failing: MindstreamError | None = None
        self.searched: list[RecallRequest] = []

    def visible(self, view: View) -> list[Observation]:
        return [o for o in self.observations if o.source in view.limits and o.t1_s <= view.limits[o.source]]

    async def view(self, request: ViewRequest) -> View:
        if self.failing:
            raise self.failing
        await self._pass("view")
        as_of_s = self.as_of_s if request.as_of_s is None else request.as_of_s
        return View(generation=1, limits={SOURCE: as_of_s}, source=SOURCE, as_of_s=as_of_s)

    async def scan(self, request: ScanRequest) -> ScanReply:
        await self._pass("recall")
        found = [
            o
            for o in self.visible(request.view)
            if request.source in ("", o.source)
            and (not request.channels or o.channel in request.channels)
            and (not request.ids or o.id in request.ids)
            and (not request.windows or any(w.source == o.source and _touches(o, w) for w in request.windows))
            and (request.t0_s is None or o.t1_s >= request.t0_s)
            and (request.t1_s is None or o.t0_s <= request.t1_s)
        ]
        found.sort(key=lambda o: (o.t0_s, o.id), reverse=request.newest_first)
        return ScanReply(observations=tuple(found[: request.limit * max(1, len(request.windows))]))

    async def _pass(self, call: str) -> None:
        if self.gate is not None and self.gated == call:
            self.waiting.set()
            await self.gate.wait()

    async def recall(self, request: RecallRequest) -> RecallReply:
        self.searched.append(request)
        scan = ScanRequest(
            view=request.view,
            source=request.source,
            channels=request.channels or PERCEIVED_CHANNELS,
            t0_s=request.t0_s,
            t1_s=request.t1_s,
        )
        asked = words(request.query)
        hits = [
            Hit(observation=o, score=sum(match(word, words(o.text)) for word in asked) / max(1, len(asked)))
            for o in (await self.scan(scan)).observations
        ]
        hits = sorted((hit for hit in hits if hit.score), key=lambda hit: (-hit.score, hit.observation.t0_s))
        return RecallReply(hits=tuple(hits[: request.limit]))

    async def last_seen(self, request: LastSeenRequest) -> LastSeenReply:
        asked = [stem(word) for word in words(request.thing)]
        found = [
            Sighted(observation=o, until_s=o.t1_s)
            for o in self.visible(request.view)
            if o.channel in ("frame", "object", "text", "speech")
            and set(asked) <= {stem(word) for word in words(o.text)}
            and (request.t0_s is None or o.t1_s >= request.t0_s)
            and (request.t1_s is None or o.t0_s <= request.t1_s)
        ]
        found.sort(key=lambda s: s.observation.t0_s, reverse=True)
        return LastSeenReply(sightings=tuple(found[: request.limit]))

    async def spans(self, request: SpansRequest) -> SpansReply:
        return SpansReply()

    async def remember(self, request: RememberRequest) -> Done:
        self.remembered += request.observations
        return Done()

    async def status(self, request: StatusRequest) -> MemoryStatus:
        missing = {self.missing: f"no {self.missing} track"} if self.missing else {}
        record = SourceRecord(
            source=SOURCE,
            kind="file",
            uri="",
            fingerprint="",
            started_wall_s=0.0,
            missing=missing,
            watermarks={"video": self.as_of_s if self.ended_s is None else self.ended_s},
            ended={} if self.ended_s is None else {"video": "end"},
        )
        return MemoryStatus(generation=1, sources=(record,), observations={}, spans={}, bytes=0)


def _touches(o: Observation, window: TimeWindow) -> bool:
    return o.t1_s >= window.t0_s and o.t0_s <= window.t1_s
