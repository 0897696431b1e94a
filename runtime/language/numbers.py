"""Numbers as they are said and written: "twelve", "twenty-three", "3.5", "twice", "third"."""

from __future__ import annotations

import re

from runtime.language.data import LEXICON
from runtime.language.stem import is_plural

_NUMBERS: dict[str, float] = LEXICON["numbers"]
_ORDINALS: dict[str, int] = LEXICON["ordinals"]
_IN_WORDS = {
    int(value): word
    for word, value in reversed(_NUMBERS.items())
    if 0 < value <= 12 and word not in ("once", "twice", "thrice", "both", "dozen")
}
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
# More digits than this name something (a telephone, a parcel); nobody counts with them.
_DIGITS_MAX = 20
_ORDINAL = re.compile(r"(\d{1,9})(?:st|nd|rd|th)")


def number_value(word: str) -> float | None:
    """The number a folded word stands for, or None."""
    if _DIGITS.fullmatch(word):
        if len(word) > _DIGITS_MAX:
            return None
        plain = word.replace(",", "")
        return float(plain) if plain.count(".") < 2 else None
    if word in _NUMBERS:
        return float(_NUMBERS[word])
    tens, joint, unit = word.partition("-")
    if joint and _NUMBERS.get(tens, 0) >= 20 and 0 < _NUMBERS.get(unit, 0) < 10:
        return float(_NUMBERS[tens] + _NUMBERS[unit])
    return None


def ordinal_value(word: str) -> int | None:
    """3 for "third" or "3rd", or None."""
    if word in _ORDINALS:
        return _ORDINALS[word]
    numbered = _ORDINAL.fullmatch(word)
    return int(numbered[1]) if numbered else None


def number_in_words(value: int) -> str:
    """Small numbers as a sentence writes them ("two", "13")."""
    return _IN_WORDS.get(value, str(value))


def counted(value: int, one: str) -> str:
    """``two people``, ``one person``, ``no people``."""
    return f"{number_in_words(value) if value else 'no'} {one if value == 1 else plural(one)}"


def plural(noun: str) -> str:
    """More than one of a thing: "people", "cups", "knives", "people cycling"."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    if noun.startswith("person "):
        return noun.replace("person", "people", 1)
    if is_plural(noun):
        return noun
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


_PLURALS = {
    "person": "people", "knife": "knives", "sheep": "sheep", "mouse": "mice", "computer mouse": "computer mice",
    "broccoli": "broccoli", "bus": "buses", "child": "children",
}  # fmt: skip
