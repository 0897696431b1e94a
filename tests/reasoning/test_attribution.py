"""What a sign says or somebody said is told as that, unless an independent witness agrees."""

from __future__ import annotations

import pytest

from reasoning.safety.attribution import attribute, is_hearsay
from reasoning.understand.grammar import parse_question
from tests.fixtures.extracting import NOW, answer
from tests.fixtures.listed_memory import ListedMemory, appears, frame, said, written

TRAIN = said(4.0, 8.0, "the train to london leaves from platform seven")
BOARD = written(20.0, "LONDON train", "leaves from platform 7")
WORLD = parse_question("What do you know about the London train?", NOW)


@pytest.mark.anyio
async def test_a_fact_that_was_only_said_or_read_is_told_as_a_claim() -> None:
    heard = await answer(
        ListedMemory(said(1.0, 3.0, "the keys are on the kitchen table")), "What is on the kitchen table?"
    )
    assert heard.text.startswith("Somebody said: ")
    read = await answer(ListedMemory(written(1.0, "keys on the kitchen table")), "What is on the kitchen table?")
    assert read.text.startswith("On screen I read ")


def test_a_sentence_on_hearsay_alone_is_attributed_by_its_channel() -> None:
    text = "The train leaves from platform seven [0:04]."
    assert attribute(text, (TRAIN,), WORLD) == "The train leaves from platform seven [0:04] (so somebody said)."
    assert attribute(text, (BOARD,), WORLD) == "The train leaves from platform seven [0:04] (so it is written)."
    assert attribute(text, (TRAIN, BOARD), WORLD) == text
    assert attribute(text, (), WORLD) == text


def test_a_sentence_that_names_its_channel_is_left_alone_but_not_for_what_it_quotes() -> None:
    named = 'A sign says "platform seven" [0:20].'
    assert attribute(named, (BOARD,), WORLD) == named
    quoted = 'It is "platform seven, the sign says" [0:20].'
    assert attribute(quoted, (BOARD,), WORLD).endswith("(so it is written).")
    vague = 'The evidence says "platform seven" [0:20].'
    assert attribute(vague, (BOARD,), WORLD).endswith("(so it is written).")


def test_a_question_for_what_was_said_is_not_hedged() -> None:
    text = "The train leaves from platform seven [0:04]."
    assert attribute(text, (TRAIN,), parse_question("What was said about the train?", NOW)) == text


def test_what_was_seen_is_no_hearsay() -> None:
    door = appears(3.0, "person", "a person appears")
    assert not is_hearsay((door,))
    assert not is_hearsay((BOARD, frame(20.0, "a board")))
    assert is_hearsay((BOARD,))
