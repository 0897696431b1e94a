"""What was erased stands in no byte of any file: not inside of pages, not in sketches that outlived it, not in logs."""

from __future__ import annotations

import random
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from memory.archive.exporter import export_memory
from memory.budget.enforce import BudgetEnforcer
from memory.budget.retained_items import read_retained
from memory.budget.retention import DAY_S, Limit, note_hour, retain
from memory.erasure import forget as forgetting
from memory.erasure.forget import forget
from memory.spans.consolidate import Consolidator, told_in_state
from memory.spans.segment import SegmentOptions
from memory.store.database import Store
from memory.store.free_space import zero_unused
from memory.store.levels import Budget
from memory.store.told import TOLD_KEYS
from memory.store.writing import Writing
from memory.transactions import MemoryWriter
from runtime.config import MemoryConfig
from runtime.errors import StoreError
from runtime.messages import FACTS, ExportRequest, ForgetRequest, ImportRequest, TimeWindow
from tests.fixtures.memory_cases import memory_of, say, see, stream

SECRET = "kestrel"
NOW_S = 2_000_000_000.0
A_STRETCH = ForgetRequest(windows=(TimeWindow(source="clip", t0_s=9.0, t1_s=20.0),))


def stands(directory: Path, *words: str) -> list[str]:
    data = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
    return [word for word in words if word.encode() in data]


def let_words_go(store: Store) -> None:
    """As the budget does: words are let go, and their events become tombstones; the episode tells of them still."""
    enforcer = BudgetEnforcer(Budget())
    with store.write() as writing:
        enforcer.keep(writing, enforcer.find_untaken(writing))
        for id_, kind in writing.connection.execute("SELECT span, kind FROM holdings WHERE kind!='told'").fetchall():
            held = read_retained(writing.connection, id_, kind)
            if held is not None:
                enforcer.let_go(writing, held, "its bytes were needed")


def told(store: Store) -> str:
    reader = store.reader()
    texts = [text for (text,) in reader.execute("SELECT text FROM spans")]
    for (state,) in reader.execute("SELECT state FROM consolidation"):
        texts += [event.text for event in told_in_state(bytes(state))]
    reader.close()
    return "\n".join(texts)


def talk(n: int) -> list[str]:
    """Sentences of words that are in no other."""
    at_random = random.Random(2)
    return [" ".join("q" + "".join(at_random.choices("bcdfghjkl", k=12)) for _ in range(6)) for _ in range(n)]


def test_copies_that_lie_in_the_gaps_of_pages_are_zeroed(tmp_path: Path) -> None:
    said = talk(1500)
    store = Store(tmp_path)
    with store.write() as writing:  # out of order, so that pages are split and shared out anew
        for i in random.Random(3).sample(range(1500), 1500):
            writing.add_observation(say(float(i), i + 0.5, said[i]))
    with store.write() as writing:
        writing.remove([say(float(i), 0.0, "").id for i in range(0, 1500, 2)])
    store.fold()
    gone = [word for i in range(0, 1500, 2) for word in said[i].split()]
    assert stands(tmp_path, *gone)  # though secure_delete is on
    store.scrub()
    assert stands(tmp_path, *gone) == []
    assert stands(tmp_path, *said[1].split()) == said[1].split()
    assert store.reader().execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with store.write() as writing:  # pages read before do not bring them back
        for i in range(1, 1500, 2):
            writing.add_observation(say(2000.0 + i, 2000.5 + i, "something new"))
    store.fold()
    assert stands(tmp_path, *gone) == []
    store.close()


def test_a_page_that_is_none_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    memory_of(tmp_path, stream(*(say(float(t), t + 0.5, f"sentence {t}") for t in range(200)), end_s=200.0)).close()
    damaged = bytearray((tmp_path / "memory.db").read_bytes())
    damaged[4096 * 3 : 4096 * 3 + 8] = b"\xff" * 8
    (tmp_path / "damaged.db").write_bytes(damaged)
    told = pytest.raises(StoreError, match="page 4 is no page of a tree")
    with (tmp_path / "damaged.db").open("r+b", buffering=0) as file, told:
        zero_unused(file.fileno())
    assert (tmp_path / "damaged.db").read_bytes() == damaged


@pytest.mark.parametrize("by", [ForgetRequest(text=SECRET), A_STRETCH])
def test_what_only_an_episode_tells_of_is_forgotten_with_it(tmp_path: Path, by: ForgetRequest) -> None:
    spoken = say(10.0, 12.0, f"the {SECRET} is under the stairs")
    store = memory_of(tmp_path, stream(see(1.0, "a hall"), spoken, see(30.0, "a hall"), end_s=40.0))
    let_words_go(store)
    assert SECRET in told(store)
    reply = forget(store, by)
    assert reply.traces == {} and set(reply.searched.values()) == {0}
    assert SECRET not in told(store) and not stands(tmp_path, SECRET)
    store.close()


def test_what_is_still_to_be_told_of_an_episode_is_forgotten_with_its_events(tmp_path: Path) -> None:
    spoken = say(10.0, 12.0, f"the {SECRET} is under the stairs")
    store = memory_of(tmp_path, stream(see(1.0, "a hall"), spoken, end_s=40.0))
    with store.write() as writing:  # as a camera leaves it whose agent was killed: the episode has not ended
        consolidator = Consolidator("clip", SegmentOptions())
        consolidator.step(see(1.0, "a hall"))
        consolidator.step(spoken)
        consolidator.advance(90.0)
        writing.save_consolidation(writing.source("clip"), consolidator.to_bytes())
    let_words_go(store)
    forget(store, ForgetRequest(windows=(TimeWindow(source="clip", t0_s=11.0, t1_s=11.5),)))
    assert SECRET not in told(store) and not stands(tmp_path, SECRET)
    store.close()


def test_words_are_sought_in_what_was_told_and_not_in_the_names_of_facts(tmp_path: Path) -> None:
    frames = [see(float(t), "a corridor", people=2, reason="novelty") for t in range(5)]
    store = memory_of(tmp_path, stream(*frames, say(6.0, 7.0, "hello", speaker="Tilda"), end_s=9.0))
    for word in ("people", "reason", "novelty", "speaker", "words", "confidence"):
        assert forget(store, ForgetRequest(text=word)).observations == {}
    assert forget(store, ForgetRequest(text="Tilda")).observations == {"speech": 1}
    store.close()


def test_each_fact_that_is_words_is_sought_in_or_named_by_the_program() -> None:
    named = {
        "imported", "reason", "transition", "colours", "regions", "patches", "kind", "event", "side", "direction",
        "shape", "size", "region", "engine", "doubt", "unheard", "language", "track", "conversation", "question",
        "query", "place", "model",
    }  # fmt: skip

    def is_text(hint: object) -> bool:
        return (
            hint is str
            or any(is_text(part) for part in get_args(hint))
            or bool(getattr(hint, "_fields", None) and any(map(is_text, get_type_hints(hint).values())))
        )

    for kind in FACTS.values():
        for field in get_type_hints(kind):
            if is_text(get_type_hints(kind)[field]):
                assert field in TOLD_KEYS | named, (
                    f"{field}: perceived words belong to TOLD_KEYS in memory/store/told.py"
                )


def test_a_single_word_the_scrubbing_missed_is_found_after_a_stretch_was_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = memory_of(tmp_path, stream(see(1.0, "a hall"), say(10.0, 12.0, f"the {SECRET} is here"), end_s=40.0))
    store._connection.execute("CREATE TABLE left_over (text TEXT)")
    store._connection.execute("INSERT INTO left_over VALUES (?)", (SECRET,))
    reply = forgetting.forget(store, A_STRETCH)
    assert reply.traces == {"memory.db": 1}
    store.close()


def test_words_are_blotted_out_of_logs_but_those_the_program_writes_itself(tmp_path: Path) -> None:
    store = memory_of(tmp_path / "memory", stream(say(10.0, 12.0, f"the process of the {SECRET} started"), end_s=40.0))
    logs = tmp_path / "memory" / "logs"
    logs.mkdir()
    (logs / "audio.log").write_text(f'{{"message": "started process {SECRET}"}}\n')
    reply = forget(store, A_STRETCH)
    assert reply.traces == {}
    assert (logs / "audio.log").read_text() == f'{{"message": "started process {"*" * len(SECRET)}"}}\n'
    store.close()


def too_old(store: Store, writing: Writing) -> None:
    writing.connection.execute("INSERT OR REPLACE INTO hours VALUES (?, 0)", (int(NOW_S),))
    note_hour(writing.connection, NOW_S + DAY_S, writing.first_seq)
    retain(writing, {"speech": Limit(age_s=DAY_S)}, NOW_S + 3 * DAY_S)


def test_what_is_older_than_it_may_be_leaves_no_byte_though_the_budget_let_it_go_before(tmp_path: Path) -> None:
    spoken = say(10.0, 12.0, f"the {SECRET} is under the stairs")
    store = memory_of(tmp_path, stream(see(1.0, "a hall"), spoken, see(30.0, "a hall"), end_s=40.0))
    let_words_go(store)
    assert SECRET in told(store)
    with store.write() as writing:
        too_old(store, writing)
    assert SECRET not in told(store) and "a hall" in told(store)
    store.close()  # scrubs
    assert not stands(tmp_path, SECRET)


def test_retention_reaches_what_is_kept_to_know_an_event_by(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(see(1.0, "a hall"), say(10.0, 12.0, f"the {SECRET} is here"), end_s=40.0))
    enforcer = BudgetEnforcer(Budget())
    with store.write() as writing:
        enforcer.keep(writing, enforcer.find_untaken(writing))
        assert SECRET in str(writing.connection.execute("SELECT terms FROM holdings").fetchall())
        too_old(store, writing)
    store.close()
    assert not stands(tmp_path, SECRET)


def test_a_sign_that_looks_like_a_sketch_does_not_outlive_its_channel(tmp_path: Path) -> None:
    sign = say(10.0, 10.0, f"OPEN | seen: {SECRET}; [0:05] seen: {SECRET}", channel="text")
    store = memory_of(tmp_path, stream(see(1.0, "a hall"), sign, see(30.0, "a hall"), end_s=40.0))
    let_words_go(store)
    with store.write() as writing:
        writing.connection.execute("INSERT OR REPLACE INTO hours VALUES (?, 0)", (int(NOW_S),))
        note_hour(writing.connection, NOW_S + DAY_S, writing.first_seq)
        retain(writing, {"text": Limit(age_s=DAY_S)}, NOW_S + 3 * DAY_S)
    assert SECRET not in told(store)
    store.close()


def test_an_import_that_is_undone_leaves_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = talk(3000)
    other = memory_of(tmp_path / "other", stream(*(say(float(t), t + 0.5, said[t]) for t in range(3000)), end_s=3000.0))
    export_memory(other.reader(), ExportRequest(path=str(tmp_path / "archive")))
    other.close()
    store = Store(tmp_path / "memory")
    store._connection.execute("PRAGMA cache_size=20")  # what does not fit is written to the log before it is undone
    monkeypatch.setattr(Writing, "add_span", lambda *_: (_ for _ in ()).throw(ValueError("broken off here")))
    with pytest.raises(StoreError, match="broken off here"):
        MemoryWriter(store, MemoryConfig()).import_archive(ImportRequest(path=str(tmp_path / "archive")))
    assert stands(tmp_path / "memory", *(word for text in said for word in text.split())) == []
    store.close()
