"""A model behind a server that speaks OpenAI's chat API: vLLM, Ollama, llama.cpp, `transformers serve`, a cloud.

Servers differ in what they accept, in how they refuse it, and in how they pass on what a model writes. What one
refuses by name is left out from then on: pictures, tools, and the optional parameters of a request. What it sends may
be hostile, or broken: it is bounded in bytes, pieces, calls and types before anything is made of it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncGenerator, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import openai
from openai.types.chat import ChatCompletionChunk

from reasoning.backends.chat_model import Abilities, ChatMessage, Finish, Picture, Tool, ToolCall
from reasoning.backends.picture_tokens import estimate_tokens
from reasoning.backends.refusals import UNREADABLE, EventOfError, TooMuch, explain
from reasoning.backends.reply_text import ReplyText
from reasoning.backends.server_client import is_whole
from reasoning.backends.tool_calls import CallPieces, text_of
from runtime.addresses import is_local, shown
from runtime.errors import ContextTooLong, InputRefused, ModelError, TooManyPictures

MAX_PIECES, MAX_ANSWER_CHARACTERS = 100_000, 64 << 10
# English is 4 to 4.5 bytes a token with today's tokenizers; other scripts and numbers less.
BYTES_PER_TOKEN = 3.0
# Wanted, but no server has to know them. The second name of the longest reply is what OpenAI's newer models ask for.
_OPTIONAL = ("stream_options", "temperature", "max_tokens", "max_completion_tokens", "response_format")
# Under which names servers pass on what a model thinks.
_THOUGHTS = ("reasoning_content", "reasoning", "thinking", "reasoning_details", "thought")


class OpenAIServer:
    """A `ChatModel` behind a server. ``image_tokens``: what a picture costs; 0 estimates it by its size."""

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        base_url: str,
        model: str,
        abilities: Abilities,
        image_tokens: int = 0,
        note: str = "",
    ) -> None:
        self.name = f"openai:{model}"
        # What whoever set it up should know of it, in a line.
        self.note = note
        self.base_url = base_url
        # Nobody answers there any more; whoever found it looks again.
        self.lost = False
        self._client = client
        self._model = model
        self._abilities = abilities
        self._bytes_per_token = BYTES_PER_TOKEN
        self._image_tokens = image_tokens
        self._picture_rate = 1.0
        self._refused: set[str] = {"max_completion_tokens"}
        self._empty_replies = 0
        self._broken = False
        # Whether its thinking, if it thinks, has a begin: None until a whole reply was seen.
        self._is_plain: bool | None = None

    @property
    def is_local(self) -> bool:
        return is_local(self.base_url)

    @property
    def abilities(self) -> Abilities:
        return self._abilities

    def count_tokens(self, text: str) -> int:
        """By bytes, at the rate the server's own counts have shown so far."""
        return int(len(text.encode()) / self._bytes_per_token) + 1

    def count_picture(self, jpeg: bytes) -> int:
        """By its size, at the rate the server's own counts have shown so far."""
        return self._image_tokens or int(self._picture_rate * estimate_tokens(jpeg)) + 1

    async def stream(
        self,
        messages: Sequence[ChatMessage],
        tools: Sequence[Tool],
        max_tokens: int,
        schema: dict[str, Any] | None = None,
    ) -> AsyncGenerator[str | ToolCall | Finish, None]:
        """See `ChatModel`."""
        request: dict[str, Any] = {"messages": [_wire_message(message) for message in messages]}
        if tools:
            request["tools"] = [{"type": "function", "function": _wire_tool(tool)} for tool in tools]
        begun = False
        try:
            async with await self._create(request, max_tokens, schema) as stream:
                reply, calls = ReplyText(not self._is_plain, [tool.name for tool in tools]), CallPieces()
                finish, thought = "", False
                pieces = written = 0
                async for chunk in _chunks(stream):
                    pieces += 1
                    if pieces > MAX_PIECES:
                        raise TooMuch(f"over {MAX_PIECES} pieces")
                    self._learn_rate(messages, tools, chunk)
                    for choice in chunk.choices or ():
                        delta = choice.delta
                        finish = text_of(choice.finish_reason) or finish
                        if not delta:
                            continue
                        calls.add(delta.tool_calls)
                        if former := getattr(delta, "function_call", None):
                            calls.add([SimpleNamespace(index=0, id="", function=former)])
                        content, thinks = _content(delta.content)
                        thought = thought or thinks or any(getattr(delta, name, None) for name in _THOUGHTS)
                        written += len(content)
                        if written > MAX_ANSWER_CHARACTERS:
                            raise TooMuch(f"over {MAX_ANSWER_CHARACTERS} characters")
                        if content and (said := reply.feed(content)):
                            begun = True
                            yield said
                if not finish and not is_whole(stream.response):
                    # What is held back may be thinking; where asking again is in vain, it is what there is.
                    if written and not begun and self._broken and (said := reply.end()[0]):
                        begun = True
                        yield said
                    raise self._broken_off(begun, written > 0)
                said, as_text = reply.end()
                if said:
                    yield said
                self._empty_replies, self._broken = 0, False
                self._learn_manner(reply, bool(written) and finish != "length", thought)
                for call in (called := calls.complete() or as_text):
                    yield call
                thought = thought or reply.thought
                yield Finish("tools" if called else "length" if finish == "length" else "stop", thought)
        except UNREADABLE as error:
            problem = explain(error, self.base_url, self._model)
            self.lost = isinstance(error, openai.APIConnectionError) and not isinstance(error, openai.APITimeoutError)
            self._learn_refusal(problem)
            raise problem from error

    async def _create(
        self, request: dict[str, Any], max_tokens: int, schema: dict[str, Any] | None
    ) -> openai.AsyncStream[ChatCompletionChunk]:
        """The request with as many of the optional parameters as the server is known to take."""
        values: dict[str, Any] = dict(
            zip(_OPTIONAL, ({"include_usage": True}, 0.0, max_tokens, max_tokens), strict=False)
        )  # fmt: skip
        if schema is not None and self._abilities.schema:
            form = {"name": "answer", "strict": True, "schema": schema}
            values["response_format"] = {"type": "json_schema", "json_schema": form}
        create: Any = self._client.chat.completions.create  # its overloads know no request made of parts
        while True:
            optional = {name: value for name, value in values.items() if name not in self._refused}
            try:
                # As the body's own, because the client walks through every part of its typed arguments: 3 ms a request.
                stream: openai.AsyncStream[ChatCompletionChunk] = await create(
                    model=self._model, stream=True, messages=[], extra_body=request, **optional
                )
                return stream
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                said = str(error.message)
                named = {name for name in optional if re.search(rf"\b{name}\b", said)}
                if "response_format" in optional and re.search("json_schema|schema|grammar|structured", said):
                    named = {"response_format"}
                if "max_completion_tokens" in self._refused and "max_tokens" in named:
                    self._refused.discard("max_completion_tokens")
                    named = {"max_tokens"}
                if not named or isinstance(explain(error, self.base_url, self._model), ContextTooLong):
                    raise
                self._refused |= named
                if "response_format" in named:
                    self._abilities = msgspec.structs.replace(self._abilities, schema=False)

    def _broken_off(self, begun: bool, written: bool) -> ModelError:
        """A stream without an end. llama-cpp-python hangs up like that, every time, where the prompt is too long."""
        self._empty_replies += not written
        self._broken = written
        problem: ModelError = ModelError(f"the answer of {shown(self.base_url)} broke off", None if begun else 0.0)
        if self._empty_replies > 1:
            problem = ContextTooLong(f"{problem} before its first word")
            self._learn_refusal(problem)
        return problem

    def _learn_rate(self, messages: Sequence[ChatMessage], tools: Sequence[Tool], chunk: ChatCompletionChunk) -> None:
        """Bytes a token, and what pictures cost beside their estimate, from the server's count of a prompt; a tenth is
        kept in reserve."""
        if chunk.usage is None or not chunk.usage.prompt_tokens > 100:  # of less, the chat template is too large a part
            return
        size = sum(len(message.text.encode()) for message in messages) + sum(len(str(tool)) for tool in tools)
        estimated = sum(estimate_tokens(p.jpeg) for m in messages for p in m.content if isinstance(p, Picture))
        if estimated:
            cost = chunk.usage.prompt_tokens - size / self._bytes_per_token
            self._picture_rate = min(8.0, max(0.25, 1.1 * cost / estimated))
        else:
            self._bytes_per_token = min(4.5, max(1.0, 0.9 * size / chunk.usage.prompt_tokens))

    def _learn_manner(self, reply: ReplyText, whole: bool, thought: bool) -> None:
        """How it thinks aloud, if it does."""
        if reply.lone:
            self._is_plain = False
        elif self._is_plain is None and whole:
            self._is_plain = True
        if thought or reply.thought:
            self._abilities = msgspec.structs.replace(self._abilities, thinks=True)

    def _learn_refusal(self, problem: ModelError) -> None:
        told = self._abilities
        if isinstance(problem, InputRefused):
            self._abilities = msgspec.structs.replace(told, **{problem.what: False})
        elif isinstance(problem, TooManyPictures):
            self._abilities = msgspec.structs.replace(told, most_images=problem.most)
        elif isinstance(problem, ContextTooLong):
            tokens = min(problem.limit_tokens or told.context_tokens // 2, told.context_tokens * 3 // 4)
            self._abilities = msgspec.structs.replace(told, context_tokens=max(512, tokens))


async def _chunks(stream: openai.AsyncStream[ChatCompletionChunk]) -> AsyncGenerator[ChatCompletionChunk, None]:
    """The pieces of a reply; one where the server sent it whole, though a stream was asked for."""
    if "json" not in stream.response.headers.get("content-type", ""):
        async for chunk in stream:
            yield chunk
        return
    whole = json.loads(await stream.response.aread())
    if "error" in whole:
        raise EventOfError(json.dumps(whole))
    choices = [dict(choice, delta=choice["message"]) for choice in whole["choices"]]
    yield ChatCompletionChunk.construct(**dict(whole, choices=choices))


def _content(content: object) -> tuple[str, bool]:
    """The words in a piece of a reply, and whether there are thoughts beside them; some servers send a list of both.

    Raises:
        TypeError: it is neither text nor such a list.
    """
    if not isinstance(content, list):
        return text_of(content), False
    if not all(isinstance(part, dict) for part in content):
        raise TypeError("a list where text belongs")
    return "".join(text_of(part.get("text")) for part in content), any("think" in str(p.get("type")) for p in content)


def _wire_message(message: ChatMessage) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role}
    if any(isinstance(part, Picture) for part in message.content):
        wire["content"] = [_wire_part(part) for part in message.content]
    else:
        wire["content"] = message.text
    if message.calls:
        wire["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": json.dumps(c.arguments)}}
            for c in message.calls
        ]
    if message.answers:
        wire["tool_call_id"] = message.answers
    return wire


def _wire_part(part: str | Picture) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    data = base64.b64encode(part.jpeg).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}}


def _wire_tool(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
