"""Detectors that somebody exported to ONNX, known by what they take and give; their names stand in a file beside them.

YOLOX           (1, 3, H, W) in, one output (1, N, 5 + names), boxes on grids of 8, 16 and 32 pixels or in pixels
                (Ge et al., 2021, and the exporter in its repository)
RT-DETR, D-FINE pictures and `orig_target_sizes` in; `labels`, `boxes` in pixels of these sizes, `scores` out
                (Zhao et al., 2023; Peng et al., 2024, and the exporters in their repositories)
the same from Hugging Face, and RF-DETR
                pictures in; logits (1, N, names) and boxes (1, N, 4) as centre and size in 0..1 out
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from perception.vision.detector import PROBABILITY_MIN, Detection, named, overlap
from runtime.errors import WeightsError
from runtime.language.coco import COCO, LABELS, NUMBERED
from runtime.language.vocabulary import Vocabulary

LABEL_FILES = (".txt", ".json")
_SIDE_PX = 640  # where the file leaves the size open
_STRIDES = (8, 16, 32)
_GREY = 114  # what YOLOX puts beside a picture that is not square
_SAME = 0.6  # boxes of one name that overlap more are one; the others need no such step
# RF-DETR's pictures are normalised as ImageNet's (its repository); the others take 0..1.
_MEAN, _DEVIATION = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)

# Centres and sizes in 0..1 of the picture (N, 4), and probabilities of each name (N, names).
Found = tuple[np.ndarray, np.ndarray]


class ExportedDetector:
    """An ONNX file as a detector, on ``threads`` cores.

    Raises:
        WeightsError: the file is not here, not ONNX, no detector of a known kind, or its names are not beside it.
    """

    def __init__(self, path: Path, vocabulary: Vocabulary, threads: int) -> None:
        if not path.is_file():
            raise WeightsError(f"perception.vision.detect: {path}: no such file")
        labels = read_labels(path)
        self._session = _session(path, threads)
        self._inputs = {entry.name: entry for entry in self._session.get_inputs()}
        self._outputs = [entry.name for entry in self._session.get_outputs()]
        self._picture = next((name for name, entry in self._inputs.items() if len(entry.shape) == 4), "")
        kind = _kind(self._inputs, self._session.get_outputs(), self._picture)
        if not kind:
            given = f"inputs {', '.join(self._inputs)}; outputs {', '.join(self._outputs)}"
            raise WeightsError(f"perception.vision.detect: {path}: no detector of a known kind ({given})")
        self._find: Callable[[np.ndarray], Found] = {
            "YOLOX": self._yolox, "RT-DETR": self._rt_detr, "RF-DETR": self._rf_detr, "DETR": self._detr,
        }[kind]  # fmt: skip
        self._is_yolox = kind == "YOLOX"
        rows, columns = self._inputs[self._picture].shape[2:]
        self._size = (rows if isinstance(rows, int) else _SIDE_PX, columns if isinstance(columns, int) else _SIDE_PX)
        self._names = named(labels, vocabulary)
        self.things = COCO if set(filter(None, labels)) == set(LABELS) else path.name
        self.meaning = f"{path.name} ({kind}, {len([name for name in self._names if name])} kinds of thing by name)"
        # What it gives must fit its names: better known now than at the first picture.
        self.detect(np.zeros((*self._size, 3), np.uint8))

    def detect(self, bgr: np.ndarray) -> list[Detection]:
        boxes, probabilities = self._find(bgr)
        if probabilities.shape[1] > len(self._names):
            raise WeightsError(
                f"perception.vision.detect: {self.meaning} tells {probabilities.shape[1]} kinds apart, and its file of "
                f"names has {len(self._names)}"
            )
        found = []
        for k, label in np.argwhere(probabilities >= PROBABILITY_MIN).tolist():
            x, y, width, height = (float(value) for value in boxes[k])
            left, top = max(0.0, x - width / 2), max(0.0, y - height / 2)
            right, bottom = min(1.0, x + width / 2), min(1.0, y + height / 2)
            if self._names[label] and right > left and bottom > top:
                probability = round(float(probabilities[k, label]), 4)
                found.append(Detection(self._names[label], probability, (left, top, right - left, bottom - top)))
        return _apart(found) if self._is_yolox else found

    def _run(self, picture: np.ndarray, **others: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(self._outputs, self._session.run(None, {self._picture: picture, **others}), strict=True))

    def _yolox(self, bgr: np.ndarray) -> Found:
        rows, columns = self._size
        scale = min(rows / bgr.shape[0], columns / bgr.shape[1])
        high, wide = max(1, round(bgr.shape[0] * scale)), max(1, round(bgr.shape[1] * scale))
        square = np.full((rows, columns, 3), _GREY, np.uint8)
        square[:high, :wide] = cv2.resize(bgr, (wide, high), interpolation=cv2.INTER_LINEAR)
        raw = next(iter(self._run(square.transpose(2, 0, 1)[None].astype(np.float32)).values()))[0]
        boxes = raw[:, :4].astype(np.float64)
        if float(np.abs(boxes[:, :2]).max(initial=0.0)) < max(rows, columns) / _STRIDES[-1]:
            boxes = _on_grids(boxes, rows, columns)
        return boxes / (wide, high, wide, high), raw[:, 4:5] * raw[:, 5:]

    def _rt_detr(self, bgr: np.ndarray) -> Found:
        (sizes,) = set(self._inputs) - {self._picture}
        # Boxes come in pixels of whatever size it is told: of a picture of 1 by 1 they are shares.
        out = self._run(self._unit(bgr), **{sizes: np.array([[1, 1]], np.int64)})
        labels, corners, scores = (out[name][0] for name in ("labels", "boxes", "scores"))
        probabilities = np.zeros((len(labels), len(self._names)))
        inside = (labels >= 0) & (labels < len(self._names))
        probabilities[np.flatnonzero(inside), labels[inside].astype(int)] = scores[inside]
        return np.concatenate(
            [(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1
        ), probabilities

    def _rf_detr(self, bgr: np.ndarray) -> Found:
        out = self._run((self._unit(bgr) - _MEAN[None, :, None, None]) / _DEVIATION[None, :, None, None])
        return out["dets"][0], _sigmoid(out["labels"][0])

    def _detr(self, bgr: np.ndarray) -> Found:
        out = self._run(self._unit(bgr))
        return out["pred_boxes"][0], _sigmoid(out["logits"][0])

    def _unit(self, bgr: np.ndarray) -> np.ndarray:
        """float32 (1, 3, rows, columns), red-green-blue in 0..1."""
        resized = cv2.resize(bgr, (self._size[1], self._size[0]), interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(resized[..., ::-1].transpose(2, 0, 1)[None]).astype(np.float32) / 255


def read_labels(path: Path) -> Sequence[str]:
    """The names in the file beside a detector: lines of NAME.txt, or NAME.json with a list, or names by number.

    The one line "coco" stands for COCO's eighty names, "coco91" for the same at COCO's own numbers.

    Raises:
        WeightsError: there is none, or it cannot be read.
    """
    for beside in (path.with_suffix(suffix) for suffix in LABEL_FILES):
        if not beside.is_file():
            continue
        try:
            text = beside.read_text(encoding="utf-8")
            given = text.splitlines() if beside.suffix == ".txt" else _listed(json.loads(text))
        except (OSError, UnicodeDecodeError, ValueError, TypeError, AttributeError) as error:
            raise WeightsError(f"perception.vision.detect: {beside}: no list of names ({error})") from error
        labels = [str(label).strip() for label in given]
        known: dict[str, Sequence[str]] = {"coco": LABELS, "coco91": NUMBERED}
        return known.get(labels[0], labels) if len(labels) == 1 else labels
    wanted = " or ".join(path.with_suffix(suffix).name for suffix in LABEL_FILES)
    raise WeightsError(f"perception.vision.detect: {path}: its names are not beside it, in {wanted}")


def _listed(read: Any) -> list[str]:
    """A list, or the names of a mapping from numbers, which a model's own config has under "id2label"."""
    if isinstance(read, list):
        return read
    by_number = {int(number): str(name) for number, name in read.get("id2label", read).items()}
    return [by_number.get(number, "") for number in range(max(by_number) + 1)]


def _session(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own, of many kinds
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise WeightsError(f"perception.vision.detect: {path}: ONNX Runtime cannot load it ({reason})") from error


def _kind(inputs: dict[str, Any], outputs: Sequence[Any], picture: str) -> str:
    names = {entry.name for entry in outputs}
    if not picture:
        return ""
    if len(inputs) == 2 and {"labels", "boxes", "scores"} <= names:
        return "RT-DETR"
    if len(inputs) == 1 and {"dets", "labels"} <= names:
        return "RF-DETR"
    if len(inputs) == 1 and {"logits", "pred_boxes"} <= names:
        return "DETR"
    if len(inputs) == 1 and len(outputs) == 1 and len(outputs[0].shape) == 3:
        last = outputs[0].shape[2]
        return "YOLOX" if not isinstance(last, int) or last > 5 else ""
    return ""


def _on_grids(boxes: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Centres and sizes in pixels, of such relative to cells of the three grids."""
    cells, strides = [], []
    for stride in _STRIDES:
        down, across = np.meshgrid(np.arange(rows // stride), np.arange(columns // stride), indexing="ij")
        cells.append(np.stack([across.ravel(), down.ravel()], axis=1))
        strides.append(np.full((across.size, 1), stride))
    scale = np.concatenate(strides)
    if len(scale) != len(boxes):
        raise WeightsError(
            f"perception.vision.detect: {len(boxes)} boxes for {len(scale)} cells: no YOLOX of this size"
        )
    return np.concatenate([(boxes[:, :2] + np.concatenate(cells)) * scale, np.exp(boxes[:, 2:]) * scale], axis=1)


def _apart(found: list[Detection]) -> list[Detection]:
    """Of boxes of one name that overlap the most probable."""
    kept: list[Detection] = []
    for one in sorted(found, key=lambda d: (-d.probability, d.name, d.box)):
        if not any(other.name == one.name and overlap(other.box, one.box) > _SAME for other in kept):
            kept.append(one)
    return kept


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    probabilities: np.ndarray = 1.0 / (1.0 + np.exp(-np.clip(logits.astype(np.float64), -60.0, 60.0)))
    return probabilities
