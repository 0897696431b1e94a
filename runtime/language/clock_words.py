"""Moments as people say them: clocks and parts of the day, days of the calendar, lengths of time.

The layer below `runtime.language.times`, which reads the stretches between them. Days are read by dateparser where they
are dates, the rest by tables.
"""

from __future__ import annotations

import datetime
import re
from itertools import islice
from typing import Any, Literal

from msgspec import Struct

from runtime.language.data import LEXICON
from runtime.language.normalise import fold
from runtime.language.numbers import number_value

DAY_S = 86400.0
# "At 14:30" and "at 2 pm" of a clock on the wall.
MINUTE_SLACK_S, HOUR_SLACK_S = 90.0, 900.0
# Nobody says when in more.
WORDS_READ = 400

_DATA: dict[str, Any] = LEXICON["times"]
UNITS_S: dict[str, float] = _DATA["units"]
_AMOUNTS: dict[str, float] = _DATA["amounts"]
_PARTS: dict[str, tuple[float, float]] = _DATA["parts"]
_MONTHS = frozenset(_DATA["months"])
_BEFORE_PARTS = frozenset("in during over since until before after from at by around and to this".split())
UNKNOWN = frozenset(_DATA["unknown"])
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TOKEN = re.compile(r"\d+(?:[:./-]\d+)*|[^\W\d_]+(?:['’.][^\W\d_]+)*|[^\s\w]|_", re.UNICODE)
_CLOCK = re.compile(r"(\d{1,3}):(\d{2})(?::(\d{2}))?(?:\.(\d+))?")
_ISO = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./](?:\d{4}|\d{2})|\d{1,2}\.\d{1,2}\.?")

Kind = Literal["wall", "media", "clock", "ago", "share"]


class Bound(Struct, frozen=True):
    """One end of a stretch.

    wall   Unix seconds        media  media seconds       share  0..1 of the source
    ago    seconds before now  clock  media seconds, or ``wall_s`` where the clock on the wall is meant
    """

    kind: Kind
    s: float
    wall_s: float = 0.0


class Moment(Struct, frozen=True):
    """A moment or a day: from ``first`` to ``last``, one for a point; ``slack_s`` where it is said with "at"."""

    first: Bound
    last: Bound
    slack_s: float = 0.0


class MomentReader:
    """Reads moments in one text. Methods named for what they read take a place among its words and give what stands
    there and the place after it, or None."""

    def __init__(self, text: str, now: datetime.datetime) -> None:
        self.text = text
        self.now = now
        self.tokens = list(islice(_TOKEN.finditer(text), WORDS_READ))
        self.words = [fold(token[0]).replace(".", "") if token[0][0].isalpha() else token[0] for token in self.tokens]
        self.future = False
        self.dated = False

    # --- moments --------------------------------------------------------------------------------------------

    def ago(self, at: int) -> tuple[Moment, int] | None:
        """ "Two minutes ago", "an hour earlier"."""
        length = self.length(at)
        if length is None or self.word(length[1]) not in ("ago", "earlier", "back"):
            return None
        if length[0] >= DAY_S:  # days are those of the calendar
            self.dated = True
            day = self.now.date() - datetime.timedelta(days=round(length[0] / DAY_S))
            return _day_moment(day, day), length[1] + 1
        return Moment(Bound("ago", length[0]), Bound("ago", length[0])), length[1] + 1

    def moment(self, at: int) -> tuple[Moment, int] | None:
        """A clock, a day, or both in either order."""
        day = self._day(at)
        self.dated = self.dated or (day is not None and day[0][0] <= self.now.date() and self.word(at) != "tonight")
        if day is None:
            clock = self._clock(at, None)
            if clock is None:
                return None
            later = self._day(clock[1] + (self.word(clock[1]) == "on"))
            if later is not None and clock[0].first.kind in ("clock", "wall"):
                again = self._clock(at, later[0])
                return (again[0], later[1]) if again is not None else clock
            return clock
        first, last, after = *day[0], day[1]
        at_clock = after + (self.word(after) in ("at", "around", "about", "in", ",")) + 0
        at_clock += self.word(at_clock) == "the"
        clock = self._clock(at_clock, (first, last)) or self._clock(after, (first, last))
        if clock is not None and clock[0].first.kind == "wall":
            return clock
        self.future = self.future or first > self.now.date()
        return _day_moment(first, last), after

    def _clock(self, at: int, days: tuple[datetime.date, datetime.date] | None) -> tuple[Moment, int] | None:
        """A time of day (of ``days`` where they are known), or media time."""
        word, after = self.word(at), at + 1
        alone = at == 0 and word in ("noon", "midday", "midnight")
        if word in ("the", *_PARTS) and days is None and self.word(at - 1) not in _BEFORE_PARTS and not alone:
            return None  # "about the morning", "good morning"
        if word in ("the", "this", "that") and self.word(after) in _PARTS:
            word, at, after = self.word(after), after, after + 1
        if word in ("half", "quarter"):
            minutes = {"half": 30, "quarter": 15}[word]
            hour = number_value(self.word(at + 2))
            if self.word(at + 1) in ("past", "to") and hour is not None and 1 <= hour <= 12:
                minutes = minutes if self.word(at + 1) == "past" else -minutes
                return self._of_day(hour + minutes / 60.0, days, at + 3, sure=True, exact=True)
            return None
        if word in _PARTS:
            day = days[0] if days else self.now.date()
            from_h, to_h = _PARTS[word]
            if days is None and wall_s_of(day, from_h) > self.now.timestamp():
                day -= datetime.timedelta(days=1)
            return Moment(Bound("wall", wall_s_of(day, from_h)), Bound("wall", wall_s_of(day, to_h, late=True))), after
        if clock := _CLOCK.fullmatch(word):
            first, second, third = int(clock[1]), int(clock[2]), int(clock[3] or 0)
            if second > 59 or third > 59:
                return None
            if (half := self._half_of_day(after)) is not None:
                hour = first % 12 + (12 if half[0] == "pm" else 0)
                return self._of_day(hour + second / 60 + third / 3600, days, half[1], sure=True, exact=True)
            fraction = float(f"0.{clock[4]}") if clock[4] else 0.0
            media_s = (first * 3600 + second * 60 + third if clock[3] else first * 60 + second) + fraction
            after += self.word(after) in ("oclock", "hours") if days is None else 0
            if days is not None and first < 24:
                return self._of_day(first + second / 60 + third / 3600, days, after, sure=True, exact=True)
            wall_s = wall_s_of(self.now.date(), first + second / 60 + third / 3600) if first < 24 else 0.0
            if wall_s > self.now.timestamp():
                wall_s -= DAY_S
            return Moment(Bound("clock", media_s, wall_s), Bound("clock", media_s, wall_s)), after
        if word in ("second", "minute", "min") and (value := number_value(self.word(after))) is not None:
            begin_s = value * UNITS_S[word]
            return Moment(Bound("media", begin_s), Bound("media", begin_s)), after + 1
        value = number_value(word)
        if value is None or value != int(value) or not 0 <= value <= 24:
            return None
        if (half := self._half_of_day(after)) is not None and 1 <= value <= 12:
            return self._of_day(value % 12 + (12 if half[0] == "pm" else 0), days, half[1], sure=True)
        if self.word(after) in ("o", "oclock", "o'clock"):
            after += 2 if self.word(after) == "o" else 1
            return self._of_day(value, days, after)
        if self.word(after) in ("in", "at") and {self.word(after + 1), self.word(after + 2)} & _PARTS.keys():
            return self._of_day(value, days, after)
        return None

    def _of_day(
        self,
        hour: float,
        days: tuple[datetime.date, datetime.date] | None,
        after: int,
        sure: bool = False,
        exact: bool = False,
    ) -> tuple[Moment, int]:
        day = days[0] if days else self.now.date()
        for joint in range(2):  # "at 2 in the afternoon", "at seven in the evening"
            named = after + joint
            if self.word(named) in ("in", "at") and self.word(named + 1) == "the":
                named += 2
            elif self.word(named) == "at":
                named += 1
            if self.word(named) in _PARTS and self.word(named) not in ("noon", "midnight") and named > after:
                part = _PARTS[self.word(named)]
                hour = hour + 12 if hour < 12 and part[0] >= 12 else hour
                after, sure = named + 1, True
                break
        if not sure and hour <= 12 and wall_s_of(day, hour + 12) <= self.now.timestamp():
            hour += 12  # "two o'clock", said at three in the afternoon
        first_s, last_s = wall_s_of(day, hour), wall_s_of(day, hour, late=True)
        if days is None and first_s > self.now.timestamp():
            # What was, is asked: "at 5" said at 3 in the afternoon was this morning's or yesterday's.
            first_s, last_s = first_s - DAY_S, last_s - DAY_S
        slack_s = MINUTE_SLACK_S if exact else HOUR_SLACK_S
        return Moment(Bound("wall", first_s), Bound("wall", last_s), slack_s), after

    def _day(self, at: int) -> tuple[tuple[datetime.date, datetime.date], int] | None:
        """A day of the calendar, a week, a month."""
        today = self.now.date()
        at += self.word(at) == "on"
        at += self.word(at) == "the" and (self.word(at + 1) == "day" or self._is_ordinal(at + 1))
        word, after = self.word(at), at + 1
        if self.is_(at, "day before yesterday"):
            return _one(today, -2), at + 3
        if word in ("today", "yesterday", "tomorrow", "tonight"):
            after = at if word == "tonight" else after
            shift = {"yesterday": -1, "tomorrow": 1}.get(word, 0)
            self.future = self.future or shift > 0
            return (_one(today, shift), after) if word != "tonight" else ((today, today), at + 1)
        if word in ("last", "this", "past", "previous"):
            named = self.word(after)
            back = word != "this"
            if named == "night" or (named in _PARTS and not back):
                return _one(today, -1 if back else 0), after
            if named in ("week", "month", "year", "weekend"):
                return _period(named, today, back), after + 1
            if named in _WEEKDAYS:
                return _one(today, -((today.weekday() - _WEEKDAYS.index(named)) % 7 or (7 if back else 0))), after + 1
            return None
        if word in _WEEKDAYS:
            return _one(today, -((today.weekday() - _WEEKDAYS.index(word)) % 7 or 7)), after
        return self._date(at)

    def _date(self, at: int) -> tuple[tuple[datetime.date, datetime.date], int] | None:
        """A date by number or by the name of its month, read by dateparser."""
        after = at
        while after < min(at + 5, len(self.words)) and (
            self.words[after] in _MONTHS or self.words[after] in ("of", "th", "st", "nd", "rd", ",", "the")
            or (self.words[after].isdigit() and len(self.words[after]) != 3 and not self._half_of_day(after + 1))
            or bool(_DATE.fullmatch(self.words[after]))
        ):  # fmt: skip
            after += 1
        while after > at and self.words[after - 1] in ("of", ",", "the"):
            after -= 1
        said = self.words[at:after]
        if not any(word in _MONTHS for word in said) and not (said and _DATE.fullmatch(said[0])):
            return None
        if not any(word[0].isdigit() for word in said):
            if said[0] in ("may", "mar", "dec", "sep") or self.word(at - 1) not in ("in", "during", "last", "of"):
                return None
            month = dateparsed(f"1 {said[0]}", self.now)
            return ((month, _month_end(month)), after) if month else None
        day = dateparsed(self.text[self.tokens[at].start() : self.tokens[after - 1].end()], self.now)
        if day is None or (_DATE.fullmatch(said[0]) and said[0].count(".") == 1 and self.word(at - 1) != "on"):
            return None  # "3.5" is a number
        return (day, day), after

    # --- lengths --------------------------------------------------------------------------------------------

    def length(self, at: int) -> tuple[float, int] | None:
        """Seconds of "two minutes", "1h 30m", "half an hour", "a minute and a half"."""
        total, unit_s, begin = 0.0, 0.0, at
        while True:
            value, after = self.amount(at)
            if value is None:
                break
            unit = self.word(after).rstrip("s") if len(self.word(after)) > 1 else self.word(after)
            unit = {"minute": "minute", "hour": "hour", "hr": "hr", "mins": "min"}.get(unit, unit)
            if unit not in UNITS_S:
                break
            unit_s = UNITS_S[unit]
            total += value * unit_s
            at = after + 1
            if self.is_(at, "and a half"):
                total, at = total + unit_s / 2, at + 3
            at += self.word(at) in ("and", ",") and self.amount(at + 1)[0] is not None and self.unit_at(at + 1)
        return (total, at) if at > begin and total > 0 else None

    def plain_length(self, at: int) -> tuple[Moment, int] | None:
        """A length that is meant as a moment: "after 40 seconds", "90s"."""
        found = self.length(at)
        return (Moment(Bound("media", found[0]), Bound("media", found[0])), found[1]) if found is not None else None

    def bare(self, at: int) -> tuple[Moment, int] | None:
        value = number_value(self.word(at))
        return (Moment(Bound("media", value), Bound("media", value)), at + 1) if value is not None else None

    def amount(self, at: int) -> tuple[float | None, int]:
        word = self.word(at)
        if word in ("a", "an") and self.word(at + 1) in ("few", "couple", "half"):
            at, word = at + 1, self.word(at + 1)
        if word in _AMOUNTS:
            after = at + 1
            after += word in ("couple", "half") and self.word(after) in ("of", "a", "an")
            return _AMOUNTS[word], after
        value = number_value(word)
        joint = at + 1 + (self.word(at + 1) == "-")
        if value is not None and 20 <= value < 100 and value % 10 == 0 and not word.isdigit():
            unit = number_value(self.word(joint))
            if unit is not None and 0 < unit < 10:
                return value + unit, joint + 1
        return value, at + 1

    # --- small ones -----------------------------------------------------------------------------------------

    def word(self, at: int) -> str:
        return self.words[at] if 0 <= at < len(self.words) else ""

    def is_(self, at: int, phrase: str) -> bool:
        wanted = phrase.split()
        return self.words[at : at + len(wanted)] == wanted

    def is_clock(self, at: int) -> bool:
        return bool(_CLOCK.fullmatch(self.word(at))) or self.word(at) in ("second", "minute")

    def _is_ordinal(self, at: int) -> bool:
        return self.word(at).isdigit() and self.word(at + 1) in ("th", "st", "nd", "rd")

    def _half_of_day(self, at: int) -> tuple[str, int] | None:
        word = self.word(at)
        return (word, at + 1) if word in ("am", "pm") else None

    def unit_at(self, at: int) -> bool:
        after = self.amount(at)[1]
        return self.word(after).rstrip("s") in UNITS_S or self.word(after) in UNITS_S

    def unit_alone(self, at: int) -> tuple[float, int] | None:
        unit = self.word(at).rstrip("s")
        return (UNITS_S[unit], at + 1) if len(unit) > 2 and unit in UNITS_S else None


def dateparsed(said: str, now: datetime.datetime) -> datetime.date | None:
    """The day of a date, the latest that is not to come where no year is said."""
    if _ISO.fullmatch(said):
        try:
            return datetime.date(*map(int, said.split("-")))
        except ValueError:
            return None
    import dateparser  # 0.3 s to import, and few questions name a date

    found = dateparser.parse(
        said,
        languages=["en"],
        settings={
            "RELATIVE_BASE": now.replace(tzinfo=None), "PREFER_DATES_FROM": "past", "RETURN_AS_TIMEZONE_AWARE": False,
            "DATE_ORDER": "DMY" if "." in said else "MDY",
        },
    )  # fmt: skip
    return found.date() if found is not None else None


def wall_s_of(day: datetime.date, hour: float, late: bool = False) -> float:
    """Unix seconds of an hour of a local day, by that day's own offset. In the hour that a change of the clock gives
    twice, the first of them, or the second where it is the ``late`` end that is wanted."""
    days, seconds = divmod(round(hour * 3600), int(DAY_S))
    said = datetime.datetime.combine(day, datetime.time()) + datetime.timedelta(days=days, seconds=seconds)
    return said.replace(fold=int(late)).timestamp()


def beside(wall_s: float, other_s: float) -> float:
    """A time of day on the day of another moment."""
    said, day = datetime.datetime.fromtimestamp(wall_s), datetime.datetime.fromtimestamp(other_s).date()  # noqa: DTZ006
    return datetime.datetime.combine(day, said.time()).timestamp()


def later(bound: Bound, by_s: float) -> Bound:
    if bound.kind == "ago":
        return Bound("ago", max(0.0, bound.s - by_s))
    shifted = bound.s + by_s if bound.kind == "wall" else max(0.0, bound.s + by_s)
    return Bound(bound.kind, shifted, bound.wall_s + (by_s if bound.wall_s else 0.0))


def _one(today: datetime.date, shift: int) -> tuple[datetime.date, datetime.date]:
    day = today + datetime.timedelta(days=shift)
    return day, day


def _day_moment(first: datetime.date, last: datetime.date) -> Moment:
    return Moment(Bound("wall", wall_s_of(first, 0)), Bound("wall", wall_s_of(last, 24)))


def _month_end(day: datetime.date) -> datetime.date:
    return (day.replace(day=28) + datetime.timedelta(days=4)).replace(day=1) - datetime.timedelta(days=1)


def _period(named: str, today: datetime.date, back: bool) -> tuple[datetime.date, datetime.date]:
    if named in ("week", "weekend"):
        monday = today - datetime.timedelta(days=today.weekday() + (7 if back else 0))
        return monday + datetime.timedelta(days=5 if named == "weekend" else 0), monday + datetime.timedelta(days=6)
    if named == "month":
        last = today.replace(day=1) - datetime.timedelta(days=1) if back else _month_end(today)
        return last.replace(day=1), last
    year = today.year - back
    return datetime.date(year, 1, 1), datetime.date(year, 12, 31)
