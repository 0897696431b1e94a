"""Observations to spans: moments within events within episodes, for one source.

A stage over released observations (see `memory.spans.segment`): the same media give the same spans, ids and times
included. The events of a source tile its time from 0 to its end without a hole. An event's parent is known
as soon as it ends, because an episode is named by its first event; no row is changed later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from msgspec import Struct, field

from memory.spans.segment import Segmenter, SegmentOptions, SegmentState, surprise_of, threshold
from memory.spans.summarise import sketch_episode, sketch_event
from memory.store.size_accounting import belongs_at_s
from runtime.messages import Channel, FrameFacts, Observation, Span, observation_id, round_time

# An episode holds at least one longest event, and ends after sixteen at the latest.
EPISODE_MAX_EVENTS = 16
EVENT_SURPRISES_NEEDED = 4
# A frame this much further from the mean of its event (cosine) stands for it as well.
_AS_GOOD = 0.05
# The channels that moments are made of, and the last part of the moment's id.
MOMENT_OF: dict[Channel, int] = {"frame": 0, "speech": 1}


class EventFacts(Struct, frozen=True):
    """What an episode keeps of an event: when it was, its sketch, how far that is believed, and its mean frame vector
    (float64 bytes) with its space."""

    t0_s: float
    t1_s: float
    text: str
    keyframe: str
    mean: bytes = b""
    trust: float = 1.0
    space: str = ""


class ConsolidationState(Struct):
    """Where consolidation stands. ``position``: (t1_s, t0_s, channel, id) of the last observation taken in."""

    segment: SegmentState = field(default_factory=SegmentState)
    position: tuple[float, float, str, str] = (-1.0, -1.0, "", "")
    event_start_s: float = 0.0
    members: list[Observation] = field(default_factory=list)
    episode: list[EventFacts] = field(default_factory=list)
    event_surprises: list[float] = field(default_factory=list)
    finished_s: float | None = None


def state_after(t_s: float) -> bytes:
    """The state of who has made all spans up to ``t_s``, and knows nothing more of what came before."""
    begin = (t_s, -1.0, "", "")
    return msgspec.msgpack.encode(ConsolidationState(SegmentState(start_s=t_s), position=begin, event_start_s=t_s))


class Consolidator:
    """One source's spans. ``step``, ``advance`` and ``finish`` return those that are complete, in order."""

    def __init__(self, source: str, options: SegmentOptions, state: bytes = b"") -> None:
        self.source = source
        self.options = options
        self.state = msgspec.msgpack.decode(state, type=ConsolidationState) if state else ConsolidationState()
        self._segmenter = Segmenter(options, self.state.segment)

    def to_bytes(self) -> bytes:
        """The state, to go on from after a restart."""
        return msgspec.msgpack.encode(self.state)

    def step(self, observation: Observation) -> list[Span]:
        """Take in the next released observation."""
        spans = self._close(self._segmenter.step(observation))
        o = observation
        self.state.position = (o.t1_s, o.t0_s, o.channel, o.id)
        self.state.members.append(msgspec.structs.replace(o, payload=None, evidence=()))
        return spans

    def advance(self, t_s: float) -> list[Span]:
        """All observations that end by ``t_s`` have been taken in."""
        return self._close(self._segmenter.advance(t_s))

    def finish(self, t_s: float) -> list[Span]:
        """The source ended at ``t_s``: close what is open."""
        if self.state.finished_s is not None and t_s <= self.state.finished_s:
            return []
        spans = self.advance(t_s)
        if t_s > self.state.event_start_s or self.state.members:
            end_s = max(t_s, self.state.event_start_s)
            spans += self._end_event(end_s, self.state.members)
            self.state.members = []
            self.state.segment.start_s = end_s
        spans += self._end_episode()
        self.state.finished_s = t_s
        return spans

    def _close(self, boundaries: list[float]) -> list[Span]:
        spans: list[Span] = []
        for t_s in boundaries:
            members = [o for o in self.state.members if _belongs_at(o) < t_s]
            self.state.members = [o for o in self.state.members if _belongs_at(o) >= t_s]
            spans += self._end_event(t_s, members)
        return spans

    def _end_event(self, t1_s: float, members: list[Observation]) -> list[Span]:
        t0_s, self.state.event_start_s = self.state.event_start_s, t1_s
        frames = [o for o in members if o.channel == "frame"]
        mean = _mean_vector(frames)
        text = sketch_event(members)
        facts = EventFacts(
            t0_s, t1_s, text, choose_keyframe(frames, mean), mean=b"" if mean is None else mean.tobytes(),
            trust=least_trust(members), space=_newest_space(frames),
        )  # fmt: skip
        spans = self._end_episode() if self._begins_episode(facts, mean) else []
        self.state.episode.append(facts)
        event = Span(
            id=observation_id(self.source, "event", t0_s), source=self.source, level="event", t0_s=t0_s, t1_s=t1_s,
            text=text, parent=self._episode_id(), keyframe=facts.keyframe, trust=facts.trust,
        )  # fmt: skip
        return [*spans, *moments(event, members), event]

    def _begins_episode(self, event: EventFacts, mean: np.ndarray | None) -> bool:
        """The event rule one level up: an event unlike the episode so far begins another."""
        episode = self.state.episode
        if not episode:
            return False
        surprise = 0.0
        vectors = [np.frombuffer(e.mean, np.float64) for e in episode if e.mean and e.space == event.space]
        if mean is not None and vectors and vectors[-1].size == mean.size:
            same = [vector for vector in vectors if vector.size == mean.size]
            surprise = surprise_of(mean, np.mean(same, axis=0))
        known = self.state.event_surprises
        is_new = len(known) >= EVENT_SURPRISES_NEEDED and surprise > threshold(known, self.options.gamma)
        self.state.event_surprises = [*known, surprise][-self.options.window :]
        long_enough = event.t0_s - episode[0].t0_s >= self.options.max_s
        return (is_new and long_enough) or len(episode) >= EPISODE_MAX_EVENTS

    def _end_episode(self) -> list[Span]:
        episode, self.state.episode = self.state.episode, []
        if not episode:
            return []
        return [sketch_episode_of(self.source, episode[0].t0_s, episode[-1].t1_s, episode)]

    def _episode_id(self) -> str:
        return observation_id(self.source, "episode", self.state.episode[0].t0_s)


def moments(event: Span, members: Sequence[Observation]) -> list[Span]:
    """The moments of an event: the stretch of each sampled picture until one that reads differently, and each
    utterance."""
    found: list[Span] = []
    frames = sorted((o for o in members if o.channel == "frame"), key=lambda o: (o.t0_s, o.id))
    shown = [frame for i, frame in enumerate(frames) if i == 0 or frame.text != frames[i - 1].text]
    for i, frame in enumerate(shown):
        until_s = shown[i + 1].t0_s if i + 1 < len(shown) else max(event.t1_s, frame.t0_s)
        found.append(_moment(event, frame, until_s, frame.id, MOMENT_OF["frame"]))
    for speech in members:
        if speech.channel == "speech":
            before = [frame.id for frame in frames if frame.t0_s <= speech.t1_s]
            found.append(_moment(event, speech, speech.t1_s, before[-1] if before else "", MOMENT_OF["speech"]))
    return found


def choose_keyframe(frames: Sequence[Observation], mean: np.ndarray | None) -> str:
    """Id of the frame nearest the event's mean vector, the earliest of equals; the middle one without vectors.

    One whose picture is kept large takes the place of one that is as good as like it.
    """
    if not frames:
        return ""
    if mean is None:
        return frames[len(frames) // 2].id
    space = _newest_space(frames)
    apart = {o.id: round(_distance(o, mean, space), 6) for o in frames}
    best = min(frames, key=lambda o: (apart[o.id], o.t0_s, o.id))
    large = [o for o in frames if o.facts(FrameFacts).large and apart[o.id] <= apart[best.id] + _AS_GOOD]
    return min(large, key=lambda o: (apart[o.id], o.t0_s, o.id), default=best).id


def resketch_event(event: Span, perceived: Sequence[Observation], is_last: bool) -> tuple[Span, list[Span]]:
    """An event as it would be without what was erased from it, and its moments.

    ``perceived``: what is left around it; ``is_last``: no event follows, so what is at its very end is its own.
    """
    members = [o for o in perceived if event.t0_s <= _belongs_at(o) and (_belongs_at(o) < event.t1_s or is_last)]
    frames = [o for o in members if o.channel == "frame"]
    keyframe = choose_keyframe(frames, _mean_vector(frames))
    anew = msgspec.structs.replace(event, text=sketch_event(members), keyframe=keyframe, trust=least_trust(members))
    return anew, moments(anew, members)


def erase_from_state(
    state: bytes,
    is_gone: Callable[[Observation], bool],
    retell: Callable[[EventFacts], EventFacts],
    pictures: bool = False,
) -> bytes:
    """A saved state without members that are gone, and with its events as ``retell`` has them; ``pictures``: such
    shaped the averages too."""
    known = msgspec.msgpack.decode(state, type=ConsolidationState)
    known.members = [o for o in known.members if not is_gone(o)]
    known.episode = [retell(facts) for facts in known.episode]
    if pictures:
        known.segment.average = b""
    return msgspec.msgpack.encode(known)


def told_in_state(state: bytes) -> list[EventFacts]:
    """The events a saved state has still to tell of."""
    return msgspec.msgpack.decode(state, type=ConsolidationState).episode


def told_of_episode(events: Sequence[EventFacts] | Sequence[Span]) -> tuple[str, str, float]:
    """(sketch, id of the keyframe, trust) of an episode of these events; it is believed as the least of them."""
    keyframes = [event.keyframe for event in events if event.keyframe]
    return (
        sketch_episode([(event.t0_s, event.text) for event in events]),
        keyframes[len(keyframes) // 2] if keyframes else "",
        least_trust(events),
    )


def least_trust(parts: Sequence[Observation] | Sequence[EventFacts] | Sequence[Span]) -> float:
    """How far a span is believed that is made of these; 1 of nothing, which claims nothing."""
    return min((part.trust for part in parts), default=1.0)


def sketch_open_event(source: str, t0_s: float, t1_s: float, members: Sequence[Observation]) -> Span:
    """The event that has not ended yet, as far as it goes."""
    frames = [o for o in members if o.channel == "frame"]
    return Span(
        id=observation_id(source, "event", t0_s), source=source, level="event", t0_s=t0_s, t1_s=t1_s,
        text=sketch_event(members), keyframe=choose_keyframe(frames, _mean_vector(frames)),
        trust=least_trust(members),
    )  # fmt: skip


def sketch_episode_of(source: str, t0_s: float, t1_s: float, events: Sequence[EventFacts] | Sequence[Span]) -> Span:
    """An episode, also one that has not ended yet, as far as its events can be seen and are still kept."""
    text, keyframe, trust = told_of_episode(events)
    return Span(
        id=observation_id(source, "episode", t0_s), source=source, level="episode", t0_s=t0_s, t1_s=t1_s, text=text,
        keyframe=keyframe, trust=trust,
    )  # fmt: skip


def _moment(event: Span, o: Observation, until_s: float, keyframe: str, k: int) -> Span:
    return Span(
        id=observation_id(o.source, "moment", o.t0_s, k), source=o.source, level="moment", t0_s=o.t0_s,
        t1_s=round_time(max(until_s, o.t0_s)), text=o.text, parent=event.id, keyframe=keyframe, trust=o.trust,
    )  # fmt: skip


def _belongs_at(o: Observation) -> float:
    return belongs_at_s(o.channel, o.t0_s, o.t1_s)


def _newest_space(frames: Sequence[Observation]) -> str:
    """The space of the newest vector: a source resumed with another encoder has vectors of two, never to be mixed."""
    return next((o.vector_space for o in reversed(frames) if o.vector), "")


def _mean_vector(frames: Sequence[Observation]) -> np.ndarray | None:
    space = _newest_space(frames)
    vectors = [
        np.frombuffer(o.vector, np.float16).astype(np.float64) for o in frames if o.vector and o.vector_space == space
    ]
    vectors = [vector for vector in vectors if vector.size == vectors[-1].size]
    return np.mean(vectors, axis=0) if vectors else None


def _distance(frame: Observation, mean: np.ndarray, space: str) -> float:
    if not frame.vector or frame.vector_space != space or len(frame.vector) // 2 != mean.size:
        return 2.0
    return surprise_of(np.frombuffer(frame.vector, np.float16).astype(np.float64), mean)
