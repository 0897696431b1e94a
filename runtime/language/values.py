"""Whether something said or written holds a value of the type that a question asks for, and which."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from runtime.language import lexicon
from runtime.language.normalise import words
from runtime.language.numbers import number_value

_WEB = re.compile(
    r"(?:https?\s?:\s?/\s?/\s?)?(?:www\s?[.,]\s?)[\w-]+(?:\s?\.\s?[\w-]+)+(?:/[\w./-]*)?|https?://\S+|"
    r"\b[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|edu|gov|io|tv|info|uk|de|fr|eu|ai|app)\b(?:/[\w./-]*)?",
    re.IGNORECASE,
)
_OFTEN = re.compile(
    r"\b(?:(?:every|each) (?:other )?\w+|once|twice|(?:\w+ )?times|daily|weekly|monthly|yearly|annually|always|never|"
    r"sometimes|seldom|rarely|often)\b",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_HOUR = re.compile(
    r"\b\d{1,2}(?:[:.]\d{2})?\s?(?:[ap]\.?\s?m\b\.?|o'?clock)|\b\d{1,2}:\d{2}\b|\b(?:noon|midnight)\b|"
    r"\bat (?:half past |quarter (?:past|to) )?(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b",
    re.IGNORECASE,
)
_DURATION = re.compile(
    r"\b(?:\d+(?:\.\d+)?|an?|one|two|three|four|five|six|seven|eight|nine|ten|twenty|thirty|forty|fifty|sixty|many|few|"
    r"couple of)\s+(?:\w+\s+)?(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?|centur(?:y|ies)|decades?)\b|"
    r"\b(?:as|so) long as\b|"
    r"\b(?:forever|always|all (?:day|night|my life|her life|his life))\b",
    re.IGNORECASE,
)
_MONEY = re.compile(
    r"[$€£]\s?\d[\d,.]*(?:\s?(?:million|billion|k))?|\b\d[\d,.]*\s?(?:dollars?|euros?|pounds?|cents?)\b", re.IGNORECASE
)
_WHERE = re.compile(
    r"\b(?:(?:in|at|on|under|behind|beside|near|inside|above|below|next to|into|onto|between|from|outside|around)\s+"
    r"(?:the|an?|this|that|my|your|his|her|its|our|their)|to\s+the)\s+(?:\w+\s+)?[a-z]\w+|"
    r"\b(?:in|at|on|near|from|to|outside)\s+[A-Z]\w+"
)
_PHONE = re.compile(r"(?:\+?\d[\d\s().-]{5,}\d)")
_REASON = re.compile(r"\b(?:because|since|due to|so that|in order to|that is why|the reason)\b", re.IGNORECASE)
_NAME_WORD = r"(?:[a-z]{1,2})?[A-Z][\w'’-]*[a-zA-Z]"
_NAMES = re.compile(rf"(?<!\w){_NAME_WORD}(?:\s+(?:of|de|van|von|and the|the|&)?\s?(?:{_NAME_WORD}|[A-Z]\.))*")
_RUN_TOGETHER = re.compile(r"(?<=[a-z]{3})(?=[A-Z][a-z]{3})")


def value_in(expects: str, text: str, asked: Collection[str] = ()) -> str:
    """The first value of a type in ``text`` that the question (its words ``asked``) does not hold itself; "" where
    there is none, or where any text will do."""
    finder = _FINDERS.get(expects)
    if finder is None:
        return ""
    return next((found for found in finder(text) if not set(words(found)) <= set(asked)), "")


def has_finder(expects: str) -> bool:
    """Whether values of a type are known when they are seen."""
    return expects in _FINDERS


def names_in(text: str) -> list[str]:
    """Runs of capitalised words that may be names: not the first word of a sentence alone, nor a line of one word."""
    parted = _RUN_TOGETHER.sub(" ", text)
    lines = parted.split(" / ")
    if 2 <= len(lines) <= 3 and all(_NAMES.fullmatch(line) and len(words(line)) == 1 for line in lines):
        lines = [" ".join(lines)]  # a name in large letters, a word a line
    found = []
    for match in (m for line in lines for m in _NAMES.finditer(line)):
        name = match[0]
        line = match.string
        first = match.start() == 0 or line[max(0, match.start() - 2) : match.start()].strip() in (".", "!", "?")
        alone = len(words(name)) == 1
        if (first and alone) or all(word in lexicon.STOP_WORDS for word in words(name)):
            continue
        found.append(name)
    return found


def people_in(text: str) -> list[str]:
    """Names that may be a person's: two to four words, none of which names a firm, a work or a thing."""
    return [name for name in names_in(text) if 2 <= len(words(name)) <= 4 and not set(words(name)) & lexicon.NOT_NAMES]


def organisations_in(text: str) -> list[str]:
    """Names that may be a firm's; those with a word for one first."""
    return sorted(names_in(text), key=lambda name: not set(words(name)) & lexicon.ORGANISATIONS)


def _numbers(text: str) -> list[str]:
    told = words(text)
    # "One of the largest" and "no one" are no numbers.
    none = {i for i, word in enumerate(told) if word == "one" and {"of", "no"} & {*told[i + 1 : i + 2], *told[:i][-1:]}}
    return [word for i, word in enumerate(told) if number_value(word) is not None and i not in none]


def _matches(*patterns: re.Pattern[str]) -> Callable[[str], list[str]]:
    return lambda text: [match[0].strip() for pattern in patterns for match in pattern.finditer(text)]


def _listed(kind: str) -> Callable[[str], list[str]]:
    return lambda text: lexicon.places_in(kind, text)


_FINDERS: dict[str, Callable[[str], list[str]]] = {
    "web": _matches(_WEB),
    "language": _listed("language"),
    "state": _listed("state"),
    "city": _listed("city"),
    "country": _listed("country"),
    "place": lambda text: [*lexicon.places_in("place", text), *_matches(_WHERE)(text)],
    "date": lambda text: [*lexicon.places_in("date", text), *_matches(re.compile(r"\b\d{4}\b"))(text)],
    "hour": _matches(_HOUR),
    "duration": _matches(_DURATION),
    "number": lambda text: [*_matches(_MONEY)(text), *_numbers(text)],
    "frequency": _matches(_OFTEN),
    "phone": _matches(_PHONE),
    "email": _matches(_EMAIL),
    "colour": lambda text: list(lexicon.colours_in(text)),
    "name": people_in,
    "organisation": organisations_in,
    "product": names_in,
    "reason": _matches(_REASON),
    "question": lambda text: [text] if text.rstrip().endswith("?") else [],
}
