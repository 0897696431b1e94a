"""One track of a live source from its opening to its end, as memory is told of it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import anyio
from msgspec.structs import replace

from perception.vision.sampling_budget import CpuUse, SamplingBudget
from runtime.errors import UserError
from runtime.messages import SourceEnded, SourceOpened, Track, round_time
from runtime.service import Service
from runtime.sources import LiveSource

_DRAIN_S = 5.0
# How often the processor time used is looked at.
_BUDGET_S = 2.0


def opened(source: LiveSource, track: Track, encoders: dict[str, str]) -> SourceOpened:
    """That the track is open, and what perceives it; said again where that changes."""
    return SourceOpened(
        source=source.source,
        track=track,
        kind=source.kind,
        uri=source.shown,
        started_wall_s=source.started_wall_s,
        encoders=encoders,
    )


async def tell_track(
    service: Service, source: LiveSource, track: Track, encoders: dict[str, str], perceive: Callable[[], Awaitable[str]]
) -> None:
    """Tell that the track is open, ``perceive`` it, and tell that it has ended.

    ``perceive`` ends when the process is to stop (""), or when the source has nothing more, ever (why). A stream may
    well have only one of the tracks; a device without its own is a mistake of the user's.

    Raises:
        UserError: the device has nothing to perceive, and never will.
    """
    await service.outbox.send(opened(source, track, encoders))
    over = await perceive()
    if over and source.kind != "stream":
        raise UserError(over)
    if over:
        await service.outbox.send(replace(opened(source, track, {}), missing=over))
    await service.outbox.send(SourceEnded(source=source.source, track=track, t_s=round_time(service.clock.now())))
    service.report(idle=True, notes=(f"{source.label}: {over}",) if over else ())
    with anyio.move_on_after(_DRAIN_S):
        await service.outbox.drained()


async def keep_budget(service: Service, label: str, budget: SamplingBudget) -> None:
    """Have a source looked at less while this process uses more than it may, and more when it may again."""
    now_s, used_s = time.monotonic(), time.process_time()
    while True:
        await anyio.sleep(_BUDGET_S)
        before_s, used_before_s = now_s, used_s
        now_s, used_s = time.monotonic(), time.process_time()
        for level in budget.step(CpuUse((used_s - used_before_s) / (now_s - before_s))):
            service.log.info("%s: %s", label, level.what)
