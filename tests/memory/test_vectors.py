"""Vectors: the nearest are found as by comparing the true ones, within what may be seen, through every change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memory.index.vectors import VectorIndex, dots, encode
from memory.recall.rank import Recall, RecallOptions
from memory.store.database import Store
from memory.store.views import open_view
from runtime.messages import Observation, RecallRequest, ViewRequest
from tests.fixtures.memory_cases import memory_of, remember, see, stream

DIMENSIONS = 32


@pytest.fixture(autouse=True)
def _few_hits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three hundred, few enough are put in order that it matters which."""
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


def test_coded_vectors_keep_their_cosines() -> None:
    vectors = np.stack([vector_of(o) for o in pictures(50)])
    cosines = dots(encode(vectors), encode(vectors[:1]))
    assert np.abs(cosines - vectors @ vectors[0]).max() < 0.01


def test_the_nearest_are_found_among_what_was_there_and_what_came_since(tmp_path: Path) -> None:
    seen = pictures(300)
    store = memory_of(tmp_path, stream(*seen[:250], end_s=400.0))
    recaller = Recall(store.reader(), RecallOptions())
    for query in queries():
        assert found(recaller, store, query) == nearest(seen[:250], query)
    remember(store, stream(*seen[250:], end_s=400.0))
    for opened in (recaller, Recall(store.reader(), RecallOptions())):
        for query in queries():
            assert found(opened, store, query) == nearest(seen, query)
    store.close()


def test_a_window_and_the_limit_of_a_view_are_exact(tmp_path: Path) -> None:
    seen = pictures(300)
    store = memory_of(tmp_path, stream(*seen, end_s=400.0))
    recaller = Recall(store.reader(), RecallOptions())
    for query in queries():
        assert found(recaller, store, query, t0_s=250.0, t1_s=270.0) == nearest(seen[250:271], query)
        limit = ViewRequest(source="clip", as_of_s=29.0)
        assert found(recaller, store, query, view=limit) == nearest(seen[:30], query)
    store.close()


def test_what_is_removed_is_not_found_and_its_codes_go_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.index.vectors._ADDED_AT_LEAST", 20)
    seen = pictures(300)
    store = memory_of(tmp_path, stream(*seen[:100], end_s=400.0))
    reader = store.reader()
    recaller, index = Recall(store.reader(), RecallOptions()), VectorIndex(reader, "test")
    index.refresh()
    query = next(queries())
    gone = set(nearest(seen[:100], query, 3))
    found(recaller, store, query)
    with store.write() as writing:
        writing.remove(gone)
    left = [o for o in seen if o.id not in gone]
    for opened in (recaller, Recall(store.reader(), RecallOptions())):
        assert found(opened, store, query) == nearest([o for o in seen[:100] if o.id not in gone], query)
    for end in range(125, 301, 25):
        remember(store, stream(*seen[end - 25 : end], end_s=400.0))
        index.refresh()
    assert len(index) == 297
    assert found(recaller, store, query) == nearest(left, query)
    store.close()


def test_a_query_of_another_length_or_space_finds_nothing_and_harms_nothing(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(*pictures(20), end_s=400.0))
    recaller = Recall(store.reader(), RecallOptions())
    assert found(recaller, store, np.ones(7)) == []
    assert found(recaller, store, next(queries()))
    store.close()
