"""What an encoder says of a picture, and what an encoder is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np

# The vectors of colours and their arrangement.
LAYOUT_SPACE = "layout-v1"


class Description(Struct, frozen=True):
    """What an encoder says of one picture.

    text        for people; claims only what the encoder knows.
    vector      float16 little-endian, unit length.
    colours     [(name, share)], largest first, shares of the picture 0..1.
    regions     name of the main colour at "top", "bottom", "left", "right", "centre".
    patches     [(colour, place, share)]: coloured parts that stand out, most striking first.
    brightness  0..1, mean of the grey picture.
    tags        [(name, score 0..1)]: things recognised, best first.
    """

    text: str
    vector: bytes
    colours: list[tuple[str, float]]
    regions: dict[str, str]
    patches: list[tuple[str, str, float]]
    brightness: float
    tags: list[tuple[str, float]] = []


class Encoder(Protocol):
    """Turns pictures into vectors of one space, and into words."""

    space: str
    dimensions: int
    batch: int
    """How many pictures it gains from being given at once."""
    names_things: bool
    """Whether its descriptions have tags."""
    meaning: str
    """What it can and cannot tell, in one line for the user."""
    lacking: str
    """Why it is not what the profile would rather have, in one line for the user; mostly ""."""

    def describe(self, bgrs: Sequence[np.ndarray]) -> list[Description]:
        """Describe pictures, each uint8 (height, width, 3) blue-green-red, of any size from 1x1."""
        ...
