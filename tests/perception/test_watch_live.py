"""Watching live, from a camera on the loopback network and through fakes of OpenCV: outages, sizes, slow looks."""

from __future__ import annotations

import threading
from typing import Any

import cv2
import numpy as np
import pytest

from perception.capture.camera import Camera, Screen
from perception.capture.microphone import load_sounddevice
from perception.capture.reopening import CaptureFailed, CaptureOver, CaptureThread, Inbox
from runtime.config import LiveConfig, parse_config
from runtime.messages import (
    FrameFacts,
    LookReply,
    LookRequest,
    Observation,
    Progress,
    SourceEnded,
    SourceOpened,
    observation_id,
)
from tests.fixtures.drawn_clips import decoded
from tests.fixtures.live_world import QUICK, SIZE, World, watching
from tests.fixtures.loopback import Loopback, moving_square

pytestmark = pytest.mark.anyio


async def test_a_stream_is_watched_and_what_was_missed_is_a_gap_before_it_goes_on() -> None:
    with Loopback(moving_square(SIZE), rate_hz=10.0, clip_s=1.0) as camera:

        async def then(world: World) -> None:
            await world.until(lambda: world.observations("frame"))
            camera.pause()
            await world.until(lambda: any("cannot be seen" in note for note in world.notes))
            await world.until(lambda: world.observations("gap"))
            seen = len(world.observations("frame"))
            camera.resume()
            await world.until(lambda: len(world.observations("frame")) > seen + 1)

        world = await watching(camera.url("mjpeg"), then)
    opened, ended = world.sent[0], world.sent[-1]
    assert isinstance(opened, SourceOpened)
    assert opened.kind == "stream"
    assert isinstance(ended, SourceEnded)
    assert "stopped sending" in world.observations("gap")[-1].text
    assert len({o.id for o in world.sent if isinstance(o, Observation)}) == sum(
        isinstance(m, Observation) for m in world.sent
    )
    reached_s = 0.0
    for message in world.sent:
        if isinstance(message, Progress):
            reached_s = message.t_s
        elif isinstance(message, Observation):
            assert message.t1_s > reached_s - 0.001


async def test_in_a_pause_the_source_is_closed_and_nothing_looked_at_and_its_time_is_not_told_as_an_outage() -> None:
    with Loopback(moving_square(SIZE), rate_hz=10.0, clip_s=1.0) as camera:

        async def then(world: World) -> None:
            await world.until(lambda: len(world.observations("frame")) > 1)
            world.paused = True
            await world.until(lambda: not camera.connected)
            began_s, seen = world.clock.now(), len(world.observations("frame"))
            await world.until(lambda: any(p.t_s > began_s + 1.0 for p in world.progress()))
            assert len(world.observations("frame")) <= seen + 1  # the look that was under way
            world.paused = False
            await world.until(lambda: len(world.observations("frame")) > seen + 2)

        world = await watching(camera.url("mjpeg"), then)
        assert camera.connections == 2
    assert not [note for note in world.notes if "cannot be seen" in note]
    assert not [gap for gap in world.observations("gap") if "stopped sending" in gap.text]


async def test_looks_that_wait_are_given_at_once_to_a_model_that_gains_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from perception.vision.layout import LayoutEncoder
    from perception.vision.pipeline import FrameAnalyser

    monkeypatch.setattr(LayoutEncoder, "batch", 4)
    first, given, step = threading.Event(), list[int](), FrameAnalyser.step

    def count(self: Any, *looks: Any) -> Any:
        given.append(len(looks))
        first.wait(20.0)
        return step(self, *looks)

    monkeypatch.setattr(FrameAnalyser, "step", count)
    with Loopback(moving_square(SIZE), rate_hz=20.0, clip_s=1.0) as camera:

        async def then(world: World) -> None:
            await world.until(lambda: world.drops["look:busy"])
            first.set()
            await world.until(lambda: len(world.observations("frame")) >= 5)

        world = await watching(camera.url("mjpeg"), then)
    assert given[:2] == [1, 4]
    times = [frame.t0_s for frame in world.observations("frame")]
    assert times == sorted(set(times))


async def test_a_picture_that_changes_its_size_is_watched_on() -> None:
    with Loopback(moving_square(SIZE), rate_hz=10.0, clip_s=1.0) as camera:

        async def then(world: World) -> None:
            await world.until(lambda: world.observations("frame"))
            camera.show(moving_square((160, 120)))
            await world.until(lambda: world.observations("frame")[-1].facts(FrameFacts).width == 160)

        world = await watching(camera.url("mjpeg"), then)
    assert world.observations("frame")[0].facts(FrameFacts).width == 320
    assert not [note for note in world.notes if "cannot" in note]


async def test_a_slow_look_costs_looks_and_never_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    from perception.vision.pipeline import FrameAnalyser

    slow = threading.Event()
    step = FrameAnalyser.step

    def hang(self: Any, *looks: Any) -> Any:
        slow.wait(20.0)
        return step(self, *looks)

    monkeypatch.setattr(FrameAnalyser, "step", hang)
    with Loopback(moving_square(SIZE), rate_hz=20.0, clip_s=1.0) as camera:

        async def then(world: World) -> None:
            await world.until(lambda: world.counters.get("frames", 0) > 60)
            assert not world.observations("frame")
            slow.set()
            await world.until(lambda: len(world.observations("frame")) >= 2)

        world = await watching(camera.url("mjpeg"), then)
    assert world.drops["look:busy"] > 0


async def look(world: World) -> LookReply:
    reply: LookReply = await world.handlers[LookRequest](LookRequest())
    return reply


async def test_whoever_asks_sees_the_next_picture_whole_and_it_is_remembered_as_what_it_is() -> None:
    still = np.zeros((720, 1000, 3), np.uint8)
    still[:, :500] = (40, 40, 200)
    vision = {**QUICK["perception"]["vision"], "mask": [[0.8, 0.0, 0.2, 1.0]]}
    masked = parse_config({"perception": {**QUICK["perception"], "vision": vision}}, "test")
    replies: list[LookReply] = []
    with Loopback(lambda t_s: still, rate_hz=10.0, clip_s=1.0) as camera:

        async def then(world: World) -> None:
            await world.until(lambda: world.observations("frame"))
            for _ in range(2):
                replies.append(await look(world))
            await world.until(lambda: {r.t_s for r in replies} <= {o.t0_s for o in world.observations("frame")})

        world = await watching(camera.url("mjpeg"), then, masked)
    first, second = replies
    assert first.source == "door@now"
    assert first.paused_since_s is None
    assert first.t_s < second.t_s <= second.now_s
    shown = decoded(second.jpeg)
    assert shown.shape == (720, 1000, 3)
    assert shown[:, 850:].max() < 30  # the private region
    asked = next(o for o in world.observations("frame") if o.t0_s == second.t_s)
    # A still scene is looked at every ten seconds: these were looked at because somebody asked.
    assert asked.facts(FrameFacts).reason == "asked"
    assert decoded(asked.payload).shape[1] == 384


async def test_in_a_pause_and_while_a_source_is_away_there_is_nothing_to_see_and_nobody_waits() -> None:
    with Loopback(moving_square(SIZE), rate_hz=10.0, clip_s=1.0) as camera:

        async def then(world: World) -> None:
            await world.until(lambda: world.observations("frame"))
            world.paused = True
            paused = await look(world)
            assert (paused.jpeg, paused.paused_since_s) == (b"", 0.0)
            world.paused = False
            camera.pause()
            await world.until(lambda: any("cannot be seen" in note for note in world.notes))
            away = await look(world)
            assert (away.jpeg, away.paused_since_s) == (b"", None)
            assert away.now_s > 0
            camera.resume()

        await watching(camera.url("mjpeg"), then)


async def test_a_glance_takes_a_free_moment_and_no_progress_overtakes_what_it_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from perception.vision.pipeline import FrameAnalyser, FrameSelector, QuickDetection

    step = FrameSelector.step

    def attend(self: Any, picture: Any, asked: bool = False) -> Any:
        return step(self, picture, asked) or [QuickDetection(picture, ())]

    def tell(self: Any, glance: QuickDetection) -> list[Observation]:
        t_s = glance.picture.t_s
        identity = observation_id("door@now", "object", t_s)
        return [Observation(id=identity, source="door@now", channel="object", t0_s=t_s, t1_s=t_s)]

    monkeypatch.setattr(FrameSelector, "step", attend)
    monkeypatch.setattr(FrameAnalyser, "glance", tell)
    with Loopback(moving_square(SIZE), rate_hz=20.0, clip_s=1.0) as camera:

        async def then(world: World) -> None:
            await world.until(lambda: len(world.observations("object")) >= 20 and len(world.progress()) >= 2)

        world = await watching(camera.url("mjpeg"), then)
    told = [
        m.t1_s if isinstance(m, Observation) else m.t_s for m in world.sent if isinstance(m, Observation | Progress)
    ]
    assert told == sorted(told)


async def test_a_camera_that_is_not_there_is_one_clear_line_and_tried_again() -> None:
    async def then(world: World) -> None:
        await world.until(lambda: world.notes)

    world = await watching("/dev/video97", then)
    assert "no camera /dev/video97" in world.notes[0]


class FakeCamera:
    """Stands in for cv2.VideoCapture: gives ``pictures`` and then fails, as an unplugged camera does."""

    pictures = 3

    def __init__(self, device: object, backend: int) -> None:
        self.left = self.pictures

    def isOpened(self) -> bool:
        return True

    def set(self, what: int, value: float) -> bool:
        return True

    def get(self, what: int) -> float:
        return 640.0

    def read(self) -> tuple[bool, Any]:
        self.left -= 1
        return (True, np.zeros((48, 64, 3), np.uint8)) if self.left >= 0 else (False, None)

    def release(self) -> None:
        pass


def test_an_unplugged_camera_fails_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    camera = Camera("/dev/null", LiveConfig(), lambda: 1.0)
    assert [camera.read().size for _ in range(3)] == [(64, 48)] * 3
    with pytest.raises(CaptureFailed, match="/dev/null stopped sending"):
        camera.read()


def test_a_source_that_fails_is_opened_again_and_a_hopeless_one_is_not() -> None:
    opened = 0
    inbox: Inbox[int] = Inbox(100, lambda: None)

    class Numbers:
        about = "numbers"

        def read(self) -> int:
            if opened == 1:
                raise CaptureFailed("went away")
            raise CaptureOver("no more")

        def close(self) -> None:
            pass

    def open_numbers() -> Numbers:
        nonlocal opened
        opened += 1
        return Numbers()

    thread = CaptureThread(open_numbers, inbox, 0.001, 0.001)
    thread.start()
    while not (taken := inbox.take(5.0)).over:
        pass
    thread.stop()
    assert (opened, taken.over) == (2, "no more")


def test_only_the_newest_picture_waits_and_the_others_are_counted() -> None:
    drops: list[int] = []
    inbox: Inbox[int] = Inbox(1, lambda: drops.append(1))
    inbox.opened("")
    for k in range(5):
        inbox.put(k)
    assert inbox.take(0.0).item == 4
    assert (len(drops), inbox.captured) == (4, 5)
    assert inbox.take(0.0).item is None


def test_without_a_display_the_screen_is_given_up_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("XDG_SESSION_TYPE", raising=False)
    with pytest.raises(CaptureOver, match="DISPLAY is not set"):
        Screen(1, LiveConfig(), lambda: 0.0)
    monkeypatch.setenv("XDG_SESSION_TYPE", "wayland")
    with pytest.raises(CaptureOver, match="Wayland"):
        Screen(1, LiveConfig(), lambda: 0.0)


def test_without_portaudio_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(CaptureOver, match="libportaudio2"):
        load_sounddevice()
