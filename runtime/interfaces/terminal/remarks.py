"""What the perceiving processes say of themselves in their heartbeats, told once each: a model that is not what the
profile asks for, a track that a source does not have, a live source that is away, and that it is back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import anyio
from msgspec import Struct

from runtime.clock import media_time
from runtime.interfaces.client import Client
from runtime.interfaces.terminal.render import note
from runtime.messages import AWAY_MARK, TRACKS, Heartbeat, Track

LOOK_S = 0.2
# Picture and sound of a stream come over two connections: what happens to one mostly has happened to the other by then.
TOGETHER_S = 2.5
# Who answers is no remark; that nothing but evidence does is one, at first.
ANSWERING, _ANSWERS_BY = "reasoning", "answers: "
_VERBS: dict[Track, str] = {"video": "seen", "audio": "heard"}


class _Away(Struct):
    """A track that the user was told is away: why, and since when (monotonic seconds)."""

    reason: str
    since_s: float


class Remarks:
    """Stage: the newest heartbeats by process in, lines for the user out."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._away: dict[tuple[str, Track], _Away] = {}
        self._changed_s: dict[str, float] = {}

    def step(self, beats: Mapping[str, Heartbeat], now_s: float) -> list[str]:
        """``now_s`` in monotonic seconds."""
        lines = []
        sources: dict[str, dict[Track, str]] = {}
        for name, beat in sorted(beats.items(), reverse=True):  # seen before heard
            role, _, label = name.partition(":")
            track = next((track for track in TRACKS if track == role), None)
            if track is None and role != ANSWERING:
                continue
            for text in beat.notes:
                if not text.startswith(_ANSWERS_BY) and AWAY_MARK not in text and text not in self._told:
                    self._told.add(text)
                    lines.append(text)
            if track and label and not beat.paused and not beat.ended:
                away = next((text for text in beat.notes if AWAY_MARK in text), "") if beat.idle else ""
                sources.setdefault(label, {})[track] = away.partition(": ")[2]
        for label, tracks in sources.items():
            lines += self._outages(label, tracks, now_s)
        return lines

    def _outages(self, label: str, tracks: dict[Track, str], now_s: float) -> list[str]:
        """What changed for a source; ``tracks``: why each is away, or ""."""
        changed = [track for track in tracks if tracks[track] != self._reason(label, track)]
        if not changed:
            self._changed_s.pop(label, None)
            return []
        if len(changed) < len(tracks) and now_s - self._changed_s.setdefault(label, now_s) < TOGETHER_S:
            return []
        since_s = self._changed_s.pop(label, now_s)
        lines = []
        for reason in dict.fromkeys(tracks[track] for track in changed):
            alike = [track for track in changed if tracks[track] == reason]
            before = [self._away.pop((label, track), None) for track in alike]
            away_s = min([away.since_s for away in before if away is not None], default=since_s)
            if reason:
                self._away.update({(label, track): _Away(reason, away_s) for track in alike})
                still = "still: " if all(before) else ""
                lines.append(f"{still}{label}{AWAY_MARK}{' or '.join(_VERBS[track] for track in alike)}: {reason}")
            else:
                how = " and ".join(_VERBS[track] for track in alike)
                long = f" after {media_time(since_s - away_s)}" if since_s - away_s >= 1.0 else ""
                lines.append(f"{label} is {how} again{long}")
        return lines

    def _reason(self, label: str, track: Track) -> str:
        away = self._away.get((label, track))
        return "" if away is None else away.reason


async def tell_remarks(client: Client) -> None:
    """Say what there is to remark as it comes, until cancelled."""
    remarks = Remarks()
    while True:
        for line in remarks.step(dict(client.heartbeats), time.monotonic()):
            note(line)
        await anyio.sleep(LOOK_S)
