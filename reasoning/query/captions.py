"""Captions: writing that repeats what is said is spelled better than it is heard.

A recording is taken to be captioned once two of its texts repeat the utterances they come with. From then on what is
written in the same place while somebody speaks is what is said. Elsewhere single names are: what is written large while
something that sounds like it is said.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
from rapidfuzz.fuzz import ratio

from reasoning.query.rows import Row, unique
from runtime.language.match import Text, sound_of
from runtime.language.normalise import words
from runtime.messages import Observation, TextFacts

# Writing is read from frames a second apart, so a caption may be seen a little before the words it gives.
EARLY_S = 1.0
# Of a caption's words, so many are heard too; and so many captions make a captioned place.
HEARD_SHARE = 0.6
CAPTIONS = 2
# A word or two may be heard by chance.
WORDS = 3

# A name is on screen up to so long before it is said.
NAMED_S = 10.0
# A sound of so many consonants is no coincidence; of fewer so many of 100 letters have to be alike.
SOUNDS, LETTERS_ALIKE = 4, 70.0
SHORTEST = 4
_WORD = re.compile(r"[^\W_]+")

Place = tuple[str, str]


def caption_places(among: Sequence[Observation]) -> set[Place]:
    """Where (source and region of the picture) captions stand."""
    spoken = [(o, Text(o.text)) for o in among if o.channel == "speech"]
    counted: Counter[Place] = Counter()
    for o in among:
        if o.channel == "text" and any(_is_during(o, u) and _repeats(o, heard) for u, heard in spoken):
            counted[_place(o)] += 1
    return {place for place, count in counted.items() if count >= CAPTIONS}


def captioned(row: Row, among: Sequence[Observation], places: set[Place], asked: Sequence[str]) -> Row:
    """What was said, told in the words of its captions where it has some and they lose no word that is ``asked``."""
    if row.kind != "said" or not places:
        return row
    captions = [
        o for o in among if o.channel == "text" and _place(o) in places and any(_is_during(o, u) for u in row.cites)
    ]
    given = " ".join(o.text.replace(" / ", " ") for o in sorted(captions, key=lambda o: o.t0_s))
    heard, kept = Text(row.told), Text(given)
    loses = any(heard.find(w)[0] and not kept.find(w)[0] for w in (*asked, *words(row.value)))
    if loses or len(words(given)) < HEARD_SHARE * len(words(row.told)):
        return row
    return msgspec.structs.replace(row, told=given, cites=unique([*row.cites, *captions]))


def spelled(row: Row, among: Sequence[Observation]) -> Row:
    """What was said with the names in it as they are written: "Zarvox" where "Sarfox" was heard."""
    if row.kind != "said":
        return row
    written = [o for o in among if o.channel == "text" and any(_is_during(o, u, NAMED_S) for u in row.cites)]
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


def _place(o: Observation) -> Place:
    return o.source, o.facts(TextFacts).region


def _is_during(written: Observation, spoken: Observation, early_s: float = EARLY_S) -> bool:
    return written.source == spoken.source and spoken.t0_s - early_s <= written.t0_s <= spoken.t1_s


def _repeats(written: Observation, heard: Text) -> bool:
    given = words(written.text)
    return len(given) >= WORDS and sum(heard.find(word)[0] > 0 for word in given) >= HEARD_SHARE * len(given)
