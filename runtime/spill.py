"""The outbox of a live source: it never makes its user wait, and never loses anything silently.

What finds no room in the outbox, because memory is slow or away, waits here in order up to a bound in bytes. Beyond
it observations are given up: counted, and told as a gap once there is room again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import anyio
from msgspec import Struct

from runtime.broadcast import Broadcast
from runtime.bus import Outbox
from runtime.messages import (
    TRACKS,
    Ack,
    GapFacts,
    Message,
    Observation,
    Progress,
    Track,
    observation_id,
    round_time,
)

# What a message takes beside its picture, vector and text.
_OVERHEAD_BYTES = 1000
# A gap of this kind may begin with one of another kind.
_NUMBER = 5


class _Lost(Struct):
    """What was given up of a source since there was no room."""

    t0_s: float
    t1_s: float
    n: int = 0


class LiveOutbox:
    """An `Outbox` with room behind it. ``track`` is what its gaps are of."""

    blocked = False

    def __init__(
        self, outbox: Outbox, track: Track, limit_bytes: float, count_drop: Callable[[str, int], None]
    ) -> None:
        self._outbox = outbox
        self._track: Track = track
        self._limit_bytes = limit_bytes
        self._count_drop = count_drop
        self._spilled: deque[tuple[Message, int]] = deque()
        self._bytes = 0
        self._lost: dict[str, _Lost] = {}
        self._held: dict[str, Progress] = {}
        self._moved = Broadcast()

    def __len__(self) -> int:
        return len(self._outbox) + len(self._spilled)

    def put(self, *messages: Message) -> None:
        """Send in order, at once or when there is room; never waits."""
        for message in messages:
            self._take(message)

    async def send(self, *messages: Message) -> None:
        """The same, for who may wait as well."""
        self.put(*messages)
        await anyio.lowlevel.checkpoint()

    async def drained(self) -> None:
        """Wait until everything sent is acknowledged."""
        await self._moved.until(lambda: not self._spilled)
        await self._outbox.drained()

    def acknowledge(self, ack: Ack, epoch: int) -> None:
        """Drop what memory made durable, and send what waited for its room."""
        self._outbox.acknowledge(ack, epoch)
        self._move()

    async def resend_forever(self) -> None:
        await self._outbox.resend_forever()

    def _take(self, message: Message) -> None:
        if not self._spilled and not self._lost and self._outbox.offer(message):
            return
        if isinstance(message, Progress):
            self._take_progress(message)
            return
        size = _size(message)
        if isinstance(message, Observation) and self._bytes + size > self._limit_bytes:
            lost = self._lost.setdefault(message.source, _Lost(message.t0_s, message.t1_s))
            lost.t0_s, lost.t1_s = min(lost.t0_s, message.t0_s), max(lost.t1_s, message.t1_s)
            lost.n += 1
            self._count_drop("perceived:memory busy", 1)
            return
        self._append(message)

    def _take_progress(self, message: Progress) -> None:
        """Only the newest matters; and none may pass a loss that has not been told yet."""
        if message.source in self._lost:
            self._held[message.source] = message
        elif self._spilled and isinstance(last := self._spilled[-1][0], Progress) and last.source == message.source:
            self._spilled[-1] = (message, self._spilled[-1][1])
        else:
            self._append(message)

    def _append(self, message: Message) -> None:
        size = _size(message)
        self._spilled.append((message, size))
        self._bytes += size

    def _move(self) -> None:
        while self._spilled and self._outbox.offer(self._spilled[0][0]):
            self._bytes -= self._spilled.popleft()[1]
        if self._lost and self._bytes <= self._limit_bytes / 2:
            lost, self._lost = self._lost, {}
            for source, what in lost.items():
                self._take(self._gap(source, what))
                if (progress := self._held.pop(source, None)) is not None:
                    self._take(progress)
        self._moved.notify()

    def _gap(self, source: str, lost: _Lost) -> Observation:
        t0_s, t1_s = round_time(lost.t0_s), round_time(lost.t1_s)
        return Observation(
            id=observation_id(source, "gap", t0_s, k=_NUMBER + TRACKS.index(self._track)),
            source=source,
            channel="gap",
            t0_s=t0_s,
            t1_s=t1_s,
            text=f"{lost.n} things perceived in {t1_s - t0_s:.1f} s were not remembered: memory could not keep up",
            data=GapFacts(track=self._track, reason="memory could not keep up"),
        )


def _size(message: Message) -> int:
    if not isinstance(message, Observation):
        return _OVERHEAD_BYTES
    return _OVERHEAD_BYTES + len(message.payload or b"") + len(message.vector or b"") + len(message.text)
