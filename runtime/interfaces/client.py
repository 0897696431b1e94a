"""The client: the only way into an agent, for the terminal and every other interface."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread
import zmq.asyncio

from runtime.bus import Member, Subscription
from runtime.calls import Caller, ControlSender
from runtime.errors import CallError, DeadlineExceeded, RemoteError, StoreError, UserError
from runtime.messages import (
    DESCRIPTIONS,
    Answer,
    AnswerPart,
    ArchiveReply,
    AskRequest,
    BackupRequest,
    Channel,
    DescribePart,
    DescribeReply,
    DescribeRequest,
    ExportRequest,
    ForeignReply,
    ForeignRequest,
    ForgetReply,
    ForgetRequest,
    Forgotten,
    Heartbeat,
    ImportRequest,
    Interrupt,
    MemoryStatus,
    Message,
    Notice,
    Observation,
    PartialTranscript,
    ReaddRequest,
    RecallReply,
    RecallRequest,
    RedescribeReply,
    RedescribeRequest,
    ScanReply,
    ScanRequest,
    SearchRequest,
    Sounding,
    Span,
    SpansReply,
    SpansRequest,
    StandingReply,
    StandingRequest,
    StatusRequest,
    Stored,
    TimelineReply,
    TimelineRequest,
    Track,
    TrackLost,
    View,
    ViewRequest,
    being_said,
)
from runtime.pause import pause, resume
from runtime.processes import label_of
from runtime.replay import Watermarks
from runtime.service import HEARTBEAT_S

CALL_DEADLINE_S = 15.0
PAUSE_DEADLINE_S, PAUSE_LOOK_S = 5.0, 0.05
LET_GO_DEADLINE_S = 2.0
LOOK_DEADLINE_S = 2.0
# Erasing and archives touch all of memory, and may rewrite its file.
RULE_DEADLINE_S = 1800.0
# A day has a thousand pictures to describe, and a small model takes seconds for each; what is done is kept.
DESCRIBE_DEADLINE_S = 7 * 86400.0
# Every process is heard from twice a second.
HEARD_BY_S = 1.5


class Client:
    """Talks to the agent of one run directory. ``run()`` must run in the owner's task group."""

    def __init__(
        self, run_dir: Path, members: tuple[Member, ...], context: zmq.asyncio.Context, answer_deadline_s: float
    ) -> None:
        self.watermarks = Watermarks()
        self.heartbeats: dict[str, Heartbeat] = {}
        self.being_said: dict[str, PartialTranscript] = {}
        self._answer_deadline_s = answer_deadline_s
        self._context = context
        self._run_dir = run_dir
        self._perceivers = tuple(member.name for member in members if label_of(member.name))
        self._memory = Caller(context, run_dir, "memory")
        self._reasoning = Caller(context, run_dir, "reasoning")
        self._control = ControlSender(context, run_dir, "reasoning")
        self._news = Subscription(context, run_dir, members, ("stored", "heartbeat", "partial", "notice"))
        # Called with each thing the agent says unasked; whoever shows it puts itself here.
        self.on_notice: Callable[[Notice], None] = lambda notice: None
        # Called with every message from the agent's topics, after it was taken account of.
        self.on_news: Callable[[Message], None] = lambda message: None
        self._watchers: dict[str, Caller] = {}
        self._tasks: anyio.abc.TaskGroup

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        try:
            async with anyio.create_task_group() as self._tasks:
                tasks = self._tasks
                tasks.start_soon(self._memory.run)
                tasks.start_soon(self._reasoning.run)
                tasks.start_soon(self._news.pump)
                task_status.started()
                async for delivery in self._news:
                    if isinstance(delivery.message, Stored):
                        self.watermarks.update(delivery.message)
                    elif isinstance(delivery.message, Heartbeat):
                        self.heartbeats[delivery.publisher] = delivery.message
                    elif isinstance(delivery.message, PartialTranscript):
                        being_said(self.being_said, delivery.message)
                    elif isinstance(delivery.message, Notice):
                        self.on_notice(delivery.message)
                    self.on_news(delivery.message)
        finally:
            self._control.close()

    async def ask(self, request: AskRequest) -> AsyncGenerator[AnswerPart | Answer, None]:
        """The parts of the answer as they come, then the whole `Answer`.

        Raises:
            CallError: no answer came (deadline, interruption, a failure in the agent).
        """
        async with aclosing(self._reasoning.stream(request, self._answer_deadline_s)) as parts:
            async for part in parts:
                yield part

    async def answer(self, request: AskRequest) -> Answer:
        """The whole answer."""
        async with aclosing(self.ask(request)) as parts:
            async for part in parts:
                if isinstance(part, Answer):
                    return part
        raise AssertionError("a stream of parts ends with the answer")

    async def search(self, request: SearchRequest) -> RecallReply:
        reply: RecallReply = await self._reasoning.call(request, CALL_DEADLINE_S)
        return reply

    async def standing(self, request: StandingRequest) -> StandingReply:
        """List or change standing queries."""
        reply: StandingReply = await self._reasoning.call(request, CALL_DEADLINE_S)
        return reply

    async def describe(self, request: DescribeRequest) -> AsyncGenerator[DescribePart | DescribeReply, None]:
        """What is described, piece by piece, then what came of it all.

        Raises:
            UserError: there is no model that can, or no such source.
        """
        try:
            async with aclosing(self._reasoning.stream(request, DESCRIBE_DEADLINE_S)) as parts:
                async for part in parts:
                    yield part
        except RemoteError as error:
            if error.kind == UserError.__name__:
                raise UserError(str(error)) from error
            raise

    async def status(self) -> MemoryStatus:
        status: MemoryStatus = await self._memory.call(StatusRequest(), CALL_DEADLINE_S)
        return status

    async def timeline(self, sources: tuple[str, ...] = (), newest: int = 20) -> tuple[Observation, ...]:
        """The newest of what was perceived, frames left out, and described; oldest first."""
        channels: tuple[Channel, ...] = ("object", "text", "speech", "sound", "gap", "derived")
        view = await self.view(sources)
        request = ScanRequest(view=view, channels=channels, kinds=DESCRIPTIONS, newest_first=True, limit=newest)
        found = await self.scan(request)
        return tuple(reversed(found))

    async def view(self, sources: tuple[str, ...] = ()) -> View:
        """Memory as it is now; ``sources`` narrows it to these."""
        view: View = await self._memory.call(ViewRequest(sources=sources), CALL_DEADLINE_S)
        return view

    async def scan(self, request: ScanRequest) -> tuple[Observation, ...]:
        """What a View shows, in order of time."""
        reply: ScanReply = await self._memory.call(request, CALL_DEADLINE_S)
        return reply.observations

    async def recall(self, request: RecallRequest) -> RecallReply:
        """What memory itself finds, by words or by a vector."""
        reply: RecallReply = await self._memory.call(request, CALL_DEADLINE_S)
        return reply

    async def spans(self, request: SpansRequest) -> tuple[Span, ...]:
        """Moments, events or episodes."""
        reply: SpansReply = await self._memory.call(request, CALL_DEADLINE_S)
        return reply.spans

    async def at_a_glance(self, request: TimelineRequest) -> TimelineReply:
        """A stretch of a source, bucket by bucket."""
        reply: TimelineReply = await self._memory.call(request, CALL_DEADLINE_S)
        return reply

    @property
    def live_labels(self) -> tuple[str, ...]:
        """Labels of what this agent watches live."""
        return tuple(label_of(name) for name in self._perceivers if name.startswith("video:"))

    async def watcher(self, label: str, request: Message, deadline_s: float = LOOK_DEADLINE_S) -> Any:
        """Ask the process that watches a live source.

        Raises:
            UserError: no live source is called that.
            CallError: it did not answer.
        """
        name = f"video:{label}"
        if name not in self._perceivers:
            known = ", ".join(self.live_labels) or "none"
            raise UserError(f"no live source is called {label!r}; watched live: {known}")
        return await self._perceiver(name).call(request, deadline_s)

    async def sounds(self, sounding: Sounding) -> None:
        """Have what listens know what the agent lets be heard; who does not answer hears it as anybody's voice."""
        for name in [name for name in self._perceivers if name.startswith("audio:")]:
            with suppress(CallError):
                await self._perceiver(name).call(sounding, LOOK_DEADLINE_S)

    def _perceiver(self, name: str) -> Caller:
        if name not in self._watchers:
            self._watchers[name] = Caller(self._context, self._run_dir, name)
            self._tasks.start_soon(self._watchers[name].run)
        return self._watchers[name]

    async def lost(self, track: Track, reason: str, sources: tuple[str, ...]) -> None:
        """Tell memory that the process that perceives this track of the sources will not come back."""
        await self._memory.call(TrackLost(track=track, reason=reason, sources=sources), CALL_DEADLINE_S)

    async def _rule(self, request: Message) -> Any:
        """A call that may take long, and fail because of something the user must mend.

        Raises:
            StoreError: that failed in memory, in its words.
        """
        try:
            return await self._memory.call(request, RULE_DEADLINE_S)
        except RemoteError as error:
            if error.kind == StoreError.__name__:
                raise StoreError(str(error)) from error
            raise

    async def forget(self, request: ForgetRequest) -> ForgetReply:
        """Erase what the request says, or with ``preview`` only say what would go."""
        if request.preview:
            preview: ForgetReply = await self._rule(request)
            return preview
        # Reasoning lets go before, so that no file of its own still tells of it, and after, of turns begun meanwhile.
        # What perceives lets go after: what is still on its way from it is refused by then.
        forgotten = Forgotten(windows=() if request.text else request.windows, until_s=request.until_s)
        await self._reasoning.call(forgotten, CALL_DEADLINE_S)
        reply: ForgetReply = await self._rule(request)
        await self._reasoning.call(forgotten, CALL_DEADLINE_S)
        self.being_said.clear()
        async with anyio.create_task_group() as tasks:
            for name in self._perceivers if forgotten.windows and forgotten.until_s else ():
                tasks.start_soon(self._let_go, name, forgotten)
        return reply

    async def live_media_s(self) -> dict[str, float]:
        """How far each source that comes live has come by the clock of what perceives it: what it has captured."""
        await self.hear_from(self._perceivers)
        beats = [self.heartbeats[name] for name in self._live() if self.heartbeats[name].source]
        # A beat is as old as half a second, and whoever asks means this moment.
        return {beat.source: beat.clock_s + HEARTBEAT_S for beat in beats if beat.clock_s}

    @property
    def perceives_live(self) -> bool:
        """Whether this agent perceives anything live."""
        return bool(self._perceivers)

    async def _let_go(self, name: str, forgotten: Forgotten) -> None:
        """Have a process that perceives live notice anew what is there; one that is away holds nothing."""
        caller = Caller(self._context, self._run_dir, name)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(caller.run)
            with suppress(CallError):
                await caller.call(forgotten, LET_GO_DEADLINE_S)
            tasks.cancel_scope.cancel()

    async def foreign(self, request: ForeignRequest) -> ForeignReply:
        """Remembered frames whose vector is of another space."""
        reply: ForeignReply = await self._rule(request)
        return reply

    async def redescribe(self, frames: Sequence[Observation]) -> int:
        """Have remembered frames what another encoder says of them; how many are there still."""
        reply: RedescribeReply = await self._rule(RedescribeRequest(frames=tuple(frames)))
        return reply.redescribed

    async def export(self, request: ExportRequest) -> ArchiveReply:
        """Write all that memory holds to an archive."""
        reply: ArchiveReply = await self._rule(request)
        return reply

    async def back_up(self, path: Path) -> ArchiveReply:
        """Copy memory as it is now to a file."""
        reply: ArchiveReply = await self._rule(BackupRequest(path=str(path)))
        return reply

    async def import_archive(self, request: ImportRequest) -> ArchiveReply:
        """Take in an archive, whole or not at all."""
        reply: ArchiveReply = await self._rule(request)
        return reply

    async def readd(self, source: str, grown_to: str = "") -> None:
        """Let a source be perceived again from its begin, erased stretches too; or a recording go on that has grown."""
        await self._rule(ReaddRequest(source=source, grown_to=grown_to))

    async def hear_from(self, names: Iterable[str]) -> None:
        """Wait until these processes have been heard from, a moment at most: one of them may have ended."""
        wanted = set(names)
        with anyio.move_on_after(HEARD_BY_S):
            while not wanted <= self.heartbeats.keys():
                await anyio.sleep(PAUSE_LOOK_S)

    async def pause(self, on: bool) -> tuple[str, ...]:
        """Pause what is perceived live, or go on with it; returns the processes it holds for, once it does.

        Raises:
            UserError: nothing is perceived live by this agent.
            DeadlineExceeded: a process did not follow.
        """
        with anyio.move_on_after(PAUSE_DEADLINE_S):
            while not self._live():  # their heartbeats come twice a second
                await anyio.sleep(PAUSE_LOOK_S)
        if not (names := self._live()):
            raise UserError("nothing is perceived live by this agent, so there is nothing to pause")
        await anyio.to_thread.run_sync(pause if on else resume, self._run_dir)
        with anyio.move_on_after(PAUSE_DEADLINE_S):
            while any(self.heartbeats[name].paused != on for name in names):
                await anyio.sleep(PAUSE_LOOK_S)
            return names
        raise DeadlineExceeded(f"not all of {', '.join(names)} followed within {PAUSE_DEADLINE_S:g} s")

    def _live(self) -> tuple[str, ...]:
        return tuple(sorted(name for name, beat in self.heartbeats.items() if label_of(name) and not beat.ended))

    def interrupt(self, conversation: str = "") -> None:
        """Stop the turn that is running, at once."""
        self._control.send(Interrupt(conversation=conversation))
