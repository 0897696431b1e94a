"""The open_clip encoder, with a tiny model trained to know three colours, through the very code real ones take.

Loading, exporting and checking run in the same children as for real weights; nothing here stands for them.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception.clip.encoder import ClipEncoder, load_clip_encoder
from perception.clip.export import check_agreement
from perception.clip.files import exported
from perception.clip.onnx_model import TextTower
from perception.clip.spaces import configured_space
from perception.clip.tags import Tagger
from perception.processes.embed_text import load_embedder
from perception.vision.describe import ENCODERS
from perception.vision.redescribe import load_redescriber
from runtime.config import Config, VisionConfig, parse_config
from runtime.errors import ConfigError, WeightsError
from runtime.language.vocabulary import load_vocabulary
from runtime.messages import EmbedRequest, FrameFacts, Observation
from tests.fixtures.agent_runs import PROJECT
from tests.fixtures.drawn_clips import at_rate, write_clip
from tests.fixtures.tiny_clip import COLOURS, draw
from tests.fixtures.watched_files import observations, perceive

if importlib.util.find_spec("open_clip") is None:
    pytest.skip("open_clip is not installed", allow_module_level=True)

pytestmark = pytest.mark.processes

VOCABULARY = """
neutral: [nothing, an empty picture]
threshold: 0.6
tags:
  red thing: [a red thing, something that is red]
  green thing: [a green thing, something that is green]
  blue thing: {descriptions: [a blue thing, something that is blue], threshold: 0.5}
"""


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained tiny model, its checkpoint, a vocabulary, and a cache of its own."""
    folder = tmp_path_factory.mktemp("tiny")
    subprocess.run(
        [sys.executable, "-m", "tests.fixtures.tiny_clip", str(folder)], cwd=PROJECT, check=True, capture_output=True
    )
    (folder / "colours.yaml").write_text(VOCABULARY, encoding="utf-8")
    return folder


@pytest.fixture
def cached(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tiny / "cache"))
    return tiny


def config(folder: Path, **clip: Any) -> Config:
    options = {"model": str(folder / "tiny.json"), "weights": str(folder / "tiny.safetensors"), "device": "cpu", **clip}
    vision = {"describe": "open_clip", "open_clip": options, "tags": str(folder / "colours.yaml")}
    return parse_config({"perception": {"vision": vision}}, "test")


@pytest.fixture
def vision(cached: Path) -> VisionConfig:
    return config(cached).perception.vision


@pytest.fixture
def encoder(vision: VisionConfig) -> ClipEncoder:
    return load_clip_encoder(vision, 1)


def test_the_export_agrees_with_torch_and_is_made_once(vision: VisionConfig) -> None:
    folder, manifest = exported(vision.open_clip)
    assert min(manifest.agreement.values()) >= 0.99
    written = (folder / "image.onnx").stat().st_mtime_ns
    assert exported(vision.open_clip) == (folder, manifest)
    assert (folder / "image.onnx").stat().st_mtime_ns == written
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]


def test_vectors_of_pictures_lie_nearest_to_the_words_that_describe_them(encoder: ClipEncoder, cached: Path) -> None:
    folder, manifest = exported(config(cached).perception.vision.open_clip)
    words = TextTower(folder, manifest, 1).vectors([f"a {colour} thing" for colour in COLOURS])
    assert np.linalg.norm(words, axis=1) == pytest.approx(1.0, abs=1e-4)
    random = np.random.default_rng(3)
    right = 0
    for k, colour in enumerate(COLOURS):
        for described in encoder.describe([draw(colour, random, (1280, 720)) for _ in range(5)]):
            vector = np.frombuffer(described.vector, "<f2").astype(np.float32)
            assert vector.shape == (encoder.dimensions,)
            right += int(np.argmax(words @ vector)) == k
    assert right >= 14


def test_a_question_becomes_the_vector_of_its_words_in_the_space_of_the_pictures(
    vision: VisionConfig, encoder: ClipEncoder
) -> None:
    folder, manifest = exported(vision.open_clip)
    reply = load_embedder(vision).step(EmbedRequest(texts=("a red thing", "nothing")))
    assert reply.space == encoder.space
    words = TextTower(folder, manifest, 1).vectors(["a red thing", "nothing"])
    assert reply.vectors == tuple(row.astype("<f2").tobytes() for row in words)


def test_tags_name_what_is_in_the_picture_and_nothing_where_there_is_nothing(encoder: ClipEncoder) -> None:
    random = np.random.default_rng(4)
    for colour in COLOURS:
        told = [described.tags for described in encoder.describe([draw(colour, random) for _ in range(5)])]
        assert sum(tags[:1] != [] and tags[0][0] == f"{colour} thing" for tags in told) >= 4
    assert [described.tags for described in encoder.describe([draw("", random) for _ in range(3)])] == [[], [], []]


def test_frames_carry_vectors_of_the_models_space_and_say_their_tags(cached: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    pictures = [draw(colour, random, (320, 240)) for colour in ("red", "blue", "red", "blue")]
    clip = write_clip(tmp_path / "things.mp4", at_rate(10, 4, lambda t_s: pictures[int(t_s)]))
    frames: list[Observation] = observations(perceive(clip, config=config(cached)).outbox.sent, "frame")
    assert {frame.vector_space for frame in frames} == {exported(config(cached).perception.vision.open_clip)[1].space}
    named = [frame for frame in frames if frame.facts(FrameFacts).tags]
    assert {frame.facts(FrameFacts).tags[0][0] for frame in named} == {"red thing", "blue thing"}
    assert all(f"shows {frame.facts(FrameFacts).tags[0][0]}" in frame.text for frame in named)


def test_remembered_pictures_described_anew_lie_beside_words_and_name_what_they_show(
    encoder: ClipEncoder, vision: VisionConfig, cached: Path, tmp_path: Path
) -> None:
    """Perceived without the model, described anew with it from the small pictures that memory keeps."""
    random = np.random.default_rng(8)
    shown = ("red", "blue", "green")
    pictures = [draw(colour, random, (320, 240)) for colour in shown]
    clip = write_clip(tmp_path / "things.mp4", at_rate(10, 3, lambda t_s: pictures[int(t_s)]))
    plain = parse_config({"perception": {"vision": {"describe": "layout"}}}, "test")
    frames: list[Observation] = observations(perceive(clip, config=plain).outbox.sent, "frame")
    anew = load_redescriber(config(cached).perception).step(frames)
    assert [frame.id for frame in anew] == [frame.id for frame in frames]
    assert {frame.vector_space for frame in anew} == {configured_space(vision)} == {encoder.space}
    for frame in anew:
        colour = shown[int(frame.t0_s)]
        assert frame.facts(FrameFacts).tags[0][0] == f"{colour} thing" and f"shows {colour} thing" in frame.text
        words = load_embedder(vision).step(EmbedRequest(texts=tuple(f"a {c} thing" for c in shown)))
        likeness = [np.frombuffer(w, "<f2") @ np.frombuffer(frame.vector or b"", "<f2") for w in words.vectors]
        assert int(np.argmax(likeness)) == shown.index(colour)


def test_looks_given_at_once_are_described_as_one_by_one(encoder: ClipEncoder) -> None:
    random = np.random.default_rng(6)
    pictures = [draw(colour, random) for colour in COLOURS]
    alone = [encoder.describe([picture])[0] for picture in pictures]
    for one, other in zip(alone, encoder.describe(pictures), strict=True):
        assert (one.tags, one.text) == (other.tags, other.text)
        assert np.frombuffer(one.vector, "<f2") == pytest.approx(np.frombuffer(other.vector, "<f2"), abs=2e-3)


def test_other_weights_have_another_space_and_another_export(vision: VisionConfig, cached: Path) -> None:
    from perception.clip.files import export_folder

    mine = cached / "tiny.safetensors"
    other = cached / "other.safetensors"
    content = bytearray(mine.read_bytes())
    content[-1] ^= 1
    other.write_bytes(content)
    assert export_folder(vision.open_clip, mine) != export_folder(vision.open_clip, other)


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("cut off", "WeightsError: weights .*damaged.safetensors: not a checkpoint, or damaged .*; fetch it again"),
        ("no checkpoint", "WeightsError: weights .*damaged.pt: not a checkpoint, or damaged .*; fetch it again"),
        ("another model", "WeightsError: weights .*tiny.safetensors: these are not the weights of open_clip's RN50"),
        ("unknown model", "ConfigError: .*open_clip knows no model 'ViT-Z-99'"),
    ],
)
def test_a_checkpoint_that_cannot_be_used_is_told_in_one_line(tiny: Path, case: str, told: str) -> None:
    refused = json.loads((tiny / "refused.json").read_text(encoding="utf-8"))
    assert "\n" not in refused[case]
    assert re.match(told, refused[case]), refused[case]


def test_auto_takes_the_model_where_its_weights_are_and_else_says_in_one_line_what_to_do(
    cached: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = parse_config({"perception": {"vision": {"describe": "auto"}}}, "test").perception.vision
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    encoder = ENCODERS["auto"](found, 1)
    assert encoder.space == "layout-v1"
    assert "are not on this machine; run `run_agent.py setup`" in encoder.lacking
    with pytest.raises(WeightsError, match=r"run `run_agent\.py setup`"):
        ENCODERS["open_clip"](found, 1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cached / "cache"))
    assert ENCODERS["auto"](config(cached).perception.vision, 1).space.startswith("tiny-")


def test_weights_that_nobody_knows_name_those_that_are_known(cached: Path) -> None:
    vision = config(cached, model="ViT-B-32", weights="laion5b").perception.vision
    with pytest.raises(ConfigError, match="'laion5b' is no file and no known name; known for ViT-B-32: datacomp_xl"):
        load_clip_encoder(vision, 1)
    vision = config(cached, model="gone.json").perception.vision
    with pytest.raises(ConfigError, match=r"open_clip\.model: gone\.json: No such file"):
        load_clip_encoder(vision, 1)


def test_vectors_that_only_share_their_mean_with_the_wanted_ones_do_not_agree() -> None:
    random = np.random.default_rng(0)

    def rows(deviation: np.ndarray) -> np.ndarray:
        built = np.concatenate([np.full((8, 1), 10.0), deviation], axis=1)
        return built / np.linalg.norm(built, axis=1, keepdims=True)

    wanted = random.normal(0, 0.1, (8, 16))
    assert check_agreement("tower", rows(wanted + random.normal(0, 1e-4, wanted.shape)), rows(wanted)) > 0.999
    with pytest.raises(WeightsError, match=r"disagrees with torch \(cosine 0\.99\d, centred"):
        check_agreement("tower", rows(random.normal(0, 0.1, (8, 16))), rows(wanted))


def test_a_tag_is_told_over_its_threshold_best_first_and_at_most_so_many(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "threshold: 0.9\nneutral: [a photo]\ntags: {a: [x], b: [x, y], c: {descriptions: [x], threshold: 0.2}}"
    )
    vocabulary = load_vocabulary(str(path))
    vectors = np.eye(4, dtype=np.float32)
    # Margins over the neutral text times the scale of 10: a 3.0 (.953), b 2.0 (.881), c -1.0 (.269).
    picture = np.array([0.2, 0.5, 0.4, 0.1], np.float32)
    assert Tagger(vocabulary, vectors, 10.0, 8).tags(picture) == [("a", 0.953), ("c", 0.269)]
    assert Tagger(vocabulary, vectors, 10.0, 1).tags(picture) == [("a", 0.953)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tags: {}", "length >= 1"),
        ("tags: {a: []}", "length >= 1"),
        ("tags: {a: [x]}\nthresold: 0.3", "unknown field `thresold`"),
        ("tags: {a: [x]}\nthreshold: 3", "<= 1.0"),
        ("tags: [", "not YAML"),
    ],
)
def test_a_vocabulary_that_is_none_is_told_with_its_file(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"perception\.vision\.tags: .*mine\.yaml: .*{told}"):
        load_vocabulary(str(path))


def test_the_shipped_vocabulary_describes_every_tag_in_several_ways() -> None:
    vocabulary = load_vocabulary("everyday")
    assert len(vocabulary.tags) > 80
    assert all(len(vocabulary.descriptions(tag)) >= 3 for tag in vocabulary.tags)
