"""Fetches weights over the network into our cache: resumed where it broke off, kept only if the checksum is right."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from runtime.errors import WeightsError
from runtime.weights.known import WeightFile, Weights, home, locate_repository

# To connect, and between two pieces of a body: a server that says nothing for so long is given up.
_TIMEOUT_S = (10.0, 60.0)
_CHUNK_BYTES = 1 << 18
_DISK_MARGIN_BYTES = 100_000_000

Progress = Callable[[str, int, int], None]
"""Called with a file's name, its bytes so far, and its bytes in all (0 while unknown)."""


def fetch(weights: Weights, on_progress: Progress) -> tuple[Path, ...]:
    """Fetch what is not in our cache yet; the files, in the order of the row.

    What was fetched in part stays and is taken up again. A file appears under its name only once it is whole and its
    SHA-256 is that of the row, or else the one its server states.

    Raises:
        WeightsError: no network, no such file there, no space, or a checksum that differs.
    """
    folder = home(weights)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tuple(_fetch_file(weights, file, folder / file.name, on_progress) for file in weights.files)
    except OSError as error:
        # requests' own errors are OSErrors too, and have no strerror.
        raise WeightsError(f"weights {weights.name} cannot be fetched: {_reason(error)}{_by_hand(weights)}") from error


def fetch_repository(repo: str) -> Path:
    """Fetch a whole Hugging Face model ("owner/name") into its cache, with its own progress bars; the folder.

    Raises:
        WeightsError: no network, no such repository, or its library is not installed.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise WeightsError(f"model {repo} cannot be fetched: huggingface_hub is not installed") from error
    try:
        huggingface_hub.snapshot_download(
            repo, allow_patterns=["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
        )
    except Exception as error:  # its errors have no common root, and every one is told the same way
        raise WeightsError(f"model {repo} cannot be fetched: {_reason(error)}") from error
    found = locate_repository(repo)
    if found is None:
        raise WeightsError(f"model {repo} has no config.json: it is not a transformers model")
    return found


def _fetch_file(weights: Weights, file: WeightFile, target: Path, on_progress: Progress) -> Path:
    if target.is_file():
        return target
    import requests

    part = target.with_name(f"{target.name}.part")
    have = part.stat().st_size if part.exists() else 0
    url = file.url or f"{_hub()}/{file.repo}/resolve/main/{file.path}"
    with requests.Session() as session:
        wanted, total = file.sha256, 0
        if not wanted:
            wanted = _stated_sha256(session, url)
        headers = {"Range": f"bytes={have}-"} if have else {}
        with session.get(url, timeout=_TIMEOUT_S, stream=True, headers=headers) as reply:
            if reply.status_code == 416:  # all of it was there already
                total = have
            else:
                reply.raise_for_status()
                if reply.status_code != 206:
                    have = 0
                total = have + int(reply.headers.get("Content-Length") or 0)
                _check_space(target.parent, total - have)
                _receive(reply, part, have, lambda done: on_progress(file.name, done, total))
    if total and part.stat().st_size != total:
        raise WeightsError(f"weights {weights.name}: {file.name} broke off; run `run_agent.py setup` again")
    if len(wanted) == 64 and _sha256(part) != wanted:
        part.unlink()
        raise WeightsError(
            f"weights {weights.name}: what was fetched as {file.name} has another checksum than expected"
        )
    part.replace(target)
    return target


def _stated_sha256(session: Any, url: str) -> str:
    """The checksum Hugging Face tells of a large file before it sends the reader on to where it is stored; else ""."""
    head = session.head(url, timeout=_TIMEOUT_S, allow_redirects=False)
    if head.headers.get("Location", "").startswith("/"):  # a repository that was renamed
        head = session.head(urljoin(url, head.headers["Location"]), timeout=_TIMEOUT_S, allow_redirects=False)
    return str(head.headers.get("X-Linked-Etag", "")).strip('"').removeprefix("sha256:")


def _receive(reply: Any, part: Path, have: int, on_bytes: Callable[[int], None]) -> None:
    with open(part, "ab" if have else "wb") as out:
        for chunk in reply.iter_content(_CHUNK_BYTES):
            out.write(chunk)
            have += len(chunk)
            on_bytes(have)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_space(folder: Path, bytes_to_come: int) -> None:
    free = shutil.disk_usage(folder).free
    if bytes_to_come + _DISK_MARGIN_BYTES > free:
        raise WeightsError(f"{folder}: {bytes_to_come / 1e6:.0f} MB are to be fetched and {free / 1e6:.0f} MB are free")


def _hub() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _by_hand(weights: Weights) -> str:
    names = " and ".join(file.name for file in weights.files)
    return f"; with a network elsewhere, put {names} into {home(weights)}"


def _reason(error: BaseException) -> str:
    """Why in one line: the innermost account of a chain of network errors."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} for {error.response.url}"
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no network, or the server cannot be reached"
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
