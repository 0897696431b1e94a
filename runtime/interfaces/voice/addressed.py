"""Whether something that was said is said to the agent, and asks or tells it anything (instruction prediction).

Three ways to be heard: after a wake phrase, after push-to-talk, or with anything that is a question or an instruction.
"Hmm", "okay" and talk among people get no reply. Rules over the words: at a word error rate of one in four the words
that carry the decision (who, what, tell, show) are the most often right.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct
from rapidfuzz.distance import Indel

Mode = Literal["off", "push", "wake", "any"]

_WORD = re.compile(r"[a-z']+")
_FILLERS = frozenset(
    "hm hmm mm mhm uh um er ah oh ok okay yeah yes yep no nope right sure well so and but the a i see really wow great "
    "thanks thank you cool nice alright fine good hello hi hey bye".split()
)
_QUESTION = frozenset(
    "what what's whats who who's whose whom where where's when when's why how how's which whether".split()
)
_AUXILIARY = frozenset(
    "is are was were am do does did has have had can could will would should isn't aren't wasn't didn't "
    "doesn't don't hasn't haven't can't couldn't".split()
)
_INSTRUCTION = frozenset(
    "tell show describe find list count read repeat explain summarise summarize remind remember forget search look "
    "say give name stop notify alert watch listen compare".split()
)
_LEADS = frozenset("please now then so and well okay ok hey um uh but just".split())
# What one asks of somebody who watches and remembers; people ask one another other things ("are you coming?").
_OF_THE_AGENT = frozenset("see saw seen hear heard remember tell know notice noticed say show find read".split())
_TO_PEOPLE = frozenset("mom mum dad honey darling guys everybody everyone john mary".split())
# A phrase is heard as said where this share of its letters agrees.
_SAME = 0.8
_FIRST_WORDS = 5


class AddressOptions(Struct, frozen=True):
    """mode  how one is heard; phrase  what wakes the agent; follow_s  how long after an answer, or after the phrase
    alone, anything that asks is meant for it; least_confidence  0..1, of words that may be a question."""

    mode: Mode = "wake"
    phrase: str = "hey mindstream"
    follow_s: float = 8.0
    least_confidence: float = 0.4


class Addressed:
    """Utterances in; the question meant for the agent out, or None. Times are seconds of any one clock."""

    def __init__(self, options: AddressOptions) -> None:
        self._options = options
        self._open_until_s = float("-inf")
        self._pushed = False

    def push(self) -> None:
        """The next utterance is meant for the agent, whatever it is."""
        self._pushed = True

    def answered(self, now_s: float) -> None:
        """An answer has been spoken: what follows soon may follow up on it."""
        if self._options.mode in ("wake", "any"):
            self._open_until_s = now_s + self._options.follow_s

    def step(self, text: str, confidence: float, t0_s: float, t1_s: float) -> str | None:
        """``text`` was said from ``t0_s`` to ``t1_s``, understood with ``confidence`` 0..1."""
        if self._pushed and has_content(text):
            self._pushed = False
            return text.strip()
        if self._options.mode in ("off", "push") or not has_content(text):
            return None
        rest = after_phrase(text, self._options.phrase)
        if rest is not None:
            self._open_until_s = t1_s + self._options.follow_s
            return rest if has_content(rest) else None
        if t0_s <= self._open_until_s or self._options.mode == "any":
            return text.strip() if confidence >= self._options.least_confidence and asks(text) else None
        return None


def has_content(text: str) -> bool:
    """Whether there is any word in it beside fillers and courtesies."""
    return bool(text.strip()) and (
        any(word not in _FILLERS for word in _WORD.findall(text.lower())) or not text.isascii()
    )


def asks(text: str) -> bool:
    """Whether this is a question or an instruction to one who watches, listens and remembers."""
    words = _WORD.findall(text.lower())
    while words and words[0] in _LEADS:
        words = words[1:]
    if len(words) < 2 or _TO_PEOPLE & set(words):
        return False
    if words[0] in _INSTRUCTION:
        return True
    if words[0] in _AUXILIARY and words[1] in ("you", "we", "he", "she", "they", "i"):
        return bool(_OF_THE_AGENT & set(words[2:5]))
    if words[0] in _QUESTION:
        # "What are you doing tonight" is asked of people.
        return not ("you" in words[1:3] and not _OF_THE_AGENT & set(words))
    return words[0] in _AUXILIARY and (len(words) > 2 or text.rstrip().endswith("?"))


def after_phrase(text: str, phrase: str) -> str | None:
    """What follows ``phrase`` near the beginning of ``text``, tolerant of a recogniser's spelling; None without it."""
    wanted = "".join(_WORD.findall(phrase.lower()))
    spoken = list(re.finditer(r"\S+", text))
    best, end = _SAME, -1
    for first in range(min(_FIRST_WORDS, len(spoken))):
        for last in range(first, min(first + len(phrase.split()) + 2, len(spoken))):
            heard = "".join(_WORD.findall(text[spoken[first].start() : spoken[last].end()].lower()))
            same = Indel.normalized_similarity(wanted, heard)
            if same > best:
                best, end = same, spoken[last].end()
    return text[end:].lstrip(" ,.!?:;-") if end >= 0 else None
