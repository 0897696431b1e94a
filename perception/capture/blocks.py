"""Sound as perception passes it along: blocks of 16 kHz mono samples that know their place on the media clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runtime.messages import round_time

SAMPLE_RATE_HZ = 16_000
# Sound is handled in chunks of 32 ms, the step of Silero's voice activity model. Chunks lie on one grid that begins
# at media second 0, so that hearing resumed in the middle cuts the sound at the same places.
CHUNK_SAMPLES = 512
CHUNK_S = CHUNK_SAMPLES / SAMPLE_RATE_HZ
# Half the smallest step of 16-bit sound: what never exceeds it was recorded as nothing at all.
DIGITAL_SILENCE = 2.0**-16
SILENCE_DB = -100.0

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class AudioBlock:
    """Consecutive sound.

    start    position of the first sample on the media clock, in samples of 16 kHz.
    samples  float32 (n,), full scale -1..1; louder is possible where the source clips.
    lost     true where the source was damaged and the samples are silence put in its place.
    sides    float32 (2, n), the left and the right channel, where there are two that differ.
    """

    start: int
    samples: Samples
    lost: bool = False
    sides: Samples | None = None

    @property
    def t0_s(self) -> float:
        return seconds(self.start)

    @property
    def t1_s(self) -> float:
        return seconds(self.start + len(self.samples))


def seconds(position: int) -> float:
    """Media seconds of a sample position."""
    return round_time(position / SAMPLE_RATE_HZ)


def level_db(samples: Samples) -> float:
    """Mean power relative to full scale, in dB, never below -100."""
    if not len(samples):
        return SILENCE_DB
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return max(SILENCE_DB, 10 * math.log10(power + 1e-12))
