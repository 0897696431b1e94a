"""The words of a memory: how many observations hold each, and which of them a recogniser may have made of the word
asked for, misheard or misread by a letter."""

# ruff: noqa: S608 - only question marks are put into statements
from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from rapidfuzz import process
from rapidfuzz.distance import OSA

from memory.index.keys import can_be_misspelt, sound_of

_AT_ONCE = 500
_SOUND_ALIKE_LIMIT = 200
# Two words that sound the same may differ more in spelling than two that only look alike.
_SIMILAR_BY_SOUND = 0.6
_SIMILAR_BY_LOOK = 0.8
_LOOK_ALIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s", "8": "b", "q": "g"})
_SAME_LETTER = {"o": "o0", "l": "l1i", "s": "s5", "b": "b8", "g": "gq"}


def learn(connection: sqlite3.Connection, term: str) -> None:
    """Add a term, if it is one that can be misspelt."""
    if can_be_misspelt(term):
        connection.execute("INSERT OR IGNORE INTO vocabulary(term, sound) VALUES (?,?)", (term, sound_of(term)))


def near_terms(connection: sqlite3.Connection, term: str) -> list[tuple[str, float]]:
    """Terms of the memory near to this one, with their likeness 0..1, the likest first.

    Alike in sound (misheard speech), or in look up to one letter with the same beginning (misread text). Likeness is
    1 - edit distance / longer length; a swap of neighbours is one edit.
    """
    if not can_be_misspelt(term):
        return []
    sound = sound_of(term)
    found: dict[str, float] = {}
    if len(sound) >= 2:
        alike = "SELECT term FROM vocabulary WHERE sound=? LIMIT ?"
        found |= _likest(connection, alike, (sound, _SOUND_ALIKE_LIMIT), term, _SIMILAR_BY_SOUND)
    looked = term.translate(_LOOK_ALIKE)
    for letter in _SAME_LETTER.get(looked[0], looked[0]):
        # A length that differs by more cannot be so alike.
        alike = "SELECT term FROM vocabulary WHERE term>=? AND term<? AND length(term) BETWEEN ? AND ?"
        lengths = len(term) * _SIMILAR_BY_LOOK - 1e-9, len(term) / _SIMILAR_BY_LOOK + 1e-9
        found |= _likest(connection, alike, (letter, chr(ord(letter) + 1), *lengths), term, _SIMILAR_BY_LOOK)
    found.pop(term, None)
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def _likest(
    connection: sqlite3.Connection, select: str, values: tuple[object, ...], term: str, least: float
) -> dict[str, float]:
    """Those of the terms selected that are at least so like the term, letters that look alike taken for the same."""
    # One text of thousands of terms is read in half the time of as many rows.
    (text,) = connection.execute(f"SELECT group_concat(term, char(10)) FROM ({select})", values).fetchone()
    others, looks = (text or "").split("\n"), (text or "").translate(_LOOK_ALIKE).split("\n")
    near = process.extract(
        term.translate(_LOOK_ALIKE), looks, scorer=OSA.normalized_similarity, score_cutoff=least, limit=None
    )
    return {others[i]: likeness for _, likeness, i in near}


def term_counts(connection: sqlite3.Connection, terms: Iterable[str]) -> dict[str, int]:
    """How many observations hold each of these terms, in the text or in the name of who speaks; without those that
    none holds."""
    asked = list(terms)
    held: dict[str, int] = {}
    for i in range(0, len(asked), _AT_ONCE):
        some = asked[i : i + _AT_ONCE]
        marks = ",".join("?" * len(some))
        held |= dict(connection.execute(f"SELECT term, n FROM term_counts WHERE term IN ({marks})", some).fetchall())
    return held
