"""Where the weights of the table are on this machine: in a cache, or in a Python package that carries the same bytes.

Files are sought in our own cache (`cache_dir`), then in those of Hugging Face and of the program they come from, then
in packages; anything that is no name of the table is taken as a path. Nothing here touches the network:
`runtime/weights/fetch.py` does, and only `run_agent.py setup` asks it to.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from runtime import program
from runtime.errors import WeightsError
from runtime.weights.table import WEIGHTS, WeightFile, Weights

_CHUNK_BYTES = 1 << 20
OURS, HUGGING_FACE = "our cache", "Hugging Face's cache"


class Located(Struct, frozen=True):
    """A file of the table, found: what ``parts`` hold, joined, is its content. ``places`` says who keeps it."""

    file: WeightFile
    parts: tuple[Path, ...]
    places: tuple[str, ...]


def cache_dir() -> Path:
    """Where we keep weights: `$XDG_CACHE_HOME/mindstream/weights`, else under `~/.cache`."""
    return _cache_home() / "mindstream" / "weights"


def home(weights: Weights) -> Path:
    """The folder in our cache that belongs to these weights."""
    return cache_dir().joinpath(*weights.name.split("/"))


def located(name: str) -> tuple[Located, ...] | None:
    """The files of the weights ``name``, in the order of its row, each of the right content; None if one is not here.

    Raises:
        WeightsError: a file is here and is another one than the table's; or there is no such name.
    """
    weights = WEIGHTS.get(name)
    if weights is None:
        raise WeightsError(f"no weights are known as {name!r}; known: {', '.join(sorted(WEIGHTS))}")
    found = [_locate_file(weights, file) for file in weights.files]
    return None if None in found else tuple(one for one in found if one is not None)


def locate(name: str) -> tuple[Path, ...] | None:
    """As `located`, of weights whose files are whole; or the file that the path ``name`` leads to.

    Raises:
        WeightsError: see `located`, or a path does not exist.
    """
    if name not in WEIGHTS:
        return (_given(name),)
    found = located(name)
    assert found is None or all(len(one.parts) == 1 for one in found), f"{name}: in parts, which the caller must join"
    return None if found is None else tuple(one.parts[0] for one in found)


def require(name: str) -> tuple[Path, ...]:
    """As `locate`, but absence is an error that says how to get them.

    Raises:
        WeightsError: see `locate`, or the weights are not on this machine.
    """
    found = locate(name)
    if found is None:
        raise WeightsError(absent(name))
    return found


def origin_of(found: Iterable[Located]) -> str:
    """Who keeps these files, in words."""
    return " and ".join(dict.fromkeys(place for one in found for place in one.places))


def absent(name: str) -> str:
    """One line: that the weights ``name`` are not here, and how to get them."""
    return f"weights {name} are not on this machine; {remedy(WEIGHTS[name])}"


def remedy(weights: Weights) -> str:
    """How to get them, in a clause."""
    ways = [f"run `{program.name()} setup`"] if any(file.repo for file in weights.files) else []
    if modules := sorted({carrier.split("/")[0] for file in weights.files for carrier in file.packages}):
        ways.append(f"install {' and '.join(module.replace('_', '-') for module in modules)} (pinned in requirements)")
    return " or ".join(ways) or f"put {' and '.join(file.name for file in weights.files)} into {home(weights)}"


def locate_repository(repo: str, needed: str = "config.json") -> Path | None:
    """The folder of a Hugging Face model ("owner/name") in its cache, or that path, if it holds the file ``needed``."""
    if Path(repo).is_dir():
        return Path(repo)
    return next((folder for folder in _snapshots(repo) if (folder / needed).is_file()), None)


def digest(*parts: Path) -> str:
    """SHA-256, as 64 hex digits, of what the files hold, joined; kept in our cache by their size and modification
    time, so that they are read once.

    Raises:
        WeightsError: a file cannot be read.
    """
    try:
        stats = [(path.resolve(), path.stat()) for path in parts]
        key = "|".join(f"{real}:{status.st_size}:{status.st_mtime_ns}" for real, status in stats)
        known = _known_digests()
        if key not in known:
            hashed = hashlib.sha256()
            for path in parts:
                with open(path, "rb") as file:
                    while chunk := file.read(_CHUNK_BYTES):
                        hashed.update(chunk)
            known[key] = hashed.hexdigest()
            _keep_digests(known)
    except OSError as error:
        raise WeightsError(f"weights {error.filename}: cannot be read ({error.strerror})") from error
    return known[key]


def _given(name: str) -> Path:
    """The file a path names."""
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if os.sep in name and not name.startswith(tuple(f"{row.split('/')[0]}/" for row in WEIGHTS)):
        raise WeightsError(f"weights {name}: no such file")
    raise WeightsError(
        f"no weights are known as {name!r}, and there is no such file; known: {', '.join(sorted(WEIGHTS))}"
    )


def _locate_file(weights: Weights, file: WeightFile) -> Located | None:
    other: Located | None = None
    for found in _places(weights, file):
        if not all(part.is_file() for part in found.parts):
            continue
        if not file.sha256 or digest(*found.parts) == file.sha256:
            return found
        other = other or found
    if other is not None:
        carried = other.places[0].startswith("package")
        mend = "reinstall that package" if carried else f"delete it and run `{program.name()} setup`"
        raise WeightsError(
            f"weights {weights.name}: {' with '.join(map(str, other.parts))} is damaged or another file "
            f"(its checksum differs); {mend}"
        )
    return None


def _places(weights: Weights, file: WeightFile) -> Iterator[Located]:
    """Where a file may lie, ours first."""
    yield Located(file, (home(weights) / file.name,), (OURS,))
    for snapshot in _snapshots(file.repo) if file.repo else ():
        yield Located(file, (snapshot / (file.path or file.name),), (HUGGING_FACE,))
    if file.cached:
        yield Located(file, (_cache_home() / file.cached,), (f"{file.cached.split('/')[0]}'s cache",))
    if file.packages:
        modules = dict.fromkeys(carrier.split("/")[0] for carrier in file.packages)
        parts = tuple(part for carrier in file.packages if (part := _in_package(carrier)) is not None)
        if len(parts) == len(file.packages):
            yield Located(file, parts, tuple(f"package {module}" for module in modules))


def _in_package(carrier: str) -> Path | None:
    """The path of a file in an installed package, which is located and not imported."""
    module, _, path = carrier.partition("/")
    spec = importlib.util.find_spec(module)
    folders = spec.submodule_search_locations if spec is not None else None
    return Path(folders[0], path) if folders else None


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
    kept = {key: value for key, value in known.items() if Path(key.rsplit(":", 2)[0].split("|")[-1]).exists()}
    with suppress(OSError):
        cache_dir().mkdir(parents=True, exist_ok=True)
        scratch = cache_dir() / f"digests.{os.getpid()}"
        scratch.write_bytes(msgspec.json.encode(kept))
        scratch.replace(cache_dir() / "digests.json")
