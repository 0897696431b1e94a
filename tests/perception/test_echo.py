"""The agent's own voice is taken out of what its microphone hears; everybody else's stays."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from perception.audio import echo as echo_module
from perception.audio.echo import FRAME, CancelEcho, WebRtcCanceller
from perception.audio.pipeline import Hearing
from perception.capture.align import SoundPiece
from perception.capture.blocks import SAMPLE_RATE_HZ, AudioBlock, Samples, level_db
from perception.processes import listen_live
from perception.processes.listen_live import LiveAudioPipeline
from runtime.config import parse_config
from runtime.messages import Sounding
from runtime.service import Service
from tests.fixtures.live_world import QUICK, World


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The room is known from the begin."""
    monkeypatch.setattr(echo_module, "_LEARNED_FRAMES", -1)


class Less:
    """What is heard less what is played, sample for sample."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self, played: Samples, heard: Samples) -> Samples:
        self.steps += 1
        assert len(played) == len(heard) == FRAME
        return heard - played


def noise(seconds: float, seed: int = 1) -> Samples:
    return np.random.default_rng(seed).normal(0.0, 0.1, round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)


def blocks(samples: Samples, start: int, size: int = 512) -> list[AudioBlock]:
    return [AudioBlock(start + i, samples[i : i + size]) for i in range(0, len(samples), size)]


def joined(out: list[AudioBlock], start: int) -> Samples:
    """The sound of blocks that follow each other without a hole."""
    for block in out:
        assert block.start == start
        start += len(block.samples)
    return np.concatenate([block.samples for block in out])


@pytest.mark.usefixtures("learned")
def test_what_sounds_is_taken_out_where_it_sounds_and_all_else_stays_in_its_place() -> None:
    echo = CancelEcho(Less())
    heard, own = noise(3.0), noise(1.0, 2)
    begun = 1000 + round(0.7 * SAMPLE_RATE_HZ)
    mixed = heard.copy()
    mixed[begun - 1000 : begun - 1000 + len(own)] += own
    echo.play(begun, own)
    out = joined([made for block in blocks(mixed, 1000) for made in echo.step(block)], 1000)
    np.testing.assert_allclose(out, heard[: len(out)], atol=1e-6)
    assert len(heard) - len(out) < FRAME


def test_while_the_room_is_learned_the_own_voice_stays() -> None:
    echo = CancelEcho(Less())
    own = noise(4.0)
    echo.play(0, own)
    learned = 3 * SAMPLE_RATE_HZ
    first = joined([made for block in blocks(own, 0) for made in echo.step(block)], 0)
    assert np.array_equal(first[:learned], own[:learned]) and not first[learned:].any()
    begun = len(own)
    echo.play(begun, own)
    again = joined([made for block in blocks(own, begun) for made in echo.step(block)], begun)
    assert not again.any(), "another sentence in the same room"
    echo.learn()
    echo.play(2 * begun, own)
    last = [made for block in blocks(own, 2 * begun) for made in echo.step(block)]
    assert last[5].samples.any()


@pytest.mark.usefixtures("learned")
def test_what_is_cut_off_is_taken_out_up_to_there() -> None:
    echo = CancelEcho(Less())
    own, heard = noise(1.0), noise(1.0, 2)
    cut = round(0.4 * SAMPLE_RATE_HZ)
    echo.play(0, own)
    echo.silence(cut)
    mixed = heard.copy()
    mixed[:cut] += own[:cut]
    out = joined([made for block in blocks(mixed, 0) for made in echo.step(block)], 0)
    np.testing.assert_allclose(out, heard[: len(out)], atol=1e-6)


def test_where_nothing_has_sounded_for_a_while_sound_passes_as_it_came() -> None:
    canceller = Less()
    echo = CancelEcho(canceller)
    before = blocks(noise(0.5), 0)
    assert [made for block in before for made in echo.step(block)] == before
    assert canceller.steps == 0
    echo.play(8000, noise(0.2))
    after = [made for block in blocks(noise(3.0), 8000) for made in echo.step(block)]
    joined(after, 8000)
    steps = canceller.steps
    last = AudioBlock(8000 + 3 * SAMPLE_RATE_HZ, noise(0.1))
    assert echo.step(last)[-1] is last
    assert 0 < steps == canceller.steps


def test_lost_sound_is_passed_on_and_what_waited_comes_before_it() -> None:
    echo = CancelEcho(Less())
    echo.play(0, noise(1.0))
    first = echo.step(AudioBlock(0, noise(0.032)))
    lost = AudioBlock(512, np.zeros(512, np.float32), lost=True)
    out = [*first, *echo.step(lost), *echo.step(AudioBlock(1024, noise(0.032)))]
    joined(out, 0)
    assert lost in out


def test_the_own_voice_in_a_room_is_hardly_heard_and_somebody_over_it_is() -> None:
    pytest.importorskip("livekit", reason="the extra echo is not installed")
    echo = CancelEcho(WebRtcCanceller())
    # Noise that comes and goes four times a second, as syllables do.
    own = noise(8.0) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * np.arange(8 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ))
    at = np.arange(round(0.2 * SAMPLE_RATE_HZ))
    room = noise(0.2, 3) * 2.0 * 10.0 ** (-3.0 * at / len(at))
    room[0] = 1.0
    late = np.zeros(round(0.1 * SAMPLE_RATE_HZ))
    heard = 0.3 * np.concatenate((late, np.convolve(own, room)))[: len(own)]
    begun, end = 6 * SAMPLE_RATE_HZ, 7 * SAMPLE_RATE_HZ
    somebody = noise(1.0, 4)
    mixed = heard.astype(np.float32)
    mixed[begun:end] += somebody
    echo.play(0, own.astype(np.float32))
    out = joined([made for block in blocks(mixed, 0) for made in echo.step(block)], 0)
    alone = slice(4 * SAMPLE_RATE_HZ, begun)
    assert level_db(out[alone]) < level_db(mixed[alone]) - 10.0
    assert level_db(out[begun:end]) > max(level_db(somebody) - 12.0, level_db(out[alone]) + 6.0)


@pytest.mark.usefixtures("learned")
def test_a_microphone_that_is_told_what_sounds_hears_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen_live, "WebRtcCanceller", Less)
    heard: list[AudioBlock] = []
    hearing = SimpleNamespace(step=lambda block: heard.append(block) or [], settled_s=None, finish=list)
    world = World("mic", parse_config(QUICK, "test"))
    ears = LiveAudioPipeline(cast(Service, world), world.work.source, lambda: cast(Hearing, hearing), watermark_s=0.0)
    own = noise(0.5)
    assert ears.may_cancel
    ears.load_echo()
    ears.inbox.opened("virtual")
    ears.sounds(Sounding(t0_s=0.0, sample_rate_hz=SAMPLE_RATE_HZ, samples=(own * 32767).astype(np.int16).tobytes()))
    for block in blocks(own[: 15 * 512], 0):
        end_s = (block.start + 512) / SAMPLE_RATE_HZ
        ears.inbox.put(SoundPiece(block.samples, end_s, end_s))
        ears.step()
    assert len(heard) >= 14 and heard[-1].t1_s > 0.4
    assert max(float(np.abs(block.samples).max()) for block in heard) < 0.001


def test_the_sound_of_a_stream_is_not_taken_for_a_room_the_agent_speaks_in() -> None:
    world = World("rtsp://192.0.2.1/stream", parse_config(QUICK, "test"))
    ears = LiveAudioPipeline(cast(Service, world), world.work.source, lambda: cast(Hearing, None), watermark_s=0.0)
    assert not ears.may_cancel
