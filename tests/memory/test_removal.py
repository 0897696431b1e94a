"""What is removed is nowhere any more, and what stays is found as if the rest had never been."""

from __future__ import annotations

from pathlib import Path

from memory.recall.rank import Recall, RecallOptions
from memory.store.database import Store
from memory.store.size_accounting import charged
from memory.store.views import open_view
from runtime.messages import Hit, Observation, RecallRequest, ViewRequest
from tests.fixtures.memory_cases import memory_of, say, see, stream


def recall(recaller: Recall, store: Store, query: str) -> list[Hit]:
    reader = store.reader()
    view = open_view(reader, ViewRequest())
    reader.close()
    return list(recaller.recall(RecallRequest(query=query, view=view)).hits)


def talk() -> list[Observation]:
    return [
        say(0.0, 2.0, "the password is tortoise", speaker="Zebedee"),
        say(33.0, 34.0, "a ship in the harbour"),
        see(35.0, "a red ship", vector=(1.0, 0.0)),
        say(90.0, 92.0, "another ship"),
    ]


def test_a_removed_observation_is_in_no_table(tmp_path: Path) -> None:
    kept, gone = talk()[1:], talk()[0]
    store = memory_of(tmp_path, stream(*talk(), end_s=100.0))
    with store.write() as writing:
        assert writing.remove([gone.id, "clip/speech/999999999"]) == (gone.id,)
    reader = store.reader()
    assert {id_ for (id_,) in reader.execute("SELECT id FROM observations")} == {o.id for o in kept}
    assert reader.execute("SELECT count(*) FROM unsealed").fetchone() == (3,)
    assert ("tortois",) not in reader.execute("SELECT term FROM vocabulary").fetchall()
    reader.close()
    recaller = Recall(store.reader(), RecallOptions())
    assert recall(recaller, store, "tortoise password") == recall(recaller, store, "Zebedee") == []
    store.close()


def test_pictures_vectors_and_links_go_with_it(tmp_path: Path) -> None:
    sign = say(5.0, 5.0, "EXIT", channel="text")
    frame = see(5.0, "a red ship", vector=(1.0, 0.0))
    frame = Observation(**{f: getattr(frame, f) for f in frame.__struct_fields__} | {"evidence": (sign.id,)})
    store = memory_of(tmp_path, stream(sign, frame, end_s=9.0))
    with store.write() as writing:
        writing.remove([frame.id])
    reader = store.reader()
    for table in ("payloads", "vectors", "links"):
        assert reader.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    store.close()


def test_a_recall_that_is_open_forgets_too_and_ranks_as_if_it_had_never_been(tmp_path: Path) -> None:
    store = memory_of(tmp_path / "all", stream(*talk(), end_s=100.0))
    # Events keep the ends they had, so their scores stay out of it.
    recaller = Recall(store.reader(), RecallOptions(parent_weight=0.0))
    assert len(recall(recaller, store, "ship")) == 3
    with store.write() as writing:
        writing.remove([talk()[1].id])
    without = memory_of(tmp_path / "less", stream(*talk()[:1], *talk()[2:], end_s=100.0))
    fresh = Recall(without.reader(), RecallOptions(parent_weight=0.0))
    found, expected = recall(recaller, store, "ship"), recall(fresh, without, "ship")
    assert [(h.observation, h.score) for h in found] == [(h.observation, h.score) for h in expected]
    store.close()
    without.close()


def test_what_is_remembered_after_a_removal_is_found(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(*talk(), end_s=100.0))
    recaller = Recall(store.reader(), RecallOptions())
    with store.write() as writing:
        writing.remove([talk()[3].id])
        writing.add_observation(say(95.0, 96.0, "a lighthouse", channel="answer"))
    assert {h.observation.t0_s for h in recall(recaller, store, "ship")} == {33.0, 35.0}
    assert recaller.recall(
        RecallRequest(query="lighthouse", view=open_view(store.reader(), ViewRequest()), channels=("answer",))
    ).hits
    store.close()


def contents(store: Store) -> dict[str, object]:
    """All that depends on which observations there are."""
    reader = store.reader()
    held: dict[str, object] = {
        table: sorted(reader.execute(f"SELECT * FROM {table}").fetchall())
        for table in ("payloads", "vectors", "unsealed", "links", "term_counts", "charges")
    }
    held["vocabulary"] = sorted(reader.execute("SELECT term, sound FROM vocabulary").fetchall())
    held["charged"] = {name: n_bytes for name, n_bytes in charged(reader).items() if n_bytes}
    reader.close()
    return held


def test_a_memory_that_lost_observations_is_as_if_it_had_never_had_them(tmp_path: Path) -> None:
    never = memory_of(tmp_path / "never", stream(*talk()[1:3], end_s=100.0))
    store = memory_of(tmp_path / "all", stream(*talk()[1:3], talk()[0], talk()[3], end_s=100.0))
    with store.write() as writing:
        writing.remove([talk()[0].id, talk()[3].id])
    assert contents(store) == contents(never)
    never.close()
    store.close()


def test_a_word_that_was_removed_is_known_again_when_it_is_said_again(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(*talk(), end_s=100.0))
    with store.write() as writing:
        writing.remove([talk()[0].id])
        again = say(95.0, 96.0, "a tortoise, slowly")
        writing.add_observation(again)
    recaller = Recall(store.reader(), RecallOptions())
    assert recall(recaller, store, "tortiose")[0].observation == again
    store.close()


def test_a_removed_picture_leaves_its_observation(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(*talk(), end_s=100.0))
    before = charged(store.reader())
    with store.write() as writing:
        writing.remove_pictures([talk()[2].id])
    reader = store.reader()
    assert reader.execute("SELECT count(*) FROM payloads").fetchone() == (0,)
    assert reader.execute("SELECT count(*) FROM observations").fetchone() == (4,)
    assert reader.execute("SELECT sum(picture_bytes) FROM charges").fetchone() == (0,)
    after = charged(reader)
    assert before["frame"] - after["frame"] == before["hot"] - after["hot"] > 0
    store.close()
