"""What is seen or read answers a question only where it says what is asked, not where it repeats what the question
says."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.messages import Observation
from tests.fixtures.extracting import answer, cited
from tests.fixtures.listed_memory import EMBEDDED, ListedMemory, appears, frame, observe, recording, said, written

pytestmark = pytest.mark.anyio

NAMED = EMBEDDED | {"things": "COCO", "object": "SSD MobileNet v2 (80 kinds of thing by name)"}


def memory(*observed: Observation, until_s: float = 60.0) -> ListedMemory:
    return ListedMemory(*observed, records=(recording("clip", until_s, encoders=NAMED),), as_of_s=until_s)


def thing(t_s: float, name: str, text: str, **facts: Any) -> Observation:
    return appears(t_s, "thing", text, label=name, probability=0.9, count=1, **facts)


DOG = thing(5.0, "dog", "a brown dog at the left", colours=["brown"], side="left", place="left")
DOG_LEAVES = observe(
    "object", 20.0, "the brown dog leaves at the right, after 15 s", evidence=(DOG.id,), kind="thing",
    event="leaves", label="dog", colours=["brown"], side="right", place="right", track=1,
)  # fmt: skip
VIEW = (frame(0.0, "a grey picture"), frame(30.0, "a grey picture"))


@pytest.mark.parametrize(
    "question",
    ["What is the dog doing?", "What does the dog hold?", "Why did the dog bark?", "What happened to the dog?"],
)
async def test_that_a_thing_was_there_is_no_answer_to_what_it_did(question: str) -> None:
    draft = await answer(memory(*VIEW, DOG), question)
    assert draft.abstained, draft.text


async def test_what_became_of_a_thing_is_told_where_it_was_seen_to_leave() -> None:
    draft = await answer(memory(*VIEW, DOG, DOG_LEAVES), "What happened to the dog?")
    assert not draft.abstained and "leaves at the right" in draft.text
    assert DOG_LEAVES in cited(draft)


async def test_what_is_on_a_thing_is_what_was_seen_on_it_and_not_that_thing() -> None:
    table = thing(1.0, "table", "a brown table at the centre", side="centre", place="centre")
    cup = thing(2.0, "cup", "a blue cup on a table at the centre", side="centre", place="centre", on="table")
    draft = await answer(memory(*VIEW, table, cup), "What is on the table?")
    assert not draft.abstained and cited(draft) == [cup]
    assert (await answer(memory(*VIEW, table), "What is on the table?")).abstained


async def test_words_at_a_place_nobody_knows_are_told_only_where_they_are_all_there_is() -> None:
    question = "What is written on the lorry?"
    one, other = written(3.0, "BREAD DAILY"), written(3.0, "EXIT 12", k=1)
    assert cited(await answer(memory(*VIEW, one), question)) == [one]
    assert (await answer(memory(*VIEW, one, other), question)).abstained


async def test_a_colour_of_who_came_at_a_time_is_not_of_who_was_there_already_or_went_that_way() -> None:
    was_there = appears(
        1.0, "person", "a person in a green top at the centre", colours={"top": "green"}, place="centre"
    )
    going = appears(
        30.0, "person", "a person in a blue top appears at the centre, moving right", colours={"top": "blue"},
        side="centre", place="centre", direction="right",
    )  # fmt: skip
    came = appears(
        31.0,
        "person",
        "a person in a red top enters from the right",
        colours={"top": "red"},
        side="right",
        place="right",
    )
    shown = frame(30.5, "a grey picture", was_there, going)
    question = "What colour top does the person wear who enters from the right at about 31 seconds?"
    draft = await answer(memory(*VIEW, was_there, going, shown, came), question)
    assert not draft.abstained and cited(draft) == [came]
    assert (await answer(memory(*VIEW, was_there, going, shown), question)).abstained


async def test_of_several_kinds_at_a_place_none_is_picked() -> None:
    car = thing(3.0, "car", "a blue car at the top right", colours=["blue"], side="right", place="top right")
    truck = thing(3.5, "truck", "a white truck at the top right", colours=["white"], side="right", place="top right")
    draft = await answer(memory(*VIEW, car, truck), "Which vehicle is parked at the upper right?")
    assert draft.abstained and "car" in draft.text and "truck" in draft.text
    draft = await answer(memory(*VIEW, car), "Which vehicle is parked at the upper right?")
    assert not draft.abstained and cited(draft) == [car]


async def test_a_question_that_is_asked_first_is_a_question_and_no_other_word_of_it() -> None:
    button = written(1.0, "Flag")
    about_gloves, about_flag = said(10.0, 13.0, "What about the gloves?"), said(20.0, 23.0, "Is the flag red?")
    draft = await answer(
        memory(*VIEW, button, about_gloves, about_flag), "Which is asked about first: the flag or the gloves?"
    )
    assert draft.text.startswith("The gloves come") or "gloves comes first" in draft.text, draft.text


async def test_what_fades_in_is_told_as_it_was_read_last_and_from_when_it_began() -> None:
    partly, wrongly = written(10.0, "GRAND RIV", height=0.08), written(10.5, "GRAND RIVEB HOT", height=0.08)
    whole = written(12.0, "GRAND RIVER HOTEL", height=0.08)
    draft = await answer(memory(*VIEW, partly, wrongly, whole), "What is written on the screen?")
    assert cited(draft) == [whole] and "RIVEB" not in draft.text
    draft = await answer(memory(*VIEW, partly, wrongly, whole), "When does GRAND RIVER HOTEL appear?")
    assert "0:10" in draft.text and cited(draft) == [whole]


@pytest.mark.parametrize("question", ["What is the title of the film?", "What is the name of the page?"])
async def test_a_title_is_the_tallest_writing_or_the_topmost_and_no_credit(question: str) -> None:
    credit = written(2.0, "HARBOUR FILMS presents", height=0.06)
    title, body = written(8.0, "NORTH STAR", height=0.15), written(9.0, "a story of two brothers", height=0.05)
    assert cited(await answer(memory(*VIEW, credit, title, body), question)) == [title]
    assert (await answer(memory(*VIEW, credit), question)).abstained
    head = observe("text", 1.0, "Notebook", lines=[["Notebook", 0.9, [0.3, 0.02, 0.2, 0.02]]], region="top")
    button = observe("text", 1.0, "Save", k=1, lines=[["Save", 0.9, [0.8, 0.7, 0.05, 0.022]]], region="right")
    assert cited(await answer(memory(*VIEW, head, button), question)) == [head]


async def test_a_number_of_things_is_counted_and_not_read_off_one_of_them() -> None:
    one = thing(3.0, "dog", "a dog at the left, one of two dogs in view", place="left", side="left")
    leaves = observe(
        "object", 20.0, "the dog leaves at the left, after 17 s", evidence=(one.id,), kind="thing", event="leaves",
        label="dog", side="left", track=1,
    )  # fmt: skip
    assert (await answer(memory(*VIEW, one, leaves), "When did two dogs leave at the same time?")).abstained
    draft = await answer(memory(*VIEW, one), "Were there two dogs?")
    assert draft.text.startswith("One dog")


async def test_how_long_a_thing_was_there_is_from_its_coming_to_its_leaving() -> None:
    draft = await answer(memory(*VIEW, DOG, DOG_LEAVES), "How long is the dog visible?")
    assert "from 0:05 to 0:20" in draft.text and "15 s" in draft.text


async def test_things_of_a_kind_are_counted_and_named() -> None:
    cat = thing(9.0, "cat", "a black cat at the right", colours=["black"], side="right", place="right")
    draft = await answer(memory(*VIEW, DOG, cat), "Name all the animals.")
    assert {o.id for o in cited(draft)} == {DOG.id, cat.id}
    assert "wo animals" in (await answer(memory(*VIEW, DOG, cat), "How many animals were there?")).text


@pytest.mark.parametrize("question", ["Does the dog wear a bonnet?", "Is there a dog on the lawn?"])
async def test_what_nothing_that_looks_could_tell_is_no_ground_for_a_no(question: str) -> None:
    draft = await answer(memory(*VIEW, DOG), question)
    assert draft.abstained and not draft.text.startswith("No") and cited(draft) == [DOG]
    assert '"bonnet"' in draft.text or '"lawn"' in draft.text
    for seen in ("Is there a black dog?", "Is there a dog at the right?"):
        assert "says nothing" not in (await answer(memory(*VIEW, DOG), seen)).text


async def test_what_became_of_a_thing_that_was_seen_is_not_told_as_if_it_had_not_been() -> None:
    draft = await answer(memory(*VIEW, DOG), "What happened to the dog?")
    assert draft.abstained and "I did not see" not in draft.text and cited(draft) == [DOG]


@pytest.mark.parametrize("question", ["How many people walk by?", "How many people walked past?"])
async def test_people_who_walk_are_people_who_move(question: str) -> None:
    walks = appears(3.0, "person", "a person enters from the left", side="left", place="left", direction="right")
    sits = appears(4.0, "person", "a person at the right", side="right", place="right")
    draft = await answer(memory(*VIEW, walks, sits), question)
    assert not draft.abstained and draft.text.startswith("One person") and cited(draft) == [walks]
    assert "not recognised" not in (await answer(memory(*VIEW), question)).text
