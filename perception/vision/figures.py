"""Whether a moving thing has a person's figure, by OpenCV's HOG detector (Dalal and Triggs, 2005)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from perception.vision.motion import Box

# Figures are scaled to the height the HOG detector was trained at, 96 of its window's 128 pixels.
_FIGURE_PX = 96
_FIGURE_SURE = 0.35
_CUT_OFF = 0.01
_PERSON_ASPECT = (1.3, 5.0)


class FigureDetector:
    """Looks at one thing at a time: some milliseconds each."""

    def __init__(self) -> None:
        self._hog: Any = cv2.HOGDescriptor()
        self._hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())  # type: ignore[attr-defined]

    def has_figure(self, bgr: np.ndarray, box: Box) -> bool:
        """Whether HOG finds a person about as large as ``box`` in it."""
        rows, columns = bgr.shape[:2]
        x, y, width, height = box[0] * columns, box[1] * rows, box[2] * columns, box[3] * rows
        scale = _FIGURE_PX / max(height, 1.0)
        if scale > 6.0:
            return False
        half_width, half_height = 0.5 * 88 / scale, 0.5 * 152 / scale
        patch = _window(
            bgr, (x + width / 2 - half_width, y + height / 2 - half_height), (2 * half_width, 2 * half_height)
        )
        patch = cv2.resize(patch, (88, 152), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        _, weights = self._hog.detectMultiScale(
            patch, hitThreshold=0.0, winStride=(4, 4), padding=(0, 0), scale=1.08, groupThreshold=0
        )
        return len(weights) > 0 and float(np.max(weights)) >= _FIGURE_SURE


def may_be_figure(box: Box, aspect: float) -> bool:
    """Whether it is worth a look: upright, and in the picture from top to bottom, as what is cut off cannot be told."""
    if not _PERSON_ASPECT[0] <= aspect <= _PERSON_ASPECT[1]:
        return False
    return box[1] > _CUT_OFF and box[1] + box[3] < 1 - _CUT_OFF


def _window(bgr: np.ndarray, corner: tuple[float, float], size: tuple[float, float]) -> np.ndarray:
    """The part of the picture at ``corner`` (x, y) in pixels, its border repeated where it reaches outside."""
    rows, columns = bgr.shape[:2]
    left, top = int(np.floor(corner[0])), int(np.floor(corner[1]))
    right, bottom = int(np.ceil(corner[0] + size[0])), int(np.ceil(corner[1] + size[1]))
    inside = bgr[max(0, top) : min(rows, bottom), max(0, left) : min(columns, right)]
    return cv2.copyMakeBorder(
        inside, max(0, -top), max(0, bottom - rows), max(0, -left), max(0, right - columns), cv2.BORDER_REPLICATE
    )
