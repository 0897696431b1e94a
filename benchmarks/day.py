"""A day's memory, made up: what a camera and a microphone in a busy room would leave in 24 hours.

For a third of the time something moves and a frame is looked at every second, else every ten seconds. Words
are spoken in bouts, things come and go, signs are read. The words are drawn from 20 000 by Zipf's law, as in
any language, so that some stand in every tenth line and most in a few.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from memory.spans.integrate import Integration
from memory.spans.segment import SegmentOptions
from memory.store.batch import Batch
from memory.store.database import Store
from runtime.messages import TRACKS, Channel, Observation, SourceOpened, observation_id, round_time

SOURCE = "camera"
HOURS = 24
VOCABULARY = 20_000
ACTIVE_SHARE = 0.33
UTTERANCES_PER_H, SIGNS_PER_H, OBJECTS_PER_H, SOUNDS_PER_H = 420, 60, 240, 120
PICTURE_BYTES = 2000
_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in ("a", "e", "i", "o", "u", "ai", "ou")]


class Day:
    """The observations of a day, the same for the same seed."""

    def __init__(self, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        shares = 1.0 / np.arange(1, VOCABULARY + 1)
        self._cumulated = np.cumsum(shares / shares.sum())
        self._picture = b"\xff\xd8\xff\xda" + self._random.bytes(PICTURE_BYTES)

    def words(self, n: int, rarest_of: int = 1) -> str:
        """``n`` words; each the rarest of ``rarest_of`` drawn, as a question asks for what is particular."""
        ranks = np.searchsorted(self._cumulated, self._random.random((n, rarest_of))).max(axis=1)
        return " ".join(_word(int(rank)) for rank in ranks)

    def hour(self, number: int) -> list[Observation]:
        """All of one hour, in order of time."""
        begin_s = number * 3600.0
        found: list[Observation] = []
        active = self._random.random(360) < ACTIVE_SHARE
        for slot, moving in enumerate(active):
            for second in range(10 if moving else 1):
                t_s = begin_s + 10.0 * slot + second
                found.append(
                    self._observe("frame", t_s, t_s, f"{self.words(2)}; 1 person" if moving else self.words(2))
                )
        kinds: tuple[tuple[Channel, int, int, float], ...] = (
            ("speech", UTTERANCES_PER_H, 12, 6.0),
            ("text", SIGNS_PER_H, 5, 0.0),
            ("object", OBJECTS_PER_H, 6, 0.2),
            ("sound", SOUNDS_PER_H, 2, 5.0),
        )
        for channel, count, length, longest_s in kinds:
            for t_s in begin_s + 3590.0 * np.sort(self._random.random(count)):
                until_s = t_s + longest_s * self._random.random()
                found.append(self._observe(channel, float(t_s), float(until_s), self.words(length)))
        return sorted({o.id: o for o in found}.values(), key=lambda o: (o.t0_s, o.id))

    def _observe(self, channel: Channel, t0_s: float, t1_s: float, text: str) -> Observation:
        t0_s = round_time(t0_s)
        return Observation(
            id=observation_id(SOURCE, channel, t0_s),
            source=SOURCE,
            channel=channel,
            t0_s=t0_s,
            t1_s=round_time(max(t0_s, t1_s)),
            text=text,
            payload=self._picture if channel == "frame" else None,
        )


def remember_day(directory: Path, hours: int = HOURS, seed: int = 1) -> Iterator[int]:
    """Write the day through memory's own write path; yields how many observations there are, hour by hour."""
    day = Day(seed)
    store = Store(directory)
    integration = Integration(SegmentOptions())
    total = 0
    opened = tuple(SourceOpened(source=SOURCE, track=track, kind="camera") for track in TRACKS)
    for number in range(hours):
        observations = day.hour(number)
        total += len(observations)
        end_s = (number + 1) * 3600.0
        batch = Batch(
            opened=opened if number == 0 else (),
            observations=tuple(observations),
            watermarks={(SOURCE, "video"): end_s, (SOURCE, "audio"): end_s},
        )
        with store.write() as writing:
            writing.add(batch)
            integration.advance(writing, [SOURCE])
        yield total
    store.close()


def _word(rank: int) -> str:
    """The word of this rank: frequent ones are short."""
    base = len(_SYLLABLES)
    word = _SYLLABLES[rank % base]
    while rank >= base:
        rank = rank // base - 1
        word = _SYLLABLES[rank % base] + word
    return word if len(word) > 2 else word + "n"
