"""Calls to reasoning, and what it answers."""

from __future__ import annotations

from runtime.messages.base import Channel, Message


class AskRequest(Message, frozen=True, tag="ask_request"):
    """Ask a question, as of now or of media time ``as_of_s`` of ``source``; ``sources`` narrows what counts."""

    question: str
    conversation: str = "main"
    source: str = ""
    as_of_s: float | None = None
    sources: tuple[str, ...] = ()


class AnswerPart(Message, frozen=True, tag="answer_part"):
    """The next piece of the answer's text, in order."""

    text: str


class Citation(Message, frozen=True, tag="citation"):
    """An observation the answer rests on; it exists in the View the question was asked in."""

    source: str
    t0_s: float
    t1_s: float
    channel: Channel
    text: str
    id: str


class Answer(Message, frozen=True, tag="answer"):
    """The whole answer. ``latency_s`` has "recall", "first_part" and "total"."""

    question: str
    answer: str
    abstained: bool
    as_of_s: float
    citations: tuple[Citation, ...]
    latency_s: dict[str, float]
    backend: str


class SearchRequest(Message, frozen=True, tag="search_request"):
    """Recall without an answer: what the user sees of memory itself."""

    query: str
    source: str = ""
    sources: tuple[str, ...] = ()
    limit: int = 10
