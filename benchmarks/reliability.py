"""Does confidence mean something? Questions of annotated clips, asked of their own memory and of others'.

    python -m benchmarks.reliability --memories DIR [--media DIR] [--json] [--no-history]

DIR holds the memories that `benchmarks.clips --memories DIR` left. Each question but those of kind `now` and `absent`
is asked of the memory of its own clip and, shuffled, of OTHERS more. Of its own it is right as in
benchmarks/clips_scoring.py; of another every answer counts as wrong, though some are true there ("How many people are
visible?"). Columns:
    confidence  of the answers
    own         answers of the own memory, right those that are
    others      answers of others' memories
    %right      of all of them
Below: what stays answered, right and wrong at each value that `reasoning.abstain_below` could have.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
from msgspec import Struct

from benchmarks import harness
from benchmarks.clips import Clip, Question, find_clips
from benchmarks.clips_scoring import score
from memory.store.database import Store
from reasoning.answer.extract import ExtractiveBackend
from reasoning.turn import Turns
from runtime.clock import MonotonicClock
from runtime.config import Config
from runtime.messages import Answer, AskRequest
from tests.fixtures.stored_memory import StoredMemory

OTHERS = 3
LEFT_OUT = ("now", "absent")
BUCKETS = (0.0, 0.35, 0.5, 0.6, 0.7, 0.8, 0.9)
THRESHOLDS = (0.0, 0.2, 0.35, 0.5, 0.65, 0.8)


class Outcome(Struct, frozen=True):
    """One answer that was given."""

    confidence: float
    own: bool
    right: bool


async def ask(memory: Path, questions: Sequence[str]) -> list[Answer]:
    """What the answerer says from one memory, each question in a conversation of its own."""
    config = Config().reasoning
    store = Store(memory)
    stored = StoredMemory(store)
    try:
        async with anyio.create_task_group() as tasks:
            backend = ExtractiveBackend(0.0)
            turns = Turns(tasks, stored, backend, config, MonotonicClock(), logging.getLogger("reliability"))
            found = []
            for i, question in enumerate(questions):
                request = AskRequest(question=question, conversation=str(i))
                found += [m async for m in turns.ask(request) if isinstance(m, Answer)]
            tasks.cancel_scope.cancel()
    finally:
        stored.close()
        store.close()
    return found


def outcomes(clips: Sequence[Clip], memories: Path) -> list[Outcome]:
    """Every answer given, to questions of the own clip and of the next ones in the list."""
    found = []
    for i, clip in enumerate(clips):
        asked: list[tuple[Question, bool]] = []
        for k in range(OTHERS + 1):
            of = clips[(i + k) % len(clips)]
            asked += [(q, k == 0) for q in of.questions if q.kind not in LEFT_OUT]
        answers = anyio.run(ask, memories / clip.path.stem, [q.text for q, _ in asked])
        for (question, own), answer in zip(asked, answers, strict=True):
            if answer.abstained:
                continue
            cited = [(c.t0_s, c.t1_s) for c in answer.citations]
            scored = score(
                question.kind, question.text, question.alternatives, question.evidence, answer.answer, False, cited
            )
            found.append(Outcome(answer.confidence, own, own and scored.right))
        harness.progress(f"{clip.path.name}: {len(asked)} questions")
    return found


def table(found: Sequence[Outcome]) -> str:
    """Both tables, as they are printed."""
    rows = []
    for low, high in zip(BUCKETS, (*BUCKETS[1:], 1.01), strict=True):
        here = [o for o in found if low <= o.confidence < high]
        own, right = [o for o in here if o.own], sum(o.right for o in here)
        share = round(100 * right / len(here)) if here else None
        rows.append((f"{low:.2f} - {min(high, 1.0):.2f}", len(own), right, len(here) - len(own), share))
    lines = [harness.table(("confidence", "own", "right", "others", "%right"), rows), ""]
    kept = [(t, [o for o in found if o.confidence >= t]) for t in THRESHOLDS]
    lines.append(
        harness.table(
            ("abstain_below", "answered", "right", "own wrong", "others"),
            [
                (t, len(some), sum(o.right for o in some), sum(o.own and not o.right for o in some),
                 sum(not o.own for o in some))
                for t, some in kept
            ],
        )
    )  # fmt: skip
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--media", type=Path, default=harness.DEFAULT_MEDIA, metavar="DIR", help="folder of clips")
    parser.add_argument("--memories", type=Path, metavar="DIR", required=True, help="what benchmarks.clips kept there")
    args = parser.parse_args(argv)
    clips, _ = find_clips(args.media) if args.media.is_dir() else ([], [])
    clips = [clip for clip in clips if (args.memories / clip.path.stem).is_dir()]
    if len(clips) <= OTHERS:
        print(f"reliability: too few memories of annotated clips in {args.memories}", file=sys.stderr)
        return 2
    found = outcomes(clips, args.memories)
    result = {
        "answered": len(found), "right": sum(o.right for o in found), "others": sum(not o.own for o in found),
    }  # fmt: skip
    print(json.dumps(result) if args.json else table(found))
    if not args.no_history:
        harness.remember("reliability", result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
