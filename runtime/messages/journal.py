"""Memory as it can be followed from outside: what it holds, in the order in which it was stored."""

from __future__ import annotations

from runtime.messages.base import Message
from runtime.messages.memory import SourceRecord
from runtime.messages.perceived import Observation


class JournalRequest(Message, frozen=True, tag="journal_request"):
    """What memory holds beyond number ``after``, ``limit`` entries at most. -> `JournalReply`

    ``whole``: with the observations, and with their pictures where ``with_pictures``; else digests alone.
    """

    after: int = 0
    limit: int = 256
    whole: bool = True
    with_pictures: bool = False


class JournalEntry(Message, frozen=True, tag="journal_entry"):
    """One observation. ``seq``: its number in the order of storing, never given again. ``digest`` is another one as
    soon as anything of it has changed but its picture; ``picture``: that of its picture, "" where none is kept."""

    seq: int
    digest: str
    picture: str = ""
    observation: Observation | None = None


class Tombstone(Message, frozen=True, tag="tombstone"):
    """A stretch of a source, of one channel or (``channel`` "") of all, that is refused for good."""

    source: str
    channel: str
    t0_s: float
    t1_s: float
    erased_wall_s: float


class JournalReply(Message, frozen=True, tag="journal_reply"):
    """All of one state of memory. ``last``: the highest number it ever gave; ``removed``: how many observations it has
    ever let go. ``sources`` and ``erasures``, what is known beside the observations, are told in a reply that reaches
    the end."""

    entries: tuple[JournalEntry, ...] = ()
    last: int = 0
    removed: int = 0
    at_end: bool = True
    sources: tuple[SourceRecord, ...] = ()
    erasures: tuple[Tombstone, ...] = ()
