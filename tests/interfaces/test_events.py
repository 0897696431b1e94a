"""Following what happens: nobody slow holds anything up, nobody misses an observation, what is forgotten is let go."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from memory.store.database import Store
from runtime.interfaces.web.events import BATCHES_KEPT, KINDS, News
from runtime.interfaces.web.served import Served
from runtime.messages import Citation, Notice, Observation, PartialTranscript, SourceOpened, Stored
from tests.fixtures.memory_cases import gather_all, progress, remember, say
from tests.fixtures.served_agent import StoredClient, served

pytestmark = pytest.mark.anyio


class World:
    """An agent that perceives, and readers who follow it."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        opened = SourceOpened(source="clip", track="audio", kind="microphone")
        remember(self.store, gather_all(opened))
        self.client: StoredClient
        self.what: Served
        self.client, self.what, app = served(self.store, folder)
        self.news: News = app.state.news
        self._seq = 10

    async def say(self, t_s: float, text: str) -> Observation:
        """Something is said, stored and announced."""
        said = say(t_s, t_s + 0.5, text)
        self._seq += 10
        remember(self.store, gather_all(said, progress(t_s + 1.0, "audio"), first=self._seq))
        generation = (await self.client.view()).generation
        self.client.on_news(Stored(generation=generation, watermarks={}))
        return said


@asynccontextmanager
async def world_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr("runtime.interfaces.web.events.PACE_S", 0.0)
    world = World(folder)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.news.run)
        with anyio.fail_after(30):
            yield world
        tasks.cancel_scope.cancel()
    world.client.close()


async def told(events: Any, kind: str) -> tuple[Any, str]:
    """The next event of a kind: its data, and the place it leaves its reader at."""
    async for event in events:
        if event.event == kind:
            return json.loads(event.data), event.id
    raise AssertionError("the stream ended")


async def test_what_is_stored_is_told_in_order_and_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world_of(tmp_path, monkeypatch) as world, aclosing(world.news.follow(None, KINDS)) as events:
        await told(events, "hello")
        heard: list[str] = []
        for n in range(5):
            await world.say(n, f"word {n}")
            found, _ = await told(events, "observations")
            heard += [seen["text"] for seen in found]
        assert heard == [f"word {n}" for n in range(5)]


async def test_who_comes_again_goes_on_where_it_broke_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world_of(tmp_path, monkeypatch) as world:
        async with aclosing(world.news.follow(None, KINDS)) as events:
            await told(events, "hello")
            await world.say(0.0, "first")
            _, place = await told(events, "observations")
        for n in range(1, 4):  # nobody follows
            await world.say(n, f"missed {n}")
        async with aclosing(world.news.follow(int(place), KINDS)) as events:
            await told(events, "hello")
            await world.say(9.0, "then")
            found, _ = await told(events, "observations")
            texts = [seen["text"] for seen in found]
            while "then" not in texts:
                texts += [seen["text"] for seen in (await told(events, "observations"))[0]]
        assert texts == ["missed 1", "missed 2", "missed 3", "then"]


async def test_a_reader_that_falls_behind_what_is_kept_reads_on_from_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        world_of(tmp_path, monkeypatch) as world,
        aclosing(world.news.follow(None, KINDS)) as slow,
        aclosing(world.news.follow(None, KINDS)) as quick,
    ):
        await told(slow, "hello")
        await told(quick, "hello")
        total = BATCHES_KEPT + 20
        for n in range(total):
            await world.say(n / 10, f"word {n}")
            await told(quick, "observations")
        texts: list[str] = []
        while len(texts) < total:
            texts += [seen["text"] for seen in (await told(slow, "observations"))[0]]
        assert texts == [f"word {n}" for n in range(total)]


async def test_words_being_spoken_are_the_newest_and_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        world_of(tmp_path, monkeypatch) as world,
        aclosing(world.news.follow(None, frozenset({"partial"}))) as events,
    ):
        await told(events, "hello")
        for text in ("the", "the train", "the train leaves"):
            world.client.on_news(PartialTranscript(source="clip", t0_s=1.0, t_s=2.0, text=text))
        found, _ = await told(events, "partials")
        assert [partial["text"] for partial in found] == ["the train leaves"]
        world.client.on_news(PartialTranscript(source="clip", t0_s=1.0, t_s=3.0, over=True))
        assert (await told(events, "partials"))[0] == []


async def test_a_notice_is_told_to_all_who_follow_then_and_not_after_it_was_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cited = Citation(source="clip", t0_s=1.0, t1_s=2.0, channel="speech", text="x", id="clip/speech/000001000")
    async with world_of(tmp_path, monkeypatch) as world:
        async with aclosing(world.news.follow(None, frozenset({"notice"}))) as events:
            await told(events, "hello")
            world.client.on_news(Notice(id="q1/x", query="q1", text="A person appears [0:01].", citation=cited))
            found, _ = await told(events, "notice")
            assert found["notice"] == "A person appears [0:01]." and found["citation"]["id"] == cited.id
        await world.what.forgotten()
        assert not world.news.partials and world.news._notices == type(world.news._notices)(maxlen=64)


async def test_without_readers_nothing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world_of(tmp_path, monkeypatch) as world:
        scans = 0
        scan = world.client.scan

        async def counted(request: Any) -> Any:
            nonlocal scans
            scans += 1
            return await scan(request)

        monkeypatch.setattr(world.client, "scan", counted)
        await world.say(0.0, "alone")
        await anyio.wait_all_tasks_blocked()
        assert scans == 0
