"""The bytes of an encrypted memory file as they would be in a plain one: to look for traces of what was erased, and to
save what can be saved of a damaged one.

SQLCipher 4: each page of 4096 bytes is AES-256-CBC, its initialisation vector and a checksum in its last 80; the first
begins with the salt, in the clear (zetetic.net/sqlcipher/design). The write-ahead log holds such pages, each after a
head of 24 bytes. Only read: what is written, SQLCipher writes.
"""

from __future__ import annotations

from typing import BinaryIO, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from runtime.encryption import Key

PAGE_BYTES = 4096
_RESERVED_BYTES, _VECTOR_BYTES = 80, 16
# How such a file begins in the clear, as far as that is the same in all: pages of 4096 bytes, no log, 80 reserved.
_HEAD = b"SQLite format 3\0" + bytes([0x10, 0x00, 1, 1, _RESERVED_BYTES, 64, 32, 32])
_LOG_HEAD_BYTES, _FRAME_HEAD_BYTES = 32, 24


class Readable(Protocol):
    """What is read from its begin in pieces, as an open file is."""

    def seek(self, offset: int, /) -> int: ...

    def read(self, size: int, /) -> bytes: ...


class Decrypted:
    """An open database file, or its log, read page by page in the clear."""

    def __init__(self, file: BinaryIO, key: Key, is_log: bool = False) -> None:
        self._file = file
        self._key = key
        self._head, self._frame = (_LOG_HEAD_BYTES, _FRAME_HEAD_BYTES) if is_log else (0, 0)
        self._at = 0

    def seek(self, offset: int) -> int:
        """To the begin."""
        assert offset == 0
        self._at = 0
        return 0

    def read(self, size: int) -> bytes:
        """The next pages, about ``size`` bytes; what is no whole page is left out."""
        step = self._frame + PAGE_BYTES
        self._file.seek(self._head + self._at * step)
        data = self._file.read(max(1, size // step) * step)
        pages = []
        for begin in range(self._frame, len(data) - PAGE_BYTES + 1, step):
            number = (
                int.from_bytes(data[begin - self._frame : begin - self._frame + 4], "big")
                if self._frame
                else self._at + 1
            )
            pages.append(self._page(data[begin : begin + PAGE_BYTES], number == 1))
            self._at += 1
        return b"".join(pages)

    def image(self) -> bytes:
        """The whole file as one that Python's own SQLite opens, in memory; what is damaged of it is damaged there too,
        but no more than that: SQLCipher refuses a whole page for one bit, and every page after it."""
        pages = bytearray()
        self.seek(0)
        while data := self.read(PAGE_BYTES):
            pages += (_HEAD + data[len(_HEAD) - len(self._key.salt) :] if not pages else data) + bytes(_RESERVED_BYTES)
        return bytes(pages)

    def _page(self, page: bytes, is_first: bool) -> bytes:
        end = PAGE_BYTES - _RESERVED_BYTES
        cipher = Cipher(algorithms.AES(self._key.secret), modes.CBC(page[end : end + _VECTOR_BYTES]))
        return cipher.decryptor().update(page[len(self._key.salt) if is_first else 0 : end])
