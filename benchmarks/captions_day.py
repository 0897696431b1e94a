"""Part of `benchmarks.captions`: a day of a camera in which some things are to be seen that no encoder has a name for.

What is heard, read and followed is that of `benchmarks.day`. Beside it run scenes of minutes, everyday ones and, in
between, needles: somebody with something who does something somewhere, as nobody else does that day. A picture holds
nothing but its moment, so that whoever plays the captioner can look up what was there.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from msgspec import Struct

from benchmarks.day import Day
from memory.store.batch import Batch
from memory.store.database import Store
from memory.transactions import MemoryWriter
from runtime.config import MemoryConfig
from runtime.messages import TRACKS, FrameFacts, Observation, SourceOpened, observation_id

SOURCE = "yard"
NEEDLES_PER_H = 2.5
DIMENSIONS = 64
PICTURE_BYTES = 2000
HEAD = b"\xff\xd8\xff\xda"
# Seconds: of a needle, of an everyday scene; and how often a picture is kept at its begin and later.
NEEDLE_S, SCENE_S = (15.0, 60.0), (60.0, 600.0)
LIVELY_S, LIVELY_EVERY_S, STILL_EVERY_S = 20.0, 1.0, 10.0

WHO = ("man", "woman", "boy", "girl", "old man", "nurse", "postman", "gardener", "policeman", "plumber")
CARRIED = (
    "an orange backpack", "a wooden ladder", "a violin case", "a wicker basket", "a yellow umbrella", "a fishing rod",
    "a rolled carpet", "a birdcage", "a crutch", "a wheelbarrow", "a watering can", "a garden hose", "a toolbox",
    "a striped scarf", "a paper lantern", "a cello", "a green bucket", "a telescope", "a tripod", "a sledge",
)  # fmt: skip
DOES = ("waits", "kneels down", "looks around", "leans against the wall", "ties a shoe", "writes something down")
WHERE = ("at the gate", "beside the shed", "under the chestnut tree", "at the cellar door", "by the bins")
EVERYDAY = (
    "An empty yard with a grey wall and a closed gate.",
    "A man in a dark coat crosses the yard with a backpack.",
    "A woman with a shopping bag opens the door of the house.",
    "A white van stands at the gate with its lights on.",
    "Two people talk beside a parked car.",
    "A cat walks along the wall.",
    "A child on a bicycle rides through the yard.",
    "Rain falls on the empty yard; the ground is wet.",
    "A man sweeps leaves with a broom.",
    "A woman hangs washing on a line.",
    "A delivery man puts a parcel in front of the door.",
    "The yard lies in the dark; a lamp burns above the door.",
)


class Needle(Struct, frozen=True):
    """What is to be found: when it was there, how it looked, and what to ask for it."""

    t0_s: float
    t1_s: float
    shown: str
    question: str


class Scene(Struct, frozen=True):
    """A stretch that looks the same: a number for what, and the words of whoever describes it."""

    t0_s: float
    look: int
    told: str


class SeenDay:
    """The scenes, needles and observations of a day; the same for the same seed."""

    def __init__(self, hours: int, seed: int = 3) -> None:
        self.hours = hours
        self._chance = random.Random(seed)
        self._looks = np.random.default_rng(seed)
        self._day = Day(seed)
        self._vectors: dict[int, np.ndarray] = {}
        pairs = [(who, carried) for who in WHO for carried in CARRIED]
        self._chance.shuffle(pairs)
        count = round(NEEDLES_PER_H * hours)
        self.needles, self.scenes = self._play(pairs[:count])
        self.absent = [_ask(self._chance, *pair) for pair in pairs[count : count + max(10, count // 3)]]
        self._begins = [scene.t0_s for scene in self.scenes]

    def _play(self, pairs: list[tuple[str, str]]) -> tuple[list[Needle], list[Scene]]:
        length_s = self.hours * 3600.0
        starts = sorted(self._chance.uniform(60.0, length_s - 120.0) for _ in pairs)
        needles: list[Needle] = []
        for (who, carried), t0_s in zip(pairs, starts, strict=True):
            t0_s = round(max(t0_s, needles[-1].t1_s + 30.0 if needles else 0.0), 1)
            shown = f"{_a(who)} with {carried} {self._chance.choice(DOES)} {self._chance.choice(WHERE)}."
            until_s = round(t0_s + self._chance.uniform(*NEEDLE_S), 1)
            needles.append(Needle(t0_s, until_s, shown[:1].upper() + shown[1:], _ask(self._chance, who, carried)))
        scenes: list[Scene] = []
        t_s, number = 0.0, 0
        waiting = list(needles)
        while t_s < length_s:
            number += 1
            what = self._chance.randrange(len(EVERYDAY))
            scenes.append(Scene(t_s, what, EVERYDAY[what]))
            t_s = round(t_s + self._chance.uniform(*SCENE_S), 1)
            while waiting and waiting[0].t0_s < t_s:
                needle = waiting.pop(0)
                scenes.append(Scene(needle.t0_s, len(EVERYDAY) + len(needles) - len(waiting), needle.shown))
                scenes.append(Scene(needle.t1_s, what, EVERYDAY[what]))
                t_s = max(t_s, needle.t1_s + 30.0)
        return needles, sorted(scenes, key=lambda scene: scene.t0_s)

    def told_at(self, t_s: float) -> str:
        """What somebody who looks at the picture of a moment says of it."""
        return self.scenes[bisect_right(self._begins, t_s) - 1].told

    def remember(self, directory: Path) -> Iterator[int]:
        """Write the day as the memory process does; yields how many observations there are, hour by hour."""
        store = Store(directory)
        writer = MemoryWriter(store, MemoryConfig())
        opened = tuple(SourceOpened(source=SOURCE, track=track, kind="camera") for track in TRACKS)
        total = 0
        for number in range(self.hours):
            begin_s, end_s = number * 3600.0, (number + 1) * 3600.0
            others = [o for o in self._day.hour(number) if o.channel != "frame"]
            moved = [_moved(o) for o in others]
            observations = sorted([*self.frames(begin_s, end_s), *moved], key=lambda o: (o.t0_s, o.id))
            total += len(observations)
            writer.commit(
                Batch(
                    opened=opened if not number else (),
                    observations=tuple(observations),
                    watermarks={(SOURCE, "video"): end_s, (SOURCE, "audio"): end_s},
                )
            )
            yield total
        store.close()

    def frames(self, begin_s: float, end_s: float) -> Iterator[Observation]:
        """The pictures that are kept of a stretch."""
        for i, scene in enumerate(self.scenes):
            until_s = self.scenes[i + 1].t0_s if i + 1 < len(self.scenes) else self.hours * 3600.0
            t_s = scene.t0_s
            while t_s < until_s:
                if begin_s <= t_s < end_s:
                    yield self.frame(SOURCE, round(t_s, 3), scene.look, is_new=t_s == scene.t0_s)
                t_s += LIVELY_EVERY_S if t_s - scene.t0_s < LIVELY_S else STILL_EVERY_S

    def frame(self, source: str, t_s: float, look: int, is_new: bool = False) -> Observation:
        """A picture that holds its moment, and a vector near that of others that look so."""
        if look not in self._vectors:
            self._vectors[look] = self._looks.standard_normal(DIMENSIONS)
        vector = self._vectors[look] + 0.15 * self._looks.standard_normal(DIMENSIONS)
        vector /= np.linalg.norm(vector)
        payload = HEAD + f"{t_s:.3f}|".encode()
        return Observation(
            id=observation_id(source, "frame", t_s), source=source, channel="frame", t0_s=t_s, t1_s=t_s,
            text="a picture of a yard", data=FrameFacts(change=0.3 if is_new else 0.01, width=384, height=216),
            vector=vector.astype("<f2").tobytes(), vector_space="bench-64",
            payload=payload + self._looks.bytes(PICTURE_BYTES - len(payload)),
        )  # fmt: skip


def moment_of(picture: bytes) -> float:
    """The moment that a picture of the day holds."""
    return float(picture[len(HEAD) :].split(b"|", 1)[0])


def _ask(chance: random.Random, who: str, carried: str) -> str:
    thing = carried.split(" ", 1)[1]
    return chance.choice(
        (
            f"When did you see the {who} with the {thing}?",
            f"When was the {who} with the {thing} there?",
            f"Where was the {who} with the {thing}?",
            f"What did the {who} with the {thing} do?",
            f"Did you see {_a(who)} with {carried}?",
        )
    )


def _a(who: str) -> str:
    return f"{'an' if who[0] in 'aeiou' else 'a'} {who}"


def _moved(o: Observation) -> Observation:
    """What `benchmarks.day` has of its own source, as of this one."""
    return Observation(
        id=observation_id(SOURCE, o.channel, o.t0_s), source=SOURCE, channel=o.channel, t0_s=o.t0_s, t1_s=o.t1_s,
        text=o.text,
    )  # fmt: skip
