"""Every message that crosses a process boundary: one tagged union, MessagePack on the wire.

Rules of evolution: a new field gets a default, a type never changes, a tag is never reused.
Unknown fields from a newer sender are ignored; an unknown tag is a `DecodeError`.

Times ending in ``_s`` are media time: seconds since the source began, rounded to milliseconds so
that two replays of one file agree bit for bit. ``*_wall_s`` are Unix seconds.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from runtime.errors import DecodeError

Channel = Literal["frame", "object", "text", "speech", "sound", "question", "answer", "correction", "gap", "derived"]
Track = Literal["video", "audio"]

TRACKS: tuple[Track, ...] = ("video", "audio")
# How the end of a track begins whose process was lost: unlike a broken file, it is worth another try.
LOST_MARK = "lost: "

PERCEIVED_CHANNELS: tuple[Channel, ...] = ("frame", "object", "text", "speech", "sound", "gap")


def round_time(t_s: float) -> float:
    """Media time rounded to the millisecond every message uses."""
    return round(float(t_s), 3)


def observation_id(source: str, channel: str, t0_s: float, k: int = 0) -> str:
    """Identity of an observation: the same perception of the same moment has the same id in every replay.

    ``k`` numbers observations of one channel that begin in the same millisecond.
    """
    suffix = f".{k}" if k else ""
    return f"{source}/{channel}/{round(t0_s * 1000):09d}{suffix}"


class Message(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """Base of all messages."""


# --- what is perceived and remembered -------------------------------------------------------------


class Observation(Message, frozen=True, tag="observation"):
    """One thing perceived or derived; never changed once made.

    text     what a person would say of it; the words for speech and on-screen text.
    data     structured facts, plain JSON values. Keys by channel are listed in docs/observations.md.
    vector   float16 little-endian, unit length, in the space named by ``vector_space``.
    payload  JPEG bytes, frames only.
    evidence ids of what it rests on. A frame lists the `text` and `object` observations visible in it,
             so the last frame that lists an id tells until when it was seen.
    trust    0..1, by provenance: 1 perceived by the agent itself.
    """

    id: str
    source: str
    channel: Channel
    t0_s: float
    t1_s: float
    text: str = ""
    data: dict[str, Any] = msgspec.field(default_factory=dict)
    vector: bytes | None = None
    vector_space: str = ""
    payload: bytes | None = None
    evidence: tuple[str, ...] = ()
    trust: float = 1.0


class SourceOpened(Message, frozen=True, tag="source_opened"):
    """A track of a source began. ``missing`` says in words what the source lacks ("no audio track")."""

    source: str
    track: Track
    kind: Literal["file", "camera", "stream", "screen", "microphone"] = "file"
    uri: str = ""
    fingerprint: str = ""
    started_wall_s: float = 0.0
    duration_s: float | None = None
    missing: str = ""
    encoders: dict[str, str] = msgspec.field(default_factory=dict)


class Progress(Message, frozen=True, tag="progress"):
    """Everything of this track up to ``t_s`` was perceived and sent (or is a gap): its watermark."""

    source: str
    track: Track
    t_s: float


class SourceEnded(Message, frozen=True, tag="source_ended"):
    """A track ended at ``t_s``. ``reason``: "end", or what broke, in one line."""

    source: str
    track: Track
    t_s: float
    reason: str = "end"


class SpeechStarted(Message, frozen=True, tag="speech_started"):
    """Somebody began to speak; sent at once, before any word is known."""

    source: str
    t_s: float


class Ack(Message, frozen=True, tag="ack"):
    """Memory made durable all messages of ``publisher``'s ``epoch`` with sequence numbers <= ``seq``."""

    publisher: str
    epoch: int
    seq: int


class Stored(Message, frozen=True, tag="stored"):
    """A new generation of memory. ``watermarks``: source -> media time up to which all its tracks are in."""

    generation: int
    watermarks: dict[str, float]
    ended: tuple[str, ...] = ()
    observations: int = 0
    bytes: int = 0


class Heartbeat(Message, frozen=True, tag="heartbeat"):
    """Sent by every process a few times a second from its event loop.

    ``media_s`` is the newest media time it has worked on; ``idle`` means it has nothing to do, so that an
    unchanging ``media_s`` is no fault. ``counters`` holds totals ("frames", "keyframes", "bytes", ...),
    ``drops`` counts by "topic:reason".
    """

    process: str
    pid: int
    ready: bool = False
    idle: bool = True
    source: str = ""
    media_s: float = 0.0
    data_age_s: float = 0.0
    rss_bytes: int = 0
    counters: dict[str, float] = msgspec.field(default_factory=dict)
    drops: dict[str, int] = msgspec.field(default_factory=dict)
    notes: tuple[str, ...] = ()


# --- control: its own socket, never behind data ---------------------------------------------------


class Stop(Message, frozen=True, tag="stop"):
    """Finish what is in flight and exit."""


class Cancel(Message, frozen=True, tag="cancel"):
    """Give up the call with this id."""

    call: str


class Interrupt(Message, frozen=True, tag="interrupt"):
    """Give up the turn that is running in a conversation ("" = every conversation)."""

    conversation: str = ""


# --- calls to memory ------------------------------------------------------------------------------


class View(Message, frozen=True, tag="view"):
    """Memory as it was when a question was asked: nothing later can be seen through it.

    An observation is visible if its source is in ``limits``, its ``t1_s`` is not after that limit, and
    it was stored in a generation not after ``generation``.
    """

    generation: int
    limits: dict[str, float]
    source: str = ""
    as_of_s: float = 0.0


class ViewRequest(Message, frozen=True, tag="view_request"):
    """The View of now, or of media time ``as_of_s`` of ``source`` (sources after it unseen).

    ``sources`` narrows it to those sources; empty means all that memory holds.
    """

    source: str = ""
    as_of_s: float | None = None
    sources: tuple[str, ...] = ()


class RecallRequest(Message, frozen=True, tag="recall_request"):
    """Find what fits ``query`` among the visible observations, filtered by time first.

    ``source`` and ``t0_s``..``t1_s`` are the window (overlap counts); ``channels`` empty means all
    perceived ones. ``vector``: the query's float16 vector, compared with those of the same space.
    """

    query: str
    view: View
    source: str = ""
    t0_s: float | None = None
    t1_s: float | None = None
    channels: tuple[Channel, ...] = ()
    limit: int = 20
    vector: bytes | None = None
    vector_space: str = ""


class Hit(Message, frozen=True, tag="hit"):
    """One thing found. ``score`` is comparable within one reply only; ``why`` splits it by mechanism."""

    observation: Observation
    score: float
    why: dict[str, float] = msgspec.field(default_factory=dict)


class RecallReply(Message, frozen=True, tag="recall_reply"):
    hits: tuple[Hit, ...] = ()
    took_s: float = 0.0


class ScanRequest(Message, frozen=True, tag="scan_request"):
    """Visible observations in order of time (``newest_first`` reverses), overlapping a window.

    ``ids`` asks for exactly these (still only the visible ones). Payloads only if asked for.
    """

    view: View
    source: str = ""
    channels: tuple[Channel, ...] = ()
    t0_s: float | None = None
    t1_s: float | None = None
    ids: tuple[str, ...] = ()
    newest_first: bool = False
    limit: int = 1000
    with_payload: bool = False


class ScanReply(Message, frozen=True, tag="scan_reply"):
    observations: tuple[Observation, ...] = ()


class Span(Message, frozen=True, tag="span"):
    """A stretch of time held as one: a moment, an event of moments, an episode of events."""

    id: str
    source: str
    level: Literal["moment", "event", "episode"]
    t0_s: float
    t1_s: float
    text: str = ""
    parent: str = ""
    keyframe: str = ""


class SpansRequest(Message, frozen=True, tag="spans_request"):
    view: View
    source: str = ""
    level: Literal["moment", "event", "episode"] = "event"
    t0_s: float | None = None
    t1_s: float | None = None
    limit: int = 1000


class SpansReply(Message, frozen=True, tag="spans_reply"):
    spans: tuple[Span, ...] = ()


class RememberRequest(Message, frozen=True, tag="remember_request"):
    """Store observations made outside perception (questions, answers, corrections); idempotent by id."""

    observations: tuple[Observation, ...]


class Done(Message, frozen=True, tag="done"):
    """The thing asked for is done."""


class TrackLost(Message, frozen=True, tag="track_lost"):
    """A perception process is gone for good: its tracks of ``sources`` end where they stand, the rest is a gap.

    Sources that have not begun yet end on this track as soon as they do.
    """

    track: Track
    reason: str
    sources: tuple[str, ...] = ()


class StatusRequest(Message, frozen=True, tag="status_request"):
    pass


class SourceRecord(Message, frozen=True, tag="source_record"):
    """What memory knows of a source. ``watermarks`` and ``ended`` are by track; times in media seconds."""

    source: str
    kind: str
    uri: str
    fingerprint: str
    started_wall_s: float
    duration_s: float | None = None
    watermarks: dict[str, float] = msgspec.field(default_factory=dict)
    ended: dict[str, str] = msgspec.field(default_factory=dict)
    missing: dict[str, str] = msgspec.field(default_factory=dict)
    encoders: dict[str, str] = msgspec.field(default_factory=dict)


class MemoryStatus(Message, frozen=True, tag="memory_status"):
    generation: int
    sources: tuple[SourceRecord, ...]
    observations: dict[str, int]
    spans: dict[str, int]
    bytes: int
    index_bytes: int = 0
    path: str = ""
    schema: int = 0


# --- calls to reasoning ---------------------------------------------------------------------------


class AskRequest(Message, frozen=True, tag="ask_request"):
    """Ask a question, as of now or of media time ``as_of_s`` of ``source``; ``sources`` narrows what counts."""

    question: str
    conversation: str = "main"
    source: str = ""
    as_of_s: float | None = None
    sources: tuple[str, ...] = ()


class AnswerPart(Message, frozen=True, tag="answer_part"):
    """The next piece of the answer's text, in order."""

    text: str


class Citation(Message, frozen=True, tag="citation"):
    """An observation the answer rests on; it exists in the View the question was asked in."""

    source: str
    t0_s: float
    t1_s: float
    channel: Channel
    text: str
    id: str


class Answer(Message, frozen=True, tag="answer"):
    """The whole answer. ``latency_s`` has "recall", "first_part" and "total"."""

    question: str
    answer: str
    abstained: bool
    as_of_s: float
    citations: tuple[Citation, ...]
    latency_s: dict[str, float]
    backend: str


class SearchRequest(Message, frozen=True, tag="search_request"):
    """Recall without an answer: what the user sees of memory itself."""

    query: str
    source: str = ""
    sources: tuple[str, ...] = ()
    limit: int = 10


# --- the envelope of a call -----------------------------------------------------------------------


class Failure(Message, frozen=True, tag="failure"):
    """A call failed: the error's class name and its one line."""

    kind: str
    message: str


AnyMessage = (
    Observation
    | SourceOpened
    | Progress
    | SourceEnded
    | SpeechStarted
    | Ack
    | Stored
    | Heartbeat
    | Stop
    | Cancel
    | Interrupt
    | View
    | ViewRequest
    | RecallRequest
    | Hit
    | RecallReply
    | ScanRequest
    | ScanReply
    | Span
    | SpansRequest
    | SpansReply
    | RememberRequest
    | Done
    | TrackLost
    | StatusRequest
    | SourceRecord
    | MemoryStatus
    | AskRequest
    | AnswerPart
    | Citation
    | Answer
    | SearchRequest
    | Failure
)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AnyMessage)


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
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise DecodeError(f"not a message: {error}") from error
