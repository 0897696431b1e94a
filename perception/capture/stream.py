"""A stream from the network: opened, demultiplexed and decoded, on the media clock by its own time stamps.

Picture and sound of a stream are read by two processes over a connection each. Both put the time stamps of all
packets on their clock, not only of those they decode, so that both find the same least delay, and a picture and the
sound of one moment get the same media time.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import av
import av.error
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from msgspec import Struct

from perception.capture.display import pixel_aspect
from perception.capture.file import audio_stream, video_stream
from perception.capture.reopening import CaptureFailed, CaptureOver
from runtime.config import LiveConfig
from runtime.messages import Track
from runtime.sources import LiveSource

# Where these demultiplexers say when, they count frames at an assumed rate: only the arrival tells.
_STAMPLESS = frozenset({"mpjpeg", "mjpeg", "h264", "hevc", "image2pipe", "m4v"})
# A stream must not make us read files of this machine.
_PROTOCOLS = "crypto,data,http,https,httpproxy,rtmp,rtmps,rtp,rtsp,rtsps,srt,srtp,tcp,tls,udp"
# Enough to find the tracks of a stream; FFmpeg's own five seconds would be missed at every start.
_ANALYSE_US, _ANALYSE_BYTES = 1_000_000, 2_000_000
_ANALYSE_JPEGS_US = 100_000
_NO_MEDIA = "what comes from there is no video or sound, or it breaks off at once"
_MISSING: dict[Track, str] = {"video": "no picture", "audio": "no audio track"}


class Received(Struct, frozen=True):
    """What came over the connection, at ``arrival_s`` of media time: the time stamp of a packet, or a decoded frame.

    ``stamp_s`` is on the sender's clock, of a frame that of its presentation; None where the stream has no clock.
    """

    frame: VideoFrame | AudioFrame | None
    stamp_s: float | None
    arrival_s: float


class StreamReader:
    """One track of an open stream.

    Raises:
        CaptureFailed: it cannot be opened now.
        CaptureOver: it has no such track.
    """

    def __init__(self, source: LiveSource, track: Track, live: LiveConfig, now: Callable[[], float]) -> None:
        # Called with each packet of any track, and its time stamp, after `Received` told of that.
        self.on_packet: Callable[[Any, float | None], None] = lambda packet, stamp_s: None
        self._shown = source.shown
        self._stall_s = live.stall_s
        self._now = now
        try:
            self._container = _opened(source.address, live)
        except av.error.ProtocolNotFoundError as error:
            scheme = urlsplit(source.address).scheme
            raise CaptureOver(f"the FFmpeg that comes with PyAV here has no {scheme}; take another address") from error
        except (FFmpegError, OSError, ValueError) as error:
            why = _why_unopened(error, source.address, live.open_s)
            raise CaptureFailed(f"{self._shown} cannot be opened: {why}") from error
        self._stream: Any = (video_stream if track == "video" else audio_stream)(self._container)
        if self._stream is None:
            self._container.close()
            raise CaptureOver(_MISSING[track])
        if track == "video":
            # Threads by frame would hold each picture back by one for each thread.
            self._stream.thread_type = "SLICE"
        self._stampless = bool(_STAMPLESS & set(self._container.format.name.split(",")))
        # A recording served as if it were a stream comes as fast as the network: it is paced by its own stamps.
        self._recorded = bool(self._container.duration)
        self._began_s = now()

    @property
    def about(self) -> str:
        context = self._stream.codec_context
        size = f"{context.width}x{context.height}, " if self._stream.type == "video" else ""
        return f"{size}{context.name}"

    @property
    def streams(self) -> list[Any]:
        """The tracks that can be kept as they come: the picture, and the first sound beside it."""
        sound = audio_stream(self._container)
        return [self._stream, *([sound] if sound is not None and sound.index != self._stream.index else [])]

    @property
    def pixel_aspect(self) -> float:
        return pixel_aspect(self._stream)

    @property
    def codec(self) -> Any:
        return self._stream.codec_context

    def received(self) -> Iterator[Received]:
        """The stamps of all packets, and the frames of the track.

        Raises:
            CaptureFailed: it stopped sending, or broke.
            CaptureOver: a recording came to its end.
        """
        packets = self._container.demux()
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except (FFmpegError, OSError) as error:
                raise CaptureFailed(f"{self._shown}: {_why_broken(error, self._stall_s)}") from error
            stamp_s = None if packet.dts is None else self._seconds(packet.dts, packet)
            if stamp_s is not None:
                self._pace(stamp_s)
                yield Received(None, stamp_s, self._now())
            self.on_packet(packet, stamp_s)
            if packet.stream.index != self._stream.index:
                continue
            with suppress(FFmpegError):  # a damaged packet costs its picture
                for frame in packet.decode():
                    if not isinstance(frame, VideoFrame | AudioFrame):
                        continue
                    stamp_s = None if frame.pts is None else self._seconds(frame.pts, frame)
                    yield Received(frame, stamp_s, self._now())
        if self._recorded:
            raise CaptureOver("the recording behind this address is over")
        raise CaptureFailed(f"{self._shown}: the stream ended")

    def close(self) -> None:
        self._container.close()

    def _seconds(self, stamp: int, of: Any) -> float | None:
        return None if self._stampless or of.time_base is None else float(stamp * of.time_base)

    def _pace(self, stamp_s: float) -> None:
        if self._recorded:
            started_s = (self._container.start_time or 0) / av.time_base
            time.sleep(min(max(0.0, self._began_s + stamp_s - started_s - self._now()), 1.0))


def _opened(address: str, live: LiveConfig) -> InputContainer:
    """The stream, opened. One of JPEGs may lack the boundary that is to stand before the first, as from older firmware
    of small cameras: then they are told apart by their own beginnings.

    Raises:
        FFmpegError, OSError, ValueError: it cannot be.
    """
    options = {
        "protocol_whitelist": _PROTOCOLS,
        "analyzeduration": str(_ANALYSE_US),
        "probesize": str(_ANALYSE_BYTES),
        "fflags": "nobuffer",
    }
    if address.startswith("rtsp"):
        # Over TCP pictures come complete, over UDP every lost packet smears one; but some cameras have only that.
        options["rtsp_flags"] = "prefer_tcp"
    timeout = (live.open_s, live.stall_s)  # the second is for every read: what it interrupts has stopped sending
    try:
        return av.open(address, options=options, timeout=timeout, metadata_errors="replace")
    except av.error.InvalidDataError:
        if not address.startswith("http"):
            raise
        # Their rate is not sought: that would take 20 of them.
        options |= {"analyzeduration": str(_ANALYSE_JPEGS_US), "fpsprobesize": "0"}
        container = av.open(address, format="mjpeg", options=options, timeout=timeout, metadata_errors="replace")
        if container.streams.video and container.streams.video[0].codec_context.width:
            return container
        container.close()
        raise  # a page, or anything else without a picture in it


def _why_unopened(error: Exception, address: str, deadline_s: float) -> str:
    """Why there is no stream, in words a user can act on; FFmpeg's own where they are."""
    parts = urlsplit(address)
    if isinstance(error, av.error.ExitError | TimeoutError):  # how PyAV's own timeout interrupts it
        return f"no answer within {deadline_s:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused; is it switched on?"
    if isinstance(error, av.error.HTTPUnauthorizedError):
        if parts.username or parts.password:
            return "it refuses this user name and password"
        return f"it wants a user name and password; write them as {parts.scheme}://USER:PASSWORD@..."
    if isinstance(error, av.error.HTTPForbiddenError):
        return "it does not let this user see that (403)"
    if isinstance(error, av.error.HTTPNotFoundError):
        return "there is nothing under this address (404)"
    if isinstance(error, av.error.HTTPServerError):
        return "the server there fails (an error 5xx)"
    if isinstance(error, av.error.InvalidDataError):
        return _NO_MEDIA
    if isinstance(error, OSError) and error.errno == errno.EIO:  # how FFmpeg tells of very different things
        return _NO_MEDIA if _is_known(parts.hostname) else f"no machine is known as {parts.hostname}"
    return _in_one_line(error)


def _why_broken(error: Exception, deadline_s: float) -> str:
    """Why an open stream goes on no more."""
    if isinstance(error, av.error.ExitError | TimeoutError):
        return f"it stopped sending for {deadline_s:g} s"
    if isinstance(error, OSError) and error.errno == errno.EIO:
        return "the connection broke off"
    return _in_one_line(error)


def _in_one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())


def _is_known(host: str | None) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False
