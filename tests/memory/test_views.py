"""Views: nothing from a question's future is seen, not even through ranking."""

from __future__ import annotations

import itertools
from pathlib import Path

from memory.recall.rank import Recall, RecallOptions
from memory.spans.read_spans import read_spans
from memory.store.batch import gather
from memory.store.database import Store
from memory.store.reader import scan
from memory.store.views import open_view
from runtime.messages import (
    Message,
    Observation,
    RecallRequest,
    ScanRequest,
    SourceEnded,
    SourceOpened,
    SpansRequest,
    TimeWindow,
    View,
    ViewRequest,
)
from tests.fixtures.memory_cases import memory_of, progress, remember, say, see, send, steps, stream


def view_of(store: Store, **request: object) -> View:
    reader = store.reader()
    view = open_view(reader, ViewRequest(**request))  # type: ignore[arg-type]
    reader.close()
    return view


def seen(store: Store, view: View, **request: object) -> list[str]:
    reader = store.reader()
    found = scan(reader, ScanRequest(view=view, **request))  # type: ignore[arg-type]
    reader.close()
    return [o.text for o in found]


def hits(store: Store, view: View, query: str, **request: object) -> list[tuple[str, float, dict[str, float]]]:
    reader = store.reader()
    reply = Recall(reader, RecallOptions()).recall(RecallRequest(query=query, view=view, **request))  # type: ignore[arg-type]
    reader.close()
    return [(hit.observation.text, hit.score, hit.why) for hit in reply.hits]


def test_now_is_up_to_where_both_tracks_are_in(tmp_path: Path) -> None:
    messages: list[Message] = [
        SourceOpened(source="clip", track="video"), SourceOpened(source="clip", track="audio"),
        see(1.0, "one"), see(5.0, "five"), progress(5.0, "video"), progress(2.0, "audio"),
    ]  # fmt: skip
    store = memory_of(tmp_path, gather(send("test", *messages)))
    view = view_of(store)
    assert (view.limits, view.source, view.as_of_s) == ({"clip": 2.0}, "clip", 2.0)
    assert seen(store, view) == ["one"]
    store.close()


def test_a_track_whose_process_has_not_spoken_yet_holds_the_limit_at_zero(tmp_path: Path) -> None:
    messages = [SourceOpened(source="clip", track="video"), see(1.0, "one"), progress(5.0, "video")]
    store = memory_of(tmp_path, gather(send("video", *messages)))
    assert view_of(store).limits == {"clip": 0.0}
    store.close()


def test_an_ended_track_holds_nothing_back(tmp_path: Path) -> None:
    messages: list[Message] = [
        SourceOpened(source="clip", track="video"),
        SourceOpened(source="clip", track="audio", missing="no audio track"),
        SourceEnded(source="clip", track="audio", t_s=0.0), progress(5.0, "video"),
    ]  # fmt: skip
    store = memory_of(tmp_path, gather(send("test", *messages)))
    assert view_of(store).limits == {"clip": 5.0}
    store.close()


def test_an_utterance_that_was_not_over_yet_is_not_seen(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(say(1.0, 4.0, "over"), say(4.0, 9.0, "going on"), end_s=10.0))
    assert seen(store, view_of(store, source="clip", as_of_s=8.9)) == ["over"]
    assert seen(store, view_of(store, source="clip", as_of_s=9.0)) == ["over", "going on"]
    store.close()


def test_a_moment_of_a_source_shows_earlier_sources_whole_and_later_ones_not(tmp_path: Path) -> None:
    store = memory_of(
        tmp_path, *(stream(see(3.0, name, source=name), source=name, end_s=9.0) for name in ("a", "b", "c"))
    )
    view = view_of(store, source="b", as_of_s=2.0)
    assert view.limits == {"a": 9.0, "b": 2.0}
    assert seen(store, view) == ["a"]
    assert view_of(store, source="b", as_of_s=4.0, sources=("b", "c")).limits == {"b": 4.0}
    assert view_of(store, sources=("c", "a")).limits == {"a": 9.0, "c": 9.0}
    store.close()


def test_a_source_memory_does_not_know_shows_nothing(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(see(3.0, "a"), end_s=9.0))
    view = view_of(store, source="never", as_of_s=5.0)
    assert view.limits == {}
    assert seen(store, view) == []
    assert hits(store, view, "a") == []
    store.close()


def test_what_was_stored_after_the_view_was_opened_is_not_seen_through_it(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(see(1.0, "a gate"), end_s=9.0))
    view = view_of(store)
    remember(store, gather(send("reasoning", say(2.0, 2.0, "what gate?", channel="question"))))
    assert seen(store, view) == ["a gate"]
    assert seen(store, view_of(store)) == ["a gate", "what gate?"]
    assert [text for text, *_ in hits(store, view, "gate", channels=("frame", "question"))] == ["a gate"]
    store.close()


def talk() -> list[Observation]:
    """Ten utterances; what answers the question about the harbour comes after 20 s."""
    lines = [
        "we went sailing",
        "the boat was old",
        "it rained",
        "then we ate",
        "fish and rice",
        "in the harbour",
        "with Anna",
    ]
    return [say(4.0 * i, 4.0 * i + 3.5, line) for i, line in enumerate(lines)]


def test_asked_then_and_asked_later_about_then_find_the_same_with_the_same_scores(tmp_path: Path) -> None:
    """No idf, no neighbour's word, no event and no near spelling from after 19 s reaches the ranking."""
    early, late = memory_of(tmp_path / "early"), memory_of(tmp_path / "late")
    opened = SourceOpened(source="clip", track="audio", kind="microphone")
    remember(early, gather(send("audio", opened, *[o for o in talk() if o.t1_s <= 19.5], progress(19.5, "audio"))))
    remember(late, gather(send("audio", opened, *talk(), SourceEnded(source="clip", track="audio", t_s=28.0))))
    for query in ("harbour", "Anna in the harbour", "fish", "what did we eat", "harbor rain", "boat"):
        then, later = (
            hits(store, view_of(store, source="clip", as_of_s=19.5), query, channels=("speech",))
            for store in (early, late)
        )
        assert then == later, query
    assert hits(late, view_of(late, source="clip", as_of_s=19.5), "harbour") == []
    assert next(text for text, *_ in hits(late, view_of(late), "harbour")) == "in the harbour"
    early.close()
    late.close()


def test_the_event_that_was_going_on_is_sketched_from_what_had_been_seen(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(*talk(), end_s=28.0))
    for level in ("event", "episode"):
        request = SpansRequest(view=view_of(store, source="clip", as_of_s=12.0), level=level)
        (span,) = read_spans(store.reader(), request)
        assert (span.t0_s, span.t1_s) == (0.0, 12.0)
        assert "it rained" in span.text
        assert "then we ate" not in span.text
    store.close()


def test_spans_up_to_any_moment_tile_the_time_up_to_it(tmp_path: Path) -> None:
    frames = [see(float(i), f"scene {i // 30}", vector=(1.0, 0.0) if i // 30 % 2 else (0.0, 1.0)) for i in range(200)]
    store = memory_of(tmp_path, stream(*frames, end_s=200.0))
    reader = store.reader()
    for as_of_s in (0.5, 29.0, 30.0, 31.0, 95.5, 200.0):
        view = view_of(store, source="clip", as_of_s=as_of_s)
        spans = read_spans(reader, SpansRequest(view=view))
        assert spans[0].t0_s == 0.0
        assert spans[-1].t1_s == as_of_s
        assert all(a.t1_s == b.t0_s for a, b in itertools.pairwise(spans))
    store.close()


def test_a_window_shows_what_overlaps_it_long_observations_too(tmp_path: Path) -> None:
    long_gap = say(5.0, 300.0, "the camera was covered", channel="gap")
    store = memory_of(
        tmp_path, stream(long_gap, say(100.0, 110.0, "a"), say(120.0, 121.0, "b"), say(400.0, 401.0, "c"), end_s=500.0)
    )
    view = view_of(store)
    assert seen(store, view, t0_s=105.0, t1_s=115.0) == ["the camera was covered", "a"]
    assert seen(store, view, t0_s=110.0, t1_s=120.0, channels=("speech",)) == ["a", "b"]
    assert seen(store, view, t0_s=301.0) == ["c"]
    assert seen(store, view, newest_first=True, limit=2) == ["c", "b"]
    store.close()


def test_ids_are_found_only_where_they_are_visible(tmp_path: Path) -> None:
    store = memory_of(tmp_path, stream(say(1.0, 2.0, "a"), say(5.0, 6.0, "b"), end_s=9.0))
    ids = ("clip/speech/000005000", "clip/speech/000001000", "clip/speech/000777000")
    assert seen(store, view_of(store), ids=ids) == ["a", "b"]
    assert seen(store, view_of(store, source="clip", as_of_s=5.5), ids=ids) == ["a"]
    store.close()


def test_what_was_asked_is_found_without_reading_all_that_was_seen_since(tmp_path: Path) -> None:
    def work(frames: int) -> int:
        talk = (say(1.0, 1.0, "who came in?", channel="question"), say(2.0, 2.0, "it was Ann", channel="correction"))
        seen_since = [see(3.0 + i, "a room") for i in range(frames)]
        store = memory_of(tmp_path / str(frames), stream(*talk, *seen_since, end_s=3.0 + frames))
        view, reader = view_of(store), store.reader()

        def find() -> None:
            for channels, text in ((("question", "answer"), "who came in?"), (("correction",), "it was Ann")):
                newest = ScanRequest(view=view, channels=channels, newest_first=True, limit=5)  # type: ignore[arg-type]
                assert [o.text for o in scan(reader, newest)] == [text]

        return steps(reader, find)

    assert work(400) <= work(40) + 1


def test_several_windows_are_read_in_one_go_each_up_to_its_limit_and_nothing_twice(tmp_path: Path) -> None:
    store = memory_of(
        tmp_path,
        stream(*(say(float(i), i + 0.5, f"word {i}") for i in range(30)), see(8.2, "a room"), end_s=30.0),
        stream(say(5.0, 6.0, "elsewhere", source="other"), source="other", end_s=30.0),
    )
    view = view_of(store)
    windows = (
        TimeWindow(source="clip", t0_s=20.0, t1_s=22.0),
        TimeWindow(source="clip", t0_s=7.9, t1_s=9.0),
        TimeWindow(source="clip", t0_s=8.1, t1_s=9.2),
        TimeWindow(source="other", t0_s=0.0, t1_s=30.0),
        TimeWindow(source="never seen", t0_s=0.0, t1_s=30.0),
    )
    found = seen(store, view, windows=windows, channels=("speech",), limit=2)
    assert found == ["word 8", "word 9", "word 20", "word 21", "elsewhere"]
    bounded = view_of(store, source="clip", as_of_s=9.2)
    assert seen(store, bounded, windows=windows, channels=("speech",), limit=9) == ["word 8"]


def test_a_window_of_the_time_line_is_what_the_whole_holds_of_it(tmp_path: Path) -> None:
    store = memory_of(
        tmp_path, stream(*(see(float(i), f"room {i // 40}", vector=(1.0, i // 40)) for i in range(400)), end_s=400.0)
    )
    reader = store.reader()
    for as_of_s, level in itertools.product((None, 230.5), ("event", "episode")):
        view = view_of(store, source="clip", as_of_s=as_of_s)
        whole = read_spans(reader, SpansRequest(view=view, level=level))  # type: ignore[arg-type]
        assert whole
        for t0_s, t1_s in ((None, 90.0), (100.0, 150.0), (210.0, None)):
            part = read_spans(reader, SpansRequest(view=view, level=level, t0_s=t0_s, t1_s=t1_s))  # type: ignore[arg-type]
            assert part == tuple(span for span in whole if span.t1_s >= (t0_s or 0.0) and span.t0_s <= (t1_s or 400.0))
