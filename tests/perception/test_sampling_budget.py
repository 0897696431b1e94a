"""Rates fall in the declared order while too much is used, come back with room, and change what is looked at."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from perception.capture.file_video import Picture
from perception.vision.objects import ObjectFinder, ObjectOptions
from perception.vision.ocr import Reading
from perception.vision.pipeline import FrameSelector
from perception.vision.read_text import TextOptions, TextReader
from perception.vision.sampling_budget import LEVELS, CpuUse, SamplingBudget
from runtime.config import SamplingConfig
from runtime.language.vocabulary import load_vocabulary
from tests.fixtures.drawn_clips import street
from tests.fixtures.drawn_things import DrawnDetector


def told(budget: SamplingBudget, cores: float, steps: int) -> list[str]:
    return [level.what for _ in range(steps) for level in budget.step(CpuUse(cores))]


def test_levels_follow_each_other_down_to_the_last_and_back_up_to_the_first() -> None:
    budget = SamplingBudget(0.5)
    names = [level.what for level in LEVELS]
    assert told(budget, 0.9, 100) == names[1:]
    assert told(budget, 0.4, 100) == []
    assert told(budget, 0.1, 200) == names[-2::-1]
    assert budget.level == LEVELS[0]


def test_a_short_burst_and_a_budget_of_none_change_nothing() -> None:
    budget = SamplingBudget(0.5)
    assert told(budget, 0.3, 10) + told(budget, 0.8, 1) + told(budget, 0.3, 10) == []
    assert told(SamplingBudget(0.0), 3.0, 50) == []


def test_each_level_costs_no_more_than_the_one_before_it() -> None:
    for one, other in pairwise(LEVELS):
        assert other.faces_interval >= one.faces_interval
        assert other.text_budget <= one.text_budget
        assert other.look_gap >= one.look_gap
        assert other.base_interval >= one.base_interval
        assert other != one


def test_a_lowered_level_takes_fewer_looks_of_a_lively_scene() -> None:
    import av

    random = np.random.default_rng(1)
    pictures = [
        Picture(av.VideoFrame.from_ndarray(street(seed=int(random.integers(1_000))), format="bgr24"), k / 10, ())
        for k in range(60)
    ]
    looks = []
    for level in (LEVELS[0], LEVELS[-1]):
        attention = FrameSelector(SamplingConfig(), motion=False)
        attention.adapt(level)
        looks.append(sum(len(attention.step(picture)) for picture in pictures))
    assert looks[1] < looks[0]


class CountedEngine:
    """Finds no text anywhere, and counts how often it was asked."""

    meaning = "counts"

    def __init__(self) -> None:
        self.searches = 0

    def detect(self, bgr: np.ndarray) -> list[np.ndarray]:
        self.searches += 1
        return []

    def recognise(self, bgr: np.ndarray, corners: np.ndarray) -> Reading:
        return Reading("", 0.0)


def test_half_the_budget_of_text_searches_half_as_often() -> None:
    searches = []
    for share in (1.0, 0.5):
        engine = CountedEngine()
        reader = TextReader(TextOptions("s"), engine)
        reader.budget = share
        random = np.random.default_rng(2)
        for k in range(400):
            reader.step(k / 2, random.integers(0, 2, (96, 128, 3), dtype=np.uint8) * 255)
        searches.append(engine.searches)
    assert 0.4 <= searches[1] / searches[0] <= 0.65


def test_faces_are_sought_as_often_as_the_level_says() -> None:
    sought = []
    for factor in (1.0, 4.0):
        finder = ObjectFinder(ObjectOptions("s", motion=False), load_vocabulary())
        finder.seek_less(faces=factor, things=1.0)
        times: list[float] = []
        assert finder._faces is not None
        detector = finder._faces._detector
        detector.detect = lambda bgr, times=times: times.append(0.0) or []  # type: ignore[method-assign, misc]
        for k in range(60):
            finder.step(float(k), street())
        sought.append(len(times))
    assert sought == [20, 5]


def test_things_are_sought_as_often_as_the_level_says() -> None:
    sought = []
    for factor in (1.0, 4.0):
        detector = DrawnDetector({})
        finder = ObjectFinder(ObjectOptions("s", motion=False), load_vocabulary(), detector)
        finder.seek_less(faces=1.0, things=factor)
        for k in range(60):
            finder.step(k * 0.5, street())
        sought.append(detector.looks)
    assert sought == [60, 15]
