"""A model behind a server that speaks OpenAI's chat API: vLLM, Ollama, llama.cpp, `transformers serve`, a cloud.

Through the official client, whose own retries are off: how long to wait is decided by whoever knows the
question's deadline (`spoken.py`). Servers differ in what they accept and in how they refuse it. What one
refuses by name is left out from then on: pictures, tools, and the optional parameters of a request.

A server may be hostile, or broken: no redirect is followed, because a prompt holds what is remembered, and what it
sends is bounded in bytes, pieces, calls and types before anything is made of it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import httpx2
import openai
from openai.types.chat import ChatCompletionChunk

from reasoning.backends.chat_model import Abilities, ChatMessage, Finish, Picture, Tool, ToolCall
from reasoning.backends.refusals import TooMuch, explain
from runtime.addresses import is_local, shown
from runtime.errors import ContextTooLong, InputRefused, ModelError

CONNECT_S = 3.0
# An answer of 400 tokens comes in 150 KB; one that thinks aloud for 40,000 before it in less than this.
MAX_REPLY_BYTES = 16 << 20
MAX_PIECES, MAX_ANSWER_CHARACTERS = 100_000, 64 << 10
# No tool takes more than a few hundred characters, and no round asks for more than a handful.
MAX_CALLS, MAX_ARGUMENTS_CHARACTERS = 32, 64 << 10
MAX_NAME_CHARACTERS = 512
# English is 4 to 4.5 bytes a token with today's tokenizers; other scripts and numbers less.
BYTES_PER_TOKEN = 3.0
# Wanted, but no server has to know them. The second name of the longest reply is what OpenAI's newer models ask for.
_OPTIONAL = ("stream_options", "temperature", "max_tokens", "max_completion_tokens")


def open_client(base_url: str, key: str, quiet_s: float, local: bool) -> openai.AsyncOpenAI:
    """A client that waits ``quiet_s`` seconds for the first word and between words. ``local``: on this machine."""
    timeout = openai.Timeout(quiet_s, connect=CONNECT_S)
    return openai.AsyncOpenAI(
        base_url=base_url,
        api_key=key or "none",
        organization="",
        project="",
        max_retries=0,
        timeout=timeout,
        default_headers={"Accept-Encoding": "identity"},
        # A proxy for the world must not be asked for this machine's own address.
        http_client=openai.DefaultAsyncHttpxClient(
            timeout=timeout, trust_env=not local, follow_redirects=False, event_hooks={"response": [_bound]}
        ),
    )


class _Bounded(httpx2.AsyncByteStream):
    """The body of a response, up to `MAX_REPLY_BYTES`."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_REPLY_BYTES
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise TooMuch(f"over {MAX_REPLY_BYTES >> 20} MiB")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(response: httpx2.Response) -> None:
    """No reply is longer than an answer can be, not even unpacked."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise TooMuch("packed, though it was asked not to")
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream)


async def list_models(client: openai.AsyncOpenAI, base_url: str) -> list[dict[str, Any]]:
    """The entries of the server's list of models, with whatever it adds to them; none where it fails to list them.

    Raises:
        ModelError: it does not answer, refuses the key, or what it gave is no such list.
    """
    try:
        page = await client.models.list()
        listed = [model.to_dict() for model in page.data]
        return [entry for entry in listed if _is_name(entry.get("id"))]
    except openai.InternalServerError:
        return []  # `transformers serve` without a cache; it still serves a model that is named
    except (openai.OpenAIError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise explain(error, base_url, "") from error


class OpenAIServer:
    """A `ChatModel` behind a server."""

    def __init__(
        self, client: openai.AsyncOpenAI, base_url: str, model: str, context_tokens: int, image_tokens: int
    ) -> None:
        self.name = f"openai:{model}"
        self.base_url = base_url
        # Nobody answers there any more; whoever found it looks again.
        self.lost = False
        self._client = client
        self._model = model
        self._abilities = Abilities(context_tokens, image_tokens, images=True, tools=True)
        self._bytes_per_token = BYTES_PER_TOKEN
        self._refused: set[str] = {"max_completion_tokens"}
        self._empty_replies = 0

    @property
    def is_local(self) -> bool:
        return is_local(self.base_url)

    @property
    def abilities(self) -> Abilities:
        return self._abilities

    def count_tokens(self, text: str) -> int:
        """By bytes, at the rate the server's own counts have shown so far."""
        return int(len(text.encode()) / self._bytes_per_token) + 1

    async def stream(
        self, messages: Sequence[ChatMessage], tools: Sequence[Tool], max_tokens: int
    ) -> AsyncGenerator[str | ToolCall | Finish, None]:
        """See `ChatModel`."""
        request: dict[str, Any] = {"messages": [_wire_message(message) for message in messages]}
        if tools:
            request["tools"] = [{"type": "function", "function": _wire_tool(tool)} for tool in tools]
        begun = False
        try:
            async with await self._create(request, max_tokens) as chunks:
                calls = _Calls()
                finish = ""
                pieces = said = 0
                async for chunk in chunks:
                    pieces += 1
                    if pieces > MAX_PIECES:
                        raise TooMuch(f"over {MAX_PIECES} pieces")
                    self._learn_rate(messages, chunk)
                    for choice in chunk.choices or ():
                        calls.add(choice.delta.tool_calls if choice.delta else None)
                        finish = _text(choice.finish_reason) or finish
                        if choice.delta and (content := _text(choice.delta.content)):
                            begun = True
                            said += len(content)
                            if said > MAX_ANSWER_CHARACTERS:
                                raise TooMuch(f"over {MAX_ANSWER_CHARACTERS} characters")
                            yield content
                if not finish:
                    raise self._broken_off(begun)
                self._empty_replies = 0
                for call in calls.complete():
                    yield call
                yield Finish("tools" if calls else "length" if finish == "length" else "stop")
        except (openai.OpenAIError, ValueError, TypeError, AttributeError, RecursionError) as error:
            problem = explain(error, self.base_url, self._model)
            self.lost = isinstance(error, openai.APIConnectionError) and not isinstance(error, openai.APITimeoutError)
            self._learn_refusal(problem)
            raise problem from error

    async def _create(self, request: dict[str, Any], max_tokens: int) -> openai.AsyncStream[ChatCompletionChunk]:
        """The request with as many of the optional parameters as the server is known to take."""
        values = dict(
            zip(_OPTIONAL, ({"include_usage": True}, 0.0, max_tokens, max_tokens), strict=True)
        )  # fmt: skip
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
                named = {name for name in optional if re.search(rf"\b{name}\b", str(error.message))}
                if "max_completion_tokens" in self._refused and "max_tokens" in named:
                    self._refused.discard("max_completion_tokens")
                    named = {"max_tokens"}
                if not named or isinstance(explain(error, self.base_url, self._model), ContextTooLong):
                    raise
                self._refused |= named

    def _broken_off(self, begun: bool) -> ModelError:
        """A stream without an end. llama-cpp-python hangs up like that, every time, where the prompt is too long."""
        self._empty_replies += not begun
        problem: ModelError = ModelError(f"the answer of {shown(self.base_url)} broke off", None if begun else 0.0)
        if self._empty_replies > 1:
            problem = ContextTooLong(f"{problem} before its first word")
            self._learn_refusal(problem)
        return problem

    def _learn_rate(self, messages: Sequence[ChatMessage], chunk: ChatCompletionChunk) -> None:
        """Bytes a token from the server's count of a prompt without pictures; a tenth is kept in reserve."""
        if chunk.usage is None or any(isinstance(part, Picture) for m in messages for part in m.content):
            return
        size = sum(len(message.text.encode()) for message in messages)
        if chunk.usage.prompt_tokens > 100:  # of less, the chat template is too large a part
            self._bytes_per_token = min(4.5, max(1.0, 0.9 * size / chunk.usage.prompt_tokens))

    def _learn_refusal(self, problem: ModelError) -> None:
        told = self._abilities
        if isinstance(problem, InputRefused):
            images, may_tools = told.images and problem.what != "images", told.tools and problem.what != "tools"
            self._abilities = Abilities(told.context_tokens, told.image_tokens, images, may_tools)
        elif isinstance(problem, ContextTooLong):
            tokens = min(problem.limit_tokens or told.context_tokens // 2, told.context_tokens * 3 // 4)
            self._abilities = Abilities(max(512, tokens), told.image_tokens, told.images, told.tools)


class _Calls:
    """Tool calls put together from their pieces."""

    def __init__(self) -> None:
        self._parts: dict[int, list[str]] = {}
        self._characters = 0

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, deltas: Any) -> None:
        for delta in deltas or ():
            # [id, name, arguments]. Some servers leave out the index and send each call whole.
            index = len(self._parts) if delta.index is None else delta.index
            if not isinstance(index, int) or (index not in self._parts and len(self._parts) == MAX_CALLS):
                raise TooMuch(f"over {MAX_CALLS} calls of tools")
            parts = self._parts.setdefault(index, ["", "", ""])
            parts[0] = _text(delta.id) or parts[0]
            if delta.function is not None:
                name, arguments = _text(delta.function.name), _text(delta.function.arguments)
                self._characters += len(name) + len(arguments)
                if self._characters > MAX_ARGUMENTS_CHARACTERS:
                    raise TooMuch(f"over {MAX_ARGUMENTS_CHARACTERS} characters of arguments")
                parts[1] += name
                parts[2] += arguments

    def complete(self) -> list[ToolCall]:
        return [
            ToolCall(identity or f"call_{index}", name, parse_arguments(arguments))
            for index, (identity, name, arguments) in sorted(self._parts.items())
        ]


def parse_arguments(text: str) -> dict[str, Any]:
    """The arguments a model wrote; none where they are no JSON object, and the tool will say what it lacks."""
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return arguments if isinstance(arguments, dict) else {}


def _text(value: object) -> str:
    """A piece of text that a server sent; "" for none.

    Raises:
        TypeError: it is no text.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where text belongs")
    return value


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME_CHARACTERS


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
