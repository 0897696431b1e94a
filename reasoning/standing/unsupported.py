"""Why a sentence names nothing that can be waited for: one line, with examples of what can."""

from __future__ import annotations

import re

from runtime.language.lists import quote
from runtime.language.normalise import QUOTED, fold

EXAMPLES = '"a person appears", "somebody says Texas" or "it gets dark"'
LONGEST = 300

# "Tell me when the car arrived", "... if he said": a question about what was.
_PAST = re.compile(
    r"\b(?:was|were|did|had|has been|have been|\w{2,}ed|said|spoke|came|went|left|saw|heard|began|fell|rang|took|ran|"
    r"drove|broke|woke|wrote|told|got|became|sat|stood|rose)\b"
)
# "Is opened", "a painted door", "the left door", and words that only end like a past.
_BEFORE_PARTICIPLE = re.compile(r"\b(?:is|are|gets?|being|be|becomes?|the|an?|in|to|of|with|has)\s+$")
_ENDS_ALIKE = frozenset("red bed shed seed weed speed feed breed indeed need led hundred naked sacred sled".split())
# "Two armed men enter": what is done now comes after.
_PRESENT = re.compile(
    r"(?<!to )\b(?:is|are|gets?|becomes?|appears?|arrives?|enters?|comes?|leaves?|goes|go|walks?|passes|pass|moves?|"
    r"runs?|says?|speaks?|talks?|opens?|closes?|rings?|stands?|sits?|plays?|starts?|begins?|turns?)\b"
)
_CLOCK = re.compile(
    r"(?:it(?:'s| is| gets?)\s+)?(?:at |by |after |about )?(?:\d{1,2}(?::\d{2})?\s*(?:am|pm|a\.m|p\.m|o'?clock)?|"
    r"noon|midnight|dawn|dusk|tonight|today|tomorrow(?: \w+)?|(?:mon|tues|wednes|thurs|fri|satur|sun)day(?: \w+)?)|"
    r"(?:in|after) (?:\w+ )?(?:\w+) (?:seconds?|minutes?|hours?|days?)(?: (?:have passed|from now))?"
)
_ARRIVES = r"\b(?:appears?|enters?|comes|arrives?)\b"
_LEAVES = (
    r"\b(?:leaves?|exits?|departs?|disappears?|goes(?! (?:out|off|on|up|down|by|past|through|dark|black|bright)))\b"
)
_AND = r"\b.*\b(?:and|or|but)\b.*\b"
_OPPOSITES = re.compile(
    rf"{_ARRIVES}{_AND}{_LEAVES}|{_LEAVES}{_AND}{_ARRIVES}|"
    rf"\bdark{_AND}(?:bright|light)\b|\b(?:bright|light){_AND}dark\b|\b(?:on (?:and|or) off|off (?:and|or) on)\b"
)
# What comes after is words to be heard or read, whatever they say.
_WORDS_FOLLOW = re.compile(
    r"\b(?:says?|mentions?|reads?|asks?|(?:speaks?|talks?) (?:of|about)|the (?:words?|phrase))\b.*"
)


def why_unsupported(text: str) -> str:
    """Why nothing can be waited for in ``text``, as it is written; "" where something may."""
    low = fold(text).strip(" .,;:!")
    if not re.search(r"\w", low):
        return f"Say what to wait for, such as {EXAMPLES}."
    if len(text) > LONGEST:
        return f"That is too long; say in a few words what to wait for, such as {EXAMPLES}."
    if is_past(text):
        return f"That is told as past; say what is to come, such as {EXAMPLES}."
    if _CLOCK.fullmatch(low):
        return f"I wait for what I see, hear or read, not for a time; for {EXAMPLES}, say."
    if _OPPOSITES.search(_unquoted(low)):
        return 'Those are two opposite things; ask for each by itself, "a person appears" and "a person leaves", say.'
    return ""


def nothing_in(text: str) -> str:
    """Said where no word of ``text`` is a thing to be seen, heard or read."""
    return f"There is nothing in {quote(text)} that I could see, hear or read; name it, such as {EXAMPLES}."


def is_past(text: str) -> bool:
    """Whether ``text`` tells what was: no condition, but what a question is about."""
    told = _unquoted(text)
    low = fold(told)
    written = told if len(told) == len(low) else low
    return any(
        found[0] not in _ENDS_ALIKE
        and not written[found.start()].isupper()  # Fred is a name
        and not _BEFORE_PARTICIPLE.search(low[: found.start()])
        and not (found[0].endswith("ed") and _PRESENT.search(low, found.end()))
        for found in _PAST.finditer(low)
    )


def _unquoted(text: str) -> str:
    """Less the words that are to be said or read."""
    return _WORDS_FOLLOW.sub("", QUOTED.sub(" ", text))
