"""Archives that mean harm: what is out of bounds refuses the archive, what would control the agent is left out."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from memory.archive.exporter import UNFINISHED, clear_unfinished, export_memory
from memory.archive.importer import FOREIGN, import_memory
from memory.recall.rank import Recall, RecallOptions
from memory.store.batch import Batch
from memory.store.database import Store
from memory.store.levels import Budget
from memory.store.reader import read_sources, scan
from memory.store.views import open_view
from memory.transactions import MemoryWriter
from runtime.config import BudgetConfig, MemoryConfig
from runtime.errors import StoreError
from runtime.messages import (
    ExportRequest,
    GapFacts,
    ImportRequest,
    Observation,
    RecallRequest,
    ScanReply,
    ScanRequest,
    ViewRequest,
    encode,
    observation_id,
)
from runtime.replay import Recording, plan_sources
from tests.fixtures.memory_cases import memory_of, say, see, stream

Record = dict[str, Any]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    sign = say(1.0, 1.0, "EXIT", channel="text", lines=[["EXIT", 0.9, [0, 0, 1, 1]]])
    frames = [see(float(t), f"a hall, {t}", vector=(1.0, t, 2.0)) for t in range(0, 40, 2)]
    store = memory_of(tmp_path / "first", stream(*frames, sign, say(20.0, 22.0, "mind the gap"), end_s=40.0))
    export_memory(store.reader(), ExportRequest(path=str(tmp_path / "archive")))
    store.close()
    return tmp_path / "archive"


def seal(archive: Path, name: str, data: bytes) -> None:
    """Put a list there, with a manifest that agrees."""
    (archive / name).write_bytes(data)
    manifest = json.loads((archive / "manifest.json").read_text())
    manifest["files"][name] = hashlib.sha256(data).hexdigest()
    (archive / "manifest.json").write_text(json.dumps(manifest))


def change(archive: Path, name: str, *changes: Callable[[Record], object]) -> None:
    """Change the first record of a list."""
    lines = (archive / name).read_text(encoding="utf-8").splitlines()
    record = json.loads(lines[0]) if lines else {}
    for each in changes:
        each(record)
    seal(archive, name, "\n".join([json.dumps(record), *lines[1:]]).encode() + b"\n")


def add(archive: Path, name: str, record: Record) -> None:
    seal(archive, name, (archive / name).read_bytes() + json.dumps(record).encode() + b"\n")


def repicture(archive: Path, data: bytes) -> None:
    (archive / "pictures" / "1.jpg").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    change(archive, "observations.jsonl", lambda r: r.update(picture="pictures/1.jpg", picture_sha256=digest))


def nested(archive: Path, depth: int) -> None:
    lines = (archive / "observations.jsonl").read_bytes().splitlines()
    record = json.loads(lines[0]) | {"data": {"x": "HERE"}}
    deep = json.dumps(record).encode().replace(b'"HERE"', b"[" * depth + b"]" * depth)
    seal(archive, "observations.jsonl", b"\n".join([deep, *lines[1:]]) + b"\n")


def floats(*values: float) -> str:
    return base64.b64encode(np.array(values, "<f2").tobytes()).decode()


def wide_jpeg() -> bytes:
    size = (60_000).to_bytes(2, "big")
    return b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08" + size + size + b"\x01\x01\x11\x00"


def observed(**fields: object) -> Callable[[Path], None]:
    return lambda archive: change(archive, "observations.jsonl", lambda r: r.update(fields))


def sourced(**fields: object) -> Callable[[Path], None]:
    return lambda archive: change(archive, "sources.jsonl", lambda r: r.update(fields))


def spanned(**fields: object) -> Callable[[Path], None]:
    return lambda archive: change(archive, "spans.jsonl", lambda r: r.update(fields))


REFUSED: dict[str, Callable[[Path], Any]] = {
    "a time beyond all times": observed(t0_s=1e300, t1_s=1e300),
    "a time after its source": observed(t0_s=5e8, t1_s=5e8),
    "a negative time": observed(t0_s=-5.0),
    "an end before its begin": observed(t0_s=9.0, t1_s=3.0),
    "no time": observed(t0_s=None),
    "an id of a megabyte": observed(id="x" * 1_000_000),
    "an id of nothing": observed(id=""),
    "a text of a megabyte": observed(text="x" * 1_000_000),
    "facts of a megabyte": observed(channel="speech", data={"words": [["word", 0, 1, 1]] * 50_000}),
    "a channel there is not": observed(channel="thought"),
    "evidence of itself": lambda archive: change(
        archive, "observations.jsonl", lambda record: record.update(evidence=[record["id"]])
    ),
    "evidence without end": observed(evidence=[f"clip/frame/{i}" for i in range(10_000)]),
    "trust beyond all trust": observed(trust=7.0),
    "a vector of no numbers": observed(vector=floats(float("nan"), 1.0)),
    "a vector without end": observed(vector=floats(float("inf"), 1.0)),
    "a vector that outweighs all": observed(vector=floats(6e4, 6e4)),
    "a vector of no space": observed(vector_space=""),
    "half a number": observed(vector=base64.b64encode(b"abc").decode()),
    "no base64": observed(vector="%%%"),
    "nesting without end": lambda archive: nested(archive, 100_000),
    "nesting that can just be decoded": lambda archive: nested(archive, 400),
    "a picture that is a page": lambda archive: repicture(archive, b"<script>alert(1)</script>"),
    "a picture of 3600 megapixels": lambda archive: repicture(archive, wide_jpeg()),
    "a source of a kind there is not": sourced(kind="satellite"),
    "a track there is not": sourced(watermarks={"smell": 1.0}),
    "a watermark beyond all times": sourced(watermarks={"video": 1e300}),
    "a source begun before there was time": sourced(started_wall_s=-1.0),
    "a source begun beyond all years": sourced(started_wall_s=1e15),
    "a source without end": sourced(duration_s=1e300),
    "a span beyond all times": spanned(t1_s=1e300),
    "a span of a level there is not": spanned(level="era"),
    "a span that is believed more than all": spanned(trust=1e9),
    "an erasure of all times": lambda archive: add(
        archive, "erasures.jsonl",
        {"source": "clip", "channel": "", "t0_s": -1e300, "t1_s": 1e300, "erased_wall_s": 0},
    ),
    "a record that is a list": lambda archive: seal(archive, "observations.jsonl", b"[]\n"),
}  # fmt: skip


def works(store: Store) -> tuple[Observation, ...]:
    """All that is remembered, read, encoded and searched as every question does."""
    reader = store.reader()
    view = open_view(reader, ViewRequest())
    found = scan(reader, ScanRequest(view=view, with_payload=True))
    encode(ScanReply(observations=found))
    recalled = Recall(reader, RecallOptions()).recall(RecallRequest(query="the gap in the hall", view=view))
    encode(recalled)
    reader.close()
    return found


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("poison", REFUSED)
def test_what_is_out_of_bounds_refuses_the_archive_in_one_line(
    tmp_path: Path, archive: Path, poison: str, trusted: bool
) -> None:
    REFUSED[poison](archive)
    store = memory_of(
        tmp_path / "second", stream(say(1.0, 2.0, "the harbour", source="mine"), source="mine", end_s=9.0)
    )
    before = works(store)
    with pytest.raises(StoreError, match="nothing was imported") as caught:
        MemoryWriter(store, MemoryConfig()).import_archive(ImportRequest(path=str(archive), trusted=trusted))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    assert works(store) == before
    assert store.reader().execute("SELECT count(*) FROM sources").fetchone() == (1,)
    store.close()


@pytest.mark.parametrize(
    "harmless",
    [
        observed(channel="object", data={"track": 1 << 90, "count": -(1 << 70)}),
        lambda archive: nested(archive, 8),
        observed(data={"colours": "not a list", "people": "many", "x": {"y": []}}),
        observed(evidence=["of/nothing/known"]),
        spanned(keyframe="of/nothing/known", parent="of/nothing/known"),
    ],
)
def test_what_does_no_harm_without_it_is_passed_over(
    tmp_path: Path, archive: Path, harmless: Callable[[Path], Any]
) -> None:
    harmless(archive)
    store = Store(tmp_path / "second")
    MemoryWriter(store, MemoryConfig()).import_archive(ImportRequest(path=str(archive)))
    assert len(works(store)) == 22
    reader = store.reader()
    assert reader.execute("SELECT count(*) FROM spans WHERE keyframe LIKE 'of/%'").fetchone() == (0,)
    reader.close()
    store.close()


def test_spans_of_no_source_of_the_archive_are_left_out_and_counted(tmp_path: Path, archive: Path) -> None:
    spanned(source="elsewhere")(archive)
    store = Store(tmp_path / "second")
    assert import_memory(store, ImportRequest(path=str(archive), trusted=True)).left_out == {"spans": 1}
    assert {name for (name,) in store.reader().execute("SELECT name FROM sources")} == {"clip"}
    store.close()


RECORDING = Recording(path="/media/clip", fingerprint="the real one", started_wall_s=0.0, duration_s=40.0)


def test_a_recording_that_an_archive_claims_is_perceived_all_the_same(tmp_path: Path, archive: Path) -> None:
    sourced(fingerprint=RECORDING.fingerprint)(archive)
    stone = {"source": "clip", "channel": "", "t0_s": 0.0, "t1_s": 9e8, "erased_wall_s": 1.0}
    add(archive, "erasures.jsonl", stone)
    store = Store(tmp_path / "second")
    import_memory(store, ImportRequest(path=str(archive)))
    (plan,) = plan_sources([RECORDING], read_sources(store.reader()))
    assert not plan.complete and plan.remembered_s is None and plan.source == "clip~the re"
    with store.write() as writing:
        assert writing.add_observation(see(3.0, "a hall", source=plan.source))
    store.close()


def test_a_name_that_an_archive_has_taken_beforehand_is_given_another_mark(tmp_path: Path, archive: Path) -> None:
    store = Store(tmp_path / "second")
    import_memory(store, ImportRequest(path=str(archive)))
    known = read_sources(store.reader())
    squatted = [msgspec.structs.replace(known[0], source="clip~the re"), *known]
    (plan,) = plan_sources([RECORDING], squatted)
    assert plan.source == "clip~the rea"
    store.close()


def test_an_archive_controls_nothing_of_what_is_perceived_here(tmp_path: Path, archive: Path) -> None:
    end = say(30.0, 40.0, "gone", channel="gap", track="video", ends_track=True)
    add(archive, "observations.jsonl", msgspec.to_builtins(end) | {"data": {"track": "video", "ends_track": True}})
    add(archive, "erasures.jsonl", {"source": "clip", "channel": "", "t0_s": 0.0, "t1_s": 9e8, "erased_wall_s": 1.0})
    store = Store(tmp_path / "second")
    writer = MemoryWriter(store, MemoryConfig())
    opened = stream(see(0.0, "my own hall"), end_s=2.0)
    writer.commit(Batch(opened=opened.opened, observations=opened.observations, watermarks={("clip", "video"): 2.0}))
    reply = writer.import_archive(ImportRequest(path=str(archive)))
    assert reply.left_out == {"tracks": 2, "erasures": 1, "spans": reply.left_out["spans"]}
    (record,) = read_sources(store.reader())
    assert record.ended == {} and max(record.watermarks.values()) == 2.0 and not record.fingerprint.startswith(FOREIGN)
    gaps = [o.data for o in works(store) if o.channel == "gap"]
    assert all(isinstance(gap, GapFacts) and not gap.ends_track for gap in gaps)
    mine = see(4.0, "what I see myself")
    writer.commit(Batch(observations=(mine,), watermarks={("clip", track): 40.0 for track in ("video", "audio")}))
    seen = {o.id: o for o in works(store)}
    assert seen[observation_id("clip", "frame", 4.0)].text == "what I see myself"
    assert seen[observation_id("clip", "frame", 0.0)].text == "my own hall"
    assert seen[observation_id("clip", "frame", 6.0)].trust == 0.4
    store.close()


def test_an_archive_is_taken_in_within_the_budget(tmp_path: Path) -> None:
    frames = [
        msgspec.structs.replace(see(float(t), f"a hall, number {t}"), payload=b"\xff\xd8" + bytes([t % 251]) * 20_000)
        for t in range(600)
    ]
    first = memory_of(tmp_path / "first", stream(*frames, end_s=600.0))
    export_memory(first.reader(), ExportRequest(path=str(tmp_path / "archive.zip")))
    first.close()
    budget = BudgetConfig(hot_mib=1, events_mib=1, episodes_mib=1, words_mib=1)
    most = Budget(*[1 << 20] * 4)
    store = Store(tmp_path / "second", most)
    writer = MemoryWriter(store, MemoryConfig(budget=budget))
    assert writer.import_archive(ImportRequest(path=str(tmp_path / "archive.zip"))).observations == 600
    assert store.size_bytes() <= most.total
    assert works(store)
    store.close()


def test_a_small_file_that_holds_gigabytes_is_refused_before_it_is_read(tmp_path: Path, archive: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in ("manifest.json", "sources.jsonl", "spans.jsonl", "erasures.jsonl"):
            bomb.write(archive / name, name)
        bomb.writestr("observations.jsonl", b" " * (40 << 20))
    store = Store(tmp_path / "second", Budget(*[1 << 20] * 4))
    with pytest.raises(StoreError, match=r"holds 42 MB, memory may have 4 MB \(memory.budget\); nothing was imported"):
        import_memory(store, ImportRequest(path=str(tmp_path / "bomb.zip")))
    store.close()


def test_what_a_killed_export_left_is_removed_at_the_next_opening(tmp_path: Path, archive: Path) -> None:
    left = tmp_path / "elsewhere" / ".mine.zip.part"
    left.parent.mkdir()
    left.write_text("half of a memory")
    (tmp_path / "first" / UNFINISHED).write_text(str(left))
    clear_unfinished(tmp_path / "first")
    assert not left.exists() and not (tmp_path / "first" / UNFINISHED).exists()
    kept = tmp_path / "kept.txt"
    kept.write_text("not a part of an archive")
    (tmp_path / "first" / UNFINISHED).write_text(str(kept))
    clear_unfinished(tmp_path / "first")
    assert kept.exists()
