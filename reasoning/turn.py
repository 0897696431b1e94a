"""A turn: from a question to its answer, one cancel scope with a deadline.

question -> View -> recall -> context -> back end -> checked claims, streamed -> answer, remembered. A new
question or an interruption in the same conversation gives the running turn up; other conversations go
on. The question is answered against the View of the moment it was asked, so nothing of its future, and
no earlier answer of ours, is evidence.
"""

from __future__ import annotations

import logging
import math
import re
import zlib
from collections.abc import AsyncGenerator, Sequence

import anyio
import anyio.abc
from anyio.streams.memory import MemoryObjectSendStream

from reasoning.backends import Backend, Verdict
from reasoning.citations import check_claim, cite
from reasoning.context import Context, MemoryClient
from reasoning.questions import parse_question
from runtime.clock import Clock
from runtime.config import ReasoningConfig
from runtime.errors import CallCancelled, DeadlineExceeded, MindstreamError
from runtime.messages import (
    Answer,
    AnswerPart,
    AskRequest,
    Message,
    Observation,
    RememberRequest,
    TraceStep,
    View,
    ViewRequest,
    observation_id,
    round_time,
)

UNSUPPORTED = "I cannot support an answer with anything I remember."
NEW_QUESTION = "given up: a new question in the same conversation"
ONE_SOURCE = ("count", "summary", "now")
INTERRUPTED = "given up: interrupted"


def name_source(text: str, cites: Sequence[Observation], view: View) -> str:
    """``text`` with the source of its citations, where that is not the one being watched."""
    sources = {o.source for o in cites}
    if len(view.limits) < 2 or len(sources) != 1 or view.source in sources:
        return text
    return re.sub(r"([.!?]?)$", rf" (in {sources.pop()})\1", text, count=1)


class _Turn:
    """A running turn: the scopes of its work and of its deadline, and how it ended."""

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.watch = anyio.CancelScope()
        self.answered = False
        self.error: BaseException | None = None

    def give_up(self, reason: MindstreamError) -> None:
        if self.error is None and not self.answered:
            self.error = reason
            self.scope.cancel()


class Turns:
    """The running turns, one a conversation. They run in ``tasks``, so that a slow reader holds none up."""

    def __init__(
        self,
        tasks: anyio.abc.TaskGroup,
        memory: MemoryClient,
        backend: Backend,
        config: ReasoningConfig,
        clock: Clock,
        log: logging.Logger,
    ) -> None:
        self._tasks = tasks
        self._memory = memory
        self._backend = backend
        self._config = config
        self._clock = clock
        self._log = log
        self._running: dict[str, _Turn] = {}
        self._remembering = 0
        self._settled = anyio.Event()
        self._settled.set()
        self.counters: dict[str, float] = {"turns": 0, "given_up": 0, "citations_struck": 0}

    async def ask(self, request: AskRequest) -> AsyncGenerator[Message, None]:
        """The parts of the answer as they are made, then the `Answer`.

        Raises:
            CallCancelled: a new question or an interruption took its place.
            DeadlineExceeded: the turn, or memory, took longer than ``deadline_s``.
        """
        turn = _Turn()
        if before := self._running.get(request.conversation):
            before.give_up(CallCancelled(NEW_QUESTION))
        self._running[request.conversation] = turn
        self.counters["turns"] += 1
        # Unbounded in count, bounded in length: an answer is a few sentences.
        send, receive = anyio.create_memory_object_stream[Message](math.inf)
        self._tasks.start_soon(self._run, turn, request, send)
        self._tasks.start_soon(self._watch, turn)
        try:
            async with receive:
                async for message in receive:
                    yield message
        finally:
            turn.give_up(CallCancelled(INTERRUPTED))
            turn.watch.cancel()
            if self._running.get(request.conversation) is turn:
                del self._running[request.conversation]
        if turn.error is not None:
            self.counters["given_up"] += isinstance(turn.error, CallCancelled)
            raise turn.error

    def interrupt(self, conversation: str = "") -> None:
        """Give up the turn of ``conversation``, or of all when it is ""."""
        for name, turn in list(self._running.items()):
            if conversation in ("", name):
                turn.give_up(CallCancelled(INTERRUPTED))

    async def settle(self) -> None:
        """Wait until every answer given has been remembered."""
        await self._settled.wait()

    async def _watch(self, turn: _Turn) -> None:
        with turn.watch:
            await self._clock.sleep_until(self._clock.now() + self._config.deadline_s)
            turn.give_up(DeadlineExceeded(f"no answer within {self._config.deadline_s:g} s"))

    async def _run(self, turn: _Turn, request: AskRequest, send: MemoryObjectSendStream[Message]) -> None:
        with send, turn.scope:
            try:
                view, answer = await self._answer(request, send)
                turn.answered = True
                send.send_nowait(answer)
                self._tasks.start_soon(self._remember, request, view, answer)
            except Exception as error:  # raised to the asker by `ask`; a bug gets its traceback there
                turn.error = turn.error or error

    async def _answer(self, request: AskRequest, send: MemoryObjectSendStream[Message]) -> tuple[View, Answer]:
        started_s = self._clock.now()
        view = await self._memory.view(
            ViewRequest(source=request.source, as_of_s=request.as_of_s, sources=request.sources)
        )
        got_view_s = self._clock.now() - started_s
        question = parse_question(request.question, view.as_of_s)
        # Times, counts and summaries are of one source, the one being watched; words may be in any.
        about_one = question.time.bounded or question.time.now or question.kind in ONE_SOURCE
        source = view.source if about_one else ""
        context = Context(self._memory, view, source=source, limit=self._config.recall_limit)
        said: list[str] = []
        cited: dict[str, Observation] = {}
        latency_s: dict[str, float] = {}
        trace: list[TraceStep] = []
        verdict = Verdict(0.0, abstained=True)
        async for piece in self._backend.respond(question, context):
            if isinstance(piece, Verdict):
                verdict = piece
                continue
            if isinstance(piece, TraceStep):
                trace.append(piece)
                send.send_nowait(AnswerPart(text="", step=piece))
                continue
            latency_s.setdefault("recall", context.spent_s + got_view_s)
            room_for = self._config.max_citations - len(cited)
            checked = await check_claim(piece, view, self._memory, room_for)
            self.counters["citations_struck"] += checked.struck
            if checked.text:
                text = name_source(checked.text, checked.cites, view)
                part = text if not said else f" {text}"
                said.append(text)
                cited.update((o.id, o) for o in checked.cites)
                send.send_nowait(AnswerPart(text=part))
                latency_s.setdefault("first_part", self._clock.now() - started_s)
        if not said:
            said, verdict = [UNSUPPORTED], Verdict(0.0, True, verdict.backend, verdict.notice)
            send.send_nowait(AnswerPart(text=UNSUPPORTED))
        total_s = self._clock.now() - started_s
        for name in ("recall", "first_part", "total"):
            latency_s.setdefault(name, total_s)
        return view, Answer(
            question=request.question,
            answer=" ".join(said),
            abstained=verdict.abstained,
            as_of_s=view.as_of_s,
            citations=cite(cited.values()),
            latency_s={name: round(seconds, 4) for name, seconds in latency_s.items()},
            backend=verdict.backend or self._backend.name,
            confidence=round(verdict.confidence, 4),
            trace=tuple(trace),
            notice=verdict.notice,
        )

    async def _remember(self, request: AskRequest, view: View, answer: Answer) -> None:
        """Store question and answer; the answer is already with the asker, so a failure is only logged."""
        observations = _as_observations(request, view, answer)
        if not observations:
            return
        if not self._remembering:
            self._settled = anyio.Event()
        self._remembering += 1
        try:
            await self._memory.remember(RememberRequest(observations=observations))
        except MindstreamError as error:
            self._log.warning("the answer was not remembered: %s", error)
        finally:
            self._remembering -= 1
            if not self._remembering:
                self._settled.set()


def _as_observations(request: AskRequest, view: View, answer: Answer) -> tuple[Observation, ...]:
    """The question and its answer as memory keeps them: beside the source, at the media time of asking."""
    source = view.source or next(iter(view.limits), "")
    if not source:
        return ()
    t_s = round_time(view.as_of_s)
    k = zlib.crc32(f"{request.conversation}\0{request.question}\0{view.generation}".encode()) or 1
    asked = observation_id(source, "question", t_s, k)
    return (
        Observation(
            id=asked, source=source, channel="question", t0_s=t_s, t1_s=t_s, text=request.question,
            data={"conversation": request.conversation},
        ),
        Observation(
            id=observation_id(source, "answer", t_s, k), source=source, channel="answer", t0_s=t_s, t1_s=t_s,
            text=answer.answer, evidence=tuple(c.id for c in answer.citations),
            data={"conversation": request.conversation, "question": asked, "abstained": answer.abstained},
        ),
    )  # fmt: skip
