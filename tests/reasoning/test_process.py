"""The reasoning process: what it serves, its searches, and its patience with memory."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from reasoning.backends import load_backend
from reasoning.process import main, search
from reasoning.query.memory_client import CalledMemory
from runtime.config import Config, ReasoningConfig
from runtime.errors import ConfigError, DeadlineExceeded
from runtime.messages import (
    Answer,
    AskRequest,
    Interrupt,
    Message,
    RecallReply,
    SearchRequest,
    StatusRequest,
    View,
    ViewRequest,
)
from tests.fixtures.callers import Caller
from tests.fixtures.listed_memory import ListedMemory, said

pytestmark = pytest.mark.anyio

LIGHT = said(6.0, 9.0, "the lighthouse is closed")


async def nothing_comes() -> AsyncIterator[Any]:
    """A subscription to topics on which nothing is published."""
    await anyio.sleep_forever()
    yield


async def test_the_process_serves_questions_and_searches_and_remembers_before_it_ends(tmp_path: Path) -> None:
    memory = ListedMemory(LIGHT)
    served: dict[type[Message], Any] = {}
    controls: dict[type[Message], Any] = {}
    seen: list[Any] = []

    async def serve(handlers: dict[type[Message], Any]) -> None:
        served.update(handlers)
        asked = AskRequest(question="What is said about the lighthouse?")
        seen.extend([m async for m in handlers[AskRequest](asked)])
        seen.append(await handlers[SearchRequest](SearchRequest(query="lighthouse")))

    service = SimpleNamespace(
        config=Config(), log=logging.getLogger("test"), caller=lambda name: Caller(memory), serve=serve,
        has=lambda name: False, members_of=lambda role: (), ready=lambda: seen.append("ready"),
        report=lambda **given: None,
        on_control=controls.__setitem__,
        in_thread=anyio.to_thread.run_sync, folder=tmp_path, read_only=False, subscribe=lambda *topics: nothing_comes(),
    )  # fmt: skip
    await main(service)  # type: ignore[arg-type]
    assert seen[0] == "ready"
    answer, found = seen[-2], seen[-1]
    assert isinstance(answer, Answer)
    assert [c.id for c in answer.citations] == [LIGHT.id]
    assert isinstance(found, RecallReply)
    assert [hit.observation.id for hit in found.hits] == [LIGHT.id]
    assert Interrupt in controls
    assert [o.channel for o in memory.remembered] == ["question", "answer"]


async def test_a_search_understands_time_words() -> None:
    early, late = said(2.0, 3.0, "a boat"), said(50.0, 51.0, "a boat again")
    memory = ListedMemory(early, late)
    found = await search(SearchRequest(query="boat in the first ten seconds"), memory)
    assert [hit.observation.id for hit in found.hits] == [early.id]
    whole = await search(SearchRequest(query="boat"), memory)
    assert len(whole.hits) == 2


async def test_a_call_given_up_by_a_stopping_memory_is_made_again() -> None:
    caller = Caller(ListedMemory(LIGHT), stopping=2)
    view = await CalledMemory(caller, deadline_s=5.0).view(ViewRequest())
    assert isinstance(view, View)
    assert len(caller.deadlines_s) == 3
    assert caller.deadlines_s == sorted(caller.deadlines_s, reverse=True)


async def test_memory_gone_is_one_clear_line() -> None:
    class Gone:
        async def call(self, request: Message, deadline_s: float) -> Any:
            raise DeadlineExceeded("memory did not answer")

    with pytest.raises(DeadlineExceeded, match="memory does not answer") as caught:
        await CalledMemory(Gone(), deadline_s=5.0).status(StatusRequest())
    assert "\n" not in str(caught.value)


def test_an_unknown_back_end_is_named() -> None:
    with pytest.raises(ConfigError, match=r"reasoning\.backend: no 'oracle'"):
        load_backend(ReasoningConfig(backend="oracle"), anyio.to_thread.run_sync)


async def test_the_configured_back_end_is_loaded() -> None:
    assert load_backend(ReasoningConfig(), anyio.to_thread.run_sync).name == "extractive"
    await anyio.lowlevel.checkpoint()
