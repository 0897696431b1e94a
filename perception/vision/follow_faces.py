"""Faces followed from one search to the next: which came into view, which are gone."""

from __future__ import annotations

from typing import Literal

import numpy as np
from msgspec import Struct

from perception.vision.faces import FaceDetector, same_face
from perception.vision.layout import place_of
from perception.vision.motion import Box, centre
from perception.vision.thing_colours import colour_of

_INTERVAL_S, _SEEK_S = 2.0, 3.0  # 50 ms each, so 25 ms a second while faces are in view, and 17 while not
_MISSES = 2


class FaceEvent(Struct, frozen=True):
    """A face that appears or leaves. ``top`` is the colour below it, ``count`` how many are in view with it then.

    ``id`` is what it was told as when it came, of one that leaves.
    """

    number: int
    event: Literal["appears", "leaves"]
    box: Box
    top: str
    text: str
    count: int
    id: str = ""


class _Face:
    __slots__ = ("box", "id", "missed", "number", "since_s", "top")

    def __init__(self, number: int, box: Box, t_s: float, top: str) -> None:
        self.number, self.box, self.since_s, self.top = number, box, t_s, top
        self.id, self.missed = "", 0


class FaceFollower:
    """Searches pictures for faces now and then. ``interval`` is a factor of the time between two searches."""

    def __init__(self, width_px: int) -> None:
        self._detector = FaceDetector(width_px)
        self._faces: list[_Face] = []
        self._numbers = 0
        self._searched_s = -_INTERVAL_S
        self.interval = 1.0

    @property
    def visible(self) -> tuple[str, ...]:
        """What the faces in view were told as, see `name`."""
        return tuple(face.id for face in self._faces)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Where the faces in view were found last."""
        return tuple(face.box for face in self._faces)

    def name(self, number: int, identity: str) -> None:
        """The face that appeared under this number was told as the observation ``identity``."""
        for face in self._faces:
            if face.number == number:
                face.id = identity

    def step(self, t_s: float, bgr: np.ndarray, new_shot: bool, still: bool) -> list[FaceEvent]:
        """Search a picture, uint8 (height, width, 3), if it is time to, at once after a cut, and not where all is
        still."""
        interval_s = (_INTERVAL_S if self._faces else _SEEK_S) * self.interval
        due = t_s - self._searched_s >= interval_s and not still
        if not (new_shot or due):
            return []
        self._searched_s = t_s
        events: list[FaceEvent] = []
        unmatched = self._detector.detect(bgr)
        for face in list(self._faces):
            match = next((box for box in unmatched if same_face(box, face.box)), None)
            if match is not None:
                unmatched.remove(match)
                face.box, face.missed = match, 0
                continue
            face.missed += 1
            if new_shot or face.missed > _MISSES:
                self._faces.remove(face)
                place = place_of(*centre(face.box))
                text = f"the face at the {place} is no longer seen, after {t_s - face.since_s:.0f} s"
                count = len(self._faces)
                events.append(FaceEvent(face.number, "leaves", face.box, face.top, text, count, face.id))
        for box in unmatched:
            events.append(self._appear(t_s, bgr, box))
        return events

    def _appear(self, t_s: float, bgr: np.ndarray, box: Box) -> FaceEvent:
        self._numbers += 1
        x, y, width, height = box
        top = colour_of(bgr, (x - 0.3 * width, y + 1.45 * height, 1.6 * width, 1.2 * height))
        clothes = f", {top} below it" if top and y + 1.8 * height < 1 else ""
        self._faces.append(_Face(self._numbers, box, t_s, top))
        text = f"a person's face at the {place_of(*centre(box))}{clothes}"
        return FaceEvent(self._numbers, "appears", box, top, text, len(self._faces))
