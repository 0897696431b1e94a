"""Trust by provenance: the seen stands, the written and said is a claim, the derived is worth its least."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from memory.store.batch import Batch
from memory.store.reader import scan
from memory.store.views import open_view
from runtime.messages import Channel, FrameFacts, Observation, ScanRequest, ViewRequest
from runtime.trust import TRUST, is_corroborated, provenance_of, trust_of
from tests.fixtures.memory_cases import memory_of, say, see, stream


def stored_trust(directory: Path, *observations: Observation) -> dict[str, float]:
    store = memory_of(directory, stream(*observations, end_s=60.0))
    reader = store.reader()
    found = scan(reader, ScanRequest(view=open_view(reader, ViewRequest())))
    reader.close()
    store.close()
    return {o.text: o.trust for o in found}


def derived(text: str, *evidence: Observation, channel: Channel = "derived") -> Observation:
    return msgspec.structs.replace(
        say(9.0, 9.0, text, channel=channel), id=f"clip/{channel}/{text}", evidence=tuple(o.id for o in evidence)
    )


def test_each_channel_is_stored_with_the_trust_of_its_provenance(tmp_path: Path) -> None:
    frame, sign, spoken = see(1.0, "a car"), say(2.0, 2.0, "EXIT", channel="text"), say(3.0, 4.0, "the car is mine")
    doubted = msgspec.structs.replace(see(5.0, "maybe a dog"), trust=0.3)
    found = stored_trust(tmp_path, frame, sign, spoken, doubted, derived("that was Anna", frame, channel="correction"))
    assert found == {
        "a car": 1.0, "EXIT": TRUST["read"], "the car is mine": TRUST["said"], "maybe a dog": 0.3, "that was Anna": 1.0,
    }  # fmt: skip


def test_what_is_derived_inherits_the_least_trust_of_its_evidence(tmp_path: Path) -> None:
    frame, spoken = see(1.0, "a car"), say(3.0, 4.0, "the car is mine")
    found = stored_trust(
        tmp_path, frame, spoken, derived("a car stands there", frame), derived("somebody owns a car", frame, spoken),
        derived("nobody knows why"),
    )  # fmt: skip
    assert found["a car stands there"] == 1.0
    assert found["somebody owns a car"] == TRUST["said"]
    assert found["nobody knows why"] == TRUST["imported"]


def test_a_summary_of_a_summary_is_believed_no_more(tmp_path: Path) -> None:
    spoken = say(3.0, 4.0, "the car is mine")
    first = derived("somebody owns a car", spoken)
    found = stored_trust(tmp_path, spoken, first, derived("the car has an owner", first))
    assert found["the car has an owner"] == TRUST["said"]


def test_what_was_imported_is_believed_less_whatever_its_channel() -> None:
    imported = msgspec.structs.replace(see(1.0, "a car"), data=FrameFacts(imported="archive.zip"))
    assert provenance_of(imported) == "imported" and trust_of(imported) == TRUST["imported"]


@pytest.mark.parametrize(
    ("evidence", "enough"),
    [
        ((see(1.0, "a red car"),), True),
        ((say(1.0, 2.0, "the bridge is closed"),), False),
        ((say(1.0, 2.0, "the bridge is closed"), say(3.0, 4.0, "it is closed")), False),
        ((say(1.0, 2.0, "the bridge is closed"), say(3000.0, 3001.0, "it is closed")), False),
        ((say(1.0, 2.0, "the bridge is closed"), say(9.0, 9.0, "BRIDGE CLOSED", channel="text")), True),
        ((say(1.0, 2.0, "the bridge is closed"), say(1.5, 1.5, "the bridge is closed", channel="text")), False),
        ((), False),
    ],
)
def test_a_claim_needs_the_agents_own_senses_or_two_that_cannot_be_one_trick(
    evidence: tuple[Observation, ...], enough: bool
) -> None:
    assert is_corroborated(msgspec.structs.replace(o, trust=trust_of(o)) for o in evidence) is enough


def test_an_answer_that_cites_words_is_remembered_as_no_surer_than_they_are(tmp_path: Path) -> None:
    spoken = say(3.0, 4.0, "the car is mine")
    store = memory_of(
        tmp_path, stream(spoken, end_s=5.0), Batch(observations=(derived("Yes.", spoken, channel="answer"),))
    )
    reader = store.reader()
    assert reader.execute("SELECT trust FROM observations WHERE channel='answer'").fetchone() == (TRUST["said"],)
    reader.close()
    store.close()
