"""A model looks at what may be it, before the user is told; how often it may be asked is limited for each source."""

from __future__ import annotations

import datetime
import logging
from collections import deque

import anyio

from reasoning.answer.draft import Claim
from reasoning.backends import Backend, Verdict
from reasoning.leisure import Leisure
from reasoning.query.context import Context
from reasoning.query.memory_client import MemoryClient
from reasoning.understand.grammar import parse_question
from runtime.config import StandingConfig
from runtime.errors import MindstreamError
from runtime.language.normalise import words
from runtime.messages import Observation, StandingQuery, View

EXTRACTIVE = "extractive"
HOUR_S = 3600.0
# What a model may look at: a little before the sign, and what came with it.
BEFORE_S = 4.0
AFTER_S = 1.0


class Confirmer:
    """Asks ``backend``. ``over_budget`` counts what was not asked any more."""

    def __init__(
        self,
        memory: MemoryClient,
        backend: Backend,
        options: StandingConfig,
        log: logging.Logger,
        leisure: Leisure,
    ) -> None:
        self._leisure = leisure
        self._memory = memory
        self._backend = backend
        self._options = options
        self._log = log
        self._asked: dict[str, deque[float]] = {}
        self.over_budget = 0

    @property
    def has_model(self) -> bool:
        return self._backend.name != EXTRACTIVE

    async def confirm(
        self, query: StandingQuery, o: Observation, generation: int, note: str = ""
    ) -> tuple[bool, str] | None:
        """Whether the model agrees that ``o`` is what the query waits for, and its words; None where it was not, or
        could not be, asked. ``note``: what it is told besides."""
        asked = self._asked.setdefault(o.source, deque())
        while asked and o.t0_s - asked[0] >= HOUR_S:
            asked.popleft()
        if len(asked) >= self._options.confirmations_per_h:
            self.over_budget += 1
            return None
        asked.append(o.t0_s)
        view = View(generation=generation, limits={o.source: o.t1_s}, source=o.source, as_of_s=o.t1_s)
        is_so = f"Is this happening between {o.t0_s:.0f} and {o.t1_s + 1:.0f} s: {query.text}? Begin with yes or no."
        question = parse_question(f"{is_so} {note}".strip(), datetime.datetime.now(datetime.UTC))
        context = Context(self._memory, view, t0_s=max(0.0, o.t0_s - BEFORE_S), t1_s=o.t1_s + AFTER_S, source=o.source)
        said, declined = "", False
        try:
            with self._leisure.taken(), anyio.fail_after(self._options.confirm_deadline_s):
                async for piece in self._backend.respond(question, context):
                    if isinstance(piece, Claim):
                        said += f" {piece.text}"
                    elif isinstance(piece, Verdict):
                        if piece.backend == EXTRACTIVE:
                            return None  # no model answered
                        declined = piece.abstained
        except (TimeoutError, MindstreamError) as error:
            self._log.warning("standing query %s was not confirmed: %s", query.id, error or "no answer in time")
            return None
        return not declined and words(said)[:1] == ["yes"], said.strip()
