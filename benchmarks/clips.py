"""Ask annotated clips their questions and see how many answers are right.

    python -m benchmarks.clips [--media DIR] [--memories DIR] [--json] [--verbose] [--no-history]
                               [--answers DIR|URL [--weak]]

Every clip DIR/video/NAME.annotations.json whose file is there is replayed by a fresh agent with a memory
of its own, at full speed (with --memories the memories are kept there, and a clip that is in one is only asked
again). Its questions are asked at the end, those of kind `now` at their time. What
counts as right, and as the right place to cite, is defined in benchmarks/clips_scoring.py.

Columns, all numbers of questions but the first and the last two:
    kind       of question
    n          asked
    right      right answers; for `absent` right means denied or abstained
    wrong      answers that were given and not right
    abstained  "I did not see or hear that"
    cited      questions that have a place to cite whose *first* citation is there
    any        the same for any citation
               (an abstention may cite the nearest evidence there is, and that counts in both)
    %right, %cited
Questions of an agent that failed, or that gave no answer, count in n alone.

With --answers a model answers: a live server at a URL, or replies that a reader prepared in a folder
(benchmarks/prepared_replies.py; what nobody has answered yet is written out there, and is left out of the figures).
--weak has the prepared model say that it is a small one: 4 billion parameters, 4,096 tokens. Then come, over the
questions, the columns
    steps 50, 90   calls of tools an answer took: median and 90th percentile
    tokens         of all prompts of an answer, by estimate, median
    pictures       shown for an answer, median
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.clips_scoring import Score, score
from benchmarks.prepared_replies import Asked, ReplyServer, live_address, serve_replies, unreachable

KINDS = ("spoken", "read", "when", "what", "who", "count", "order", "now", "absent")
PUBLISHED_AIMS = ("spoken", "read", "when")
# Nothing is described in the background, which would make answers depend on how long a run takes.
PROFILE = """
reasoning:
  backend: openai
  deadline_s: 600
  model: {{base_url: "{address}"}}
  describe: {{when: never}}
"""


@dataclass(frozen=True)
class Question:
    """One annotated question of a clip."""

    text: str
    kind: str
    alternatives: list[str]
    evidence: list[list[float]]
    at_s: float | None


@dataclass(frozen=True)
class Clip:
    path: Path
    duration_s: float
    questions: list[Question]


@dataclass(frozen=True)
class Row:
    """A question, what was answered (None: nothing), and its score."""

    clip: str
    question: Question
    answer: dict[str, Any] | None
    score: Score | None
    asked: Asked | None = None


def find_clips(media: Path) -> tuple[list[Clip], list[str]]:
    """The annotated clips of a media folder, and the names of those whose file is not there."""
    folder = media / "video" if (media / "video").is_dir() else media
    clips, absent = [], []
    for path in sorted(folder.glob("*.annotations.json")):
        notes = json.loads(path.read_text(encoding="utf-8"))
        questions = [
            Question(q["q"], q["kind"], list(q["answers"]), [list(t) for t in q["t_evidence"]], q.get("ask_at"))
            for q in notes["questions"]
        ]
        if (folder / notes["file"]).is_file():
            clips.append(Clip(folder / notes["file"], float(notes["duration_s"]), questions))
        else:
            absent.append(notes["file"])
    return clips, absent


def ask_clip(
    clip: Clip, memories: Path | None = None, model: ReplyServer | None = None
) -> tuple[list[Row], harness.AgentRun]:
    """Replay a clip into a fresh memory, or one kept in ``memories``, and ask its questions, of ``model`` if any."""
    # The agent answers timed questions first, in order of time: the order in which answers come back.
    order = sorted(clip.questions, key=lambda q: (q.at_s is None, q.at_s or 0.0))
    asked = [{"question": q.text} | ({"at_s": q.at_s} if q.at_s is not None else {}) for q in order]
    with tempfile.TemporaryDirectory(prefix="mindstream-clips-") as folder:
        memory_dir = memories / clip.path.stem if memories else Path(folder, "memory")
        profile = ""
        if model is not None:
            model.clip = clip.path.stem
            profile = PROFILE.format(address=model.address)
        run = harness.replay([clip.path], memory_dir, asked, profile)
    rows = [_row(clip, question, answer) for question, answer in pair(order, run.answers)]
    if model is not None:
        rows = [replace(row, asked=model.asked.get((clip.path.stem, row.question.text))) for row in rows]
    return rows, run


def pair(
    questions: Sequence[Question], answers: Iterable[dict[str, Any]]
) -> list[tuple[Question, dict[str, Any] | None]]:
    """Each question with its answer, by its text; the same text asked twice is paired in order."""
    waiting: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for answer in answers:
        waiting[answer["question"]].append(answer)
    return [(question, waiting[question.text].pop(0) if waiting[question.text] else None) for question in questions]


def _row(clip: Clip, question: Question, answer: dict[str, Any] | None) -> Row:
    if answer is None:
        return Row(clip.path.name, question, None, None)
    cited = [(citation["t0_s"], citation["t1_s"]) for citation in answer["citations"]]
    scored = score(
        question.kind,
        question.text,
        question.alternatives,
        question.evidence,
        answer["answer"],
        bool(answer["abstained"]),
        cited,
    )
    return Row(clip.path.name, question, answer, scored)


def tally(rows: Sequence[Row]) -> dict[str, float | int | None]:
    """The columns of the table over some rows."""
    scores = [row.score for row in rows if row.score is not None]
    placed = sum(1 for row in rows if row.question.evidence)
    right = sum(s.right for s in scores)
    cited = sum(bool(s.first_cited) for s in scores)
    return {
        "n": len(rows),
        "right": right,
        "wrong": sum(s.wrong for s in scores),
        "abstained": sum(s.abstained for s in scores),
        "cited": cited if placed else None,
        "any": sum(bool(s.any_cited) for s in scores) if placed else None,
        "%right": round(100.0 * right / len(rows)) if rows else None,
        "%cited": round(100.0 * cited / placed) if placed else None,
    }


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """All figures of the benchmark, as --json prints them."""
    kinds = [*KINDS, *sorted({row.question.kind for row in rows} - set(KINDS))]
    by_kind = {kind: [row for row in rows if row.question.kind == kind] for kind in kinds}
    aims = [row for row in rows if row.question.kind in PUBLISHED_AIMS]
    return {
        "clips": len({row.clip for row in rows}),
        "kinds": {kind: tally(found) for kind, found in by_kind.items() if found},
        "spoken, read, when": tally(aims),
        "all": tally(rows),
    }


def model_figures(rows: Sequence[Row]) -> dict[str, Any]:
    """What answering through a model took, over all questions and those that are not absent."""
    answered = [row for row in rows if row.asked and not row.asked.is_open]
    result: dict[str, Any] = {"open": sum(bool(row.asked and row.asked.is_open) for row in rows)}
    result["changed"] = sum(row.asked.is_changed for row in answered if row.asked)
    there = [row for row in answered if row.question.kind != "absent"]
    for name, some in (("there", there), ("absent", [r for r in answered if r.question.kind == "absent"])):
        took = [row.asked for row in some if row.asked]
        steps = sorted(asked.steps for asked in took)
        right = sum(row.score.right for row in some if row.score)
        result[name] = {
            "n": len(some),
            "right": right,
            "%right": round(100.0 * right / len(some)) if some else None,
            "steps 50": statistics.median(steps) if steps else None,
            "steps 90": steps[min(len(steps) - 1, int(0.9 * len(steps)))] if steps else None,
            "tokens": round(statistics.median(asked.tokens for asked in took)) if took else None,
            "pictures": statistics.median(asked.pictures for asked in took) if took else None,
        }
    return result


def as_table(result: dict[str, Any]) -> str:
    """The figures as the table that is printed and published."""
    lines = [(kind, *tallied.values()) for kind, tallied in result["kinds"].items()]
    lines += [(name, *result[name].values()) for name in ("spoken, read, when", "all")]
    return harness.table(("kind", *result["all"]), lines)


def print_row(row: Row) -> None:
    """One question in full, to be checked against the clip by eye."""
    mark = (
        "no answer"
        if row.score is None
        else "right"
        if row.score.right
        else "wrong"
        if row.score.wrong
        else "abstained"
    )
    at = f" (at {row.question.at_s:g} s)" if row.question.at_s is not None else ""
    print(f"\n{row.clip}  {row.question.kind}: {row.question.text}{at}")
    print(f"  expected   {' | '.join(row.question.alternatives)}  at {row.question.evidence or 'nowhere'}")
    if row.answer is None or row.score is None:
        print(f"  {mark}")
        return
    place = {True: ", cited in place", False: ", cited elsewhere", None: ""}[row.score.first_cited]
    cited = place if row.answer["citations"] else ", cites nothing"
    print(f"  {mark + cited}: {row.answer['answer']}")
    for citation in row.answer["citations"]:
        print(f"    [{citation['t0_s']:.2f}-{citation['t1_s']:.2f}] {citation['channel']}: {citation['text'][:140]}")


def _told(clip: Clip, found: Sequence[Row], run: harness.AgentRun) -> list[Any]:
    """How it went, told while it goes."""
    pace = f"{clip.duration_s / run.wall_s:.1f}x real time"
    unanswered = sum(row.answer is None for row in found)
    trouble = f", {unanswered} unanswered" if unanswered else ""
    if run.code:
        trouble += f", exit code {run.code}: {run.errors.strip().splitlines()[-1:]}"
    harness.progress(f"{clip.path.name}: {len(found)} questions, {run.wall_s:.1f} s, {pace}{trouble}")
    return [clip.path.name, clip.duration_s, run.wall_s, clip.duration_s / run.wall_s]


@contextmanager
def _model(answers: str | None, weak: bool) -> Iterator[ReplyServer | None]:
    """The model that --answers names."""
    if not answers:
        yield None
        return
    live = live_address(answers)
    server = ReplyServer(None if live else Path(answers), live, weak)
    with serve_replies(server):
        yield server


def _print_model(rows: Sequence[Row], args: argparse.Namespace) -> int:
    """The figures of a model; questions that nobody has answered yet are in none of them."""
    result = model_figures(rows)
    answered = [row for row in rows if row.asked and not row.asked.is_open]
    result |= {"clips": sorted({row.clip for row in answered}), "kinds": figures(answered)["kinds"]}
    if args.verbose and not args.json:
        for row in answered:
            print_row(row)
        print()
    if args.json:
        print(json.dumps(result))
        return 0
    print(as_table(figures(answered)), "\n")
    print(harness.table(("", *result["there"]), [(name, *result[name].values()) for name in ("there", "absent")]))
    if result["open"]:
        print(f"{result['open']} requests wait for a reader in {args.answers}")
    if result["changed"]:
        print(f"{result['changed']} replies were written to requests that have changed since")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--media", type=Path, default=harness.DEFAULT_MEDIA, metavar="DIR", help="folder of clips")
    parser.add_argument("--memories", type=Path, metavar="DIR", help="keep the clips' memories here and use them again")
    parser.add_argument("--clip", action="append", metavar="NAME", help="only clips whose name contains this")
    parser.add_argument("--answers", metavar="DIR|URL", help="a model answers: replies in a folder, or a live server")
    parser.add_argument("--weak", action="store_true", help="with --answers DIR: as a small model")
    parser.add_argument("--verbose", action="store_true", help="show every question, answer and citation")
    args = parser.parse_args(argv)
    clips, absent = find_clips(args.media) if args.media.is_dir() else ([], [])
    if args.clip:
        clips = [clip for clip in clips if any(name in clip.path.name for name in args.clip)]
    if not clips:
        print(f"clips: no annotated clips in {args.media}; give their folder with --media", file=sys.stderr)
        return 2
    for name in absent:
        harness.progress(f"{name} is annotated but not there")
    if args.answers and (trouble := unreachable(args.answers)):
        print(f"clips: {trouble}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    speeds = []
    with _model(args.answers, args.weak) as model:
        for clip in clips:
            found, run = ask_clip(clip, args.memories, model)
            rows += found
            speeds.append(_told(clip, found, run))
    if model is not None:
        return _print_model(rows, args)
    result = figures(rows)
    if args.verbose and not args.json:
        for row in rows:
            print_row(row)
        print()
        print(harness.table(("clip", "media s", "wall s", "x"), speeds), "\n")
    print(json.dumps(result) if args.json else as_table(result))
    if not args.no_history and not args.clip and not args.memories:
        harness.remember("clips", result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
