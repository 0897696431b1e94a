"""Forgetting while a live agent perceives: what is on its way does not come back, what is still there comes anew."""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import cv2
import numpy as np
import pytest

from memory.erasure.forget import forget
from memory.store.batch import gather
from memory.store.database import Store
from perception.audio.pipeline import Heard
from perception.capture.align import SoundPiece
from perception.capture.blocks import CHUNK_S, CHUNK_SAMPLES
from perception.processes import watch
from perception.processes.listen_live import LiveAudioPipeline
from reasoning.process import main as reason
from runtime.config import Config, parse_config
from runtime.messages import (
    ForgetRequest,
    Forgotten,
    Message,
    Observation,
    PartialTranscript,
    SourceOpened,
    StandingRequest,
    TimeWindow,
)
from runtime.service import Service
from runtime.sources import parse_source
from tests.fixtures.agent_runs import finish, remembered, run, start, wait_for
from tests.fixtures.callers import Caller
from tests.fixtures.listed_memory import SOURCE, ListedMemory, said
from tests.fixtures.live_world import QUICK, World
from tests.fixtures.loopback import Loopback, moving_square
from tests.fixtures.memory_cases import progress, remember, say, see, send
from tests.fixtures.standing_world import Says, Stores, person, standing

ALL = 1e6


def live_memory(directory: Path, *observations: Message) -> Store:
    store = Store(directory)
    opened = [SourceOpened(source="clip", track=track, kind="camera") for track in ("video", "audio")]
    remember(store, gather(send("live", *opened, *observations)))
    return store


def stored(store: Store) -> dict[str, tuple[str, ...]]:
    """id -> evidence of what is perceived and no gap."""
    with closing(store.reader()) as reader:
        rows = reader.execute("SELECT id, evidence FROM observations WHERE channel != 'gap'").fetchall()
    return {id_: tuple(json.loads(evidence)) for id_, evidence in rows}


SIGN = say(10.0, 10.0, "WAREHOUSE NORTHGATE", channel="text")
FIRST = see(10.0, "a yard", vector=(1.0, 0.0))


def showing_sign(t_s: float) -> Observation:
    return Observation(
        id=f"clip/frame/{round(t_s * 1000):09d}", source="clip", channel="frame", t0_s=t_s, t1_s=t_s, text="a yard",
        payload=b"\xff\xd8 the yard at %d" % t_s, evidence=(SIGN.id,),
    )  # fmt: skip


def test_a_forgotten_word_that_was_being_said_is_refused_when_it_comes_and_may_be_said_again(tmp_path: Path) -> None:
    store = live_memory(tmp_path, say(5.0, 6.0, "the locker has a porcupine on it"), progress(19.0, "audio"))
    forget(store, ForgetRequest(text="porcupine", until_s={"clip": 20.0}))
    on_its_way = say(18.0, 24.0, "seven is what the porcupines say")
    other, later = say(15.0, 17.0, "the door is open"), say(21.0, 23.0, "what a fine porcupine")
    remember(store, gather(send("live", on_its_way, other, later, first=90)))
    assert set(stored(store)) == {other.id, later.id}
    # When nothing from then can come any more the word is not known to any process.
    remember(store, gather(send("live", progress(900.0, "audio"), first=99)))
    assert not store.pending_erasure.began_in_time(on_its_way)
    store.close()


def test_pictures_of_a_forgotten_sign_on_their_way_are_refused_and_later_ones_do_not_name_it(tmp_path: Path) -> None:
    store = live_memory(tmp_path, SIGN, showing_sign(10.0))
    forget(store, ForgetRequest(text="northgate", until_s={"clip": 12.0}))
    remember(store, gather(send("live", showing_sign(11.5), showing_sign(13.0), first=90)))
    assert stored(store) == {showing_sign(13.0).id: ()}
    with closing(store.reader()) as reader:
        assert reader.execute("SELECT count(*) FROM links WHERE to_id=?", (SIGN.id,)).fetchone() == (0,)
    store.close()


def test_an_answer_told_beside_another_source_than_its_erased_evidence_is_not_remembered(tmp_path: Path) -> None:
    store = live_memory(tmp_path, SIGN)
    forget(store, ForgetRequest(windows=(TimeWindow(source="clip", t0_s=9.0, t1_s=12.0),)))
    told = Observation(
        id="hall/answer/1", source="hall", channel="answer", t0_s=3.0, t1_s=3.0, text="Northgate.", evidence=(SIGN.id,)
    )
    remember(store, gather(send("reasoning", told)))
    assert stored(store) == {}
    store.close()


def a_sign(t_s: float) -> np.ndarray:
    picture = np.full((240, 480, 3), 235, np.uint8)
    cv2.putText(picture, "NORTHGATE", (40, 130), cv2.FONT_HERSHEY_SIMPLEX, 2.0, (10, 10, 10), 4)
    return picture


@pytest.mark.anyio
async def test_a_sign_that_is_still_there_is_read_anew_and_what_was_kept_of_it_is_let_go() -> None:
    vision = {**QUICK["perception"]["vision"], "read_text": True}
    config = parse_config({"perception": {**QUICK["perception"], "vision": vision}}, "test")
    with Loopback(a_sign, rate_hz=10.0, clip_s=1.0) as camera:
        world = World(camera.url("mjpeg"), config)
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(watch.main, cast(Service, world))
                await world.until(lambda: world.observations("text"))
                elsewhere = TimeWindow(source="yard@now", t0_s=0.0, t1_s=ALL)
                await world.handlers[Forgotten](Forgotten(windows=(elsewhere,)))
                frames = len(world.observations("frame"))
                await world.until(lambda: world.counters.get("frames", 0.0) > frames + 5)
                assert len(world.observations("text")) == 1
                asked_s = world.clock.now()
                here = TimeWindow(source="door@now", t0_s=0.0, t1_s=asked_s)
                await world.handlers[Forgotten](Forgotten(windows=(here,)))
                await world.until(lambda: len(world.observations("text")) == 2)
                world.stopping.set()
    again = world.observations("text")[1]
    assert "NORTHGATE" in again.text
    assert again.t0_s > asked_s
    last = [frame for frame in world.observations("frame") if frame.t0_s >= again.t0_s]
    assert all(frame.evidence == (again.id,) for frame in last)


class Listens:
    """Stands in for hearing: an utterance that is open since its first block."""

    def __init__(self) -> None:
        self.open_s: float | None = None

    @property
    def settled_s(self) -> float:
        return self.open_s or 0.0

    def step(self, block: Any) -> list[Heard]:
        self.open_s = block.t0_s if self.open_s is None else self.open_s
        return []


def test_half_an_utterance_is_let_go_and_hearing_goes_on_without_a_gap() -> None:
    begun: list[Listens] = []

    def begin() -> Any:
        begun.append(Listens())
        return begun[-1]

    world = World("mic", Config())
    ears = LiveAudioPipeline(cast(Service, world), parse_source("mic"), begin, 0.0)
    ears.inbox.opened("")
    gaps: list[Observation] = []
    for first_piece in (0, 20):
        for k in range(first_piece, first_piece + 20):
            at_s = (k + 1) * CHUNK_S
            ears.inbox.put(SoundPiece(np.zeros(CHUNK_SAMPLES, np.float32), at_s, at_s))
        while ears.heard_s < at_s - 0.1:
            gaps += ears.step().gaps
        ears.anew.set()
    assert len(begun) == 2
    first, second = (hearing.open_s for hearing in begun)
    assert first is not None and second is not None and second >= first + 15 * CHUNK_S
    assert gaps == []


@pytest.mark.anyio
async def test_what_was_being_said_is_neither_told_nor_noticed_and_what_is_said_after_is(tmp_path: Path) -> None:
    memory = ListedMemory(said(1.0, 2.0, "hello"))
    give, come = anyio.create_memory_object_stream[Message](10)
    notices: list[Message] = []

    async def subscribe(*topics: str) -> AsyncIterator[Any]:
        if "partial" not in topics:
            await anyio.sleep_forever()
        async for message in come:
            yield SimpleNamespace(message=message)

    async def serve(handlers: dict[type[Message], Any]) -> None:
        await handlers[StandingRequest](StandingRequest(action="add", text="whenever somebody says lighthouse"))
        await handlers[Forgotten](Forgotten(until_s={SOURCE: 20.0}))
        for t0_s, t_s in ((18.0, 22.0), (60.0, 62.0)):
            await give.send(PartialTranscript(source=SOURCE, t0_s=t0_s, t_s=t_s, text="the lighthouse is closed"))
            await anyio.wait_all_tasks_blocked()

    service = SimpleNamespace(
        config=Config(), log=logging.getLogger("test"), caller=lambda name: Caller(memory), serve=serve,
        has=lambda name: False, members_of=lambda role: (), ready=lambda: None, report=lambda **given: None,
        on_control=lambda kind, handle: None, in_thread=anyio.to_thread.run_sync, folder=tmp_path, read_only=False,
        subscribe=subscribe, publish=lambda topic, message: notices.append(message),
    )  # fmt: skip
    with anyio.fail_after(20):
        await reason(service)  # type: ignore[arg-type]
    assert [getattr(notice, "known_s", None) for notice in notices] == [62.0]


class Ponders(Says):
    """A model that takes until it is let to answer."""

    def __init__(self, *answers: str) -> None:
        super().__init__(*answers)
        self.asked_it, self.may_answer = anyio.Event(), anyio.Event()

    async def respond(self, question: Any, context: Any) -> AsyncIterator[Any]:
        self.asked_it.set()
        await self.may_answer.wait()
        async for part in super().respond(question, context):
            yield part


@pytest.mark.anyio
async def test_what_is_looked_at_when_it_is_erased_is_not_told_and_what_comes_after_is(tmp_path: Path) -> None:
    memory, model = Stores(), Ponders("Yes.", "Yes.")
    watch, told = standing(memory, tmp_path, model)
    await watch.order("whenever a person appears, tell me", "main")
    watch.hear_of(memory.perceive(person(5.0, "red", 1)))
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch.catch_up)
            await model.asked_it.wait()
            memory.observations = []
            await watch.forget()
            model.may_answer.set()
        assert told == [] and memory.remembered == []
        watch.hear_of(memory.perceive(person(90.0, "blue", 2)))
        await watch.catch_up()
    assert [notice.citation.t0_s for notice in told] == [90.0]
    assert "in red" not in (tmp_path / "standing.json").read_text()


FRAMES = "SELECT count(*) FROM observations WHERE channel = 'frame'"


def frames_between(memory: Path, t0_s: float, t1_s: float) -> int:
    return remembered(memory, f"{FRAMES} AND t0_s >= {t0_s} AND t0_s <= {t1_s}")


def test_from_another_terminal_or_the_chat_what_was_seen_goes_for_good_and_watching_goes_on(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    profile = tmp_path / "quick.yaml"
    profile.write_text("perception: {vision: {read_text: false}}")
    with Loopback(moving_square((320, 240)), rate_hz=10.0, clip_s=1.0) as camera:
        agent = start("live", f"door={camera.url('mjpeg')}", "--memory", memory, "--config", profile)
        wait_for(memory, FRAMES, 3)
        result = run("forget", "--last", "1h", "--yes", "--json", "--memory", memory)
        assert result.code == 0, result.err
        (told,) = result.answers
        (window,) = told["windows"]
        assert told["observations"]["frame"] >= 3 and told["traces"] == {}
        wait_for(memory, f"{FRAMES} AND t0_s > {window['t1_s'] + 1}", 2)
        assert frames_between(memory, 0.0, window["t1_s"]) == 0

        chat = start("chat", "--memory", memory, stdin=subprocess.PIPE)
        out, err = chat.communicate("/forget\n/forget yes\n/forget --last 1h\n/forget yes\n/trace\n", timeout=120)
        assert "Forgotten: " in out and "erases all of this" in out, err
        assert err.count("forget what?") == 2 and "nothing was asked yet" in out
        with closing(sqlite3.connect(memory / "memory.db")) as database:
            stones = database.execute("SELECT t0_s, t1_s FROM erasures ORDER BY t1_s").fetchall()
        assert len(stones) == 2 and stones[0][1] == window["t1_s"]
        wait_for(memory, f"{FRAMES} AND t0_s > {stones[1][1] + 1}", 2)
        agent.terminate()
        ended = finish(agent)
    assert ended.code == 143 and "Traceback" not in ended.err, ended.err
    assert frames_between(memory, 0.0, stones[1][1]) == 0
