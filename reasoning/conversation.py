"""Conversations: what was asked and answered, so that the next question may lean on it.

Questions and answers are observations in memory and carry the conversation's name, so that a conversation is found
again after a restart. Only the newest turns are at hand: what a follow-up leans on, and more than a model is given to
read.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict, deque
from collections.abc import Iterable

from msgspec import Struct

from reasoning.query.context import Context
from reasoning.query.memory_client import MemoryClient
from reasoning.understand.frame import Frame
from runtime.messages import (
    Answer,
    AnswerFacts,
    Citation,
    Observation,
    QuestionFacts,
    ScanRequest,
    View,
    observation_id,
    round_time,
)

TURNS_KEPT = 6
# How many conversations are held; others are read again from memory.
CONVERSATIONS_KEPT = 64
# How far back a conversation is sought after a restart: newest questions and answers of all conversations.
SOUGHT = 400


class PastTurn(Struct, frozen=True):
    """A question and its answer. ``understood`` is the question in full; ``frame`` is what it was understood as, where
    that was not lost in a restart."""

    asked: str
    understood: str
    answer: str
    abstained: bool = False
    cites: tuple[Citation, ...] = ()
    ids: tuple[str, ...] = ()
    frame: Frame | None = None


class Conversation:
    """The newest turns of one conversation, oldest first, and how many there were in all."""

    def __init__(self, name: str, turns: Iterable[PastTurn] = (), count: int = 0) -> None:
        self.name = name
        self.turns = deque(turns, TURNS_KEPT)
        self.count = count

    def add(self, turn: PastTurn) -> None:
        self.count += 1
        self.turns.append(turn)


class Conversations:
    """All conversations, the least recently used given up first: memory has them."""

    def __init__(self, memory: MemoryClient) -> None:
        self._memory = memory
        self._open: OrderedDict[str, Conversation] = OrderedDict()

    async def open(self, name: str, view: View) -> Conversation:
        """The conversation, read from memory as far as ``view`` shows it where it is not at hand; "" is always new."""
        if not name:
            return Conversation(name)
        if name not in self._open:
            self._open[name] = await self._read(name, view)
        self._open.move_to_end(name)
        while len(self._open) > CONVERSATIONS_KEPT:
            self._open.popitem(last=False)
        return self._open[name]

    def clear(self) -> None:
        """Let go of all of them; they are read from memory again when they go on."""
        self._open.clear()

    async def _read(self, name: str, view: View) -> Conversation:
        # Asked at the very end of what was perceived: the limits that bound evidence bound it too.
        pairs = await self._memory.scan(
            ScanRequest(view=view, channels=("question", "answer"), newest_first=True, limit=SOUGHT)
        )
        said = [(o, o.facts(AnswerFacts)) for o in pairs.observations]
        answers = {facts.question: o for o, facts in said if o.channel == "answer" and facts.conversation == name}
        asked = [(o.facts(QuestionFacts).turn, o.t0_s, o.id, o) for o in pairs.observations if o.id in answers]
        kept = [o for *_, o in sorted(asked, key=lambda one: one[:3])[-TURNS_KEPT:]]
        evidence = {id_ for o in kept for id_ in answers[o.id].evidence}
        cited = {o.id: o for o in await Context(self._memory, view).by_id(evidence)}
        count = max((turn for turn, *_ in asked), default=0)
        return Conversation(name, (_turn(o, answers[o.id], cited) for o in kept), count)


def as_observations(conversation: Conversation, answer: Answer, view: View) -> tuple[Observation, ...]:
    """The newest turn as memory keeps it: question and answer, beside the source, at the media time of asking."""
    source = view.source or next(iter(view.limits), "")
    if not source:
        return ()
    t_s = round_time(view.as_of_s)
    k = zlib.crc32(f"{conversation.name}\0{answer.question}\0{view.generation}".encode()) or 1
    question = observation_id(source, "question", t_s, k)
    name, turn, understood = conversation.name, conversation.count + 1, answer.understood
    return (
        Observation(
            id=question, source=source, channel="question", t0_s=t_s, t1_s=t_s, text=answer.question,
            data=QuestionFacts(conversation=name, turn=turn, understood=understood, follow_up=bool(understood)),
        ),
        Observation(
            id=observation_id(source, "answer", t_s, k), source=source, channel="answer", t0_s=t_s, t1_s=t_s,
            text=answer.answer, evidence=tuple(c.id for c in answer.citations),
            data=AnswerFacts(conversation=name, turn=turn, question=question, abstained=answer.abstained),
        ),
    )  # fmt: skip


def _turn(question: Observation, answer: Observation, cited: dict[str, Observation]) -> PastTurn:
    return PastTurn(
        asked=question.text,
        understood=question.facts(QuestionFacts).understood or question.text,
        answer=answer.text,
        abstained=answer.facts(AnswerFacts).abstained,
        cites=tuple(
            Citation(source=o.source, t0_s=o.t0_s, t1_s=o.t1_s, channel=o.channel, text=o.text, id=o.id)
            for o in (cited[id_] for id_ in answer.evidence if id_ in cited)
        ),
        ids=(question.id, answer.id),
    )
