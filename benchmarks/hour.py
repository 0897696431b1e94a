"""An hour of a live camera and microphone: does memory stay flat, is everything accounted for, do they stay together?

    python -m benchmarks.hour [--minutes M] [--times N] [--json] [--no-history]

The whole agent runs with its real processes on a clock that goes N times as fast. Its camera (2 pictures/s) and its
microphone exist in software only; the microphone's clock drifts by 120 ppm, which is 430 ms in an hour, and its
blocks come up to 30 ms late. Once a minute a flash and a click happen at the same instant.

Keys:
    rss_growth_mb    resident memory of all processes together, end of the run minus a third of it into the run;
                     ``rss_growth_by_process`` the same of each. Memory's page caches (16 MiB to write, 8 MiB to read;
                     see `memory/store/database.py`) fill in the first hours and grow no further
    uncounted_drops  pictures captured and neither attended to nor counted as dropped, looks whose frame is not in
                     memory, and seconds that neither a frame, a gap nor a counted drop accounts for
    av_offset_ms     largest distance in media time between a flash and its click as memory has them
"""

from __future__ import annotations

import math
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import msgspec

from benchmarks import harness
from benchmarks.live_mains import CAMERA_HZ, EVENT_S, TIMES_FILE, stand_in
from runtime.agent import open_agent
from runtime.config import Config, load_config
from runtime.interfaces.attach import client_of
from runtime.plan import PerceiveLive
from runtime.processes import member
from runtime.sources import LiveSource, begin_session, parse_source

VIDEO, AUDIO = member("video", "camera"), member("audio", "mic")
# Stages whose cost has nothing to do with flows and clocks are left out, so that a clock 15 times as fast is kept.
OFF = {"read_text": False, "detect": "off", "faces": False}


def _config() -> Config:
    config = load_config()
    vision = msgspec.structs.replace(config.perception.vision, **OFF)
    # Deadlines count media seconds; on the faster clock a hiccup of the machine is many of them.
    live = msgspec.structs.replace(config.perception.live, stall_s=600.0)
    supervisor = msgspec.structs.replace(config.supervisor, data_deadline_s=1200.0)
    perception = msgspec.structs.replace(config.perception, vision=vision, live=live)
    return msgspec.structs.replace(config, perception=perception, supervisor=supervisor)


async def measure(folder: Path, minutes: float, times: float) -> dict[str, Any]:
    """Run, and read the figures off the heartbeats and the memory file."""
    stand_in(video="hour_video", audio="hour_audio")
    now_wall_s = time.time()
    sources = {
        VIDEO.name: begin_session(parse_source("camera=/dev/video0"), now_wall_s, ()),
        AUDIO.name: begin_session(parse_source("mic"), now_wall_s, ()),
    }
    wall_s = 60.0 * minutes / times
    samples: list[tuple[float, dict[str, float]]] = []
    async with (
        open_agent(folder, _config(), perceivers=(VIDEO, AUDIO)) as agent,
        client_of(agent) as client,
        anyio.create_task_group() as tasks,
    ):
        await agent.until_ready()
        epoch_s = time.monotonic()
        (agent.run_dir / TIMES_FILE).write_text(str(times), encoding="ascii")
        work = {name: PerceiveLive(source=source, epoch_s=epoch_s) for name, source in sources.items()}
        tasks.start_soon(agent.perceive, work)
        while (run_s := time.monotonic() - epoch_s) < wall_s:
            await anyio.sleep(min(1.0, wall_s / 60))
            samples.append((run_s, {name: beat.rss_bytes / 1e6 for name, beat in client.heartbeats.items()}))
            if len(samples) % 30 == 0:
                resident_mb = sum(samples[-1][1].values())
                harness.progress(f"{run_s * times / 60:.0f} of {minutes:.0f} minutes, {resident_mb:.0f} MB")
        beats = dict(client.heartbeats)
        tasks.cancel_scope.cancel()
    growth_mb = _growth_mb(samples, wall_s)
    video = beats[VIDEO.name]
    busy = video.drops.get("video:busy", 0)
    # One picture may lie in the slot, one in the hands of attention; the counters are of the last heartbeat.
    lost = max(0.0, video.counters["captured"] - video.counters["frames"] - busy - 2)
    with closing(sqlite3.connect(folder / "memory.db")) as database:
        frames = _times(database, sources[VIDEO.name], "frame")
        flashes = _times(database, sources[VIDEO.name], "frame", "AND json_extract(data, '$.brightness') > 0.9")
        clicks = _times(database, sources[AUDIO.name], "sound", "AND json_extract(data, '$.class') = 'impulse'")
        unseen_s = _uncovered_s(database, sources[VIDEO.name], frames)
    lost += max(0.0, video.counters["keyframes"] - len(frames))
    # Where attention fell behind, the pictures it passed over are counted, and account for their time.
    lost += int(max(0.0, unseen_s - busy / CAMERA_HZ))
    flashes = [t_s for t_s in flashes if abs(t_s / EVENT_S - round(t_s / EVENT_S)) < 1e-6]
    offsets_ms = [1000 * min(abs(click - flash) for click in clicks) for flash in flashes] if clicks else []
    heard_ms = [offset_ms for offset_ms in offsets_ms if offset_ms < 1000 * EVENT_S / 2]
    return {
        "rss_growth_mb": round(sum(growth_mb.values()), 1),
        "rss_growth_by_process": {name: round(mb, 1) for name, mb in sorted(growth_mb.items())},
        "rss_mb": round(sum(samples[-1][1].values())),
        "uncounted_drops": int(lost),
        "counted_drops": sum(sum(beat.drops.values()) for beat in beats.values()),
        "av_offset_ms": round(max(heard_ms), 1) if heard_ms else None,
        "flashes_with_click": f"{len(heard_ms)}/{len(flashes)}",
        "drift_ppm": beats[AUDIO.name].counters.get("drift_ppm"),
        "minutes": minutes,
    }


def _growth_mb(samples: list[tuple[float, dict[str, float]]], wall_s: float) -> dict[str, float]:
    """Process -> median of the end of the run minus that of a third of it into the run."""

    def median(name: str, from_s: float, until_s: float) -> float:
        return statistics.median(mb[name] for t_s, mb in samples if from_s <= t_s < until_s)

    names = set(samples[-1][1]).intersection(*(mb for t_s, mb in samples if t_s >= wall_s / 3))
    return {name: median(name, wall_s * 0.85, math.inf) - median(name, wall_s / 3, wall_s / 2) for name in names}


def _times(database: sqlite3.Connection, source: LiveSource, channel: str, more: str = "") -> list[float]:
    query = (
        "SELECT t0_s FROM observations o JOIN sources s ON o.source = s.source "
        f"WHERE s.name = ? AND channel = ? {more} ORDER BY t0_s"
    )
    return [row[0] for row in database.execute(query, (source.source, channel))]


def _uncovered_s(database: sqlite3.Connection, source: LiveSource, frames: list[float]) -> float:
    """Media seconds that neither a frame (within the interval of a still scene) nor a gap accounts for."""
    gaps = database.execute(
        "SELECT t0_s, t1_s FROM observations o JOIN sources s ON o.source = s.source WHERE s.name = ?"
        " AND channel = 'gap'",
        (source.source,),
    ).fetchall()
    covered_s, missing_s = 0.0, 0.0
    for t0_s, t1_s in sorted([*gaps, *((t_s, t_s) for t_s in frames)]):
        missing_s += max(0.0, t0_s - covered_s - 11.0)
        covered_s = max(covered_s, t1_s)
    return missing_s


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, metavar="M", help="media minutes (default: 60)")
    parser.add_argument("--times", type=float, default=15.0, metavar="N", help="how much faster (default: 15)")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="mindstream-hour-") as folder:
        figures = anyio.run(measure, Path(folder), args.minutes, args.times)
    harness.report("hour", figures, args, args.minutes == parser.get_default("minutes"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
