"""What happens to the processes of an agent, told to the user, and to memory where a track will not go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from runtime.errors import CallError, ProcessFailed
from runtime.interfaces.client import Client
from runtime.interfaces.terminal.render import note
from runtime.messages import Track
from runtime.supervisor import ProcessEvent

RETRY_S = 1.0


async def tell_events(
    events: MemoryObjectReceiveStream[ProcessEvent],
    client: Client,
    perceived: Mapping[str, Sequence[tuple[Track, tuple[str, ...]]]],
) -> None:
    """Say what happens, and have memory end what is lost.

    ``perceived``: process -> the tracks it perceives, each with its sources.

    Raises:
        ProcessFailed: nothing is left that could perceive a recording.
    """
    gone: set[str] = set()
    async for event in events:
        if event.kind in ("died", "lost"):
            note(event.text)
        elif event.kind == "restarted":
            note(f"{event.process} is back")
        if event.kind == "lost":
            gone.add(event.process)
            for track, sources in perceived.get(event.process, ()):
                await _end_track(client, track, event.text, sources)
        if gone >= {"video", "audio"}:
            raise ProcessFailed("neither picture nor sound can be perceived; see the lines above")


async def _end_track(client: Client, track: Track, reason: str, sources: tuple[str, ...]) -> None:
    """Tell memory until it answers: it may be starting again itself, and whoever waits for the end waits for this."""
    told = False
    while True:
        try:
            await client.lost(track, reason, sources)
            return
        except CallError as error:
            if not told:
                note(f"memory does not know yet that the {track} of {', '.join(sources)} has ended: {error}")
            told = True
        await anyio.sleep(RETRY_S)
