"""Questions as somebody asks them who knows nothing of how they are read: each is answered by what it is about."""

from __future__ import annotations

import pytest

from tests.fixtures.extracting import answer, cited
from tests.fixtures.listed_memory import EMBEDDED, ListedMemory, appears, frame, observe, recording, said, written

pytestmark = pytest.mark.anyio

FIRST = said(1.0, 4.0, "The harbour was built in nineteen ten.")
SECOND = said(6.0, 9.0, "Our guide is Mister Holt from Leeds.")
LAST = said(40.0, 44.0, "We leave by the north gate.")
SIGN, NOTICE = written(12.0, "HARBOUR MUSEUM"), written(30.0, "CLOSED ON MONDAYS")
MAN = appears(5.0, "person", "a person in a red top at the left", side="left", place="left", colours={"top": "red"})
CUP = appears(7.0, "thing", "a blue cup at the right", label="cup", side="right", place="right", colours=["blue"])
VIEW = (frame(0.0, "a grey picture"), frame(50.0, "a grey picture"))
ALL = (*VIEW, FIRST, SECOND, LAST, SIGN, NOTICE, MAN, CUP)


def memory(*observed: object) -> ListedMemory:
    encoders = EMBEDDED | {"things": "COCO", "object": "SSD MobileNet v2 (80 kinds of thing by name)"}
    return ListedMemory(*(observed or ALL), records=(recording("clip", 60.0, encoders=encoders),), as_of_s=60.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("question", ["What was the last thing he said?", "What is the last sentence?"])
async def test_the_last_that_was_said_is_that_alone(question: str) -> None:
    assert cited(await answer(memory(*VIEW, FIRST, SECOND, LAST, MAN, CUP), question)) == [LAST]


async def test_the_first_text_is_that_alone() -> None:
    assert cited(await answer(memory(), "What is the first text on screen?")) == [SIGN]


async def test_who_is_there_is_people() -> None:
    assert cited(await answer(memory(), "Who is in the video?")) == [MAN]


@pytest.mark.parametrize("question", ["Who is talking?", "Who was speaking?", "When does the woman start talking?"])
async def test_whose_voice_it_is_is_not_known_and_that_somebody_speaks_is(question: str) -> None:
    draft = await answer(memory(), question)
    assert draft.abstained and cited(draft) == [FIRST] and "voices" in draft.text
    assert "I did not hear anybody speak" in (await answer(memory(*VIEW, MAN), question)).text


@pytest.mark.parametrize("question", ["Summarise what was said.", "What do they talk about?", "What's the talk about?"])
async def test_of_what_was_said_nothing_that_was_seen_is_told(question: str) -> None:
    draft = await answer(memory(), question)
    assert not draft.abstained and {o.channel for o in cited(draft)} == {"speech"}


@pytest.mark.parametrize("question", ["What is this video about?", "Summarise it in one sentence."])
async def test_what_a_recording_is_about_is_all_there_is(question: str) -> None:
    assert {"object", "speech"} <= {o.channel for o in cited(await answer(memory(), question))}


async def test_what_is_known_of_a_thing_is_listed() -> None:
    assert cited(await answer(memory(), "What do you know about the cup?")) == [CUP]


@pytest.mark.parametrize(
    "question", ["When is the film coming out?", "What year is it?", "Who is interviewed?", "What is being built?"]
)
async def test_nothing_that_happens_to_be_there_is_taken_for_an_answer(question: str) -> None:
    draft = await answer(
        memory(*VIEW, SECOND, MAN, CUP, said(20.0, 22.0, "One of the largest in the world.")), question
    )
    assert draft.abstained, draft.text
    assert "not recognised" not in draft.text


async def test_who_presents_it_and_what_it_is_called_is_read() -> None:
    title, credit = written(20.0, "NORTH STAR", height=0.15), written(2.0, "HARBOUR FILMS presents", height=0.06)
    seen = memory(*VIEW, MAN, title, credit)
    assert cited(await answer(seen, "What is the film called?")) == [title]
    assert cited(await answer(seen, "Who presents the film?")) == [credit]


async def test_people_who_are_seen_are_no_answer_to_a_name() -> None:
    assert (await answer(memory(*VIEW, MAN), "What is her name?")).abstained


async def test_a_product_that_is_announced_is_one_that_is_told_of_as_new() -> None:
    shop = written(3.0, "Hill and Sons")
    news = said(20.0, 24.0, "And now we know, this is the new Solar Kettle.")
    assert cited(await answer(memory(*VIEW, shop, news), "Which product is announced?")) == [news]


async def test_who_is_people_though_a_thing_is_named() -> None:
    bike = appears(9.0, "thing", "a white bicycle at the top", label="bicycle", side="top", place="top")
    rider = appears(9.0, "person", "a person on a bicycle enters from the top", side="top", place="top", on="bicycle")
    seen = memory(*VIEW, MAN, bike, rider)
    assert cited(await answer(seen, "Who rides the bicycle?")) == [rider]
    nobody = await answer(memory(*VIEW, MAN, bike), "Who is in the car?")
    assert nobody.abstained and nobody.text == "I did not see who."
    for question in ("How many people walk?", "How many people on foot are there?"):
        assert cited(await answer(seen, question)) == [MAN], "who rides does not walk"
    assert (await answer(memory(*VIEW, bike, rider), "Was anyone on foot?")).abstained


NOISE = observe("sound", 15.0, "a short loud sound", kind="impulse", level_db=-9.0)
HUM = observe("sound", 25.0, "a steady noise, faint", kind="steady noise", level_db=-45.0)


async def test_sounds_are_listed_and_one_that_has_no_name_here_is_not_denied() -> None:
    heard = memory(*VIEW, NOISE, HUM)
    assert cited(await answer(heard, "What sounds were there?")) == [NOISE, HUM]
    assert cited(await answer(heard, "How many loud sounds were there?")) == [NOISE]
    applause = await answer(heard, "Was there applause?")
    assert applause.abstained and "not recognised by name" in applause.text


async def test_what_somebody_wears_is_no_question_for_a_name() -> None:
    assert cited(await answer(memory(*VIEW, MAN), "What was the person wearing?")) == [MAN]


WALKS = appears(3.0, "person", "a person enters from the left, moving right", side="left", place="left",
                direction="right")  # fmt: skip


@pytest.mark.parametrize("question", ["Did anyone run?", "Is anybody wearing a bonnet?"])
async def test_that_somebody_moved_is_neither_a_yes_nor_a_no_to_what_nothing_here_can_tell(question: str) -> None:
    for seen in ((*VIEW, WALKS), VIEW):
        draft = await answer(memory(*seen), question)
        assert draft.abstained and not draft.text.startswith(("Yes", "No")), draft.text


@pytest.mark.parametrize("question", ["When was nobody there?", "Was there ever nobody?", "When was the street empty?"])
async def test_emptiness_is_the_fewest_people_at_once(question: str) -> None:
    full, empty = frame(10.0, "a grey picture", people=2), frame(20.0, "a grey picture", people=0)
    assert cited(await answer(memory(full, empty, WALKS), question)) == [empty]
    assert (await answer(memory(full, WALKS), question)).text.startswith("Two people at the least")


@pytest.mark.parametrize("question", ["When was it busiest?", "What was the busiest moment?"])
async def test_the_busiest_moment_has_the_most_people_at_once(question: str) -> None:
    full, empty = frame(10.0, "a grey picture", people=2), frame(20.0, "a grey picture", people=0)
    draft = await answer(memory(full, empty, WALKS), question)
    assert draft.text.startswith("Two people") and cited(draft) == [full]


async def test_what_somebody_did_is_how_he_came_and_moved() -> None:
    assert cited(await answer(memory(*VIEW, WALKS), "What did the person do?")) == [WALKS]
    assert (await answer(memory(*VIEW, MAN), "What did the person do?")).abstained


async def test_how_many_of_a_kind_are_named_is_told_by_their_names() -> None:
    tour = said(20.0, 24.0, "The tour is given in English, French and Danish.")
    draft = await answer(memory(*VIEW, FIRST, tour), "How many languages are mentioned?")
    assert cited(draft) == [tour] and draft.text.startswith("English, French and Danish")


@pytest.mark.parametrize("question", ["How big is the hall?", "What colour is the button?"])
async def test_a_value_that_belongs_to_something_else_is_no_answer(question: str) -> None:
    hall = said(20.0, 24.0, "This is one of the largest halls in the world, and the doors are blue.")
    notice = written(25.0, "The blue door leads to the garden")
    draft = await answer(memory(*VIEW, hall, notice), question)
    assert draft.abstained, draft.text


async def test_more_than_one_is_counted_and_at_an_unknown_place_none_is() -> None:
    assert (await answer(memory(*VIEW, WALKS), "Is there more than one person?")).text.startswith("One person")
    full = frame(10.0, "a grey picture", people=2)
    assert (await answer(memory(full, WALKS), "How many people are on the lawn?")).abstained


async def test_who_did_not_leave_was_seen_all_the_same() -> None:
    assert "I did not see the person leave" in (await answer(memory(*VIEW, MAN), "Did the person leave?")).text


async def test_how_it_begins_and_ends_is_what_happened_then() -> None:
    begins, ends = said(1.0, 4.0, "Welcome to the harbour."), said(55.0, 58.0, "Come again soon.")
    seen = memory(*VIEW, begins, said(30.0, 33.0, "This is the lighthouse."), ends)
    assert cited(await answer(seen, "How does it begin?")) == [begins]
    assert cited(await answer(seen, "How does the film end?")) == [ends]
