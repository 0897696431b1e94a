"""Answers through a language model on a real connection: what it is shown, what of its words stands, what mends."""

from __future__ import annotations

import logging
import re
from typing import Any

import anyio
import pytest

from reasoning.answer.extract import ExtractiveBackend
from reasoning.backends import load_backend
from reasoning.backends.find_server import find_server
from reasoning.backends.with_model import ModelBackend
from reasoning.turn import Turns
from runtime.clock import MonotonicClock
from runtime.config import ModelConfig, ReasoningConfig
from runtime.errors import CallCancelled
from runtime.messages import Interrupt
from tests.fixtures.chat_server import Json, Reply, Script, serve_chat
from tests.fixtures.listed_memory import ListedMemory, frame, observe, said
from tests.fixtures.model_turns import LIGHT, MEMORY, SIGN, ask, asking, prompt

pytestmark = pytest.mark.anyio

EXTRACTED = 'Somebody said: "the lighthouse is closed until may" [0:06].'


def saying(*pieces: str) -> Script:
    async def script(request: Json, reply: Reply) -> None:
        await reply.say(*pieces)

    return script


# --- what it says ---------------------------------------------------------------------------------


async def test_what_it_says_is_cited_and_streams_by_the_sentence() -> None:
    async with asking(saying("It is closed un", "til May [0:", "06]. A sign says keep out [0:20].")) as (server, turns):
        answer = await ask(turns)
    assert answer.answer == "It is closed until May [0:06]. A sign says keep out [0:20]."
    assert [c.id for c in answer.citations] == [LIGHT.id, SIGN.id]
    assert (answer.backend, answer.abstained, answer.notice) == ("openai:tiny", False, "")
    asked = prompt(server.requests[0])
    assert '[0:06] heard: "the lighthouse is closed until may"' in asked
    assert '[0:20] read on screen at the top left: "KEEP OUT"' in asked
    assert asked.index("[0:06]") < asked.index("[0:20]")
    assert asked.endswith("Question: What is said about the lighthouse?")


async def test_a_moment_that_was_not_shown_is_struck_out_and_counted() -> None:
    async with asking(saying("It is closed [0:06] since 1990 [0:44].")) as (_, turns):
        answer = await ask(turns)
        assert answer.answer == "It is closed [0:06] since 1990."
        assert turns.counters["citations_struck"] == 1


async def test_a_sentence_that_rests_on_an_invented_moment_alone_is_not_said() -> None:
    async with asking(saying("It burned down [0:44]. It is closed [0:07].")) as (_, turns):
        answer = await ask(turns)
    assert answer.answer == "It is closed [0:07]."
    assert [c.id for c in answer.citations] == [LIGHT.id], "a moment within an utterance is that utterance"


async def test_an_answer_of_invented_moments_alone_gives_way_to_the_evidence() -> None:
    async with asking(saying("It burned down [0:44].")) as (_, turns):
        answer = await ask(turns)
    assert answer.answer == EXTRACTED
    assert answer.backend == "extractive"
    assert "pointed to nothing" in answer.notice


async def test_a_refusal_is_an_abstention() -> None:
    async with asking(saying("I did not see or hear anything about a dog.")) as (_, turns):
        answer = await ask(turns, "What colour is the dog?")
    assert answer.abstained
    assert answer.citations == ()


async def test_thinking_aloud_is_no_part_of_the_answer() -> None:
    async with asking(saying("<th", "ink>The user wants [0:20]. Hmm.</thi", "nk>\n\nIt is closed [0:06].")) as (
        _,
        turns,
    ):
        assert (await ask(turns)).answer == "It is closed [0:06]."


# --- tools ----------------------------------------------------------------------------------------


async def test_it_may_use_tools_and_cite_what_they_found() -> None:
    async def script(request: Json, reply: Reply) -> None:
        results = [m["content"] for m in request["messages"] if m["role"] == "tool"]
        if not results:
            await reply.call("search", {"text": "morning", "to": "0:10"})
        else:
            assert '[0:03] heard: "good morning everybody"' in results[0]
            await reply.say("Somebody wished a good morning [0:03].")

    async with asking(script) as (server, turns):
        answer = await ask(turns, "Is anybody polite?")
    assert answer.answer == "Somebody wished a good morning [0:03] (so somebody said)."
    assert [step.tool for step in answer.trace] == ["recall", "search"]
    assert answer.trace[1].arguments == {"text": "morning", "to": "0:10"}
    assert answer.trace[1].found == "1 observations"
    assert {tool["function"]["name"] for tool in server.requests[0]["tools"]} == {
        "search", "look", "zoom", "compare", "listen", "timeline", "count",
    }  # fmt: skip


async def test_words_before_a_tool_are_no_answer() -> None:
    async def script(request: Json, reply: Reply) -> None:
        if request["messages"][-1]["role"] == "tool":
            await reply.say("It is closed [0:06].")
            return
        await reply.begin_stream()
        await reply.event({"content": "Let me look that up. "})
        function = {"name": "listen", "arguments": '{"from": "0:00", "to": "0:30"}'}
        await reply.event({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": function}]})
        await reply.event(finish="tool_calls")

    async with asking(script) as (_, turns):
        assert (await ask(turns)).answer == "It is closed [0:06]."


async def test_tools_are_bounded_in_number() -> None:
    async def script(request: Json, reply: Reply) -> None:
        if "tools" in request:
            await reply.call("search", {"text": "again"})
        else:
            assert request["messages"][-1]["content"].startswith("Use no more tools")
            await reply.say("It is closed [0:06].")

    async with asking(script, max_steps=3) as (server, turns):
        answer = await ask(turns)
    assert [step.tool for step in answer.trace] == ["recall", "search", "search", "search"]
    assert len(server.requests) == 4
    assert answer.answer == "It is closed [0:06]."


# --- pictures -------------------------------------------------------------------------------------


def pictured(t_s: float) -> Any:
    import msgspec

    return msgspec.structs.replace(frame(t_s, "grey"), payload=b"\xff\xd8" + str(t_s).encode())


async def test_now_is_answered_from_the_freshest_frames() -> None:
    frames = [pictured(t) for t in (10.0, 40.0, 58.0, 59.0)]
    async with asking(saying("A grey wall [0:59]."), *frames) as (server, turns):
        answer = await ask(turns, "What do you see right now?")
    content = server.requests[0]["messages"][-1]["content"]
    sent = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    assert len(sent) == 2
    assert [c.t0_s for c in answer.citations] == [59.0]
    assert "[0:10]" not in prompt(server.requests[0])


async def test_pictures_a_model_refuses_are_left_out_and_the_question_asked_again() -> None:
    async def script(request: Json, reply: Reply) -> None:
        if any(isinstance(m["content"], list) for m in request["messages"]):
            await reply.error(400, "tiny is not a multimodal model")
        else:
            await reply.say("A grey wall [0:59].")

    async with asking(script, pictured(58.0), pictured(59.0)) as (_, turns):
        answer = await ask(turns, "What do you see right now?")
    assert answer.answer == "A grey wall [0:59]."
    assert "takes no pictures; asked again with less" in answer.trace[1].found


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "message", "told"),
    [
        (401, "Incorrect API key", "refuses the key; set OPENAI_API_KEY"),
        (400, "messages: wrong role", "refuses the question (400)"),
        (429, "insufficient_quota", "wants to be paid"),
    ],
)
async def test_what_cannot_be_mended_is_told_in_one_line_and_answered_without_the_model(
    status: int, message: str, told: str
) -> None:
    async def script(request: Json, reply: Reply) -> None:
        await reply.error(status, message)

    async with asking(script) as (server, turns):
        answer = await ask(turns)
    assert (answer.answer, answer.backend) == (EXTRACTED, "extractive")
    assert told in answer.notice
    assert "\n" not in answer.notice
    assert len(server.requests) == 1


async def test_a_limit_is_waited_out() -> None:
    async def script(request: Json, reply: Reply) -> None:
        if len(server.requests) < 3:
            await reply.error(429, "slow down", {"Retry-After": "0.05"})
        else:
            await reply.say("It is closed [0:06].")

    async with asking(script) as (server, turns):
        answer = await ask(turns)
    assert answer.answer == "It is closed [0:06]."
    assert [bool(re.search("asked again after", step.found)) for step in answer.trace] == [
        False,
        True,
        False,
        True,
        False,
    ]


async def test_a_limit_longer_than_the_question_lasts_is_not_waited_out() -> None:
    async def script(request: Json, reply: Reply) -> None:
        await reply.error(429, "slow down", {"Retry-After": "500"})

    async with asking(script) as (server, turns):
        answer = await ask(turns)
    assert (answer.answer, len(server.requests)) == (EXTRACTED, 1)
    assert "limits how often" in answer.notice


async def test_a_malformed_stream_is_asked_for_again() -> None:
    async def script(request: Json, reply: Reply) -> None:
        if len(server.requests) == 1:
            await reply.begin_stream()
            await reply.send(b"data: {{{\n\n")
        else:
            await reply.say("It is closed [0:06].")

    async with asking(script) as (server, turns):
        assert (await ask(turns)).answer == "It is closed [0:06]."


async def test_an_answer_that_breaks_off_is_kept_and_said_to_be_cut_short() -> None:
    async def script(request: Json, reply: Reply) -> None:
        await reply.begin_stream()
        await reply.event({"content": "It is closed [0:06]. And then it"})

    async with asking(script) as (_, turns):
        answer = await ask(turns)
    assert answer.answer == "It is closed [0:06]."
    assert "broke off; the answer is cut short" in answer.notice


async def test_a_context_too_long_is_asked_with_less() -> None:
    words = "is closed until the month of may because the stairs are being mended and nobody may go up " * 2
    talk = [said(float(t), t + 0.9, f"the lighthouse number {t} {words}") for t in range(50)]

    async def script(request: Json, reply: Reply) -> None:
        if len(prompt(request)) > 3000:
            await reply.error(400, "This model's maximum context length is 1600 tokens")
        else:
            await reply.say("They are closed [0:06].")

    async with asking(script, *talk, context_tokens=8000, max_steps=0) as (server, turns):
        answer = await ask(turns)
    assert answer.answer == "They are closed [0:06]."
    first, *_, last = [len(prompt(request)) for request in server.requests]
    assert last < first


async def test_a_server_that_stays_silent_is_given_up_in_time_for_the_other_answer() -> None:
    async def script(request: Json, reply: Reply) -> None:
        await anyio.sleep_forever()

    async with asking(script, deadline_s=3.0) as (server, turns):
        answer = await ask(turns)
        with anyio.fail_after(5):
            await server.hung_up.wait()
    assert answer.answer == EXTRACTED
    assert "did not answer in time" in answer.notice


async def test_an_interruption_hangs_up_on_the_server() -> None:
    async def script(request: Json, reply: Reply) -> None:
        await reply.begin_stream()
        await reply.event({"content": "It is closed [0:06]. "})
        turns.interrupt(Interrupt())
        await anyio.sleep_forever()

    async with asking(script) as (server, turns):
        with pytest.raises(CallCancelled):
            await ask(turns)
        with anyio.fail_after(5):
            await server.hung_up.wait()


async def test_without_a_server_auto_answers_from_evidence_and_says_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    config = ReasoningConfig(backend="auto")
    async with anyio.create_task_group() as tasks:
        backend = load_backend(config, anyio.to_thread.run_sync)
        await backend.open()
        assert backend.name == "extractive"
        memory = ListedMemory(*MEMORY)
        answer = await ask(Turns(tasks, memory, backend, config, MonotonicClock(), logging.getLogger("test")))
        tasks.cancel_scope.cancel()
    assert (answer.answer, answer.backend, answer.notice) == (EXTRACTED, "extractive", "")


class Loading:
    """A model that is ready when ``ready`` is set."""

    waiting = "the model is still being loaded"

    def __init__(self, model: Any) -> None:
        self.ready = anyio.Event()
        self.asked = anyio.Event()
        self._model = model

    async def __call__(self) -> Any:
        self.asked.set()
        await self.ready.wait()
        return self._model


async def answered_while_loading(deadline_s: float, becomes_ready: bool) -> Any:
    """The answer to a question that comes while the model is loaded."""
    async with serve_chat(saying("It is closed [0:06].")) as server:
        config = ReasoningConfig(deadline_s=deadline_s, model=ModelConfig(base_url=server.base_url))
        finder = Loading(await find_server(config.model))
        backend = ModelBackend(finder, ExtractiveBackend(0.35), config)
        async with anyio.create_task_group() as tasks:
            turns = Turns(tasks, ListedMemory(*MEMORY), backend, config, MonotonicClock(), logging.getLogger("test"))

            async def load() -> None:
                await finder.asked.wait()
                finder.ready.set()

            if becomes_ready:
                tasks.start_soon(load)
            answer = await ask(turns)
            tasks.cancel_scope.cancel()
    return answer


async def test_a_model_that_is_still_loading_is_waited_for() -> None:
    answer = await answered_while_loading(30.0, becomes_ready=True)
    assert (answer.answer, answer.backend, answer.notice) == ("It is closed [0:06].", "openai:tiny", "")


async def test_a_model_that_loads_for_longer_than_a_question_lasts_is_told_and_answered_without() -> None:
    answer = await answered_while_loading(0.4, becomes_ready=False)
    assert (answer.answer, answer.backend) == (EXTRACTED, "extractive")
    assert answer.notice.startswith("the model is still being loaded; ask again in a moment")


async def test_of_what_is_derived_captions_are_evidence_and_earlier_talk_is_none() -> None:
    caption = observe("derived", 6.5, "a lighthouse with a red door", kind="caption")
    topic = observe("derived", 7.0, "the user asked about a lighthouse with a secret door", kind="topic")
    async with asking(saying("A red door [0:06]."), caption, topic, *MEMORY) as (server, turns):
        await ask(turns, "What colour is the door of the lighthouse?")
    assert 'described: "a lighthouse with a red door"' in prompt(server.requests[0])
    assert "secret" not in prompt(server.requests[0])
