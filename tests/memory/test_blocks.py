"""The stored index: blocks of observations say the same as the observations themselves, through every change."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import msgspec
import pytest

from memory.index.analysis import terms
from memory.index.blocks import reindex, seqs_holding
from memory.recall.rank import Recall, RecallOptions
from memory.store.database import Store
from memory.store.reader import read_status
from memory.store.views import open_view
from runtime.messages import Hit, Observation, RecallRequest, SpeechFacts, ViewRequest
from tests.fixtures.memory_cases import memory_of, remember, say, see, stream

WORDS = "ship harbour lantern rope anchor storm sail captain gull tide mast deck crew island chart".split()
QUERIES = ("ship in a storm", "captain Anna", "lantern rope anchor", "gul", "tide and chart on the island")


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of sixteen observations instead of thousands."""
    for module in ("memory.index.blocks", "memory.index.postings"):
        monkeypatch.setattr(f"{module}.BLOCK_BITS", 4)
        monkeypatch.setattr(f"{module}.BLOCK", 16)


def talk(n: int, seed: int = 1) -> list[Observation]:
    at_random = random.Random(seed)
    said = []
    for i in range(n):
        line = " ".join(at_random.choices(WORDS, k=at_random.randint(1, 9)))
        speaker = at_random.choice(["Anna", "Ben"])
        t0_s = 5.0 * i if i % 7 else 5.0 * i + 13.0  # some come late
        said.append(see(t0_s, line) if i % 5 == 0 else say(t0_s, t0_s + 2.0, line, speaker=speaker))
    return said


def found(recaller: Recall, store: Store, **request: object) -> list[list[Hit]]:
    """What recall says, without the events, which depend on what was there when they ended."""
    reader = store.reader()
    view = open_view(reader, ViewRequest())
    reader.close()
    replies = [recaller.recall(RecallRequest(query=query, view=view, **request)) for query in QUERIES]  # type: ignore[arg-type]
    return [
        [msgspec.structs.replace(hit, why={**hit.why, "event_trust": 0.0}) for hit in reply.hits] for reply in replies
    ]


def by_one_block(directory: Path, observations: list[Observation], **request: object) -> list[list[Hit]]:
    """What recall says where nothing was ever sealed or removed."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("memory.index.blocks", "memory.index.postings"):
            patch.setattr(f"{module}.BLOCK_BITS", 14)
            patch.setattr(f"{module}.BLOCK", 1 << 14)
        store = memory_of(directory, stream(*observations, end_s=10_000.0))
        try:
            return found(Recall(store.reader(), RecallOptions(parent_weight=0.0)), store, **request)
        finally:
            store.close()


@pytest.mark.usefixtures("small_blocks")
def test_sealed_blocks_and_the_rest_are_found_alike(tmp_path: Path) -> None:
    said = talk(100)
    store = memory_of(tmp_path / "sealed", stream(*said, end_s=10_000.0))
    reader = store.reader()
    assert reader.execute("SELECT count(*) FROM blocks").fetchone() == (6,)
    assert reader.execute("SELECT count(*) FROM unsealed").fetchone() == (5,)
    for request in ({}, {"t0_s": 100.0, "t1_s": 160.0}, {"channels": ("frame",)}):
        hits = found(Recall(store.reader(), RecallOptions(parent_weight=0.0)), store, **request)
        assert hits == by_one_block(tmp_path / str(len(request)) / str(request.get("t0_s")), said, **request)
        assert any(hits)
    store.close()


@pytest.mark.usefixtures("small_blocks")
def test_an_open_recall_follows_what_is_stored_sealed_and_removed(tmp_path: Path) -> None:
    said = talk(120)
    store = memory_of(tmp_path / "grown", stream(*said[:20], end_s=10_000.0))
    recaller = Recall(store.reader(), RecallOptions(parent_weight=0.0))
    gone: set[str] = set()
    for i in range(20, 120, 25):
        found(recaller, store)
        remember(store, stream(*said[i : i + 25], end_s=10_000.0))
        found(recaller, store)
        some = {o.id for o in said[i - 12 : i + 12 : 4]}
        gone |= some
        with store.write() as writing:
            assert set(writing.remove(some)) == some
    left = [o for o in said if o.id not in gone]
    expected = by_one_block(tmp_path / "fresh", left)
    assert found(recaller, store) == expected
    assert found(Recall(store.reader(), RecallOptions(parent_weight=0.0)), store) == expected
    store.close()


@pytest.mark.usefixtures("small_blocks")
def test_so_many_removals_that_rows_move_up_change_no_ranking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.index.postings._COMPACT_FROM", 10)
    said = talk(90)
    store = memory_of(tmp_path / "all", stream(*said, end_s=10_000.0))
    recaller = Recall(store.reader(), RecallOptions(parent_weight=0.0))
    found(recaller, store)
    with store.write() as writing:
        writing.remove(o.id for o in said[::2])
    assert found(recaller, store) == by_one_block(tmp_path / "half", said[1::2])
    store.close()


@pytest.mark.usefixtures("small_blocks")
def test_a_removed_block_leaves_no_byte_of_index(tmp_path: Path) -> None:
    said = talk(64)
    store = memory_of(tmp_path, stream(*said, end_s=10_000.0))
    before = read_status(store.reader(), "", 0).index_bytes
    with store.write() as writing:
        writing.remove(o.id for o in said)
    reader = store.reader()
    for table in ("blocks", "postings", "unsealed", "vocabulary", "term_counts"):
        assert reader.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    assert reader.execute("SELECT value FROM memory WHERE key='index_bytes'").fetchone() == (0,)
    assert read_status(reader, "", 0).index_bytes < before
    store.close()


@pytest.mark.usefixtures("small_blocks")
def test_a_file_indexed_another_way_is_indexed_again_when_it_is_opened(tmp_path: Path) -> None:
    said = talk(40)
    store = memory_of(tmp_path / "old", stream(*said, end_s=10_000.0))
    path = store.path
    counted = store.reader().execute("SELECT * FROM term_counts").fetchall()
    assert any(term.startswith("#") for term, _ in counted), "phrases count too"
    store.close()
    with sqlite3.connect(path) as plain:
        plain.execute("DELETE FROM postings")
        plain.execute("DELETE FROM term_counts")
        plain.execute("DELETE FROM vocabulary")
        plain.execute("UPDATE memory SET value=0 WHERE key='analysis'")
    plain.close()
    store = Store(tmp_path / "old")
    assert found(Recall(store.reader(), RecallOptions(parent_weight=0.0)), store) == by_one_block(
        tmp_path / "new", said
    )
    assert store.reader().execute("SELECT * FROM term_counts").fetchall() == counted
    assert not store.reader().execute("SELECT 1 FROM vocabulary WHERE term LIKE '#%'").fetchall()
    store.close()


@pytest.mark.usefixtures("small_blocks")
def test_an_index_that_is_made_again_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    said = talk(100)
    store = memory_of(tmp_path, stream(*said, end_s=10_000.0))
    whole = tables_of_index(store)
    store.close()
    with sqlite3.connect(store.path, isolation_level=None) as plain:
        plain.execute("UPDATE memory SET value=0 WHERE key='analysis'")
        told: list[str] = []

        def interrupt(text: str) -> None:
            told.append(text)
            if len(told) == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            reindex(plain, interrupt)
        again: list[str] = []
        reindex(plain, again.append)
        assert again[0] == told[2]
        assert told[0] == "indexing it anew, 0 % done"
        assert len(told) + len(again) - 1 == len(set(told) | set(again)) > 3
    plain.close()
    store = Store(tmp_path)
    assert tables_of_index(store) == whole
    assert found(Recall(store.reader(), RecallOptions(parent_weight=0.0)), store) == by_one_block(
        tmp_path / "other", said
    )
    store.close()


def tables_of_index(store: Store) -> dict[str, set[tuple[object, ...]]]:
    """What the index holds; numbers of words in the vocabulary follow the order they were learned in."""
    reader = store.reader()
    columns = {"unsealed": "*", "blocks": "*", "postings": "*", "term_counts": "*", "vocabulary": "term, sound"}
    held = {table: set(reader.execute(f"SELECT {column} FROM {table}")) for table, column in columns.items()}
    reader.close()
    return held


def test_an_index_made_the_same_way_is_left_as_it_is(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(*talk(3), end_s=100.0))
    path = store.path
    store.close()
    with sqlite3.connect(path, isolation_level=None) as plain:
        before = plain.execute("PRAGMA data_version").fetchone(), list(plain.execute("SELECT * FROM unsealed"))
        reindex(plain)
        assert (
            plain.execute("PRAGMA data_version").fetchone(),
            list(plain.execute("SELECT * FROM unsealed")),
        ) == before
    plain.close()


@pytest.mark.usefixtures("small_blocks")
def test_who_holds_a_word_is_told_from_sealed_blocks_and_the_rest(tmp_path: Path) -> None:
    said = talk(100)
    store = memory_of(tmp_path, stream(*said, end_s=10_000.0))
    reader = store.reader()
    seqs = dict(reader.execute("SELECT id, seq FROM observations"))
    for words in (["storm"], ["ship", "tide"], ["anna", "gull"], ["nothing"]):
        expected = {seqs[o.id] for o in said if set(words) <= {*o.text.split(), o.facts(SpeechFacts).speaker.lower()}}
        assert seqs_holding(reader, [terms(word)[0] for word in words]) == expected
    store.close()
