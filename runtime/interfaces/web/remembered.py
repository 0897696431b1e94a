"""Routes that read memory: state, sources, the timeline, observations, search."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, get_args

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from runtime.errors import UserError
from runtime.interfaces.web.api import FROM, SOURCE, TO, Query, as_json, flag, get, integer, number
from runtime.interfaces.web.served import NotThere, Served
from runtime.messages import (
    Channel,
    MemoryStatus,
    Observation,
    ScanRequest,
    SearchRequest,
    SourceRecord,
    Span,
    SpansRequest,
    TimelineReply,
    TimelineRequest,
)
from runtime.sources import session_of

BUCKETS, BUCKETS_MAX = 96, 1000
# A longer stretch is told of in episodes: a day has more events than anybody reads.
EVENTS_UP_TO_S, EVENTS_MAX = 7200.0, 400
OBSERVATIONS, OBSERVATIONS_MAX = 200, 2000
HITS, HITS_MAX = 20, 100
UNWATCHED = "not watched"


class Source(Struct, frozen=True):
    """A source. Times of day are Unix seconds, 0 where they are not known; ``live``: it is perceived now."""

    source: str
    label: str
    kind: str
    started_wall_s: float
    until_s: float
    duration_s: float | None
    live: bool
    complete: bool
    missing: dict[str, str]
    encoders: dict[str, str]
    ended: dict[str, str]


class Seen(Struct, frozen=True):
    """An observation without its picture and vector; ``wall_s`` is when it began, 0 where that is not known."""

    id: str
    source: str
    channel: Channel
    t0_s: float
    t1_s: float
    wall_s: float
    text: str
    data: dict[str, Any]
    evidence: tuple[str, ...]
    trust: float


class Found(Struct, frozen=True):
    """A hit of a search; ``why`` splits its score, where that was asked for."""

    seen: Seen
    score: float
    why: dict[str, float] | None = None


class Hits(Struct, frozen=True):
    query: str
    hits: tuple[Found, ...]
    took_s: float


class Glance(Struct, frozen=True):
    """A stretch of a source bucket by bucket (`TimelineReply`), its events (of a long one its episodes), and when it
    was. Times are media seconds; of a ``camera``, whose sessions follow each other, Unix seconds, ``source`` being the
    newest session."""

    source: str
    camera: str
    started_wall_s: float
    t0_s: float
    t1_s: float
    counts: dict[str, tuple[int, ...]]
    pictures: tuple[str, ...]
    gaps: tuple[tuple[float, float, str], ...]
    events: tuple[Span, ...]


class ProcessState(Struct, frozen=True):
    """What a process last said of itself."""

    ready: bool
    idle: bool
    paused: bool
    ended: bool
    media_s: float
    data_age_s: float
    rss_bytes: int
    counters: dict[str, float]
    drops: dict[str, int]
    notes: tuple[str, ...]


class State(Struct, frozen=True):
    """What runs and what is remembered."""

    memory: MemoryStatus
    processes: dict[str, ProcessState]
    live: tuple[str, ...]


def label_of(source: str) -> str:
    """What people call it, and all sessions of it."""
    return session_of(source)[0] or source


def source_of(record: SourceRecord, live_labels: Iterable[str]) -> Source:
    label = label_of(record.source)
    is_live = record.kind != "file" and label in live_labels and set(record.watermarks) > set(record.ended)
    return Source(
        source=record.source, label=label, kind=record.kind, started_wall_s=record.started_wall_s,
        until_s=_perceived_s(record), duration_s=record.duration_s, live=is_live,
        complete=bool(record.ended) and set(record.watermarks) <= set(record.ended), missing=record.missing,
        encoders=record.encoders, ended=record.ended,
    )  # fmt: skip


def seen_of(observation: Observation, started: dict[str, float]) -> Seen:
    began_s = started.get(observation.source, 0.0)
    return Seen(
        id=observation.id, source=observation.source, channel=observation.channel, t0_s=observation.t0_s,
        t1_s=observation.t1_s, wall_s=round(began_s + observation.t0_s, 3) if began_s else 0.0, text=observation.text,
        data=msgspec.to_builtins(observation.data), evidence=observation.evidence, trust=observation.trust,
    )  # fmt: skip


async def started_walls(served: Served) -> dict[str, float]:
    """Source -> Unix seconds of its media second 0."""
    return {record.source: record.started_wall_s for record in (await served.status()).sources}


def state_of(served: Served, status: MemoryStatus) -> State:
    """``status`` with what the processes say of themselves."""
    processes = {
        name: ProcessState(
            ready=beat.ready, idle=beat.idle, paused=beat.paused, ended=beat.ended, media_s=beat.media_s,
            data_age_s=beat.data_age_s, rss_bytes=beat.rss_bytes, counters=beat.counters, drops=beat.drops,
            notes=beat.notes,
        )
        for name, beat in sorted(served.client.heartbeats.items())
    }  # fmt: skip
    return State(memory=status, processes=processes, live=served.client.live_labels)


async def status(served: Served, request: Request) -> Response:
    return as_json(state_of(served, await served.status()))


async def sources(served: Served, request: Request) -> Response:
    labels = served.client.live_labels
    return as_json([source_of(record, labels) for record in (await served.status()).sources])


async def timeline(served: Served, request: Request) -> Response:
    camera = request.query_params.get("camera", "")
    if camera:
        records = await _sessions(served, camera)
        starts = [record.started_wall_s for record in records]
    else:
        records, starts = [await served.record(request.query_params.get("source", ""))], [0.0]
    ends = [start_s + _perceived_s(record) for record, start_s in zip(records, starts, strict=True)]
    t0_s, t1_s = number(request, "t0_s", starts[0]), number(request, "t1_s", max(*ends, starts[0] + 1.0))
    buckets = integer(request, "buckets", BUCKETS, BUCKETS_MAX)
    if not t0_s < t1_s:
        raise UserError("t1_s is not after t0_s")
    found = _Stitched(buckets)
    for record, start_s, end_s in zip(records, starts, ends, strict=True):
        if start_s < t1_s and end_s >= t0_s:
            await found.add(served, record.source, start_s, t0_s, t1_s)
    for end_s, next_s in zip(ends, starts[1:], strict=False):
        if max(end_s, t0_s) < min(next_s, t1_s):
            found.gaps.append((end_s, next_s, UNWATCHED))
    return as_json(
        Glance(
            source=records[-1].source, camera=camera, started_wall_s=records[0].started_wall_s, t0_s=t0_s, t1_s=t1_s,
            counts={channel: tuple(row) for channel, row in sorted(found.counts.items())},
            pictures=tuple(found.pictures), gaps=tuple(sorted(found.gaps)), events=tuple(found.events[:EVENTS_MAX]),
        )
    )  # fmt: skip


async def _sessions(served: Served, camera: str) -> list[SourceRecord]:
    """All sessions of a live source, in order of time.

    Raises:
        NotThere: memory holds none.
    """
    known = [r for r in (await served.status()).sources if r.kind != "file" and label_of(r.source) == camera]
    if not known:
        raise NotThere(f"no camera {camera!r} in memory")
    return sorted(known, key=lambda record: record.started_wall_s)


def _perceived_s(record: SourceRecord) -> float:
    """Media time up to which a source is perceived."""
    return max(record.watermarks.values(), default=0.0)


class _Stitched:
    """The timelines of one or several sources, each moved to where it began."""

    def __init__(self, buckets: int) -> None:
        self.counts: dict[str, list[int]] = {}
        self.pictures = [""] * buckets
        self.gaps: list[tuple[float, float, str]] = []
        self.events: list[Span] = []

    async def add(self, served: Served, source: str, start_s: float, t0_s: float, t1_s: float) -> None:
        view = await served.client.view((source,))
        from_s, to_s = t0_s - start_s, t1_s - start_s
        wanted = TimelineRequest(view=view, source=source, t0_s=from_s, t1_s=to_s, buckets=len(self.pictures))
        glance: TimelineReply = await served.client.at_a_glance(wanted)
        for channel, row in glance.counts.items():
            so_far = self.counts.setdefault(channel, [0] * len(row))
            self.counts[channel] = [a + b for a, b in zip(so_far, row, strict=True)]
        self.pictures = [a or b for a, b in zip(self.pictures, glance.pictures, strict=True)]
        self.gaps += [(a_s + start_s, b_s + start_s, why) for a_s, b_s, why in glance.gaps]
        level: Any = "event" if t1_s - t0_s <= EVENTS_UP_TO_S else "episode"
        asked = SpansRequest(view=view, source=source, level=level, t0_s=from_s, t1_s=to_s, limit=EVENTS_MAX)
        for span in await served.client.spans(asked):
            self.events.append(msgspec.structs.replace(span, t0_s=span.t0_s + start_s, t1_s=span.t1_s + start_s))


async def spans(served: Served, request: Request) -> Response:
    level: Any = request.query_params.get("level", "event")
    if level not in ("moment", "event", "episode"):
        raise UserError(f"there is no level {level!r}; it is moment, event or episode")
    record = await served.record(request.query_params.get("source", ""))
    view = await served.client.view((record.source,))
    wanted = SpansRequest(
        view=view, source=record.source, level=level, t0_s=number(request, "t0_s", 0.0),
        t1_s=number(request, "t1_s", 1e12), limit=integer(request, "limit", OBSERVATIONS, OBSERVATIONS_MAX),
    )  # fmt: skip
    return as_json(await served.client.spans(wanted))


def channels_of(request: Request) -> tuple[Channel, ...]:
    """The channels a query names, separated by commas."""
    named = tuple(filter(None, request.query_params.get("channels", "").split(",")))
    if unknown := [name for name in named if name not in get_args(Channel)]:
        raise UserError(f"there is no channel {unknown[0]!r}; channels are {', '.join(get_args(Channel))}")
    return named  # type: ignore[return-value]


async def observations(served: Served, request: Request) -> Response:
    source = request.query_params.get("source", "")
    view = await served.client.view((source,) if source else ())
    has_stretch = bool({"t0_s", "t1_s"} & set(request.query_params))
    wanted = ScanRequest(
        view=view, source=source, channels=channels_of(request),
        t0_s=number(request, "t0_s", 0.0) if has_stretch else None,
        t1_s=number(request, "t1_s", 1e12) if has_stretch else None,
        limit=integer(request, "limit", OBSERVATIONS, OBSERVATIONS_MAX),
        newest_first=flag(request, "newest"),
    )  # fmt: skip
    started = await started_walls(served)
    return as_json([seen_of(o, started) for o in await served.client.scan(wanted)])


async def observation(served: Served, request: Request) -> Response:
    found = await one(served, request.path_params["id"])
    return as_json(seen_of(found, await started_walls(served)))


async def one(served: Served, id_: str, with_payload: bool = False) -> Observation:
    view = await served.client.view()
    found = await served.client.scan(ScanRequest(view=view, ids=(id_,), with_payload=with_payload))
    if not found:
        raise NotThere(f"memory holds no observation {id_!r}")
    return found[0]


async def search(served: Served, request: Request) -> Response:
    query = request.query_params.get("q", "").strip()
    if not query:
        raise UserError("search for what? give q")
    channels, limit = channels_of(request), integer(request, "limit", HITS, HITS_MAX)
    source = request.query_params.get("source", "")
    explain = flag(request, "explain")
    # Filtered here by channel, so that what remains are the best of them: more are asked for.
    reply = await served.client.search(
        SearchRequest(query=query, sources=(source,) if source else (), limit=limit * 5 if channels else limit)
    )
    started = await started_walls(served)
    hits = [hit for hit in reply.hits if not channels or hit.observation.channel in channels][:limit]
    return as_json(
        Hits(
            query=query,
            hits=tuple(
                Found(seen_of(h.observation, started), round(h.score, 4), h.why if explain else None) for h in hits
            ),
            took_s=reply.took_s,
        )
    )


async def health(served: Served, request: Request) -> Response:
    """Whether this process serves; says nothing else, to anybody."""
    return as_json({"ok": True, "up_s": round(time.monotonic() - served.started_s)})


_CHANNELS = Query("channels", "only these channels, separated by commas")
_LIMIT = Query("limit", "how many at most", "integer")

ENDPOINTS = (
    get("/healthz", "Whether the server is there", health, "state", dict[str, Any]),
    get("/api/status", "What runs and what is remembered", status, "state", State),
    get("/api/sources", "All sources, in the order they were opened", sources, "memory", list[Source]),
    get(
        "/api/timeline", "A stretch of a source at a glance", timeline, "memory", Glance,
        SOURCE, Query("camera", "instead, all sessions of the live source of this label, in Unix seconds"),
        FROM, TO, Query("buckets", "into how many parts it is cut", "integer"),
    ),
    get(
        "/api/spans", "Moments, events or episodes", spans, "memory", list[Span],
        SOURCE, Query("level", "moment, event or episode"), FROM, TO, _LIMIT,
    ),
    get(
        "/api/observations", "Observations in order of time", observations, "memory", list[Seen],
        SOURCE, _CHANNELS, FROM, TO, _LIMIT, Query("newest", "the newest first", "boolean"),
    ),
    get("/api/observations/{id:path}", "One observation", observation, "memory", Seen),
    get(
        "/api/search", "What memory holds that fits, best first", search, "memory", Hits,
        Query("q", "what to search for", required=True), SOURCE, _CHANNELS, _LIMIT,
        Query("explain", "why each hit ranks where it does", "boolean"),
    ),
)  # fmt: skip
