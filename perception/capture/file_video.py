"""Every frame of a file's picture, in order, with exact media times, upright and with private regions blanked."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from copy import copy
from typing import Any

import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from perception.capture.display import orientation_of, pixel_aspect, upright, with_square_pixels
from perception.capture.timestamps import MendedPackets
from runtime.messages import round_time

# The small grey picture that change and motion are measured on: a person a tenth of the picture high keeps 3 pixels
# of width, and it costs 0.2 ms a 720p frame.
LUMA_SIDE_PX = 320
# Two frames further apart than this, with damage between them, leave a stretch that was not seen; so does a first frame
# that comes later than this.
_HOLE_S = 1.0
# A damaged file may fail on every packet; after this many in a row without a frame it has broken off.
_PACKETS_LOST_MAX = 600
# Stamps are told to the millisecond. A rate above this is a fault of the stamps it was computed from.
_MIN_STEP_S = 0.001
_MAX_RATE_HZ, _USUAL_STEP_S, _LONGEST_STEP_S = 1000.0, 0.04, 1.0
# Frames that a decoder marks as made of lost ones, before the first good one; a codec may mark all it gives.
_CORRUPT_MAX = 300
# A picture that lasts is shown again this often.
_HOLD_S = 1.0

Rect = tuple[float, float, float, float]


class Picture:
    """One decoded frame, as it is shown: ``aspect`` is the width of its stored pixels by their height.

    t_s     media seconds, strictly growing over a file.
    luma    uint8 (rows, columns), longest side <= LUMA_SIDE_PX, upright, private regions 0.
    lost_s  media seconds before this frame that could not be decoded; 0 as a rule.
    """

    __slots__ = ("_frame", "_mask", "_orientation", "_size", "luma", "lost_s", "t_s")

    def __init__(
        self, frame: VideoFrame, t_s: float, mask: Sequence[Rect], lost_s: float = 0.0, aspect: float = 1.0
    ) -> None:
        self.t_s = t_s
        self.lost_s = lost_s
        self._frame = frame
        self._mask = mask
        self._orientation = orientation_of(frame)
        self._size = with_square_pixels(frame.width, frame.height, aspect)
        self.luma = blank(upright(_small_luma(frame, self._size), self._orientation), mask)

    def again(self, t_s: float) -> Picture:
        """The same picture, still there at ``t_s``."""
        later = copy(self)
        later.t_s, later.lost_s = t_s, 0.0
        return later

    def bgr(self) -> np.ndarray:
        """uint8 (height, width, 3), blue-green-red, full size, upright, private regions black."""
        frame = self._frame
        # Files of HD size that do not tag their colour matrix are BT.709 by convention; swscale would assume BT.601.
        untagged_hd = frame.colorspace == 2 and frame.height >= 720 and not frame.format.is_rgb
        image: np.ndarray = frame.to_ndarray(format="bgr24", src_colorspace="ITU709" if untagged_hd else None)
        if self._size != (frame.width, frame.height):
            image = cv2.resize(image, self._size, interpolation=cv2.INTER_LINEAR)
        return blank(upright(image, self._orientation), self._mask)


def blank(image: np.ndarray, mask: Sequence[Rect]) -> np.ndarray:
    """``image`` with the rectangles [x, y, width, height] in 0..1 set to 0, every pixel they touch included."""
    if not mask:
        return image
    image = image if image.flags.writeable else image.copy()
    rows, columns = image.shape[:2]
    for x, y, width, height in mask:
        top, bottom = int(np.floor(y * rows)), int(np.ceil(min(1.0, y + height) * rows))
        left, right = int(np.floor(x * columns)), int(np.ceil(min(1.0, x + width) * columns))
        image[top:bottom, left:right] = 0
    return image


class FrameReader:
    """Decodes the picture of an open container.

    Damage is decoded through: the frame after it tells how much was lost. After the last frame ``reason`` is "end" or
    says in one line what broke, and ``end_s`` is the media time reached: of a picture that did not break off, or of
    which nothing can be decoded, the end of the recording. Players show the last one for as long as there is sound.
    """

    def __init__(
        self, container: InputContainer, stream: VideoStream, mask: Sequence[Rect] = (), threads: int = 2
    ) -> None:
        self._packets = MendedPackets(container)
        self._stream = stream
        self._mask = tuple(mask)
        rate_hz = float(stream.average_rate or 0)
        self._step_s = min(1.0 / rate_hz, _LONGEST_STEP_S) if 0 < rate_hz <= _MAX_RATE_HZ else _USUAL_STEP_S
        self._stamp_s = 0.0
        self._aspect = pixel_aspect(stream)
        self._is_midway = False
        self.reason = "end"
        self.end_s = 0.0
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads

    def seek(self, t_s: float) -> None:
        """Go on from the last frame at or before ``t_s`` that can be decoded on its own."""
        self._packets.seek(t_s)
        self._is_midway = True

    def __iter__(self) -> Iterator[Picture]:
        last_s: float | None = None
        damaged = not self._is_midway
        packets_lost = corrupt = 0
        for frame in self._decode():
            if frame is None:
                damaged = True
                packets_lost += 1
                if packets_lost > _PACKETS_LOST_MAX:
                    self.reason = "damaged: nothing more can be decoded"
                    break
                continue
            if last_s is None and frame.is_corrupt and corrupt < _CORRUPT_MAX:
                corrupt += 1
                continue
            t_s = self._time_s(frame, last_s)
            if t_s is None:
                continue
            lost_s = t_s - (last_s or 0.0) if damaged and t_s - (last_s or 0.0) > _HOLE_S else 0.0
            picture = Picture(frame, t_s, self._mask, lost_s, self._aspect)
            last_s, damaged, packets_lost = t_s, False, 0
            self.end_s = round_time(t_s + self._length_s(frame))
            yield picture
        if self.reason != "end":
            return
        if damaged and last_s is not None:
            self.reason = f"damaged after {self.end_s:.1f} s"
        else:
            self.reason = self._packets.how_it_ended(self._stream, self.end_s, "the picture")
        if self.reason == "end" or last_s is None:
            self.end_s = max(self.end_s, round_time(self._packets.end_s))

    def _decode(self) -> Iterator[VideoFrame | None]:
        """Frames in the order of display; None for each packet that could not be decoded."""
        packets = self._packets.of(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (FFmpegError, OSError) as error:
                self.reason = f"the file broke off: {_one_line(error)}"
                return
            try:
                yield from packet.decode()
            except (FFmpegError, MemoryError):
                yield None

    def _time_s(self, frame: VideoFrame, last_s: float | None) -> float | None:
        """Media time of ``frame``, after ``last_s``; None for a frame before the origin."""
        stamp = frame.pts if frame.pts is not None else frame.dts
        if stamp is None or frame.time_base is None:
            return round_time(0.0 if last_s is None else last_s + self._step_s)
        t_s = round_time(float(stamp * frame.time_base))
        stamp_step_s, self._stamp_s = t_s - self._stamp_s, t_s
        if last_s is not None and t_s < last_s + _MIN_STEP_S:
            # Stamps that stand still or hardly move: pictures pass at their usual pace, and once the stamps go on at
            # half of it until these have caught up, so that whoever samples by media time misses little of either.
            pace = 1.0 if stamp_step_s < self._step_s / 2 else 0.5
            return round_time(last_s + max(_MIN_STEP_S, pace * self._step_s))
        if last_s is not None and _MIN_STEP_S < stamp_step_s < _LONGEST_STEP_S:
            self._step_s = stamp_step_s
        if t_s < 0:  # pre-roll that a player would not show; a slightly early first frame is shown at 0
            return 0.0 if last_s is None and t_s > -self._step_s else None
        return t_s

    def _length_s(self, frame: VideoFrame) -> float:
        if frame.duration and frame.time_base is not None:
            return float(frame.duration * frame.time_base)
        return self._step_s


def read_ahead(pictures: Iterable[Picture], limit: int) -> Generator[Picture, None, None]:
    """The same pictures in the same order, decoded up to ``limit`` ahead of their reader in a thread of its own.

    Decoding and following movement cost about the same and both leave the interpreter free most of the time, so
    side by side they take little longer than one. An error comes through in its place. Close the iterator, or read
    it to its end, before the container is closed.
    """
    ready: queue.Queue[Picture | BaseException | None] = queue.Queue(limit)
    stopped = threading.Event()

    def put(item: Picture | BaseException | None) -> None:
        while not stopped.is_set():
            with suppress(queue.Full):
                ready.put(item, timeout=0.1)
                return

    def decode() -> None:
        try:
            for picture in pictures:
                put(picture)
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    decoder = threading.Thread(target=decode, name="decoder")
    decoder.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        decoder.join()


def hold(pictures: Iterable[Picture], end_s: Callable[[], float]) -> Iterator[Picture]:
    """The same pictures, each again every second until the next one comes: a recording holds no new picture while
    nothing changes, and its last one is shown until ``end_s``, asked for after it.

    What lies before a picture that was lost is not known, and not filled.
    """
    last: Picture | None = None
    for picture in pictures:
        if last is not None and not picture.lost_s:
            yield from _held(last, picture.t_s)
        last = picture
        yield picture
    if last is not None:
        yield from _held(last, end_s())


def _held(picture: Picture, until_s: float) -> Iterator[Picture]:
    newest_s = until_s - _USUAL_STEP_S
    for k in range(1, int((newest_s - picture.t_s) / _HOLD_S) + 1):
        yield picture.again(round_time(picture.t_s + k * _HOLD_S))
    if newest_s - picture.t_s > _HOLD_S and (newest_s - picture.t_s) % _HOLD_S > _USUAL_STEP_S:
        yield picture.again(round_time(newest_s))


def _small_luma(frame: VideoFrame, shown: tuple[int, int]) -> np.ndarray:
    """The frame's brightness, uint8, longest side <= LUMA_SIDE_PX, without converting the whole frame."""
    width, height = shown
    scale = min(1.0, LUMA_SIDE_PX / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    plane = _luma_plane(frame)
    if plane is None:
        return frame.reformat(*size, format="gray").to_ndarray()
    # Striding first leaves less than 4 pixels to average for each one kept: a tenth of the cost of averaging all.
    stride = max(1, int(1 / scale) // 2)
    small, shift = plane[::stride, ::stride], max(0, frame.format.components[0].bits - 8)
    if shift:
        small = (small >> shift).astype(np.uint8)
    if (small.shape[1], small.shape[0]) == size:
        return np.ascontiguousarray(small)
    return cv2.resize(np.ascontiguousarray(small), size, interpolation=cv2.INTER_AREA)


def _luma_plane(frame: VideoFrame) -> np.ndarray | None:
    """A view of plane 0 where that is plain luma, one sample a pixel; None for packed, RGB or palette formats."""
    layout = frame.format
    first = layout.components[0]
    plain = layout.is_planar or layout.name.startswith("gray")
    if not plain or layout.is_rgb or layout.has_palette or not first.is_luma or layout.is_big_endian:
        return None
    if layout.name.startswith("p0") or layout.name.startswith("p2") or layout.name.startswith("p4") or first.bits > 16:
        return None  # samples in the high bits, or floats
    sample = np.dtype(np.uint8 if first.bits == 8 else np.uint16)
    if first.bits < 8:
        return None
    plane: Any = frame.planes[first.plane]
    rows = np.frombuffer(plane, sample).reshape(-1, plane.line_size // sample.itemsize)
    return rows[: frame.height, : frame.width]


def _one_line(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())
