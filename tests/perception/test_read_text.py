"""On-screen text is told once when it is first seen, and frames list what they still show."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from perception.vision.ocr import RapidTextEngine, Reading, TextEngine
from perception.vision.read_text import TextOptions, TextReader
from runtime.messages import Observation, TextFacts
from tests.fixtures.drawn_clips import decoded, plain, screen, street, with_text

SIZE = (640, 360)
BLUE = plain((120, 40, 20), SIZE)


@pytest.fixture(scope="module")
def engine() -> TextEngine:
    return RapidTextEngine(1)


class Scripted:
    """Finds lines as the engine does, reads what it is told to, and counts how often it is asked."""

    meaning = "scripted"

    def __init__(self, engine: TextEngine, text: str = "", confidence: float = 0.99) -> None:
        self._engine = engine
        self.says = Reading(text, confidence)
        self.searches = self.read = self.pixels = 0

    def detect(self, bgr: np.ndarray) -> list[np.ndarray]:
        self.searches += 1
        self.pixels += bgr.shape[0] * bgr.shape[1]
        return self._engine.detect(bgr)

    def recognise(self, bgr: np.ndarray, corners: np.ndarray) -> Reading:
        self.read += 1
        return self.says if self.says.text else self._engine.recognise(bgr, corners)


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


def test_a_picture_without_print_is_never_searched(engine: TextEngine) -> None:
    counting = Scripted(engine)
    stage = reader(counting)
    for t_s in range(30):
        picture = BLUE.copy()
        picture[100:200, 10 * t_s : 10 * t_s + 80] = 200
        stage.step(float(t_s), picture, new_shot=t_s % 5 == 0)
    assert counting.searches == 0


def test_still_text_costs_one_search(engine: TextEngine) -> None:
    counting = Scripted(engine)
    stage = reader(counting)
    noise = np.random.default_rng(2)
    for t_s in range(20):
        picture = with_text(BLUE, "GOOD MORNING", (40, 80)).astype(float) + noise.normal(0, 3, BLUE.shape)
        stage.step(float(t_s), np.clip(picture, 0, 255).astype(np.uint8))
    assert (stage.searches, counting.read) == (1, 1)
    assert stage.visible


def test_restless_texture_is_searched_within_the_budget(engine: TextEngine) -> None:
    counting = Scripted(engine)
    stage = reader(counting)
    noise = np.random.default_rng(2)
    for t_s in range(60):
        picture = street(SIZE, seed=t_s, levels=(0, 255))
        picture = np.clip(picture.astype(float) + noise.normal(0, 40, picture.shape), 0, 255).astype(np.uint8)
        stage.step(float(t_s), picture, moving=np.ones((45, 80), bool))
    assert 5 <= stage.searches <= 60
    assert 0.3 * counting.pixels < 60 * 60 * 1000  # us: 60 ms of finding a second, those that were saved included


def test_another_reading_of_the_same_line_is_no_news(engine: TextEngine) -> None:
    scripted = Scripted(engine, "Michael Johnson", 0.97)
    stage = reader(scripted)
    assert len(stage.step(0.0, with_text(BLUE, "Michael Johnson", (40, 80)))) == 1
    scripted.says = Reading("Michae1 Johnsan", 0.95)
    other = with_text(plain((20, 60, 120), SIZE), "Michael Johnson", (40, 86))
    assert stage.step(1.0, other, new_shot=True) == []
    assert stage.searches == 2
    assert stage.visible == ("clip/text/000000000",)


def test_a_better_reading_of_text_that_faded_in_is_told(engine: TextEngine) -> None:
    scripted = Scripted(engine, "MOVIF PROJECT", 0.9)
    stage = reader(scripted)
    faint = (0.4 * with_text(BLUE, "MOVIE PROJECT", (40, 80)) + 0.6 * BLUE).astype(np.uint8)
    assert texts(stage.step(0.0, faint)) == ["MOVIF PROJECT"]
    scripted.says = Reading("MOVIE PROJECT", 0.99)
    assert texts(stage.step(1.0, with_text(BLUE, "MOVIE PROJECT", (40, 80)))) == ["MOVIE PROJECT"]


def test_doubtful_and_tiny_readings_are_not_told(engine: TextEngine) -> None:
    for text, confidence in (("SOMETHING", 0.7), ("V", 0.9), ("兴", 0.55), ("--- //", 0.99), ("abc", 0.8), ("一", 1.0)):
        scripted = Scripted(engine, text, confidence)
        assert reader(scripted).step(0.0, with_text(BLUE, "MOVIE PROJECT", (40, 80))) == [], text


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


INVOICE = ["Invoice 20931 is overdue since Tuesday", "Please call Maria Lopez about the contract", "Room 217"]
LIGHT, DARK, FAINT = ("white", "black"), ("#1e1e1e", "#d4d4d4"), ("#191919", "#505050")


@pytest.mark.parametrize(
    ("size", "letters_px", "colours"),
    [
        ((1920, 1080), 16, LIGHT),
        ((1920, 1080), 15, DARK),
        ((1920, 1080), 16, FAINT),
        ((2560, 1440), 20, DARK),
        ((3840, 2160), 28, LIGHT),
        ((3840, 2160), 32, DARK),
        ((1080, 1920), 18, LIGHT),
        ((1280, 720), 60, DARK),
    ],
)
def test_screens_are_read_as_people_have_them(
    engine: TextEngine, size: tuple[int, int], letters_px: int, colours: tuple[str, str]
) -> None:
    counting = Scripted(engine)
    told = reader(counting).step(0.0, screen(size, INVOICE, letters_px, colours))
    assert texts(told) == [" / ".join(INVOICE)]
    assert counting.pixels < 600_000


@pytest.mark.parametrize("turn", [cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE])
@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_writing_that_stands_on_its_head_or_runs_up_and_down_is_turned(
    engine: TextEngine, turn: int, colours: tuple[str, str]
) -> None:
    told = reader(engine).step(0.0, cv2.rotate(screen((960, 540), INVOICE, 22, colours), turn))
    assert texts(told) == [" / ".join(INVOICE)]


def test_a_screen_full_of_writing_is_read_in_time(engine: TextEngine) -> None:
    page = [f"{k}. {' '.join(INVOICE)} of the office at the harbour, building {k}" for k in range(30)]
    picture = screen((1920, 1080), page, 16, DARK, (40, 160))
    picture = np.where(picture == picture[0, 0], screen((1920, 1080), ["Harbour office"], 64, DARK, (40, 40)), picture)
    stage = reader(engine)
    told = texts(stage.step(0.0, picture.astype(np.uint8)))
    assert len(told) < 30  # not all of it at once
    for t_s in range(10, 60, 10):
        told += texts(stage.step(float(t_s), picture.astype(np.uint8)))
    read = " ".join(told)
    assert "Harbour office" in told
    assert sum(f"building {k}" in read for k in range(30)) >= 28


def test_a_line_that_moves_is_not_read_again(engine: TextEngine) -> None:
    counting = Scripted(engine)
    stage = reader(counting)
    for k in range(6):
        stage.step(float(k), screen((1280, 720), INVOICE, 20, DARK, (100, 400 - 37 * k)))
    assert counting.read <= 5
    assert len(stage.visible) == 1


def test_a_digit_that_changes_is_news(engine: TextEngine) -> None:
    stage = reader(engine)
    assert texts(stage.step(0.0, screen((1280, 720), ["Total 4,512.80 EUR"], 20))) == ["Total 4,512.80 EUR"]
    assert stage.step(5.0, screen((1280, 720), ["Total 4,512.80 EUR"], 20)) == []
    assert texts(stage.step(10.0, screen((1280, 720), ["Total 4,912.80 EUR"], 20))) == ["Total 4,912.80 EUR"]


@pytest.mark.parametrize("letters_px", [4, 6])
@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_writing_too_small_to_be_read_is_known_to_be_there(
    engine: TextEngine, letters_px: int, colours: tuple[str, str]
) -> None:
    stage = reader(engine)
    page = INVOICE[:2] * 4
    stage.step(0.0, screen((1280, 720), page, letters_px, colours))
    assert stage.unread
    x, y, width, height = stage.unread[0]
    assert 100 / 1280 < x < 140 / 1280
    assert 100 / 720 < y < 180 / 720
    assert width > 4 * height
    assert stage.step(1.0, plain((255, 255, 255), (1280, 720))) == []
    assert stage.unread == ()


def test_where_two_searches_of_a_picture_found_nothing_the_rest_of_it_takes_no_credit(engine: TextEngine) -> None:
    leaves = np.random.default_rng(5)
    picture = plain((60, 120, 50), (1280, 720))
    for x, y, angle, shade in zip(*leaves.integers((0, 0, 0, 20), (1280, 720, 180, 170), (9000, 4)).T, strict=True):
        colour = (int(shade), int(shade) // 2 + 60, int(shade) // 2)
        cv2.ellipse(picture, (int(x), int(y)), (6, 3), int(angle), 0, 360, colour, -1)
    counting = Scripted(engine)
    stage = reader(counting)
    stage.step(0.0, picture, new_shot=True)
    # In ms: what was saved, the small debt, and the tile that passed it. All of it would take 750.
    assert counting.searches >= 2 and 0.3e-3 * counting.pixels < 300 + 150 + 170
