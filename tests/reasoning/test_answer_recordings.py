"""Recordings asked about as such: how long, which, the one a question names, and "now" of one that has ended."""

from __future__ import annotations

import pytest

from reasoning.answer.draft import Draft
from reasoning.answer.extract import ExtractiveBackend
from reasoning.answer.recordings import asks_recordings, named_source
from reasoning.query.context import Context
from reasoning.understand.questions import parse_question
from runtime.messages import Observation, ViewRequest
from tests.fixtures.listed_memory import ListedMemory, frame, written

pytestmark = pytest.mark.anyio

CARD = written(58.0, "COMING SOON")
END = frame(59.0, "a black picture", CARD)


async def answered(question: str, *observations: Observation, ended_s: float | None = None) -> Draft:
    memory = ListedMemory(*observations, as_of_s=60.0)
    memory.ended_s = ended_s
    context = Context(memory, await memory.view(ViewRequest()))
    return await ExtractiveBackend(0.35).draft(parse_question(question, 60.0), context)


async def test_the_present_of_a_recording_that_has_ended_is_its_end() -> None:
    over = await answered("What is happening now?", CARD, END, ended_s=60.0)
    assert over.text == (
        'The recording clip ended at 1:00; this was its end. I see a black picture; on screen "COMING SOON" [0:59].'
    )
    going_on = await answered("What is happening now?", CARD, END)
    assert going_on.text == 'Now I see a black picture; on screen "COMING SOON" [0:59].'


@pytest.mark.parametrize(
    ("question", "ended_s", "answer"),
    [
        ("How long is the video?", 60.0, "The recording clip is 1:00 long."),
        ("how long is it", None, "The recording clip is known up to 1:00, and it goes on."),
        ("What recordings do you know?", 60.0, "I remember clip (1:00 long)."),
    ],
)
async def test_how_long_a_recording_is_and_which_there_are(question: str, ended_s: float | None, answer: str) -> None:
    assert (await answered(question, END, ended_s=ended_s)).text == answer


def test_other_lengths_are_not_asked_of_the_recording() -> None:
    for text in ("How long did he stand there?", "How long is the bridge?", "Which video shows a dog?"):
        assert not asks_recordings(parse_question(text, 60.0)), text


@pytest.mark.parametrize(
    ("text", "named", "rest"),
    [
        ("What happened in yard_left?", "yard_left.mp4", "What happened?"),
        ("Summarise the yard left video", "yard_left.mp4", "Summarise"),
        ("What is on screen at 0:10 of talk.mp4?", "talk.mp4", "What is on screen at 0:10?"),
        ("and in talk.mp4?", "talk.mp4", "and?"),
        ("Which talk is given?", "", "Which talk is given?"),
        ("Is there a dog in yard_left.mp4 or in talk.mp4?", "", "Is there a dog in yard_left.mp4 or in talk.mp4?"),
    ],
)
def test_a_question_may_name_its_recording(text: str, named: str, rest: str) -> None:
    assert named_source(text, ("talk.mp4", "yard_left.mp4")) == (named, rest)
