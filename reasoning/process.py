"""The reasoning process: serves questions (streamed, cited answers) and searches."""

from __future__ import annotations

import datetime
import os
from contextlib import suppress

import anyio
import anyio.to_thread

from reasoning.backends import load_backend
from reasoning.backends.find_server import BASE_URL_VARIABLE
from reasoning.backends.recommend import recommend, this_machine
from reasoning.describe.describer import Describer
from reasoning.leisure import Leisure
from reasoning.query.context import Context
from reasoning.query.memory_client import CalledMemory, MemoryClient
from reasoning.query.question_vectors import QuestionVectors
from reasoning.query.recordings import Recordings
from reasoning.standing.store import StandingQueryStore
from reasoning.standing.watch import Standing
from reasoning.turn import Turns
from reasoning.understand.understand import narrowed
from runtime.clock import MonotonicClock
from runtime.errors import ModelError
from runtime.language.times import parse_times
from runtime.messages import (
    AskRequest,
    DescribeRequest,
    Done,
    Forgotten,
    Interrupt,
    Notice,
    PartialTranscript,
    RecallReply,
    SearchRequest,
    SpeechStarted,
    StandingRequest,
    StatusRequest,
    Stored,
    ViewRequest,
)
from runtime.named_sources import Named, Scope, find_scope
from runtime.service import Service
from runtime.stretches import Now, windows_of

# An answer given just before the end is still remembered.
SETTLE_S = 2.0


async def main(service: Service) -> None:
    """Serve questions, searches and standing queries until stopping.

    Raises:
        StoreError: the book of standing queries cannot be read.
    """
    config = service.config.reasoning
    vectors = QuestionVectors(service.caller("embedding"), service.log) if service.has("embedding") else None
    memory = CalledMemory(service.caller("memory"), config.deadline_s, vectors)
    backend = load_backend(config, service.in_thread)
    options = config.standing
    sender = None
    if options.webhook:
        from reasoning.standing.webhook import Webhook, WebhookSender  # 0.2 s to import, and few have one

        sender = WebhookSender(
            Webhook(options.webhook, options.webhook_timeout_s, options.webhook_private), service.log
        )

    def publish(notice: Notice) -> None:
        service.publish("notice", notice)
        if sender is not None:
            sender.offer(notice)
        service.report(counters=standing.counters | (sender.counters if sender else {}))

    clock = MonotonicClock()
    leisure = Leisure(config.describe.idle_s, clock)
    book = StandingQueryStore(service.folder, service.read_only)
    standing = Standing(memory, backend, book, options, publish, service.log, leisure)
    describer = Describer(
        memory, backend.model, config.describe, leisure, clock, service.log,
        may_use=lambda model: config.describe.when == "always" or model.is_local,
        report=lambda: service.report(counters=describer.counters),
    )  # fmt: skip
    watchers = {name: service.caller(name) for name in service.members_of("video")}
    # Of the first run one is told what a model would bring; later `doctor` says it.
    is_new = not (await memory.status(StatusRequest())).sources

    async with anyio.create_task_group() as tasks:
        recordings = Recordings(service.config.perception.vision.mask)
        turns = Turns(tasks, memory, backend, config, clock, service.log, standing.order, watchers, leisure, recordings)

        # Source -> media time up to which what began to be said is told of only once memory has taken it.
        forgotten_s: dict[str, float] = {}

        async def listen_for_voices() -> None:
            async for delivery in service.subscribe("voice", "partial"):
                if isinstance(delivery.message, SpeechStarted):
                    turns.hear(delivery.message)
                    standing.hear(delivery.message)
                elif isinstance(delivery.message, PartialTranscript):
                    if delivery.message.t0_s <= forgotten_s.get(delivery.message.source, -1.0):
                        continue
                    turns.follow(delivery.message)
                    standing.follow(delivery.message)

        async def hear_of_commits() -> None:
            async for delivery in service.subscribe("stored"):
                assert isinstance(delivery.message, Stored)
                standing.hear_of(delivery.message)

        async def let_go(forgotten: Forgotten) -> Done:
            forgotten_s.update(forgotten.until_s)
            if vectors is not None:
                vectors.forget()
            turns.forget()
            describer.forget()
            await standing.forget()
            return Done()

        async def open_backend() -> None:
            await backend.open()
            notes = [f"answers: {backend.name}"]
            wants_none = os.environ.get(BASE_URL_VARIABLE) == ""
            if is_new and config.backend == "auto" and not wants_none:
                with suppress(ModelError):  # one is named; that it is not there is told with the answers
                    if await backend.model() is None:
                        told = recommend(await anyio.to_thread.run_sync(this_machine))
                        notes.append(f"no language model answers here: {told}")
            service.report(notes=tuple(notes))

        running = (listen_for_voices, hear_of_commits, open_backend, standing.run, standing.look_out.run, describer.run)
        for task in (*running, *((sender.run,) if sender else ())):
            tasks.start_soon(task)
        service.on_control(Interrupt, turns.interrupt)
        service.report(counters=turns.counters | standing.counters, notes=(f"answers: {backend.name}",))
        service.ready()
        await service.serve(
            {
                AskRequest: turns.ask,
                SearchRequest: lambda request: search(request, memory),
                StandingRequest: standing.serve,
                DescribeRequest: describer.serve,
                Forgotten: let_go,
            }
        )
        with anyio.move_on_after(SETTLE_S):
            await turns.settle()
            await standing.settle()
        tasks.cancel_scope.cancel()


async def search(request: SearchRequest, memory: MemoryClient) -> RecallReply:
    """What memory recalls for a query, of what was perceived and of descriptions of it.

    What it says of time and of sources narrows it ("dog at 0:12", "yesterday in the yard") where anything else is left
    to be found.
    """
    view = await memory.view(ViewRequest(source=request.source, sources=request.sources))
    status = await memory.status(StatusRequest())
    records = [record for record in status.sources if record.source in view.limits]
    now = datetime.datetime.now().astimezone()
    named = Named(Scope(), request.query) if request.source else find_scope(request.query, records)
    scoped = narrowed(view, named.scope.sources) if named.scope.sources else view
    context = Context(memory, scoped, source=request.source, limit=request.limit, known=status)
    query, times = named.rest, parse_times(named.rest, now)
    if times.bounded and any(c.isalnum() for c in times.rest):
        clock = Now(now.timestamp())
        windows = windows_of(times.begin, times.end, await context.records(), clock, view.limits)
        if not windows:
            return RecallReply()
        context, query = context.in_windows(windows), times.rest
    began_s = anyio.current_time()
    hits = await context.recall(query, limit=request.limit)
    return RecallReply(hits=hits, took_s=round(anyio.current_time() - began_s, 6))
