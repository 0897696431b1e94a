"""A memory whose disk cannot be written: what is in it is answered, and nothing is written beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from memory.store.database import Store
from memory.store.read_only import ReadOnlyStore
from runtime.errors import StoreError
from runtime.interfaces import attach
from runtime.interfaces.commands.run import main
from tests.fixtures.memory_cases import memory_of, say, stream


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As root every file can be written, so that the agent is told that this one cannot."""
    folder = tmp_path / "memory"
    memory_of(folder, stream(say(2.0, 3.0, "the keys are on the kitchen table"), end_s=9.0)).close()
    monkeypatch.setattr(attach, "can_write", lambda memory_dir: False)
    return folder


def listing(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["ask", "What is on the kitchen table?"], "keys"),
        (["search", "keys"], "keys"),
        (["status"], "1 observation"),
        (["transcript"], "keys"),
        (["recordings"], "clip"),
        (["standing"], "not waiting"),
    ],
)
def test_it_can_be_asked_and_stays_as_it_is(
    memory: Path, command: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listing(memory)
    assert main([*command, "--memory", str(memory)]) == 0
    said = capsys.readouterr()
    assert told in said.out.lower()
    assert said.err.splitlines() == [
        f"memory {memory} cannot be written: it is asked as it is, and nothing is remembered"
    ]
    assert listing(memory) == before


@pytest.mark.parametrize(
    "command", [["forget", "--text", "keys", "--yes"], ["standing", "add", "when a person appears"]]
)
def test_what_would_change_it_is_refused_in_a_line(
    memory: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = listing(memory)
    assert main([*command, "--memory", str(memory)]) == 2
    assert "cannot be written" in capsys.readouterr().err.splitlines()[-1]
    assert listing(memory) == before


def test_one_that_was_not_closed_in_order_is_told_in_a_line(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(say(2.0, 3.0, "the keys"), end_s=9.0))
    with pytest.raises(StoreError, match="the newest is in its log still"):
        ReadOnlyStore(tmp_path)
    store.close()
    ReadOnlyStore(tmp_path).close()


def test_one_of_an_older_version_is_told_in_a_line(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.write() as writing:
        writing.connection.execute("UPDATE memory SET value=1 WHERE key='analysis'")
    store.close()
    with pytest.raises(StoreError, match="an older version's"):
        ReadOnlyStore(tmp_path)
