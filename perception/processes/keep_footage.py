"""How a process that watches a live source keeps its footage: what the profile allows, and what notices mark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.to_thread

from perception.capture.footage import FootageKeeper
from runtime.footage import mark
from runtime.messages import Keeping, Notice
from runtime.plan import PerceiveLive
from runtime.service import Service
from runtime.sources import LiveSource, Rect, session_of


def keeper_of(service: Service, source: LiveSource, mask: Sequence[Rect]) -> FootageKeeper:
    """What keeps the footage of a source as the profile says; nothing where it says so, or there is no folder."""
    live = service.config.perception.live
    own = next((one.footage for one in live.sources if one.name == source.label and one.footage), live.footage)
    root = _root(service)
    keeping = own.keeping() if root else Keeping()
    return FootageKeeper(Path(root) if root else None, source, keeping, mask, service.clock.now, service.log)


async def mark_noticed(service: Service, source: str) -> None:
    """Have what the agent told of unasked outlast the rest, of this source and of those beside it, until cancelled."""
    root, moment = _root(service), session_of(source)[1]
    if not root:
        return
    async for delivery in service.subscribe("notice"):
        if isinstance(notice := delivery.message, Notice) and session_of(notice.citation.source)[1] == moment:
            cited = notice.citation
            await anyio.to_thread.run_sync(mark, Path(root), source, cited.t0_s, cited.t1_s)


def _root(service: Service) -> str:
    work = service.work
    return work.footage if isinstance(work, PerceiveLive) else ""
