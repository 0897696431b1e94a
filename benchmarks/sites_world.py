"""A hub and sites in processes of their own, on loopback, with links that can be cut; for `benchmarks.sites`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import msgspec
import psutil

from benchmarks import harness
from runtime.agent import find_agent
from runtime.interfaces.commands.sites import invite
from runtime.sites.hub import joined_hub
from runtime.sites.membership import Hub, new_password, read_token, write_hub, write_membership
from runtime.sites.server import free_port
from runtime.sites.stream import SiteStream

START_S, COPY_S = 120.0, 300.0
RUN = (sys.executable, str(harness.PROJECT / "run_agent.py"))


class Link:
    """What a site reaches the hub through: it can be cut and healed."""

    def __init__(self, to_port: int) -> None:
        self.port = free_port()
        self._to_port = to_port
        self._open: set[anyio.abc.SocketStream] = set()
        self.is_cut = False

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self.port)
        async with listener:
            task_status.started()
            await listener.serve(self._carry)

    async def cut(self) -> None:
        self.is_cut = True
        for stream in list(self._open):
            with suppress(Exception):
                await stream.aclose()

    def heal(self) -> None:
        self.is_cut = False

    async def _carry(self, near: anyio.abc.SocketStream) -> None:
        if self.is_cut:
            await near.aclose()
            return
        try:
            far = await anyio.connect_tcp("127.0.0.1", self._to_port)
        except OSError:
            await near.aclose()
            return
        self._open |= {near, far}
        async with near, far, anyio.create_task_group() as tasks:

            async def pass_on(source: anyio.abc.SocketStream, sink: anyio.abc.SocketStream) -> None:
                with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
                    while True:
                        await sink.send(await source.receive())
                tasks.cancel_scope.cancel()

            tasks.start_soon(pass_on, near, far)
            tasks.start_soon(pass_on, far, near)
        self._open -= {near, far}


class Site:
    """A site in processes of its own: `sites run`, started again when it was killed, as systemd would."""

    def __init__(self, name: str, memory_dir: Path, link: Link) -> None:
        self.name = name
        self.memory_dir = memory_dir
        self.link = link
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self.process is None or self.process.poll() is not None:
            self.process = _spawn("sites", "run", "--memory", str(self.memory_dir), log=self.memory_dir / "run.log")

    @property
    def leaf_pid(self) -> int | None:
        """Of its NATS server."""
        return _server_below(self.process)

    async def until_up(self) -> None:
        with anyio.fail_after(START_S):
            while find_agent(self.memory_dir) is None:
                await anyio.sleep(0.1)


class World:
    """A hub in ``folder / "hub"`` and these sites, whose memories are there already or begin empty."""

    def __init__(self, folder: Path, names: Sequence[str], tasks: anyio.abc.TaskGroup) -> None:
        self.hub_dir = folder / "hub"
        self.hub: subprocess.Popen[bytes] | None = None
        self._tasks = tasks
        self._config = Hub(port=free_port(), leaf_port=free_port(), password=new_password())
        write_hub(self.hub_dir, self._config)
        self.sites = [Site(name, folder / name, Link(self._config.leaf_port)) for name in names]

    async def start(self) -> None:
        """Start them all, and wait until all that the sites hold is copied."""
        self.start_hub()
        for site in self.sites:
            await self._tasks.start(site.link.run)
            membership = read_token(invite(self.hub_dir, site.name, True))
            url = re.sub(r":\d+$", f":{site.link.port}", membership.url)
            write_membership(site.memory_dir, msgspec.structs.replace(membership, url=url))
            site.start()
        for site in self.sites:
            await site.until_up()
        for site in self.sites:
            await self.until_copied(site)

    def start_hub(self) -> None:
        if self.hub is None or self.hub.poll() is not None:
            self.hub = _spawn("sites", "up", "--hub", str(self.hub_dir), log=self.hub_dir / "run.log")

    @property
    def hub_server_pid(self) -> int | None:
        return _server_below(self.hub)

    async def copied(self, site: Site) -> dict[str, int]:
        """Id of each observation in the hub's copy -> how often it is there."""
        from runtime.messages import decode

        found: dict[str, int] = {}
        async with joined_hub(self.hub_dir) as connection:
            async for message in SiteStream(connection, site.name).messages():
                if ".log.o." in (message.subject or ""):
                    id_ = decode(message.data or b"").id
                    found[id_] = found.get(id_, 0) + 1
        return found

    async def until_copied(self, site: Site) -> float:
        """Wait until the hub's copy ends where the site's stream does; seconds."""
        began_s = time.monotonic()
        with anyio.fail_after(COPY_S):
            while True:
                with suppress(Exception):
                    async with joined_hub(self.hub_dir) as connection:
                        copy = SiteStream(connection, site.name)
                        origin = SiteStream(connection, site.name, site.name)
                        there, state = await origin.subjects(), await origin.read_state()
                        if state.place and await copy.subjects() == there and await copy.read_state() == state:
                            return time.monotonic() - began_s
                await anyio.sleep(0.2)

    def stop(self) -> None:
        running = [process for process in (*(site.process for site in self.sites), self.hub) if process is not None]
        for process in running:
            process.terminate()
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()


def kill(pid: int | None) -> bool:
    """kill -9; whether there was anything to kill."""
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _spawn(*arguments: str, log: Path) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as told:
        return subprocess.Popen([*RUN, *arguments], stdin=subprocess.DEVNULL, stdout=told, stderr=told)


def _server_below(process: subprocess.Popen[Any] | None) -> int | None:
    if process is None:
        return None
    with suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            if child.name() == "nats-server":
                return child.pid
    return None
