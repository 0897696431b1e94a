"""Describing remembered pictures anew, with another encoder than the one that described them first."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from perception.vision.describe import ENCODERS, check_encoder
from perception.vision.description import Encoder
from perception.vision.pipeline import describe_anew
from runtime.config import PerceptionConfig
from runtime.messages import Observation


class Redescriber:
    """Stage: remembered frames with their small pictures in, the same frames as ``encoder`` describes them out."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.space = encoder.space

    def step(self, frames: Sequence[Observation]) -> list[Observation]:
        """Those whose picture can be read, without it."""
        readable, bgrs = [], []
        for frame in frames:
            bgr = _picture(frame.payload or b"")
            if bgr is not None:
                readable.append(frame)
                bgrs.append(bgr)
        described: list[Observation] = []
        for i in range(0, len(bgrs), self._encoder.batch):
            some = self._encoder.describe(bgrs[i : i + self._encoder.batch])
            described += [
                describe_anew(frame, description, self._encoder)
                for frame, description in zip(readable[i : i + self._encoder.batch], some, strict=True)
            ]
        return described


def load_redescriber(perception: PerceptionConfig) -> Redescriber:
    """With the encoder a profile names; takes seconds.

    Raises:
        ConfigError, WeightsError: it cannot be used.
    """
    check_encoder(perception.vision.describe)
    return Redescriber(ENCODERS[perception.vision.describe](perception.vision, perception.threads))


def _picture(jpeg: bytes) -> np.ndarray | None:
    """The pixels of a JPEG, blue-green-red; None if it is damaged."""
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
