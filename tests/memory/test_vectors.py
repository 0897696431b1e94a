"""Vectors in cells: the nearest are found as by comparing all, within what may be seen, through every change."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memory.index.vector_cells import dots, encode, make_cells
from memory.index.vector_segments import segment_vectors
from memory.recall.rank import Recall, RecallOptions
from memory.store.database import Store
from memory.store.reader import read_status
from memory.store.views import open_view
from runtime.messages import Observation, RecallRequest, ViewRequest
from tests.fixtures.memory_cases import memory_of, remember, see, stream

DIMENSIONS = 32


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of a hundred vectors, and only a part of the cells read."""
    monkeypatch.setattr("memory.index.vector_segments.SMALL", 100)
    monkeypatch.setattr("memory.index.vector_segments.LARGE", 400)
    monkeypatch.setattr("memory.index.vector_cells.CELL_SIZE", 8)
    monkeypatch.setattr("memory.index.vectors.SCAN_LEAST", 120)
    monkeypatch.setattr("memory.index.vectors.SCAN_SHARE", 0.3)
    monkeypatch.setattr("memory.recall.vector_scores.VECTOR_HITS", 20)


def pictures(n: int, seed: int = 0) -> list[Observation]:
    """Frames of scenes that last: vectors in clusters, no words."""
    at_random = np.random.default_rng(seed)
    scenes = at_random.standard_normal((20, DIMENSIONS))
    vectors = np.repeat(scenes[at_random.integers(0, 20, -(-n // 10))], 10, axis=0)[:n]
    vectors = vectors + 0.3 * at_random.standard_normal(vectors.shape)
    return [see(float(i), vector=tuple(vector)) for i, vector in enumerate(vectors)]


def vector_of(observation: Observation) -> np.ndarray:
    return np.frombuffer(observation.vector or b"", "<f2").astype(np.float32)


def nearest(observations: list[Observation], query: np.ndarray, n: int = 5) -> list[str]:
    """What comparing all gives; what points away from the query is no hit."""
    near = [o for o in observations if float(vector_of(o) @ query) > 0]
    return [o.id for o in sorted(near, key=lambda o: -float(vector_of(o) @ query))[:n]]


def share_found(recaller: Recall, store: Store, observations: list[Observation]) -> float:
    """Of the five nearest, over all queries."""
    shares = [len({*found(recaller, store, q)} & {*nearest(observations, q)}) / 5 for q in queries()]
    return sum(shares) / len(shares)


def found(recaller: Recall, store: Store, query: np.ndarray, **request: Any) -> list[str]:
    with closing(store.reader()) as reader:
        view = open_view(reader, request.pop("view", ViewRequest()))
    reply = recaller.recall(
        RecallRequest(
            query="", view=view, vector=query.astype("<f2").tobytes(), vector_space="test", limit=5, **request
        )
    )
    return [hit.observation.id for hit in reply.hits]


def queries() -> Iterator[np.ndarray]:
    at_random = np.random.default_rng(7)
    for picture in pictures(300)[::29]:
        query = vector_of(picture) + 0.1 * at_random.standard_normal(DIMENSIONS).astype(np.float32)
        yield query / np.linalg.norm(query)


def segment_all(store: Store) -> None:
    with closing(store.maintainer()) as connection:
        while segment_vectors(connection):
            pass


def states(store: Store) -> list[tuple[str, int]]:
    with closing(store.reader()) as reader:
        return reader.execute("SELECT state, n FROM vector_segments ORDER BY first_seq").fetchall()


def test_coded_vectors_keep_their_cosines() -> None:
    vectors = np.stack([vector_of(o) for o in pictures(50)])
    cosines = dots([encode(vectors)], encode(vectors[:1]))
    assert np.abs(cosines - vectors @ vectors[0]).max() < 0.01


def test_cells_hold_neighbours_and_are_the_same_each_time() -> None:
    vectors = np.stack([vector_of(o) for o in pictures(200)]).astype(np.float16)
    centroids, cell = make_cells(vectors)
    again, cell_again = make_cells(vectors)
    assert np.array_equal(centroids, again)
    assert np.array_equal(cell, cell_again)
    assert len(cell) == 200
    inside = np.mean([vectors[i] @ centroids[c] for i, c in enumerate(cell)])
    assert inside > 0.8 > np.mean(vectors.astype(np.float32) @ centroids.T)


def test_the_nearest_are_found_in_segments_and_in_what_is_in_none(tmp_path: Path) -> None:
    seen = pictures(300)
    store = memory_of(tmp_path, stream(*seen[:250], end_s=400.0))
    recaller = Recall(store.reader(), RecallOptions())
    for query in queries():
        assert found(recaller, store, query) == nearest(seen[:250], query)
    segment_all(store)
    assert states(store) == [("live", 100), ("live", 100)]
    remember(store, stream(*seen[250:], end_s=400.0))
    for opened in (recaller, Recall(store.reader(), RecallOptions())):
        assert share_found(opened, store, seen) > 0.9
    store.close()


def test_small_segments_become_a_large_one_and_nothing_is_lost(tmp_path: Path) -> None:
    seen = pictures(480)
    store = memory_of(tmp_path, stream(*seen[:150], end_s=500.0))
    for i in range(150, 480, 110):
        segment_all(store)
        remember(store, stream(*seen[i : i + 110], end_s=500.0))
    segment_all(store)
    assert states(store) == [("live", 400)]
    with closing(store.reader()) as reader:
        assert reader.execute("SELECT count(DISTINCT segment) FROM vector_cells").fetchone() == (1,)
    assert share_found(Recall(store.reader(), RecallOptions()), store, seen) > 0.9
    store.close()


def test_a_window_and_the_limit_of_a_view_are_exact(tmp_path: Path) -> None:
    seen = pictures(300)
    store = memory_of(tmp_path, stream(*seen, end_s=400.0))
    segment_all(store)
    recaller = Recall(store.reader(), RecallOptions())
    for query in queries():
        assert found(recaller, store, query, t0_s=250.0, t1_s=270.0) == nearest(seen[250:271], query)
        limit = ViewRequest(source="clip", as_of_s=29.0)
        assert found(recaller, store, query, view=limit) == nearest(seen[:30], query)
    store.close()


def test_what_is_removed_is_in_no_cell_and_not_found(tmp_path: Path) -> None:
    seen = pictures(300)
    store = memory_of(tmp_path, stream(*seen, end_s=400.0))
    segment_all(store)
    recaller = Recall(store.reader(), RecallOptions())
    query = next(queries())
    gone = set(nearest(seen, query, 3))
    found(recaller, store, query)
    with store.write() as writing:
        writing.remove(gone)
    left = [o for o in seen if o.id not in gone]
    for opened in (recaller, Recall(store.reader(), RecallOptions())):
        assert found(opened, store, query) == nearest(left, query)
    with closing(store.reader()) as reader:
        listed = b"".join(seqs for (seqs,) in reader.execute("SELECT seqs FROM vector_cells"))
        there = {seq for (seq,) in reader.execute("SELECT seq FROM vectors")}
    assert set(np.frombuffer(listed, "<i8").tolist()) <= there
    store.close()


def test_a_segment_that_a_crash_left_unfinished_is_made_again(tmp_path: Path) -> None:
    seen = pictures(130)
    store = memory_of(tmp_path, stream(*seen, end_s=400.0))
    asked = iter([False] * 4)
    with closing(store.maintainer()) as connection:
        assert not segment_vectors(connection, is_over=lambda: next(asked, True))
    assert [state for state, _ in states(store)] == ["building"]
    recaller = Recall(store.reader(), RecallOptions())
    for query in queries():
        assert found(recaller, store, query) == nearest(seen, query)
    segment_all(store)
    assert states(store) == [("live", 100)]
    for query in queries():
        assert found(recaller, store, query) == nearest(seen, query)
    store.close()


def test_cells_are_counted_among_the_bytes_of_the_index(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(*pictures(130), end_s=400.0))
    before = read_status(store.reader(), "", 0).index_bytes
    segment_all(store)
    grown = read_status(store.reader(), "", 0).index_bytes - before
    with sqlite3.connect(store.path) as plain:
        (held,) = plain.execute(
            "SELECT sum(length(centroid) + length(seqs) + length(scales) + length(codes)) FROM vector_cells"
        ).fetchone()
    assert 0.8 * held <= grown <= 1.3 * held
    store.close()


def test_a_query_of_another_length_or_space_finds_nothing_and_harms_nothing(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(*pictures(20), end_s=400.0))
    recaller = Recall(store.reader(), RecallOptions())
    assert found(recaller, store, np.ones(7)) == []
    assert found(recaller, store, next(queries()))
    store.close()
