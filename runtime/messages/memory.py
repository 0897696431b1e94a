"""Calls to memory, and what it answers."""

from __future__ import annotations

from typing import Literal

import msgspec

from runtime.messages.base import Channel, Message, Track
from runtime.messages.erasure import TimeWindow
from runtime.messages.perceived import Observation


class View(Message, frozen=True, tag="view"):
    """Memory as it was when a question was asked: nothing later can be seen through it.

    An observation is visible if its source is in ``limits``, its ``t1_s`` is not after that limit, and
    it was stored in a generation not after ``generation``.

    Of many memories seen as one, ``generations`` is that of each by its site, and ``generation`` a number for them all.
    """

    generation: int
    limits: dict[str, float]
    source: str = ""
    as_of_s: float = 0.0
    generations: dict[str, int] = msgspec.field(default_factory=dict)


class ViewRequest(Message, frozen=True, tag="view_request"):
    """The View of now, or of media time ``as_of_s`` of ``source`` (sources after it unseen).

    ``sources`` narrows it to those sources; empty means all that memory holds.
    """

    source: str = ""
    as_of_s: float | None = None
    sources: tuple[str, ...] = ()


class RecallRequest(Message, frozen=True, tag="recall_request"):
    """Find what fits ``query`` among the visible observations, filtered by time first.

    ``source`` and ``t0_s``..``t1_s`` are the window (overlap counts); ``channels`` empty means all
    perceived ones. ``vector``: the query's float16 vector, compared with those of the same space.
    ``elsewhere`` is what other memories have counted, taken in, so that scores mean the same in each: term -> how many
    of their observations hold it; ``elsewhere_size`` and ``elsewhere_groups`` are as in their replies, summed.
    ``limit`` 0 asks only for what is counted here.
    """

    query: str
    view: View
    source: str = ""
    t0_s: float | None = None
    t1_s: float | None = None
    channels: tuple[Channel, ...] = ()
    limit: int = 20
    vector: bytes | None = None
    vector_space: str = ""
    elsewhere: dict[str, int] = msgspec.field(default_factory=dict)
    elsewhere_size: int = 0
    elsewhere_groups: tuple[int, ...] = ()


class Hit(Message, frozen=True, tag="hit"):
    """One thing found. ``score`` is comparable within one reply only; ``why`` splits it by mechanism."""

    observation: Observation
    score: float
    why: dict[str, float] = msgspec.field(default_factory=dict)


class RecallReply(Message, frozen=True, tag="recall_reply"):
    """Where nothing else was asked for (`RecallRequest.limit` 0), ``counted``: how many of the ``size`` observations
    that are visible hold each term of the query; ``groups``: how many were said, written, seen, then their terms."""

    hits: tuple[Hit, ...] = ()
    took_s: float = 0.0
    counted: dict[str, int] = msgspec.field(default_factory=dict)
    size: int = 0
    groups: tuple[int, ...] = ()


class ScanRequest(Message, frozen=True, tag="scan_request"):
    """Visible observations in order of time (``newest_first`` reverses), overlapping a window.

    ``ids`` asks for exactly these (still only the visible ones). Payloads only if asked for.
    ``after_generation`` leaves out what was stored up to that generation: what is new since.
    ``kinds`` narrows the derived ones to these kinds ("caption").
    ``windows`` are read in one go, in place of ``source``, ``t0_s`` and ``t1_s``: up to ``limit`` of each, each
    observation once.
    """

    view: View
    source: str = ""
    channels: tuple[Channel, ...] = ()
    kinds: tuple[str, ...] = ()
    t0_s: float | None = None
    t1_s: float | None = None
    ids: tuple[str, ...] = ()
    newest_first: bool = False
    limit: int = 1000
    with_payload: bool = False
    after_generation: int = 0
    windows: tuple[TimeWindow, ...] = ()


class ScanReply(Message, frozen=True, tag="scan_reply"):
    observations: tuple[Observation, ...] = ()


class Span(Message, frozen=True, tag="span"):
    """A stretch of time held as one: a moment, an event of moments, an episode of events.

    ``stage`` is how much of it is still kept: ``full``; ``sketch``, its keyframe and what was pooled; ``pointer``, when
    it was and what it was about, no picture; ``tombstone``, only when it was, with ``why`` it was let go.
    ``trust`` is the least of all that it is made of (`runtime.trust`).
    """

    id: str
    source: str
    level: Literal["moment", "event", "episode"]
    t0_s: float
    t1_s: float
    text: str = ""
    parent: str = ""
    keyframe: str = ""
    stage: Literal["full", "sketch", "pointer", "tombstone"] = "full"
    why: str = ""
    trust: float = 1.0


class SpansRequest(Message, frozen=True, tag="spans_request"):
    view: View
    source: str = ""
    level: Literal["moment", "event", "episode"] = "event"
    t0_s: float | None = None
    t1_s: float | None = None
    limit: int = 1000


class SpansReply(Message, frozen=True, tag="spans_reply"):
    spans: tuple[Span, ...] = ()


class TimelineRequest(Message, frozen=True, tag="timeline_request"):
    """``t0_s``..``t1_s`` of one source at a glance, cut into ``buckets`` of equal length. -> `TimelineReply`"""

    view: View
    source: str
    t0_s: float
    t1_s: float
    buckets: int = 96


class TimelineReply(Message, frozen=True, tag="timeline_reply"):
    """What a stretch holds, bucket by bucket.

    counts   channel -> how many observations began in each bucket; channels with none are left out.
    pictures by bucket the id of a frame whose picture is kept, "" where there is none.
    gaps     (t0_s, t1_s, why) of what was not perceived, or was erased, those that follow each other as one.
    """

    counts: dict[str, tuple[int, ...]] = msgspec.field(default_factory=dict)
    pictures: tuple[str, ...] = ()
    gaps: tuple[tuple[float, float, str], ...] = ()


class RememberRequest(Message, frozen=True, tag="remember_request"):
    """Store observations made outside perception (questions, answers, corrections); idempotent by id."""

    observations: tuple[Observation, ...]


class Done(Message, frozen=True, tag="done"):
    """The thing asked for is done."""


class TrackLost(Message, frozen=True, tag="track_lost"):
    """A perception process is gone for good: its tracks of ``sources`` end where they stand, the rest is a gap.

    Sources that have not begun yet end on this track as soon as they do.
    """

    track: Track
    reason: str
    sources: tuple[str, ...] = ()


class StatusRequest(Message, frozen=True, tag="status_request"):
    pass


class SourceRecord(Message, frozen=True, tag="source_record"):
    """What memory knows of a source. ``watermarks`` and ``ended`` are by track; times in media seconds.
    ``wall_uncertainty_s``: of another machine's, by how much its clock and this one's may differ."""

    source: str
    kind: str
    uri: str
    fingerprint: str
    started_wall_s: float
    duration_s: float | None = None
    watermarks: dict[str, float] = msgspec.field(default_factory=dict)
    ended: dict[str, str] = msgspec.field(default_factory=dict)
    missing: dict[str, str] = msgspec.field(default_factory=dict)
    encoders: dict[str, str] = msgspec.field(default_factory=dict)
    wall_uncertainty_s: float = 0.0


class LevelBytes(Message, frozen=True, tag="level_bytes"):
    """What a level of memory weighs, its share of tables and indexes included, and what it may."""

    bytes: int
    budget: int


class SpaceRecord(Message, frozen=True, tag="space_record"):
    """How many vectors of a space memory holds, and of how many of them the picture too."""

    vectors: int
    pictures: int


class MemoryStatus(Message, frozen=True, tag="memory_status"):
    """What memory holds, counted. ``away``: of many memories seen as one, which could not be asked, and why."""

    generation: int
    sources: tuple[SourceRecord, ...]
    observations: dict[str, int]
    spans: dict[str, int]
    bytes: int
    index_bytes: int = 0
    path: str = ""
    schema: int = 0
    levels: dict[str, LevelBytes] = msgspec.field(default_factory=dict)
    away: dict[str, str] = msgspec.field(default_factory=dict)
    channel_bytes: dict[str, int] = msgspec.field(default_factory=dict)
    spaces: dict[str, SpaceRecord] = msgspec.field(default_factory=dict)
