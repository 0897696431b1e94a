"""`replay`: perceive recordings, ask timed questions on the way and the others after it, chat beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal

import anyio
import msgspec
from msgspec import Struct

from runtime.agent import has_memory, open_agent
from runtime.clock import media_time
from runtime.config import Config, ServeConfig
from runtime.errors import UserError
from runtime.interfaces.attach import client_of, tell_working
from runtime.interfaces.client import Client
from runtime.interfaces.commands.evidence import evidence_talk
from runtime.interfaces.commands.process_events import tell_events
from runtime.interfaces.commands.recordings import find_recordings, grown
from runtime.interfaces.commands.reembed import tell_mismatch
from runtime.interfaces.commands.serving import start_server
from runtime.interfaces.terminal.chat import Chat
from runtime.interfaces.terminal.meters import ReplayMeter, ReplayProgress
from runtime.interfaces.terminal.notices import Notices, standing_request
from runtime.interfaces.terminal.remarks import tell_remarks
from runtime.interfaces.terminal.render import (
    byte_size,
    encoder_line,
    note,
    tell_answer,
)
from runtime.messages import TRACKS, AskRequest, SourceRecord, Track
from runtime.plan import PerceiveFiles
from runtime.processes import FILE_PERCEIVERS
from runtime.replay import Recording, SourcePlan, plan_sources, record_of
from runtime.supervisor import ProcessEvent

PROGRESS_S = 0.25


class TimedQuestion(Struct, frozen=True, forbid_unknown_fields=True):
    """A line of a questions file: asked when media time ``at_s`` of ``source`` is reached (none: at the end).

    Lines of one ``conversation`` follow each other up; a line of none ("") stands alone.
    """

    question: str
    at_s: float | None = None
    source: str = ""
    conversation: str = ""


def read_questions(path: Path) -> list[TimedQuestion]:
    """The questions of a JSON-lines file.

    Raises:
        UserError: the file cannot be read, or a line is not a question.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a text file"
        raise UserError(f"questions {path}: {why}; give a file of JSON lines") from error
    questions = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            question = msgspec.json.decode(line, type=TimedQuestion)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise UserError(
                f'questions {path}, line {number}: {error}; a line is {{"question": "...", "at_s": 12.5}}'
            ) from error
        if question.at_s is not None and question.at_s < 0:
            raise UserError(f"questions {path}, line {number}: at_s is negative; it counts from the start of the file")
        questions.append(question)
    return questions


async def replay(
    files: Sequence[str],
    config: Config,
    memory_dir: Path,
    speed: float | Literal["max"],
    questions: Sequence[TimedQuestion],
    as_json: bool,
    chat: bool,
    record_dir: Path | None = None,
    again: bool = False,
    tell_me: Sequence[str] = (),
    serve: ServeConfig | None = None,
) -> None:
    """Perceive recordings, ask what there is to ask, and chat if wanted.

    ``again``: those that memory holds are perceived from their begin once more, erased stretches too. ``serve``: with
    the page meanwhile and, without a chat, after it until stopped.

    Raises:
        UserError, ProcessFailed: see the messages.
    """
    recordings = find_recordings(files)
    is_new = not has_memory(memory_dir)
    events_in, events_out = anyio.create_memory_object_stream[ProcessEvent](1000)

    def on_event(event: ProcessEvent) -> None:
        tell_working(event)  # at once: nobody reads the others before the agent is ready
        events_in.send_nowait(event)

    async with (
        open_agent(memory_dir, config, on_event, serves=serve is not None) as agent,
        client_of(agent) as client,
        anyio.create_task_group() as tasks,
    ):
        notices = Notices(client, config.reasoning.standing.bell, as_json)
        if serve is not None:
            await agent.until_ready()
            await start_server(agent, serve, opens=False)
        if tell_me or not is_new:
            await agent.until_ready()
            await tell_mismatch(client, config)
            await notices.pass_over()
        if tell_me:  # before anything is perceived, so that it counts from the first frame
            await _wait_for(client, tell_me)
        # A new memory knows no source, so what is to be perceived is settled before it has opened.
        known: tuple[SourceRecord, ...] = ()
        if not is_new:
            known = (await client.status()).sources
            for record, recording in grown(recordings, known):
                await client.readd(record.source, grown_to=recording.fingerprint)
                known = (await client.status()).sources
            if again:
                known = await _begin_again(client, recordings, known)
        plans = plan_sources(recordings, known)
        for plan in plans:
            _announce(plan)
        asked = [_placed(question, plans) for question in questions]
        timed, at_end = _in_order(asked, plans)
        todo = [plan for plan in plans if not plan.complete]
        names = tuple(plan.source for plan in todo)
        perceived: dict[str, list[tuple[Track, tuple[str, ...]]]] = {track: [(track, names)] for track in TRACKS}
        tasks.start_soon(tell_events, events_out, client, perceived)
        tasks.start_soon(tell_remarks, client)
        work = PerceiveFiles(
            sources=tuple(plan.as_work() for plan in todo),
            speed=speed,
            record_dir="" if record_dir is None else str(record_dir),
        )
        meter = ReplayMeter(client, plans)

        async def perceive() -> None:
            """To the end of the last file, with all of it in memory."""
            if todo:
                await agent.perceive({member.name: work for member in FILE_PERCEIVERS})
            await client.watermarks.wait_for_end(plan.source for plan in plans)

        async def accompany() -> None:
            """Perceive, with the timed questions asked beside it and the others after it."""
            async with anyio.create_task_group() as beside:
                beside.start_soon(_answer_all, client, plans, timed, as_json)
                await (perceive() if chat else _drawn(ReplayProgress(meter), perceive))
            if todo:
                await notices.catch_up()
                await _summarise(client, plans, meter)
            await _answer_all(client, plans, at_end, as_json)
            if serve is not None and not chat:
                note("all is perceived; the page is served until this is stopped")
                await anyio.sleep_forever()

        if chat:
            show = evidence_talk(config, memory_dir)
            tasks.start_soon(accompany)
            tasks.start_soon(_learn_encoders, client, plans, meter)
            await Chat(client, tuple(plan.source for plan in plans), meter.line, as_json=as_json, evidence=show).run()
        else:
            await accompany()
        tasks.cancel_scope.cancel()


async def _wait_for(client: Client, conditions: Sequence[str]) -> None:
    """Make a standing query of each of these, or of none.

    Raises:
        UserError: one cannot be waited for.
    """
    before = {query.id for query in (await client.standing(standing_request("list"))).queries}
    told = []
    for wanted in conditions:
        reply = await client.standing(standing_request("add", text=wanted))
        if not reply.done:
            for query in reply.queries:
                if query.id not in before:
                    await client.standing(standing_request("remove", query.id))
            raise UserError(f"--tell-me {wanted!r}: {reply.said}")
        told.append(reply.said)
    for said in told:
        note(said)


async def _begin_again(
    client: Client, recordings: Sequence[Recording], known: Sequence[SourceRecord]
) -> tuple[SourceRecord, ...]:
    """Have memory take these recordings as not perceived yet; what it knows of all sources then."""
    for record in filter(None, (record_of(recording, known) for recording in recordings)):
        await client.readd(record.source)
    return (await client.status()).sources


def _announce(plan: SourcePlan) -> None:
    recording = plan.recording
    length = f" ({media_time(recording.duration_s)})" if recording.duration_s else ""
    lacks = f"; {recording.missing}" if recording.missing else ""
    if plan.complete:
        note(f"{plan.source}{length} is in memory already{lacks}")
    elif plan.remembered_s:
        note(f"{plan.source}{length}: remembered up to {media_time(plan.remembered_s)}, going on from there{lacks}")
    else:
        note(f"{plan.source}{length}{lacks}")


def _placed(question: TimedQuestion, plans: Sequence[SourcePlan]) -> TimedQuestion:
    """The question with its source filled in: the first file for a timed one; others are of all files."""
    names = [plan.source for plan in plans]
    if question.source and question.source not in names:
        raise UserError(f"question about source {question.source!r}: no such file in this replay ({', '.join(names)})")
    source = question.source or (names[0] if question.at_s is not None or len(names) == 1 else "")
    return TimedQuestion(question.question, question.at_s, source, question.conversation)


def _in_order(
    questions: Sequence[TimedQuestion], plans: Sequence[SourcePlan]
) -> tuple[list[TimedQuestion], list[TimedQuestion]]:
    """The timed questions in order of their sources and times, and those for the end."""
    order = {plan.source: place for place, plan in enumerate(plans)}
    timed = [question for question in questions if question.at_s is not None]
    timed.sort(key=lambda question: (order[question.source], question.at_s))
    return timed, [question for question in questions if question.at_s is None]


async def _answer_all(
    client: Client, plans: Sequence[SourcePlan], questions: Sequence[TimedQuestion], as_json: bool
) -> None:
    """Ask the questions one after another, each when its media time is in memory."""
    session = tuple(plan.source for plan in plans)
    for question in questions:
        as_of_s = question.at_s
        if as_of_s is not None:
            await client.watermarks.wait_for(question.source, as_of_s)
            as_of_s = min(as_of_s, client.watermarks.stored.watermarks.get(question.source, as_of_s))
        request = AskRequest(
            question=question.question,
            conversation=question.conversation,
            source=question.source,
            as_of_s=as_of_s,
            sources=session,
        )
        await tell_answer(client, request, as_json)


async def _drawn(progress: ReplayProgress, work: Callable[[], Awaitable[None]]) -> None:
    """Do ``work`` with its progress shown."""
    with progress:
        async with anyio.create_task_group() as tasks:

            async def draw() -> None:
                while True:
                    progress.update()
                    await anyio.sleep(PROGRESS_S)

            tasks.start_soon(draw)
            await work()
            tasks.cancel_scope.cancel()


async def _learn_encoders(client: Client, plans: Sequence[SourcePlan], meter: ReplayMeter) -> None:
    """Have the status line name the encoders, once all tracks of the first file are open."""
    await client.watermarks.wait_for(plans[0].source, 0.001)
    for record in (await client.status()).sources:
        if record.source == plans[0].source:
            meter.encoders = record.encoders


async def _summarise(client: Client, plans: Sequence[SourcePlan], meter: ReplayMeter) -> None:
    """One closing line: how much was perceived, how fast, by what, and what ended early."""
    speed = meter.speed()
    found = await client.status()
    mine = {plan.source for plan in plans}
    encoders: dict[str, str] = {}
    for record in found.sources:
        if record.source in mine:
            encoders.update(record.encoders)
            for track, reason in record.ended.items():
                if reason != "end":
                    note(f"{record.source}: {track} ended early: {reason}")
    drops = meter.drops()
    note(
        f"perceived {media_time(meter.media_s())} at {speed:.1f}x real time, {drops} drops; "
        f"memory {byte_size(found.bytes)}; encoders: {encoder_line(encoders)}"
    )
