"""Replies of several sites as one, and the order of moments of different machines."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from runtime.messages import ForgetReply, Hit, MemoryStatus, RecallReply, SourceRecord, View
from runtime.moments import Moments
from runtime.sites.generations import Generations
from runtime.sites.merge import elsewhere, merge_forgotten, merge_hits, merge_scans, merge_status, view_at
from runtime.sites.mind import _until
from tests.fixtures.memory_cases import say


def record(source: str, started_wall_s: float, uncertainty_s: float = 0.0, kind: str = "camera") -> SourceRecord:
    return SourceRecord(
        source=source,
        kind=kind,
        uri="",
        fingerprint="",
        started_wall_s=started_wall_s,
        wall_uncertainty_s=uncertainty_s,
    )


def hit(t_s: float, score: float, trust: float = 1.0) -> Hit:
    return Hit(observation=replace(say(t_s, t_s, "a word", source="door"), trust=trust), score=score)


def test_the_best_of_all_sites_come_first_under_the_names_of_their_sites() -> None:
    merged = merge_hits({"a": RecallReply(hits=(hit(1, 0.5), hit(2, 0.1))), "b": RecallReply(hits=(hit(1, 0.3),))}, 2)
    assert [(h.observation.id, h.score) for h in merged] == [
        ("a/door/speech/000001000", 0.5),
        ("b/door/speech/000001000", 0.3),
    ]


def test_what_is_trusted_little_takes_no_more_than_its_share_of_all_sites_together() -> None:
    planted = tuple(hit(t, 0.9, trust=0.3) for t in range(6))
    merged = merge_hits({site: RecallReply(hits=(*planted, hit(9, 0.2), hit(10, 0.2))) for site in "abc"}, 8)
    assert sum(h.observation.trust < 0.5 for h in merged) == 2
    assert len(merged) == 8


def test_what_others_have_counted_leaves_a_site_itself_out() -> None:
    counted = {
        "a": RecallReply(counted={"key": 2}, size=10, groups=(1, 2, 3, 4, 5, 6)),
        "b": RecallReply(counted={"key": 1, "train": 4}, size=5, groups=(1, 1, 1, 1, 1, 1)),
        "c": RecallReply(),
    }
    assert elsewhere(counted, "a") == RecallReply(counted={"key": 1, "train": 4}, size=5, groups=(1, 1, 1, 1, 1, 1))
    assert elsewhere(counted, "").size == 15


def test_a_site_sees_of_a_view_its_own_sources_by_their_own_names() -> None:
    view = View(generation=9, limits={"a/door": 5.0, "b/hall": 6.0, "talk": 1.0}, source="b/hall", as_of_s=6.0)
    assert view_at("a", view, 3) == View(generation=3, limits={"door": 5.0}, source="door", as_of_s=5.0)
    assert view_at("b", view, 4) == View(generation=4, limits={"hall": 6.0}, source="hall", as_of_s=6.0)


def test_a_question_about_an_earlier_time_sees_nothing_later_at_any_site() -> None:
    records = {r.source: r for r in (record("a/door", 1000.0), record("b/hall", 1010.0), record("b/late", 2000.0))}
    limits = {"a/door": 60.0, "b/hall": 60.0, "b/late": 5.0}
    assert _until(limits, "a/door", 30.0, records) == {"a/door": 30.0, "b/hall": 20.0}


def test_scans_are_in_the_order_of_the_view_and_each_observation_once() -> None:
    found = [say(2.0, 3.0, "b", source="b/x"), say(1.0, 2.0, "a", source="a/x"), say(2.0, 3.0, "b", source="b/x")]
    ordered = merge_scans(found, {"b/x": 9.0, "a/x": 9.0}, False, 10)
    assert [o.text for o in ordered] == ["b", "a"]
    assert [o.text for o in merge_scans(found, {"b/x": 9.0, "a/x": 9.0}, True, 1)] == ["a"]


def test_memories_are_counted_together_and_sources_know_how_sure_their_clock_is() -> None:
    one = MemoryStatus(generation=1, sources=(record("door", 5.0),), observations={"speech": 2}, spans={}, bytes=10)
    two = MemoryStatus(generation=1, sources=(record("hall", 1.0),), observations={"speech": 3}, spans={}, bytes=5)
    status = merge_status({"a": one, "b": two}, {"a": 0.25}, 7, {"c": "is away"})
    assert [(r.source, r.wall_uncertainty_s) for r in status.sources] == [("b/hall", 0.0), ("a/door", 0.25)]
    assert (status.observations, status.bytes, status.away) == ({"speech": 5}, 15, {"c": "is away"})


def test_what_each_site_proves_is_told_by_its_name() -> None:
    reply = ForgetReply(observations={"speech": 1}, searched={"observations": 0}, traces={"memory.db": 1})
    merged = merge_forgotten({"a": reply, "": ForgetReply(observations={"answer": 1})}, ["b"])
    assert merged.observations == {"speech": 1, "answer": 1}
    assert merged.traces == {"a/memory.db": 1}
    assert merged.owed == ("b",)


def test_one_number_stands_for_the_generations_of_all_and_outlives_the_process(tmp_path: Path) -> None:
    numbers = Generations(tmp_path)
    first = numbers.note({"a": 5})
    second = numbers.note({"b": 2})
    assert numbers.note({"b": 2}) == second == first + 1
    numbers.save()
    again = Generations(tmp_path)
    assert [again.of(first, "a"), again.of(first, "b"), again.of(second, "b")] == [5, 0, 2]
    assert again.note({"a": 1}) > second  # a memory made anew: the number rises all the same


@pytest.mark.parametrize(("gap_s", "is_known"), [(0.3, False), (0.6, True)])
def test_the_order_of_two_machines_is_as_sure_as_their_clocks(gap_s: float, is_known: bool) -> None:
    moments = Moments([record("a/door", 1000.0, 0.2), record("b/hall", 900.0, 0.2)], 5000.0)
    later_s, unsure_s = moments.apart_s(("a/door", 10.0), ("b/hall", 110.0 + gap_s))
    assert later_s == pytest.approx(gap_s)
    assert (abs(later_s) > unsure_s) is is_known


def test_of_one_machine_the_order_is_known() -> None:
    moments = Moments([record("a/door", 1000.0, 9.0), record("a/hall", 1000.0, 9.0)], 5000.0)
    assert moments.apart_s(("a/door", 1.0), ("a/hall", 1.5)) == (0.5, 0.0)
    assert moments.apart_s(("a/door", 1.0), ("a/door", 0.5)) == (-0.5, 0.0)
