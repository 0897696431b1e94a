"""Footage of live sources: a stream's own packets on the media clock; what is masked or forgotten is not in it."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from perception.capture import footage as keeping
from perception.capture.blank_footage import BlankFootage
from perception.capture.clip import ClipOrder, Piece, cut
from runtime.config import parse_config
from runtime.footage import segment_name, segments
from runtime.messages import Citation, Forgotten, MaskRequest, Notice, TimeWindow
from tests.fixtures.drawn_recording import draw_recording, shown_in
from tests.fixtures.live_world import FILMED, QUICK, SIZE, World, watching
from tests.fixtures.loopback import Loopback, beeps

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def short_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "SEGMENT_S", 1.0)


def clock_face(t_s: float) -> Any:
    """A picture whose grey level tells the second of the clip it is of, 40 a second, the right half brighter."""
    picture = np.full((SIZE[1], SIZE[0], 3), 20 + 40 * int(t_s % 4), np.uint8)
    picture[:, SIZE[0] // 2 :] += 60
    return picture


def finished(root: Path) -> list[Any]:
    return [segment for segment in segments(root) if not segment.is_open]


async def test_a_streams_packets_are_kept_as_they_come_with_their_sound_and_play_at_their_time(tmp_path: Path) -> None:
    with Loopback(clock_face, rate_hz=10.0, clip_s=4.0, sound=beeps(4.0)) as camera:

        async def then(world: World) -> None:
            await world.until(lambda: len(finished(tmp_path)) >= 4)

        world = await watching(camera.url("ts"), then, footage=tmp_path)
        began_s = camera.began_s - world.clock.epoch_s
    kept = finished(tmp_path)
    assert {segment.source for segment in kept} == {FILMED}
    with av.open(str(kept[0].path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.audio[0].codec_context.name == "aac"
        assert container.streams.video[0].codec_context.width == SIZE[0], "as it came, not encoded anew"
    for before, after in itertools.pairwise(kept):
        assert after.t0_s - before.t1_s < 0.5
    # A clip of it shows what the camera showed then: by its own clock, to a third of a second on a busy machine.
    t0_s = kept[1].t0_s
    pieces = tuple(Piece(str(segment.path), segment.t0_s) for segment in kept)
    out = tmp_path / "clip.mp4"
    cut(ClipOrder(stretches=((t0_s, t0_s + 1.5),), out=str(out), pieces=pieces))
    for t_s, image in shown_in(out):
        shown = (float(image[SIZE[1] // 2, SIZE[0] // 4].mean()) - 20) / 40
        due = [((t0_s + t_s - began_s + slack) % 4) // 1 for slack in (-0.35, 0.0, 0.35)]
        assert round(shown) in due, (t_s, shown, due)


async def test_where_regions_are_private_no_packet_is_kept_and_the_pictures_are_black_there(tmp_path: Path) -> None:
    with Loopback(clock_face, rate_hz=10.0, clip_s=4.0) as camera:

        async def then(world: World) -> None:
            await world.until(lambda: finished(tmp_path))
            raw = {segment.path for segment in segments(tmp_path)}
            await world.handlers[MaskRequest](MaskRequest(mask=((0.0, 0.0, 0.5, 1.0),)))
            # What was being written showed what is private now.
            assert not [segment for segment in segments(tmp_path) if segment.is_open and segment.path in raw]
            await world.until(lambda: len({s.path for s in finished(tmp_path)} - raw) >= 2)
            world.masked = [s for s in finished(tmp_path) if s.path not in raw]  # type: ignore[attr-defined]

        world = await watching(camera.url("ts"), then, footage=tmp_path)
    for segment in world.masked:  # type: ignore[attr-defined]
        for _, image in shown_in(segment.path):
            assert image[:, : SIZE[0] // 2 - 16].max() < 24 < image[:, SIZE[0] // 2 + 16 :].min()


async def test_what_was_kept_before_a_region_was_private_is_black_there_soon_after(tmp_path: Path) -> None:
    with Loopback(clock_face, rate_hz=10.0, clip_s=4.0, sound=beeps(4.0)) as camera:

        async def then(world: World) -> None:
            await world.until(lambda: len(finished(tmp_path)) >= 2)
            await world.handlers[MaskRequest](MaskRequest(mask=((0.0, 0.0, 0.5, 1.0),)))
            world.raw = finished(tmp_path)  # type: ignore[attr-defined]
            await world.until(lambda: (tmp_path / FILMED / "blanked.json").exists())

        world = await watching(camera.url("ts"), then, footage=tmp_path)
    for segment in world.raw:  # type: ignore[attr-defined]
        shown = shown_in(segment.path)
        assert len(shown) >= 5
        for _, image in shown:
            assert image[:, : SIZE[0] // 2 - 16].max() < 24 < image[:, SIZE[0] // 2 + 16 :].min()
        with av.open(str(segment.path)) as container:
            assert container.streams.audio
    assert not list((tmp_path / FILMED).glob("*.part"))


def test_footage_is_blanked_once_in_all_sessions_and_what_cannot_be_is_deleted(tmp_path: Path) -> None:
    earlier, root = FILMED.replace("30T", "29T"), tmp_path
    for source in (earlier, "yard@2026-11-29T10:00:00"):
        (root / source).mkdir()
        draw_recording(root / source / "x.mp4", length_s=2).rename(root / source / segment_name(0.0, 2.0))
    (root / earlier / segment_name(5.0, 6.0)).write_bytes(b"no film")
    whole = ((0.0, 0.0, 1.0, 1.0),)
    blanking = BlankFootage(root, "door", threading.Lock(), logging.getLogger())
    blanking.want(whole)
    blanking.join()
    (kept,) = segments(root, earlier)
    assert max(image.max() for _, image in shown_in(kept.path)) < 24
    (others,) = segments(root, "yard@2026-11-29T10:00:00")
    assert max(image.max() for _, image in shown_in(others.path)) > 30
    blanked_at = kept.path.stat().st_ino
    again = BlankFootage(root, "door", threading.Lock(), logging.getLogger())
    again.want(whole)
    again.join()
    assert kept.path.stat().st_ino == blanked_at


async def test_a_camera_without_packets_is_kept_small_and_a_few_a_second(tmp_path: Path) -> None:
    class Capture:
        def isOpened(self) -> bool:
            return True

        def set(self, key: int, value: float) -> None: ...

        def get(self, key: int) -> float:
            return 0.0

        def read(self) -> tuple[bool, Any]:
            time.sleep(0.02)  # as a camera of 50 pictures a second
            return True, np.full((480, 1280, 3), 90, np.uint8)

        def release(self) -> None: ...

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cv2, "VideoCapture", lambda device, backend: Capture())
        patched.setattr("os.access", lambda path, mode: True)

        async def then(world: World) -> None:
            await world.until(lambda: len(finished(tmp_path)) >= 2)

        await watching("/dev/null", then, footage=tmp_path)
    shown = shown_in(finished(tmp_path)[0].path)
    assert shown[0][1].shape == (240, 640, 3)
    assert 3 <= len(shown) <= 7


async def test_what_was_forgotten_is_let_go_of_while_it_is_written_and_begins_anew_after_it(tmp_path: Path) -> None:
    with Loopback(clock_face, rate_hz=10.0, clip_s=4.0) as camera:

        async def then(world: World) -> None:
            await world.until(lambda: finished(tmp_path))
            await world.until(lambda: any(segment.is_open for segment in segments(tmp_path)))
            until_s = world.clock.now() + 0.5
            window = TimeWindow(source=FILMED, t0_s=0.0, t1_s=until_s)
            await world.handlers[Forgotten](Forgotten(windows=(window,)))
            assert not any(segment.is_open for segment in segments(tmp_path))
            before = len(finished(tmp_path))
            await world.until(lambda: len(finished(tmp_path)) > before)
            assert finished(tmp_path)[-1].t0_s > until_s

        await watching(camera.url("ts"), then, footage=tmp_path)


async def test_a_notice_marks_what_it_is_of(tmp_path: Path) -> None:
    with Loopback(clock_face, rate_hz=10.0, clip_s=4.0) as camera:

        async def then(world: World) -> None:
            await world.until(lambda: world.observations("frame"))
            cited = Citation(source=FILMED, t0_s=50.0, t1_s=51.0, channel="object", text="a person", id="x")
            await world.notice.send(Notice(id="q1/x", query="q1", text="A person appears.", citation=cited))
            await world.until(lambda: list((tmp_path / FILMED / "marks").glob("*")))

        await watching(camera.url("ts"), then, footage=tmp_path)
    assert [path.name for path in (tmp_path / FILMED / "marks").iterdir()] == ["000040000-000061000"]


async def test_a_profile_that_keeps_none_keeps_none_and_takes_away_what_was_kept(tmp_path: Path) -> None:
    old = tmp_path / FILMED.replace("30T", "29T")
    old.mkdir()
    (old / "000000000-000010000.mkv").write_bytes(b"x")
    config = parse_config({"perception": {**QUICK["perception"], "live": {"footage": {"mib": 0}}}}, "test")
    with Loopback(clock_face, rate_hz=10.0, clip_s=4.0) as camera:

        async def then(world: World) -> None:
            await world.until(lambda: len(world.observations("frame")) > 2)

        await watching(camera.url("ts"), then, config, footage=tmp_path)
    assert segments(tmp_path) == []
