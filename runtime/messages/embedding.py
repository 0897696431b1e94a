"""Calls to the embedding process: texts into the vector space of the pictures."""

from __future__ import annotations

from runtime.messages.base import Message


class EmbedRequest(Message, frozen=True, tag="embed_request"):
    """Vectors of texts, at most 64 of them."""

    texts: tuple[str, ...]


class EmbedReply(Message, frozen=True, tag="embed_reply"):
    """One float16 little-endian vector of unit length a text, in the space named ``space``."""

    vectors: tuple[bytes, ...]
    space: str
