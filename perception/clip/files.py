"""Where the files of the open_clip model that a profile names are, and how what is derived from them comes about.

Derived are an export for ONNX Runtime and the vectors of the tags, both kept beside our weights under a key of all
they depend on, so that other weights or another vocabulary never meet them. Children derive them, one at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from perception.clip.onnx_model import Manifest, read_manifest
from perception.clip.tags import read_vectors
from runtime import program
from runtime.config import OpenClipConfig, VisionConfig
from runtime.errors import ConfigError, UserError, WeightsError
from runtime.language.vocabulary import load_vocabulary
from runtime.service import USER_ERROR_MARK
from runtime.weights.known import cache_dir, digest, require
from runtime.weights.table import WEIGHTS

# Of the exporter: a change to what it writes makes all exports anew.
_EXPORT_VERSION = "2"
_EXPORT_DEADLINE_S = 1800.0  # ViT-L-14 on one slow core


def checkpoint_of(options: OpenClipConfig) -> Path:
    """The checkpoint a profile names.

    Raises:
        ConfigError: the name of the weights is unknown and no file.
        WeightsError: it is not here, or damaged.
    """
    name = f"open_clip/{options.model}/{options.weights}"
    if name in WEIGHTS:
        return require(name)[0]
    path = Path(options.weights).expanduser()
    if path.is_file():
        return path
    tags = [row.rsplit("/", 1)[1] for row in WEIGHTS if row.startswith(f"open_clip/{options.model}/")]
    known = f"; known for {options.model}: {', '.join(tags)}" if tags else ""
    raise ConfigError(f"perception.vision.open_clip.weights: {options.weights!r} is no file and no known name{known}")


def exported(options: OpenClipConfig) -> tuple[Path, Manifest]:
    """The export of the checkpoint a profile names, made now if there is none; minutes, the first time.

    Raises:
        ConfigError: the profile names a model or weights that there are not.
        WeightsError: the weights are absent, damaged or of another model, or the export disagrees with them.
    """
    checkpoint = usable_checkpoint(options)
    folder = export_folder(options, checkpoint)
    manifest = read_manifest(folder)
    if manifest is None:
        with _alone(folder):
            if (manifest := read_manifest(folder)) is None:
                arguments = (options.model, options.weights, str(checkpoint), str(folder), options.precision)
                _run_child("perception.clip.export", arguments, "open_clip's model cannot be exported")
                manifest = read_manifest(folder)
    assert manifest is not None
    return folder, manifest


def usable_checkpoint(options: OpenClipConfig) -> Path:
    """The checkpoint a profile names, if it is exported already or can be.

    Raises:
        ConfigError, WeightsError: see `exported`.
    """
    checkpoint = checkpoint_of(options)
    is_exported = read_manifest(export_folder(options, checkpoint)) is not None
    if not is_exported and importlib.util.find_spec("open_clip") is None:
        raise WeightsError(
            f"open_clip is not installed, which {options.model} needs once to be exported; "
            "install requirements/full.lock"
        )
    return checkpoint


def prepare(vision: VisionConfig) -> str:
    """Derive everything the profile's model needs now; what there is then, in one line.

    Raises:
        ConfigError, WeightsError: see `exported` and `tag_vectors`.
    """
    folder, manifest = exported(vision.open_clip)
    tags = 0
    if vision.tags and vision.tags_max:
        tags = len(tag_vectors(folder, manifest, vision.tags)) - 1
    agreement = min(manifest.agreement.values())
    return f"{manifest.space}: exported ({manifest.precision}, cosine with torch {agreement:.4f}), {tags} tags"


def tag_vectors(folder: Path, manifest: Manifest, vocabulary: str) -> np.ndarray:
    """Vectors of the neutral text and of each tag, computed now if there are none yet; half a minute, the first time.

    Raises:
        ConfigError: the vocabulary is none.
        WeightsError: the text tower cannot be run.
    """
    wanted = load_vocabulary(vocabulary)
    path = folder / f"tags-{wanted.key()}.npy"
    vectors = read_vectors(path, wanted, manifest.dimensions)
    if vectors is None:
        with _alone(folder):
            _run_child(
                "perception.clip.tags", (str(folder), vocabulary, str(path)), "tags cannot be turned into vectors"
            )
        vectors = read_vectors(path, wanted, manifest.dimensions)
    assert vectors is not None
    return vectors


def export_folder(options: OpenClipConfig, checkpoint: Path) -> Path:
    """Where the export of a checkpoint lies, whether it is there or not.

    Raises:
        ConfigError: the file that describes the model cannot be read.
    """
    model = options.model
    if model.endswith(".json"):
        try:
            model = Path(model).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a text file"
            raise ConfigError(f"perception.vision.open_clip.model: {options.model}: {why}") from error
    parts = (_EXPORT_VERSION, model, options.weights if "/" not in options.weights else "", digest(checkpoint))
    key = hashlib.sha256("\0".join((*parts, options.precision)).encode()).hexdigest()[:16]
    return cache_dir().parent / "exports" / key


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one process at a time derives files: the others wait, and then find them."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run_child(module: str, arguments: Sequence[str], failure: str) -> None:
    try:
        ran = subprocess.run(
            program.command(module, *arguments),
            cwd=program.ROOT,
            env=program.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=_EXPORT_DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise WeightsError(f"{failure}: it took longer than {_EXPORT_DEADLINE_S:.0f} s") from None
    if ran.returncode == 0:
        return
    last = ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else f"it ended with code {ran.returncode}"
    if ran.returncode == UserError.exit_code and last.startswith(USER_ERROR_MARK):
        kind, _, told = last.removeprefix(USER_ERROR_MARK).partition(": ")
        raise ConfigError(told) if kind == "ConfigError" else WeightsError(told)
    raise WeightsError(f"{failure}: {last[:200]}")
