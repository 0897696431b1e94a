"""What live perception costs, and whether it keeps up when everything runs at once.

    python -m benchmarks.live_load [--seconds 45] [--only ordinary|quiet|combined] [--prepared DIR] [--json]

A 720p stream of 30 frames/s with sound is served on this machine from a process of its own, and perceived by
`run_agent.py live` as any stream is.

ordinary   the embedded profile. ``core_fraction_720p30``: processor time of the whole agent, every process of it, by
           the wall clock, once it has started. Somebody speaks five seconds of six.
quiet      the same, and nobody speaks: ``core_fraction_quiet``.
combined   open_clip ViT-B-32 at 2 pictures/s, speech, and a question every two seconds, at once, on all cores there
           are. The weights of open_clip are random and of the true size: speeds are as they would be, tags are not.
           Before it, the model is exported and the tags become vectors (a minute, not measured); --prepared keeps
           what that made.
           ``combined_keyframes_per_s``: pictures described each second; ``data_age_p99_s``: how old a picture is when
           it can be recalled, 99th percentile.

The scene is a street from above and recorded speech where the annotated media are here; else a drawn square and beeps.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil

from benchmarks import harness
from tests.fixtures.loopback import SOUND_RATE_HZ, Loopback, beeps, moving_square

SIZE, RATE_HZ, CLIP_S = (1280, 720), 30.0, 12.0
# Not counted: processes start and models load.
SETTLE_S = 10.0
# Until the first picture is remembered, at most.
START_S = 120.0
QUESTION_EVERY_S = 2.0
QUESTIONS = ("What do you see now?", "Where is the red car?", "What was said?", "Is there a person?", "What changed?")
_SCENE, _SPEECH = "video/vtest_pedestrians.mp4", "audio/speech/jfk_ask_not.flac"

WEIGHTS_PROGRAM = """
import sys, logging, torch, open_clip
from pathlib import Path
from safetensors.torch import save_file
logging.disable()
folder = Path(sys.argv[1])
torch.manual_seed(0)
save_file(open_clip.create_model("ViT-B-32").state_dict(), folder / "clip.safetensors")
"""


class Watched:
    """What is seen of a running agent from outside, after it settled."""

    def __init__(self) -> None:
        self.cpu_s = self.wall_s = 0.0
        self.ages_s: list[float] = []
        self.counts: dict[str, int] = {}
        self.answers: list[dict[str, Any]] = []
        self.cpu_by_process: dict[str, float] = {}


def main() -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=45.0, help="of each run, once it has settled")
    parser.add_argument("--prepared", type=Path, metavar="DIR", help="keep the models of the combined run here")
    parser.add_argument("--only", choices=("ordinary", "quiet", "combined"))
    options = parser.parse_args()
    figures: dict[str, Any] = {"seconds": options.seconds}
    rows: list[Sequence[object]] = []
    for run, heard, key in (("ordinary", sound, "core_fraction_720p30"), ("quiet", room, "core_fraction_quiet")):
        if options.only in (None, run):
            harness.progress(f"{run}: the embedded profile ...")
            with Loopback(scene(), rate_hz=RATE_HZ, clip_s=CLIP_S, sound=heard()) as camera:
                seen = watch(camera.url("ts"), "embedded", options.seconds, ())
            figures[key] = round(seen.cpu_s / seen.wall_s, 3)
            rows += report(run, seen)
    if options.only in (None, "combined"):
        with (
            Loopback(scene(), rate_hz=RATE_HZ, clip_s=CLIP_S, sound=sound()) as camera,
            tempfile.TemporaryDirectory(prefix="mindstream-load-") as scratch,
        ):
            folder = options.prepared.absolute() if options.prepared else Path(scratch)
            profile = prepare(folder)
            harness.progress("combined: ViT-B-32, speech, questions ...")
            environment = {"XDG_CACHE_HOME": str(folder)}
            seen = watch(camera.url("ts"), str(profile), options.seconds, QUESTIONS, environment)
        frames = seen.counts.get("frame", 0)
        figures["combined_keyframes_per_s"] = round(frames / seen.wall_s, 2)
        figures["data_age_p99_s"] = round(float(np.percentile(seen.ages_s, 99)), 2) if seen.ages_s else None
        figures["combined_core_fraction"] = round(seen.cpu_s / seen.wall_s, 3)
        figures["combined_utterances"] = seen.counts.get("speech", 0)
        figures["combined_answers"] = len(seen.answers)
        rows += report("combined", seen)
    print(json.dumps(figures) if options.json else harness.table(("stage", "run", "value"), rows))
    full = options.only is None and options.seconds >= parser.get_default("seconds")
    if full and not options.no_history:
        harness.remember("live_load", figures)
    return 0


def scene() -> Callable[[float], Any]:
    """Seconds of the clip -> picture of `SIZE`: frames of a recording, or drawn ones."""
    path = harness.DEFAULT_MEDIA / _SCENE
    if not path.exists():
        return moving_square(SIZE)
    with av.open(str(path)) as container:
        pictures = []
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= CLIP_S:
                break
            pictures.append((frame.time or 0.0, cv2.resize(frame.to_ndarray(format="bgr24"), SIZE)))
    times = np.array([t_s for t_s, _ in pictures])

    def draw(t_s: float) -> Any:
        return pictures[max(0, int(np.searchsorted(times, t_s, side="right")) - 1)][1]

    return draw


def sound() -> Any:
    """float32 at 48 kHz, as long as the clip."""
    path = harness.DEFAULT_MEDIA / _SPEECH
    if not path.exists():
        return beeps(CLIP_S)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SOUND_RATE_HZ)
    with av.open(str(path)) as container:
        pieces = [
            part.to_ndarray().ravel() for frame in container.decode(audio=0) for part in resampler.resample(frame)
        ]
    samples = np.concatenate(pieces)[: round(CLIP_S * SOUND_RATE_HZ)]
    return np.pad(samples, (0, round(CLIP_S * SOUND_RATE_HZ) - len(samples))).astype(np.float32)


def room() -> Any:
    """The hiss of a room in which nobody speaks, as `sound`."""
    samples = np.random.default_rng(7).normal(0.0, 0.002, round(CLIP_S * SOUND_RATE_HZ))
    return samples.astype(np.float32)


def prepare(folder: Path) -> Path:
    """Make random weights of the true size and a profile that names them; export them. The profile's path."""
    profile, clip = folder / "load.yaml", folder / "clip.safetensors"
    if not clip.exists():
        harness.progress("making random weights of the true size ...")
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", WEIGHTS_PROGRAM, str(folder)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    profile.write_text(
        "perception:\n"
        "  sampling: {base_hz: 2.0, still_interval_s: 0.5}\n"
        f"  vision: {{describe: open_clip, open_clip: {{model: ViT-B-32, weights: {clip}}}}}\n",
        encoding="utf-8",
    )
    harness.progress("exporting and checking ...")
    command = [sys.executable, str(harness.PROJECT / "run_agent.py"), "setup", "--config", str(profile)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder)}
    subprocess.run(command, check=True, stdout=sys.stderr, env=environment)
    return profile


def watch(
    url: str, profile: str, seconds: float, questions: Sequence[str], environment: dict[str, str] | None = None
) -> Watched:
    """Perceive ``url`` live and look on for ``seconds`` after it settled, asking ``questions`` in turn."""
    total_s = SETTLE_S + seconds
    with tempfile.TemporaryDirectory(prefix="mindstream-live-") as scratch:
        memory_dir = Path(scratch, "memory")
        command = [sys.executable, str(harness.PROJECT / "run_agent.py"), "live", f"load={url}", "--json"]
        command += ["--config", profile, "--memory", str(memory_dir), "--for", str(total_s + START_S)]
        if questions:
            path = Path(scratch, "questions.jsonl")
            at_s = np.arange(SETTLE_S, total_s + START_S, QUESTION_EVERY_S)
            lines = [
                {
                    "question": questions[k % len(questions)],
                    "at_s": float(t_s),
                    "source": "load",
                    "conversation": str(k),
                }
                for k, t_s in enumerate(at_s)
            ]
            path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
            command += ["--questions", str(path)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        seen = Watched()
        looking = threading.Thread(target=look_on, args=(process, memory_dir / harness.MEMORY_FILE, seconds, seen))
        looking.start()
        out, err = process.communicate(timeout=total_s + START_S + 60.0)
        looking.join()
    if process.returncode not in (0, -signal.SIGTERM, 128 + signal.SIGTERM) or not seen.wall_s:
        raise SystemExit(f"the agent failed:\n{err}")
    seen.answers = [json.loads(line) for line in out.splitlines() if '"answer"' in line]
    return seen


def look_on(process: subprocess.Popen[str], path: Path, seconds: float, seen: Watched) -> None:
    """Wait until frames arrive and have done so for `SETTLE_S`; then note processor time and the age of what comes.

    Ends the agent when it has seen enough.
    """
    while process.poll() is None and not newest(path, "frame", 0):
        time.sleep(harness.WATCH_S)
    time.sleep(SETTLE_S)
    before, began_s = cpu_times(process.pid), time.monotonic()
    last_seq = max((seq for seq, _ in newest(path, "frame", 0)), default=0)
    first = counts(path)
    while process.poll() is None and time.monotonic() - began_s < seconds:
        for seq, captured_wall_s in newest(path, "frame", last_seq):
            seen.ages_s.append(time.time() - captured_wall_s)
            last_seq = max(last_seq, seq)
        time.sleep(harness.WATCH_S)
    if process.poll() is not None:
        return
    after, seen.wall_s = cpu_times(process.pid), time.monotonic() - began_s
    seen.cpu_by_process = {name: used - before.get(name, 0.0) for name, used in after.items()}
    seen.cpu_s = sum(seen.cpu_by_process.values())
    seen.counts = {channel: n - first.get(channel, 0) for channel, n in counts(path).items()}
    process.terminate()


def cpu_times(pid: int) -> dict[str, float]:
    """Processor seconds by process, of the agent and all it started."""
    used: dict[str, float] = {}
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        try:
            words, times = process.cmdline(), process.cpu_times()
        except psutil.Error:
            continue
        name = words[-1] if "runtime.service" in words else "command" if process.pid == pid else "worker"
        used[name] = used.get(name, 0.0) + times.user + times.system
    return used


def newest(path: Path, channel: str, after_seq: int) -> list[tuple[int, float]]:
    """(row, wall-clock time of capture) of what came after a row."""
    return query(
        path,
        "SELECT o.seq, s.started_wall_s + o.t0_s FROM observations o JOIN sources s USING (source)"
        " WHERE o.channel = ? AND o.seq > ?",
        (channel, after_seq),
    )


def counts(path: Path) -> dict[str, int]:
    return dict(query(path, "SELECT channel, count(*) FROM observations GROUP BY channel", ()))


def query(path: Path, sql: str, values: tuple[object, ...]) -> list[Any]:
    """Rows of the memory file; none while it is being made."""
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1.0)
    except sqlite3.Error:
        return []
    try:
        return connection.execute(sql, values).fetchall()
    except sqlite3.Error:
        return []
    finally:
        connection.close()


def report(run: str, seen: Watched) -> list[Sequence[object]]:
    """Rows of the table: each process' share of a core, each channel's rate, ages and answers."""
    rows: list[Sequence[object]] = [("agent, cores", run, seen.cpu_s / seen.wall_s)]
    rows += [(f"  {name}, cores", run, used / seen.wall_s) for name, used in sorted(seen.cpu_by_process.items())]
    rows += [(f"{channel} a second", run, n / seen.wall_s) for channel, n in sorted(seen.counts.items())]
    for share in (50, 99):
        if seen.ages_s:
            rows.append((f"age of a picture, p{share} s", run, float(np.percentile(seen.ages_s, share))))
    if seen.answers:
        latencies = [float(answer["latency_s"]["total"]) for answer in seen.answers]
        rows.append((f"answer, p99 s ({len(latencies)})", run, float(np.percentile(latencies, 99))))
    return rows


if __name__ == "__main__":
    sys.exit(main())
