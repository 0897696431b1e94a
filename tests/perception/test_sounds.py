"""Sounds that are not speech: exact synthetic ones, and real ones by their labels."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from perception.audio.sounds import NameSounds, Sound, SoundOptions, tonal_share
from perception.audio.vad import VoiceActivity
from perception.capture.blocks import CHUNK_SAMPLES, SAMPLE_RATE_HZ, Samples
from perception.capture.file import audio_stream, open_container
from perception.capture.file_audio import AudioReader

MEDIA = Path(os.environ.get("MINDSTREAM_MEDIA", Path(__file__).parents[3] / "shared" / "media"))
needs_media = pytest.mark.skipif(not MEDIA.is_dir(), reason=f"real media not found at {MEDIA}")


def noise(duration_s: float, rms: float) -> Samples:
    count = round(duration_s * SAMPLE_RATE_HZ)
    return (np.random.default_rng(1).standard_normal(count) * rms).astype(np.float32)


def melody(duration_s: float) -> Samples:
    """A new note each half second, with two overtones."""
    t = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    hz = 262.0 * 2 ** (np.array([0, 4, 7, 12, 9, 5])[(t * 2).astype(int) % 6] / 12)
    return (0.1 * sum(np.sin(2 * np.pi * n * hz * t) / n for n in (1, 2, 3))).astype(np.float32)


def silence(duration_s: float) -> Samples:
    return np.zeros(round(duration_s * SAMPLE_RATE_HZ), np.float32)


def stroke() -> Samples:
    """A knock that has faded after a fifth of a second."""
    t = np.arange(round(0.3 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (0.7 * np.exp(-t * 30) * np.random.default_rng(2).standard_normal(len(t))).astype(np.float32)


def named(samples: Samples, spoken: tuple[float, float] = (0.0, 0.0), block: int = 8) -> list[Sound]:
    stage = NameSounds(SoundOptions())
    chunks = len(samples) // CHUNK_SAMPLES
    t = np.arange(chunks) * CHUNK_SAMPLES / SAMPLE_RATE_HZ
    speech = ((t >= spoken[0]) & (t < spoken[1])).astype(np.float32)
    out: list[Sound] = []
    for i in range(0, chunks, block):
        part = slice(i * CHUNK_SAMPLES, min(i + block, chunks) * CHUNK_SAMPLES)
        out += stage.step(VoiceActivity(i * CHUNK_SAMPLES, samples[part], speech[i : i + block]))
    return out + stage.finish()


def test_digital_silence_is_said_to_be_digital_and_room_silence_is_not() -> None:
    (digital,) = named(silence(3.0))
    assert (digital.kind, digital.digital) == ("silence", True)
    assert "digital silence" in digital.text
    (room,) = named(noise(3.0, 1e-4))
    assert (room.kind, room.digital, room.text) == ("silence", False, "silence")


def test_a_knock_is_an_impulse_at_its_time() -> None:
    room = noise(6.3, 1e-4)
    room[48_000:52_800] += stroke()
    sounds = named(room)
    assert [s.kind for s in sounds] == ["silence", "impulse", "silence"]
    assert sounds[1].t0_s == pytest.approx(3.0, abs=0.002)
    assert sounds[1].t1_s < 3.4
    assert sounds[1].text == "a short loud sound"


@pytest.mark.parametrize("room", [1e-4, 0.01])  # a whole sound, and one that stands out of a longer one
@pytest.mark.parametrize("start", [64_000, 64_100, 64_300, 64_490, 64_500, 64_511])
def test_a_click_is_placed_where_it_begins_and_not_where_its_block_does(room: float, start: int) -> None:
    sound = noise(8.0, room)
    sound[start : start + 320] += np.random.default_rng(4).uniform(-0.7, 0.7, 320).astype(np.float32)
    (click,) = (s for s in named(sound) if s.kind == "impulse")
    assert click.t0_s == pytest.approx(start / SAMPLE_RATE_HZ, abs=0.002)


def test_knocks_with_pauses_too_short_to_be_told_are_each_told() -> None:
    room = noise(8.0, 1e-4)
    for start in (16_000, 44_800, 73_600, 102_400):  # 1.8 s apart
        room[start : start + len(stroke())] += stroke()
    assert [round(s.t0_s, 1) for s in named(room) if s.kind == "impulse"] == [1.0, 2.8, 4.6, 6.4]


def test_noise_is_steady_and_a_melody_is_music() -> None:
    assert {s.kind for s in named(noise(5.0, 0.05))} == {"steady noise"}
    assert {s.kind for s in named(melody(5.0))} == {"music-like"}
    assert tonal_share(noise(3.0, 0.1)) < 0.01
    assert tonal_share(melody(3.0)) > 0.5


def test_a_knock_in_the_middle_of_noise_stands_out() -> None:
    sound = noise(8.0, 0.01)
    sound[64_000 : 64_000 + len(stroke())] += stroke()
    assert [round(s.t0_s, 1) for s in named(sound) if s.kind == "impulse"] == [4.0]


def test_a_long_sound_is_stated_soon_and_then_rarely_without_overlap() -> None:
    sounds = named(noise(100.0, 0.05))
    assert (sounds[0].t0_s, sounds[0].t1_s) == (0.0, 3.008)
    assert len(sounds) == 5
    assert all(a.t1_s == b.t0_s for a, b in pairwise(sounds))
    assert sounds[-1].t1_s == 100.0
    assert [s.goes_on for s in sounds] == [False, True, True, True, True]


def test_where_somebody_speaks_no_sound_is_named() -> None:
    sounds = named(np.concatenate([silence(2.5), noise(4.0, 0.1), silence(2.5)]), spoken=(2.5, 6.5))
    assert {s.kind for s in sounds} <= {"silence"}


def test_naming_does_not_depend_on_the_size_of_blocks() -> None:
    sound = np.concatenate([melody(4.0), silence(2.5), noise(3.0, 0.05), stroke(), silence(1.0), noise(40.0, 0.02)])
    assert named(sound, block=1) == named(sound, block=7) == named(sound, block=1000)


def test_what_is_settled_is_never_followed_by_a_new_earlier_sound() -> None:
    sound = np.concatenate([silence(1.0), noise(8.0, 0.05), silence(5.0), stroke(), melody(7.0)])
    stage, settled_s = NameSounds(SoundOptions()), 0.0
    for i in range(len(sound) // CHUNK_SAMPLES):
        chunk = sound[i * CHUNK_SAMPLES : (i + 1) * CHUNK_SAMPLES]
        for named_now in stage.step(VoiceActivity(i * CHUNK_SAMPLES, chunk, np.zeros(1, np.float32))):
            assert named_now.t1_s >= settled_s
        assert stage.settled_s >= settled_s
        settled_s = stage.settled_s


def sounds_of(name: str) -> list[Sound]:
    with open_container(MEDIA / name) as container:
        samples = np.concatenate([block.samples for block in AudioReader(container, audio_stream(container))])
    return named(np.pad(samples, (0, -len(samples) % CHUNK_SAMPLES)))


@needs_media
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("audio/sounds/rain_moviepy.mp3", "steady noise"),
        ("audio/sounds/applause_woven.wav", "steady noise"),
        ("audio/sounds/guitar_audiomentations.wav", "music-like"),
        ("audio/sounds/camera_shutter_woven.wav", "impulse"),
        ("audio/sounds/explosion_woven.wav", "impulse"),
        ("audio/sounds/dog_esc50_1-100032-A-0.wav", "impulse"),
        ("video/vtest_pedestrians.mp4", "silence"),
    ],
)
def test_a_real_sound_is_mostly_what_its_label_says(name: str, kind: str) -> None:
    lengths: dict[str, float] = {}
    for sound in sounds_of(name):
        if kind == "silence" or sound.kind != "silence":
            lengths[sound.kind] = lengths.get(sound.kind, 0.0) + sound.t1_s - sound.t0_s
    assert max(lengths, key=lambda k: lengths[k]) == kind
    assert lengths[kind] > 0.6 * sum(lengths.values())
