"""`setup`: fetches the weights that a profile names, checks them, and prepares what is derived from them."""

from __future__ import annotations

import importlib
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from runtime.config import Config
from runtime.interfaces.terminal.render import ERR, OUT
from runtime.interfaces.voice.synthesis import VOICE
from runtime.processes import PREPARE, PREPARE_HEARING
from runtime.weights.fetch import fetch, fetch_repository
from runtime.weights.known import WEIGHTS, Weights, cache_dir, locate, locate_repository


def wanted_weights(config: Config) -> list[Weights]:
    """The weights a profile names by a name of ours; what it names by a path is the user's own."""
    vision, hearing, voice = config.perception.vision, config.perception.hearing, config.voice
    names = []
    if vision.describe != "layout":
        names.append(f"open_clip/{vision.open_clip.model}/{vision.open_clip.weights}")
    if hearing.transcribe == "auto" or hearing.transcribe.startswith("whisper"):
        names.append(f"whisper/{hearing.whisper}")
    if hearing.sounds and hearing.sound_events == "auto":
        names.append("yamnet")
    if voice.synthesis == "piper" or (voice.synthesis == "auto" and voice.mode != "off"):
        names.append(VOICE)
    return [WEIGHTS[name] for name in names if name in WEIGHTS]


def wanted_repository(config: Config) -> str:
    """The Hugging Face model a profile runs in this process; empty if none."""
    model = config.reasoning.model.name
    return model if config.reasoning.backend == "transformers" and not Path(model).is_dir() else ""


def set_up(config: Config) -> None:
    """Fetch what is absent, one file after another, then prepare what perception derives from it.

    Raises:
        WeightsError: something cannot be fetched or used; what was fetched before stays.
    """
    weights, repository = wanted_weights(config), wanted_repository(config)
    sees, hears = config.perception.vision.describe != "layout", config.perception.hearing.transcribe != "pocketsphinx"
    if not weights and not repository and not sees and not hears:
        OUT.print("this profile needs no weights; `run_agent.py setup --config full` fetches those of the full one")
        return
    absent = [row for row in weights if locate(row.name) is None]
    for row in weights:
        state = f"{row.size_mb} MB to fetch" if row in absent else "here"
        OUT.print(f"{row.name} ({row.used_for}): {state}")
    if absent:
        OUT.print(f"{sum(row.size_mb for row in absent)} MB in all, into {cache_dir()}")
    for row in absent:
        _fetch(row)
    if repository and locate_repository(repository) is None:
        OUT.print(f"{repository} (answers): fetching")
        fetch_repository(repository)
    if sees:
        OUT.print("preparing the model that describes pictures (minutes, the first time) ...")
        OUT.print(importlib.import_module(PREPARE).prepare(config.perception.vision))
    if hears:
        OUT.print("preparing the model that hears speech ...")
        OUT.print(importlib.import_module(PREPARE_HEARING).prepare(config.perception.hearing))
    OUT.print("all is here")


def _fetch(row: Weights) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as progress:
        task = progress.add_task(row.name, total=row.size_mb * 1e6)

        def show(name: str, done: int, total: int) -> None:
            progress.update(task, description=name, completed=done, total=total or None)

        paths = fetch(row, show)
    OUT.print(f"{row.name}: fetched and checked, {paths[0]}")
