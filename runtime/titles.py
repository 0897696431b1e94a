"""What the user calls recordings: titles beside the names memory knows them by, which never change.

A name is part of the identity of everything perceived of a source (docs/decisions/0004), so that a recording perceived
twice is remembered once; a title is only shown, and accepted wherever a source is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from runtime.errors import UserError
from runtime.messages import SourceRecord

TITLES_NAME = "titles.json"
TITLE_MAX = 80


def titles(memory_dir: Path) -> dict[str, str]:
    """Source -> title, of those that have one."""
    try:
        return msgspec.json.decode((memory_dir / TITLES_NAME).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        return {}


def set_title(memory_dir: Path, known: Sequence[SourceRecord], source: str, title: str) -> None:
    """Call a source ``title`` from now on; "" takes its title away.

    Raises:
        UserError: there is no such source, the title is too long, or another source is called that.
    """
    title = " ".join(title.split())
    names = {record.source for record in known}
    if source not in names:
        raise UserError(f"no source {source!r} in memory; there is {', '.join(sorted(names)) or 'none'}")
    if len(title) > TITLE_MAX or not title.isprintable():
        raise UserError(f"a title is up to {TITLE_MAX} characters on one line")
    kept = {name: given for name, given in titles(memory_dir).items() if name in names and name != source}
    if title in names or title in kept.values():
        raise UserError(f"another source is called {title!r}")
    _write(memory_dir, {**kept, source: title} if title and title != source else kept)


def drop_titles(memory_dir: Path, known: Sequence[SourceRecord]) -> None:
    """Keep the titles of what memory still knows, and no others."""
    kept, names = titles(memory_dir), {record.source for record in known}
    if set(kept) - names:
        _write(memory_dir, {name: title for name, title in kept.items() if name in names})


def named(memory_dir: Path, source: str) -> str:
    """The source that goes by this title, else ``source`` itself."""
    return next((name for name, title in titles(memory_dir).items() if title.casefold() == source.casefold()), source)


def _write(memory_dir: Path, kept: dict[str, str]) -> None:
    beside = memory_dir / f"{TITLES_NAME}.new"
    beside.write_bytes(msgspec.json.encode(kept))
    beside.replace(memory_dir / TITLES_NAME)
