"""Exported detectors are known by what they take and give; each kind finds the same thing at the same place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from perception.vision.detector import check_detector, load_detector
from perception.vision.exported import ExportedDetector, read_labels
from runtime.config import VisionConfig
from runtime.errors import ConfigError, WeightsError
from runtime.language.coco import COCO, LABELS, NUMBERED
from runtime.language.vocabulary import load_vocabulary

onnx = pytest.importorskip("onnx", reason="onnx, which makes the files, is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

SIDE = 64
# 64 pixels have grids of 8x8, 4x4 and 2x2 cells.
CELLS = 64 + 16 + 4
WIDE = np.zeros((32, 64, 3), np.uint8)


def write(path: Path, outputs: dict[str, np.ndarray], sizes: str = "", labels: str = "cup\ncouch\ncar\n") -> Path:
    """An ONNX file that gives these outputs whatever it is shown, plus nothing times the mean of what it is shown."""
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])]
    nodes = [helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0)]
    nodes.append(helper.make_node("Mul", ["mean", "zero"], ["nothing"]))
    weights = [numpy_helper.from_array(np.array(0.0, np.float32), "zero")]
    if sizes:
        inputs.append(helper.make_tensor_value_info(sizes, TensorProto.INT64, [1, 2]))
    told = []
    for name, value in outputs.items():
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        weights.append(numpy_helper.from_array(value, f"{name}_value"))
        if value.dtype == np.float32:
            nodes.append(helper.make_node("Add", [f"{name}_value", "nothing"], [name]))
        else:
            nodes.append(helper.make_node("Identity", [f"{name}_value"], [name]))
        told.append(helper.make_tensor_value_info(name, kind, list(value.shape)))
    graph = helper.make_graph(nodes, "tiny", inputs, told, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    path.with_suffix(".txt").write_text(labels, encoding="utf-8")
    return path


def yolox(in_pixels: bool) -> dict[str, np.ndarray]:
    """One couch of 16x8 pixels at (24, 12) of a square picture, in cell (1, 3) of the finest grid."""
    raw = np.zeros((1, CELLS, 8), np.float32)
    cell = 1 * 8 + 3
    raw[0, cell, :4] = (24, 12, 16, 8) if in_pixels else (0.0, 0.5, np.log(2), np.log(1))
    if in_pixels:
        raw[0, -1, :2] = 60
    raw[0, cell, 4:] = (0.9, 0.0, 1.0, 0.0)
    return {"output": raw}


def detr(names: tuple[str, str]) -> dict[str, np.ndarray]:
    logits = np.full((1, 2, 3), -9.0, np.float32)
    logits[0, 0, 1] = np.log(0.9 / 0.1)
    boxes = np.array([[[0.375, 0.375, 0.25, 0.25], [0.5, 0.5, 0.1, 0.1]]], np.float32)
    return {names[0]: logits, names[1]: boxes}


RT_DETR: dict[str, np.ndarray] = {
    "labels": np.array([[1, 2]], np.int64),
    "boxes": np.array([[[0.25, 0.25, 0.5, 0.5], [0.0, 0.0, 0.1, 0.1]]], np.float32),
    "scores": np.array([[0.9, 0.01]], np.float32),
}


@pytest.mark.parametrize(
    ("outputs", "sizes", "kind"),
    [
        (yolox(in_pixels=False), "", "YOLOX"),
        (yolox(in_pixels=True), "", "YOLOX"),
        (RT_DETR, "orig_target_sizes", "RT-DETR"),
        (detr(("labels", "dets")), "", "RF-DETR"),
        (detr(("logits", "pred_boxes")), "", "DETR"),
    ],
    ids=["yolox", "yolox in pixels", "rt-detr and d-fine", "rf-detr", "hugging face"],
)
def test_every_kind_tells_what_is_where_by_the_vocabularys_name(
    tmp_path: Path, outputs: dict[str, np.ndarray], sizes: str, kind: str
) -> None:
    detector = ExportedDetector(write(tmp_path / "tiny.onnx", outputs, sizes), load_vocabulary(), threads=1)
    assert detector.meaning == f"tiny.onnx ({kind}, 3 kinds of thing by name)"
    assert detector.things == "tiny.onnx"
    (found,) = detector.detect(WIDE)
    assert found.name == "sofa"
    assert found.probability == pytest.approx(0.9, abs=1e-3)
    # A picture twice as wide as high fills the upper half of YOLOX's square, and all of the others'.
    box = (0.25, 0.25, 0.25, 0.25)
    assert found.box == pytest.approx(box, abs=1e-3)


def test_boxes_of_one_name_at_one_place_are_one_thing(tmp_path: Path) -> None:
    outputs = yolox(in_pixels=True)
    outputs["output"][0, 12] = (24, 12, 15, 8, 0.7, 0.0, 1.0, 0.0)
    detector = ExportedDetector(write(tmp_path / "tiny.onnx", outputs), load_vocabulary(), threads=1)
    assert [found.probability for found in detector.detect(WIDE)] == [pytest.approx(0.9, abs=1e-3)]


def test_a_detector_is_loaded_by_its_path(tmp_path: Path) -> None:
    path = write(tmp_path / "tiny.onnx", RT_DETR, "orig_target_sizes")
    check_detector(str(path))
    detector = load_detector(VisionConfig(detect=str(path)), threads=1)
    assert detector is not None
    assert [found.name for found in detector.detect(WIDE)] == ["sofa"]
    with pytest.raises(ConfigError, match=r"no detector 'yolo'; known: ssd, off, or the path of an \.onnx file"):
        check_detector("yolo")


@pytest.mark.parametrize(
    ("name", "text", "labels"),
    [
        ("tiny.txt", "cup\ncar\n", ["cup", "car"]),
        ("tiny.txt", "coco", list(LABELS)),
        ("tiny.txt", "coco91", list(NUMBERED)),
        ("tiny.json", '["cup", "car"]', ["cup", "car"]),
        ("tiny.json", json.dumps({"id2label": {"0": "cup", "2": "car"}}), ["cup", "", "car"]),
    ],
)
def test_names_stand_beside_it_in_any_usual_form(tmp_path: Path, name: str, text: str, labels: list[str]) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert list(read_labels(tmp_path / "tiny.onnx")) == labels


def test_one_that_knows_cocos_names_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "tiny.onnx", detr(("logits", "pred_boxes")), labels="coco")
    assert ExportedDetector(path, load_vocabulary(), threads=1).things == COCO


def test_what_is_no_detector_is_refused_in_one_line(tmp_path: Path) -> None:
    vocabulary = load_vocabulary()
    with pytest.raises(WeightsError, match="no such file"):
        ExportedDetector(tmp_path / "absent.onnx", vocabulary, 1)
    other = write(tmp_path / "other.onnx", {"embedding": np.zeros((1, 8), np.float32)})
    with pytest.raises(WeightsError, match=r"no detector of a known kind \(inputs images; outputs embedding\)"):
        ExportedDetector(other, vocabulary, 1)
    other.with_suffix(".txt").unlink()
    with pytest.raises(WeightsError, match=r"its names are not beside it, in other\.txt or other\.json"):
        ExportedDetector(other, vocabulary, 1)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    broken.with_suffix(".txt").write_text("cup")
    with pytest.raises(WeightsError, match="ONNX Runtime cannot load it"):
        ExportedDetector(broken, vocabulary, 1)
    few = write(tmp_path / "few.onnx", detr(("logits", "pred_boxes")), labels="cup\n")
    with pytest.raises(WeightsError, match="tells 3 kinds apart, and its file of names has 1"):
        ExportedDetector(few, vocabulary, 1)
