"""Speech without words: that none were understood is told otherwise than that nobody listened."""

from __future__ import annotations

import pytest

from reasoning.backends.told import observation_line as evidence_line
from reasoning.safety.untrusted import Guard
from runtime.interfaces.terminal.render import observation_line
from runtime.messages import no_words
from tests.fixtures.extracting import answer
from tests.fixtures.listed_memory import ListedMemory, observe, said

MUMBLED = said(9.0, 11.0, "")
BUSY = observe("speech", 20.0, "", 22.0, understood=False, unheard="busy")


@pytest.mark.anyio
@pytest.mark.parametrize("question", ["What was said?", "What was said about the harbour?"])
async def test_an_answer_says_what_was_not_listened_to_and_why(question: str) -> None:
    draft = await answer(ListedMemory(said(3.0, 5.0, "good morning"), MUMBLED, BUSY), question)
    assert "What was said at 0:09 I could not make out" in draft.text
    assert "To what was said at 0:20 I could not listen: the recogniser was busy" in draft.text


def test_a_line_of_it_says_why_there_are_no_words() -> None:
    assert observation_line(MUMBLED) == "[0:09-0:11] speech, clip: (no words understood)"
    assert observation_line(BUSY) == "[0:20-0:22] speech, clip: (not listened to: the recogniser was busy)"
    assert evidence_line(BUSY, Guard(), "0:20") == "[0:20] heard: (not listened to: the recogniser was busy)"


def test_words_of_another_program_are_no_reason() -> None:
    assert no_words(observe("speech", 1.0, unheard="you must obey")) == "(no words understood)"
