"""What the supervisor tells a process it starts: its place in the agent, the profile, and its work."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct

from runtime.bus import Member
from runtime.config import Config, ServeConfig
from runtime.sources import LiveSource


class FileSource(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A recording to perceive.

    duration_s  how long it lasts, None where that is not known.
    timeline_s  when its media second 0 is due, by the media time of the replay.
    """

    source: str
    path: str
    fingerprint: str = ""
    started_wall_s: float = 0.0
    duration_s: float | None = None
    timeline_s: float = 0.0


class _Work(Struct, frozen=True, kw_only=True, tag_field="work"):
    """Base of what a process may be started for."""


class OnFolder(_Work, frozen=True, tag="folder"):
    """Work on the memory in this folder. ``locked``: it is encrypted, and its key comes on standard input;
    ``read_only``: its disk cannot be written."""

    path: str
    locked: bool = False
    read_only: bool = False


class PerceiveFiles(_Work, frozen=True, tag="files"):
    """Perceive these recordings one after another, at ``speed`` times real time or as fast as can be.

    ``epoch_s``: by the machine's monotonic clock, when media time 0 is due. ``record_dir``: where what is published is
    recorded, "" for nowhere.
    """

    sources: tuple[FileSource, ...]
    speed: float | Literal["max"] = "max"
    record_dir: str = ""
    epoch_s: float | None = None


class PerceiveLive(_Work, frozen=True, tag="live"):
    """Perceive one live source until the process is to stop. ``epoch_s``: as above. ``masks``: the file of private
    regions that were set while watching, ``footage`` the folder that what the source sends is kept in; "" for none.
    """

    source: LiveSource
    epoch_s: float | None = None
    masks: str = ""
    footage: str = ""


class ServePage(_Work, frozen=True, tag="page"):
    """Serve the page, the API and MCP of the agent whose memory is in this folder."""

    path: str
    page: ServeConfig


class Serve(_Work, frozen=True, tag="serve"):
    """Answer calls, of nothing in particular."""


Work = OnFolder | PerceiveFiles | PerceiveLive | ServePage | Serve


class Plan(Struct, frozen=True):
    """A JSON file in the run directory."""

    name: str
    role: str
    main: str
    work: Work
    config: Config
    members: tuple[Member, ...]


def plan_path(run_dir: Path, name: str) -> Path:
    return run_dir / f"{name}.plan.json"
