"""The guard before every route: is it meant for this server, from this page, by somebody known, small and not too
often. It works on bare ASGI, so that what streams goes on streaming.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

import anyio
from msgspec import Struct
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.interfaces.web.access import COOKIE, Access

SIGN_IN = "/sign-in"
# What a stranger may fetch: the page to sign in on, and what it looks like.
OPEN = (SIGN_IN, "/assets/", "/favicon.ico", "/healthz")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# Tries to sign in from one address.
TRIES, TRIES_PER_S = 5, 5 / 60
BURST = 10
STUCK_S = 30.0
ADDRESSES_KEPT = 1024
HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; script-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not "no-referrer": with that a browser hides the origin of our own forms, too.
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


class Refusal(Struct, frozen=True):
    """Why a request goes no further."""

    status: int
    why: str
    headers: dict[str, str] = {}


class Rates:
    """Token buckets by address: ``per_s`` on average, ``burst`` at once."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str, now_s: float) -> float:
        """0 where one more may come now, which is counted; else in how many seconds."""
        left, since_s = self._left.pop(address, (self._burst, now_s))
        left = min(self._burst, left + (now_s - since_s) * self._per_s)
        taken = left >= 1
        self._left[address] = (left - taken, now_s)
        while len(self._left) > ADDRESSES_KEPT:
            self._left.popitem(last=False)
        return 0.0 if taken else (1 - left) / self._per_s


class Guard:
    """ASGI middleware. ``body_bytes``: the largest request body that is read."""

    def __init__(self, app: ASGIApp, access: Access, body_bytes: int, requests_per_s: float) -> None:
        self._app = app
        self._access = access
        self._body_bytes = body_bytes
        self._rates = Rates(requests_per_s, requests_per_s * BURST)
        self._tries = Rates(TRIES_PER_S, TRIES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)

        async def send_guarded(message: Message) -> None:
            # Whoever takes nothing for so long has gone; what streams to it ends here.
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    sent.setdefault(name, value)
            with anyio.fail_after(STUCK_S):
                await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _refuse(refusal, send_guarded)
            return
        try:
            await self._app(scope, self._limited(receive), send_guarded)
        except TimeoutError:
            return  # the connection is closed behind us

    def _refusal(self, scope: Scope, headers: Headers) -> Refusal | None:
        method, path = scope["method"], scope["path"]
        address = (scope.get("client") or ("",))[0]
        host = headers.get("host", "")
        if not self._access.is_own_name(urlsplit(f"//{host}").hostname or ""):
            return Refusal(421, f"this server does not go by the name {host[:80]!r}; see serve.names in the profile")
        origin = headers.get("origin")
        if method not in _SAFE and origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return Refusal(403, "another site may not change anything here")
        if headers.get("sec-fetch-site") == "cross-site" and (
            method not in _SAFE or headers.get("sec-fetch-mode") != "navigate"
        ):
            return Refusal(403, "another site may neither read nor change anything here")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._body_bytes:
            return Refusal(413, f"a request may be {self._body_bytes / 2**20:g} MiB large at most")
        if (wait_s := self._rates.wait_s(address, time.monotonic())) > 0:
            return Refusal(429, "too many requests", {"retry-after": str(int(wait_s) + 1)})
        if not self._access.token:
            return None
        if path == SIGN_IN and method == "POST":
            if (wait_s := self._tries.wait_s(address, time.monotonic())) > 0:
                return Refusal(429, "too many tries; wait a minute", {"retry-after": str(int(wait_s) + 1)})
            return None
        if any(path == name or (name.endswith("/") and path.startswith(name)) for name in OPEN):
            return None
        return self._unknown(method, headers)

    def _unknown(self, method: str, headers: Headers) -> Refusal | None:
        """None where somebody known asks."""
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._access.is_bearer(shown.strip()):
            return None
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            cookies = SimpleCookie()
        if (carried := cookies.get(COOKIE)) is not None and self._access.is_cookie(carried.value):
            return None
        if method == "GET" and "text/html" in headers.get("accept", ""):
            return Refusal(303, "sign in first", {"location": SIGN_IN})
        return Refusal(401, "a token is needed: Authorization: Bearer TOKEN", {"www-authenticate": "Bearer"})

    def _limited(self, receive: Receive) -> Receive:
        """``receive``, that breaks off a body which turns out longer than it may be."""
        left = self._body_bytes

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                if left < 0:
                    raise TooLarge
            return message

        return limited


class TooLarge(Exception):
    """A body without a stated length is longer than it may be."""


async def _refuse(refusal: Refusal, send: Send) -> None:
    body = json.dumps({"error": {"message": refusal.why, "type": "refused"}}).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **refusal.headers}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
