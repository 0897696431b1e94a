"""Frontal faces, by OpenCV's own cascades, precise before complete.

Of the cascades OpenCV ships, `alt2` made no mistake on fixed cameras, talks, cartoons and screen recordings where
the default and the profile ones did, so it proposes and the default one only seconds. People's whole figures
are not sought this way: on still pictures the HOG detector takes bottles and kettles for people with more
confidence than people, and is used on moving things alone (`perception.vision.objects`).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from perception.vision.motion import Box, centre

_SCALE_STEP = 1.2
_NEIGHBOURS = 4
_FACE_MIN = 0.05  # of the longer side of the picture
_FACE_MIN_PX = 24
_SAME_FACE = 0.6  # distance of centres in face widths


class FaceDetector:
    """Faces in a picture, confirmed by a second cascade or by the look before. 40 ms of one core at 480 pixels."""

    def __init__(self, width_px: int) -> None:
        self._width_px = width_px
        self._proposes = _cascade("haarcascade_frontalface_alt2.xml")
        self._seconds = _cascade("haarcascade_frontalface_default.xml")
        self._unconfirmed: list[Box] = []

    def detect(self, bgr: np.ndarray) -> list[Box]:
        """Boxes [x, y, width, height] in 0..1, left to right; ``bgr`` is uint8 (height, width, 3)."""
        height, width = bgr.shape[:2]
        scale = min(1.0, self._width_px / max(width, height))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        if min(size) < _FACE_MIN_PX:
            return []
        grey = cv2.cvtColor(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
        grey = cv2.equalizeHist(grey)
        least = max(_FACE_MIN_PX, round(_FACE_MIN * max(size)))
        found = []
        for x, y, wide, high in _detect(self._proposes, grey, _NEIGHBOURS, least):
            box = (round(x / size[0], 4), round(y / size[1], 4), round(wide / size[0], 4), round(high / size[1], 4))
            margin = wide // 3
            around = grey[max(0, y - margin) : y + high + margin, max(0, x - margin) : x + wide + margin]
            seconded = bool(_detect(self._seconds, around, 2, round(wide * 0.7)))
            found.append((box, seconded or any(same_face(box, before) for before in self._unconfirmed)))
        self._unconfirmed = [box for box, _ in found]
        return [box for box, confirmed in found if confirmed]


def same_face(one: Box, other: Box) -> bool:
    (x, y), (other_x, other_y) = centre(one), centre(other)
    reach = _SAME_FACE * max(one[2], other[2])
    return abs(x - other_x) <= reach and abs(y - other_y) <= 1.6 * reach and 0.5 < one[2] / other[2] < 2.0


def _cascade(name: str) -> Any:
    folder: str = cv2.data.haarcascades  # type: ignore[attr-defined]
    return cv2.CascadeClassifier(folder + name)


def _detect(cascade: Any, grey: np.ndarray, neighbours: int, least_px: int) -> list[tuple[int, int, int, int]]:
    """Grouped detections in a fixed order: the parallel search finds candidates in any order, so they are sorted
    before they are grouped."""
    raw = cascade.detectMultiScale(grey, _SCALE_STEP, 0, minSize=(least_px, least_px))
    candidates = sorted(tuple(int(value) for value in box) for box in raw)
    grouped, _ = cv2.groupRectangles([list(box) for box in candidates], neighbours, 0.2)
    return sorted((int(x), int(y), int(w), int(h)) for x, y, w, h in grouped)
