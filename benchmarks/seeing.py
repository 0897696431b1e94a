"""Whether what is seen is named: the things of annotated clips, and what naming them costs.

    python -m benchmarks.seeing [--media DIR] [--detect NAME] [--draw DIR] [--json] [--no-history]

Every clip DIR/video/NAME.annotations.json whose file is there goes through the stages of seeing (attention, looks,
glances), in this process and on one core, with the embedded profile (--detect: another detector). --draw writes a
picture of each thing as it is told, with its box.

named_recall     of the things in the annotations' events that COCO has a name for, how many are told by it at the right
                 time. A thing is a name in an event: its words are looked up in the vocabulary's names and synonyms
                 ("pedestrians" is a person, "a cyclist" a person and a bicycle, "mug" a cup), without those after "no"
                 and those that are a verb or a colour as well. It is told right if things of that name, as told with
                 the times they came and left, are in view for half of the event or more (1 s of leave at its ends:
                 times are annotated to a quarter to one second).
named_precision  of the named things told, how many were truly to be seen at the moment they were told, and no more of
                 them than there were (1 s of leave). That is judged by benchmarks/seeing_truth.yaml, as annotations
                 leave much out; where the box is, is not judged.
counts_right     of the events that say how many of a thing there are ("two bottles"), in how many that many are told to
                 be in view for half of the looks or more.
told, looks      named things told; pictures looked at.
look_ms          processor time of one look of the detector, at a picture or a part of one.
detections_per_s such looks for each second of media; naming_cores: processor time for each second of media that looking
                 takes with names, over what it takes without.
frames_per_s     decoded pictures attended to and looked at as needed, by processor time.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import yaml

from benchmarks import harness
from perception.capture.file import open_container, video_stream
from perception.capture.file_video import FrameReader, Picture
from perception.vision.detector import Detection, Detector, load_detector
from perception.vision.layout import LayoutEncoder
from perception.vision.pipeline import FrameAnalyser, FrameSelector, Look, QuickDetection
from runtime.config import PerceptionConfig, load_config
from runtime.language.coco import LABELS
from runtime.language.vocabulary import Vocabulary, load_vocabulary
from runtime.messages import FrameFacts, ObjectFacts, Observation

TRUTH = Path(__file__).with_name("seeing_truth.yaml")
SHARE, LEAVE_S = 0.5, 1.0
NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
# Who does what is a person and what they do it with.
# Not looked up: "the camera sinks" and "orange leaves" are no things.
AMBIGUOUS = ("sink", "orange")
PARTS = {"person cycling": ("person", "bicycle"), "baby": ("person",), "child": ("person",)}


@dataclass
class Thing:
    """A named thing as told: in view from ``t0_s`` to ``t1_s``, certain at ``told_s``, ``count`` of its name then."""

    name: str
    t0_s: float
    t1_s: float
    told_s: float
    count: int
    box: tuple[float, float, float, float] | None
    text: str


@dataclass
class Event:
    t0_s: float
    t1_s: float
    names: list[str]
    counts: dict[str, int]


@dataclass
class Seen:
    """A clip as it was seen."""

    media_s: float = 0.0
    pictures: int = 0
    looks: int = 0
    seconds: float = 0.0
    looking_s: float = 0.0
    detecting_s: float = 0.0
    detections: int = 0
    observations: list[Observation] = field(default_factory=list)


class Timed:
    """A detector whose processor time is counted."""

    def __init__(self, detector: Detector, seen: Seen) -> None:
        self._detector, self._seen = detector, seen
        self.meaning, self.things = detector.meaning, detector.things

    def detect(self, bgr: np.ndarray) -> list[Detection]:
        began_s = time.process_time()
        found = self._detector.detect(bgr)
        self._seen.detecting_s += time.process_time() - began_s
        self._seen.detections += 1
        return found


def see(path: Path, profile: PerceptionConfig, detector: Detector | None, draw: Path | None = None) -> Seen:
    """All that is told of a clip, and what that took."""
    seen = Seen()
    timed = Timed(detector, seen) if detector is not None else None
    analyser = FrameAnalyser("clip", profile.vision, LayoutEncoder(), None, timed)
    attention = FrameSelector(profile.sampling, profile.vision.motion)
    with open_container(path) as container:
        stream = video_stream(container)
        assert stream is not None
        pictures = iter(FrameReader(container, stream))
        began_s = time.process_time()
        while (picture := next(pictures, None)) is not None:
            seen.pictures += 1
            seen.media_s = picture.t_s
            for item in attention.step(picture):
                told = _look(seen, analyser, item)
                if draw is not None:
                    _draw(draw, path.stem, picture, told)
        for item in attention.finish():
            _look(seen, analyser, item)
        seen.seconds = time.process_time() - began_s
    return seen


def _look(seen: Seen, analyser: FrameAnalyser, item: Look | QuickDetection) -> list[Observation]:
    began_s = time.process_time()
    told = analyser.step(item) if isinstance(item, Look) else analyser.glance(item)
    seen.looking_s += time.process_time() - began_s
    seen.looks += isinstance(item, Look)
    seen.observations += told
    return told


def _draw(folder: Path, clip: str, picture: Picture, told: Iterable[Observation]) -> None:
    """A picture of each named thing that is told to appear."""
    for o in told:
        facts = o.facts(ObjectFacts) if o.channel == "object" else ObjectFacts()
        if facts.event != "appears" or not facts.label or facts.box is None:
            continue
        bgr = picture.bgr().copy()
        rows, columns = bgr.shape[:2]
        x, y, width, height = facts.box
        corners = (round(x * columns), round(y * rows)), (round((x + width) * columns), round((y + height) * rows))
        cv2.rectangle(bgr, *corners, (0, 0, 255), max(2, columns // 300))
        for k, line in enumerate((f"{o.t0_s:.1f}-{o.t1_s:.1f} {facts.label} {facts.probability:.2f}", o.text)):
            cv2.putText(bgr, line, (6, 20 + 20 * k), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
        cv2.imwrite(str(folder / f"{clip}-{facts.track:03d}-{facts.label.replace(' ', '_')}.png"), bgr)


def things_told(observations: Sequence[Observation], end_s: float) -> list[Thing]:
    """Named things, with the time until which they were seen."""
    left = {o.evidence[0]: o.t0_s for o in observations if o.channel == "object" and _is(o, "leaves") and o.evidence}
    last = {ident: o.t0_s for o in observations if o.channel == "frame" for ident in o.evidence}
    told = []
    for o in observations:
        if o.channel == "object" and _is(o, "appears") and (facts := o.facts(ObjectFacts)).label:
            t1_s = max(o.t0_s, left.get(o.id, max(last.get(o.id, o.t1_s), o.t1_s)))
            told.append(Thing(facts.label, o.t0_s, min(t1_s, end_s), o.t1_s, facts.count, facts.box, o.text))
    return told


def _is(o: Observation, event: str) -> bool:
    return o.facts(ObjectFacts).event == event


def events_of(annotations: Path, vocabulary: Vocabulary) -> list[Event]:
    """The events of a clip, with the names of COCO's things in them."""
    known = {vocabulary.name_of(label) for label in LABELS if label not in AMBIGUOUS}
    events = []
    for event in json.loads(annotations.read_text(encoding="utf-8"))["events"]:
        names: list[str] = []
        counts: dict[str, int] = {}
        for before, name in things_named(event["what"], vocabulary):
            for part in PARTS.get(name, (name,)):
                if part in known and before != "no":
                    names.append(part)
                    if before in NUMBERS:
                        counts[part] = NUMBERS[before]
        if names:
            events.append(Event(float(event["t0"]), float(event["t1"]), list(dict.fromkeys(names)), counts))
    return events


def things_named(text: str, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    """(number or "no" before it, name) of what a sentence names: the longest phrases that are names or synonyms."""
    words = re.findall(r"[a-z]+(?:-[a-z]+)?", text.lower())
    i, before = 0, ""
    while i < len(words):
        for length in (3, 2, 1):
            named = vocabulary.things_of(" ".join(words[i : i + length]))
            if i + length <= len(words) and len(named) == 1:
                yield before, named[0]
                i, before = i + length, ""
                break
        else:
            before = (
                words[i] if words[i] in NUMBERS or words[i] == "no" else before if may_stand_between(words[i]) else ""
            )
            i += 1


def may_stand_between(word: str) -> bool:
    """Whether a word may stand between a number and what is counted ("three clear plastic bottles")."""
    return word not in ("and", "with", "in", "on", "of", "at", "the", "a", "to", "stand", "stands")


def in_view_s(things: Iterable[Thing], name: str, t0_s: float, t1_s: float) -> float:
    """Seconds of a stretch for which something of a name is in view, as told."""
    spans = sorted((max(t0_s, t.t0_s), min(t1_s, t.t1_s)) for t in things if t.name == name)
    covered, reached_s = 0.0, t0_s
    for start_s, end_s in spans:
        covered += max(0.0, end_s - max(start_s, reached_s))
        reached_s = max(reached_s, end_s)
    return covered


def is_named(event: Event, name: str, things: Sequence[Thing]) -> bool:
    """Whether a thing of an event is told by its name at the right time."""
    t0_s, t1_s = event.t0_s - LEAVE_S, event.t1_s + LEAVE_S
    return in_view_s(things, name, t0_s, t1_s) >= SHARE * (event.t1_s - event.t0_s) and any(
        t.name == name and t.t0_s <= t1_s and t.t1_s >= t0_s for t in things
    )


def is_counted(event: Event, name: str, count: int, observations: Sequence[Observation]) -> bool:
    """Whether that many are told to be in view in half of the looks of an event."""
    looks = [o for o in observations if o.channel == "frame" and event.t0_s <= o.t0_s <= event.t1_s]
    right = sum(dict(o.facts(FrameFacts).things).get(name, 0) == count for o in looks)
    return bool(looks) and right >= SHARE * len(looks)


def is_true(thing: Thing, truth: dict[str, list[list[float]]]) -> bool:
    """Whether a thing was to be seen when it was told, and no more of its name than there were."""
    most = [n for t0_s, t1_s, n in truth.get(thing.name, []) if t0_s - LEAVE_S <= thing.told_s <= t1_s + LEAVE_S]
    return bool(most) and thing.count <= max(most)


def measure(media: Path, detect: str, draw: Path | None) -> dict[str, Any]:
    """All figures, and a row a clip."""
    profile = load_config().perception
    vision = msgspec.structs.replace(profile.vision, detect=detect, read_text=False, faces=False)
    profile = msgspec.structs.replace(profile, vision=vision)
    cv2.setNumThreads(1)
    detector = load_detector(vision, 1)
    vocabulary = load_vocabulary()
    truth = yaml.safe_load(TRUTH.read_text(encoding="utf-8"))
    rows: list[list[Any]] = []
    total, without_s = Seen(), 0.0
    for notes in sorted((media / "video").glob("*.annotations.json")):
        path = notes.with_name(json.loads(notes.read_text(encoding="utf-8"))["file"])
        if not path.is_file() or path.stem not in truth:
            continue
        seen = see(path, profile, detector, draw)
        without_s += see(path, profile, None).looking_s
        things = things_told(seen.observations, seen.media_s + 1.0)
        events = events_of(notes, vocabulary)
        named = [is_named(event, name, things) for event in events for name in event.names]
        counted = [is_counted(e, name, n, seen.observations) for e in events for name, n in e.counts.items()]
        true = [is_true(thing, truth[path.stem]) for thing in things]
        for thing, right in zip(things, true, strict=True):
            if not right:
                harness.progress(f"{path.stem}: not so: {thing.text} [{thing.told_s:.1f}]")
        for event in events:
            for name in event.names:
                if not is_named(event, name, things):
                    harness.progress(f"{path.stem}: not told: {name} [{event.t0_s:.1f}-{event.t1_s:.1f}]")
        rows.append([path.stem, len(named), sum(named), len(counted), sum(counted), len(things), sum(true), seen.looks])
        for key in ("media_s", "pictures", "looks", "seconds", "looking_s", "detecting_s", "detections"):
            setattr(total, key, getattr(total, key) + getattr(seen, key))
    columns = list(zip(*(row[1:] for row in rows), strict=True)) or [()] * 7
    things_n, named_n, counts_n, counted_n, told_n, true_n, _ = (sum(column) for column in columns)
    return {
        "clips": len(rows),
        "things": things_n,
        "named_recall": round(named_n / things_n, 3) if things_n else None,
        "told": told_n,
        "named_precision": round(true_n / told_n, 3) if told_n else None,
        "counts_right": round(counted_n / counts_n, 3) if counts_n else None,
        "look_ms": round(1000 * total.detecting_s / total.detections, 1) if total.detections else None,
        "detections_per_s": round(total.detections / total.media_s, 2) if total.media_s else None,
        "naming_cores": round((total.looking_s - without_s) / total.media_s, 3) if total.media_s else None,
        "frames_per_s": round(total.pictures / total.seconds, 1) if total.seconds else None,
        "table": rows,
    }


def as_table(figures: dict[str, Any]) -> str:
    """The figures as the table that is printed and published."""
    header = ("clip", "things", "named", "counts", "right", "told", "true", "looks")
    rest = [(key, value) for key, value in figures.items() if key != "table"]
    return f"{harness.table(header, figures['table'])}\n\n{harness.table(('figure', 'value'), rest)}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--media", type=Path, default=harness.DEFAULT_MEDIA, metavar="DIR", help="folder of clips")
    parser.add_argument(
        "--detect", default="ssd", metavar="NAME", help="detector, as perception.vision.detect names it"
    )
    parser.add_argument("--draw", type=Path, metavar="DIR", help="write pictures of what is told, with boxes")
    args = parser.parse_args(argv)
    if args.draw is not None:
        args.draw.mkdir(parents=True, exist_ok=True)
    figures = measure(args.media, args.detect, args.draw)
    print(json.dumps(figures) if args.json else as_table(figures))
    if not args.no_history and args.detect == "ssd" and figures["clips"]:
        harness.remember("seeing", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
