"""Opening an encrypted memory: its passphrase from the profile's file, the system's keyring, or the terminal."""

from __future__ import annotations

import getpass
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtime import program
from runtime.config import Config
from runtime.encryption import PASSPHRASE_MIN, Key, Lock, hold, key_of, lock_of
from runtime.errors import ConfigError, StoreError
from runtime.printable import say

TRIES = 3
_SERVICE = "mindstream"


def unlock(memory_dir: Path, config: Config) -> None:
    """Hold the key of the memory in a folder, where it is encrypted.

    Raises:
        StoreError: no passphrase can be had, or none is right.
        ConfigError: the file that the profile names cannot be used.
    """
    lock = lock_of(memory_dir)
    if lock is None:
        return
    key = without_asking(lock, config)
    for _ in range(TRIES if key is None else 0):
        key = key_of(lock, ask(f"passphrase of memory {memory_dir}: "))
        if key is not None:
            break
        say("that is not its passphrase", sys.stderr)
    if key is None:
        raise StoreError(f"memory {memory_dir} is encrypted, and that is not its passphrase")
    hold(memory_dir, key)


def without_asking(lock: Lock, config: Config) -> Key | None:
    """The key that the profile's file or the keyring opens a lock with; None where neither is to.

    Raises:
        StoreError: what they hold is another passphrase, or the keyring does not answer.
        ConfigError: the file cannot be used.
    """
    if name := config.memory.passphrase_file:
        key, where = key_of(lock, read_passphrase(name)), name
    elif lock.keyring and (kept := _keyring_get(lock)) is not None:
        key, where = key_of(lock, kept), "the keyring"
    else:
        return None
    if key is None:
        raise StoreError(f"memory is encrypted, and what {where} holds is not its passphrase")
    return key


def read_passphrase(name: str) -> str:
    """The first line of a file that its owner alone can read.

    Raises:
        ConfigError: it cannot be read, it is empty, or others can read it.
    """
    path = Path(name).expanduser()
    try:
        with open(path, encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigError(f"memory.passphrase_file: others can read {name}; run chmod 600 {name}")
            told = file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ConfigError(f"memory.passphrase_file: {name}: {why}") from error
    if not told:
        raise ConfigError(f"memory.passphrase_file: {name} is empty")
    return told


def new_passphrase(config: Config) -> str:
    """A passphrase to encrypt by: that of the profile's file, else asked for twice.

    Raises:
        StoreError: it is too short, or two different ones were typed.
        ConfigError: the file cannot be used.
    """
    if config.memory.passphrase_file:
        told = read_passphrase(config.memory.passphrase_file)
    else:
        told = ask("new passphrase: ")
        if told != ask("once more: "):
            raise StoreError("these are two different passphrases; nothing was changed")
    if len(told) < PASSPHRASE_MIN:
        raise StoreError(f"a passphrase has {PASSPHRASE_MIN} characters or more; nothing was changed")
    return told


def ask(prompt: str) -> str:
    """What is typed at the terminal, unseen.

    Raises:
        StoreError: there is no terminal.
    """
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        raise StoreError(
            "memory's passphrase is needed, and here is no terminal to ask at; memory.passphrase_file in the profile,"
            f" or the keyring (`{program.name()} encrypt --keyring`), gives it unasked"
        ) from None
    try:
        return getpass.getpass(prompt)
    except EOFError:
        raise StoreError("no passphrase was given") from None


def keep_in_keyring(lock: Lock, passphrase: str) -> None:
    """
    Raises:
        StoreError: there is no keyring, or it refuses.
    """
    keyring = _keyring()
    try:
        keyring.set_password(_SERVICE, lock.salt, passphrase)
    except keyring.errors.KeyringError as error:
        raise StoreError(f"the keyring takes no passphrase ({_line(error)}); nothing was changed") from error


def remove_from_keyring(lock: Lock) -> None:
    """Where it is there."""
    if lock.keyring:
        keyring = _keyring()
        with suppress(keyring.errors.KeyringError):
            keyring.delete_password(_SERVICE, lock.salt)


def _keyring_get(lock: Lock) -> str | None:
    keyring = _keyring()
    try:
        kept: str | None = keyring.get_password(_SERVICE, lock.salt)
    except keyring.errors.KeyringError as error:
        raise StoreError(f"the keyring, which keeps memory's passphrase, does not answer ({_line(error)})") from error
    return kept


def _keyring() -> Any:
    try:
        import keyring
        import keyring.errors
    except ModuleNotFoundError:
        raise StoreError("package keyring is not installed; `pip install 'mindstream[keyring]'`") from None
    return keyring


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
