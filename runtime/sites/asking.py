"""Asking every site at once: each with a deadline, and who did not answer is known, with why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from runtime.errors import CallError, DecodeError, RemoteError, StoreError
from runtime.messages import (
    ForgetReply,
    ForgetRequest,
    Hello,
    HelloRequest,
    MemoryStatus,
    Message,
    RecallReply,
    RecallRequest,
    ScanReply,
    ScanRequest,
    SpansReply,
    SpansRequest,
    StatusRequest,
    TimelineReply,
    TimelineRequest,
    View,
    ViewRequest,
)
from runtime.sites.calls import SiteCaller
from runtime.sites.greeting import clock_offset
from runtime.sites.membership import read_hub
from runtime.sites.names import PROTOCOL, call_subject

if TYPE_CHECKING:
    from nats.aio.client import Client as Nats


# What a site may reply to each request: one that was taken over by somebody breaks nothing but itself.
REPLIES: dict[type[Message], type[Message]] = {
    ForgetRequest: ForgetReply,
    HelloRequest: Hello,
    RecallRequest: RecallReply,
    ScanRequest: ScanReply,
    SpansRequest: SpansReply,
    StatusRequest: MemoryStatus,
    TimelineRequest: TimelineReply,
    ViewRequest: View,
}


class Sites:
    """The sites of the hub in ``folder``. ``uncertainty_s``: by how much the clock of each may differ from ours."""

    def __init__(self, folder: Path, connection: Nats, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self.names: tuple[str, ...] = ()
        self.uncertainty_s: dict[str, float] = {}
        self._folder = folder
        self._caller = SiteCaller(connection)
        self._away: dict[str, str] = {}
        self._other: dict[str, str] = {}

    async def open(self) -> None:
        """Before the first call."""
        await self._caller.open()

    @property
    def away(self) -> dict[str, str]:
        """Who could not be asked when that was last tried, and why: "shop" -> "is away"."""
        return {site: why for site, why in sorted({**self._away, **self._other}.items()) if site in self.names}

    async def greet(self) -> None:
        """Learn which sites there are, which speak as we do, and what their clocks say."""
        self.names = tuple(sorted(read_hub(self._folder).sites))
        asked_s = time.time()

        async def greet_one(site: str) -> None:
            hello = await self.ask_one(site, HelloRequest())
            if not isinstance(hello, Hello):
                return
            offset_s, sure_s = clock_offset(hello, asked_s, time.time())
            self.uncertainty_s[site] = abs(offset_s) + sure_s
            self._other.pop(site, None)
            if hello.protocol != PROTOCOL:
                self._other[site] = f"runs version {hello.version}, which this one cannot ask"

        async with anyio.create_task_group() as tasks:
            for site in self.names:
                tasks.start_soon(greet_one, site)

    async def ask(
        self, sites: Iterable[str], request_of: Callable[[str], Message], deadline_s: float | None = None
    ) -> dict[str, Any]:
        """Site -> its reply, of those that gave one, in the order given.

        Raises:
            StoreError: one says that the request makes no sense there.
        """
        replies: dict[str, Any] = {}
        failed: list[StoreError] = []
        wanted = [site for site in sites if site not in self._other]

        async def ask(site: str) -> None:
            try:
                reply = await self.ask_one(site, request_of(site), deadline_s)
            except StoreError as error:
                failed.append(error)
            else:
                if reply is not None:
                    replies[site] = reply

        async with anyio.create_task_group() as tasks:
            for site in wanted:
                tasks.start_soon(ask, site)
        if failed:
            raise failed[0]
        return {site: replies[site] for site in wanted if site in replies}

    async def ask_one(self, site: str, request: Message, deadline_s: float | None = None) -> Any:
        """The reply of one site; None where it gave none, and why is noted.

        Raises:
            StoreError: it says that the request makes no sense there.
        """
        try:
            reply = await self._caller.call(call_subject(site), request, deadline_s or self.deadline_s)
            if not isinstance(reply, REPLIES[type(request)]):
                raise DecodeError(f"{type(reply).__name__} is no reply to {type(request).__name__}")
        except RemoteError as error:
            if error.kind == StoreError.__name__:
                raise StoreError(f"{site}: {error}") from error
            self._away[site] = f"could not answer ({error})"
        except DecodeError:
            self._away[site] = "answers in a way that is not understood"
        except CallError as error:
            self._away[site] = str(error)
        else:
            self._away.pop(site, None)
            return reply
        return None
