"""What a file of weights holds, as far as that can be told in milliseconds and without the packages that load it.

A checkpoint is a zip archive (torch.save, https://pytorch.org/docs/stable/notes/serialization.html) or a safetensors
file (https://github.com/huggingface/safetensors). Both tell at one end what the whole must hold, so that a file that
was cut short, a web page saved as one and another program's model are known for what they are. Whether the numbers
are right only loading tells.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from runtime.errors import WeightsError

# Names that the tensors of every model of the family have, or the keys beside them.
FAMILIES = {
    "open_clip": ("visual", "logit_scale"),
    "Whisper": ("dims", "encoder.conv1.weight", "decoder.token_embedding.weight"),
}
_HEADER_MAX = 100_000_000
# torch.save before 1.6: pickles one after the other. Nothing is told of these without loading them.
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def check_checkpoint(path: Path, family: str) -> str:
    """That ``path`` is a whole checkpoint of a model of ``family``; what was looked at, in a clause.

    Raises:
        WeightsError: it is not, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_OLD_TORCH))
        if start == _OLD_TORCH:
            return "an older file of torch, which only loading can check"
        names = _names_in_zip(path) if zipfile.is_zipfile(path) else _names_in_safetensors(path)
    except OSError as error:
        raise WeightsError(f"weights {path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise WeightsError(f"weights {path}: no checkpoint, or cut short; fetch it again") from error
    if missing := [name for name in FAMILIES[family] if name.encode() not in names]:
        raise WeightsError(f"weights {path}: no model of {family}: nothing in it is called {missing[0]!r}")
    return f"whole, with the tensors of {family}; that they fit the model is checked when it is loaded"


def _names_in_zip(path: Path) -> bytes:
    """The pickle that names the tensors; its strings stand in it as they are. It is not run."""
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        return archive.read(pickles[0]) if pickles else b""


def _names_in_safetensors(path: Path) -> bytes:
    """The header, whose last offset must be the file's end."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= _HEADER_MAX:
            raise ValueError("no header")
        header = file.read(length)
    tensors = {name: entry for name, entry in json.loads(header).items() if name != "__metadata__"}
    end = max(entry["data_offsets"][1] for entry in tensors.values())
    if path.stat().st_size != 8 + length + end:
        raise ValueError("cut short")
    return "\n".join(tensors).encode()
