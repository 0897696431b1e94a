"""Commands as people type them: without quotation marks, half right, beside another agent, with nothing connected."""

from __future__ import annotations

import subprocess
from pathlib import Path

import anyio.to_thread
import pytest

from reasoning.standing.store import StandingQueryStore
from tests.fixtures.agent_runs import SAMPLE, child_pid, finish, run, start
from tests.fixtures.chat_server import Json, Reply, serve_chat
from tests.fixtures.memory_cases import memory_of, say, see, stream


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    frames = [see(float(t), f"a corridor, {t} lamps lit") for t in range(0, 30, 2)]
    spoken = say(20.0, 23.0, "the keys are in the blue jar")
    memory_of(tmp_path / "memory", stream(*frames, spoken, end_s=30.0)).close()
    return tmp_path / "memory"


def test_a_question_needs_no_quotation_marks(memory: Path) -> None:
    asked = run("ask", "where", "are", "the", "keys?", "--memory", memory, "--json")
    assert asked.code == 0, asked.err
    (answer,) = asked.answers
    assert answer["question"] == "where are the keys?" and "blue jar" in answer["answer"]
    assert "blue jar" in run("search", "blue", "jar", "--memory", memory).out


def test_a_question_that_is_too_long_is_the_askers_to_mend(memory: Path) -> None:
    line = run("ask", "why " * 3000, "--memory", memory).assert_one_clear_line()
    assert "a question of 12000 characters is too long" in line


def test_of_conditions_of_which_one_cannot_be_waited_for_none_is_kept(memory: Path) -> None:
    store = StandingQueryStore(memory)
    conditions = ("when a person appears", "when somebody says train", "when it is 5 pm")
    told = [argument for condition in conditions for argument in ("--tell-me", condition)]
    line = run("replay", SAMPLE, "--memory", memory, *told).assert_one_clear_line()
    assert "--tell-me 'when it is 5 pm'" in line
    store = StandingQueryStore(memory)
    assert store.queries == {}


def test_a_camera_that_never_was_there_is_no_success(tmp_path: Path) -> None:
    result = run("live", "/dev/video77", "--mic", "off", "--for", "3", "--memory", tmp_path / "memory")
    line = result.assert_one_clear_line()
    assert "nothing was perceived" in line


def test_a_second_agent_on_a_memory_is_refused_and_leaves_its_logs_alone(memory: Path) -> None:
    assert run("ask", "what is said?", "--memory", memory).code == 0
    kept = {path.name: path.read_bytes() for path in (memory / "logs").iterdir()}
    assert kept
    running = start("chat", "--memory", memory, stdin=subprocess.PIPE)
    while child_pid(memory, "memory") is None:
        assert running.poll() is None
    line = run("replay", SAMPLE, "--memory", memory, "--ask", "what?").assert_one_clear_line()
    assert "an agent runs on" in line
    assert {path.name: path.read_bytes() for path in (memory / "logs").iterdir()} == kept
    assert running.stdin is not None
    running.stdin.close()
    running.stdin = None
    assert finish(running).code == 0


def test_describing_without_a_model_is_one_clear_line(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    line = run("describe", "--memory", memory).assert_one_clear_line()
    assert "no language model answers here" in line


@pytest.mark.anyio
async def test_describing_has_a_model_put_pictures_into_words_that_are_found_without_it(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def describes(request: Json, reply: Reply) -> None:
        await reply.say("A corridor in which a man with a ladder changes a lamp.")

    async with serve_chat(describes) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        described = await anyio.to_thread.run_sync(lambda: run("describe", "clip", "--memory", memory, "--json"))
    assert described.code == 0, described.err
    *parts, reply = described.answers
    assert [part["described"]["text"] for part in parts] == ["A corridor in which a man with a ladder changes a lamp."]
    assert (reply["captions"], reply["left"], reply["model"]) == (1, 0, "openai:tiny")
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    found = await anyio.to_thread.run_sync(lambda: run("search", "ladder", "--memory", memory))
    assert "derived, clip: A corridor in which a man with a ladder changes a lamp." in found.out
