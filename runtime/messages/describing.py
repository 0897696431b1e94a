"""Describing what memory holds with a model that has eyes: what is asked for, how far it is, what came of it."""

from __future__ import annotations

from runtime.messages.base import Message


class DescribeRequest(Message, frozen=True, tag="describe_request"):
    """Describe now, beyond what an hour allows, what of ``source`` ("" is every one) has no caption yet; ``limit``
    pictures at most, 0 is all. -> `DescribePart` ..., `DescribeReply`"""

    source: str = ""
    limit: int = 0


class DescribePart(Message, frozen=True, tag="describe_part"):
    """One more thing described: ``text`` of ``source`` at ``t_s``, "" where nothing could be made out. ``done`` of
    ``total`` pictures are; ``is_hour``: it is the paragraph of an hour."""

    source: str
    t_s: float
    text: str
    done: int
    total: int
    is_hour: bool = False


class DescribeReply(Message, frozen=True, tag="describe_reply"):
    """``captions`` and ``hours`` were described by ``model``; ``left`` pictures could not be, or were beyond the limit;
    ``trouble`` is what the model said of it last."""

    model: str
    captions: int = 0
    hours: int = 0
    left: int = 0
    trouble: str = ""
