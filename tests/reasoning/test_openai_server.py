"""A model behind a server, over a real connection: what is sent, what streams back, how each failure is told."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from reasoning.backends.chat_model import ChatMessage, Finish, Picture, Tool, ToolCall
from reasoning.backends.find_server import ServerFinder, choose_model, context_of, find_server, is_ours
from reasoning.backends.openai_server import OpenAIServer
from runtime.config import ModelConfig
from runtime.errors import ConfigError, ContextTooLong, InputRefused, ModelError
from tests.fixtures.chat_server import ChatServer, Json, Reply, Script, serve_chat

pytestmark = pytest.mark.anyio

ASKED = (ChatMessage("system", ("You answer.",)), ChatMessage("user", ("What was said?",)))
SEARCH = Tool("search", "Find.", {"type": "object", "properties": {"text": {"type": "string"}}})


@asynccontextmanager
async def served(script: Script, **config: Any) -> AsyncIterator[tuple[ChatServer, OpenAIServer]]:
    async with serve_chat(script) as server:
        found = await find_server(ModelConfig(base_url=server.base_url, **config))
        assert found is not None
        yield server, found


async def whole(model: OpenAIServer, *messages: ChatMessage, tools: tuple[Tool, ...] = ()) -> list[Any]:
    async with aclosing(model.stream(messages or ASKED, tools, 50)) as pieces:
        return [piece async for piece in pieces]


async def says_hello(request: Json, reply: Reply) -> None:
    await reply.say("Hello ", "there.")


async def test_words_stream_and_the_request_is_as_the_api_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    async with served(says_hello) as (server, model):
        assert model.name == "openai:tiny"
        assert await whole(model) == ["Hello there.", Finish("stop")], "how it writes is not known yet"
        assert await whole(model) == ["Hello ", "there.", Finish("stop")]
    request = server.requests[0]
    assert request["messages"] == [
        {"role": "system", "content": "You answer."},
        {"role": "user", "content": "What was said?"},
    ]
    assert (request["model"], request["stream"], request["max_tokens"]) == ("tiny", True, 50)
    assert "tools" not in request
    assert server.keys == ["Bearer sk-mine"] * 2


async def test_pictures_stand_where_they_are_read() -> None:
    async with served(says_hello) as (server, model):
        await whole(model, ChatMessage("user", ("before", Picture(b"\xff\xd8jpeg"), "after")))
    content = server.requests[0]["messages"][0]["content"]
    assert [part["type"] for part in content] == ["text", "image_url", "text"]
    assert content[1]["image_url"]["url"] == "data:image/jpeg;base64,/9hqcGVn"


async def test_a_tool_call_is_put_together_and_its_result_sent_back() -> None:
    async def script(request: Json, reply: Reply) -> None:
        if request["messages"][-1]["role"] == "tool":
            await reply.say("Found.")
        else:
            await reply.call("search", {"text": "light"}, "c7")

    async with served(script) as (server, model):
        call, finish = await whole(model, tools=(SEARCH,))
        assert (call, finish) == (ToolCall("c7", "search", {"text": "light"}), Finish("tools"))
        result = ChatMessage("tool", ("[0:12] heard",), answers="c7")
        assert (await whole(model, *ASKED, ChatMessage("assistant", ("",), (call,)), result))[0] == "Found."
    assert server.requests[0]["tools"][0]["function"]["name"] == "search"
    called, answered = server.requests[1]["messages"][-2:]
    assert called["tool_calls"][0]["function"] == {"name": "search", "arguments": '{"text": "light"}'}
    assert (answered["tool_call_id"], answered["content"]) == ("c7", "[0:12] heard")


async def test_arguments_that_are_no_json_reach_the_tool_as_broken() -> None:
    async def script(request: Json, reply: Reply) -> None:
        await reply.call("search", "the lighthouse")

    async with served(script) as (_, model):
        assert (await whole(model, tools=(SEARCH,)))[0] == ToolCall("call_1", "search", {}, "the lighthouse")


@pytest.mark.parametrize(
    ("status", "message", "kind", "told", "again"),
    [
        (401, "Incorrect API key", ModelError, "refuses the key; set OPENAI_API_KEY", None),
        (429, "Rate limit reached", ModelError, "limits how often", 3.0),
        (429, "You exceeded your current quota: insufficient_quota", ModelError, "wants to be paid", None),
        (503, "overloaded", ModelError, r"failed \(503\): .*overloaded", 3.0),
        (404, "The model `tiny` does not exist", ModelError, "has no model 'tiny'", None),
        (400, "This model's maximum context length is 2048 tokens. However, you", ContextTooLong, "too long", None),
        (400, "the request exceeds the available context size (1024 tokens)", ContextTooLong, "too long", None),
        (400, "At most 0 image(s) may be provided in one request.", InputRefused, "no pictures", None),
        (500, "image input is not supported - hint: you may need the mmproj", InputRefused, "no pictures", None),
        (400, "registry.ollama.ai/library/gemma:2b does not support tools", InputRefused, "no tools", None),
        (500, "tools param requires --jinja flag", InputRefused, "no tools", None),
        (400, "messages: wrong role", ModelError, r"refuses the question \(400\)", None),
    ],
)
async def test_refusals_are_one_clear_line(
    status: int, message: str, kind: type[ModelError], told: str, again: float | None
) -> None:
    async def script(request: Json, reply: Reply) -> None:
        await reply.error(status, message, {"Retry-After": "3"} if status in (429, 503) else None)

    async with served(script) as (_, model):
        with pytest.raises(ModelError, match=told) as caught:
            await whole(model, tools=(SEARCH,))
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert caught.value.retry_after_s == again


async def test_what_is_refused_is_known_from_then_on() -> None:
    async def script(request: Json, reply: Reply) -> None:
        if "tools" in request:
            await reply.error(400, "tiny does not support tools")
        elif isinstance(request["messages"][0]["content"], list):
            await reply.error(400, "tiny is not a multimodal model")
        else:
            await reply.error(400, "maximum context length is 3000 tokens")

    async with served(script, context_tokens=8000) as (_, model):
        assert model.abilities.tools
        assert model.abilities.images
        with pytest.raises(InputRefused):
            await whole(model, tools=(SEARCH,))
        with pytest.raises(InputRefused):
            await whole(model, ChatMessage("user", (Picture(b"x"),)))
        with pytest.raises(ContextTooLong):
            await whole(model)
        told = model.abilities
        assert (told.tools, told.images, told.context_tokens) == (False, False, 3000)


async def test_optional_parameters_a_server_does_not_know_are_left_out() -> None:
    async def script(request: Json, reply: Reply) -> None:
        if "stream_options" in request:
            await reply.error(422, "Unsupported fields in the request: {'stream_options'}")
        elif "max_tokens" in request:
            await reply.error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        elif "temperature" in request:
            await reply.error(400, "'temperature' does not support 0.0 with this model")
        else:
            await reply.say("At last.")

    async with served(script) as (server, model):
        assert (await whole(model))[0] == "At last."
        assert len(server.requests) == 4
        assert (await whole(model))[0] == "At last."
        assert len(server.requests) == 5, "what was learned once is not tried again"
    assert server.requests[-1]["max_completion_tokens"] == 50


async def test_a_malformed_stream_is_told() -> None:
    async def script(request: Json, reply: Reply) -> None:
        await reply.begin_stream()
        await reply.send(b"data: {not json\n\n")

    async with served(script) as (_, model):
        with pytest.raises(ModelError, match="sent what is no answer"):
            await whole(model)


async def test_a_dropped_connection_is_told() -> None:
    async def script(request: Json, reply: Reply) -> None:
        await reply.begin_stream()
        await reply.event({"content": "It was"})

    async with served(says_hello) as (server, model):
        await whole(model)
        server.script = script
        with pytest.raises(ModelError, match="broke off") as caught:
            await whole(model)
        assert caught.value.retry_after_s is None, "half an answer was given; it is not asked again"


async def test_a_stream_that_ends_before_its_first_word_again_and_again_is_taken_for_too_long() -> None:
    async def script(request: Json, reply: Reply) -> None:
        await reply.begin_stream()

    async with served(script, context_tokens=4000) as (_, model):
        with pytest.raises(ModelError, match="broke off") as caught:
            await whole(model)
        assert (type(caught.value), caught.value.retry_after_s) == (ModelError, 0.0)
        with pytest.raises(ContextTooLong):
            await whole(model)
        assert model.abilities.context_tokens == 2000


async def test_a_server_that_hangs_up_before_it_answers_is_told() -> None:
    async def script(request: Json, reply: Reply) -> None:
        return

    async with served(script) as (_, model):
        with pytest.raises(ModelError, match="dropped the connection") as caught:
            await whole(model)
        assert caught.value.retry_after_s is not None


async def test_silence_is_told() -> None:
    async def script(request: Json, reply: Reply) -> None:
        await anyio.sleep_forever()

    async with served(script, quiet_s=0.1) as (_, model):
        with pytest.raises(ModelError, match="too slow"):
            await whole(model)


async def test_an_error_in_the_middle_of_the_stream_is_told() -> None:
    async def script(request: Json, reply: Reply) -> None:
        await reply.begin_stream()
        await reply.send(b'data: {"error": {"message": "out of memory"}}\n\n')

    async with served(script) as (_, model):
        with pytest.raises(ModelError, match="failed: out of memory"):
            await whole(model)


async def test_cancelling_hangs_up_on_the_server() -> None:
    async def script(request: Json, reply: Reply) -> None:
        await reply.begin_stream()
        await reply.event({"content": "One"})
        await anyio.sleep_forever()

    async with served(says_hello) as (server, model):
        await whole(model)
        server.script = script
        with anyio.CancelScope() as scope:
            async with aclosing(model.stream(ASKED, (), 50)) as pieces:
                async for piece in pieces:
                    assert piece == "One"
                    scope.cancel()
        with anyio.fail_after(5):
            await server.hung_up.wait()


async def test_the_tokens_of_a_text_follow_what_the_server_counts() -> None:
    long = ChatMessage("user", ("word " * 400,))

    async def script(request: Json, reply: Reply) -> None:
        await reply.begin_stream()
        await reply.event({"content": "Yes."}, finish="stop")
        await reply.event(choices=[], usage={"prompt_tokens": 1000, "completion_tokens": 2, "total_tokens": 1002})
        await reply.send(b"data: [DONE]\n\n")

    async with served(script) as (_, model):
        before = model.count_tokens(long.text)
        await whole(model, long)
        assert before < 1000 <= model.count_tokens(long.text) <= 1200


# --- finding one ----------------------------------------------------------------------------------


async def test_a_named_server_that_is_down_is_told_at_every_question() -> None:
    async with serve_chat(says_hello) as server:
        pass
    finder = ServerFinder(ModelConfig(base_url=server.base_url), required=False)
    for _ in range(2):
        with pytest.raises(ModelError, match="does not answer"):
            await finder()


async def test_a_server_that_went_away_is_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reasoning.backends.find_server.SEARCH_AGAIN_S", 0.0)
    async with serve_chat(says_hello) as server:
        finder = ServerFinder(ModelConfig(base_url=server.base_url), required=True)
        found = await finder()
        assert found is not None
        assert await finder() is found
    with pytest.raises(ModelError, match="does not answer"):
        await whole(found)
    assert found.lost


async def test_no_server_is_no_error_unless_one_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    assert await ServerFinder(ModelConfig(), required=False)() is None
    with pytest.raises(ModelError, match="OPENAI_BASE_URL"):
        await ServerFinder(ModelConfig(), required=True)()


async def test_a_server_on_a_usual_port_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    async with serve_chat(says_hello) as server:
        port = int(server.base_url.split(":")[2].split("/")[0])
        monkeypatch.setattr("reasoning.backends.find_server.LOCAL_PORTS", {port: "Ollama"})
        found = await ServerFinder(ModelConfig(), required=False)()
        assert found is not None
        assert found.base_url == server.base_url


async def test_something_else_on_a_usual_port_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    async with serve_chat(says_hello, models=[]) as server:
        port = int(server.base_url.split(":")[2].split("/")[0])
        monkeypatch.setattr("reasoning.backends.find_server.LOCAL_PORTS", {port: "something"})
        assert await ServerFinder(ModelConfig(), required=False)() is None


def test_a_base_url_that_is_no_address_is_a_mistake_in_the_profile() -> None:
    with pytest.raises(ConfigError, match=r"reasoning\.model\.base_url"):
        ServerFinder(ModelConfig(base_url="ftp://x"), required=False)


def test_the_model_is_chosen_among_those_that_chat() -> None:
    here, far = "http://127.0.0.1:11434/v1", "https://models.example/v1"
    listed = [{"id": "nomic-embed-text"}, {"id": "llama3:latest"}, {"id": "qwen3"}]
    assert choose_model(listed, ModelConfig(), here)["id"] == "llama3:latest"
    assert choose_model(listed, ModelConfig(name="llama3"), here)["id"] == "llama3:latest"
    with pytest.raises(ModelError, match=r"has 2 models; say which: reasoning\.model\.name"):
        choose_model(listed, ModelConfig(), far)
    with pytest.raises(ModelError, match="no model 'gone'"):
        choose_model(listed, ModelConfig(name="gone"), far)
    with pytest.raises(ModelError, match="no model that chats"):
        choose_model(listed[:1], ModelConfig(), here)


def test_the_context_is_read_from_what_servers_say_of_their_models() -> None:
    assert context_of({"id": "a", "max_model_len": 32768}) == 32768  # vLLM
    assert context_of({"id": "a", "meta": {"n_ctx": 2048}}) == 2048  # llama.cpp
    assert context_of({"id": "a", "context_length": 8192}) == 8192
    assert context_of({"id": "a"}) == 0


async def test_a_redirect_carries_nothing_elsewhere() -> None:
    async with serve_chat(says_hello) as elsewhere:

        async def redirect(request: Json, reply: Reply) -> None:
            await reply.error(307, "over there", {"Location": f"{elsewhere.base_url}/chat/completions"})

        async with served(redirect) as (_, model):
            with pytest.raises(ModelError, match="sends on to another address, which is not followed"):
                await whole(model)
    assert elsewhere.requests == []


def stream_of(*events: object) -> Script:
    async def script(request: Json, reply: Reply) -> None:
        await reply.begin_stream()
        for event in events:
            await reply.send(b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n")
        await reply.event(finish="stop")
        await reply.send(b"data: [DONE]\n\n")

    return script


def chunk(**delta: object) -> Json:
    return {
        "id": "c", "object": "chat.completion.chunk", "created": 0, "model": "tiny",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
    }  # fmt: skip


def call(index: object, arguments: object = "{}", **function: object) -> Json:
    return chunk(tool_calls=[{"index": index, "id": f"c{index}", "function": {"arguments": arguments, **function}}])


DEEP = b'{"choices": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    "events",
    [
        [call(n, name="search") for n in range(40)],
        [call(0, "x" * 50_000, name="search"), call(0, "x" * 50_000)],
        [chunk(content="word " * 10_000)] * 2,
        [{"choices": 7}],
        [{"choices": ["text"]}],
        [{"choices": [{"delta": "text"}]}],
        [{"choices": [{"delta": {"tool_calls": 5}}]}],
        [chunk(content={"a": 1})],
        [chunk(content=["a"])],
        [call("first", name="search")],
        [call(0, ["x"], name="search")],
        [call(0, name=7)],
        [chunk() | {"usage": {"prompt_tokens": "many", "completion_tokens": 1, "total_tokens": 1}}],
        [DEEP],
        [b"{"],
        [b"null"],
        [b"[]"],
    ],
)
async def test_a_stream_that_is_none_is_one_line(events: list[object]) -> None:
    async with served(stream_of(*events)) as (_, model):
        with pytest.raises(ModelError) as told:
            await whole(model, tools=(SEARCH,))
    assert "\n" not in str(told.value) and len(str(told.value)) < 300


async def test_a_call_far_along_is_a_call_like_any_other() -> None:
    async with served(stream_of(call(10**9, '{"text": "x"}', name="search"))) as (_, model):
        assert (await whole(model, tools=(SEARCH,)))[0] == ToolCall(f"c{10**9}", "search", {"text": "x"})


@pytest.mark.parametrize("path", ["chat", "models"])
async def test_a_reply_without_end_is_given_up(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reasoning.backends.server_client.MAX_REPLY_BYTES", 100_000)

    async def endless(request: Json, reply: Reply) -> None:
        await reply.begin_stream()
        while True:
            await reply.send(b": nothing " * 1000 + b"\n\n")

    async with serve_chat(endless) as server:
        if path == "models":
            server.models = [{"id": "x" * 200_000}]
        with pytest.raises(ModelError, match="more than an answer can be"):
            found = await find_server(ModelConfig(base_url=server.base_url))
            assert found is not None
            await whole(found)


async def test_the_key_goes_to_a_named_server_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    async with serve_chat(says_hello) as server:
        port = int(server.base_url.split(":")[2].split("/")[0])
        monkeypatch.setattr("reasoning.backends.find_server.LOCAL_PORTS", {port: "a server"})
        found = await find_server(ModelConfig())
        assert found is not None
        await whole(found)
    assert server.keys == ["Bearer none"]


def test_a_port_on_which_another_user_listens_is_passed_over(tmp_path: Path) -> None:
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    line = "   0: 0100007F:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {uid:>5} 0 1\n"
    table = tmp_path / "tcp"

    def listening(uid: int, state: str = "0A") -> tuple[str, ...]:
        table.write_text(head + line.format(port=11434, state=state, uid=uid))
        return (str(table), str(tmp_path / "not there"))

    stranger = 1000 + (os.getuid() == 1000)
    assert not is_ours(11434, listening(stranger))
    assert is_ours(11434, listening(os.getuid())) and is_ours(11434, listening(0)) and is_ours(11434, listening(999))
    assert is_ours(11434, listening(stranger, state="01"))  # a connection of his to ours
    assert is_ours(8080, listening(stranger))


async def test_no_line_tells_a_password_of_an_address() -> None:
    with pytest.raises(ConfigError) as told:
        await find_server(ModelConfig(base_url="ftp://me:hunter2@host/v1?key=hunter2"))
    assert "hunter2" not in str(told.value) and "host" in str(told.value)
    with pytest.raises(ModelError) as failed:
        await find_server(ModelConfig(base_url="http://me:hunter2@127.0.0.1:9/v1"))
    assert "hunter2" not in str(failed.value) and "127.0.0.1:9" in str(failed.value)
