"""Names of vector spaces, by which vectors of one encoder are told from another's, known without loading a model."""

from __future__ import annotations

from pathlib import Path

from perception.vision.description import LAYOUT_SPACE
from runtime.config import VisionConfig
from runtime.errors import ConfigError, WeightsError
from runtime.weights.known import digest


def clip_space(model: str, checkpoint: Path) -> str:
    """The space of an open_clip model: its architecture and the first 8 digits of its weights' SHA-256.

    Raises:
        WeightsError: the checkpoint cannot be read.
    """
    name = Path(model).stem if model.endswith(".json") else model
    return f"{name}-{digest(checkpoint)[:8]}"


def configured_space(vision: VisionConfig) -> str:
    """The space of the vectors that a profile's encoder makes here; "" where it cannot be used.

    Reads the checkpoint through where its checksum is not known yet: a second for 600 MB.
    """
    if vision.describe == "layout":
        return LAYOUT_SPACE
    from perception.clip.files import usable_checkpoint

    try:
        return clip_space(vision.open_clip.model, usable_checkpoint(vision.open_clip))
    except (ConfigError, WeightsError):
        return LAYOUT_SPACE if vision.describe == "auto" else ""
