"""When something was, as a person is told: 0:42 of a recording, "today 06:47:20, yard" of a camera."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence

from runtime.clock import media_time
from runtime.language.lists import join, join_some
from runtime.messages import Observation, SourceRecord
from runtime.sources import session_of

# So many moments of one claim are written out.
MARKS = 4


class Moments:
    """Tells moments of these sources, for somebody who asks at ``now_wall_s`` (Unix seconds)."""

    def __init__(self, records: Sequence[SourceRecord], now_wall_s: float) -> None:
        self._records = {record.source: record for record in records}
        self._now = datetime.datetime.fromtimestamp(now_wall_s)  # noqa: DTZ006 - the clock on the wall here

    @property
    def several(self) -> bool:
        """Whether there is more than one source, so that it has to be said which."""
        return len(self._records) > 1

    def is_live(self, source: str) -> bool:
        """Whether a source is told by the clock on the wall."""
        record = self._records.get(source)
        return record is not None and record.kind != "file" and record.started_wall_s > 0

    def at(self, source: str, t_s: float) -> str:
        """A moment within a sentence: "0:42", "06:47:20", "yesterday 18:30:05"."""
        if not self.is_live(source):
            return media_time(t_s)
        return self._wall(self._records[source].started_wall_s + t_s, today="")

    def apart_s(self, first: tuple[str, float], second: tuple[str, float]) -> tuple[float, float]:
        """(how much later the second of two moments of sources is than the first, by how much that may be wrong), in
        seconds: by the clock on the wall where both came live, with what is known of the clocks of other machines."""
        if first[0] == second[0] or not (self.is_live(first[0]) and self.is_live(second[0])):
            return second[1] - first[1], 0.0
        of_first, of_second = self._records[first[0]], self._records[second[0]]
        later_s = of_second.started_wall_s + second[1] - of_first.started_wall_s - first[1]
        if first[0].partition("/")[0] == second[0].partition("/")[0]:  # one machine's
            return later_s, 0.0
        return later_s, of_first.wall_uncertainty_s + of_second.wall_uncertainty_s

    def listed(self, places: Sequence[tuple[str, float]]) -> str:
        """Several moments in a sentence: "0:03, 0:09 and later"."""
        found = list(dict.fromkeys(self.at(source, t_s) for source, t_s in places))
        return join_some(found, MARKS)

    def mark(self, o: Observation, t_s: float | None = None) -> str:
        """A moment as it is cited, without its brackets."""
        t_s = o.t0_s if t_s is None else t_s
        if not self.is_live(o.source):
            return media_time(t_s)
        wall = self._wall(self._records[o.source].started_wall_s + t_s, today="today ")
        return f"{wall}, {label(o.source)}"

    def marks(self, observations: Iterable[Observation]) -> str:
        """The moments of several observations, each once, in brackets: ``[0:03], [0:09] and [0:24]``."""
        found = list(dict.fromkeys(f"[{self.mark(o)}]" for o in observations))
        return join(found[:MARKS])

    def began(self, source: str) -> str:
        """The day and time at which a source began; "" where it is not known."""
        record = self._records.get(source)
        if record is None or not record.started_wall_s:
            return ""
        began = datetime.datetime.fromtimestamp(record.started_wall_s)  # noqa: DTZ006
        return f"{day_name(began.date(), self._now.date())} at {began:%H:%M}"

    def _wall(self, wall_s: float, today: str) -> str:
        then = datetime.datetime.fromtimestamp(wall_s)  # noqa: DTZ006
        if then.date() == self._now.date():
            return f"{today}{then:%H:%M:%S}"
        return f"{day_name(then.date(), self._now.date())} {then:%H:%M:%S}"


def day_name(day: datetime.date, today: datetime.date) -> str:
    """A day as one says it: "today", "yesterday", "Tuesday 24 November", with its year where that is another."""
    if day == today:
        return "today"
    if day == today - datetime.timedelta(days=1):
        return "yesterday"
    year = f" {day.year}" if day.year != today.year else ""
    return f"{day:%A} {day.day} {day:%B}{year}"


def label(source: str) -> str:
    """What a source is called: the label of a live one, else its name."""
    return session_of(source)[0] or source
