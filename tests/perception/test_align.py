"""Live sound on the media clock: drift is found and taken out, what a device lost is a hole and no shift."""

from __future__ import annotations

import numpy as np
import pytest

from perception.capture.align import AlignSound, SoundPiece
from perception.capture.blocks import SAMPLE_RATE_HZ
from perception.capture.device_clock import DeviceClock

COUNT = 1600  # a tenth of a second
LATENCY_S = 0.01


def piece(count: int, arrival_s: float, samples: int = COUNT) -> SoundPiece:
    return SoundPiece(np.zeros(samples, np.float32), count / SAMPLE_RATE_HZ, arrival_s)


@pytest.mark.parametrize("drift_ppm", [0.0, 60.0, -200.0, 300.0])
def test_an_hour_of_a_drifting_sound_card_stays_within_a_video_frame(drift_ppm: float) -> None:
    random = np.random.default_rng(3)
    align, at, offsets = AlignSound(), None, []
    for k in range(1, 36_000):
        recorded_s = k * COUNT / SAMPLE_RATE_HZ * (1 + 1e-6 * drift_ppm)
        arrival_s = recorded_s + LATENCY_S + random.exponential(0.01)
        for block in align.step(piece(k * COUNT, arrival_s)):
            assert at is None or block.start == at  # no hole, nothing twice
            at = block.start + len(block.samples)
        assert at is not None
        offsets.append(at / SAMPLE_RATE_HZ - recorded_s - LATENCY_S)
    assert max(np.abs(offsets[100:])) < 0.03
    assert align.clock.drift_ppm == pytest.approx(drift_ppm, abs=3.0)


def test_sound_that_the_device_lost_is_filled_with_marked_silence() -> None:
    align = AlignSound()
    blocks = [block for k in range(1, 20) for block in align.step(piece(k * COUNT, 0.1 * k))]
    after = align.step(piece(30 * COUNT, 3.0))  # pieces 20 to 29 never came
    assert [block.lost for block in after] == [True, False]
    assert after[0].start == blocks[-1].start + len(blocks[-1].samples)
    assert len(after[0].samples) == pytest.approx(10 * COUNT, abs=20)
    assert after[1].t1_s == pytest.approx(3.0, abs=0.01)


def test_a_long_loss_is_a_break_and_not_a_sea_of_silence() -> None:
    align = AlignSound()
    for k in range(1, 20):
        align.step(piece(k * COUNT, 0.1 * k))
    (block,) = align.step(piece(1000 * COUNT, 100.0))
    assert block.t0_s == pytest.approx(99.9, abs=0.01)


def test_sound_that_piled_up_is_not_heard_twice() -> None:
    align = AlignSound()
    for k in range(1, 20):
        align.step(piece(k * COUNT, 0.1 * k))
    assert align.step(piece(10 * COUNT, 2.0)) == []


def test_a_piece_without_samples_tells_the_clock_alone() -> None:
    align = AlignSound()
    assert align.step(piece(16_000, 5.0, samples=0)) == []
    (block,) = align.step(SoundPiece(np.zeros(COUNT, np.float32), 1.5, None))
    assert block.t1_s == pytest.approx(5.5, abs=0.001)


def test_a_clock_that_jumps_is_followed_after_a_few_windows() -> None:
    clock = DeviceClock()
    for k in range(600):
        clock.step(0.1 * k, 0.1 * k + 0.02)
    for k in range(600, 800):
        clock.step(0.1 * k, 0.1 * k + 0.52)  # half a second was lost
    assert clock.at(80.0) == pytest.approx(80.52, abs=0.01)
    assert clock.step(80.0, 80.1) == pytest.approx(80.1, abs=0.001)  # earlier than foretold: at once
