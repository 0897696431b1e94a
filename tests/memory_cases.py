"""Observations and streams made by hand, for the tests of memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
from msgspec import Struct

from memory.integrate import Integration
from memory.observe import Batch, gather
from memory.segment import SegmentOptions
from memory.store import Store
from runtime.messages import Channel, Message, Observation, Progress, SourceEnded, SourceOpened, observation_id
from runtime.trust import TRUST


class Sent(Struct, frozen=True):
    """A message as the bus would deliver it."""

    publisher: str
    epoch: int
    seq: int
    message: Message


def send(publisher: str, *messages: Message, first: int = 1, epoch: int = 1) -> list[Sent]:
    return [Sent(publisher, epoch, seq, message) for seq, message in enumerate(messages, start=first)]


def see(
    t_s: float, text: str = "", *, source: str = "clip", vector: tuple[float, ...] = (), **data: object
) -> Observation:
    """A frame; ``vector`` of any length, made unit length."""
    unit = np.array(vector) / np.linalg.norm(vector) if vector else None
    return Observation(
        id=observation_id(source, "frame", t_s), source=source, channel="frame", t0_s=t_s, t1_s=t_s, text=text,
        data=data, vector=None if unit is None else unit.astype("<f2").tobytes(), vector_space="test" if vector else "",
        payload=b"\xff\xd8jpeg",
    )  # fmt: skip


def say(
    t0_s: float, t1_s: float, text: str, *, source: str = "clip", channel: Channel = "speech", **data: object
) -> Observation:
    return Observation(
        id=observation_id(source, channel, t0_s),
        source=source,
        channel=channel,
        t0_s=t0_s,
        t1_s=t1_s,
        text=text,
        data=data,
        trust=TRUST["said"] if channel in ("speech", "text") else 1.0,
    )


def stream(
    *observations: Observation, source: str = "clip", end_s: float, kind: str = "file", duration_s: float | None = None
) -> Batch:
    """A whole source as one batch: both tracks opened, everything perceived, both ended at ``end_s``."""
    messages: list[Message] = [
        SourceOpened(source=source, track=track, kind=kind, duration_s=duration_s)  # type: ignore[arg-type]
        for track in ("video", "audio")
    ]
    messages += observations
    messages += [SourceEnded(source=source, track=track, t_s=end_s) for track in ("video", "audio")]  # type: ignore[arg-type]
    return gather(send("test", *messages))


def remember(store: Store, *batches: Batch, integration: Integration | None = None) -> None:
    """Each batch through the write path, consolidation included."""
    integration = integration or Integration(SegmentOptions())
    for batch in batches:
        with store.write() as writing:
            writing.add(batch)
            integration.advance(writing, writing.media_sources())


def memory_of(directory: Path, *batches: Batch) -> Store:
    """A new store with these batches in it."""
    store = Store(directory)
    remember(store, *batches)
    return store


def progress(t_s: float, track: str, source: str = "clip") -> Progress:
    return Progress(source=source, track=track, t_s=t_s)  # type: ignore[arg-type]


def steps(connection: sqlite3.Connection, work: Callable[[], object]) -> int:
    """How much SQLite does for ``work``, in hundreds of steps of its virtual machine: a cost that no load changes."""
    taken = 0

    def count() -> None:
        nonlocal taken
        taken += 1

    connection.set_progress_handler(count, 100)
    try:
        work()
    finally:
        connection.set_progress_handler(None, 0)
    return taken
