"""Replays: what recordings are called, where they go on, and when a moment is reached."""

from __future__ import annotations

import anyio
import msgspec
import pytest

from runtime.messages import SourceRecord, Stored
from runtime.replay import Recording, Watermarks, plan_sources

pytestmark = pytest.mark.anyio


def recording(path: str, fingerprint: str, duration_s: float | None = 10.0) -> Recording:
    return Recording(path=path, fingerprint=fingerprint, started_wall_s=0.0, duration_s=duration_s)


def record(source: str, fingerprint: str, watermark_s: float, ended: bool) -> SourceRecord:
    tracks = ("video", "audio")
    return SourceRecord(
        source=source,
        kind="file",
        uri="",
        fingerprint=fingerprint,
        started_wall_s=0.0,
        watermarks=dict.fromkeys(tracks, watermark_s),
        ended=dict.fromkeys(tracks, "end") if ended else {},
    )


def test_files_are_named_by_their_file_name_and_follow_each_other_on_the_timeline() -> None:
    plans = plan_sources([recording("/a/one.mp4", "f1", 5.0), recording("/a/two.mp4", "f2")], [])
    assert [(plan.source, plan.timeline_s, plan.complete) for plan in plans] == [
        ("one.mp4", 0.0, False),
        ("two.mp4", 5.0, False),
    ]


def test_two_different_files_of_one_name_are_told_apart() -> None:
    plans = plan_sources([recording("/a/talk.mp4", "aaaaaaaa"), recording("/b/talk.mp4", "bbbbbbbb")], [])
    assert [plan.source for plan in plans] == ["talk.mp4", "talk.mp4~bbbbbb"]
    later = plan_sources([recording("/b/talk.mp4", "bbbbbbbb")], [record("talk.mp4", "aaaaaaaa", 10.0, True)])
    assert [plan.source for plan in later] == ["talk.mp4~bbbbbb"]


def test_the_same_recording_given_twice_is_replayed_once() -> None:
    assert len(plan_sources([recording("/a/talk.mp4", "f"), recording("/b/copy.mp4", "f")], [])) == 1


def test_a_recording_memory_has_in_full_is_complete_and_one_in_part_is_resumed() -> None:
    known = [record("talk.mp4", "f1", 10.0, True), record("walk.mp4", "f2", 4.0, False)]
    whole, part = plan_sources([recording("/x/renamed.mp4", "f1"), recording("/a/walk.mp4", "f2")], known)
    assert (whole.source, whole.complete) == ("talk.mp4", True)
    assert (part.source, part.complete, part.remembered_s) == ("walk.mp4", False, 4.0)


def test_a_recording_perceived_by_an_older_version_is_known_by_its_former_mark_and_its_name() -> None:
    known = [msgspec.structs.replace(record("talk.mp4", "former", 10.0, True), uri="/before/talk.mp4")]
    same, other = (
        msgspec.structs.replace(recording(f"/x/{name}", name), former="former") for name in ("talk.mp4", "walk.mp4")
    )
    assert [plan.complete for plan in plan_sources([same, other], known)] == [True, False]


def test_the_begin_of_a_source_is_not_reached_by_its_opening() -> None:
    marks = Watermarks()
    marks.update(Stored(generation=1, watermarks={"clip": 0.0}))
    assert not marks.reached("clip", 0.0)
    marks.update(Stored(generation=2, watermarks={"clip": 0.5}))
    assert marks.reached("clip", 0.0)
    marks.update(Stored(generation=3, watermarks={"clip": 0.0}, ended=("clip",)))
    assert marks.reached("clip", 0.0)


async def test_waiters_wake_when_their_moment_is_in_memory_or_nothing_more_will_come() -> None:
    marks, woken = Watermarks(), []

    async def wait(t_s: float) -> None:
        await marks.wait_for("clip", t_s)
        woken.append(t_s)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for t_s in (1.0, 5.0, 99.0):
                tasks.start_soon(wait, t_s)
            marks.update(Stored(generation=1, watermarks={"clip": 0.5, "other": 50.0}))
            await anyio.wait_all_tasks_blocked()
            assert woken == []
            marks.update(Stored(generation=2, watermarks={"clip": 5.0}))
            await anyio.wait_all_tasks_blocked()
            assert sorted(woken) == [1.0, 5.0]
            marks.update(Stored(generation=3, watermarks={"clip": 10.0}, ended=("clip",)))
            await marks.wait_for_end(["clip"])
    assert sorted(woken) == [1.0, 5.0, 99.0]
