"""Moving things, people and faces become events: when and where they appear, what they look like, when they leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from perception.capture.file import open_container, video_stream
from perception.capture.file_video import FrameReader, Picture
from perception.vision.motion import Box, MotionTracker, MovingThing
from perception.vision.objects import ObjectFinder, ObjectOptions, direction
from perception.vision.pipeline import FrameSelector, QuickDetection
from runtime.config import SamplingConfig
from runtime.messages import ObjectFacts, Observation
from tests.fixtures.drawn_clips import at_rate, street

SIZE = (320, 240)


def events(pictures: Iterable[tuple[float, np.ndarray]], options: ObjectOptions | None = None) -> list[Observation]:
    """What is told of drawn pictures, each looked at closely once a second."""
    tracker = MotionTracker()
    finder = ObjectFinder(options or ObjectOptions(source="clip", faces=False))
    told: list[Observation] = []
    looked_s = -1.0
    for t_s, bgr in pictures:
        tracker.step(t_s, cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY))
        if t_s - looked_s >= 1.0:
            looked_s = t_s
            told += finder.step(t_s, bgr, tracker.things(), tracker.take_gone())
    return told


def events_of(clip: Path, until_s: float = 1e9) -> list[Observation]:
    """What is told of a file."""
    attention = FrameSelector(SamplingConfig(), motion=True)
    finder = ObjectFinder(ObjectOptions(source="clip"))
    told: list[Observation] = []

    def look(picture: Picture) -> None:
        for look in attention.step(picture):
            if isinstance(look, QuickDetection):
                told.extend(finder.glance(picture.t_s, picture.bgr(), look.things))
                continue
            keyframe = look.keyframe
            new_shot = bool(keyframe.transition) or keyframe.reason == "first"
            told.extend(finder.step(picture.t_s, picture.bgr(), look.things, look.gone, new_shot, keyframe.still))

    with open_container(clip) as container:
        stream = video_stream(container)
        assert stream is not None
        for picture in FrameReader(container, stream):
            if picture.t_s > until_s:
                break
            look(picture)
    return told


def crossing(
    colour: tuple[int, int, int], start_s: float, seconds: float, size: tuple[int, int] = (40, 24), y: int = 120
) -> Callable[[float], np.ndarray]:
    """A thing that crosses the picture from the left border to the right one."""

    def draw(t: float) -> np.ndarray:
        picture = street(SIZE)
        if start_s <= t < start_s + seconds:
            x = round((t - start_s) / seconds * (SIZE[0] + size[0])) - size[0]
            picture[y : y + size[1], max(0, x) : max(0, x + size[0])] = colour
        return picture

    return draw


def test_a_thing_that_crosses_is_told_as_it_comes_and_as_it_goes() -> None:
    told = events(at_rate(10, 16, crossing((30, 30, 200), 6.0, 5.0)))
    assert [event.facts(ObjectFacts).event for event in told] == ["appears", "leaves"]
    comes, goes = told
    assert comes.text == "a wide red moving thing enters from the left, moving right"
    assert comes.t0_s == pytest.approx(6.2, abs=0.5)
    assert comes.facts(ObjectFacts).kind == "moving"
    assert comes.facts(ObjectFacts).colours == ("red",)
    assert (comes.facts(ObjectFacts).side, comes.facts(ObjectFacts).direction, comes.facts(ObjectFacts).shape) == (
        "left",
        "right",
        "wide",
    )
    assert goes.text.startswith("the wide red moving thing leaves at the right, after ")
    assert goes.t0_s == pytest.approx(11.0, abs=0.5)
    assert goes.evidence == (comes.id,)
    assert all(event.t0_s <= event.t1_s for event in told)


def test_two_things_at_once_are_told_apart() -> None:
    one, other = crossing((30, 30, 200), 6.0, 5.0, y=40), crossing((160, 30, 10), 7.0, 4.0, y=170)

    def both(t: float) -> np.ndarray:
        picture = one(t)
        picture[150:] = other(t)[150:]
        return picture

    appear = [event for event in events(at_rate(10, 16, both)) if event.facts(ObjectFacts).event == "appears"]
    assert {tuple(event.facts(ObjectFacts).colours) for event in appear} == {("blue",), ("red",)}
    assert len({event.facts(ObjectFacts).track for event in appear}) == 2


def test_an_empty_scene_with_noise_and_swaying_leaves_has_no_events() -> None:
    noise = np.random.default_rng(4)

    def breeze(t: float) -> np.ndarray:
        picture = street(SIZE).astype(float) + noise.normal(0, 4, (SIZE[1], SIZE[0], 3))
        sway = round(3 * np.sin(4 * t))
        picture[20:60, 100 + sway : 130 + sway] = (40, 120, 40)
        return np.clip(picture, 0, 255).astype(np.uint8)

    assert events(at_rate(10, 20, breeze)) == []


class Figures:
    """A detector that finds what it is told to, look by look."""

    def __init__(self, *found: bool) -> None:
        self.found = list(found)

    def has_figure(self, bgr: np.ndarray, box: Box) -> bool:
        return self.found.pop(0)


@pytest.mark.parametrize(
    ("found", "told_s", "kind"),
    [
        ((True, True, True, True, True, True), 2.0, "person"),
        ((True, False, True, True, True, True), 3.0, "person"),
        ((True, False, True, False, False, True), 5.0, "person"),
        ((False, False, False, False, False, False), 5.0, "moving"),
    ],
)
def test_in_a_new_shot_only_a_figure_found_again_and_again_is_told(
    found: tuple[bool, ...], told_s: float, kind: str
) -> None:
    finder = ObjectFinder(ObjectOptions(source="clip", faces=False))
    finder._figures = Figures(*found)  # type: ignore[assignment]
    picture = street(SIZE)
    told = []
    for t in range(6):
        thing = MovingThing(
            track=1, first_s=0.0, last_s=float(t), box=(0.03 * t, 0.3, 0.1, 0.3), first_box=(0.0, 0.3, 0.1, 0.3),
            looks=5 + t, aspect=2.5, entered="left", left_over="", travel=(0.03 * t, 0.0), reach=0.07 + 0.03 * t,
            straight=1.0, gone=False,
        )  # fmt: skip
        told += finder.step(float(t), picture, (thing,), new_shot=t == 0)
    assert [(o.t1_s, o.facts(ObjectFacts).kind) for o in told] == [(told_s, kind)]


def test_nothing_is_claimed_while_the_camera_moves() -> None:
    wide = street((2400, 240), 4)
    wide[100:160, ::90] = 250
    assert events(at_rate(10, 12, lambda t: wide[:, int(60 * t) : int(60 * t) + 320])) == []


def test_a_light_switched_on_is_no_thing() -> None:
    scene = street(SIZE)
    assert events(at_rate(10, 14, lambda t: scene if t < 7 else np.clip(scene * 1.7, 0, 255).astype(np.uint8))) == []


def test_what_a_picture_shows_is_listed_while_it_is_there() -> None:
    tracker, finder = MotionTracker(), ObjectFinder(ObjectOptions(source="clip", faces=False))
    visible: dict[float, tuple[str, ...]] = {}
    for t_s, bgr in at_rate(10, 16, crossing((30, 30, 200), 6.0, 5.0)):
        tracker.step(t_s, cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY))
        if round(t_s * 10) % 10 == 0:
            finder.step(t_s, bgr, tracker.things(), tracker.take_gone())
            visible[t_s] = finder.visible
    shown = [t_s for t_s, ids in visible.items() if ids]
    assert shown[0] <= 9.0
    assert 10.0 in shown
    assert shown[-1] <= 13.0


def test_directions_are_words() -> None:
    assert direction((0.3, 0.01)) == "right"
    assert direction((-0.3, -0.2)) == "up and left"
    assert direction((0.0, 0.2)) == "down"
    assert direction((0.01, 0.02)) == ""


def worn(person: Observation) -> dict[str, str]:
    colours = person.facts(ObjectFacts).colours
    assert isinstance(colours, dict)
    return colours


def test_people_of_a_real_street_are_told_with_their_clothes(media: Path) -> None:
    told = events_of(media / "video" / "vtest_pedestrians.mp4")
    people = [e for e in told if e.facts(ObjectFacts).kind == "person" and e.facts(ObjectFacts).event == "appears"]
    red = [e for e in people if worn(e)["top"] == "red"]
    assert red[0].t0_s == pytest.approx(42.0, abs=1.0)  # "a person in a bright red top enters at the right (42 s)"
    assert (red[0].facts(ObjectFacts).side, red[0].facts(ObjectFacts).direction) == ("right", "left")
    assert red[0].t1_s - red[0].t0_s < 1.2  # one glance after the other, not at the next look a second later
    blue = [e for e in people if worn(e)["top"] == "blue" and e.t0_s > 60]
    assert blue[0].t0_s == pytest.approx(65.5, abs=1.0)  # "a person in a blue jacket enters at the right"
    assert 10 <= len(people) <= 35
    assert not [e for e in told if e.facts(ObjectFacts).kind == "face"]


def test_things_of_a_real_car_park_are_told_and_only_the_pedestrian_is_a_person(media: Path) -> None:
    told = events_of(media / "video" / "intel_person_bicycle_car.mp4")
    appear = [e for e in told if e.facts(ObjectFacts).event == "appears"]
    people = [e for e in appear if e.facts(ObjectFacts).kind == "person"]
    assert len(people) == 1
    assert people[0].t0_s == pytest.approx(24.5, abs=1.0)
    assert people[0].facts(ObjectFacts).side == "left"
    assert len(appear) == 5  # two cars, two cyclists, a pedestrian
    assert not [e for e in appear if 14.5 <= e.t0_s <= 24.0]


def test_bottles_are_not_people(media: Path) -> None:
    told = events_of(media / "video" / "intel_bottle_detection.mp4")
    assert not [e for e in told if e.facts(ObjectFacts).kind in ("person", "face")]


def test_the_face_of_a_speaker_is_found(media: Path) -> None:
    told = events_of(media / "video" / "black_journal_interview.mp4", until_s=11.0)
    faces = [e for e in told if e.facts(ObjectFacts).kind == "face" and e.facts(ObjectFacts).event == "appears"]
    assert len(faces) == 1
    assert faces[0].facts(ObjectFacts).side == "centre"
