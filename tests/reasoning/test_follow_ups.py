"""Conversations: what leans on the question before is that question changed, and the last answer can be asked about."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from reasoning.answer.extract import ExtractiveBackend
from reasoning.turn import Turns
from runtime.config import ReasoningConfig
from runtime.messages import Answer, AskRequest
from tests.fixtures.listed_memory import EMBEDDED, ListedMemory, appears, frame, recording, said, written
from tests.fixtures.virtual_clock import VirtualClock

pytestmark = pytest.mark.anyio

NAMED = EMBEDDED | {"things": "COCO"}
SEEN: dict[str, Any] = {"label": "car", "side": "left", "place": "left", "probability": 0.9, "count": 1}
DAY = (
    said(5.0, 9.0, "the ferry to the island leaves at noon"),
    said(30.0, 34.0, "the museum is closed on mondays"),
    appears(40.0, "thing", "a red car enters from the left", colours=["red"], track=1, **SEEN),
    written(50.0, "EXIT 12"),
    said(60.0, 64.0, "the keys are under the mat"),
    appears(80.0, "thing", "a white car enters from the left", colours=["white"], track=2, **SEEN),
    *(said(90.0 + 8 * i, 93.0 + 8 * i, f"lot {i} of the auction is sold") for i in range(6)),
    frame(150.0, "a grey picture"),
)


async def talk(*questions: str) -> list[Answer]:
    """The answers of one conversation."""
    memory = ListedMemory(*DAY, records=(recording("clip", 160.0, encoders=NAMED),), as_of_s=160.0)
    answers = []
    async with anyio.create_task_group() as tasks:
        options = ReasoningConfig()
        backend = ExtractiveBackend(options.abstain_below)
        turns = Turns(tasks, memory, backend, options, VirtualClock(), logging.getLogger("test"))
        for question in questions:
            answers.append([m async for m in turns.ask(AskRequest(question=question, conversation="c"))][-1])
        tasks.cancel_scope.cancel()
    return [a for a in answers if isinstance(a, Answer)]


@pytest.mark.parametrize(
    ("first", "then", "at_s"),
    [
        ("What was said about the ferry?", "And the museum?", 30.0),
        ("What was said about the ferry?", "and about the keys", 60.0),
        ("When was the museum mentioned?", "What about the ferry?", 5.0),
        ("When did a red car appear?", "And a white one?", 80.0),
        ("Was there a red car?", "What about a white car?", 80.0),
        ("What was said about the keys?", "No, I meant the ferry", 5.0),
        ("What was said about the ferry?", "I mean the museum", 30.0),
        ("What was said between 0:00 and 0:10?", "and between 0:25 and 0:35?", 30.0),
        ("What was said about the ferry?", "When was that?", 5.0),
        ("What was said about the ferry?", "How do you know?", 5.0),
        ("When did a car first appear?", "And the last time?", 80.0),
    ],
)
async def test_a_follow_up_is_the_question_before_with_something_else_in_it(first: str, then: str, at_s: float) -> None:
    answer = (await talk(first, then))[-1]
    assert not answer.abstained, answer.answer
    assert [c.t0_s for c in answer.citations][:1] == [at_s], answer.answer


async def test_who_said_it_is_owned_up_to_not_to_be_known() -> None:
    answer = (await talk("What was said about the keys?", "Who said that?"))[-1]
    assert answer.abstained and "voices" in answer.answer
    assert [c.t0_s for c in answer.citations] == [60.0]


async def test_what_else_goes_on_where_the_list_was_left() -> None:
    first, more = await talk("List what was said about the auction.", "What else?")
    assert len(first.citations) <= 4
    assert not {c.id for c in first.citations} & {c.id for c in more.citations}
    assert more.citations


async def test_a_refusal_is_no_topic_to_lean_a_time_on() -> None:
    answer = (await talk("What was said about penguins?", "When was that?"))[-1]
    assert answer.abstained


async def test_a_whole_question_leans_on_nothing() -> None:
    answer = (await talk("What was said about the ferry?", "What was said about the mat?"))[-1]
    assert [c.t0_s for c in answer.citations] == [60.0]


async def test_a_follow_up_is_understood_with_what_it_leans_on() -> None:
    _, and_then, again = await talk("Where are the keys?", "And the ferry?", "When was that?")
    assert and_then.understood == "Where are the keys? And the ferry?"
    assert again.understood == "" and [c.t0_s for c in again.citations] == [5.0]


@pytest.mark.parametrize("then", ["What year is it?", "Where is this?", "What signs are there?", "Who is speaking?"])
async def test_what_is_asked_of_the_scene_leans_on_nothing(then: str) -> None:
    *_, answer = await talk("What was said about the ferry?", then)
    assert not answer.understood and "ferry" not in answer.answer
