"""Which passage answers: the one with a value of the type that is asked for, of whom it is asked, and no other."""

from __future__ import annotations

import pytest

from tests.fixtures.extracting import answer
from tests.fixtures.listed_memory import ListedMemory, frame, observe, said, written

pytestmark = pytest.mark.anyio


def spoken(*sentences: str) -> ListedMemory:
    """Sentences said one after the other."""
    return ListedMemory(*(said(10.0 * i, 10.0 * i + 5.0, text) for i, text in enumerate(sentences)))


SOUP = spoken(
    "Today we cook a tomato soup, and we begin with cooking oil.",
    "Chop the onions with a sharp knife.",
    "Simmer the soup for forty minutes.",
    "The bowl costs seven euros at the market.",
)
TRIP = spoken(
    "Where is the map, Henry?",
    "I gave it to your cousin.",
    "It lies under the stone bridge now.",
    "My cousin is in prison.",
    "The foxes keep me awake up here.",
    "This is Laura in Wales.",
)
TALK = spoken(
    "Today we speak of heat and cold.",
    "The first law says that energy is kept.",
    "The second law says that heat flows to what is colder.",
    "The third of them is about ice, at minus two hundred degrees.",
)


FARM = spoken(
    "Welcome back to Willow Farm in Devon.",
    "She comes to the stables every Sunday.",
    "The gate was opened nine minutes after sunrise.",
    "Who lives in Wales buys the wool.",
)


@pytest.mark.parametrize(
    ("memory", "question", "told"),
    [
        (SOUP, "How long does the soup cook?", "forty minutes"),
        (SOUP, "What does the bowl cost?", "seven euros"),
        (TRIP, "Where is the map lying?", "under the stone bridge"),
        (TRIP, "What happened to the cousin?", "in prison"),
        (TRIP, "What keeps Laura awake?", "foxes"),
        (TALK, "What does the second law say?", "heat flows"),
        (TALK, "How cold is the ice?", "minus two hundred"),
        (FARM, "Where is Willow Farm?", "Devon"),
        (FARM, "How often does she come to the stables?", "every Sunday"),
        (FARM, "How long after sunrise was the gate opened?", "nine minutes"),
        (FARM, "Who lives in Wales?", "Wales"),
    ],
)
async def test_the_passage_that_has_what_is_asked_is_quoted(memory: ListedMemory, question: str, told: str) -> None:
    draft = await answer(memory, question)
    assert not draft.abstained and told in draft.text, draft.text


@pytest.mark.parametrize(
    "question", ["Until when is it?", "What should you never do?", "When is it open?", "What is Laura wearing?"]
)
async def test_where_nothing_says_what_is_asked_nothing_is_picked(question: str) -> None:
    assert (await answer(TRIP, question)).abstained


async def test_the_only_addresses_and_names_of_places_are_found_by_what_they_are() -> None:
    board = ListedMemory(
        observe("text", 1.0, "HARBOUR STREET BOOKS", lines=[["HARBOUR STREET BOOKS", 0.9, [0.2, 0.05, 0.5, 0.1]]]),
        written(2.0, "Contact: jo.hill@example.org"), written(3.0, "Mon-Fri 9:00 - 18:00"), frame(5.0, "a picture"),
    )  # fmt: skip
    assert "HARBOUR STREET BOOKS" in (await answer(board, "What is the name of the shop?")).text
    assert "jo.hill@example.org" in (await answer(board, "What email address is shown?")).text
