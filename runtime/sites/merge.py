"""Replies of several sites as one: views, hits, observations, what is known of memory, what was forgotten. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from runtime.messages import (
    ForgetReply,
    Hit,
    LevelBytes,
    MemoryStatus,
    Observation,
    RecallReply,
    SourceRecord,
    View,
)
from runtime.sites.names import joined, limits_at, observed_at
from runtime.trust import LOW_TRUST

# As in one memory (memory/recall/selection.py): however many were planted, they take no more of a list.
LOW_TRUST_SHARE = 0.25


def view_at(site: str, view: View, generation: int) -> View:
    """What of a View is of one site, as that site knows it."""
    limits = limits_at(site, view.limits)
    mine = view.source.startswith(f"{site}/")
    source = view.source.removeprefix(f"{site}/") if mine else next(reversed(limits), "")
    return View(
        generation=generation,
        limits=limits,
        source=source,
        as_of_s=view.as_of_s if mine else limits.get(source, 0.0),
    )


def records_at(site: str, records: Iterable[SourceRecord], uncertainty_s: float) -> list[SourceRecord]:
    """The sources of a site as they are known among those of others."""
    return [
        msgspec.structs.replace(r, source=joined(site, r.source), wall_uncertainty_s=round(uncertainty_s, 3))
        for r in records
    ]


def in_order_of_begin(records: Iterable[SourceRecord]) -> list[SourceRecord]:
    """Sources of all sites by when they began by the clock on the wall; of one site as it opened them."""
    return sorted(records, key=lambda r: r.started_wall_s)


def elsewhere(counted: Mapping[str, RecallReply], site: str) -> RecallReply:
    """What all other sites have counted, summed."""
    others = [reply for other, reply in counted.items() if other != site]
    held: Counter[str] = Counter()
    for reply in others:
        held.update(reply.counted)
    groups = tuple(map(sum, zip(*(reply.groups for reply in others if reply.groups), strict=True)))
    return RecallReply(counted=dict(held), size=sum(reply.size for reply in others), groups=groups)


def merge_hits(replies: Mapping[str, RecallReply], limit: int) -> tuple[Hit, ...]:
    """The best of all sites, best first, the little trusted no more than their share; scores are comparable, since
    each site counted what the others hold."""
    hits = [
        msgspec.structs.replace(hit, observation=observed_at(site, hit.observation))
        for site, reply in replies.items()
        for hit in reply.hits
    ]
    hits.sort(key=lambda hit: (-hit.score, hit.observation.source, hit.observation.t0_s, hit.observation.id))
    room = max(1, int(LOW_TRUST_SHARE * limit))
    chosen: list[Hit] = []
    for hit in hits:
        if hit.observation.trust < LOW_TRUST:
            if not room:
                continue
            room -= 1
        chosen.append(hit)
    return tuple(chosen[:limit])


def merge_scans(
    found: Iterable[Observation], limits: Mapping[str, float], newest_first: bool, limit: int
) -> list[Observation]:
    """Observations in the order one memory gives them: by source as the View has them, then by time."""
    order = {source: i for i, source in enumerate(limits)}
    ordered = sorted(
        {o.id: o for o in found}.values(),
        key=lambda o: (order.get(o.source, -1), o.t0_s, o.t1_s, o.channel, o.id),
        reverse=newest_first,
    )
    return ordered[:limit]


def merge_status(
    statuses: Mapping[str, MemoryStatus], uncertainty_s: Mapping[str, float], generation: int, away: dict[str, str]
) -> MemoryStatus:
    """All memories counted as one."""
    records: list[SourceRecord] = []
    observations: Counter[str] = Counter()
    spans: Counter[str] = Counter()
    channel_bytes: Counter[str] = Counter()
    levels: dict[str, LevelBytes] = {}
    for site, status in statuses.items():
        if site:
            records += records_at(site, status.sources, uncertainty_s.get(site, 0.0))
        observations.update(status.observations)
        spans.update(status.spans)
        channel_bytes.update(status.channel_bytes)
        for name, level in status.levels.items():
            before = levels.get(name, LevelBytes(bytes=0, budget=0))
            levels[name] = LevelBytes(bytes=before.bytes + level.bytes, budget=before.budget + level.budget)
    return MemoryStatus(
        generation=generation,
        sources=tuple(in_order_of_begin(records)),
        observations=dict(observations),
        spans=dict(spans),
        bytes=sum(status.bytes for status in statuses.values()),
        index_bytes=sum(status.index_bytes for status in statuses.values()),
        path=f"{len([site for site in statuses if site])} sites",
        levels=levels,
        channel_bytes=dict(channel_bytes),
        away=away,
    )


def merge_forgotten(replies: Mapping[str, ForgetReply], owed: Sequence[str]) -> ForgetReply:
    """What went, or would go, at all sites, and the proof of each."""
    observations: Counter[str] = Counter()
    whole = ForgetReply(owed=tuple(owed))
    for site, reply in replies.items():
        observations.update(reply.observations)
        before = f"{site}/" if site else ""
        whole = ForgetReply(
            observations=dict(observations),
            frames_bytes=whole.frames_bytes + reply.frames_bytes,
            extents={**whole.extents, **{f"{before}{name}": extent for name, extent in reply.extents.items()}},
            examples=whole.examples + tuple(observed_at(site, o) if site else o for o in reply.examples),
            spans=whole.spans + reply.spans,
            searched={**whole.searched, **{f"{before}{name}": n for name, n in reply.searched.items()}},
            files={**whole.files, **{f"{before}{name}": n for name, n in reply.files.items()}},
            traces={**whole.traces, **{f"{before}{name}": n for name, n in reply.traces.items()}},
            bytes_before=whole.bytes_before + reply.bytes_before,
            bytes_after=whole.bytes_after + reply.bytes_after,
            owed=tuple(owed),
            unsearched=whole.unsearched + reply.unsearched,
        )
    return whole
