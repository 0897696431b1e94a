"""Open-vocabulary tags: which of the things in an editable list a picture shows, by image and text vectors.

    python -m perception.clip.tags EXPORT_FOLDER VOCABULARY TARGET

writes the vectors of a vocabulary; a program of its own, so that the text tower's 300 MB do not stay with who watches.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from runtime.language.vocabulary import Vocabulary, load_vocabulary


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
