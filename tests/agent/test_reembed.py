"""A memory described by one encoder and opened with another: vectors never meet, and pictures are described anew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from memory.budget.compress import Member as Weighed
from memory.budget.compress import Pooling
from memory.recall.rank import Recall, RecallOptions
from memory.redescribe import foreign_frames, redescribe
from memory.spans.consolidate import Consolidator
from memory.spans.read_spans import read_spans
from memory.spans.segment import SegmentOptions
from memory.store.batch import Batch
from memory.store.database import Store
from memory.store.reader import read_status, scan
from memory.store.views import open_view
from memory.transactions import MemoryWriter
from perception.vision.description import Description
from perception.vision.layout import LayoutEncoder
from perception.vision.pipeline import describe_anew
from perception.vision.redescribe import Redescriber
from runtime.config import MemoryConfig
from runtime.errors import StoreError
from runtime.interfaces.commands.reembed import mismatch
from runtime.messages import (
    ForeignRequest,
    FrameFacts,
    Observation,
    RecallRequest,
    RedescribeRequest,
    ScanRequest,
    SpaceRecord,
    SpansRequest,
    View,
    ViewRequest,
)
from tests.fixtures.agent_runs import run
from tests.fixtures.memory_cases import memory_of, see, stream

# A cosine of what looks alike.
LIKE = 0.5
CATS, BOATS = (1.0, 0.0, 0.1), (0.0, 1.0, 0.1)


def view_of(store: Store) -> View:
    with closing(store.reader()) as reader:
        return open_view(reader, ViewRequest())


def found(
    recaller: Recall, store: Store, query: str = "", space: str = "", vector: Sequence[float] | np.ndarray = ()
) -> list[str]:
    coded = np.array(vector, "<f2").tobytes() if len(vector) else None
    request = RecallRequest(query=query, view=view_of(store), vector=coded, vector_space=space)
    hits = recaller.recall(request).hits
    return [hit.observation.id for hit in hits if coded is None or hit.why["vector"] > LIKE]


def frames_of(store: Store, with_payload: bool = False) -> dict[str, Observation]:
    with closing(store.reader()) as reader:
        request = ScanRequest(view=view_of(store), channels=("frame",), with_payload=with_payload)
        return {frame.id: frame for frame in scan(reader, request)}


def foreign(store: Store, space: str, after: int = 0, limit: int = 32) -> tuple[Observation, ...]:
    with closing(store.reader()) as reader:
        return foreign_frames(reader, ForeignRequest(space=space, after=after, limit=limit)).frames


def told_anew(frame: Observation, vector: Sequence[float], tag: str = "") -> Observation:
    """As another encoder would describe it."""
    unit = np.array(vector) / np.linalg.norm(vector)
    anew = msgspec.structs.replace(frame, vector=unit.astype("<f2").tobytes(), vector_space="newer", payload=None)
    if tag:
        anew = msgspec.structs.replace(anew, text=f"{frame.text}; shows {tag}", data=FrameFacts(tags=((tag, 0.9),)))
    return anew


def two_things() -> list[Observation]:
    """Frames on which the older encoder named zebras that the newer one knows better."""
    return [
        see(float(t), "a grey picture; shows zebra", vector=(0.0, 0.0, 1.0), tags=[["zebra", 0.5]]) for t in range(8)
    ]


@pytest.fixture(params=["unsealed", "sealed"])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index before and after its blocks are packed."""
    if request.param == "sealed":
        for module in ("memory.index.blocks", "memory.index.postings"):
            monkeypatch.setattr(f"{module}.BLOCK_BITS", 2)
            monkeypatch.setattr(f"{module}.BLOCK", 4)


@pytest.mark.usefixtures("_blocks")
def test_frames_described_anew_are_found_by_the_new_words_and_vectors_and_no_more_by_the_old(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(*two_things(), end_s=10.0))
    recaller = Recall(store.reader(), RecallOptions())
    before = frames_of(store, with_payload=True)
    assert len(found(recaller, store, "zebra")) == 8
    halves = foreign(store, "newer", limit=4), foreign(store, "newer")[4:]
    for half, vector, tag in ((halves[0], CATS, "cat"), (halves[1], BOATS, "boat")):
        anew = [told_anew(msgspec.structs.replace(frame, text="a grey picture"), vector, tag) for frame in half]
        with store.write() as writing:
            assert redescribe(writing, anew) == 4
    ids = list(before)
    assert found(recaller, store, "zebra") == []
    assert sorted(found(recaller, store, "cat")) == ids[:4]
    assert sorted(found(recaller, store, "boat")) == ids[4:]
    assert sorted(found(recaller, store, "", "newer", BOATS)) == ids[4:]
    assert found(recaller, store, "", "test", (0.0, 0.0, 1.0)) == []
    # One who opens the file afresh finds the same.
    assert found(Recall(store.reader(), RecallOptions()), store, "cat") == found(recaller, store, "cat")
    after = frames_of(store, with_payload=True)
    kept = ("id", "t0_s", "payload", "evidence", "trust")
    assert [[getattr(f, of) for of in kept] for f in after.values()] == [
        [getattr(f, of) for of in kept] for f in before.values()
    ]
    with closing(store.reader()) as reader:
        assert read_status(reader, "", 1 << 20).spaces == {"newer": SpaceRecord(vectors=8, pictures=8)}
        spans = read_spans(reader, SpansRequest(view=view_of(store)))
        assert all("zebra" not in span.text for span in spans) and "shows cat" in spans[0].text
        assert reader.execute("SELECT count(*) FROM vocabulary WHERE term='zebra'").fetchone() == (0,)
    store.close()


def test_what_the_index_says_after_frames_were_described_anew_is_what_it_says_when_made_again(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(*two_things(), end_s=10.0))
    with store.write() as writing:
        redescribe(writing, [told_anew(frame, CATS, "cat") for frame in foreign(store, "newer")])
    tables = ("SELECT * FROM unsealed", "SELECT * FROM term_counts", "SELECT term, sound FROM vocabulary ORDER BY term")
    with closing(store.reader()) as reader:
        kept = [reader.execute(table).fetchall() for table in tables]
    with store.write() as writing:
        writing.connection.execute("UPDATE memory SET value=0 WHERE key='analysis'")
    store.close()
    store = Store(tmp_path)
    with closing(store.reader()) as reader:
        assert [reader.execute(table).fetchall() for table in tables] == kept
    store.close()


def test_it_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(*two_things(), end_s=10.0))
    with store.write() as writing:
        redescribe(writing, [told_anew(frame, CATS) for frame in foreign(store, "newer", limit=3)])
    store.close()
    store = Store(tmp_path)
    left = foreign(store, "newer")
    assert [frame.id for frame in left] == list(frames_of(store))[3:]
    assert all(frame.payload for frame in left)
    store.close()


def test_vectors_move_to_the_other_space_and_are_found_there(tmp_path: Path) -> None:
    """By a memory that had read them before; newer frames of the new space were stored after them."""
    at_random = np.random.default_rng(0)
    directions = at_random.standard_normal((120, 8))
    seen = [see(float(t), vector=tuple(v)) for t, v in enumerate(directions)]
    seen[60:] = [msgspec.structs.replace(frame, vector_space="newer") for frame in seen[60:]]
    store = memory_of(tmp_path, stream(*seen, end_s=130.0))
    recaller = Recall(store.reader(), RecallOptions())
    query = directions[7] / np.linalg.norm(directions[7])
    assert found(recaller, store, "", "test", query)[0] == seen[7].id
    assert seen[7].id not in found(recaller, store, "", "newer", query)
    with store.write() as writing:
        redescribe(
            writing, [told_anew(f, v) for f, v in zip(foreign(store, "newer", limit=60), directions, strict=False)]
        )
    assert found(recaller, store, "", "newer", query)[0] == seen[7].id
    assert found(recaller, store, "", "test", query) == []
    last = directions[100] / np.linalg.norm(directions[100])
    assert found(recaller, store, "", "newer", last)[0] == seen[100].id
    store.close()


def test_a_frame_forgotten_meanwhile_does_not_come_back_and_one_without_a_picture_stays(
    tmp_path: Path,
) -> None:
    store = memory_of(tmp_path, stream(*two_things(), end_s=10.0))
    listed = foreign(store, "newer")
    with store.write() as writing:
        writing.remove([listed[0].id])
        writing.remove_pictures([listed[1].id])
    assert [frame.id for frame in foreign(store, "newer")] == [frame.id for frame in listed[2:]]
    with store.write() as writing:
        assert redescribe(writing, [told_anew(frame, CATS) for frame in (listed[0], *listed[2:])]) == 6
    left = frames_of(store)
    assert listed[0].id not in left
    assert left[listed[1].id].vector_space == "test"
    with closing(store.reader()) as reader:
        spaces = read_status(reader, "", 1 << 20).spaces
    assert spaces == {"newer": SpaceRecord(vectors=6, pictures=6), "test": SpaceRecord(vectors=1, pictures=0)}
    store.close()


def test_a_batch_of_two_encoders_is_refused_whole(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(*two_things(), end_s=10.0))
    recorder = MemoryWriter(store, MemoryConfig())
    listed = foreign(store, "newer")
    mixed = (told_anew(listed[0], CATS), listed[1])
    with pytest.raises(StoreError, match="vectors of one space"):
        recorder.redescribe(RedescribeRequest(frames=mixed))
    assert len(foreign(store, "newer")) == 8
    store.close()


def test_totals_and_budgets_follow_vectors_that_grow(tmp_path: Path) -> None:
    """What is charged after describing anew is what counting everything would charge."""
    store = memory_of(tmp_path, Batch())
    recorder = MemoryWriter(store, MemoryConfig())
    recorder.commit(stream(*two_things(), end_s=10.0))
    grown = tuple(np.eye(300)[0])
    recorder.redescribe(
        RedescribeRequest(frames=tuple(told_anew(frame, grown, "cat") for frame in foreign(store, "newer")))
    )
    with closing(store.reader()) as reader:
        counted = reader.execute("SELECT sum(row_bytes + picture_bytes) FROM charges WHERE channel='frame'").fetchone()
        assert reader.execute("SELECT bytes FROM charged WHERE name='frame'").fetchone() == counted
    store.close()


def test_an_events_pictures_are_not_compared_across_encoders() -> None:
    """Two encoders of one length: by their vectors the frames would be one and the same."""
    older, newer = see(1.0, "a", vector=CATS), msgspec.structs.replace(see(2.0, "a", vector=CATS), vector_space="newer")
    same = msgspec.structs.replace(newer, text="b")
    kept = Pooling().compress_seen([Weighed(older, 1.0), Weighed(same, 1.0)], older.id, "sketch")
    assert kept.keys == (older.id, same.id)


def test_episodes_are_not_ended_by_a_change_of_encoder() -> None:
    """Events in a row that look alike by the newer encoder: the first of them is no surprise for being of another."""

    def episodes(space: str) -> list[float]:
        consolidator = Consolidator("clip", SegmentOptions(min_s=1.0, max_s=4.0))
        spans = []
        for t in range(44):
            frame = see(float(t), vector=CATS if t < 24 else BOATS)
            spans += consolidator.step(frame if t < 24 else msgspec.structs.replace(frame, vector_space=space))
        return [span.t0_s for span in spans if span.level == "episode"]

    assert episodes("test") == [0.0]  # the picture changed
    assert episodes("newer") == []


def test_a_line_says_what_memory_holds_of_other_encoders_and_what_to_do() -> None:
    spaces = {"layout-v1": SpaceRecord(vectors=40, pictures=30), "tiny-1": SpaceRecord(vectors=2, pictures=2)}
    line = mismatch(spaces, "tiny-1")
    assert "40 pictures described by layout-v1 (40)" in line and "describes by tiny-1" in line
    assert "`run_agent.py reembed` describes anew the 30 whose picture is kept" in line
    assert mismatch({"tiny-1": spaces["tiny-1"]}, "tiny-1") == ""
    assert mismatch(spaces, "") == ""
    assert "none of them is kept" in mismatch({"old": SpaceRecord(vectors=2, pictures=0)}, "tiny-1")


class Naming:
    """An encoder that names one thing in every picture."""

    space, dimensions, batch, names_things, meaning, lacking = "naming", 2, 3, True, "a thing", ""

    def describe(self, bgrs: Sequence[np.ndarray]) -> list[Description]:
        vector = np.array([1.0, 0.0], "<f2").tobytes()
        return [Description("x", vector, [], {}, [], 0.5, [("kettle", 0.9)]) for _ in bgrs]


@pytest.mark.parametrize(
    ("text", "data", "anew"),
    [
        ("a dark picture, mostly grey", {}, "a dark picture, mostly grey; shows kettle"),
        (
            "a new shot; a picture, mostly red; shows cup, cat; 2 people; movement at the left",
            {"people": 2, "tags": [["cup", 0.8], ["cat", 0.7]]},
            "a new shot; a picture, mostly red; shows kettle; 2 people; movement at the left",
        ),
        ("a grey picture; nothing moves", {"people": 0}, "a grey picture; shows kettle; nothing moves"),
    ],
)
def test_the_sentence_of_a_frame_names_the_new_things_where_it_named_the_old(
    text: str, data: dict[str, Any], anew: str
) -> None:
    frame = see(1.0, text, vector=CATS, **data)
    described = describe_anew(frame, Naming().describe([np.zeros((1, 1, 3), np.uint8)])[0], Naming())
    assert (described.text, described.facts(FrameFacts).tags) == (anew, (("kettle", 0.9),))
    assert described.vector_space == "naming"
    # An encoder that names nothing takes nothing back.
    layout = LayoutEncoder()
    plain = describe_anew(frame, layout.describe([np.zeros((4, 4, 3), np.uint8)])[0], layout)
    assert (plain.text, plain.data, plain.vector_space) == (text, frame.data, "layout-v1")


def jpeg(shade: int) -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((24, 32, 3), shade, np.uint8))[1].tobytes())


def test_damaged_pictures_are_left_out_and_the_others_go_in_batches() -> None:
    frames = [msgspec.structs.replace(see(float(t), vector=CATS), payload=jpeg(20 * t)) for t in range(8)]
    frames[2] = msgspec.structs.replace(frames[2], payload=b"\xff\xd8 cut off")
    described = Redescriber(Naming()).step(frames)
    assert [frame.id for frame in described] == [frame.id for frame in frames if frame is not frames[2]]
    assert all(frame.payload is None for frame in described)


@pytest.fixture
def older_memory(tmp_path: Path) -> Path:
    """A stored memory of pictures that an encoder of another space described: one lost its picture, one is damaged."""
    frames = [msgspec.structs.replace(see(float(t), vector=CATS), payload=jpeg(20 * t)) for t in range(8)]
    frames[2] = msgspec.structs.replace(frames[2], payload=b"\xff\xd8 cut off")
    store = memory_of(tmp_path / "memory", stream(*frames, end_s=10.0))
    with store.write() as writing:
        writing.remove_pictures([frames[5].id])
    store.close()
    return tmp_path / "memory"


def test_the_command_describes_anew_what_it_can_and_says_what_it_cannot(older_memory: Path) -> None:
    asked = run("ask", "what is red?", "--memory", older_memory, "--json")
    assert asked.code == 0
    (line,) = [line for line in asked.err.splitlines() if "reembed" in line]
    assert "8 pictures described by test (8)" in line and "describes anew the 7" in line
    done = run("reembed", "--memory", older_memory, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == {"space": "layout-v1", "redescribed": 6, "unreadable": 1, "without_picture": 1}
    doctor = run("doctor", "--memory", older_memory)
    (line,) = [line for line in doctor.out.splitlines() if "pictures in memory" in line]
    assert "2 pictures described by test (2)" in line
    status = run("status", "--memory", older_memory)
    assert "pictures described by layout-v1: 6, 6 of them kept" in status.out
    done.assert_nothing_left()
