"""The back end that lets a language model answer, and answers from evidence alone where the model cannot.

evidence packed into the model's context -> reply, streamed by the sentence -> tools it asks for -> reply ...
Every sentence is a claim whose moments are checked like those of any other. What goes wrong with the model is
mended while the question's time lasts (waited out, asked with less, asked without pictures or tools), else told
in one line, and the extractive answer takes its place.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import anyio
from msgspec import Struct

from reasoning.answer.citations import resolve_marks
from reasoning.answer.draft import Claim
from reasoning.backends import Backend, Verdict, prompts
from reasoning.backends.chat_model import ChatMessage, ChatModel, Finish, Picture, ToolCall
from reasoning.backends.evidence import Gathered, Packed, gather_evidence, pack
from reasoning.backends.sentences import Sentences
from reasoning.backends.tools import Toolbox
from reasoning.query.anchored import narrow
from reasoning.query.context import Context
from reasoning.safety.evidence_filter import bears_witness
from reasoning.safety.untrusted import Guard, clean
from reasoning.understand.frame import Frame
from runtime.clock import media_time
from runtime.config import ReasoningConfig
from runtime.errors import ContextTooLong, InputRefused, ModelError
from runtime.messages import Observation, TraceStep

# Kept back for the answer without the model, which takes milliseconds, and for the way back to the asker.
RESERVE_S = 2.0
ATTEMPTS = 5
LONGEST_BACK_OFF_S = 8.0
# More evidence than this makes small models worse and all of them slow; the tools bring the rest.
EVIDENCE_TOKENS = 6000
# Of what is left for evidence where tools may add to it.
WITH_TOOLS_SHARE = 0.6
# Template tokens around a message, and what counting by estimate may be off.
SLACK_TOKENS = 64
HISTORY = 4
HISTORY_CHARACTERS = 600
SURE = 0.9


class _Said(Struct):
    """What became of one attempt."""

    sentences: int = 0
    cited: bool = False
    refused: bool = False
    struck: int = 0


class ModelBackend:
    """Answers with the model that ``find`` gives, if any.

    ``find`` may raise `ModelError`. ``guard`` makes the delimiters of a question.
    """

    def __init__(
        self,
        find: Callable[[], Awaitable[ChatModel | None]],
        fallback: Backend,
        config: ReasoningConfig,
        guard: type[Guard] = Guard,
    ) -> None:
        self.name = fallback.name
        self.max_citations = config.model.max_citations
        self._find = find
        self._fallback = fallback
        self._config = config
        self._guard = guard

    async def open(self) -> None:
        """Look for the model, so that the first question need not."""
        try:
            model = await self._find()
        except ModelError:
            return  # it is told with the first answer, if it still is so then
        self.name = model.name if model is not None else self._fallback.name

    async def model(self) -> ChatModel | None:
        """See `Backend`."""
        return await self._find()

    async def respond(self, frame: Frame, context: Context) -> AsyncIterator[Claim | TraceStep | Verdict]:
        """See `Backend`."""
        until_s = anyio.current_time() + max(1.0, self._config.deadline_s - RESERVE_S)
        notice = ""
        said = _Said()
        model: ChatModel | None = None
        try:
            model = await self._find()
            if model is not None:
                async with aclosing(self._ask(model, frame, context, until_s, said)) as pieces:
                    async for piece in pieces:
                        yield piece
        except ModelError as error:
            notice = str(error)
        if model is not None and said.sentences:
            answered = said.cited and not said.refused
            told = f"{notice}; the answer is cut short" if notice else ""
            yield Verdict(SURE if answered else 0.0, not answered, model.name, told)
            return
        if model is not None and not notice:
            notice = (
                f"{model.name} pointed to nothing that was seen or heard"
                if said.struck
                else f"{model.name} said nothing"
            )
        async for instead in self._fallback.respond(frame, context):
            if isinstance(instead, Verdict):
                told = f"{notice}; answered from the evidence itself" if notice else ""
                yield Verdict(instead.confidence, instead.abstained, self._fallback.name, told)
            else:
                yield instead

    async def _ask(
        self, model: ChatModel, frame: Frame, context: Context, until_s: float, said: _Said
    ) -> AsyncGenerator[Claim | TraceStep, None]:
        """Ask until something was said, mending between attempts what can be mended."""
        # The event that the question hangs on may not be found by rule; the model may find it.
        window = await narrow(frame, context) or context
        wait_s = 0.0
        for attempt in range(ATTEMPTS):
            began_s = anyio.current_time()
            try:
                async with aclosing(self._converse(model, frame, window, until_s, said)) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except ModelError as error:
                now_s = anyio.current_time()
                mended = isinstance(error, ContextTooLong | InputRefused)
                wait_s = 0.0 if mended else max(error.retry_after_s or 0.0, min(2 * wait_s, LONGEST_BACK_OFF_S))
                again = mended or error.retry_after_s is not None
                if said.sentences or not again or attempt == ATTEMPTS - 1 or now_s + wait_s >= until_s:
                    raise
                told = "asked again with less" if mended else f"asked again after {wait_s:.1f} s"
                yield TraceStep(tool="model", found=f"{error}; {told}", took_s=round(now_s - began_s, 3))
            await anyio.sleep(wait_s)

    async def _converse(
        self, model: ChatModel, frame: Frame, context: Context, until_s: float, said: _Said
    ) -> AsyncGenerator[Claim | TraceStep, None]:
        """One attempt: evidence, then replies and tools in turn until the model has answered."""
        abilities, options = model.abilities, self._config.model
        guard = self._guard(trusts=lambda text: bears_witness(text, frame))
        steps_left = options.max_steps if abilities.tools else 0
        began_s = anyio.current_time()
        gathered = await gather_evidence(frame, context, options.max_images if abilities.images else 0)
        messages, packed = self._compose(model, frame, context, gathered, guard, steps_left > 0)
        took_s = round(anyio.current_time() - began_s, 4)
        yield TraceStep(tool="recall", arguments={"text": frame.query or frame.text}, found=str(packed), took_s=took_s)
        shown: dict[str, Observation] = {o.id: o for o in packed.shown}
        toolbox = Toolbox(context, guard, abilities.images and options.max_images > 0)
        while True:
            calls: list[ToolCall] = []
            offered = prompts.TOOLS if steps_left > 0 else ()
            reply = _Reply(shown, bool(offered), said)
            stream = model.stream(messages, offered, options.answer_tokens)
            async with aclosing(stream) as pieces:
                while True:
                    with anyio.move_on_after(until_s - anyio.current_time()) as patience:
                        piece = await anext(pieces, None)
                    if patience.cancelled_caught:
                        raise ModelError(f"{model.name} did not answer in time")
                    if piece is None or isinstance(piece, Finish):
                        break
                    if isinstance(piece, ToolCall):
                        calls.append(piece)
                        continue
                    for claim in reply.feed(piece):
                        yield claim
            for claim in reply.end(bool(calls)):
                yield claim
            if not calls or not offered:
                return
            messages.append(ChatMessage("assistant", (reply.text,), tuple(calls[:steps_left])))
            pictures: list[str | Picture] = []
            for call in calls[:steps_left]:
                began_s = anyio.current_time()
                result = await toolbox.use(call)
                steps_left -= 1
                shown.update((o.id, o) for o in result.shown)
                messages.append(ChatMessage("tool", (result.text,), answers=call.id))
                pictures += result.pictures
                took_s = round(anyio.current_time() - began_s, 4)
                yield TraceStep(tool=call.name, arguments=_told(call.arguments), found=result.found, took_s=took_s)
            if pictures:  # most servers take no pictures in a tool's result
                messages.append(ChatMessage("user", (prompts.PICTURE_FOLLOWS, *pictures)))
            if steps_left <= 0 or not self._room(model, messages):
                steps_left = 0
                messages.append(ChatMessage("user", (prompts.ASK_AGAIN,)))

    def _compose(
        self, model: ChatModel, frame: Frame, context: Context, gathered: Gathered, guard: Guard, tools: bool
    ) -> tuple[list[ChatMessage], Packed]:
        """The messages of a question, with as much evidence as the model has room for."""
        abilities = model.abilities
        system = prompts.system_prompt(guard.opening, guard.closing, tools, bool(gathered.frames))
        view = context.view
        now_s = view.as_of_s if gathered.now_s is None else gathered.now_s
        now = prompts.now_line(media_time(now_s), clean(view.source, 80), max(0, len(view.limits) - 1))
        if gathered.paused:
            now += f"\n{gathered.paused} The asker was told so; tell what was there last, and how long ago."
        history = [
            message
            for exchange in context.history[-HISTORY:]
            for message in (
                ChatMessage("user", (clean(exchange.question, HISTORY_CHARACTERS),)),
                ChatMessage("assistant", (clean(exchange.answer, HISTORY_CHARACTERS),)),
            )
        ]
        if context.being_said:
            so_far = guard.enclose(guard.quote(context.being_said))
            now += f"\nBeing said now, not finished and not to be cited:\n{so_far}"
        asked = f"{now}\nQuestion: {frame.text}"
        fixed = [system, asked, *(message.text for message in history)]
        if tools:
            fixed += [f"{tool.name}{tool.description}{tool.parameters}" for tool in prompts.TOOLS]
        taken = sum(model.count_tokens(text) for text in fixed) + SLACK_TOKENS * (2 + len(history))
        left = abilities.context_tokens - self._config.model.answer_tokens - taken
        budget = min(EVIDENCE_TOKENS, int(left * (WITH_TOOLS_SHARE if tools else 1.0)))
        packed = pack(gathered, guard, max(0, budget), model.count_tokens, abilities.image_tokens)
        user = ChatMessage("user", (*packed.content, f"\n{asked}"))
        return [ChatMessage("system", (system,)), *history, user], packed

    def _room(self, model: ChatModel, messages: list[ChatMessage]) -> bool:
        """Whether another tool's result would still fit."""
        taken = sum(
            model.count_tokens(part) if isinstance(part, str) else model.abilities.image_tokens
            for message in messages
            for part in message.content
        )
        taken += SLACK_TOKENS * len(messages) + sum(model.count_tokens(str(tool)) for tool in prompts.TOOLS)
        return taken + 2 * self._config.model.answer_tokens < model.abilities.context_tokens


class _Reply:
    """One reply of a model as claims.

    While tools are offered, words without a citation wait until the reply ends: "let me look that up", before
    a call, is no answer.
    """

    def __init__(self, shown: dict[str, Observation], hold: bool, said: _Said) -> None:
        self.text = ""
        self._shown = shown
        self._hold = hold
        self._held: list[Claim] = []
        self._said = said
        self._sentences = Sentences()

    def feed(self, piece: str) -> list[Claim]:
        """The claims that ``piece`` completes."""
        self.text += piece
        return [claim for sentence in self._sentences.feed(piece) for claim in self._claims(sentence)]

    def end(self, calls: bool) -> list[Claim]:
        """The claims that are left; with ``calls`` following, those that waited are dropped."""
        claims = [claim for sentence in self._sentences.rest() for claim in self._claims(sentence)]
        if calls:
            return claims
        released, self._held = self._held, []
        return [*self._count(released), *claims]

    def _claims(self, sentence: str) -> list[Claim]:
        claim = resolve_marks(sentence, tuple(self._shown.values()))
        unfounded = not claim.cites and bool(re.search(r"\[\d", claim.text))
        if unfounded:
            self._said.struck += 1
            return [claim]  # the check strikes it out, and counts it
        if self._hold and not claim.cites:
            self._held.append(claim)
            return []
        released, self._held = self._held, []
        self._hold = False
        return self._count([*released, claim])

    def _count(self, claims: list[Claim]) -> list[Claim]:
        if claims and not self._said.sentences:
            self._said.refused = claims[0].text.startswith(prompts.REFUSAL)
        self._said.sentences += len(claims)
        self._said.cited = self._said.cited or any(claim.cites for claim in claims)
        return claims


def _told(arguments: dict[str, object]) -> dict[str, object]:
    """The arguments of a call as they are kept in the trace: short, plain values."""
    return {clean(str(key), 40): clean(str(value), 200) for key, value in list(arguments.items())[:8]}
