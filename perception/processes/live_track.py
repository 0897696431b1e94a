"""One track of a live source from its opening to its end, as memory is told of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from msgspec.structs import replace

from runtime.errors import UserError
from runtime.messages import SourceEnded, SourceOpened, Track, round_time
from runtime.service import Service
from runtime.sources import LiveSource

_DRAIN_S = 5.0


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
