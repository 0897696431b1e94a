"""Names as they are written: what is on screen while something that sounds like it is said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec
from rapidfuzz.fuzz import ratio

from reasoning.query.rows import Row, unique
from runtime.language.match import sound_of
from runtime.messages import Observation

# A name is on screen up to so long before it is said.
NAMED_S = 10.0
# A sound of so many consonants is no coincidence; of fewer so many of 100 letters have to be alike.
SOUNDS, LETTERS_ALIKE = 4, 70.0
SHORTEST = 4
_WORD = re.compile(r"[^\W_]+")


def spelled(row: Row, among: Sequence[Observation]) -> Row:
    """What was said with the names in it as they are written: "Zarvox" where "Sarfox" was heard."""
    if row.kind != "said":
        return row
    written = [
        o
        for o in among
        if o.channel == "text" and any(u.source == o.source and u.t0_s - NAMED_S <= o.t0_s <= u.t1_s for u in row.cites)
    ]
    told, shown = row.told, []
    parts = _by_sound(told) if written else {}
    for o in written:
        for name in _names(o.text):
            if (better := _with_name(told, name, parts)) != told:
                told, parts = better, _by_sound(better)
                shown.append(o)
    return msgspec.structs.replace(row, told=told, cites=unique([*row.cites, *shown])) if shown else row


def _names(text: str) -> Iterator[str]:
    """Words written with a capital that are long enough to be told by their sound."""
    for word in _WORD.findall(text):
        if len(word) >= SHORTEST and word[0].isupper() and word.isalpha():
            yield word if not word.isupper() else word.capitalize()


def _by_sound(told: str) -> dict[str, list[tuple[int, int]]]:
    """Where up to three words in a row begin and end, by their sound, single words first."""
    heard = list(_WORD.finditer(told))
    found: dict[str, list[tuple[int, int]]] = {}
    for count in (1, 2, 3):
        for first, last in zip(heard, heard[count - 1 :], strict=False):
            begin, end = first.start(), last.end()
            found.setdefault(sound_of(told[begin:end].casefold()), []).append((begin, end))
    return found


def _with_name(told: str, name: str, parts: dict[str, list[tuple[int, int]]]) -> str:
    """``told`` with ``name`` for the first of its ``parts`` that sounds the same, unless it has the name already."""
    wanted = sound_of(name.casefold())
    alike = parts.get(wanted, [])
    if any(told[begin:end].casefold() == name.casefold() for begin, end in alike):
        return told
    least = LETTERS_ALIKE * (len(wanted) < SOUNDS)
    for begin, end in alike:
        if ratio(told[begin:end].replace(" ", "").casefold(), name.casefold()) >= least:
            return told[:begin] + name + told[end:]
    return told
