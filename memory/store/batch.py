"""Perceived messages gathered into one batch, to be made durable together.

Pure: the same deliveries give the same batch. What is not well-formed is left out and counted, never
repaired, because a repaired time would move a fact.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from msgspec import Struct, field

from memory.store.admission import find_fault, find_fault_of_source, is_time
from runtime.messages import (
    LOST_MARK,
    TRACKS,
    GapFacts,
    Message,
    Observation,
    Progress,
    SourceEnded,
    SourceOpened,
    SourceRecord,
    Track,
    observation_id,
    round_time,
)


class Delivered(Protocol):
    """A message with its place in its publisher's sequence (`runtime.bus.Delivery`)."""

    @property
    def publisher(self) -> str: ...
    @property
    def epoch(self) -> int: ...
    @property
    def seq(self) -> int: ...
    @property
    def message(self) -> Message: ...


class Batch(Struct, frozen=True, kw_only=True):
    """What one transaction writes.

    opened        tracks that began, in order.
    observations  in order of arrival, each id once.
    watermarks    (source, track) -> media seconds up to which everything was sent.
    ended         (source, track) -> why.
    sequence      (publisher, epoch) -> last sequence number contained.
    refused       how many messages were not well-formed, by reason.
    """

    opened: tuple[SourceOpened, ...] = ()
    observations: tuple[Observation, ...] = ()
    watermarks: dict[tuple[str, str], float] = field(default_factory=dict)
    ended: dict[tuple[str, str], str] = field(default_factory=dict)
    sequence: dict[tuple[str, int], int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)


def gather(deliveries: Iterable[Delivered]) -> Batch:
    """One batch of what was delivered, in order. A repeated observation counts once, the first."""
    opened: list[SourceOpened] = []
    observations: dict[str, Observation] = {}
    watermarks: dict[tuple[str, str], float] = {}
    ended: dict[tuple[str, str], str] = {}
    sequence: dict[tuple[str, int], int] = {}
    refused: dict[str, int] = {}
    for delivery in deliveries:
        publisher = (delivery.publisher, delivery.epoch)
        sequence[publisher] = max(sequence.get(publisher, 0), delivery.seq)
        match delivery.message:
            case Observation() as observation:
                if fault := find_fault(observation):
                    refused[fault] = refused.get(fault, 0) + 1
                else:
                    observations.setdefault(observation.id, observation)
            case SourceOpened() as source:
                if fault := find_fault_of_source(source):
                    refused[fault] = refused.get(fault, 0) + 1
                    continue
                opened.append(source)
                ended.pop((source.source, source.track), None)
            case Progress(source=source, track=track, t_s=t_s) if is_time(t_s):
                watermarks[source, track] = max(watermarks.get((source, track), 0.0), t_s)
            case SourceEnded(source=source, track=track, t_s=t_s, reason=reason) if is_time(t_s):
                watermarks[source, track] = max(watermarks.get((source, track), 0.0), t_s)
                ended[source, track] = reason or "end"
            case _:
                refused["time"] = refused.get("time", 0) + 1
    return Batch(
        opened=tuple(opened),
        observations=tuple(observations.values()),
        watermarks=watermarks,
        ended=ended,
        sequence=sequence,
        refused=refused,
    )


def ends_track(observation: Observation) -> tuple[str, str] | None:
    """The (source, track) whose end this gap states, if it does.

    A process that will not come back cannot say so itself; `lost_gap` says it in its place.
    """
    if isinstance(observation.data, GapFacts) and observation.data.ends_track:
        return observation.source, observation.data.track
    return None


def lost_gap(record: SourceRecord, track: Track, reason: str) -> Observation:
    """The rest of a track whose process is gone: from its watermark to the source's end, as far as that is known."""
    t0_s = record.watermarks.get(track, 0.0)
    t1_s = max([t0_s, record.duration_s or 0.0, *record.watermarks.values()])
    return Observation(
        id=observation_id(record.source, "gap", t0_s, k=1 + TRACKS.index(track)),
        source=record.source,
        channel="gap",
        t0_s=t0_s,
        t1_s=round_time(t1_s),
        text=f"{LOST_MARK}{reason}",
        data=GapFacts(track=track, reason=reason, ends_track=True),
    )
