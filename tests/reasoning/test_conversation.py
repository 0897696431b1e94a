"""Conversations: bounded turns, finished topics folded, read again from memory."""

from __future__ import annotations

import pytest

from reasoning.answer.citations import cite
from reasoning.conversation import (
    TOPICS_KEPT,
    TURNS_KEPT,
    Conversation,
    Conversations,
    PastTurn,
    as_observations,
    as_topic,
    topic_line,
)
from runtime.messages import Answer, Observation, View
from tests.fixtures.listed_memory import SOURCE, ListedMemory, said

VIEW = View(generation=1, limits={SOURCE: 60.0}, source=SOURCE, as_of_s=60.0)


def turn(question: str, answer: str = "Yes.", *, leaned: bool = False, abstained: bool = False) -> PastTurn:
    return PastTurn(question, question, answer, abstained=abstained, leaned=leaned)


def test_a_topic_that_was_left_is_folded_into_one_line() -> None:
    conversation = Conversation("main")
    for i in range(TURNS_KEPT - 1):
        assert not conversation.add(turn("What about the lighthouse?", f"The lighthouse is closed [0:0{i}]. So."))
    assert not conversation.add(turn("When does the ferry leave?", "At noon."))
    folded = conversation.add(turn("And the bus?", "At one.", leaned=True))
    assert [t.understood for t in folded] == ["What about the lighthouse?"] * (TURNS_KEPT - 1)
    assert conversation.topics == ["Asked about the lighthouse: The lighthouse is closed [0:04]."]
    assert [exchange.question for exchange in conversation.history()] == [
        "What did we talk about before?",
        "When does the ferry leave?",
        "And the bus?",
    ]


def test_a_conversation_stays_bounded_however_long_it_goes_on() -> None:
    conversation = Conversation("main")
    for i in range(200):
        conversation.add(turn(f"What about thing{i} and more?", "word " * 200))
        assert len(conversation.turns) <= TURNS_KEPT
    assert len(conversation.topics) == TOPICS_KEPT
    assert sum(len(line) for line in conversation.topics) <= TOPICS_KEPT * 240
    assert conversation.count == 200


def test_a_topic_without_any_answer_says_so() -> None:
    assert topic_line([turn("Is a dog seen?", "No.", abstained=True)]) == "Asked about a dog: not found."


@pytest.mark.anyio
async def test_a_long_conversation_is_read_again_with_its_topics_and_what_it_cited() -> None:
    cited = said(6.0, 9.0, "the lighthouse is closed")
    memory = ListedMemory(cited, as_of_s=60.0)
    kept = await Conversations(memory).open("main", VIEW)
    for i in range(TURNS_KEPT + 3):
        name = "lighthouse" if i < 3 else f"ferry{i}"
        answer = Answer(
            question=f"What is said about the {name}?",
            answer=f"I heard {i}.",
            abstained=False,
            as_of_s=60.0,
            citations=(cite([cited]) if i == TURNS_KEPT + 2 else ()),
            latency_s={},
            backend="test",
        )
        stored: tuple[Observation, ...] = as_observations(kept, answer.question, False, answer, VIEW)
        folded = kept.add(PastTurn(answer.question, answer.question, answer.answer, ids=tuple(o.id for o in stored)))
        if folded:
            topic = as_topic(kept, folded, stored[0])
            assert topic.evidence == tuple(id_ for t in folded for id_ in t.ids)
            stored += (topic,)
        memory.observations += stored
    restarted = await Conversations(memory).open("main", VIEW)
    assert restarted.count == kept.count == TURNS_KEPT + 3
    assert [t.answer for t in restarted.turns][-3:] == [t.answer for t in kept.turns][-3:]
    assert [c.id for c in restarted.turns[-1].cites] == [cited.id]
    assert restarted.topics == kept.topics
    other = await Conversations(memory).open("another", VIEW)
    assert (other.turns, other.topics) == ([], [])
