"""A copy of a memory that may be in use, and the way back.

`VACUUM INTO` writes one state of the memory, compact, without what was deleted and without holding anybody up. A plain
copy of the file is none: its write-ahead log may hold the newest, and may be folded in meanwhile.
"""

from __future__ import annotations

import os
import shutil
from contextlib import closing, suppress
from pathlib import Path

from memory.store.connect import DATABASE_ERRORS, connect
from memory.store.database import Store
from memory.store.decrypted import PAGE_BYTES
from memory.store.folder import FILE_NAME, RESTORED, explained, locked
from memory.store.migrations import schema_version
from memory.upkeep.repair import find_damage
from runtime.encryption import Key, read_locks, relock, salt_of, write_locks
from runtime.errors import StoreError
from runtime.messages import ArchiveReply, BackupRequest

_COUNTS = "SELECT (SELECT count(*) FROM sources), (SELECT count(*) FROM observations), (SELECT count(*) FROM payloads)"


def back_up(store: Store, request: BackupRequest) -> ArchiveReply:
    """Copy the memory as it is now to a file, which is there only when it is whole and was looked through.

    Raises:
        StoreError: something is in its place already, it cannot be written, or what is in use is damaged.
    """
    path = Path(request.path)
    if path.exists():
        raise StoreError(f"{path} is there already; give another name")
    beside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        with explained(str(path)), closing(connect(store.path, store.reading_mode, store.key)) as connection:
            connection.execute("VACUUM INTO ?", (str(beside),))
        os.chmod(beside, 0o600)
        counts = _looked_through(beside, beside, store.key)
        beside.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    return _account(path, counts)


def salt_of_backup(path: Path) -> bytes | None:
    """The salt of an encrypted backup; None of a plain one, and of what is no file of ours."""
    try:
        head = salt_of(path)
    except OSError:
        return None
    return head if head and path.stat().st_size % PAGE_BYTES == 0 else None


def restore(directory: Path, path: Path, replace: bool, key: Key | None = None) -> ArchiveReply:
    """Put a backup, which ``key`` opens if it is encrypted, in the place of a memory that nobody has open; ``replace``
    one that is there.

    Raises:
        StoreError: there is no backup, it is damaged or of a newer program, or a memory is there already or in use.
    """
    if not path.is_file():
        raise StoreError(f"backup {path}: there is no such file")
    target = directory / FILE_NAME
    with locked(directory):
        if target.exists() and not replace:
            raise StoreError(f"memory {directory}: there is a memory already; --replace deletes it for the backup")
        beside = directory / RESTORED
        try:
            shutil.copyfile(path, beside)
            os.chmod(beside, 0o600)
            counts = _looked_through(beside, path, key)
            lock = (relock(key),) if key else ()
            write_locks(directory, (*lock, *read_locks(directory)))  # whichever file is there after a crash
            for suffix in ("-wal", "-shm"):  # of the memory that is replaced
                target.with_name(FILE_NAME + suffix).unlink(missing_ok=True)
            beside.replace(target)
            write_locks(directory, lock)
        except OSError as error:
            raise StoreError(f"memory {directory} cannot be written: {error.strerror or error}") from error
        finally:
            beside.unlink(missing_ok=True)
    return _account(path, counts)


def _account(path: Path, counts: tuple[int, int, int]) -> ArchiveReply:
    sources, observations, pictures = counts
    return ArchiveReply(
        path=str(path), sources=sources, observations=observations, pictures=pictures, bytes=path.stat().st_size
    )


def _looked_through(copy: Path, name: Path, key: Key | None) -> tuple[int, int, int]:
    """How many sources, observations and pictures a whole copy holds.

    Raises:
        StoreError: it is damaged, or no memory of this program.
    """
    try:
        with closing(connect(copy, "ro&immutable=1", key)) as connection:
            if not schema_version(connection, str(name)):
                raise StoreError(f"backup {name}: it is empty")
            counts: tuple[int, int, int] = connection.execute(_COUNTS).fetchone()
        damage = find_damage(copy, key=key)
    except DATABASE_ERRORS as error:
        damage = str(error)
    if damage:
        raise StoreError(f"backup {name}: damaged ({damage}); nothing was put in its place")
    return counts
