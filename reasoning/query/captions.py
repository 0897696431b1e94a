"""Captions: writing that repeats what is being said, and is spelled better than a recogniser hears it.

A recording is taken to be captioned once two of its texts repeat the utterances they come with. From then on what is
written in the same place while somebody speaks is what he says, even where nothing of it was understood.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from reasoning.answer.draft import quote
from reasoning.answer.layout import plain
from reasoning.understand.words import match, words
from runtime.messages import Observation, TextFacts

# Writing is read from frames a second apart, so a caption may be seen a little before the words it gives.
EARLY_S = 1.0
# Of a caption's words, so many are heard too; and of captions that are, so many make a captioned recording.
HEARD_SHARE = 0.6
CAPTIONS = 2
# A word or two may be heard by chance.
WORDS = 3


def captions(spoken: Sequence[Observation], written: Sequence[Observation]) -> dict[str, tuple[Observation, ...]]:
    """The captions of utterances by their ids, in order of time; both lists are in order of time."""
    pairs = [
        (u, t)
        for t in written
        for u in [next((u for u in spoken if u.source == t.source and u.t0_s - EARLY_S <= t.t0_s <= u.t1_s), None)]
        if u is not None
    ]
    places: dict[tuple[str, str], int] = defaultdict(int)
    for utterance, text in pairs:
        places[_place(text)] += _repeats(text, utterance)
    found: dict[str, list[Observation]] = defaultdict(list)
    for utterance, text in pairs:
        if places[_place(text)] >= CAPTIONS:
            found[utterance.id].append(text)
    return {identity: tuple(texts) for identity, texts in found.items()}


def as_captioned(texts: Sequence[Observation]) -> str:
    """The captions of one utterance as one quotation."""
    return quote(" ".join(plain(text) for text in texts))


def _place(text: Observation) -> tuple[str, str]:
    return text.source, text.facts(TextFacts).region


def _repeats(text: Observation, utterance: Observation) -> bool:
    given, heard = words(text.text), words(utterance.text)
    return len(given) >= WORDS and sum(match(word, heard) > 0 for word in given) >= HEARD_SHARE * len(given)
