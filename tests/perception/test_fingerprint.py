"""Recordings are told apart by all of their content, and one that has grown is known for what it was."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from perception.capture.file import probe
from perception.capture.fingerprint import WHOLE_BYTES, fingerprint, former_fingerprint, has_grown, is_recording

RATE_HZ = 16000


def write_wav(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        out.writeframes(samples.astype("<i2").tobytes())
    return path


def spoken(seed: int, seconds: int = 10) -> np.ndarray:
    """Noise in the middle of silence: three quiet seconds at either end."""
    samples = np.zeros(seconds * RATE_HZ)
    samples[3 * RATE_HZ : -3 * RATE_HZ] = np.random.default_rng(seed).normal(0, 3000, (seconds - 6) * RATE_HZ)
    return samples


def test_recordings_that_differ_between_quiet_ends_are_two(tmp_path: Path) -> None:
    one, other = (write_wav(tmp_path / f"{seed}.wav", spoken(seed)) for seed in (1, 2))
    assert former_fingerprint(str(one)) == former_fingerprint(str(other))
    assert fingerprint(str(one)) != fingerprint(str(other))
    assert probe(one).fingerprint == fingerprint(str(one)) == fingerprint(str(one.rename(tmp_path / "renamed.wav")))


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_large_files_are_looked_at_from_begin_to_end(tmp_path: Path, at: float) -> None:
    """Of 80 MB a stretch of 640 kB is another, as four seconds of uncompressed sound are."""
    path = tmp_path / "large"
    with open(path, "wb") as file:
        file.truncate(5 * WHOLE_BYTES)
    before = fingerprint(str(path))
    with open(path, "r+b") as file:
        file.seek(int(at * 5 * WHOLE_BYTES))
        file.write(b"x" * 640_000)
    assert fingerprint(str(path)) != before


def test_a_recording_that_goes_on_is_known_though_its_header_tells_another_length(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", spoken(1))
    before = fingerprint(str(path))
    assert not has_grown(str(path), before)
    write_wav(path, np.concatenate([spoken(1), spoken(3)]))
    assert fingerprint(str(path)) != before
    assert has_grown(str(path), before)
    write_wav(path, np.concatenate([spoken(2), spoken(3)]))
    assert not has_grown(str(path), before)


def test_a_large_recording_that_goes_on_is_known(tmp_path: Path) -> None:
    path, random = tmp_path / "large.ts", np.random.default_rng(0)
    path.write_bytes(random.bytes(2 * WHOLE_BYTES))
    before = fingerprint(str(path))
    with open(path, "ab") as file:
        file.write(random.bytes(1000))
    assert has_grown(str(path), before)


def test_a_mark_of_an_older_version_is_compared_as_it_was_made(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", spoken(1))
    assert is_recording(str(path), former_fingerprint(str(path)))
    assert is_recording(str(path), fingerprint(str(path)))
    assert not has_grown(str(path), former_fingerprint(str(path)))
    write_wav(path, spoken(1, seconds=11))
    assert not has_grown(str(path), "")
    assert not is_recording(str(path), "0" * 16)
