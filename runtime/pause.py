"""Pausing what is perceived live: a file in the run directory says so, and nothing perceived passes while it is there.

A file, because it must hold for a process that is started again while it is there; it says since when, on the machine's
monotonic clock, which nobody sets. What began, or ended, in a pause is let go, also when it is told later; in its place
goes a gap that says who wanted it. Recordings are not paused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from runtime.messages import (
    Ack,
    GapFacts,
    Message,
    Observation,
    Progress,
    SourceEnded,
    SourceOpened,
    observation_id,
    round_time,
)
from runtime.spill import LiveOutbox

PAUSED_BY_USER = "paused by the user"
# A pause is told of piece by piece, so that memory knows of it while it lasts.
PIECE_S = 30.0
_K = {"video": 11, "audio": 12}


def pause_path(run_dir: Path) -> Path:
    return run_dir / "paused"


def pause(run_dir: Path) -> None:
    """From now on nothing is perceived live by the agent of this run directory."""
    beside = run_dir / "paused.new"
    beside.write_text(repr(time.monotonic()), encoding="ascii")
    beside.replace(pause_path(run_dir))


def resume(run_dir: Path) -> None:
    """Perceive again."""
    pause_path(run_dir).unlink(missing_ok=True)


class PausableOutbox:
    """An outbox that lets nothing perceived pass during a pause. ``now`` gives media time."""

    def __init__(self, outbox: LiveOutbox, run_dir: Path, now: Callable[[], float]) -> None:
        self._outbox = outbox
        self._path = pause_path(run_dir)
        self._now = now
        self._opened: SourceOpened | None = None
        self._since_s: float | None = None
        self._told_s = 0.0
        # The last pause that is over: (since, until). Longer than an utterance ago nothing can reach into it.
        self._over = (-1.0, -1.0)

    # Named one by one: whatever sends must pass through here.

    @property
    def blocked(self) -> bool:
        return self._outbox.blocked

    def acknowledge(self, ack: Ack, epoch: int) -> None:
        self._outbox.acknowledge(ack, epoch)

    async def resend_forever(self) -> None:
        await self._outbox.resend_forever()

    async def drained(self) -> None:
        await self._outbox.drained()

    @property
    def paused_since_s(self) -> float | None:
        """Media time at which the pause that is on began, looked up now; None if none is."""
        return self._since_s if self.paused else None

    @property
    def paused(self) -> bool:
        """Whether a pause is on, looked up now."""
        try:
            ago_s = max(0.0, time.monotonic() - float(self._path.read_text(encoding="ascii")))
        except (FileNotFoundError, ValueError):
            if self._since_s is not None and not self._path.exists():
                self._over, self._since_s = (self._since_s, self._now()), None
            return self._since_s is not None
        if self._since_s is None:
            self._since_s = self._told_s = round_time(max(0.0, self._now() - ago_s))
        return True

    async def send(self, *messages: Message) -> None:
        """Send what may pass, in order, and the gaps of a pause before what follows them."""
        for message in messages:
            for passed in self._pass(message):
                await self._outbox.send(passed)

    def put(self, *messages: Message) -> None:
        """The same without waiting."""
        for message in messages:
            self._outbox.put(*self._pass(message))

    def _pass(self, message: Message) -> list[Message]:
        before = self._since_s
        paused = self.paused
        gaps: list[Message] = []
        if before is not None and not paused:
            gaps = self._gap(self._over[1])
        if isinstance(message, SourceOpened):
            self._opened = message
        elif isinstance(message, Observation):
            return gaps + ([] if self._is_hidden(message) else [message])
        elif isinstance(message, Progress | SourceEnded) and paused:
            is_due = isinstance(message, SourceEnded) or message.t_s - self._told_s >= PIECE_S
            gaps = self._gap(message.t_s) if is_due else []
        return [*gaps, message]

    def _is_hidden(self, observation: Observation) -> bool:
        if observation.channel == "gap":
            return False
        if self._since_s is not None and observation.t1_s >= self._since_s:
            return True
        return observation.t1_s >= self._over[0] and observation.t0_s <= self._over[1]

    def _gap(self, until_s: float) -> list[Message]:
        """The pause as far as it has not been told of."""
        opened, since_s, until_s = self._opened, self._told_s, round_time(until_s)
        if opened is None or until_s <= since_s:
            return []
        self._told_s = until_s
        return [
            Observation(
                id=observation_id(opened.source, "gap", since_s, _K[opened.track]),
                source=opened.source,
                channel="gap",
                t0_s=since_s,
                t1_s=until_s,
                text=PAUSED_BY_USER,
                data=GapFacts(track=opened.track, reason=PAUSED_BY_USER),
            )
        ]
