"""A stretch at a glance: counts, one picture a bucket, gaps joined, and nothing that is not visible."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from memory.store.timeline import read_timeline
from memory.store.views import open_view
from runtime.errors import StoreError
from runtime.messages import Observation, TimelineReply, TimelineRequest, ViewRequest, observation_id
from tests.fixtures.memory_cases import memory_of, say, see, stream


def gap(t0_s: float, t1_s: float, why: str) -> Observation:
    return Observation(
        id=observation_id("clip", "gap", t0_s), source="clip", channel="gap", t0_s=t0_s, t1_s=t1_s, text=why
    )


SEEN = (
    see(1.0, "a yard"),
    see(12.0, "a gate"),
    see(13.0, "a gate again"),
    say(2.0, 4.0, "hello"),
    say(14.0, 15.0, "good bye"),
    gap(20.0, 21.0, "door cannot be seen"),
    gap(21.0, 23.0, "door cannot be seen"),
    gap(26.0, 28.0, "erased at your wish"),
)


def glance(directory: Path, t0_s: float, t1_s: float, buckets: int, as_of_s: float | None = None) -> TimelineReply:
    store = memory_of(directory, stream(*SEEN, end_s=30.0))
    with closing(store.reader()) as reader:
        view = open_view(reader, ViewRequest(source="clip", as_of_s=as_of_s))
        reply = read_timeline(reader, TimelineRequest(view=view, source="clip", t0_s=t0_s, t1_s=t1_s, buckets=buckets))
    store.close()
    return reply


def test_what_begins_in_a_bucket_is_counted_there_and_the_first_kept_picture_stands_for_it(tmp_path: Path) -> None:
    reply = glance(tmp_path, 0.0, 30.0, 3)
    assert reply.counts["speech"] == (1, 1, 0)
    assert reply.counts["frame"] == (1, 2, 0)
    assert reply.pictures == ("clip/frame/000001000", "clip/frame/000012000", "")


def test_gaps_that_follow_each_other_for_one_reason_are_one(tmp_path: Path) -> None:
    assert glance(tmp_path, 0.0, 30.0, 3).gaps == (
        (20.0, 23.0, "door cannot be seen"),
        (26.0, 28.0, "erased at your wish"),
    )


def test_a_part_of_it_is_cut_finer_and_what_lies_outside_is_left_out(tmp_path: Path) -> None:
    reply = glance(tmp_path, 10.0, 16.0, 6)
    assert reply.counts["speech"] == (0, 0, 0, 0, 1, 0)
    assert reply.pictures[2:4] == ("clip/frame/000012000", "clip/frame/000013000")
    assert reply.gaps == ()


def test_a_view_of_an_earlier_moment_shows_nothing_later(tmp_path: Path) -> None:
    reply = glance(tmp_path, 0.0, 30.0, 3, as_of_s=5.0)
    assert reply.counts == {"frame": (1, 0, 0), "speech": (1, 0, 0)}
    assert reply.gaps == ()


@pytest.mark.parametrize(("t1_s", "buckets"), [(0.0, 3), (float("nan"), 3), (30.0, 0), (30.0, 5000)])
def test_what_makes_no_sense_is_refused(tmp_path: Path, t1_s: float, buckets: int) -> None:
    with pytest.raises(StoreError, match="a timeline needs"):
        glance(tmp_path, 0.0, t1_s, buckets)
