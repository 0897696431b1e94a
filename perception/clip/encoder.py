"""The `open_clip` encoder: a picture's vector lies beside those of words, and its tags name what it shows.

Colours, regions and patches stay those of the layout encoder (2 ms a picture): a question about a colour is answered
from pixels, not from a model's impression of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np

from perception.clip.files import checkpoint_of, exported, tag_vectors
from perception.clip.onnx_model import CpuImageTower, Manifest, Preprocessing, prepare_pictures
from perception.clip.tags import Tagger
from perception.vision.description import Description
from perception.vision.layout import LayoutEncoder
from runtime.config import VisionConfig
from runtime.errors import WeightsError
from runtime.language.vocabulary import load_vocabulary


class ImageTower(Protocol):
    preprocessing: Preprocessing
    meaning: str

    def vectors(self, inputs: np.ndarray) -> np.ndarray:
        """float32 (n, dimensions) of unit length from float32 (n, 3, side, side)."""
        ...


class ClipEncoder:
    """Vectors of an image tower, tags, and the layout encoder's colours.

    batch  pictures worth giving at once: more than one gains nothing on a CPU, and there a replay must not depend
           on how many were waiting.
    """

    def __init__(self, tower: ImageTower, manifest: Manifest, tagger: Tagger | None, batch: int) -> None:
        self._tower = tower
        self._tagger = tagger
        self._layout = LayoutEncoder()
        self.batch = batch
        self.space = manifest.space
        self.dimensions = manifest.dimensions
        self.names_things = tagger is not None
        self.lacking = ""
        named = "things by name, " if self.names_things else ""
        self.meaning = f"open_clip {manifest.space} ({named}colours and arrangement; {tower.meaning})"

    def describe(self, bgrs: Sequence[np.ndarray]) -> list[Description]:
        vectors = self._tower.vectors(prepare_pictures(bgrs, self._tower.preprocessing))
        return [
            msgspec.structs.replace(
                described,
                vector=vector.astype("<f2").tobytes(),
                tags=self._tagger.tags(vector) if self._tagger is not None else [],
            )
            for described, vector in zip(self._layout.describe(bgrs), vectors, strict=True)
        ]


def load_clip_encoder(vision: VisionConfig, threads: int) -> ClipEncoder:
    """The encoder a profile names; exports its model first if need be.

    Raises:
        ConfigError, WeightsError: see `perception.clip.files`; or a GPU is asked for and there is none.
    """
    options = vision.open_clip
    folder, manifest = exported(options)
    tagger = None
    if vision.tags and vision.tags_max:
        vocabulary = load_vocabulary(vision.tags)
        vectors = tag_vectors(folder, manifest, vision.tags)
        tagger = Tagger(vocabulary, vectors, manifest.logit_scale, vision.tags_max)
    tower: ImageTower
    if options.device != "cpu":
        from perception.clip.torch_model import GpuImageTower, has_gpu

        if has_gpu():
            tower = GpuImageTower(options.model, options.weights, checkpoint_of(options))
            return ClipEncoder(tower, manifest, tagger, options.batch)
        if options.device == "gpu":
            raise WeightsError("perception.vision.open_clip.device is gpu, and torch finds no CUDA device; say auto")
    tower = CpuImageTower(folder, manifest, threads)
    return ClipEncoder(tower, manifest, tagger, batch=1)
