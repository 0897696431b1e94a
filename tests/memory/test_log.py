"""A write-ahead log that somebody else cuts or removes: nothing is written behind the hole, and what is left opens."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from memory import process
from memory.store.database import Store
from memory.upkeep.repair import repair
from runtime.errors import RestartNeeded, StoreError, root_cause
from runtime.messages import SourceOpened
from tests.fixtures.memory_cases import gather_all, memory_of, remember, see, send
from tests.fixtures.memory_service import FakeService, memory_process

OPENED = SourceOpened(source="clip", track="video")


def log_of(folder: Path) -> Path:
    return folder / "memory.db-wal"


def crashed(folder: Path, at: Path) -> Path:
    """What a process that is killed now leaves."""
    at.mkdir()
    for name in ("memory.db", "memory.db-wal", "memory.db-shm"):
        shutil.copyfile(folder / name, at / name)
    return at


def told(folder: Path) -> list[str]:
    """The texts of a memory that opens and is whole."""
    store = Store(folder)
    with closing(store.reader()) as reader:
        assert reader.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        texts = [text for (text,) in reader.execute("SELECT text FROM observations ORDER BY seq")]
    store.close()
    return texts


@pytest.mark.parametrize("harm", [lambda log: os.truncate(log, 0), lambda log: os.truncate(log, 5000), os.remove])
def test_nothing_is_committed_into_a_log_that_was_cut_nor_is_it_folded(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    store = memory_of(tmp_path / "a", gather_all(OPENED, see(1.0, "one")))
    store.fold()
    remember(store, gather_all(see(2.0, "two"), first=3))
    before = (tmp_path / "a" / "memory.db").read_bytes()
    harm(log_of(tmp_path / "a"))
    with pytest.raises(RestartNeeded, match="cut or removed"):
        remember(store, gather_all(see(3.0, "three"), first=4))
    store.close()
    assert (tmp_path / "a" / "memory.db").read_bytes() == before
    left = tmp_path / "b"
    left.mkdir()
    shutil.copyfile(tmp_path / "a" / "memory.db", left / "memory.db")
    assert told(left) == ["one"]


@pytest.mark.parametrize("left", [0, 0.5])
def test_a_log_that_is_cut_while_a_commit_is_written_into_it_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: float
) -> None:
    store = memory_of(tmp_path, gather_all(OPENED, see(1.0, "one")))
    store.fold()
    remember(store, gather_all(see(2.0, "two"), first=3))
    looked = store.check_log
    looks = iter(range(2))

    def cut_after_the_last_look() -> None:
        looked()
        if next(looks) == 1:
            os.truncate(log_of(tmp_path), int(log_of(tmp_path).stat().st_size * left))

    monkeypatch.setattr(store, "check_log", cut_after_the_last_look)
    with pytest.raises(RestartNeeded):
        remember(store, gather_all(see(3.0, "three"), first=4))
    monkeypatch.undo()
    store.close()


def test_what_an_undone_transaction_left_in_the_log_is_no_hole(tmp_path: Path) -> None:
    store = memory_of(tmp_path, gather_all(OPENED, see(0.0, "0")))
    before = log_of(tmp_path).stat().st_size
    with pytest.raises(ZeroDivisionError), store.write() as writing:
        writing.connection.execute("PRAGMA cache_size=100")  # so that SQLite holds little back from its log
        writing.add(gather_all(*(see(float(n), "x" * 2000) for n in range(1, 600)), first=3))
        1 / 0  # noqa: B018
    assert log_of(tmp_path).stat().st_size > before + (1 << 19)
    for n in range(1, 10):
        remember(store, gather_all(see(float(n), str(n)), first=n + 2))
    store.close()
    assert told(tmp_path) == [str(n) for n in range(10)]


def test_a_log_that_was_cut_so_far_that_the_file_is_newer_is_not_read(tmp_path: Path) -> None:
    store = memory_of(tmp_path / "a", gather_all(OPENED, see(0.0, "0")))
    for n in range(1, 40):
        remember(store, gather_all(see(float(n), str(n)), first=n + 2))
    with closing(store.reader()) as reader, closing(sqlite3.connect(tmp_path / "a" / "memory.db")) as other:
        reader.execute("BEGIN")  # who reads it keeps the log from being begun anew
        assert reader.execute("SELECT count(*) FROM observations").fetchone() == (40,)
        assert other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0] == 0  # all of it is in the file
        remember(store, gather_all(see(40.0, "40"), first=42))
    whole = told(crashed(tmp_path / "a", tmp_path / "whole"))
    left = crashed(tmp_path / "a", tmp_path / "left")
    os.truncate(log_of(left), log_of(left).stat().st_size // 3)
    assert told(left) == [str(n) for n in range(40)]
    assert whole == [str(n) for n in range(41)]
    store.close()


def test_a_file_whose_log_was_cut_while_it_was_folded_in_is_damaged(tmp_path: Path) -> None:
    store = memory_of(tmp_path / "a", gather_all(OPENED, see(0.0, "0")))
    left = crashed(tmp_path / "a", tmp_path / "left")
    with (left / "memory.db-shm").open("r+b") as index:  # as a fold that had just begun leaves it
        index.seek(128)
        index.write((1 << 20).to_bytes(4, "little"))
    with pytest.raises(StoreError, match="repair"):
        Store(left)
    assert repair(left, 2e9).was_needed
    assert told(left) == ["0"]
    store.close()


@pytest.mark.anyio
async def test_a_process_whose_log_is_cut_ends_though_nothing_comes_and_the_next_tells_who_sent_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LOG_CHECK_S", 0.01)
    service = FakeService(tmp_path / "a")
    with pytest.raises(BaseException) as ended:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(process.main, service)  # type: ignore[arg-type]
            with anyio.fail_after(20):
                await service.is_ready.wait()
                service.mailbox.put(*send("video", OPENED, see(1.0, "one")))
                await service.acknowledged("video", 2)
            os.truncate(log_of(tmp_path / "a"), 0)
    assert isinstance(root_cause(ended.value), RestartNeeded)
    left = tmp_path / "b"
    left.mkdir()
    shutil.copyfile(tmp_path / "a" / "memory.db", left / "memory.db")
    async with memory_process(left) as service:
        assert service.after == {}
        service.refuse("video", 1)  # what it sends leaves a hole
        await service.acknowledged("video", 0)
