"""Standing queries at work: orders in, every new observation through the gate, notices out.

What is new is read from memory after each commit, not from the bus: so what is told is durable and can be
cited, nothing waits in a queue of ours however fast a replay runs, and what was perceived while this
process was away is looked at when it is back. A query counts only what was stored after it was made.

Speech is the exception: an utterance is stored when it has ended and was transcribed, seconds after it began. That
somebody begins to speak, and what is understood while they do, is told at once, and cited when it is in memory.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import msgspec

from reasoning.answer.citations import cite
from reasoning.answer.draft import Draft
from reasoning.backends import Backend
from reasoning.leisure import Leisure
from reasoning.query.memory_client import MemoryClient
from reasoning.standing.alarms import Alarms
from reasoning.standing.being_said import BeingSaid
from reasoning.standing.carry_out import CommandExecutor, requested
from reasoning.standing.commands import StandingCommand, parse_command
from reasoning.standing.conditions import parse_condition
from reasoning.standing.confirm import Confirmer
from reasoning.standing.gate import Candidate, Gate, GateOptions
from reasoning.standing.look import Looker
from reasoning.standing.look_out import LookOut
from reasoning.standing.notice import as_notice, as_observation
from reasoning.standing.store import StandingQueryStore
from runtime.config import StandingConfig
from runtime.errors import MindstreamError
from runtime.messages import (
    CAPTION,
    PERCEIVED_CHANNELS,
    Channel,
    Notice,
    Observation,
    PartialTranscript,
    RememberRequest,
    ScanRequest,
    SpeechStarted,
    StandingQuery,
    StandingReply,
    StandingRequest,
    StatusRequest,
    Stored,
    View,
)

READ_AT_ONCE = 2000
# A listing waits this long for what is being looked at; then it tells what is known.
CATCH_UP_S = 5.0
COUNTED = ("standing", "notices", "notices_refused", "notices_over_budget", "notices_like_false_alarms")
# A caption made later than this after its picture is no news.
CAPTION_FRESH_S = 120.0


class Standing:
    """All standing queries of a memory. ``publish`` delivers a notice; it must not block."""

    def __init__(
        self,
        memory: MemoryClient,
        backend: Backend,
        book: StandingQueryStore,
        options: StandingConfig,
        publish: Callable[[Notice], None],
        log: logging.Logger,
        leisure: Leisure,
    ) -> None:
        self._memory = memory
        self._book = book
        self._publish = publish
        self._log = log
        self._gate = Gate(GateOptions(cool_down_s=options.cool_down_s, duplicate_s=options.duplicate_s))
        self._newest = Stored(generation=0, watermarks={})
        self._arrived = anyio.Event()
        self._looking = anyio.Lock()
        self._look_scope = anyio.CancelScope()
        self._read_to_s: dict[str, float] = {}
        self._over: set[str] = set()
        self._said = BeingSaid()
        self._confirmer = Confirmer(memory, backend, options, log, leisure)
        self._alarms = Alarms(memory, book)
        self.look_out = LookOut(
            memory, Looker(memory, backend.model, options, leisure, log), self._alarms, self._gate, self._active,
            self._alone, self._decide, log,
        )  # fmt: skip
        self._orders = CommandExecutor(
            memory, book, self._alarms, options.limit, lambda: self._confirmer.has_model, self.look_out.looker.model
        )
        self.counters: dict[str, float] = dict.fromkeys(COUNTED, 0)
        self._watch()

    async def order(self, text: str, conversation: str) -> Draft | None:
        """What is said to a sentence that gives or takes back a query; None where ``text`` is no such thing."""
        order = parse_command(text)
        return None if order is None else (await self._obey(order, conversation))[0]

    async def serve(self, request: StandingRequest) -> StandingReply:
        """A request of the command line or the chat, carried out."""
        draft, done = await self._obey(requested(request), request.conversation)
        return StandingReply(
            said="\n".join(claim.text for claim in draft.claims),
            done=done,
            queries=tuple(self._book.queries.values()),
            notices=self._book.notices,
            decisions=self._book.decisions if request.action in ("why", "wrong") else (),
        )

    async def forget(self) -> None:
        """Something is erased from memory: what was told, or is looked at just now, may quote it and is let go too."""
        self._look_scope.cancel()
        async with self._looking:
            self._said.forget()
            self._gate.forget()
            self.look_out.looker.forget()
            self._book.forget_told()
            await self._save()
            await self._alarms.let_go()
            await self._save()
        self._arrived.set()

    async def _obey(self, order: StandingCommand, conversation: str) -> tuple[Draft, bool]:
        with anyio.move_on_after(CATCH_UP_S):
            await self.catch_up()
        draft, done = await self._orders.obey(order, conversation)
        if done and order.action not in ("list", "why"):
            await self._save()
            self._watch()
        return draft, done

    def hear_of(self, stored: Stored) -> None:
        """Memory has committed more."""
        self._newest = stored
        self._arrived.set()
        self.look_out.hear_of(stored)

    def hear(self, voice: SpeechStarted) -> None:
        """Somebody began to speak."""
        self._said.hear(voice)
        self._arrived.set()

    def follow(self, partial: PartialTranscript) -> None:
        """What is understood of an utterance that goes on."""
        self._said.follow(partial)
        self._arrived.set()

    async def run(self) -> None:
        """Look at what is new whenever memory says so, until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            try:
                await self.look_at_speech()
                await self.catch_up()
            except MindstreamError as error:  # memory restarts; what is new now is new then
                self._log.warning("standing queries: %s", error)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """One look at a time, which `forget` breaks off; what it had not finished is looked at again."""
        async with self._looking:
            with anyio.CancelScope() as self._look_scope:
                yield

    async def look_at_speech(self) -> None:
        """Look at what has begun to be said and is in no memory yet."""
        async with self._alone():
            for begun in self._said.take():
                for candidate in self._gate.step(begun):
                    await self._consider(candidate, self._book.generation)

    async def catch_up(self) -> None:
        """Look at all that is in memory by now and has not been looked at."""
        async with self._alone():
            newest = self._newest
            generation = newest.generation or (await self._memory.status(StatusRequest())).generation
            if generation <= self._book.generation:
                return
            if self._active():
                for source in await self._sources(newest):
                    await self._look(source, generation)
            self._read_to_s.update(newest.watermarks)
            self._over = set(newest.ended)
            self._book.generation = generation

    async def settle(self) -> None:
        """Write down how far all was looked at, so that a restart goes on from there."""
        if not self._book.read_only:
            await self._save()

    async def _sources(self, newest: Stored) -> list[str]:
        """Sources that may hold something new: those that go on, or have ended since the last look."""
        if newest.generation:
            return [source for source in newest.watermarks if not (source in newest.ended and source in self._over)]
        return [record.source for record in (await self._memory.status(StatusRequest())).sources]

    async def _look(self, source: str, generation: int) -> None:
        # Nothing is stored any more that ends before what memory had announced as complete, but for captions.
        await self._look_through(source, generation, PERCEIVED_CHANNELS, self._read_to_s.get(source))
        fresh_s = self._newest.watermarks.get(source, 0.0) - CAPTION_FRESH_S
        await self._look_through(source, generation, ("derived",), fresh_s)

    async def _look_through(
        self, source: str, generation: int, channels: tuple[Channel, ...], t0_s: float | None
    ) -> None:
        """Look at what is new of these channels, of the derived at captions alone."""
        # What is seen need not wait for what is heard: no limit but the generation.
        view = View(generation=generation, limits={source: math.inf}, source=source)
        while True:
            reply = await self._memory.scan(
                ScanRequest(
                    view=view, source=source, channels=channels, kinds=(CAPTION,), t0_s=t0_s, limit=READ_AT_ONCE,
                    after_generation=self._book.generation,
                )
            )  # fmt: skip
            for observation in reply.observations:
                await self._find_awaited(observation)
                for candidate in self._gate.step(observation):
                    await self._consider(candidate, generation)
            if len(reply.observations) < READ_AT_ONCE or reply.observations[-1].t0_s == t0_s:
                return
            t0_s = reply.observations[-1].t0_s

    async def _consider(self, candidate: Candidate, generation: int) -> None:
        query = self._book.queries.get(candidate.query)
        if query is None or query.state != "active":
            return
        o = candidate.observation
        has_model = self._confirmer.has_model
        if has_model and not o.id and o.text:
            return  # a model confirms what was said when all of it is known
        notes = self._alarms.notes([query])[query.id]
        judged = await self._confirmer.confirm(query, o, generation, notes) if has_model and o.id else None
        self.counters["notices_over_budget"] = self._confirmer.over_budget
        how, (yes, reason) = ("sign", (candidate.sure, candidate.said)) if judged is None else ("confirm", judged)
        await self._decide(candidate, query, yes, how, reason, confirmed=judged is not None)

    async def _decide(
        self, candidate: Candidate, query: StandingQuery, yes: bool, by: str, reason: str, confirmed: bool
    ) -> None:
        """Keep what was decided of a candidate, and tell it where it is so and is not what was called a false alarm."""
        o = candidate.observation
        picture = await self._alarms.picture_of(o)
        decision = await self._alarms.decide(query, o, yes, by, reason, picture)
        if not yes:
            self.counters["notices_refused"] += 1
        elif await self._alarms.is_mistaken_again(query, picture):
            self.counters["notices_like_false_alarms"] += 1
        else:
            self._book.replace(decision, msgspec.structs.replace(decision, told=True))
            await self._tell(candidate, query, confirmed)
            return
        await self._save()

    async def _tell(self, candidate: Candidate, query: StandingQuery, confirmed: bool) -> None:
        o = candidate.observation
        self._gate.told(candidate)
        notice = as_notice(candidate, query, confirmed)
        told = msgspec.structs.replace(
            query, told=query.told + 1, last_source=o.source, last_t_s=o.t0_s, last_text=notice.text,
            state="active" if query.every else "done",
        )  # fmt: skip
        self._publish(notice)
        self.counters["notices"] += 1
        self._book.add_notice(notice, told)
        if told.state == "done":
            self._watch()
        await self._save()
        if o.id:
            await self._memory.remember(RememberRequest(observations=(as_observation(notice, o),)))
        else:
            self._said.told(notice)

    async def _find_awaited(self, o: Observation) -> None:
        """Cite an utterance, now that it is in memory, for what was told when it began."""
        for notice in self._said.found(o):
            self._book.cite(msgspec.structs.replace(notice, citation=cite([o])[0]))
            await self._memory.remember(RememberRequest(observations=(as_observation(notice, o),)))

    def _active(self) -> list[StandingQuery]:
        return [query for query in self._book.queries.values() if query.state == "active"]

    def _watch(self) -> None:
        self._gate.watch({query.id: parse_condition(query.text) for query in self._active()})
        self.counters["standing"] = len(self._active())

    async def _save(self) -> None:
        # Never abandoned half-way, and the event loop does not wait for the disk.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._book.save)
