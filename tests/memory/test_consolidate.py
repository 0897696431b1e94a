"""Spans: the same media give the same ones, whatever the pace of picture and sound, and across restarts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from memory.spans.consolidate import _mean_vector, choose_keyframe
from memory.spans.integrate import Integration
from memory.spans.read_spans import read_spans
from memory.spans.segment import SegmentOptions
from memory.store.batch import gather
from memory.store.database import Store
from memory.store.views import open_view
from runtime.messages import (
    GapFacts,
    Message,
    Observation,
    Progress,
    SourceEnded,
    SourceOpened,
    Span,
    SpansRequest,
    ViewRequest,
)
from tests.fixtures.memory_cases import Sent, memory_of, progress, say, see, send, stream

OPTIONS = SegmentOptions(min_s=3.0, max_s=20.0)


def spans(store: Store, level: str = "event", **view: object) -> list[Span]:
    reader = store.reader()
    request = SpansRequest(view=open_view(reader, ViewRequest(**view)), level=level)  # type: ignore[arg-type]
    found = read_spans(reader, request)
    reader.close()
    return list(found)


def video() -> list[Message]:
    """Two scenes and a long third, a frame a second, text seen in the second."""
    out: list[Message] = [SourceOpened(source="clip", track="video")]
    for i in range(50):
        scene = (1.0, 0.02 * (i % 3)) if not 12 <= i < 25 else (0.0, 1.0)
        out.append(see(float(i), f"scene {0 if i < 12 else 1 if i < 25 else 2}", vector=scene))
        if i == 15:
            out.append(say(15.0, 15.0, "EXIT", channel="text"))
        out.append(progress(float(i), "video"))
    return [*out, SourceEnded(source="clip", track="video", t_s=50.0)]


def audio() -> list[Message]:
    """Utterances, one across the boundary at 12 s; the watermark stays behind each until it is whole."""
    out: list[Message] = [SourceOpened(source="clip", track="audio")]
    for t0_s, t1_s in ((2.0, 4.5), (10.5, 13.5), (14.0, 17.0), (30.0, 44.0)):
        out += [progress(t0_s, "audio"), say(t0_s, t1_s, f"at {t0_s}"), progress(t1_s, "audio")]
    return [*out, SourceEnded(source="clip", track="audio", t_s=50.0)]


def replay(deliveries: list[Sent], commits: list[int], restarts: set[int]) -> tuple[list[tuple[Any, ...]], list[str]]:
    """All spans and observation ids after these deliveries in commits of these sizes; at the restarts the
    process forgets all it has not stored."""
    with tempfile.TemporaryDirectory() as directory:
        store, integration = Store(Path(directory)), Integration(OPTIONS)
        at = 0
        for number, size in enumerate([*commits, len(deliveries)]):
            if number in restarts:
                integration = Integration(OPTIONS)
            batch = gather(deliveries[at : at + size])
            with store.write() as writing:
                writing.add(batch)
                integration.advance(writing, writing.media_sources())
            at += size
        reader = store.reader()
        rows = reader.execute("SELECT id, level, t0_s, t1_s, text, parent, keyframe FROM spans ORDER BY id").fetchall()
        ids = [id_ for (id_,) in reader.execute("SELECT id FROM observations ORDER BY id")]
        reader.close()
        store.close()
    return rows, ids


REFERENCE = replay(send("video", *video()) + send("audio", *audio()), [], set())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_interleaving_no_batching_and_no_restart_changes_a_span(data: st.DataObject) -> None:
    tracks = [send("video", *video()), send("audio", *audio())]
    merged: list[Sent] = []
    while any(tracks):
        which = data.draw(st.integers(0, 1)) if all(tracks) else int(not tracks[0])
        n = data.draw(st.integers(1, 40))
        merged += tracks[which][:n]
        del tracks[which][:n]
    commits = data.draw(st.lists(st.integers(1, 60), max_size=8))
    restarts = data.draw(st.sets(st.integers(0, 8)))
    assert replay(merged, commits, restarts) == REFERENCE


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 170), max_size=4), st.lists(st.integers(5, 60), min_size=1, max_size=6))
def test_delivering_again_from_any_point_changes_nothing(again_from: list[int], commits: list[int]) -> None:
    deliveries = send("video", *video()) + send("audio", *audio())
    repeated = list(deliveries)
    for at in again_from:  # go-back-N: the publisher sends on from an older message, in order
        repeated += deliveries[min(at, len(deliveries)) :]
    assert replay(repeated, commits, set()) == REFERENCE


def test_the_events_of_a_source_tile_its_time() -> None:
    events = sorted((row[2], row[3]) for row in REFERENCE[0] if row[1] == "event")
    assert events == [(0.0, 12.0), (12.0, 25.0), (25.0, 45.0), (45.0, 50.0)]


def test_every_event_has_an_episode_that_covers_it_and_every_moment_an_event() -> None:
    by_id = {row[0]: row for row in REFERENCE[0]}
    for id_, level, t0_s, _, _, parent, _ in REFERENCE[0]:
        if level != "episode":
            above = by_id[parent]
            assert above[1] == ("episode" if level == "event" else "event"), id_
            assert above[2] <= t0_s or level == "moment"  # an utterance belongs to the event it ends in
    assert {row[1] for row in REFERENCE[0]} == {"moment", "event", "episode"}


def test_an_event_says_what_was_seen_read_and_said_and_names_a_frame_of_its_own() -> None:
    event = next(row for row in REFERENCE[0] if row[1] == "event" and row[2] == 12.0)
    assert event[4] == 'seen: scene 1 | read: "EXIT" | said: "at 10.5"; "at 14.0"'
    assert event[6].startswith("clip/frame/")
    assert 12.0 <= int(event[6].rsplit("/", 1)[1]) / 1000 < 25.0


def test_things_that_many_pictures_show_are_named_once(tmp_path: Path) -> None:
    frames = [see(float(i), f"a dark picture; a cup; {'steam' if i else 'a hand'}") for i in range(3)]
    store = memory_of(tmp_path, stream(*frames, end_s=3.0))
    assert [span.text for span in spans(store)] == ["seen: a dark picture; a cup; a hand; steam"]
    store.close()


def test_no_keyframe_is_named_where_nothing_was_seen(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(say(1.0, 2.0, "hello"), end_s=3.0))
    assert [(span.text, span.keyframe) for span in spans(store)] == [('said: "hello"', "")]
    store.close()


def test_the_end_that_was_announced_but_never_perceived_is_a_gap(tmp_path: Path) -> None:
    broken = stream(see(1.0, "a hall"), end_s=13.0, duration_s=16.57, reason="the file broke off")
    store = memory_of(tmp_path, broken)
    rows = store.reader().execute("SELECT t0_s, t1_s FROM observations WHERE channel='gap'").fetchall()
    assert rows == [(13.0, 16.57)]
    assert spans(store)[-1].t1_s == 16.57
    assert "nothing could be perceived" in spans(store)[-1].text
    store.close()


def test_a_recording_perceived_to_its_end_lacks_nothing_whatever_length_was_announced(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(see(1.0, "a hall"), end_s=13.0, duration_s=7213.0))
    assert not store.reader().execute("SELECT 1 FROM observations WHERE channel='gap'").fetchall()
    assert spans(store)[-1].t1_s == 13.0
    store.close()


def test_a_gap_that_perception_sent_is_kept_and_no_second_one_made(tmp_path: Path) -> None:
    gap = say(13.0, 16.57, "the file breaks off here", channel="gap", track="video")
    broken = stream(see(1.0, "a hall"), gap, end_s=13.0, duration_s=16.57, reason="the file broke off")
    store = memory_of(tmp_path, broken)
    rows = store.reader().execute("SELECT text FROM observations WHERE channel='gap'").fetchall()
    assert rows == [("the file breaks off here",)]
    store.close()


def test_a_process_that_never_came_back_ends_its_track_with_a_gap(tmp_path: Path) -> None:
    """Whoever knows that it is lost stores one gap; the other track then goes on alone."""
    lost = Observation(
        id="clip/gap/000010000", source="clip", channel="gap", t0_s=10.0, t1_s=10.0, text="the audio process was lost",
        data=GapFacts(track="audio", ends_track=True),
    )  # fmt: skip
    messages: list[Message] = [SourceOpened(source="clip", track=t) for t in ("video", "audio")]
    messages += [Progress(source="clip", track="audio", t_s=10.0), Progress(source="clip", track="video", t_s=30.0)]
    store = memory_of(tmp_path, gather(send("video", *messages)))
    assert open_view(store.reader(), ViewRequest()).limits == {"clip": 10.0}
    with store.write() as writing:
        writing.add(gather(send("reasoning", lost)))
    assert open_view(store.reader(), ViewRequest()).limits == {"clip": 30.0}
    store.close()


def test_one_frame_alone_is_an_event(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(see(0.0, "a picture"), end_s=0.0))
    assert [(span.t0_s, span.t1_s, span.text) for span in spans(store)] == [(0.0, 0.0, "seen: a picture")]
    store.close()


def test_vectors_of_two_encoders_in_one_event_are_never_mixed() -> None:
    """Resumed with other weights, an event's keyframe is the one nearest the mean of the newer space alone."""
    old = [see(float(k), "", vector=(1.0, 0.0)) for k in range(8)]
    new = [see(10.0, "", vector=(0.0, 1.0)), see(11.0, "", vector=(0.6, 0.8)), see(12.0, "", vector=(0.6, 0.8))]
    frames = [*old, *(msgspec.structs.replace(frame, vector_space="newer") for frame in new)]
    mean = _mean_vector(frames)
    assert mean is not None
    assert mean == pytest.approx([0.4, 2.6 / 3], abs=1e-3)
    assert choose_keyframe(frames, mean) == new[1].id
