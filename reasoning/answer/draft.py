"""What a back end hands to the turn: claims that name the observations they rest on.

A claim is one sentence. Its `[m:ss]` marks and its citations are made together here, so that they agree
by construction; `citations.py` checks both again against the View before anything reaches the user.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

from runtime.clock import media_time
from runtime.messages import Observation

# Utterances run to 15 s; a quotation longer than this is not read as one.
QUOTE_WORDS = 26


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


def mark(t_s: float) -> str:
    """The moment as an answer writes it: ``[m:ss]``, or ``[h:mm:ss]`` from an hour on."""
    return f"[{media_time(t_s)}]"


def marks(observations: Iterable[Observation]) -> str:
    """The marks of several observations in order of time, each second once: ``[0:03], [0:09] and [0:24]``."""
    return join(dict.fromkeys(mark(o.t0_s) for o in sorted(observations, key=lambda o: o.t0_s)))


def join(parts: Iterable[str], last: str = "and") -> str:
    """``a, b and c``."""
    listed = [part for part in parts if part]
    if len(listed) < 2:
        return "".join(listed)
    return f"{', '.join(listed[:-1])} {last} {listed[-1]}"


def one(claim: str, *cites: Observation, confidence: float) -> Draft:
    """A draft of a single claim."""
    return Draft((Claim(sentence(claim), unique(cites)),), confidence)


def refusal(text: str) -> Draft:
    """A draft that says it does not know; nothing is cited because nothing was found."""
    return Draft((Claim(sentence(text)),), 0.0, abstained=True)


def unique(observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """Each observation once, in order."""
    return tuple({o.id: o for o in observations}.values())


def sentence(text: str) -> str:
    """``text`` with a capital at its start and a full stop at its end."""
    text = re.sub(r"\s{2,}", " ", text.strip())
    if not text:
        return text
    if text[-1] not in ".!?" and not re.search(r"[.!?][\"”]$", text):
        text += "."
    return text[0].upper() + text[1:]


def quote(text: str) -> str:
    """``text`` in quotation marks, its own double quotes made single."""
    inner = text.strip().replace('"', "'")
    return f'"{inner}"'


def clause_around(spoken: list[str], at: Iterable[int], limit: int = QUOTE_WORDS) -> str:
    """At most ``limit`` words of ``spoken`` around the positions ``at``, with ellipses where it was cut.

    More is kept after the matched words than before them: the asked detail usually follows.
    """
    if len(spoken) <= limit:
        return " ".join(spoken)
    where = sorted(at) or [0]
    # The densest stretch of matches that fits, then two thirds of what is left behind it.
    best = max(where, key=lambda i: (sum(i <= j < i + limit for j in where), -i))
    inside = [j for j in where if best <= j < best + limit]
    spare = limit - (inside[-1] - best + 1)
    start = max(0, min(best - spare // 3, len(spoken) - limit))
    end = min(len(spoken), start + limit)
    return f"{'... ' if start else ''}{' '.join(spoken[start:end])}{' ...' if end < len(spoken) else ''}"
