"""Profiles: YAML files in `configs/` or anywhere, read into typed, frozen structs.

An unknown key is an error that names it and the nearest known one. Every key is documented beside
its value in `configs/embedded.yaml`; a profile only states what differs from the defaults here.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
import yaml
from msgspec import Meta, Struct

from runtime import program
from runtime.errors import ConfigError
from runtime.messages import Channel, Keeping

PROFILE_DIR = program.ROOT / "configs"

# As large as any quantity here can mean something; infinity is none.
MOST = 1e9
Positive = Annotated[float, Meta(gt=0, le=MOST)]
NonNegative = Annotated[float, Meta(ge=0, le=MOST)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
PositiveInt = Annotated[int, Meta(gt=0, le=int(MOST))]
NonNegativeInt = Annotated[int, Meta(ge=0, le=int(MOST))]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the sections of a profile."""


class SamplingConfig(Section, frozen=True):
    """Which decoded frames are looked at closely."""

    base_hz: Positive = 1.0
    novelty: Fraction = 0.06
    min_gap_s: NonNegative = 0.2
    still_interval_s: Positive = 10.0


class OpenClipConfig(Section, frozen=True):
    """Which open_clip model turns pictures and words into vectors, and where it runs."""

    model: str = "ViT-B-32"
    weights: str = "datacomp_xl_s13b_b90k"
    device: Literal["auto", "cpu", "gpu"] = "auto"
    precision: Literal["fp32", "int8"] = "fp32"
    batch: PositiveInt = 8


class VisionConfig(Section, frozen=True):
    """What is done with a sampled frame."""

    describe: str = "layout"
    open_clip: OpenClipConfig = OpenClipConfig()
    tags: str = "everyday"
    tags_max: NonNegativeInt = 8
    read_text: bool = True
    read_text_min_confidence: Fraction = 0.8
    detect: str = "ssd"
    faces: bool = True
    motion: bool = True
    detect_width_px: PositiveInt = 480
    thumbnail_width_px: PositiveInt = 384
    keyframe_px: PositiveInt = 768
    thumbnail_quality: Annotated[int, Meta(ge=1, le=100)] = 70
    mask: tuple[tuple[Fraction, Fraction, Fraction, Fraction], ...] = ()


class HearingConfig(Section, frozen=True):
    """What is done with sound."""

    transcribe: bool = True
    whisper: str = "base"
    language: str = ""
    speech_threshold: Fraction = 0.5
    min_speech_s: Positive = 0.25
    min_silence_s: Positive = 0.5
    pad_s: NonNegative = 0.4
    max_utterance_s: Positive = 15.0
    sounds: bool = True
    sound_events: str = "off"


class FootageConfig(Section, frozen=True):
    """How much of what a live source sent is kept to be played; 0 MiB keeps none."""

    mib: NonNegative = 256.0
    days: Positive = 1.0
    marked_mib: NonNegative = 256.0

    def keeping(self) -> Keeping:
        return Keeping(int(self.mib * 2**20), self.days * 86_400.0, int(self.marked_mib * 2**20))


class SourceConfig(Section, frozen=True):
    """A live source by name. ``where`` is written as on the command line, see `runtime.sources`."""

    name: str
    where: str
    mask: tuple[tuple[Fraction, Fraction, Fraction, Fraction], ...] = ()
    footage: FootageConfig | None = None


class LiveConfig(Section, frozen=True):
    """What is perceived live, and how patient we are with it."""

    sources: tuple[SourceConfig, ...] = ()
    open_s: Positive = 10.0
    stall_s: Positive = 5.0
    reopen_min_s: Positive = 0.5
    reopen_max_s: Positive = 30.0
    sound_ahead_s: Positive = 30.0
    spill_mb: Positive = 64.0
    camera_width_px: PositiveInt = 1280
    camera_height_px: PositiveInt = 720
    camera_hz: Positive = 30.0
    screen_hz: Positive = 5.0
    footage: FootageConfig = FootageConfig()


class PerceptionConfig(Section, frozen=True):
    sampling: SamplingConfig = SamplingConfig()
    vision: VisionConfig = VisionConfig()
    hearing: HearingConfig = HearingConfig()
    live: LiveConfig = LiveConfig()
    threads: PositiveInt = 2
    cpu_budget: NonNegative = 1.0
    outbox: PositiveInt = 256


class BudgetConfig(Section, frozen=True):
    """What memory may weigh, in MiB, by level; together the size of its file."""

    hot_mib: Annotated[float, Meta(ge=1, le=MOST)] = 128.0
    events_mib: Annotated[float, Meta(ge=1, le=MOST)] = 64.0
    episodes_mib: Annotated[float, Meta(ge=1, le=MOST)] = 16.0
    words_mib: Annotated[float, Meta(ge=1, le=MOST)] = 64.0
    compressor: str = "pooling"


class RetentionConfig(Section, frozen=True):
    """Limits of single channels, beside the budgets."""

    max_age_days: dict[Channel, Positive] = {}
    max_mib: dict[Channel, Positive] = {}


class MemoryConfig(Section, frozen=True):
    """How memory commits, cuts events and searches."""

    commit_interval_s: Positive = 0.25
    event_min_s: Positive = 3.0
    event_max_s: Positive = 64.0
    surprise_gamma: NonNegative = 1.0
    surprise_window: PositiveInt = 64
    parent_weight: NonNegative = 0.2
    vector_weight: NonNegative = 0.5
    neighbour_window_s: NonNegative = 12.0
    budget: BudgetConfig = BudgetConfig()
    retention: RetentionConfig = RetentionConfig()
    passphrase_file: str = ""


class ModelConfig(Section, frozen=True):
    """The language model that composes answers, where there is one."""

    base_url: str = ""
    name: str = ""
    context_tokens: NonNegativeInt = 0
    image_tokens: NonNegativeInt = 0
    answer_tokens: PositiveInt = 400
    max_images: Annotated[int, Meta(ge=0, le=32)] = 10
    max_steps: Annotated[int, Meta(ge=0, le=32)] = 6
    max_citations: PositiveInt = 12
    quiet_s: NonNegative = 0.0


class DescribeConfig(Section, frozen=True):
    """What a model with eyes describes in the background, and how much of it."""

    when: Literal["local", "always", "never"] = "local"
    calls_per_h: NonNegativeInt = 120
    tokens_per_h: NonNegativeInt = 150_000
    per_event: PositiveInt = 2
    caption_tokens: PositiveInt = 120
    hour_tokens: PositiveInt = 300
    idle_s: NonNegative = 3.0
    deadline_s: Positive = 60.0


class StandingConfig(Section, frozen=True):
    """How standing queries ("tell me when ...") are judged and delivered."""

    cool_down_s: NonNegative = 20.0
    duplicate_s: NonNegative = 60.0
    limit: PositiveInt = 32
    confirmations_per_h: NonNegativeInt = 60
    confirm_deadline_s: Positive = 15.0
    look_every_s: Positive = 10.0
    looks_per_h: NonNegativeInt = 120
    bell: bool = True
    webhook: Annotated[str, Meta(pattern=r"^(https?://\S+)?$")] = ""
    webhook_private: bool = False
    webhook_timeout_s: Positive = 5.0


class ReasoningConfig(Section, frozen=True):
    """How questions are answered."""

    backend: str = "auto"
    model: ModelConfig = ModelConfig()
    abstain_below: Fraction = 0.35
    max_citations: PositiveInt = 4
    recall_limit: PositiveInt = 20
    deadline_s: Positive = 30.0
    describe: DescribeConfig = DescribeConfig()
    standing: StandingConfig = StandingConfig()


class SupervisorConfig(Section, frozen=True):
    """When a process counts as failed, and what is done about it."""

    start_deadline_s: Positive = 30.0
    liveness_deadline_s: Positive = 10.0
    data_deadline_s: Positive = 60.0
    restart_budget: PositiveInt = 5
    stable_after_s: Positive = 12.0
    stop_deadline_s: Positive = 10.0


class VoiceConfig(Section, frozen=True):
    """Talking with the agent, live."""

    mode: Literal["off", "push", "wake", "any"] = "off"
    phrase: str = "hey mindstream"
    follow_s: NonNegative = 8.0
    least_confidence: Fraction = 0.4
    synthesis: str = "auto"
    loudspeaker: str = ""


class ServeConfig(Section, frozen=True):
    """The page, the API and MCP: where they are served, to whom, and how much of them."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8420
    sign_in: Literal["auto", "always"] = "auto"
    names: tuple[str, ...] = ()
    certificate: str = ""
    key: str = ""
    live_hz: Annotated[float, Meta(gt=0, le=30)] = 2.0
    body_mib: Positive = 32.0
    requests_per_s: Positive = 60.0
    clip_max_s: Positive = 300.0


class SitesConfig(Section, frozen=True):
    """Many memories seen as one: how long each is waited for."""

    deadline_s: Positive = 3.0


class LogConfig(Section, frozen=True):
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Section, frozen=True):
    """A whole profile."""

    perception: PerceptionConfig = PerceptionConfig()
    memory: MemoryConfig = MemoryConfig()
    reasoning: ReasoningConfig = ReasoningConfig()
    supervisor: SupervisorConfig = SupervisorConfig()
    voice: VoiceConfig = VoiceConfig()
    serve: ServeConfig = ServeConfig()
    sites: SitesConfig = SitesConfig()
    log: LogConfig = LogConfig()


def profile_path(name_or_path: str) -> Path:
    """The file of a profile: a path as given, or a name in `configs/`.

    Raises:
        ConfigError: there is no such file or name.
    """
    named = PROFILE_DIR / f"{name_or_path}.yaml"
    if named.is_file() and os.sep not in name_or_path:
        return named
    path = Path(name_or_path)
    if path.is_file():
        return path
    if path.is_dir():
        raise ConfigError(f"config {name_or_path!r} is a directory; give a YAML file or a profile name")
    known = ", ".join(sorted(p.stem for p in PROFILE_DIR.glob("*.yaml")))
    raise ConfigError(f"no config {name_or_path!r}: neither a file nor one of the profiles ({known})")


def load_config(name_or_path: str = "embedded") -> Config:
    """Read a profile.

    Raises:
        ConfigError: no such profile, not YAML, an unknown key or a value of the wrong kind.
    """
    path = profile_path(name_or_path)
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise ConfigError(f"config {path}: no permission to read it") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"config {path}: not a text file") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        at = f" at line {where.line + 1}" if where else ""
        why = " ".join(str(getattr(error, "problem", error)).split())
        raise ConfigError(f"config {path}: not YAML{at} ({why})") from error
    except RecursionError as error:
        raise ConfigError(f"config {path}: nested without end") from error
    return parse_config({} if tree is None else tree, str(path))


def parse_config(tree: Any, origin: str) -> Config:
    """A profile from plain YAML values; ``origin`` names it in errors.

    Raises:
        ConfigError: an unknown key or a value of the wrong kind.
    """
    if not isinstance(tree, dict):
        raise ConfigError(f"config {origin}: expected a mapping of sections, found {type(tree).__name__}")
    try:
        return msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"config {origin}: {_explain(str(error))}") from error


def _explain(problem: str) -> str:
    """msgspec's account of a bad value, as one line with the key's full name and a suggestion."""
    match = re.match(r"(?P<what>.*?)(?: - at `\$\.?(?P<where>[^`]*)`)?$", problem, re.DOTALL)
    what, where = (match["what"], match["where"] or "") if match else (problem, "")
    unknown = re.match(r"Object contains unknown field `(.+)`", what)
    if not unknown and what.startswith("Invalid enum value"):
        section: Any = Config
        for part in where.split("."):
            section = {f.name: f.type for f in msgspec.structs.fields(section)}[part]
        return f"{where}: {what.removeprefix('Invalid enum value ')} is none of {', '.join(get_args(section))}"
    if not unknown:
        return f"{where or 'the profile'}: {what[:1].lower()}{what[1:]}"
    key = unknown[1]
    section = Config
    for part in filter(None, where.split(".")):
        section = {f.name: f.type for f in msgspec.structs.fields(section)}[part]
    known = [f.name for f in msgspec.structs.fields(section)]
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
    return f"unknown key {'.'.join(filter(None, (where, key)))!r}; {hint}"
