"""Live pictures: a camera of this machine, a stream from the network, the screen."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame
from msgspec import Struct

from perception.capture.device_clock import DeviceClock
from perception.capture.reopening import Capture, CaptureFailed, CaptureOver, Now
from perception.capture.stream import StreamReader
from runtime.config import LiveConfig
from runtime.sources import LiveSource


class Shot(Struct, frozen=True):
    """A picture as it was captured: uint8 (height, width, 3) blue-green-red, or as its codec gave it; media seconds.

    aspect  width of its pixels by their height.
    """

    image: np.ndarray | VideoFrame
    t_s: float
    aspect: float = 1.0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        if isinstance(self.image, VideoFrame):
            return self.image.width, self.image.height
        return int(self.image.shape[1]), int(self.image.shape[0])

    def frame(self) -> VideoFrame:
        if isinstance(self.image, VideoFrame):
            return self.image
        return VideoFrame.from_ndarray(np.ascontiguousarray(self.image), format="bgr24")


# Takes a packet, the tracks beside it, its time stamp by the sender's clock, and media time of that.
Keep = Callable[[Any, list[Any], float | None, float], None]


def _keep_none(packet: Any, streams: list[Any], stamp_s: float | None, t_s: float) -> None:
    """What comes is not kept."""


def open_picture(source: LiveSource, live: LiveConfig, now: Now, keep: Keep = _keep_none) -> Capture[Shot]:
    """Open the picture of a live source. ``now`` gives media seconds; ``keep`` is called with the packets of a stream,
    as `perception.capture.footage.FootageKeeper.packet` is.

    Raises:
        CaptureFailed, CaptureOver: it cannot be opened; for now, or at all.
    """
    match source.kind:
        case "camera":
            return Camera(source.address, live, now)
        case "screen":
            return Screen(int(source.address), live, now)
        case _:
            return StreamPicture(source, live, now, keep)


class Camera:
    """A camera of this machine, through OpenCV and Video4Linux."""

    def __init__(self, path: str, live: LiveConfig, now: Now) -> None:
        self._path = path
        self._now = now
        device = Path(os.path.realpath(path))
        if not device.exists():
            raise CaptureFailed(f"no camera {path}; connected: {', '.join(cameras()) or 'none'}")
        if not os.access(device, os.R_OK | os.W_OK):
            raise CaptureFailed(f"no permission to use {path}; add yourself to the group that owns it (often: video)")
        # How long a read waits for a camera that hangs; OpenCV's own ten seconds are too long to be called live.
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(max(1, round(live.stall_s))))
        number = device.name.removeprefix("video")
        self._capture: Any = cv2.VideoCapture(int(number) if number.isdigit() else str(device), cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise CaptureFailed(f"{path} cannot be opened: it is no camera, or another program uses it")
        # Compressed, as most cameras only so reach their full rate; one that cannot keeps its own format.
        self._capture.set(cv2.CAP_PROP_FOURCC, float(cv2.VideoWriter.fourcc(*"MJPG")))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, float(live.camera_width_px))
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, float(live.camera_height_px))
        self._capture.set(cv2.CAP_PROP_FPS, live.camera_hz)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1.0)

    @property
    def about(self) -> str:
        width, height = (self._capture.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        return f"{width:.0f}x{height:.0f} at {self._capture.get(cv2.CAP_PROP_FPS):.0f} pictures/s"

    def read(self) -> Shot:
        read, image = self._capture.read()
        if not read or image is None:
            gone = "" if Path(os.path.realpath(self._path)).exists() else ": it was unplugged"
            raise CaptureFailed(f"the camera {self._path} stopped sending{gone}")
        return Shot(image, self._now())

    def close(self) -> None:
        self._capture.release()


def cameras() -> list[str]:
    """Paths of the cameras of this machine."""
    found = []
    for entry in sorted(Path("/sys/class/video4linux").glob("video*"), key=lambda path: (len(path.name), path.name)):
        try:
            index = (entry / "index").read_text(encoding="ascii").strip()
        except OSError:
            continue
        if index == "0":  # a camera's further nodes carry its metadata
            found.append(f"/dev/{entry.name}")
    return found


def why_no_screen() -> str:
    """Why no screen can be captured, in one line; "" if one can."""
    if os.environ.get("XDG_SESSION_TYPE") == "wayland":
        return "the screen cannot be captured under Wayland; log in to an Xorg session"
    return "" if os.environ.get("DISPLAY") else "there is no screen here: DISPLAY is not set"


class Screen:
    """A screen of this machine, looked at ``screen_hz`` times a second."""

    def __init__(self, number: int, live: LiveConfig, now: Now) -> None:
        import mss
        import mss.exception

        if why := why_no_screen():
            raise CaptureOver(why)
        self._failure = mss.exception.ScreenShotError
        try:
            self._screens = mss.MSS()
            monitors = self._screens.monitors  # the first is all of them together
        except self._failure as error:
            raise CaptureFailed(f"the screen cannot be captured: {error}") from error
        if not 1 <= number < len(monitors):
            self._screens.close()
            raise CaptureFailed(f"no screen {number}; there are {len(monitors) - 1}")
        self._monitor = monitors[number]
        self._now = now
        self._period_s = 1.0 / live.screen_hz
        self._due_s = now()

    @property
    def about(self) -> str:
        return f"{self._monitor['width']}x{self._monitor['height']} at {1 / self._period_s:g} pictures/s"

    def read(self) -> Shot:
        time.sleep(max(0.0, self._due_s - self._now()))
        self._due_s = max(self._due_s + self._period_s, self._now())
        try:
            image = np.array(self._screens.grab(self._monitor))[:, :, :3]
        except self._failure as error:
            raise CaptureFailed(f"the screen cannot be captured: {error}") from error
        return Shot(image, self._now())

    def close(self) -> None:
        self._screens.close()


class StreamPicture:
    """The picture of a stream from the network."""

    def __init__(
        self,
        source: LiveSource,
        live: LiveConfig,
        now: Now,
        keep: Keep = _keep_none,
    ) -> None:
        self._reader = StreamReader(source, "video", live, now)
        self._clock = DeviceClock()
        self._shots = self._decoded()
        streams = self._reader.streams

        def kept(packet: Any, stamp_s: float | None) -> None:
            arrival_s = now()
            keep(packet, streams, stamp_s, arrival_s if stamp_s is None else min(self._clock.at(stamp_s), arrival_s))

        self._reader.on_packet = kept

    @property
    def about(self) -> str:
        return self._reader.about

    def read(self) -> Shot:
        return next(self._shots)

    def close(self) -> None:
        self._reader.close()

    def _decoded(self) -> Iterator[Shot]:
        for received in self._reader.received():
            stamp_s, arrival_s = received.stamp_s, received.arrival_s
            if isinstance(received.frame, VideoFrame):
                t_s = arrival_s if stamp_s is None else min(self._clock.at(stamp_s), arrival_s)
                yield Shot(received.frame, t_s, self._reader.pixel_aspect)
            elif stamp_s is not None:
                self._clock.step(stamp_s, arrival_s)
