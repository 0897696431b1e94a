"""Several recordings, and a live session of two cameras, asked as somebody asks who lives with them.

    python -m benchmarks.scopes [--media DIR] [--part library|live] [--memories DIR] [--json] [--verbose] [--no-history]

library  seven of the annotated clips, replayed into one memory by one agent, and 40 questions: of all of them, of one
         by loose parts of its name, of what none of them has.
live     two cameras, "door" and "yard", over loopback: clips played to an agent in real time for LIVE_S, the yard's
         away for a while, and 40 questions by name, by time of day and of now.
With --memories they are kept there, and the recordings are only asked again. Columns:
    n       asked
    right   answered with one of the things expected, from the sources expected and no others; or, where nothing is
            to be known, refused
    false   answered, and not right
    refused in vain, what could have been answered
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import numpy as np
from msgspec import Struct

from benchmarks import harness
from benchmarks.clips_scoring import words
from tests.fixtures.loopback import Loopback

LIVE_S = 75.0
AWAY_S = (30.0, 42.0)
LIVE_RATE_HZ, LIVE_CLIP_S = 8.0, 40.0
LIBRARY = (
    "black_journal_interview", "manifesto_audiobook", "nasa_jwst_cleanroom", "pocket_ipod_keynote", "sintel_trailer",
    "vtest_pedestrians", "intel_person_bicycle_car",
)  # fmt: skip
CAMERAS = {"door": "vtest_pedestrians", "yard": "intel_person_bicycle_car"}
REFUSED = "refused"


class Asked(Struct, frozen=True):
    """A question. ``answers``: any of these words is right, with nothing in it any words, REFUSED none. ``of``: parts
    of the names of the sources that may be cited, () any; ``at_least`` so many have to be."""

    text: str
    answers: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    at_least: int = 0


def q(text: str, answers: str = "", of: str = "", at_least: int = 0) -> Asked:
    return Asked(text, tuple(filter(None, answers.split("|"))), tuple(of.split()), at_least)


LIBRARY_QUESTIONS = (
    q("Which recordings do you have?", "manifesto|sintel"),
    q("How many videos are there?", "7"),
    q("How many videos have speech?", "5"),
    q("Summarise the black journal interview.", "", "black"),
    q("Summarise the manifesto audiobook.", "", "manifesto"),
    q("What happens in the sintel trailer?", "", "sintel"),
    q("Give me a summary of the nasa clip.", "", "nasa"),
    q("Summarise everything.", "", "", 4),
    q("What happened?", "", "", 3),
    q("Which video mentions the public domain?", "manifesto", "manifesto"),
    q("In which recording is the iPod mentioned?", "pocket|ipod", "pocket"),
    q("Which video mentions Maryland?", "nasa|jwst", "nasa"),
    q("Which of the videos shows a bicycle?", "intel|bicycle car", "intel vtest"),
    q("What was said in the nasa recording?", "telescope|Goddard", "nasa"),
    q("What is written in the sintel trailer?", "Blender|Sintel|coming soon", "sintel"),
    q("When do the words coming soon appear?", "0:48|0:47|48", "sintel"),
    q("Which telescope is talked about?", "Webb", "nasa"),
    q("In which city have the communists assembled?", "London", "manifesto"),
    q("In which languages is the manifesto to be published?", "English French German", "manifesto"),
    q("What is haunting Europe?", "spectre|specter|spectra|communism", "manifesto"),
    q("Where is the Goddard Space Flight Center?", "Greenbelt|Maryland", "nasa"),
    q("What was said about the pocket?", "pocket", "pocket"),
    q("How many cars pass in the intel person bicycle car video?", "2", "intel"),
    q("Are there people in the vtest pedestrians video?", "yes", "vtest"),
    q("Was there a bicycle in the intel video?", "yes", "intel"),
    q("Does a car appear in the sintel trailer?", REFUSED),
    q("Is there an elephant in the pedestrians video?", REFUSED),
    q("Was a submarine mentioned?", REFUSED),
    q("What was said about the election in the manifesto audiobook?", REFUSED),
    q("When does the pedestrian appear in the intel video?", "0:24|0:25|24|25", "intel"),
    q("What was said about the land of the gatekeepers?", "what brings you", "sintel"),
    q("What did they say about California in the black journal interview?", "California", "black"),
    q("How long is the nasa recording?", "0:13|13", "nasa"),
    q("How long is the manifesto audiobook?", "1:28|1:29|88", "manifesto"),
    q("Give me the transcript of the pocket ipod keynote.", "pocket", "pocket"),
    q("What was said in the cooking show?", REFUSED),
    q("What happened in the garage?", REFUSED),
    q("Who wrote the manifesto?", "Marx", "manifesto"),
    q("Which organisation presents the film in the sintel trailer?", "Blender", "sintel"),
    q("Did anybody mention clean rooms?", "clean room", "nasa"),
)
LIVE_QUESTIONS = (
    q("What do you see now?", "", "door yard", 2),
    q("What do you see at the door now?", "", "door"),
    q("What is on the yard camera now?", "", "yard"),
    q("Is anybody at the door now?", "yes", "door"),
    q("How many people are at the door now?", "1|2|3|4|5|6|7|8|9|10|11|12|13", "door"),
    q("Is anyone still there?", "yes", ""),
    q("Which cameras are there?", "door yard|yard door"),
    q("How many cameras do you have?", "2"),
    q("Did a car come to the yard?", "yes", "yard"),
    q("What colour was the car in the yard?", "white", "yard"),
    q("When did a car come to the yard?", ":", "yard"),
    q("Was there a bicycle in the yard?", "yes", "yard"),
    q("Did anybody ride a bicycle in the yard?", "yes|bicycle", "yard"),
    q("Was there a person at the door in the last five minutes?", "yes", "door"),
    q("Was anybody at the door today?", "yes", "door"),
    q("Who came to the door?", "person|people", "door"),
    q("When did somebody first come to the door?", ":", "door"),
    q("Was there a dog in the yard?", REFUSED),
    q("Was there a truck at the door?", REFUSED),
    q("Did a bus come to the yard?", REFUSED),
    q("Was there a horse at the door?", REFUSED),
    q("What happened at the door?", "", "door"),
    q("What happened in the yard?", "", "yard"),
    q("What happened in the last ten minutes?", "", "", 2),
    q("Summarise what the door camera saw.", "", "door"),
    q("What happened yesterday?", REFUSED),
    q("What happened last Tuesday at 3 pm?", REFUSED),
    q("What happened at 3:07 am yesterday?", REFUSED),
    q("What happened in the cellar?", REFUSED),
    q("Who is in the attic?", REFUSED),
    q("Was a car seen by the garage camera?", REFUSED),
    q("Was the yard camera away?", "yes|away|not", ""),
    q("What was said?", REFUSED),
    q("Did anybody say anything?", REFUSED),
    q("What was written on the door camera?", REFUSED),
    q("How many cars came to the yard today?", "1|2|3|4|5", "yard"),
    q("How many people were at the door at once?", "4|5|6|7|8|9|10|11|12|13", "door"),
    q("When was the last time a person was at the door?", ":", "door"),
    q("Is the door camera still running?", "yes|door", ""),
    q("What was seen in the last minute?", "", "door yard"),
)


class Row(Struct, frozen=True):
    """An answer with what it was worth: "right", "false", or "vain", a refusal of what could have been told."""

    asked: Asked
    answer: dict[str, Any]
    worth: str


def judge(asked: Asked, answer: dict[str, Any]) -> str:
    """What an answer is worth."""
    text, abstained = str(answer["answer"]), bool(answer["abstained"])
    if asked.answers == (REFUSED,):
        return "right" if abstained or words(text)[:1] in (["no"], ["nobody"], ["never"]) else "false"
    if abstained:
        return "vain"
    sources = {citation["source"] for citation in answer["citations"]}
    from_right = all(any(part in source for part in asked.of) for source in sources) if asked.of else True
    told = f" {' '.join(words(text))} "
    has = not asked.answers or any(
        (wanted in text) if ":" in wanted else all(f" {w} " in told for w in words(wanted)) for wanted in asked.answers
    )
    return "right" if has and from_right and len(sources) >= asked.at_least else "false"


def library(media: Path, memories: Path | None) -> list[Row]:
    """Seven recordings in one memory."""
    files = [path for name in LIBRARY for path in sorted((media / "video").glob(f"{name}.*")) if path.suffix in _FILMS]
    with tempfile.TemporaryDirectory(prefix="mindstream-scopes-") as folder:
        memory = memories / "library" if memories else Path(folder, "memory")
        run = harness.replay(files, memory, [{"question": asked.text} for asked in LIBRARY_QUESTIONS])
    return paired(LIBRARY_QUESTIONS, run.answers)


_FILMS = (".mp4", ".webm", ".mkv")


def paired(questions: Sequence[Asked], answers: Sequence[dict[str, Any]]) -> list[Row]:
    by_text = {answer["question"]: answer for answer in answers}
    return [Row(one, by_text[one.text], judge(one, by_text[one.text])) for one in questions if one.text in by_text]


def drawn(path: Path) -> Callable[[float], np.ndarray]:
    """A camera that shows a recording again and again."""
    pictures: list[tuple[float, np.ndarray]] = []
    with av.open(str(path)) as container:
        for picture in container.decode(video=0):
            t_s = float(picture.time or 0.0)
            if t_s > LIVE_CLIP_S:
                break
            if not pictures or t_s - pictures[-1][0] >= 1.0 / LIVE_RATE_HZ - 0.005:
                pictures.append((t_s, picture.reformat(width=640, height=480).to_ndarray(format="bgr24")))
    length_s = pictures[-1][0] + 1.0 / LIVE_RATE_HZ
    times = [t_s for t_s, _ in pictures]

    def draw(t_s: float) -> np.ndarray:
        return pictures[max(0, bisect_right(times, t_s % length_s) - 1)][1]

    return draw


def live(media: Path) -> list[Row]:
    """Two cameras over loopback, one of which is away for a while."""
    program = [sys.executable, str(harness.PROJECT / "run_agent.py")]
    with tempfile.TemporaryDirectory(prefix="mindstream-scopes-") as folder, ExitStack() as stack:
        memory = str(Path(folder, "memory"))
        cameras = {
            name: stack.enter_context(
                Loopback(drawn(next((media / "video").glob(f"{clip}.mp4"))), rate_hz=LIVE_RATE_HZ, clip_s=LIVE_CLIP_S)
            )
            for name, clip in CAMERAS.items()
        }
        named = [f"{name}={camera.url('mjpeg')}" for name, camera in cameras.items()]
        agent = subprocess.Popen(
            [*program, "live", *named, "--memory", memory],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        stack.callback(agent.wait, 60)
        stack.callback(agent.send_signal, signal.SIGTERM)
        began_s = time.monotonic()
        for at_s, is_away in ((AWAY_S[0], True), (AWAY_S[1], False), (LIVE_S, False)):
            time.sleep(max(0.0, began_s + at_s - time.monotonic()))
            cameras["yard"].refusing = is_away
            if is_away:
                cameras["yard"].disconnect()
        answers = []
        for asked in LIVE_QUESTIONS:
            done = subprocess.run(
                [*program, "ask", asked.text, "--memory", memory, "--json"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            answers += [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return paired(LIVE_QUESTIONS, answers)


def tally(rows: Sequence[Row], asked: int) -> dict[str, int]:
    counted = {worth: sum(row.worth == worth for row in rows) for worth in ("right", "false", "vain")}
    return {"n": asked, **counted}


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--media", type=Path, default=harness.DEFAULT_MEDIA, metavar="DIR", help="folder of clips")
    parser.add_argument("--part", choices=("library", "live"), help="only this one")
    parser.add_argument("--memories", type=Path, metavar="DIR", help="keep the library's memory here and use it again")
    parser.add_argument("--verbose", action="store_true", help="show every question and answer")
    args = parser.parse_args(argv)
    if not (args.media / "video").is_dir():
        print(f"scopes: no clips in {args.media}; give their folder with --media", file=sys.stderr)
        return 2
    result: dict[str, dict[str, int]] = {}
    if args.part != "live":
        rows = library(args.media, args.memories)
        result["library"] = tally(rows, len(LIBRARY_QUESTIONS))
        show(rows if args.verbose else ())
    if args.part != "library":
        rows = live(args.media)
        result["live"] = tally(rows, len(LIVE_QUESTIONS))
        show(rows if args.verbose else ())
    table = harness.table(("part", "n", "right", "false", "vain"), [(k, *v.values()) for k, v in result.items()])
    print(json.dumps(result) if args.json else table)
    if not args.no_history and not args.part and not args.memories:
        harness.remember("scopes", result)
    return 0


def show(rows: Sequence[Row]) -> None:
    """Every question with what was answered, to be judged by eye as well."""
    for row in rows:
        sources = sorted({citation["source"] for citation in row.answer["citations"]})
        print(f"{row.worth:6s} {row.asked.text}\n       {row.answer['answer'][:300]}  {sources}")


if __name__ == "__main__":
    sys.exit(main())
