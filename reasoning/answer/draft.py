"""What a back end hands to the turn: claims that name the observations they rest on.

A claim is one sentence. A model writes the moments of what it cites into it; of one that has none, the moments of its
citations are put at its end when they have been checked (`reasoning.answer.citations`).
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from reasoning.query.rows import unique
from runtime.clock import media_time
from runtime.language.lists import sentence
from runtime.messages import Observation


class Claim(Struct, frozen=True):
    """One sentence and the observations it rests on."""

    text: str
    cites: tuple[Observation, ...] = ()


class Draft(Struct, frozen=True):
    """An answer before it is checked. ``confidence`` 0..1; ``abstained`` means what was asked is not evidenced."""

    claims: tuple[Claim, ...]
    confidence: float = 1.0
    abstained: bool = False

    @property
    def text(self) -> str:
        return " ".join(claim.text for claim in self.claims)


class Verdict(Struct, frozen=True):
    """The end of an answer.

    confidence how sure it is, 0..1; abstained whether it declined to answer.
    backend    who composed it, where that is not the back end's own name.
    notice     one line the user should know of how it came about ("" if nothing).
    """

    confidence: float
    abstained: bool
    backend: str = ""
    notice: str = ""


def mark(t_s: float) -> str:
    """A moment of media time as a model writes it: ``[m:ss]``, or ``[h:mm:ss]`` from an hour on."""
    return f"[{media_time(t_s)}]"


def claim(text: str, *cites: Observation) -> Claim:
    """A sentence and what it rests on, each once."""
    return Claim(sentence(text), unique(cites))


def refusal(text: str, *near: Claim, confidence: float = 0.0) -> Draft:
    """A draft that says it does not know, with what comes nearest after it."""
    return Draft((Claim(sentence(text)), *near), confidence, abstained=True)


def all_cited(claims: Iterable[Claim]) -> tuple[Observation, ...]:
    """What several claims rest on, each once."""
    return unique(o for c in claims for o in c.cites)
