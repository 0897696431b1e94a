"""Detectors: what is where in a picture, by name. They stand behind one Protocol and are loaded by name or by path.

Names are those of the vocabulary in `configs/tags`, whatever a detector calls a thing ("tv", "couch"), so that a
picture's tags, what is detected in it and what a question asks for agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import numpy as np
from msgspec import Struct

from perception.vision.motion import Box
from runtime.config import VisionConfig
from runtime.errors import ConfigError
from runtime.language.vocabulary import EVERYDAY, Vocabulary, load_vocabulary

# What is less probable than this is no evidence, not even against another name.
PROBABILITY_MIN = 0.1
_ONE_PLACE = 0.6  # boxes that overlap more are of one thing under several names
_PART = 0.85


class Detection(Struct, frozen=True):
    """One thing under one name; ``probability`` 0..1, ``box`` [x, y, width, height] in 0..1 of the picture."""

    name: str
    probability: float
    box: Box


class Sighting(Struct, frozen=True):
    """What is at one place, under all the names it was given there, the most probable first."""

    box: Box
    names: tuple[tuple[str, float], ...]

    def probability(self, name: str) -> float:
        return dict(self.names).get(name, 0.0)


class Detector(Protocol):
    """Finds things in single pictures; the same picture always gives the same."""

    meaning: str
    """What it is and what it knows, in one line for the user."""
    things: str
    """The list of names it gives, see `runtime.language.coco`."""

    def detect(self, bgr: np.ndarray) -> list[Detection]:
        """All things more probable than `PROBABILITY_MIN`; ``bgr`` is uint8 (height, width, 3), blue-green-red."""
        ...


def sightings(detections: Iterable[Detection]) -> list[Sighting]:
    """Detections by place, the surest place first: one box may be a car with .7 and a phone with .9.

    A thing found in a larger one of its name is a part of that: of somebody near the face is a person once more.
    """
    places: list[tuple[Box, dict[str, float]]] = []
    for found in sorted(detections, key=lambda d: (-d.probability, d.name, d.box)):
        for box, names in places:
            if overlap(found.box, box) >= _ONE_PLACE:
                names.setdefault(found.name, found.probability)
                break
            if names.get(found.name, 0.0) == max(names.values()) and is_part(found.box, box):
                break
        else:
            places.append((found.box, {found.name: found.probability}))
    return [Sighting(box, tuple(names.items())) for box, names in places]


def is_part(one: Box, other: Box) -> bool:
    """Whether most of the smaller of two boxes lies in the other."""
    return intersection(one, other) >= _PART * min(one[2] * one[3], other[2] * other[3])


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0..1."""
    shared = intersection(one, other)
    union = one[2] * one[3] + other[2] * other[3] - shared
    return shared / union if union > 0 else 0.0


def intersection(one: Box, other: Box) -> float:
    """The area two boxes share, in 0..1 of the picture."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)


def named(labels: Iterable[str], vocabulary: Vocabulary) -> list[str]:
    """The vocabulary's names for a detector's labels; one it does not have stays as it is."""
    return [vocabulary.name_of(label) or label for label in labels]


def _load_ssd(vision: VisionConfig, threads: int) -> Detector:
    from perception.vision.ssd import SsdMobileNet

    return SsdMobileNet(load_vocabulary(vision.tags or EVERYDAY))


# Each loader takes the profile and the threads it may use, and raises WeightsError where it cannot be had.
DETECTORS: dict[str, Callable[[VisionConfig, int], Detector]] = {"ssd": _load_ssd}
OFF = "off"


def check_detector(name_or_path: str) -> None:
    """Raise ConfigError if ``perception.vision.detect`` names no detector; loads nothing."""
    if name_or_path not in DETECTORS and name_or_path != OFF and not name_or_path.endswith(".onnx"):
        known = ", ".join([*sorted(DETECTORS), OFF])
        raise ConfigError(
            f"perception.vision.detect: no detector {name_or_path!r}; known: {known}, or the path of an .onnx file"
        )


def load_detector(vision: VisionConfig, threads: int) -> Detector | None:
    """The detector a profile names; None where it wants none.

    Raises:
        WeightsError: its weights are not here, or no detector.
    """
    if vision.detect == OFF:
        return None
    if vision.detect in DETECTORS:
        return DETECTORS[vision.detect](vision, threads)
    from perception.vision.exported import ExportedDetector

    return ExportedDetector(Path(vision.detect).expanduser(), load_vocabulary(vision.tags or EVERYDAY), threads)
