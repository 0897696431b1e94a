"""What an observation is found by, and what a question looks for.

Only an observation's own words are indexed. The words of its neighbours join its key when a question is
asked (`memory.recall.rank`), among what the question's View can see: so no key knows a word from the
question's future, and none depends on the order in which picture and sound happened to be stored.
"""

from __future__ import annotations

import calendar
import datetime
import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from memory.index.analysis import QUESTION_WORDS, terms, word_terms, words
from runtime.language.stem import term_stem
from runtime.messages import Observation, SpeechFacts

# Lanes: channels whose members are one another's conversation.
SAID = ("speech", "question", "answer", "correction")

_ASKS = re.compile(
    r"[?？]|^(?:what|who|whose|when|where|why|how|which|did|do|does|is|are|was|were|can|could|would|have)\b", re.I
)
_MONTHS = {term_stem(name.lower()) for name in calendar.month_name if name}
_WEEKDAYS = {term_stem(name.lower()) for name in calendar.day_name}
MIN_FUZZY_LENGTH = 4
_DAY_0 = datetime.date(1970, 1, 1).toordinal()
_CONSONANTS = str.maketrans("bfpvcgjkqsxzdtlmnr", "111122222222334556")


class Key(Struct, frozen=True):
    """Index terms of one observation. ``asks``: it is a question, so what follows it answers it."""

    own: tuple[str, ...]
    speaker: tuple[str, ...]
    asks: bool


class QueryTerm(Struct, frozen=True):
    """A content word of a query. ``joined``: terms it would be part of if it and the word before or after
    it were written as one ("clean room" -> cleanroom)."""

    word: str
    term: str
    joined: tuple[str, ...] = ()


def observation_key(observation: Observation) -> Key:
    """The key of an observation: its text, and apart from it who spoke."""
    return Key(
        own=tuple(terms(observation.text)),
        speaker=tuple(terms(observation.facts(SpeechFacts).speaker)),
        asks=observation.channel in SAID and bool(_ASKS.search(observation.text)),
    )


def counted_terms(key: Key) -> frozenset[str]:
    """What an observation counts for among all that is remembered: its terms, and all together as one phrase."""
    return frozenset((*key.own, *key.speaker)) | phrase_of(key.own)


@lru_cache(maxsize=4096)
def telling_terms(text: str) -> frozenset[str]:
    """The terms of a text by which its rarity is told: long enough not to be noise, and all together as one phrase."""
    own = tuple(terms(text))
    return frozenset(term for term in own if can_be_misspelt(term)) | phrase_of(own)


def phrase_of(own: Sequence[str]) -> frozenset[str]:
    """A term that stands for these together, in whatever order; none if fewer than two of them tell anything.

    What recurs word for word is kept where it was kept first; everyday words that were never together before are new.
    """
    telling = sorted({term for term in own if can_be_misspelt(term)})
    if len(telling) < 2:
        return frozenset()
    return frozenset((f"#{hashlib.blake2b(' '.join(telling).encode(), digest_size=6).hexdigest()}",))


def query_terms(query: str) -> list[QueryTerm]:
    """The content words of a query, each term once, in order; all its words if none has content."""
    spoken = words(query)
    content = [_is_content(word) for word in spoken]
    if not any(content):
        content = [True] * len(spoken)
    found: dict[str, QueryTerm] = {}
    for i, word in enumerate(spoken):
        if not content[i]:
            continue
        beside = [spoken[i - 1] + word] if i and content[i - 1] else []
        if i + 1 < len(spoken) and content[i + 1]:
            beside.append(word + spoken[i + 1])
        joined = tuple(t for pair in beside if pair.isalpha() for t in word_terms(pair))
        parts = word_terms(word)
        if len(parts) > 2 and "-" in word:  # the last is the compound as one
            joined, parts = (*joined, parts[-1]), parts[:-1]
        for term in parts:
            found.setdefault(term, QueryTerm(word, term, joined))
    return list(found.values())


def dates_asked(asked: Sequence[str]) -> frozenset[str]:
    """Those of a query's terms that can name a day: months, weekdays, years; days of the month beside a month."""
    days = {term for term in asked if term.isdigit() and int(term) <= 31} if set(asked) & _MONTHS else set()
    return frozenset(
        days | (set(asked) & (_MONTHS | _WEEKDAYS)) | {t for t in asked if re.fullmatch("(19|20)[0-9]{2}", t)}
    )


def day_of(wall_s: float) -> int:
    """The day, in days since 1970, that it is at this instant in this machine's time zone."""
    return datetime.datetime.fromtimestamp(wall_s).toordinal() - _DAY_0  # noqa: DTZ006 - the local calendar


def day_span(day: int) -> tuple[float, float]:
    """Unix seconds at which a day (see `day_of`) begins and ends: 23, 24 or 25 hours."""
    begin, end = (datetime.datetime.fromordinal(_DAY_0 + day + k).timestamp() for k in (0, 1))
    return begin, end


@lru_cache(maxsize=4096)
def day_terms(day: int) -> frozenset[str]:
    """The terms a day can be named by: month, weekday, day of the month, year."""
    date = datetime.date.fromordinal(_DAY_0 + day)
    return frozenset(
        (term_stem(date.strftime("%B").lower()), term_stem(date.strftime("%A").lower()), str(date.day), str(date.year))
    )


def can_be_misspelt(term: str) -> bool:
    """Whether near spellings of this term are worth looking for."""
    return len(term) >= MIN_FUZZY_LENGTH and term.isalnum() and not term.isdigit()


@lru_cache(maxsize=65536)
def sound_of(term: str) -> str:
    """Which terms sound alike: consonant classes as in Soundex (Russell 1918), but for the first letter
    too, and without its cut at four."""
    spelt = term.replace("ph", "f").replace("wr", "r").replace("kn", "n").replace("gh", "g").replace("ck", "k")
    codes = spelt.translate(_CONSONANTS)
    out = ""
    previous = ""
    for code in codes:
        if code.isdigit() and code != previous:
            out += code
        if code not in "hw":
            previous = code
    return out


def _is_content(word: str) -> bool:
    return re.split(r"['’]", word)[0] not in QUESTION_WORDS
