"""The facts of an observation: one struct a channel, as docs/observations.md lists them.

An observation's channel says which struct its `data` is, so on the wire and in the store facts are a plain map without
a tag. What equals its default is left out of it, a key that this version does not know is passed over. As with all
messages a new field gets a default and a type never changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
from msgspec import Struct

from runtime.messages.base import Channel

# What MessagePack can carry.
Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
# x, y, width, height in 0..1 of the picture, from the top left.
Box = tuple[float, float, float, float]


class SpokenWord(NamedTuple):
    """A word of an utterance, in media time; ``confidence`` in 0..1."""

    text: str
    t0_s: float
    t1_s: float
    confidence: float = 1.0


class WrittenLine(NamedTuple):
    """A line read in a picture; ``confidence`` in 0..1."""

    text: str
    confidence: float
    box: Box


class Patch(NamedTuple):
    """A coloured part of a picture that stands out; ``share`` is that of the picture, 0..1."""

    colour: str
    place: str
    share: float


class ChannelFacts(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of all facts. ``imported``: the archive a record came from; "" where it was not imported."""

    imported: str = ""


class FrameFacts(ChannelFacts, frozen=True):
    """A sampled picture. None where it was not measured. ``unread``: where there is writing too small to be read;
    ``large``: its picture is kept large."""

    reason: str = ""
    cut: bool = False
    transition: str = ""
    change: float = 0.0
    motion: float | None = None
    still: bool = False
    brightness: float | None = None
    colours: tuple[tuple[str, float], ...] = ()
    regions: dict[str, str] = {}
    patches: tuple[Patch, ...] = ()
    things: tuple[tuple[str, Int64], ...] = ()
    tags: tuple[tuple[str, float], ...] = ()
    people: Int64 = 0
    faces: Int64 = 0
    width: Int64 = 0
    height: Int64 = 0
    unread: tuple[Box, ...] = ()
    large: bool = False


class ObjectFacts(ChannelFacts, frozen=True):
    """Something that appears or leaves. ``colours``: by part ("top", "bottom") of a person or a face, else a list.

    ``label``: its name, where that is sure; then ``probability`` is how far the looks at it agree.
    """

    kind: str = ""
    event: str = ""
    label: str = ""
    probability: float = 0.0
    track: Int64 | None = None
    box: Box | None = None
    colours: dict[str, str] | tuple[str, ...] = ()
    place: str = ""
    on: str = ""
    side: str = ""
    direction: str = ""
    shape: str = ""
    size: str = ""
    straight: float = 1.0
    count: Int64 = 0
    came_s: float | None = None
    left_s: float | None = None


class TextFacts(ChannelFacts, frozen=True):
    """A block of words read in a picture."""

    lines: tuple[WrittenLine, ...] = ()
    region: str = ""


class SpeechFacts(ChannelFacts, frozen=True):
    """An utterance."""

    words: tuple[SpokenWord, ...] = ()
    confidence: float = 0.0
    engine: str = ""
    understood: bool = True
    doubt: str = ""
    unheard: str = ""
    language: str = ""
    speaker: str = ""
    known_s: float | None = None


class SoundFacts(ChannelFacts, frozen=True):
    """What is heard and is no speech."""

    kind: str = msgspec.field(default="", name="class")
    level_db: float = 0.0
    onsets: Int64 = 0
    labels: tuple[tuple[str, float], ...] = ()
    goes_on: bool = False
    known_s: float | None = None


class GapFacts(ChannelFacts, frozen=True):
    """A stretch that was not perceived. ``ends_track``: the process that perceives this track will not come back."""

    track: str = ""
    reason: str = ""
    ends_track: bool = False


class QuestionFacts(ChannelFacts, frozen=True):
    """Something asked."""

    conversation: str = ""
    turn: Int64 = 0
    understood: str = ""
    follow_up: bool = False


class AnswerFacts(ChannelFacts, frozen=True):
    """Something answered. ``question``: the id of what was asked."""

    conversation: str = ""
    turn: Int64 = 0
    question: str = ""
    abstained: bool = False


class CorrectionFacts(ChannelFacts, frozen=True):
    """What the user says is so. ``asked`` and ``answered`` are what it corrects, if it corrects something."""

    conversation: str = ""
    asked: str = ""
    answered: str = ""


class DerivedFacts(ChannelFacts, frozen=True):
    """What was made of other observations.

    ``kind``: "notice" of a standing query, "caption" of a picture or "hour" in a paragraph; the last two were composed
    by ``model``, and are evidence. The first tells again what is evidence itself, as does "topic", of a conversation,
    which older memories hold.
    """

    kind: str = ""
    conversation: str = ""
    turn: Int64 = 0
    query: str = ""
    confirmed: bool = False
    model: str = ""


# Kinds of what is derived that describe what was perceived.
CAPTION, HOUR = "caption", "hour"
DESCRIPTIONS = (CAPTION, HOUR)


FACTS: dict[Channel, type[Facts]] = {
    "frame": FrameFacts,
    "object": ObjectFacts,
    "text": TextFacts,
    "speech": SpeechFacts,
    "sound": SoundFacts,
    "question": QuestionFacts,
    "answer": AnswerFacts,
    "correction": CorrectionFacts,
    "gap": GapFacts,
    "derived": DerivedFacts,
}

if TYPE_CHECKING:
    Facts = (
        FrameFacts
        | ObjectFacts
        | TextFacts
        | SpeechFacts
        | SoundFacts
        | GapFacts
        | QuestionFacts
        | AnswerFacts
        | CorrectionFacts
        | DerivedFacts
    )
else:
    # msgspec tells the structs of a union apart by a tag inside them. These have theirs outside, the channel:
    # `Observation` makes of a map the struct that its channel names.
    Facts = Any

# What an observation is given whose facts are all left at their defaults.
NO_FACTS: Any = None

_READERS = {channel: msgspec.json.Decoder(kind) for channel, kind in FACTS.items()}


def read_facts(channel: Channel, stored: str) -> Facts:
    """The facts in a row's JSON, by whatever version it was written.

    Raises:
        msgspec.DecodeError: it is no JSON object.
    """
    try:
        return _READERS[channel].decode(stored)
    except msgspec.ValidationError:
        return fitting_facts(channel, msgspec.json.decode(stored, type=dict[str, Any]))


def fitting_facts(channel: Channel, given: Mapping[str, Any]) -> Facts:
    """The facts in ``given``; a value of a type that its key never has is passed over."""
    kind = FACTS[channel]
    fitting = {}
    for key, value in given.items():
        try:
            msgspec.convert({key: value}, kind)
        except msgspec.ValidationError:
            continue
        fitting[key] = value
    return msgspec.convert(fitting, kind)
