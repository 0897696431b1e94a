"""Routes that programs written for OpenAI's API know: models, chat completions, transcriptions.

A chat completion asks the last question of the messages in a conversation of ours, which is found again by what was
said before: the API itself keeps no state. Citations stand in the text, and as ``mindstream.citations`` beside it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Literal

import msgspec
from msgspec import Struct
from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import Response

from runtime.clock import media_time
from runtime.errors import MindstreamError, UserError
from runtime.interfaces.web.api import Endpoint, as_json, body_of, get
from runtime.interfaces.web.asking import QUESTION_MAX
from runtime.interfaces.web.pictures_asked import likeness
from runtime.interfaces.web.served import NotThere, Served
from runtime.interfaces.web.transcriptions import ENDPOINTS as TRANSCRIPTIONS
from runtime.messages import Answer, AnswerPart, AskRequest

MODEL = "mindstream"
CONVERSATIONS_KEPT = 256
IMAGES_MAX = 4


class Part(Struct):
    """A part of a message; others than text and pictures are refused."""

    type: str
    text: str = ""
    image_url: dict[str, Any] | None = None


class ChatMessage(Struct):
    role: str
    content: str | list[Part] | None = None


class ChatCompletion(Struct):
    """What is read of a request; whatever else clients send (temperature, tools, ...) has no meaning here."""

    messages: list[ChatMessage]
    model: str = MODEL
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    user: str = ""
    n: int = 1


class Conversations:
    """Which conversation of ours a list of messages goes on: known by all that was said in it before."""

    def __init__(self) -> None:
        self._by_past: OrderedDict[str, str] = OrderedDict()

    def find(self, past: list[tuple[str, str]], user: str) -> str:
        return self._by_past.get(_key(past, user)) or f"api-{uuid.uuid4().hex[:12]}"

    def keep(self, past: list[tuple[str, str]], user: str, conversation: str) -> None:
        """After an answer: ``past`` with the question and the answer leads here."""
        self._by_past[_key(past, user)] = conversation
        while len(self._by_past) > CONVERSATIONS_KEPT:
            self._by_past.popitem(last=False)


def _key(past: list[tuple[str, str]], user: str) -> str:
    # Clients keep what they show, spaces trimmed; and system messages change from one turn to the next (the date).
    told = [(role, " ".join(text.split())) for role, text in past if role in ("user", "assistant")]
    return hashlib.sha256(json.dumps([user, told]).encode()).hexdigest()


def _texts(message: ChatMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part.text for part in message.content or () if part.type in ("text", "input_text"))


def _images(message: ChatMessage) -> list[bytes]:
    """The pictures of a message.

    Raises:
        UserError: one is no picture given in the message itself, or there are too many.
    """
    found = []
    for part in message.content if isinstance(message.content, list) else ():
        if part.type in ("text", "input_text"):
            continue
        if part.type != "image_url":
            raise UserError(f"parts of type {part.type!r} are not understood; text and image_url are")
        address = str((part.image_url or {}).get("url", ""))
        head, _, data = address.partition(",")
        if not (head.startswith("data:image/") and head.endswith(";base64")):
            raise UserError("a picture must be in the message itself (data:image/...;base64,...): nothing is fetched")
        try:
            found.append(base64.b64decode(data, validate=True))
        except binascii.Error:
            raise UserError("a picture in the message is not base64") from None
    if len(found) > IMAGES_MAX:
        raise UserError(f"a message has at most {IMAGES_MAX} pictures")
    return found


async def models(served: Served, request: Request) -> Response:
    return as_json({"object": "list", "data": [_model(served)]})


async def model(served: Served, request: Request) -> Response:
    if request.path_params["id"] != MODEL:
        raise NotThere(f"there is no model {request.path_params['id']!r}; it is {MODEL!r}")
    return as_json(_model(served))


def _model(served: Served) -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "mindstream"}


async def chat(served: Served, request: Request) -> Response:
    """An answer from what was seen and heard."""
    wanted = await body_of(request, ChatCompletion)
    if wanted.n != 1:
        raise UserError("one answer is given: n is 1")
    said = [(message.role, _texts(message)) for message in wanted.messages]
    if not said or said[-1][0] != "user":
        raise UserError("the last message must be the user's")
    past, question = said[:-1], said[-1][1].strip()
    images = _images(wanted.messages[-1])
    if not question and not images:
        raise UserError("the last message says nothing")
    if len(question) > QUESTION_MAX:
        raise UserError(f"a question is {QUESTION_MAX} characters long at most")
    conversations: Conversations = request.app.state.conversations
    conversation = conversations.find(past, wanted.user)
    turn = _Turn(served, conversation, question, images)
    if wanted.stream:
        with_usage = bool((wanted.stream_options or {}).get("include_usage"))

        async def stream() -> AsyncIterator[str]:
            async for chunk in _chunks(turn, with_usage):
                yield chunk
            conversations.keep([*said, ("assistant", turn.told)], wanted.user, conversation)

        return EventSourceResponse(stream(), ping=15, send_timeout=10, sep="\n")
    async for _ in turn.run():
        pass
    conversations.keep([*said, ("assistant", turn.told)], wanted.user, conversation)
    message = {"role": "assistant", "content": turn.told, "refusal": None}
    return as_json(
        {
            **_head("chat.completion"),
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": turn.usage,
            "mindstream": turn.extension,
        }
    )


class _Turn:
    """One answer as it is told: text piece by piece, then where it rests."""

    def __init__(self, served: Served, conversation: str, question: str, images: list[bytes]) -> None:
        self._served = served
        self._conversation = conversation
        self._question = question
        self._images = images
        self.answer: Answer | None = None
        self.told = ""
        self._likeness: list[dict[str, Any]] = []

    async def run(self) -> AsyncGenerator[str, None]:
        """Pieces of text.

        Raises:
            MindstreamError: no answer came.
        """
        for image in self._images:
            text, like = await likeness(self._served, image)
            self._likeness += like
            yield self._add(text + ("\n\n" if self._question else ""))
        if not self._question:
            return
        begun = False
        request = AskRequest(question=self._question, conversation=self._conversation)
        async with aclosing(self._served.client.ask(request)) as parts:
            async for part in parts:
                if isinstance(part, AnswerPart):
                    if part.text:
                        begun = True
                        yield self._add(part.text)
                else:
                    self.answer = part
        assert self.answer is not None
        if not begun:
            yield self._add(self.answer.answer)
        if self.answer.citations:
            cited = "".join(
                f"\n- [{media_time(c.t0_s)}] {c.channel}, {c.source}: {' '.join(c.text.split())[:120]}"
                for c in self.answer.citations
            )
            yield self._add("\n" + cited)

    def _add(self, text: str) -> str:
        self.told += text
        return text

    @property
    def extension(self) -> dict[str, Any]:
        """What OpenAI's shape has no room for."""
        answer = self.answer
        return {
            "citations": [msgspec.structs.asdict(c) for c in answer.citations] if answer else [],
            "abstained": answer.abstained if answer else False,
            "confidence": answer.confidence if answer else 0.0,
            "as_of_s": answer.as_of_s if answer else 0.0,
            "backend": answer.backend if answer else "",
            "notice": answer.notice if answer else "",
            "understood": answer.understood if answer else "",
            "likeness": self._likeness,
        }

    @property
    def usage(self) -> dict[str, int]:
        """Words stand for tokens: no tokenizer is at work here, and clients only show the figure."""
        asked, told = len(self._question.split()), len(self.told.split())
        return {"prompt_tokens": asked, "completion_tokens": told, "total_tokens": asked + told}


async def _chunks(turn: _Turn, with_usage: bool) -> AsyncIterator[str]:
    head = _head("chat.completion.chunk")

    def chunk(delta: dict[str, Any], finish: Literal["stop"] | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return json.dumps({**head, "choices": [choice], **more}, ensure_ascii=False)

    yield chunk({"role": "assistant", "content": ""})
    try:
        async with aclosing(turn.run()) as pieces:
            async for text in pieces:
                yield chunk({"content": text})
    except MindstreamError as error:
        yield json.dumps({"error": {"message": str(error), "type": "unavailable"}}, ensure_ascii=False)
        yield "[DONE]"
        return
    yield chunk({}, "stop", mindstream=turn.extension)
    if with_usage:
        yield json.dumps({**head, "choices": [], "usage": turn.usage})
    yield "[DONE]"


def _head(kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": MODEL}


ENDPOINTS = (
    get("/v1/models", "The one model there is", models, "openai", dict[str, Any]),
    get("/v1/models/{id}", "The same by its name", model, "openai", dict[str, Any]),
    Endpoint(
        method="POST", path="/v1/chat/completions", about="Ask as OpenAI's clients do", handle=chat, group="openai",
        body=ChatCompletion, reply=dict[str, Any],
    ),
    *TRANSCRIPTIONS,
)  # fmt: skip
