"""Recall inside a window of time: only what lies there is found, and it is weighed as among all that is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from memory.recall.rank import Recall, RecallOptions
from memory.store.database import Store
from memory.store.views import open_view
from runtime.messages import Hit, RecallRequest, ViewRequest
from tests.fixtures.memory_cases import memory_of, say, see, stream

# Said again and again, so far apart that none lends to another; the last once more, alone, long after.
LINES = (
    ("Anna", "a ship in the harbour"), ("Ben", "the cleanroom is closed"), ("Anna", "clean the room, Ben"),
    ("Ben", "a lighthouse and a ship"), ("Anna", "the clean room again"), ("Ben", "a ship, a ship, a tortoise"),
)  # fmt: skip
EVERY_S = 40.0
LAST_S = 5000.0
QUERIES = (
    "ship tortoise", "ship lighthouse Anna", "clean room ship", "cleanroom ship", "kitchen ship tortoise",
    "ship tortiose", "zebra ship", "what did Ben say about the ship",
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    said = [(EVERY_S * i, *LINES[i % len(LINES)]) for i in range(60)]
    said += [(LAST_S, "Ben", "a clean ship, and a tortoise"), (LAST_S + EVERY_S, "Anna", "a cleanroom")]
    talk = [say(t_s, t_s + 2.0, text, source="kitchen", speaker=speaker) for t_s, speaker, text in said]
    picture = see(LAST_S, "a red ship", source="kitchen")
    return memory_of(tmp_path, stream(*talk, picture, source="kitchen", end_s=6000.0))


def recall(recaller: Recall, store: Store, query: str, as_of_s: float | None = None, **request: object) -> list[Hit]:
    reader = store.reader()
    view = open_view(reader, ViewRequest(as_of_s=as_of_s))
    reader.close()
    return list(recaller.recall(RecallRequest(query=query, view=view, limit=100, **request)).hits)  # type: ignore[arg-type]


def test_a_match_in_the_window_is_not_pushed_out_by_better_ones_outside(tmp_path: Path) -> None:
    many = [say(float(i), i + 0.5, "ship ship ship harbour") for i in range(0, 3000, 30)]
    alone = say(5000.0, 5004.0, "far away on a long grey evening there was a ship to be seen")
    store = memory_of(tmp_path, stream(*many, alone, end_s=10_000.0))
    hits = recall(Recall(store.reader(), RecallOptions()), store, "ship harbour", t0_s=4990.0, t1_s=5010.0)
    assert [h.observation.t0_s for h in hits] == [5000.0]
    store.close()


def test_a_window_around_everything_finds_what_no_window_does_with_the_same_scores(store: Store) -> None:
    """Also where a View hides some of it, and where some has gone."""
    recaller = Recall(store.reader(), RecallOptions())
    for gone in ((), ("kitchen/speech/000000000", "kitchen/speech/000200000")):
        with store.write() as writing:
            writing.remove(gone)
        for query in QUERIES:
            for as_of_s in (None, 1000.0):
                whole = recall(recaller, store, query, as_of_s)
                assert whole, query
                assert recall(recaller, store, query, as_of_s, t0_s=0.0, t1_s=1e6) == whole, query
    store.close()


# But for a word that is written as two, which is looked for in the window only.
@pytest.mark.parametrize("query", [query for query in QUERIES if "cleanroom" not in query])
@pytest.mark.parametrize("as_of_s", [None, LAST_S + 10.0])
def test_words_are_as_common_in_a_window_as_in_all_that_is_seen(
    store: Store, query: str, as_of_s: float | None
) -> None:
    recaller = Recall(store.reader(), RecallOptions())
    inside = recall(recaller, store, query, as_of_s, t0_s=LAST_S, t1_s=LAST_S + 1.0)
    whole = [hit for hit in recall(recaller, store, query, as_of_s) if hit.observation.t0_s == LAST_S]
    assert len(inside) == 2
    # Only the event of an observation may reach out of its window.
    for name in ("bm25", "coverage", "coverage_neighbours", "exact"):
        assert [hit.why[name] for hit in inside] == [hit.why[name] for hit in whole], name
    store.close()


def test_a_window_in_which_nothing_happened_finds_nothing(store: Store) -> None:
    assert recall(Recall(store.reader(), RecallOptions()), store, "ship", t0_s=5900.0, t1_s=5950.0) == []
    store.close()
