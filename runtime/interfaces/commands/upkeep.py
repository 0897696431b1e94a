"""The commands that keep memory from harm: backup, restore, repair, encrypt, decrypt."""

from __future__ import annotations

import importlib
import json
import time
from pathlib import Path

import msgspec

from runtime.agent import find_agent
from runtime.clock import media_time
from runtime.config import Config
from runtime.encryption import held, key_for, lock_of, new_lock
from runtime.errors import StoreError
from runtime.interfaces.attach import attached
from runtime.interfaces.terminal.render import OUT, byte_size
from runtime.interfaces.unlock import ask, keep_in_keyring, new_passphrase, read_passphrase, remove_from_keyring
from runtime.messages import ArchiveReply
from runtime.printable import say
from runtime.processes import BACKUP, ENCRYPTION, REPAIR
from runtime.sites.membership import SENT_PLAIN, is_site


async def back_up(path: Path, config: Config, memory_dir: Path, as_json: bool) -> None:
    """Copy memory, in use or not, to a file."""
    async with attached(memory_dir, config) as client:
        _tell(await client.back_up(path), f"copied to {path}", as_json)


def restore(path: Path, config: Config, memory_dir: Path, replace: bool, as_json: bool) -> None:
    """Put a backup where memory is; one of an encrypted memory opens with its passphrase.

    Raises:
        StoreError: an agent runs on it, a memory is there already, or the backup is none or does not open.
    """
    _check_free(memory_dir, "restored")
    memory_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    back = importlib.import_module(BACKUP)
    key = None
    if (salt := back.salt_of_backup(path)) is not None:
        file = config.memory.passphrase_file
        key = key_for(salt, read_passphrase(file) if file else ask(f"passphrase of {path}: "))
    _tell(back.restore(memory_dir, path, replace, key), f"restored from {path}", as_json)


def encrypt(config: Config, memory_dir: Path, keyring: bool, as_json: bool) -> None:
    """Encrypt memory, or give it another passphrase; ``keyring``: which is kept there, and asked for no more.

    Raises:
        StoreError: an agent runs on it, it is damaged, or no passphrase was given.
    """
    _check_free(memory_dir, "encrypted")
    memory_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = lock_of(memory_dir)
    passphrase = new_passphrase(config)
    lock, key = new_lock(passphrase, keyring)
    if keyring:
        keep_in_keyring(lock, passphrase)
    n = importlib.import_module(ENCRYPTION).encrypt(memory_dir, lock, key, held(memory_dir))
    if before is not None:
        remove_from_keyring(before)
    what = "encrypted by another passphrase" if before is not None else "encrypted"
    _tell_rewritten(n, what, memory_dir, as_json)
    if not as_json:
        OUT.print(
            "without the passphrase nobody opens it, nor can anybody help who forgot it. Not encrypted are footage,"
            " logs, standing queries, exports and earlier copies"
        )
        if is_site(memory_dir):
            OUT.print(SENT_PLAIN)


def decrypt(memory_dir: Path, as_json: bool) -> None:
    """Write an encrypted memory as a plain one.

    Raises:
        StoreError: an agent runs on it, it is not encrypted, or it is damaged.
    """
    _check_free(memory_dir, "decrypted")
    lock, key = lock_of(memory_dir), held(memory_dir)
    if lock is None or key is None:
        raise StoreError(f"memory {memory_dir} is not encrypted")
    n = importlib.import_module(ENCRYPTION).decrypt(memory_dir, key)
    remove_from_keyring(lock)
    _tell_rewritten(n, "decrypted", memory_dir, as_json)


def _tell_rewritten(n: int, what: str, memory_dir: Path, as_json: bool) -> None:
    if as_json:
        say(json.dumps({"path": str(memory_dir), "observations": n, "encrypted": what != "decrypted"}))
    else:
        OUT.print(f"memory {memory_dir}: {n} observations, {what}")


def repair(memory_dir: Path, as_json: bool) -> None:
    """Save what can be saved of a damaged memory, and say what was lost.

    Raises:
        StoreError: an agent runs on it, or there is no memory.
    """
    _check_free(memory_dir, "repaired")
    done = importlib.import_module(REPAIR).repair(memory_dir, time.time(), held(memory_dir))
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
