"""Writing is told once, when it is read; how long it stays is known by the frames that show it."""

from __future__ import annotations

import pytest

from reasoning.answer.draft import Draft
from runtime.messages import Observation
from tests.fixtures.extracting import answer
from tests.fixtures.listed_memory import ListedMemory, frame, written

pytestmark = pytest.mark.anyio

SIGN = written(0.0, "ROOM 217")
MENU = written(30.0, "SOUP OF THE DAY")
FRAMES = [*(frame(float(t), "a bright picture", SIGN) for t in (0, 10, 20, 29)), frame(30.0, "a dark picture", MENU)]


async def ask(question: str, *observations: Observation) -> Draft:
    return await answer(ListedMemory(*observations, as_of_s=40.0), question)


async def test_when_it_is_on_screen_is_told_from_its_first_frame_to_its_last() -> None:
    draft = await ask("When was ROOM 217 on screen?", SIGN, MENU, *FRAMES)
    assert 'From 0:00 to 0:29 on screen I read "ROOM 217"' in draft.text
    assert FRAMES[3] in draft.claims[0].cites


async def test_what_only_one_frame_shows_is_told_at_its_moment() -> None:
    draft = await ask("When was soup on screen?", SIGN, MENU, *FRAMES)
    assert 'At 0:30 on screen I read "SOUP OF THE DAY"' in draft.text


@pytest.mark.parametrize("question", ["What was on screen at 0:25?", "What was written at 0:12?"])
async def test_of_a_later_time_it_is_told_while_it_stays(question: str) -> None:
    draft = await ask(question, SIGN, MENU, *FRAMES)
    assert "ROOM 217" in draft.text
    assert "SOUP" not in draft.text


async def test_what_has_gone_by_then_is_not_told() -> None:
    draft = await ask("What was on screen at 0:36?", SIGN, MENU, *FRAMES, frame(40.0, "a dark picture", MENU))
    assert "SOUP" in draft.text
    assert "ROOM" not in draft.text
