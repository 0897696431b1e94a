"""Forgetting reaches footage: of a stretch, of what holds a word, and of what was still on its way."""

from __future__ import annotations

from pathlib import Path

import pytest

from memory.store.database import Store
from memory.transactions import MemoryWriter
from runtime.config import MemoryConfig
from runtime.footage import FOOTAGE, folder_of, segment_name, segments
from runtime.messages import ForgetRequest, SourceOpened, TimeWindow
from tests.fixtures.memory_cases import gather_all, progress, say, see

DOOR = "door@2026-11-30T10:00:00"


@pytest.fixture
def writer(tmp_path: Path) -> MemoryWriter:
    """A memory of a door, with footage of its first forty seconds in files of ten."""
    store = Store(tmp_path)
    writer = MemoryWriter(store, MemoryConfig())
    opened = [SourceOpened(source=DOOR, track=track, kind="stream") for track in ("video", "audio")]
    said = say(3.0, 5.0, "the porcupine is in the locker", source=DOOR)
    seen = [see(t_s, "a hall", source=DOOR) for t_s in (1.0, 31.0)]
    marks = [progress(40.0, track, DOOR) for track in ("video", "audio")]
    writer.commit(gather_all(*opened, said, *seen, *marks))
    folder_of(tmp_path / FOOTAGE, DOOR).mkdir(parents=True)
    for t0_s in (0.0, 10.0, 20.0, 30.0):
        put(tmp_path, t0_s)
    return writer


def put(directory: Path, t0_s: float, t1_s: float | None = -1.0) -> None:
    name = segment_name(t0_s, t0_s + 9.9 if t1_s == -1.0 else t1_s)
    (directory / FOOTAGE / DOOR / name).write_bytes(b"footage")


def left(directory: Path) -> list[float]:
    return [segment.t0_s for segment in segments(directory / FOOTAGE)]


def test_of_a_forgotten_stretch_no_footage_is_left_and_the_proof_says_so(writer: MemoryWriter, tmp_path: Path) -> None:
    window = TimeWindow(source=DOOR, t0_s=12.0, t1_s=25.0)
    put(tmp_path, 24.0, None)
    done = writer.forget(ForgetRequest(windows=(window,)), ())
    assert left(tmp_path) == [0.0, 30.0]
    assert done.searched["footage"] == 0 and done.traces == {}


def test_footage_in_which_a_forgotten_word_is_said_goes_and_other_stays(writer: MemoryWriter, tmp_path: Path) -> None:
    done = writer.forget(ForgetRequest(text="porcupine"), ())
    assert left(tmp_path) == [10.0, 20.0, 30.0]
    assert done.searched["footage"] == 0


def test_what_was_on_its_way_when_it_was_forgotten_takes_its_footage_along(
    writer: MemoryWriter, tmp_path: Path
) -> None:
    writer.forget(ForgetRequest(text="porcupine", until_s={DOOR: 45.0}), ())
    put(tmp_path, 40.0)
    late = say(43.0, 46.0, "porcupines, all of them", source=DOOR)
    writer.commit(gather_all(late, say(47.0, 48.0, "what a day", source=DOOR), first=50))
    assert left(tmp_path) == [10.0, 20.0, 30.0]


def test_the_proof_owns_up_to_footage_that_could_not_be_deleted(
    writer: MemoryWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory.erasure.forget.erase_footage", lambda root, windows: 0)
    window = TimeWindow(source=DOOR, t0_s=12.0, t1_s=25.0)
    assert writer.forget(ForgetRequest(windows=(window,)), ()).searched["footage"] == 2
