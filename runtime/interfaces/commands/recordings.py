"""The recordings a command names: files, and folders with those that are in them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from runtime.errors import UserError
from runtime.interfaces.commands.paths import absolute
from runtime.interfaces.terminal.render import note
from runtime.messages import SourceRecord
from runtime.processes import FINGERPRINT, PROBE
from runtime.replay import Recording, record_of

PASSED_OVER_NAMED = 3


def find_recordings(paths: Sequence[str]) -> list[Recording]:
    """What the paths lead to, in their order; of a folder its media files by name, not those of folders in it.

    Raises:
        UserError: a file is missing, or no media that can be played; a folder has none.
    """
    found: list[Recording] = []
    for path in paths:
        found += _in_folder(Path(path)) if Path(path).is_dir() else [_probe(path)]
    return found


def grown(recordings: Sequence[Recording], known: Sequence[SourceRecord]) -> list[tuple[SourceRecord, Recording]]:
    """What memory knows of recordings that lie where they lay, and have grown since."""
    has_grown = importlib.import_module(FINGERPRINT).has_grown
    return [
        (record, recording)
        for recording in recordings
        if record_of(recording, known) is None
        for record in known
        if record.uri == recording.path and has_grown(recording.path, record.fingerprint)
    ]


def _in_folder(folder: Path) -> list[Recording]:
    try:
        files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}; check the owner or run chmod") from None
    found, others = [], []
    for file in files:
        try:
            found.append(_probe(str(file)))
        except UserError:
            others.append(file.name)
    if not found:
        raise UserError(f"{folder}: a directory with no video or audio file in it; give one that has some, or a file")
    if others:
        named = ", ".join(others[:PASSED_OVER_NAMED])
        more = ", ..." if len(others) > PASSED_OVER_NAMED else ""
        note(f"{folder}: {len(found)} recordings; passed over what cannot be played: {named}{more}")
    return found


def _probe(path: str) -> Recording:
    info = importlib.import_module(PROBE).probe(path)
    return Recording(
        path=str(absolute(Path(path))),
        fingerprint=info.fingerprint,
        started_wall_s=info.started_wall_s,
        duration_s=info.duration_s,
        missing=info.missing,
        former=importlib.import_module(FINGERPRINT).former_fingerprint(path),
    )
