"""Captions: writing that repeats what is said is spelled better than it is heard.

A recording is taken to be captioned once two of its texts repeat the utterances they come with. From then on what is
written in the same place while somebody speaks is what is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from reasoning.query.rows import Row, unique
from runtime.language.match import Text
from runtime.language.normalise import words
from runtime.messages import Observation, TextFacts

# Writing is read from frames a second apart, so a caption may be seen a little before the words it gives.
EARLY_S = 1.0
# Of a caption's words, so many are heard too; and so many captions make a captioned place.
HEARD_SHARE = 0.6
CAPTIONS = 2
# A word or two may be heard by chance.
WORDS = 3

Place = tuple[str, str]


def caption_places(among: Sequence[Observation]) -> set[Place]:
    """Where (source and region of the picture) captions stand."""
    spoken = [(o, Text(o.text)) for o in among if o.channel == "speech"]
    counted: Counter[Place] = Counter()
    for o in among:
        if o.channel == "text" and any(_is_during(o, u) and _repeats(o, heard) for u, heard in spoken):
            counted[_place(o)] += 1
    return {place for place, count in counted.items() if count >= CAPTIONS}


def captioned(row: Row, among: Sequence[Observation], places: set[Place]) -> Row:
    """What was said, told in the words of its captions where it has some and they say no less of what is asked."""
    if row.kind != "said" or not places:
        return row
    captions = [
        o for o in among if o.channel == "text" and _place(o) in places and any(_is_during(o, u) for u in row.cites)
    ]
    given = " ".join(o.text.replace(" / ", " ") for o in sorted(captions, key=lambda o: o.t0_s))
    if len(words(given)) < HEARD_SHARE * len(words(row.told)) or any(
        not Text(given).find(w)[0] for w in (*row.covered, *words(row.value))
    ):
        return row
    return msgspec.structs.replace(row, told=given, cites=unique([*row.cites, *captions]))


def _place(o: Observation) -> Place:
    return o.source, o.facts(TextFacts).region


def _is_during(written: Observation, spoken: Observation) -> bool:
    return written.source == spoken.source and spoken.t0_s - EARLY_S <= written.t0_s <= spoken.t1_s


def _repeats(written: Observation, heard: Text) -> bool:
    given = words(written.text)
    return len(given) >= WORDS and sum(heard.find(word)[0] > 0 for word in given) >= HEARD_SHARE * len(given)
