"""What perception sends and memory acknowledges: observations, the course of a source, the state of a process."""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from runtime.messages.base import Channel, Message, Track
from runtime.messages.facts import FACTS, NO_FACTS, ChannelFacts, Facts, SpeechFacts

_Kind = TypeVar("_Kind", bound=ChannelFacts)


class Observation(Message, frozen=True, tag="observation"):
    """One thing perceived or derived; never changed once made.

    text     what a person would say of it; the words for speech and on-screen text.
    data     the same as facts, in the struct of its channel (`runtime.messages.facts`).
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
    data: Facts = NO_FACTS
    vector: bytes | None = None
    vector_space: str = ""
    payload: bytes | None = None
    evidence: tuple[str, ...] = ()
    trust: float = 1.0

    def __post_init__(self) -> None:
        kind = FACTS[self.channel]
        given: object = self.data
        if type(given) is not kind:
            msgspec.structs.force_setattr(self, "data", kind() if given is None else msgspec.convert(given, kind))

    def facts(self, kind: type[_Kind]) -> _Kind:
        """Its facts if they are of this kind; of another channel's observation the defaults."""
        return self.data if isinstance(self.data, kind) else kind()


UNHEARD = {
    "busy": "the recogniser was busy",
    "failed": "the recogniser failed",
    "stopped": "the recogniser was stopped meanwhile",
    "absent": "no speech recogniser is installed, or it is switched off",
}


def why_unheard(speech: Observation) -> str:
    """Why nobody listened to an utterance, in a clause; "" where somebody did."""
    return UNHEARD.get(speech.facts(SpeechFacts).unheard, "")


def no_words(speech: Observation) -> str:
    """What stands for the words of an utterance that has none."""
    why = why_unheard(speech)
    return f"(not listened to: {why})" if why else "(no words understood)"


class SourceOpened(Message, frozen=True, tag="source_opened"):
    """A track of a source began. ``missing`` says in words what the source lacks ("no audio track").

    ``encoders`` says by channel what perceives it, and under "things" which names it gives (`runtime.language.coco`).
    """

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
    """Somebody began to speak; sent at once, before any word is known.

    ``known_s``: how far hearing had come when that was certain, at or after ``t_s``.
    """

    source: str
    t_s: float
    known_s: float = 0.0


class PartialTranscript(Message, frozen=True, tag="partial_transcript"):
    """What somebody is saying, as far as it is understood: a hypothesis that the next one replaces, never stored.

    The utterance began at ``t0_s`` and was heard up to ``t_s``. ``over``: it has ended, and ``text`` is no hypothesis
    any more but the words that are on their way to memory, or "" where there were none.
    """

    source: str
    t0_s: float
    t_s: float
    text: str = ""
    confidence: float = 0.0
    over: bool = False


def being_said(newest: dict[str, PartialTranscript], partial: PartialTranscript) -> None:
    """Keep in ``newest``, by source, what is being said at present."""
    if not partial.over:
        newest[partial.source] = partial
    elif partial.source in newest and newest[partial.source].t0_s <= partial.t0_s:
        del newest[partial.source]


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

    ``media_s`` is the newest media time it has worked on, ``data_age_s`` how old what it last finished is. ``quiet_s``
    is how long its work has shown no progress beyond the time it may take for a step; ``idle`` means it has nothing to
    do, so that this is no fault. ``counters`` holds totals ("frames", "keyframes", "bytes", ...),
    ``drops`` counts by "topic:reason". ``paused``: the user paused it.
    ``ended``: it did all there was to do, and this is its last one. ``clock_s``: of a process that perceives live, the
    media time that it is now.
    """

    process: str
    pid: int
    ready: bool = False
    idle: bool = True
    source: str = ""
    media_s: float = 0.0
    data_age_s: float = 0.0
    quiet_s: float = 0.0
    rss_bytes: int = 0
    counters: dict[str, float] = msgspec.field(default_factory=dict)
    drops: dict[str, int] = msgspec.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    paused: bool = False
    ended: bool = False
    clock_s: float = 0.0
