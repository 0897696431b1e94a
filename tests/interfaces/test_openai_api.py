"""OpenAI's own client, and requests as chat front ends send them, against the routes under /v1."""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import openai
import pytest
from starlette.testclient import TestClient

from perception.speech import transcribe_file
from perception.vision.layout import LayoutEncoder
from runtime.interfaces.web import transcriptions
from tests.fixtures.memory_cases import gather_all, memory_of, remember, say, see, stream
from tests.fixtures.served_agent import StoredClient, answered, served

HELLO = say(4.0, 6.0, "the train leaves at seven")


class World:
    def __init__(self, folder: Path) -> None:
        store = memory_of(folder / "memory", stream(HELLO, end_s=10.0))
        self.client: StoredClient
        self.client, self.what, app = served(store, folder / "memory")
        self.http = TestClient(app)
        self.openai = openai.OpenAI(
            base_url="http://testserver/v1", api_key="none", http_client=self.http, max_retries=0
        )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.what.close()
    made.client.close()


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def test_there_is_one_model(world: World) -> None:
    assert [model.id for model in world.openai.models.list()] == ["mindstream"]
    assert world.openai.models.retrieve("mindstream").owned_by == "mindstream"
    with pytest.raises(openai.NotFoundError, match="no model"):
        world.openai.models.retrieve("gpt-5")


def test_an_answer_comes_whole_with_its_citations_as_text_and_as_facts(world: World) -> None:
    world.client.answers = [answered("It leaves at seven [0:04].", HELLO)]
    done = world.openai.chat.completions.create(model="mindstream", messages=[user("When does the train leave?")])  # type: ignore[list-item]
    text = done.choices[0].message.content
    assert text == "It leaves at seven [0:04].\n\n- [0:04] speech, clip: the train leaves at seven"
    extension: Any = done.model_extra and done.model_extra["mindstream"]
    assert extension["citations"][0]["id"] == HELLO.id and extension["abstained"] is False
    assert done.choices[0].finish_reason == "stop" and done.usage and done.usage.total_tokens > 0


def test_an_answer_streams_and_ends_with_its_facts_and_usage(world: World) -> None:
    world.client.answers = [answered("It leaves at seven [0:04].", HELLO)]
    asked: Any = [user("When?")]
    chunks = list(
        world.openai.chat.completions.create(
            model="mindstream", messages=asked, stream=True, stream_options={"include_usage": True}
        )
    )  # fmt: skip
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) > 3 and "".join(pieces).startswith("It leaves at seven [0:04].")
    (last,) = [chunk for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
    assert last.model_extra and last.model_extra["mindstream"]["citations"][0]["t0_s"] == 4.0
    assert chunks[-1].usage and chunks[-1].usage.completion_tokens > 0


def test_turns_of_one_chat_are_one_conversation_and_other_chats_are_others(world: World) -> None:
    world.client.answers = [answered(text) for text in ("At seven.", "To London.", "At seven.", "Who knows.")]

    def ask(*messages: dict[str, Any], **more: Any) -> str:
        made: Any = messages
        return str(
            world.openai.chat.completions.create(model="mindstream", messages=made, **more).choices[0].message.content
        )

    system = {"role": "system", "content": "It is Monday."}
    first = user("When does the train leave?")
    told = {"role": "assistant", "content": ask(system, first)}
    ask({**system, "content": "It is Tuesday."}, first, told, user("and where to?"))
    ask(first, user="somebody else")
    ask(user("Why?"))
    conversations = [asked.conversation for asked in world.client.asked]
    assert conversations[0] == conversations[1]
    assert len(set(conversations)) == 3
    assert [asked.question for asked in world.client.asked][1] == "and where to?"


# What two widely used chat front ends send, beside the question: names and shapes as they are on the wire.
FRONT_ENDS = {
    "a web interface": {
        "stream": True, "model": "mindstream", "messages": [user("When does the train leave?")], "params": {},
        "stream_options": {"include_usage": True}, "features": {"web_search": False, "code_interpreter": False},
        "session_id": "4Zq", "chat_id": "9b2f", "id": "77aa", "background_tasks": {"title_generation": True},
        "metadata": {"user_id": "1", "variables": {"{{CURRENT_DATE}}": "2026-11-30"}},
    },
    "an agents' interface": {
        "model": "mindstream", "temperature": 0.7, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0,
        "user": "665f", "stream": True, "stop": None, "max_tokens": None, "tool_choice": "auto", "tools": [],
        "messages": [
            {"role": "system", "content": "You are helpful."},
            {"role": "user", "name": "anna", "content": [{"type": "text", "text": "When does the train leave?"}]},
        ],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_what_chat_front_ends_send_is_answered(world: World, name: str) -> None:
    world.client.answers = [answered("At seven [0:04].", HELLO)]
    reply = world.http.post("/v1/chat/completions", json=FRONT_ENDS[name], headers={"authorization": "Bearer sk-x"})
    lines = [line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: ")]
    assert reply.status_code == 200 and lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"} and len({c["id"] for c in chunks}) == 1
    assert world.client.asked[0].question == "When does the train leave?"


def jpeg(level: int) -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((60, 80, 3), level, np.uint8))[1].tobytes())


def test_a_picture_in_a_question_is_compared_with_what_was_seen(world: World) -> None:
    frames = []
    for t_s, level in ((1.0, 20), (2.0, 230)):
        (described,) = LayoutEncoder().describe([np.full((60, 80, 3), level, np.uint8)])
        frame = see(t_s, "a wall")
        frames.append(msgspec.structs.replace(frame, vector=described.vector, vector_space=LayoutEncoder().space))
    remember(world.client.store, gather_all(*frames, first=20))
    address = "data:image/jpeg;base64," + base64.b64encode(jpeg(225)).decode()
    content = [{"type": "image_url", "image_url": {"url": address}}]
    done = world.openai.chat.completions.create(model="mindstream", messages=[user(content)])  # type: ignore[list-item]
    assert "most like [0:02]" in (done.choices[0].message.content or "")
    assert "colours and their arrangement" in (done.choices[0].message.content or "")
    extension: Any = done.model_extra and done.model_extra["mindstream"]
    assert extension["likeness"][0]["t0_s"] == 2.0 and extension["likeness"][0]["likeness"] > 0.9
    assert world.client.asked == [], "a picture without a question asks nothing of memory's words"


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([], "last message"),
        ([{"role": "assistant", "content": "hello"}], "last message"),
        ([user(" ")], "says nothing"),
        ([user([{"type": "input_audio", "input_audio": {}}])], "not understood"),
        ([user([{"type": "image_url", "image_url": {"url": "http://evil.example/x.png"}}])], "nothing is fetched"),
        ([user([{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}])], "nothing is fetched"),
        ([user([{"type": "image_url", "image_url": {"url": "data:image/png;base64,!!"}}])], "not base64"),
        ([user([{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}])], "no picture"),
        ([user("x" * 10_001)], "characters long"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused_in_one_line(world: World, messages: Any, why: str) -> None:
    with pytest.raises(openai.BadRequestError, match=why):
        world.openai.chat.completions.create(model="mindstream", messages=messages)


def test_no_answer_is_an_error_of_the_server_not_of_the_question(world: World) -> None:
    with pytest.raises(openai.ConflictError, match="given up"):
        world.openai.chat.completions.create(model="mindstream", messages=[user("When?")])  # type: ignore[list-item]


def spoken_file() -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(b"\0" * 32_000)
    return held.getvalue()


def test_a_sound_file_becomes_words_in_every_shape(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recogniser itself is tests/perception/test_transcribe_file.py's; here what is made of its words."""
    told = transcribe_file.FileTranscript(
        "test", 2.0,
        (
            transcribe_file.Spoken(
                0.5, 1.5, "seven o'clock", "en", 0.9, (transcribe_file.SpokenWord("seven", 0.5, 0.9, 0.9),)
            ),
            transcribe_file.Spoken(1.6, 1.9, "", "", 0.0, ()),
        ),
    )  # fmt: skip
    heard: list[bytes] = []

    async def transcribe(served: Any, path: Path, language: str) -> transcribe_file.FileTranscript:
        heard.append(path.read_bytes())
        return told

    monkeypatch.setattr(transcriptions, "_words_of", transcribe)

    def ask(form: Any) -> Any:
        return world.openai.audio.transcriptions.create(
            model="mindstream", file=("a.wav", spoken_file()), response_format=form
        )

    assert ask("json").text == "seven o'clock"
    assert ask("text").strip() == "seven o'clock"
    assert ask("srt").startswith("1\n00:00:00,500 --> 00:00:01,500\nseven o'clock")
    verbose = ask("verbose_json")
    assert verbose.duration == 2.0 and verbose.segments[0].start == 0.5 and verbose.words[0].word == "seven"
    assert heard == [spoken_file()] * 4
    assert not list(world.what.scratch.iterdir())
    with pytest.raises(openai.BadRequestError, match="no response_format"):
        ask("docx")


def test_an_upload_that_is_no_sound_is_told_without_a_path_of_this_machine(world: World) -> None:
    with pytest.raises(openai.BadRequestError, match="not a media file") as refused:
        world.openai.audio.transcriptions.create(model="mindstream", file=("a.wav", b"this is no sound at all"))
    assert str(world.what.scratch) not in str(refused.value)
