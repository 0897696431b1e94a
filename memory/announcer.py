"""What the memory process tells of its commits: to health each, to whoever listens for what is stored the newest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from memory.transactions import ANNOUNCED_SOURCES, Committed
from runtime.messages import Stored

if TYPE_CHECKING:
    from runtime.service import Service

ANNOUNCE_INTERVAL_S = 0.1


class Announcer:
    """Tells of commits, at most once an interval unless asked. ``stored``, ``spans``: what there is at the start."""

    def __init__(self, service: Service, stored: int, spans: int) -> None:
        self._service = service
        self._points: dict[str, tuple[float, bool]] = {}
        self._stored, self._spans = stored, spans
        self._news: Committed | None = None
        self._announce_at = 0.0

    def note(self, committed: Committed) -> None:
        """Report a commit, and announce it unless one was announced a moment ago."""
        self._stored += committed.stored
        if committed.erased:
            self._service.drop("perceived:erased before", committed.erased)
        self._spans += committed.spans
        self._points |= committed.points
        while len(self._points) > ANNOUNCED_SOURCES:
            del self._points[next(iter(self._points))]
        for source, (point_s, _) in committed.points.items():
            self._service.report(source=source, media_s=point_s)
        self._service.report(
            counters={"observations": self._stored, "spans": self._spans, "bytes": committed.size_bytes}
        )
        self._news = committed
        if anyio.current_time() >= self._announce_at:
            self.announce()

    def announce(self) -> None:
        """Tell of the newest commit, if that has not been done."""
        if self._news is None:
            return
        self._announce_at = anyio.current_time() + ANNOUNCE_INTERVAL_S
        self._service.publish(
            "stored",
            Stored(
                generation=self._news.generation,
                watermarks={source: point_s for source, (point_s, _) in self._points.items()},
                ended=tuple(source for source, (_, ended) in self._points.items() if ended),
                observations=self._stored,
                bytes=self._news.size_bytes,
            ),
        )
        self._news = None

    def count(self, observations: int) -> None:
        """So many more are stored than commits told of; fewer if negative."""
        self._stored += observations

    def forget_source(self, source: str) -> None:
        """It begins again: how far it had come is no longer told."""
        self._points.pop(source, None)
