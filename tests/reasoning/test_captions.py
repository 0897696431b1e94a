"""What is written while somebody speaks is what he says, in a recording that is captioned."""

from __future__ import annotations

import pytest

from reasoning.answer.extract import ExtractiveBackend
from reasoning.query.captions import captions
from reasoning.query.context import Context
from reasoning.understand.questions import parse_question
from runtime.messages import ViewRequest
from tests.fixtures.listed_memory import ListedMemory, said, written

pytestmark = pytest.mark.anyio

SPOKEN = (
    said(0.0, 2.5, "what would this knot for me"),
    said(4.0, 6.0, "i've always wondered"),
    said(7.0, 9.0, "well now you know because yes"),
    said(10.0, 13.0, ""),
)
SHOWN = (
    written(0.2, "what this pocket is for?"),
    written(0.2, "EVAN", region="top right"),
    written(5.0, "I've always", "wondered that"),
    written(7.4, "well now we know"),
    written(11.0, "it is the iPod"),
)


def test_captions_are_given_to_the_utterance_they_come_with_in_their_place() -> None:
    found = captions(SPOKEN, SHOWN)
    assert {key: tuple(t.text for t in texts) for key, texts in found.items()} == {
        SPOKEN[0].id: (SHOWN[0].text,),
        SPOKEN[1].id: (SHOWN[2].text,),
        SPOKEN[2].id: (SHOWN[3].text,),
        SPOKEN[3].id: (SHOWN[4].text,),
    }


def test_one_text_that_repeats_what_is_said_makes_no_captions() -> None:
    assert not captions(SPOKEN, SHOWN[1:3])


async def test_what_was_said_is_told_with_its_captions_where_it_was_not_understood_too() -> None:
    memory = ListedMemory(*SPOKEN, *SHOWN, as_of_s=20.0)
    context = Context(memory, await memory.view(ViewRequest()))

    async def answer(text: str) -> str:
        return (await ExtractiveBackend(0.35).draft(parse_question(text, 20.0), context)).text

    assert '"i\'ve always wondered" [0:04], captioned "I\'ve always wondered that"' in await answer("What does he say?")
    assert await answer("What is said last?") == 'I heard: words [0:10], captioned "it is the iPod".'
