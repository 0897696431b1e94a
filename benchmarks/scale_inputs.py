"""What a large memory is filled with for measuring: lines of talk by real word frequencies, vectors like a camera's.

Vectors: scenes of one of 5,000 topics (popular by Zipf's law), each a slow walk of 8 to 120 pictures, all in one narrow
cone and of about 96 true dimensions, as image encoders give them; queries are stored vectors moved by noise and out of
the cone, as texts lie beside pictures. Lines: real ones where there are some, a third of their words replaced by words
drawn by Zipf's law from a vocabulary of 50,000, so that a million lines have as many rare words as a million would.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 512
TOPICS = 5000
TRUE_DIMENSIONS = 96
VOCABULARY = 50_000
_LINES_AT_ONCE = 10_000
_SYLLABLES = (
    "ba be bi bo bu da de di do du ka ke ki ko ku la le li lo lu ma me mi mo mu na ne ni no nu ra re ri ro ru sa"
)


def make_vectors(n: int, at_random: np.random.Generator) -> Iterator[NDArray[np.float16]]:
    """Unit vectors of ``n`` pictures in order of time, in parts."""
    cone = _unit(at_random.standard_normal((1, DIMENSIONS)).astype(np.float32))
    basis = at_random.standard_normal((TRUE_DIMENSIONS, DIMENSIONS)).astype(np.float32) / DIMENSIONS**0.5
    topics = at_random.standard_normal((TOPICS, TRUE_DIMENSIONS)).astype(np.float32)
    popular = 1.0 / np.arange(1, TOPICS + 1) ** 0.8
    popular /= popular.sum()
    left = n
    while left:
        part: list[NDArray[np.float32]] = []
        size = 0
        while size < min(left, 8192):
            length = min(int(at_random.integers(8, 121)), min(left, 8192) - size)
            scene = topics[at_random.choice(TOPICS, p=popular)] + 0.7 * at_random.standard_normal(TRUE_DIMENSIONS)
            steps = 0.1 * at_random.standard_normal((length, TRUE_DIMENSIONS), dtype=np.float32)
            part.append(scene.astype(np.float32) + np.cumsum(steps, axis=0))
            size += length
        mixed = np.concatenate(part) @ basis
        noise = at_random.standard_normal((size, DIMENSIONS), dtype=np.float32) * np.float32(0.3 / DIMENSIONS**0.5)
        yield _unit(8.0 * cone + mixed + noise).astype(np.float16)
        left -= size


def make_queries(vectors: NDArray[np.float16], n: int, at_random: np.random.Generator) -> NDArray[np.float16]:
    """Unit vectors (n, d) near stored ones."""
    chosen = vectors[at_random.choice(len(vectors), n)].astype(np.float32)
    moved = chosen + 0.4 / DIMENSIONS**0.5 * at_random.standard_normal(chosen.shape, dtype=np.float32)
    return _unit(moved).astype(np.float16)


def read_lines(folder: Path) -> list[str]:
    """Real lines of talk below ``folder`` (LoCoMo's and QMSum's format); empty if there are none."""
    lines: list[str] = []
    for path in sorted(folder.glob("locomo/*.json")):
        for sample in json.loads(path.read_text(encoding="utf-8")):
            for name, turns in sample["conversation"].items():
                if name.startswith("session_") and isinstance(turns, list):
                    lines += [turn["text"] for turn in turns]
    for path in sorted(folder.glob("qmsum/*/*.json")):
        meeting = json.loads(path.read_text(encoding="utf-8"))
        lines += [turn["content"] for turn in meeting["meeting_transcripts"]]
    return [" ".join(line.split()[:40]) for line in lines if len(line.split()) > 3]


def make_lines(n: int, real: list[str], at_random: np.random.Generator) -> Iterator[str]:
    """``n`` lines of 4 to 40 words."""
    syllables = _SYLLABLES.split()
    words = ["".join(syllables[j] for j in at_random.integers(0, len(syllables), 3)) for _ in range(VOCABULARY)]
    frequent = 1.0 / (np.arange(VOCABULARY) + 3.0)
    frequent = np.cumsum(frequent / frequent.sum())
    spoken = [line.split() for line in real] or [[""] * length for length in range(4, 41)]
    for first in range(0, n, _LINES_AT_ONCE):
        some = [spoken[i] for i in at_random.integers(len(spoken), size=min(_LINES_AT_ONCE, n - first)).tolist()]
        size = sum(map(len, some))
        drawn = iter(np.searchsorted(frequent, at_random.random(size)).tolist())
        kept = iter((at_random.random(size) > 1 / 3).tolist())
        for line in some:
            yield " ".join([word if next(kept) and word else words[next(drawn)] for word in line])


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
