"""The answer of one turn: what is asked, the evidence there is, and what a back end makes of it, checked and told.

question -> View -> understood in its conversation -> context -> back end -> checked claims, told -> answer

The question is answered against the View of the moment it was asked, so nothing of its future, and no earlier answer
of ours, is evidence.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence

import msgspec
from msgspec import Struct

from reasoning.answer.again import answer_again, unclear
from reasoning.answer.citations import check_claim, cite
from reasoning.answer.compare import compares_sources
from reasoning.answer.draft import Claim, Draft
from reasoning.answer.recordings import asks_recordings, named_source
from reasoning.backends import Backend, Verdict
from reasoning.conversation import Conversation, Conversations, PastTurn, as_observations, as_topic
from reasoning.query.context import Context
from reasoning.query.memory_client import MemoryClient
from reasoning.query.present import CallsWatcher, Present, together
from reasoning.safety.attribution import attribute
from reasoning.standing.commands import parse_command
from reasoning.understand.corrections import (
    acknowledge,
    as_correction,
    corrections_for,
    parse_correction,
    takes_the_place,
    tell_corrections,
)
from reasoning.understand.follow_up import InFull, Recalled, Unclear, resolve
from reasoning.understand.questions import Question, parse_question
from reasoning.understand.small_talk import small_talk
from reasoning.understand.wording import mend_slips
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
    ScanRequest,
    TraceStep,
    View,
    ViewRequest,
)
from runtime.sources import session_of

UNSUPPORTED = "I cannot support an answer with anything I remember."
# "And then?" after an answer that found nothing goes on from the one before that.
GOES_BACK = 3
ONE_SOURCE = ("count", "summary", "now")
_ONLY_NAMED = re.compile(r"(?:(?:and|but|so|what|how|is it|was it)\b ?)*[?.! ]*", re.IGNORECASE)
# Who composed what no back end was asked for.
CONVERSATION = "conversation"

# What is said to a sentence that is an order ("tell me when ..."), by conversation; None to a question.
Orders = Callable[[str, str], Awaitable[Draft | None]]
Piece = Claim | TraceStep | Verdict


class Wording(Struct, frozen=True):
    """The words of a question: ``text`` without the recording it names (``named``, "" is none), ``mended`` as it was
    meant where it was typed otherwise."""

    text: str
    mended: str = ""
    named: str = ""


class Understood(Struct, frozen=True):
    """What is asked. ``in_full`` is a follow-up with what it leans on (``leaned``), or a misspelt question mended;
    ``source`` the one it is about ("" is any).

    ``said`` is the answer where it takes no back end: to an order, to a correction (``correction``, to be remembered),
    to a question about the last answer, or ``aside`` to what asks nothing of the world and belongs to no conversation.
    """

    question: Question
    source: str = ""
    in_full: str = ""
    said: Draft | None = None
    correction: Observation | None = None
    leaned: bool = False
    aside: bool = False


class Composed(Struct, frozen=True):
    """An answer to what was ``understood``, and the conversation it belongs to."""

    answer: Answer
    understood: Understood
    conversation: Conversation
    view: View

    def keep(self) -> tuple[Observation, ...]:
        """Add the turn to its conversation; what comes back is to be remembered."""
        if self.understood.aside:
            return ()
        answer, conversation = self.answer, self.conversation
        asked, leaned, correction = answer.question, self.understood.leaned, self.understood.correction
        observations = as_observations(conversation, asked, leaned, answer, self.view)
        if correction is not None:
            observations += (correction,)
        corrected = correction.facts(CorrectionFacts).asked if correction is not None else ""
        folded = conversation.add(
            PastTurn(
                asked=asked,
                understood=answer.understood or corrected or asked,
                answer=answer.answer,
                abstained=answer.abstained,
                leaned=leaned,
                cites=answer.citations,
                ids=tuple(o.id for o in observations),
            )
        )
        if folded and observations:
            observations += (as_topic(conversation, folded, observations[0]),)
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
        watchers: Mapping[str, CallsWatcher] | None = None,
    ) -> None:
        self.conversations = Conversations(memory)
        self.struck = 0  # citations, ever
        self._memory = memory
        self._backend = backend
        self._config = config
        self._clock = clock
        self._orders = orders
        self._watchers = watchers or {}

    async def compose(
        self, request: AskRequest, being_said: Collection[PartialTranscript], tell: Callable[[AnswerPart], None]
    ) -> Composed:
        """The answer, its parts told as they are made. ``being_said``: what people are saying while it is asked."""
        began_s = self._clock.now()
        view = await self._memory.view(
            ViewRequest(source=request.source, as_of_s=request.as_of_s, sources=request.sources)
        )
        conversation = await self.conversations.open(request.conversation, view)
        before = [turn for turn in conversation.turns if _is_visible(turn, view)]
        wording = _worded(request, view, before)
        if request.sources and request.as_of_s is None and not wording.named:
            # Asked of a session, which has its own recordings; of others where the question is about them.
            whole = await self._memory.view(ViewRequest(source=view.source))
            wording = _worded(request, whole, before)
            if wording.named or compares_sources(plain := parse_question(wording.text, 0.0)) or asks_recordings(plain):
                view = whole
        if wording.named:
            view = msgspec.structs.replace(view, source=wording.named, as_of_s=view.limits[wording.named])
        asked = await self._understand(request, wording, before, view)
        understood_s = self._clock.now() - began_s
        source, seen = asked.source, view
        if source == view.source and not (request.source or wording.named or asked.leaned):
            seen = together(view)  # it was taken to be about what is watched, not named
            source = "" if len(seen.limits) > 1 and seen is not view else source
        said_now = [p.text for p in being_said if p.source in seen.limits and source in ("", p.source)]
        context = Context(
            self._memory,
            seen,
            source=source,
            limit=self._config.recall_limit,
            history=conversation.history() if len(before) == len(conversation.turns) else (),
            being_said=" / ".join(said_now) if asked.question.time.now and request.as_of_s is None else "",
            present=self._present(request, asked, view),
        )
        told = _Told(tell, lambda: self._clock.now() - began_s)
        if asked.in_full:
            told.step(TraceStep(tool=UNDERSTOOD, found=asked.in_full))
        async for piece in self._pieces(asked, context):
            if isinstance(piece, Verdict):
                told.verdict = piece
            elif isinstance(piece, TraceStep):
                told.step(piece)
            else:
                told.latency_s.setdefault("recall", understood_s + context.spent_s)
                await self._say(piece, asked, context, told)
        return Composed(told.answer(request, asked, view, self._backend.name), asked, conversation, view)

    async def _understand(
        self, request: AskRequest, wording: Wording, before: Sequence[PastTurn], view: View
    ) -> Understood:
        """What is asked, given the turns before it."""
        text = wording.text
        # "Tell me when ..." was no question, and what follows leans on the one before it.
        last = next((turn for turn in reversed(before) if parse_command(turn.asked) is None), None)
        plain = parse_question(text, view.as_of_s)
        if self._orders and (ordered := await self._orders(text, request.conversation)) is not None:
            return Understood(plain, said=ordered)
        if beside := small_talk(text):
            return Understood(plain, said=beside, aside=True)
        if corrected := parse_correction(text, last):
            said = acknowledge(corrected, await self._cited(last, view) if last and corrected.corrects else ())
            return Understood(plain, said=said, correction=as_correction(corrected, request.conversation, last, view))
        cited = next((turn for turn in reversed(before[-GOES_BACK:]) if turn.cites), None)
        leaning = resolve(text, last, view.as_of_s, cited)
        if isinstance(leaning, Unclear):
            return Understood(plain, said=unclear(leaning.word))
        if isinstance(leaning, Recalled):
            assert last is not None  # there is nothing else that it could recall
            said = answer_again(leaning, last, await self._cited(last, view))
            return Understood(plain, said=said, aside=leaning.what == "question")
        question = plain if leaning is None else _question_of(leaning, view)
        if question.ongoing and self._watchers and request.as_of_s is None:
            question = msgspec.structs.replace(question, kind="now")
        # Times, counts and summaries are of one source, the one being watched; words may be in any.
        about_one = question.time.bounded or question.time.now or question.kind in ONE_SOURCE
        source = wording.named or (leaning.source if leaning else "") or (view.source if about_one else "")
        in_full = leaning.text if leaning else wording.mended
        return Understood(question, source, in_full, leaned=leaning is not None)

    def _present(self, request: AskRequest, asked: Understood, view: View) -> Present | None:
        """What is to be seen now, where that is what is asked: of the camera that is named, else of all."""
        if not self._watchers or asked.question.kind != "now" or request.as_of_s is not None:
            return None
        return Present(self._watchers, view, request.source or (asked.source if asked.leaned else ""))

    async def _pieces(self, asked: Understood, context: Context) -> AsyncIterator[Piece]:
        """What is said, and at last how sure it is: by the user's own words, or by the back end, or both."""
        draft = asked.said
        if draft is None and (told := await corrections_for(asked.question, context)):
            draft = await tell_corrections(told, context)
        for claim in draft.claims if draft else ():
            yield claim
        if draft is None and context.present and (paused := await context.present.told_of_pause()):
            yield Claim(paused)
        if draft and (asked.said is not None or takes_the_place(asked.question)):
            yield Verdict(draft.confidence, draft.abstained, backend=CONVERSATION)
            return
        async for piece in self._backend.respond(asked.question, context):
            yield piece

    async def _say(self, claim: Claim, asked: Understood, context: Context, told: _Told) -> None:
        """Tell what of a claim stands."""
        view, room_for = context.view, self._backend.max_citations - len(told.cited)
        shown = context.present.frames if context.present else None
        checked = await check_claim(claim, view, self._memory, room_for, shown)
        self.struck += checked.struck
        if checked.text:
            # What is said of the conversation itself makes no claim about the world.
            text = checked.text if asked.said is not None else attribute(checked.text, checked.cites, asked.question)
            told.say(name_source(text, checked.cites, view), checked.cites)

    async def _cited(self, turn: PastTurn, view: View) -> tuple[Observation, ...]:
        """What a past turn cited, as far as it still exists."""
        ids = tuple(c.id for c in turn.cites)
        if not ids:
            return ()
        return (await self._memory.scan(ScanRequest(view=view, ids=ids, limit=len(ids)))).observations


class _Told:
    """What has been told of an answer. ``since_s`` gives the seconds since the question."""

    def __init__(self, tell: Callable[[AnswerPart], None], since_s: Callable[[], float]) -> None:
        self.cited: dict[str, Observation] = {}
        self.latency_s: dict[str, float] = {}
        self.verdict = Verdict(0.0, abstained=True)
        self._tell = tell
        self._since_s = since_s
        self._said: list[str] = []
        self._trace: list[TraceStep] = []

    def step(self, step: TraceStep) -> None:
        self._trace.append(step)
        self._tell(AnswerPart(text="", step=step))

    def say(self, text: str, cites: Sequence[Observation] = ()) -> None:
        self._tell(AnswerPart(text=f" {text}" if self._said else text))
        self._said.append(text)
        self.cited.update((o.id, o) for o in cites)
        self.latency_s.setdefault("first_part", self._since_s())

    def answer(self, request: AskRequest, asked: Understood, view: View, backend: str) -> Answer:
        """The whole; one that nothing was said of says so."""
        if not self._said:
            self.say(UNSUPPORTED)
            self.verdict = Verdict(0.0, True, self.verdict.backend, self.verdict.notice)
        total_s = self._since_s()
        took_s = {name: self.latency_s.get(name, total_s) for name in ("recall", "first_part", "total")}
        return Answer(
            question=request.question,
            answer=" ".join(self._said),
            abstained=self.verdict.abstained,
            as_of_s=max([view.as_of_s, *(o.t1_s for o in self.cited.values() if o.source == view.source)]),
            citations=cite(self.cited.values()),
            latency_s={name: round(seconds, 4) for name, seconds in took_s.items()},
            backend=self.verdict.backend or backend,
            confidence=round(self.verdict.confidence, 4),
            trace=tuple(self._trace),
            notice=self.verdict.notice,
            understood=asked.in_full,
        )


def name_source(text: str, cites: Sequence[Observation], view: View) -> str:
    """``text`` with the source of its citations, where that is not the one being watched; its label is enough for one
    that is perceived beside it."""
    sources = {o.source for o in cites}
    if len(view.limits) < 2 or len(sources) != 1 or view.source in sources:
        return text
    name = sources.pop()
    label, moment = session_of(name)
    if name in text or (label and text.startswith(f"{label}: ")):
        return text
    shown = label if label and moment == session_of(view.source)[1] else name
    return re.sub(r"([.!?]?)$", rf" (in {shown})\1", text, count=1)


def _worded(request: AskRequest, view: View, before: Sequence[PastTurn]) -> Wording:
    """The question as the rules read it; "and in yard.mp4?" asks of that recording what was asked before."""
    text = mend_slips(request.question)
    mended = text if text != request.question else ""
    if request.as_of_s is not None:
        return Wording(text, mended)
    named, text = named_source(text, view.limits)
    if named and before and _ONLY_NAMED.fullmatch(text):
        text = named_source(before[-1].understood, view.limits)[1]
        mended = f"{text.rstrip('?.! ')}, in {named}?"
    return Wording(text, mended, named)


def _question_of(asked: InFull, view: View) -> Question:
    """A follow-up in full, with the window it takes over."""
    question = parse_question(asked.text, view.as_of_s)
    if asked.t0_s is None and asked.t1_s is None:
        return question
    time = question.time
    time = msgspec.structs.replace(time, t0_s=asked.t0_s, t1_s=asked.t1_s, pick=asked.pick or time.pick)
    return msgspec.structs.replace(question, time=time)


def _is_visible(turn: PastTurn, view: View) -> bool:
    """Whether all that a past turn cites lies in the View: a question about an earlier time knows no later turn."""
    return all(c.source in view.limits and c.t1_s <= view.limits[c.source] for c in turn.cites)
