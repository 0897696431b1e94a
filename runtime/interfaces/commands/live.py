"""`live`: perceive cameras, microphones, streams and the screen as it happens, and chat about it meanwhile."""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec

from runtime.agent import Agent, has_memory, open_agent
from runtime.config import Config, ServeConfig
from runtime.errors import UserError
from runtime.footage import FOOTAGE
from runtime.interfaces.attach import client_of, tell_working
from runtime.interfaces.client import Client
from runtime.interfaces.commands.evidence import evidence_talk
from runtime.interfaces.commands.process_events import tell_events
from runtime.interfaces.commands.reembed import tell_mismatch
from runtime.interfaces.commands.replay import TimedQuestion
from runtime.interfaces.commands.serving import start_server
from runtime.interfaces.terminal.chat import Chat
from runtime.interfaces.terminal.meters import LiveMeter
from runtime.interfaces.terminal.notices import Notices
from runtime.interfaces.terminal.remarks import tell_remarks
from runtime.interfaces.terminal.render import note, tell_answer
from runtime.interfaces.voice.start import start_voice
from runtime.messages import AskRequest, SourceRecord
from runtime.plan import PerceiveLive
from runtime.processes import DEVICES, member
from runtime.sources import KIND_TRACKS, MASKS_NAME, LiveSource, begin_session, distinct, parse_source
from runtime.supervisor import ProcessEvent

# How long a question given with its time waits for what is perceived by then.
CATCH_UP_S = 2.0


def chosen_sources(named: Sequence[str], mic: str | None, screen: bool, config: Config) -> list[LiveSource]:
    """What to perceive: what is named, else what the profile lists, else the first camera and microphone.

    ``mic`` is part of a microphone's name, "off", or None: then the default one goes with a camera of this machine.

    Raises:
        UserError: one of them is no source, or there is nothing at all.
    """
    devices = importlib.import_module(DEVICES)
    sources = [parse_source(text) for text in named]
    if not named:
        sources = [parse_source(f"{own.name}={own.where}", own.mask) for own in config.perception.live.sources]
    sources = [msgspec.structs.replace(s, mask=s.mask or config.perception.vision.mask) for s in sources]
    if screen and not any(source.kind == "screen" for source in sources):
        sources.append(parse_source("screen"))
    if (no_screen := devices.why_no_screen()) and any(source.kind == "screen" for source in sources):
        sources = [source for source in sources if source.kind != "screen"]
        if not sources:
            raise UserError(no_screen)
        note(f"not watching the screen: {no_screen}")
    if not sources and (found := devices.cameras()):
        sources.append(msgspec.structs.replace(parse_source(found[0]), label="camera"))
    if mic is not None and mic != "off":
        sources.append(parse_source(f"mic:{mic}"))
    elif mic is None and _wants_microphone(sources):
        if why := devices.why_no_microphone():
            if sources:
                note(f"listening to nothing: {why}")
        else:
            sources.append(parse_source("mic"))
    if not sources:
        raise UserError(
            "nothing to perceive: no camera is connected, and "
            f"{devices.why_no_microphone() or 'the microphone is switched off'}; "
            "name a source, such as rtsp://HOST/PATH, or use --screen"
        )
    return distinct(sources)


def _wants_microphone(sources: Sequence[LiveSource]) -> bool:
    """Whether the system's microphone goes with them: with a camera, the screen or nothing, unless one is named."""
    kinds = {source.kind for source in sources}
    return "microphone" not in kinds and (not kinds or bool(kinds & {"camera", "screen"}))


async def live(
    sources: Sequence[LiveSource],
    config: Config,
    memory_dir: Path,
    questions: Sequence[TimedQuestion],
    as_json: bool,
    for_s: float | None,
    voice: str | None = None,
    serve: ServeConfig | None = None,
) -> None:
    """Perceive until the user leaves the chat, or for ``for_s`` seconds; as a service, with no terminal, until stopped.

    Raises:
        UserError, ProcessFailed: see the messages.
    """
    is_new = not has_memory(memory_dir)
    members = {(s.label, track): member(track, s.label) for s in sources for track in s.tracks}
    events_in, events_out = anyio.create_memory_object_stream[ProcessEvent](1000)

    def on_event(event: ProcessEvent) -> None:
        tell_working(event)  # at once: nobody reads the others before the agent is ready
        events_in.send_nowait(event)

    perceivers = tuple(members.values())
    async with (
        open_agent(memory_dir, config, on_event, perceivers, serves=serve is not None) as agent,
        client_of(agent) as client,
        anyio.create_task_group() as tasks,
    ):
        notices = Notices(client, config.reasoning.standing.bell, as_json)
        known: tuple[SourceRecord, ...] = ()
        if serve is not None:
            await agent.until_ready()
            await start_server(agent, serve, opens=False)
        if not is_new:
            await agent.until_ready()
            await tell_mismatch(client, config)
            await notices.pass_over()
            known = (await client.status()).sources
            await _end_abandoned(client, known)
        now_wall_s, epoch_s = time.time(), time.monotonic()
        names = [record.source for record in known]
        session = [begin_session(source, now_wall_s, names) for source in sources]
        for source in session:
            note(f"{source.label}: {source.kind} {source.shown}".rstrip())
        meter = LiveMeter(client, epoch_s)
        perceived = {member(track, s.label).name: [(track, (s.source,))] for s in session for track in s.tracks}
        tasks.start_soon(tell_events, events_out, client, perceived)
        tasks.start_soon(tell_remarks, client)
        tasks.start_soon(_perceive, agent, session, epoch_s)
        try:
            with anyio.move_on_after(for_s):
                async with anyio.create_task_group() as beside:
                    beside.start_soon(_ask_in_time, client, session, questions, epoch_s, as_json)
                    talk = start_voice(agent, client, config, voice, epoch_s, beside)
                    show = evidence_talk(config, memory_dir)
                    if for_s is None and await Chat(client, (), meter.line, talk, as_json, show).run():
                        beside.cancel_scope.cancel()
                    elif for_s is None:
                        note(f"no terminal: perceiving until stopped; `chat --memory {memory_dir}` talks to this agent")
                    await anyio.sleep_forever()
            if for_s is not None and (why := meter.why_nothing()):
                raise UserError(why)
            note(meter.summary())
        finally:
            tasks.cancel_scope.cancel()


async def _perceive(agent: Agent, session: Sequence[LiveSource], epoch_s: float) -> None:
    masks = str(agent.memory_dir / MASKS_NAME)
    work = {
        member(track, source.label).name: PerceiveLive(
            source=source, epoch_s=epoch_s, masks=masks, footage=str(agent.memory_dir / FOOTAGE)
        )
        for source in session
        for track in source.tracks
    }
    await agent.perceive(work)


async def _end_abandoned(client: Client, known: Sequence[SourceRecord]) -> None:
    """End the live sessions that a killed agent left open: nothing will come of them any more."""
    for record in known:
        for track in KIND_TRACKS.get(record.kind, ()):
            if track not in record.ended:
                await client.lost(track, "the agent was stopped", (record.source,))


async def _ask_in_time(
    client: Client, session: Sequence[LiveSource], questions: Sequence[TimedQuestion], epoch_s: float, as_json: bool
) -> None:
    """Ask each question when its time has come, in seconds since this began; one without a time at once."""
    for question in sorted(questions, key=lambda question: question.at_s or 0.0):
        await anyio.sleep(max(0.0, epoch_s + (question.at_s or 0.0) - time.monotonic()))
        named = next((s.source for s in session if question.source in (s.label, s.source)), "")
        if question.at_s is not None:
            # What was just seen should count; but a slow recogniser must not keep anybody from an answer.
            with anyio.move_on_after(CATCH_UP_S):
                await client.watermarks.wait_for(named or session[0].source, question.at_s)
        await tell_answer(client, AskRequest(question=question.question, source=named), as_json)
