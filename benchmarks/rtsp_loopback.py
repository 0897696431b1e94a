"""The loopback camera served by RTSP, as cameras for buildings do: H.264 by RTP, interleaved with RTSP over TCP.

    with Loopback(draw, rate_hz=10.0) as camera, RtspServer(camera) as server:
        ... server.url() ...

RTSP 1.0 (RFC 2326) with OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER and TEARDOWN; RTP payloads by RFC 6184. As much
as a receiver asks of a camera, and no more: one track, no UDP, no sender reports. Pausing and disconnecting are the
camera's. Packages that serve RTSP need GStreamer, or call themselves experiments.
"""

from __future__ import annotations

import re
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType

from benchmarks.loopback import Loopback

PATH = "/front"
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"
_START_CODE = re.compile(rb"\x00\x00\x00?\x01")
_PAYLOAD_TYPE, _MTU_BYTES, _SSRC = 96, 1400, 0x6D737264
_FRAGMENT = 28  # FU-A


class RtspServer:
    """The server. Use as a context manager, inside the camera's.

    port       0 takes a free one; another may be taken again after a server there has ended.
    is_locked  everything is refused for want of a password (401).
    """

    def __init__(self, camera: Loopback, port: int = 0, is_locked: bool = False) -> None:
        handler = type("Handler", (_Handler,), {"camera": camera, "is_locked": is_locked})
        self._server = _Server(("127.0.0.1", port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._camera = camera
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> RtspServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._camera.disconnect()
        self._thread.join()

    def url(self, path: str = PATH) -> str:
        return f"rtsp://127.0.0.1:{self.port}{path}"


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


class _Handler(socketserver.StreamRequestHandler):
    """One connection: requests are answered in turn, while another thread sends the packets."""

    camera: Loopback
    is_locked = False

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._writing = threading.Lock()
        self._over = threading.Event()
        self._channel = 0

    def handle(self) -> None:
        self.camera.register(self.connection)
        try:
            while (request := self._request()) is not None:
                method, address, headers = request
                self._answer(method, address, headers)
                if method == "TEARDOWN":
                    return
        except OSError:
            pass  # the receiver left
        finally:
            self._over.set()
            self.camera.forget(self.connection)

    def _request(self) -> tuple[str, str, dict[str, str]] | None:
        """The next request; None at the end. Receivers' reports, which come between, are passed over."""
        while (first := self.rfile.read(1)) == b"$":
            _, length = struct.unpack("!BH", self.rfile.read(3))
            self.rfile.read(length)
        line = (first + self.rfile.readline()).decode("ascii", "replace").split()
        if len(line) != 3:
            return None
        headers = {}
        while field := self.rfile.readline().strip():
            name, _, value = field.decode("ascii", "replace").partition(":")
            headers[name.lower()] = value.strip()
        self.rfile.read(int(headers.get("content-length", 0)))
        return line[0], line[1], headers

    def _answer(self, method: str, address: str, headers: dict[str, str]) -> None:
        path = re.sub(r"^rtsp://[^/]*", "", address).removesuffix("/track")
        number = headers.get("cseq", "0")
        if self.is_locked and method != "OPTIONS":
            self._reply("401 Unauthorized", number, 'WWW-Authenticate: Basic realm="camera"')
        elif path.rstrip("/") != PATH and method != "OPTIONS":
            self._reply("404 Not Found", number)
        elif method == "OPTIONS":
            self._reply("200 OK", number, f"Public: {_METHODS}")
        elif method == "DESCRIBE":
            told = _description()
            self._reply("200 OK", number, f"Content-Base: {address}/", "Content-Type: application/sdp", body=told)
        elif method == "SETUP":
            wanted = re.search(r"interleaved=(\d+)", headers.get("transport", ""))
            if wanted is None:
                self._reply("461 Unsupported Transport", number)
                return
            self._channel = int(wanted[1])
            carried = f"Transport: RTP/AVP/TCP;unicast;interleaved={self._channel}-{self._channel + 1}"
            self._reply("200 OK", number, carried, "Session: 1;timeout=60")
        elif method == "PLAY":
            self._reply("200 OK", number, "Session: 1", "Range: npt=0.000-")
            threading.Thread(target=self._send, daemon=True).start()
        else:
            self._reply("200 OK" if method in _METHODS else "501 Not Implemented", number, "Session: 1")

    def _reply(self, status: str, number: str, *fields: str, body: bytes = b"") -> None:
        lines = [f"RTSP/1.0 {status}", f"CSeq: {number}", *fields, f"Content-Length: {len(body)}", "", ""]
        with self._writing:
            self.wfile.write("\r\n".join(lines).encode("ascii") + body)

    def _send(self) -> None:
        """Packets from now on, each between "$", the channel and its length."""
        sequence = 0
        with suppress(OSError):
            for stamp, unit in self.camera.access_units():
                if self._over.is_set():
                    return
                payloads = list(rtp_payloads(unit))
                for place, payload in enumerate(payloads):
                    is_last = place == len(payloads) - 1
                    header = struct.pack(
                        "!BBHII", 0x80, is_last << 7 | _PAYLOAD_TYPE, sequence, stamp & 0xFFFFFFFF, _SSRC
                    )
                    sequence = (sequence + 1) & 0xFFFF
                    size = len(header) + len(payload)
                    with self._writing:
                        self.wfile.write(struct.pack("!cBH", b"$", self._channel, size) + header + payload)


def rtp_payloads(access_unit: bytes) -> Iterator[bytes]:
    """The NAL units of a picture as RTP carries them: whole, or in fragments where one is too long for a packet."""
    for unit in _START_CODE.split(access_unit):
        if not unit:
            continue
        if len(unit) <= _MTU_BYTES:
            yield unit
            continue
        indicator, kind = unit[0] & 0xE0 | _FRAGMENT, unit[0] & 0x1F
        parts = [unit[i : i + _MTU_BYTES] for i in range(1, len(unit), _MTU_BYTES)]
        for place, part in enumerate(parts):
            bounds = (place == 0) << 7 | (place == len(parts) - 1) << 6
            yield bytes((indicator, bounds | kind)) + part


def _description() -> bytes:
    """What is served, as SDP (RFC 4566). Parameter sets come with every keyframe."""
    lines = (
        "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=front", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*",
        f"m=video 0 RTP/AVP {_PAYLOAD_TYPE}", f"a=rtpmap:{_PAYLOAD_TYPE} H264/90000",
        f"a=fmtp:{_PAYLOAD_TYPE} packetization-mode=1", "a=control:track", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode("ascii")
