"""Finding the place in meetings, lectures and descriptions: `python -m benchmarks.transcripts [--data DIR] [--json]`.

Everything goes through the write path as observations and is asked for by recall alone, one memory a recording.

- qmsum: a query about a meeting; hit where one of the first ten turns lies in a span that answers it.
- mavils: the words of a slide; hit where the first sentence found is within 15 s of a time at which it is shown.
- activitynet: what one person wrote of a moment, found among what another wrote; hit where one of the first five has an
  intersection over union of .3 or more in time with it.
- book: which of two excerpts comes earlier in a book stored in order; right where the place found for each says so.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import harness
from memory.recall.rank import Recall, RecallOptions
from memory.spans.integrate import Integration
from memory.spans.segment import SegmentOptions
from memory.store.batch import Batch
from memory.store.database import Store
from memory.store.views import open_view
from runtime.config import load_config
from runtime.messages import (
    Hit,
    Observation,
    RecallRequest,
    SourceOpened,
    SpeechFacts,
    ViewRequest,
    observation_id,
    round_time,
)

DEFAULT_DATA = harness.DEFAULT_MEDIA.parent / "text"
WORDS_PER_S = 2.5
FLOORS = {"qmsum_hit_at_10": 0.80, "mavils_hit_at_1": 0.736, "activitynet_hit_at_5": 0.246}
NEAR_S = 15.0
MIN_IOU = 0.3
SENTENCE_WORDS = 20

Ask = Callable[[str, int], list[Hit]]


def with_memory(observations: Sequence[Observation], use: Callable[[Ask], list[float]]) -> list[float]:
    """What ``use`` makes of a memory of these observations of one source, asked by words."""
    options = load_config("embedded").memory
    name = observations[0].source
    end_s = max(o.t1_s for o in observations)
    batch = Batch(
        opened=(SourceOpened(source=name, track="audio", kind="microphone"),),
        observations=tuple(observations),
        watermarks={(name, "audio"): end_s},
        ended={(name, "audio"): "end"},
    )
    with tempfile.TemporaryDirectory() as directory:
        store = Store(Path(directory))
        with store.write() as writing:
            writing.add(batch)
            segment = SegmentOptions(
                options.event_min_s, options.event_max_s, options.surprise_gamma, options.surprise_window
            )
            Integration(segment).advance(writing, [name])
        reader = store.reader()
        view = open_view(reader, ViewRequest())
        recall = Recall(reader, RecallOptions.of(options))
        scores = use(lambda query, n: list(recall.recall(RecallRequest(query=query, view=view, limit=n)).hits))
        reader.close()
        store.close()
    return scores


def say(source: str, t0_s: float, t1_s: float, text: str, k: int, speaker: str = "") -> Observation:
    t0_s, t1_s = round_time(max(t0_s, 0.0)), round_time(max(t0_s, t1_s, 0.0))
    return Observation(
        id=observation_id(source, "speech", t0_s, k), source=source, channel="speech", t0_s=t0_s, t1_s=t1_s, text=text,
        data=SpeechFacts(speaker=speaker),
    )  # fmt: skip


def talk(source: str, lines: Iterable[tuple[str, str]]) -> list[Observation]:
    """Lines and who says them, one after the other at 150 words a minute."""
    said: list[Observation] = []
    t_s = 0.0
    for k, (text, speaker) in enumerate(lines):
        t1_s = t_s + max(1.0, len(text.split()) / WORDS_PER_S)
        said.append(say(source, t_s, t1_s, text, k, speaker))
        t_s = round_time(t1_s)
    return said


def qmsum(folder: Path) -> list[float]:
    scores: list[float] = []
    for path in sorted(folder.rglob("*.json")):
        meeting = json.loads(path.read_text(encoding="utf-8"))
        turns = talk(path.stem, ((t["content"], t["speaker"]) for t in meeting["meeting_transcripts"]))

        number = {turn.id: k for k, turn in enumerate(turns)}

        def use(ask: Ask, meeting: dict[str, Any] = meeting, number: dict[str, int] = number) -> list[float]:
            found = []
            for query in meeting["specific_query_list"]:
                spans = [(int(first), int(last)) for first, last in query["relevant_text_span"]]
                numbers = [number[hit.observation.id] for hit in ask(query["query"], 10)]
                found.append(float(any(first <= n <= last for n in numbers for first, last in spans)))
            return found

        scores += with_memory(turns, use)
    return scores


def mavils(folder: Path) -> list[float]:
    scores: list[float] = []
    for path in sorted(folder.rglob("*.json")):
        lecture = json.loads(path.read_text(encoding="utf-8"))
        sentences = [say(path.stem, s["t0"], s["t1"], s["text"], k) for k, s in enumerate(lecture["sentences"])]

        def use(ask: Ask, lecture: dict[str, Any] = lecture) -> list[float]:
            text = {slide["slide"]: slide["text"] for slide in lecture["slides"]}
            found = []
            for shown in lecture["slide_shown"]:
                if not text.get(shown["slide"], "").strip():
                    continue
                hits = ask(text[shown["slide"]], 1)
                t_s = (hits[0].observation.t0_s + hits[0].observation.t1_s) / 2 if hits else -1e9
                found.append(float(any(t0 - NEAR_S <= t_s <= t1 + NEAR_S for t0, t1 in shown["t"])))
            return found

        scores += with_memory(sentences, use)
    return scores


def activitynet(folder: Path) -> list[float]:
    """All videos in one memory: the moment has to be found among those of all of them."""
    told: list[Observation] = []
    asked: list[tuple[str, float, float]] = []
    begin_s = 0.0
    for path in sorted(folder.rglob("*.json")):
        for video in json.loads(path.read_text(encoding="utf-8")):
            for moment in video["annotator_1"]:
                t0_s, t1_s = moment["t"]
                told.append(say("videos", begin_s + t0_s, begin_s + t1_s, moment["text"], len(told)))
            for moment in video["annotator_2"]:
                asked.append((moment["text"], begin_s + moment["t"][0], begin_s + moment["t"][1]))
            begin_s = round_time(begin_s + video["duration"] + 600.0)

    def use(ask: Ask) -> list[float]:
        return [
            float(any(overlap(t0_s, t1_s, hit.observation) >= MIN_IOU for hit in ask(text, 5)))
            for text, t0_s, t1_s in asked
        ]

    return with_memory(told, use)


def book(folder: Path) -> list[float]:
    scores: list[float] = []
    for path in sorted(folder.glob("*.txt")):
        words = path.read_text(encoding="utf-8").split()
        lines = [" ".join(words[i : i + SENTENCE_WORDS]) for i in range(0, len(words), SENTENCE_WORDS)]
        pairs = [json.loads(line) for p in sorted(folder.glob("*.jsonl")) for line in p.read_text("utf-8").splitlines()]

        def use(ask: Ask, pairs: list[dict[str, Any]] = pairs) -> list[float]:
            found = []
            for pair in pairs:
                at = {name: [hit.observation.t0_s for hit in ask(pair[name], 1)] for name in "AB"}
                earlier = "A" if at["A"] < at["B"] else "B"
                found.append(float(bool(at["A"] and at["B"]) and earlier == pair["earlier"]))
            return found

        scores += with_memory(talk(path.stem, ((line, "") for line in lines)), use)
    return scores


def overlap(t0_s: float, t1_s: float, observation: Observation) -> float:
    """Intersection over union in time."""
    both = min(t1_s, observation.t1_s) - max(t0_s, observation.t0_s)
    either = max(t1_s, observation.t1_s) - min(t0_s, observation.t0_s)
    return max(0.0, both) / either if either > 0 else 0.0


def main(argv: list[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--data", default=DEFAULT_DATA, type=Path, help="folder with qmsum, mavils, ...")
    options = parser.parse_args(argv)
    kinds: dict[str, tuple[str, Callable[[Path], list[float]]]] = {
        "qmsum_hit_at_10": ("qmsum", qmsum),
        "mavils_hit_at_1": ("mavils", mavils),
        "activitynet_hit_at_5": ("activitynet_double", activitynet),
        "book_order": ("book_order", book),
    }
    figures: dict[str, Any] = {}
    rows: list[tuple[object, ...]] = []
    for key, (folder, measure) in kinds.items():
        if not (options.data / folder).is_dir():
            continue
        scores = measure(options.data / folder)
        figures[key] = round(statistics.fmean(scores), 4) if scores else None
        floor = FLOORS.get(key)
        rows.append((key, len(scores), f"{figures[key]:.3f}", "-" if floor is None else f"{floor:.3f}"))
    if not figures:
        print(f"transcripts: none of the sets lies in {options.data}; give their folder with --data", file=sys.stderr)
        return 2
    print(json.dumps(figures) if options.json else harness.table(("", "asked", "hit", "plain BM25"), rows))
    if not options.no_history and options.data == DEFAULT_DATA:
        harness.remember("transcripts", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
