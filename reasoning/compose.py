"""The answer of one turn: what is asked, the evidence there is, and what a back end makes of it, checked and told.

question -> View -> understood -> scope and window -> back end -> checked claims, told -> answer

The question is answered against the View of the moment it was asked, so nothing of its future, and no earlier answer
of ours, is evidence.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping

from msgspec import Struct

from reasoning.answer.again import answer_again
from reasoning.answer.citations import check_claim, has_mark
from reasoning.answer.draft import Claim, Draft, Verdict, mark
from reasoning.answer.foreign import tell_foreign
from reasoning.answer.told import Told, name_source
from reasoning.backends import Backend
from reasoning.conversation import Conversation, Conversations, PastTurn, as_observations
from reasoning.query.context import Context
from reasoning.query.memory_client import MemoryClient
from reasoning.query.present import Present
from reasoning.query.recordings import Recordings
from reasoning.safety.attribution import attribute
from reasoning.standing.commands import parse_command
from reasoning.understand.corrections import (
    acknowledge,
    as_correction,
    corrections_for,
    parse_correction,
    tell_corrections,
)
from reasoning.understand.talk import small_talk
from reasoning.understand.understand import Asked, understand
from runtime.calls import Calls
from runtime.clock import Clock
from runtime.config import ReasoningConfig
from runtime.messages import (
    UNDERSTOOD,
    Answer,
    AnswerPart,
    AskRequest,
    CorrectionFacts,
    Observation,
    PartialTranscript,
    StatusRequest,
    TraceStep,
    View,
    ViewRequest,
)
from runtime.moments import Moments

# Who composed what no back end was asked for.
CONVERSATION = "conversation"

# What is said to a sentence that is an order ("tell me when ..."), by conversation; None to a question.
Orders = Callable[[str, str], Awaitable[Draft | None]]
Piece = Claim | TraceStep | Verdict


class Said(Struct, frozen=True):
    """What is said without a back end: to an order, to a correction (which is remembered), about the last answer; or
    ``aside``, to what asks nothing of the world and belongs to no conversation."""

    draft: Draft
    correction: Observation | None = None
    aside: bool = False


class Composed(Struct, frozen=True):
    """An answer, what was ``asked``, and the conversation it belongs to."""

    answer: Answer
    asked: Asked
    said: Said | None
    conversation: Conversation
    view: View

    def keep(self) -> tuple[Observation, ...]:
        """Add the turn to its conversation; what comes back is to be remembered."""
        if self.said is not None and self.said.aside:
            return ()
        answer, conversation = self.answer, self.conversation
        correction = self.said.correction if self.said is not None else None
        observations = as_observations(conversation, answer, self.view)
        if correction is not None:
            observations += (correction,)
        corrected = correction.facts(CorrectionFacts).asked if correction is not None else ""
        conversation.add(
            PastTurn(
                asked=answer.question,
                understood=answer.understood or corrected or answer.question,
                answer=answer.answer,
                abstained=answer.abstained,
                cites=answer.citations,
                ids=tuple(o.id for o in observations),
                frame=None if corrected else self.asked.frame,
            )
        )
        return observations


class Composer:
    """Composes answers, for one turn or many at once. ``watchers``: the processes that watch live sources, by name."""

    def __init__(
        self,
        memory: MemoryClient,
        backend: Backend,
        config: ReasoningConfig,
        clock: Clock,
        orders: Orders | None = None,
        watchers: Mapping[str, Calls] | None = None,
        recordings: Recordings | None = None,
    ) -> None:
        self.conversations = Conversations(memory)
        self.struck = 0  # citations, ever
        self._memory = memory
        self._backend = backend
        self._config = config
        self._clock = clock
        self._orders = orders
        self._watchers = watchers or {}
        self._recordings = recordings

    async def compose(
        self, request: AskRequest, being_said: Collection[PartialTranscript], tell: Callable[[AnswerPart], None]
    ) -> Composed:
        """The answer, its parts told as they are made. ``being_said``: what people are saying while it is asked."""
        began_s = self._clock.now()
        view = await self._memory.view(
            ViewRequest(source=request.source, as_of_s=request.as_of_s, sources=request.sources)
        )
        status = await self._memory.status(StatusRequest())
        records = status.sources
        conversation = await self.conversations.open(request.conversation, view)
        before = [turn for turn in conversation.turns if _is_visible(turn, view)]
        # What follows an order ("tell me when ...") leans on the question before it.
        questions = [turn for turn in before if parse_command(turn.asked) is None]
        now = datetime.datetime.fromtimestamp(request.asked_wall_s).astimezone()
        asked = understand(request.question, view, records, questions, now, request.source)
        if request.sources and request.as_of_s is None and not asked.frame.scope.sources:
            # Asked of a session, which has its own recordings; of others where the question names or asks for them.
            whole = await self._memory.view(ViewRequest(source=view.source))
            wider = understand(request.question, whole, records, questions, now)
            if wider.frame.scope.sources or wider.frame.scope.every or wider.frame.about == "sources":
                view, asked = whole, wider
        # What is to be seen and said at this moment, where that is what is asked.
        of_now = asked.frame.is_now and request.as_of_s is None
        said_now = [p.text for p in being_said if of_now and p.source in asked.view.limits]
        context = Context(
            self._memory,
            asked.view,
            limit=self._config.recall_limit,
            history=tuple((turn.understood, turn.answer) for turn in before),
            being_said=" / ".join(said_now),
            present=Present(self._watchers, asked.view) if of_now and self._watchers else None,
            now_wall_s=request.asked_wall_s,
            known=status,
            recordings=self._recordings,
            wider=view if asked.carried else None,
        )
        if len(asked.windows) == 1 and len(asked.view.limits) == 1:
            context = context.within(asked.windows[0].t0_s, asked.windows[0].t1_s)
        elif asked.windows:
            context = context.in_windows(asked.windows)
        moments = Moments(records, request.asked_wall_s)
        said = await self._said(request, asked, questions[-1] if questions else None, view, moments)
        told = Told(tell, lambda: self._clock.now() - began_s)
        in_full = asked.in_full if said is None else ""
        if in_full:
            told.step(TraceStep(tool=UNDERSTOOD, found=in_full))
        understood_s = self._clock.now() - began_s
        async for piece in self._pieces(asked, said, context, moments):
            if isinstance(piece, Verdict):
                told.verdict = piece
            elif isinstance(piece, TraceStep):
                told.step(piece)
            else:
                told.latency_s.setdefault("recall", understood_s + context.spent_s)
                await self._say(piece, asked, said is not None, context, moments, told)
        if view.generations:  # of many memories: who could not be asked, then or by now
            told.say_away((await self._memory.status(StatusRequest())).away)
        answer = told.answer(request, in_full, view, self._backend.name, moments)
        return Composed(answer, asked, said, conversation, view)

    async def _said(
        self, request: AskRequest, asked: Asked, last: PastTurn | None, view: View, moments: Moments
    ) -> Said | None:
        """What is answered without evidence."""
        text = request.question
        if self._orders and (ordered := await self._orders(text, request.conversation)) is not None:
            return Said(ordered)
        if asked.recalled is None and (beside := small_talk(text)):
            return Said(beside, aside=True)
        if corrected := parse_correction(text, last):
            cited = await self._cited(last, view) if last and corrected.corrects else ()
            kept = as_correction(corrected, request.conversation, last, view)
            return Said(acknowledge(corrected, cited, moments), kept)
        if asked.problem is not None:
            return Said(asked.problem)
        if asked.recalled is not None and last is not None:
            again = answer_again(asked.recalled, last, await self._cited(last, view), moments)
            return Said(again, aside=asked.recalled.what == "question")
        return None

    async def _pieces(
        self, asked: Asked, said: Said | None, context: Context, moments: Moments
    ) -> AsyncIterator[Piece]:
        """What is said, and at last how sure it is: by the user's own words, or by the back end, or both."""
        draft = said.draft if said is not None else None
        if draft is None and asked.frame.language:
            draft = await tell_foreign(asked.frame, context)
        corrected = () if draft else await corrections_for(asked.frame, context)
        if corrected:
            draft = await tell_corrections(corrected, context, moments)
        for claim in draft.claims if draft else ():
            yield claim
        if draft is None and context.present and (paused := await context.present.told_of_pause()):
            yield Claim(paused)
        if draft and (not corrected or asked.frame.reduce != "exists"):
            # Beside a question of yes or no the user's word only stands first.
            yield Verdict(draft.confidence, draft.abstained, backend=CONVERSATION)
            return
        async for piece in self._backend.respond(asked.frame, context):
            yield piece

    async def _say(
        self, claim: Claim, asked: Asked, is_said: bool, context: Context, moments: Moments, told: Told
    ) -> None:
        """Tell what of a claim stands, with the moments of what it cites at its end where it names none itself."""
        view, room_for = context.wider or context.view, self._backend.max_citations - len(told.cited)
        shown = context.present.frames if context.present else None
        checked = await check_claim(claim, view, self._memory, room_for, shown)
        self.struck += checked.struck
        if not checked.text:
            return
        # What is said of the conversation itself makes no claim about the world.
        text = checked.text if is_said else attribute(checked.text, checked.cites, asked.frame)
        for o in checked.cites:
            if moments.is_live(o.source):  # a model writes media time
                text = text.replace(mark(o.t0_s), f"[{moments.mark(o)}]")
        if checked.cites and not has_mark(text):
            text = re.sub(r"([.!?]?)$", rf" {moments.marks(checked.cites)}\1", text, count=1)
        told.say(name_source(text, checked.cites, moments), checked.cites)

    async def _cited(self, turn: PastTurn, view: View) -> tuple[Observation, ...]:
        """What a past turn cited, as far as it still exists."""
        return await Context(self._memory, view).by_id(c.id for c in turn.cites)


def _is_visible(turn: PastTurn, view: View) -> bool:
    """Whether all that a past turn cites lies in the View: a question about an earlier time knows no later turn."""
    return all(c.source in view.limits and c.t1_s <= view.limits[c.source] for c in turn.cites)
