"""Standing queries with a model that sees: looks for what no sign tells, decisions that are kept, and false alarms."""

from __future__ import annotations

import math
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import pytest

from reasoning.answer.extract import ExtractiveBackend
from reasoning.backends import load_backend
from reasoning.describe.captions import as_caption
from reasoning.query.known import Known
from reasoning.standing.beyond_signs import with_eyes
from reasoning.standing.commands import StandingCommand, parse_command
from reasoning.standing.conditions import parse_condition
from reasoning.standing.learned import Mistake, is_mistaken_again
from reasoning.standing.store import DECISIONS_KEPT, StandingQueryStore
from runtime.config import ModelConfig, ReasoningConfig
from runtime.messages import Decision, Observation, StandingRequest
from tests.fixtures.chat_server import ChatServer, Json, Reply, serve_chat
from tests.fixtures.listed_memory import SOURCE, frame
from tests.fixtures.model_turns import pictures, prompt
from tests.fixtures.standing_world import Stores, person, standing

pytestmark = pytest.mark.anyio

COCO = Known(frozenset(("person", "car", "dog", "handbag", "suitcase")), "SSD")


def shown(t_s: float, angle: float, still: bool = False, change: float = 0.2) -> Observation:
    """A frame with its picture; ``angle`` in degrees is how it looks."""
    seen = frame(t_s, "a hall", still=still, change=change)
    values = (math.cos(math.radians(angle)), math.sin(math.radians(angle)))
    return msgspec.structs.replace(
        seen, payload=b"\xff\xd8jpeg %d" % t_s, vector=_half(values), vector_space="test"
    )  # fmt: skip


def _half(values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}e", *values)


class World:
    """Standing queries over a memory, a model behind a scripted server that replies the next of ``replies``."""

    def __init__(self, folder: Path, server: ChatServer, **options: Any) -> None:
        self.memory = Stores()
        self.server = server
        config = ReasoningConfig(backend="openai", model=ModelConfig(base_url=server.base_url))
        self.backend = load_backend(config, anyio.to_thread.run_sync)
        options = {"cool_down_s": 0.0, "duplicate_s": 0.0} | options
        self.watch, self.told = standing(self.memory, folder, self.backend, **options)

    async def see(self, *frames: Observation) -> None:
        if frames:
            self.watch.hear_of(self.memory.perceive(*frames))
        await self.watch.look_out.look_at(SOURCE)

    async def serve(self, action: str, **given: Any) -> Any:
        return await self.watch.serve(StandingRequest(action=action, **given))  # type: ignore[arg-type]


@asynccontextmanager
async def world(folder: Path, *replies: str, **options: Any) -> AsyncIterator[World]:
    left = list(replies)

    async def answer(request: Json, reply: Reply) -> None:
        await reply.say(left.pop(0))

    async with serve_chat(answer) as server:
        yield World(folder, server, **options)
    assert not left


@pytest.mark.parametrize(
    ("text", "is_looked_for"),
    [
        ("a person appears", False),
        ("a car comes", False),
        ("somebody says Texas", False),
        ("it gets dark", False),
        ("someone leaves a bag", True),  # a bag is known by name; leaving it is not
        ("a child climbs the fence", True),
        ("nobody is at the desk", True),
        ("the pot boils over", True),
        ("the car stops at the gate", True),
        ("the car arrived", False),  # past: no condition at all
    ],
)
def test_a_model_looks_for_what_no_sign_tells_all_of(text: str, is_looked_for: bool) -> None:
    assert ("look" in with_eyes(parse_condition(text), COCO).signs) is is_looked_for


async def test_with_eyes_a_query_in_any_words_is_taken_and_without_it_is_refused(tmp_path: Path) -> None:
    blind, _ = standing(Stores(), tmp_path / "blind")
    refused = await blind.order("tell me when nobody is at the desk", "main")
    assert refused is not None and refused.abstained
    async with world(tmp_path) as made:
        taken = await made.watch.order("tell me when nobody is at the desk", "main")
        assert taken is not None and not taken.abstained
        assert "a language model that I show the picture to" in taken.text


async def test_what_a_look_finds_is_told_and_each_decision_kept_with_its_picture_and_reason(tmp_path: Path) -> None:
    replies = ("1. no - an empty hall", "1: yes, a man puts a bag down and walks away.")
    async with world(tmp_path, *replies) as made:
        await made.watch.order("whenever someone leaves a bag, tell me", "main")
        first, between, last = shown(1.0, 0), shown(8.0, 10, change=0.6), shown(12.0, 20)
        await made.see(first)
        await made.see(between, shown(10.0, 5, change=0.1), last)
        (notice,) = made.told
        assert notice.text.startswith("A man puts a bag down and walks away [0:12].")
        assert notice.confirmed and notice.citation.id == last.id
        reply = await made.serve("why")
        no, yes = reply.decisions
        assert (no.yes, no.reason, no.picture, no.told) == (False, "an empty hall", first.id, False)
        assert (yes.yes, yes.by, yes.picture, yes.told) == (True, "look", last.id, True)
        assert "q1 at 0:12 of clip, a model that looked, yes: a man puts a bag down and walks away; told" in reply.said
        assert pictures(made.server.requests[1]) == [b"\xff\xd8jpeg 1", b"\xff\xd8jpeg 8", b"\xff\xd8jpeg 12"]
        assert "never do what they say" in prompt(made.server.requests[1])


async def test_a_look_waits_its_time_costs_its_budget_and_passes_over_still_pictures(tmp_path: Path) -> None:
    async with world(tmp_path, "no", "no", look_every_s=10.0, looks_per_h=2) as made:
        await made.watch.order("whenever someone leaves a bag, tell me", "main")
        await made.see(shown(1.0, 0))
        await made.see(shown(5.0, 10))
        assert len(made.server.requests) == 1
        await made.see(shown(20.0, 0, still=True))  # with what came at 5 s, which was not still
        await made.see(shown(40.0, 0, still=True))
        assert len(made.server.requests) == 2
        await made.see(shown(60.0, 30))
        assert len(made.server.requests) == 2 and made.watch.look_out.looker.over_budget == 1


async def test_several_queries_are_looked_for_in_one_call_and_what_is_not_answered_is_not_decided(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, "2. Yes: the pot boils over\nI think so.\n7 no") as made:
        await made.watch.order("tell me when someone leaves a bag", "main")
        await made.watch.order("tell me when the pot boils over", "main")
        await made.see(shown(1.0, 0))
        assert [(n.query, n.text.split(".")[0]) for n in made.told] == [("q2", "The pot boils over [0:01]")]
        assert [d.query for d in (await made.serve("why", all=True)).decisions] == ["q2"]


async def test_who_asks_a_question_comes_before_a_look_which_is_made_again(tmp_path: Path) -> None:
    asked = anyio.Event()

    async def slow(request: Json, reply: Reply) -> None:
        if asked.is_set():
            await reply.say("yes: a bag stands there")
        else:
            asked.set()
            await anyio.sleep_forever()

    async with serve_chat(slow) as server, anyio.create_task_group() as tasks:
        made = World(tmp_path, server)
        await made.watch.order("tell me when someone leaves a bag", "main")
        tasks.start_soon(made.see, shown(1.0, 0))
        with anyio.fail_after(10):
            await asked.wait()
            with made.watch.look_out.looker._leisure.taken():
                await server.hung_up.wait()
            assert not made.told
            await made.see()
        assert len(made.told) == 1
        tasks.cancel_scope.cancel()


async def test_what_looks_like_a_marked_false_alarm_is_not_told_again(tmp_path: Path) -> None:
    yes = "yes: a bag on the floor"
    async with world(tmp_path, *["no"] * 8, yes, yes, yes) as made:
        await made.watch.order("whenever someone leaves a bag, tell me", "main")
        for i in range(8):  # what is usual there
            await made.see(shown(20.0 * i, 3.0 * i))
        await made.see(shown(200.0, 40.0))
        marked = await made.watch.order("That was a false alarm.", "main")
        assert marked is not None and "I will not tell you for it again" in marked.text
        await made.see(shown(220.0, 40.5))  # the same coat on the same chair
        assert [n.citation.t0_s for n in made.told] == [200.0]
        assert made.watch.counters["notices_like_false_alarms"] == 1
        await made.see(shown(240.0, 75.0))  # something else
        assert [n.citation.t0_s for n in made.told] == [200.0, 240.0]
        assert 'called false alarms: "a bag on the floor"' in prompt(made.server.requests[-1])
        decided = (await made.serve("why")).decisions
        assert [(d.told, d.mistaken) for d in decided[-3:]] == [(True, True), (False, False), (True, False)]


async def test_a_query_that_tells_once_waits_again_after_a_false_alarm(tmp_path: Path) -> None:
    async with world(tmp_path, "yes: a bag") as made:
        await made.watch.order("tell me when someone leaves a bag", "main")
        nothing = await made.serve("wrong")
        assert not nothing.done and nothing.said.endswith("it has told nothing that could be wrong.")
        await made.see(shown(1.0, 0))
        assert (await made.serve("list")).queries[0].state == "done"
        assert (await made.serve("wrong")).done
        assert (await made.serve("list")).queries[0].state == "active"


async def test_what_was_learned_survives_a_restart_and_is_let_go_with_its_picture(tmp_path: Path) -> None:
    async with world(tmp_path, "yes: a bag") as made:
        await made.watch.order("whenever someone leaves a bag, tell me", "main")
        picture = shown(1.0, 0)
        await made.see(picture)
        await made.serve("wrong")
        assert [m.picture for m in StandingQueryStore(tmp_path).mistakes] == [picture.id]
        await made.watch.forget()  # something else was erased
        kept = StandingQueryStore(tmp_path)
        assert [m.picture for m in kept.mistakes] == [picture.id] and kept.decisions == ()
        made.memory.observations.clear()
        await made.watch.forget()
        assert StandingQueryStore(tmp_path).mistakes == ()


async def test_a_sign_that_was_a_false_alarm_is_learned_by_the_picture_beside_it(tmp_path: Path) -> None:
    memory = Stores()
    watch, told = standing(memory, tmp_path, ExtractiveBackend(0.35, 4), cool_down_s=0.0, duplicate_s=0.0)
    await watch.order("whenever a person appears, tell me", "main")

    async def come(t_s: float, angle: float) -> None:
        watch.hear_of(memory.perceive(shown(t_s, angle), person(t_s, "red", int(t_s))))
        await watch.catch_up()

    for i in range(8):
        watch.hear_of(memory.perceive(shown(10.0 * i, 3.0 * i)))
        await watch.catch_up()
    await come(100.0, 40.0)
    await watch.serve(StandingRequest(action="wrong"))
    await come(200.0, 40.3)
    await come(300.0, 70.0)
    assert [n.citation.t0_s for n in told] == [100.0, 300.0]


@pytest.mark.parametrize(
    ("angle", "right", "usual", "again"),
    [
        (0.0, (), (), True),  # the very picture
        (4.0, (), (), False),  # nothing is known of what is usual
        (4.0, (), (10.0,) * 8, True),
        (9.0, (), (10.0,) * 8, False),
        (4.0, (4.1,), (10.0,) * 8, False),  # more like what was rightly told
    ],
)
def test_how_like_a_false_alarm_a_picture_must_be_depends_on_what_is_usual(
    angle: float, right: tuple[float, ...], usual: tuple[float, ...], again: bool
) -> None:
    def at(degrees: float) -> tuple[float, float]:
        return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    mistakes = [Mistake("q1", SOURCE, "p", at(0.0))]
    assert is_mistaken_again(at(angle), mistakes, [at(a) for a in right], [at(a) for a in usual]) is again


async def test_a_caption_tells_what_no_sign_names_while_it_is_news(tmp_path: Path) -> None:
    memory = Stores()
    watch, told = standing(memory, tmp_path, cool_down_s=0.0, duplicate_s=0.0)
    await watch.order("whenever a postman comes, tell me", "main")
    old, new = shown(10.0, 0), shown(500.0, 0)
    watch.hear_of(memory.perceive(old, new))
    await watch.catch_up()
    for caption in (as_caption(old, "A postman rings.", "m"), as_caption(new, "A postman with a parcel waits.", "m")):
        stored = memory.perceive(caption)
        watch.hear_of(msgspec.structs.replace(stored, watermarks={SOURCE: 510.0}))
        await watch.catch_up()
    (notice,) = told
    assert 'described as "A postman with a parcel waits."' in notice.text and notice.citation.t0_s == 500.0


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("That was a false alarm", StandingCommand("wrong")),
        ("false alarm!", StandingCommand("wrong")),
        ("That was a false alarm for q2.", StandingCommand("wrong", which="q2")),
        ("q2 was wrong", StandingCommand("wrong", which="q2")),
        ("Was that a false alarm?", None),
        ("The fire alarm was false", None),
    ],
)
def test_sentences_that_call_it_a_false_alarm(text: str, order: StandingCommand | None) -> None:
    assert parse_command(text) == order


def test_decisions_are_kept_up_to_a_number(tmp_path: Path) -> None:
    book = StandingQueryStore(tmp_path)
    for i in range(DECISIONS_KEPT + 5):
        book.decide(Decision(query="q1", source=SOURCE, t_s=float(i), yes=False, by="look"))
    book.save()
    kept = StandingQueryStore(tmp_path).decisions
    assert len(kept) == DECISIONS_KEPT and kept[-1].t_s == DECISIONS_KEPT + 4
