"""Times as people say them: stretches of the clock on the wall, of media time, and moments that are both until the
sources tell which ("14:30").

The layer of intervals: "between ... and ...", "since ...", "in the last ...", "at ..."; below it `clock_words` reads
moments. Pure: ``now`` comes from the caller. The work grows with the length of the text.
"""

from __future__ import annotations

import datetime
import re
from typing import Literal

from msgspec import Struct

from runtime.language.clock_words import (
    DAY_S,
    UNITS_S,
    UNKNOWN,
    Bound,
    MomentReader,
    beside,
    later,
    wall_s_of,
)
from runtime.language.data import LEXICON

# "At 0:42" may be a second or two off on either side, by the asker's eye and by the one-second sampling.
AT_SLACK_S, ABOUT_SLACK_S = 2.0, 3.0
# "Just before 0:42" is not all there was before; what "just happened"; "recently".
JUST_S, LATELY_S, RECENTLY_S = 15.0, 30.0, 600.0
_WHOLE = frozenset(LEXICON["times"]["whole"])
_DONE = frozenset(LEXICON["times"]["done"])
_PART_LEADS = frozenset(
    "in during within over for the at near toward towards by to initially halfway midway from since right".split()
)
# "Until when", "after that": no event follows.
_NO_ANCHOR = frozenset(("that", "this", "it", "all", "", "you", "me", "when", "what", "which"))
_RELATIONS: dict[str, Literal["before", "after", "during"]] = {
    "before": "before", "until": "before", "while": "during", "during": "during", "after": "after", "once": "after",
    "following": "after",
}  # fmt: skip


class Anchor(Struct, frozen=True):
    """An event named in the question that bounds its time: what is asked lies before, after or during it."""

    relation: Literal["before", "after", "during"]
    text: str


class TimeWords(Struct, frozen=True):
    """What a text says about time.

    rest     the text without these words, ``said`` the words.
    begin/end  of the stretch; None is open.
    anchor   an event that bounds it, still to be found.
    now      the moment of asking; ``lately`` what just happened, ``pick`` the first or last of several.
    unknown  a word of time that is not understood; ``future`` it is yet to come; ``dated`` it names a day that was.
    """

    rest: str
    begin: Bound | None = None
    end: Bound | None = None
    anchor: Anchor | None = None
    now: bool = False
    lately: bool = False
    said: str = ""
    unknown: str = ""
    future: bool = False
    dated: bool = False

    @property
    def bounded(self) -> bool:
        """Whether there is a stretch at all."""
        return self.begin is not None or self.end is not None


# 32 years.
LONGEST_S = 1e9


def parse_times(text: str, now: datetime.datetime) -> TimeWords:
    """The time words of ``text``, said at ``now`` (with its zone)."""
    return _Reader(text, now).read()


def parse_length_s(text: str) -> float | None:
    """Seconds of "two minutes", "1h 30m", "90 s", "a minute and a half"; None where it is no such thing."""
    reader = _Reader(text, datetime.datetime.fromtimestamp(0, datetime.UTC))
    found = reader.length(0)
    return found[0] if found is not None and found[1] == len(reader.words) and found[0] < LONGEST_S else None


def parse_moment(text: str, now: datetime.datetime) -> tuple[Bound, Bound] | None:
    """The begin and the end of a moment or a day that ``text`` names by itself ("yesterday 14:00", "0:42", "90s",
    "10m ago", "now"); None where it names none. The ends differ by the length of a day, or in the hour that a change
    of the clock gives twice."""
    reader = _Reader(text, now)
    if reader.words == ["now"]:
        return (Bound("wall", now.timestamp()),) * 2
    for read in (reader.ago, reader.moment, reader.plain_length):
        try:
            found = read(0)
        except (OverflowError, ValueError):  # a year, or a number, that no calendar has
            return None
        if found is not None and found[1] == len(reader.words):
            return found[0].first, found[0].last
    return None


class _Reader(MomentReader):
    """Reads the stretches that one text names."""

    def __init__(self, text: str, now: datetime.datetime) -> None:
        super().__init__(text, now)
        self._taken: list[tuple[int, int]] = []
        self._begin: Bound | None = None
        self._end: Bound | None = None
        self._flags: set[str] = set()
        self._unknown = ""
        self._anchor: Anchor | None = None
        # The words that an expression may begin with, and what reads it.
        self._leads = (
            ("between from".split(), self._between),
            ("right at now currently presently just lately recently up until till a moments".split(), self._present),
            (_PART_LEADS, self._part_of_it),
            ("since after before until till by right just shortly up following".split(), self._open),
        )

    def read(self) -> TimeWords:
        at = 0
        while at < len(self.words):
            try:
                after = self._expression(at)
            except (OverflowError, ValueError):  # a year, or a number, that no calendar has
                after = None
            if after is not None and after > at:
                after = min(after, len(self.words))  # the text may end before the expression does
                self._taken.append((at, after))
                at = after
            else:
                at += 1
        said = " ".join(self.text[self.tokens[a].start() : self.tokens[b - 1].end()] for a, b in self._taken)
        if self._anchor is None:
            self._find_anchor()
        return TimeWords(
            self._rest(), self._begin, self._end, self._anchor, "now" in self._flags, "lately" in self._flags, said,
            self._unknown, self.future, self.dated,
        )  # fmt: skip

    # --- expressions ----------------------------------------------------------------------------------------

    def _expression(self, at: int) -> int | None:
        word = self.words[at]
        for wanted, read in self._leads:
            if word in wanted and (after := read(at)) is not None:
                return after
        return self._at(at)

    def _between(self, at: int) -> int | None:
        first = self.moment(at + 1) or self.plain_length(at + 1) or self.bare(at + 1)
        if first is None or self.word(first[1]) not in ("and", "to", "until", "till", "-", "–"):
            return None
        second = self.moment(first[1] + 1) or self.plain_length(first[1] + 1) or self.bare(first[1] + 1)
        if second is None:
            return None
        begin, end = first[0].first, second[0].last
        if begin.kind == "wall" and end.kind == "clock":  # "yesterday from 2 pm to 4:30", "between 2 pm and 3:30"
            end = Bound("wall", beside(end.wall_s, begin.s))
        elif end.kind == "wall" and begin.kind in ("clock", "media") and (hour := self._hour_before(begin, end)):
            begin = hour  # "from 2 to 4 pm"
        elif begin.kind == "media" and end.kind == "media" and end.s >= UNITS_S["m"] > begin.s and self._same_unit(at):
            begin = Bound("media", begin.s * 60.0)  # "from 2 to 4 minutes"
        if begin.kind == end.kind and end.s < begin.s:
            begin, end = end, begin
        if begin.kind == end.kind == "wall" and begin.s + DAY_S <= self.now.timestamp() < end.s + DAY_S:
            begin, end = later(begin, DAY_S), later(end, DAY_S)  # it goes on
        self._set(begin, end)
        return second[1]

    def _present(self, at: int) -> int | None:
        for phrase, flag in (
            ("up to now", ""), ("until now", ""), ("till now", ""), ("right now", "now"), ("just now", "lately"),
            ("at the moment", "now"), ("at this moment", "now"), ("at this very moment", "now"), ("at present", "now"),
            ("a moment ago", "lately"), ("moments ago", "lately"), ("lately", "recent"), ("recently", "recent"),
            ("currently", "now"), ("presently", "now"), ("now", "now"),
        ):  # fmt: skip
            if self.is_(at, phrase) and not (phrase == "now" and self.word(at + 1) in ("that", "we", "then")):
                if flag == "recent":
                    self._set(Bound("ago", RECENTLY_S), None)
                elif flag:
                    self._flags.add(flag)
                return at + len(phrase.split())
        if self.word(at) == "just" and self._is_past(at + 1):
            self._flags.add("lately")
            return at + 1
        return None

    def _part_of_it(self, at: int) -> int | None:
        begin = at
        if self.word(at) == "right":
            at += 1
        preposition = self.word(at)
        if preposition in ("initially", "halfway", "midway"):
            middle = preposition != "initially"
            self._set(Bound("share", 0.4 if middle else 0.0), Bound("share", 0.6 if middle else 0.12))
            return self._of_it(at + (2 if self.word(at + 1) == "through" else 1))
        at += preposition != "the"
        at += self.word(at) == "the"
        at += self.word(at) == "very"
        which = self.word(at)
        at += 1
        if which in ("first", "last", "past", "final", "next", "second", "third", "latter"):
            share = {"half": 0.5, "third": 1 / 3, "quarter": 0.25}.get(self.word(at))
            if self.unit_at(at):
                share = None  # "the last half minute"
            if share is not None and preposition in ("in", "during", "the", "within", "over"):
                from_share = {"first": 0.0, "second": share, "third": 2 * share}.get(which, 1.0 - share)
                self._set(Bound("share", from_share), Bound("share", from_share + share))
                return self._of_it(at + 1)
            length = self.length(at) or self.unit_alone(at)
            if length is None or which in ("second", "third", "next", "latter"):
                return None
            if which == "first":
                self._set(Bound("media", 0.0), Bound("media", length[0]))
            elif length[0] < DAY_S or preposition in ("in", "during", "within", "over", "for"):
                self._set(Bound("ago", length[0]), None)
            else:
                return None  # "last week" is a week of the calendar
            return self._of_it(length[1])
        if which in ("start", "beginning", "outset", "end", "middle") and preposition in (
            "at", "in", "from", "near", "toward", "towards", "by", "to", "since"
        ):  # fmt: skip
            wide = 2.5 if preposition.startswith(("near", "toward")) else 1.0
            if which == "middle":
                self._set(Bound("share", 0.4), Bound("share", 0.6))
            elif which == "end":
                self._set(Bound("share", 1.0 - 0.12 * wide), Bound("share", 1.0))
            elif preposition not in ("from", "since"):
                self._set(Bound("share", 0.0), Bound("share", 0.12 * wide))
            return self._of_it(at) if at > begin else None
        return None

    def _open(self, at: int) -> int | None:
        just = self.word(at) in ("right", "just", "shortly")
        at += just
        relation = self.word(at)
        if relation == "up":
            relation, at = "until", at + 1
        found = self.moment(at + 1) or self.plain_length(at + 1)
        if found is None or relation not in ("since", "after", "before", "until", "till", "by", "following"):
            return None
        if relation in ("since", "after", "following"):
            edge = found[0].first if relation == "since" else found[0].last
            self._set(edge, later(edge, JUST_S) if just else None)
        else:
            edge = found[0].first if relation == "before" else found[0].last
            self._set(later(edge, -JUST_S) if just else None, edge)
        return found[1]

    def _at(self, at: int) -> int | None:
        begin, about, led = at, False, False
        while self.word(at) in ("at", "on", "in", "around", "about", "approximately", "during", "over", "roughly"):
            about = about or self.word(at) not in ("at", "on", "in", "during", "over")
            led, at = True, at + 1
        if (ago := self.ago(at)) is not None and ago[0].first.kind == "wall":
            self._set(ago[0].first, ago[0].last)
            return ago[1]
        if ago is not None:
            slack_s = max(ABOUT_SLACK_S, 0.15 * ago[0].first.s)
            self._set(later(ago[0].first, -slack_s), later(ago[0].first, slack_s))
            return ago[1]
        found = self.moment(at)
        if found is not None and begin < at and not self._is_at(begin, at) and not self.word(at)[:1].isdigit():
            return None  # "about the morning" may be what is spoken of
        if found is None and led:
            found = self.plain_length(at) if self.word(begin) in ("at", "around", "about") else None
            at += self.word(at) == "the" and self.word(at + 1) in UNKNOWN
            if found is None and self.word(at) in UNKNOWN:
                self._unknown = self.word(at)
                return at + 1
        if found is None:
            return None
        moment = found[0]
        if moment.first.kind in ("clock", "media") and not led and not self.is_clock(at):
            return None
        slack_s = moment.slack_s if moment.first.kind == "wall" else ABOUT_SLACK_S if about else AT_SLACK_S
        begin_bound, end_bound = moment.first, moment.last
        if moment.first.kind == "clock" or moment.slack_s or moment.first.kind == "media":
            begin_bound, end_bound = later(moment.first, -slack_s), later(moment.last, slack_s)
        self._set(begin_bound, end_bound)
        after = found[1]
        return after + 1 if self.word(after) in ("mark", "in") and led else after

    def _is_at(self, begin: int, end: int) -> bool:
        """Whether a preposition of time is among these words, beside "about" and "around"."""
        return bool({"at", "on", "in", "during"} & set(self.words[begin:end]))

    def _is_past(self, at: int) -> bool:
        word = self.word(at)
        return word.endswith("ed") or word in _DONE

    def _same_unit(self, at: int) -> bool:
        return self.bare(at + 1) is not None and self.unit_alone(at + 2) is None

    def _hour_before(self, begin: Bound, end: Bound) -> Bound | None:
        """The bare number ``begin`` as an hour of the day of ``end``."""
        if begin.kind == "clock" and begin.wall_s:
            return Bound("wall", beside(begin.wall_s, end.s))
        if not 0 <= begin.s <= 12:
            return None
        noon = datetime.datetime.fromtimestamp(end.s)  # noqa: DTZ006 - the local day
        hour = begin.s + (12 if noon.hour >= 12 and begin.s < 12 else 0)
        return Bound("wall", wall_s_of(noon.date(), hour))

    def _of_it(self, at: int) -> int:
        """Past "of the video" and the like."""
        if self.word(at) == "of" and self.word(at + 1) in ("the", "this", "that", "it"):
            if self.word(at + 1) == "it":
                return at + 2
            if self.word(at + 2) in _WHOLE:
                return at + 3
        return at

    def _set(self, begin: Bound | None, end: Bound | None) -> None:
        known = self._begin
        if known is not None and begin is not None and known.kind == begin.kind == "wall" and end is not None:
            # "Yesterday morning, between 8 and 10 am": the narrower, on the day of the other.
            shift_s = beside(begin.s, known.s) - begin.s
            self._begin, self._end = later(begin, shift_s), later(end, shift_s)
            return
        self._begin = self._begin or begin
        self._end = self._end or end

    def _find_anchor(self) -> None:
        """ "Before the car came", "while she was singing": to the end of the clause."""
        taken = {i for a, b in self._taken for i in range(a, b)}
        for i, word in enumerate(self.words):
            relation = _RELATIONS.get(word)
            if relation is None or i in taken or self.word(i + 1) in _NO_ANCHOR:
                continue
            if self.word(i - 1) in ("long", "soon", "much", "far"):
                continue  # "how long after launch" asks for the time between
            end = next(
                (j for j in range(i + 1, len(self.words)) if self.words[j] in ",;:?!." or j in taken), len(self.words)
            )
            begin = i - (self.word(i - 1) in ("right", "just", "shortly", "immediately", "soon", "directly"))
            if end - i < 2 or not any(len(w) > 2 for w in self.words[i + 1 : end]):
                continue
            text = self.text[self.tokens[i + 1].start() : self.tokens[end - 1].end()]
            self._anchor = Anchor(relation, text)
            self._taken.append((begin, end))
            return

    def _rest(self) -> str:
        parts, at = [], 0
        for a, b in sorted(self._taken):
            parts.append(self.text[at : self.tokens[a].start()])
            at = self.tokens[b - 1].end()
        rest = " ".join([*parts, self.text[at:]])
        return re.sub(r" ([?!.,;:])", r"\1", " ".join(rest.split())).strip(" ,;:")
