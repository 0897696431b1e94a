"""When nobody waits for an answer: background work runs only then, and is given up the moment somebody asks.

Three claims on the model, the first before the second before the third: somebody waits for an answer (`taken`),
something must be looked at while it is there (`errand`), and what can be done at any time (`spent`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import anyio

from runtime.clock import Clock


class Leisure:
    """Counts who waits for an answer. ``idle_s``: how long nobody must have, before background work begins."""

    def __init__(self, idle_s: float, clock: Clock) -> None:
        self._idle_s = idle_s
        self._clock = clock
        self._waiting = 0
        self._is_free = anyio.Event()
        self._is_free.set()
        self._since_s = clock.now()
        self._errands: set[anyio.CancelScope] = set()
        self._at_work: set[anyio.CancelScope] = set()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Somebody waits for an answer while this lasts; all else is cancelled at once."""
        self._waiting += 1
        self._busy(*self._errands, *self._at_work)
        try:
            yield
        finally:
            self._waiting -= 1
            self._since_s = self._clock.now()
            self._freed()

    def errand(self) -> AbstractContextManager[anyio.CancelScope]:
        """Something that cannot wait, but comes after whoever asks: cancelled then, and at once where somebody does."""
        self._busy(*self._at_work)
        return self._work(self._errands, is_late=self._waiting > 0)

    def spent(self) -> AbstractContextManager[anyio.CancelScope]:
        """Background work: cancelled as soon as anything else comes, and at once where something is under way."""
        return self._work(self._at_work, is_late=not self._is_free.is_set())

    async def come(self) -> None:
        """Wait until nobody has waited for an answer for ``idle_s`` seconds, and no errand is under way."""
        while not self._is_free.is_set() or self._clock.now() < self._since_s + self._idle_s:
            await self._is_free.wait()
            await self._clock.sleep_until(self._since_s + self._idle_s)

    @contextmanager
    def _work(self, beside: set[anyio.CancelScope], is_late: bool) -> Iterator[anyio.CancelScope]:
        with anyio.CancelScope() as scope:
            beside.add(scope)
            if is_late:
                scope.cancel()
            try:
                yield scope
            finally:
                beside.discard(scope)
                self._freed()

    def _busy(self, *scopes: anyio.CancelScope) -> None:
        if self._is_free.is_set():
            self._is_free = anyio.Event()
        for scope in scopes:
            scope.cancel()

    def _freed(self) -> None:
        if not (self._waiting or self._errands):
            self._is_free.set()
