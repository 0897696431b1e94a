"""Messages as bytes: MessagePack, tagged by type."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

import msgspec

from runtime.errors import DecodeError
from runtime.messages.base import Message

# The package imports the modules of messages before this one: a class written there is in the union.
KINDS: tuple[Any, ...] = tuple(Message.__subclasses__())

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(reduce(or_, KINDS))


def encode(message: Message) -> bytes:
    """The message as MessagePack."""
    return _encoder.encode(message)


def decode(data: bytes) -> Any:
    """The message in ``data``.

    Raises:
        DecodeError: the bytes are not MessagePack, or no message of this union.
    """
    try:
        return _decoder.decode(data)
    except (ValueError, RecursionError) as error:  # what is wrong with bytes, and messages nested without end
        raise DecodeError(f"not a message: {error}") from error
