"""A model server for benchmarks: plays replies that a reader wrote, or passes requests on to a live server; both count.

A request that nobody has answered yet is written out for a reader: FOLDER/CLIP/QUESTION/STEP/ gets prompt.txt and
image_K.jpg, and waits for reply.json, {"content": "..."} or {"tool_calls": [{"name": ..., "arguments": {...}}]}. The
next run plays it. STEP is how many replies came before it, so an answer that needs three looks takes four runs.
A reply is to be written from what its request shows and from nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

CONTEXT_TOKENS = 64_000
# A small model: what its name says, and what Ollama gives one that nobody asked more for.
WEAK_NAME, STRONG_NAME, WEAK_CONTEXT_TOKENS = "prepared-4b", "prepared", 4096
LIVE_S = 600.0
_NONCE = re.compile(r"data-[0-9a-f]{12}")


@dataclass
class Asked:
    """What answering one question took. ``tokens`` of all its prompts by estimate, ``pictures`` that were shown."""

    tokens: int = 0
    pictures: int = 0
    steps: int = 0
    is_open: bool = False
    is_changed: bool = False


@dataclass
class ReplyServer:
    """``clip`` is the one whose questions are asked; ``asked`` by clip and question."""

    folder: Path | None
    live: str = ""
    weak: bool = False
    clip: str = ""
    address: str = ""
    asked: dict[tuple[str, str], Asked] = field(default_factory=dict)

    def reply(self, request: dict[str, Any]) -> dict[str, Any]:
        """The prepared reply to a request, which is written out where there is none."""
        texts, pictures = _content(request)
        question, at = _question(request["messages"])
        step = sum(message["role"] == "assistant" for message in request["messages"][at:])
        told = self.asked.setdefault((self.clip, question), Asked())
        told.tokens += sum(map(len, texts)) // 4 + sum(map(_picture_tokens, pictures))
        told.pictures = max(told.pictures, len(pictures))
        told.steps = max(told.steps, sum(m["role"] == "tool" for m in request["messages"][at:]))
        if self.folder is None:
            return {}
        slug = re.sub(r"\W+", "-", question.lower()).strip("-")[:60]
        place = self.folder / self.clip / f"{slug}-{hashlib.sha256(question.encode()).hexdigest()[:6]}" / str(step)
        place.mkdir(parents=True, exist_ok=True)
        prompt = _readable(request["messages"], request.get("tools", ()))
        # What was asked before belongs to it, and what was answered then may yet change.
        own = _readable(request["messages"][at:], ())
        mark = hashlib.sha256(_NONCE.sub("", own).encode() + b"".join(pictures)).hexdigest()
        reply, marked = place / "reply.json", place / "request.sha256"
        if reply.exists():
            told.is_changed |= marked.exists() and marked.read_text() != mark
            found: dict[str, Any] = json.loads(reply.read_text(encoding="utf-8"))
            return found
        told.is_open = True
        (place / "prompt.txt").write_text(prompt, encoding="utf-8")
        for k, jpeg in enumerate(pictures, 1):
            (place / f"image_{k}.jpg").write_bytes(jpeg)
        marked.write_text(mark)
        return {"content": ""}


def live_address(answers: str) -> str:
    """The address of a live server; "" where a folder is named."""
    if not answers.startswith(("http://", "https://")):
        return ""
    address = answers.rstrip("/")
    return address if urlsplit(address).path else f"{address}/v1"


def unreachable(answers: str) -> str:
    """Why replies cannot be had, in one line; "" where they can."""
    if not (address := live_address(answers)):
        return f"{answers} is a file, not a folder" if Path(answers).is_file() else ""
    try:
        with urllib.request.urlopen(f"{address}/models", timeout=10.0):
            return ""
    except OSError as error:
        return f"no model server answers at {address} ({getattr(error, 'reason', error)})"


@contextmanager
def serve_replies(server: ReplyServer) -> Iterator[ReplyServer]:
    """Serve on a free port of this machine while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            name, tokens = (WEAK_NAME, WEAK_CONTEXT_TOKENS) if server.weak else (STRONG_NAME, CONTEXT_TOKENS)
            if server.live:
                with urllib.request.urlopen(f"{server.live}/models", timeout=LIVE_S) as told:
                    self._send(told.read(), "application/json")
                return
            listed = {"object": "list", "data": [{"id": name, "object": "model", "max_model_len": tokens}]}
            self._send(json.dumps(listed).encode(), "application/json")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            reply = server.reply(json.loads(body))
            if server.live:
                asked = urllib.request.Request(
                    f"{server.live}/chat/completions", body, {"content-type": "application/json"}
                )
                with urllib.request.urlopen(asked, timeout=LIVE_S) as told:
                    self._send(told.read(), told.headers["content-type"])
                return
            calls = [
                {
                    "index": k, "id": f"call_{k}", "type": "function",
                    "function": {"name": call["name"], "arguments": json.dumps(call.get("arguments", {}))},
                }
                for k, call in enumerate(reply.get("tool_calls", ()))
            ]  # fmt: skip
            delta = {"tool_calls": calls} if calls else {"content": reply.get("content", "")}
            chunks: tuple[tuple[dict[str, Any], str | None], ...] = (
                (delta, None),
                ({}, "tool_calls" if calls else "stop"),
            )
            events = [
                {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "prepared",
                 "choices": [{"index": 0, "delta": d, "finish_reason": f}]}
                for d, f in chunks
            ]  # fmt: skip
            sent = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
            self._send(f"{sent}data: [DONE]\n\n".encode(), "text/event-stream")

        def _send(self, data: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    server.address = f"http://127.0.0.1:{http.server_address[1]}/v1"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def _content(request: dict[str, Any]) -> tuple[list[str], list[bytes]]:
    """All the texts and pictures of a request, in order."""
    texts, pictures = [json.dumps(request.get("tools", ""))], []
    for message in request["messages"]:
        for part in _parts(message):
            if part["type"] == "text":
                texts.append(part["text"])
            else:
                pictures.append(base64.b64decode(part["image_url"]["url"].partition(",")[2]))
    return texts, pictures


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content") or ""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _question(messages: list[dict[str, Any]]) -> tuple[str, int]:
    """The question of a request, and where in it that stands."""
    for at in range(len(messages) - 1, -1, -1):
        text = "".join(part.get("text", "") for part in _parts(messages[at]))
        if messages[at]["role"] == "user" and (
            found := re.search(r"^Question: (.*)\Z", text, re.MULTILINE | re.DOTALL)
        ):
            return found[1].strip(), at
    return "", 0


def _readable(messages: list[dict[str, Any]], tools: Sequence[dict[str, Any]]) -> str:
    lines, k = [], 0
    for message in messages:
        lines.append(f"=== {message['role']}")
        for part in _parts(message):
            k += part["type"] != "text"
            lines.append(part["text"] if part["type"] == "text" else f"<image_{k}.jpg>")
        if calls := message.get("tool_calls"):
            lines.append("calls: " + json.dumps([call["function"] for call in calls]))
    offered = [tool["function"]["name"] for tool in tools]
    return "\n".join([*lines, f"=== tools: {', '.join(offered) or 'none'}"])


def _picture_tokens(jpeg: bytes) -> int:
    """About what today's vision models make of a picture: a token of 750 pixels."""
    with Image.open(BytesIO(jpeg)) as picture:
        return max(1, picture.size[0] * picture.size[1] // 750)
