"""The back end that lets a language model answer, and answers from evidence alone where the model cannot.

Every sentence is a claim whose moments are checked like those of any other, and one that points nowhere is no answer.
What goes wrong with the model is mended while the question's time lasts (waited out, asked with less, asked without
pictures or tools, given room to think), else told in one line, and the extractive answer takes its place.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Protocol

import anyio

from reasoning.answer.draft import Claim
from reasoning.backends import Backend, Verdict
from reasoning.backends.chat_model import ChatModel
from reasoning.backends.converse import Conversation
from reasoning.backends.plans import THINKING_FACTOR, plan_for
from reasoning.backends.replies import Said
from reasoning.query.anchored import narrow
from reasoning.query.context import Context
from reasoning.safety.untrusted import Guard
from reasoning.understand.frame import Frame
from runtime.config import ReasoningConfig
from runtime.errors import ContextTooLong, InputRefused, MindstreamError, ModelError, OutOfTokens, TooManyPictures
from runtime.messages import TraceStep

# Kept back for the answer without the model, which takes milliseconds, and for the way back to the asker: so much, and
# no more than this share of a short deadline.
RESERVE_S, RESERVE_SHARE = 2.0, 0.25
ATTEMPTS = 6
LONGEST_BACK_OFF_S = 8.0
# How many times as long as usual a reply may become to hold what is thought before it.
MOST_PATIENCE = THINKING_FACTOR**2
SURE = 0.9


class Finder(Protocol):
    """Gives the model, if there is one. ``waiting``: what whoever calls it waits for, in a clause."""

    waiting: str

    async def __call__(self) -> ChatModel | None: ...


class ModelBackend:
    """Answers with the model that ``find`` gives, if any; ``find`` may raise `ModelError`.

    ``guard`` makes the delimiters of a question.
    """

    def __init__(self, find: Finder, fallback: Backend, config: ReasoningConfig, guard: type[Guard] = Guard) -> None:
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
        deadline_s = self._config.deadline_s
        until_s = anyio.current_time() + deadline_s - min(RESERVE_S, RESERVE_SHARE * deadline_s)
        notice = ""
        said = Said()
        model: ChatModel | None = None
        try:
            model = await self._ready(until_s)
            if model is not None:
                async with aclosing(self._ask(model, frame, context, until_s, said)) as pieces:
                    async for piece in pieces:
                        if isinstance(piece, str):
                            notice = piece
                        else:
                            yield piece
        except ModelError as error:
            notice = str(error) + ("; the answer is cut short" if said.sentences else "")
        except MindstreamError:
            raise
        except Exception:  # whatever a model made us trip over, the asker gets an answer and the log what it was
            logging.getLogger(__name__).exception("answering with %s failed", model.name if model else "a model")
            notice = f"answering with {model.name if model else 'a model'} failed (see the log)"
        if model is not None and said.sentences:
            answered = said.cited and not said.declined
            yield Verdict(SURE if answered else 0.0, not answered, model.name, notice)
            return
        if model is not None and not notice:
            notice = _why_not(model.name, said)
        async for instead in self._fallback.respond(frame, context):
            if isinstance(instead, Verdict):
                told = f"{notice}; answered from the evidence itself" if notice else ""
                yield Verdict(instead.confidence, instead.abstained, self._fallback.name, told)
            else:
                yield instead

    async def _ready(self, until_s: float) -> ChatModel | None:
        """The model, waited for while the question's time lasts.

        Raises:
            ModelError: there is none, or it is not ready in time.
        """
        with anyio.move_on_after(until_s - anyio.current_time()) as patience:
            model = await self._find()
        if patience.cancelled_caught:
            raise ModelError(f"{self._find.waiting}; ask again in a moment")
        self.name = model.name if model is not None else self._fallback.name
        return model

    async def _ask(
        self, model: ChatModel, frame: Frame, context: Context, until_s: float, said: Said
    ) -> AsyncGenerator[Claim | TraceStep | str, None]:
        """Ask until something was said, mending between attempts what can be mended; a text is for the user to know."""
        # The event that the question hangs on may not be found by rule; the model may find it.
        window = await narrow(frame, context) or context
        wait_s, patience = 0.0, 1
        for attempt in range(ATTEMPTS):
            began_s = anyio.current_time()
            plan = plan_for(model.abilities, self._config.model, patience)
            conversation = Conversation(model, plan, frame, window, self._guard, until_s, said)
            try:
                async with aclosing(conversation.run()) as pieces:
                    async for piece in pieces:
                        yield piece
                if conversation.cut:
                    yield (
                        f"{model.name} reached its {plan.answer_tokens} tokens: the answer is cut short"
                        " (reasoning.model.answer_tokens)"
                    )
                return
            except ModelError as error:
                now_s = anyio.current_time()
                failed: ModelError = error
                mended = isinstance(error, ContextTooLong | InputRefused | TooManyPictures)
                if isinstance(error, OutOfTokens):
                    longer = plan_for(
                        model.abilities, self._config.model, min(MOST_PATIENCE, THINKING_FACTOR * patience)
                    )
                    mended = longer.answer_tokens > plan.answer_tokens
                    patience = min(MOST_PATIENCE, THINKING_FACTOR * patience)
                    if not mended:
                        failed = ModelError(
                            f"{error} and said nothing; turn its thinking off, or give it more room"
                            " (reasoning.model.answer_tokens, context_tokens)"
                        )
                wait_s = 0.0 if mended else max(failed.retry_after_s or 0.0, min(2 * wait_s, LONGEST_BACK_OFF_S))
                again = mended or failed.retry_after_s is not None
                if said.sentences or not again or attempt == ATTEMPTS - 1 or now_s + wait_s >= until_s:
                    raise failed from error
                how = "with more" if isinstance(error, OutOfTokens) else "with less"
                told = f"asked again {how}" if mended else f"asked again after {wait_s:.1f} s"
                yield TraceStep(tool="model", found=f"{error}; {told}", took_s=round(now_s - began_s, 3))
            await anyio.sleep(wait_s)


def _why_not(name: str, said: Said) -> str:
    """Why what a model said is no answer."""
    if said.struck:
        return f"{name} pointed to nothing that was seen or heard"
    return f"{name} pointed to nothing that shows what it said" if said.uncited else f"{name} said nothing"
