"""Sounds by name: a classifier of YAMNet's signature, as small as one can be, through the code that loads YAMNet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from perception.audio.sound_events import SoundEvents, load_sound_events
from perception.audio.sounds import NameSounds, Sound, SoundOptions
from perception.audio.vad import VoiceActivity
from perception.capture.blocks import CHUNK_SAMPLES, Samples
from runtime.errors import WeightsError

onnx = pytest.importorskip("onnx", reason="onnx is not installed: it builds the classifier")
from onnx import TensorProto, helper  # noqa: E402

NAMES = ("Speech", "Rain", "Dog", "Clapping")
FRAME = 15_600


def save_classifier(folder: Path, names: tuple[str, ...] = NAMES) -> Path:
    """A model whose score of class i, in a frame of 0.975 s, is the i-th sample of the frame."""
    nodes = [
        helper.make_node("Reshape", ["waveform", "shape"], ["frames"]),
        helper.make_node("Slice", ["frames", "from", "to", "axis"], ["scores"]),
    ]
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        for name, values in {"shape": [-1, FRAME], "from": [0], "to": [len(NAMES)], "axis": [1]}.items()
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["frames", "classes"])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    path = folder / "classifier.onnx"
    onnx.save(model, path)
    rows = "".join(f'{i},/m/{i},"{name}"\n' for i, name in enumerate(names))
    path.with_suffix(".csv").write_text(f"index,mid,display_name\n{rows}", encoding="utf-8")
    return path


def frames(*scores: tuple[float, ...]) -> Samples:
    sound = np.zeros((len(scores), FRAME), np.float32)
    sound[:, : len(NAMES)] = scores
    return sound.reshape(-1)


def test_the_best_classes_are_named_and_speech_is_left_to_others(tmp_path: Path) -> None:
    events = SoundEvents(save_classifier(tmp_path), NAMES)
    sound = frames((0.9, 0.5, 0.1, 0.0), (0.9, 0.7, 0.1, 0.8))
    assert events.label(sound, sudden=False) == (("Rain", 0.6), ("Clapping", 0.4))
    assert events.label(sound, sudden=True) == (("Clapping", 0.8), ("Rain", 0.7))
    assert events.label(frames((0.0, 0.2, 0.2, 0.2)), sudden=False) == ()
    assert events.label(frames((0.0, 0.0, 0.8, 0.0))[:100], sudden=True) == (("Dog", 0.8),)


def test_what_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    path = save_classifier(tmp_path)
    with pytest.raises(WeightsError, match="2 names of classes"):
        SoundEvents(path, NAMES[:2])
    path.write_bytes(b"no model")
    with pytest.raises(WeightsError, match="damaged, or no classifier"):
        load_sound_events(str(path))
    with pytest.raises(WeightsError, match="no such file"):
        load_sound_events(str(tmp_path / "gone.onnx"))


def test_without_weights_sounds_are_told_by_kind_and_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert load_sound_events("off") == (None, "")
    events, note = load_sound_events("auto")
    assert events is None
    assert "yamnet" in note
    assert "setup" in note


class Hears(SoundEvents):
    """Rain where it is quiet, a dog where it is loud."""

    def __init__(self) -> None:
        self.name = "hears"

    def label(self, samples: Samples, sudden: bool) -> tuple[tuple[str, float], ...]:
        return (("Rain" if np.abs(samples).max() < 0.3 else "Dog", 0.8),)


def test_a_sound_is_told_by_name_and_again_when_the_name_changes() -> None:
    noise = np.random.default_rng(5).standard_normal(500 * CHUNK_SAMPLES).astype(np.float32) * 0.02
    noise[250 * CHUNK_SAMPLES :] *= 6
    stage = NameSounds(SoundOptions(), Hears())
    sounds: list[Sound] = stage.step(VoiceActivity(0, noise, np.zeros(500, np.float32))) + stage.finish()
    assert list(dict.fromkeys(s.labels[0][0] for s in sounds if not s.goes_on)) == ["Rain", "Dog"]
    assert sounds[0].text == "rain"
    assert all(s.labels for s in sounds)
