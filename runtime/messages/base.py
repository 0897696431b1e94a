"""What all messages share: their base, channels, tracks, media times and the identity of an observation."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Channel = Literal["frame", "object", "text", "speech", "sound", "question", "answer", "correction", "gap", "derived"]
Track = Literal["video", "audio"]

TRACKS: tuple[Track, ...] = ("video", "audio")
# How the end of a track begins whose process was lost: unlike a broken file, it is worth another try.
LOST_MARK = "lost: "
# In a heartbeat's note that tells of a live source that is not perceived at present: "door cannot be seen: ...".
AWAY_MARK = " cannot be "

PERCEIVED_CHANNELS: tuple[Channel, ...] = ("frame", "object", "text", "speech", "sound", "gap")
# What may be evidence: what was perceived, and descriptions of it.
EVIDENCE_CHANNELS: tuple[Channel, ...] = (*PERCEIVED_CHANNELS, "derived")


def round_time(t_s: float) -> float:
    """Media time rounded to the millisecond every message uses."""
    return round(float(t_s), 3)


def observation_id(source: str, channel: str, t0_s: float, k: int = 0) -> str:
    """Identity of an observation: the same perception of the same moment has the same id in every replay.

    ``k`` numbers observations of one channel that begin in the same millisecond.
    """
    suffix = f".{k}" if k else ""
    return f"{source}/{channel}/{round(t0_s * 1000):09d}{suffix}"


class Message(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True, gc=False):
    """Base of all messages. Frozen, so none is ever part of a cycle: the garbage collector need not look at them."""


class Failure(Message, frozen=True, tag="failure"):
    """A call failed: the error's class name and its one line."""

    kind: str
    message: str
