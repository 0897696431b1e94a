"""The words of a question that passages are weighed by: how much each counts, and which may be whoever speaks."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from reasoning.understand.frame import VISIBLE, Frame, Term
from runtime.language import lexicon
from runtime.language.normalise import words
from runtime.language.stem import stem

# Words more between two words of a clause than the question has there.
CLAUSE_GAP = 1
# A verb that goes with anything weighs so much.
LIGHT = 0.4
_ROLE_WEIGHTS = {"subject": 1.0, "predicate": 0.6, "colour": 0.8}


class Wanted:
    """``names`` are what a passage has to carry, by ``weights``; ``places`` and ``heads`` only help to find it."""

    def __init__(self, frame: Frame) -> None:
        terms = [term for term in frame.terms if term.role in _ROLE_WEIGHTS]
        self._role = {
            term.word: LIGHT if stem(term.word) in lexicon.LIGHT_VERBS else _ROLE_WEIGHTS[term.role] for term in terms
        }
        if self._role and set(self._role.values()) <= {LIGHT}:  # "who lives in Texas?"
            terms += [term for term in frame.terms if term.role == "place"]
            self._role |= {term.word: 1.0 for term in terms if term.role == "place"}
        self.names = list(
            dict.fromkeys((*(term.word for term in terms), *(w for p in frame.phrases for w in words(p))))
        )
        self.weights = [self._role.get(name, 1.0) for name in self.names]
        self.places, self.heads = frame.of("place"), frame.of("head")
        if not self.names:
            self.heads += frame.of("speaker")  # "what does the second law say?"
        # Of whom it is asked may be who speaks, and is "I" then.
        told = frame.reduce in ("value", "list") and frame.predicate not in VISIBLE
        self.speakers = [term.word for term in terms if told and term.role == "subject" and _may_speak(term, frame)]
        asked = words(frame.times.rest)
        self.asked = set(words(frame.text))
        # How many words may stand between two of the names, where they are a clause.
        places = [asked.index(name) if name in asked else 0 for name in self.names]
        self.gaps = [max(0, b - a - 1) + CLAUSE_GAP for a, b in pairwise(places)]

    def share(self, some: Iterable[str]) -> float:
        """The weight of these words in all of them."""
        return sum(self._role.get(w, 1.0) for w in some) / (sum(self.weights) or 1.0)


def _may_speak(term: Term, frame: Frame) -> bool:
    """Whether a word names a person: somebody, or a name that is no place's."""
    if lexicon.THINGS.of(term.word) == [lexicon.PERSON]:
        return True
    written = frame.times.rest[term.start : term.start + 1]
    return term.start > 0 and written.isupper() and not lexicon.places_in("place", term.word)
