"""What tracked people wear, where they come from, how long they stay; black pictures; words counted; titles."""

from __future__ import annotations

from typing import Any

import pytest

from reasoning.answer.draft import Draft
from reasoning.answer.extract import ExtractiveBackend
from reasoning.query.context import Context
from reasoning.understand.questions import parse_question
from runtime.messages import Observation, ViewRequest
from tests.fixtures.listed_memory import ListedMemory, appears, frame, observe, said, written

pytestmark = pytest.mark.anyio

RED: dict[str, Any] = {"colours": {"top": "red", "bottom": "black"}, "track": 1}
BLUE: dict[str, Any] = {"colours": {"top": "blue", "bottom": "grey"}, "track": 2}
COMES = appears(10.0, "person", "a person in a red top, black below enters from the right, moving left", **RED)
OTHER = appears(40.0, "person", "a person in a blue top, grey below enters from the left, moving right", **BLUE)
GOES = observe(
    "object", 26.0, "the person in a red top leaves at the left, after 16 s", kind="person", event="leaves", **RED
)
BEINGS = (COMES, GOES, OTHER)


async def answered(question: str, *observations: Observation) -> Draft:
    memory = ListedMemory(*observations, as_of_s=60.0)
    context = Context(memory, await memory.view(ViewRequest()))
    return await ExtractiveBackend(0.35).draft(parse_question(question, 60.0), context)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What does the person who enters at about 40 seconds wear?", OTHER.text),
        ("What is the person at 0:18 wearing?", COMES.text),
        ("Which side does the person in the red top come from?", COMES.text),
        ("In which direction does the person in the blue top walk?", OTHER.text),
        ("How long does the person in the red top stay?", GOES.text),
    ],
)
async def test_people_are_told_as_they_were_tracked(question: str, answer: str) -> None:
    draft = await answered(question, *BEINGS)
    assert not draft.abstained
    assert draft.text.lower().startswith(answer.lower())


async def test_what_is_worn_on_the_face_is_not_told_by_the_colours_of_a_figure() -> None:
    assert (await answered("What is the person wearing on his face?", *BEINGS)).abstained


async def test_men_and_women_are_told_as_people() -> None:
    assert (await answered("What does the woman wear?", COMES)).text.endswith("apart.")


async def test_who_leaves_first_is_told_by_the_leaving() -> None:
    late = observe(
        "object", 50.0, "the person in a blue top leaves at the right", kind="person", event="leaves", **BLUE
    )
    early = appears(1.0, "person", "a person in a blue top appears", **BLUE)
    question = "Who leaves first: the person in the red top or the person in the blue top?"
    assert (await answered(question, early, COMES, GOES, late)).text.startswith(
        "The person in the red top leaves first"
    )


async def test_the_nth_person_is_the_nth_to_come() -> None:
    assert (await answered("When does the second person enter?", *BEINGS)).text.endswith("at [0:40].")


async def test_people_of_a_colour_are_counted_as_they_come() -> None:
    assert (await answered("How many people wear a red top?", *BEINGS)).text.startswith("One person came into view")


async def test_the_most_people_are_in_one_frame() -> None:
    frames = [frame(float(t), people=n) for t, n in enumerate((1, 3, 5, 2))]
    assert (
        "5 people, the most at once, at [0:02]" in (await answered("When are the most people visible?", *frames)).text
    )


async def test_a_time_is_no_number_of_people() -> None:
    frames = [frame(float(t), people=1) for t in range(12)]
    assert not (await answered("Was anybody there at 0:05?", *frames, COMES)).abstained


async def test_without_a_country_said_no_country_is_told() -> None:
    assert (await answered("Which countries are mentioned?", said(1.0, 3.0, "the weather is fine"))).abstained
    told = await answered("Which countries are mentioned?", said(1.0, 3.0, "we went to france by train"))
    assert "france" in told.text


async def test_black_pictures_are_found_and_counted() -> None:
    frames = [frame(float(t), brightness=0.01 if t in (3, 4, 9) else 0.5) for t in range(12)]
    assert (await answered("When is the picture black?", *frames)).text == (
        "The picture is black at [0:03] and [0:09]."
    )
    assert (await answered("How many times does the picture go black?", *frames)).text.startswith("Two times")


async def test_how_often_a_word_is_said_is_counted_even_where_a_number_is_said_with_it() -> None:
    spoken = (said(1.0, 2.0, "two ships came"), said(5.0, 6.0, "the ships were old"))
    assert (await answered("How often are ships mentioned?", *spoken)).text == (
        'I heard or read "ships" two times, at [0:01] and [0:05].'
    )


async def test_a_cover_is_read_and_its_title_is_its_largest_writing() -> None:
    cover = (written(0.0, "Moby Dick", height=0.2), written(0.0, "Herman Melville", k=1, height=0.05))
    assert "Moby Dick" in (await answered("What is the title of the book?", *cover)).text
    assert (await answered("What does the cover say?", *cover)).text == (
        'I read: "Moby Dick" [0:00] and "Herman Melville" [0:00].'
    )
