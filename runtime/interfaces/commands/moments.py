"""Moments and stretches as a person types them, and the media time they mean in each source.

A moment is media time ("12:31", "1:02:03", "90s") or wall-clock time ("yesterday 14:00", "2026-11-22 9:05",
"monday 2pm", "10m ago", "now"). A bare "14:00" is media time: with a day before it, it is the clock on the wall.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from runtime.clock import media_time
from runtime.errors import UserError
from runtime.messages import SourceRecord, TimeWindow, round_time

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LENGTH = re.compile(
    r"(\d+(?:\.\d+)?)\s*(d|h|m|s)(?:ays?|(?:ou)?rs?|inutes?|ins?|econds?|ecs?)?\s*(?:and\s+|,\s*)?", re.IGNORECASE
)
_CLOCK = re.compile(r"(\d{1,3}):(\d{2})(?::(\d{2}))?(\.\d+)?")
_TIME_OF_DAY = re.compile(r"(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?\s*(am|pm|a\.m\.|p\.m\.)?", re.IGNORECASE)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_EXAMPLES = 'a moment is media time ("12:31", "90s") or a day and time ("yesterday 14:00", "2026-11-22 9:05", "now")'


class Moment(Struct, frozen=True):
    """``t_s``: media seconds, or Unix seconds of the wall clock."""

    kind: Literal["media", "wall"]
    t_s: float


class Now(Struct, frozen=True):
    """When something is asked: Unix seconds, and media seconds of each source that comes live at the time."""

    wall_s: float
    media_s: Mapping[str, float] = {}


def parse_length_s(text: str) -> float:
    """Seconds of "10m", "1h 30m", "90 s", "2 hours".

    Raises:
        UserError: it is no length of time.
    """
    parts = _LENGTH.findall(text)
    if not parts or _LENGTH.sub("", text).strip():
        raise UserError(f'{text!r} is no length of time; write "10m", "90s" or "1h 30m"')
    length_s = sum(float(number) * _UNITS_S[unit.lower()] for number, unit in parts)
    if length_s <= 0:
        raise UserError(f"{text!r} is no time at all")
    return length_s


def parse_moment(text: str, now: datetime.datetime, is_end: bool = False) -> Moment:
    """The moment ``text`` means in local time, said at ``now`` (with its zone). A bare day begins at midnight, and
    as the end of a stretch (``is_end``) it ends at the next.

    Raises:
        UserError: it is no moment.
    """
    said = " ".join(text.lower().replace(",", " ").split())
    if clock := _CLOCK.fullmatch(said):
        first, second, third, fraction = clock.groups()
        units = (int(first), int(second), int(third)) if third else (0, int(first), int(second))
        if units[2] > 59 or (third and units[1] > 59):
            raise UserError(f"{text!r} is no time: {_EXAMPLES}")
        return Moment("media", units[0] * 3600 + units[1] * 60 + units[2] + float(fraction or 0))
    if said == "now":
        return Moment("wall", now.timestamp())
    if said.endswith(" ago"):
        return Moment("wall", now.timestamp() - parse_length_s(said.removesuffix(" ago")))
    if _LENGTH.match(said) and not _LENGTH.sub("", said).strip():
        return Moment("media", parse_length_s(said))
    if re.fullmatch(r"\d+(?:\.\d+)?", said):
        return Moment("media", float(said))
    if not said:
        raise UserError(f"{text!r} is no time: {_EXAMPLES}")
    day, rest = _day(said, now)
    if not rest:
        return Moment("wall", _at(day + datetime.timedelta(days=1) if is_end else day, 0, 0, 0))
    found = _TIME_OF_DAY.fullmatch(rest.removeprefix("at ").removeprefix("t"))
    if not found or (day == now.date() and not said.startswith("today") and not found[4] and not found[2]):
        raise UserError(f"{text!r} is no time: {_EXAMPLES}")
    hour, minute, second = int(found[1]), int(found[2] or 0), int(found[3] or 0)
    if found[4] and not 1 <= hour <= 12:
        raise UserError(f"{text!r} is no time: {_EXAMPLES}")
    if found[4]:
        hour = hour % 12 + (12 if found[4].startswith("p") else 0)
    if hour > 23 or minute > 59 or second > 59:
        raise UserError(f"{text!r} is no time: {_EXAMPLES}")
    return Moment("wall", _at(day, hour, minute, second))


def stretch(
    begin: Moment | None, end: Moment | None, source: str, known: Sequence[SourceRecord], now: Now
) -> tuple[TimeWindow, ...]:
    """The windows between two moments, either of which may be open, in all sources they reach.

    Raises:
        UserError: the end is before the begin, media time could be of several sources, nothing was perceived then.
    """
    records = _of(source, known)
    is_media = any(moment is not None and moment.kind == "media" for moment in (begin, end))
    if is_media and len(records) > 1:
        raise UserError(
            f"whose media time? give --source ({', '.join(r.source for r in records)}), or a day and time of day"
        )
    windows = []
    for record in records:
        t0_s = 0.0 if begin is None else _media_s(begin, record, now)
        t1_s = known_until_s(record, now) if end is None else _media_s(end, record, now)
        if t0_s is None or t1_s is None:
            continue
        if begin is not None and end is not None and t1_s < t0_s:
            raise UserError("the end of that stretch is before its begin")
        t0_s, t1_s = max(0.0, t0_s), min(t1_s, known_until_s(record, now))
        if t0_s <= t1_s:
            windows.append(TimeWindow(source=record.source, t0_s=round_time(t0_s), t1_s=round_time(t1_s)))
    if not windows:
        raise UserError(f"nothing was perceived then; in memory: {'; '.join(_extent(r, now) for r in records)}")
    return tuple(windows)


def latest(length_s: float, source: str, known: Sequence[SourceRecord], now: Now) -> tuple[TimeWindow, ...]:
    """The last ``length_s`` seconds: of media time for what is being perceived, live or not, whatever becomes of the
    clock on the wall meanwhile; by that clock for what came live and has ended. Where neither reaches so far, the end
    of what was opened last.

    Raises:
        UserError: memory holds no source, or not this one.
    """
    records = _of(source, known)
    windows = []
    for record in records:
        until_s = known_until_s(record, now)
        if record.source in now.media_s or (goes_on(record) and not _is_live(record)):
            since_s = until_s - length_s
        elif _is_live(record) and record.started_wall_s:
            # Never from before it ended: a clock that was set back since tells no more than that it ended.
            ended_wall_s = record.started_wall_s + until_s
            since_s = max(now.wall_s, ended_wall_s) - length_s - record.started_wall_s
        else:
            continue
        if since_s <= until_s:
            windows.append((record, max(0.0, since_s), until_s))
    if not windows:
        until_s = known_until_s(records[-1], now)
        windows = [(records[-1], max(0.0, until_s - length_s), until_s)]
    return tuple(
        TimeWindow(source=record.source, t0_s=round_time(t0_s), t1_s=round_time(t1_s)) for record, t0_s, t1_s in windows
    )


def known_until_s(record: SourceRecord, now: Now) -> float:
    """Media time up to which anything of a source can be in memory, or on its way there."""
    return max([0.0, *record.watermarks.values(), now.media_s.get(record.source, 0.0)])


def _is_live(record: SourceRecord) -> bool:
    return record.kind != "file"


def goes_on(record: SourceRecord) -> bool:
    """Whether more of it may come."""
    return any(track not in record.ended for track in record.watermarks)


def _of(source: str, known: Sequence[SourceRecord]) -> list[SourceRecord]:
    records = [record for record in known if source in ("", record.source)]
    if not records:
        names = ", ".join(record.source for record in known)
        raise UserError(f"no source {source!r} in memory; there is {names}" if names else "memory holds no source yet")
    return records


def _media_s(moment: Moment, record: SourceRecord, now: Now) -> float | None:
    """Media time of a moment in a source; None where it is not known when the source began."""
    if moment.kind == "media":
        return moment.t_s
    began_wall_s = _began_wall_s(record, now)
    return moment.t_s - began_wall_s if began_wall_s else None


def _began_wall_s(record: SourceRecord, now: Now) -> float:
    """When a source began by the clock as it goes now: that may have been set since. 0 where it is not known."""
    if record.started_wall_s and record.source in now.media_s:
        return now.wall_s - now.media_s[record.source]
    return record.started_wall_s


def _day(said: str, now: datetime.datetime) -> tuple[datetime.date, str]:
    """The day ``said`` begins with, and what follows it; today where it names none."""
    word, _, rest = said.partition(" ")
    today = now.date()
    if word in ("today", "yesterday"):
        return today - datetime.timedelta(days=word == "yesterday"), rest
    if word in _WEEKDAYS:
        back = (today.weekday() - _WEEKDAYS.index(word)) % 7 or 7
        return today - datetime.timedelta(days=back), rest
    if dated := re.match(r"(\d{4})-(\d{1,2})-(\d{1,2})(?=$|[ t])", said):
        try:
            day = datetime.date(int(dated[1]), int(dated[2]), int(dated[3]))
        except ValueError as error:
            raise UserError(f"{said!r}: there is no such day") from error
        return day, said[dated.end() :].strip()
    return today, said


def _at(day: datetime.date, hour: int, minute: int, second: int) -> float:
    # Local time by the rules of that day: the offset of today is an hour off on the other side of a clock change.
    said = datetime.datetime(day.year, day.month, day.day, hour, minute, second)  # noqa: DTZ001
    return said.timestamp()


def _extent(record: SourceRecord, now: Now) -> str:
    text = f"{record.source} 0:00-{media_time(known_until_s(record, now))}"
    if began_wall_s := _began_wall_s(record, now):
        began = datetime.datetime.fromtimestamp(began_wall_s).astimezone()
        text += f" from {began:%Y-%m-%d %H:%M}"
    return text
