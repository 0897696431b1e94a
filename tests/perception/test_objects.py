"""Things become events: named where that is sure; when and where they appear, what they look like, when they leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from perception.capture.file import open_container, video_stream
from perception.capture.file_video import FrameReader
from perception.vision.detector import Detection, Detector, sightings
from perception.vision.motion import MotionTracker
from perception.vision.object_events import direction
from perception.vision.objects import ObjectFinder, ObjectOptions
from perception.vision.pipeline import FrameSelector, QuickDetection
from perception.vision.ssd import WEIGHTS, SsdMobileNet
from runtime.config import SamplingConfig
from runtime.language.vocabulary import load_vocabulary
from runtime.messages import ObjectFacts, Observation
from runtime.weights.known import locate
from tests.fixtures.drawn_clips import at_rate, street
from tests.fixtures.drawn_things import DrawnDetector

SIZE = (320, 240)
RED, BLUE, GREEN, YELLOW = (30, 30, 200), (160, 30, 10), (40, 160, 40), (20, 200, 220)


def finder(detector: Detector | None = None) -> ObjectFinder:
    return ObjectFinder(ObjectOptions(source="clip", faces=False), load_vocabulary(), detector)


def events(
    pictures: Iterable[tuple[float, np.ndarray]], detector: Detector | None = None, cuts: tuple[float, ...] = ()
) -> list[Observation]:
    """What is told of drawn pictures, each looked at closely once a second, and at once after a cut."""
    tracker, found = MotionTracker(), finder(detector)
    told: list[Observation] = []
    looked_s = -1.0
    for t_s, bgr in pictures:
        new_shot = looked_s < 0 or t_s in cuts
        tracker.step(t_s, cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), new_shot)
        if t_s - looked_s >= 1.0 or new_shot:
            looked_s = t_s
            told += found.step(t_s, bgr, tracker.things(), tracker.take_gone(), new_shot)
    return told


def events_of(clip: Path, detector: Detector, until_s: float = 1e9) -> list[Observation]:
    """What is told of a file."""
    attention = FrameSelector(SamplingConfig(), motion=True)
    found = ObjectFinder(ObjectOptions(source="clip"), load_vocabulary(), detector)
    told: list[Observation] = []
    with open_container(clip) as container:
        stream = video_stream(container)
        assert stream is not None
        for picture in FrameReader(container, stream):
            if picture.t_s > until_s:
                break
            for look in attention.step(picture):
                if isinstance(look, QuickDetection):
                    told += found.glance(picture.t_s, picture.bgr(), look.things)
                    continue
                keyframe = look.keyframe
                new_shot = bool(keyframe.transition) or keyframe.reason == "first"
                told += found.step(picture.t_s, picture.bgr(), look.things, look.gone, new_shot, keyframe.still)
    return told


def facts(event: Observation) -> ObjectFacts:
    return event.facts(ObjectFacts)


def appearing(told: Iterable[Observation], label: str = "") -> list[Observation]:
    return [event for event in told if facts(event).event == "appears" and label in ("", facts(event).label)]


def scene(*things: tuple[tuple[int, int, int, int], tuple[int, int, int]]) -> np.ndarray:
    """The street with rectangles (x, y, width, height) of a colour."""
    picture = street(SIZE)
    for (x, y, width, height), colour in things:
        picture[max(0, y) : y + height, max(0, x) : max(0, x + width)] = colour
    return picture


@pytest.fixture(scope="module")
def ssd() -> SsdMobileNet:
    if locate(WEIGHTS) is None:
        pytest.skip(f"the weights {WEIGHTS} are not on this machine")
    return SsdMobileNet(load_vocabulary())


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
    assert [facts(event).event for event in told] == ["appears", "leaves"]
    comes, goes = told
    assert comes.text == "a wide red moving thing enters from the left, moving right"
    assert comes.t0_s == pytest.approx(6.2, abs=0.5)
    assert facts(comes).kind == "moving"
    assert facts(comes).colours == ("red",)
    assert (facts(comes).side, facts(comes).direction, facts(comes).shape) == (
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

    appear = [event for event in events(at_rate(10, 16, both)) if facts(event).event == "appears"]
    assert {tuple(facts(event).colours) for event in appear} == {("blue",), ("red",)}
    assert len({facts(event).track for event in appear}) == 2


def test_an_empty_scene_with_noise_and_swaying_leaves_has_no_events() -> None:
    noise = np.random.default_rng(4)

    def breeze(t: float) -> np.ndarray:
        picture = street(SIZE).astype(float) + noise.normal(0, 4, (SIZE[1], SIZE[0], 3))
        sway = round(3 * np.sin(4 * t))
        picture[20:60, 100 + sway : 130 + sway] = (40, 120, 40)
        return np.clip(picture, 0, 255).astype(np.uint8)

    assert events(at_rate(10, 20, breeze)) == []


def test_nothing_is_claimed_while_the_camera_moves() -> None:
    wide = street((2400, 240), 4)
    wide[100:160, ::90] = 250
    assert events(at_rate(10, 12, lambda t: wide[:, int(60 * t) : int(60 * t) + 320])) == []


def test_a_light_switched_on_is_no_thing() -> None:
    scene = street(SIZE)
    assert events(at_rate(10, 14, lambda t: scene if t < 7 else np.clip(scene * 1.7, 0, 255).astype(np.uint8))) == []


def test_what_a_picture_shows_is_listed_while_it_is_there() -> None:
    tracker, found = MotionTracker(), finder()
    visible: dict[float, tuple[str, ...]] = {}
    for t_s, bgr in at_rate(10, 16, crossing((30, 30, 200), 6.0, 5.0)):
        tracker.step(t_s, cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY))
        if round(t_s * 10) % 10 == 0:
            found.step(t_s, bgr, tracker.things(), tracker.take_gone())
            visible[t_s] = found.visible
    shown = [t_s for t_s, ids in visible.items() if ids]
    assert shown[0] <= 9.0
    assert 10.0 in shown
    assert shown[-1] <= 13.0


def test_directions_are_words() -> None:
    assert direction((0.3, 0.01)) == "right"
    assert direction((-0.3, -0.2)) == "up and left"
    assert direction((0.0, 0.2)) == "down"
    assert direction((0.01, 0.02)) == ""


# --- names -----------------------------------------------------------------------------------------------


def test_a_thing_whose_name_is_sure_is_told_by_it() -> None:
    told = events(at_rate(10, 16, crossing(RED, 6.0, 5.0)), DrawnDetector({RED: {"car": 0.8}}))
    comes, goes = told
    assert comes.text == "a red car enters from the left, moving right"
    assert comes.t0_s == pytest.approx(6.2, abs=0.5)
    assert (facts(comes).kind, facts(comes).label, facts(comes).probability) == ("thing", "car", pytest.approx(0.8))
    assert (facts(comes).side, facts(comes).direction, facts(comes).place) == ("left", "right", "left")
    assert (facts(comes).colours, facts(comes).came_s) == (("red",), comes.t0_s)
    assert goes.text.startswith("the red car leaves at the right, after ")
    assert goes.evidence == (comes.id,)
    assert facts(goes).came_s == comes.t0_s
    assert facts(goes).left_s == goes.t0_s == pytest.approx(11.0, abs=0.6)


def test_what_is_called_otherwise_from_near_is_told_as_it_is_called_from_near() -> None:
    detector = DrawnDetector({RED: {"phone": 0.9, "car": 0.3}}, closer={RED: {"car": 0.9}})
    told = appearing(events(at_rate(10, 16, crossing(RED, 6.0, 5.0)), detector))
    assert [facts(event).label for event in told] == ["car"]


@pytest.mark.parametrize("names", [{"cup": 0.4}, {"cup": 0.65, "vase": 0.6}, {}])
def test_what_moves_and_has_no_sure_name_is_a_moving_thing(names: dict[str, float]) -> None:
    told = appearing(events(at_rate(10, 16, crossing(RED, 6.0, 5.0)), DrawnDetector({RED: names})))
    assert [(facts(event).kind, facts(event).label) for event in told] == [("moving", "")]


def test_a_thing_said_once_and_never_again_is_not_told() -> None:
    class Once(DrawnDetector):
        def detect(self, bgr: np.ndarray) -> list[Detection]:
            found = super().detect(bgr)
            return found if self.looks == 3 else []

    picture = scene(((100, 100, 40, 40), YELLOW))
    assert events(at_rate(10, 10, lambda t: picture), Once({YELLOW: {"kite": 0.95}})) == []


def test_things_that_stand_there_are_each_told_once_and_counted() -> None:
    cups = [((x, 120, 24, 30), BLUE) for x in (60, 140, 220)]
    picture = scene(((20, 130, 280, 100), GREEN), *cups)
    detector = DrawnDetector({BLUE: {"cup": 0.9}, GREEN: {"table": 0.8}})
    found = finder(detector)
    told = [event for t in range(10) for event in found.step(float(t), picture, new_shot=t == 0, still=t > 3)]
    cup = appearing(told, "cup")
    assert [facts(event).count for event in cup] == [1, 2, 3]
    assert cup[2].text == "a blue cup on a table at the right, one of three cups in view"
    assert {facts(event).on for event in cup} == {"table"}
    assert [facts(event).label for event in told].count("table") == 1
    assert found.in_view.things == (("cup", 3), ("table", 1))
    assert set(found.visible) == {event.id for event in told}


def test_a_still_picture_is_not_looked_at_again_once_all_in_it_has_names() -> None:
    picture = scene(((100, 100, 40, 40), BLUE))
    detector = DrawnDetector({BLUE: {"cup": 0.9}})
    found = finder(detector)
    found.step(0.0, picture, new_shot=True)
    looks = detector.looks
    for t in range(1, 20):
        found.step(10.0 * t, picture, still=True)
    assert detector.looks == looks


def test_a_thing_taken_away_leaves_and_one_that_is_overlooked_does_not() -> None:
    both = scene(((60, 100, 30, 40), BLUE), ((200, 100, 30, 40), YELLOW))
    one = scene(((200, 100, 30, 40), YELLOW))

    class Overlooks(DrawnDetector):
        def detect(self, bgr: np.ndarray) -> list[Detection]:
            return [d for d in super().detect(bgr) if d.name != "bottle" or self.looks < 8]

    told = events(
        at_rate(10, 20, lambda t: both if t < 10 else one), Overlooks({BLUE: {"cup": 0.9}, YELLOW: {"bottle": 0.9}})
    )
    assert {facts(event).label for event in appearing(told)} == {"cup", "bottle"}
    gone = [event for event in told if facts(event).event == "leaves"]
    assert [facts(event).label for event in gone] == ["cup"]
    assert gone[0].t0_s == pytest.approx(9.0, abs=1.0)


def test_what_fills_the_picture_is_named_only_if_it_lives_or_drives() -> None:
    picture = scene(((10, 10, 300, 220), YELLOW))
    for name, told in (("bed", []), ("person", ["person"])):
        detector = DrawnDetector({YELLOW: {name: 0.95}})
        assert [facts(e).label for e in appearing(events(at_rate(10, 5, lambda t: picture), detector))] == told


def test_things_keep_their_tracks_while_the_camera_pans() -> None:
    wide = street((900, 240), 4)
    wide[90:130, 260:300], wide[90:130, 420:450] = BLUE, YELLOW
    detector = DrawnDetector({BLUE: {"cup": 0.9}, YELLOW: {"bottle": 0.9}})
    told = events(at_rate(10, 8, lambda t: wide[:, int(60 * t) : int(60 * t) + 320]), detector)
    assert sorted(facts(event).label for event in appearing(told)) == ["bottle", "cup"]


def test_a_cut_ends_what_was_seen() -> None:
    before, after = scene(((60, 100, 30, 40), BLUE)), scene(((200, 100, 30, 40), BLUE))
    detector = DrawnDetector({BLUE: {"cup": 0.9}})
    told = events(at_rate(10, 8, lambda t: before if t < 4 else after), detector, cuts=(4.0,))
    assert [(facts(e).event, e.t0_s) for e in told] == [("appears", 0.0), ("leaves", 4.0), ("appears", 4.0)]
    assert told[1].text == "the blue cup is no longer seen, as the picture changes, after 4 s"
    assert facts(told[0]).track != facts(told[2]).track


def test_who_rides_is_told_with_what_they_ride() -> None:
    def draw(t: float) -> np.ndarray:
        x = round(40 * (t - 5)) if t >= 5 else -100
        return scene(((x + 8, 80, 16, 50), BLUE), ((x, 115, 34, 30), YELLOW))

    detector = DrawnDetector({BLUE: {"person": 0.9}, YELLOW: {"bicycle": 0.9}})
    told = appearing(events(at_rate(10, 14, draw), detector))
    assert sorted(facts(event).label for event in told) == ["bicycle", "person"]
    person = next(event for event in told if facts(event).label == "person")
    assert person.text.startswith("a person in blue clothes on a bicycle enters from the left, moving right")
    assert facts(person).on == "bicycle"


def test_a_head_seen_closer_is_part_of_the_person_it_belongs_to() -> None:
    body, head = Detection("person", 0.8, (0.3, 0.2, 0.3, 0.7)), Detection("person", 0.6, (0.4, 0.22, 0.08, 0.12))
    tie = Detection("tie", 0.5, (0.42, 0.4, 0.04, 0.2))
    assert [place.names for place in sightings([head, tie, body])] == [(("person", 0.8),), (("tie", 0.5),)]


def test_what_has_just_begun_to_move_is_named_between_two_looks() -> None:
    tracker, found = MotionTracker(), finder(DrawnDetector({RED: {"car": 0.9}}))
    told: list[Observation] = []
    for t_s, bgr in at_rate(10, 9, crossing(RED, 6.0, 5.0)):
        followed = tracker.step(t_s, cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY))
        if t_s == 0:
            found.step(t_s, bgr, new_shot=True)
        elif followed and tracker.things():
            told += found.glance(t_s, bgr, tracker.things())
    assert [facts(event).label for event in told] == ["car"]
    assert told[0].t1_s - told[0].t0_s < 2.0


def test_closer_looks_are_saved_up_for() -> None:
    def crowd(t: float) -> np.ndarray:
        moves = [((round(20 * t + 37 * k) % 300, 20 + 22 * k, 12, 16), RED) for k in range(9)]
        return scene(*moves)

    detector = DrawnDetector({RED: {"cup": 0.45, "vase": 0.4}})
    events(at_rate(10, 30, crowd), detector)
    closer = [size for size in detector.sizes if size != (SIZE[1], SIZE[0])]
    assert len(closer) <= 5 + 30 / 0.8


# --- real clips ------------------------------------------------------------------------------------------


def worn(person: Observation) -> dict[str, str]:
    colours = facts(person).colours
    assert isinstance(colours, dict)
    return colours


def test_people_of_a_real_street_are_told_with_their_clothes(media: Path, ssd: SsdMobileNet) -> None:
    told = events_of(media / "video" / "vtest_pedestrians.mp4", ssd, until_s=50.0)
    people = appearing(told, "person")
    red = [person for person in people if worn(person)["top"] == "red" and person.t0_s > 40]
    assert red[0].t0_s == pytest.approx(42.0, abs=1.0)  # "a person in a bright red top enters at the right (42 s)"
    assert facts(red[0]).side == "right"
    assert red[0].t1_s - red[0].t0_s <= 1.5
    assert 10 <= len(people) <= 25
    assert not [event for event in told if facts(event).kind == "face"]


def test_things_of_a_real_car_park_are_told_by_name(media: Path, ssd: SsdMobileNet) -> None:
    told = appearing(events_of(media / "video" / "intel_person_bicycle_car.mp4", ssd))
    assert [facts(event).label for event in told if facts(event).label != "person"] == [
        "car",
        "bicycle",
        "car",
        "bicycle",
    ]
    walker = [event for event in told if facts(event).label == "person" and not facts(event).on]
    assert len(walker) == 1
    assert walker[0].t0_s == pytest.approx(24.5, abs=1.0)
    assert facts(walker[0]).side == "left"
    first = next(event for event in told if facts(event).label == "car")
    assert facts(first).colours == ("white",)
    assert not [event for event in told if 14.5 <= event.t0_s <= 24.0]


def test_bottles_of_a_real_table_are_bottles_and_no_people(media: Path, ssd: SsdMobileNet) -> None:
    told = appearing(events_of(media / "video" / "intel_bottle_detection.mp4", ssd, until_s=5.0))
    assert [facts(event).label for event in told] == ["bottle"] * 3
    assert [facts(event).count for event in told] == [1, 2, 3]


def test_the_face_of_a_speaker_is_found(media: Path) -> None:
    told = events_of(media / "video" / "black_journal_interview.mp4", DrawnDetector({}), until_s=11.0)
    faces = [event for event in appearing(told) if facts(event).kind == "face"]
    assert len(faces) == 1
    assert facts(faces[0]).side == "centre"
