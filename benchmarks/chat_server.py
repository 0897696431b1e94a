"""An OpenAI-compatible chat server written at the wire, whose replies are scripted: for tests and benchmarks.

It speaks just enough HTTP/1.1 over asyncio to be talked to by a real client, and can misbehave in every way a
real server does: refuse, limit, stall, send nonsense, hang up. A script is an async function that gets the
parsed request and writes the response.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

Json = dict[str, Any]
Script = Callable[[Json, "Reply"], Awaitable[None]]


class Reply:
    """Writes the response to one request."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def error(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        """An error object as servers send it."""
        body = json.dumps({"error": {"message": message, "type": "error", "code": status}}).encode()
        extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        await self._whole(f"{status} Error", body, extra)

    async def json(self, value: object) -> None:
        await self._whole("200 OK", json.dumps(value).encode())

    async def _whole(self, status: str, body: bytes, extra: str = "") -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n{extra}"
        await self.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    async def begin_stream(self) -> None:
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        await self.send(head.encode())

    async def event(self, delta: Json | None = None, finish: str | None = None, **more: object) -> None:
        """One chunk of a streamed reply."""
        chunk = {
            "id": "c", "object": "chat.completion.chunk", "created": 0, "model": "tiny",
            "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}],
        } | more  # fmt: skip
        await self.send(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    async def say(self, *pieces: str) -> None:
        """A whole streamed reply of these pieces."""
        await self.begin_stream()
        for piece in pieces:
            await self.event({"content": piece})
        await self.event(finish="stop")
        await self.send(b"data: [DONE]\n\n")

    async def call(self, name: str, arguments: Json | str, identity: str = "call_1") -> None:
        """A whole streamed reply that asks for a tool, its arguments in two pieces."""
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        await self.begin_stream()
        function = {"name": name, "arguments": text[:3]}
        await self.event({"tool_calls": [{"index": 0, "id": identity, "type": "function", "function": function}]})
        await self.event({"tool_calls": [{"index": 0, "function": {"arguments": text[3:]}}]})
        await self.event(finish="tool_calls")
        await self.send(b"data: [DONE]\n\n")


class ChatServer:
    """What a running server was asked. ``script`` may be changed while it runs."""

    def __init__(self, script: Script, models: list[Json]) -> None:
        self.script = script
        self.models = models
        self.requests: list[Json] = []
        self.keys: list[str] = []
        self.hung_up = asyncio.Event()
        self.failures: list[BaseException] = []
        self.base_url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, path, _ = head.split("\r\n", 1)[0].split()
            headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            headers = {name.lower(): value for name, value in headers.items()}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            reply = Reply(writer)
            if path.endswith("/models"):
                await reply.json({"object": "list", "data": self.models})
            elif method == "POST" and path.endswith("/chat/completions"):
                self.keys.append(headers.get("authorization", ""))
                self.requests.append(json.loads(body))
                await self._run(self.requests[-1], reply, reader)
            else:
                await reply.error(404, "not found")
        except (asyncio.IncompleteReadError, ConnectionError):
            self.hung_up.set()
        finally:
            writer.close()

    async def _run(self, request: Json, reply: Reply, reader: asyncio.StreamReader) -> None:
        """The script, given up when the client hangs up."""
        script = asyncio.ensure_future(self.script(request, reply))
        gone = asyncio.ensure_future(reader.read())
        await asyncio.wait({script, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not script.done():
            self.hung_up.set()
            script.cancel()
        gone.cancel()
        (failure, _) = await asyncio.gather(script, gone, return_exceptions=True)
        if isinstance(failure, Exception) and not isinstance(failure, ConnectionError):
            self.failures.append(failure)


@asynccontextmanager
async def serve_chat(script: Script, models: list[Json] | None = None) -> AsyncIterator[ChatServer]:
    """A server on a free local port while the block runs; a mistake in its script is raised at the end."""
    chat = ChatServer(script, models if models is not None else [{"id": "tiny", "object": "model"}])
    server = await asyncio.start_server(chat.answer, "127.0.0.1", 0)
    chat.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield chat
    finally:
        server.close()
        await server.wait_closed()
    if chat.failures:
        raise chat.failures[0]
