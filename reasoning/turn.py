"""A turn: from a question to its answer, one cancel scope with a deadline.

question -> View -> follow-up resolved -> recall -> context -> back end -> checked claims, streamed -> answer,
remembered. A new question or an interruption in the same conversation, or the voice of whoever it talks to,
gives the running turn up and silences it at once; other conversations go on. The question is answered against
the View of the moment it was asked, so nothing of its future, and no earlier answer of ours, is evidence.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

import anyio
import anyio.abc
import msgspec
from anyio.streams.memory import MemoryObjectSendStream

from reasoning.answer_again import answer_again, unclear
from reasoning.attribution import attribute
from reasoning.backends import Backend, Verdict
from reasoning.citations import check_claim, cite
from reasoning.context import Context, MemoryClient
from reasoning.conversation import Conversation, Conversations, PastTurn, as_observations, as_topic
from reasoning.corrections import (
    acknowledge,
    as_correction,
    corrections_for,
    parse_correction,
    takes_the_place,
    tell_corrections,
)
from reasoning.draft import Claim, Draft
from reasoning.follow_up import InFull, Recalled, Unclear, resolve
from reasoning.questions import parse_question
from runtime.clock import Clock
from runtime.config import ReasoningConfig
from runtime.errors import CallCancelled, DeadlineExceeded, MindstreamError
from runtime.messages import (
    UNDERSTOOD,
    Answer,
    AnswerPart,
    AskRequest,
    Message,
    Observation,
    PartialTranscript,
    RememberRequest,
    ScanRequest,
    SpeechStarted,
    TraceStep,
    View,
    ViewRequest,
    being_said,
)

UNSUPPORTED = "I cannot support an answer with anything I remember."
NEW_QUESTION = "given up: a new question in the same conversation"
ONE_SOURCE = ("count", "summary", "now")
INTERRUPTED = "given up: interrupted"
CONVERSATION = "conversation"
# A question of no conversation runs under a name that no conversation has.
ALONE = "\0"
ERASED = "given up: something was erased from memory meanwhile; ask again"
SPOKEN_OVER = "given up: somebody began to speak"


def name_source(text: str, cites: Sequence[Observation], view: View) -> str:
    """``text`` with the source of its citations, where that is not the one being watched."""
    sources = {o.source for o in cites}
    if len(view.limits) < 2 or len(sources) != 1 or view.source in sources or any(name in text for name in sources):
        return text
    return re.sub(r"([.!?]?)$", rf" (in {sources.pop()})\1", text, count=1)


# What is said to a sentence that is an order ("tell me when ..."), by conversation; None to a question.
Orders = Callable[[str, str], Awaitable[Draft | None]]


class _Turn:
    """A running turn: the scopes of its work and of its deadline, and how it ended."""

    def __init__(self, interrupted_by: str) -> None:
        self.interrupted_by = interrupted_by
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
        orders: Orders | None = None,
    ) -> None:
        self._tasks = tasks
        self._memory = memory
        self._backend = backend
        self._config = config
        self._clock = clock
        self._log = log
        self._orders = orders
        self._conversations = Conversations(memory)
        self._running: dict[str, _Turn] = {}
        self._being_said: dict[str, PartialTranscript] = {}
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
        turn = _Turn(request.interrupted_by)
        self.counters["turns"] += 1
        name = request.conversation or f"{ALONE}{self.counters['turns']:.0f}"
        if before := self._running.get(name):
            before.give_up(CallCancelled(NEW_QUESTION))
        self._running[name] = turn
        # Unbounded in count, bounded in length: an answer is a few sentences.
        send, receive = anyio.create_memory_object_stream[Message](math.inf)
        self._tasks.start_soon(self._run, turn, request, send)
        self._tasks.start_soon(self._watch, turn)
        try:
            async with receive:
                async for message in receive:
                    if turn.error is not None:
                        break  # given up: what was already made of it is not said any more
                    yield message
        finally:
            turn.give_up(CallCancelled(INTERRUPTED))
            turn.watch.cancel()
            if self._running.get(name) is turn:
                del self._running[name]
        if turn.error is not None:
            self.counters["given_up"] += isinstance(turn.error, CallCancelled)
            raise turn.error

    def interrupt(self, conversation: str = "") -> None:
        """Give up the turn of ``conversation``, or of all when it is ""."""
        for name, turn in list(self._running.items()):
            if conversation in ("", name):
                turn.give_up(CallCancelled(INTERRUPTED))

    def forget(self) -> None:
        """Something was erased from memory: no turn under way may tell of it, no conversation remember it."""
        for turn in self._running.values():
            turn.give_up(CallCancelled(ERASED))
        self._conversations.clear()

    def hear(self, voice: SpeechStarted) -> None:
        """Somebody began to speak: give up the turns of those who talk to the agent through that source."""
        for turn in list(self._running.values()):
            if voice.source and turn.interrupted_by == voice.source:
                turn.give_up(CallCancelled(SPOKEN_OVER))

    def follow(self, partial: PartialTranscript) -> None:
        """What somebody is saying, for questions about now."""
        being_said(self._being_said, partial)

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
                view, conversation, answer, correction = await self._answer(request, send)
                turn.answered = True
                stored = _keep(conversation, request.question, answer, view, correction)
                send.send_nowait(answer)
                self._tasks.start_soon(self._remember, stored)
            except Exception as error:  # raised to the asker by `ask`; a bug gets its traceback there
                turn.error = turn.error or error

    async def _answer(
        self, request: AskRequest, send: MemoryObjectSendStream[Message]
    ) -> tuple[View, Conversation, Answer, Observation | None]:
        started_s = self._clock.now()
        view = await self._memory.view(
            ViewRequest(source=request.source, as_of_s=request.as_of_s, sources=request.sources)
        )
        conversation = await self._conversations.open(request.conversation, view)
        before = [turn for turn in conversation.turns if _is_visible(turn, view)]
        ordered = await self._orders(request.question, request.conversation) if self._orders else None
        last = before[-1] if before else None
        corrected = None if ordered else parse_correction(request.question, last)
        leaning = None if ordered or corrected else resolve(request.question, last, view.as_of_s)
        got_view_s = self._clock.now() - started_s
        in_full = leaning if isinstance(leaning, InFull) else InFull(request.question)
        question = parse_question(in_full.text, view.as_of_s)
        if in_full.t0_s is not None or in_full.t1_s is not None:
            time = msgspec.structs.replace(
                question.time, t0_s=in_full.t0_s, t1_s=in_full.t1_s, pick=in_full.pick or question.time.pick
            )
            question = msgspec.structs.replace(question, time=time)
        # Times, counts and summaries are of one source, the one being watched; words may be in any.
        about_one = question.time.bounded or question.time.now or question.kind in ONE_SOURCE
        source = in_full.source or (view.source if about_one else "")
        history = conversation.history() if len(before) == len(conversation.turns) else ()
        said_now = [p.text for p in self._being_said.values() if p.source in view.limits and source in ("", p.source)]
        context = Context(
            self._memory,
            view,
            source=source,
            limit=self._config.recall_limit,
            history=history,
            being_said=" / ".join(said_now) if question.time.now and request.as_of_s is None else "",
        )
        if isinstance(leaning, Recalled | Unclear):
            ordered = await self._about_last(leaning, before, view)
        correction = None
        if corrected:
            correction = as_correction(corrected, request.conversation, last, view)
            ordered = acknowledge(corrected, await self._cited(last, view) if last and corrected.corrects else ())
        if ordered is not None:
            pieces = _said(ordered)
        elif told := await corrections_for(question, context):
            answered = None if takes_the_place(question) else self._backend.respond(question, context)
            pieces = _said(await tell_corrections(told, context), answered)
        else:
            pieces = self._backend.respond(question, context)
        said: list[str] = []
        cited: dict[str, Observation] = {}
        latency_s: dict[str, float] = {}
        trace: list[TraceStep] = []
        if isinstance(leaning, InFull):
            trace.append(TraceStep(tool=UNDERSTOOD, found=in_full.text))
            send.send_nowait(AnswerPart(text="", step=trace[0]))
        verdict = Verdict(0.0, abstained=True)
        async for piece in pieces:
            if isinstance(piece, Verdict):
                verdict = piece
                continue
            if isinstance(piece, TraceStep):
                trace.append(piece)
                send.send_nowait(AnswerPart(text="", step=piece))
                continue
            latency_s.setdefault("recall", context.spent_s + got_view_s)
            room_for = self._backend.max_citations - len(cited)
            checked = await check_claim(piece, view, self._memory, room_for)
            self.counters["citations_struck"] += checked.struck
            if checked.text:
                # What is said of the conversation itself makes no claim about the world.
                text = checked.text if ordered is not None else attribute(checked.text, checked.cites, question)
                text = name_source(text, checked.cites, view)
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
        answer = Answer(
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
            understood=in_full.text if isinstance(leaning, InFull) else "",
        )
        return view, conversation, answer, correction

    async def _about_last(self, asked: Recalled | Unclear, before: Sequence[PastTurn], view: View) -> Draft:
        """The answer to a question about the last answer."""
        if isinstance(asked, Unclear):
            return unclear(asked.word)
        return answer_again(asked, before[-1], await self._cited(before[-1], view))

    async def _cited(self, turn: PastTurn, view: View) -> tuple[Observation, ...]:
        """What a past turn cited, as far as it still exists."""
        ids = tuple(c.id for c in turn.cites)
        if not ids:
            return ()
        return (await self._memory.scan(ScanRequest(view=view, ids=ids, limit=len(ids)))).observations

    async def _remember(self, observations: tuple[Observation, ...]) -> None:
        """Store a turn; the answer is already with the asker, so a failure is only logged."""
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


async def _said(
    draft: Draft, then: AsyncIterator[Claim | TraceStep | Verdict] | None = None
) -> AsyncIterator[Claim | TraceStep | Verdict]:
    """An answer that no back end was asked for; or only its begin, and ``then`` what one says."""
    for claim in draft.claims:
        yield claim
    if then is None:
        yield Verdict(draft.confidence, draft.abstained, backend=CONVERSATION)
        return
    async for piece in then:
        yield piece


def _is_visible(turn: PastTurn, view: View) -> bool:
    """Whether all that a past turn cites lies in the View: a question about an earlier time knows no later turn."""
    return all(c.source in view.limits and c.t1_s <= view.limits[c.source] for c in turn.cites)


def _keep(
    conversation: Conversation, asked: str, answer: Answer, view: View, correction: Observation | None
) -> tuple[Observation, ...]:
    """Add the turn to its conversation; what comes back is to be remembered."""
    observations = as_observations(conversation, asked, bool(answer.understood), answer, view)
    if correction is not None:
        observations += (correction,)
    corrected = str(correction.data.get("asked") or "") if correction is not None else ""
    folded = conversation.add(
        PastTurn(
            asked=asked,
            understood=answer.understood or corrected or asked,
            answer=answer.answer,
            abstained=answer.abstained,
            leaned=bool(answer.understood),
            cites=answer.citations,
            ids=tuple(o.id for o in observations),
        )
    )
    if folded and observations:
        observations += (as_topic(conversation, folded, observations[0]),)
    return observations
