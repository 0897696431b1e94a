"""One attempt at a question with a model: evidence, then replies and tools in turn until it has answered."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio

from reasoning.answer.draft import Claim
from reasoning.backends import prompts
from reasoning.backends.brackets import Brackets
from reasoning.backends.chat_model import ChatMessage, ChatModel, Finish, Picture, Tool, ToolCall
from reasoning.backends.gather import Gathered, gather_evidence
from reasoning.backends.pack import Packed, merged, pack
from reasoning.backends.plans import Plan
from reasoning.backends.replies import Reply, Said
from reasoning.backends.tools import Toolbox
from reasoning.query.context import Context
from reasoning.safety.evidence_filter import bears_witness
from reasoning.safety.untrusted import Guard, clean
from reasoning.understand.frame import Frame
from runtime.clock import media_time
from runtime.errors import ModelError, OutOfTokens
from runtime.messages import TraceStep

# Of what is left for evidence where tools may add to it.
WITH_TOOLS_SHARE = 0.7
# What counting by estimate may be off, and a template's tokens around each message.
SLACK_TOKENS, MESSAGE_TOKENS = 96, 12
HISTORY_CHARACTERS = 600
# A model that calls tools it was not offered is told so, once.
REMINDERS = 1


class Conversation:
    """One attempt. ``said`` is written to, ``until_s`` when it is given up (`anyio.current_time`)."""

    def __init__(
        self,
        model: ChatModel,
        plan: Plan,
        frame: Frame,
        context: Context,
        guard: type[Guard],
        until_s: float,
        said: Said,
    ) -> None:
        self._model = model
        self._plan = plan
        self._frame = frame
        self._context = context
        self._guard = guard(trusts=lambda text: bears_witness(text, frame))
        self._until_s = until_s
        self._said = said
        self._brackets = Brackets(len(context.view.limits) > 1, plan.numbered)
        self._steps_left = plan.steps
        self._reminders = REMINDERS
        # Whether the last reply reached its end, or as many tokens as it may have.
        self.cut = False

    async def run(self) -> AsyncGenerator[Claim | TraceStep, None]:
        """What it says, and the steps it takes.

        Raises:
            ModelError: it does not answer, or not in time.
        """
        began_s = anyio.current_time()
        gathered = await gather_evidence(self._frame, self._context, self._plan.pictures)
        messages, packed = self._compose(gathered)
        took_s = round(anyio.current_time() - began_s, 4)
        asked = {"text": self._frame.query or self._frame.text}
        yield TraceStep(tool="recall", arguments=asked, found=f"{packed}; {self._plan}", took_s=took_s)
        toolbox = Toolbox(self._context, self._guard, self._brackets, self._plan.pictures > 0)
        while True:
            offered = self._tools() if self._steps_left > 0 else ()
            reply, calls, finish = (
                Reply(self._brackets, self._said, self._plan.schema),
                list[ToolCall](),
                Finish("stop"),
            )
            async with aclosing(self._replies(messages, offered)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Finish):
                        finish = piece
                    elif isinstance(piece, ToolCall):
                        calls.append(piece)
                    else:
                        for claim in reply.feed(piece):
                            yield claim
            self.cut = finish.reason == "length"
            if self.cut and finish.thought and not reply.text.strip():
                raise OutOfTokens(f"{self._model.name} spent its {self._plan.answer_tokens} tokens on thinking")
            for claim in reply.end(bool(calls), self.cut):
                yield claim
            if not calls:
                return
            if not offered:
                if self._said.sentences or not self._reminders:
                    return
                self._reminders -= 1
            async for step in self._use(toolbox, reply, calls, messages):
                yield step
            if self._steps_left <= 0 or not self._has_room(messages):
                self._steps_left = 0
                messages.append(ChatMessage("user", (prompts.ASK_AGAIN,)))

    async def _replies(
        self, messages: list[ChatMessage], offered: tuple[Tool, ...]
    ) -> AsyncGenerator[str | ToolCall | Finish, None]:
        """A reply piece by piece, given up when time is."""
        schema = prompts.ANSWER_SCHEMA if self._plan.schema else None
        async with aclosing(self._model.stream(messages, offered, self._plan.answer_tokens, schema)) as pieces:
            while True:
                with anyio.move_on_after(self._until_s - anyio.current_time()) as patience:
                    piece = await anext(pieces, None)
                if patience.cancelled_caught:
                    raise ModelError(f"{self._model.name} did not answer in time")
                if piece is None:
                    return
                yield piece

    async def _use(
        self, toolbox: Toolbox, reply: Reply, calls: list[ToolCall], messages: list[ChatMessage]
    ) -> AsyncGenerator[TraceStep, None]:
        """Run the calls that are left to it; of the others it is told that they were not."""
        messages.append(ChatMessage("assistant", (reply.text,), tuple(calls)))
        pictures: list[str | Picture] = []
        for k, call in enumerate(calls):
            if self._steps_left <= 0:
                messages.append(ChatMessage("tool", (prompts.NOT_RUN,), answers=call.id))
                yield TraceStep(tool=clean(call.name, 40), arguments=_told(call.arguments), found="not run")
                continue
            began_s = anyio.current_time()
            result = await toolbox.use(call)
            self._steps_left -= 1
            left = f"\n{prompts.STEPS_LEFT.format(left=self._steps_left)}" if k == len(calls) - 1 else ""
            messages.append(ChatMessage("tool", (result.text + left,), answers=call.id))
            pictures += result.content
            took_s = round(anyio.current_time() - began_s, 4)
            yield TraceStep(
                tool=clean(call.name, 40), arguments=_told(call.arguments), found=result.found, took_s=took_s
            )
        if pictures:  # most servers take no pictures in a tool's result
            messages.append(ChatMessage("user", merged([prompts.PICTURE_FOLLOWS, *pictures])))

    def _tools(self) -> tuple[Tool, ...]:
        return prompts.tools(self._plan.pictures > 0)

    def _compose(self, gathered: Gathered) -> tuple[list[ChatMessage], Packed]:
        """The messages of a question, with as much evidence as the model has room for."""
        guard, context, model = self._guard, self._context, self._model
        system = prompts.system_prompt(guard.opening, guard.closing, self._plan, bool(gathered.frames))
        view = context.view
        now_s = view.as_of_s if gathered.now_s is None else gathered.now_s
        now = prompts.now_line(media_time(now_s), clean(view.source, 80), max(0, len(view.limits) - 1))
        if gathered.paused:
            now += f"\n{gathered.paused} The asker was told so; tell what was there last, and how long ago."
        history = [
            message
            for question, answer in context.history[-self._plan.history :]
            for message in (
                ChatMessage("user", (clean(question, HISTORY_CHARACTERS),)),
                ChatMessage("assistant", (clean(answer, HISTORY_CHARACTERS),)),
            )
        ]
        if context.being_said:
            so_far = guard.enclose(guard.quote(context.being_said))
            now += f"\nBeing said now, not finished and not to be cited:\n{so_far}"
        asked = f"{now}\nQuestion: {self._frame.text}"
        fixed = [system, asked, *(message.text for message in history)]
        if self._steps_left:
            fixed += [f"{tool.name}{tool.description}{tool.parameters}" for tool in self._tools()]
        taken = sum(model.count_tokens(text) for text in fixed) + SLACK_TOKENS + MESSAGE_TOKENS * (2 + len(history))
        left = model.abilities.context_tokens - self._plan.answer_tokens - taken
        budget = min(self._plan.evidence_tokens, int(left * (WITH_TOOLS_SHARE if self._steps_left else 1.0)))
        packed = pack(gathered, guard, self._brackets, max(0, budget), model, self._plan)
        user = ChatMessage("user", (*packed.content, f"\n{asked}"))
        return [ChatMessage("system", (system,)), *history, user], packed

    def _has_room(self, messages: list[ChatMessage]) -> bool:
        """Whether another tool's result would still fit."""
        model = self._model
        taken = sum(
            model.count_tokens(part) if isinstance(part, str) else model.count_picture(part.jpeg)
            for message in messages
            for part in message.content
        )
        taken += (
            SLACK_TOKENS + MESSAGE_TOKENS * len(messages) + sum(model.count_tokens(str(tool)) for tool in self._tools())
        )
        return taken + 2 * self._plan.answer_tokens < model.abilities.context_tokens


def _told(arguments: dict[str, object]) -> dict[str, object]:
    """The arguments of a call as they are kept in the trace: short, plain values."""
    return {clean(str(key), 40): clean(str(value), 200) for key, value in list(arguments.items())[:8]}
