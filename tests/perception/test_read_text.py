"""On-screen text is told once when it is first seen, and frames list what they still show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from perception.vision.ocr import RapidTextEngine, TextEngine
from perception.vision.read_text import TextOptions, TextReader
from runtime.messages import Observation, TextFacts
from tests.fixtures.drawn_clips import decoded, plain, street, with_text

SIZE = (640, 360)
BLUE = plain((120, 40, 20), SIZE)


@pytest.fixture(scope="module")
def engine() -> TextEngine:
    return RapidTextEngine(640, 1)


class CountingEngine:
    """Says that the places given hold the words given, and counts how often it is asked."""

    meaning = "fixed"

    def __init__(self, lines: list[tuple[tuple[int, int, int, int], str, float]]) -> None:
        self.lines = lines
        self.searches = self.read = 0

    def detect(self, bgr: np.ndarray) -> tuple[list[np.ndarray], int]:
        self.searches += 1
        corners = [
            np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float32) for (x, y, w, h), _, _ in self.lines
        ]
        return corners, bgr.shape[0] * bgr.shape[1]

    def recognise(self, bgr: np.ndarray, corners: Sequence[np.ndarray]) -> list[tuple[str, float]]:
        self.read += len(corners)
        words = {(int(x), int(y)): (text, sure) for (x, y, _, _), text, sure in self.lines}
        return [words[int(quad[0][0]), int(quad[0][1])] for quad in corners]


def reader(engine: TextEngine) -> TextReader:
    return TextReader(TextOptions(source="clip"), engine)


def texts(observations: list[Observation]) -> list[str]:
    return [observation.text for observation in observations]


def test_words_are_read_with_place_and_confidence(engine: TextEngine) -> None:
    told = reader(engine).step(2.0, with_text(BLUE, "HELLO WORLD 42", (40, 60)))
    assert texts(told) == ["HELLO WORLD 42"]
    observation = told[0]
    assert (observation.id, observation.channel, observation.t0_s) == ("clip/text/000002000", "text", 2.0)
    assert observation.facts(TextFacts).region == "top left"
    [[text, confidence, [x, y, width, height]]] = observation.facts(TextFacts).lines
    assert text == "HELLO WORLD 42"
    assert confidence > 0.9
    assert x < 40 / 640 < x + width
    assert y < 50 / 360 < y + height


def test_lines_close_together_are_one_block_and_others_are_not(engine: TextEngine) -> None:
    picture = with_text(with_text(BLUE, "ROAD CLOSED", (60, 80)), "UNTIL MONDAY", (60, 120))
    picture = with_text(picture, "CHANNEL SEVEN", (380, 330), 0.9)
    assert sorted(texts(reader(engine).step(0.0, picture))) == ["CHANNEL SEVEN", "ROAD CLOSED / UNTIL MONDAY"]


def test_text_is_told_once_and_listed_while_it_stays(engine: TextEngine) -> None:
    stage = reader(engine)
    first, both = with_text(BLUE, "GOOD MORNING", (40, 80)), None
    assert len(stage.step(0.0, first)) == 1
    for t_s in (1.0, 2.0, 3.0):
        assert stage.step(t_s, first) == []
        assert stage.visible == ("clip/text/000000000",)
    both = with_text(first, "BREAKING NEWS", (40, 320))
    assert texts(stage.step(4.0, both)) == ["BREAKING NEWS"]
    assert stage.visible == ("clip/text/000000000", "clip/text/000004000")
    assert stage.step(5.0, with_text(BLUE, "BREAKING NEWS", (40, 320))) == []
    assert stage.visible == ("clip/text/000004000",)
    assert stage.searches <= 3


def test_a_picture_without_print_is_never_searched() -> None:
    engine = CountingEngine([])
    stage = reader(engine)
    for t_s in range(30):
        picture = BLUE.copy()
        picture[100:200, 10 * t_s : 10 * t_s + 80] = 200
        stage.step(float(t_s), picture, new_shot=t_s % 5 == 0)
    assert engine.searches == 0


def test_still_text_costs_one_search() -> None:
    engine = CountingEngine([((36, 50, 240, 40), "GOOD MORNING", 0.99)])
    stage = reader(engine)
    noise = np.random.default_rng(2)
    for t_s in range(20):
        picture = with_text(BLUE, "GOOD MORNING", (40, 80)).astype(float) + noise.normal(0, 3, BLUE.shape)
        stage.step(float(t_s), np.clip(picture, 0, 255).astype(np.uint8))
    assert (engine.searches, engine.read) == (1, 1)
    assert stage.visible


def test_restless_texture_is_searched_within_the_budget() -> None:
    engine = CountingEngine([])
    stage = reader(engine)
    noise = np.random.default_rng(2)
    for t_s in range(60):
        stage.step(float(t_s), noise.integers(0, 255, (360, 640, 3), dtype=np.uint8), moving=np.ones((45, 80), bool))
    assert 5 <= engine.searches <= 20


def test_another_reading_of_the_same_line_is_no_news() -> None:
    engine = CountingEngine([((36, 50, 300, 40), "Michael Johnson", 0.97)])
    stage = reader(engine)
    assert len(stage.step(0.0, with_text(BLUE, "Michael Johnson", (40, 80)))) == 1
    engine.lines = [((36, 56, 300, 40), "Michae1 Johnsan", 0.95)]
    assert stage.step(1.0, with_text(plain((20, 60, 120), SIZE), "Michael Johnson", (40, 86)), new_shot=True) == []
    assert engine.searches == 2
    assert stage.visible == ("clip/text/000000000",)


def test_a_better_reading_of_text_that_faded_in_is_told() -> None:
    engine = CountingEngine([((36, 50, 300, 40), "MOVIF PROJECT", 0.9)])
    stage = reader(engine)
    faint = (0.4 * with_text(BLUE, "MOVIE PROJECT", (40, 80)) + 0.6 * BLUE).astype(np.uint8)
    assert texts(stage.step(0.0, faint)) == ["MOVIF PROJECT"]
    engine.lines = [((36, 50, 300, 40), "MOVIE PROJECT", 0.99)]
    assert texts(stage.step(1.0, with_text(BLUE, "MOVIE PROJECT", (40, 80)))) == ["MOVIE PROJECT"]


def test_doubtful_and_tiny_readings_are_not_told() -> None:
    for text, confidence in (("SOMETHING", 0.5), ("V", 0.9), ("兴", 0.55), ("--- //", 0.99), ("abc", 0.7)):
        engine = CountingEngine([((36, 50, 300, 40), text, confidence)])
        assert reader(engine).step(0.0, with_text(BLUE, "MOVIE PROJECT", (40, 80))) == [], text


def test_the_same_pictures_give_the_same_observations(engine: TextEngine) -> None:
    pictures = [with_text(street(SIZE, k // 2), f"CHAPTER {k // 2} BEGINS", (40, 100 + 10 * k)) for k in range(6)]

    def run() -> list[list[Observation]]:
        stage = reader(engine)
        return [stage.step(float(k), picture, new_shot=k % 2 == 0) for k, picture in enumerate(pictures)]

    first = run()
    assert first == run()
    assert any(first)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (16, 16), (15, 400), (400, 15)])
def test_pictures_of_any_size_are_taken(engine: TextEngine, size: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    assert reader(engine).step(0.0, random.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)) == []


def test_text_of_a_real_sign_and_slide_is_read(engine: TextEngine, media: Path) -> None:
    sign = decoded((media / "images/street_sign_yuyuan_rd.jpg").read_bytes())
    slide = decoded((media / "images/slide_psychology_p4.png").read_bytes())
    assert "愚园路" in " ".join(texts(reader(engine).step(0.0, sign)))
    words = " ".join(texts(reader(engine).step(0.0, slide)))
    for expected in ("AUTHORITY", "REPETITION", "SCIENTIFIC ANALYSIS"):
        assert expected in words
