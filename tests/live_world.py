"""What a process that perceives live sees of the rest of the agent, for tests without the rest."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from runtime.clock import LiveClock
from runtime.config import Config
from runtime.messages import MemoryStatus, Message, Observation, Progress
from runtime.sources import parse_source

QUICK = {
    "perception": {
        "vision": {"read_text": False, "people": False, "faces": False, "motion": False},
        "live": {"stall_s": 0.6, "open_s": 3.0, "reopen_min_s": 0.1, "reopen_max_s": 0.3},
    }
}


class World:
    """The part of Service that watching and listening live use."""

    def __init__(self, where: str, config: Config) -> None:
        source = msgspec.structs.replace(parse_source(f"door={where}"), source="door@now")
        self.config = config
        self.params = {"live": msgspec.to_builtins(source)}
        self.clock = LiveClock(time.monotonic())
        self.stopping = anyio.Event()
        self.outbox = self
        self.log = logging.getLogger("live")
        self.sent: list[Message] = []
        self.drops: Counter[str] = Counter()
        self.counters: dict[str, float] = {}
        self.notes: list[str] = []
        self.paused = False
        self.voices: list[Message] = []
        self._model_thread = anyio.CapacityLimiter(1)

    def put(self, *messages: Message) -> None:
        self.sent += messages

    async def send(self, *messages: Message) -> None:
        self.sent += messages

    async def drained(self) -> None:
        pass

    def ready(self) -> None:
        pass

    def drop(self, what: str, n: int = 1) -> None:
        self.drops[what] += n

    def report(self, counters: dict[str, float] | None = None, notes: tuple[str, ...] = (), **_: Any) -> None:
        self.counters.update(counters or {})
        self.notes += [note for note in notes if note not in self.notes[-1:]]

    def publish(self, topic: str, message: Message) -> None:
        self.voices.append(message)

    @property
    def paused_since_s(self) -> float | None:
        return 0.0 if self.paused else None

    async def serve(self, handlers: dict[type[Message], Callable[[Any], Any]]) -> None:
        self.handlers = handlers
        await self.stopping.wait()

    def caller(self, process: str) -> World:
        return self

    async def call(self, request: Message, deadline_s: float) -> MemoryStatus:
        return MemoryStatus(generation=0, sources=(), observations={}, spans={}, bytes=0)

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        return await anyio.to_thread.run_sync(function, *args, limiter=self._model_thread)

    def observations(self, channel: str) -> list[Observation]:
        return [m for m in self.sent if isinstance(m, Observation) and m.channel == channel]

    def progress(self) -> list[Progress]:
        return [m for m in self.sent if isinstance(m, Progress)]

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            await anyio.sleep(0.01)
