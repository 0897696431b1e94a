"""Text to words: case, accents and possessives go; where each word stands in what was written stays known."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from msgspec import Struct

# Joined by apostrophes, hyphens or dots inside, so that "t-shirt", "don't" and "www.example.org" are one word.
_TOKEN = re.compile(r"\d+(?:[.,:]\d+)+|[^\W_]+(?:['’.\-][^\W_]+)*", re.UNICODE)
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])[\"'”’)\]]*\s+|\s/\s")
# "Mr. Smith", "a.m. and", "e.g. this": no sentence ends there.
_ABBREVIATED = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|st|prof|vs|no|etc|e\.g|i\.e|u\.s|a\.m|p\.m)|\b[A-Z])\.$", re.IGNORECASE
)

# What stands in quotation marks, in one of two groups.
QUOTED = re.compile(r"[\"“”„«»]([^\"“”„«»]{1,80})[\"“”«»]|(?<!\w)['‘]([^'‘’]{2,80})['’](?!\w)")


class Token(Struct, frozen=True):
    """A word as written, folded, and where it stands in the text."""

    text: str
    word: str
    start: int
    end: int


@lru_cache(maxsize=65536)
def fold(text: str) -> str:
    """``text`` in lower case, without accents and compatibility forms, its apostrophes straight."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.replace("’", "'").replace("‘", "'"))
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def tokenise(text: str, most: int = 100_000) -> list[Token]:
    """The first ``most`` words of ``text`` in order; a possessive 's is cut from the folded form."""
    found = []
    for match in _TOKEN.finditer(text):
        word = fold(match[0])
        word = word[:-2] if word.endswith("'s") and len(word) > 3 else word
        found.append(Token(match[0], word, match.start(), match.end()))
        if len(found) >= most:
            break
    return found


def words(text: str) -> list[str]:
    """The folded words of ``text`` in order."""
    return [token.word for token in tokenise(text)]


def sentences(text: str) -> list[str]:
    """The sentences of ``text``, lines of a screen (joined by " / ") each by itself."""
    found: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        sentence = text[start : match.start()].strip()
        if _ABBREVIATED.search(sentence) and match[0].strip() != "/":
            continue
        closing = match[0].strip().strip("/").strip()
        if sentence:
            found.append(sentence + closing)
        start = match.end()
    rest = text[start:].strip()
    return [*found, rest] if rest else found
