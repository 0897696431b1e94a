"""A playable clip of stretches of a source: cut from its recording, or from the footage or the pictures kept of it.

What comes out is an MP4 every browser plays (H.264 and AAC), exact to the frame, its index in front, private regions
black. It is encoded anew: a copy of packets could begin only where a picture stands by itself, seconds earlier, and
could neither leave a stretch out nor blank a region.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import msgspec
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.error import FFmpegError
from av.video.frame import VideoFrame
from msgspec import Struct

from perception.capture.file import audio_stream, open_container, video_stream
from perception.capture.file_video import FrameReader, Rect
from perception.capture.fingerprint import has_grown, is_recording
from perception.capture.timestamps import MendedPackets
from runtime.errors import MediaError

LONGEST_PX = 1280
# A picture is shown again this often where none is newer, so that a player can jump within a still scene.
AGAIN_S = 1.0
FRAME_S = 0.04
SOUND_HZ = 48_000
# What packets' stamps are apart from where the samples before them end; more is a hole.
_JITTER_S = 0.06
_CLOCK_HZ = 90_000
# By preference; the last is in every FFmpeg.
_ENCODERS = {"libx264": {"preset": "veryfast", "crf": "24"}, "libopenh264": {}, "mpeg4": {}}
# Times are kept to the millisecond, and a seek to a keyframe that lies a little later goes beyond it.
SEEK_LATE_S = (0.0, 0.02, 0.05)
# How far before a stretch the sound is sought: a decoder needs to settle.
_SETTLE_S = 1.0


class Piece(Struct, frozen=True):
    """A media file and where it lies: its own second 0 is media second ``at_s`` of the source."""

    path: str
    at_s: float = 0.0


class ClipOrder(Struct, frozen=True, kw_only=True):
    """What to make a clip of.

    stretches    (t0_s, t1_s) of media time in order, shown one after the other.
    pieces       the recording, or what was kept of a stream, in order of time.
    fingerprint  the recording must have it still; "" asks for none.
    sound        what is heard instead of the pieces' own sound: of the microphone that listened beside.
    pictures     (t_s, JPEG) kept of the source, in order: shown where there is no piece.
    mask         private regions [x, y, width, height] in 0..1.
    container    "mp4", or as FFmpeg calls another.
    """

    stretches: tuple[tuple[float, float], ...]
    out: str
    pieces: tuple[Piece, ...] = ()
    sound: tuple[Piece, ...] = ()
    fingerprint: str = ""
    pictures: tuple[tuple[float, bytes], ...] = ()
    mask: tuple[Rect, ...] = ()
    threads: int = 1
    container: str = "mp4"


class ClipMade(Struct, frozen=True):
    """What the clip holds."""

    duration_s: float
    pictures: int
    has_sound: bool


def cut(order: ClipOrder) -> ClipMade:
    """Make the clip ``order.out``.

    Raises:
        MediaError: the recording is gone, another one by now or damaged, or there is nothing to show of it.
    """
    if order.fingerprint:
        (piece,) = order.pieces
        _check_same(piece.path, order.fingerprint)
    out = Path(order.out)
    try:
        made = _write(order)
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    if not made.pictures and not made.has_sound:
        out.unlink(missing_ok=True)
        raise MediaError("nothing is kept of that stretch: neither a recording, nor footage, nor a picture")
    return made


def still(order: ClipOrder) -> bytes:
    """The picture at the begin of an order's stretch, whole, as JPEG.

    Raises:
        MediaError: as for `cut`, or there is no picture then.
    """
    if order.fingerprint:
        _check_same(order.pieces[0].path, order.fingerprint)
    newest: Any = None
    for late_s in SEEK_LATE_S:
        later = tuple((t0_s + late_s, t1_s + late_s) for t0_s, t1_s in order.stretches)
        for _, image in _pictures(msgspec.structs.replace(order, stretches=later), 0):
            newest = image
        if newest is not None:
            break
    if newest is None:
        raise MediaError("it shows no picture then")
    coded, jpeg = cv2.imencode(".jpg", newest, [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert coded
    return bytes(jpeg.tobytes())


def _check_same(path: str, wanted: str) -> None:
    try:
        is_same = is_recording(path, wanted) or has_grown(path, wanted)
    except OSError as error:
        raise MediaError(f"the recording {path} cannot be read: {error.strerror}") from None
    if not is_same:
        raise MediaError(f"{path} is another recording by now than the one that was perceived")


def _write(order: ClipOrder) -> ClipMade:
    """Encode everything, picture and sound side by side in the order of time."""
    shown, heard_s = 0, 0.0
    index_first = {"movflags": "+faststart"} if order.container == "mp4" else {}
    with av.open(order.out, "w", format=order.container, options=index_first) as out:
        picture_out: Any = None
        first = next(_pictures(order, LONGEST_PX), None)
        if first is not None:
            picture_out = _picture_stream(out, first[1].shape, order.threads)
        has_sound = any(_has_sound(piece) for piece in order.sound or order.pieces)
        sound_out: Any = out.add_stream("aac", rate=SOUND_HZ, layout="stereo") if has_sound else None
        if picture_out is None and sound_out is None:
            # A container without a track cannot be closed.
            picture_out = _picture_stream(out, (16, 16, 3), 1)
            out.mux(picture_out.encode(_frame(np.zeros((16, 16, 3), np.uint8), 0.0)))
            out.mux(picture_out.encode(None))
            return ClipMade(0.0, 0, False)
        pictures = ((t_s, 0, image) for t_s, image in (_pictures(order, LONGEST_PX) if picture_out else ()))
        sound = ((t_s, 1, samples) for t_s, samples in (_sound(order) if sound_out else ()))
        last_s = -1.0
        for t_s, kind, item in heapq.merge(pictures, sound, key=lambda entry: entry[:2]):
            if kind == 0 and t_s > last_s:
                out.mux(picture_out.encode(_frame(_fitted(item, picture_out), t_s)))
                shown, last_s = shown + 1, t_s
            elif kind == 1:
                frame = AudioFrame.from_ndarray(np.ascontiguousarray(item), format="fltp", layout="stereo")
                frame.sample_rate, frame.pts = SOUND_HZ, round(t_s * SOUND_HZ)
                frame.time_base = Fraction(1, SOUND_HZ)
                out.mux(sound_out.encode(frame))
                heard_s = t_s + item.shape[1] / SOUND_HZ
        for stream in filter(None, (picture_out, sound_out)):
            out.mux(stream.encode(None))
    return ClipMade(round(max(heard_s, last_s + FRAME_S), 3), shown, heard_s > 0)


def _picture_stream(out: Any, shape: Sequence[int], threads: int) -> Any:
    name = next(name for name in _ENCODERS if name in av.codecs_available)
    stream = out.add_stream(name, rate=25, options=_ENCODERS[name])
    stream.width, stream.height, stream.pix_fmt = shape[1], shape[0], "yuv420p"
    stream.codec_context.time_base = Fraction(1, _CLOCK_HZ)
    stream.codec_context.thread_count = threads
    # A player that jumps waits for no more than this.
    stream.codec_context.gop_size = 50
    return stream


def _frame(image: np.ndarray, t_s: float) -> VideoFrame:
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24").reformat(format="yuv420p")
    frame.pts, frame.time_base = round(t_s * _CLOCK_HZ), Fraction(1, _CLOCK_HZ)
    return frame


def _fitted(image: np.ndarray, stream: Any) -> np.ndarray:
    """The picture in the size of the clip: one of another size is put in its middle."""
    if image.shape[:2] == (stream.height, stream.width):
        return image
    scale = min(stream.width / image.shape[1], stream.height / image.shape[0])
    small = cv2.resize(image, (max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale))))
    fitted = np.zeros((stream.height, stream.width, 3), np.uint8)
    top, left = (stream.height - small.shape[0]) // 2, (stream.width - small.shape[1]) // 2
    fitted[top : top + small.shape[0], left : left + small.shape[1]] = small
    return fitted


def _pictures(order: ClipOrder, longest_px: int) -> Iterator[tuple[float, np.ndarray]]:
    """(second of the clip, picture), growing: one at the begin of each stretch, one at its end, all between."""
    begun_s = 0.0
    for t0_s, t1_s in order.stretches:
        held: np.ndarray | None = None
        shown_s = -1.0
        for t_s, image in _source_pictures(order, t0_s, t1_s):
            if t_s > t0_s and held is not None:
                for at_s in _again(shown_s, t0_s, t_s - FRAME_S):
                    yield begun_s + at_s - t0_s, held
                    shown_s = at_s
            held = _shrunk(image, longest_px)
            if t_s >= t0_s:
                yield begun_s + t_s - t0_s, held
                shown_s = t_s
        if held is not None:
            for at_s in _again(shown_s, t0_s, t1_s - FRAME_S):
                yield begun_s + at_s - t0_s, held
                shown_s = at_s
            if t1_s - FRAME_S > shown_s:
                yield begun_s + t1_s - FRAME_S - t0_s, held
        begun_s += t1_s - t0_s


def _again(shown_s: float, t0_s: float, until_s: float) -> Iterator[float]:
    """When the picture that is there is shown again: at the begin of the stretch, and every while after it was."""
    at_s = t0_s if shown_s < 0 else shown_s + AGAIN_S
    while at_s < until_s or at_s == t0_s:
        yield at_s
        at_s += AGAIN_S


def _source_pictures(order: ClipOrder, t0_s: float, t1_s: float) -> Iterator[tuple[float, np.ndarray]]:
    """(media second, picture) of a stretch, from the last picture at or before its begin on."""
    if not order.pieces:
        earlier = [entry for entry in order.pictures if entry[0] <= t0_s][-1:]
        for t_s, jpeg in [*earlier, *(entry for entry in order.pictures if t0_s < entry[0] < t1_s)]:
            image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            if image is not None:
                yield t_s, _even(image)
        return
    for piece in order.pieces:
        if piece.at_s >= t1_s:
            return
        with open_container(piece.path) as container:
            stream = video_stream(container)
            if stream is None:
                continue
            reader = FrameReader(container, stream, order.mask, order.threads)
            if t0_s > piece.at_s:
                reader.seek(t0_s - piece.at_s)
            before: Any = None
            for picture in reader:
                t_s = piece.at_s + picture.t_s
                if t_s >= t1_s:
                    break
                if t_s <= t0_s:
                    before = picture
                    continue
                if before is not None:
                    yield piece.at_s + before.t_s, _even(before.bgr())
                    before = None
                yield t_s, _even(picture.bgr())
            if before is not None:
                yield piece.at_s + before.t_s, _even(before.bgr())


def _even(image: np.ndarray) -> np.ndarray:
    """H.264 halves the colour planes: an odd row or column goes."""
    return image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]


def _shrunk(image: np.ndarray, longest_px: int) -> np.ndarray:
    scale = longest_px / max(image.shape[:2]) if longest_px else 1.0
    if scale >= 1.0:
        return image
    size = (round(image.shape[1] * scale) // 2 * 2, round(image.shape[0] * scale) // 2 * 2)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _has_sound(piece: Piece) -> bool:
    with open_container(piece.path) as container:
        return audio_stream(container) is not None


def _sound(order: ClipOrder) -> Iterator[tuple[float, np.ndarray]]:
    """(second of the clip, float32 (2, samples) at 48 kHz): each stretch filled from its begin to its end."""
    begun_s = 0.0
    for t0_s, t1_s in order.stretches:
        at, end = 0, round((t1_s - t0_s) * SOUND_HZ)
        for piece in order.sound or order.pieces:
            for t_s, samples in _piece_sound(piece, t0_s, t1_s):
                place = round((t_s - t0_s) * SOUND_HZ)
                if place > at + _JITTER_S * SOUND_HZ:
                    yield begun_s + at / SOUND_HZ, np.zeros((2, min(place, end) - at), np.float32)
                    at = min(place, end)
                elif abs(place - at) <= _JITTER_S * SOUND_HZ:
                    place = at
                part = samples[:, max(0, at - place) : max(0, end - place)]
                if part.shape[1]:
                    yield begun_s + at / SOUND_HZ, part
                    at += part.shape[1]
        if at < end:
            yield begun_s + at / SOUND_HZ, np.zeros((2, end - at), np.float32)
        begun_s += t1_s - t0_s


def _piece_sound(piece: Piece, t0_s: float, t1_s: float) -> Iterator[tuple[float, np.ndarray]]:
    """(media second, samples) of what of a file may lie in a stretch."""
    if piece.at_s >= t1_s:
        return
    with open_container(piece.path) as container:
        stream = audio_stream(container)
        if stream is None:
            return
        packets = MendedPackets(container)
        if t0_s > piece.at_s:
            packets.seek(max(0.0, t0_s - piece.at_s - _SETTLE_S))
        resampler = AudioResampler("fltp", "stereo", SOUND_HZ)
        with suppress(FFmpegError, OSError):  # damaged from there on: silence
            for packet in packets.of(stream):
                for frame in _decoded(packet):
                    if frame.pts is None or frame.time_base is None:
                        continue
                    t_s = piece.at_s + float(frame.pts * frame.time_base)
                    if t_s >= t1_s:
                        return
                    if t_s + frame.samples / frame.sample_rate <= t0_s:
                        continue
                    frame.pts = None
                    for resampled in resampler.resample(frame):
                        yield t_s, resampled.to_ndarray()
                        t_s += resampled.samples / SOUND_HZ


def _decoded(packet: Any) -> list[AudioFrame]:
    """The sound in a packet; a damaged one has none."""
    try:
        return [frame for frame in packet.decode() if isinstance(frame, AudioFrame)]
    except (FFmpegError, MemoryError):
        return []
