"""What a model writes, sorted: its answer, its thinking aloud in whatever marks, calls of tools written as text."""

from __future__ import annotations

import json

import pytest

from reasoning.backends.chat_model import ToolCall
from reasoning.backends.reply_text import ReplyText
from reasoning.backends.tool_calls import calls_in_text, read_arguments

NAMES = ("search", "look")
FACT = "It leaves at seven [0:04]."


def read(text: str, size: int, holds: bool = True, tools: tuple[str, ...] = NAMES) -> tuple[str, list[ToolCall]]:
    """The whole reply, streamed in pieces of ``size`` letters."""
    reply = ReplyText(holds, tools)
    said = "".join(reply.feed(text[at : at + size]) for at in range(0, len(text), size))
    rest, calls = reply.end()
    return said + rest, calls


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize(
    "thinking",
    [
        "<think>\nMaybe nine [0:00].\n</think>\n\n",
        "Okay, the sign says 8 am [0:00]. Hmm.\n</think>\n\n",
        "<thinking>Maybe nine [0:00].</thinking>\n",
        "Maybe nine [0:00].</thinking>\n",
        "<THOUGHT>Maybe.</THOUGHT>",
        '<reasoning effort="low">Maybe.</reasoning>',
        "[THINK]Maybe nine.[/THINK]",
        "◁think▷Maybe nine◁/think▷",
        "<|channel|>analysis<|message|>Maybe nine.<|end|><|start|>assistant<|channel|>final<|message|>",
        "<seed:think>Maybe</seed:think>",
        "<think>One.</think><think>Two.</think>",
        "I weigh it. <answer>",
        "",
    ],
)
def test_thinking_aloud_is_no_part_of_what_is_said(thinking: str, size: int) -> None:
    said, calls = read(f"{thinking}{FACT}", size)
    assert (said.strip(), calls) == (FACT, [])


def test_what_is_not_held_streams_up_to_what_may_be_a_marker() -> None:
    reply = ReplyText(holds=False)
    assert reply.feed("It leaves [0:0") == "It leaves "
    assert reply.feed("4] at <") == "[0:04] at "
    assert reply.feed("7>.") == "<7>."
    assert reply.end() == ("", [])


def test_thinking_that_never_ends_says_nothing() -> None:
    reply = ReplyText(holds=True)
    reply.feed("<think>\nThe user asks. It might be nine.")
    assert reply.end() == ("", [])
    assert reply.thought and reply.is_thinking


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize(
    "written",
    [
        '<tool_call>\n{"name": "search", "arguments": {"text": "train"}}\n</tool_call>',
        '<tool_call>{"name": "search", "arguments": {"text": "train"}}',
        "<tool_call>{'name': 'search', 'arguments': {'text': 'train',}}</tool_call>",
        '<|tool_call|>[{"name": "search", "arguments": {"text": "train"}}]<|/tool_call|>',
        '{"name": "search", "parameters": {"text": "train"}}',
        '```json\n{"tool": "search", "args": {"text": "train"}}\n```',
        '[TOOL_CALLS][{"name": "search", "arguments": {"text": "train"}}]',
        '[TOOL_CALLS]search{"text": "train"}',
        "<function=search><parameter=text>train</parameter></function>",
        '<function_call>{"function": {"name": "search", "arguments": "{\\"text\\": \\"train\\"}"}}</function_call>',
        '<invoke name="search"><parameter name="text">train</parameter></invoke>',
        "<tool_call>search\n<arg_key>text</arg_key>\n<arg_value>train</arg_value>\n</tool_call>",
        '<|python_tag|>search(text="train")',
        "[search(text='train')]",
        '<think>Hm.</think><tool_call>{"name": "functions.search", "arguments": {"text": "train"}}</tool_call>',
        '<|channel|>commentary to=functions.search <|constrain|>json<|message|>{"text": "train"}<|call|>',
    ],
)
def test_a_call_written_as_text_is_a_call(written: str, size: int) -> None:
    said, calls = read(written, size)
    assert [(call.name, call.arguments) for call in calls] == [("search", {"text": "train"})]
    assert not said.strip()


def test_several_calls_in_one_text_are_all_found() -> None:
    text = "".join(
        f"<tool_call>{json.dumps({'name': name, 'arguments': {'time': name}})}</tool_call>" for name in NAMES
    )
    assert [(c.id, c.name, c.arguments["time"]) for c in read(text, 4)[1]] == [
        ("call_0", "search", "search"),
        ("call_1", "look", "look"),
    ]


def test_a_call_that_cannot_be_read_is_told_as_broken() -> None:
    said, calls = read("<tool_call>well, search please</tool_call>", 6)
    assert (said, [(call.name, call.broken) for call in calls]) == ("", [("", "well, search please</tool_call>")])


@pytest.mark.parametrize("text", ['{"answer": "seven"}', "```\nseven\n```", "searching (0:04) is over.", "look"])
def test_what_looks_like_a_call_and_is_none_is_said(text: str) -> None:
    assert read(text, 3) == (text, [])


def test_without_tools_nothing_is_a_call() -> None:
    assert read('{"name": "search"}', 2, tools=()) == ('{"name": "search"}', [])
    assert calls_in_text('{"name": "search"}', ()) == []


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("", ({}, "")),
        ('{"text": "a"}', ({"text": "a"}, "")),
        ("{'text': 'a',}", ({"text": "a"}, "")),
        ('"{\\"text\\": \\"a\\"}"', ({"text": "a"}, "")),
        ('```json\n{"text": "a"}\n```', ({"text": "a"}, "")),
        ("find a", ({}, "find a")),
        ("[1, 2]", ({}, "[1, 2]")),
    ],
)
def test_arguments_are_mended_or_told_as_broken(written: str, read_as: tuple[dict[str, str], str]) -> None:
    assert read_arguments(written) == read_as
