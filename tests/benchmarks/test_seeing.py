"""What `benchmarks.seeing` counts as named, as told in time and as true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.seeing import TRUTH, Event, Thing, events_of, is_named, is_true, things_named
from runtime.language.vocabulary import load_vocabulary


def thing(name: str, t0_s: float, t1_s: float, count: int = 1) -> Thing:
    return Thing(name, t0_s, t1_s, t0_s, count, None, "")


def test_things_of_an_annotation_are_found_by_name_and_synonym_with_their_numbers() -> None:
    text = "two pedestrians and a cyclist pass three clear plastic bottles, a mug and no dog; the camera stands still"
    found = list(things_named(text, load_vocabulary()))
    assert found == [
        ("two", "person"), ("", "person cycling"), ("three", "bottle"), ("", "cup"), ("no", "dog"), ("", "camera"),
    ]  # fmt: skip


def test_events_hold_what_coco_has_a_name_for(tmp_path: Path) -> None:
    notes = tmp_path / "clip.annotations.json"
    what = ["a cyclist rides to two bottles", "no person, a tripod", "the camera sinks to orange leaves"]
    notes.write_text(json.dumps({"events": [{"t0": k, "t1": k + 1, "what": text} for k, text in enumerate(what)]}))
    assert [(event.names, event.counts) for event in events_of(notes, load_vocabulary())] == [
        (["person", "bicycle", "bottle"], {"bottle": 2})
    ]


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ([("car", 10.0, 16.0)], True),
        ([("car", 9.0, 12.0), ("car", 14.0, 16.5)], True),
        ([("car", 10.0, 12.0)], False),
        ([("car", 18.0, 30.0)], False),
        ([("truck", 10.0, 20.0)], False),
    ],
)
def test_a_thing_is_named_that_is_told_to_be_in_view_for_half_of_its_event(
    told: list[tuple[str, float, float]], named: bool
) -> None:
    assert is_named(Event(10.0, 20.0, ["car"], {}), "car", [thing(*one) for one in told]) == named


def test_a_thing_told_where_there_is_none_or_once_too_often_is_not_true() -> None:
    truth: dict[str, list[list[float]]] = {"bottle": [[5.0, 10.0, 2]]}
    assert is_true(thing("bottle", 6.0, 9.0, count=2), truth)
    assert not is_true(thing("bottle", 6.0, 9.0, count=3), truth)
    assert not is_true(thing("bottle", 12.0, 13.0), truth)
    assert not is_true(thing("vase", 6.0, 9.0), truth)


def test_the_truth_names_things_as_the_vocabulary_does() -> None:
    import yaml

    names = {name for clip in yaml.safe_load(TRUTH.read_text(encoding="utf-8")).values() for name in clip}
    assert [name for name in names if name not in load_vocabulary().tags] == []
