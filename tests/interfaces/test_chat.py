"""The chat over a pipe: what it does when an answer fails, and how a program reads it."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from typing import cast

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from runtime.errors import DeadlineExceeded
from runtime.interfaces.client import Client
from runtime.interfaces.terminal.chat import Chat
from runtime.messages import Answer, AnswerPart, AskRequest
from tests.fixtures.typed_lines import typed

pytestmark = pytest.mark.anyio


class Agent:
    """Begins to answer, and then answers in full all but what is asked of the weather."""

    async def ask(self, request: AskRequest) -> AsyncIterator[AnswerPart | Answer]:
        yield AnswerPart(text="I see ")
        if "weather" in request.question:
            raise DeadlineExceeded("reasoning did not answer within 60 s")
        yield AnswerPart(text="a cup.")
        yield Answer(
            question=request.question, answer="I see a cup.", abstained=False, as_of_s=1.0, citations=(),
            latency_s={}, backend="test",
        )  # fmt: skip


async def chat(monkeypatch: pytest.MonkeyPatch, lines: str, as_json: bool = False) -> None:
    with typed(lines.encode()) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert not await Chat(cast(Client, Agent()), (), lambda: "", as_json=as_json).run()


async def test_an_answer_that_fails_is_one_line_and_the_next_question_is_answered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await chat(monkeypatch, "how is the weather?\nwhat is on the table?\n")
    out, err = capsys.readouterr()
    assert out.splitlines() == ["I see ", "I see a cup."]
    assert err == "no answer: reasoning did not answer within 60 s\n"


async def test_a_program_gets_one_json_object_for_each_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await chat(monkeypatch, "how is the weather?\nwhat is on the table?\n", as_json=True)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["answer"] == "I see a cup."


async def test_ctrl_c_takes_back_what_was_typed_and_leaves_an_empty_prompt() -> None:
    chat = Chat(cast(Client, Agent()), (), lambda: "")
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text("wrong words\x03right words\r\x03")
        assert [line async for line in chat._prompted()] == ["right words"]


@pytest.mark.parametrize("word", ["exit", "Quit", "bye!"])
async def test_who_types_a_word_of_leaving_leaves(
    word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with typed(f"{word}\nwhat is on the table?\n".encode()) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert await Chat(cast(Client, Agent()), (), lambda: "").run()
    assert capsys.readouterr().out == ""


async def test_help_is_given_to_who_types_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await chat(monkeypatch, "help\n")
    assert "/standing" in capsys.readouterr().out
