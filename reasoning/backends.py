"""Back ends that compose answers: one small Protocol, and a table of name -> loader.

A back end gets the parsed question and the context it may gather evidence through, and yields claims as
it makes them; the last thing it yields is its verdict. Loaders import what they need themselves, so that
a profile without a model never pays for one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from msgspec import Struct

from reasoning.context import Context
from reasoning.draft import Claim
from reasoning.questions import Question
from runtime.config import ReasoningConfig
from runtime.errors import ConfigError


class Verdict(Struct, frozen=True):
    """The end of an answer: how sure it is (0..1), and whether it declined to answer."""

    confidence: float
    abstained: bool


class Backend(Protocol):
    """Composes an answer. Cancelled by cancelling the task that iterates it."""

    name: str

    def respond(self, question: Question, context: Context) -> AsyncIterator[Claim | Verdict]:
        """Claims in reading order, then one `Verdict`."""
        ...


def _load_extractive(config: ReasoningConfig) -> Backend:
    from reasoning.extract import ExtractiveBackend

    return ExtractiveBackend(abstain_below=config.abstain_below)


BACKENDS: dict[str, Callable[[ReasoningConfig], Backend]] = {"extractive": _load_extractive}


def load_backend(config: ReasoningConfig) -> Backend:
    """The back end that ``reasoning.backend`` names.

    Raises:
        ConfigError: there is no such back end.
    """
    if config.backend not in BACKENDS:
        raise ConfigError(f"reasoning.backend: no {config.backend!r}; there is {', '.join(sorted(BACKENDS))}")
    return BACKENDS[config.backend](config)
