"""Evidence as rows: what is told of an observation, and which words of the question it answers for.

Coverage is what the one rule of honesty (`reasoning.answer.honesty`) judges; the score orders rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from msgspec import Struct

from runtime.language.match import Text
from runtime.messages import Observation

Kind = Literal["said", "read", "described", "seen", "heard", "pictured"]
# Of words that somebody said or wrote, or a model did.
IN_WORDS = ("said", "read", "described")
# A fit below this is a guess, for which no yes is said.
SURE = 0.75


class Row(Struct, frozen=True):
    """A piece of evidence.

    cites     what it rests on, the observation it is about first.
    told      what is told of it: the passage, or a sentence of what was seen.
    t_s       the media second it tells of; ``until_s`` up to when it is known to last, None where that is not asked.
    missing   the words of the question it does not answer for; ``coverage`` is the share of the others, 0..1, by how
              surely each was found; of the nouns asked for ("which *product* is announced") where there are no others.
    score     orders rows. ``value`` is one of the type asked for, or the name of what was seen; "" where none is in it.
    """

    cites: tuple[Observation, ...]
    told: str
    kind: Kind
    t_s: float
    missing: tuple[str, ...] = ()
    coverage: float = 0.0
    score: float = 0.0
    value: str = ""
    until_s: float | None = None

    @property
    def observation(self) -> Observation:
        return self.cites[0]


def row_for(
    wanted: Iterable[str],
    answers: Callable[[str], object],
    cites: tuple[Observation, ...],
    told: str,
    kind: Kind,
    *,
    value: str = "",
    until_s: float | None = None,
) -> Row:
    """A row of what was perceived, which ``answers`` for some of the words ``wanted``."""
    asked = tuple(dict.fromkeys(wanted))
    missing = tuple(word for word in asked if not answers(word))
    share = round(1.0 - len(missing) / len(asked), 4) if asked else 1.0
    return Row(cites, told, kind, cites[0].t0_s, missing, share, share, value, until_s=until_s)


class Covered(Struct, frozen=True):
    """How far a text answers for some words: by how surely each was found, 0..1, which of them surely, and where."""

    share: float = 0.0
    words: tuple[str, ...] = ()
    places: tuple[int, ...] = ()


def cover(wanted: Sequence[str], text: Text) -> Covered:
    """How far ``text`` answers for the words ``wanted``."""
    if not wanted:
        return Covered()
    found = [text.find(word) for word in wanted]
    return Covered(
        sum(fit for fit, _ in found) / len(wanted),
        tuple(word for word, (fit, _) in zip(wanted, found, strict=True) if fit >= SURE),
        tuple(sorted({place for fit, place in found if fit > 0 and place >= 0})),
    )


def best_first(rows: Iterable[Row]) -> list[Row]:
    """By score; equals in order of time."""
    return sorted(rows, key=lambda row: (-row.score, row.t_s, row.observation.id))


def unique(observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """Each observation once, in order."""
    return tuple({o.id: o for o in observations}.values())
