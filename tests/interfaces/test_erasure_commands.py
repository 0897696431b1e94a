"""The commands that rule over memory, as a user runs them on a stored memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from memory.store.batch import Batch
from reasoning.standing.store import StandingQueryStore
from runtime.messages import StandingQuery
from tests.fixtures.agent_runs import run
from tests.fixtures.memory_cases import memory_of, say, see, stream

pytestmark = pytest.mark.processes


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """A stored memory of one recording, with words in it that nobody else needs to know."""
    frames = [see(float(t), f"a corridor, {t} lamps lit") for t in range(0, 60, 2)]
    secret = say(20.0, 23.0, "the safe opens with porcupine seven")
    memory_of(tmp_path / "memory", stream(*frames, secret, end_s=60.0), Batch()).close()
    return tmp_path / "memory"


def holds(memory: Path, word: str) -> bool:
    return any(word.encode() in path.read_bytes() for path in memory.rglob("*") if path.is_file())


def test_nothing_is_forgotten_without_a_yes(memory: Path) -> None:
    result = run("forget", "--text", "porcupine", "--memory", memory)
    assert "or --yes" in result.assert_one_clear_line()
    assert "the safe opens with porcupine seven" in result.out and "1 speech" in result.out
    assert holds(memory, "porcupine")


def test_what_is_forgotten_is_gone_from_every_file_and_the_proof_is_printed(memory: Path) -> None:
    result = run("forget", "--text", "porcupine", "--memory", memory, "--yes", "--json")
    assert result.code == 0, result.err
    (told,) = result.answers
    assert told["done"] and told["observations"] == {"speech": 1} and told["traces"] == {}
    assert set(told["searched"].values()) == {0} and told["files"]["memory.db"] > 0
    assert not holds(memory, "porcupine")
    (found,) = run("search", "porcupine safe", "--memory", memory, "--json").answers
    assert found["hits"] == []
    result.assert_nothing_left()


def test_a_standing_query_that_names_it_is_the_users_to_remove(memory: Path) -> None:
    book = StandingQueryStore(memory)
    book.put(StandingQuery(id="q1", text="somebody says porcupine"))
    book.save()
    result = run("forget", "--text", "porcupine", "--memory", memory, "--yes")
    assert "a standing query names it" in result.assert_one_clear_line()
    assert b"porcupine" not in (memory / "memory.db").read_bytes()


def test_a_stretch_of_media_time_is_forgotten(memory: Path) -> None:
    result = run("forget", "--from", "0:19", "--to", "0:30", "--memory", memory, "--yes")
    assert result.code == 0, result.err
    assert "1 speech" in result.out and "traces: none" in result.out and "--again" in result.err
    assert not holds(memory, "porcupine") and holds(memory, "lamps")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "forget what?"),
        (("--from", "bananas"), "'bananas' is no time"),
        (("--last", "soon"), "no length of time"),
        (("--last", "10m", "--from", "0:10"), "either --last or"),
        (("--text", "porcupine", "--source", "other"), "no source 'other' in memory; there is clip"),
    ],
)
def test_a_wish_that_makes_no_sense_is_one_line(memory: Path, args: tuple[str, ...], says: str) -> None:
    assert says in run("forget", *args, "--memory", memory, "--yes").assert_one_clear_line()


def test_a_source_alone_is_all_of_it(memory: Path) -> None:
    result = run("forget", "--source", "clip", "--yes", "--memory", memory)
    assert result.code == 0, result.err
    assert not holds(memory, "porcupine") and not holds(memory, "lamps")
    assert "nothing found" in run("search", "corridor", "--memory", memory).out


def test_words_that_nothing_holds_are_no_error(memory: Path) -> None:
    result = run("forget", "--text", "zebra", "--memory", memory, "--yes")
    assert result.code == 0 and "nothing to forget" in result.out


def test_memory_moves_to_another_folder_by_export_and_import(memory: Path, tmp_path: Path) -> None:
    out = run("export", tmp_path / "all.zip", "--memory", memory)
    assert out.code == 0 and "31 observations" in out.out, out.err
    back = run("import", tmp_path / "all.zip", "--memory", tmp_path / "new", "--trusted", "--json")
    assert back.code == 0, back.err
    assert back.answers[0]["observations"] == 31 and back.answers[0]["pictures"] == 30
    (found,) = run("search", "porcupine", "--memory", tmp_path / "new", "--json").answers
    assert "porcupine" in found["hits"][0]["text"]
    back.assert_nothing_left()


def test_an_archive_that_is_not_there_or_damaged_is_one_line(memory: Path, tmp_path: Path) -> None:
    assert "no such file" in run("import", tmp_path / "none.zip", "--memory", memory).assert_one_clear_line()
    (tmp_path / "bad.zip").write_text("not a zip")
    line = run("import", tmp_path / "bad.zip", "--memory", memory).assert_one_clear_line()
    assert "damaged" in line and "nothing was imported" in line
