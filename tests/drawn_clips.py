"""Clips drawn for a test: exact pictures at exact times."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np


def write_clip(
    path: Path,
    pictures: Iterable[tuple[float, np.ndarray]],
    *,
    size: tuple[int, int] = (320, 240),
    codec: str = "mpeg4",
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Encode (seconds, uint8 (height, width, 3) blue-green-red) pictures in their order; times to the millisecond."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=1000)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.bit_rate = 4_000_000
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = options or {}
        for t_s, picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format=pixels)
            frame.pts, frame.time_base = round(t_s * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def at_rate(rate_hz: float, seconds: float, draw: Callable[[float], np.ndarray]) -> Iterable[tuple[float, np.ndarray]]:
    """Pictures drawn at a constant rate."""
    for k in range(round(seconds * rate_hz)):
        yield k / rate_hz, draw(k / rate_hz)


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (320, 240)) -> np.ndarray:
    """A picture of one blue-green-red colour."""
    return np.full((size[1], size[0], 3), colour, np.uint8)


def street(size: tuple[int, int] = (320, 240), seed: int = 7, levels: tuple[int, int] = (90, 150)) -> np.ndarray:
    """A grey scene with texture that does not change, of these brightness levels."""
    random = np.random.default_rng(seed)
    coarse = random.integers(*levels, (size[1] // 8, size[0] // 8), dtype=np.uint8)
    return cv2.cvtColor(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2BGR)


def with_text(picture: np.ndarray, text: str, at: tuple[int, int], scale: float = 1.0) -> np.ndarray:
    """The picture with white letters, their baseline beginning at ``at``."""
    return cv2.putText(picture.copy(), text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 2, cv2.LINE_AA)
