"""Several channels of sound mixed to one that loses none of them: opposite phases, dead channels, offsets.

A plain mean of two channels is silence where one microphone is wired the wrong way, half as loud where one of them is
dead, and holds whatever offset a sound card adds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from perception.capture.blocks import SAMPLE_RATE_HZ, Samples

# Speech sits in the centre of a surround mix, low-frequency effects carry none (ITU-R BS.775, downmix).
_CHANNEL_WEIGHT = {"FC": 1.0, "FL": 0.707, "FR": 0.707, "LFE": 0.0, "LFE2": 0.0}
_SURROUND_WEIGHT = 0.5
# A channel that is 40 dB weaker than the strongest says nothing that is not in that.
DEAD = 1e-4
# One that follows the strongest upside down, by the correlation of their samples.
_INVERTED = -0.5
# How long channels are compared over. What is loud weighs more, so a voice after silence settles it at once.
_COMPARED_S = 0.5
# An offset of 54 dB below full scale and more is no sound; less harms nobody. It is measured over a second.
_OFFSET, _OFFSET_S = 0.002, 1.0


class MixChannels:
    """Pieces of sound in order, (channels, n) float32; each gives one channel, (n,), without their offset.

    names  what the channels are called, as ffmpeg does ("FL", "FC", ...).
    """

    def __init__(self, names: Sequence[str]) -> None:
        weights = np.array([_CHANNEL_WEIGHT.get(name, _SURROUND_WEIGHT) for name in names], np.float64)
        self._weights = weights if weights.any() else np.ones(len(names))
        self._products = np.zeros((len(names), len(names)))
        self._offsets: npt.NDArray[np.float64] | None = None
        self._taken: npt.NDArray[np.float64] | None = None  # offsets and shares at the end of the piece before
        self._shares: npt.NDArray[np.float64] | None = None

    def step(self, planes: Samples) -> tuple[Samples, Samples]:
        """The mix, and the channels without their offsets."""
        count = planes.shape[1]
        if not count:
            return np.zeros(0, np.float32), planes
        planes = self._without_offset(planes)
        if len(planes) == 1:
            return planes[0], planes
        products = (planes @ planes.T).astype(np.float64)
        self._products = self._products * 0.5 ** (count / (_COMPARED_S * SAMPLE_RATE_HZ)) + products
        shares = self._mix()
        before = shares if self._shares is None else self._shares
        self._shares = shares
        if np.array_equal(before, shares):
            return (shares.astype(np.float32) @ planes).astype(np.float32), planes
        ramp = np.linspace(before, shares, count, axis=1, dtype=np.float32)
        return np.sum(ramp * planes, axis=0, dtype=np.float32), planes

    def _mix(self) -> npt.NDArray[np.float64]:
        """Share of each channel; their sizes add up to 1, so that nothing clips that did not before."""
        power = np.diag(self._products) * (self._weights > 0)
        loudest = int(np.argmax(power))
        if power[loudest] <= 0:
            plain: npt.NDArray[np.float64] = self._weights / self._weights.sum()
            return plain
        alive = power > DEAD * power[loudest]
        alike = self._products[loudest] / np.sqrt(np.maximum(power * power[loudest], 1e-20))
        shares = self._weights * alive * np.where(alike < _INVERTED, -1.0, 1.0)
        mixed: npt.NDArray[np.float64] = shares / np.abs(shares).sum()
        return mixed

    def _without_offset(self, planes: Samples) -> Samples:
        means = planes.mean(axis=1, dtype=np.float64)
        share = min(1.0, planes.shape[1] / (_OFFSET_S * SAMPLE_RATE_HZ))
        self._offsets = means if self._offsets is None else self._offsets + share * (means - self._offsets)
        taken = np.where(np.abs(self._offsets) > _OFFSET, self._offsets, 0.0)
        before, self._taken = taken if self._taken is None else self._taken, taken
        if not before.any() and not taken.any():
            return planes
        return planes - np.linspace(before, taken, planes.shape[1], axis=1, dtype=np.float32)
