"""Engines that find and read lines of text in a picture, behind one Protocol.

`rapidocr` runs PP-OCRv6 small (PaddleOCR's detector and recogniser) on ONNX Runtime; both models come inside its
package, so nothing is downloaded. It reads Latin, Chinese and Japanese script; of Cyrillic only the letters that
look Latin come out right.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

# The side of a picture below which nothing is sought.
_SIDE_MIN_PX = 16
# A line read with more confidence stands upright: upside down it is read with .5 to .86, the right way with .94 to 1.
_UPRIGHT = 0.9
# A line this much higher than long runs up or down.
_SIDEWAYS = 1.5
_CLASSIFIED_ASPECT = 4
_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


class Reading(NamedTuple):
    """What a line says.

    confidence  0..1.
    turned_deg  what it is to be turned by, counter-clockwise, to stand upright: 0, 90 (it runs down), 180, 270.
    attempts    how many times it was read.
    """

    text: str
    confidence: float
    turned_deg: int = 0
    attempts: int = 1


class TextEngine(Protocol):
    """Finds lines of text and reads them."""

    meaning: str

    def detect(self, bgr: np.ndarray) -> list[np.ndarray]:
        """Corners of each line: float32 (4, 2) in pixels of ``bgr``, clockwise from the top left of the box."""
        ...

    def recognise(self, bgr: np.ndarray, corners: np.ndarray) -> Reading:
        """What the line with these corners says, whichever way it runs."""
        ...


class RapidTextEngine:
    """PP-OCRv6 small. On one core finding takes 0.22 to 0.3 us a pixel, reading 13 ms or 2.1 ms per height of length.

    threads  of ONNX Runtime; 1 never spins while another process wants the core.
    """

    meaning = "RapidOCR PP-OCRv6 small"

    def __init__(self, threads: int) -> None:
        # Before any picture is decoded: beside a decoder in full swing, loading takes twice as long.
        logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
        session = "EngineConfig.onnxruntime"
        self._engine: Any = _import_rapidocr()(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,
                # Sizes are decided by whoever asks, so the package's own rescaling is out of the way.
                "Global.max_side_len": 100_000,
                "Global.min_side_len": 1,
                "Det.limit_type": "max",
                "Det.limit_side_len": 100_000,
                # One line at a time: a batch is padded to its widest line, which costs time and 100s of MB.
                "Rec.rec_batch_num": 1,
                f"{session}.intra_op_num_threads": threads,
                f"{session}.inter_op_num_threads": 1,
            }
        )

    def detect(self, bgr: np.ndarray) -> list[np.ndarray]:
        if min(bgr.shape[:2]) < _SIDE_MIN_PX:
            return []
        found = self._engine(bgr, use_det=True, use_cls=False, use_rec=False)
        return [] if found.boxes is None else [np.asarray(box, np.float32) for box in found.boxes]

    def recognise(self, bgr: np.ndarray, corners: np.ndarray) -> Reading:
        line = _straightened(bgr, _widened(corners))
        height, width = line.shape[:2]
        if height > _SIDEWAYS * width:
            down, up = self._read(line, 90), self._read(line, 270)
            return max(down, up, key=lambda reading: reading.confidence)._replace(attempts=2)
        reading = self._read(line, 0)
        if reading.confidence >= _UPRIGHT or not self._is_upside_down(line):
            return reading
        turned = self._read(line, 180)
        return (turned if turned.confidence >= _UPRIGHT else reading)._replace(attempts=2)

    def _read(self, line: np.ndarray, turned_deg: int) -> Reading:
        read = self._engine.recognize_txt([cv2.rotate(line, _TURNS[turned_deg]) if turned_deg else line])
        return Reading(str(read.txts[0]), float(read.scores[0]), turned_deg)

    def _is_upside_down(self, line: np.ndarray) -> bool:
        """Whether its classifier, which takes 1.2 ms, says so of the line's beginning: it squeezes what is longer. It
        errs in words that look alike both ways (NO, ON)."""
        beginning = line[:, : _CLASSIFIED_ASPECT * line.shape[0]]
        return bool(self._engine.cls_and_rotate([beginning])[1].cls_res[0][0] == "180")


TEXT_ENGINES: dict[str, Callable[[int], TextEngine]] = {"rapidocr": RapidTextEngine}


def _import_rapidocr() -> Any:
    """The package's engine. Importing it parses a long list of models twice, half a second each; once will do."""
    from omegaconf import OmegaConf

    load = OmegaConf.load
    OmegaConf.load = functools.cache(load)  # type: ignore[method-assign]
    try:
        from rapidocr import RapidOCR
    finally:
        OmegaConf.load = load  # type: ignore[method-assign]
    return RapidOCR


def _widened(corners: np.ndarray) -> np.ndarray:
    """The line with a fifth of its height more at both ends: the detector trims first and last letters."""
    across = corners[1] - corners[0], corners[2] - corners[3]
    down = float(np.linalg.norm(corners[3] - corners[0]))
    if float(np.linalg.norm(across[0])) < down:
        return corners
    top, bottom = (side / max(1e-6, float(np.linalg.norm(side))) * 0.2 * down for side in across)
    return np.stack([corners[0] - top, corners[1] + top, corners[2] + bottom, corners[3] - bottom]).astype(np.float32)


def _straightened(bgr: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The picture of the line, its box upright."""
    top, left = np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[3] - corners[0])
    bottom, right = np.linalg.norm(corners[2] - corners[3]), np.linalg.norm(corners[2] - corners[1])
    width, height = max(1, round(max(top, bottom))), max(1, round(max(left, right)))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    return cv2.warpPerspective(bgr, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
