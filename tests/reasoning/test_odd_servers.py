"""Servers as they are: each misbehaves in one way, and the asker gets the answer, or one line on what went wrong."""

from __future__ import annotations

import pytest

from runtime.messages import Answer
from tests.fixtures.chat_server import Json, Reply, Script
from tests.fixtures.listed_memory import frame
from tests.fixtures.model_turns import MEMORY, ask, asking, pictures, prompt

pytestmark = pytest.mark.anyio

FACT = "It is closed until May [0:06]."
EXTRACTED = 'Somebody said: "the lighthouse is closed until may" [0:06].'


async def answered(script: Script, *memory: object, **model: object) -> tuple[Answer, list[Json]]:
    async with asking(script, *memory, **model) as (server, turns):
        return await ask(turns), server.requests


def of_events(*events: Json | bytes, done: bool = True) -> Script:
    """A reply of these chunks: a delta, a delta with "finish", or bytes as they are."""

    async def script(request: Json, reply: Reply) -> None:
        if any(message["role"] == "tool" for message in request["messages"]):
            await reply.say(FACT)
            return
        await reply.begin_stream()
        for event in events:
            if isinstance(event, bytes):
                await reply.send(event)
            else:
                delta = {key: value for key, value in event.items() if key != "finish"}
                await reply.event(delta, event.get("finish"))
        if done:
            await reply.send(b"data: [DONE]\n\n")

    return script


def called(arguments: object, index: int = 0, identity: str = "a") -> Json:
    function = {"name": "search", "arguments": arguments}
    return {"tool_calls": [{"index": index, "id": identity, "type": "function", "function": function}]}


# --- the form of a reply --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "events",
    [
        [{"content": FACT}],  # no reason why it finished
        [{"content": FACT, "finish": "eos"}],
        [{"content": None}, {"content": [{"type": "text", "text": FACT}]}, {"finish": "stop"}],
        [{"reasoning_content": "At nine [0:20]?"}, {"content": FACT}, {"finish": "stop"}],
        [{"content": "At nine [0:20]?\n</think>\n" + FACT}, {"finish": "stop"}],
        [{"content": "It is closed until May 【0:06】."}, {"finish": "stop"}],
        [{"content": "It is closed until May (0:06)."}, {"finish": "stop"}],
        [{"content": "It is closed until May [00:00:06-0:09]."}, {"finish": "stop"}],
        [{"content": "It is closed until May [0:06†source]."}, {"finish": "stop"}],
        [b": ping\r\n\r\n", {"content": FACT}, {"finish": "stop"}],
    ],
)
async def test_the_answer_is_found_in_whatever_form_it_comes(events: list[Json | bytes]) -> None:
    answer, _ = await answered(of_events(*events))
    assert (answer.answer, answer.backend, answer.abstained, answer.notice) == (FACT, "openai:tiny", False, "")


async def test_a_reply_that_is_not_streamed_is_read_whole() -> None:
    async def script(request: Json, reply: Reply) -> None:
        message = {"role": "assistant", "content": FACT}
        await reply.json({"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    assert (await answered(script))[0].answer == FACT


# --- calls of tools -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "searched"),
    [
        ([called('{"text": "light"}'), called('{"text": "out"}', identity="b"), {"finish": "tool_calls"}], 2),
        ([called('{"text": "light"}', identity=""), called('{"text": "out"}', identity="")], 2),
        ([called({"text": "light"}), {"finish": "stop"}], 1),
        ([called("{'text': 'light',}"), {"finish": "tool_calls"}], 1),
        ([{"content": '<tool_call>{"name": "search", "arguments": {"text": "light"}}</tool_call>'}], 1),
        ([{"function_call": {"name": "search", "arguments": '{"text": "light"}'}}, {"finish": "function_call"}], 1),
    ],
)
async def test_every_call_runs_however_it_is_written(events: list[Json], searched: int) -> None:
    answer, requests = await answered(of_events(*events))
    assert (answer.answer, answer.notice) == (FACT, "")
    assert [step.tool for step in answer.trace] == ["recall", *["search"] * searched]
    results = [m for m in requests[-1]["messages"] if m["role"] == "tool"]
    assert len({m["tool_call_id"] for m in results}) == searched
    assert "the lighthouse is closed until may" in results[0]["content"]


async def test_a_call_that_cannot_be_read_is_told_to_the_model() -> None:
    answer, requests = await answered(of_events(called("look for the lighthouse"), {"finish": "tool_calls"}))
    assert answer.answer == FACT
    assert "That call cannot be read: look for the lighthouse" in prompt(requests[-1])


async def test_calls_beyond_the_steps_are_named_as_not_run() -> None:
    four = [called('{"text": "light"}', index=k, identity=f"c{k}") for k in range(4)]
    answer, requests = await answered(of_events(*four, {"finish": "tool_calls"}), max_steps=2)
    assert [step.found for step in answer.trace[1:]] == ["1 observations", "1 observations", "not run", "not run"]
    told = [m["content"] for m in requests[-1]["messages"] if m["role"] == "tool"]
    assert told[2:] == ["Not run: no tool calls are left."] * 2


async def test_calls_of_tools_that_were_not_offered_are_answered_once() -> None:
    async def script(request: Json, reply: Reply) -> None:
        await reply.call("search", {"text": "light"})

    answer, requests = await answered(script, max_steps=0)
    assert (answer.answer, len(requests)) == (EXTRACTED, 2)
    assert "Use no more tools" in prompt(requests[1])


# --- its tokens -----------------------------------------------------------------------------------


@pytest.mark.parametrize("delta", [{"content": "<think>\nIt might be nine"}, {"content": "", "reasoning": "It might"}])
async def test_a_reply_spent_on_thinking_is_asked_for_again_with_more(delta: Json) -> None:
    async def script(request: Json, reply: Reply) -> None:
        await reply.begin_stream()
        if request["max_tokens"] < 1000:
            await reply.event(delta, "length")
        else:
            await reply.event({"content": FACT}, "stop")

    answer, requests = await answered(script)
    assert (answer.answer, answer.notice) == (FACT, "")
    assert [r["max_tokens"] for r in requests] == [400, 1365]


async def test_a_model_that_thinks_whatever_room_it_has_is_told_of() -> None:
    async def script(request: Json, reply: Reply) -> None:
        await reply.begin_stream()
        await reply.event({"reasoning_content": "Hm."}, "length")

    answer, _ = await answered(script)
    assert (answer.answer, answer.backend) == (EXTRACTED, "extractive")
    assert "tokens on thinking and said nothing; turn its thinking off" in answer.notice


async def test_an_answer_that_ran_out_of_tokens_is_said_to_be_cut() -> None:
    answer, _ = await answered(of_events({"content": f"{FACT} Besides, the keys are on the", "finish": "length"}))
    assert answer.answer == FACT, "half a sentence is not told"
    assert "reached its 400 tokens: the answer is cut short" in answer.notice


async def test_a_context_that_is_too_long_is_learned_from_an_error_in_the_stream() -> None:
    told = b'{"code": 400, "message": "the request exceeds the available context size (3000 tokens)", "n_ctx": 3000}'

    async def script(request: Json, reply: Reply) -> None:
        await reply.begin_stream()
        if "tools" in request:
            await reply.send(b'data: {"error":' + told + b"}\n\n")
        else:
            await reply.event({"content": FACT}, "stop")

    answer, requests = await answered(script)
    assert (answer.answer, answer.notice) == (FACT, "")
    assert len(requests) == 2


async def test_an_error_that_is_an_event_is_read() -> None:
    async def script(request: Json, reply: Reply) -> None:
        await reply.begin_stream()
        await reply.send(b'error: {"code":400,"message":"out of paper"}\n\n')

    answer, _ = await answered(script, deadline_s=3.0)
    assert answer.answer == EXTRACTED
    assert "failed: out of paper" in answer.notice


# --- what is no answer ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("It is closed until May.", "pointed to nothing that shows what it said"),
        ("It burned down [0:44].", "pointed to nothing that was seen or heard"),
        ("", "said nothing"),
    ],
)
async def test_what_points_nowhere_is_no_answer(said: str, why: str) -> None:
    answer, _ = await answered(of_events({"content": said}, {"finish": "stop"}))
    assert (answer.answer, answer.backend) == (EXTRACTED, "extractive")
    assert why in answer.notice


@pytest.mark.parametrize(
    ("said", "abstained"),
    [
        ("No, it is closed [0:06].", False),
        ("No. It is closed [0:06].", False),
        ("Nobody is there, only a sign [0:20].", False),
        ("I cannot tell whether it is open.", True),
        ("I did not see or hear that.", True),
        ("No lighthouse was seen.", True),
        ("I cannot tell; it is said to be closed [0:06].", True),
    ],
)
async def test_no_is_an_answer_where_something_shows_it(said: str, abstained: bool) -> None:
    answer, _ = await answered(of_events({"content": said}, {"finish": "stop"}))
    assert answer.backend == "openai:tiny"
    assert answer.answer.startswith(said.split(" [")[0].rstrip("."))
    assert answer.abstained is abstained
    assert bool(answer.citations) is ("[" in said)


# --- pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusal", "most"),
    [
        ("At most 1 image(s) may be provided in one request.", 1),
        ("vision model only supports a single image per message", 1),
        ("this model takes up to 3 images", 3),
    ],
)
async def test_a_model_of_few_pictures_gets_them_on_one_sheet(refusal: str, most: int) -> None:
    async def script(request: Json, reply: Reply) -> None:
        if len(pictures(request)) > most:
            await reply.error(400, refusal)
        else:
            await reply.say("A grey wall [0:10].")

    async with asking(script, *PICTURED, context_tokens=32000) as (server, turns):
        answer = await ask(turns, "Which colour had the wall?")
    assert answer.answer == "A grey wall [0:10]."
    assert [len(pictures(request)) for request in server.requests] == [4, 1]
    assert "[0:10], [0:20], [0:30], [0:40]" in prompt(server.requests[1])


def _pictured(t_s: float) -> object:
    import io

    import msgspec
    from PIL import Image

    jpeg = io.BytesIO()
    Image.new("RGB", (384, 216), (90, 90, int(t_s))).save(jpeg, "JPEG")
    return msgspec.structs.replace(frame(t_s, "grey"), payload=jpeg.getvalue())


PICTURED = tuple(_pictured(t_s) for t_s in (10.0, 20.0, 30.0, 40.0))


@pytest.mark.parametrize("question", ["What is said about the wall?", "What does the wall ask or answer?"])
async def test_no_word_of_a_question_leaves_out_pictures(question: str) -> None:
    async with asking(of_events({"content": "A wall [0:10]."}), *MEMORY, *PICTURED) as (server, turns):
        await ask(turns, question)
    assert pictures(server.requests[0])


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("It is closed [0:06]. It was built in 1820.", "It is closed [0:06]."),
        ("Yes. It is closed [0:06].", "Yes. It is closed [0:06]."),
        ("It stands by the sea. It is closed [0:06]. A sign says keep out [0:20]. So it is.", None),
    ],
)
async def test_a_claim_without_evidence_is_told_only_as_part_of_one_that_has_some(said: str, told: str | None) -> None:
    answer, _ = await answered(of_events({"content": said}, {"finish": "stop"}))
    assert answer.answer == (told or said.removesuffix(" So it is."))
