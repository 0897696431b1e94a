"""`doctor`: what works on this machine, and what each absence costs."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rich.text import Text

from runtime import program
from runtime.agent import MAX_RUN_DIR_BYTES, RUN_DIR_PREFIX
from runtime.config import Config
from runtime.encryption import Key, lock_of
from runtime.errors import ConfigError, StoreError, WeightsError
from runtime.interfaces.commands.abilities import Finding, abilities
from runtime.interfaces.commands.reembed import configured_space, mismatch
from runtime.interfaces.commands.setup import wanted_weights
from runtime.interfaces.terminal.render import OUT, byte_size
from runtime.interfaces.unlock import without_asking
from runtime.processes import DEVICES, REPAIR, STORED
from runtime.weights.checkpoints import check_checkpoint
from runtime.weights.known import Located, located, origin_of, remedy
from runtime.weights.table import VOICE_ACTIVITY, WEIGHTS, Weights

LOW_DISK_BYTES = 500_000_000
# So long is a memory looked through.
LOOKED_AT_S = 20.0


def examine(config: Config, memory_dir: Path) -> int:
    """Print the findings; 0 if the agent can work, else 1."""
    findings: list[Finding] = []
    for check in _CHECKS:
        findings += check(config, memory_dir)
    marks = {"ok": ("ok     ", "green"), "absent": ("absent ", "yellow"), "broken": ("BROKEN ", "red")}
    for finding in findings:
        mark, style = marks[finding.state]
        OUT.print(Text(mark, style=style) + Text(f"{finding.what}: {finding.text}"))
    broken = sum(finding.state == "broken" for finding in findings)
    OUT.print(f"{broken} broken; the agent cannot run until that is mended" if broken else "the agent can run")
    return 1 if broken else 0


def _machine(config: Config, memory_dir: Path) -> list[Finding]:
    cores = len(os.sched_getaffinity(0))
    python = platform.python_version()
    state = "ok" if sys.version_info >= (3, 11) else "broken"
    return [
        Finding(state, "python", f"{python} on {platform.system()} {platform.machine()}, {cores} cores"),
        _gpu(),
    ]


def _gpu() -> Finding:
    driver = shutil.which("nvidia-smi")
    if driver and any(Path("/dev").glob("nvidia[0-9]*")):
        return Finding("ok", "gpu", "an NVIDIA device is there; open_clip and models of transformers use it")
    return Finding("absent", "gpu", "none found; models run on the processor, which the embedded encoders do anyway")


def _devices(config: Config, memory_dir: Path) -> list[Finding]:
    """What live sources could be opened; files and network streams need no device."""
    names = []
    for node in sorted(Path("/sys/class/video4linux").glob("video*")):
        with suppress(OSError):
            label = (node / "name").read_text(encoding="utf-8", errors="replace").strip()
            usable = os.access(f"/dev/{node.name}", os.R_OK | os.W_OK)
            names.append(f"{node.name} ({label}{'' if usable else '; no permission: join the group video'})")
    cameras = Finding("ok", "cameras", ", ".join(names)) if names else (
        Finding("absent", "cameras", "none found; recordings, screens and network streams can be watched")
    )  # fmt: skip
    devices = importlib.import_module(DEVICES)
    if why := devices.why_no_microphone():
        microphones = Finding("absent", "microphones", f"{why}; the sound of recordings and streams can be heard")
    else:
        microphones = Finding("ok", "microphones", ", ".join(devices.microphones()))
    why = devices.why_no_screen()
    return [cameras, microphones, Finding("absent" if why else "ok", "screen", why or "can be watched")]


def _weights(config: Config, memory_dir: Path) -> list[Finding]:
    """The weights that this profile names: whether they are here and from where, whose they are and under which
    licence, and what their absence costs."""
    findings = []
    for row in [*wanted_weights(config), WEIGHTS[VOICE_ACTIVITY[0]]]:
        about = f"{row.used_for}, by {row.maker}, licence {row.licence}"
        try:
            found = located(row.name)
            if found is None:
                text = f"not here, so {row.lacking}; {remedy(row)} ({row.size_mb} MB; {about})"
                findings.append(Finding("absent", row.name, text))
            else:
                findings.append(
                    Finding("ok", row.name, f"from {origin_of(found)}, {_looked_at(row, found[0])} ({about})")
                )
        except WeightsError as error:
            findings.append(Finding("absent", row.name, f"{error}; so {row.lacking}"))
    return findings


def _looked_at(row: Weights, found: Located) -> str:
    """What was checked of weights that are here."""
    if all(file.sha256 for file in row.files):
        return "checksum right"
    return check_checkpoint(found.parts[0], "open_clip") if row.name.startswith("open_clip/") else "no checksum known"


def _packages(config: Config, memory_dir: Path) -> list[Finding]:
    # By what is imported: more than one distribution holds a cv2.
    needed = {
        "anyio": "tasks",
        "zmq": "messages between processes",
        "msgspec": "messages",
        "av": "decoding",
        "cv2": "pictures, people and faces",
        "onnxruntime": "models",
        "rapidocr": "words on screen",
        "ctranslate2": "speech",
        "faster_whisper": "speech, voice activity",
    }
    findings = []
    installed = importlib.metadata.packages_distributions()
    for module, role in needed.items():
        names = installed.get(module, [])
        if names:
            findings.append(Finding("ok", names[0], f"{importlib.metadata.version(names[0])} ({role})"))
        else:
            findings.append(Finding("broken", module, f"not installed ({role}); run `make demo` or `make test`"))
    optional = {"torch": "other encoders", "open_clip_torch": "image and text vectors"}
    for name, role in optional.items():
        try:
            version = importlib.metadata.version(name)
            findings.append(Finding("ok", name, f"{version} ({role} beyond the embedded ones)"))
        except importlib.metadata.PackageNotFoundError:
            findings.append(Finding("absent", name, f"not installed; only needed for {role} beyond the embedded ones"))
    return findings


def _models(config: Config, memory_dir: Path) -> list[Finding]:
    """The model files that come inside packages."""
    files = {
        "text detection and recognition": ("rapidocr", "models", "*.onnx"),
        "faces": ("cv2", "data", "haarcascade_frontalface*.xml"),
    }
    findings = []
    for what, (package, folder, pattern) in files.items():
        spec = importlib.util.find_spec(package)
        places = spec.submodule_search_locations if spec else None
        found = [path for place in places or [] for path in Path(place, folder).glob(pattern)]
        if found:
            findings.append(Finding("ok", what, ", ".join(sorted(path.name for path in found)[:3])))
        else:
            findings.append(Finding("broken", what, f"no {pattern} in package {package}; reinstall it"))
    return findings


def _storage(config: Config, memory_dir: Path) -> list[Finding]:
    with sqlite3.connect(":memory:") as database:
        options = {row[0] for row in database.execute("PRAGMA compile_options")}
    database.close()
    fts = "ENABLE_FTS5" in options
    findings = [
        Finding("ok" if fts else "broken", "sqlite", sqlite3.sqlite_version + ("" if fts else " without FTS5")),
    ]
    existing = next(path for path in (memory_dir, *memory_dir.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    writable = os.access(existing, os.W_OK)
    state = "ok" if writable and free > LOW_DISK_BYTES else "broken"
    text = f"{memory_dir}, {byte_size(free)} free" + ("" if writable else ", no permission to write")
    findings.append(Finding(state, "memory folder", text))
    temp = tempfile.gettempdir()
    fits = len(os.fsencode(temp)) + len(RUN_DIR_PREFIX) + 20 <= MAX_RUN_DIR_BYTES
    findings.append(Finding("ok", "run folder", temp if fits else f"{temp} is too long for sockets; /tmp is used"))
    return findings


def _described_by(config: Config, memory_dir: Path) -> list[Finding]:
    """By which encoders the pictures in memory were described."""
    try:
        lock = lock_of(memory_dir)
        key = without_asking(lock, config) if lock else None
        if lock and not key:
            return [Finding("ok", "memory", f"{memory_dir} is encrypted; not looked through, for want of a passphrase")]
        if damage := _damage(memory_dir, key):
            return [Finding("broken", "memory", f"{memory_dir}: {damage}; run `{program.name()} repair`")]
        spaces = importlib.import_module(STORED).spaces_in(memory_dir, key)
    except (StoreError, ConfigError) as error:
        return [Finding("broken", "memory", str(error))]
    if not spaces:
        return []
    if line := mismatch(spaces, configured_space(config)):
        return [Finding("absent", "pictures in memory", line)]
    return [Finding("ok", "pictures in memory", ", ".join(f"{held.vectors} by {s}" for s, held in spaces.items()))]


def _damage(memory_dir: Path, key: Key | None) -> str:
    """What is wrong with the file, in a line."""
    path = memory_dir / "memory.db"
    return str(importlib.import_module(REPAIR).find_damage(path, LOOKED_AT_S, key)) if path.exists() else ""


def _abilities(config: Config, memory_dir: Path) -> list[Finding]:
    return abilities(config)


_CHECKS: tuple[Callable[[Config, Path], list[Finding]], ...] = (
    _machine, _devices, _packages, _models, _weights, _storage, _described_by, _abilities
)  # fmt: skip
