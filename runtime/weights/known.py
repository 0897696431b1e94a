"""The weights this project knows by name: what each is for, where it may lie already, and its checksum.

A name is resolved to files in our own cache (`cache_dir`), else in those that Hugging Face, open_clip, Whisper and
torch keep, so that nothing is fetched twice; anything else is taken as a path. Nothing here touches the network:
`runtime/weights/fetch.py` does, and only `run_agent.py setup` asks it to.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from runtime.errors import WeightsError

_CHUNK_BYTES = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class WeightFile(Struct, frozen=True):
    """One file of a model.

    name    what it is called in our cache.
    url     where it is fetched; empty for a file of a Hugging Face repository.
    repo    "owner/name" of that repository, in which it lies at ``path``.
    sha256  of its content; empty where the server is asked for it when it is fetched (Hugging Face tells it).
    """

    name: str
    url: str = ""
    repo: str = ""
    path: str = ""
    sha256: str = ""


class Weights(Struct, frozen=True):
    """A model by name. ``size_mb`` is what will be fetched, to be shown beforehand; ``used_for`` says what it gives."""

    name: str
    used_for: str
    size_mb: int
    files: tuple[WeightFile, ...]


def _whisper(name: str, sha256: str, size_mb: int) -> Weights:
    url = f"https://openaipublic.azureedge.net/main/whisper/models/{sha256}/{name}.pt"
    return Weights(f"whisper/{name}", "speech to text", size_mb, (WeightFile(f"{name}.pt", url, sha256=sha256),))


def _open_clip(model: str, tag: str, repo: str, size_mb: int) -> Weights:
    file = "open_clip_model.safetensors"
    return Weights(
        f"open_clip/{model}/{tag}",
        "image and text vectors, tags",
        size_mb,
        (WeightFile(file, repo=repo, path=file),),
    )


def _piper(voice: str, path: str, size_mb: int) -> Weights:
    names = (f"{voice}.onnx", f"{voice}.onnx.json")
    files = tuple(WeightFile(name, repo="rhasspy/piper-voices", path=f"{path}/{name}") for name in names)
    return Weights(f"piper/{voice}", "speech synthesis", size_mb, files)


_AUDIOSET = "https://raw.githubusercontent.com/tensorflow/models/master/research/audioset"

# Whisper's checksums are part of its addresses (whisper/__init__.py, v20250625); the repositories are those that
# open_clip 3.3 names for the same tags.
WEIGHTS: dict[str, Weights] = {
    row.name: row
    for row in (
        _open_clip("ViT-B-32", "datacomp_xl_s13b_b90k", "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K", 605),
        _open_clip("ViT-B-32", "laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", 605),
        _open_clip("ViT-B-16", "datacomp_xl_s13b_b90k", "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K", 599),
        _open_clip("ViT-L-14", "datacomp_xl_s13b_b90k", "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K", 1711),
        _open_clip("MobileCLIP2-S0", "dfndr2b", "timm/MobileCLIP2-S0-OpenCLIP", 300),
        _whisper("tiny", "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9", 76),
        _whisper("base", "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e", 145),
        _whisper("small", "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794", 484),
        _whisper("medium", "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1", 1528),
        _whisper("large-v3-turbo", "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a", 1618),
        Weights(
            "yamnet",
            "sounds by name",
            16,
            (
                WeightFile("yamnet.onnx", repo="andrelgomes/yamnet-onnx", path="yamnet.onnx"),
                WeightFile("yamnet_class_map.csv", f"{_AUDIOSET}/yamnet/yamnet_class_map.csv"),
            ),
        ),
        _piper("en_US-lessac-medium", "en/en_US/lessac/medium", 63),
    )
}


def cache_dir() -> Path:
    """Where fetched weights are kept: `$XDG_CACHE_HOME/mindstream/weights`, else under `~/.cache`."""
    return _cache_home() / "mindstream" / "weights"


def home(weights: Weights) -> Path:
    """The folder in our cache that belongs to these weights."""
    return cache_dir().joinpath(*weights.name.split("/"))


def locate(name: str) -> tuple[Path, ...] | None:
    """Files of the weights ``name``, in the order of its row, or of the path ``name``; None if they are not here.

    Raises:
        WeightsError: a file is here but damaged or another one, a path does not exist, or there is no such name.
    """
    weights = WEIGHTS.get(name)
    if weights is None:
        return (_given(name),)
    found = [_locate_file(weights, file) for file in weights.files]
    return None if None in found else tuple(path for path in found if path is not None)


def require(name: str) -> tuple[Path, ...]:
    """As `locate`, but absence is an error that says how to get them.

    Raises:
        WeightsError: see `locate`, or the weights are not on this machine.
    """
    found = locate(name)
    if found is None:
        raise WeightsError(f"weights {name} are not on this machine; run `run_agent.py setup` to fetch them")
    return found


def locate_repository(repo: str) -> Path | None:
    """The folder of a whole Hugging Face model ("owner/name") in its cache, or that path; None if it is not here."""
    if Path(repo).is_dir():
        return Path(repo)
    return next((folder for folder in _snapshots(repo) if (folder / "config.json").is_file()), None)


def digest(path: Path) -> str:
    """SHA-256 of a file as 64 hex digits; kept beside our cache by size and modification time, so it is read once.

    Raises:
        WeightsError: the file cannot be read.
    """
    real = path.resolve()
    if _SHA256.fullmatch(real.name) and real.parent.name == "blobs":
        return real.name  # Hugging Face's cache names a large file by its checksum
    try:
        status = real.stat()
        key = f"{real}:{status.st_size}:{status.st_mtime_ns}"
        known = _known_digests()
        if key not in known:
            hashed = hashlib.sha256()
            with open(real, "rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    hashed.update(chunk)
            known[key] = hashed.hexdigest()
            _keep_digests(known)
    except OSError as error:
        raise WeightsError(f"weights {path}: cannot be read ({error.strerror})") from error
    return known[key]


def _given(name: str) -> Path:
    """The file a path names."""
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if os.sep in name and not name.startswith(("open_clip/", "whisper/", "piper/")):
        raise WeightsError(f"weights {name}: no such file")
    known = ", ".join(sorted(WEIGHTS))
    raise WeightsError(f"no weights are known as {name!r}, and there is no such file; known: {known}")


def _locate_file(weights: Weights, file: WeightFile) -> Path | None:
    damaged: Path | None = None
    for path in _places(weights, file):
        if not path.is_file():
            continue
        if not file.sha256 or digest(path) == file.sha256:
            return path
        damaged = damaged or path
    if damaged is not None:
        raise WeightsError(
            f"weights {weights.name}: {damaged} is damaged or another file (its checksum differs); "
            "delete it and run `run_agent.py setup`"
        )
    return None


def _places(weights: Weights, file: WeightFile) -> Iterator[Path]:
    """Where a file may lie, ours first."""
    yield home(weights) / file.name
    for snapshot in _snapshots(file.repo) if file.repo else ():
        yield snapshot / file.path
    if weights.name.startswith("whisper/"):
        yield _cache_home() / "whisper" / file.name
    if weights.name.startswith("open_clip/") and not file.repo:
        yield Path.home() / ".cache" / "clip" / file.name
    yield Path(os.environ.get("TORCH_HOME") or _cache_home() / "torch") / "hub" / "checkpoints" / file.name


def _snapshots(repo: str) -> list[Path]:
    """Folders of a repository in Hugging Face's cache, its main branch first."""
    hub = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or _cache_home() / "huggingface") / "hub"
    folder = Path(hub) / f"models--{repo.replace('/', '--')}"
    snapshots = sorted(path for path in folder.glob("snapshots/*") if path.is_dir())
    with suppress(OSError):
        main = (folder / "refs" / "main").read_text(encoding="ascii").strip()
        snapshots.sort(key=lambda path: path.name != main)
    return snapshots


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _known_digests() -> dict[str, str]:
    try:
        return msgspec.json.decode((cache_dir() / "digests.json").read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        return {}


def _keep_digests(known: dict[str, str]) -> None:
    """Best effort: without it, files are only read again. Entries of files that are gone go too."""
    kept = {key: value for key, value in known.items() if Path(key.rsplit(":", 2)[0]).exists()}
    with suppress(OSError):
        cache_dir().mkdir(parents=True, exist_ok=True)
        scratch = cache_dir() / f"digests.{os.getpid()}"
        scratch.write_bytes(msgspec.json.encode(kept))
        scratch.replace(cache_dir() / "digests.json")
