"""The embedded answerer on what people ask in plain words: before and after, who, why, how it looks, what was there."""

from __future__ import annotations

import pytest

from reasoning.query.visual_events import event_asked
from tests.fixtures.extracting import STREET, TALK, answer, cited
from tests.fixtures.listed_memory import ListedMemory, appears, frame, observe, said, written

pytestmark = pytest.mark.anyio


async def test_what_was_said_before_something_is_what_was_said_last_before_it() -> None:
    draft = await answer(ListedMemory(*TALK), "What was said before Portland?")
    assert [o.t0_s for o in cited(draft)] == [12.0, 20.0]
    after = await answer(ListedMemory(*TALK), "What was said after the lighthouse?")
    assert [o.t0_s for o in cited(after)] == [12.0, 20.0]


async def test_whether_one_thing_came_before_another_is_answered_yes_or_no() -> None:
    yes = await answer(ListedMemory(*TALK), "Is the lighthouse mentioned before Portland?")
    assert yes.text.startswith("Yes, the lighthouse comes first: the lighthouse at [0:06]")
    no = await answer(ListedMemory(*TALK), "Was Portland mentioned before the lighthouse?")
    assert no.text.startswith("No, the lighthouse comes first")


async def test_a_choice_between_things_beyond_sight_is_not_answered_with_no() -> None:
    draft = await answer(ListedMemory(frame(1.0, "a bright picture")), "Is it indoors or outdoors?")
    assert draft.abstained
    assert draft.text.startswith("I cannot tell whether it is indoors or outdoors.")


async def test_who_it_is_is_not_told_but_who_is_to_be_seen_and_when_somebody_speaks() -> None:
    seen = await answer(ListedMemory(*STREET), "Who is in the video?")
    assert not seen.abstained
    assert seen.text.endswith("who it is I cannot tell.")
    heard = await answer(ListedMemory(*TALK), "who's talking?")
    assert heard.abstained
    assert heard.text == "Somebody speaks from [0:01] on; I cannot tell voices apart, so I cannot say who."


async def test_a_question_in_another_language_is_owned_up_to_unless_its_very_words_were_said() -> None:
    draft = await answer(ListedMemory(*TALK), "Was steht auf dem Schild?")
    assert draft.abstained
    assert "in English only, and this seems to be German" in draft.text
    spoken = said(1.0, 3.0, "der leuchtturm steht in portland")
    found = await answer(ListedMemory(spoken), "Wo ist der Leuchtturm?")
    assert cited(found) == [spoken]


async def test_a_summary_reaches_from_the_begin_to_the_end() -> None:
    chatter = [said(float(t), t + 1.5, f"word number {t} of the talk") for t in range(0, 20, 2)]
    late = appears(80.0, "moving", "a red moving thing enters from the left")
    draft = await answer(ListedMemory(*chatter, late), "Summarise.")
    assert cited(draft)[0].t0_s == 0.0
    assert cited(draft)[-1] == late
    assert len(draft.claims) == 4


async def test_what_is_on_screen_at_a_moment_may_have_come_long_before() -> None:
    sign, note = written(2.0, "EXIT"), written(30.0, "Closed at noon", k=1)
    memory = ListedMemory(
        sign, note, frame(2.0, "grey", sign), frame(31.0, "grey", sign, note), frame(40.0, "grey", sign)
    )
    draft = await answer(memory, "What was on screen at 0:31?")
    assert draft.text == 'On screen at [0:31] I read "Closed at noon" and "EXIT".'
    assert cited(draft)[0].channel == "frame"
    assert (await answer(memory, "What does the sign say at 0:40?")).text == 'On screen at [0:40] I read "EXIT".'


async def test_people_at_the_same_time_are_not_how_often_they_came() -> None:
    frames = [frame(float(t), "a street", people=n) for t, n in enumerate((1, 2, 2, 1))]
    memory = ListedMemory(*frames, *STREET)
    draft = await answer(memory, "How many people are there at most at the same time?")
    assert draft.text.startswith("I made out at most two people at once")


async def test_reasons_are_not_guessed() -> None:
    assert (await answer(ListedMemory(*STREET), "Why did she leave?")).text.startswith("I cannot tell why")
    told = said(3.0, 6.0, "the museum is closed because of the storm")
    assert cited(await answer(ListedMemory(told), "Why is the museum closed?")) == [told]


async def test_anything_of_a_colour_is_looked_for_in_what_stands_out() -> None:
    memory = ListedMemory(frame(2.0, "grey", patches=[["bright red", "left", 0.2]]))
    assert (await answer(memory, "Is there anything red?")).text == "Yes, a bright red patch at the left [0:02]."
    assert (await answer(memory, "Is there anything green?")).abstained


async def test_after_very_words_comes_the_rest_of_their_utterance() -> None:
    memory = ListedMemory(*TALK)
    quoted = await answer(memory, 'What is said after "the lighthouse"?')
    assert quoted.text.startswith('I heard: "... was built by two brothers" [0:06]')
    unquoted = await answer(memory, "What is said after the lighthouse?")
    assert cited(unquoted)[0].t0_s == 12.0
    last = await answer(
        ListedMemory(said(1.0, 9.0, "the train to london leaves at seven in the evening")),
        "What was said after London?",
    )
    assert '"... leaves at seven in the evening"' in last.text


async def test_how_long_somebody_speaks_and_when_he_stops() -> None:
    memory = ListedMemory(*TALK)
    assert (await answer(memory, "How long does the narrator speak?")).text == (
        "I heard speech for 19 s in all, from [0:01] to [0:44]."
    )
    assert "ends at [0:44]" in (await answer(memory, "When does she stop talking?")).text


PLACED = (
    frame(2.0, "dim", brightness=0.2, regions={"left": "brown"}, patches=[["green", "top left", 0.1]]),
    frame(3.0, "black", brightness=0.01),
)


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("What's on the left?", "At the left I see mostly brown and a green patch [0:02]; what it is I cannot tell."),
        ("Is it bright or dark?", "The picture is mostly dark, for example at [0:02]."),
        ("When does it get dark?", "The picture is black at [0:03]."),
        ("Where is the text?", '"Closed at noon" is at the bottom right [0:01].'),
        ("What's the biggest text?", 'The largest writing, which should be the title, reads "Closed at noon" [0:01].'),
        ("Did anything change?", "Yes, the picture changes at [0:09]."),
    ],
)
async def test_the_look_of_a_picture_is_asked_in_plain_words(question: str, says: str) -> None:
    sign = written(1.0, "Closed at noon", region="bottom right")
    memory = ListedMemory(
        sign, frame(1.0, "bright"), *PLACED, *([frame(9.0, cut=True)] if "change" in question else [])
    )
    assert (await answer(memory, question)).text == says


async def test_after_a_person_left_is_after_the_leaving() -> None:
    gone = observe("object", 50.0, "the person in a red top leaves at the left", kind="person", event="leaves")
    later = said(55.0, 57.0, "the shop is closed")
    draft = await answer(ListedMemory(*STREET, gone, later), "What happened after the person left?")
    assert cited(draft) == [later]
    assert event_asked("Who stands on the left?") == "appears"
    assert event_asked("a person on the left") == "appears"


async def test_a_word_over_the_edge_of_the_window_is_not_told_and_voices_are_not_counted() -> None:
    memory = ListedMemory(said(20.0, 22.0, "grandmother forgot her umbrella"), said(25.0, 29.0, "the train leaves"))
    assert (await answer(memory, "What was said before the train?")).text == (
        'I heard: "grandmother forgot her umbrella" [0:20].'
    )
    assert "cannot tell voices apart" in (await answer(memory, "How many people speak?")).text


async def test_who_still_does_something_is_not_asked_of_a_still_picture() -> None:
    draft = await answer(ListedMemory(frame(1.0, "a wall")), "Is he still climbing?")
    assert draft.text.startswith("No, I did not see or hear that happen.") and "could have missed it" in draft.text


ROLLS = appears(20.0, "moving", "a large grey moving thing enters from the left", size="large", straight=0.9)


@pytest.mark.parametrize("question", ["did a car drive by", "was there a car?", "Is the car still there?"])
async def test_of_what_may_have_been_a_car_neither_yes_nor_no_is_said(question: str) -> None:
    draft = await answer(ListedMemory(ROLLS, frame(21.0, "a yard", ROLLS)), question)
    assert draft.abstained
    assert (
        draft.text
        == "I cannot tell a car from other moving things; a large grey moving thing enters from the left [0:20]."
    )
    assert (await answer(ListedMemory(*TALK), question)).text.startswith("No, I did not see or hear")
    named = frame(25.0, "a yard; shows car", tags=[["car", 0.5]])
    assert (await answer(ListedMemory(ROLLS, named), question)).text == "Yes, I see a car [0:25]."


@pytest.mark.parametrize(("question", "is_told"), [("is anybody running", False), ("did anyone walk past?", True)])
async def test_what_somebody_does_is_not_told_of_whoever_is_seen(question: str, is_told: bool) -> None:
    people = [frame(float(t), "a street", people=1) for t in range(3)]
    draft = await answer(ListedMemory(*people, *STREET), question)
    assert draft.text.startswith("Yes, a person") is is_told
    assert ("I cannot tell what people do" in draft.text) is not is_told
    assert draft.abstained is not is_told


async def test_a_choice_about_somebody_is_not_answered_with_yes() -> None:
    people = [frame(float(t), "a street", people=1) for t in range(3)]
    draft = await answer(ListedMemory(*people, *STREET), "did the person go left or right")
    assert draft.text.startswith("A person")


async def test_one_that_leaves_before_another_comes_is_not_taken_for_two_that_leave() -> None:
    left = observe("object", 26.0, "the thing leaves", kind="moving", event="leaves", evidence=(ROLLS.id,))
    person = appears(24.0, "person", "a person enters", k=1)
    gone = observe("object", 40.0, "the person leaves", k=2, kind="person", event="leaves", evidence=(person.id,))
    draft = await answer(ListedMemory(ROLLS, left, person, gone), "did the car leave before the person came?")
    assert draft.text == "No, the person comes first: the person at [0:24], the car at [0:26]."


async def test_how_often_it_gets_dark_is_counted() -> None:
    frames = [frame(float(t), brightness=b) for t, b in enumerate((0.5, 0.01, 0.01, 0.4, 0.02, 0.6))]
    draft = await answer(ListedMemory(*frames), "how often does it get dark")
    assert draft.text == "Two times the picture turns black, at [0:01] and [0:04]."


async def test_what_is_on_the_screen_is_read_and_where_nothing_is_heard_it_is_what_it_says() -> None:
    sign = written(2.0, "Closed at noon")
    assert '"Closed at noon"' in (await answer(ListedMemory(sign), "whats on the screen")).text
    silent = ListedMemory(sign, missing="audio")
    assert '"Closed at noon"' in (await answer(silent, "what does it say?")).text


async def test_many_are_told_by_the_most_that_were_seen_at_once() -> None:
    frames = [frame(float(t), "a street", people=n) for t, n in enumerate((1, 3, 3, 1))]
    draft = await answer(ListedMemory(*frames, *STREET), "are there many people")
    assert draft.text == "I made out at most three people at once, for example at [0:01]."


async def test_somebody_on_one_side_is_not_whoever_came_on_another() -> None:
    frames = [frame(float(t), "a street", people=1) for t in range(3)]
    came = appears(4.0, "person", "a person enters from the right, moving up", side="right", direction="up")
    memory = ListedMemory(*frames, came)
    assert (await answer(memory, "did sb come in from the right")).text.startswith(
        "Yes, a person enters from the right"
    )
    assert (await answer(memory, "did sb come in from the left")).text == (
        "No, I did not see a person come or go at the left."
    )


async def test_who_or_what_left_is_not_who_came() -> None:
    came = appears(4.0, "person", "a person enters from the right")
    left = observe("object", 9.0, "the person leaves", kind="person", event="leaves", evidence=(came.id,))
    rolled = observe("object", 26.0, "the thing leaves", kind="moving", event="leaves", evidence=(ROLLS.id,))
    memory = ListedMemory(came, left, ROLLS, rolled)
    for question in ("who left last", "when did the person walk out"):
        assert cited(await answer(memory, question)) == [left], question
    assert cited(await answer(memory, "did anything leave")) == [rolled]
    assert (await answer(ListedMemory(ROLLS), "did anything leave")).abstained


async def test_a_bright_picture_is_not_told_as_dark() -> None:
    frames = [frame(float(t), brightness=b) for t, b in enumerate((0.01, 0.7, 0.8, 0.7))]
    for question in ("is the picture bright", "how dark is it?"):
        draft = await answer(ListedMemory(*frames), question)
        assert draft.text.startswith("The picture is mostly bright"), question


async def test_names_are_read_where_no_word_says_whose() -> None:
    credits_ = written(9.0, "Produced by Anna Bell")
    assert "Anna Bell" in (await answer(ListedMemory(credits_), "any names?")).text
    assert (await answer(ListedMemory(written(9.0, "EXIT")), "any names?")).abstained


async def test_it_says_is_of_a_screen_while_nobody_speaks() -> None:
    sign, talk = written(2.0, "Closed at noon"), said(40.0, 42.0, "good morning")
    memory = ListedMemory(sign, talk, frame(2.0, "grey", sign), frame(3.0, "grey", sign))
    assert "Closed at noon" in (await answer(memory, "what does it say at 0:02?")).text
    assert "good morning" in (await answer(memory, "what does it say at 0:41?")).text
