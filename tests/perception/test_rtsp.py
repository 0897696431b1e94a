"""A camera that speaks RTSP, on the loopback network: watched, lost, found again, and told of where it cannot be."""

from __future__ import annotations

import time

import numpy as np
import pytest

from perception.capture.camera import Shot, open_picture
from perception.capture.reopening import CaptureFailed
from runtime.config import LiveConfig
from runtime.messages import SourceOpened
from runtime.sources import parse_source
from tests.fixtures.live_world import SIZE, World, watching
from tests.fixtures.loopback import Loopback, moving_square
from tests.fixtures.rtsp_loopback import RtspServer

LIVE = LiveConfig(open_s=10.0, stall_s=10.0)


def take(where: str, n: int) -> list[Shot]:
    began_s = time.monotonic()
    capture = open_picture(parse_source(f"door={where}"), LIVE, lambda: time.monotonic() - began_s)
    try:
        return [capture.read() for _ in range(n)]
    finally:
        capture.close()


def test_pictures_come_whole_and_by_the_stamps_of_the_camera() -> None:
    """Of 20 pictures a second, each in several packets, on the media clock as they were sent."""
    draw = moving_square(SIZE)
    with Loopback(draw, rate_hz=20.0, clip_s=1.0) as camera, RtspServer(camera) as server:
        shots = take(server.url(), 25)
    assert np.diff([shot.t_s for shot in shots[5:]]).tolist() == pytest.approx([0.05] * 19, abs=0.02)
    drawn = [draw(k / 20.0).astype(int) for k in range(20)]
    for shot in shots:
        decoded = shot.frame().to_ndarray(format="bgr24").astype(int)
        assert min(np.abs(decoded - picture).mean() for picture in drawn) < 8


@pytest.mark.anyio
async def test_a_camera_whose_server_ends_is_found_again_and_the_time_without_it_is_a_gap() -> None:
    with Loopback(moving_square(SIZE), rate_hz=10.0, clip_s=1.0) as camera:
        first = RtspServer(camera)
        port = first.port

        async def then(world: World) -> None:
            with first:
                await world.until(lambda: world.observations("frame"))
            await world.until(lambda: any("refused" in note for note in world.notes))
            await world.until(lambda: world.observations("gap"))
            seen = len(world.observations("frame"))
            with RtspServer(camera, port):
                await world.until(lambda: len(world.observations("frame")) > seen + 1)

        world = await watching(first.url(), then)
    assert [message.kind for message in world.sent if isinstance(message, SourceOpened)] == ["stream"]
    frames = world.observations("frame")
    gaps = [gap for gap in world.observations("gap") if gap.t0_s >= frames[0].t0_s]  # one more is before the first
    assert [gap.t1_s for gap in gaps[:-1]] == [gap.t0_s for gap in gaps[1:]]
    assert not [frame for frame in frames if gaps[0].t0_s < frame.t0_s < gaps[-1].t1_s]
    assert frames[-1].t0_s >= gaps[-1].t1_s
    assert "refused" in gaps[-1].text
    assert len([note for note in world.notes if "cannot be seen" in note]) >= 1


def test_a_wrong_path_a_closed_port_and_a_locked_camera_are_told_apart_in_one_line() -> None:
    with Loopback(moving_square(SIZE), rate_hz=10.0, clip_s=1.0) as camera:
        with RtspServer(camera) as server, pytest.raises(CaptureFailed) as wrong:
            take(server.url("/back"), 1)
        with pytest.raises(CaptureFailed) as refused:
            take(server.url(), 1)
        with RtspServer(camera, credentials=("me", "secret")) as server, pytest.raises(CaptureFailed) as locked:
            take(server.url(), 1)
    assert "nothing under this address (404)" in str(wrong.value)
    assert "refused; is it switched on?" in str(refused.value)
    assert "user name and password" in str(locked.value)
    assert not any("\n" in str(error.value) for error in (wrong, refused, locked))


def test_a_camera_that_has_only_udp_is_watched() -> None:
    draw = moving_square(SIZE)
    with Loopback(draw, rate_hz=10.0, clip_s=1.0) as camera, RtspServer(camera, over_udp=True) as server:
        shots = take(server.url(), 12)
        transports = [asked for asked in server.asked if asked.startswith("RTP/AVP")]
    assert "TCP" in transports[0], "complete pictures are preferred"
    drawn = [draw(k / 10.0).astype(int) for k in range(10)]
    whole = [shot.frame().to_ndarray(format="bgr24").astype(int) for shot in shots]
    assert sum(min(np.abs(seen - picture).mean() for picture in drawn) < 8 for seen in whole) >= 10


@pytest.mark.parametrize("password", ["p#ss", "p/ss", "p?ss", "p@ss", "p:ss", "p%ss", "p+ss"])
def test_a_password_works_as_it_is_written(password: str) -> None:
    camera = Loopback(moving_square(SIZE), rate_hz=10.0, clip_s=1.0)
    with camera, RtspServer(camera, credentials=("me", password)) as server:
        assert take(server.url(credentials=f"me:{password}@"), 1)
        told = [asked for asked in server.asked if not asked.startswith("Basic ")]
    assert not any(password in asked for asked in told), "it goes nowhere but where it belongs"


def test_a_refused_password_is_told_as_refused_and_not_told() -> None:
    camera = Loopback(moving_square(SIZE), rate_hz=10.0, clip_s=1.0)
    with camera, RtspServer(camera, credentials=("me", "secret")) as server, pytest.raises(CaptureFailed) as refused:
        take(server.url(credentials="me:hunter/2@"), 1)
    assert "refuses this user name and password" in str(refused.value)
    assert "hunter" not in str(refused.value)
