"""SSD MobileNet v2 (Liu et al., "SSD", 2016; Sandler et al., "MobileNetV2", 2018) trained on COCO, through OpenCV.

The file of TensorFlow's detection model zoo of 2018. It squeezes any picture into 300x300 pixels: 60 ms of one core
each, and things smaller than a twelfth of the picture are missed or misnamed, which is why things are looked at again
closer (`zoom`).
"""

from __future__ import annotations

import cv2
import numpy as np

from perception.vision.detector import PROBABILITY_MIN, Detection, named
from runtime.errors import WeightsError
from runtime.language.coco import COCO, NUMBERED
from runtime.language.vocabulary import Vocabulary
from runtime.weights.known import require

WEIGHTS = "ssd-mobilenet-v2-coco"
_SIDE_PX = 300


class SsdMobileNet:
    """The network, on as many cores as OpenCV may use; deterministic on any number.

    Raises:
        WeightsError: the weights are not on this machine, or OpenCV cannot read them.
    """

    things = COCO
    meaning = "SSD MobileNet v2 (80 kinds of thing by name)"

    def __init__(self, vocabulary: Vocabulary) -> None:
        graph, text = require(WEIGHTS)
        try:
            self._net = cv2.dnn.readNetFromTensorflow(str(graph), str(text))
        except cv2.error as error:
            raise WeightsError(f"weights {WEIGHTS}: OpenCV cannot read {graph}: {error.err}") from error
        self._names = named(NUMBERED, vocabulary)

    def detect(self, bgr: np.ndarray) -> list[Detection]:
        blob = cv2.dnn.blobFromImage(bgr, size=(_SIDE_PX, _SIDE_PX), swapRB=True)
        self._net.setInput(blob)
        # Rows of (picture, label, probability, left, top, right, bottom), in 0..1 of the picture.
        rows = self._net.forward().reshape(-1, 7)
        found = []
        for _, label, probability, *corners in rows[rows[:, 2] >= PROBABILITY_MIN].tolist():
            left, top, right, bottom = (min(1.0, max(0.0, corner)) for corner in corners)
            name = self._names[int(label)] if 0 <= int(label) < len(self._names) else ""
            if name and right > left and bottom > top:
                found.append(Detection(name, round(probability, 4), (left, top, right - left, bottom - top)))
        return found
