"""What is beyond the age or the bytes of its channel goes, from sketches too, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from memory.budget.retention import DAY_S, HOUR_S, Limit, note_hour, retain
from memory.store.database import Store
from memory.store.size_accounting import charged
from runtime.messages import Observation
from tests.fixtures.memory_cases import memory_of, say, see, stream

NOW_S = 2_000_000_000.0


def ids(store: Store) -> set[str]:
    return {id_ for (id_,) in store.reader().execute("SELECT id FROM observations")}


def at_hour(store: Store, now_s: float, *observations: Observation) -> None:
    with store.write() as writing:
        note_hour(writing.connection, now_s, writing.first_seq)
        for observation in observations:
            writing.add_observation(observation)


def test_what_is_older_than_its_channel_may_be_goes_and_other_channels_stay(tmp_path: Path) -> None:
    old_word, old_sight, new_word = say(1.0, 2.0, "an old word"), see(3.0, "an old sight"), say(5.0, 6.0, "a new word")
    store = Store(tmp_path)
    at_hour(store, NOW_S - 31 * DAY_S, old_word, old_sight)
    at_hour(store, NOW_S - 2 * HOUR_S, new_word)
    with store.write() as writing:
        note_hour(writing.connection, NOW_S, writing.first_seq)
        assert not retain(writing, {"speech": Limit(age_s=30 * DAY_S)}, NOW_S)
    assert ids(store) == {old_sight.id, new_word.id}
    store.close()


def test_a_channel_beyond_its_bytes_loses_the_oldest(tmp_path: Path) -> None:
    said = [say(float(t_s), t_s + 1.0, f"sentence {t_s} " + "word " * 50) for t_s in range(100)]
    store = memory_of(tmp_path, stream(*said, see(200.0, "a sight"), end_s=201.0))
    with store.write() as writing:
        most = writing.file_bytes()[0] // 2
        assert not retain(writing, {"speech": Limit(bytes=most)}, NOW_S)
        totals = charged(writing.connection)
    left = [o for o in said if o.id in ids(store)]
    assert 0 < len(left) < 70 and left == said[-len(left) :]
    assert totals["speech"] < totals["words"] + totals["hot"]
    assert see(200.0).id in ids(store)
    store.close()


def test_what_a_sketch_says_of_a_forgotten_channel_goes_from_it_and_from_its_episode(tmp_path: Path) -> None:
    seen = [see(float(t_s), "a red door", vector=(1.0, 0.0)) for t_s in range(10)]
    store = memory_of(tmp_path, stream(*seen, say(4.0, 6.0, "the code is 4711"), end_s=10.0))
    told = "SELECT group_concat(text) FROM spans"
    assert "4711" in store.reader().execute(told).fetchone()[0]
    with store.write() as writing:
        writing.connection.execute("INSERT INTO hours VALUES (?, 0)", (int(NOW_S),))
        note_hour(writing.connection, NOW_S + DAY_S, writing.first_seq)
        retain(writing, {"speech": Limit(age_s=DAY_S)}, NOW_S + 3 * DAY_S)
    text = store.reader().execute(told).fetchone()[0]
    assert "4711" not in text and "a red door" in text
    assert {s for (s,) in store.reader().execute("SELECT DISTINCT level FROM spans")} == {"moment", "event", "episode"}
    store.close()


def test_much_that_is_too_old_goes_over_several_commits(tmp_path: Path) -> None:
    store = Store(tmp_path)
    at_hour(store, NOW_S, *(say(float(i), float(i), f"word {i}") for i in range(2500)))
    at_hour(store, NOW_S + HOUR_S)
    more = []
    for _ in range(2):
        with store.write() as writing:
            more.append(retain(writing, {"speech": Limit(age_s=HOUR_S)}, NOW_S + 3 * HOUR_S))
    assert more == [True, False]
    assert ids(store) == set()
    store.close()


def test_the_notes_of_hours_do_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.budget.retention.HOURS_KEPT", 10)
    store = Store(tmp_path)
    for hour in range(200):
        with store.write() as writing:
            note_hour(writing.connection, NOW_S + hour * HOUR_S, writing.first_seq)
    assert store.reader().execute("SELECT count(*) FROM hours").fetchone()[0] <= 12
    store.close()
