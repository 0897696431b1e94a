"""Processes that misbehave in one way each, for the supervisor's tests. Run by `runtime.service`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import anyio

from runtime.errors import StoreError
from runtime.service import Service


async def well_behaved(service: Service) -> None:
    """Ready at once; leaves a mark when it is stopped in order."""
    service.ready()
    await service.stopping.wait()
    with Path(service.params["stopped"]).open("a", encoding="utf-8") as marks:
        marks.write(f"{service.name}\n")


async def done_at_once(service: Service) -> None:
    service.ready()


async def crashes(service: Service) -> None:
    service.ready()
    raise RuntimeError("a bug in here")


async def crashes_at_the_garden(service: Service) -> None:
    service.ready()
    if service.name.endswith(":garden"):
        raise RuntimeError("no garden")
    await service.stopping.wait()


async def user_error(service: Service) -> None:
    raise StoreError("memory /x is a file; give a folder")


async def never_ready(service: Service) -> None:
    await anyio.sleep_forever()


async def hangs(service: Service) -> None:
    """Blocks its own event loop once the mark is there, and takes it away; then behaves."""
    service.ready()
    mark = Path(service.params["mark"])
    while not service.stopping.is_set():
        await anyio.sleep(0.02)
        if mark.exists():
            mark.unlink()
            stuck_in_here()


def stuck_in_here() -> None:
    time.sleep(60)


async def stalls(service: Service) -> None:
    """Its loop runs, its data stand still: alive by every measure but the one that counts."""
    service.ready()
    mark = Path(service.params["mark"])
    if not mark.exists():
        mark.touch()
        service.report(idle=False, media_s=1.0)
    await service.stopping.wait()


async def ignores_stop(service: Service) -> None:
    service.ready()
    await anyio.sleep_forever()


async def tells_pid(service: Service) -> None:
    service.ready()
    Path(service.params["pid"]).write_text(str(os.getpid()), encoding="utf-8")
    await anyio.sleep_forever()
