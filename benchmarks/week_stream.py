"""A simulated week of one room's stream: real perception of real clips, looped with shifted times, and needles.

A few times an hour one of the clips happens; between them the picture stands still. Every frame's vector varies a
little and every repetition has its own light, so nothing is the same twice, as in life. With each clip somebody says
something of everyday words, a notice is read and a thing comes into view. A needle happens once: a thing seen for some
seconds, a sentence said, a line read. Half of the needles are rare: a noun that is never heard again, a picture unlike
the rest. The other half are plain: everyday words that only together are a needle's, and the picture of any other day.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from msgspec import Struct, structs

from benchmarks import harness
from memory.store.batch import Batch
from runtime.messages import Observation, SourceOpened, observation_id, read_facts, round_time

SOURCE = "room"
HOUR_S = 3600.0
DAY_S = 86400.0
# Clips that recur, and one whose pictures are not among them and stand for things seen once.
LOOPED = (
    "intel_bottle_detection.mp4", "intel_person_bicycle_car.mp4", "vtest_pedestrians.mp4", "videollava_ui_demo.mp4",
    "black_journal_interview.mp4", "pocket_ipod_keynote.mp4", "sam2_coffee_pour.mp4", "manifesto_audiobook.mp4",
)  # fmt: skip
SEEN_ONCE = ("sintel_trailer.mp4", "big_buck_bunny_0_30.webm", "deer_leaf_fades.mp4", "climbing_wall.mp4")
NEEDLE_FRAMES = 4
KINDS: tuple[Literal["seen", "said", "read"], ...] = ("seen", "said", "read")
CHANNEL_OF = {"seen": "object", "said": "speech", "read": "text"}
VARIATION = 0.02
LIGHT = 0.05
# As many observations as the memory process commits at once.
BATCH = 128
THINGS = (
    "accordion anvil anteater armadillo baguette banjo barometer beehive bagpipe boomerang bulldozer "
    "cactus camel canoe candelabra catapult chandelier chessboard cello coconut corkscrew crocodile "
    "cuckoo didgeridoo dinghy dromedary easel eclair falcon fez flamingo flute gargoyle gazebo giraffe "
    "gondola gong grapefruit gyroscope hammock harp harpoon hedgehog helmet hippopotamus hourglass igloo "
    "iguana jackal jellyfish kangaroo kayak kettledrum koala lantern lawnmower leopard lighthouse llama "
    "lobster mandolin megaphone metronome microscope moose narwhal oboe octopus ostrich panda papaya "
    "parachute peacock pelican periscope pineapple porcupine puppet raccoon rhinoceros rollerskate "
    "samovar saxophone scarecrow seahorse sextant skateboard sledge sombrero stethoscope submarine "
    "tambourine telescope toboggan tombola trampoline trombone tuba typewriter ukulele umbrella unicycle "
    "violin vulture walrus weathervane wheelbarrow xylophone yurt zebra zeppelin zither "
).split()


WHO = "mother father Peter Susan Michael Sarah David Laura".split()
WHAT = "keys letter cup book phone bag coat paper box bottle".split()
WHERE = "kitchen table door garden window shelf stairs car".split()


class Needle(Struct, frozen=True):
    """What is asked for later: the query, when it was, and the observations that answer it."""

    kind: Literal["seen", "said", "read"]
    is_rare: bool
    query: str
    t_s: float
    ids: tuple[str, ...]
    frames: tuple[str, ...] = ()


def perceive(media: Path, cache: Path | None, names: Sequence[str] = (*LOOPED, *SEEN_ONCE)) -> Path:
    """The memory of the clips, each perceived once by the agent itself; kept in ``cache`` for the next time."""
    files = [media / "video" / name for name in names]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise FileNotFoundError(f"{media / 'video'} lacks {', '.join(missing)}")
    digest = hashlib.sha256(json.dumps([(file.name, file.stat().st_size) for file in files]).encode()).hexdigest()[:12]
    root = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mindstream" / "clips"
    known = root / digest / harness.MEMORY_FILE
    if not known.is_file():
        harness.progress(f"perceiving {len(files)} clips, once; kept in {root}")
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as scratch:
            run = harness.replay(files, Path(scratch, "memory"))
            if run.code:
                raise RuntimeError(f"the clips could not be perceived: {run.errors[-400:]}")
            shutil.move(Path(scratch, "memory"), known.parent)
    return known


class Clips:
    """The observations of each clip, in order of time."""

    def __init__(self, memory: Path) -> None:
        self.of: dict[str, list[Observation]] = {}
        with sqlite3.connect(f"{memory.as_uri()}?mode=ro", uri=True) as db:
            rows = db.execute(
                "SELECT s.name, o.id, o.channel, o.t0_s, o.t1_s, o.text, o.data, o.evidence, v.vector, v.space, p.jpeg"
                " FROM observations o JOIN sources s USING (source) LEFT JOIN vectors v USING (seq)"
                " LEFT JOIN payloads p USING (seq) WHERE o.channel IN ('frame', 'object', 'text', 'speech', 'sound')"
                " ORDER BY o.t1_s, o.t0_s, o.channel, o.id"
            )
            for name, id_, channel, t0_s, t1_s, text, data, evidence, vector, space, jpeg in rows:
                self.of.setdefault(name, []).append(
                    Observation(
                        id=id_, source=SOURCE, channel=channel, t0_s=t0_s, t1_s=t1_s, text=text,
                        data=read_facts(channel, data), evidence=tuple(json.loads(evidence)),
                        vector=vector, vector_space=space or "", payload=jpeg,
                    )
                )  # fmt: skip
        self.once = [o for name in SEEN_ONCE for o in self.of[name] if o.channel == "frame"]
        self.still = next(o for o in self.of["intel_bottle_detection.mp4"] if o.channel == "frame")


class Week:
    """The stream, the same for the same seed, one batch after the other."""

    def __init__(self, clips: Clips, days: float, an_hour: float, still_s: float, needles: int, seed: int = 1) -> None:
        self._clips = clips
        self._still_s = still_s
        at_random = random.Random(seed)
        self._noise = np.random.default_rng(seed)
        stretches = max(needles, round(days * 24 * an_hour))
        step_s = days * DAY_S / stretches
        self.end_s = days * DAY_S
        # Each within its own slot, so that none overlaps another: the longest clip lasts 88 s.
        self._stretches = [
            (round_time(i * step_s + at_random.uniform(0.0, max(0.0, step_s - 100.0))), at_random.choice(LOOPED))
            for i in range(stretches)
        ]
        chosen = sorted(at_random.sample(range(stretches), needles))
        things = at_random.sample(THINGS, min(needles, len(THINGS)))
        everyday = list(itertools.product(WHO, WHAT, WHERE))
        at_random.shuffle(everyday)
        # Every other of three kinds: three rare ones, then three plain ones.
        self._planted = {
            stretch: (KINDS[i % 3], things.pop() if i % 6 < 3 and things else everyday.pop())
            for i, stretch in enumerate(chosen)
        }
        self._daily = [
            [everyday[at_random.randrange(len(everyday))] for _ in KINDS] for _ in range(stretches)
        ]  # what is no needle's
        self.needles: list[Needle] = []
        self.ordinary = [self._stretches[i][0] + 8.0 for i in range(stretches) if i not in self._planted]

    def batches(self) -> Iterator[Batch]:
        """What the memory process would commit, in order; ``needles`` fills as they pass."""
        opened = tuple(SourceOpened(source=SOURCE, track=track, kind="stream") for track in ("video", "audio"))
        t_s = 0.0
        waiting: list[Observation] = []
        for i, (begin_s, name) in enumerate(self._stretches):
            while t_s + self._still_s < begin_s:
                t_s = round_time(t_s + self._still_s)
                waiting.append(self._shift(self._clips.still, t_s - self._clips.still.t0_s, 0.0))
            happening = self._happening(name, begin_s)
            daily = [_daily(kind, begin_s + 6.0, words) for kind, words in zip(KINDS, self._daily[i], strict=True)]
            happening = sorted([*happening, *daily], key=lambda o: o.t1_s)
            if i in self._planted:
                happening = self._plant(happening, begin_s, *self._planted[i])
            waiting += happening
            t_s = max(t_s, max(o.t1_s for o in happening))
            while len(waiting) >= BATCH:
                some, waiting = waiting[:BATCH], waiting[BATCH:]
                # Nothing that begins later ends before this: the order is that of ends.
                yield _batch(opened, some, some[-1].t1_s)
                opened = ()
        yield _batch(opened, waiting, self.end_s)

    def _happening(self, name: str, begin_s: float) -> list[Observation]:
        of_clip = self._clips.of[name]
        size = len(next(o.vector for o in of_clip if o.vector)) // 2
        light = self._noise.normal(size=size) * LIGHT / size**0.5
        return [self._shift(o, begin_s, light) for o in of_clip]

    def _shift(self, o: Observation, by_s: float, light: Any) -> Observation:
        vector = o.vector
        if vector is not None:
            unit = np.frombuffer(vector, "<f2").astype(np.float64)
            unit = unit + light + self._noise.normal(size=unit.size) * VARIATION / unit.size**0.5
            vector = (unit / np.linalg.norm(unit)).astype("<f2").tobytes()
        t0_s, t1_s = round_time(o.t0_s + by_s), round_time(o.t1_s + by_s)
        return structs.replace(
            o, id=_moved(o.id, o.t0_s, by_s), t0_s=t0_s, t1_s=t1_s, vector=vector,
            evidence=tuple(_moved(id_, None, by_s) for id_ in o.evidence),
        )  # fmt: skip

    def _plant(
        self, happening: list[Observation], begin_s: float, kind: Any, what: str | tuple[str, str, str]
    ) -> list[Observation]:
        t_s = round_time(begin_s + 4.0)
        if not isinstance(what, str):
            plain = _daily(kind, t_s, what)
            until_s = t_s + NEEDLE_FRAMES
            frames = [o.id for o in happening if o.channel == "frame" and t_s <= o.t0_s <= until_s]
            shown = tuple(frames) if kind == "seen" else ()
            self.needles.append(Needle(kind, False, _asked(kind, what), t_s, (plain.id, *shown), shown))
            return sorted([*happening, plain], key=lambda o: o.t1_s)
        if kind != "seen":
            text = {
                "said": f"please tell Martha that the {what} is in the cupboard upstairs",
                "read": f"{what} museum / open from nine / second floor",
            }[kind]
            query = {"said": f"Where is the {what}?", "read": f"What did the sign about the {what} say?"}[kind]
            o = _made(CHANNEL_OF[kind], t_s, t_s + (4.0 if kind == "said" else 0.0), text)
            self.needles.append(Needle(kind, True, query, t_s, (o.id,)))
            return sorted([*happening, o], key=lambda o: o.t1_s)
        # The thing comes into view: some frames are of it in place of what the clip shows then.
        first = self._noise.integers(len(self._clips.once) - NEEDLE_FRAMES)
        of_thing = self._clips.once[first : first + NEEDLE_FRAMES]
        appears = _made("object", t_s, t_s, f"a {what} appears at the left")
        seen = [
            structs.replace(
                self._shift(o, t_s + i - o.t0_s, 0.0), id=observation_id(SOURCE, "frame", t_s + i, 7),
                text=f"{o.text}; a {what}", evidence=(appears.id,),
            )
            for i, o in enumerate(of_thing)
        ]  # fmt: skip
        ids = (appears.id, *(frame.id for frame in seen))
        self.needles.append(Needle(kind, True, f"When did the {what} appear?", t_s, ids, ids[1:]))
        rest = [o for o in happening if not (o.channel == "frame" and t_s <= o.t0_s < t_s + NEEDLE_FRAMES)]
        return sorted([*rest, appears, *seen], key=lambda o: o.t1_s)


def _daily(kind: str, t0_s: float, words: tuple[str, str, str]) -> Observation:
    """Something of everyday words."""
    who, what, where = words
    text = {
        "seen": f"the {what} of {who} appears beside the {where}",
        "said": f"{who} has put the {what} near the {where}",
        "read": f"{what} for {who} / {where}",
    }[kind]
    return _made(CHANNEL_OF[kind], t0_s, t0_s + (3.0 if kind == "said" else 0.0), text)


def _asked(kind: str, words: tuple[str, str, str]) -> str:
    who, what, where = words
    return {
        "seen": f"When did the {what} of {who} appear beside the {where}?",
        "said": f"Who has put the {what} near the {where}, was it {who}?",
        "read": f"Where was {what} for {who} written, at the {where}?",
    }[kind]


def _batch(opened: Sequence[SourceOpened], observations: list[Observation], t_s: float) -> Batch:
    return Batch(
        opened=tuple(opened),
        observations=tuple(observations),
        watermarks={(SOURCE, track): t_s for track in ("video", "audio")},
    )


def _made(channel: Any, t0_s: float, t1_s: float, text: str) -> Observation:
    return Observation(
        id=observation_id(SOURCE, channel, t0_s, 7), source=SOURCE, channel=channel, t0_s=t0_s, t1_s=t1_s, text=text
    )


def _moved(id_: str, t0_s: float | None, by_s: float) -> str:
    """The id an observation has when it is ``by_s`` later."""
    _, channel, when = id_.rsplit("/", 2)
    ms, _, k = when.partition(".")
    return observation_id(SOURCE, channel, int(ms) / 1000 + by_s, int(k or 0))
