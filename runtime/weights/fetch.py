"""Fetches weights from the Hugging Face hub into its own cache, with its progress bars; other bytes are refused.

A branch is asked once which commit it is, and then everything is of that commit. What arrives is held to the checksum
of our table, or where that has none to the one the hub states for that commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from runtime.errors import WeightsError
from runtime.weights.known import digest, home, located
from runtime.weights.table import WeightFile, Weights

# The hub tells the SHA-256 of large files; of small ones what Git calls their content by, a SHA-1.
_SHA256_DIGITS, _SHA1_DIGITS = 64, 40
# What CTranslate2 and transformers load of a repository.
CTRANSLATE2_FILES = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*")
TRANSFORMERS_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")


def fetch(weights: Weights) -> None:
    """Fetch what is not on this machine yet. What broke off is taken up again by the hub's library.

    Raises:
        WeightsError: no network, no such file there, no space, or a checksum that differs.
    """
    for file in weights.files:
        if file.repo:
            _fetch_file(weights, file)
    if located(weights.name) is None:
        raise WeightsError(f"weights {weights.name}: a part of them is on no hub; put it into {home(weights)}")


def fetch_repository(repo: str, patterns: Sequence[str] = TRANSFORMERS_FILES) -> Path:
    """Fetch what fits ``patterns`` of a Hugging Face model ("owner/name"); the folder.

    Raises:
        WeightsError: no network, no such repository, or it is no model.
    """
    import huggingface_hub

    try:
        told = huggingface_hub.HfApi().model_info(repo, files_metadata=True)
        folder = Path(huggingface_hub.snapshot_download(repo, revision=told.sha, allow_patterns=list(patterns)))
    except Exception as error:  # its errors have no common root, and every one is told the same way
        raise WeightsError(f"model {repo} cannot be fetched: {_reason(error)}") from error
    for file in told.siblings or ():
        path = folder / file.rfilename
        stated = file.lfs.sha256 if file.lfs else file.blob_id or ""
        if path.is_file() and not _is_as_stated(path, stated):
            _remove(path)
            raise WeightsError(
                f"model {repo}: {file.rfilename} came damaged (its checksum differs); fetch it once more"
            )
    if not (folder / "config.json").is_file():
        raise WeightsError(f"model {repo} has no config.json: it is no model")
    return folder


def _fetch_file(weights: Weights, file: WeightFile) -> None:
    import huggingface_hub

    name = file.path or file.name
    try:
        # Asked once beforehand: its own download would go on asking for half a minute where there is no network.
        told = huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(file.repo, name))
        path = Path(huggingface_hub.hf_hub_download(file.repo, name, revision=told.commit_hash))
    except Exception as error:  # see above
        by_hand = f"with a network elsewhere, put {file.name} into {home(weights)}"
        raise WeightsError(f"weights {weights.name} cannot be fetched: {_reason(error)}; {by_hand}") from error
    if not _is_as_stated(path, file.sha256 or told.etag or ""):
        _remove(path)
        raise WeightsError(
            f"weights {weights.name}: what {file.repo} has as {file.name} is another file (its checksum differs)"
        )


def _is_as_stated(path: Path, stated: str) -> bool:
    """Whether a file has this checksum; of none, or one of another kind, nothing is known: no."""
    if len(stated) == _SHA256_DIGITS:
        return digest(path) == stated
    if len(stated) == _SHA1_DIGITS:
        content = path.read_bytes()
        named = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
        return named.hexdigest() == stated
    return False


def _remove(path: Path) -> None:
    """What came, and the hub's link to it."""
    path.resolve().unlink()
    path.unlink(missing_ok=True)


def _reason(error: BaseException) -> str:
    """Why in one line."""
    from httpx2 import TransportError
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    if isinstance(error, HfHubHTTPError) and getattr(error, "response", None) is not None:
        return f"the hub answered {error.response.status_code}"
    if isinstance(error, LocalEntryNotFoundError | OfflineModeIsEnabled | TransportError | ConnectionError):
        return "no network, or the hub cannot be reached"
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200] or type(error).__name__
