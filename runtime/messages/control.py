"""Control: its own socket, never behind data."""

from __future__ import annotations

from runtime.messages.base import Message


class Stop(Message, frozen=True, tag="stop"):
    """Finish what is in flight and exit."""


class Cancel(Message, frozen=True, tag="cancel"):
    """Give up the call with this id."""

    call: str


class Interrupt(Message, frozen=True, tag="interrupt"):
    """Give up the turn that is running in a conversation ("" = every conversation)."""

    conversation: str = ""
