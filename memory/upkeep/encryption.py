"""Encrypting a memory that nobody has open, opening it for good, and giving it another passphrase: all write it anew.

The order that must hold: the new file is whole and was looked through, then its lock is told of beside the old one,
then it takes the old one's place; so a crash leaves a memory that opens, whenever it strikes. A plain file that was
replaced is written over before it goes.
"""

from __future__ import annotations

import os
from contextlib import closing
from io import FileIO
from pathlib import Path

from memory.store.connect import connect, copy_as
from memory.store.database import Store
from memory.store.folder import FILE_NAME, REWRITTEN, explained, locked
from memory.upkeep.repair import find_damage
from runtime.encryption import Key, Lock, read_locks, write_locks
from runtime.errors import StoreError

_PIECE_BYTES = 1 << 20


def encrypt(directory: Path, lock: Lock, key: Key, before: Key | None) -> int:
    """Have memory encrypted by ``key``, where it was plain or by ``before``; an empty one is made where there is none.
    How many observations it holds.

    Raises:
        StoreError: another process has it, it is damaged, or there is no room for a second one.
    """
    if not (directory / FILE_NAME).exists():
        Store(directory).close()
    with locked(directory), explained(str(directory)):
        fresh, n = _rewritten(directory, before, key)
        known = read_locks(directory)
        write_locks(directory, (lock, *known))
        _replace(fresh, directory / FILE_NAME, was_plain=before is None)
        write_locks(directory, (lock,))
    return n


def decrypt(directory: Path, key: Key) -> int:
    """Have memory plain again; how many observations it holds.

    Raises:
        StoreError: as `encrypt`.
    """
    with locked(directory), explained(str(directory)):
        fresh, n = _rewritten(directory, key, None)
        _replace(fresh, directory / FILE_NAME, was_plain=False)
        write_locks(directory, ())
    return n


def _rewritten(directory: Path, before: Key | None, after: Key | None) -> tuple[Path, int]:
    path, fresh = directory / FILE_NAME, directory / REWRITTEN
    fresh.unlink(missing_ok=True)
    try:
        copy_as(path, before, fresh, after)
        counts = []
        for file, key in ((path, before), (fresh, after)):
            with closing(connect(file, "ro&immutable=1", key)) as connection:
                counts.append(connection.execute("SELECT count(*) FROM observations").fetchone()[0])
        if counts[0] != counts[1] or (damage := find_damage(fresh, key=after)):
            told = damage if counts[0] == counts[1] else f"{counts[0]} observations and {counts[1]} in the copy"
            raise StoreError(f"memory {directory}: it could not be copied whole ({told}); nothing was changed")
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return fresh, int(counts[1])


def _replace(fresh: Path, path: Path, was_plain: bool) -> None:
    with open(fresh, "rb") as file:
        os.fchmod(file.fileno(), 0o600)
        os.fsync(file.fileno())
    if not was_plain:
        fresh.replace(path)
        return
    with open(path, "r+b", buffering=0) as old:
        fresh.replace(path)
        _overwrite(old)


def _overwrite(file: FileIO) -> None:
    """Write zeros over a file. What a file system or a disk keeps of it elsewhere is out of reach."""
    left = os.fstat(file.fileno()).st_size
    while left > 0:
        left -= file.write(bytes(min(left, _PIECE_BYTES)))
    os.fsync(file.fileno())
