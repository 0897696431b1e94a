"""An exported open_clip model: pictures and texts to vectors of one space, on ONNX Runtime, without torch.

`perception/clip/export.py` writes the folder read here. Pictures are squashed to the tower's square instead of cut to
it: of a 16:9 picture the usual central square misses the outer 44 %, and what happens there would not be remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from msgspec import Struct

from runtime.errors import WeightsError

MANIFEST = "manifest.json"


class Preprocessing(Struct, frozen=True):
    """How a picture becomes the image tower's input.

    side_px    the input is square.
    mean, std  of red, green and blue in 0..1.
    bicubic    else bilinear.
    """

    side_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bicubic: bool = True


class Manifest(Struct, frozen=True, kw_only=True):
    """What an export folder holds.

    space        name of the vector space: the architecture and the first 8 digits of the weights' SHA-256.
    agreement    least cosine between exported and torch's vectors, of pictures and of texts.
    logit_scale  factor the model was trained to multiply cosines by before a softmax.
    start, end   token ids around every text; ``context`` is its length in tokens.
    """

    model: str
    weights: str
    space: str
    dimensions: int
    preprocessing: Preprocessing
    precision: str
    agreement: dict[str, float]
    logit_scale: float
    context: int
    start: int
    end: int


def read_manifest(folder: Path) -> Manifest | None:
    """What ``folder`` holds; None if there is no whole export."""
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None


def prepare_pictures(bgrs: Sequence[np.ndarray], preprocessing: Preprocessing) -> np.ndarray:
    """float32 (n, 3, side, side): each picture, uint8 (height, width, 3) blue-green-red, squashed and normalised.

    Pillow resizes as torchvision does (bicubic, antialiased), so that vectors agree with open_clip's.
    """
    from PIL import Image

    side = preprocessing.side_px
    filtering = Image.Resampling.BICUBIC if preprocessing.bicubic else Image.Resampling.BILINEAR
    mean, std = np.array(preprocessing.mean, np.float32), np.array(preprocessing.std, np.float32)
    inputs = np.empty((len(bgrs), 3, side, side), np.float32)
    for k, bgr in enumerate(bgrs):
        rgb = Image.fromarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)).resize((side, side), filtering)
        inputs[k] = ((np.asarray(rgb, np.float32) / 255 - mean) / std).transpose(2, 0, 1)
    return inputs


class CpuImageTower:
    """The exported image tower; 19 ViT-B-32 pictures a second on two cores."""

    def __init__(self, folder: Path, manifest: Manifest, threads: int) -> None:
        self.preprocessing = manifest.preprocessing
        self.meaning = f"ONNX Runtime {manifest.precision}"
        self._session = open_session(folder / "image.onnx", threads)

    def vectors(self, inputs: np.ndarray) -> np.ndarray:
        """float32 (n, dimensions) of unit length from float32 (n, 3, side, side)."""
        return np.asarray(self._session.run(None, {"pixels": inputs})[0], np.float32)


class TextTower:
    """The exported text tower with its tokenizer."""

    def __init__(self, folder: Path, manifest: Manifest, threads: int) -> None:
        self._manifest = manifest
        self._tokenizer = open_tokenizer(folder)
        self._session = open_session(folder / "text.onnx", threads)
        # A tower that sees only back takes texts without padding; the other's input has a length of its own.
        self._padded = isinstance(self._session.get_inputs()[0].shape[1], int)

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """float32 (n, dimensions) of unit length. One text at a time, so that none depends on its neighbours."""
        rows = [self._vector(row) for row in self.tokens(texts)]
        return np.array(rows, np.float32).reshape(len(texts), self._manifest.dimensions)

    def _vector(self, tokens: np.ndarray) -> np.ndarray:
        length = len(tokens) if self._padded else int(np.argmax(tokens == self._manifest.end)) + 1
        return np.asarray(self._session.run(None, {"tokens": tokens[None, :length]})[0][0], np.float32)

    def tokens(self, texts: Sequence[str]) -> np.ndarray:
        return tokenize(self._tokenizer, texts, self._manifest)


def tokenize(tokenizer: Any, texts: Sequence[str], manifest: Manifest) -> np.ndarray:
    """int64 (n, context): start, the text's tokens as far as they fit, end, and zeros."""
    rows = np.zeros((len(texts), manifest.context), np.int64)
    for row, text in zip(rows, texts, strict=True):
        ids = [manifest.start, *tokenizer.encode(text).ids[: manifest.context - 2], manifest.end]
        row[: len(ids)] = ids
    return rows


def open_session(path: Path, threads: int) -> Any:
    """An ONNX Runtime session on the CPU whose threads sleep between two runs instead of spinning.

    Raises:
        WeightsError: the file is damaged or gone.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no root but Exception
        raise WeightsError(f"{path}: not a usable export; delete its folder, it is made again") from error


def open_tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the package raises plain Exception
        raise WeightsError(f"{folder}: not a usable export; delete it, it is made again") from error
