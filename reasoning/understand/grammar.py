"""A question becomes a Frame: how it opens says what is made of the evidence, the lexicon says what its words are for.

Each word is taken once, by the first that knows it: the opening, the noun that asks for a value, words that point to a
channel, marks ("last", "at most"), the predicate; what is left over is what the question is about. The time this takes
grows with the length of the question.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Collection

import msgspec
from rapidfuzz.distance import OSA

from reasoning.understand.frame import Frame, Reduce, Role, Term
from runtime.language import lexicon
from runtime.language.normalise import Token, tokenise, words
from runtime.language.numbers import number_value, ordinal_value
from runtime.language.stem import stem
from runtime.language.times import TimeWords, parse_times
from runtime.messages import Channel
from runtime.named_sources import Scope

# Nobody asks for more; of a pasted page the begin is read.
WORDS_READ = 120
QUOTED = re.compile(r"[\"“”„«»]([^\"“”„«»]{1,80})[\"“”«»]|(?<!\w)['‘]([^'‘’]{2,80})['’](?!\w)")
# "Which two actors are named": the noun is sought so far from its question word.
NOUN_WITHIN = 4
_AUXILIARY = frozenset("is are was were be do does did has have had can could will would should may must s".split())
_BE = frozenset("is are was were be been being gets got".split())
_CLAIM = re.compile(r"\b(?:say|says|said|mention(?:s|ed)?|heard?|claim(?:s|ed)?|announced?) that\b", re.IGNORECASE)
_CLAUSE = frozenset("that whether if they he she it we i you there".split())
_NO_CLAIM = frozenset("about of on anything something when what how to by".split())
_SPEECH: tuple[Channel, ...] = ("speech",)
_CHANNELS: dict[str, tuple[Channel, ...]] = {
    "speech": ("speech",), "told": ("speech", "text"), "text": ("text",), "sound": ("sound",), "frame": ("frame",),
    "object": ("object", "frame"),
}  # fmt: skip
_WORDS_IN = frozenset(("speech", "told", "text"))
_MEDIA = frozenset(map(stem, "video clip recording film movie footage trailer audio audiobook excerpt".split()))
_WEAK = frozenset(("begin", "end", "move", "happen", "write", "stay", "say", "speak", "change"))
_EMPTY_TELLING = frozenset(map(stem, "mention ask named refer bring state quote describe".split()))
_GOES_ON = frozenset(map(stem, "going on happening you see hear here".split()))
_ARTICLES = frozenset(("a", "an", "the"))
_SIGHT = frozenset(("object", "frame"))
_ANYTHING = frozenset(("anything", "something", "everything", "nothing"))
_VISIBLE = frozenset(("enter", "leave", "pass", "move", "stay", "wear", "hold"))
_OPENERS = ("what", "when", "where", "which", "who", "whose", "how", "why", "did", "does", "is", "was", "were", "are",
            "has", "summarize", "describe", "list", "count")  # fmt: skip
# Words of asking that are mended wherever they stand; others may be meant as they are written.
_SLIPPERY = (
    "said",
    "mentioned",
    "written",
    "happened",
    "about",
    "there",
    "many",
    "colour",
    "people",
    "person",
    "first",
    "last",
)
_PEOPLE = ("person", "face")


def plain_text(text: str) -> str:
    """``text`` with contractions written out."""
    return _replaced(text, lambda i, raw: lexicon.CONTRACTIONS.get(raw))


def mend_slips(text: str) -> str:
    """``text`` with letters that changed places in a word of asking put right ("waht", "siad")."""
    return _replaced(text, _meant)


def _replaced(text: str, instead_of: Callable[[int, str], str | None]) -> str:
    out, at = [], 0
    for i, token in enumerate(tokenise(text, WORDS_READ)):
        instead = instead_of(i, token.text.replace("’", "'").lower())
        if instead is not None:
            out.append(text[at : token.start] + (instead.capitalize() if token.text[0].isupper() else instead))
            at = token.end
    return "".join((*out, text[at:])) if out else text


def _meant(at: int, raw: str) -> str | None:
    if len(raw) < 3 or raw in _OPENERS or raw in _SLIPPERY or raw in lexicon.STOP_WORDS:
        return None
    words = _OPENERS if at == 0 else _SLIPPERY
    return next(
        (
            word
            for word in words
            if len(word) == len(raw) and sorted(raw) == sorted(word) and OSA.distance(raw, word) == 1
        ),
        None,
    )


def parse_question(text: str, now: datetime.datetime, scope: Scope = Scope(), times: TimeWords | None = None) -> Frame:  # noqa: B008
    """The Frame of ``text``, asked at ``now``; what it says of sources was taken out of it before (``scope``)."""
    plain = plain_text(" ".join(text[:20_000].split()))
    if times is None:
        claim = _CLAIM.search(plain)
        asked, claimed = (plain[: claim.end()], plain[claim.end() :]) if claim else (plain, "")
        times = parse_times(asked, now)
        if claimed:  # times in what is said to have been said are part of it
            times = msgspec.structs.replace(times, rest=f"{times.rest.rstrip()} {claimed.lstrip()}")
    return _Reader(plain, times, scope).frame()


class _Reader:
    """Reads one question whose time words are known."""

    def __init__(self, text: str, times: TimeWords, scope: Scope) -> None:
        self.text = text
        self.rest = times.rest
        self.times = times
        self.scope = scope
        self.tokens: list[Token] = tokenise(self.rest, WORDS_READ)
        self.stems = [stem(token.word) for token in self.tokens]
        self.taken: set[int] = set()
        self.roles: dict[int, Role] = {}
        self.channels: list[str] = []
        self.predicate = ""
        self.clause_at: int | None = None
        # Number words that say how many of what is asked for ("which two actors", "the five buttons").
        self.counting: set[int] = set()

    def frame(self) -> Frame:
        begin = self._past_leads()
        opening = lexicon.OPENINGS.at(self.stems, begin) if begin < len(self.stems) else None
        reduce, _, expects = (opening.value if opening else "value").partition("/")
        after = begin + (opening.length if opening else 0)
        going = self.stems[begin + 2 : after]
        if reduce == "summary" and going and _GOES_ON.issuperset(going) and not self._is_past(begin):
            reduce = "now"  # "what is going on", where "what was going on" has the same stems
        elif reduce == "now" and self._is_past(begin):
            reduce = "summary"
        self.taken |= set(range(after))
        if reduce == "exists" and self._word(after) == "that" and after + 1 < len(self.stems):
            self.channels, self.clause_at = ["speech"], after  # "did you hear that the train is late?"
        phrases = self._phrases()
        if reduce in ("value", "list"):
            self.counting = {
                i
                for i in range(after, len(self.tokens))
                if number_value(self._word(i)) is not None and self._word(i) != "one"
            }
        if opening is not None and reduce == "value" and not expects:
            expects, after = self._noun_asked(after)
        elif opening is not None and reduce in ("count", "list") and self._word(after) not in _AUXILIARY:
            after = self._skip(after, ("different", "other", "more", "of", "all", "the", "kinds", "types"))
        marks = self._marks(after)
        self._points(after)
        self._predicate(after)
        if reduce == "summary" and "happen" in self.stems[begin:after]:
            self.predicate = "happen"  # "what happened to the dog?"
        options = self._options(after)
        about = self._about(reduce, expects, begin)
        terms = self._terms(phrases)
        frame = Frame(
            text=self.text,
            reduce=reduce,  # type: ignore[arg-type]
            times=self.times,
            expects=expects,
            channels=tuple(dict.fromkeys(c for name in self.channels for c in _CHANNELS[name])),
            predicate=self.predicate,
            terms=terms,
            things=self._things(expects),
            colours=tuple(dict.fromkeys(filter(None, (lexicon.colour_of(t.word) for t in self.tokens)))),
            sides=tuple(
                side
                for t in terms
                if not lexicon.CLOTHES.of(t.word) or t.role == "place"
                for side in lexicon.SIDES.of(t.word)
            ),
            options=options,
            phrases=phrases,
            ordinal=self._ordinal(marks),
            extreme="least" if "least" in marks else "most" if "most" in marks else "",
            about=about,  # type: ignore[arg-type]
            scope=self.scope,
            clause=self.clause_at is not None,
            still="still" in (token.word for token in self.tokens),
            wanted=int(max((number_value(self._word(i)) or 0 for i in self.counting), default=0)),
            fragment=opening is None,
        )
        return _settled(frame, opening is not None and begin == 0, marks)

    def _is_past(self, begin: int) -> bool:
        return self._word(begin + 1) in ("was", "were", "did", "happened", "went", "has", "have")

    # --- the opening -----------------------------------------------------------------------------------------

    def _past_leads(self) -> int:
        at = 0
        while at < len(self.stems) and (lead := lexicon.LEADS.at(self.stems, at)) is not None:
            opening = lexicon.OPENINGS.at(self.stems, at)
            if opening is not None and opening.length >= lead.length:
                break
            at += lead.length
        return at if at < len(self.stems) else 0

    def _noun_asked(self, at: int) -> tuple[str, int]:
        """The type that "which city", "what is the title of" ask for, and the place after its noun."""
        begin = at
        if self._word(at) in ("is", "are", "was", "were"):
            at += 1 + (self._word(at + 1) in ("the", "his", "her", "their", "its", "your", "that", "this"))
            if at == begin + 1:
                return "", begin
        elif self._word(at) in _AUXILIARY:
            return "", begin
        at = first = self._skip(at, ("kind", "type", "sort", "of", "the", "other", "two", "three", "four", "five"))
        while at < min(len(self.stems), first + NOUN_WITHIN) and (at == first or not self._is_empty(at)):
            found = lexicon.TYPES.at(self.stems, at)
            if SOURCES.at(self.stems, at) is not None:
                self.roles[at] = "head"
                return "source", at + 1
            kind = lexicon.KINDS.at(self.stems, at)
            named = lexicon.THINGS.at(self.stems, at)
            noun = kind or found
            if noun is not None and not (named is not None and named.value != "person" and named.length > noun.length):
                for i in range(noun.start, noun.start + noun.length):
                    self.roles[i] = "head"
                after = noun.start + noun.length
                if noun.value == "name" and self._word(noun.start) in ("name", "names") and self._word(after) == "of":
                    # Of things it is what is written on them; a person has one that is known as such.
                    of = next((i for i in range(after + 1, len(self.stems)) if not self._is_empty(i)), after)
                    if not self._names_person(of):
                        return "" if self._word(noun.start) == "names" else "title", after
                return "kind" if noun is kind else noun.value, after
            if named is not None:
                break  # "which bottle is taken away"
            at += 1
        return "", begin

    # --- what words are for ----------------------------------------------------------------------------------

    def _marks(self, begin: int) -> frozenset[str]:
        found = set()
        for mark in lexicon.MARKS.find(self.stems[begin:]):
            found.add(mark.value)
            if mark.value != "either":
                self._take(begin + mark.start, mark.length)
        return frozenset(found)

    def _points(self, begin: int) -> None:
        """Words that point to a channel; what follows a verb of speech as a clause is left as it is."""
        at = begin
        while at < len(self.stems):
            found = lexicon.POINTS.at(self.stems, at) if at not in self.taken else None
            if found is None:
                at += 1
                continue
            after = at + found.length
            if self._is_side(at) or self._word(at) in ("name", "names"):
                at = after
                continue
            if found.value in ("object", "frame", "sound") and not self._is_only_framing(at, found.length):
                if found.value not in self.channels:
                    self.channels.append(found.value)
                at = after
                continue
            if found.value not in self.channels:
                self.channels.append(found.value)
            self._take(at, found.length)
            if found.value == "told" and self.stems[at] not in _EMPTY_TELLING:
                self.roles[at] = "head"  # "which product is announced": it helps to find it, and is not needed
            if found.value in ("speech", "told") and self.clause_at is None:
                self._speaker(begin, at)
                if after + 1 < len(self.stems) and (self._word(after) in _CLAUSE or self._claims(at, after)):
                    self.clause_at = after - (self._word(after) not in _CLAUSE)
                    return
            at = after

    def _claims(self, verb: int, after: int) -> bool:
        """Whether a verb is followed by what somebody is said to have said, without a "that" before it."""
        plain = self._word(after) not in (
            "about",
            "of",
            "on",
            "anything",
            "something",
            "when",
            "what",
            "how",
            "to",
            "by",
        )
        return plain and self.stems[verb] in ("say", "said") and bool(_BE & {t.word for t in self.tokens[after + 1 :]})

    def _speaker(self, begin: int, verb: int) -> None:
        """Who speaks stands right before the verb: "what does the old man say", "the teacher says"."""
        at = verb - 1
        while at >= begin and at not in self.taken and self._word(at) not in _AUXILIARY:
            at -= 1
        passive = self._word(at) in _BE and self._word(verb).endswith(("ed", "said", "told", "en"))
        if self.stems[verb] != "accord" and not passive:
            for i in range(at + 1, verb):
                self.roles[i] = "speaker"

    def _predicate(self, begin: int) -> None:
        words = set(self.channels) & _WORDS_IN
        for found in lexicon.PREDICATES.find(self.stems[begin:]):
            at = begin + found.start
            if (found.value in ("say", "write", "speak") and not words) or self._is_side(at):
                continue
            if self.clause_at is not None and at >= self.clause_at:
                return
            if self.predicate and found.value in _WEAK:
                continue
            if not self.predicate or self.predicate in _WEAK:
                self.predicate = found.value
            if found.value in ("happen", "say", "write", "speak", "begin", "end"):
                self._take(at, found.length)
            for i in range(at, at + found.length):
                if i not in self.taken:
                    self.roles.setdefault(i, "predicate")

    def _is_side(self, at: int) -> bool:
        """Whether it is the left that is not right: "the left bottle", "on the left"."""
        return self._word(at) == "left" and self._word(at - 1) in (
            "the",
            "a",
            "upper",
            "lower",
            "far",
            "his",
            "her",
            "my",
            "top",
            "bottom",
        )

    def _options(self, begin: int) -> tuple[str, ...]:
        """The two of "A or B", each without what stands before the first and after the second."""
        joint = next((i for i in range(begin, len(self.tokens)) if self.tokens[i].word == "or"), None)
        if joint is None or joint == begin or joint + 1 >= len(self.tokens):
            return ()
        left = joint
        while left > begin and not self._ends_option(left - 1, left):
            left -= 1
        right = joint + 1
        while right < len(self.tokens) and (right == joint + 1 or not self._parted(right - 1)):
            if right > joint + 1 and self.tokens[right].word in _AUXILIARY:
                break
            right += 1
        first, second = (self._between(a, b) for a, b in ((left, joint), (joint + 1, right)))
        if all(
            self._is_empty(i) or self.stems[i] in lexicon.FRAMING
            for i in (*range(left, joint), *range(joint + 1, right))
        ):
            return ()  # "see or hear"
        for i in range(left, right):
            self.roles.setdefault(i, "subject")
        return (first, second) if first and second else ()

    def _ends_option(self, before: int, at: int) -> bool:
        """Whether the words of the first option begin at ``at``."""
        word = self.tokens[before].word
        if self._parted(before) or word in _AUXILIARY or at - before > 6:
            return True
        return (before in self.taken and word not in _ARTICLES) or (
            self.roles.get(before) == "predicate" and at < len(self.tokens)
        )

    def _about(self, reduce: str, expects: str, begin: int) -> str:
        """Whether it asks of recordings and cameras as such, or for all that was said."""
        if reduce == "transcript":
            return "transcript"
        present = {i for i in range(begin, len(self.stems)) if lexicon.PRESENCE.at(self.stems, i)}
        content = [i for i in range(begin, len(self.tokens)) if i in present or not self._is_empty(i)]
        kinds = [i for i in content if SOURCES.at([self.stems[i]], 0)]
        if (
            present
            and (self.scope.sources or kinds)
            and not any(self._is_matter(i) for i in content if i not in present and i not in kinds)
        ):
            return "presence"
        if any(self._is_matter(i) and i not in kinds for i in content) and expects != "duration":
            return ""
        counted = next((i for i in content if i not in self.taken or self.roles.get(i)), None)
        if reduce in ("count", "list", "value", "exists") and kinds and (
            counted == kinds[0] or expects in ("duration", "moment")
        ) and self._asks_of_sources(reduce, expects, kinds[0]):  # fmt: skip
            return "sources"
        if expects == "duration" and (self.scope.sources or {"it", "this", "that"} & {t.word for t in self.tokens}):
            return "sources" if not [i for i in content if self._is_matter(i)] else ""
        if "record" in self.stems and (expects in ("moment", "date", "hour") or reduce == "first"):
            return "sources"
        return ""

    def _asks_of_sources(self, reduce: str, expects: str, kind: int) -> bool:
        if expects == "duration" or reduce == "count":
            return True
        opening = {token.word for token in self.tokens[:kind]}
        return reduce == "list" or (
            bool({"which", "what"} & opening)
            and (
                kind + 1 >= len(self.tokens)
                or self._word(kind + 1) in (*_AUXILIARY, "you", "mention", "mentions", "show", "shows")
            )
        )

    # --- what is left ----------------------------------------------------------------------------------------

    def _terms(self, phrases: tuple[str, ...]) -> tuple[Term, ...]:
        quoted = {token.word for phrase in phrases for token in tokenise(phrase)}
        locating = ""
        terms: list[Term] = []
        for i, token in enumerate(self.tokens):
            word = token.word
            in_clause = self.clause_at is not None and i > self.clause_at
            if word in lexicon.LOCATING and not in_clause:
                locating = word
                continue
            if word in _AUXILIARY:
                locating = ""
            if word in quoted or (i in self.taken and self.roles.get(i) is None) or self._is_empty(i):
                continue
            role = self.roles.get(i)
            if role is None and not in_clause:
                if self.stems[i] in lexicon.FRAMING or (ordinal_value(word) is not None and word not in ("second",)):
                    continue
                if self.stems[i] in _MEDIA:
                    continue
                pointed_at = bool(locating) and "text" in self.channels  # "beside the orange arrow"
                worn = locating == "in" and lexicon.CLOTHES.of(word)  # "in a red top", and not "at the top"
                role = "colour" if lexicon.colour_of(word) and not pointed_at else "subject"
                role = "place" if role == "subject" and locating and not worn else role
                if self._is_type_of_another(i) or (number_value(word) is not None and i in self.counting):
                    role = "head"
            terms.append(Term(word, role or "subject", token.start, token.end))
        return tuple(terms)

    def _things(self, expects: str) -> tuple[str, ...]:
        """Things named as the matter of the question, not as who speaks; of a kind that is asked for, the kind."""
        found = lexicon.KINDS.of(self.rest)[:1] if expects == "kind" else []
        for thing in lexicon.THINGS.find(self.stems):
            at = range(thing.start, thing.start + thing.length)
            free = all(
                self.roles.get(i) != "speaker" and (i not in self.taken or self.roles.get(i) == "head") for i in at
            )
            if free and (self.clause_at is None or thing.start < self.clause_at):
                found.append(thing.value)
        return tuple(dict.fromkeys(found))

    def _phrases(self) -> tuple[str, ...]:
        return tuple(" ".join(filter(None, found)).strip() for found in QUOTED.findall(self.rest))

    def _ordinal(self, marks: Collection[str]) -> int:
        if "last" in marks:
            return -1
        if "first" in marks:
            return 1
        nth = (
            ordinal_value(t.word) for i, t in enumerate(self.tokens) if self._word(i - 1) in ("the", "a", "his", "her")
        )
        return next((value for value in nth if value is not None and value > 1), 0)

    def _is_type_of_another(self, at: int) -> bool:
        """Whether a word is only what another one is: "the city of London"."""
        kind = lexicon.TYPES.at(self.stems, at)
        if kind is None or self._word(at + 1) != "of":
            return False
        return bool(set(lexicon.places_in(kind.value, self.rest)) - {self._word(at)})

    # --- small ones ------------------------------------------------------------------------------------------

    def _word(self, at: int) -> str:
        return self.tokens[at].word if 0 <= at < len(self.tokens) else ""

    def _skip(self, at: int, words: Collection[str]) -> int:
        while self._word(at) in words:
            self.taken.add(at)
            at += 1
        return at

    def _take(self, at: int, length: int) -> None:
        self.taken |= set(range(at, at + length))

    def _is_empty(self, at: int) -> bool:
        word = self.tokens[at].word
        return word in lexicon.STOP_WORDS or (
            len(word) < 2 and not word.isdigit() and not self.tokens[at].text.isupper()
        )

    def _is_matter(self, at: int) -> bool:
        return not self._is_empty(at) and at not in self.taken and self.stems[at] not in lexicon.FRAMING | _MEDIA

    def _is_only_framing(self, at: int, length: int) -> bool:
        return all(self.stems[i] in lexicon.FRAMING or self._is_empty(i) for i in range(at, at + length))

    def _names_person(self, at: int) -> bool:
        found = lexicon.THINGS.at(self.stems, at)
        return found is not None and found.value in _PEOPLE

    def _parted(self, at: int) -> bool:
        """Whether a comma or colon stands between this word and the next."""
        if at + 1 >= len(self.tokens):
            return True
        return bool(set(self.rest[self.tokens[at].end : self.tokens[at + 1].start]) & set(",;:?!("))

    def _between(self, begin: int, end: int) -> str:
        return self.rest[self.tokens[begin].start : self.tokens[end - 1].end] if begin < end else ""


SOURCES = lexicon.table(lexicon.SOURCE_KINDS)


def _settled(frame: Frame, opens: bool, marks: Collection[str]) -> Frame:
    """What follows from all of it together."""
    reduce: Reduce = frame.reduce
    expects = frame.expects
    if not frame.matter and "text" not in frame.channels and expects not in ("name", "kind"):
        # "What is on the kitchen table?": the place is all there is to go by.
        terms = tuple(msgspec.structs.replace(t, role="subject") if t.role == "place" else t for t in frame.terms)
        frame = msgspec.structs.replace(frame, terms=terms)
    if frame.about == "transcript":
        reduce = "list"
    matter = bool(frame.matter or frame.phrases or frame.things)
    if frame.options and (set(marks) & {"first", "last"} or frame.predicate in ("begin", "end")) and reduce != "count":
        reduce = "order"
    elif frame.times.anchor is not None and reduce == "exists" and frame.times.anchor.relation != "during" and matter:
        reduce = "order"  # "did the car come before the bus?"
    elif (
        reduce == "value"
        and expects in ("name", "thing", "")
        and frame.ordinal
        and frame.predicate in _VISIBLE | {"say", "speak"}
    ):
        reduce = "last" if frame.ordinal < 0 else "first"
    elif reduce == "value" and not expects and frame.predicate == "happen" and not frame.of("subject"):
        reduce = "summary"
    elif (
        reduce in ("value", "list", "exists")
        and not (expects or matter or frame.of("place") or set(frame.channels) - _SIGHT)
        and (frame.channels if reduce != "exists" else _ANYTHING & set(words(frame.text)))
    ):
        reduce = "summary"  # "what was seen in the last hour?", "was there anything?"
    elif reduce == "summary" and frame.of("subject") and frame.about == "":
        reduce = "value" if frame.predicate == "happen" and "to" in words(frame.text) else "list"
    elif reduce == "first" and frame.ordinal < 0:
        reduce = "last"
    elif reduce == "now" and frame.of("subject"):
        reduce = "value"
    if (
        reduce in ("exists", "value", "summary", "list")
        and frame.is_now
        and not matter
        and (set(frame.channels) <= _SIGHT or (frame.channels == ("text",) and not frame.predicate))
        and expects in ("", "thing", "name")
    ):
        reduce = "now"
    return msgspec.structs.replace(frame, reduce=reduce, expects=expects)
