"""Looking out for what no sign tells: when a look is due, for which queries, and what is made of what it found."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import anyio

from reasoning.answer.draft import mark
from reasoning.query.known import Known, known_of
from reasoning.query.memory_client import MemoryClient
from reasoning.standing.alarms import Alarms
from reasoning.standing.beyond_signs import with_eyes
from reasoning.standing.conditions import parse_condition
from reasoning.standing.gate import Candidate, Gate
from reasoning.standing.look import Looker
from runtime.errors import MindstreamError
from runtime.messages import StandingQuery, StatusRequest, Stored

# Between two looks.
PAUSE_S = 1.0
# Which encoders there are is asked for so often.
KNOWN_S = 60.0


class LookOut:
    """Has ``looker`` look at what goes on. ``active``: the queries by now; ``alone``: what keeps others from deciding
    meanwhile; ``decide``: what a candidate is handed to, with the query, whether it is so, by what, and why."""

    def __init__(
        self,
        memory: MemoryClient,
        looker: Looker,
        alarms: Alarms,
        gate: Gate,
        active: Callable[[], list[StandingQuery]],
        alone: Callable[[], AbstractAsyncContextManager[None]],
        decide: Callable[[Candidate, StandingQuery, bool, str, str, bool], Awaitable[None]],
        log: logging.Logger,
    ) -> None:
        self.looker = looker
        self._memory = memory
        self._alarms = alarms
        self._gate = gate
        self._active = active
        self._alone = alone
        self._decide = decide
        self._log = log
        self._newest = Stored(generation=0, watermarks={})
        self._due = anyio.Event()
        self._known: Known | None = None
        self._known_until_s = 0.0

    def hear_of(self, stored: Stored) -> None:
        """Memory has committed more."""
        self._newest = stored
        self._due.set()

    async def run(self) -> None:
        """Look whenever something new is to be seen, until cancelled."""
        while True:
            await self._due.wait()
            self._due = anyio.Event()
            try:
                for source in [name for name in self._newest.watermarks if name not in self._newest.ended]:
                    await self.look_at(source)
            except MindstreamError as error:  # memory restarts
                self._log.warning("standing queries: %s", error)
            await anyio.sleep(PAUSE_S)

    async def look_at(self, source: str) -> None:
        """One look at the newest of a source, where one is due."""
        queries = await self._looked_for()
        if not queries:
            return
        generation = min(query.generation for query in queries)
        seen = await self.looker.look(source, generation, queries, self._alarms.notes(queries))
        if seen is None:
            return
        async with self._alone():
            active = {query.id: query for query in self._active()}
            for id_, (yes, reason) in seen.found.items():
                if id_ not in active or (yes and not self._gate.notice(id_, seen.frame, "look")):
                    continue  # it was taken back meanwhile; or goes on
                said = f"{reason.rstrip('.') or 'I see it'} {mark(seen.frame.t0_s)}"
                await self._decide(Candidate(id_, seen.frame, True, said), active[id_], yes, "look", reason, True)

    async def _looked_for(self) -> list[StandingQuery]:
        """The active queries that no sign tells all of."""
        active = self._active()
        if not active or not await self.looker.model():
            return []
        known = await self._knows()
        return [q for q in active if "look" in with_eyes(parse_condition(q.text), known).signs]

    async def _knows(self) -> Known:
        """What the encoders recognise, as it was a while ago at most: to count what memory holds takes it as long as
        an answer."""
        if self._known is None or anyio.current_time() >= self._known_until_s:
            self._known = known_of((await self._memory.status(StatusRequest())).sources)
            self._known_until_s = anyio.current_time() + KNOWN_S
        return self._known
