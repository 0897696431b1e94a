"""Archives: all of memory out and in again, whole or not at all, and nothing outside them ever touched."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memory.archive.exporter import export_memory
from memory.archive.importer import import_memory
from memory.erasure.forget import forget
from memory.store.batch import Batch
from memory.store.database import Store
from memory.store.reader import scan
from memory.store.views import open_view
from runtime.errors import StoreError
from runtime.messages import (
    ExportRequest,
    ForgetRequest,
    ImportRequest,
    Observation,
    ScanRequest,
    TimeWindow,
    ViewRequest,
)
from runtime.trust import TRUST
from tests.fixtures.memory_cases import memory_of, say, see, stream


def everything(store: Store) -> tuple[Observation, ...]:
    reader = store.reader()
    found = scan(reader, ScanRequest(view=open_view(reader, ViewRequest()), with_payload=True))
    reader.close()
    return found


def spans(store: Store) -> list[Any]:
    reader = store.reader()
    rows = reader.execute("SELECT id, level, t0_s, t1_s, text, parent, keyframe FROM spans ORDER BY id").fetchall()
    reader.close()
    return rows


def a_memory(directory: Path, source: str = "clip") -> Store:
    sign = say(10.0, 10.0, "EXIT ↗", channel="text", source=source, lines=[["EXIT ↗", 0.9, [0, 0, 1, 1]]])
    frames = [see(float(t), f"a hall, {t}", source=source, vector=(1.0, t, 2.0)) for t in range(0, 40, 2)]
    frames[5] = msgspec.structs.replace(frames[5], evidence=(sign.id,))
    told = Observation(
        id=f"{source}/answer/1", source=source, channel="answer", t0_s=40.0, t1_s=40.0, text="EXIT", evidence=(sign.id,)
    )
    batch = stream(sign, *frames, say(20.0, 22.0, "mind the gap", source=source), source=source, end_s=40.0)
    return memory_of(directory, batch, Batch(observations=(told,)))


def export(store: Store, path: Path) -> Path:
    reader = store.reader()
    export_memory(reader, ExportRequest(path=str(path)))
    reader.close()
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    store = a_memory(tmp_path / "first")
    export(store, tmp_path / "archive")
    store.close()
    return tmp_path / "archive"


@pytest.mark.parametrize("name", ["archive", "archive.zip"])
def test_what_goes_out_comes_back_the_same(tmp_path: Path, name: str) -> None:
    first = a_memory(tmp_path / "first")
    export(first, tmp_path / name)
    second = Store(tmp_path / "second")
    reply = import_memory(second, ImportRequest(path=str(tmp_path / name), trusted=True))
    assert everything(second) == everything(first) and spans(second) == spans(first)
    assert (reply.observations, reply.pictures, reply.sources, reply.known) == (23, 20, 1, 0)
    sources = "SELECT name, kind, duration_s FROM sources JOIN tracks USING (source)"
    assert second.reader().execute(sources).fetchall() == first.reader().execute(sources).fetchall()
    again = import_memory(second, ImportRequest(path=str(tmp_path / name), trusted=True))
    assert (again.observations, again.known) == (0, 23) and everything(second) == everything(first)
    first.close()
    second.close()


def test_what_is_not_the_users_own_is_believed_less_and_says_where_it_is_from(tmp_path: Path, archive: Path) -> None:
    store = Store(tmp_path / "second")
    import_memory(store, ImportRequest(path=str(archive)))
    manifest = json.loads((archive / "manifest.json").read_text())
    assert {o.trust for o in everything(store)} == {TRUST["imported"]}
    assert {o.data.imported for o in everything(store)} == {manifest["id"]}
    store.close()


def test_it_joins_what_is_there_and_what_was_erased_there_stays_erased(tmp_path: Path, archive: Path) -> None:
    store = a_memory(tmp_path / "other", source="other clip")
    before = everything(store)
    import_memory(store, ImportRequest(path=str(archive), trusted=True))
    assert len(everything(store)) == len(before) + 23
    forget(store, ForgetRequest(windows=(TimeWindow(source="clip", t0_s=19.0, t1_s=23.0),)))
    import_memory(store, ImportRequest(path=str(archive), trusted=True))
    assert [o.source for o in everything(store) if o.text == "mind the gap"] == ["other clip"]
    store.close()


def test_erased_stretches_travel_along(tmp_path: Path) -> None:
    first = a_memory(tmp_path / "first")
    forget(first, ForgetRequest(windows=(TimeWindow(source="clip", t0_s=19.0, t1_s=23.0),)))
    export(first, tmp_path / "archive")
    second = Store(tmp_path / "second")
    import_memory(second, ImportRequest(path=str(tmp_path / "archive"), trusted=True))
    with second.write() as writing:
        assert not writing.add_observation(say(20.0, 22.0, "mind the gap"))
    first.close()
    second.close()


def change_line(archive: Path, name: str, change: Callable[[dict[str, Any]], None], seal: bool = True) -> None:
    """Change the first line of a list, with a manifest that agrees unless ``seal`` is False."""
    import hashlib

    lines = (archive / name).read_text(encoding="utf-8").splitlines()
    record = json.loads(lines[0])
    change(record)
    (archive / name).write_text("\n".join([json.dumps(record), *lines[1:]]) + "\n", encoding="utf-8")
    if seal:
        manifest = json.loads((archive / "manifest.json").read_text())
        manifest["files"][name] = hashlib.sha256((archive / name).read_bytes()).hexdigest()
        (archive / "manifest.json").write_text(json.dumps(manifest))


def _cut(archive: Path) -> None:
    path = archive / "observations.jsonl"
    path.write_bytes(path.read_bytes()[:-200])


def _swap_picture(archive: Path) -> None:
    next((archive / "pictures").iterdir()).write_bytes(b"another picture")


def _newer(archive: Path) -> None:
    manifest = json.loads((archive / "manifest.json").read_text()) | {"version": 99}
    (archive / "manifest.json").write_text(json.dumps(manifest))


def _link(archive: Path) -> None:
    (archive / "pictures" / "99999.jpg").symlink_to("/etc/hostname")


def _picture_elsewhere(archive: Path) -> None:
    change_line(archive, "observations.jsonl", lambda record: record.update(picture="../../../etc/hostname"))


def _no_time(archive: Path) -> None:
    change_line(archive, "observations.jsonl", lambda record: record.update(t0_s=5.0, t1_s=1.0))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_cut, "observations.jsonl has another checksum"),
        (_swap_picture, "has another checksum than its observation says"),
        (_newer, r"newer version \(99"),
        (_link, "holds a link"),
        (_picture_elsewhere, "is no picture of an archive"),
        (_no_time, "its time is wrong"),
        (lambda archive: (archive / "spans.jsonl").unlink(), "spans.jsonl is missing"),
        (lambda archive: (archive / "manifest.json").write_text("{"), "damaged"),
        (lambda archive: (archive / "manifest.json").unlink(), "there is no manifest.json"),
        (lambda archive: (archive / "notes.sh").write_text("rm"), "holds 'notes.sh'"),
        (lambda archive: next((archive / "pictures").iterdir()).unlink(), "jpg is missing"),
    ],
)
def test_a_damaged_archive_is_one_line_and_nothing_is_imported(
    tmp_path: Path, archive: Path, damage: Callable[[Path], Any], says: str
) -> None:
    damage(archive)
    store = a_memory(tmp_path / "second", source="mine")
    before = everything(store)
    with pytest.raises(StoreError, match=says) as caught:
        import_memory(store, ImportRequest(path=str(archive)))
    assert "\n" not in str(caught.value)
    assert everything(store) == before
    assert store.reader().execute("SELECT count(*) FROM sources").fetchone() == (1,)
    store.close()


def test_a_zip_that_points_outside_is_refused(tmp_path: Path, archive: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as evil:
        for path in archive.rglob("*"):
            if path.is_file():
                evil.write(path, path.relative_to(archive).as_posix())
        evil.writestr("../../outside.jpg", b"x")
    store = Store(tmp_path / "second")
    with pytest.raises(StoreError, match=r"holds '\.\./\.\./outside\.jpg'"):
        import_memory(store, ImportRequest(path=str(tmp_path / "evil.zip")))
    assert not list(tmp_path.parent.glob("outside.jpg"))
    store.close()


@pytest.mark.parametrize("size", [0, 300, -500])
def test_a_zip_that_was_cut_is_one_line(tmp_path: Path, size: int) -> None:
    first = a_memory(tmp_path / "first")
    path = export(first, tmp_path / "archive.zip")
    path.write_bytes(path.read_bytes()[:size])
    store = Store(tmp_path / "second")
    with pytest.raises(StoreError, match="damaged"):
        import_memory(store, ImportRequest(path=str(path)))
    assert everything(store) == ()
    first.close()
    store.close()


def test_another_recording_of_the_same_name_is_not_mixed_in(tmp_path: Path, archive: Path) -> None:
    change_line(archive, "sources.jsonl", lambda record: record.update(fingerprint="other"))
    store = a_memory(tmp_path / "second")
    with pytest.raises(StoreError, match="its source 'clip' is another recording"):
        import_memory(store, ImportRequest(path=str(archive)))
    store.close()


def test_an_archive_is_never_written_over_and_a_failed_one_leaves_nothing(tmp_path: Path, archive: Path) -> None:
    store = a_memory(tmp_path / "second")
    with pytest.raises(StoreError, match="is there already"):
        export(store, archive)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        export(store, tmp_path / "file" / "archive")
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second", "archive", "file"}
    store.close()
