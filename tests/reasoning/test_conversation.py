"""Conversations: bounded turns, read again from memory."""

from __future__ import annotations

import pytest

from reasoning.answer.citations import cite
from reasoning.conversation import TURNS_KEPT, Conversation, Conversations, PastTurn, as_observations
from runtime.messages import Answer, View
from tests.fixtures.listed_memory import SOURCE, ListedMemory, said

VIEW = View(generation=1, limits={SOURCE: 60.0}, source=SOURCE, as_of_s=60.0)


def test_a_conversation_stays_bounded_however_long_it_goes_on() -> None:
    conversation = Conversation("main")
    for i in range(200):
        conversation.add(PastTurn(f"What about thing{i}?", f"What about thing{i}?", "word " * 200))
    assert [turn.asked for turn in conversation.turns] == [f"What about thing{200 - TURNS_KEPT + i}?" for i in range(6)]
    assert conversation.count == 200


@pytest.mark.anyio
async def test_a_long_conversation_is_read_again_with_what_it_cited() -> None:
    cited = said(6.0, 9.0, "the lighthouse is closed")
    memory = ListedMemory(cited, as_of_s=60.0)
    kept = await Conversations(memory).open("main", VIEW)
    for i in range(TURNS_KEPT + 3):
        answer = Answer(
            question=f"What is said about number {i}?",
            answer=f"I heard {i}.",
            abstained=False,
            as_of_s=60.0,
            citations=(cite([cited]) if i % 2 == 0 else ()),
            latency_s={},
            backend="test",
        )
        stored = as_observations(kept, answer, VIEW)
        kept.add(PastTurn(answer.question, answer.question, answer.answer, ids=tuple(o.id for o in stored)))
        memory.observations += stored
    restarted = await Conversations(memory).open("main", VIEW)
    assert restarted.count == kept.count == TURNS_KEPT + 3
    assert [(t.asked, t.answer, t.ids) for t in restarted.turns] == [(t.asked, t.answer, t.ids) for t in kept.turns]
    assert [[c.id for c in t.cites] for t in restarted.turns][-2:] == [[], [cited.id]]
    other = await Conversations(memory).open("another", VIEW)
    assert not other.turns
