"""Where events are said to end, against where people say so: `python -m benchmarks.segmentation [--json]`.

The annotated clips of ``--media``, perceived once by the agent itself. A boundary is found if one is said within
``--tolerance-s`` of it, each said one finding at most one. Compared are

- surprise: what memory does (`memory.spans.segment`), and with only the cuts that perception saw or only the surprise;
- refined: each of its boundaries moved back to where the frames' graph of cosines splits best, by modularity or by
  conductance (EM-LLM, arXiv 2407.09450, algorithm 1);
- fixed: events of one length;
- the reference rule: an event ends at 16 frames, or after 3 where neighbouring frames' cosine is at most .9.

Many boundaries find much by chance: every 4 s, all of a clip is within 2 s of one. So beside each F1 stands
`as many`, that of equally long events of the same number in each clip.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from benchmarks import harness
from benchmarks.week_stream import perceive
from memory.spans.segment import Segmenter, SegmentOptions
from runtime.messages import FrameFacts, Observation, read_facts

FIXED_S = (4.0, 8.0, 16.0, 32.0)
REFERENCE_MOST, REFERENCE_LEAST, REFERENCE_COSINE = 16, 3, 0.9
# Annotated begins and ends nearer than this are of one change: a dissolve, a hand that comes in.
ONE_CHANGE_S = 1.0
GAMMAS = (0.5, 1.5, 2.0)

Boundaries = list[float]
DEFAULT = SegmentOptions()


class Clip:
    """A clip's frames and speech in the order memory takes them in, and its annotated boundaries."""

    def __init__(self, observations: Sequence[Observation], annotations: dict[str, Any]) -> None:
        self.observations = observations
        self.frames = [o for o in observations if o.channel == "frame" and o.vector]
        self.vectors = np.stack([np.frombuffer(o.vector or b"", np.float16).astype(np.float64) for o in self.frames])
        self.vectors /= np.linalg.norm(self.vectors, axis=1, keepdims=True)
        self.duration_s = float(annotations["duration_s"])
        self.annotated = annotated_boundaries(annotations["events"], self.duration_s)


def annotated_boundaries(events: Sequence[dict[str, float]], duration_s: float) -> Boundaries:
    """When an annotated event begins or ends, the begin and end of the clip aside; what is one change, once."""
    found: Boundaries = []
    for t_s in sorted(t_s for event in events for t_s in (event["t0"], event["t1"])):
        if ONE_CHANGE_S <= t_s <= duration_s - ONE_CHANGE_S and (not found or t_s - found[-1] >= ONE_CHANGE_S):
            found.append(t_s)
    return found


def by_surprise(clip: Clip, gamma: float = DEFAULT.gamma, only: str = "") -> Boundaries:
    """What memory does; with ``only`` the "cuts" of perception or the "surprise" of vectors."""
    segmenter = Segmenter(structs.replace(DEFAULT, gamma=gamma))
    found: Boundaries = []
    for o in clip.observations:
        if only == "cuts":
            o = structs.replace(o, vector=None)
        elif only == "surprise":
            o = structs.replace(o, data=FrameFacts())
        found += segmenter.step(o)
    return found


def modularity(likeness: NDArray[np.float64], split: int) -> float:
    """Newman's Q of the two communities before and after ``split``, weighted; more is better."""
    degrees, whole = likeness.sum(axis=1), likeness.sum()
    parts = (slice(0, split), slice(split, None))
    return float(sum(likeness[part, part].sum() / whole - (degrees[part].sum() / whole) ** 2 for part in parts))


def conductance(likeness: NDArray[np.float64], split: int) -> float:
    """Minus the cut's weight over the lighter side's; more is better."""
    degrees = likeness.sum(axis=1)
    return -float(likeness[:split, split:].sum() / min(degrees[:split].sum(), degrees[split:].sum()))


def refined(clip: Clip, measure: Callable[[NDArray[np.float64], int], float]) -> Boundaries:
    """The boundaries of surprise, each moved to the frame since the last one at which the graph splits best."""
    times = np.array([o.t0_s for o in clip.frames])
    said = by_surprise(clip)
    found: Boundaries = []
    for i, t_s in enumerate(said):
        begin_s = found[-1] if found else 0.0
        end_s = said[i + 1] if i + 1 < len(said) else np.inf
        inside = np.flatnonzero((times >= begin_s) & (times < end_s))
        likeness = np.clip(clip.vectors[inside] @ clip.vectors[inside].T, 0.0, None)
        splits = [k for k in range(1, len(inside)) if begin_s + DEFAULT.min_s <= times[inside[k]] <= t_s]
        best = max(splits, key=lambda k: measure(likeness, k), default=None)
        found.append(t_s if best is None else float(times[inside[best]]))
    return found


def of_one_length(clip: Clip, length_s: float) -> Boundaries:
    return [float(t_s) for t_s in np.arange(length_s, clip.duration_s - 1e-6, length_s)]


def by_reference_rule(clip: Clip) -> Boundaries:
    found, count = [], 0
    cosines = [1.0, *(clip.vectors[1:] * clip.vectors[:-1]).sum(axis=1)]
    for frame, cosine in zip(clip.frames, cosines, strict=True):
        if count >= REFERENCE_MOST or (count >= REFERENCE_LEAST and cosine <= REFERENCE_COSINE):
            found.append(frame.t0_s)
            count = 0
        count += 1
    return found


METHODS: dict[str, Callable[[Clip], Boundaries]] = {
    "surprise": by_surprise,
    "surprise, refined by modularity": partial(refined, measure=modularity),
    "surprise, refined by conductance": partial(refined, measure=conductance),
    "only cuts": partial(by_surprise, only="cuts"),
    "only surprise": partial(by_surprise, only="surprise"),
    **{f"surprise, gamma {gamma:g}": partial(by_surprise, gamma=gamma) for gamma in GAMMAS},
    "reference rule": by_reference_rule,
    **{f"fixed, {length_s:g} s": partial(of_one_length, length_s=length_s) for length_s in FIXED_S},
}


def matched(said: Sequence[float], annotated: Sequence[float], tolerance_s: float) -> int:
    """How many annotated boundaries are found: the most that can be paired within the tolerance."""
    waiting, count = sorted(said), 0
    for t_s in sorted(annotated):
        # Both in order of time: taking the earliest that is near enough leaves most for the rest.
        near = next((s for s in waiting if abs(s - t_s) <= tolerance_s), None)
        if near is not None:
            count += 1
            waiting = [s for s in waiting if s > near]
    return count


def score(clips: Sequence[Clip], method: Callable[[Clip], Boundaries], tolerance_s: float) -> dict[str, float]:
    """Figures over all boundaries of all clips: number of events, precision, recall, F1 and F1 of as many of one
    length; and the mean F1 of the clips that have annotated boundaries."""
    said = [method(clip) for clip in clips]
    hits = [matched(some, clip.annotated, tolerance_s) for some, clip in zip(said, clips, strict=True)]
    even = [of_one_length(clip, clip.duration_s / (len(some) + 1)) for some, clip in zip(said, clips, strict=True)]
    even_hits = [matched(some, clip.annotated, tolerance_s) for some, clip in zip(even, clips, strict=True)]
    by_clip = [
        2 * hit / (len(some) + len(clip.annotated))
        for hit, some, clip in zip(hits, said, clips, strict=True)
        if clip.annotated
    ]
    said_in_all, annotated = sum(map(len, said)), sum(len(clip.annotated) for clip in clips)
    return {
        "events": said_in_all + len(clips),
        "precision": round(sum(hits) / max(1, said_in_all), 3),
        "recall": round(sum(hits) / annotated, 3),
        "f1": round(2 * sum(hits) / (said_in_all + annotated), 3),
        "f1_as_many": round(2 * sum(even_hits) / (said_in_all + annotated), 3),
        "f1_of_clips": round(sum(by_clip) / len(by_clip), 3),
    }


def read_clips(memory: Path, annotations: dict[str, dict[str, Any]]) -> list[Clip]:
    """The perceived clips that are annotated."""
    of: dict[str, list[Observation]] = {name: [] for name in annotations}
    with sqlite3.connect(f"{memory.as_uri()}?mode=ro", uri=True) as db:
        for name, id_, channel, t0_s, t1_s, data, vector, space in db.execute(
            "SELECT s.name, o.id, o.channel, o.t0_s, o.t1_s, o.data, v.vector, v.space FROM observations o"
            " JOIN sources s USING (source) LEFT JOIN vectors v USING (seq)"
            " WHERE o.channel IN ('frame', 'speech') ORDER BY o.t1_s, o.t0_s, o.channel, o.id"
        ):
            if name in of:
                of[name].append(
                    Observation(
                        id=id_, source=name, channel=channel, t0_s=t0_s, t1_s=t1_s, data=read_facts(channel, data),
                        vector=vector, vector_space=space or "",
                    )
                )  # fmt: skip
    return [Clip(observations, annotations[name]) for name, observations in of.items()]


def as_table(figures: dict[str, Any]) -> str:
    """The figures as the table that is printed and published."""
    table = figures["table"]
    header = ("boundaries", *table["surprise"])
    rows = [(name, *row.values()) for name, row in table.items()]
    over = f"{figures['clips']} clips, {figures['boundaries']} annotated boundaries, +-{figures['tolerance_s']:g} s"
    return f"{over}\n\n{harness.table(header, rows)}"


def main(argv: list[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--media", type=Path, default=harness.DEFAULT_MEDIA, help="the folder of clips")
    parser.add_argument("--cache", type=Path, help="where perceived clips are kept")
    parser.add_argument("--tolerance-s", type=float, default=2.0)
    given = parser.parse_args(argv)
    files = sorted((given.media / "video").glob("*.annotations.json"))
    annotations = {known["file"]: known for known in (json.loads(file.read_text()) for file in files)}
    try:
        memory = perceive(given.media, given.cache, sorted(annotations))
    except FileNotFoundError as error:
        print(f"segmentation: {error}; give a folder of clips with --media", file=sys.stderr)
        return 2
    clips = read_clips(memory, annotations)
    if not any(clip.annotated for clip in clips):
        print(f"segmentation: no annotated events in {given.media / 'video'}; give another --media", file=sys.stderr)
        return 2
    table = {name: score(clips, method, given.tolerance_s) for name, method in METHODS.items()}
    annotated = sum(len(clip.annotated) for clip in clips)
    figures = {"clips": len(clips), "boundaries": annotated, "tolerance_s": given.tolerance_s, "table": table}
    print(json.dumps(figures) if given.json else as_table(figures))
    if given.tolerance_s == parser.get_default("tolerance_s") and not given.no_history:
        harness.remember("segmentation", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
