"""Spans as a View shows them, with the one that has not ended yet; read in one transaction of their own."""

# ruff: noqa: S608 - only names of columns are put into statements

from __future__ import annotations

import math
import sqlite3

import msgspec
from msgspec import Struct

from memory.spans.consolidate import sketch_episode_of, sketch_open_event
from memory.store.reader import SCAN_LIMIT, snapshot
from memory.store.records import OBSERVATION_COLUMNS, OBSERVATION_JOIN, SPAN_COLUMNS, observation_of, span_of
from memory.store.views import limits_by_number, tracks_of
from runtime.messages import (
    Span,
    SpansRequest,
    View,
)


def read_spans(connection: sqlite3.Connection, request: SpansRequest) -> tuple[Span, ...]:
    """Visible spans of one level in order of source, then time.

    What has been seen since the last event (or episode) ended comes as one more, still open, span that
    ends at the limit: every second up to it is in an event.
    """
    limit = max(0, min(request.limit, SCAN_LIMIT))
    spans: list[Span] = []
    with snapshot(connection):
        for source, limit_s in limits_by_number(connection, request.view, request.source).items():
            of = _Of(connection, request.view, source, limit_s)
            found = of.closed(request.level, request.t0_s, request.t1_s)
            if request.level == "event":
                found += of.open_event()
            elif request.level == "episode":
                since_s = of.closed_until_s("episode")
                events = [*of.closed("event", since_s), *of.open_event()]
                if events and events[-1].t1_s > since_s:
                    # It begins where the last one ended, also where its first events have been let go since.
                    kept = [event for event in events if event.t0_s >= since_s and event.stage != "tombstone"]
                    found.append(sketch_episode_of(events[-1].source, since_s, events[-1].t1_s, kept))
            spans += [span for span in found if _overlaps(span, request)]
            if len(spans) >= limit:
                break
    return tuple(spans[:limit])


class _Of(Struct, frozen=True):
    """The spans of one source, as far as a View shows it."""

    connection: sqlite3.Connection
    view: View
    source: int
    limit_s: float

    def closed(self, level: str, t0_s: float | None = None, t1_s: float | None = None) -> list[Span]:
        """Those that have ended before the limit, in order; only what touches ``t0_s``..``t1_s`` where these are."""
        rows = self.connection.execute(
            f"SELECT {SPAN_COLUMNS} FROM spans p JOIN sources s USING (source)"
            " WHERE p.source=? AND p.level=? AND p.t1_s<=? AND p.t1_s>=? AND p.t0_s<=? AND p.generation<=?"
            " ORDER BY p.t0_s, p.id",
            (
                self.source, level, self.limit_s, -math.inf if t0_s is None else t0_s,
                math.inf if t1_s is None else t1_s, self.view.generation,
            ),
        )  # fmt: skip
        spans = [span_of(row) for row in rows]
        # A tombstone is as long as all it stands for; what of it lies before the limit was there to be seen.
        if (tombstone := self._cut_off(level)) is not None:
            spans.append(tombstone)
        return spans

    def closed_until_s(self, level: str) -> float:
        """Where the last of them ended."""
        if self._cut_off(level) is not None:
            return self.limit_s
        (newest_s,) = self.connection.execute(
            "SELECT max(t1_s) FROM spans WHERE source=? AND level=? AND t1_s<=? AND generation<=?",
            (self.source, level, self.limit_s, self.view.generation),
        ).fetchone()
        return float(newest_s or 0.0)

    def open_event(self) -> list[Span]:
        """What has been seen since the last event ended."""
        since_s = self.closed_until_s("event")
        name, kind = self.connection.execute("SELECT name, kind FROM sources WHERE source=?", (self.source,)).fetchone()
        # What the limit cuts off must not be seen, not even as the length of the open event.
        until_s = min(self.limit_s, tracks_of(self.connection, {self.source: kind})[self.source][0])
        if not kind or until_s <= since_s:
            return []
        rows = self.connection.execute(
            f"SELECT {OBSERVATION_COLUMNS} FROM {OBSERVATION_JOIN} WHERE o.source=? AND o.t1_s>=? AND o.t1_s<=?"
            " AND o.generation<=? ORDER BY o.t1_s, o.t0_s, o.channel, o.id",
            (self.source, since_s, self.limit_s, self.view.generation),
        )
        return [sketch_open_event(name, since_s, until_s, [observation_of(row) for row in rows])]

    def _cut_off(self, level: str) -> Span | None:
        row = self.connection.execute(
            f"SELECT {SPAN_COLUMNS} FROM spans p JOIN sources s USING (source)"
            " WHERE p.source=? AND p.level=? AND p.t1_s>? ORDER BY p.t1_s LIMIT 1",
            (self.source, level, self.limit_s),
        ).fetchone()
        if row is None or (span := span_of(row)).stage != "tombstone" or span.t0_s >= self.limit_s:
            return None
        return msgspec.structs.replace(span, t1_s=self.limit_s)


def _overlaps(span: Span, request: SpansRequest) -> bool:
    return (request.t1_s is None or span.t0_s <= request.t1_s) and (request.t0_s is None or span.t1_s >= request.t0_s)
