"""Titles and footage in archives: out with what may go, in with what may come, and nothing that was forgotten."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memory.archive.exporter import clear_unfinished, export_memory
from memory.archive.footage import STAGED
from memory.archive.importer import import_memory
from memory.erasure.forget import forget
from memory.store.database import Store
from memory.transactions import MemoryWriter
from runtime.config import MemoryConfig
from runtime.errors import StoreError
from runtime.footage import FOOTAGE, folder_of, mark, note_blanked, segment_name, segments
from runtime.messages import (
    ArchiveReply,
    ExportRequest,
    ForgetRequest,
    ImportRequest,
    Keeping,
    SourceOpened,
    TimeWindow,
)
from runtime.sources import Rect
from runtime.titles import set_title, titles
from tests.fixtures.memory_cases import gather_all, progress, say, see

DOOR, YARD = "door@2026-11-30T10:00:00", "yard@2026-11-30T10:00:00"
BEGINS = (0.0, 10.0, 20.0, 30.0)
ROOM = Keeping(bytes=1 << 20, age_s=86_400.0, marked_bytes=1 << 20)
REGION: Rect = (0.0, 0.0, 0.5, 0.5)


def footage_of(t0_s: float) -> bytes:
    """A file that begins as Matroska does, and like no other."""
    return b"\x1a\x45\xdf\xa3\x93\x42\x82\x88matroska\x42\x87\x81\x04" + f"{t0_s}".encode() * 50


def filmed(directory: Path, source: str = DOOR) -> Store:
    """A memory of a camera, with footage of its first forty seconds in files of ten."""
    store = Store(directory)
    opened = [SourceOpened(source=source, track="video", kind="camera", started_wall_s=1_764_496_800.0)]
    said = say(23.0, 25.0, "the porcupine is in the locker", source=source)
    seen = [see(t_s, "a hall", source=source) for t_s in (1.0, 31.0)]
    MemoryWriter(store, MemoryConfig()).commit(gather_all(*opened, said, *seen, progress(40.0, "video", source)))
    put(directory, *BEGINS, source=source)
    return store


def put(directory: Path, *begins_s: float, source: str = DOOR) -> None:
    folder = folder_of(directory / FOOTAGE, source)
    folder.mkdir(parents=True, exist_ok=True)
    for t0_s in begins_s:
        (folder / segment_name(t0_s, t0_s + 9.9)).write_bytes(footage_of(t0_s))


def export(store: Store, path: Path, footage: bool = True, **private: tuple[Rect, ...]) -> ArchiveReply:
    reader = store.reader()
    try:
        return export_memory(reader, ExportRequest(path=str(path), footage=footage, private=private))
    finally:
        reader.close()


def take_in(store: Store, path: Path, trusted: bool = True, room: Keeping | None = ROOM) -> ArchiveReply:
    return import_memory(store, ImportRequest(path=str(path), trusted=trusted, footage=room))


def kept(directory: Path, source: str = DOOR) -> dict[float, bytes]:
    return {s.t0_s: s.path.read_bytes() for s in segments(directory / FOOTAGE, source)}


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Store]:
    store = filmed(tmp_path / "first")
    yield store
    store.close()


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "second")
    yield store
    store.close()


@pytest.mark.parametrize("name", ["archive", "archive.zip"])
def test_titles_and_footage_go_out_and_come_in_the_same(first: Store, second: Store, tmp_path: Path, name: str) -> None:
    set_title(first.directory, [*status(first)], DOOR, "The front door")
    mark(first.directory / FOOTAGE, DOOR, 12.0, 13.0, around_s=0.0)
    out = export(first, tmp_path / name)
    assert (out.titles, out.footage, out.left_out) == (1, 4, {})
    come = take_in(second, tmp_path / name)
    assert (come.titles, come.footage, come.left_out) == (1, 4, {})
    assert kept(second.directory) == kept(first.directory) == {t_s: footage_of(t_s) for t_s in BEGINS}
    assert titles(second.directory) == {DOOR: "The front door"}
    marks = [path.name for path in (folder_of(second.directory / FOOTAGE, DOOR) / "marks").iterdir()]
    assert marks == ["000010000-000019900"], "what was marked there is marked here"
    assert not (second.directory / STAGED).exists()
    again = take_in(second, tmp_path / name)
    assert (again.titles, again.footage, again.left_out) == (0, 0, {})


def test_footage_goes_and_comes_only_where_it_is_asked_for(first: Store, second: Store, tmp_path: Path) -> None:
    assert export(first, tmp_path / "without", footage=False).footage == 0
    assert not (tmp_path / "without" / "footage").exists()
    export(first, tmp_path / "with")
    come = take_in(second, tmp_path / "with", room=None)
    assert come.footage == 0 and come.left_out == {"footage (import --footage takes it)": 4}
    assert kept(second.directory) == {}


def test_what_is_being_written_and_what_is_not_blanked_yet_stays(first: Store, tmp_path: Path) -> None:
    (folder_of(first.directory / FOOTAGE, DOOR) / segment_name(40.0, None)).write_bytes(b"open")
    out = export(first, tmp_path / "early", door=(REGION,))
    assert out.footage == 0 and out.left_out == {"footage whose private regions are not blanked yet": 4}
    note_blanked(folder_of(first.directory / FOOTAGE, DOOR), [REGION])
    assert export(first, tmp_path / "late", door=(REGION,)).footage == 4


def test_what_was_forgotten_comes_back_in_no_footage(first: Store, second: Store, tmp_path: Path) -> None:
    export(first, tmp_path / "before")
    forget(first, ForgetRequest(text="porcupine"))
    assert sorted(kept(first.directory)) == [0.0, 10.0, 30.0]
    # Into the memory that forgot it, and by an archive of it into another.
    assert take_in(first, tmp_path / "before").left_out["forgotten footage"] == 1
    assert sorted(kept(first.directory)) == [0.0, 10.0, 30.0]
    put(first.directory, 20.0)  # as if it had come back by hand
    assert export(first, tmp_path / "after").left_out == {"forgotten footage": 1}
    take_in(second, tmp_path / "after")
    assert take_in(second, tmp_path / "before").left_out["forgotten footage"] == 1
    assert sorted(kept(second.directory)) == [0.0, 10.0, 30.0]
    forget(second, ForgetRequest(windows=(TimeWindow(source=DOOR, t0_s=0.0, t1_s=5.0),)))
    assert sorted(kept(second.directory)) == [10.0, 30.0]


def test_only_what_has_room_comes_in_and_gives_way_to_nothing_that_is_there(
    first: Store, second: Store, tmp_path: Path
) -> None:
    export(first, tmp_path / "archive")
    size = len(footage_of(10.0))
    come = take_in(second, tmp_path / "archive", room=Keeping(bytes=2 * size, age_s=86_400.0))
    assert sorted(kept(second.directory)) == [20.0, 30.0], "the newest"
    assert come.left_out == {"footage beyond what is kept (perception.live.footage)": 2}
    come = take_in(second, tmp_path / "archive", room=Keeping(bytes=3 * size, age_s=15.0))
    assert come.footage == 1 and sorted(kept(second.directory)) == [10.0, 20.0, 30.0]


def test_of_a_strangers_archive_no_footage_of_an_own_camera_is_taken(first: Store, tmp_path: Path) -> None:
    other = filmed(tmp_path / "other", "door@2026-12-24T10:00:00")
    set_title(other.directory, status(other), "door@2026-12-24T10:00:00", "Door")
    export(other, tmp_path / "archive")
    come = take_in(first, tmp_path / "archive", trusted=False)
    assert come.footage == 0 and come.left_out["footage of sources of your own"] == 4
    assert titles(first.directory) == {} and come.left_out["titles"] == 1, "a camera here is called so"
    other.close()


def test_a_strangers_footage_of_its_own_cameras_comes_in(first: Store, second: Store, tmp_path: Path) -> None:
    mine = filmed(tmp_path / "mine", YARD)
    set_title(first.directory, status(first), DOOR, "Front door")
    export(first, tmp_path / "archive")
    come = take_in(mine, tmp_path / "archive", trusted=False)
    assert (come.footage, come.titles) == (4, 1)
    assert titles(mine.directory) == {DOOR: "Front door"}
    mine.close()


def test_a_strangers_archive_of_many_cameras_fills_no_disk(second: Store, tmp_path: Path) -> None:
    many = filmed(tmp_path / "many")
    for n in range(5):
        source = f"yard-{n}@2026-11-30T10:00:00"
        opened = SourceOpened(source=source, track="video", kind="camera")
        MemoryWriter(many, MemoryConfig()).commit(gather_all(opened, progress(40.0, "video", source), first=50 + 2 * n))
        put(many.directory, *BEGINS, source=source)
    export(many, tmp_path / "archive")
    room = Keeping(bytes=4 * len(footage_of(10.0)), age_s=86_400.0)
    come = take_in(second, tmp_path / "archive", trusted=False, room=room)
    # Of any one camera there would be room for all four.
    assert come.footage == 16 and sum(come.left_out.values()) == 8
    assert take_in(second, tmp_path / "archive", room=room).footage == 8, "one's own is taken camera by camera"
    many.close()


def resealed(archive: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the first line of a list, with a manifest that agrees."""
    lines = (archive / name).read_text(encoding="utf-8").splitlines()
    record = json.loads(lines[0])
    change(record)
    (archive / name).write_text("\n".join([json.dumps(record), *lines[1:]]) + "\n", encoding="utf-8")
    manifest = json.loads((archive / "manifest.json").read_text())
    manifest["files"][name] = hashlib.sha256((archive / name).read_bytes()).hexdigest()
    (archive / "manifest.json").write_text(json.dumps(manifest))


def claims(**what: Any) -> Callable[[Path], None]:
    return lambda archive: resealed(archive, "footage.jsonl", lambda record: record.update(what))


def _playlist(archive: Path) -> None:
    data = b"ffconcat version 1.0\nfile /etc/hostname\n"
    (archive / "footage" / "1.mkv").write_bytes(data)
    claims(sha256=hashlib.sha256(data).hexdigest())(archive)


def _longer(archive: Path) -> None:
    with (archive / "footage" / "1.mkv").open("ab") as file:
        file.write(b"more")


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (claims(source="../../door@2026-11-30T10:00:00"), "no live source in it is called so"),
        (claims(source="talk.mp4"), "no live source in it is called so"),
        (claims(file="../../../etc/hostname"), "is no footage of an archive"),
        (claims(t0_s=5.0, t1_s=5.0), "its time is wrong"),
        (claims(t0_s=0.0, t1_s=1e8), "its time is wrong"),
        (claims(t0_s=-1.0), "its time is wrong"),
        (claims(bytes=-1), "bytes"),
        (claims(bytes=3), "larger than its record says"),
        (claims(sha256="0" * 64), "has another checksum"),
        (claims(file="footage/4.mkv"), "damaged"),
        (claims(file="footage/999.mkv"), "is missing"),
        (_playlist, "is no Matroska file"),
        (_longer, "larger than its record says"),
        (lambda archive: (archive / "footage" / "1.sh").write_text("rm"), r"holds 'footage/1\.sh'"),
        (lambda archive: (archive / "footage" / "9.mkv").symlink_to("/etc/hostname"), "holds a link"),
    ],
)
@pytest.mark.parametrize("trusted", [True, False])
def test_harmful_footage_is_one_line_and_nothing_is_imported(
    first: Store, second: Store, tmp_path: Path, harm: Callable[[Path], Any], says: str, trusted: bool
) -> None:
    export(first, tmp_path / "archive")
    harm(tmp_path / "archive")
    with pytest.raises(StoreError, match=says) as caught:
        take_in(second, tmp_path / "archive", trusted)
    assert "\n" not in str(caught.value) and "nothing was imported" in str(caught.value)
    assert status(second) == [] and kept(second.directory) == {}
    assert {path.name for path in second.directory.iterdir() if path.is_dir()} <= {"logs"}


@pytest.mark.parametrize("title", ["x" * 81, "\x1b[31mred", DOOR, "door", "DOOR\n"])
def test_a_title_that_may_not_be_is_left_out(first: Store, second: Store, tmp_path: Path, title: str) -> None:
    set_title(first.directory, status(first), DOOR, "x")
    export(first, tmp_path / "archive", footage=False)
    resealed(tmp_path / "archive", "titles.jsonl", lambda record: record.update(title=title))
    come = take_in(second, tmp_path / "archive", trusted=False)
    assert titles(second.directory) == {} and come.left_out["titles"] == 1


def test_an_archive_of_version_1_comes_in_as_before(first: Store, second: Store, tmp_path: Path) -> None:
    export(first, tmp_path / "archive", footage=False)
    (tmp_path / "archive" / "titles.jsonl").unlink()
    manifest = json.loads((tmp_path / "archive" / "manifest.json").read_text())
    manifest["version"] = 1
    del manifest["files"]["titles.jsonl"]
    (tmp_path / "archive" / "manifest.json").write_text(json.dumps(manifest))
    assert take_in(second, tmp_path / "archive").observations == 3


def test_what_a_killed_import_left_goes_when_memory_is_opened(second: Store) -> None:
    (second.directory / STAGED).mkdir()
    (second.directory / STAGED / "1.mkv").write_bytes(b"half")
    clear_unfinished(second.directory)
    assert not (second.directory / STAGED).exists()


def status(store: Store) -> list[Any]:
    from memory.store.reader import read_sources

    reader = store.reader()
    try:
        return list(read_sources(reader))
    finally:
        reader.close()
