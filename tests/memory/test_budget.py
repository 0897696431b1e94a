"""Bytes stay within their budgets after every commit, and what is worth least goes first, one step at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from memory.budget.enforce import BudgetEnforcer
from memory.budget.value_density import RetainedItem, ValueDensity
from memory.spans.integrate import Integration
from memory.spans.read_spans import read_spans
from memory.spans.segment import SegmentOptions
from memory.store.batch import Batch
from memory.store.database import Store
from memory.store.levels import MIB, Budget, share_out
from memory.store.size_accounting import LEVELS, Stage, charge_since, charged
from memory.store.views import open_view
from runtime.messages import Observation, SpansRequest, ViewRequest, observation_id
from tests.fixtures.budget_scenes import SCENE_S, SCENES, SMALL, SOURCE, Memory, batches, many_scenes, scene
from tests.fixtures.memory_cases import memory_of, see, steps, stream

NEW = scene(999, 5.0 * SCENE_S, text="a unicycle")


def test_the_file_is_within_its_budget_after_every_commit_and_every_level_within_its_own(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    for batch in many_scenes(150):
        memory.take(batch)
        assert memory.store.size_bytes() <= SMALL.total
        reader = memory.store.reader()
        used = reader.execute("PRAGMA page_count").fetchone()[0] - reader.execute("PRAGMA freelist_count").fetchone()[0]
        borne = share_out(charged(reader), used * 4096)
        assert all(borne[level] <= SMALL.of(level) for level in LEVELS), borne
        reader.close()
    # Seven and a half megabytes of pictures came in, and most of the budget is used.
    assert memory.most_bytes > SMALL.total // 2
    stages = dict(memory.rows("SELECT stage, count(*) FROM spans WHERE level='event' GROUP BY stage"))
    assert set(stages) == {"full", "sketch", "pointer", "tombstone"}
    memory.store.close()


class Whole(ValueDensity):
    """A policy that drops whole events, the oldest first."""

    def rate(self, holding: RetainedItem) -> float:
        return holding.t0_s

    def next_stage(self, holding: RetainedItem) -> Stage:
        return "tombstone"


def test_of_an_event_dropped_whole_no_moment_is_left(tmp_path: Path) -> None:
    memory = Memory(tmp_path, Budget(hot=MIB, events=MIB // 16, episodes=MIB // 16, words=MIB // 4))
    memory.enforcer = BudgetEnforcer(memory.budget, policy=Whole())
    for batch in many_scenes(60):
        memory.take(batch)
    events = {id_ for (id_,) in memory.rows("SELECT id FROM spans WHERE level='event' AND stage='full'")}
    assert 5 < len(events) < 55
    assert {parent for (parent,) in memory.rows("SELECT parent FROM spans WHERE level='moment'")} <= events
    memory.store.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    """Twenty minutes of repeating sights, and a new one in the first."""
    memory = Memory(tmp_path_factory.mktemp("filled"))
    for batch in many_scenes(150, {5: NEW}):
        memory.take(batch)
    yield memory
    memory.store.close()


def test_the_running_totals_are_what_counting_everything_gives(filled: Memory) -> None:
    totals = charged(filled.store.reader())
    for channel, n_bytes in filled.rows("SELECT channel, sum(row_bytes + picture_bytes) FROM charges GROUP BY channel"):
        assert totals.pop(str(channel)) == n_bytes
    held = dict(filled.rows("SELECT stage, sum(bytes) FROM holdings WHERE kind='seen' GROUP BY stage"))
    assert totals["events"] == held["sketch"]
    assert totals["words"] == filled.rows("SELECT sum(row_bytes) FROM charges WHERE channel='speech'")[0][0]
    counted = filled.rows("SELECT sum(n) FROM term_counts")[0][0]
    assert counted and not filled.rows("SELECT * FROM term_counts WHERE n<=0")


def test_what_is_new_is_charged_without_counting_what_was_charged_before(tmp_path: Path) -> None:
    def work(frames: int) -> int:
        store = memory_of(tmp_path / str(frames), stream(*(see(float(i)) for i in range(frames)), end_s=float(frames)))
        reader = store.reader()
        (newest,) = reader.execute("SELECT max(seq) FROM observations").fetchone()
        return steps(reader, lambda: charge_since(reader, newest))

    assert work(400) <= work(40) + 1


def test_what_was_new_keeps_its_pictures_while_what_repeats_loses_them(filled: Memory) -> None:
    everything = filled.rows("SELECT count(*) FROM payloads")[0][0]
    of_the_new = filled.rows("SELECT count(*) FROM payloads JOIN observations USING (seq) WHERE t0_s BETWEEN 40 AND 47")
    assert of_the_new == [(SCENE_S,)]
    assert everything < 150 * SCENE_S // 3


def test_pictures_go_before_words(tmp_path: Path) -> None:
    memory = Memory(tmp_path, structs.replace(SMALL, words=2 * MIB))
    for batch in many_scenes(150):
        memory.take(batch)
    spoken = memory.rows("SELECT count(*) FROM observations WHERE channel='speech'")[0][0]
    pictures = memory.rows("SELECT count(*) FROM payloads")[0][0]
    assert spoken == 150 and pictures < 400 < 150 * SCENE_S
    memory.store.close()


def test_what_an_answer_rests_on_is_kept_longer(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    for i, batch in enumerate(many_scenes(150)):
        memory.take(batch)
        if i == 20:
            cited = observation_id(SOURCE, "frame", 10.0 * SCENE_S)
            for t_s in range(20):
                answer = Observation(
                    id=f"chat/answer/{t_s}", source="chat", channel="answer", t0_s=t_s, t1_s=t_s, evidence=(cited,)
                )
                memory.take(Batch(observations=(answer,)))
    assert memory.rows("SELECT count(*) FROM payloads JOIN observations USING (seq) WHERE t0_s BETWEEN 80 AND 87")[0][0]
    memory.store.close()


def test_a_tombstone_knows_when_and_why_and_the_time_line_has_no_hole(tmp_path: Path) -> None:
    # So few bytes for episodes that not all of them are told of.
    memory = Memory(tmp_path, structs.replace(SMALL, episodes=MIB // 48))
    for batch in many_scenes(150, {5: NEW}):
        memory.take(batch)
    reader = memory.store.reader()
    view = open_view(reader, ViewRequest())
    for level in ("event", "episode"):
        spans = read_spans(reader, SpansRequest(view=view, level=level))
        assert spans[0].t0_s == 0.0 and spans[-1].t1_s == view.limits[SOURCE]
        assert all(before.t1_s == after.t0_s for before, after in itertools.pairwise(spans))
        gone = [span for span in spans if span.stage == "tombstone"]
        assert gone and all(span.why == "its bytes were needed" and not span.keyframe for span in gone)
        assert all(a.t1_s < b.t0_s for a, b in itertools.pairwise(gone)), "adjoining tombstones are one"
    # Seen from a moment within a tombstone, there is nothing of later.
    early = open_view(reader, ViewRequest(source=SOURCE, as_of_s=gone[0].t0_s + 1.0))
    assert read_spans(reader, SpansRequest(view=early, level="episode"))[-1].t1_s == gone[0].t0_s + 1.0
    reader.close()
    memory.store.close()


def test_an_undone_commit_changes_no_total_and_no_worth(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    for batch in many_scenes(100):
        memory.take(batch)
    tables = ("charged", "holdings", "term_counts", "spans", "observations")
    before = {table: memory.rows(f"SELECT * FROM {table}") for table in tables}
    with pytest.raises(RuntimeError), memory.store.write() as writing:
        writing.add(next(many_scenes(1, {0: scene(500, 100.0 * SCENE_S)})))
        memory.enforcer.keep(writing, memory.integration.advance(writing, writing.media_sources()))
        raise RuntimeError
    assert before == {table: memory.rows(f"SELECT * FROM {table}") for table in tables}
    memory.store.close()


def test_a_memory_made_before_budgets_is_brought_within_one_when_it_is_opened(tmp_path: Path) -> None:
    store = Store(tmp_path)
    integration = Integration(SegmentOptions())
    for batch in many_scenes(100):
        with store.write() as writing:
            writing.add(batch)
            integration.advance(writing, writing.media_sources())
    assert store.size_bytes() > SMALL.total
    store.close()
    memory = Memory(tmp_path)
    with memory.store.write() as writing:
        memory.enforcer.keep(writing, memory.enforcer.find_untaken(writing))
    assert memory.store.size_bytes() <= SMALL.total
    memory.store.close()


def test_a_level_full_of_what_cannot_get_less_takes_nothing_from_the_others(tmp_path: Path) -> None:
    # So few bytes for episodes that their tombstones alone are more.
    memory = Memory(tmp_path, structs.replace(SMALL, hot=2 * MIB, episodes=2000))
    for batch in many_scenes(60):
        memory.take(batch)
        assert memory.store.size_bytes() <= memory.budget.total
    assert memory.rows("SELECT count(*) FROM observations WHERE channel='speech'") == [(60,)]
    assert memory.rows("SELECT count(*) FROM payloads")[0][0] > 100
    memory.store.close()


def test_everyday_words_that_were_never_together_before_outlast_what_recurs_word_for_word(tmp_path: Path) -> None:
    """Each of its words is said every minute, so that none is rare: only together are they new."""
    again = ("mother has gone into the garden", "father is reading beside the window", "somebody left the letter there")
    once = {
        3: "father left the letter beside the garden window", 10: "mother has gone beside the window",
        17: "somebody is reading the letter in the garden", 24: "father has gone there", 31: "mother left the garden",
        38: "somebody is reading beside father", 45: "the letter has gone in", 52: "mother is reading there",
    }  # fmt: skip
    scenes = (scene(i % SCENES, float(i * SCENE_S), said=once.get(i, again[i % len(again)])) for i in range(150))
    memory = Memory(tmp_path, structs.replace(SMALL, words=12_000))
    for batch in batches(*scenes):
        memory.take(batch)
    left = [str(text) for (text,) in memory.rows("SELECT text FROM observations WHERE channel='speech'")]
    assert len(left) < 75
    assert set(once.values()) <= set(left)
    memory.store.close()


def test_an_event_too_large_that_goes_on_gives_pictures_of_its_own_before_those_of_others(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    for batch in many_scenes(60):
        memory.take(batch)
    kept = memory.rows(
        "SELECT o.seq FROM payloads JOIN observations o USING (seq) JOIN holdings h ON h.kind='seen'"
        " AND h.stage='sketch' AND o.t0_s>=h.t0_s AND o.t0_s<h.t1_s"
    )
    assert len(kept) > 20
    begin_s = 60.0 * SCENE_S
    vector = tuple(np.random.default_rng(77).normal(size=64))
    going_on = tuple(
        structs.replace(
            see(begin_s + i / 4, "a long look", source=SOURCE, vector=vector),
            payload=np.random.default_rng(i).bytes(20_000),
        )
        for i in range(100)
    )
    memory.take(Batch(observations=going_on, watermarks={(SOURCE, "video"): begin_s}))
    assert memory.store.size_bytes() <= SMALL.total
    still = memory.rows("SELECT seq FROM payloads")
    assert len(set(kept) & set(still)) > 0.75 * len(kept), (len(kept), len(set(kept) & set(still)))
    lately = memory.rows("SELECT t0_s FROM payloads JOIN observations USING (seq) WHERE t0_s>=? ORDER BY 1", begin_s)
    assert 10 < len(lately) < 100 and lately[-1] == (begin_s + 99 / 4,), "the newest are left"
    memory.store.close()
