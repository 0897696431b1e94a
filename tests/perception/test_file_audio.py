"""Sound of media files: one clock, no holes, one channel at 16 kHz, and an honest end."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from perception.capture.blocks import DIGITAL_SILENCE, SAMPLE_RATE_HZ, AudioBlock, Samples, level_db
from perception.capture.file import audio_stream, open_container
from perception.capture.file_audio import AudioReader

MEDIA = Path(os.environ.get("MINDSTREAM_MEDIA", Path(__file__).parents[3] / "shared" / "media"))
needs_media = pytest.mark.skipif(not MEDIA.is_dir(), reason=f"real media not found at {MEDIA}")


def read(path: Path, from_s: float | None = None) -> tuple[list[AudioBlock], AudioReader]:
    with open_container(path) as container:
        reader = AudioReader(container, audio_stream(container))
        if from_s is not None:
            reader.seek(from_s)
        return list(reader), reader


def joined(blocks: list[AudioBlock]) -> Samples:
    for before, after in pairwise(blocks):
        assert after.start == before.start + len(before.samples)
    return np.concatenate([block.samples for block in blocks])


def write_wav(path: Path, samples: np.ndarray, rate_hz: int, layout: str) -> None:
    """``samples`` float (channels, n) as 16-bit PCM."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate_hz, layout=layout)
        packed = np.ascontiguousarray((samples * 32767).astype(np.int16).T.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
        frame.sample_rate = rate_hz
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def write_mkv(path: Path, pieces: list[tuple[float, np.ndarray]], rate_hz: int = 16_000) -> None:
    """Mono PCM pieces, each at its own time in seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate_hz, layout="mono")
        for t_s, samples in pieces:
            for i in range(0, len(samples), 800):
                part = (samples[None, i : i + 800] * 32767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
                frame.sample_rate = rate_hz
                frame.pts = round(t_s * rate_hz) + i
                for packet in stream.encode(frame):
                    container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def tone(seconds_long: float, rate_hz: int = 16_000, hz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds_long * rate_hz)) / rate_hz)


def test_a_click_keeps_its_time_through_resampling(tmp_path: Path) -> None:
    stereo = np.zeros((2, 44_100 * 2))
    stereo[:, 44_100] = 0.9
    write_wav(tmp_path / "click.wav", stereo, 44_100, "stereo")
    samples = joined(read(tmp_path / "click.wav")[0])
    assert len(samples) == 2 * SAMPLE_RATE_HZ
    assert abs(int(np.argmax(np.abs(samples))) - SAMPLE_RATE_HZ) <= 1


def test_the_mono_mix_neither_clips_nor_loses_the_centre(tmp_path: Path) -> None:
    loud = np.tile(tone(0.5), (2, 1)) * 1.9
    write_wav(tmp_path / "stereo.wav", loud, 16_000, "stereo")
    assert np.abs(joined(read(tmp_path / "stereo.wav")[0])).max() <= 1.0
    surround = np.zeros((6, 8000))
    surround[2] = tone(0.5)  # front centre, where dialogue is
    surround[3] = tone(0.5, hz=50)  # low-frequency effects
    write_wav(tmp_path / "surround.wav", surround, 16_000, "5.1")
    heard = joined(read(tmp_path / "surround.wav")[0])
    spectrum = np.abs(np.fft.rfft(heard))
    assert level_db(heard) > -25
    assert spectrum[220] > 100 * spectrum[25]  # 440 Hz against 50 Hz


def test_a_pause_in_the_stamps_becomes_silence_of_the_same_length(tmp_path: Path) -> None:
    write_mkv(tmp_path / "hole.mkv", [(0.0, tone(1.0)), (2.5, tone(1.0))])
    blocks, reader = read(tmp_path / "hole.mkv")
    samples = joined(blocks)
    assert len(samples) == round(3.5 * SAMPLE_RATE_HZ)
    assert np.abs(samples[round(1.01 * SAMPLE_RATE_HZ) : round(2.49 * SAMPLE_RATE_HZ)]).max() <= DIGITAL_SILENCE
    assert level_db(samples[round(2.6 * SAMPLE_RATE_HZ) :]) == pytest.approx(-9, abs=0.5)
    assert not any(block.lost for block in blocks)
    assert (reader.end_s, reader.reason) == (3.5, "end")


def test_reading_from_the_middle_gives_the_same_sound_on_the_same_grid(tmp_path: Path) -> None:
    noise = np.random.default_rng(7).normal(0, 0.1, SAMPLE_RATE_HZ * 6)
    write_mkv(tmp_path / "noise.mkv", [(0.0, noise)])
    whole = joined(read(tmp_path / "noise.mkv")[0])
    blocks, _ = read(tmp_path / "noise.mkv", from_s=3.3)
    assert blocks[0].start == int(3.3 * SAMPLE_RATE_HZ) // 512 * 512
    assert np.array_equal(joined(blocks), whole[blocks[0].start :])


@needs_media
def test_sound_that_begins_late_keeps_its_offset_to_the_picture() -> None:
    samples = joined(read(MEDIA / "odd/made/negative_start.mkv")[0])
    first = int(np.flatnonzero(np.abs(samples) > 1e-4)[0])
    assert first / SAMPLE_RATE_HZ == pytest.approx(1.477, abs=0.005)


@needs_media
def test_of_two_streams_the_richer_one_is_chosen_and_named() -> None:
    with open_container(MEDIA / "video/nasa_jwst_cleanroom.mp4") as container:
        stream = audio_stream(container)
        assert stream is not None
        assert stream.codec_context.sample_rate == 16_000
        assert AudioReader(container, stream).words == "aac 16000 Hz stereo (stream 4)"


@needs_media
@pytest.mark.parametrize(
    ("name", "end_s"),
    [
        ("made/five_one_audio.mp4", 8.011),
        ("made/mulaw_8k.wav", 11.0),
        ("made/vp9_alpha_none_opus.webm", 3.0),
        ("made/mjpeg_pcm.avi", 2.0),
        ("made/audio_only.mp4", 8.011),
        ("real/moviepy_failing_audio.mp4", 11.234),
        ("real/moviepy_no_duration.webm", 4.875),
        ("real/opencast_silent.mp4", 60.032),
        ("real/sphinx_null.wav", 0.0),
        ("real/sphinx_awful.wav", 0.0),
    ],
)
def test_odd_sound_is_heard_to_its_end(name: str, end_s: float) -> None:
    blocks, reader = read(MEDIA / "odd" / name)
    assert reader.end_s == pytest.approx(end_s, abs=0.002)
    assert reader.reason == "end"
    assert all(np.isfinite(block.samples).all() for block in blocks)


@needs_media
def test_a_cut_off_file_says_where_it_broke_and_gives_what_came_before(tmp_path: Path) -> None:
    whole = (MEDIA / "audio/speech/jfk_ask_not.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    blocks, reader = read(tmp_path / "cut.flac")
    assert 4.0 < reader.end_s < 7.0
    assert reader.reason == f"damaged after {reader.end_s:.1f} s"
    original = joined(read(MEDIA / "audio/speech/jfk_ask_not.flac")[0])
    samples = joined(blocks)[:48_000]
    assert np.allclose(samples, original[: len(samples)], atol=1e-6)


@needs_media
def test_damage_in_the_middle_keeps_the_clock(tmp_path: Path) -> None:
    data = bytearray((MEDIA / "video/manifesto_audiobook.mp4").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = bytes(20_000)
    (tmp_path / "hurt.mp4").write_bytes(data)
    _, reader = read(tmp_path / "hurt.mp4")
    assert reader.end_s == pytest.approx(88.073, abs=0.1)
