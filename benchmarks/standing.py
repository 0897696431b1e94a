"""Stand by while annotated clips play, and see what the agent says unasked: how soon, how often wrongly.

    python -m benchmarks.standing [--media DIR] [--speed X] [--json] [--verbose] [--no-history]

Standing queries are made from the annotations of DIR/video: words that only one clip speaks or shows, "whenever
somebody speaks", "whenever a person appears", "whenever a car comes", "whenever it gets dark"; and of things that
never occur. All stand at once while all clips play, by the agent as a user runs it and at real time, as if live: what
is being said is told while it is said. So nearly every query waits through nearly every clip for something that does
not come, and what is told too soon and wrongly counts in the same run in which being soon is measured.

- What is told outside every annotated interval (2 s either side) is a false alarm.
- `recall` is over pairs of a query and a clip where it holds at some time: told within such an interval, or not.
- The delay is media time: from the beginning of what is annotated (of a sentence its end, since a word is not said
  before) to the `known_s` of the message, the media time that sight or hearing had come to when there was enough to
  tell. It holds everything that perception waits for (the pictures until movement is certainly a person's, the pause
  that ends a sentence), and nothing of what the machine computes: on a slow or busy one it is the same, but for words
  told from what is being said, as hypotheses are fewer there. What is there in the first second of a clip has not begun
  then, and is not counted.
- The latency is what the machine adds: wall-clock seconds from when `known_s` was due until the message arrived on the
  agent's output. What was known within 8 s of the start is not counted: the processes are still starting.

"It gets dark" also holds while a title is shown "on black", which annotations say instead of "black".

    delay_s             median, of pairs told in time; delay_p90_s. In seconds of media
    latency_s           median, of all messages; latency_p90_s. In seconds of the clock; none at --speed max
    false_alarms_per_h  for an hour of media, with all queries standing
    recall              0..1
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks import harness

TOLERANCE_S = 2.0
STARTING_S = 8.0
BEGUN_S = 1.0
WORDS_A_CLIP = 2
MIN_LETTERS = 5
QUERIES = 30
PEOPLE = r"\b(?:person|people|man|woman|pedestrian|figure|hand|hands|pair|he|she|climber|cyclist)\b"
COMES = r"\b(?:enters|appears|comes|walks|drives)\b"
# (what is waited for, which annotated events it is, which of them are its beginning)
EVENTS = (
    ("a person appears", PEOPLE, rf"{PEOPLE}.*{COMES}"),
    ("a car comes", r"\b(?:car|van|truck)\b", r"\bcar\b.*\b(?:enters|drives)\b"),
    ("it gets dark", r"^black\b|\bfades? (?:to|out|in)\b|\bfade to\b|\bon black\b", r"^(?:black|fade to black)"),
)
NEVER = (
    "somebody speaks of the budget",
    "I read EMERGENCY on screen",
    "a dog barks",
    "the phone rings",
    "the kettle boils",
)


@dataclass(frozen=True)
class Holds:
    """When something waited for is there, in seconds of its clip. ``begins_s``: where a message is due, if known."""

    t0_s: float
    t1_s: float
    begins_s: float | None


@dataclass
class Query:
    text: str
    kind: str
    holds: dict[str, list[Holds]] = field(default_factory=dict)


@dataclass(frozen=True)
class Told:
    """A message: the query it is about, where its evidence lies, by when it was known, when it arrived (monotonic
    seconds)."""

    query: str
    clip: str
    t0_s: float
    t1_s: float
    known_s: float
    arrived_s: float


@dataclass(frozen=True)
class Played:
    """A replay: its messages, and what the monotonic clock said when a clip's media time 0 was due."""

    code: int
    told: list[Told]
    due_s: dict[str, float]
    errors: str


def annotated(media: Path) -> dict[str, dict[str, Any]]:
    """File name -> annotations, of clips that are there."""
    folder = media / "video" if (media / "video").is_dir() else media
    notes = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.annotations.json"))]
    return {n["file"]: n | {"path": folder / n["file"]} for n in notes if (folder / n["file"]).is_file()}


def make_queries(clips: dict[str, dict[str, Any]]) -> list[Query]:
    """Queries with their truth in every clip, most telling first."""
    spoken = {name: _words(notes["speech"]) for name, notes in clips.items()}
    shown = {name: _words(notes["on_screen_text"]) for name, notes in clips.items()}
    everywhere = Counter(word for name in clips for word in spoken[name] | shown[name])
    speaks = Query("somebody speaks", "voice")
    events = [Query(text, "event") for text, *_ in EVENTS]
    of_words = []
    for name, notes in clips.items():
        if notes["speech"]:
            speaks.holds[name] = [Holds(s["t0"], s["t1"], s["t0"]) for s in notes["speech"]]
        for query, (_, holds, begins) in zip(events, EVENTS, strict=True):
            fitting = [e for e in notes["events"] if re.search(holds, e["what"])]
            if fitting:
                query.holds[name] = [
                    Holds(e["t0"], e["t1"], e["t0"] if re.search(begins, e["what"]) else None) for e in fitting
                ]
        for kind, own, entries in (("said", spoken, notes["speech"]), ("read", shown, notes["on_screen_text"])):
            telling = sorted((w for w in own[name] if everywhere[w] == 1), key=lambda w: (-len(w), w))[:WORDS_A_CLIP]
            for word in telling:
                text = f"somebody says {word}" if kind == "said" else f"I read {word} on screen"
                query = Query(text, kind)
                # A word is not said before its sentence is nearly over; writing is there from its first moment.
                query.holds[name] = [
                    Holds(e["t0"], e["t1"], e["t1"] if kind == "said" else e["t0"])
                    for e in entries
                    if word in _words([e])
                ]
                of_words.append(query)
    never = [Query(text, "never") for text in NEVER]
    room = QUERIES - len(events) - len(never) - 1
    return [speaks, *events, *never, *of_words[:room]]


def _words(entries: Sequence[dict[str, Any]]) -> set[str]:
    text = " ".join(entry["text"] or "" for entry in entries)
    return {word.lower() for word in re.findall(r"[A-Za-z]+", text) if len(word) >= MIN_LETTERS}


def play(files: Sequence[Path], queries: Sequence[Query], speed: str) -> Played:
    """Replay files with all queries standing; messages are taken down as they arrive."""
    with tempfile.TemporaryDirectory(prefix="mindstream-standing-") as folder:
        memory_dir = Path(folder, "memory")
        command = [sys.executable, str(harness.PROJECT / "run_agent.py"), "replay", *map(str, files), "--json"]
        command += ["--memory", str(memory_dir), "--speed", speed]
        for query in queries:
            command += ["--tell-me", f"whenever {query.text}"]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stderr is not None
        errors: list[str] = []
        reading = threading.Thread(target=lambda: errors.extend(process.stderr or ()), daemon=True)
        reading.start()
        due = _Due(memory_dir)
        texts = {f"q{number}": query.text for number, query in enumerate(queries, 1)}
        told = []
        for line in process.stdout:
            arrived_s = time.monotonic()
            notice = json.loads(line)
            if "notice" in notice:
                cited = notice["citation"]
                place = (cited["source"], cited["t0_s"], cited["t1_s"])
                told.append(Told(texts[notice["query"]], *place, notice["known_s"], arrived_s))
        process.wait()
        reading.join()
        return Played(process.returncode, told, due.found(), "".join(errors))


class _Due:
    """Learns from the plan of the agent's processes when media time began, as long as they run."""

    def __init__(self, memory_dir: Path) -> None:
        self._card = memory_dir / "agent.json"
        self._due_s: dict[str, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def found(self) -> dict[str, float]:
        self._over.set()
        self._thread.join()
        return self._due_s

    def _watch(self) -> None:
        while not self._due_s and not self._over.wait(0.1):
            try:
                run_dir = Path(json.loads(self._card.read_text(encoding="utf-8"))["run_dir"])
                work = json.loads((run_dir / "video.plan.json").read_text(encoding="utf-8"))["work"]
            except (OSError, ValueError, KeyError):
                continue
            epoch_s = float(work["epoch_s"])
            self._due_s = {source["source"]: epoch_s + source.get("timeline_s", 0.0) for source in work["sources"]}


def is_true(told: Told, query: Query) -> bool:
    """Whether the message lies in an interval in which what it tells is annotated."""
    return any(
        told.t0_s <= holds.t1_s + TOLERANCE_S and told.t1_s >= holds.t0_s - TOLERANCE_S
        for holds in query.holds.get(told.clip, ())
    )


def recalled(told: Sequence[Told], query: Query, clip: str) -> bool:
    return any(t.query == query.text and t.clip == clip and is_true(t, query) for t in told)


def delays_s(told: Sequence[Told], queries: Sequence[Query]) -> list[tuple[str, float]]:
    """(kind, media seconds from the annotated beginning until it was known), of beginnings that were told."""
    found = []
    for query in queries:
        for clip, intervals in query.holds.items():
            for holds in intervals:
                if holds.begins_s is None or holds.begins_s < BEGUN_S:
                    continue
                mine = [
                    t.known_s - holds.begins_s
                    for t in told
                    if t.query == query.text
                    and t.clip == clip
                    and holds.t0_s - TOLERANCE_S <= t.t0_s <= holds.begins_s + TOLERANCE_S
                ]
                if mine:
                    found.append((query.kind, max(0.0, min(mine))))
    return found


def latencies_s(played: Played, speed: float, first: str) -> list[float]:
    """Wall-clock seconds from when what was known was due until the message arrived."""
    return [
        t.arrived_s - played.due_s[t.clip] - t.known_s / speed
        for t in played.told
        if t.clip in played.due_s and not (t.clip == first and t.known_s < STARTING_S)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--media", type=Path, default=harness.DEFAULT_MEDIA, metavar="DIR", help="folder of clips")
    parser.add_argument("--speed", default="1", metavar="X", help="times real time (default: 1), or max")
    parser.add_argument("--verbose", action="store_true", help="show every message")
    args = parser.parse_args(argv)
    clips = annotated(args.media) if args.media.is_dir() else {}
    if not clips:
        print(f"standing: no annotated clips in {args.media}; give their folder with --media", file=sys.stderr)
        return 2
    queries = make_queries(clips)
    by_text = {query.text: query for query in queries}
    played = play([notes["path"] for notes in clips.values()], queries, args.speed)
    if played.code:
        print(f"standing: the replay ended with exit code {played.code}\n{played.errors}", file=sys.stderr)
        return 1
    hours = sum(float(notes["duration_s"]) for notes in clips.values()) / 3600
    false = [told for told in played.told if not is_true(told, by_text[told.query])]
    pairs = [(query, clip) for query in queries for clip in query.holds]
    hit = [(query, clip) for query, clip in pairs if recalled(played.told, query, clip)]
    delays = delays_s(played.told, queries)
    latencies = [] if args.speed == "max" else latencies_s(played, float(args.speed), next(iter(clips)))
    rows = [_row(kind, pairs, hit, false, delays, by_text) for kind in ("voice", "said", "read", "event", "never")]
    delay_s, delay_p90_s = _median_and_p90([delay_s for _, delay_s in delays])
    latency_s, latency_p90_s = _median_and_p90(latencies)
    result = {
        "delay_s": delay_s,
        "delay_p90_s": delay_p90_s,
        "latency_s": latency_s,
        "latency_p90_s": latency_p90_s,
        "false_alarms_per_h": round(len(false) / hours, 1),
        "recall": round(len(hit) / len(pairs), 3),
        "messages": len(played.told),
        "queries": len(queries),
        "media_minutes": round(hours * 60, 1),
        "delays": len(delays),
    }
    if args.verbose:
        for told in played.told:
            mark = "true " if is_true(told, by_text[told.query]) else "FALSE"
            when = f"{told.t0_s:.1f}-{told.t1_s:.1f}, known {told.known_s:.1f}"
            harness.progress(f"{mark} {told.clip} {when}: {told.query}")
        for query, clip in pairs:
            if (query, clip) not in hit:
                harness.progress(f"missed {clip}: {query.text}")
    if args.json:
        print(json.dumps(result))
    else:
        header = ("sign", "pairs", "told", "false alarms", "delays", "median s", "longest s")
        print(harness.table(header, rows), "\n")
        print(harness.table(("figure", "value"), list(result.items())))
    if not args.no_history and args.speed == parser.get_default("speed"):
        harness.remember("standing", result)
    return 0


def _median_and_p90(seconds: Sequence[float]) -> tuple[float | None, float | None]:
    if len(seconds) < 2:
        return (round(seconds[0], 2) if seconds else None), None
    return round(median(seconds), 2), round(quantiles(seconds, n=10)[-1], 2)


def _row(
    kind: str,
    pairs: Sequence[tuple[Query, str]],
    hit: Sequence[tuple[Query, str]],
    false: Sequence[Told],
    delays: Sequence[tuple[str, float]],
    by_text: dict[str, Query],
) -> tuple[object, ...]:
    mine = [delay_s for of_kind, delay_s in delays if of_kind == kind]
    return (
        kind,
        sum(query.kind == kind for query, _ in pairs),
        sum(query.kind == kind for query, _ in hit),
        sum(by_text[told.query].kind == kind for told in false),
        len(mine),
        median(mine) if mine else None,
        max(mine, default=None),
    )


if __name__ == "__main__":
    sys.exit(main())
