"""What of an event stays when it has to weigh less.

A compressor chooses among an event's observations; it never changes one. Pooling keeps the frames least alike, by
farthest-point selection (Gonzalez, 1985: each next frame is the one least like all that are kept), as Optimus-1
(arXiv 2408.03615) does in its buffer, and of what was said the utterances with the rarest words. A learned
compressor (IXC2.5-OL's, arXiv 2412.09596, section 3.2) has its place beside it in `COMPRESSORS`: what it makes goes
into `Kept.made`, as derived observations with vectors of its own space.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from memory.store.size_accounting import PICTURED
from runtime.errors import ConfigError
from runtime.messages import Observation

POOLED_KEYS = 4
# Frames nearer than this to one that is kept say nothing of their own; further than the second, they are worth a
# picture of their own: half of the distance at which an event usually ends.
SAME_DISTANCE = 0.02
PICTURE_DISTANCE = 0.15
# Frames can look alike and hold other things: their words count beside their vectors.
WORDS_SHARE = 0.25
SKETCH_TAGS = 12
POINTER_TAGS = 3
SKETCH_CHARACTERS = 240
# What says less than this share of what the most telling words of its event do, for its length, is not worth a row.
TOLD_SHARE = 0.25
# Rarity of what holds a term, or a phrase, that nothing else in memory does.
NOWHERE_ELSE = 1.0


class Member(Struct, frozen=True):
    """An observation of an event. ``rarity``: how rare its words are in memory, summed over them."""

    observation: Observation
    rarity: float


class Kept(Struct, frozen=True):
    """Ids of the observations that stay, of those among them that keep their picture, of the frames by which the event
    is told from others, and what was made of the rest."""

    rows: frozenset[str] = frozenset()
    pictures: frozenset[str] = frozenset()
    keys: tuple[str, ...] = ()
    made: tuple[Observation, ...] = ()


class Compressor(Protocol):
    """Chooses what stays. Members come in order of time; ``keyframe`` is the id of the frame most like its event."""

    def compress_seen(
        self, members: Sequence[Member], keyframe: str, stage: Literal["full", "sketch", "pointer"]
    ) -> Kept: ...

    def compress_said(self, members: Sequence[Member]) -> Kept: ...


class Pooling:
    """Keeps keyframe, the frames least alike, and each thing noticed once."""

    def compress_seen(
        self, members: Sequence[Member], keyframe: str, stage: Literal["full", "sketch", "pointer"]
    ) -> Kept:
        """Of what was seen and heard beside words. Full keeps everything and only names its keys."""
        frames = [member.observation for member in members if member.observation.channel == "frame"]
        chosen = _least_alike(frames, keyframe)
        keys = tuple(frame.id for frame, _ in chosen)
        if stage == "full":
            everything = frozenset(member.observation.id for member in members)
            return Kept(rows=everything, pictures=frozenset(frame.id for frame in frames), keys=keys)
        if stage == "pointer":
            return Kept(rows=frozenset({*keys[:1], *_tags(members, POINTER_TAGS)}), keys=keys[:1])
        pictures = [frame for frame, apart in chosen if apart >= PICTURE_DISTANCE]
        pictures += _showing(members, frames, pictures)
        return Kept(
            rows=frozenset({*keys, *(frame.id for frame in pictures), *_tags(members, SKETCH_TAGS)}),
            pictures=frozenset(frame.id for frame in pictures),
            keys=keys,
        )

    def compress_said(self, members: Sequence[Member]) -> Kept:
        """Of words: those that say most for their length, up to a line, without what says next to nothing beside them;
        what was missed stays known."""
        kept = {m.observation.id for m in members if m.observation.channel == "gap"}
        room = SKETCH_CHARACTERS
        ranked = sorted((m for m in members if m.observation.text), key=_telling, reverse=True)
        for member in ranked:
            text = member.observation.text
            if len(text) <= room and _telling(member) >= TOLD_SHARE * _telling(ranked[0]):
                kept.add(member.observation.id)
                room -= len(text)
        return Kept(rows=frozenset(kept))


COMPRESSORS: dict[str, Callable[[], Compressor]] = {"pooling": Pooling}


def load_compressor(name: str) -> Compressor:
    """A compressor by its name in a profile.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in COMPRESSORS:
        raise ConfigError(f"memory.budget.compressor: no {name!r}; known: {', '.join(sorted(COMPRESSORS))}")
    return COMPRESSORS[name]()


def _least_alike(frames: Sequence[Observation], keyframe: str) -> list[tuple[Observation, float]]:
    """The keyframe and up to four more, each with its distance from those before it."""
    if not frames:
        return []
    first = next((i for i, frame in enumerate(frames) if frame.id == keyframe), len(frames) // 2)
    vectors, words = [_unit(frame) for frame in frames], [frozenset(frame.text.split()) for frame in frames]
    chosen = [(frames[first], 2.0)]
    apart = np.full(len(frames), 2.0)
    newest = first
    while len(chosen) <= POOLED_KEYS:
        for i in range(len(frames)):
            # Vectors of two encoders say nothing of each other.
            is_comparable = frames[i].vector_space == frames[newest].vector_space
            other = vectors[newest] if is_comparable else None
            apart[i] = min(apart[i], _distance(vectors[i], other, words[i], words[newest]))
        newest = int(np.argmax(apart))
        if apart[newest] < SAME_DISTANCE:
            break
        chosen.append((frames[newest], float(apart[newest])))
    return chosen


def _distance(
    a: NDArray[np.float32] | None, b: NDArray[np.float32] | None, words_a: frozenset[str], words_b: frozenset[str]
) -> float:
    union = len(words_a | words_b)
    by_words = 1.0 - len(words_a & words_b) / union if union else 0.0
    if a is None or b is None or a.size != b.size:
        return by_words
    return max(0.0, 1.0 - float(a @ b)) + WORDS_SHARE * by_words


def _unit(frame: Observation) -> NDArray[np.float32] | None:
    return np.frombuffer(frame.vector, np.float16).astype(np.float32) if frame.vector else None


def _telling(member: Member) -> float:
    """Rarity for its length; 16 characters are for what a row costs."""
    return member.rarity / (16 + len(member.observation.text))


def _showing(
    members: Sequence[Member], frames: Sequence[Observation], pictures: Sequence[Observation]
) -> list[Observation]:
    """For each of the rarest things noticed nowhere else a frame that shows it, unless one of ``pictures`` does."""
    shown: list[Observation] = []
    tags = {member.observation.id: member for member in members}
    for tag in (tags[id_] for id_ in _tags(members, POINTER_TAGS)):
        thing = tag.observation
        if tag.rarity < NOWHERE_ELSE or not frames or any(thing.id in frame.evidence for frame in (*pictures, *shown)):
            continue
        shown.append(min(frames, key=lambda frame: (thing.id not in frame.evidence, abs(frame.t0_s - thing.t0_s))))
    return shown


def _tags(members: Sequence[Member], limit: int) -> list[str]:
    """Each different thing noticed once, the rarest first."""
    first: dict[str, Member] = {}
    for member in members:
        if member.observation.channel in PICTURED and member.observation.channel != "frame" and member.observation.text:
            first.setdefault(member.observation.text, member)
    ranked = sorted(first.values(), key=lambda member: -member.rarity)
    return [member.observation.id for member in ranked[:limit]]
