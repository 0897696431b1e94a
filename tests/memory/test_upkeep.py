"""Damage: found, told, put aside or repaired, and never a word that was not stored; copies that are whole or none."""

from __future__ import annotations

import itertools
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from memory.recall.rank import Recall, RecallOptions
from memory.spans.read_spans import read_spans
from memory.store.database import Store
from memory.store.reader import read_status, scan
from memory.store.views import open_view
from memory.upkeep.backup import back_up, restore
from memory.upkeep.repair import find_damage, repair
from memory.upkeep.rows import find_bad_rows, quarantine
from runtime.errors import StoreError
from runtime.messages import (
    BackupRequest,
    Observation,
    RecallRequest,
    ScanRequest,
    SourceOpened,
    SpansRequest,
    ViewRequest,
)
from tests.fixtures.memory_cases import gather_all, memory_of, progress, remember, say, see, stream

NOW_S = 2_000_000_000.0


def everything(store: Store) -> dict[str, Observation]:
    reader = store.reader()
    found = scan(reader, ScanRequest(view=open_view(reader, ViewRequest()), with_payload=True, limit=10_000))
    reader.close()
    return {o.id: o for o in found}


def a_memory(directory: Path, n: int = 300) -> dict[str, Observation]:
    frames = [see(float(t), f"a hall with {t} lamps", vector=(1.0, t, 2.0)) for t in range(0, n, 3)]
    said = [say(t + 0.5, t + 1.0, f"sentence number {t} of the day") for t in range(0, n, 2)]
    store = memory_of(directory, stream(*frames, *said, end_s=float(n)))
    found = everything(store)
    store.close()
    return found


def damage(directory: Path, sql: str, *values: object) -> None:
    with sqlite3.connect(directory / "memory.db") as plain:
        plain.execute(sql, values)
    plain.close()


def test_no_single_flipped_bit_changes_what_is_remembered_in_silence(tmp_path: Path) -> None:
    stored = a_memory(tmp_path / "whole")
    at_random = random.Random(4)
    told = 0
    for trial in range(40):
        hurt = tmp_path / str(trial)
        shutil.copytree(tmp_path / "whole", hurt)
        data = bytearray((hurt / "memory.db").read_bytes())
        data[at_random.randrange(100, len(data))] ^= 1 << at_random.randrange(8)
        (hurt / "memory.db").write_bytes(data)
        told += repair(hurt, NOW_S).was_needed
        assert find_damage(hurt / "memory.db") == ""
        store = Store(hurt)
        left = everything(store)
        store.close()
        for id_, o in left.items():  # a picture or a vector may be gone, but none is another
            was = stored[id_]
            assert o.payload in (was.payload, None) and o.vector in (was.vector, None)
            assert msgspec.structs.replace(o, payload=None, vector=None, vector_space="") == msgspec.structs.replace(
                was, payload=None, vector=None, vector_space=""
            )
        assert len(left) >= len(stored) - 40  # a page of rows at most
        shutil.rmtree(hurt)
    assert told > 5


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE tracks SET watermark_s=1e6 WHERE track='video'",
        "UPDATE tracks SET watermark_s=watermark_s/2 WHERE track='video'",
        "UPDATE tracks SET ended='End' WHERE track='video'",
        "UPDATE tracks SET ended=NULL WHERE track='video'",
        "UPDATE tracks SET ended=CAST(x'c3' AS TEXT) WHERE track='video'",
    ],
)
def test_a_track_that_a_flipped_bit_changed_begins_again(tmp_path: Path, sql: str) -> None:
    stored = a_memory(tmp_path, 30)
    damage(tmp_path, sql)
    store = Store(tmp_path)
    (record,) = read_status(store.reader(), "", 0).sources
    assert record.watermarks == {"audio": 30.0}
    assert record.ended == {"audio": "end"}
    remember(store, stream(see(0.0, "a hall with 0 lamps", vector=(1.0, 0.0, 2.0)), end_s=30.0))
    assert everything(store) == stored
    store.close()
    again = Store(tmp_path)
    assert read_status(again.reader(), "", 0).sources[0].watermarks == {"video": 30.0, "audio": 30.0}
    again.close()


def test_consolidation_that_a_flipped_bit_changed_goes_on_from_the_last_event(tmp_path: Path) -> None:
    def day(first: int, last: int) -> list[Observation]:
        return [say(t + 0.5, t + 1.0, f"sentence number {t} of the day") for t in range(first, last, 2)]

    opened = SourceOpened(source="clip", track="audio", kind="microphone")
    store = memory_of(tmp_path, gather_all(opened, *day(0, 200), progress(200.0, "audio")))

    def ended() -> list[tuple[float, float]]:
        return store.reader().execute("SELECT t0_s, t1_s FROM spans WHERE level='event' ORDER BY t0_s").fetchall()

    first = ended()
    assert first
    store.close()
    for sql in ("UPDATE consolidation SET state=x'c3ff'", "UPDATE consolidation SET state=state || x'00'"):
        damage(tmp_path, sql)
        store = Store(tmp_path)
        remember(store, gather_all(*day(200, 400), progress(400.0, "audio"), first=500))
        events = ended()
        assert events[: len(first)] == first
        assert len(events) > len(first)
        assert all(before[1] == after[0] for before, after in itertools.pairwise(events))
        store.close()


def test_repair_makes_the_index_again_of_which_no_row_tells_that_it_is_another(tmp_path: Path) -> None:
    a_memory(tmp_path)
    damage(tmp_path, "UPDATE unsealed SET own=replace(own, 'sentenc', 'zentenc')")
    assert not repair(tmp_path, NOW_S).was_needed
    store = Store(tmp_path)
    reader = store.reader()
    reply = Recall(reader, RecallOptions()).recall(
        RecallRequest(query="sentence", view=open_view(reader, ViewRequest()))
    )
    assert "sentence" in reply.hits[0].observation.text
    reader.close()
    store.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE observations SET text='another word' WHERE seq=7",
        "UPDATE observations SET data='{' WHERE seq=7",
        "UPDATE observations SET channel='thought' WHERE seq=7",
        "UPDATE observations SET text=CAST(x'ff80' AS TEXT) WHERE seq=7",
        "UPDATE observations SET t0_s='late' WHERE seq=7",
        "UPDATE observations SET evidence='7', crc=0 WHERE seq=7",
    ],
)
def test_a_bad_row_is_put_aside_and_everything_else_is_found(tmp_path: Path, sql: str) -> None:
    stored = a_memory(tmp_path)
    damage(tmp_path, sql)
    store = Store(tmp_path)
    reader = store.reader()
    bad = list(find_bad_rows(reader))
    assert [(row.table, row.key) for row in bad] == [("observations", 7)]
    quarantine(store, bad, NOW_S)
    assert everything(store).items() <= stored.items() and len(everything(store)) == len(stored) - 1
    asked = RecallRequest(query="sentence number 120", view=open_view(reader, ViewRequest()))
    hits = Recall(reader, RecallOptions()).recall(asked).hits
    assert hits[0].observation.text == "sentence number 120 of the day"
    (noted,) = reader.execute("SELECT seq, why, found_wall_s FROM quarantine").fetchall()
    assert noted[0] == 7 and noted[2] == NOW_S
    assert reader.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    reader.close()
    store.close()


def spans_of(store: Store) -> dict[str, tuple[object, ...]]:
    with closing(store.reader()) as reader:
        rows = reader.execute("SELECT id, level, source, t0_s, t1_s, text, parent, keyframe, stage, trust FROM spans")
        return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize("level", ["moment", "event", "episode"])
@pytest.mark.parametrize(
    "change",
    [
        "text='another word'",
        "text=CAST(x'ff80' AS TEXT)",
        "keyframe='clip/frame/0.000'",
        "trust=trust/2",
    ],
)
def test_a_damaged_sketch_is_told_anew_from_what_it_told_of(tmp_path: Path, level: str, change: str) -> None:
    a_memory(tmp_path)
    store = Store(tmp_path)
    stored = spans_of(store)
    store.close()
    damage(tmp_path, f"UPDATE spans SET {change} WHERE id=(SELECT min(id) FROM spans WHERE level=?)", level)
    assert "sketch" in find_damage(tmp_path / "memory.db")
    store = Store(tmp_path)
    with closing(store.reader()) as reader:
        bad = list(find_bad_rows(reader))
    assert [row.table for row in bad] == ["spans"]
    quarantine(store, bad, NOW_S)
    assert spans_of(store) == stored
    with closing(store.reader()) as reader:
        assert list(find_bad_rows(reader)) == []
        assert [why for (why,) in reader.execute("SELECT why FROM quarantine")] == [bad[0].why]
    store.close()


@pytest.mark.parametrize(
    "change",
    ["t1_s=t1_s/2", "t0_s='late'", "stage='fulm'", "level='evend'", "why=CAST(x'ff' AS TEXT)", "id='clip/evend/0'"],
)
def test_a_span_that_a_flipped_bit_has_moved_is_found_and_locks_nobody_out(tmp_path: Path, change: str) -> None:
    stored = a_memory(tmp_path)
    damage(tmp_path, f"UPDATE spans SET {change} WHERE id=(SELECT min(id) FROM spans WHERE level='event')")
    (why,) = repair(tmp_path, NOW_S).bad
    assert why.startswith("sketch")
    store = Store(tmp_path)
    with closing(store.reader()) as reader:
        assert list(find_bad_rows(reader)) == []
        read_spans(reader, SpansRequest(view=open_view(reader, ViewRequest())))
    assert everything(store) == stored
    store.close()


def test_of_an_older_version_is_looked_at_what_has_checksums(tmp_path: Path) -> None:
    a_memory(tmp_path)
    damage(tmp_path, "ALTER TABLE spans DROP COLUMN crc")
    damage(tmp_path, "PRAGMA user_version=15")
    assert find_damage(tmp_path / "memory.db") == ""
    damage(tmp_path, "UPDATE observations SET text='another word' WHERE seq=7")
    assert "observation differs" in find_damage(tmp_path / "memory.db")


def test_a_damaged_picture_or_vector_goes_and_its_observation_stays(tmp_path: Path) -> None:
    stored = a_memory(tmp_path)
    damage(tmp_path, "UPDATE payloads SET jpeg=x'ffd8ff' WHERE seq=1")
    damage(tmp_path, "UPDATE vectors SET vector=zeroblob(6) WHERE seq=2")
    assert sum(repair(tmp_path, NOW_S).bad.values()) == 2
    store = Store(tmp_path)
    assert everything(store).keys() == stored.keys()
    assert store.reader().execute("SELECT count(*) FROM payloads").fetchone() == (99,)
    store.close()


def test_of_a_file_with_damaged_pages_the_rest_is_saved_and_what_was_lost_is_told(tmp_path: Path) -> None:
    stored = a_memory(tmp_path, 1200)
    path = tmp_path / "memory.db"
    root = sqlite3.connect(path).execute("SELECT rootpage FROM sqlite_master WHERE name='observations'").fetchone()[0]
    data = bytearray(path.read_bytes())
    children = int.from_bytes(data[(root - 1) * 4096 + 3 : (root - 1) * 4096 + 5], "big")
    at = int.from_bytes(data[(root - 1) * 4096 + 12 : (root - 1) * 4096 + 14], "big")
    leaf = int.from_bytes(data[(root - 1) * 4096 + at : (root - 1) * 4096 + at + 4], "big")
    in_leaf = int.from_bytes(data[(leaf - 1) * 4096 + 3 : (leaf - 1) * 4096 + 5], "big")
    assert children > 2 and in_leaf > 10
    data[(leaf - 1) * 4096 : leaf * 4096] = b"\xa5" * 4096
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"is damaged .*run_agent.py repair"):
        Store(tmp_path)
    done = repair(tmp_path, NOW_S)
    assert done.kept.startswith("damaged-") and (tmp_path / done.kept).read_bytes() == data
    store = Store(tmp_path)
    left = everything(store)
    assert left.items() <= stored.items() and len(stored) - len(left) == in_leaf
    assert sum(n for *_, n in done.lost) == len(stored) - len(left) and done.saved == len(left)
    assert done.lost[0][0] == "clip"
    with store.write() as writing:
        assert writing.add_observation(say(5000.0, 5001.0, "it goes on"))
    store.close()
    assert not repair(tmp_path, NOW_S).was_needed


def test_there_is_nothing_to_repair_where_nothing_is_damaged_or_nothing_is_there(tmp_path: Path) -> None:
    a_memory(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    assert not repair(tmp_path, NOW_S).was_needed and {path.name for path in tmp_path.iterdir()} == before
    with pytest.raises(StoreError, match="no memory in"):
        repair(tmp_path / "nowhere", NOW_S)
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="in use by"):
        repair(tmp_path, NOW_S)
    store.close()


def test_a_memory_in_use_is_backed_up_whole_and_comes_back_the_same(tmp_path: Path) -> None:
    a_memory(tmp_path / "first")
    store = Store(tmp_path / "first")
    with store.write() as writing:  # in the write-ahead log alone
        writing.add_observation(say(290.0, 291.0, "the very newest"))
    done = back_up(store, BackupRequest(path=str(tmp_path / "kept.db")))
    now = everything(store)
    assert done.observations == len(now) and "the very newest" in {o.text for o in now.values()}
    with pytest.raises(StoreError, match="is there already"):
        back_up(store, BackupRequest(path=str(tmp_path / "kept.db")))
    with pytest.raises(StoreError, match="in use by"):
        restore(tmp_path / "first", tmp_path / "kept.db", replace=True)
    store.close()
    restore(tmp_path / "second", tmp_path / "kept.db", replace=False)
    second = Store(tmp_path / "second")
    assert everything(second) == now
    second.close()
    with pytest.raises(StoreError, match="there is a memory already; --replace"):
        restore(tmp_path / "second", tmp_path / "kept.db", replace=False)


def test_a_backup_that_is_damaged_or_none_is_not_restored(tmp_path: Path) -> None:
    stored = a_memory(tmp_path / "first")
    damage(tmp_path / "first", "CREATE TABLE x(y)")
    shutil.copy(tmp_path / "first" / "memory.db", tmp_path / "kept.db")
    damage(tmp_path / "first", "UPDATE observations SET text='another word' WHERE seq=7")
    shutil.copy(tmp_path / "first" / "memory.db", tmp_path / "changed.db")
    (tmp_path / "text.db").write_text("nothing of ours " * 1000)
    restore(tmp_path / "second", tmp_path / "kept.db", replace=False)
    for name, says in (
        ("changed.db", "differs from its checksum"),
        ("text.db", "damaged"),
        ("none.db", "no such file"),
    ):
        with pytest.raises(StoreError, match=says):
            restore(tmp_path / "second", tmp_path / name, replace=True)
    store = Store(tmp_path / "second")
    assert everything(store) == stored
    store.close()
    assert {path.name for path in (tmp_path / "second").iterdir()} == {"memory.db", "memory.lock"}
