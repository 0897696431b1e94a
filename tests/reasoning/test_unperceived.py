"""What could not be perceived is owned up to, and never told as nothing."""

from __future__ import annotations

import pytest

from reasoning.answer.draft import Draft
from runtime.messages import Observation
from tests.fixtures.extracting import answer
from tests.fixtures.listed_memory import ListedMemory, frame, observe, written

pytestmark = pytest.mark.anyio

NO_PICTURE = observe("gap", 0.0, "no picture can be decoded here: 4.0 s could not be seen", 4.0, track="video")
NO_SOUND = observe("gap", 10.0, "the sound could not be decoded for 5.0 s", 15.0, track="audio")
SIGN = written(4.0, "ROOM 217")


async def ask(question: str, *observations: Observation) -> Draft:
    return await answer(ListedMemory(*observations, as_of_s=20.0), question)


@pytest.mark.parametrize(
    "question",
    ["What was on screen at 0:01?", "What was written on screen at 0:01?", "What did you read between 0:01 and 0:03?"],
)
async def test_of_a_time_without_picture_it_is_said_that_it_was_not_seen(question: str) -> None:
    draft = await ask(question, NO_PICTURE, SIGN, frame(4.0, "a bright picture", SIGN))
    assert draft.abstained
    assert "I could not see from 0:00 to 0:04: no picture can be decoded here" in draft.text
    assert "no writing" not in draft.text


async def test_where_part_of_the_time_was_seen_both_are_said() -> None:
    draft = await ask("What was written between 0:02 and 0:08?", NO_PICTURE, frame(4.0, "a bright picture"))
    assert "I did not read anything" in draft.text
    assert "I could not see from 0:00 to 0:04" in draft.text


async def test_a_gap_of_the_sound_takes_no_picture_away_and_the_other_way_round() -> None:
    unread = await ask("What was written at 0:12?", NO_SOUND, frame(11.0, "a bright picture"))
    assert "could not see" not in unread.text
    unheard = await ask("What was said at 0:12?", NO_SOUND, frame(11.0, "a bright picture"))
    assert "I could not hear from 0:10 to 0:15" in unheard.text


async def test_of_a_time_that_was_perceived_nothing_of_the_kind_is_said() -> None:
    draft = await ask("What was written at 0:15?", NO_PICTURE, frame(15.0, "a bright picture"))
    assert "could not" not in draft.text


async def test_writing_too_small_to_be_read_is_said_to_be_there() -> None:
    small = frame(3.0, "a bright picture", unread=((0.1, 0.1, 0.3, 0.01),))
    draft = await ask("What was written on screen?", small)
    assert draft.abstained
    assert "At 0:03 there is writing that is too small for me to read" in draft.text
    spoken = await ask("What was said?", small)
    assert "too small" not in spoken.text


@pytest.mark.parametrize("question", ["Was anything missed?", "Did you miss anything?", "Were there any gaps?"])
async def test_what_was_missed_is_told_by_its_gaps(question: str) -> None:
    told = await ask(question, NO_SOUND, frame(11.0, "a bright picture"))
    assert told.text.startswith("Yes") and "from 0:10 to 0:15" in told.text
    assert (await ask(question, frame(11.0, "a bright picture"))).text.startswith("No")


async def test_what_somebody_missed_who_was_away_is_what_happened() -> None:
    assert (await ask("Did I miss anything?", SIGN, frame(4.0, "a bright picture", SIGN))).text.count("ROOM 217")
