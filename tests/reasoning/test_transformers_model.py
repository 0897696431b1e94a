"""Models of the true architectures with few random weights, in this process and behind `transformers serve`."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2
import msgspec
import pytest

from reasoning.backends import load_backend
from reasoning.backends.chat_model import ChatMessage, Finish, Picture, Tool, ToolCall
from reasoning.backends.find_server import find_server
from reasoning.backends.transformers_model import ModelLoader, TransformersModel, load_model
from reasoning.turn import Turns
from runtime.clock import MonotonicClock
from runtime.config import ModelConfig, ReasoningConfig
from runtime.errors import ContextTooLong, ModelError
from runtime.messages import Answer, AskRequest
from tests.fixtures.listed_memory import ListedMemory, frame, said
from tests.fixtures.tiny_models import make_qwen2_vl, make_smolvlm, make_text_model

pytest.importorskip("transformers")
pytestmark = [pytest.mark.anyio, pytest.mark.processes]  # transformers asks ldconfig what is there

SEARCH = Tool("search", "Find.", {"type": "object", "properties": {"text": {"type": "string"}}})


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[Path], Path]], Path]:
    """The folder of a tiny model, made once."""
    made: dict[str, Path] = {}

    def folder(make: Callable[[Path], Path]) -> Path:
        if make.__name__ not in made:
            made[make.__name__] = make(tmp_path_factory.mktemp(make.__name__))
        return made[make.__name__]

    return folder


Folders = Callable[[Callable[[Path], Path]], Path]


def load(folder: Path, in_thread: Any = anyio.to_thread.run_sync, **config: Any) -> TransformersModel:
    return load_model(ModelConfig(name=str(folder), **config), in_thread)


def picture() -> Picture:
    from PIL import Image

    jpeg = io.BytesIO()
    Image.new("RGB", (384, 216), (120, 30, 30)).save(jpeg, "JPEG")
    return Picture(jpeg.getvalue())


async def whole(model: Any, *content: str | Picture, tools: tuple[Tool, ...] = (), tokens: int = 8) -> list[Any]:
    messages = [ChatMessage("system", ("Be brief.",)), ChatMessage("user", content)]
    async with aclosing(model.stream(messages, tools, tokens)) as pieces:
        return [piece async for piece in pieces]


@pytest.mark.parametrize("make", [make_qwen2_vl, make_smolvlm])
async def test_a_vision_language_model_answers_about_a_picture(folders: Folders, make: Callable[[Path], Path]) -> None:
    model = load(folders(make))
    assert model.abilities.images
    before, after = await whole(model, "now"), await whole(model, "now", picture())
    assert isinstance(before[-1], Finish)
    assert "".join(map(str, before)) != "".join(map(str, after)), "the picture changes what it says"
    blind = model._encode([ChatMessage("user", ("now",))], ())["input_ids"].shape[1]
    seeing = model._encode([ChatMessage("user", ("now", picture()))], ())["input_ids"].shape[1]
    assert seeing - blind == model.count_picture(picture().jpeg) > 1


async def test_a_text_model_takes_no_pictures_but_tools(folders: Folders) -> None:
    model = load(folders(make_text_model))
    assert (model.abilities.images, model.abilities.tools) == (False, True)
    assert model.count_tokens("the lighthouse is closed") < len("the lighthouse is closed")
    pieces = await whole(model, "hello", tools=(SEARCH,))
    assert pieces[-1] == Finish("length")


async def test_a_call_it_writes_is_a_call_and_no_words(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(folders(make_text_model))
    written = (
        'Well. <tool_call>\n{"name": "search", "arguments": {"text": "may"}}\n</tool_call><tool_call>no</tool_call>'
    )

    def generate(streamer: Any, input_ids: Any, **_: Any) -> Any:
        streamer.put(input_ids[0])
        for token in model._tokenizer(written)["input_ids"]:
            streamer.put(input_ids.new_tensor([token]))
        streamer.end()
        return input_ids

    monkeypatch.setattr(model._model, "generate", generate)
    *words, call, finish = await whole(model, "hello", tools=(SEARCH,))
    assert "".join(words).strip() == "Well."
    assert call == ToolCall("call_0", "search", {"text": "may"})
    assert finish == Finish("tools")


async def test_giving_up_stops_it_at_its_next_word(folders: Folders) -> None:
    made: list[int] = []
    over = anyio.Event()

    async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
        try:
            made.append(await anyio.to_thread.run_sync(function, *args))
        finally:
            over.set()
        return made[-1]

    model = load(folders(make_text_model), in_thread)
    model._model.generation_config.eos_token_id = None
    model._is_plain = True
    async with aclosing(model.stream([ChatMessage("user", ("tell me all",))], (), 3000)) as pieces:
        async for piece in pieces:
            assert isinstance(piece, str)
            break
    with anyio.fail_after(60):
        await over.wait()
    assert 0 < made[0] < 3000


async def test_a_prompt_too_long_is_refused_before_it_is_read(folders: Folders) -> None:
    with pytest.raises(ContextTooLong) as caught:
        await whole(load(folders(make_text_model), context_tokens=256), "word " * 400)
    assert caught.value.limit_tokens == 256


async def test_a_model_that_is_not_here_is_one_clear_line() -> None:
    for name, told in (("Qwen/Nowhere-7B", "run `run_agent.py setup`"), ("", "no model is named")):
        with pytest.raises(ModelError, match=told):
            await ModelLoader(ModelConfig(name=name), anyio.to_thread.run_sync)()


async def test_a_folder_that_holds_no_model_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2"}')
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


async def test_a_question_goes_through_it_from_memory_to_an_answer(folders: Folders) -> None:
    seen = msgspec.structs.replace(frame(2.0, "grey"), payload=picture().jpeg)
    memory = ListedMemory(said(1.0, 2.0, "the lighthouse is closed"), seen)
    model = ModelConfig(name=str(folders(make_qwen2_vl)), answer_tokens=8)
    config = ReasoningConfig(backend="transformers", model=model)
    async with anyio.create_task_group() as tasks:
        backend = load_backend(config, anyio.to_thread.run_sync)
        await backend.open()
        assert backend.name.startswith("transformers:")
        turns = Turns(tasks, memory, backend, config, MonotonicClock(), logging.getLogger("test"))
        messages = [message async for message in turns.ask(AskRequest(question="What do you see right now?"))]
        tasks.cancel_scope.cancel()
    answer = messages[-1]
    assert isinstance(answer, Answer)
    assert "1 pictures" in answer.trace[0].found, answer.trace
    # Random weights point to nothing: what they say is no supported answer, and is not passed off as one.
    assert answer.abstained or answer.backend == "extractive"


# --- a real server ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Serving:
    process: subprocess.Popen[bytes]
    base_url: str
    log: Path

    def account_of(self, error: ModelError) -> str:
        """The error and what the server logged last; skips the test where the server itself has crashed."""
        logged = self.log.read_text(errors="replace")[-3000:]
        # A connection breaks before the process that held it is gone.
        with contextlib.suppress(subprocess.TimeoutExpired):
            pytest.skip(f"`transformers serve` ended by itself with exit code {self.process.wait(5)}: {logged}")
        return f"{error}\n{logged}"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Serving]:
    """`transformers serve` on a free port."""
    pytest.importorskip("fastapi")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).parent / "transformers"), "serve", "--host", "127.0.0.1", "--port", str(port)]
    # Listing its models, the server fails where there is no cache at all.
    (tmp_path / "hub").mkdir()
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
    try:
        async with httpx2.AsyncClient(trust_env=False) as client:
            with anyio.fail_after(120):
                while server.poll() is None:
                    try:
                        await client.get(f"http://127.0.0.1:{port}/health")
                        break
                    except httpx2.TransportError:
                        await anyio.sleep(0.2)
        assert server.poll() is None, (tmp_path / "log").read_text()
        yield Serving(server, f"http://127.0.0.1:{port}/v1", tmp_path / "log")
    finally:
        server.terminate()
        server.wait(30)


async def test_transformers_serve_answers_about_a_picture(served: Serving, folders: Folders) -> None:
    folder = folders(make_qwen2_vl)
    model = await find_server(ModelConfig(base_url=served.base_url, name=str(folder), quiet_s=120.0))
    assert model is not None
    assert model.name == f"openai:{folder}"
    try:
        *words, finish = await whole(model, "what is it? ", picture())
    except ModelError as error:
        pytest.fail(served.account_of(error))
    assert all(isinstance(word, str) for word in words)
    assert finish in (Finish("length"), Finish("stop"))
