"""Views: memory as it was when a question was asked.

A View costs one row a source to make, copies nothing, and never goes stale: observations are never
changed, so "source, end time, generation" decides what it shows. Sources opened before the one asked
about are seen up to their watermark; later ones are not seen at all. Everything derived is bound by the
same limits: neighbours' words and event scores are computed at query time among visible observations
only (`memory.recall.rank`), and an event's sketch is shown once the event has ended before the limit.
"""

# ruff: noqa: S608 - only names of columns and question marks are put into statements
from __future__ import annotations

import sqlite3

from runtime.messages import View, ViewRequest

# Tracks a source has, by kind, even before their process has spoken of it.
EXPECTED_TRACKS: dict[str, tuple[str, ...]] = {
    "file": ("video", "audio"),
    "stream": ("video", "audio"),
    "camera": ("video",),
    "screen": ("video",),
    "microphone": ("audio",),
}


def tracks_of(connection: sqlite3.Connection, kinds: dict[int, str]) -> dict[int, tuple[float, bool]]:
    """Source number -> (media seconds up to which all its tracks are in, whether all have ended).

    The point is the least watermark of the tracks that go on; when all have ended, the end of whatever
    came last. A source without a kind (a conversation) has no tracks: all of it is in.
    """
    tracks: dict[int, dict[str, tuple[float, bool]]] = {source: {} for source in kinds}
    marks = ",".join("?" * len(kinds))
    for source, track, watermark_s, ended in connection.execute(
        f"SELECT source, track, watermark_s, ended IS NOT NULL FROM tracks WHERE source IN ({marks})", tuple(kinds)
    ):
        tracks[source][track] = (watermark_s, bool(ended))
    points = {}
    for source, kind in kinds.items():
        known = tracks[source]
        for track in EXPECTED_TRACKS.get(kind, ()):
            known.setdefault(track, (0.0, False))
        unended = [watermark_s for watermark_s, ended in known.values() if not ended]
        if unended:
            points[source] = (min(unended), False)
        else:
            last = connection.execute("SELECT max(t1_s) FROM observations WHERE source=?", (source,)).fetchone()[0]
            points[source] = (max([last or 0.0, *(watermark_s for watermark_s, _ in known.values())]), True)
    return points


def open_view(connection: sqlite3.Connection, request: ViewRequest) -> View:
    """The View a request asks for. Without a source it is about the one opened last.

    ``as_of_s`` may lie beyond the watermark: then what is in so far is seen.
    """
    generation = connection.execute("SELECT value FROM memory WHERE key='generation'").fetchone()[0]
    rows = connection.execute("SELECT source, name, kind FROM sources ORDER BY source").fetchall()
    wanted = set(request.sources) | ({request.source} if request.sources and request.source else set())
    rows = [row for row in rows if not wanted or row[1] in wanted]
    names = {source: name for source, name, _ in rows}
    asked = request.source
    if not asked:
        media = [name for _, name, kind in rows if kind]
        asked = media[-1] if media else ""
    points = tracks_of(connection, {source: kind for source, _, kind in rows})
    limits = {names[source]: limit_s for source, (limit_s, _) in points.items()}
    as_of_s = limits.get(asked, 0.0)
    if request.as_of_s is not None:
        as_of_s = request.as_of_s
        position = [name for _, name, _ in rows].index(asked) if asked in limits else -1
        limits = {name: limits[name] for _, name, _ in rows[: position + 1]}
        if asked in limits:
            limits[asked] = as_of_s
    return View(generation=generation, limits=limits, source=asked, as_of_s=as_of_s)


def limits_by_number(connection: sqlite3.Connection, view: View, only: str = "") -> dict[int, float]:
    """A View's limits by source number, in the order of opening; ``only`` one source unless empty."""
    names = [only] if only else list(view.limits)
    rows = connection.execute(
        f"SELECT source, name FROM sources WHERE name IN ({','.join('?' * len(names))}) ORDER BY source", names
    )
    return {source: view.limits[name] for source, name in rows if name in view.limits}
