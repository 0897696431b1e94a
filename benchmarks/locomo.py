"""Evidence recall on LoCoMo conversations: `python -m benchmarks.locomo [--data FILE] [--json] [--no-history]`.

Every turn goes through the real write path as one `speech` observation (speaker in its data, the caption of
a shared picture in its text; turns of a session follow each other at 150 words a minute, sessions lie as far
apart as their dates). For each non-adversarial question: the fraction of its evidence turns among the first
5, 10 and 20 hits. Intervals are over conversations, because questions of one conversation are not
independent. `--ablate` measures again without each part of recall; `--choose` chooses the constants on all but one
conversation and scores that one (`benchmarks/locomo_choice.py`): what to expect of other conversations.
"""

from __future__ import annotations

import datetime
import json
import random
import re
import statistics
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec

from benchmarks import harness
from benchmarks.locomo_choice import Choice
from memory.recall.rank import Recall, RecallOptions
from memory.spans.integrate import Integration
from memory.spans.segment import SegmentOptions
from memory.store.batch import Batch
from memory.store.database import Store
from memory.store.views import open_view
from runtime.config import load_config
from runtime.messages import (
    Observation,
    RecallRequest,
    SourceOpened,
    SpeechFacts,
    ViewRequest,
    observation_id,
    round_time,
)

DEFAULT_DATA = harness.DEFAULT_MEDIA.parent / "text" / "locomo" / "locomo_open.json"
WORDS_PER_S = 2.5
ADVERSARIAL = 5
DEPTHS = (5, 10, 20)
RESAMPLES = 2000
# What can be taken away alone, and how.
PARTS: dict[str, tuple[str, Any]] = {
    "neighbours": ("memory.recall.enrich.NEIGHBOUR_WEIGHTS", (0.0,)),
    "lending less to what says little": ("memory.recall.enrich.HALF_LENT", 0.0),
    "the day and the source's name": ("memory.recall.word_scores.CONTEXT_WEIGHT", 0.0),
    "lending a question's words more": ("memory.recall.enrich.ASKED", 1.0),
    "near spellings": ("memory.recall.match.NEAR_TERMS", 0),
    "who speaks": ("memory.recall.match.SPEAKER", -1),
    "saturation and length (BM25's k1 and b)": (
        "memory.recall.word_scores.saturate",
        lambda counts, _: (counts > 0) * 1.0,
    ),
    "the event's score": ("memory.recall.rank.score_events", lambda *args: 0.0 * args[-1]),
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
                    data=SpeechFacts(speaker=turn["speaker"]),
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


class Conversation:
    """A conversation in a memory of its own, asked as often as wanted."""

    def __init__(self, sample: dict[str, Any], config: str, directory: Path) -> None:
        options = load_config(config).memory
        self.name = str(sample["sample_id"])
        batch, self._turn_of = conversation_batch(self.name, sample["conversation"])
        known = set(self._turn_of.values())
        evidence = [{t for listed in q["evidence"] for t in re.split(r"[;\s]+", listed)} & known for q in sample["qa"]]
        self._asked = [
            (question["question"], turns)
            for question, turns in zip(sample["qa"], evidence, strict=True)
            if question["category"] != ADVERSARIAL and turns
        ]
        self._store = Store(directory)
        segment = SegmentOptions(
            options.event_min_s, options.event_max_s, options.surprise_gamma, options.surprise_window
        )
        with self._store.write() as writing:
            writing.add(batch)
            Integration(segment).advance(writing, [self.name])
        self._reader = self._store.reader()
        self._options = RecallOptions.of(options)

    def score(self, **changed: Any) -> list[list[float]]:
        """Evidence recall at each depth, for each question; ``changed``: fields of `RecallOptions`."""
        view = open_view(self._reader, ViewRequest())
        recall = Recall(self._reader, msgspec.structs.replace(self._options, **changed))
        scores = []
        for question, evidence in self._asked:
            reply = recall.recall(RecallRequest(query=question, view=view, limit=max(DEPTHS)))
            found = [self._turn_of[hit.observation.id] for hit in reply.hits]
            scores.append([len(evidence & set(found[:depth])) / len(evidence) for depth in DEPTHS])
        return scores

    def close(self) -> None:
        self._reader.close()
        self._store.close()


@contextmanager
def remembered(samples: list[dict[str, Any]], config: str) -> Iterator[list[Conversation]]:
    """The conversations, each in a memory of its own."""
    with ExitStack() as stack:
        conversations = []
        for sample in samples:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="mindstream-locomo-"))
            conversations.append(Conversation(sample, config, Path(directory)))
            stack.callback(conversations[-1].close)
        yield conversations


def figures_of(by_conversation: dict[str, list[list[float]]]) -> dict[str, Any]:
    """Means over questions, 95 % intervals over conversations."""
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


def ablate(conversations: list[Conversation]) -> dict[str, list[float]]:
    """Means over questions at each depth with one part of recall taken away at a time."""
    found = {}
    for part, (where, value) in PARTS.items():
        with mock.patch(where, value):
            scores = [score for conversation in conversations for score in conversation.score()]
        found[part] = [round(statistics.fmean(score[i] for score in scores), 4) for i in range(len(DEPTHS))]
        harness.progress(f"locomo: without {part} {found[part]}")
    return found


def choose(conversations: list[Conversation]) -> dict[str, Any]:
    """Constants chosen on all conversations but one, scored on that one, pooled; and those chosen on all of them."""
    search = Choice(lambda i, changed: [score[1] for score in conversations[i].score(**changed)])
    held_out: dict[str, list[list[float]]] = {}
    folds = {}
    for i, conversation in enumerate(conversations):
        chosen = search.best([j for j in range(len(conversations)) if j != i])
        with search.with_constants(chosen) as changed:
            held_out[conversation.name] = conversation.score(**changed)
        folds[conversation.name] = chosen
        harness.progress(f"locomo: chosen without {conversation.name}: {chosen}")
    return {
        "held_out": figures_of(held_out),
        "folds": folds,
        "chosen_on_all": search.best(list(range(len(conversations)))),
    }


def as_table(figures: dict[str, Any]) -> str:
    """The figures as the table that is printed."""
    rows: list[tuple[object, ...]] = [(name, *means) for name, means in figures["by_conversation"].items()]
    rows.append(("all", *(figures[f"recall_at_{depth}"] for depth in DEPTHS)))
    if "interval_at_5" in figures:
        rows.append(("95 % (+-)", *(figures[f"interval_at_{depth}"] for depth in DEPTHS)))
    cells = [[row[0], *(f"{value:.3f}" for value in row[1:])] for row in rows]
    asked = f"{figures['questions']} questions over {figures['conversations']} conversations"
    if "choice" in figures:
        held_out = figures["choice"]["held_out"]
        cells.append(["chosen on the others", *(f"{held_out[f'recall_at_{depth}']:.3f}" for depth in DEPTHS)])
    for name, means in figures.get("without", {}).items():
        cells.append([f"without {name}", *(f"{value:.3f}" for value in means)])
    return f"{asked}\n\n{harness.table(('conversation', *(f'@{depth}' for depth in DEPTHS)), cells)}"


def main(argv: list[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--data", default=DEFAULT_DATA, type=Path, help="a file in LoCoMo's format")
    parser.add_argument("--config", default="embedded")
    parser.add_argument("--ablate", action="store_true", help="measure again with each part of recall taken away")
    parser.add_argument(
        "--choose", action="store_true", help="choose the constants on all conversations but one, score that one"
    )
    options = parser.parse_args(argv)
    if not options.data.is_file():
        print(f"locomo: no conversations at {options.data}; give a file with --data", file=sys.stderr)
        return 2
    samples = json.loads(options.data.read_text(encoding="utf-8"))
    with remembered(samples, options.config) as conversations:
        figures = figures_of({conversation.name: conversation.score() for conversation in conversations})
        if options.ablate:
            figures["without"] = ablate(conversations)
        if options.choose:
            figures["choice"] = choose(conversations)
    print(json.dumps(figures) if options.json else as_table(figures))
    if not options.no_history:
        harness.remember("locomo", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
