"""What a sign says or somebody said is told as that, unless an independent witness agrees."""

from __future__ import annotations

import pytest

from reasoning.answer.extract import ExtractiveBackend
from reasoning.query.context import Context
from reasoning.safety.attribution import agreeing, attribute, is_hearsay
from reasoning.understand.questions import parse_question
from runtime.messages import Observation, ViewRequest
from tests.fixtures.listed_memory import ListedMemory, appears, frame, said, written

pytestmark = pytest.mark.anyio

TRAIN = said(4.0, 8.0, "the train to london leaves from platform seven")
BOARD = written(20.0, "LONDON train", "leaves from platform 7")
OTHER_BOARD = written(20.0, "LONDON train", "leaves from platform 9")
WORLD = parse_question("What do you know about the London train?", 60.0)


async def answered(question: str, *observations: Observation) -> str:
    memory = ListedMemory(*observations, as_of_s=60.0)
    context = Context(memory, await memory.view(ViewRequest()))
    return (await ExtractiveBackend(0.35).draft(parse_question(question, 60.0), context)).text


async def test_a_fact_that_was_only_said_or_read_is_told_as_a_claim() -> None:
    heard = await answered("What is on the kitchen table?", said(1.0, 3.0, "the keys are on the kitchen table"))
    assert heard == 'Somebody said: "the keys are on the kitchen table" [0:01].'
    read = await answered("What is on the kitchen table?", written(1.0, "keys on the kitchen table"))
    assert read == 'A sign or screen says "keys on the kitchen table" [0:01].'


async def test_what_a_sign_says_or_somebody_said_is_quoted_as_asked() -> None:
    assert await answered("What does the sign about the train say?", BOARD) == (
        'I read "LONDON train leaves from platform 7" [0:20].'
    )
    assert (await answered("What was said about the train?", TRAIN)).startswith('I heard: "the train to london')


async def test_a_second_witness_by_another_channel_takes_the_hedge_away() -> None:
    question = "What is the budget for the bridge?"
    spoken = said(4.0, 8.0, "the budget for the bridge is three million")
    slide, other_slide = written(20.0, "Budget for the bridge: 3 million"), written(20.0, "Budget for the bridge: 9")
    assert await answered(question, spoken, slide) == (
        'I heard: "the budget for the bridge is three million" [0:04], and read the same [0:20].'
    )
    for uncertain in (await answered(question, spoken, other_slide), await answered(question, spoken)):
        assert uncertain == 'Somebody said: "the budget for the bridge is three million" [0:04].'


def test_only_what_says_the_same_agrees() -> None:
    asked = ["train", "london", "leave"]
    assert agreeing(TRAIN, [BOARD], asked) == BOARD
    assert agreeing(TRAIN, [said(50.0, 54.0, TRAIN.text)], asked) is None  # who repeats himself is no other witness
    assert agreeing(TRAIN, [written(20.0, "London train leaves")], asked) is None  # only repeats the question


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
    assert attribute(text, (TRAIN,), parse_question("What was said about the train?", 60.0)) == text


def test_what_was_seen_is_no_hearsay() -> None:
    door = appears(3.0, "person", "a person appears")
    assert not is_hearsay((door,))
    assert not is_hearsay((BOARD, frame(20.0, "a board")))
    assert is_hearsay((BOARD,))
