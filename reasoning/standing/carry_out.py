"""Orders carried out: standing queries are made, listed, paused, resumed and taken back, each with words to say so."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from reasoning.answer.draft import Claim, Draft, refusal
from reasoning.backends.chat_model import ChatModel
from reasoning.query.known import known_of
from reasoning.query.memory_client import MemoryClient
from reasoning.standing.alarms import Alarms
from reasoning.standing.beyond_signs import with_eyes
from reasoning.standing.commands import StandingCommand, bare_condition, parse_command
from reasoning.standing.conditions import account, parse_condition
from reasoning.standing.store import StandingQueryStore
from runtime.clock import media_time
from runtime.language.lists import quote, sentence
from runtime.language.normalise import fold, words
from runtime.language.stem import stem
from runtime.messages import Decision, StandingQuery, StandingRequest, StatusRequest

# So many of the newest decisions are told.
TOLD = 10


class CommandExecutor:
    """Writes commands into ``book``, which is on disk only after `StandingQueryStore.save`; at most ``limit`` are
    kept."""

    def __init__(
        self,
        memory: MemoryClient,
        book: StandingQueryStore,
        alarms: Alarms,
        limit: int,
        has_model: Callable[[], bool],
        eyes: Callable[[], Awaitable[ChatModel | None]],
    ) -> None:
        self._memory = memory
        self._book = book
        self._alarms = alarms
        self._eyes = eyes
        self._limit = limit
        self._has_model = has_model

    async def obey(self, order: StandingCommand, conversation: str) -> tuple[Draft, bool]:
        """Carry it out: what to say, and whether it was done."""
        queries = list(self._book.queries.values())
        if order.action == "add":
            return await self._add(order, conversation)
        if order.action == "list":
            return _listing(queries), True
        chosen = self._chosen(order)
        if not chosen:
            if not queries or (not order.which and not order.all):
                which = "" if not queries else f"Which one? There are {len(queries)}."
                return Draft((*((Claim(which),) if which else ()), *_listing(queries).claims)), False
            return Draft((Claim(f"None of these is {quote(order.which)}."), *_listing(queries).claims)), False
        if order.action == "why":
            return Draft(tuple(Claim(line) for line in self._decided(chosen))), True
        if order.action == "wrong":
            return await self._mark(chosen)
        if order.action == "remove":
            self._book.remove(*(query.id for query in chosen))
        else:
            state = "paused" if order.action == "pause" else "active"
            self._book.put(*(msgspec.structs.replace(query, state=state) for query in chosen))
        verb = {"remove": "I no longer wait for", "pause": "I paused", "resume": "I am waiting again for"}[order.action]
        return Draft((Claim(sentence(f"{verb} {'; '.join(_named(query) for query in chosen)}")),)), True

    async def _add(self, order: StandingCommand, conversation: str) -> tuple[Draft, bool]:
        condition = parse_condition(order.condition)
        sources = (await self._memory.status(StatusRequest())).sources
        if await self._eyes() is not None:
            condition = with_eyes(condition, known_of(sources))
        if not condition.signs:
            return refusal(condition.unsupported), False
        same = [
            query
            for query in self._book.queries.values()
            if query.state == "active" and query.every == order.every and fold(query.text) == fold(order.condition)
        ]
        if same:
            return Draft((Claim(f"I am already waiting for that: {_named(same[0])}."),)), True
        if len(self._book.queries) >= self._limit:
            return refusal(f"I already wait for {self._limit} things; remove one first"), False
        encoders = sources[-1].encoders if sources else {}
        promise = account(condition, encoders, order.every, self._has_model())
        query = StandingQuery(
            id=self._book.next_id(),
            text=order.condition,
            every=order.every,
            generation=self._book.generation,
            made_wall_s=round(time.time(), 3),
            conversation=conversation,
            account=promise,
        )
        self._book.put(query)
        return Draft((Claim(f"All right, that is {query.id}."), Claim(promise))), True

    async def _mark(self, chosen: Sequence[StandingQuery]) -> tuple[Draft, bool]:
        """What these told last was a false alarm; one that was to tell once waits again."""
        claims, done = [], False
        for query in chosen:
            said = await self._alarms.mark(query)
            done = done or bool(said)
            claims.append(Claim(f"{_named(query)}: {said or 'it has told nothing that could be wrong'}."))
            if said and query.state == "done":
                self._book.put(msgspec.structs.replace(query, state="active"))
        return Draft(tuple(claims)), done

    def _decided(self, chosen: Sequence[StandingQuery]) -> list[str]:
        """A line for each of the newest decisions about these."""
        ids = {query.id for query in chosen}
        found = [d for d in self._book.decisions if d.query in ids][-TOLD:]
        if not found:
            return ["Nothing has come up for it yet."]
        return [_decision_line(d) for d in found]

    def _chosen(self, order: StandingCommand) -> list[StandingQuery]:
        queries = list(self._book.queries.values())
        if order.all:
            return queries
        if not order.which:
            return queries[-1:] if len(queries) == 1 else []
        if order.which in self._book.queries:
            return [self._book.queries[order.which]]
        wanted = {stem(word) for word in words(order.which)} - {"the", "a", "an"}
        return [query for query in queries if wanted and wanted <= {stem(word) for word in words(query.text)}]


def requested(request: StandingRequest) -> StandingCommand:
    """The order that a request of the command line or the chat stands for."""
    order = StandingCommand(request.action, request.text, which=request.which, all=request.all)
    if request.action != "add":
        return order
    # "Tell me when ..." and what follows its "when" mean the same here.
    written = (request.text, f"tell me {request.text}", f"tell me when {request.text}")
    order = next(filter(None, map(parse_command, written)), order)
    return msgspec.structs.replace(order, condition=bare_condition(order.condition))


def _listing(queries: list[StandingQuery]) -> Draft:
    if not queries:
        return Draft((Claim('I am not waiting for anything. Say "tell me when ..." to change that.'),))
    return Draft(tuple(Claim(f"{_line(query)}.") for query in queries))


def _line(query: StandingQuery) -> str:
    state = {"active": "", "paused": " (paused)", "done": " (told, done)"}[query.state]
    times = "once" if query.told == 1 else f"{query.told} times"
    often = f"; told {times}, last at {media_time(query.last_t_s)} of {query.last_source}" if query.told else ""
    return f"{_named(query)}{state}{often}"


def _decision_line(decision: Decision) -> str:
    """When, whether and why, and what became of it."""
    by = {"sign": "by a sign", "confirm": "a model that was asked", "look": "a model that looked"}[decision.by]
    what = "yes" if decision.yes else "no"
    end = "; you called it a false alarm" if decision.mistaken else "; told" if decision.told else ""
    reason = f": {decision.reason.rstrip('.')}" if decision.reason else ""
    return f"{decision.query} at {media_time(decision.t_s)} of {decision.source}, {by}, {what}{reason}{end}."


def _named(query: StandingQuery) -> str:
    return f"{query.id}: {'each time' if query.every else 'when'} {query.text}"
