"""Colours are named as people name them, told with their place; the descriptor tells pictures apart."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from perception.vision.colours import main_colour, name_pixels, shares
from perception.vision.describe import ENCODERS
from perception.vision.layout import LAYOUT_DIMENSIONS, LayoutEncoder, place_of
from runtime.config import VisionConfig
from tests.fixtures.drawn_clips import plain, street

NAMED = {
    "ff0000": "red", "8b0000": "red", "dc143c": "red", "b22222": "red", "702020": "red", "ff8000": "orange",
    "ffa500": "orange", "ffff00": "yellow", "ffd700": "yellow", "daa520": "yellow", "00ff00": "green",
    "006400": "green", "808000": "green", "6b8e23": "green", "90ee90": "green", "00ffff": "turquoise",
    "40e0d0": "turquoise", "008080": "turquoise", "0000ff": "blue", "000080": "blue", "87ceeb": "blue",
    "4169e1": "blue", "1e3a5f": "blue", "800080": "purple", "8a2be2": "purple", "4b0082": "purple",
    "9370db": "purple", "ee82ee": "pink", "ffc0cb": "pink", "ff69b4": "pink", "f8e4ec": "pink", "8b4513": "brown",
    "654321": "brown", "5a3a2a": "brown", "d2b48c": "beige", "e8d0a8": "beige", "808080": "grey", "c0c0c0": "grey",
    "708090": "grey", "404040": "grey", "202020": "black", "000000": "black", "0a0a14": "black", "ffffff": "white",
    "f5f5dc": "white", "f0f0f5": "white",
}  # fmt: skip


def cosine(one: bytes, other: bytes) -> float:
    return float(np.frombuffer(one, "<f2").astype(float) @ np.frombuffer(other, "<f2").astype(float))


@pytest.mark.parametrize(("code", "name"), sorted(NAMED.items()))
def test_a_colour_has_its_everyday_name(code: str, name: str) -> None:
    red, green, blue = (int(code[i : i + 2], 16) for i in (0, 2, 4))
    assert shares(name_pixels(plain((blue, green, red)))) == [(name, 1.0)]


def test_a_coloured_thing_in_shadow_and_shine_keeps_its_colour() -> None:
    cup = np.concatenate([plain((150, 40, 30))[:80], plain((10, 10, 10))[:60], plain((250, 250, 250))[:60]])
    assert main_colour(cup) == "blue"


def test_colours_are_told_with_their_place_largest_first() -> None:
    picture = plain((220, 190, 240))  # pink sky
    picture[150:] = (60, 160, 60)  # green meadow
    picture[180:220, 30:70] = (200, 60, 20)  # something blue on it
    described = LayoutEncoder().describe([picture])[0]
    assert [name for name, _ in described.colours][:2] == ["pink", "green"]
    assert described.colours[0][1] == pytest.approx(0.625, abs=0.02)
    assert described.regions["top"] == "pink"
    assert described.regions["bottom"] == "green"
    assert ("blue", "bottom left") in [(name, place) for name, place, _ in described.patches]
    assert "pink" in described.text
    assert "a blue patch at the bottom left" in described.text


def test_black_and_white_pictures_are_called_so() -> None:
    assert LayoutEncoder().describe([plain((0, 0, 0))])[0].text == "a black picture"
    assert LayoutEncoder().describe([plain((255, 255, 255))])[0].text == "a white picture"
    assert LayoutEncoder().describe([plain((0, 128, 255))])[0].text == "an orange picture"
    assert LayoutEncoder().describe([plain((255, 255, 255))])[0].brightness == 1.0


def test_the_vector_is_of_unit_length_and_documented_size() -> None:
    encoder = ENCODERS["layout"](VisionConfig(), 1)
    for picture in (street(), plain((0, 0, 0)), plain((9, 200, 30), (1, 1)), plain((9, 200, 30), (2, 700))):
        vector = np.frombuffer(encoder.describe([picture])[0].vector, "<f2").astype(float)
        assert vector.shape == (LAYOUT_DIMENSIONS,) == (encoder.dimensions,)
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=0.01)


def test_the_same_scene_is_near_and_another_far() -> None:
    encoder = LayoutEncoder()
    scene, other = plain((200, 120, 60)), plain((40, 60, 160))
    scene[120:] = (60, 120, 60)
    other[:, 160:] = (200, 200, 220)
    noise = np.random.default_rng(1).normal(0, 6, scene.shape)
    again = np.clip(cv2.GaussianBlur(scene, (5, 5), 0) + noise, 0, 255).astype(np.uint8)
    first, second, third = (described.vector for described in encoder.describe([scene, again, other]))
    assert cosine(first, second) > 0.9
    assert cosine(first, third) < 0.6


def test_places_are_the_ninths_of_a_picture() -> None:
    assert [place_of(x, y) for x, y in ((0.1, 0.1), (0.5, 0.5), (0.9, 0.5), (0.5, 0.95), (1.0, 1.0))] == [
        "top left",
        "centre",
        "right",
        "bottom",
        "bottom right",
    ]
