"""Conversations: what was asked and answered, so that the next question may lean on it.

Questions and answers are observations in memory and carry the conversation's name, so that a conversation
is found again after a restart. Only the newest turns are kept in full; a topic that was left is folded
into one line, a `derived` observation whose evidence is its questions and answers. What a model is given
to read therefore stays bounded however long people talk.
"""

from __future__ import annotations

import datetime
import re
import zlib
from collections import OrderedDict

from msgspec import Struct

from reasoning.query.context import Exchange
from reasoning.query.memory_client import MemoryClient
from reasoning.understand.frame import Frame
from reasoning.understand.grammar import parse_question
from runtime.language.stem import stem
from runtime.messages import (
    Answer,
    AnswerFacts,
    Citation,
    DerivedFacts,
    Observation,
    QuestionFacts,
    ScanRequest,
    View,
    observation_id,
    round_time,
)

# Turns kept in full; of older ones, topics as a line each.
TURNS_KEPT = 6
TOPICS_KEPT = 8
TOPIC_CHARS = 240
# How many conversations are held; others are read again from memory.
CONVERSATIONS_KEPT = 64
# How far back a conversation is sought after a restart: newest questions and answers of all conversations.
SOUGHT = 400
TOPIC_KIND = "topic"


class PastTurn(Struct, frozen=True):
    """A question and its answer. ``understood`` is the question in full, ``leaned`` that it was a follow-up; ``frame``
    is what it was understood as, where that was not lost in a restart."""

    asked: str
    understood: str
    answer: str
    abstained: bool = False
    leaned: bool = False
    cites: tuple[Citation, ...] = ()
    ids: tuple[str, ...] = ()
    frame: Frame | None = None


class Conversation:
    """The newest turns of one conversation, oldest first, and lines on what was talked of before."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.turns: list[PastTurn] = []
        self.topics: list[str] = []
        self.count = 0

    @property
    def last(self) -> PastTurn | None:
        return self.turns[-1] if self.turns else None

    def history(self) -> tuple[Exchange, ...]:
        """What was said, for a model to read: finished topics as one exchange, then the turns."""
        turns = [Exchange(turn.understood, turn.answer) for turn in self.turns]
        if self.topics:
            turns.insert(0, Exchange("What did we talk about before?", " ".join(self.topics)))
        return tuple(turns)

    def add(self, turn: PastTurn) -> list[PastTurn]:
        """Keep a turn; what comes back is a finished topic's turns, to be folded, or nothing."""
        self.count += 1
        self.turns.append(turn)
        if len(self.turns) <= TURNS_KEPT:
            return []
        end = next((i for i in range(1, len(self.turns) - 1) if starts_topic(self.turns[:i], self.turns[i])), None)
        # One topic that goes on and on is folded by halves: its newest turns are what a follow-up leans on.
        end = end or TURNS_KEPT // 2
        folded, self.turns = self.turns[:end], self.turns[end:]
        self.topics = [*self.topics, topic_line(folded)][-TOPICS_KEPT:]
        return folded


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
        conversation = Conversation(name)
        # Asked at the very end of what was perceived: the limits that bound evidence bound it too.
        pairs = await self._memory.scan(
            ScanRequest(view=view, channels=("question", "answer"), newest_first=True, limit=SOUGHT)
        )
        said = [(o, o.facts(AnswerFacts)) for o in pairs.observations]
        answers = {facts.question: o for o, facts in said if o.channel == "answer" and facts.conversation == name}
        mine = [(o.facts(QuestionFacts).turn, o.t0_s, o.id, o) for o in pairs.observations if o.id in answers]
        asked = [o for *_, o in sorted(mine, key=lambda one: one[:3])]
        conversation.count = max((turn for turn, *_ in mine), default=0)
        kept = asked[-TURNS_KEPT:]
        cited = await self._cited([answers[o.id] for o in kept[-1:]], view)
        conversation.turns = [_turn(o, answers[o.id], cited) for o in kept]
        if len(asked) > TURNS_KEPT:
            notes = await self._memory.scan(
                ScanRequest(view=view, channels=("derived",), kinds=(TOPIC_KIND,), newest_first=True, limit=SOUGHT)
            )
            facts = [(o.facts(DerivedFacts), o) for o in notes.observations]
            topics = [(of.turn, o) for of, o in facts if of.conversation == name]
            topics.sort(key=lambda topic: topic[0])
            conversation.topics = [o.text for _, o in topics[-TOPICS_KEPT:]]
        return conversation

    async def _cited(self, answers: list[Observation], view: View) -> dict[str, Observation]:
        ids = tuple(dict.fromkeys(id_ for o in answers for id_ in o.evidence))
        if not ids:
            return {}
        reply = await self._memory.scan(ScanRequest(view=view, ids=ids, limit=len(ids)))
        return {o.id: o for o in reply.observations}


def starts_topic(before: list[PastTurn], turn: PastTurn) -> bool:
    """Whether a turn speaks of something else than those before it: no follow-up, no word in common."""
    if turn.leaned:
        return False
    return not _subject(turn) & {word for earlier in before for word in _subject(earlier)}


def topic_line(turns: list[PastTurn]) -> str:
    """One line on a finished topic: what was asked about, and the first sentence of what was found."""
    asked = list(dict.fromkeys(phrase for turn in turns for phrase in _about(turn)))
    found = next((turn.answer for turn in reversed(turns) if not turn.abstained), "")
    first = re.split(r"(?<=[.!?])\s", found, maxsplit=1)[0]
    line = f"Asked about {', '.join(asked[:4]) or turns[0].understood.rstrip('?')}: {first or 'not found.'}"
    return line if len(line) <= TOPIC_CHARS else f"{line[: TOPIC_CHARS - 1]}…"


def as_observations(
    conversation: Conversation, asked: str, leaned: bool, answer: Answer, view: View
) -> tuple[Observation, ...]:
    """The newest turn as memory keeps it: question and answer, beside the source, at the media time of asking."""
    source = view.source or next(iter(view.limits), "")
    if not source:
        return ()
    t_s = round_time(view.as_of_s)
    k = zlib.crc32(f"{conversation.name}\0{asked}\0{view.generation}".encode()) or 1
    question = observation_id(source, "question", t_s, k)
    name, turn = conversation.name, conversation.count + 1
    leans = leaned and bool(answer.understood)
    return (
        Observation(
            id=question, source=source, channel="question", t0_s=t_s, t1_s=t_s, text=asked,
            data=QuestionFacts(conversation=name, turn=turn, understood=answer.understood, follow_up=leans),
        ),
        Observation(
            id=observation_id(source, "answer", t_s, k), source=source, channel="answer", t0_s=t_s, t1_s=t_s,
            text=answer.answer, evidence=tuple(c.id for c in answer.citations),
            data=AnswerFacts(conversation=name, turn=turn, question=question, abstained=answer.abstained),
        ),
    )  # fmt: skip


def as_topic(conversation: Conversation, folded: list[PastTurn], beside: Observation) -> Observation:
    """A finished topic as memory keeps it: derived, with its questions and answers as evidence."""
    k = zlib.crc32(f"{conversation.name}\0{conversation.count}".encode()) or 1
    return Observation(
        id=observation_id(beside.source, "derived", beside.t0_s, k),
        source=beside.source,
        channel="derived",
        t0_s=beside.t0_s,
        t1_s=beside.t1_s,
        text=conversation.topics[-1],
        data=DerivedFacts(kind=TOPIC_KIND, conversation=conversation.name, turn=conversation.count),
        evidence=tuple(id_ for turn in folded for id_ in turn.ids),
    )


def _turn(question: Observation, answer: Observation, cited: dict[str, Observation]) -> PastTurn:
    return PastTurn(
        asked=question.text,
        understood=question.facts(QuestionFacts).understood or question.text,
        answer=answer.text,
        abstained=answer.facts(AnswerFacts).abstained,
        leaned=question.facts(QuestionFacts).follow_up,
        cites=tuple(
            Citation(source=o.source, t0_s=o.t0_s, t1_s=o.t1_s, channel=o.channel, text=o.text, id=o.id)
            for o in (cited[id_] for id_ in answer.evidence if id_ in cited)
        ),
        ids=(question.id, answer.id),
    )


def frame_of(turn: PastTurn) -> Frame:
    """What a past turn was understood as."""
    return turn.frame or parse_question(turn.understood, datetime.datetime.now(datetime.UTC))


def _about(turn: PastTurn) -> list[str]:
    subject = frame_of(turn).subject
    return [subject.replace('"', "")] if subject else []


def _subject(turn: PastTurn) -> set[str]:
    return {stem(word) for word in frame_of(turn).of("subject", "head")}
