"""Recordings: what a process published, message by message, to be replayed through a stage.

A file of length-prefixed MessagePack (4 bytes, little-endian, then the message). `replay ... --record DIR`
writes one for each perceiving process, of the topics the table marks as recorded. A regression test reads
one back, hands its messages to a stage and compares what comes out, exactly.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from runtime.errors import DecodeError
from runtime.messages import Message, decode, encode

_LENGTH = struct.Struct("<I")
SUFFIX = ".recording"


class Recorder:
    """Appends messages to a recording."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("wb")

    def write(self, message: Message) -> None:
        body = encode(message)
        self._file.write(_LENGTH.pack(len(body)) + body)

    def close(self) -> None:
        self._file.close()


def read_recording(path: Path) -> Iterator[Message]:
    """The messages of a recording, in order.

    Raises:
        DecodeError: the file is not a recording, or is cut off in the middle of a message.
    """
    with path.open("rb") as file:
        while prefix := file.read(_LENGTH.size):
            if len(prefix) < _LENGTH.size:
                raise DecodeError(f"{path}: cut off")
            (length,) = _LENGTH.unpack(prefix)
            body = file.read(length)
            if len(body) < length:
                raise DecodeError(f"{path}: cut off")
            yield decode(body)
