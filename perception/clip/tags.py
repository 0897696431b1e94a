"""Open-vocabulary tags: which of the things in an editable list a picture shows, by image and text vectors.

    python -m perception.tags EXPORT_FOLDER VOCABULARY TARGET

writes the vectors of a vocabulary; a program of its own, so that the text tower's 300 MB do not stay with who watches.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import yaml
from msgspec import Meta, Struct

from runtime.config import PROFILE_DIR
from runtime.errors import ConfigError

Score = Annotated[float, Meta(ge=0, le=1)]


class TagEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A tag with a threshold of its own."""

    descriptions: Annotated[tuple[str, ...], Meta(min_length=1)]
    threshold: Score | None = None


class Vocabulary(Struct, frozen=True, forbid_unknown_fields=True):
    """What is sought in pictures; `configs/tags/everyday.yaml` documents the keys."""

    tags: Annotated[dict[str, Annotated[tuple[str, ...], Meta(min_length=1)] | TagEntry], Meta(min_length=1)]
    neutral: Annotated[tuple[str, ...], Meta(min_length=1)] = ("a photo.",)
    templates: Annotated[tuple[str, ...], Meta(min_length=1)] = ("{}",)
    threshold: Score = 0.9

    def descriptions(self, tag: str) -> list[str]:
        """All texts that stand for a tag: each description in each template."""
        entry = self.tags[tag]
        said = entry.descriptions if isinstance(entry, TagEntry) else entry
        return [template.replace("{}", words) for template in self.templates for words in said]

    def threshold_of(self, tag: str) -> float:
        entry = self.tags[tag]
        own = entry.threshold if isinstance(entry, TagEntry) else None
        return self.threshold if own is None else own

    def key(self) -> str:
        """16 hex digits of all that its vectors depend on."""
        texts = [list(self.neutral), *([tag, *self.descriptions(tag)] for tag in self.tags)]
        return hashlib.sha256(msgspec.json.encode(texts)).hexdigest()[:16]


class Tagger:
    """Scores tags for image vectors.

    vectors      float32 (1 + number of tags, dimensions) of unit length, the neutral one first.
    logit_scale  the model's own.
    limit        tags a picture gets, at most.

    The score of a tag is the probability of a softmax between it and the neutral text, as the model was trained to
    read its cosines, so that thresholds carry over from one model to the next.
    """

    def __init__(self, vocabulary: Vocabulary, vectors: np.ndarray, logit_scale: float, limit: int) -> None:
        self._names = list(vocabulary.tags)
        self._least = np.array([vocabulary.threshold_of(tag) for tag in self._names])
        self._vectors = vectors
        self._scale = logit_scale
        self._limit = limit

    def tags(self, vector: np.ndarray) -> list[tuple[str, float]]:
        """(tag, score) of those over their thresholds, best first; ``vector`` float32 (dimensions,), unit length."""
        cosines = self._vectors.astype(np.float64) @ vector.astype(np.float64)
        margins = self._scale * (cosines[1:] - cosines[0])
        scores = 1.0 / (1.0 + np.exp(-np.clip(margins, -60.0, 60.0)))
        # By margin, because scores near 1 are all alike; names settle ties, so that replays agree.
        ranked = sorted(range(len(scores)), key=lambda k: (-margins[k], self._names[k]))
        told = [k for k in ranked if scores[k] >= self._least[k]]
        return [(self._names[k], round(float(scores[k]), 3)) for k in told[: self._limit]]


def load_vocabulary(name_or_path: str) -> Vocabulary:
    """A vocabulary by its name in `configs/tags/` or by its path.

    Raises:
        ConfigError: there is no such file, or it is not a vocabulary.
    """
    named = PROFILE_DIR / "tags" / f"{name_or_path}.yaml"
    path = named if named.is_file() else Path(name_or_path).expanduser()
    try:
        return msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), Vocabulary)
    except OSError as error:
        raise ConfigError(f"perception.vision.tags: {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"perception.vision.tags: {path}: not YAML") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"perception.vision.tags: {path}: {error}") from error


def read_vectors(path: Path, vocabulary: Vocabulary, dimensions: int) -> np.ndarray | None:
    """What `write_vectors` wrote; None if it is absent or does not fit."""
    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        return None
    return vectors if vectors.shape == (1 + len(vocabulary.tags), dimensions) else None


def write_vectors(folder: Path, vocabulary: Vocabulary, target: Path) -> None:
    """Write the neutral text's and each tag's mean vector, of unit length, as a NumPy file."""
    from perception.clip.onnx_model import TextTower, read_manifest

    manifest = read_manifest(folder)
    assert manifest is not None
    tower = TextTower(folder, manifest, threads=2)
    groups = [list(vocabulary.neutral), *(vocabulary.descriptions(tag) for tag in vocabulary.tags)]
    means = np.array([tower.vectors(group).mean(axis=0) for group in groups])
    scratch = target.with_suffix(".new.npy")
    np.save(scratch, (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32))
    scratch.replace(target)


def main(argv: Sequence[str]) -> int:
    folder, vocabulary, target = argv
    write_vectors(Path(folder), load_vocabulary(vocabulary), Path(target))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
