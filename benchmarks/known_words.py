"""Recordings whose words are known: how the media folder tells them, and how words are counted as misheard.

`INDEX.json` has transcripts, or names the side file that has them (.srt, .stm); annotations of clips have a list
``speech``, whose words must all be known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from rapidfuzz.distance import Levenshtein

# Music, laughter and the like under speech, as annotations tell of it.
_OVER_SOUND = re.compile(r"\b(music|laugh|applause|noise|crowd)", re.IGNORECASE)
# Ways to write one word; and what is a mark in some texts and a word in others.
_ALIKE = {"spectre": "specter", "mr": "mister", "mrs": "missis", "dr": "doctor", "okay": "ok"} | dict(
    zip("0123456789", "zero one two three four five six seven eight nine".split(), strict=True)
)


class Spoken(Struct, frozen=True):
    """A recording and what is said in it. ``film``: with music or other sound under it."""

    path: Path
    words: str
    film: bool


def english(media: Path) -> list[Spoken]:
    """The recordings of English speech with known words in a media folder, in the order of its index."""
    found: list[Spoken] = []
    for row in _index(media):
        path = media / row["file"]
        transcript = row.get("transcript") or ""
        if row.get("language") == "en" and transcript:
            side = [media / name for name in row.get("side_files") or () if name.endswith((".srt", ".stm"))]
            found.append(Spoken(path, _written(side[0]) if side else transcript, film=False))
        elif row["file"].startswith("video/") and row.get("annotation"):
            notes = json.loads((media / row["annotation"]).read_text(encoding="utf-8"))
            texts = [part.get("text") for part in notes.get("speech") or ()]
            if texts and all(texts) and row.get("language", "en") == "en":
                film = _OVER_SOUND.search(notes.get("audio_notes", "").replace("no music", "")) is not None
                found.append(Spoken(path, " ".join(texts), film))
    return found


def without_speech(media: Path) -> list[Path]:
    """The recordings of a media folder that hold sound and no words: labelled sounds, and what is said to be none."""
    return [
        media / row["file"]
        for row in _index(media)
        if row["file"].startswith("audio/sounds/")
        or row.get("transcript") == ""
        or (row["file"].startswith("video/") and row.get("has_speech") is False and row.get("audio_codec"))
    ]


def words_of(text: str) -> list[str]:
    """Words to compare: small letters, no marks, numerals of one digit as words."""
    plain = text.lower().replace("’", "'").replace("'", "")
    return [_ALIKE.get(word, word) for word in re.sub(r"[^\w]", " ", plain).split()]


def misheard(said: Sequence[str], heard: Sequence[str]) -> int:
    """Words replaced, left out and put in, at the least (Levenshtein's distance)."""
    return Levenshtein.distance(said, heard)


def _index(media: Path) -> Iterator[dict[str, Any]]:
    path = media / "INDEX.json"
    yield from json.loads(path.read_text(encoding="utf-8"))["files"] if path.is_file() else ()


def _written(path: Path) -> str:
    """The words of a side file: subtitles (SubRip), or NIST's segment time marks."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if path.suffix == ".stm":
        return " ".join(line.split(maxsplit=5)[5] for line in lines if line.strip())
    return " ".join(line for line in lines if line.strip() and "-->" not in line and not line.strip().isdigit())
