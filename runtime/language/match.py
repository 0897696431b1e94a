"""How surely a word that is asked for stands in something said or read: spelling, inflection and mishearing forgiven.

How sure each way is, is a weight in 0..1 that ends up in the confidence of an answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from rapidfuzz.distance import OSA

from runtime.language.lexicon import is_related
from runtime.language.normalise import words
from runtime.language.numbers import number_value
from runtime.language.stem import stem

EXACT = 1.0
RELATED = 0.8
COMPOUND = 0.9
PART = 0.6
NEAR = 0.75
# A compound has more to it than an ending: "rain" is no part of "train".
PART_LEAST = 3
ALIKE = 0.6


class Text:
    """Words of something said or read, ready to be looked through. ``compact``: spaces may have been lost, as in
    writing read from a picture."""

    __slots__ = ("compact", "joined", "stems", "words")

    def __init__(self, text: str, compact: bool = False) -> None:
        self.words = words(text)
        self.stems: dict[str, int] = {}
        for i, word in enumerate(self.words):
            self.stems.setdefault(stem(word), i)
            for part in word.split("-") if "-" in word else ():
                self.stems.setdefault(stem(part), i)
        self.joined = {a + b: i for i, (a, b) in enumerate(zip(self.words, self.words[1:], strict=False))}
        self.compact = compact

    def find(self, word: str) -> tuple[float, int]:
        """How surely the folded ``word`` is among them, 0..1, and the place of the best fit (-1 where there is
        none)."""
        at = self.stems.get(stem(word))
        if at is not None:
            return EXACT, at
        if word in self.joined:
            return COMPOUND, self.joined[word]
        best, place = 0.0, -1
        for i, found in enumerate(self.words):
            like = likeness(word, found)
            if self.compact and len(word) >= 4 and len(found) > len(word) and word in found:
                like = max(like, COMPOUND)
            if like > best:
                best, place = like, i
        return best, place

    def runs(self, wanted: Sequence[str], gaps: Sequence[int]) -> bool:
        """Whether these words, or others for the same, follow each other here, with at most so many words between
        each and the one before."""
        fits = [[i for i, found in enumerate(self.words) if likeness(word, found) >= RELATED] for word in wanted]
        reached = fits[0] if fits else []
        for places, gap in zip(fits[1:], gaps, strict=True):
            reached = [i for i in places if any(0 < i - at <= gap + 1 for at in reached)]
        return bool(reached)


@lru_cache(maxsize=131072)
def likeness(asked: str, found: str) -> float:
    """How surely ``found`` is the word ``asked``, 0..1; both folded."""
    a, b = stem(asked), stem(found)
    if a == b:
        return EXACT
    first, second = number_value(asked), number_value(found)
    if first is not None or second is not None:
        return EXACT if first == second else 0.0
    if is_related(a, b):
        return RELATED
    shorter, longer = sorted((len(a), len(b)))
    if shorter >= 5 and a[:shorter] == b[:shorter] and longer - shorter <= 4:
        return NEAR
    if len(a) >= 4 and len(b) >= len(a) + PART_LEAST and (b.endswith(a) or b.startswith(asked)):
        return COMPOUND
    if len(found) >= 4 and len(asked) >= 7 and asked.endswith(found):
        return PART
    allowed = 2 if shorter >= 8 else 1 if shorter >= (5 if longer > shorter else 6) else 0
    if allowed and a[0] == b[0] and longer - shorter <= allowed and OSA.distance(a, b, score_cutoff=allowed) <= allowed:
        return NEAR
    if len(asked) >= 5 and len(skeleton := sound_of(asked)) >= 4 and skeleton == sound_of(found):
        return ALIKE
    return 0.0


_HEARD = tuple(
    (spelled, heard)
    for spelled, heard in (
        ("ph", "f"), ("gh", ""), ("ck", "k"), ("tch", "x"), ("ch", "x"), ("sh", "x"), ("th", "t"), ("kn", "n"),
        ("wr", "r"), ("qu", "kw"), ("ce", "se"), ("ci", "si"), ("cy", "si"), ("tion", "xn"), ("dge", "x"),
    )
)  # fmt: skip
_ALIKE = str.maketrans("cqgjzvdb", "kkkxsftp")


@lru_cache(maxsize=65536)
def sound_of(word: str) -> str:
    """Consonant skeleton of an English word, its first vowel marked: alike for words that are easily misheard."""
    plain = re.sub(r"[^a-z]", "", word)
    for spelled, heard in _HEARD:
        plain = plain.replace(spelled, heard)
    plain = plain.translate(_ALIKE)
    first = "a" if plain[:1] and plain[0] in "aeiouy" else ""
    return first + re.sub(r"(.)\1+", r"\1", re.sub(r"[aeiouyhw]", "", plain))
