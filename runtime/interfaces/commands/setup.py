"""`setup`: fetches the weights that a profile names, checks them, and prepares what is derived from them."""

from __future__ import annotations

import importlib
from pathlib import Path

from runtime.config import Config
from runtime.errors import WeightsError
from runtime.interfaces.terminal.render import OUT
from runtime.interfaces.voice.synthesis import VOICE
from runtime.processes import PREPARE, PREPARE_HEARING
from runtime.weights.fetch import CTRANSLATE2_FILES, TRANSFORMERS_FILES, fetch, fetch_repository
from runtime.weights.known import absent, locate_repository, located, origin_of, remedy
from runtime.weights.table import WEIGHTS, Weights

DETECTOR = "ssd-mobilenet-v2-coco"


def wanted_weights(config: Config) -> list[Weights]:
    """The weights a profile names by a name of ours; what it names by a path is the user's own."""
    vision, hearing, voice = config.perception.vision, config.perception.hearing, config.voice
    names = []
    if vision.describe != "layout":
        names.append(f"open_clip/{vision.open_clip.model}/{vision.open_clip.weights}")
    if vision.detect == "ssd":
        names.append(DETECTOR)
    if hearing.transcribe:
        names.append(f"whisper/{hearing.whisper}")
    if hearing.sounds and hearing.sound_events == "auto":
        names.append("yamnet")
    if voice.synthesis == "piper" or (voice.synthesis == "auto" and voice.mode != "off"):
        names.append(VOICE)
    return [WEIGHTS[name] for name in names if name in WEIGHTS]


def wanted_repositories(config: Config) -> list[tuple[str, str, tuple[str, ...]]]:
    """What the profile names of Hugging Face that is in no table of ours: repository, what for, and which files."""
    model, whisper = config.reasoning.model.name, config.perception.hearing.whisper
    wanted: list[tuple[str, str, tuple[str, ...]]] = []
    if config.perception.hearing.transcribe and whisper.count("/") == 1 and not Path(whisper).expanduser().exists():
        wanted.append((whisper, "speech to words", CTRANSLATE2_FILES))
    if config.reasoning.backend == "transformers" and not Path(model).is_dir():
        wanted.append((model, "answers", TRANSFORMERS_FILES))
    return wanted


def set_up(config: Config) -> None:
    """Fetch what is absent, one file after another, then prepare what perception derives from it.

    Raises:
        WeightsError: something cannot be fetched or used; what was fetched before stays.
    """
    for row in wanted_weights(config):
        found = located(row.name)
        if found is None and not any(file.repo for file in row.files):
            OUT.print(f"{row.name} ({row.used_for}): not here, so {row.lacking}; {remedy(row)}")
            continue
        if found is None:
            OUT.print(f"{row.name} ({row.used_for}): fetching {row.size_mb} MB")
            fetch(row)
        OUT.print(f"{row.name} ({row.used_for}): {_whence(row)}")
    for repo, used_for, files in wanted_repositories(config):
        if locate_repository(repo) is None:
            OUT.print(f"{repo} ({used_for}): fetching")
            fetch_repository(repo, files)
        OUT.print(f"{repo} ({used_for}): here")
    if config.perception.vision.describe != "layout":
        OUT.print("preparing the model that describes pictures (minutes, the first time) ...")
        OUT.print(importlib.import_module(PREPARE).prepare(config.perception.vision))
    if config.perception.hearing.transcribe:
        OUT.print(importlib.import_module(PREPARE_HEARING).prepare(config.perception.hearing))
    OUT.print("all is here")


def _whence(row: Weights) -> str:
    """Where weights are, once they should be here.

    Raises:
        WeightsError: they are not.
    """
    found = located(row.name)
    if found is None:
        raise WeightsError(absent(row.name))
    return f"here, from {origin_of(found)}"
