"""When nobody waits for an answer: background work runs only then, and is given up the moment somebody asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from runtime.clock import Clock


class Leisure:
    """Counts who waits for an answer. ``idle_s``: how long nobody must have, before background work begins."""

    def __init__(self, idle_s: float, clock: Clock) -> None:
        self._idle_s = idle_s
        self._clock = clock
        self._waiting = 0
        self._nobody_waits = anyio.Event()
        self._nobody_waits.set()
        self._since_s = clock.now()
        self._at_work: set[anyio.CancelScope] = set()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Somebody waits for an answer while this lasts; what runs in the background is cancelled at once."""
        self._waiting += 1
        if self._waiting == 1:
            self._nobody_waits = anyio.Event()
        for scope in self._at_work:
            scope.cancel()
        try:
            yield
        finally:
            self._waiting -= 1
            self._since_s = self._clock.now()
            if not self._waiting:
                self._nobody_waits.set()

    async def come(self) -> None:
        """Wait until nobody has waited for an answer for ``idle_s`` seconds."""
        while self._waiting or self._clock.now() < self._since_s + self._idle_s:
            await self._nobody_waits.wait()
            await self._clock.sleep_until(self._since_s + self._idle_s)

    @contextmanager
    def spent(self) -> Iterator[anyio.CancelScope]:
        """Background work: cancelled as soon as somebody asks, and at once where somebody waits already."""
        with anyio.CancelScope() as scope:
            self._at_work.add(scope)
            if self._waiting:
                scope.cancel()
            try:
                yield scope
            finally:
                self._at_work.discard(scope)
