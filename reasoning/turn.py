"""A turn: one question on its way to its answer, one cancel scope with a deadline.

A new question or an interruption in the same conversation, or the voice of whoever it talks to, gives the running
turn up and silences it at once; other conversations go on. What is given up is not remembered. How the answer is
made is in `reasoning.compose`.
"""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping

import anyio
import anyio.abc
from anyio.streams.memory import MemoryObjectSendStream

from reasoning.backends import Backend
from reasoning.compose import Composed, Composer, Orders
from reasoning.leisure import Leisure
from reasoning.query.memory_client import MemoryClient
from reasoning.query.recordings import Recordings
from runtime.calls import Calls
from runtime.clock import Clock
from runtime.config import ReasoningConfig
from runtime.errors import CallCancelled, DeadlineExceeded, MindstreamError, UserError
from runtime.messages import (
    AnswerPart,
    AskRequest,
    Interrupt,
    Message,
    Observation,
    PartialTranscript,
    RememberRequest,
    SpeechStarted,
    being_said,
)

NEW_QUESTION = "given up: a new question in the same conversation"
INTERRUPTED = "given up: interrupted"
ERASED = "given up: something was erased from memory meanwhile; ask again"
SPOKEN_OVER = "given up: somebody began to speak"
# Characters. To understand a question takes time that grows with the square of its words: a second here, of a
# pasted book so long that this process would count as hung.
QUESTION_MAX = 10_000
# A question of no conversation runs under a name that no conversation has.
ALONE = "\0"
# An interruption may overtake its question, which comes another way; of so many conversations the last is kept.
INTERRUPTIONS_KEPT = 64


class _Turn:
    """A running turn: the scopes of its work and of its deadline, and how it ended.

    ``composed`` is its answer while that lies in the stream of its parts; once ``told`` nothing gives it up.
    """

    def __init__(self, request: AskRequest) -> None:
        self.request = request
        self.scope = anyio.CancelScope()
        self.watch = anyio.CancelScope()
        self.composed: Composed | None = None
        self.told = False
        self.error: BaseException | None = None

    def give_up(self, reason: MindstreamError) -> None:
        if self.error is None and not self.told:
            self.error = reason
            self.scope.cancel()


class Turns:
    """The running turns, one a conversation. They run in ``tasks``, so that a slow reader holds none up.

    While there are any, what runs in the background waits (``leisure``).
    """

    def __init__(
        self,
        tasks: anyio.abc.TaskGroup,
        memory: MemoryClient,
        backend: Backend,
        config: ReasoningConfig,
        clock: Clock,
        log: logging.Logger,
        orders: Orders | None = None,
        watchers: Mapping[str, Calls] | None = None,
        leisure: Leisure | None = None,
        recordings: Recordings | None = None,
    ) -> None:
        self._leisure = leisure or Leisure(0.0, clock)
        self._tasks = tasks
        self._memory = memory
        self._composer = Composer(memory, backend, config, clock, orders, watchers, recordings)
        self._deadline_s = config.deadline_s
        self._clock = clock
        self._log = log
        self._running: dict[str, _Turn] = {}
        self._interrupted_s: OrderedDict[str, float] = OrderedDict()
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
            UserError: the question is no question, but a text of many pages.
        """
        if (length := len(request.question)) > QUESTION_MAX:
            raise UserError(f"a question of {length} characters is too long; {QUESTION_MAX} are the most")
        turn = _Turn(request)
        self.counters["turns"] += 1
        name = request.conversation or f"{ALONE}{self.counters['turns']:.0f}"
        if before := self._running.get(name):
            before.give_up(CallCancelled(NEW_QUESTION))
        if self._is_interrupted(request):
            self.counters["given_up"] += 1
            raise CallCancelled(INTERRUPTED)
        self._running[name] = turn
        # Unbounded in count, bounded in length: an answer is a few sentences.
        send, receive = anyio.create_memory_object_stream[AnswerPart](math.inf)
        self._tasks.start_soon(self._run, turn, send)
        self._tasks.start_soon(self._watch, turn)
        try:
            with self._leisure.taken():
                async with receive:
                    async for part in receive:
                        if turn.error is not None:
                            break  # given up: what was already made of it is not said any more
                        yield part
            if turn.error is None and turn.composed is not None:
                turn.told = True
                self._tasks.start_soon(self._remember, turn.composed.keep())
                yield turn.composed.answer
        finally:
            turn.give_up(CallCancelled(INTERRUPTED))
            turn.watch.cancel()
            if self._running.get(name) is turn:
                del self._running[name]
        if turn.error is not None:
            self.counters["given_up"] += isinstance(turn.error, CallCancelled)
            raise turn.error

    def interrupt(self, order: Interrupt) -> None:
        """Give up what was asked until then, the questions that are still on their way here included."""
        self._interrupted_s[order.conversation] = order.sent_s
        self._interrupted_s.move_to_end(order.conversation)
        while len(self._interrupted_s) > INTERRUPTIONS_KEPT:
            self._interrupted_s.popitem(last=False)
        for turn in list(self._running.values()):
            if self._is_interrupted(turn.request):
                turn.give_up(CallCancelled(INTERRUPTED))

    def _is_interrupted(self, request: AskRequest) -> bool:
        return any(request.asked_s <= self._interrupted_s.get(name, 0.0) for name in ("", request.conversation))

    def forget(self) -> None:
        """Something was erased from memory: no turn under way may tell of it, no conversation remember it."""
        for turn in self._running.values():
            turn.give_up(CallCancelled(ERASED))
        self._composer.conversations.clear()
        self._being_said.clear()

    def hear(self, voice: SpeechStarted) -> None:
        """Somebody began to speak: give up the turns of those who talk to the agent through that source."""
        for turn in list(self._running.values()):
            if voice.source and turn.request.interrupted_by == voice.source:
                turn.give_up(CallCancelled(SPOKEN_OVER))

    def follow(self, partial: PartialTranscript) -> None:
        """What somebody is saying, for questions about now."""
        being_said(self._being_said, partial)

    async def settle(self) -> None:
        """Wait until every answer given has been remembered."""
        await self._settled.wait()

    async def _watch(self, turn: _Turn) -> None:
        with turn.watch:
            await self._clock.sleep_until(self._clock.now() + self._deadline_s)
            turn.give_up(DeadlineExceeded(f"no answer within {self._deadline_s:g} s"))

    async def _run(self, turn: _Turn, send: MemoryObjectSendStream[AnswerPart]) -> None:
        with send, turn.scope:
            try:
                turn.composed = await self._composer.compose(turn.request, self._being_said.values(), send.send_nowait)
            except Exception as error:  # raised to the asker by `ask`; a bug gets its traceback there
                turn.error = turn.error or error
            self.counters["citations_struck"] = self._composer.struck

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
