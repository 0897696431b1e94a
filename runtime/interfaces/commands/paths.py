"""Paths as they are given on a command line, made such as every process can use."""

from __future__ import annotations

from pathlib import Path

from runtime.errors import UserError


def absolute(path: Path) -> Path:
    """``path`` from the root on, since processes work in other folders.

    Raises:
        UserError: its name is no text, or it begins in a folder that is gone.
    """
    try:
        found = path.absolute()
    except FileNotFoundError:
        raise UserError(f"{path}: the folder you are in has been removed; change into one that is there") from None
    try:
        str(found).encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(f"{str(found)!r}: a name in it is not UTF-8; rename it") from None
    return found
