"""Messages: what crosses a process boundary survives it, and nothing else gets in."""

from __future__ import annotations

import gc

import msgspec
import pytest

from runtime import messages as m
from runtime.errors import DecodeError
from runtime.messages.wire import KINDS
from runtime.topics import TOPICS


def test_an_observation_survives_the_wire_whole() -> None:
    observation = m.Observation(
        id="clip.mp4/text/000001500",
        source="clip.mp4",
        channel="text",
        t0_s=1.5,
        t1_s=2.0,
        text="OPEN 9–17",
        data=m.TextFacts(lines=(m.WrittenLine("OPEN 9–17", 0.98, (0.1, 0.2, 0.3, 0.1)),)),
        vector=b"\x00<",
        vector_space="layout-v1",
        payload=b"\xff\xd8",
        evidence=("a", "b"),
        trust=0.5,
    )
    assert m.decode(m.encode(observation)) == observation


@pytest.mark.parametrize("data", [b"", b"\x00", b"not a message", msgspec.msgpack.encode({"type": "no_such_tag"})])
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        m.decode(data)


def test_a_field_added_by_a_newer_sender_is_ignored() -> None:
    newer = {"type": "progress", "source": "s", "track": "video", "t_s": 1.0, "added_later": [1, 2]}
    assert m.decode(msgspec.msgpack.encode(newer)) == m.Progress(source="s", track="video", t_s=1.0)


def test_facts_are_those_of_the_channel_without_a_tag_of_their_own() -> None:
    """As every version before sent them: a plain map beside the channel."""
    sent = {"type": "observation", "id": "a", "source": "s", "channel": "sound", "t0_s": 0.0, "t1_s": 1.0}
    heard = m.decode(msgspec.msgpack.encode({**sent, "data": {"class": "impulse", "level_db": -12.5, "later": 1}}))
    assert heard.data == m.SoundFacts(kind="impulse", level_db=-12.5)
    assert m.decode(msgspec.msgpack.encode(sent)).data == m.SoundFacts()
    again = msgspec.msgpack.decode(m.encode(heard))
    assert again["data"] == {"class": "impulse", "level_db": -12.5}
    assert heard.facts(m.FrameFacts) == m.FrameFacts()
    with pytest.raises(DecodeError):
        m.decode(msgspec.msgpack.encode({**sent, "data": {"level_db": "loud"}}))


def test_every_message_is_frozen_tagged_and_in_the_union_once() -> None:
    union = KINDS
    tags = [kind.__struct_config__.tag for kind in union]
    assert len(tags) == len(set(tags))
    assert all(kind.__struct_config__.frozen for kind in union)
    concrete = {kind for kind in vars(m).values() if isinstance(kind, type) and issubclass(kind, m.Message)}
    assert concrete - {m.Message} == set(union)


def test_the_garbage_collector_walks_no_message() -> None:
    facts = m.SpeechFacts(engine="whisper")
    spoken = m.Observation(id="s/speech/1", source="s", channel="speech", t0_s=1.0, t1_s=2.0, data=facts)
    hit = m.Hit(observation=spoken, score=1.0)
    sent = m.RecallReply(hits=(hit,))
    received = m.decode(m.encode(sent))
    assert received == sent
    assert not any(gc.is_tracked(message) for message in (sent, received, hit, spoken, facts))


def test_topics_carry_messages_of_the_union() -> None:
    assert {kind for topic in TOPICS.values() for kind in topic.types} <= set(KINDS)


def test_ids_follow_media_time_and_number_what_begins_together() -> None:
    assert m.observation_id("a.mp4", "speech", 12.3456) == "a.mp4/speech/000012346"
    assert m.observation_id("a.mp4", "speech", 12.3456, 2) == "a.mp4/speech/000012346.2"
