"""Moments and stretches as a person types them, and the media time they mean in each source.

A moment is media time ("12:31", "1:02:03", "90s") or wall-clock time ("yesterday 14:00", "2026-11-22 9:05",
"monday 2pm", "10m ago", "now"), read as in questions. A bare "14:00" is the clock on the wall of a camera, and media
time of a recording (`runtime.stretches`); with a day before it, it is the clock on the wall.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

from runtime.clock import media_time
from runtime.errors import UserError
from runtime.language import times
from runtime.language.clock_words import Bound
from runtime.messages import SourceRecord, TimeWindow, round_time
from runtime.stretches import Now, ago_s, began_wall_s, goes_on, is_live, known_until_s, windows_of

_EXAMPLES = 'a moment is media time ("12:31", "90s") or a day and time ("yesterday 14:00", "2026-11-22 9:05", "now")'


def parse_length_s(text: str) -> float:
    """Seconds of "10m", "1h 30m", "90 s", "2 hours".

    Raises:
        UserError: it is no length of time.
    """
    found = times.parse_length_s(text)
    if found is None:
        zero = re.fullmatch(r"\s*0+(?:\.0+)?\s*[a-z]+\s*", text)
        told = "is no time at all" if zero else 'is no length of time; write "10m", "90s" or "1h 30m"'
        raise UserError(f"{text!r} {told}")
    return found


def parse_moment(text: str, now: datetime.datetime, is_end: bool = False) -> Bound:
    """The moment ``text`` means in local time, said at ``now`` (with its zone). A bare day begins at midnight, and
    as the end of a stretch (``is_end``) it ends at the next.

    Raises:
        UserError: it is no moment.
    """
    said = re.sub(r"(?<=\d)[tT](?=\d)", " ", " ".join(text.replace(",", " ").split()))
    if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", said):
        return Bound("media", float(said))
    found = times.parse_moment(said, now)
    if found is None or (found[0].kind == "wall" and found[0].s > now.timestamp()):
        raise UserError(f"{text!r} is no time: {_EXAMPLES}")
    return found[1] if is_end else found[0]


def stretch(
    begin: Bound | None, end: Bound | None, source: str, known: Sequence[SourceRecord], now: Now
) -> tuple[TimeWindow, ...]:
    """The windows between two moments, either of which may be open, in all sources they reach.

    Raises:
        UserError: the end is before the begin, media time could be of several sources, nothing was perceived then.
    """
    records = _of(source, known)
    media = [bound for bound in (begin, end) if bound is not None and bound.kind in ("media", "clock")]
    recordings = [record for record in records if not is_live(record) or any(b.kind == "media" for b in media)]
    if media and len(records) > 1 and recordings:
        raise UserError(
            f"whose media time? give --source ({', '.join(r.source for r in records)}), or a day and time of day"
        )
    if begin is not None and end is not None and begin.kind == end.kind and end.s < begin.s and end.kind != "ago":
        raise UserError("the end of that stretch is before its begin")
    windows = windows_of(begin, end, records, now)
    if not windows:
        raise UserError(f"nothing was perceived then; in memory: {'; '.join(_extent(r, now) for r in records)}")
    return windows


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
        if not (record.source in now.media_s or goes_on(record) or is_live(record)):
            continue
        since_s = ago_s(length_s, record, until_s, now)
        if since_s <= until_s:
            windows.append((record, max(0.0, since_s), until_s))
    if not windows:
        until_s = known_until_s(records[-1], now)
        windows = [(records[-1], max(0.0, until_s - length_s), until_s)]
    return tuple(
        TimeWindow(source=record.source, t0_s=round_time(t0_s), t1_s=round_time(t1_s)) for record, t0_s, t1_s in windows
    )


def _of(source: str, known: Sequence[SourceRecord]) -> list[SourceRecord]:
    records = [record for record in known if source in ("", record.source)]
    if not records:
        names = ", ".join(record.source for record in known)
        raise UserError(f"no source {source!r} in memory; there is {names}" if names else "memory holds no source yet")
    return records


def _extent(record: SourceRecord, now: Now) -> str:
    text = f"{record.source} 0:00-{media_time(known_until_s(record, now))}"
    if began_s := began_wall_s(record, now):
        began = datetime.datetime.fromtimestamp(began_s).astimezone()
        text += f" from {began:%Y-%m-%d %H:%M}"
    return text
