"""Memory as it is followed: everything once, in the order of storing, and what changed is told by its digest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memory.store.database import Store
from memory.store.journal import read_journal
from memory.transactions import MemoryWriter
from runtime.config import Config
from runtime.messages import ForgetRequest, JournalReply, JournalRequest, TimeWindow
from tests.fixtures.memory_cases import memory_of, say, see, stream


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    said = [say(float(i), i + 0.5, f"word {i}") for i in range(1, 8)]
    made = memory_of(tmp_path, stream(see(0.0, "a picture", vector=(1.0, 0.0)), *said, end_s=20.0))
    yield made
    made.close()


def journal(store: Store, **asked: object) -> JournalReply:
    connection = store.reader()
    try:
        return read_journal(connection, JournalRequest(**asked))  # type: ignore[arg-type]
    finally:
        connection.close()


def test_pages_tell_everything_once_and_the_last_what_is_known_of_sources(store: Store) -> None:
    told, after = [], 0
    while True:
        page = journal(store, after=after, limit=3)
        told += [entry.observation.text for entry in page.entries if entry.observation]
        after = page.entries[-1].seq
        if page.at_end:
            break
        assert page.sources == ()
    assert told == ["a picture", *(f"word {i}" for i in range(1, 8))]
    assert page.last == after == 8
    assert [record.source for record in page.sources] == ["clip"]


def test_pictures_come_where_they_are_asked_for(store: Store) -> None:
    first = journal(store, limit=1).entries[0]
    assert first.observation is not None
    assert first.observation.payload is None
    assert first.picture
    whole = journal(store, limit=1, with_pictures=True).entries[0].observation
    assert whole is not None
    assert whole.payload == b"\xff\xd8jpeg"


def test_digests_alone_are_those_of_the_whole(store: Store) -> None:
    whole = [(e.seq, e.digest, e.picture) for e in journal(store).entries]
    bare = journal(store, whole=False)
    assert [(e.seq, e.digest, e.picture) for e in bare.entries] == whole
    assert all(e.observation is None for e in bare.entries)


def test_numbers_of_what_was_forgotten_are_never_given_again(store: Store) -> None:
    MemoryWriter(store, Config().memory).forget(
        ForgetRequest(windows=(TimeWindow(source="clip", t0_s=6, t1_s=20),)), ()
    )
    page = journal(store)
    assert [entry.seq for entry in page.entries] == [1, 2, 3, 4, 5, 6, 9]  # the last tells of the erasure
    assert (page.last, page.removed) == (9, 2)
    assert [(stone.source, stone.t0_s, stone.t1_s) for stone in page.erasures] == [("clip", 6.0, 20.0)]
