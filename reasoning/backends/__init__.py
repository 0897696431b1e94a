"""Back ends that compose answers: one small Protocol, and a table of name -> loader.

A back end gets the question as a Frame and the context it may gather evidence through. It yields claims as
it makes them and the steps it took to find their evidence; the last thing it yields is its verdict.
`extractive` composes from evidence alone; the others let a language model speak (`chat_model.py` is what
a model is to them) and fall back to it. Loaders import what they need themselves, so that a profile
without a model never pays for one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

from reasoning.answer.draft import Claim, Verdict
from reasoning.backends.chat_model import ChatModel
from reasoning.query.context import Context
from reasoning.understand.frame import Frame
from runtime.addresses import shown
from runtime.config import ReasoningConfig
from runtime.errors import ConfigError, ModelError
from runtime.messages import TraceStep

__all__ = ["BACKENDS", "Backend", "InThread", "Verdict", "examine", "load_backend"]

# Runs a function in the one model thread of the process (`Service.in_thread`).
InThread = Callable[..., Awaitable[Any]]


class Backend(Protocol):
    """Composes an answer. Cancelled by cancelling the task that iterates it.

    name           who composes at present; max_citations  how many moments an answer points to, at most.
    """

    name: str
    max_citations: int

    async def open(self) -> None:
        """Get ready what takes time (find a server, load a model), beside the first questions."""
        ...

    async def model(self) -> ChatModel | None:
        """The language model it answers with, for what else is asked of one; None where it has none.

        Raises:
            ModelError: it has one that is not there.
        """
        ...

    def respond(self, frame: Frame, context: Context) -> AsyncIterator[Claim | TraceStep | Verdict]:
        """Claims in reading order with the steps between them, then one `Verdict`."""
        ...


def _load_extractive(config: ReasoningConfig, in_thread: InThread) -> Backend:
    from reasoning.answer.extract import ExtractiveBackend

    return ExtractiveBackend(config.abstain_below, config.max_citations)


def _load_auto(config: ReasoningConfig, in_thread: InThread) -> Backend:
    from reasoning.backends.find_server import ServerFinder
    from reasoning.backends.with_model import ModelBackend

    return ModelBackend(ServerFinder(config.model, required=False), _load_extractive(config, in_thread), config)


def _load_openai(config: ReasoningConfig, in_thread: InThread) -> Backend:
    from reasoning.backends.find_server import ServerFinder
    from reasoning.backends.with_model import ModelBackend

    return ModelBackend(ServerFinder(config.model, required=True), _load_extractive(config, in_thread), config)


def _load_transformers(config: ReasoningConfig, in_thread: InThread) -> Backend:
    from reasoning.backends.transformers_model import ModelLoader
    from reasoning.backends.with_model import ModelBackend

    return ModelBackend(ModelLoader(config.model, in_thread), _load_extractive(config, in_thread), config)


BACKENDS: dict[str, Callable[[ReasoningConfig, InThread], Backend]] = {
    "auto": _load_auto,
    "extractive": _load_extractive,
    "openai": _load_openai,
    "transformers": _load_transformers,
}


async def examine(config: ReasoningConfig) -> tuple[bool, str]:
    """Whether answers can be composed here as the profile wants it, and by what, in one line; no model is loaded.

    Raises:
        ConfigError: see `load_backend`.
    """
    _check(config)
    quotes = "quotes its evidence, no language model"
    if config.backend == "extractive":
        return True, quotes
    if config.backend == "transformers":
        from reasoning.backends.transformers_model import locate_model

        try:
            return True, f"a language model in this process: {locate_model(config.model)}"
        except ModelError as error:
            return False, f"{quotes}: {error}"
    from reasoning.backends.find_server import NONE_FOUND, find_server

    try:
        server = await find_server(config.model)
    except ModelError as error:
        return False, f"{quotes}: {error}"
    if server is not None:
        told = server.abilities
        sees = "" if told.images else ", which is blind"
        note = f"; {server.note}" if server.note else ""
        return True, (
            f"a language model: {server.name} at {shown(server.base_url)}{sees}, {told.context_tokens} tokens of"
            f" context{note}"
        )
    from reasoning.backends.recommend import recommend, this_machine

    return config.backend == "auto", f"{quotes}: {NONE_FOUND}; {recommend(this_machine())}"


def load_backend(config: ReasoningConfig, in_thread: InThread) -> Backend:
    """The back end that ``reasoning.backend`` names.

    Raises:
        ConfigError: there is no such back end, or its settings cannot be.
    """
    _check(config)
    return BACKENDS[config.backend](config, in_thread)


def _check(config: ReasoningConfig) -> None:
    if config.backend not in BACKENDS:
        raise ConfigError(f"reasoning.backend: no {config.backend!r}; there is {', '.join(sorted(BACKENDS))}")
