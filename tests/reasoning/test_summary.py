"""A summary is of the whole time it is asked of, however long that is."""

from __future__ import annotations

import pytest

from tests.fixtures.extracting import answer, cited
from tests.fixtures.listed_memory import ListedMemory, appears, frame, said

pytestmark = pytest.mark.anyio

EVERY_S = 10.0


async def test_a_summary_of_a_long_time_tells_of_its_end_too() -> None:
    talk = [said(i * EVERY_S, i * EVERY_S + 2, f"Number {i} of {i} was called.") for i in range(900)]
    talk += [said(i * EVERY_S, i * EVERY_S + 3, "The harbour bridge is closed by the storm.") for i in range(900, 1200)]
    draft = await answer(ListedMemory(*talk), "What happened?")
    assert any(o.t0_s >= 900 * EVERY_S for o in cited(draft)), draft.text


async def test_changes_of_the_picture_are_counted_only_where_all_were_read() -> None:
    few = [frame(float(t_s), "a picture", cut=t_s % 10 == 5) for t_s in range(60)]
    assert "changes six times" in (await answer(ListedMemory(*few), "What happened?")).text
    many = [frame(float(t_s), "a picture", cut=t_s % 10 == 5) for t_s in range(2000)]
    assert "times" not in (await answer(ListedMemory(*many), "What happened?")).text


async def test_of_a_short_time_what_came_and_went_is_told_one_by_one() -> None:
    cup = appears(2.0, "thing", "a blue cup at the right", label="cup", side="right", place="right")
    dog = appears(21.0, "thing", "a brown dog enters from the left", label="dog", side="left", place="left")
    views = (frame(0.0, "a picture"), frame(10.0, "a picture", cup), frame(30.0, "a picture", cup, dog))
    draft = await answer(ListedMemory(*views, cup, dog, as_of_s=40.0), "What happened between 0:20 and 0:25?")
    assert cited(draft) == [dog] and "enters from the left at 0:21" in draft.text
    whole = await answer(ListedMemory(*views, cup, dog, as_of_s=40.0), "What happened?")
    assert {o.id for o in cited(whole)} == {cup.id, dog.id}


@pytest.mark.parametrize("question", ["waht happend?", "What hapened so far?"])
async def test_slips_of_the_hand_are_understood(question: str) -> None:
    cup = appears(2.0, "thing", "a blue cup at the right", label="cup", side="right", place="right")
    assert cited(await answer(ListedMemory(cup, as_of_s=40.0), question)) == [cup]
