"""Control: its own socket, never behind data."""

from __future__ import annotations

import time

import msgspec

from runtime.messages.base import Message


class Stop(Message, frozen=True, tag="stop"):
    """Finish what is in flight and exit."""


class Cancel(Message, frozen=True, tag="cancel"):
    """Give up the call with this id."""

    call: str


class Interrupt(Message, frozen=True, tag="interrupt"):
    """Give up what was asked in a conversation ("" = every conversation) until ``sent_s``, by the monotonic clock of
    this machine; what is asked after that is not meant, though it may arrive before."""

    conversation: str = ""
    sent_s: float = msgspec.field(default_factory=time.monotonic)
