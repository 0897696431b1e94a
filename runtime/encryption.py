"""Whether a memory is encrypted, by which key, and the keys that this process was given.

A key is made of a passphrase as SQLCipher 4 makes it (PBKDF2-HMAC-SHA512, 256,000 rounds, the salt that a file begins
with), so that any tool of SQLCipher's opens the file with the same words. `encryption.json` beside the file says of
which salts it may be and how to tell that a key is right, and holds nothing that opens it. A key stands in no argument,
environment, file or log: it goes to the memory process over its standard input.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from runtime.errors import StoreError

FILE_NAME = "encryption.json"
PASSPHRASE_MIN = 8
_MEMORY = "memory.db"
_PLAIN = b"SQLite format 3\0"
_ROUNDS, _KEY_BYTES, _SALT_BYTES = 256_000, 32, 16
_CHECKED = b"mindstream memory"


class Key:
    """What opens an encrypted memory. It shows itself nowhere."""

    LENGTH = _KEY_BYTES + _SALT_BYTES

    def __init__(self, secret: bytes, salt: bytes) -> None:
        self.secret = secret
        self.salt = salt

    def __repr__(self) -> str:
        return "Key(...)"

    @property
    def literal(self) -> str:
        """As SQLCipher takes it: no passphrase, which it would make a key of at every connection for 150 ms."""
        return f"x'{self.secret.hex()}{self.salt.hex()}'"

    def send(self) -> bytes:
        """As bytes of `LENGTH`, for the process that opens the memory."""
        return self.secret + self.salt

    @classmethod
    def receive(cls, descriptor: int) -> Key:
        """The key that comes over a pipe.

        Raises:
            StoreError: none came.
        """
        data = b""
        while len(data) < cls.LENGTH:
            if not (piece := os.read(descriptor, cls.LENGTH - len(data))):
                raise StoreError("the key of memory did not come")
            data += piece
        return cls(data[:_KEY_BYTES], data[_KEY_BYTES:])


class Lock(Struct, frozen=True):
    """How to tell that a key is that of a memory. ``keyring``: its passphrase is kept in the system's keyring."""

    salt: str
    check: str
    keyring: bool = False


class _Locks(Struct, frozen=True):
    """More than one while the passphrase is changed: the file says by its salt which it is."""

    locks: tuple[Lock, ...] = ()


def new_lock(passphrase: str, keyring: bool = False) -> tuple[Lock, Key]:
    """A lock of a new salt, and its key."""
    key = key_for(os.urandom(_SALT_BYTES), passphrase)
    return Lock(key.salt.hex(), _check(key), keyring), key


def lock_of(memory_dir: Path) -> Lock | None:
    """The lock of the memory in a folder; None where it is not encrypted, or there is none. Not to be called by a
    process that has it open.

    Raises:
        StoreError: what says of the lock cannot be read.
    """
    try:
        with open(memory_dir / _MEMORY, "rb") as file:
            head = file.read(_SALT_BYTES)
    except OSError:
        return None
    if not head or head == _PLAIN:
        return None
    known = read_locks(memory_dir)
    # The salt is in the file too; where that is damaged there is one lock only, all the same.
    return next((lock for lock in known if lock.salt == head.hex()), known[0] if known else None)


def read_locks(memory_dir: Path) -> tuple[Lock, ...]:
    """All locks that are told of in a folder.

    Raises:
        StoreError: they cannot be read.
    """
    path = memory_dir / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Locks).locks
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} cannot be read; put it back from a copy: without it no key opens memory") from error


def write_locks(memory_dir: Path, locks: tuple[Lock, ...]) -> None:
    """Tell of these locks, durably; of none: no more file."""
    path = memory_dir / FILE_NAME
    if not locks:
        path.unlink(missing_ok=True)
        return
    beside = path.with_name(f".{FILE_NAME}")
    with open(beside, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(msgspec.json.encode(_Locks(locks)))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def key_of(lock: Lock, passphrase: str) -> Key | None:
    """The key that a passphrase gives, if it is the right one."""
    key = key_for(bytes.fromhex(lock.salt), passphrase)
    return key if hmac.compare_digest(_check(key), lock.check) else None


def key_for(salt: bytes, passphrase: str) -> Key:
    """The key that a passphrase gives for the salt of a file, right or wrong."""
    return Key(hashlib.pbkdf2_hmac("sha512", passphrase.encode(), salt, _ROUNDS, _KEY_BYTES), salt)


def relock(key: Key) -> Lock:
    """The lock of a key."""
    return Lock(key.salt.hex(), _check(key))


def salt_of(path: Path) -> bytes | None:
    """The salt that an encrypted file begins with; None of a plain one. Not of one that this process has open."""
    with open(path, "rb") as file:
        head = file.read(_SALT_BYTES)
    return None if len(head) < _SALT_BYTES or head == _PLAIN else head


_held: dict[Path, Key] = {}


def hold(memory_dir: Path, key: Key | None) -> None:
    """Keep the key of a memory for as long as this process lives."""
    if key is not None:
        _held[memory_dir] = key
    else:
        _held.pop(memory_dir, None)


def held(memory_dir: Path) -> Key | None:
    """The key of a memory, if it is encrypted and this process was given it."""
    return _held.get(memory_dir)


def _check(key: Key) -> str:
    return hmac.new(key.secret, _CHECKED, "sha256").hexdigest()
