"""Sound of 16 bits a sample: little-endian, cut off at the loudest, and back as it was."""

from __future__ import annotations

import numpy as np

from runtime.pcm import decoded, encoded


def test_samples_are_written_with_the_low_byte_first_and_none_is_wrapped_round() -> None:
    assert encoded(np.array([0.0, 0.5, 1.5, -2.0], np.float32)) == bytes.fromhex("0000 ff3f ff7f 0180")


def test_what_is_read_is_what_was_written_to_a_step_of_sixteen_bits() -> None:
    samples = np.linspace(-1.0, 1.0, 101, dtype=np.float32)
    read = decoded(encoded(samples))
    assert read.dtype == np.float32 and float(np.abs(read - samples).max()) < 2 / 32768
