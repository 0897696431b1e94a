"""Calls about vectors: texts into the space of the pictures, and remembered pictures from one space into another."""

from __future__ import annotations

from runtime.messages.base import Message
from runtime.messages.perceived import Observation


class EmbedRequest(Message, frozen=True, tag="embed_request"):
    """Vectors of texts, at most 64 of them."""

    texts: tuple[str, ...]


class EmbedReply(Message, frozen=True, tag="embed_reply"):
    """One float16 little-endian vector of unit length a text, in the space named ``space``."""

    vectors: tuple[bytes, ...]
    space: str


class ForeignRequest(Message, frozen=True, tag="foreign_request"):
    """To memory: frames that keep a picture and whose vector is not of ``space``, in the order they were stored.

    ``after`` is the ``last`` of the reply before.
    """

    space: str
    after: int = 0
    limit: int = 32


class ForeignReply(Message, frozen=True, tag="foreign_reply"):
    """Frames with their pictures; none are left where there are none."""

    frames: tuple[Observation, ...] = ()
    last: int = 0


class RedescribeRequest(Message, frozen=True, tag="redescribe_request"):
    """To memory: have these frames, known by their ids, the text, the facts and the vector given here; their pictures
    stay."""

    frames: tuple[Observation, ...]


class RedescribeReply(Message, frozen=True, tag="redescribe_reply"):
    """How many were there still."""

    redescribed: int
