"""What is marked in a picture is where that picture shows it, however long ago it was looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest

from perception.vision.detector import overlap
from perception.vision.in_sight import InSight, find_again, sight
from perception.vision.motion import Box, MotionTracker
from perception.vision.objects import ObjectFinder, ObjectOptions
from runtime.config import parse_config
from runtime.language.vocabulary import load_vocabulary
from runtime.messages import LookReply, Marked, PreviewRequest
from tests.fixtures.drawn_clips import at_rate, street
from tests.fixtures.drawn_recording import decoded
from tests.fixtures.drawn_things import DrawnDetector
from tests.fixtures.live_world import QUICK, World, watching
from tests.fixtures.loopback import Loopback, moving_square

pytestmark = pytest.mark.anyio

WIDTH, HEIGHT = 320, 240
RED, BLUE, SIDE = (30, 30, 200), (160, 30, 10), 40
BEGINS_S, CROSSES_S = 4.0, 4.0


def scene(t_s: float) -> np.ndarray:
    """A street with a blue thing that stands at the right, and a red one that crosses it from the left."""
    picture = street((WIDTH, HEIGHT))
    picture[20:60, 250:290] = BLUE
    if (x := left_px(t_s)) is not None:
        picture[120 : 120 + SIDE, max(0, x) : max(0, x + SIDE)] = RED
    return picture


def left_px(t_s: float) -> int | None:
    share = (t_s - BEGINS_S) / CROSSES_S
    return round(share * (WIDTH + SIDE)) - SIDE if 0 <= share < 1 else None


def marked(
    draw: Callable[[float], np.ndarray], until_s: float, detector: DrawnDetector, every_s: float = 1.0
) -> Iterator[tuple[float, tuple[Marked, ...]]]:
    """What is marked in each of ten pictures a second, of which one in ``every_s`` is looked at."""
    tracker = MotionTracker()
    finder = ObjectFinder(ObjectOptions(source="clip", faces=False), load_vocabulary(), detector)
    seen: tuple[InSight, ...] = ()
    looked_s = -every_s
    for t_s, bgr in at_rate(10, until_s, draw):
        luma = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
        tracker.step(t_s, luma, new_shot=looked_s < 0)
        if t_s - looked_s >= every_s:
            finder.step(t_s, bgr, tracker.things(), tracker.take_gone(), new_shot=looked_s < 0)
            looked_s, seen = t_s, sight(finder.shown, t_s, luma)
        yield t_s, find_again(seen, tracker.places(t_s), luma)


def test_what_moves_is_marked_where_it_is_between_two_looks() -> None:
    detector = DrawnDetector({RED: {"person": 0.9}, BLUE: {"chair": 0.9}})
    shown = 0
    for t_s, things in marked(scene, BEGINS_S + CROSSES_S - 0.5, detector):
        for thing in things:
            if thing.name == "person":
                x = left_px(t_s)
                assert x is not None
                assert overlap(thing.box, box_of(x, 120)) >= 0.6, t_s
                shown += 1
    assert shown >= 12  # once two looks have agreed on its name


def test_what_stands_is_marked_while_it_is_to_be_seen_and_no_longer() -> None:
    def covered(t_s: float) -> np.ndarray:
        picture = scene(0.0)
        if t_s >= 3.5:
            picture[:] = (90, 140, 90)
        return picture

    times = [t_s for t_s, things in marked(covered, 6.0, DrawnDetector({BLUE: {"chair": 0.9}}), 3.0) if things]
    # It is looked at at 0 and 3 s; the picture in which it is covered comes between two looks.
    assert times and max(times) == pytest.approx(3.4)


def box_of(x: int, y: int) -> Box:
    return x / WIDTH, y / HEIGHT, SIDE / WIDTH, SIDE / HEIGHT


async def test_whoever_watches_a_live_source_gets_boxes_of_the_picture_they_come_with() -> None:
    vision = {**QUICK["perception"]["vision"], "motion": True}
    config = parse_config({"perception": {**QUICK["perception"], "vision": vision}}, "test")
    replies: list[LookReply] = []
    there = moving_square((WIDTH, HEIGHT))
    with Loopback(lambda t_s: there(t_s if t_s < 4.0 else 7.9 - t_s), rate_hz=10.0, clip_s=7.9) as camera:

        async def then(world: World) -> None:
            await world.until(lambda: world.observations("frame"))
            while len([reply for reply in replies if reply.marked]) < 5:
                replies.append(await world.handlers[PreviewRequest](PreviewRequest(width_px=WIDTH)))

        await watching(camera.url("mjpeg"), then, config)
    for reply in replies:
        for thing in reply.marked:
            picture = decoded(reply.jpeg).astype(int)
            x, y, width, height = cv2.boundingRect((picture[:, :, 2] - picture[:, :, 0] > 90).astype(np.uint8))
            assert "red" in thing.name
            assert overlap(thing.box, (x / WIDTH, y / HEIGHT, width / WIDTH, height / HEIGHT)) >= 0.5
