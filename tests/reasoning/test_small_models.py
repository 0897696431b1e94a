"""Small models: found out, asked with one prompt, and recommended by what a machine holds."""

from __future__ import annotations

from typing import Any

import pytest

from reasoning.backends.chat_model import Abilities, ChatMessage, Picture
from reasoning.backends.find_server import billions_of, find_server
from reasoning.backends.ollama import read_model
from reasoning.backends.plans import plan_for
from reasoning.backends.recommend import Machine, recommend, suggest
from runtime.config import ModelConfig
from runtime.errors import ModelError
from tests.fixtures.chat_server import Json, Reply, Script, serve_chat
from tests.fixtures.model_turns import LIGHT, MORNING, SIGN, ask, asking, prompt

pytestmark = pytest.mark.anyio

SMALL = [{"id": "seer-4b", "object": "model"}]


def saying(text: str) -> Script:
    async def script(request: Json, reply: Reply) -> None:
        await reply.say(text)

    return script


@pytest.mark.parametrize(
    "said",
    [
        "It is closed until May [1].",
        '{"answer": "It is closed until May.", "brackets": [1]}',
        '{"answer": "It is closed until May [1].", "brackets": [1]}',
        "```json\n{'answer': 'It is closed until May.', 'brackets': [1],}\n```",
        "It is closed until May [0:06].",
    ],
)
async def test_a_small_model_gets_one_prompt_with_ranked_numbered_evidence(said: str) -> None:
    async with asking(saying(said), models=SMALL) as (server, turns):
        answer = await ask(turns)
    assert (answer.answer, answer.notice) == ("It is closed until May [0:06].", "")
    assert [c.id for c in answer.citations] == [LIGHT.id]
    (request,) = server.requests
    assert "tools" not in request
    assert request["response_format"]["json_schema"]["schema"]["required"] == ["answer", "brackets"]
    lines = [line for line in prompt(request).splitlines() if line.startswith("[")]
    assert lines[0] == '[1] (0:06) heard: "the lighthouse is closed until may"'
    assert {line[:3] for line in lines} == {"[1]", "[2]", "[3]"}
    assert len(prompt(request)) < 1500, "a small model forgets the begin of a long one"


async def test_a_server_without_schemas_is_asked_without_one() -> None:
    async def script(request: Json, reply: Reply) -> None:
        if "response_format" in request:
            await reply.error(400, "response_format json_schema is not supported")
        else:
            await reply.say("It is closed [1].")

    async with asking(script, models=SMALL) as (server, turns):
        assert (await ask(turns)).answer == "It is closed [0:06]."
    assert len(server.requests) == 2


async def test_no_from_a_small_model_is_an_answer_and_a_claim_of_nothing_is_none() -> None:
    async with asking(saying('{"answer": "No, it is closed.", "brackets": [1]}'), models=SMALL) as (_, turns):
        answer = await ask(turns)
        assert (answer.answer, answer.abstained) == ("No, it is closed [0:06].", False)
    async with asking(saying('{"answer": "It burned down.", "brackets": []}'), models=SMALL) as (_, turns):
        assert (await ask(turns)).backend == "extractive"


# --- finding out ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("qwen2.5vl:7b", 7.0),
        ("gemma-3-4b-it", 4.0),
        ("SmolVLM-500M-Instruct", 0.5),
        ("llama3.2:1b", 1.0),
        ("Qwen2.5-VL-72B-Instruct-AWQ", 72.0),
        ("gpt-5", 0.0),
        ("qwen3", 0.0),
        ("llava", 0.0),
    ],
)
def test_the_size_of_a_model_is_in_its_name(name: str, billions: float) -> None:
    assert billions_of({}, name) == billions
    assert billions_of({"meta": {"n_params": 3_000_000_000}}, name) == 3.0


def test_what_ollama_says_of_a_model_is_read() -> None:
    shown: dict[str, Any] = {
        "details": {"parameter_size": "8.3B"},
        "model_info": {"qwen25vl.context_length": 128000, "general.parameter_count": 8},
        "capabilities": ["completion", "vision"],
    }
    told = read_model("seer", shown, {"models": []})
    assert (told.context_tokens, told.billions, told.sees, told.tools) == (4096, 8.3, True, False)
    assert "OLLAMA_CONTEXT_LENGTH" in told.told
    assert read_model("seer", shown | {"parameters": "stop x\nnum_ctx   9000\n"}, {}).context_tokens == 9000
    loaded = {"models": [{"name": "other", "context_length": 1}, {"name": "seer", "context_length": 128000}]}
    told = read_model("seer", shown, loaded)
    assert (told.context_tokens, told.told) == (128000, "")
    nothing = read_model("seer", {}, {})
    assert (nothing.context_tokens, nothing.sees, nothing.billions, nothing.told) == (4096, None, 0.0, "")


async def test_a_server_that_only_looks_like_ollama_is_used_as_it_is() -> None:
    listed = [{"id": "seer", "object": "model", "owned_by": "library"}]
    async with serve_chat(saying("Yes."), models=listed) as server:
        found = await find_server(ModelConfig(base_url=server.base_url))
    assert found is not None
    assert (found.abilities.context_tokens, found.abilities.images, found.note) == (4096, True, "")


async def test_a_file_for_llama_cpp_is_explained(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from reasoning.backends.find_server import ServerFinder
    from reasoning.backends.transformers_model import locate_model

    monkeypatch.setenv("OPENAI_BASE_URL", "")
    path = tmp_path / "seer.gguf"
    for name, told in ((path, "there is no file"), (path, "llama-server -m")):
        with pytest.raises(ModelError, match=told):
            await ServerFinder(ModelConfig(name=str(name)), required=False)()
        with pytest.raises(ModelError, match=told):
            locate_model(ModelConfig(name=str(name)))
        path.write_bytes(b"GGUF")


# --- how it is asked ------------------------------------------------------------------------------


def test_a_plan_follows_what_a_model_takes() -> None:
    options = ModelConfig()
    large = plan_for(Abilities(64_000, True, True), options)
    assert (large.steps, large.pictures, large.sheet, large.numbered, large.answer_tokens) == (6, 10, False, False, 400)
    small = plan_for(Abilities(16_000, True, True, billions=4.0, schema=True), options)
    assert (small.steps, small.pictures, small.sheet, small.numbered, small.schema) == (0, 9, True, True, True)
    assert plan_for(Abilities(64_000, True, True, most_images=1), options).sheet
    blind = plan_for(Abilities(64_000, False, True), options)
    assert (blind.pictures, blind.sheet) == (0, False)
    assert plan_for(Abilities(64_000, True, True, thinks=True), options).answer_tokens == 1600
    assert plan_for(Abilities(1024, True, True), options).answer_tokens == 170


@pytest.mark.parametrize(
    ("gib", "has_gpu", "name"),
    [
        (80.0, True, "qwen2.5vl:72b"),
        (24.0, True, "qwen2.5vl:7b"),
        (6.0, True, "qwen2.5vl:3b"),
        (60.0, False, "qwen2.5vl:3b"),
        (4.0, True, ""),
        (2.0, False, ""),
    ],
)
def test_a_model_is_recommended_by_what_a_machine_holds(gib: float, has_gpu: bool, name: str) -> None:
    machine = Machine(gib, has_gpu)
    suggested = suggest(machine)
    assert (suggested.name if suggested else "") == name
    told = recommend(machine)
    assert (f"`ollama pull {name}`" in told) == bool(name)
    assert "until then answers are quoted" in told and "\n" not in told
    assert ("reasoning.deadline_s" in told) == (bool(name) and not has_gpu)


async def test_the_rows_a_model_sees_are_those_of_memory() -> None:
    async with asking(saying("Keep out [3]."), models=SMALL) as (_, turns):
        answer = await ask(turns, "What does the sign say?")
    assert answer.citations[0].id in {MORNING.id, LIGHT.id, SIGN.id}


async def test_what_pictures_cost_is_learned_from_what_the_server_counts() -> None:
    async def script(request: Json, reply: Reply) -> None:
        await reply.begin_stream()
        await reply.event({"content": "Yes [0:10]."}, "stop")
        counted = 200 + sum(1000 for m in request["messages"] if isinstance(m["content"], list))
        await reply.event(choices=[], usage={"prompt_tokens": counted, "completion_tokens": 2, "total_tokens": counted})
        await reply.send(b"data: [DONE]\n\n")

    jpeg = b"\xff\xd8nothing that can be decoded"
    async with serve_chat(script) as server:
        model = await find_server(ModelConfig(base_url=server.base_url))
        assert model is not None
        before = model.count_picture(jpeg)
        for content in (("word " * 140,), ("word " * 140, Picture(jpeg))):
            _ = [piece async for piece in model.stream([ChatMessage("user", content)], (), 50)]
        assert before < 900 < model.count_picture(jpeg) < 1300
        named = await find_server(ModelConfig(base_url=server.base_url, image_tokens=77))
        assert named is not None and named.count_picture(jpeg) == 77
