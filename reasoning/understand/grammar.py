"""A question becomes a Frame: how it opens says what is made of the evidence, the lexicon says what its words are for.

Each word is taken once, by the first that knows it: the opening, the noun that asks for a value, words that point to a
channel, marks ("last", "at most"), the predicate; what is left over is what the question is about. The time this takes
grows with the length of the question.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection

import msgspec

from reasoning.understand.frame import AUXILIARY, VISIBLE, Frame
from reasoning.understand.matter import about_sources, options, sides, terms, things
from reasoning.understand.reading import Reading, plain_text
from reasoning.understand.settle import settle
from runtime.language import lexicon
from runtime.language.normalise import QUOTED
from runtime.language.numbers import number_value, ordinal_value
from runtime.language.stem import stem
from runtime.language.times import TimeWords, parse_times
from runtime.messages import Channel
from runtime.named_sources import Scope

# "Which two actors are named": the noun is sought so far from its question word.
NOUN_WITHIN = 4
_BE = frozenset("is are was were be been being gets got".split())
_CLAIM = re.compile(r"\b(?:say|says|said|mention(?:s|ed)?|heard?|claim(?:s|ed)?|announced?) that\b", re.IGNORECASE)
_CLAUSE = frozenset("that whether if they he she it we i you there".split())
_NO_CLAIM = frozenset("about of on anything something when what how to by".split())
_PAST = frozenset("was were did have".split())
_DETERMINERS = frozenset("the his her their its your that this".split())
_OF_A_KIND = frozenset("kind type sort of the other two three four five".split())
_CHANNELS: dict[str, tuple[Channel, ...]] = {
    "speech": ("speech",), "told": ("speech", "text"), "text": ("text",), "sound": ("sound",), "frame": ("frame",),
    "object": ("object", "frame"),
}  # fmt: skip
_WORDS_IN = frozenset(("speech", "told", "text"))
# Predicates whose words say no more than the frame does.
_SAID_BY_FRAME = frozenset(("happen", "say", "write", "speak", "begin", "end"))
_EMPTY_TELLING = frozenset(map(stem, "sentence mention ask named refer bring state quote describe".split()))
_LISTED = ("language", "city", "state", "country")
_SETS_IN = frozenset(map(stem, "start begin stop finish".split()))


def parse_question(text: str, now: datetime.datetime, scope: Scope = Scope(), times: TimeWords | None = None) -> Frame:  # noqa: B008
    """The Frame of ``text``, asked at ``now``; what it says of sources was taken out of it before (``scope``)."""
    plain = plain_text(" ".join(text[:20_000].split()))
    if times is None:
        claim = _CLAIM.search(plain)
        asked, claimed = (plain[: claim.end()], plain[claim.end() :]) if claim else (plain, "")
        times = parse_times(asked, now)
        if claimed:  # times in what is said to have been said are part of it
            times = msgspec.structs.replace(times, rest=f"{times.rest.rstrip()} {claimed.lstrip()}")
    return _Reader(times.rest).frame(plain, times, scope)


class _Reader(Reading):
    """Reads one question whose time words are known."""

    def frame(self, text: str, times: TimeWords, scope: Scope) -> Frame:
        begin = self._past_leads()
        opening = lexicon.OPENINGS.at(self.stems, begin) if begin < len(self) else None
        reduce, _, expects = (opening.value if opening else "value").partition("/")
        opened = after = begin + (opening.length if opening else 0)
        if reduce == "now" and self.word(begin + 1) in _PAST:
            reduce = "summary"  # "what was going on" has the stems of "what is going on"
        self.take(0, after)
        if reduce == "exists" and self.word(after) == "that":
            self.channels, self.clause_at = ["speech"], after  # "did you hear that the train is late?"
        # Number words that say how many of what is asked for ("which two actors", "the five buttons").
        numbers = {i for i, t in enumerate(self.tokens) if i >= after and number_value(t.word) not in (None, 1)}
        counting = numbers if reduce in ("value", "list") else set()
        if opening is not None and reduce == "value" and not expects:
            expects, after = self._noun_asked(after)
            expects = expects or ("number" if lexicon.MEASURED & set(self.stems) else "")  # "what does it cost?"
        elif reduce == "count" and after < len(self):
            noun = lexicon.TYPES.at(self.stems, after)
            if noun is not None and noun.value in _LISTED:
                reduce, expects = "value", noun.value  # "how many languages are mentioned": which tells how many
                self.roles |= dict.fromkeys(range(noun.start, noun.start + noun.length), "head")
        marks = self._marks(opened)
        self._points(after)
        predicate = self._predicate(after)
        if reduce == "summary" and "happen" in self.stems[begin:after]:
            predicate = "happen"  # "what happened to the dog?"
        phrases = tuple(" ".join(filter(None, found)).strip() for found in QUOTED.findall(self.text))
        compared = options(self, after)
        about = "transcript" if reduce == "transcript" else about_sources(self, reduce, expects, begin, scope)
        named = terms(self, counting, predicate in VISIBLE)
        frame = Frame(
            text=text,
            reduce=reduce,  # type: ignore[arg-type]
            times=times,
            expects=expects,
            channels=tuple(dict.fromkeys(c for name in self.channels for c in _CHANNELS[name])),
            predicate=predicate,
            terms=named,
            things=things(self, expects),
            colours=tuple(dict.fromkeys(filter(None, (lexicon.colour_of(t.word) for t in self.tokens)))),
            sides=sides(named),
            options=compared,
            phrases=phrases,
            ordinal=self._ordinal(marks),
            extreme="least" if "least" in marks else "most" if "most" in marks else "",
            about=about,  # type: ignore[arg-type]
            scope=scope,
            clause=self.clause_at is not None,
            still="still" in (token.word for token in self.tokens),
            fragment=opening is None,
        )
        return settle(frame, marks)

    # --- the opening -----------------------------------------------------------------------------------------

    def _past_leads(self) -> int:
        at = 0
        while at < len(self) and (lead := lexicon.LEADS.at(self.stems, at)) is not None:
            opening = lexicon.OPENINGS.at(self.stems, at)
            if opening is not None and opening.length >= lead.length:
                break
            at += lead.length
        return at if at < len(self) else 0

    def _noun_asked(self, at: int) -> tuple[str, int]:
        """The type that "which city", "what is the title of" ask for, and the place after its noun."""
        begin = at
        if self.word(at) in ("is", "are", "was", "were"):
            if self.word(at + 1) not in _DETERMINERS:
                return "", begin  # "what is being built?"
            at += 2
        at = first = self.skip(at, _OF_A_KIND)
        while at < min(len(self), first + NOUN_WITHIN) and (at == first or not self.is_empty(at)):
            if lexicon.SOURCES.at(self.stems, at) is not None and self.word(at + 1) != "about":
                self.roles[at] = "head"
                return "title" if self.word(at + 1) in lexicon.CALLED else "source", at + 1
            kind, named = lexicon.KINDS.at(self.stems, at), lexicon.THINGS.at(self.stems, at)
            noun = kind or lexicon.TYPES.at(self.stems, at)
            if noun is not None and not (named is not None and named.value != "person" and named.length > noun.length):
                after = noun.start + noun.length
                if begin < first and after < len(self) and lexicon.PREDICATES.at(self.stems, after) is not None:
                    break  # "what was the person wearing?"
                self.roles |= dict.fromkeys(range(noun.start, after), "head")
                of = self.tokens[after + 1 : after + 3] if self.word(after) == "of" else []
                if of and self.word(noun.start) in ("name", "names"):
                    if lexicon.THINGS.of(self.text[of[0].start :])[:1] == [lexicon.PERSON]:
                        return "name", after
                    # Of things it is what is written on them; a person has one that is known as such.
                    self.roles |= {i: "head" for i in range(after + 1, after + 1 + len(of)) if not self.is_empty(i)}
                    return "" if self.word(noun.start) == "names" else "title", after
                return "kind" if noun is kind else noun.value, after
            at += 1
        return "", begin

    # --- what words are for ----------------------------------------------------------------------------------

    def _marks(self, begin: int) -> frozenset[str]:
        found = set()
        for mark in lexicon.MARKS.find(self.stems[begin:]):
            if self.word(begin + mark.start + mark.length) in ("name", "names"):
                continue  # "what is his last name?"
            found.add(mark.value)
            self.take(begin + mark.start, mark.length)
        return frozenset(found)

    def _points(self, begin: int) -> None:
        """Words that point to a channel; what follows a verb of speech as a clause is left as it is."""
        at = begin
        while at < len(self):
            found = lexicon.POINTS.at(self.stems, at) if at not in self.taken else None
            after = at + (found.length if found is not None else 1)
            if found is None or self.is_side(at) or self.word(at) in ("name", "names"):
                at = after
                continue
            self.point(found.value)
            if found.value in _WORDS_IN or all(self.is_framing(i) for i in range(at, after)):
                self.take(at, found.length)
            if found.value == "told" and self.stems[at] not in _EMPTY_TELLING:
                self.roles[at] = "head"  # "which product is announced": it helps to find it, and is not needed
            if found.value in ("speech", "told") and self.clause_at is None:
                self._speaker(begin, at)
                if after + 1 < len(self) and (self.word(after) in _CLAUSE or self._claims(at, after)):
                    self.clause_at = after - (self.word(after) not in _CLAUSE)
                    return
            at = after

    def _claims(self, verb: int, after: int) -> bool:
        """Whether a verb is followed by what somebody is said to have said, without a "that" before it."""
        if self.stems[verb] not in ("say", "said") or self.word(after) in _NO_CLAIM:
            return False
        return bool(_BE & {t.word for t in self.tokens[after + 1 :]})

    def _speaker(self, begin: int, verb: int) -> None:
        """Who speaks stands right before the verb: "what does the old man say", "the teacher says"."""
        while self.stems[verb - 1] in _SETS_IN and verb - 1 > begin:
            verb -= 1  # "when does the woman start talking?"
        at = verb - 1
        while at >= begin and at not in self.taken and self.word(at) not in AUXILIARY:
            at -= 1
        passive = self.word(at) in _BE and self.word(verb).endswith(("ed", "said", "told", "en"))
        if self.stems[verb] != "accord" and not passive:
            for i in range(at + 1, verb):
                self.roles[i] = "speaker"

    def _predicate(self, begin: int) -> str:
        """What is done; its words are a role of their own, where the frame does not say them already."""
        chosen = ""
        for found in lexicon.PREDICATES.find(self.stems[begin:]):
            at = begin + found.start
            if self.clause_at is not None and at >= self.clause_at:
                break
            if self.is_side(at):
                continue
            if chosen in ("", "say", "speak"):
                chosen = found.value
            if found.value in _SAID_BY_FRAME:
                self.take(at, found.length)
            for i in range(at, at + found.length):
                if i not in self.taken:
                    self.roles.setdefault(i, "predicate")
        return chosen

    def _ordinal(self, marks: Collection[str]) -> int:
        if "last" in marks:
            return -1
        if "first" in marks:
            return 1
        nth = (ordinal_value(t.word) for i, t in enumerate(self.tokens) if self.word(i - 1) in _BEFORE_NTH)
        return next((value for value in nth if value is not None and value > 1), 0)


_BEFORE_NTH = frozenset(("the", "a", "his", "her"))
