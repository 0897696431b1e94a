"""Server-sent events: what is noticed, words as they are spoken, notices, and health, for any number of browsers.

Nobody who reads slowly holds anything up, and nobody misses an observation: each reader has a place in memory's order
of storing, and reads on from there when it can, from the newest batches or, if it fell behind those, from memory
itself. What is only of the moment (words being spoken, health) is the newest or nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

import anyio
from msgspec import Struct
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from runtime.errors import CallError, UserError
from runtime.interfaces.web.api import get, json_bytes
from runtime.interfaces.web.remembered import seen_of, started_walls, state_of
from runtime.interfaces.web.served import Served
from runtime.messages import (
    Channel,
    Message,
    Notice,
    Observation,
    PartialTranscript,
    ScanRequest,
    Stored,
    View,
    notice_json,
)

BATCHES_KEPT = 256
# What began longer ago than this before the watermark is not looked for as new: nothing perceived takes so long.
REACH_BACK_S = 180.0
READERS_MAX = 24
HEALTH_S = 2.0
PING_S = 15
NOTICES_KEPT = 64
CHANNELS: tuple[Channel, ...] = ("frame", "object", "text", "speech", "sound", "gap", "correction", "derived")
# As many as memory gives at once: who was away for longer than it takes to notice so much has missed some.
AT_ONCE = 10_000
# A replay stores far more than anybody can look at; a reader is told at most so often.
PACE_S = 0.25


class Batch(Struct, frozen=True):
    """What became visible after generation ``after``, up to ``generation``."""

    after: int
    generation: int
    observations: tuple[Observation, ...]


class News:
    """What happens, from the agent's topics and its memory, for all readers. ``run()`` runs beside the server."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._client = served.client
        self._batches: deque[Batch] = deque(maxlen=BATCHES_KEPT)
        self._view: View | None = None
        self._stored = anyio.Event()
        self._changed = anyio.Condition()
        self._notices: deque[Notice] = deque(maxlen=NOTICES_KEPT)
        self.notices_told = 0
        self.partials: dict[str, PartialTranscript] = {}
        self._beat = 0
        self.readers = 0
        self._client.on_news = self._hear
        served.on_forgotten.append(self.forget)

    def _hear(self, message: Message) -> None:
        """In the event loop, with every message of the agent's topics."""
        if isinstance(message, Stored):
            if self._view is None or message.generation != self._view.generation:
                self._stored.set()
        elif isinstance(message, Notice):
            self._notices.append(message)
            self.notices_told += 1
            self._stored.set()
        elif isinstance(message, PartialTranscript):
            if message.over:
                self.partials.pop(message.source, None)
            else:
                self.partials[message.source] = message
            self._stored.set()

    async def run(self) -> None:
        """Fetch what is new as it comes, as long as anybody reads; and tell readers of the rest."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tick)
            while True:
                await self._stored.wait()
                self._stored = anyio.Event()
                if self.readers:
                    try:
                        await self._fetch()
                    except CallError:
                        pass  # memory is being started again; the next generation tells
                else:
                    self._view = None
                    self._batches.clear()
                async with self._changed:
                    self._changed.notify_all()
                await anyio.sleep(PACE_S)

    async def _tick(self) -> None:
        while True:
            await anyio.sleep(HEALTH_S)
            self._beat += 1
            async with self._changed:
                self._changed.notify_all()

    async def _fetch(self) -> None:
        view = await self._client.view()
        before = self._view.generation if self._view is not None else view.generation
        if view.generation > before:
            found = await self.after(view, before)
            self._batches.append(Batch(before, view.generation, found))
        self._view = view

    async def after(self, view: View, generation: int, reach_s: float = REACH_BACK_S) -> tuple[Observation, ...]:
        """What was stored after ``generation``, up to the View, in order of source and time; of what began up to
        ``reach_s`` before each source's watermark."""
        found: list[Observation] = []
        for source, limit_s in view.limits.items():
            request = ScanRequest(
                view=view, source=source, channels=CHANNELS,
                t0_s=max(0.0, limit_s - reach_s) if math.isfinite(reach_s) else None, after_generation=generation,
                limit=AT_ONCE,
            )  # fmt: skip
            found += await self._client.scan(request)
        return tuple(found)

    async def forget(self) -> None:
        """Let go of what was fetched and told: readers begin anew where memory is."""
        self._batches.clear()
        self._notices.clear()
        self.partials.clear()
        self._view = None

    async def follow(self, generation: int | None, wanted: frozenset[str]) -> AsyncGenerator[ServerSentEvent, None]:
        """Events from ``generation`` on (None: from now on), until the reader goes."""
        self.readers += 1
        try:
            view = await self._client.view()
            if self._view is None:
                self._view = view
            at = view.generation if generation is None else min(generation, view.generation)
            notices, beat, spoken = self.notices_told, -1, ""
            yield ServerSentEvent(event="hello", data="{}", id=str(at), retry=2000)
            while True:
                batches = [batch for batch in self._batches if batch.generation > at]
                known = at if self._view is None else self._view.generation
                if batches[0].after > at if batches else known > at:
                    # Behind what is kept here: from memory itself.
                    view = await self._client.view()
                    batches = [Batch(at, view.generation, await self.after(view, at, reach_s=math.inf))]
                for batch in batches:
                    at = batch.generation
                    if "observation" in wanted and batch.observations:
                        started = await started_walls(self._served)
                        seen = [seen_of(o, started) for o in batch.observations]
                        yield ServerSentEvent(event="observations", data=_text(seen), id=str(at))
                if "notice" in wanted and notices < self.notices_told:
                    new = list(self._notices)[-(self.notices_told - notices) :]
                    notices = self.notices_told
                    for notice in new:
                        yield ServerSentEvent(event="notice", data=_text(notice_json(notice)))
                if "partial" in wanted:
                    said = _text([_partial_json(p) for p in self.partials.values()])
                    if said != spoken and (spoken or self.partials):
                        spoken = said
                        yield ServerSentEvent(event="partials", data=said)
                if "health" in wanted and beat != self._beat:
                    beat = self._beat
                    yield ServerSentEvent(
                        event="health", data=_text(state_of(self._served, await self._served.status()))
                    )
                if not any(batch.generation > at for batch in self._batches) and notices == self.notices_told:
                    async with self._changed:
                        await self._changed.wait()
        except CallError:
            return  # the reader comes again, with its place
        finally:
            self.readers -= 1


def _text(value: Any) -> str:
    return json_bytes(value).decode()


def _partial_json(partial: PartialTranscript) -> dict[str, Any]:
    return {
        "source": partial.source, "t0_s": partial.t0_s, "t_s": partial.t_s, "text": partial.text,
        "confidence": partial.confidence,
    }  # fmt: skip


async def events(served: Served, request: Request) -> Response:
    """A stream of events; ``Last-Event-ID`` goes on where it broke off."""
    kinds = frozenset(filter(None, request.query_params.get("kinds", "").split(","))) or KINDS
    if unknown := kinds - KINDS:
        raise UserError(f"there is no kind {min(unknown)!r}; kinds are {', '.join(sorted(KINDS))}")
    news: News = request.app.state.news
    if news.readers >= READERS_MAX:
        raise UserError(f"{READERS_MAX} readers follow already; close a page")
    last = request.headers.get("last-event-id", "")
    # What is not taken within a few seconds is not wanted any more.
    return EventSourceResponse(
        news.follow(int(last) if last.isdigit() else None, kinds), ping=PING_S, send_timeout=10, sep="\n"
    )


KINDS = frozenset({"observation", "partial", "notice", "health"})

ENDPOINTS = (get("/api/events", "What happens, as server-sent events", events, "state", "text/event-stream"),)
