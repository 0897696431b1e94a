"""Keyframes: a base rate, more for what is new, new shots at their time, and hardly any of a still scene."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import cast

import cv2
import numpy as np

from perception.capture.file_video import Picture
from perception.vision.keyframes import Keyframe, KeyframeOptions, KeyframeSelector
from tests.fixtures.drawn_clips import at_rate, plain, street

SIZE = (320, 180)


def select(pictures: Iterable[tuple[float, np.ndarray]], options: KeyframeOptions | None = None) -> list[Keyframe]:
    selector = KeyframeSelector(options or KeyframeOptions())
    chosen = []
    for t_s, bgr in pictures:
        luma = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
        chosen += selector.step(cast(Picture, SimpleNamespace(t_s=round(t_s, 3), luma=luma)))
    return chosen + selector.finish()


def times(keyframes: list[Keyframe]) -> list[float]:
    return [keyframe.picture.t_s for keyframe in keyframes]


def walking(t: float) -> np.ndarray:
    """A street with something dark that crosses it in 10 s."""
    picture = street(SIZE)
    x = int(t * 30)
    picture[80:130, x : x + 20] = 20
    return picture


def test_a_lively_scene_is_looked_at_once_a_second() -> None:
    chosen = select(at_rate(25, 5, walking))
    assert times(chosen) == [0.0, 1.0, 2.0, 3.0, 4.0, 4.96]
    assert [keyframe.reason for keyframe in chosen] == ["first", "base", "base", "base", "base", "last"]
    assert not any(keyframe.still for keyframe in chosen)
    assert all(keyframe.motion > 0.003 for keyframe in chosen[1:])
    assert chosen[-1].motion_at is not None
    assert chosen[-1].motion_at[0] > chosen[1].motion_at[0]  # type: ignore[index]


def test_how_long_a_still_scene_lasted_is_seen_by_its_last_picture() -> None:
    def slides(t: float) -> np.ndarray:
        return street(SIZE, seed=int(t / 6.5))

    chosen = select(at_rate(5, 14, slides))
    assert [(k.picture.t_s, k.reason, k.still) for k in chosen] == [
        (0.0, "first", False),
        (6.4, "last", True),
        (6.6, "cut", False),
        (12.8, "last", True),
        (13.0, "cut", False),
        (13.8, "last", True),
    ]
    assert chosen[1].motion == 0.0


def test_a_still_scene_is_looked_at_only_every_still_interval() -> None:
    noise = np.random.default_rng(3)

    def noisy(t: float) -> np.ndarray:
        return np.clip(street(SIZE) + noise.normal(0, 3, (SIZE[1], SIZE[0], 3)), 0, 255).astype(np.uint8)

    chosen = select(at_rate(5, 32, noisy))
    assert times(chosen) == [0.0, 10.0, 20.0, 30.0, 31.8]
    assert all(keyframe.still for keyframe in chosen[1:])


def test_a_short_event_in_a_still_scene_is_seen() -> None:
    def flash_card(t: float) -> np.ndarray:
        picture = street(SIZE)
        if 4.2 <= t < 4.8:
            picture[40:140, 100:220] = 255
        return picture

    chosen = select(at_rate(25, 8, flash_card))
    seen = [keyframe for keyframe in chosen if 4.2 <= keyframe.picture.t_s < 4.8]
    assert seen
    assert seen[0].picture.t_s <= 4.24
    assert seen[0].reason in ("novelty", "cut", "base")


def test_the_smallest_gap_between_looks_is_kept() -> None:
    random = np.random.default_rng(5)
    chosen = select(at_rate(50, 4, lambda t: plain(tuple(random.integers(0, 255, 3)), SIZE)))
    gaps = np.diff([keyframe.picture.t_s for keyframe in chosen if keyframe.reason != "cut"])
    assert gaps.min() >= 0.199


def test_a_cut_is_a_keyframe_at_its_first_frame() -> None:
    first, second = street(SIZE, 1), street(SIZE, 2)
    chosen = select(at_rate(25, 6, lambda t: first if t < 2.48 else second))
    cuts = [keyframe for keyframe in chosen if keyframe.transition]
    assert [(keyframe.picture.t_s, keyframe.transition) for keyframe in cuts] == [(2.48, "cut")]


def test_a_flash_is_one_event_and_not_two_new_shots() -> None:
    scene = street(SIZE, 1)
    chosen = select(at_rate(25, 6, lambda t: plain((255, 255, 255), SIZE) if 2.4 <= t < 2.6 else scene))
    assert sum(bool(keyframe.transition) for keyframe in chosen) <= 1


def test_a_dissolve_is_one_new_shot_when_it_is_over() -> None:
    first, second = (street(SIZE, seed, (10, 240)).astype(float) for seed in (1, 2))

    def dissolve(t: float) -> np.ndarray:
        share = float(np.clip((t - 3.0) / 1.0, 0, 1))
        return ((1 - share) * first + share * second).astype(np.uint8)

    chosen = select(at_rate(25, 8, dissolve))
    shots = [(keyframe.picture.t_s, keyframe.transition) for keyframe in chosen if keyframe.transition]
    assert [transition for _, transition in shots] == ["dissolve"]
    assert 3.8 <= shots[0][0] <= 4.6


def test_fades_out_and_in_are_new_pictures() -> None:
    scene = street(SIZE, 1).astype(float)

    def fade(t: float) -> np.ndarray:
        light = max(float(np.clip(1 - (t - 2), 0, 1)), float(np.clip(t - 5, 0, 1)))
        return (light * scene).astype(np.uint8)

    shots = [keyframe for keyframe in select(at_rate(25, 8, fade)) if keyframe.transition]
    assert [keyframe.transition for keyframe in shots] == ["fade", "fade"]
    assert 2.5 <= shots[0].picture.t_s <= 3.2
    assert 5.3 <= shots[1].picture.t_s <= 6.3


def test_a_pan_is_no_new_shot() -> None:
    wide = street((1600, 180), 4)
    chosen = select(at_rate(25, 6, lambda t: wide[:, int(40 * t) : int(40 * t) + 320]))
    assert not any(keyframe.transition for keyframe in chosen)


def test_the_only_picture_is_a_keyframe() -> None:
    chosen = select([(0.0, street(SIZE))])
    assert [keyframe.reason for keyframe in chosen] == ["first"]


def test_pictures_of_one_pixel_are_taken() -> None:
    chosen = select(at_rate(10, 3, lambda t: plain((0, 0, 0), (1, 1))))
    assert times(chosen) == [0.0, 2.9]


def test_a_picture_somebody_asks_for_is_looked_at_and_the_next_look_counts_from_there() -> None:
    selector = KeyframeSelector(KeyframeOptions())
    assert selector.look() == []
    chosen = []
    for i in range(51):
        luma = cv2.cvtColor(walking(i / 25), cv2.COLOR_BGR2GRAY)
        stepped = selector.step(cast(Picture, SimpleNamespace(t_s=i / 25, luma=luma)))
        chosen += stepped or (selector.look() if i == 20 else [])
    assert [(k.picture.t_s, k.reason) for k in chosen] == [(0.0, "first"), (0.8, "asked"), (1.8, "base")]
