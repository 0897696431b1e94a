"""A media file: what it holds, how it is opened, and the one clock its picture and sound share."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream
from msgspec import Struct

from perception.capture.display import Orientation, orientation_of, pixel_aspect, with_square_pixels
from perception.capture.fingerprint import fingerprint
from perception.capture.timestamps import JOINED_AT_WILL, MendedPackets
from runtime.errors import MediaError

FOR_OTHERS = Disposition.comment | Disposition.karaoke | Disposition.visual_impaired | Disposition.hearing_impaired

# Playlists name other files and addresses; only the recordings themselves are perceived.
_PLAYLISTS = frozenset({"hls", "concat", "dash", "imf", "sdp", "rtsp"})
# A decoder may swallow some packets before its first frame (reordering, one frame per thread), and all up to the first
# keyframe of what was cut between two: ten seconds at 60 pictures a second, and as many again.
_TRIAL_PACKETS = 1200
# FFmpeg guesses how long a broadcast is from its first and last stamps, which tells nothing of one joined of parts: it
# is read through, unless that takes long.
_READ_THROUGH_BYTES_MAX = 1 << 30
# Cameras without a set clock stamp 1904 or 1970; no video file is that old.
_EARLIEST_WALL_S = datetime(1980, 1, 1, tzinfo=UTC).timestamp()
_MP4_FAMILY = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"})


class MediaInfo(Struct, frozen=True, kw_only=True):
    """What a file holds.

    fingerprint     what tells it from others (perception.capture.fingerprint).
    duration_s      None where the container does not say.
    started_wall_s  Unix seconds: creation time in the container, else modification time minus duration.
    width, height   as displayed, that is turned and with square pixels; 0 without a picture.
    rotation        degrees counter-clockwise that the picture is turned by for display: 0, 90, 180, 270.
    missing         what it lacks, in words; "" when it has both tracks.
    """

    path: str
    fingerprint: str
    duration_s: float | None
    started_wall_s: float
    has_video: bool
    has_audio: bool
    width: int = 0
    height: int = 0
    fps: float = 0.0
    video_codec: str = ""
    rotation: int = 0
    missing: str = ""


def probe(path: str | os.PathLike[str]) -> MediaInfo:
    """What the file at ``path`` holds, having decoded its first frame to be sure.

    Raises:
        MediaError: it cannot be perceived; one line says why and what to do.
    """
    name = os.fspath(path)
    size, modified_s = _check_readable(name)
    with open_container(name) as container:
        video = video_stream(container)
        audio = audio_stream(container)
        missing = _missing(container, video, audio)
        if video is None and audio is None:
            raise MediaError(f"{name}: {missing or 'it holds neither picture nor sound'}; convert it with ffmpeg first")
        frame, packets = _first_frame(container, video if video is not None else audio)
        if frame is None and packets and not (video is not None and _can_be_heard(name)):
            raise MediaError(f"{name}: nothing in it can be decoded (damaged?); re-encode it or fetch it again")
        if frame is None:
            lacks = "a picture that cannot be decoded" if packets else "no samples"
            missing = "; ".join(filter(None, (missing, lacks)))
        duration_s = _duration_s(container, size)
        width = height = rotation = 0
        if video is not None:
            context = video.codec_context
            width, height = with_square_pixels(context.width, context.height, pixel_aspect(video))
            orientation = orientation_of(frame) if frame is not None else Orientation()
            rotation = orientation.rotation_deg
            if orientation.transposed:
                width, height = height, width
        return MediaInfo(
            path=name,
            fingerprint=fingerprint(name),
            duration_s=duration_s,
            started_wall_s=_creation_wall_s(container) or modified_s - (duration_s or 0.0),
            has_video=video is not None,
            has_audio=audio is not None,
            width=width,
            height=height,
            fps=float(video.average_rate or 0) if video is not None else 0.0,
            video_codec=video.codec_context.name if video is not None else "",
            rotation=rotation,
            missing=missing,
        )


@contextlib.contextmanager
def open_container(path: str | os.PathLike[str]) -> Iterator[InputContainer]:
    """The file opened for decoding; closed on exit.

    The explicit ``file:`` keeps names with a colon or a leading dash from being read as anything else, and the
    protocol list keeps a crafted container from reaching the network.

    Raises:
        MediaError: it is no media file, its index is missing, or it is a playlist.
    """
    name = os.fspath(path)
    try:
        container = av.open(f"file:{name}", options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except (FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{name}: {_why_not_open(name, error)}") from error
    with container:
        if _PLAYLISTS & set(container.format.name.split(",")):
            raise MediaError(
                f"{name}: a playlist ({container.format.name}), not a recording; give the media file itself"
            )
        yield container


def video_stream(container: InputContainer) -> VideoStream | None:
    """The picture to watch: the best decodable one that is no cover art; None without any."""
    moving = [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic
    ]
    best = container.streams.best("video")
    return next(
        (stream for stream in moving if best is not None and stream.index == best.index), next(iter(moving), None)
    )


def audio_stream(container: InputContainer) -> Any | None:
    """The sound to listen to, None without a decodable one: what the file marks as default, then the one
    with the highest sampling rate and most channels; commentary and descriptions only if there is nothing else."""
    decodable = [stream for stream in container.streams.audio if stream.codec_context is not None]
    return max(decodable, key=_worth, default=None)


def _worth(stream: Any) -> tuple[bool, bool, int, int, int]:
    context = stream.codec_context
    default = bool(stream.disposition & Disposition.default)
    return not stream.disposition & FOR_OTHERS, default, context.sample_rate or 0, context.channels or 0, -stream.index


def _check_readable(name: str) -> tuple[int, float]:
    """Size in bytes and modification time of a readable regular file."""
    try:
        status = os.stat(name)
    except FileNotFoundError:
        raise MediaError(f"{name}: no such file; check the path") from None
    except PermissionError:
        raise MediaError(f"{name}: no permission to look into its folder; check the owner or run chmod") from None
    except (OSError, ValueError) as error:
        raise MediaError(f"{name}: cannot be opened ({getattr(error, 'strerror', None) or error})") from None
    if stat.S_ISDIR(status.st_mode):
        raise MediaError(f"{name}: a directory; give a media file in it")
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(f"{name}: not a regular file; give a recorded media file")
    if not os.access(name, os.R_OK):
        raise MediaError(f"{name}: no permission to read it; check the owner or run chmod")
    if status.st_size == 0:
        raise MediaError(f"{name}: empty (0 bytes); the recording or copy failed, fetch it again")
    return status.st_size, status.st_mtime


def _why_not_open(name: str, error: Exception) -> str:
    """What is wrong with a file the demuxers refuse."""
    if isinstance(error, PermissionError):
        return "no permission to read it; check the owner or run chmod"
    boxes = _mp4_boxes(name)
    if boxes and "moov" not in boxes:
        return (
            "its index (moov) is missing: the recording was cut off before it was finished; recover or record it again"
        )
    if boxes:
        return "damaged: its index points outside the file or cannot be read; fetch it again"
    return "not a media file, or damaged beyond reading; give a video or audio file"


def _mp4_boxes(name: str) -> list[str]:
    """Names of the top-level boxes if the file is of the MP4 family, else nothing (ISO/IEC 14496-12, 4.2)."""
    names: list[str] = []
    try:
        size = os.path.getsize(name)
        with open(name, "rb") as file:
            offset = 0
            while offset + 8 <= size and len(names) < 64:
                file.seek(offset)
                header = file.read(16)
                length, kind = int.from_bytes(header[:4], "big"), header[4:8]
                if not names and kind not in _MP4_FAMILY:
                    return []
                names.append(kind.decode("latin-1"))
                if length == 1:
                    length = int.from_bytes(header[8:16], "big")
                if length < 8:  # 0 means "to the end of the file"; less is damage
                    break
                offset += length
    except OSError:
        return names
    return names


def _missing(container: InputContainer, video: Any, audio: Any) -> str:
    """What the container lacks, in words."""
    words = []
    if video is None:
        pictures = container.streams.video
        undecodable = [stream for stream in pictures if stream.codec_context is None]
        if undecodable:
            words.append("no decoder for its picture")
        else:
            words.append("no picture, only a cover image" if pictures else "no picture")
    if audio is None:
        words.append("no decoder for its sound" if container.streams.audio else "no audio track")
    return "; ".join(words)


def _first_frame(container: InputContainer, stream: Any) -> tuple[Any, int]:
    """The stream's first decodable frame (None without any) and how many packets were tried for it."""
    packets = 0
    try:
        for packet in container.demux(stream):
            packets += packet.size > 0
            with contextlib.suppress(FFmpegError):
                frames = packet.decode()
                if frames:
                    return frames[0], packets
            if packets >= _TRIAL_PACKETS:
                break
    except FFmpegError:
        return None, max(packets, 1)
    return None, packets


def _can_be_heard(name: str) -> bool:
    """Whether sound can be decoded of a file whose picture cannot, as of a piece that holds no keyframe."""
    with open_container(name) as container:
        audio = audio_stream(container)
        return audio is not None and _first_frame(container, audio)[0] is not None


def _duration_s(container: InputContainer, size: int) -> float | None:
    if container.format.flags & JOINED_AT_WILL and size <= _READ_THROUGH_BYTES_MAX:
        with open_container(container.name.removeprefix("file:")) as anew:
            return MendedPackets(anew).read_through() or None
    if container.duration and container.duration > 0:
        return float(container.duration / av.time_base)
    lengths = [float(s.duration * s.time_base) for s in container.streams if s.duration and s.time_base]
    return max(lengths) if lengths else None


def _creation_wall_s(container: InputContainer) -> float | None:
    """Unix time at which the recording began as the container tells it; None if it does not, or lies."""
    text = container.metadata.get("creation_time") or container.metadata.get("date") or ""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if len(text.strip()) <= 10:  # a mere date is no time of day
        return None
    wall_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return wall_s if wall_s >= _EARLIEST_WALL_S else None
