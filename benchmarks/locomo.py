"""Evidence recall on LoCoMo conversations: `python -m benchmarks.locomo [--data FILE] [--json] [--no-history]`.

Every turn goes through the real write path as one `speech` observation (speaker in its data, the caption of
a shared picture in its text; turns of a session follow each other at 150 words a minute, sessions lie as far
apart as their dates). For each non-adversarial question: the fraction of its evidence turns among the first
5, 10 and 20 hits. Intervals are over conversations, because questions of one conversation are not
independent.
"""

from __future__ import annotations

import datetime
import json
import random
import re
import statistics
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks import harness
from memory.integrate import Integration
from memory.observe import Batch
from memory.recall import Recall, RecallOptions
from memory.segment import SegmentOptions
from memory.store import Store
from memory.views import open_view
from runtime.config import load_config
from runtime.messages import Observation, RecallRequest, SourceOpened, ViewRequest, observation_id, round_time

DEFAULT_DATA = harness.DEFAULT_MEDIA.parent / "text" / "locomo" / "locomo_open.json"
WORDS_PER_S = 2.5
ADVERSARIAL = 5
DEPTHS = (5, 10, 20)
RESAMPLES = 2000
# What can be taken away alone, and how.
PARTS: dict[str, tuple[str, Any]] = {
    "neighbours": ("memory.enrich.NEIGHBOUR_WEIGHTS", ()),
    "the day and the source's name": ("memory.recall.CONTEXT_WEIGHT", 0.0),
    "lending a question's words more": ("memory.enrich.ASKED", 1.0),
    "near spellings": ("memory.matches.NEAR_TERMS", 0),
    "the event's score": ("memory.recall._Query._score_events", lambda *_: None),
}
T_95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)


def conversation_batch(name: str, conversation: dict[str, Any]) -> tuple[Batch, dict[str, str]]:
    """A conversation as one batch of the write path, and observation id -> turn id."""
    observations: list[Observation] = []
    turn_of: dict[str, str] = {}
    started: datetime.datetime | None = None
    t_s = 0.0
    for number in sorted(int(key.split("_")[1]) for key in conversation if re.fullmatch(r"session_\d+", key)):
        turns = conversation[f"session_{number}"]
        date = conversation[f"session_{number}_date_time"]
        when = datetime.datetime.strptime(date, "%I:%M %p on %d %B, %Y").astimezone()
        started = started or when
        t_s = max(t_s, (when - started).total_seconds())
        for turn in turns:
            caption = turn.get("blip_caption")
            text = turn["text"] + (f" [shares {caption}]" if caption else "")
            t0_s, t_s = t_s, round_time(t_s + max(1.0, len(text.split()) / WORDS_PER_S))
            id_ = observation_id(name, "speech", t0_s)
            turn_of[id_] = turn["dia_id"]
            observations.append(
                Observation(
                    id=id_, source=name, channel="speech", t0_s=t0_s, t1_s=t_s, text=text,
                    data={"speaker": turn["speaker"]},
                )
            )  # fmt: skip
    opened = SourceOpened(
        source=name,
        track="audio",
        kind="microphone",
        started_wall_s=started.timestamp() if started else 0.0,
    )
    return Batch(
        opened=(opened,),
        observations=tuple(observations),
        watermarks={(name, "audio"): t_s},
        ended={(name, "audio"): "end"},
    ), turn_of


def measure_conversation(sample: dict[str, Any], config: str) -> list[list[float]]:
    """Evidence recall at each depth, for each question of one conversation."""
    options = load_config(config).memory
    name = str(sample["sample_id"])
    batch, turn_of = conversation_batch(name, sample["conversation"])
    known = set(turn_of.values())
    scores = []
    with tempfile.TemporaryDirectory() as directory:
        store = Store(Path(directory))
        segment = SegmentOptions(
            options.event_min_s, options.event_max_s, options.surprise_gamma, options.surprise_window
        )
        with store.write() as writing:
            writing.add(batch)
            Integration(segment).advance(writing, [name])
        reader = store.reader()
        view = open_view(reader, ViewRequest())
        recall = Recall(reader, RecallOptions.of(options))
        for question in sample["qa"]:
            evidence = {turn for listed in question["evidence"] for turn in re.split(r"[;\s]+", listed)} & known
            if question["category"] == ADVERSARIAL or not evidence:
                continue
            reply = recall.recall(RecallRequest(query=question["question"], view=view, limit=max(DEPTHS)))
            found = [turn_of[hit.observation.id] for hit in reply.hits]
            scores.append([len(evidence & set(found[:depth])) / len(evidence) for depth in DEPTHS])
        reader.close()
        store.close()
    return scores


def measure(samples: list[dict[str, Any]], config: str) -> dict[str, Any]:
    """Figures over all conversations: means over questions, 95 % intervals over conversations."""
    by_conversation = {str(sample["sample_id"]): measure_conversation(sample, config) for sample in samples}
    everything = [score for scores in by_conversation.values() for score in scores]
    figures: dict[str, Any] = {"conversations": len(by_conversation), "questions": len(everything)}
    for i, depth in enumerate(DEPTHS):
        figures[f"recall_at_{depth}"] = round(statistics.fmean(score[i] for score in everything), 4)
        means = [statistics.fmean(score[i] for score in scores) for scores in by_conversation.values() if scores]
        if len(means) > 1:
            t = T_95[len(means) - 2] if len(means) - 2 < len(T_95) else 1.96
            figures[f"interval_at_{depth}"] = round(t * statistics.stdev(means) / len(means) ** 0.5, 4)
        figures[f"bootstrap_at_{depth}"] = bootstrap(by_conversation.values(), i)
    figures["by_conversation"] = {
        name: [round(statistics.fmean(score[i] for score in scores), 3) for i in range(len(DEPTHS))]
        for name, scores in by_conversation.items()
        if scores
    }
    return figures


def bootstrap(by_conversation: Iterable[list[list[float]]], depth: int) -> list[float]:
    """The 95 % interval of the mean over questions when conversations are drawn again, whole, with replacement."""
    scores = [conversation for conversation in by_conversation if conversation]
    at_random = random.Random(1)
    means = []
    for _ in range(RESAMPLES):
        drawn = at_random.choices(scores, k=len(scores))
        means.append(statistics.fmean(score[depth] for conversation in drawn for score in conversation))
    means.sort()
    return [round(means[int(q * (RESAMPLES - 1))], 4) for q in (0.025, 0.975)]


def ablate(samples: list[dict[str, Any]], config: str) -> dict[str, list[float]]:
    """Means over questions at each depth with one part of recall taken away at a time."""
    found = {}
    for part, (where, value) in PARTS.items():
        with mock.patch(where, value):
            scores = [score for sample in samples for score in measure_conversation(sample, config)]
        found[part] = [round(statistics.fmean(score[i] for score in scores), 4) for i in range(len(DEPTHS))]
        harness.progress(f"locomo: without {part} {found[part]}")
    return found


def as_table(figures: dict[str, Any]) -> str:
    """The figures as the table that is printed."""
    rows: list[tuple[object, ...]] = [(name, *means) for name, means in figures["by_conversation"].items()]
    rows.append(("all", *(figures[f"recall_at_{depth}"] for depth in DEPTHS)))
    if "interval_at_5" in figures:
        rows.append(("95 % (+-)", *(figures[f"interval_at_{depth}"] for depth in DEPTHS)))
    cells = [[row[0], *(f"{value:.3f}" for value in row[1:])] for row in rows]
    asked = f"{figures['questions']} questions over {figures['conversations']} conversations"
    for name, means in figures.get("without", {}).items():
        cells.append([f"without {name}", *(f"{value:.3f}" for value in means)])
    return f"{asked}\n\n{harness.table(('conversation', *(f'@{depth}' for depth in DEPTHS)), cells)}"


def main(argv: list[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--data", default=DEFAULT_DATA, type=Path, help="a file in LoCoMo's format")
    parser.add_argument("--config", default="embedded")
    parser.add_argument("--ablate", action="store_true", help="measure again with each part of recall taken away")
    options = parser.parse_args(argv)
    if not options.data.is_file():
        print(f"locomo: no conversations at {options.data}; give a file with --data", file=sys.stderr)
        return 2
    samples = json.loads(options.data.read_text(encoding="utf-8"))
    figures = measure(samples, options.config)
    if options.ablate:
        figures["without"] = ablate(samples, options.config)
    print(json.dumps(figures) if options.json else as_table(figures))
    if not options.no_history:
        harness.remember("locomo", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
