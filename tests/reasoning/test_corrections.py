"""Corrections: understood, kept with what they correct, said from then on, and themselves corrected."""

from __future__ import annotations

import logging

import anyio
import pytest

from reasoning.answer.extract import ExtractiveBackend
from reasoning.conversation import PastTurn
from reasoning.turn import Turns
from reasoning.understand.corrections import parse_correction
from runtime.config import ReasoningConfig
from runtime.messages import Answer, AskRequest, CorrectionFacts, RememberRequest
from tests.fixtures.listed_memory import ListedMemory, appears, frame, said
from tests.fixtures.virtual_clock import VirtualClock

pytestmark = pytest.mark.anyio

LAST = PastTurn(asked="Who came in?", understood="Who came in?", answer="A person [0:40].")
VISITOR = appears(40.0, "person", "a person enters from the left", side="left", direction="right")
MEETING = said(50.0, 53.0, "the meeting is at noon in the library")


class Remembering(ListedMemory):
    """Memory that shows what it was given to remember, as the real one does."""

    async def remember(self, request: RememberRequest) -> object:  # type: ignore[override]
        known = {o.id for o in self.observations}
        self.observations += [o for o in request.observations if o.id not in known]
        return await super().remember(request)


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("No, that was Anna.", "that was Anna"),
        ("no that was Anna", "that was Anna"),
        ("That's wrong, it was at 3 pm", "it was at 3 pm"),
        ("Wrong! It was the blue one", "It was the blue one"),
        ("Actually, she said Tuesday", "she said Tuesday"),
        ("You are mistaken: the sign says CLOSED", "the sign says CLOSED"),
        ("It was Maria, not Anna", "It was Maria, not Anna"),
        ("No, Anna", "Anna"),
        ("that's wrong", ""),
        ("no", ""),
        ("No, what about the red car?", None),
        ("no, tell me about the car", None),
        ("Was that Anna?", None),
    ],
)
def test_what_rejects_the_last_answer(text: str, statement: str | None) -> None:
    found = parse_correction(text, LAST)
    assert (found.statement if found else None) == statement
    assert found is None or found.corrects


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("The red car is Bob's", "The red car is Bob's"),
        ("the red car is Bob's.", "the red car is Bob's"),
        ("Remember that my keys are in the drawer", "my keys are in the drawer"),
        ("Anna lives next door", "Anna lives next door"),
        ("What is the red car", None),
        ("the man in the red coat is doing what", None),
        ("Describe the scene.", None),
        ("Is the red car Bob's?", None),
        ("hmm", None),
        ("ok", None),
        ("the second speaker", None),
    ],
)
def test_what_tells_something_new(text: str, statement: str | None) -> None:
    found = parse_correction(text, None)
    assert (found.statement if found else None) == statement
    assert found is None or not found.corrects


def test_nothing_is_rejected_where_nothing_was_said() -> None:
    assert parse_correction("No, that was Anna", None) is None


def make(tasks: anyio.abc.TaskGroup, memory: ListedMemory) -> Turns:
    backend = ExtractiveBackend(0.35, 4)
    return Turns(tasks, memory, backend, ReasoningConfig(), VirtualClock(), logging.getLogger("test"))


async def ask(turns: Turns, question: str) -> Answer:
    parts = [m async for m in turns.ask(AskRequest(question=question, conversation="main"))]
    await turns.settle()
    await anyio.lowlevel.checkpoint()
    answer = parts[-1]
    assert isinstance(answer, Answer)
    return answer


def a_memory() -> Remembering:
    return Remembering(VISITOR, frame(40.0, "a hallway", VISITOR, people=1), MEETING, as_of_s=60.0)


async def test_a_correction_is_acknowledged_kept_with_what_it_corrects_and_wins() -> None:
    memory = a_memory()
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        before = await ask(turns, "When is the meeting?")
        assert MEETING.id in [c.id for c in before.citations]
        noted = await ask(turns, "That's wrong, it was at 3 pm.")
        assert noted.answer == 'Noted, about [0:50]: "it was at 3 pm". I will go by that.' and not noted.abstained
        (kept,) = [o for o in memory.observations if o.channel == "correction"]
        assert (kept.text, kept.evidence) == ("it was at 3 pm", (MEETING.id,))
        assert kept.facts(CorrectionFacts).asked == "When is the meeting?"
        after = await ask(turns, "When is the meeting?")
        assert after.answer == 'You told me: "it was at 3 pm" (about [0:50]).'
        assert [c.id for c in after.citations] == [kept.id, MEETING.id]
        other = await ask(turns, "Where is the meeting?")
        assert "told me" not in other.answer


async def test_it_survives_a_restart_and_can_be_corrected_itself() -> None:
    memory = a_memory()
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        await ask(turns, "When is the meeting?")
        await ask(turns, "No, it was at 3 pm.")
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)  # another process, the same memory
        assert "3 pm" in (await ask(turns, "When is the meeting?")).answer
        await ask(turns, "no, it was at 4 pm")
        answer = (await ask(turns, "When is the meeting?")).answer
    assert "4 pm" in answer and "3 pm" not in answer


async def test_a_correction_of_the_correction_just_made_takes_its_place() -> None:
    memory = a_memory()
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        await ask(turns, "When is the meeting?")
        await ask(turns, "No, it was at 3 pm.")
        await ask(turns, "no, it was at 5 pm")
        answer = (await ask(turns, "When is the meeting?")).answer
    assert "5 pm" in answer and "3 pm" not in answer


async def test_a_fact_that_is_told_answers_questions_about_it_and_no_others() -> None:
    memory = a_memory()
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        assert "Noted" in (await ask(turns, "The red car is Bob's.")).answer
        assert 'You told me: "The red car is Bob\'s"' in (await ask(turns, "Whose is the red car?")).answer
        assert 'You told me: "The red car is Bob\'s"' in (await ask(turns, "Who owns the red car?")).answer
        assert "told me" not in (await ask(turns, "Where is the meeting?")).answer
        assert "told me" not in (await ask(turns, "Who came in?")).answer


async def test_a_rejection_that_says_nothing_is_asked_back() -> None:
    memory = a_memory()
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        await ask(turns, "When is the meeting?")
        answer = await ask(turns, "That's wrong.")
    assert "Tell me what is right" in answer.answer and answer.abstained
    assert not [o for o in memory.observations if o.channel == "correction"]


@pytest.mark.parametrize("text", ["No, that was", "No, it is.", "no, it was there", 'No, that was ""'])
def test_a_correction_that_says_nothing_is_no_statement(text: str) -> None:
    found = parse_correction(text, LAST)
    assert found is not None and found.corrects and found.statement == ""
    assert parse_correction(text, None) is None


async def test_what_to_remember_must_be_said() -> None:
    memory = a_memory()
    async with anyio.create_task_group() as tasks:
        turns = make(tasks, memory)
        answer = await ask(turns, "Remember that")
        assert "Tell me what to remember" in answer.answer and answer.abstained
    assert not [o for o in memory.observations if o.channel == "correction"]
    assert parse_correction("Remember when we saw the dog", None) is None
