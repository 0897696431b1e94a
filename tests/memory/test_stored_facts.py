"""Facts in rows of versions before and after this one: read, and never lost with the rest of the row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memory.store.reader import scan
from memory.store.views import open_view
from runtime.messages import (
    FACTS,
    AnswerFacts,
    Channel,
    CorrectionFacts,
    DerivedFacts,
    Facts,
    FrameFacts,
    GapFacts,
    ObjectFacts,
    Observation,
    Patch,
    QuestionFacts,
    ScanRequest,
    SoundFacts,
    SpeechFacts,
    SpokenWord,
    TextFacts,
    ViewRequest,
    WrittenLine,
    observation_id,
    read_facts,
)
from tests.fixtures.memory_cases import memory_of, stream

# What the version before wrote for each channel: every key, also those at their defaults, lists for tuples.
BEFORE: list[tuple[Channel, dict[str, Any], Facts]] = [
    (
        "frame",
        {
            "cut": False, "transition": "", "reason": "base", "change": 0.02, "motion": 0.0, "still": True,
            "brightness": 0.188, "colours": [["blue", 0.969]], "regions": {"top": "blue", "centre": "green"},
            "patches": [["green", "centre", 0.004]], "people": 0, "faces": 0, "width": 854, "height": 480,
            "tags": [["cup", 0.8]],
        },
        FrameFacts(
            reason="base", change=0.02, motion=0.0, still=True, brightness=0.188, colours=(("blue", 0.969),),
            regions={"top": "blue", "centre": "green"}, patches=(Patch("green", "centre", 0.004),), width=854,
            height=480, tags=(("cup", 0.8),),
        ),
    ),
    (
        "object",
        {
            "kind": "person", "event": "appears", "track": 2, "box": [0.0, 0.65, 0.075, 0.2611],
            "colours": {"top": "red", "bottom": ""}, "side": "left", "direction": "right", "shape": "tall",
            "size": "large", "straight": 1.0, "count": 0,
        },
        ObjectFacts(
            kind="person", event="appears", track=2, box=(0.0, 0.65, 0.075, 0.2611),
            colours={"top": "red", "bottom": ""}, side="left", direction="right", shape="tall", size="large",
        ),
    ),
    (
        "text",
        {"lines": [["OPEN", 0.98, [0.1, 0.2, 0.3, 0.1]]], "region": "top left"},
        TextFacts(lines=(WrittenLine("OPEN", 0.98, (0.1, 0.2, 0.3, 0.1)),), region="top left"),
    ),
    (
        "speech",
        {
            "words": [["welcome", 1, 1.628, 0.983]], "confidence": 0.986, "engine": "pocketsphinx",
            "understood": True, "known_s": 3.84,
        },
        SpeechFacts(
            words=(SpokenWord("welcome", 1.0, 1.628, 0.983),), confidence=0.986, engine="pocketsphinx", known_s=3.84
        ),
    ),
    (
        "sound",
        {"class": "impulse", "level_db": -12.5, "known_s": 6.912, "onsets": 3, "goes_on": True},
        SoundFacts(kind="impulse", level_db=-12.5, known_s=6.912, onsets=3, goes_on=True),
    ),
    ("gap", {"track": "audio", "reason": "damaged"}, GapFacts(track="audio", reason="damaged")),
    ("question", {"conversation": "main", "turn": 1}, QuestionFacts(conversation="main", turn=1)),
    (
        "answer",
        {"conversation": "main", "turn": 1, "question": "clip/question/000000001", "abstained": True},
        AnswerFacts(conversation="main", turn=1, question="clip/question/000000001", abstained=True),
    ),
    (
        "correction",
        {"conversation": "main", "asked": "Who?", "answered": "Ben."},
        CorrectionFacts(conversation="main", asked="Who?", answered="Ben."),
    ),
    (
        "derived",
        {"kind": "notice", "query": "1", "confirmed": False, "imported": "an archive"},
        DerivedFacts(kind="notice", query="1", imported="an archive"),
    ),
]  # fmt: skip


def test_there_is_a_row_of_every_channel() -> None:
    assert {channel for channel, _, _ in BEFORE} == set(FACTS)


def test_a_memory_of_the_version_before_gives_the_facts_it_holds(tmp_path: Path) -> None:
    plain = [
        Observation(id=observation_id("clip", channel, i), source="clip", channel=channel, t0_s=i, t1_s=i)
        for i, (channel, _, _) in enumerate(BEFORE)
    ]
    store = memory_of(tmp_path, stream(*plain, end_s=20.0))
    with store.write() as writing:
        for observation, (_, stored, _) in zip(plain, BEFORE, strict=True):
            writing.connection.execute(
                "UPDATE observations SET data=? WHERE id=?", (json.dumps(stored), observation.id)
            )
    reader = store.reader()
    request = ScanRequest(view=open_view(reader, ViewRequest()), channels=tuple(FACTS))
    assert {o.channel: o.data for o in scan(reader, request)} == {channel: facts for channel, _, facts in BEFORE}
    reader.close()
    store.close()


@pytest.mark.parametrize(("channel", "stored", "facts"), BEFORE)
def test_what_is_written_now_is_read_as_it_was(channel: Channel, stored: dict[str, Any], facts: Facts) -> None:
    row = Observation(id="x", source="x", channel=channel, t0_s=0.0, t1_s=0.0, data=facts)
    assert read_facts(channel, json.dumps(stored)) == row.data
    assert row.facts(FACTS[channel]) is facts


def test_a_key_of_a_newer_version_is_passed_over_and_one_of_another_type_costs_no_other() -> None:
    stored = {"reason": "base", "brightness": "bright", "colours": [["blue"]], "depth": [[1]], "people": 2}
    assert read_facts("frame", json.dumps(stored)) == FrameFacts(reason="base", people=2)


def test_every_number_of_a_fact_is_one_that_a_message_can_carry() -> None:
    """A larger one, which JSON can hold, would be stored and could never be sent."""

    def unbounded(schema: object) -> list[object]:
        if isinstance(schema, list):
            return [found for part in schema for found in unbounded(part)]
        if not isinstance(schema, dict):
            return []
        if schema.get("type") == "integer" and schema.get("maximum") != (1 << 63) - 1:
            return [schema]
        return [found for part in schema.values() for found in unbounded(part)]

    for kind in FACTS.values():
        assert not unbounded(msgspec.json.schema(kind)), f"{kind.__name__}: use Int64"
