"""The time a live source was not perceived, told as gaps: in pieces while it lasts, so that little of it is ever
untold, each twice as long as the one before, so that a night without a camera is no crowd of them.
"""

from __future__ import annotations

from runtime.messages import AWAY_MARK, TRACKS, GapFacts, Observation, Track, observation_id, round_time

_FIRST_PIECE_S = 1.0
_LONGEST_PIECE_S = 60.0
# Shorter than this is a hiccup: a picture that came late, a crackle.
OUTAGE_MIN_S = 1.0
# Why nothing came, where the source itself gave no reason.
OPENING = "it was not open yet"
STOPPED = "it stopped sending"
RESUMED = "it was opened again after the pause"
# Gaps of both tracks of a source, and those that memory makes, may begin in the same millisecond.
_NUMBER = 3
_WHAT: dict[Track, str] = {"video": "seen", "audio": "heard"}


def away_notes(label: str, track: Track, reason: str) -> tuple[str, ...]:
    """What a heartbeat says of a track that is away; nothing of one that is being opened for the first time."""
    return () if reason == OPENING else (f"{label}{AWAY_MARK}{_WHAT[track]}: {reason}",)


class Outage:
    """Stage: moments of an outage in, gaps out."""

    def __init__(self, source: str, track: Track) -> None:
        self._source = source
        self._track: Track = track
        self._from_s: float | None = None
        self._piece_s = _FIRST_PIECE_S
        self.reason = ""

    @property
    def lasts(self) -> bool:
        return self._from_s is not None

    def step(self, since_s: float, now_s: float, reason: str) -> list[Observation]:
        """It lasts since ``since_s``; ``reason`` in words. A gap when the next piece is complete."""
        if self._from_s is None:
            self._from_s, self._piece_s = round_time(since_s), _FIRST_PIECE_S
        self.reason = reason
        if now_s - self._from_s < self._piece_s:
            return []
        self._piece_s = min(2 * self._piece_s, _LONGEST_PIECE_S)
        return self._gap(round_time(now_s))

    def finish(self, t_s: float, since_s: float | None = None, reason: str = "") -> list[Observation]:
        """Perceived again from ``t_s`` on; ``since_s`` and ``reason`` of an outage that nobody had noticed."""
        if self._from_s is None:
            if since_s is None or t_s - since_s < OUTAGE_MIN_S:
                return []
            self._from_s, self.reason = round_time(since_s), reason
        gaps = self._gap(round_time(t_s)) if t_s > self._from_s else []
        self._from_s, self.reason = None, ""
        return gaps

    def _gap(self, t1_s: float) -> list[Observation]:
        t0_s, self._from_s = self._from_s, t1_s
        assert t0_s is not None
        return [
            Observation(
                id=observation_id(self._source, "gap", t0_s, k=_NUMBER + TRACKS.index(self._track)),
                source=self._source,
                channel="gap",
                t0_s=t0_s,
                t1_s=t1_s,
                text=f"nothing was {_WHAT[self._track]} for {t1_s - t0_s:.1f} s: {self.reason}",
                data=GapFacts(track=self._track, reason=self.reason),
            )
        ]
