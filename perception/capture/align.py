"""Live sound on the media clock: pieces as a device gave them in, blocks without a hole between them out.

The device's drift against the clock of the session is measured (`DeviceClock`) and taken out by stretching each
piece by a few samples, at most one in 500: far less than a voice varies by itself. What the device lost is filled
with silence and marked.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from perception.capture.blocks import SAMPLE_RATE_HZ, AudioBlock, Samples
from perception.capture.device_clock import DeviceClock

# A piece is stretched by no more than this share, and by no more of its error than this at once.
_STRETCH_MAX = 1 / 500
_CORRECTED_SHARE = 0.1
# Sound further off than this is not drift: samples were lost, or come a second time.
_HOLE_SAMPLES = SAMPLE_RATE_HZ // 4
# What was lost for longer is a break: hearing begins anew after it.
BREAK_S = 2.0


class SoundPiece(Struct, frozen=True):
    """Consecutive sound as it came from a device.

    samples    float32 (n,), mono, at what the device takes for 16 kHz; empty where only its clock is told.
    device_s   seconds of the device's clock at the end of the piece: samples counted, or a time stamp.
    arrival_s  media seconds at which its end was there; None where the clock was told of it by its own stamp.
    """

    samples: Samples
    device_s: float
    arrival_s: float | None


class AlignSound:
    """Stage: pieces in, blocks out. Blocks follow each other without a hole but for breaks, see `BREAK_S`."""

    def __init__(self, from_s: float = 0.0) -> None:
        self.clock = DeviceClock()
        self._at: int | None = None
        self._from = round(from_s * SAMPLE_RATE_HZ)
        self.offset_s = 0.0

    def step(self, piece: SoundPiece) -> list[AudioBlock]:
        count = len(piece.samples)
        if piece.arrival_s is None:
            end_s = self.clock.at(piece.device_s)
        else:
            end_s = self.clock.step(piece.device_s, piece.arrival_s)
        end = round(end_s * SAMPLE_RATE_HZ)
        if not count:
            return []
        if self._at is None:
            self._at = max(self._from, end - count)
        late = end - (self._at + count)
        self.offset_s = late / SAMPLE_RATE_HZ
        blocks: list[AudioBlock] = []
        samples = piece.samples
        if late > _HOLE_SAMPLES:
            if late <= BREAK_S * SAMPLE_RATE_HZ:
                blocks.append(AudioBlock(self._at, np.zeros(late, np.float32), lost=True))
            self._at += late
        elif late < -_HOLE_SAMPLES:  # heard already, or piled up on the way: only its newest part is new
            samples = samples[min(count, -late) :]
        else:
            samples = _stretched(samples, late)
        if len(samples):
            blocks.append(AudioBlock(self._at, samples))
            self._at += len(samples)
        return blocks


def _stretched(samples: Samples, late: int) -> Samples:
    """``samples`` made longer (or shorter) towards ``late`` more of them."""
    count = len(samples)
    most = max(1, int(count * _STRETCH_MAX))
    wanted = int(np.clip(round(late * _CORRECTED_SHARE), -most, most))
    if not wanted or count + wanted < 2:
        return samples
    places = np.linspace(0, count - 1, count + wanted)
    return np.interp(places, np.arange(count), samples).astype(np.float32)
