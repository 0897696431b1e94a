"""How fast recordings are perceived and remembered, in seconds of media per second of wall time.

    python -m benchmarks.replay_speed [--media DIR] [--json] [--no-history]

Three inputs are made for it: `talking` (speech without pause before a moving scene, 480p, 2 minutes),
`silent` (a moving 720p scene with the hiss of a room, 2 minutes), `still` (one 720p picture with a line
of text, silent, 3 minutes). Speech is taken from DIR/audio/speech, or where that is absent from the
sample clip. Where DIR holds them, clips of real life are measured too.

Columns and keys, for each input NAME (all of one run, the replay and the decoding one after the other):
    NAME_x          media seconds / wall seconds of the whole command, from spawn to exit
    NAME_x_warm     the same from the first frame in memory to the last track complete in memory
    NAME_decode_x   media seconds / seconds to decode pictures and sound with PyAV and do nothing else
    NAME_of_decode  NAME_x / NAME_decode_x
    NAME_first_s    seconds from spawn to the first perceived frame in memory
    NAME_peak_mb    most resident memory of the command and all its processes together, shared pages
                    counted for each of them
and `help_s`, the median time of `run_agent.py --help` in five tries.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import av

from benchmarks import harness, speed_inputs

TALKING_S, SILENT_S, STILL_S = 120.0, 120.0, 180.0
REAL_CLIPS = {"talking_real": "manifesto_audiobook.mp4", "silent_real": "vtest_pedestrians.mp4"}


def decode_only(path: Path) -> tuple[float, float]:
    """(media seconds, wall seconds) of decoding the first picture and sound tracks, one after the other."""
    began_s = time.monotonic()
    with av.open(str(path)) as container:
        media_s = (container.duration or 0) / av.time_base
        for video in container.streams.video[:1]:
            video.thread_type = "AUTO"
            for _ in container.decode(video):
                pass
    with av.open(str(path)) as container:
        for audio in container.streams.audio[:1]:
            for _ in container.decode(audio):
                pass
    return media_s, time.monotonic() - began_s


def measure(name: str, path: Path) -> dict[str, float | None]:
    """The figures of one input.

    Raises:
        RuntimeError: the agent failed, so there is nothing to measure.
    """
    with tempfile.TemporaryDirectory(prefix="mindstream-speed-") as folder:
        run = harness.replay([path], Path(folder, "memory"))
    if run.code:
        raise RuntimeError(f"{name}: exit code {run.code}\n{run.errors}")
    media_s, decode_s = decode_only(path)
    warm_s = None if run.complete_s is None or run.first_frame_s is None else run.complete_s - run.first_frame_s
    x, decode_x = media_s / run.wall_s, media_s / decode_s
    return {
        f"{name}_x": round(x, 2),
        f"{name}_x_warm": round(media_s / warm_s, 2) if warm_s else None,
        f"{name}_decode_x": round(decode_x, 1),
        f"{name}_of_decode": round(x / decode_x, 4),
        f"{name}_first_s": None if run.first_frame_s is None else round(run.first_frame_s, 2),
        f"{name}_peak_mb": round(run.peak_rss_bytes / 1e6),
    }


def help_s() -> float:
    """Median seconds of `run_agent.py --help`."""

    def once() -> float:
        began_s = time.monotonic()
        command = [sys.executable, str(harness.PROJECT / "run_agent.py"), "--help"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        return time.monotonic() - began_s

    return statistics.median(once() for _ in range(5))


def make_inputs(folder: Path, media: Path) -> dict[str, Path]:
    """Make the inputs, and add the real clips that are there: name -> file."""
    speech = sorted(path for path in (media / "audio" / "speech").glob("*") if path.suffix in (".wav", ".flac", ".mp3"))
    speech = speech or [harness.PROJECT / "examples" / "sample.mp4"]
    inputs = {name: folder / f"{name}.mp4" for name in ("talking", "silent", "still")}
    speed_inputs.make_talking(inputs["talking"], speech, TALKING_S)
    speed_inputs.make_moving(inputs["silent"], SILENT_S)
    speed_inputs.make_still(inputs["still"], STILL_S)
    return inputs | {name: path for name, file in REAL_CLIPS.items() if (path := media / "video" / file).is_file()}


def as_table(figures: dict[str, float | None]) -> str:
    """The figures as the table that is printed and published."""
    names = [key.removesuffix("_decode_x") for key in figures if key.endswith("_decode_x")]
    header = ("input", "x", "x warm", "decode x", "of decode", "first s", "peak MB")
    keys = ("x", "x_warm", "decode_x", "of_decode", "first_s", "peak_mb")
    rows = [(name, *(figures[f"{name}_{key}"] for key in keys)) for name in names]
    return f"{harness.table(header, rows)}\n\nrun_agent.py --help: {figures['help_s']} s"


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--media", type=Path, default=harness.DEFAULT_MEDIA, metavar="DIR", help="folder of clips")
    args = parser.parse_args(argv)
    figures: dict[str, float | None] = {}
    with tempfile.TemporaryDirectory(prefix="mindstream-speed-") as folder:
        harness.progress("making the inputs")
        inputs = make_inputs(Path(folder), args.media)
        for name, path in inputs.items():
            found = measure(name, path)
            harness.progress(f"{name}: {found[f'{name}_x']}x real time")
            figures |= found
    figures["help_s"] = round(help_s(), 3)
    print(json.dumps(figures) if args.json else as_table(figures))
    if not args.no_history:
        harness.remember("replay_speed", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
