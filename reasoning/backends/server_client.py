"""The client of a model server: no reply is longer than an answer can be, none is followed elsewhere.

Through the official client, whose own retries are off: how long to wait is decided by whoever knows the question's
deadline (`with_model.py`). No redirect is followed, because a prompt holds what is remembered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai

from reasoning.backends.refusals import UNREADABLE, EventOfError, TooMuch, explain

CONNECT_S = 3.0
# An answer of 400 tokens comes in 150 KB; one that thinks aloud for 40,000 before it in less than this.
MAX_REPLY_BYTES = 16 << 20
MAX_NAME_CHARACTERS = 512
# How the server says that a stream is whole, and, in older versions of llama.cpp, that it has failed.
_DONE, _ERROR = b"[DONE]", b"error:"


def open_client(base_url: str, key: str, quiet_s: float, local: bool) -> openai.AsyncOpenAI:
    """A client that waits ``quiet_s`` seconds for the first word and between words, 0 without end. ``local``: on this
    machine."""
    timeout = openai.Timeout(quiet_s or None, connect=CONNECT_S)
    return openai.AsyncOpenAI(
        base_url=base_url,
        api_key=key or "none",
        organization="",
        project="",
        max_retries=0,
        timeout=timeout,
        default_headers={"Accept-Encoding": "identity"},
        # A proxy for the world must not be asked for this machine's own address.
        http_client=openai.DefaultAsyncHttpxClient(
            timeout=timeout, trust_env=not local, follow_redirects=False, event_hooks={"response": [_bound]}
        ),
    )


class _Bounded(httpx2.AsyncByteStream):
    """The body of a response, up to `MAX_REPLY_BYTES`. ``done``: the server said that it is whole."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self.done = False
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_REPLY_BYTES
        tail = b"\n"
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise TooMuch(f"over {MAX_REPLY_BYTES >> 20} MiB")
            # Of an event stream the client passes over what is no data: an error that is an event's name.
            seen = tail + chunk
            if (at := seen.find(b"\n" + _ERROR)) >= 0:
                raise EventOfError(seen[at + 1 + len(_ERROR) :].decode(errors="replace").strip())
            self.done = self.done or _DONE in seen
            tail = seen[-len(_DONE) :]
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(response: httpx2.Response) -> None:
    """No reply is longer than an answer can be, not even unpacked."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise TooMuch("packed, though it was asked not to")
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream)


def is_whole(response: httpx2.Response) -> bool:
    """Whether a stream that has been read said that it is whole."""
    return isinstance(response.stream, _Bounded) and response.stream.done


async def list_models(client: openai.AsyncOpenAI, base_url: str) -> list[dict[str, Any]]:
    """The entries of the server's list of models, with whatever it adds to them; none where it fails to list them.

    Raises:
        ModelError: it does not answer, refuses the key, or what it gave is no such list.
    """
    try:
        page = await client.models.list()
        listed = [model.to_dict() for model in page.data]
        return [entry for entry in listed if _is_name(entry.get("id"))]
    except openai.InternalServerError:
        return []  # `transformers serve` without a cache; it still serves a model that is named
    except UNREADABLE as error:
        raise explain(error, base_url, "") from error


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME_CHARACTERS
