"""The shell of a process: one model thread, and work that is judged by its progress."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
import zmq
import zmq.asyncio

from runtime.bus import endpoint
from runtime.config import Config
from runtime.messages import Cancel, Stop, encode
from runtime.plan import Plan, Serve
from runtime.service import Service

pytestmark = pytest.mark.anyio


async def in_service(run_dir: Path, use: Callable[[Service], Awaitable[None]]) -> None:
    service = Service(Plan("memory", "memory", "", Serve(), Config(), ()), run_dir)
    with anyio.fail_after(20):
        await service.run(use)


async def test_what_was_given_up_ends_before_the_model_thread_does_anything_else(run_dir: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def long_work() -> None:
        begun.set()
        go_on.wait()
        order.append("given up")

    async def use(service: Service) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.in_thread, long_work)
            while not begun.is_set():
                await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.in_thread, order.append, "next")
            await anyio.wait_all_tasks_blocked()
            assert order == []
            go_on.set()
        assert order == ["given up", "next"]

    await in_service(run_dir, use)


async def test_what_waits_for_the_model_thread_and_is_given_up_never_begins(run_dir: Path) -> None:
    go_on = threading.Event()
    done: list[str] = []

    async def use(service: Service) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.in_thread, go_on.wait)
            async with anyio.create_task_group() as given_up:
                given_up.start_soon(service.in_thread, done.append, "given up")
                await anyio.wait_all_tasks_blocked()
                given_up.cancel_scope.cancel()
            go_on.set()
        await service.in_thread(done.append, "next")
        assert done == ["next"]

    await in_service(run_dir, use)


async def test_what_cannot_be_read_on_the_control_socket_is_counted_and_what_follows_is_heeded(run_dir: Path) -> None:
    malformed = [b"", b"\xc1", b"\x91" * 5000 + b"\xc0", b"\xdf\xff\xff\xff\xff", encode(Cancel(call="no hex"))]

    async def use(service: Service) -> None:
        context = zmq.asyncio.Context()
        socket = context.socket(zmq.PUSH)
        socket.connect(endpoint(run_dir, "control", "memory"))
        for message in (*malformed, encode(Stop())):
            await socket.send(message)
        await service.stopping.wait()
        assert service._drops == {"control:undecodable": len(malformed)}
        context.destroy(linger=0)

    await in_service(run_dir, use)
