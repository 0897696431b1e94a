"""The commands that keep memory from harm: backup, restore, repair."""

from __future__ import annotations

import importlib
import json
import time
from pathlib import Path

import msgspec

from runtime.agent import find_agent
from runtime.clock import media_time
from runtime.config import Config
from runtime.errors import StoreError
from runtime.interfaces.attach import attached
from runtime.interfaces.terminal.render import OUT, byte_size
from runtime.messages import ArchiveReply
from runtime.printable import say
from runtime.processes import BACKUP, REPAIR


async def back_up(path: Path, config: Config, memory_dir: Path, as_json: bool) -> None:
    """Copy memory, in use or not, to a file."""
    async with attached(memory_dir, config) as client:
        _tell(await client.back_up(path), f"copied to {path}", as_json)


def restore(path: Path, memory_dir: Path, replace: bool, as_json: bool) -> None:
    """Put a backup where memory is.

    Raises:
        StoreError: an agent runs on it, a memory is there already, or the backup is none.
    """
    _check_free(memory_dir, "restored")
    memory_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    _tell(importlib.import_module(BACKUP).restore(memory_dir, path, replace), f"restored from {path}", as_json)


def repair(memory_dir: Path, as_json: bool) -> None:
    """Save what can be saved of a damaged memory, and say what was lost.

    Raises:
        StoreError: an agent runs on it, or there is no memory.
    """
    _check_free(memory_dir, "repaired")
    done = importlib.import_module(REPAIR).repair(memory_dir, time.time())
    if as_json:
        say(json.dumps(msgspec.to_builtins(done), ensure_ascii=False))
        return
    if not done.was_needed:
        OUT.print("nothing is damaged")
    for why, n in done.bad.items():
        OUT.print(f"put aside: {n} x {why}")
    if done.kept:
        OUT.print(f"{done.saved} observations saved into a new file; the damaged one is kept as {done.kept}")
    for source, t0_s, t1_s, n in done.lost:
        OUT.print(f"lost: {n} observations of {source}, {media_time(t0_s)} to {media_time(t1_s)}")
    for table, n in done.unread.items():
        if table != "observations" or not done.lost:
            OUT.print(f"not readable: {n} or more rows of {table}")


def _check_free(memory_dir: Path, what: str) -> None:
    if find_agent(memory_dir) is not None:
        raise StoreError(f"memory {memory_dir}: an agent runs on it; stop it, then it can be {what}")


def _tell(done: ArchiveReply, what: str, as_json: bool) -> None:
    if as_json:
        say(json.dumps(msgspec.structs.asdict(done), ensure_ascii=False))
        return
    OUT.print(
        f"{done.observations} observations of {done.sources} sources with {done.pictures} pictures {what}"
        f" ({byte_size(done.bytes)})",
    )
