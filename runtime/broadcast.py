"""A broadcast condition: something changed, and every task that waits for it looks again."""

from __future__ import annotations

from collections.abc import Callable

import anyio


class Broadcast:
    """Wakes all who wait at each `notify`, in the event loop's thread.

    Nothing is lost between looking and waiting, because no other task runs between the two.
    """

    def __init__(self) -> None:
        self._changed = anyio.Event()

    def notify(self) -> None:
        """Have everybody who waits now look again."""
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def wait(self) -> None:
        """Until the next `notify`."""
        await self._changed.wait()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Until ``holds()``, looked up now and at each `notify`."""
        while not holds():
            await self._changed.wait()
