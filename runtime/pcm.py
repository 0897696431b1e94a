"""Sound as 16 bits a sample, mono, little-endian: as sound files, loudspeakers and calls between processes carry it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def encoded(samples: NDArray[np.float32]) -> bytes:
    """Samples in -1..1; what lies outside is cut off."""
    return (np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()


def decoded(data: bytes | memoryview) -> NDArray[np.float32]:
    """Samples in -1..1, float32."""
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
