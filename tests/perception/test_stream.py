"""Streams that cannot be opened: each is told in one line that says what is wrong."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from typing import Any

import av.error
import numpy as np
import pytest

from perception.capture.camera import open_picture
from perception.capture.reopening import CaptureFailed, CaptureOver
from perception.capture.stream import StreamReader
from runtime.config import LiveConfig
from runtime.sources import parse_source
from tests.fixtures.loopback import Loopback, moving_square


class _Page(http.server.BaseHTTPRequestHandler):
    """A web page under /page, nothing under /nothing, and what fails under anything else."""

    def do_GET(self) -> None:
        if self.path != "/page":
            self.send_error({"/nothing": 404, "/locked": 401}.get(self.path, 503))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html><body>no stream</body></html>" * 50)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def opened(where: str) -> StreamReader:
    return StreamReader(parse_source(f"tv={where}"), "video", LiveConfig(), lambda: 0.0)


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("/page", "no video or sound"),
        ("/nothing", "nothing under this address (404)"),
        ("/locked", "a user name and password; write them as http://USER:PASSWORD@"),
        ("/broken", "the server there fails"),
        ("rtsp://nowhere.invalid/x", "no machine is known as nowhere.invalid"),
        ("http://127.0.0.1:1/x", "the connection was refused; is it switched on?"),
    ],
)
def test_why_a_stream_cannot_be_opened_is_said_in_one_line(web: str, where: str, why: str) -> None:
    with pytest.raises(CaptureFailed) as told:
        opened(web + where if where.startswith("/") else where)
    assert why in str(told.value) and "\n" not in str(told.value)


def test_a_protocol_that_is_not_built_in_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise av.error.ProtocolNotFoundError(1330794744, "Protocol not found", "srt://cam:9000")

    monkeypatch.setattr("perception.capture.stream.av.open", refuse)
    with pytest.raises(CaptureOver, match="has no srt"):
        opened("srt://cam:9000")


def test_jpegs_without_a_boundary_before_the_first_are_watched() -> None:
    """As of older firmware of small cameras; browsers show them, too."""
    draw = moving_square((320, 240))
    with Loopback(draw, rate_hz=10.0, clip_s=1.0) as camera:
        began_s = time.monotonic()
        capture = open_picture(
            parse_source(f"door={camera.url('unled')}"), LiveConfig(), lambda: time.monotonic() - began_s
        )
        shots = [capture.read() for _ in range(10)]
        capture.close()
    assert shots[0].size == (320, 240)
    drawn = [draw(k / 10.0).astype(int) for k in range(10)]
    for shot in shots:
        seen = shot.frame().to_ndarray(format="bgr24").astype(int)
        assert min(np.abs(seen - picture).mean() for picture in drawn) < 8
    assert shots[-1].t_s - shots[0].t_s == pytest.approx(0.9, abs=0.3)
