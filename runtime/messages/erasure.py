"""Calls by which the user rules over what memory holds: forget, export, import, perceive again."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from runtime.messages.base import Message
from runtime.messages.perceived import Observation


class TimeWindow(Message, frozen=True, tag="time_window"):
    """A stretch of one source, in media seconds; what overlaps it is in it."""

    source: str
    t0_s: float
    t1_s: float


class ForgetRequest(Message, frozen=True, tag="forget_request"):
    """Erase what lies in ``windows``, or what holds ``text``; with both, what holds ``text`` in ``windows``.

    ``preview``: only say what would go. ``wall_s``: when it was asked, kept in the tombstone. ``until_s``: source ->
    media time it had come to by then, of those that are being perceived; what holds ``text`` and began by then is
    refused when it arrives.
    """

    windows: tuple[TimeWindow, ...] = ()
    text: str = ""
    preview: bool = False
    wall_s: float = 0.0
    until_s: dict[str, float] = msgspec.field(default_factory=dict)


class ForgetReply(Message, frozen=True, tag="forget_reply"):
    """What went (or would go), and the proof.

    observations  how many, by channel; ``frames_bytes`` of them were pictures.
    extents       source -> (first t0_s, last t1_s) of what was perceived.
    examples      some of what goes, oldest first; in a preview only.
    spans         how many sketches of moments, events and episodes were made anew.
    searched      what was looked up again afterwards -> how often it was found: all 0 when it is gone.
    files         file -> bytes looked through for the words, pictures and vectors.
    traces        file -> how many of them still stand in it: empty when they are gone.
    owed          sites that could not be asked, which forget when they return.
    unsearched    where it was erased too, and what of it cannot be looked through afterwards.
    """

    observations: dict[str, int] = msgspec.field(default_factory=dict)
    frames_bytes: int = 0
    extents: dict[str, tuple[float, float]] = msgspec.field(default_factory=dict)
    examples: tuple[Observation, ...] = ()
    spans: int = 0
    searched: dict[str, int] = msgspec.field(default_factory=dict)
    files: dict[str, int] = msgspec.field(default_factory=dict)
    traces: dict[str, int] = msgspec.field(default_factory=dict)
    bytes_before: int = 0
    bytes_after: int = 0
    owed: tuple[str, ...] = ()
    unsearched: tuple[str, ...] = ()


class Forgotten(Message, frozen=True, tag="forgotten"):
    """To reasoning, before and after something is erased from memory, and to what perceives ``windows`` live: let go
    of what was made of it. -> `Done`

    ``until_s``: as in `ForgetRequest`; what was being said then is not told of before memory has taken it.
    """

    windows: tuple[TimeWindow, ...] = ()
    until_s: dict[str, float] = msgspec.field(default_factory=dict)


class ReaddRequest(Message, frozen=True, tag="readd_request"):
    """Let ``source`` be perceived again from its begin: its erased stretches are refused no longer. -> `Done`

    ``grown_to``: or, a recording that has grown, from where it ended before; this is its fingerprint by now.
    """

    source: str
    grown_to: str = ""


class Keeping(Struct, frozen=True):
    """How much footage of a source is kept: ``bytes`` and ``age_s`` of all, ``marked_bytes`` of what is marked, beside
    it."""

    bytes: int = 0
    age_s: float = 0.0
    marked_bytes: int = 0


class ExportRequest(Message, frozen=True, tag="export_request"):
    """Write all that memory holds to ``path``: a folder, or one file where it ends in ".zip". -> `ArchiveReply`

    ``footage``: with the footage of live sources; of those in which regions ``private`` (by label) are not blanked yet
    none.
    """

    path: str
    footage: bool = False
    private: dict[str, tuple[tuple[float, float, float, float], ...]] = msgspec.field(default_factory=dict)


class BackupRequest(Message, frozen=True, tag="backup_request"):
    """Write all of memory, as it is now, to a file of its own kind. -> `ArchiveReply`"""

    path: str


class ImportRequest(Message, frozen=True, tag="import_request"):
    """Take in an archive, whole or not at all; ids that are there already are left as they are. -> `ArchiveReply`

    ``trusted``: it is the user's own, so its records keep the trust they had. ``footage``: how much of the footage in
    it may be kept of each source; None takes none.
    """

    path: str
    trusted: bool = False
    footage: Keeping | None = None


class ArchiveReply(Message, frozen=True, tag="archive_reply"):
    """What went out, or came in. ``known``: of an import, how many observations were there already; ``left_out``: how
    much of it was not taken, by kind."""

    path: str
    sources: int = 0
    observations: int = 0
    pictures: int = 0
    spans: int = 0
    titles: int = 0
    footage: int = 0
    known: int = 0
    bytes: int = 0
    left_out: dict[str, int] = msgspec.field(default_factory=dict)
