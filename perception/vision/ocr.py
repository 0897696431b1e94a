"""Engines that find and read lines of text in a picture, behind one Protocol.

`rapidocr` runs PP-OCRv6 small (PaddleOCR's detector and recogniser) on ONNX Runtime; both models come inside its
package, so nothing is downloaded. It reads Latin, Chinese and Japanese script; of Cyrillic only the letters that
look Latin come out right.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import cv2
import numpy as np

# Pictures smaller than the detector's side are enlarged at most this much: letters of 8 pixels become legible,
# beyond that nothing is won.
_ENLARGE_MAX = 2.0
_SIDE_MIN_PX = 16
# Text is first sought in a picture of this share of the side: that finds some line of nearly every text at half the
# price, and only then the whole is sought.
_SCOUT = 0.75


class TextEngine(Protocol):
    """Finds lines of text and reads them."""

    meaning: str

    def detect(self, bgr: np.ndarray) -> tuple[list[np.ndarray], int]:
        """Corners of each line, and how many pixels were looked at for them.

        Corners are float32 (4, 2) in pixels of ``bgr``, clockwise from the top left of the text.
        """
        ...

    def recognise(self, bgr: np.ndarray, corners: Sequence[np.ndarray]) -> list[tuple[str, float]]:
        """Text and confidence 0..1 of each line given by its corners."""
        ...


class RapidTextEngine:
    """PP-OCRv6 small. On one core: finding takes 0.45 us a pixel looked at, reading 9 ms per line height of width.

    max_side_px   longest side of the picture that lines are sought in.
    threads       of ONNX Runtime; 1 never spins while another process wants the core.
    """

    meaning = "RapidOCR PP-OCRv6 small"

    def __init__(self, max_side_px: int, threads: int) -> None:
        self._max_side_px = max_side_px
        # Before any picture is decoded: beside a decoder in full swing, loading takes twice as long.
        logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
        session = "EngineConfig.onnxruntime"
        self._engine: Any = _import_rapidocr()(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,
                # Sizes are decided here, so the package's own rescaling is out of the way.
                "Global.max_side_len": 100_000,
                "Global.min_side_len": 1,
                "Det.limit_type": "max",
                "Det.limit_side_len": max_side_px,
                # One line at a time: a batch is padded to its widest line, which costs time and 100s of MB.
                "Rec.rec_batch_num": 1,
                f"{session}.intra_op_num_threads": threads,
                f"{session}.inter_op_num_threads": 1,
            }
        )

    def detect(self, bgr: np.ndarray) -> tuple[list[np.ndarray], int]:
        scouted, looked_at = self._detect_at(bgr, round(self._max_side_px * _SCOUT))
        if not scouted:
            return [], looked_at
        found, pixels = self._detect_at(bgr, self._max_side_px)
        return found or scouted, looked_at + pixels

    def _detect_at(self, bgr: np.ndarray, side_px: int) -> tuple[list[np.ndarray], int]:
        """Lines found in the picture brought to a longest side of ``side_px``, and that picture's pixels."""
        height, width = bgr.shape[:2]
        scale = min(_ENLARGE_MAX, side_px / max(height, width))
        if min(height, width) * scale < _SIDE_MIN_PX:
            return [], 0
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        interpolation = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        small = cv2.resize(bgr, size, interpolation=interpolation)
        found = self._engine(small, use_det=True, use_cls=False, use_rec=False)
        if found.boxes is None:
            return [], size[0] * size[1]
        back = np.array([width / size[0], height / size[1]], np.float32)
        return [np.asarray(box, np.float32) * back for box in found.boxes], size[0] * size[1]

    def recognise(self, bgr: np.ndarray, corners: Sequence[np.ndarray]) -> list[tuple[str, float]]:
        crops = [_straightened(bgr, _widened(quad)) for quad in corners]
        if not crops:
            return []
        read = self._engine.recognize_txt(crops)
        return [(str(text), float(score)) for text, score in zip(read.txts, read.scores, strict=True)]


TEXT_ENGINES: dict[str, Callable[[int, int], TextEngine]] = {"rapidocr": RapidTextEngine}


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
    """The line's picture, upright: text much taller than wide is taken to run downwards and turned."""
    top, left = np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[3] - corners[0])
    bottom, right = np.linalg.norm(corners[2] - corners[3]), np.linalg.norm(corners[2] - corners[1])
    width, height = max(1, round(max(top, bottom))), max(1, round(max(left, right)))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    crop = cv2.warpPerspective(bgr, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return cv2.rotate(crop, cv2.ROTATE_90_COUNTERCLOCKWISE) if height > 1.5 * width else crop
