"""Routes to ask, to follow the answer as it comes, and to give it up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from msgspec import Struct
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from runtime.errors import CallError, MindstreamError, UserError
from runtime.interfaces.web.api import Endpoint, as_json, body_of, json_bytes
from runtime.interfaces.web.served import Served
from runtime.messages import Answer, AskRequest

QUESTION_MAX = 10_000
# A page's conversations are kept apart from those of a terminal.
CONVERSATION = "page"


class Question(Struct, forbid_unknown_fields=True):
    """A question. Those of one ``conversation`` may follow each other up; ``stream``: the answer as it comes."""

    question: str
    conversation: str = CONVERSATION
    source: str = ""
    sources: tuple[str, ...] = ()
    as_of_s: float | None = None
    stream: bool = False


class GivenUp(Struct, forbid_unknown_fields=True):
    conversation: str = CONVERSATION


async def ask(served: Served, request: Request) -> Response:
    """The answer, whole or as events "part", "step", then "answer" or "error"."""
    asked = await body_of(request, Question)
    if not asked.question.strip():
        raise UserError("ask what? the question is empty")
    if len(asked.question) > QUESTION_MAX:
        raise UserError(f"a question is {QUESTION_MAX} characters long at most")
    wanted = AskRequest(
        question=asked.question, conversation=asked.conversation[:200], source=asked.source, sources=asked.sources,
        as_of_s=asked.as_of_s,
    )  # fmt: skip
    if asked.stream:
        return EventSourceResponse(_parts(served, wanted), ping=15, send_timeout=10, sep="\n")
    return as_json(await served.client.answer(wanted))


async def _parts(served: Served, wanted: AskRequest) -> AsyncIterator[ServerSentEvent]:
    try:
        async with aclosing(served.client.ask(wanted)) as parts:
            async for part in parts:
                if isinstance(part, Answer):
                    yield ServerSentEvent(event="answer", data=json_bytes(part).decode())
                elif part.step is not None:
                    yield ServerSentEvent(event="step", data=json_bytes(part.step).decode())
                elif part.text:
                    yield ServerSentEvent(event="part", data=json_bytes({"text": part.text}).decode())
    except (CallError, MindstreamError) as error:
        yield ServerSentEvent(event="error", data=json_bytes({"message": str(error)}).decode())


async def interrupt(served: Served, request: Request) -> Response:
    """Give up what is being answered in a conversation."""
    served.client.interrupt((await body_of(request, GivenUp)).conversation)
    return Response(status_code=204)


_ROW: dict[str, Any] = {"method": "POST", "group": "ask"}
ENDPOINTS = (
    Endpoint(path="/api/ask", about="Ask a question", handle=ask, body=Question, reply=Answer, **_ROW),
    Endpoint(path="/api/interrupt", about="Give up an answer", handle=interrupt, body=GivenUp, **_ROW),
)
