"""A camera on the network, made on this machine: drawn pictures and a tone, served live over HTTP.

    with Loopback(draw, rate_hz=30.0) as camera:
        ... camera.url("mjpeg"), camera.url("ts") ...

What is served is encoded once, `clip_s` seconds of it, and repeated; time stamps go on. All connections share one
timeline: frame k leaves at `began_s + k / rate_hz` of the monotonic clock, with the sound of the same moment. So what
a receiver makes of it can be compared with what was sent when. `python -m benchmarks.loopback` serves until it is
interrupted, which keeps the cost of serving out of a measured process.
"""

from __future__ import annotations

import argparse
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

SOUND_RATE_HZ = 48_000
TONE_HZ, BEEP_S = 880.0, 0.1
_CLOCK_HZ = 90_000
_BOUNDARY = "frame"

Picture = npt.NDArray[np.uint8]


def moving_square(size: tuple[int, int] = (640, 360)) -> Callable[[float], Picture]:
    """Pictures of a textured scene over which a red square moves, crossing it in 4 s."""
    width, height = size
    random = np.random.default_rng(7)
    coarse = random.integers(90, 150, (max(2, height // 16), max(2, width // 16), 3), dtype=np.uint8)
    scene = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    side = height // 6

    def draw(t_s: float) -> Picture:
        picture = np.array(scene, np.uint8)
        x = int((t_s % 4.0) / 4.0 * (width - side))
        picture[height // 2 : height // 2 + side, x : x + side] = (30, 30, 200)
        return picture

    return draw


def beeps(seconds: float) -> npt.NDArray[np.float32]:
    """A beep of 0.1 s at the start of every second, in silence; float32 at 48 kHz."""
    t_s = np.arange(round(seconds * SOUND_RATE_HZ)) / SOUND_RATE_HZ
    return np.asarray(0.5 * np.sin(2 * np.pi * TONE_HZ * t_s) * (t_s % 1.0 < BEEP_S), np.float32)


class Loopback:
    """The server. Use as a context manager.

    draw     seconds of the clip -> uint8 (height, width, 3), blue-green-red.
    sound    float32 at 48 kHz, as long as the clip; None serves no sound. Only "ts" carries it.
    """

    def __init__(
        self,
        draw: Callable[[float], Picture] | None = None,
        *,
        rate_hz: float = 30.0,
        clip_s: float = 4.0,
        sound: npt.NDArray[np.float32] | None = None,
        port: int = 0,
    ) -> None:
        self.rate_hz = rate_hz
        self.clip_s = clip_s
        self.sound = sound
        self.frames_sent = 0
        self.connections = 0
        self.refusing = False
        self._stopped = threading.Event()
        self._flowing = threading.Event()
        self._flowing.set()
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.show(draw or moving_square())
        handler = type("Handler", (_Handler,), {"camera": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.began_s = time.monotonic()

    def __enter__(self) -> Loopback:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        self.disconnect()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, kind: str) -> str:
        """Address of the stream: "mjpeg" (multipart JPEG) or "ts" (MPEG-TS with H.264 and, with sound, AAC)."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{kind}"

    def show(self, draw: Callable[[float], Picture]) -> None:
        """Serve these pictures from now on, to "mjpeg" at once, to "ts" on the next connection."""
        pictures = [draw(k / self.rate_hz) for k in range(round(self.clip_s * self.rate_hz))]
        self._jpegs = [bytes(cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()) for p in pictures]
        self._clip = _encode(pictures, self.rate_hz, self.sound)

    @property
    def connected(self) -> int:
        """How many receive at present; one that left is noticed when it is sent to."""
        with self._lock:
            return len(self._sockets)

    def pause(self) -> None:
        """Stop sending; connections stay open."""
        self._flowing.clear()

    def resume(self) -> None:
        self._flowing.set()

    def disconnect(self) -> None:
        """Close every connection."""
        with self._lock:
            for connection in self._sockets:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    # --- one connection ----------------------------------------------------------------------------

    def register(self, connection: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            self._sockets.add(connection)

    def forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(connection)

    def jpegs(self) -> Iterator[bytes]:
        """Parts of the multipart stream, each when it is due."""
        for k in self._due(lambda k: k / self.rate_hz):
            jpeg = self._jpegs[k % len(self._jpegs)]
            self.frames_sent += 1
            yield f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
            yield jpeg + b"\r\n"

    def transport_stream(self) -> Iterator[bytes]:
        """MPEG-TS from the clip's next turn on, each packet when it is due."""
        sink, length = io.BytesIO(), round(self.clip_s * _CLOCK_HZ)
        with av.open(io.BytesIO(self._clip), "r", format="mpegts") as original:
            # The sound is a packet longer than the clip, and begins a packet before it: that much would overlap.
            whole = [(packet, packet.pts, packet.dts) for packet in original.demux()]
            first = min(dts for packet, _, dts in whole if dts is not None and packet.stream.type == "video")
            packets, stamps = [], []
            for packet, pts, dts in whole:
                if pts is not None and dts is not None and 0 <= dts - first < length:
                    packets.append(packet)
                    stamps.append((pts - first, dts - first))
            # The muxer writes a clip's packets of picture and sound out of step: send them in the order of time.
            order = sorted(range(len(packets)), key=lambda place: stamps[place][1])
            packets, stamps = [packets[place] for place in order], [stamps[place] for place in order]
            options = {"mpegts_flags": "resend_headers", "flush_packets": "1"}
            with av.open(sink, "w", format="mpegts", options=options) as container:
                streams = {s.index: container.add_stream_from_template(s) for s in original.streams}

                def due_s(k: int) -> float:
                    turn, place = divmod(k, len(packets))
                    return (turn * length + stamps[place][1]) / _CLOCK_HZ

                for k in self._due(due_s, to_multiple_of=len(packets)):
                    turn, place = divmod(k, len(packets))
                    packet, (pts, dts) = packets[place], stamps[place]
                    packet.pts, packet.dts = pts + turn * length, dts + turn * length
                    packet.time_base = Fraction(1, _CLOCK_HZ)
                    video = packet.stream.type == "video"
                    packet.stream = streams[packet.stream.index]
                    container.mux_one(packet)
                    self.frames_sent += video
                    yield sink.getvalue()
                    sink.seek(0)
                    sink.truncate()

    def access_units(self) -> Iterator[tuple[int, bytes]]:
        """H.264 from the clip's next turn on, each picture when it is due: its stamp at 90 kHz, and its NAL units,
        separated as by Annex B."""
        with av.open(io.BytesIO(self._clip), "r", format="mpegts") as original:
            units = [bytes(packet) for packet in original.demux(video=0) if packet.size]
        for k in self._due(lambda k: k / self.rate_hz, to_multiple_of=len(units)):
            self.frames_sent += 1
            yield round(k / self.rate_hz * _CLOCK_HZ), units[k % len(units)]

    def _due(self, due_s: Callable[[int], float], to_multiple_of: int = 1) -> Iterator[int]:
        """Numbers k from now on, each when the shared timeline reaches ``due_s(k)``; none while paused."""
        k, now_s = 0, time.monotonic() - self.began_s
        while due_s(k) < now_s:
            k += to_multiple_of
        while not self._stopped.is_set():
            wait_s = self.began_s + due_s(k) - time.monotonic()
            if wait_s > 0 and self._stopped.wait(wait_s):
                return
            if not self._flowing.is_set():
                while not self._flowing.wait(0.02):
                    if self._stopped.is_set():
                        return
                now_s = time.monotonic() - self.began_s
                while due_s(k) < now_s:  # what was not sent is gone, as with a camera
                    k += 1
                continue
            yield k
            k += 1


class _Handler(BaseHTTPRequestHandler):
    camera: Loopback

    def do_GET(self) -> None:
        camera = self.camera
        if camera.refusing or self.path not in ("/mjpeg", "/ts"):
            self.send_error(503 if camera.refusing else 404)
            return
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        camera.register(self.connection)
        try:
            self.send_response(200)
            kind = "video/mp2t" if self.path == "/ts" else f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
            self.send_header("Content-Type", kind)
            self.end_headers()
            for part in camera.transport_stream() if self.path == "/ts" else camera.jpegs():
                self.wfile.write(part)
        except OSError:
            pass  # the receiver left
        finally:
            camera.forget(self.connection)

    def log_message(self, *args: Any) -> None:
        pass


def _encode(pictures: list[Picture], rate_hz: float, sound: npt.NDArray[np.float32] | None) -> bytes:
    """One turn of the clip as MPEG-TS: H.264 without reordering, a keyframe each second, and AAC."""
    sink = io.BytesIO()
    with av.open(sink, "w", format="mpegts") as container:
        video = container.add_stream("libx264", rate=Fraction(rate_hz).limit_denominator(1001))
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = "yuv420p"
        video.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(round(rate_hz))}
        audio = container.add_stream("aac", rate=SOUND_RATE_HZ, layout="mono") if sound is not None else None
        for k, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="yuv420p")
            frame.pts, frame.time_base = round(k / rate_hz * _CLOCK_HZ), Fraction(1, _CLOCK_HZ)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None and sound is not None:
            samples = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="fltp", layout="mono")
            samples.sample_rate, samples.pts, samples.time_base = SOUND_RATE_HZ, 0, Fraction(1, SOUND_RATE_HZ)
            container.mux(audio.encode(samples))
            container.mux(audio.encode())
    return sink.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1280x720", metavar="WxH")
    parser.add_argument("--rate", type=float, default=30.0, metavar="HZ")
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    with Loopback(moving_square((width, height)), rate_hz=args.rate, sound=beeps(4.0), port=args.port) as camera:
        print(camera.url("mjpeg"), camera.url("ts"), flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
