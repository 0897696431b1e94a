"""What the two channels of a sound tell together: the voice in the middle of a film, two speakers of a call, and
whether its crests were cut off."""

from __future__ import annotations

import math

import numpy as np

from perception.capture.blocks import CHUNK_SAMPLES, Samples
from perception.capture.channels import DEAD

# Two channels say different things where neither their samples agree, at whatever delay up to 2 ms either way, nor
# their loudness. Correlations seen, over 4 s: two sentences .03 and .27; music and films in stereo .21 and .46 at the
# least; one voice before two microphones .99.
_DELAY_SAMPLES = 32
_ALIKE, _AS_LOUD = 0.15, 0.4
# Loudness is compared where one of them is within this much of its loudest, not in the pauses both have.
_PAUSE_DB = 35.0

# A sound whose crests lie flat was too loud for whoever recorded it: so many samples are within 3 % of the highest. Of
# speech as it is spoken one in ten thousand is.
_FLAT, _CLIPPED_SHARE = 0.97, 0.01


class Centre:
    """What two channels have in common, chunk by chunk and one chunk late: each frequency is kept as far as both have
    it alike (as in Avendano and Jot 2004, with the similarity of one frame)."""

    def __init__(self) -> None:
        self._window = np.sqrt(np.hanning(2 * CHUNK_SAMPLES + 1)[:-1]).astype(np.float32)
        self._before = np.zeros((2, CHUNK_SAMPLES), np.float32)
        self._tail = np.zeros(CHUNK_SAMPLES, np.float32)

    def step(self, left: Samples, right: Samples) -> Samples:
        """``left`` and ``right`` (n, 512); the centre, (n, 512), of the chunk before each."""
        both = np.concatenate((self._before[:, None], np.stack((left, right))), axis=1)
        self._before = both[:, -1]
        frames = np.concatenate((both[:, :-1], both[:, 1:]), axis=2) * self._window
        spectra = np.fft.rfft(frames, axis=2)
        middle, side = (spectra[0] + spectra[1]) / 2, (spectra[0] - spectra[1]) / 2
        kept = np.clip(1.0 - np.abs(side) / (np.abs(middle) + 1e-9), 0.0, 1.0)
        pieces = (np.fft.irfft(middle * kept, axis=1) * self._window).astype(np.float32)
        tails = np.concatenate((self._tail[None], pieces[:-1, CHUNK_SAMPLES:]))
        self._tail = pieces[-1, CHUNK_SAMPLES:]
        return np.asarray(tails + pieces[:, :CHUNK_SAMPLES], np.float32)


def say_different_things(left: Samples, right: Samples) -> bool:
    """Whether two channels, (n,) of the same stretch, hold sounds that have nothing to do with each other: a call, with
    one speaker in each."""
    count = len(left) // CHUNK_SAMPLES * CHUNK_SAMPLES
    size = 1 << max(1, 2 * count - 1).bit_length()
    powers = [float(np.sum(channel * channel, dtype=np.float64)) for channel in (left, right)]
    if not count or min(powers) <= DEAD * max(powers):
        return False
    energy = math.sqrt(powers[0] * powers[1])
    agreement = np.fft.irfft(np.fft.rfft(left, size) * np.conj(np.fft.rfft(right, size)), size)
    near = np.abs(np.concatenate((agreement[-_DELAY_SAMPLES:], agreement[: _DELAY_SAMPLES + 1])))
    if float(near.max()) / energy >= _ALIKE:
        return False
    levels = np.stack([
        10 * np.log10(np.mean(np.square(channel[:count].reshape(-1, CHUNK_SAMPLES)), axis=1) + 1e-10)
        for channel in (left, right)
    ])  # fmt: skip
    floors = levels.max(axis=1, keepdims=True) - _PAUSE_DB
    sounding = np.maximum(levels, floors)[:, (levels > floors).any(axis=0)]
    apart = sounding - sounding.mean(axis=1, keepdims=True)
    spread = float(np.sqrt(np.mean(apart[0] ** 2) * np.mean(apart[1] ** 2)))
    return float(np.mean(apart[0] * apart[1])) < _AS_LOUD * spread


def is_clipped(samples: Samples) -> bool:
    """Whether the crests of a sound were cut off."""
    loudness = np.abs(samples)
    highest = float(loudness.max(initial=0.0))
    return highest > 0.0 and float(np.mean(loudness >= _FLAT * highest)) >= _CLIPPED_SHARE
