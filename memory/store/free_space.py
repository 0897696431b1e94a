"""Zeroes what lies unused in the pages of a database file, where `PRAGMA secure_delete` does not reach.

SQLite overwrites a record when it is deleted. But where the cells of neighbouring pages are shared out anew, copies of
them stay behind in the gap of the page they left, and of such a copy no later deletion knows. So whole words outlive
their row, until the gap happens to be written over. Rewriting the file (`VACUUM`) ends that for three times the bytes
of the memory; zeroing the gaps writes only the pages that have any.

The file's format: sqlite.org/fileformat2.html, sections 1.3, 1.6 and 1.8. Only bytes that no reader interprets are
written, so that a crash in between leaves a whole file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from runtime.errors import StoreError

_MAGIC = b"SQLite format 3\0"
# Types in a pointer map: pages of trees. The others are overflow, of which each page is one record's, and free.
_TREE = (1, 5)
# Interior pages have a pointer more in their head than leaves.
_HEAD_BYTES = {2: 12, 5: 12, 10: 8, 13: 8}
_FILE_HEAD_BYTES = 100
_PENDING_BYTE = 0x40000000
_READ_BYTES = 4 << 20
_TOLD_PAGES = 4096


def zero_unused(descriptor: int, progressed: Callable[[], None] = lambda: None) -> int:
    """Zero the gaps and free blocks of all pages of an open file; how many stretches were written.

    The caller holds the write lock, the write-ahead log is empty, no page is free, and no connection that writes uses
    pages it has read before.

    Raises:
        StoreError: it is no database with a pointer map, or a page of it is not as the format says.
        OSError: it cannot be read or written.
    """
    head = os.pread(descriptor, _FILE_HEAD_BYTES, 0)
    if not head.startswith(_MAGIC) or not _number(head, 52, 4):
        raise StoreError("memory.db has no map of its pages")
    size = _number(head, 16, 2)
    size = 65536 if size == 1 else size
    usable = size - head[20]
    written = 0
    kinds = b""
    for number, page in _pages(descriptor, size):
        if number % _TOLD_PAGES == 0:
            progressed()
        # Pages are listed from the second on; each page of the list precedes those it lists.
        at = (number - 2) % (usable // 5 + 1)
        if number > 1 and at == 0:
            kinds = page[: usable // 5 * 5 : 5]
            continue
        if number == _PENDING_BYTE // size + 1:
            continue
        if number > 1 and kinds[at - 1] not in _TREE:
            continue
        for begin, end in _unused(page, _FILE_HEAD_BYTES if number == 1 else 0, usable, number):
            if page[begin:end].strip(b"\0"):
                os.pwrite(descriptor, bytes(end - begin), (number - 1) * size + begin)
                written += 1
    if written:
        os.fsync(descriptor)
    return written


def _pages(descriptor: int, size: int) -> Iterator[tuple[int, bytes]]:
    """(number from 1, bytes) of each page."""
    many = max(1, _READ_BYTES // size)
    first = 0
    while data := os.pread(descriptor, many * size, first * size):
        for i in range(len(data) // size):
            yield first + i + 1, data[i * size : (i + 1) * size]
        first += many


def _unused(page: bytes, at: int, usable: int, number: int) -> Iterator[tuple[int, int]]:
    """Begin and end of what no cell of a tree's page takes: the gap before the cells, and what was freed among them."""
    head = _HEAD_BYTES.get(page[at])
    begin = at + (head or 0) + 2 * _number(page, at + 3, 2)
    end = _number(page, at + 5, 2) or 65536
    if head is None or not begin <= end <= usable:
        raise StoreError(f"memory.db is damaged (page {number} is no page of a tree); repair it")
    yield begin, end
    block = _number(page, at + 1, 2)
    while block:
        following, length = _number(page, block, 2), _number(page, block + 2, 2)
        if not end <= block or not 4 <= length <= usable - block or 0 < following < block + length:
            raise StoreError(f"memory.db is damaged (page {number} has a free block out of place); repair it")
        yield block + 4, block + length
        block = following


def _number(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "big")
