"""Words that a recogniser may have made of the word asked for: misheard, or misread by a letter."""

from __future__ import annotations

import sqlite3

from memory.keys import can_be_misspelt, most_similarity, similarity, sound_of

_NEAR_CANDIDATES = 200
# Two words that sound the same may differ more in spelling than two that only look alike.
_SIMILAR_BY_SOUND = 0.6
_SIMILAR_BY_LOOK = 0.8
_LOOK_ALIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s", "8": "b", "q": "g"})


def learn(connection: sqlite3.Connection, term: str) -> None:
    """Add a term, if it is one that can be misspelt."""
    if not can_be_misspelt(term):
        return
    added = connection.execute("INSERT OR IGNORE INTO vocabulary(term, sound) VALUES (?,?)", (term, sound_of(term)))
    if added.rowcount:
        connection.execute("INSERT INTO vocabulary_trigrams(rowid, term) VALUES (?,?)", (added.lastrowid, term))


def near_terms(connection: sqlite3.Connection, term: str) -> list[tuple[str, float]]:
    """Terms of the memory near to this one, with their likeness 0..1, the likest first.

    Alike in sound (misheard speech), or in look up to one letter with the same beginning (misread text).
    """
    if not can_be_misspelt(term):
        return []
    trigrams = " OR ".join(f'"{term[i : i + 3]}"' for i in range(len(term) - 2))
    looks = connection.execute(
        "SELECT term FROM vocabulary_trigrams WHERE vocabulary_trigrams MATCH ? ORDER BY rank LIMIT ?",
        (trigrams, _NEAR_CANDIDATES),
    ).fetchall()
    sound = sound_of(term)
    sounds = connection.execute(
        "SELECT term FROM vocabulary WHERE sound=? LIMIT ?", (sound, _NEAR_CANDIDATES)
    ).fetchall()
    likeness: dict[str, float] = {}
    for (other,) in (*looks, *sounds):
        if other == term or other in likeness:
            continue
        same_sound = len(sound) >= 2 and sound_of(other) == sound
        same_begin = other[0].translate(_LOOK_ALIKE) == term[0].translate(_LOOK_ALIKE)
        if not (same_sound or same_begin) or abs(len(other) - len(term)) > 0.4 * len(term):
            continue
        least = _SIMILAR_BY_SOUND if same_sound else _SIMILAR_BY_LOOK
        if most_similarity(term.translate(_LOOK_ALIKE), other.translate(_LOOK_ALIKE)) < least:
            continue
        alike = similarity(term.translate(_LOOK_ALIKE), other.translate(_LOOK_ALIKE))
        if (same_sound and alike >= _SIMILAR_BY_SOUND) or (same_begin and alike >= _SIMILAR_BY_LOOK):
            likeness[other] = alike
    return sorted(likeness.items(), key=lambda item: (-item[1], item[0]))


def knows(connection: sqlite3.Connection, term: str) -> bool:
    """Whether any observation holds the term (letters only)."""
    return connection.execute("SELECT 1 FROM vocabulary WHERE term=?", (term,)).fetchone() is not None
