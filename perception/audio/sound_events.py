"""Sounds by name: a classifier of AudioSet's classes ("Rain", "Applause", "Dog") in ONNX Runtime.

For YAMNet (Plakal and Ellis 2020) as exported by tf2onnx, and whatever has its signature: a waveform float32 (n,) of
16 kHz in; scores (frames, classes), 0..1, out first. The names of the classes lie beside it in a CSV file whose column
``display_name`` follows their order.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perception.capture.blocks import SAMPLE_RATE_HZ, Samples
from runtime import program
from runtime.errors import WeightsError
from runtime.weights.known import locate, require

WEIGHTS = "yamnet"
# One frame of YAMNet; shorter sound is filled up with silence.
_FRAME_SAMPLES = round(0.975 * SAMPLE_RATE_HZ)
# YAMNet's scores are not calibrated; of AudioSet's classes those above .3 are mostly there.
_LEAST_SCORE = 0.3
_MOST_LABELS = 3
# What other stages tell, and better.
_NOT_NAMED = frozenset({"Silence", "Speech", "Sound effect", "Inside, small room", "Inside, large room or hall"})

Labels = tuple[tuple[str, float], ...]


class SoundEvents:
    """Names what is heard. The same samples always get the same names."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        """
        Raises:
            WeightsError: the model is damaged or of another signature, or its classes are not as many as the names.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            self._input = self._session.get_inputs()[0].name
            found = self._scores(np.zeros(_FRAME_SAMPLES, np.float32)).shape
        except Exception as error:  # ONNX Runtime's errors have no common base
            reason = " ".join(str(error).split())[:120]
            raise WeightsError(f"{path}: damaged, or no classifier of waveforms ({reason})") from error
        if len(found) != 2 or found[1] != len(names):
            raise WeightsError(f"{path}: gives scores of shape {found}, and there are {len(names)} names of classes")
        self._names = tuple(names)
        self.name = path.stem

    def label(self, samples: Samples, sudden: bool) -> Labels:
        """The most probable classes of a stretch of sound with their scores, best first; none if it is nothing known.

        ``samples`` float32 (n,), 16 kHz. Of a ``sudden`` sound its best frame counts, of others the mean.
        """
        if len(samples) < _FRAME_SAMPLES:
            samples = np.pad(samples, (0, _FRAME_SAMPLES - len(samples)))
        frames = self._scores(samples)
        scores = frames.max(axis=0) if sudden else frames.mean(axis=0)
        order = np.argsort(-scores, kind="stable")
        named = [(self._names[i], round(float(scores[i]), 3)) for i in order if scores[i] >= _LEAST_SCORE]
        return tuple((name, score) for name, score in named if name not in _NOT_NAMED)[:_MOST_LABELS]

    def _scores(self, samples: Samples) -> Any:
        return self._session.run(None, {self._input: np.ascontiguousarray(samples, np.float32)})[0]


def load_sound_events(which: str) -> tuple[SoundEvents | None, str]:
    """The classifier the profile asks for, and one line to tell where that cannot be had.

    ``which``: "off"; "auto", YAMNet where its weights are here; or an ONNX file, its names in a CSV file beside it.

    Raises:
        WeightsError: the file given is not there, damaged or of another signature.
    """
    if which == "off":
        return None, ""
    if which != "auto":
        (path,) = require(which)
        return SoundEvents(path, _class_names(path.with_suffix(".csv"))), ""
    try:
        files = locate(WEIGHTS)
        if files is None:
            return (
                None,
                f"sounds are told by kind only: weights {WEIGHTS} are not on this machine; `{program.name()} setup`",
            )
        return SoundEvents(files[0], _class_names(files[1])), ""
    except WeightsError as error:
        return None, f"sounds are told by kind only: {error}"


def _class_names(path: Path) -> list[str]:
    try:
        with open(path, encoding="utf-8", newline="") as table:
            return [row["display_name"] for row in csv.DictReader(table)]
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path}: no table of sound classes (a CSV file with a column display_name)") from error
