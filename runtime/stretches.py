"""Which stretch of each source a time means: what was said of the clock or of media time, by what the sources are.

A time that may be either ("14:30") is of the clock for what comes live, and media time of a recording; where only the
other of the two lies within what was perceived, the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from runtime.language.clock_words import Bound
from runtime.messages import SourceRecord, TimeWindow, round_time


class Now(Struct, frozen=True):
    """When something is asked: Unix seconds, and media seconds of each source that comes live at the time."""

    wall_s: float
    media_s: Mapping[str, float] = {}


def is_live(record: SourceRecord) -> bool:
    """Whether a source is told by the clock on the wall."""
    return record.kind != "file"


def goes_on(record: SourceRecord) -> bool:
    """Whether more of it may come."""
    return any(track not in record.ended for track in record.watermarks)


def known_until_s(record: SourceRecord, now: Now) -> float:
    """Media time up to which anything of a source can be in memory, or on its way there."""
    return max([0.0, *record.watermarks.values(), now.media_s.get(record.source, 0.0)])


def began_wall_s(record: SourceRecord, now: Now) -> float:
    """When a source began by the clock as it goes now: that may have been set since. 0 where it is not known."""
    if record.started_wall_s and record.source in now.media_s:
        return now.wall_s - now.media_s[record.source]
    return record.started_wall_s


def ago_s(ago: float, record: SourceRecord, until_s: float, now: Now) -> float:
    """Media time of some seconds ago: of media time for what is being perceived, whatever becomes of the clock on the
    wall meanwhile, and for recordings; by that clock for what came live and has ended, but never from before that."""
    if record.source in now.media_s or not is_live(record) or not record.started_wall_s:
        return until_s - ago
    return max(now.wall_s, record.started_wall_s + until_s) - ago - record.started_wall_s


def media_s(bound: Bound, record: SourceRecord, until_s: float, now: Now) -> float | None:
    """Media seconds of a bound in a source that is known up to ``until_s``; None where it cannot be told, as the clock
    of a source that does not say when it began."""
    began_s = began_wall_s(record, now)
    match bound.kind:
        case "media":
            return bound.s
        case "share":
            return bound.s * until_s
        case "wall":
            return bound.s - began_s if began_s else None
        case "ago":
            return ago_s(bound.s, record, until_s, now)
        case "clock":
            wall = bound.wall_s - began_s if bound.wall_s and began_s else None
            first, other = (wall, bound.s) if is_live(record) and wall is not None else (bound.s, wall)
            assert first is not None  # one of the two is media time
            return other if other is not None and not 0 <= first <= until_s + 1 and 0 <= other <= until_s + 1 else first


def windows_of(
    begin: Bound | None,
    end: Bound | None,
    records: Iterable[SourceRecord],
    now: Now,
    limits: Mapping[str, float] | None = None,
) -> tuple[TimeWindow, ...]:
    """The stretch between two bounds, either of which may be open, in each of the sources that it reaches.

    ``limits``: up to when each is known, where that is not by `known_until_s`.
    """
    found = []
    for record in records:
        until_s = known_until_s(record, now) if limits is None else limits.get(record.source, 0.0)
        t0_s = 0.0 if begin is None else media_s(begin, record, until_s, now)
        t1_s = until_s if end is None else media_s(end, record, until_s, now)
        if t0_s is None or t1_s is None:
            continue
        t0_s, t1_s = max(0.0, t0_s), min(t1_s, until_s)
        if t0_s <= t1_s:
            found.append(TimeWindow(source=record.source, t0_s=round_time(t0_s), t1_s=round_time(t1_s)))
    return tuple(found)
