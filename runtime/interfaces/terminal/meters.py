"""How perception goes, drawn from the heartbeats: the chat's status line and a replay's progress."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from runtime.clock import media_time
from runtime.interfaces.client import Client
from runtime.interfaces.terminal.render import ERR, byte_size, drops_line, note
from runtime.messages import AWAY_MARK, Heartbeat
from runtime.processes import label_of
from runtime.replay import SourcePlan


class ReplayMeter:
    """Media time, speed and frame rate of a replay, from the heartbeats."""

    def __init__(self, client: Client, plans: Iterable[SourcePlan]) -> None:
        self.client = client
        self.plans = list(plans)
        self.total_s = sum(plan.recording.duration_s or 0.0 for plan in self.plans)
        self._began_s = time.monotonic()
        self._began_media_s = self.media_s()
        self._frames: list[tuple[float, float]] = []
        self.encoders: dict[str, str] = {}

    def media_s(self) -> float:
        """Media seconds in memory, over all files of this replay."""
        stored = self.client.watermarks.stored
        return sum(stored.watermarks.get(plan.source, 0.0) for plan in self.plans)

    def speed(self) -> float:
        elapsed_s = time.monotonic() - self._began_s
        return (self.media_s() - self._began_media_s) / elapsed_s if elapsed_s > 0 else 0.0

    def frames_per_s(self) -> float:
        """Frames decoded and looked over each second, over the last few seconds."""
        frames = sum(beat.counters.get("frames", 0) for beat in self.client.heartbeats.values())
        now_s = time.monotonic()
        self._frames.append((now_s, frames))
        self._frames = [sample for sample in self._frames if now_s - sample[0] < 3.0] or self._frames[-1:]
        (t0_s, first), (t1_s, last) = self._frames[0], self._frames[-1]
        return (last - first) / (t1_s - t0_s) if t1_s > t0_s else 0.0

    def drops(self) -> int:
        """What of the recordings was lost. What is of its moment alone, as that somebody begins to speak, gives way to
        what is newer of its kind."""
        beats = self.client.heartbeats.values()
        return sum(n for beat in beats for what, n in beat.drops.items() if not what.endswith(":replaced"))

    def line(self) -> str:
        """The status line of the chat."""
        stored = self.client.watermarks.stored
        total = f"/{media_time(self.total_s)}" if self.total_s else ""
        done = all(plan.source in stored.ended for plan in self.plans)
        pace = "complete" if done else f"{self.frames_per_s():.0f} frames/s"
        return (
            f" {media_time(self.media_s())}{total} · {pace} · {self.drops()} drops · "
            f"memory {byte_size(stored.bytes)}, {stored.observations} observations{self._active()} "
        )

    def _active(self) -> str:
        """The active encoders, by the first word of their names."""
        names = dict.fromkeys(name.split()[0].rstrip(",") for name in self.encoders.values())
        return f" · {' '.join(names)}" if names else ""


class LiveMeter:
    """What is perceived live, and how fresh it is, from the heartbeats."""

    def __init__(self, client: Client, epoch_s: float) -> None:
        self.client = client
        self._epoch_s = epoch_s
        self._frames: dict[str, deque[tuple[float, float]]] = {}

    def line(self) -> str:
        """The status line of the chat: each source with its pictures a second and the age of its data."""
        drops = 0
        sources: dict[str, dict[str, None]] = {}
        for name, beat in sorted(self.client.heartbeats.items(), reverse=True):  # seen before heard
            label = label_of(name)
            if not label:
                continue
            drops += sum(beat.drops.values())
            if not beat.ended:
                sources.setdefault(label, {})[self._track(name, beat)] = None
        parts = [media_time(time.monotonic() - self._epoch_s)]
        parts += [f"{label} {', '.join(tracks)}" for label, tracks in sorted(sources.items())]
        stored = self.client.watermarks.stored
        parts += [f"{drops} drops", f"memory {byte_size(stored.bytes)}, {stored.observations} observations"]
        return f" {' · '.join(parts)} "

    def _track(self, name: str, beat: Heartbeat) -> str:
        """How a track is; picture and sound that are alike say so once."""
        if beat.paused:
            return "paused"
        if beat.idle:
            return "away" if any(AWAY_MARK in text for text in beat.notes) else "..."
        if name.startswith("video"):
            rate_hz = self._rate_hz(name, beat.counters.get("captured", 0.0))
            return f"{rate_hz:.0f} frames/s, {beat.data_age_s:.1f} s old"
        return f"heard, {beat.data_age_s:.1f} s old"

    def summary(self) -> str:
        """One closing line: what was perceived, and what was not."""
        parts = []
        drops: dict[str, int] = {}
        for name, beat in sorted(self.client.heartbeats.items()):
            role, _, label = name.partition(":")
            if label:
                key, unit = ("captured", "frames") if role == "video" else ("audio_s", "s of sound")
                parts.append(f"{label} {beat.counters.get(key, 0):.0f} {unit}")
                for key, n in beat.drops.items():
                    drops[key] = drops.get(key, 0) + n
        return f"perceived {'; '.join(parts) or 'nothing'}; {drops_line(drops)}"

    def why_nothing(self) -> str:
        """Where no picture and no sound came from any source, why, as far as it is known; else ""."""
        beats = [beat for name, beat in sorted(self.client.heartbeats.items()) if label_of(name)]
        if any(beat.paused or beat.counters.get("captured") or beat.counters.get("audio_s") for beat in beats):
            return ""
        notes = dict.fromkeys(text for beat in beats for text in beat.notes if AWAY_MARK in text)
        return f"nothing was perceived; {'; '.join(notes) or 'no source sent anything yet'}"

    def _rate_hz(self, name: str, captured: float) -> float:
        """Pictures captured a second, over the last few."""
        samples = self._frames.setdefault(name, deque(maxlen=8))
        now_s = time.monotonic()
        if not samples or now_s - samples[-1][0] >= 0.5:
            samples.append((now_s, captured))
        (t0_s, first), (t1_s, last) = samples[0], samples[-1]
        return (last - first) / (t1_s - t0_s) if t1_s > t0_s else 0.0


class ReplayProgress:
    """The progress bar of a replay on a terminal; elsewhere a line now and then."""

    PLAIN_EVERY_S = 10.0

    def __init__(self, meter: ReplayMeter) -> None:
        self.meter = meter
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._plain_at_s = time.monotonic() + self.PLAIN_EVERY_S

    def __enter__(self) -> ReplayProgress:
        if sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
            self._bar = Progress(*columns, console=ERR, transient=True)
            self._bar.start()
            self._task = self._bar.add_task("perceiving", total=self.meter.total_s or None, state="")
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self) -> None:
        meter = self.meter
        state = (
            f"{media_time(meter.media_s())}/{media_time(meter.total_s)}  {meter.speed():.1f}x  {meter.drops()} drops"
        )
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=meter.media_s(), state=state)
        elif time.monotonic() > self._plain_at_s:
            self._plain_at_s = time.monotonic() + self.PLAIN_EVERY_S
            note(f"perceiving {state}")
