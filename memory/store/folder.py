"""The memory folder: what lies in it, who has it, and what is wrong with it in one line."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from memory.store.connect import SQL_ERRORS
from runtime import program
from runtime.errors import StoreError

FILE_NAME = "memory.db"
LOCK_NAME = "memory.lock"
# Whole memories that are being made beside this one; of a process that was killed they stay until it is opened.
REWRITTEN, RESTORED, REPAIRED = ".rewritten.db", ".restored", "repaired"
# A disk with less room than this is full: the index of the write-ahead log grows by as much.
FULL_BYTES = 32 << 10


@contextmanager
def explained(where: str) -> Iterator[None]:
    """SQLite's and the system's errors as one line for the user.

    Raises:
        StoreError: instead of any of them.
    """
    try:
        yield
    except SQL_ERRORS as error:
        problem = str(error)
        # SQLite says so where its index of the log finds no room, and where a file that it has open became read-only.
        if "disk I/O error" in problem:
            with suppress(OSError):
                problem = "disk is full" if shutil.disk_usage(where).free < FULL_BYTES else problem
            if os.path.exists(file := os.path.join(where, FILE_NAME)) and not os.access(file, os.W_OK):
                problem = "read-only"
        raise StoreError(f"memory {where}: {_account(problem)}") from error
    except OSError as error:
        raise StoreError(f"memory {where}: {_account(os.strerror(error.errno or errno.EIO))}") from error


def _account(problem: str) -> str:
    problem = " ".join(problem.split())
    lower = problem.lower()
    if "not a database" in lower or "malformed" in lower or "corrupt" in lower:
        return f"{FILE_NAME} is damaged ({problem}); `{program.name()} repair` saves what can be saved"
    if any(told in lower for told in ("readonly", "read-only", "permission", "not permitted", "unable to open")):
        return "no permission to write there; choose another folder with --memory"
    if "full" in lower or "no space" in lower or "quota" in lower:
        return "the disk is full; what was acknowledged is kept"
    if "locked" in lower or "busy" in lower:
        return f"another program holds {FILE_NAME} open for writing"
    if "file exists" in lower or "not a directory" in lower:
        return "is not a folder; choose another place with --memory"
    return problem


def identity(file: Path) -> tuple[int, int] | None:
    """By what a file is known while it is open; None where it is not there."""
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def lock_of_folder(directory: Path) -> int:
    """Take the folder's lock file; it is let go by the system when this process ends, however it ends."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
        os.close(lock)
        who = f"process {holder}" if holder else "another process"
        raise StoreError(f"memory {directory}: in use by {who}; stop it or choose another folder") from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode("ascii"), 0)
    return lock


def remove_unfinished(directory: Path) -> None:
    """Remove whole memories that a process which was killed was making."""
    for name in (REWRITTEN, f"{REWRITTEN}-journal", RESTORED):
        (directory / name).unlink(missing_ok=True)
    shutil.rmtree(directory / REPAIRED, ignore_errors=True)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep every other process from opening the folder.

    Raises:
        StoreError: another process has it.
    """
    lock = lock_of_folder(directory)
    try:
        yield
    finally:
        os.close(lock)
