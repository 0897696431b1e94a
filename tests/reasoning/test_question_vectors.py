"""Vectors of questions: asked for once, with a deadline, and never waited for twice where nobody answers."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from reasoning.query import question_vectors as q
from reasoning.query.memory_client import CalledMemory
from reasoning.query.question_vectors import QuestionVectors
from runtime.errors import DeadlineExceeded, RemoteError
from runtime.messages import EmbedReply, EmbedRequest, Message, RecallReply, RecallRequest, View

pytestmark = pytest.mark.anyio
LOG = logging.getLogger("reasoning")


class Embedding:
    """Answers with a vector, or fails as it is told; keeps the deadlines it was given."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.deadlines_s: list[float] = []

    async def call(self, request: Message, deadline_s: float) -> Any:
        assert isinstance(request, EmbedRequest)
        self.deadlines_s.append(deadline_s)
        if self.failure is not None:
            raise self.failure
        return EmbedReply(vectors=tuple(text.encode() for text in request.texts), space="clip-1")


async def test_a_vector_is_asked_for_once_and_only_the_first_call_waits_for_a_start() -> None:
    embedding = Embedding()
    vectors = QuestionVectors(embedding, LOG)
    assert await vectors.of("keys") == (b"keys", "clip-1")
    assert await vectors.of("keys") == (b"keys", "clip-1")
    assert await vectors.of("cups") == (b"cups", "clip-1")
    assert await vectors.of("  ") is None
    assert embedding.deadlines_s == [q.FIRST_DEADLINE_S, q.DEADLINE_S]


@pytest.mark.parametrize("failure", [DeadlineExceeded("late"), RemoteError("WeightsError", "no weights")])
async def test_who_does_not_answer_is_left_in_peace_and_asked_again_later(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    monkeypatch.setattr(anyio, "current_time", lambda: now_s)
    embedding = Embedding()
    vectors = QuestionVectors(embedding, LOG)
    embedding.failure = failure
    assert await vectors.of("keys") is None
    assert await vectors.of("keys") is None
    assert len(embedding.deadlines_s) == 1
    embedding.failure = None
    now_s += q.AFTER_SILENCE_S if isinstance(failure, DeadlineExceeded) else q.AFTER_REFUSAL_S
    assert await vectors.of("keys") == (b"keys", "clip-1")


async def test_recall_carries_the_vector_where_there_is_one_and_the_words_alone_where_not() -> None:
    asked: list[RecallRequest] = []

    class Memory:
        async def call(self, request: Message, deadline_s: float) -> Any:
            assert isinstance(request, RecallRequest)
            asked.append(request)
            return RecallReply()

    embedding = Embedding()
    memory = CalledMemory(Memory(), 5.0, QuestionVectors(embedding, LOG))
    request = RecallRequest(query="keys", view=View(generation=1, limits={}))
    await memory.recall(request)
    embedding.failure = DeadlineExceeded("late")
    await memory.recall(RecallRequest(query="cups", view=View(generation=1, limits={})))
    assert [(r.query, r.vector, r.vector_space) for r in asked] == [("keys", b"keys", "clip-1"), ("cups", None, "")]
