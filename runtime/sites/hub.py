"""The hub: the server that sites connect to, the copies of their streams, and what absent sites owe."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from runtime.errors import CallError, MindstreamError
from runtime.messages import Hello, HelloRequest, Message
from runtime.sites.calls import SiteCaller, answer_calls
from runtime.sites.certificates import ensure_certificate
from runtime.sites.copies import follow_origin
from runtime.sites.greeting import differs
from runtime.sites.link import connected, need_jetstream
from runtime.sites.membership import Hub, read_hub
from runtime.sites.names import PROTOCOL, call_subject
from runtime.sites.owed import debts_of, settle
from runtime.sites.server import NatsServer
from runtime.sites.server_config import HUB_USER, hub_config
from runtime.sites.stream import SiteStream
from runtime.version import VERSION

if TYPE_CHECKING:
    from nats.aio.client import Client as Nats

SERVER_FOLDER = "server"
LOOK_S = 2.0
# Copies are compared with their streams this often; after something was forgotten at once.
COMPARE_S = 600.0
HELLO_DEADLINE_S = 2.0
FORGET_S = 1800.0


@asynccontextmanager
async def joined_hub(folder: Path) -> AsyncIterator[Nats]:
    """A connection to the server of the hub in ``folder``, as its owner.

    Raises:
        UserError: there is no such hub, or its server does not run.
    """
    hub = read_hub(folder)
    url = hub.url or f"nats://127.0.0.1:{hub.port}"
    user, password = ("", "") if hub.url else (HUB_USER, hub.password)
    async with connected(url, user, password, hub.ca) as connection:
        yield connection


class RunningHub:
    """A hub in ``folder``; ``tell`` is called with what is to be said, a line at a time."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._tell = tell
        self._hub = read_hub(folder)
        self._server: NatsServer | None = None
        self._told: dict[str, str] = {}
        self._compared_s: dict[str, float] = {}
        self._let_go: dict[str, str] = {}

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Be the hub until cancelled.

        Raises:
            UserError: its server does not start, or another's is not there.
        """
        async with anyio.create_task_group() as tasks:
            if not self._hub.url:
                if self._hub.has_tls:
                    ensure_certificate(self._folder, self._hub.names)
                config = self._config(self._hub)
                self._server = NatsServer(self._folder / SERVER_FOLDER, config, self._hub.port, self._tell)
                await tasks.start(self._server.run)
            async with joined_hub(self._folder) as connection:
                if self._hub.url:
                    await need_jetstream(connection, self._hub.url)
                await answer_calls(connection, "mind.*.hello", self._greet, tasks)
                caller = SiteCaller(connection)
                await caller.open()
                task_status.started()
                while True:
                    await self._take_changes()
                    for site in self._hub.sites:
                        with suppress(MindstreamError, TimeoutError, OSError):
                            await self._look_after(site, connection, caller)
                    await anyio.sleep(LOOK_S)

    def _config(self, hub: Hub) -> str:
        return hub_config(hub, self._folder)

    async def _take_changes(self) -> None:
        """Sites that were invited, or left, since."""
        hub = read_hub(self._folder)
        if hub != self._hub:
            is_void = any(hub.sites.get(site) != access for site, access in self._hub.sites.items())
            self._hub = hub
            if self._server is not None:
                self._server.reload(self._config(hub), disconnects=is_void)

    async def _look_after(self, site: str, connection: Nats, caller: SiteCaller) -> None:
        from nats.errors import Error

        try:
            copy, origin = SiteStream(connection, site), SiteStream(connection, site, site)
            began_s = time.time()
            try:
                hello = await caller.call(call_subject(site), HelloRequest(), HELLO_DEADLINE_S)
            except CallError as error:
                self._say(site, f"{site} {error}")
                return
            if not isinstance(hello, Hello):
                self._say(site, f"{site} answers in a way that is not understood")
                return
            self._say(site, "; ".join([f"{site} is here, version {hello.version}", *told_of(hello, began_s)]))
            if not await copy.is_there() and await origin.is_there():
                await copy.make_mirror()
            paid = await self._collect(site, caller)
            has_let_go = hello.let_go != self._let_go.get(site, "")
            self._let_go[site] = hello.let_go
            if paid or has_let_go or time.monotonic() - self._compared_s.get(site, -COMPARE_S) >= COMPARE_S:
                _, why = await follow_origin(copy, origin)
                self._compared_s[site] = time.monotonic()
                self._say(f"{site} copy", why)
        except Error as error:  # the server is being started again, or a link has just gone
            self._say("server", f"the NATS server: {error or type(error).__name__}")
        else:
            self._say("server", "")

    async def _collect(self, site: str, caller: SiteCaller) -> bool:
        """Have a site that is here forget what it owes; whether anything was."""
        owed = await anyio.to_thread.run_sync(debts_of, self._folder, site)
        for path, debt in owed:
            reply = await caller.call(call_subject(site), debt.request, FORGET_S)
            paid = await anyio.to_thread.run_sync(settle, self._folder, path, debt, reply, time.time())
            self._tell(
                f"{site} has forgotten what it owed: {paid.observations} observations, traces left: {paid.traces}"
            )
        return bool(owed)

    async def _greet(self, request: Message, deadline_s: float) -> Message:
        return Hello(name="hub", version=VERSION, protocol=PROTOCOL, wall_s=time.time())

    def _say(self, what: str, line: str) -> None:
        """Say it once, until it changes."""
        if self._told.get(what, "") != line:
            self._told[what] = line
            if line:
                self._tell(line)


def told_of(hello: Hello, began_s: float) -> list[str]:
    """What is wrong with a site that answered just now what was asked at ``began_s``, in lines."""
    return [line for line in (differs(hello, began_s, time.time()), *hello.notes) if line]
