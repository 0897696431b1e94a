"""Calls to reasoning, and what it answers."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from runtime.messages.base import Channel, Message

UNDERSTOOD = "understood"


class AskRequest(Message, frozen=True, tag="ask_request"):
    """Ask a question, as of now or of media time ``as_of_s`` of ``source``; ``sources`` narrows what counts.

    ``conversation``: what the question may lean on; "" is none, the question stands alone and gives up no other.
    ``interrupted_by``: the source whose voice gives the answer up when somebody begins to speak (a microphone
    one talks to the agent through); "" where only a new question or Ctrl-C does.
    ``asked_s``: when it was asked, by the monotonic clock of this machine, so that an `Interrupt` that was sent after
    it holds for it whichever of them arrives first. ``asked_wall_s``: the same in Unix seconds, by which "today" and
    "at 2 pm" are understood.
    """

    question: str
    conversation: str = "main"
    source: str = ""
    as_of_s: float | None = None
    sources: tuple[str, ...] = ()
    interrupted_by: str = ""
    asked_s: float = msgspec.field(default_factory=time.monotonic)
    asked_wall_s: float = msgspec.field(default_factory=time.time)


class TraceStep(Message, frozen=True, tag="trace_step"):
    """One step on the way to an answer: a tool that was used, or what happened to the model.

    ``found`` says in one line what came of it. The tool `UNDERSTOOD` is no tool: a follow-up put in full, or what
    was misspelt as it was meant.
    """

    tool: str
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)
    found: str = ""
    took_s: float = 0.0


class AnswerPart(Message, frozen=True, tag="answer_part"):
    """The next piece of the answer's text, in order; or a step that was taken (then ``text`` is "")."""

    text: str
    step: TraceStep | None = None


class Citation(Message, frozen=True, tag="citation"):
    """An observation the answer rests on; it exists in the View the question was asked in.

    ``at``: its moment as a person is told it: "0:42" of a recording, "today 06:47:20, yard" of a camera.
    """

    source: str
    t0_s: float
    t1_s: float
    channel: Channel
    text: str
    id: str
    at: str = ""


class Answer(Message, frozen=True, tag="answer"):
    """The whole answer. ``latency_s`` has "recall", "first_part" and "total".

    confidence  0..1, how well the evidence carries it. ``trace``: the steps taken, in order.
    notice      one line the user should know of how it came about, such as a model that did not answer.
    understood  the question in full, where it was a follow-up ("and before that?") or misspelt; else "".
    """

    question: str
    answer: str
    abstained: bool
    as_of_s: float
    citations: tuple[Citation, ...]
    latency_s: dict[str, float]
    backend: str
    confidence: float = 0.0
    trace: tuple[TraceStep, ...] = ()
    notice: str = ""
    understood: str = ""


class SearchRequest(Message, frozen=True, tag="search_request"):
    """Recall without an answer: what the user sees of memory itself."""

    query: str
    source: str = ""
    sources: tuple[str, ...] = ()
    limit: int = 10
