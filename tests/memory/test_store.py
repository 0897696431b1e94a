"""The memory folder: what is acknowledged stays, and what cannot be used says so in one line."""

from __future__ import annotations

import errno
import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from memory.store.batch import Batch, gather
from memory.store.database import Store
from memory.store.folder import explained
from memory.store.reader import read_status, scan
from memory.store.views import open_view
from runtime.errors import StoreError
from runtime.messages import Observation, ScanRequest, SourceEnded, SourceOpened, ViewRequest
from tests.fixtures.agent_runs import ended_with_its_test
from tests.fixtures.memory_cases import memory_of, progress, say, see, send, stream

ROOT = Path(__file__).resolve().parents[2]


def everything(store: Store, **request: object) -> tuple[Observation, ...]:
    reader = store.reader()
    view = open_view(reader, ViewRequest())
    found = scan(reader, ScanRequest(view=view, **request))  # type: ignore[arg-type]
    reader.close()
    return found


def test_an_observation_comes_back_as_it_was(tmp_path: Path) -> None:
    frame = see(1.0, "a red car", vector=(1.0, 2.0, 2.0), cut=True, colours=[["red", 0.5]])
    frame = Observation(
        **{f: getattr(frame, f) for f in frame.__struct_fields__} | {"evidence": ("b", "a"), "trust": 0.5}
    )
    store = memory_of(tmp_path, stream(frame, end_s=2.0))
    assert everything(store, with_payload=True) == (frame,)
    assert everything(store)[0].payload is None
    store.close()


def test_what_is_delivered_twice_is_stored_once(tmp_path: Path) -> None:
    messages = send(
        "video", SourceOpened(source="clip", track="video"), see(1.0, "one"), see(2.0, "two"), progress(2.0, "video")
    )
    store = memory_of(tmp_path, gather(messages))
    before = (
        read_status(store.reader(), "", 0).observations,
        store.reader().execute("SELECT * FROM tracks").fetchall(),
    )
    with store.write() as writing:
        writing.add(gather(messages[1:] + messages))
        assert writing.stored == 0
    after = (read_status(store.reader(), "", 0).observations, store.reader().execute("SELECT * FROM tracks").fetchall())
    assert before == after
    assert store.reader().execute("SELECT publisher, epoch, seq FROM publisher_seq").fetchall() == [("video", 1, 4)]
    store.close()


def test_how_far_a_publisher_is_durable_is_known_after_the_clock_was_set_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for epoch in (*range(1000, 1020), 500):
        with store.write() as writing:
            writing.add(Batch(sequence={("video", epoch): 7}))
    durable = store.reader().execute("SELECT epoch, seq FROM publisher_seq ORDER BY epoch").fetchall()
    assert durable == [(500, 7), *((epoch, 7) for epoch in range(1012, 1020))]
    store.close()


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_was_moved_away_is_told_of_and_not_written_to_unnoticed(tmp_path: Path, is_replaced: bool) -> None:
    folder, moved = tmp_path / "memory", tmp_path / "moved"
    store = memory_of(folder, stream(see(1.0, "one"), end_s=2.0))
    folder.rename(moved)
    if is_replaced:
        Store(folder).close()
    with pytest.raises(StoreError, match=r"memory.db was moved or removed while it was in use"), store.write():
        pass
    store.close()
    kept = Store(moved)
    assert [o.text for o in everything(kept)] == ["one"]
    kept.close()


def test_an_older_repetition_moves_no_watermark_back(tmp_path: Path) -> None:
    store = memory_of(
        tmp_path, gather(send("video", SourceOpened(source="clip", track="video"), progress(9.0, "video")))
    )
    with store.write() as writing:
        writing.add(gather(send("video", progress(3.0, "video"))))
    assert store.reader().execute("SELECT watermark_s FROM tracks").fetchall() == [(9.0,)]
    store.close()


def test_a_failed_batch_leaves_nothing(tmp_path: Path) -> None:
    store = memory_of(tmp_path)
    with pytest.raises(RuntimeError), store.write() as writing:
        writing.add(stream(see(1.0, "a tortoise"), end_s=2.0))
        raise RuntimeError("killed in the middle")
    reader = store.reader()
    for table in ("observations", "sources", "unsealed", "vocabulary", "postings"):
        assert reader.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    store.close()


def test_a_term_of_an_undone_batch_is_known_when_it_comes_again(tmp_path: Path) -> None:
    store = memory_of(tmp_path)
    with pytest.raises(RuntimeError), store.write() as writing:
        writing.add(stream(see(1.0, "a tortoise"), end_s=2.0))
        raise RuntimeError
    with store.write() as writing:
        writing.add(stream(see(1.0, "a tortoise"), end_s=2.0))
    assert ("tortois",) in store.reader().execute("SELECT term FROM vocabulary").fetchall()
    store.close()


def test_reading_never_blocks_writing_and_sees_one_state(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(see(1.0, "one"), end_s=2.0))
    reader = store.reader()
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM observations").fetchone() == (1,)
    with store.write() as writing:
        writing.add(Batch(observations=(see(1.5, "two"),)))
    assert reader.execute("SELECT count(*) FROM observations").fetchone() == (1,)
    reader.execute("COMMIT")
    assert reader.execute("SELECT count(*) FROM observations").fetchone() == (2,)
    store.close()


def test_the_reader_cannot_write(tmp_path: Path) -> None:
    store = memory_of(tmp_path)
    with pytest.raises(sqlite3.OperationalError):
        store.reader().execute("DELETE FROM observations")
    store.close()


def test_pictures_words_and_links_can_be_read_with_plain_sql(tmp_path: Path) -> None:
    sign = say(1.0, 1.0, "EXIT", channel="text")
    frame = Observation(id="clip/frame/1", source="clip", channel="frame", t0_s=1.0, t1_s=1.0, evidence=(sign.id,))
    store = memory_of(tmp_path, stream(sign, frame, end_s=2.0))
    with sqlite3.connect(store.path) as plain:
        until = plain.execute(
            "SELECT max(f.t0_s) FROM observations t JOIN links l ON l.to_id = t.id"
            " JOIN observations f ON f.seq = l.from_seq WHERE t.text = 'EXIT' AND f.channel = 'frame'"
        ).fetchone()
    assert until == (1.0,)
    store.close()


def test_a_second_process_is_told_who_has_the_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match=f"in use by process {os.getpid()}"):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()


def test_a_newer_schema_is_refused_and_the_file_left_alone(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(see(1.0, "kept"), end_s=2.0))
    store.close()
    with sqlite3.connect(store.path) as plain:
        plain.execute("PRAGMA user_version=999")
    before = store.path.read_bytes()
    with pytest.raises(StoreError, match="schema 999"):
        Store(tmp_path)
    assert store.path.read_bytes() == before


@pytest.mark.parametrize("damage", ["header", "middle", "cut", "text"])
def test_a_damaged_file_is_refused_in_one_line_and_left_alone(tmp_path: Path, damage: str) -> None:
    store = memory_of(tmp_path, stream(*(see(float(i), f"frame {i} " + "x" * 200) for i in range(300)), end_s=300.0))
    store.close()
    data = bytearray(store.path.read_bytes())
    if damage == "header":
        data[:100] = bytes(100)
    elif damage == "middle":
        data[len(data) // 3 : 2 * len(data) // 3] = bytes(2 * len(data) // 3 - len(data) // 3)
    elif damage == "cut":
        del data[len(data) // 2 :]
    else:
        data[:] = b"this is not a memory\n" * 100
    store.path.write_bytes(data)
    with pytest.raises(StoreError, match="damaged") as caught:
        Store(tmp_path)
    assert "\n" not in str(caught.value)
    assert store.path.read_bytes() == bytes(data)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "memory").write_text("I am a file")
    with pytest.raises(StoreError, match="is not a folder"):
        Store(tmp_path / "memory")
    with pytest.raises(StoreError, match="is not a folder"):
        Store(tmp_path / "memory" / "inside")


def test_a_folder_without_permission_is_refused_and_left_alone() -> None:
    with tempfile.TemporaryDirectory() as parent:  # pytest's own folders are closed to others already
        Path(parent).chmod(0o755)
        directory = Path(parent) / "memory"
        store = memory_of(directory, stream(see(1.0, "kept"), end_s=2.0))
        store.close()
        before = store.path.read_bytes()
        for file in directory.iterdir():
            file.chmod(0o444)
        directory.chmod(0o555)
        root = os.geteuid() == 0
        try:
            if root:
                os.seteuid(65534)
            with pytest.raises(StoreError, match="no permission to write there; choose another folder"):
                Store(directory)
            with pytest.raises(StoreError, match="no permission to write there"):
                Store(directory / "inside")
        finally:
            if root:
                os.seteuid(0)
            directory.chmod(0o755)
        assert store.path.read_bytes() == before


WRITE_AND_ACKNOWLEDGE = """
import sys
from pathlib import Path
from memory.store.database import Store
from memory.spans.integrate import Integration
from memory.spans.segment import SegmentOptions
from memory.store.batch import gather
from runtime.messages import SourceOpened
from tests.fixtures.memory_cases import progress, see, send

store, first = Store(Path(sys.argv[1])), int(sys.argv[2])
integration = Integration(SegmentOptions())
print("open", flush=True)
for start in range(first, first + 4000, 4):
    messages = [SourceOpened(source="clip", track="video", kind="camera")] if start == 1 else []
    messages += [see(float(start + i), f"frame {start + i}", vector=(1.0, start % 7)) for i in range(4)]
    messages.append(progress(float(start + 3), "video"))
    with store.write() as writing:
        writing.add(gather(send("video", *messages, first=start)))
        integration.advance(writing, ["clip"])
    print(start + 3, flush=True)
"""


@pytest.mark.processes
def test_killed_at_any_instant_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    at_random = random.Random(7)
    acknowledged = 0
    for _ in range(8):
        command = [sys.executable, "-c", WRITE_AND_ACKNOWLEDGE, str(tmp_path), str(acknowledged + 1)]
        process = ended_with_its_test(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        for _ in range(at_random.randint(0, 25)):
            acknowledged = int(process.stdout.readline())
        # Somewhere in the next transactions, not only right after an acknowledgement.
        process.send_signal(signal.SIGSTOP if at_random.random() < 0.3 else signal.SIGKILL)
        process.kill()
        for line in process.stdout:
            acknowledged = int(line)
        process.wait()
        store = Store(tmp_path)
        reader = store.reader()
        assert reader.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        durable = reader.execute("SELECT max(seq) FROM publisher_seq").fetchone()[0] or 0
        assert durable >= acknowledged
        stored = [t0_s for (t0_s,) in reader.execute("SELECT t0_s FROM observations ORDER BY seq")]
        assert stored == [float(i) for i in range(1, len(stored) + 1)]
        assert len(stored) >= acknowledged and len(stored) % 4 == 0
        for table in ("payloads", "vectors", "unsealed"):
            assert reader.execute(f"SELECT count(*) FROM {table}").fetchone() == (len(stored),)
        acknowledged = len(stored)
        reader.close()
        store.close()
    # Events go on across the restarts as if there had been none.
    store = Store(tmp_path)
    spans = store.reader().execute("SELECT t0_s, t1_s FROM spans WHERE level='event' ORDER BY t0_s").fetchall()
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    store.close()


def test_a_track_that_broke_can_be_opened_again_but_not_one_that_ended(tmp_path: Path) -> None:
    opened = SourceOpened(source="clip", track="video")
    store = memory_of(
        tmp_path, gather(send("video", opened, SourceEnded(source="clip", track="video", t_s=4.0, reason="broke")))
    )
    ended = "SELECT ended FROM tracks WHERE track='video'"
    assert store.reader().execute(ended).fetchone() == ("broke",)
    with store.write() as writing:
        writing.add(gather(send("video", opened)))
    assert store.reader().execute(ended).fetchone() == (None,)
    with store.write() as writing:
        writing.add(gather(send("video", SourceEnded(source="clip", track="video", t_s=5.0))))
        writing.add(gather(send("video", opened)))
    assert store.reader().execute(ended).fetchone() == ("end",)
    store.close()


def test_a_full_disk_is_one_line_and_what_was_there_stays_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(see(1.0, "kept"), end_s=2.0))
    before = everything(store)
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count={pages}")
    much = stream(*(see(10.0 + i, f"frame {i} " + "x" * 2000) for i in range(200)), source="other", end_s=300.0)
    with (
        pytest.raises(StoreError, match="the disk is full; what was acknowledged is kept") as caught,
        store.write() as w,
    ):
        w.add(much)
    assert "\n" not in str(caught.value)
    assert everything(store) == before
    store._connection.execute("PRAGMA max_page_count=1000000")
    with store.write() as writing:
        writing.add(much)
    assert len(everything(store)) == len(before) + 200
    store.close()
    Store(tmp_path).close()


def test_an_index_of_the_log_that_finds_no_room_is_a_full_disk_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for free, told in ((0, "the disk is full"), (1 << 30, "disk I/O error")):
        monkeypatch.setattr("shutil.disk_usage", lambda where, free=free: SimpleNamespace(free=free))
        with pytest.raises(StoreError, match=told), explained(str(tmp_path)):
            raise sqlite3.OperationalError("disk I/O error")


def test_a_file_that_became_read_only_while_it_was_in_use_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory.db").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as root may write what nobody may
    for error in (sqlite3.OperationalError("disk I/O error"), PermissionError(errno.EPERM, "Operation not permitted")):
        with pytest.raises(StoreError, match="no permission to write there"), explained(str(tmp_path)):
            raise error


def test_a_damaged_page_of_the_index_alone_is_refused_and_left_alone(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(*(say(float(i), i + 0.5, f"word{i} spoken") for i in range(400)), end_s=400.0))
    (root,) = store._connection.execute("SELECT rootpage FROM sqlite_master WHERE name='term_counts'").fetchone()
    (page,) = store._connection.execute("PRAGMA page_size").fetchone()
    store.close()
    data = bytearray(store.path.read_bytes())
    data[(root - 1) * page : (root - 1) * page + 64] = bytes(64)
    store.path.write_bytes(data)
    with pytest.raises(StoreError, match="is damaged"):
        Store(tmp_path)
    assert store.path.read_bytes() == bytes(data)
