"""The memory process: commit, then acknowledge, then announce; calls answered meanwhile; nothing lost at the end."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.to_thread
import msgspec
import pytest

from memory.process import BATCH_LIMIT, main
from memory.store.database import Store
from runtime.errors import StoreError
from runtime.footage import FOOTAGE, note_keeping, segment_name
from runtime.messages import (
    Ack,
    Done,
    Keeping,
    Message,
    Observation,
    ReaddRequest,
    RecallRequest,
    RememberRequest,
    ScanRequest,
    SourceEnded,
    SourceOpened,
    SpansRequest,
    StatusRequest,
    Stored,
    ViewRequest,
)
from tests.fixtures.memory_cases import Sent, progress, say, see, send
from tests.fixtures.memory_service import FakeService, Mailbox, memory_process

pytestmark = pytest.mark.anyio


def clip(seconds: int) -> list[Message]:
    messages: list[Message] = [SourceOpened(source="clip", track=t) for t in ("video", "audio")]
    for i in range(seconds):
        messages += [see(float(i), f"frame {i}"), progress(float(i), "video"), progress(float(i), "audio")]
    messages.append(say(1.0, 2.0, "the harbour"))
    return [*messages, *(SourceEnded(source="clip", track=t, t_s=float(seconds)) for t in ("video", "audio"))]


async def test_what_is_acknowledged_is_durable_and_what_is_announced_can_be_asked(tmp_path: Path) -> None:
    async with memory_process(tmp_path) as service:
        sent = send("video", *clip(20))
        service.mailbox.put(*sent)
        await service.acknowledged("video", len(sent))
        reader = Store.reader(service_store := _open_beside(tmp_path))
        assert reader.execute("SELECT count(*) FROM observations").fetchone() == (21,)
        reader.close()
        del service_store
        await service.until(lambda p: any(isinstance(m, Stored) and m.ended == ("clip",) for _, m in p))
        view = await service.call(ViewRequest())
        assert view.limits == {"clip": 20.0}
        hits = (await service.call(RecallRequest(query="harbor", view=view))).hits
        assert [hit.observation.text for hit in hits] == ["the harbour"]
        assert len((await service.call(ScanRequest(view=view, channels=("frame",)))).observations) == 20
        assert (await service.call(SpansRequest(view=view))).spans[-1].t1_s == 20.0
    assert service.state["counters"]["observations"] == 21
    assert service.state["idle"] is True


def _open_beside(directory: Path) -> Store:
    """The store as another program would read it, without the lock."""
    store = object.__new__(Store)
    store.directory, store.path, store.where = directory, directory / "memory.db", str(directory)
    store.key = None
    return store


async def test_the_acknowledgement_comes_before_the_announcement_and_after_the_commit(tmp_path: Path) -> None:
    async with memory_process(tmp_path) as service:
        service.published.clear()
        sent = send("video", *clip(3))
        service.mailbox.put(*sent)
        await service.until(lambda p: any(t == "stored" for t, _ in p))
        assert [topic for topic, _ in service.published][:2] == ["ack", "stored"]


async def test_a_long_row_of_messages_is_committed_in_bounded_batches(tmp_path: Path) -> None:
    async with memory_process(tmp_path, commit_interval_s=60.0) as service:
        service.mailbox.put(
            *send("video", SourceOpened(source="clip", track="video"), *(see(float(i)) for i in range(999)))
        )
        await service.acknowledged("video", BATCH_LIMIT * 7)
        acks = [m.seq for _, m in service.published if isinstance(m, Ack) and m.publisher]
        assert acks == [BATCH_LIMIT * i for i in range(1, 8)]


async def test_stopping_stores_what_has_arrived(tmp_path: Path) -> None:
    sent = send("video", *clip(50))
    async with memory_process(tmp_path, commit_interval_s=60.0) as service:
        service.mailbox.put(*sent)
        await anyio.wait_all_tasks_blocked()
    assert [m.seq for _, m in service.published if isinstance(m, Ack)][-1] == len(sent)
    store = Store(tmp_path)  # the lock is free, the log folded in
    assert (
        not store.path.with_name("memory.db-wal").exists() or not store.path.with_name("memory.db-wal").stat().st_size
    )
    assert store.reader().execute("SELECT count(*) FROM observations").fetchone() == (51,)
    store.close()


async def test_a_restart_goes_on_after_what_is_durable_and_acknowledges_it_again(tmp_path: Path) -> None:
    sent = send("video", *clip(10), epoch=77)
    async with memory_process(tmp_path) as service:
        service.mailbox.put(*sent[:12])
        await service.acknowledged("video", 12)
    async with memory_process(tmp_path) as service:
        assert service.after == {("video", 77): 12}
        assert ("ack", Ack(publisher="video", epoch=77, seq=12)) in service.published
        service.mailbox.put(*sent[8:])  # go-back-N may repeat
        await service.acknowledged("video", len(sent))
        status = await service.call(StatusRequest())
    assert status.observations == {"frame": 10, "speech": 1}
    assert status.sources[0].ended == {"video": "end", "audio": "end"}
    assert status.sources[0].watermarks == {"video": 10.0, "audio": 10.0}


async def test_questions_and_answers_are_stored_at_once_and_once(tmp_path: Path) -> None:
    question = say(2.0, 2.0, "where is the harbour?", channel="question", conversation="main")
    async with memory_process(tmp_path, commit_interval_s=60.0) as service:
        for _ in range(2):
            assert await service.call(RememberRequest(observations=(question,))) == Done()
        view = await service.call(ViewRequest())
        assert (await service.call(ScanRequest(view=view))).observations == (question,)
        wrong = msgspec.structs.replace(question, id="x", t1_s=float("nan"))
        with pytest.raises(StoreError, match="its time is wrong"):
            await service.call(RememberRequest(observations=(wrong,)))


async def test_a_malformed_observation_is_counted_and_the_rest_stored(tmp_path: Path) -> None:
    bad = Observation(id="bad", source="clip", channel="frame", t0_s=5.0, t1_s=4.0)
    async with memory_process(tmp_path) as service:
        sent = send("video", SourceOpened(source="clip", track="video"), bad, see(6.0, "good"))
        service.mailbox.put(*sent)
        await service.acknowledged("video", 3)
        assert (await service.call(StatusRequest())).observations == {"frame": 1}
    assert service.drops == {"perceived:malformed time": 1}


async def test_a_memory_that_is_indexed_anew_is_at_work_and_says_so_before_it_is_ready(tmp_path: Path) -> None:
    async with memory_process(tmp_path) as service:
        service.mailbox.put(*send("video", *clip(3)))
        await service.acknowledged("video", 3)
    with sqlite3.connect(tmp_path / "memory.db") as plain:
        plain.execute("UPDATE memory SET value=0 WHERE key='analysis'")
    plain.close()
    async with memory_process(tmp_path) as service:
        assert service.before_ready[:2] == [{"idle": False}, {"notes": ("indexing it anew, 0 % done",)}]
        assert {"notes": ()} in service.before_ready
        assert service.state["idle"] is True
        view = await service.call(ViewRequest())
        assert (await service.call(RecallRequest(query="harbor", view=view))).hits


async def test_a_process_that_is_to_stop_while_it_opens_a_memory_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr("memory.process.Store", lambda *_: go_on.wait())
    service = FakeService(tmp_path)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(main, service)  # type: ignore[arg-type]
            await anyio.wait_all_tasks_blocked()
            service.stopping.set()
    go_on.set()
    assert not service.is_ready.is_set()


async def test_a_folder_in_use_ends_the_process_with_one_line(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="in use by process"):
        await main(FakeService(tmp_path))  # type: ignore[arg-type]
    store.close()


async def test_what_was_removed_leaves_the_file_within_the_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory.process.UPKEEP_INTERVAL_S", 0.01)
    scrubbed, scrub = anyio.Event(), Store.scrub

    def noted(store: Store, rewrite: bool = False) -> None:
        scrub(store, rewrite)
        anyio.from_thread.run_sync(scrubbed.set)

    monkeypatch.setattr(Store, "scrub", noted)
    async with memory_process(tmp_path) as service:
        service.mailbox.put(*send("video", *clip(3)))
        await service.acknowledged("video", 3)
        await service.call(ReaddRequest(source="clip"))  # takes away what there is of a tombstone
        with anyio.fail_after(20):
            await scrubbed.wait()


async def test_footage_whose_time_is_over_goes_though_its_source_is_watched_no_more(tmp_path: Path) -> None:
    root, source = tmp_path / FOOTAGE, "door@2026-11-30T10:00:00"
    note_keeping(root, source, Keeping(bytes=1000, age_s=3600.0))
    old, fresh = (root / source / segment_name(t0_s, t0_s + 9.0) for t0_s in (0.0, 10.0))
    old.write_bytes(b"footage")
    fresh.write_bytes(b"footage")
    os.utime(old, (0.0, 0.0))
    async with memory_process(tmp_path):
        with anyio.fail_after(20):
            while old.exists():
                await anyio.sleep(0.01)
    assert fresh.exists()


async def test_a_row_that_cannot_be_read_is_put_aside_and_nobody_is_locked_out(tmp_path: Path) -> None:
    async with memory_process(tmp_path) as service:
        sent = send("video", *clip(20))
        service.mailbox.put(*sent)
        await service.acknowledged("video", len(sent))
        with sqlite3.connect(tmp_path / "memory.db") as other:
            other.execute("UPDATE observations SET data='{', evidence='7' WHERE seq=3")
        view = await service.call(ViewRequest())
        found = (await service.call(ScanRequest(view=view))).observations
        assert len(found) == 20
    with sqlite3.connect(tmp_path / "memory.db") as other:
        other.execute("UPDATE observations SET channel='thought' WHERE seq=5")
    async with memory_process(tmp_path) as service:  # nor at the next start
        view = await service.call(ViewRequest())
        assert len((await service.call(ScanRequest(view=view))).observations) == 19


@pytest.mark.parametrize("when", ["at the start", "while it is asked"])
async def test_an_index_that_cannot_be_read_is_made_anew(tmp_path: Path, when: str) -> None:
    def break_index() -> None:
        with sqlite3.connect(tmp_path / "memory.db") as other:
            assert other.execute("UPDATE unsealed SET own=CAST(x'c3' || own AS TEXT)").rowcount

    async with memory_process(tmp_path) as service:
        service.mailbox.put(*send("video", *clip(5), say(90.0, 91.0, "the kestrel is back")))
        await service.acknowledged("video", len(clip(5)) + 1)
        if when == "while it is asked":
            break_index()
            view = await service.call(ViewRequest())
            reply = await service.call(RecallRequest(query="kestrel", view=view))
            assert [hit.observation.text for hit in reply.hits][:1] == ["the kestrel is back"]
    break_index()
    async with memory_process(tmp_path) as service:
        view = await service.call(ViewRequest())
        reply = await service.call(RecallRequest(query="kestrel", view=view))
        assert [hit.observation.text for hit in reply.hits][:1] == ["the kestrel is back"]


async def test_a_publisher_that_waits_for_what_is_there_already_is_told_so(tmp_path: Path) -> None:
    async with memory_process(tmp_path) as service:
        service.mailbox.put(*send("video", see(1.0, "before"), epoch=2), *send("video", see(2.0, "after"), epoch=1))
        await service.acknowledged("video", 1)
    async with memory_process(tmp_path) as service:
        # The clock was set back, so that this one began "before" the other, whose acknowledgement is repeated.
        told = [message for _, message in service.published if isinstance(message, Ack)]
        assert told[-1].epoch == 2
        service.refuse("video", 1)
        service.refuse("video", 1)
        again = [message for _, message in service.published if isinstance(message, Ack)][len(told) :]
        assert again == [Ack(publisher="video", epoch=1, seq=1)]  # once: it is repeated


async def test_a_sequence_number_that_a_flipped_bit_made_larger_loses_nothing(tmp_path: Path) -> None:
    async with memory_process(tmp_path) as service:
        service.mailbox.put(*send("video", *clip(3)))
        await service.acknowledged("video", 3)
    with sqlite3.connect(tmp_path / "memory.db") as other:
        other.execute("UPDATE publisher_seq SET seq=seq+64")
    async with memory_process(tmp_path) as service:
        assert service.after == {}
        service.mailbox.put(*send("video", say(90.0, 91.0, "the newest"), first=30))
        await service.acknowledged("video", 30)
        view = await service.call(ViewRequest())
        found = (await service.call(ScanRequest(view=view, channels=("speech",)))).observations
    async with memory_process(tmp_path) as service:
        assert service.after == {("video", 1): 30}
    assert "the newest" in {o.text for o in found}


class Overflowing(Mailbox):
    """Has always more, and after the process is told to stop so many batches still."""

    def __init__(self, service: FakeService, batches: int) -> None:
        super().__init__()
        self._service = service
        self._left = batches * BATCH_LIMIT
        self._seq = 0

    def poll(self) -> Sent | None:
        self._left -= self._service.stopping.is_set()
        if self._left <= 0:
            return None
        self._seq += 1
        return send("video", progress(self._seq / 100, "video"), first=self._seq)[0]


async def test_a_process_that_is_told_to_stop_does_though_more_always_comes(tmp_path: Path) -> None:
    service = FakeService(tmp_path)
    service.mailbox = Overflowing(service, batches=50)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(main, service)  # type: ignore[arg-type]
        await service.acknowledged("video", 1)
        service.stopping.set()
        before = len(service.published)
    # What was under way, and then all that is left at once.
    assert sum(isinstance(message, Ack) for _, message in service.published[before:]) <= 4
