"""What live sources show, for any number who watch: one picture is asked for however many do, at a limited rate."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator

import anyio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from runtime.errors import CallError
from runtime.interfaces.web.api import Query, get, integer
from runtime.interfaces.web.served import NotThere, Served
from runtime.messages import LookReply, PreviewRequest

WIDTHS = (320, 640, 1280)
_BOUNDARY = "picture"
# Letters of a name over a box: proxies take some 8 kB of headers.
_NAME_MAX = 24


class Views:
    """The newest picture of each live source and size."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._period_s = 1.0 / served.config.serve.live_hz
        self._newest: dict[tuple[str, int], tuple[float, LookReply]] = {}
        self._asking: dict[tuple[str, int], anyio.Lock] = {}
        served.on_forgotten.append(self.forget)

    async def newest(self, label: str, width_px: int) -> LookReply:
        """What a source shows, no older than the rate allows.

        Raises:
            CallError: the source's process does not answer.
        """
        key = (label, width_px)
        async with self._asking.setdefault(key, anyio.Lock()):
            held, now_s = self._newest.get(key), time.monotonic()
            # Who asks at this rate comes a little early now and then, and is to see each picture once.
            if held is None or now_s - held[0] >= 0.9 * self._period_s:
                reply = await self._served.client.watcher(label, PreviewRequest(width_px=width_px))
                held = self._newest[key] = (now_s, reply)
            return held[1]

    async def stream(self, label: str, width_px: int) -> AsyncIterator[bytes]:
        """Pictures as multipart JPEG, one after the other, for as long as somebody takes them."""
        shown_s = -1.0
        while True:
            try:
                reply = await self.newest(label, width_px)
            except CallError:
                await anyio.sleep(1.0)
                continue
            if reply.jpeg and reply.t_s != shown_s:
                shown_s = reply.t_s
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(reply.jpeg)}\r\n\r\n"
                yield head.encode() + reply.jpeg + b"\r\n"
            await anyio.sleep(self._period_s)

    async def forget(self) -> None:
        self._newest.clear()


def _asked(served: Served, request: Request) -> tuple[str, int]:
    label = request.query_params.get("source", "")
    if label not in served.client.live_labels:
        known = ", ".join(served.client.live_labels) or "none"
        raise NotThere(f"no live source is called {label!r}; watched live: {known}")
    width_px = integer(request, "width", 640, WIDTHS[-1])
    return label, next(width for width in WIDTHS if width >= width_px)


async def look(served: Served, request: Request) -> Response:
    """What a live source shows at this moment; 204 while it is paused or away.

    `x-marked` is what is noticed in it as JSON, in ASCII: [[name, x, y, width, height], ...] in 0..1 of this picture.
    """
    shown = await request.app.state.views.newest(*_asked(served, request))
    if not shown.jpeg:
        why = "paused" if shown.paused_since_s is not None else "away"
        return Response(status_code=204, headers={"x-why": why})
    marked = json.dumps([[thing.name[:_NAME_MAX], *thing.box] for thing in shown.marked], separators=(",", ":"))
    headers = {"x-media-time": f"{shown.t_s:.3f}", "x-marked": marked}
    return Response(shown.jpeg, media_type="image/jpeg", headers=headers)


async def mjpeg(served: Served, request: Request) -> Response:
    """The pictures of a live source as multipart JPEG, as cameras on the network send them."""
    frames = request.app.state.views.stream(*_asked(served, request))
    return StreamingResponse(frames, media_type=f"multipart/x-mixed-replace; boundary={_BOUNDARY}")


_QUERY = (
    Query("source", "label of a live source", required=True),
    Query("width", "longest side in pixels: 320, 640 or 1280", "integer"),
)
ENDPOINTS = (
    get("/api/look", "What a live source shows now", look, "evidence", "image/jpeg", *_QUERY),
    get("/api/live.mjpeg", "The same, picture after picture", mjpeg, "evidence", "multipart/x-mixed-replace", *_QUERY),
)
