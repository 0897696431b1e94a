"""Every message that crosses a process boundary: one tagged union, MessagePack on the wire.

Rules of evolution: a new field gets a default, a type never changes, a tag is never reused.
Unknown fields from a newer sender are ignored; an unknown tag is a `DecodeError`.

Times ending in ``_s`` are media time: seconds since the source began, rounded to milliseconds so
that two replays of one file agree bit for bit. ``*_wall_s`` are Unix seconds.
"""

from __future__ import annotations

from runtime.messages.base import (
    AWAY_MARK,
    LOST_MARK,
    PERCEIVED_CHANNELS,
    TRACKS,
    Channel,
    Failure,
    Message,
    Track,
    observation_id,
    round_time,
)
from runtime.messages.control import (
    Cancel,
    Interrupt,
    Stop,
)
from runtime.messages.embedding import (
    EmbedReply,
    EmbedRequest,
)
from runtime.messages.erasure import (
    ArchiveReply,
    ExportRequest,
    ForgetReply,
    ForgetRequest,
    Forgotten,
    ImportRequest,
    ReaddRequest,
    TimeWindow,
)
from runtime.messages.memory import (
    Done,
    Hit,
    LastSeenReply,
    LastSeenRequest,
    LevelBytes,
    MemoryStatus,
    RecallReply,
    RecallRequest,
    RememberRequest,
    ScanReply,
    ScanRequest,
    Sighted,
    SourceRecord,
    Span,
    SpansReply,
    SpansRequest,
    StatusRequest,
    TrackLost,
    View,
    ViewRequest,
)
from runtime.messages.perceived import (
    Ack,
    Heartbeat,
    Observation,
    PartialTranscript,
    Progress,
    SourceEnded,
    SourceOpened,
    SpeechStarted,
    Stored,
    being_said,
)
from runtime.messages.reasoning import (
    UNDERSTOOD,
    Answer,
    AnswerPart,
    AskRequest,
    Citation,
    SearchRequest,
    TraceStep,
)
from runtime.messages.standing import (
    Notice,
    StandingQuery,
    StandingReply,
    StandingRequest,
)
from runtime.messages.wire import (
    decode,
    encode,
)

__all__ = [
    "Ack",
    "Answer",
    "AnswerPart",
    "ArchiveReply",
    "AskRequest",
    "Cancel",
    "Channel",
    "Citation",
    "Done",
    "EmbedReply",
    "EmbedRequest",
    "ExportRequest",
    "Failure",
    "ForgetReply",
    "ForgetRequest",
    "Forgotten",
    "Heartbeat",
    "Hit",
    "ImportRequest",
    "Interrupt",
    "AWAY_MARK",
    "LOST_MARK",
    "LastSeenReply",
    "LastSeenRequest",
    "LevelBytes",
    "MemoryStatus",
    "Message",
    "Notice",
    "Observation",
    "PERCEIVED_CHANNELS",
    "PartialTranscript",
    "Progress",
    "ReaddRequest",
    "RecallReply",
    "RecallRequest",
    "RememberRequest",
    "ScanReply",
    "ScanRequest",
    "SearchRequest",
    "Sighted",
    "SourceEnded",
    "SourceOpened",
    "SourceRecord",
    "Span",
    "SpansReply",
    "SpansRequest",
    "SpeechStarted",
    "StandingQuery",
    "StandingReply",
    "StandingRequest",
    "StatusRequest",
    "Stop",
    "Stored",
    "TRACKS",
    "TimeWindow",
    "TraceStep",
    "Track",
    "TrackLost",
    "UNDERSTOOD",
    "View",
    "ViewRequest",
    "being_said",
    "decode",
    "encode",
    "observation_id",
    "round_time",
]
