"""Where one event ends and the next begins.

Surprise s = 1 - cos(frame vector, moving average of the event); a boundary where s > mu + gamma * sigma
over the last frames, or where the picture was cut (EM-LLM, arXiv 2407.09450, section 3.1, with the
embedding's distance in place of the language model's surprise). Where there is no picture, an event ends
at a pause in speech that is long among the pauses of late. Events last from ``min_s`` to ``max_s``,
but a stretch in which nothing at all was observed is one event however long.

A stage: observations must come in the order of `Writing.released`, which the pace of the picture's and the
sound's processes cannot change, so the same media give the same events in every replay.
"""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct, field

from runtime.messages import FrameFacts, Observation, round_time

# Below this a frame is like its event whatever the statistics of a still scene say: cosine .98.
SURPRISE_FLOOR = 0.02
# So many surprises must be known before their spread means anything; until then only cuts count.
SURPRISES_NEEDED = 4
# The average follows the event's content with a memory of about ten frames.
AVERAGE_RATE = 0.1
PAUSE_S = 1.5
PAUSES_WINDOW = 16


class SegmentOptions(Struct, frozen=True):
    """``gamma`` and ``window`` (frames) of the surprise threshold; shortest and longest event in seconds."""

    min_s: float = 3.0
    max_s: float = 64.0
    gamma: float = 1.0
    window: int = 64


class SegmentState(Struct):
    """All a segmenter remembers; MessagePack keeps its floats exactly."""

    start_s: float = 0.0
    average: bytes = b""
    space: str = ""
    frames: int = 0
    taken: int = 0
    surprises: list[float] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    spoken_until_s: float | None = None


class Segmenter:
    """One source's events. ``step`` returns the media times, in order, at which an event ended."""

    def __init__(self, options: SegmentOptions, state: SegmentState | None = None) -> None:
        self.options = options
        self.state = state or SegmentState()

    def step(self, observation: Observation) -> list[float]:
        """Take in the next observation; boundaries it shows."""
        boundaries = self.advance(observation.t1_s)
        if not self.state.taken and observation.t1_s - self.state.start_s >= self.options.max_s:
            # Hours in which nothing was observed are one event, not hundreds; it ends with this observation.
            boundaries.append(round_time(max(observation.t0_s, self.state.start_s + self.options.max_s)))
            self._begin(boundaries[-1])
        self.state.taken += 1
        boundary = None
        if observation.channel == "frame":
            boundary = self._see(observation)
        elif observation.channel == "speech":
            boundary = self._hear(observation)
        if boundary is not None:
            self._begin(boundary)
            self.state.taken = 1
            boundaries.append(boundary)
        return boundaries

    def advance(self, t_s: float) -> list[float]:
        """Everything that ends before ``t_s`` has been taken in; boundaries of events that are too long."""
        boundaries = []
        while self.state.taken and t_s >= (limit_s := round_time(self.state.start_s + self.options.max_s)):
            self._begin(limit_s)
            boundaries.append(limit_s)
        return boundaries

    def _begin(self, t_s: float) -> None:
        self.state.start_s = t_s
        self.state.frames = 0
        self.state.taken = 0

    def _see(self, frame: Observation) -> float | None:
        state = self.state
        vector = _vector(frame)
        is_new = bool(frame.facts(FrameFacts).cut)
        if vector is not None:
            if state.space != frame.vector_space or len(state.average) != vector.nbytes:
                state.average, state.space = b"", frame.vector_space
            if state.average:
                surprise = surprise_of(vector, np.frombuffer(state.average, np.float64))
                is_new = is_new or self._exceeds(surprise)
                state.surprises = [*state.surprises, surprise][-self.options.window :]
            # A new scene starts its own average, also where the event is too short to end here: then the
            # short piece belongs to what follows.
            average = vector if is_new or not state.average else _follow(state.average, vector)
            state.average = average.tobytes()
        state.frames += 1
        long_enough = frame.t0_s - state.start_s >= self.options.min_s
        if is_new and long_enough:
            return frame.t0_s
        return None

    def _exceeds(self, surprise: float) -> bool:
        known = self.state.surprises
        if len(known) < SURPRISES_NEEDED or surprise <= SURPRISE_FLOOR:
            return False
        return surprise > threshold(known, self.options.gamma)

    def _hear(self, speech: Observation) -> float | None:
        state = self.state
        before_s, state.spoken_until_s = state.spoken_until_s, max(speech.t1_s, state.spoken_until_s or 0.0)
        if before_s is None:
            return None
        pause_s = speech.t0_s - before_s
        is_long = pause_s >= PAUSE_S and (not state.pauses or pause_s > threshold(state.pauses, self.options.gamma))
        state.pauses = [*state.pauses, max(0.0, pause_s)][-PAUSES_WINDOW:]
        if is_long and not state.frames and speech.t0_s - state.start_s >= self.options.min_s:
            return speech.t0_s
        return None


def threshold(values: list[float], gamma: float) -> float:
    """mu + gamma * sigma, summed in order without rounding, so that every machine agrees."""
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / len(values)
    return mean + gamma * math.sqrt(variance)


def surprise_of(vector: np.ndarray, average: np.ndarray) -> float:
    """1 - cosine of two vectors, 0..2."""
    norm = float(np.linalg.norm(vector) * np.linalg.norm(average))
    return 1.0 - float(vector @ average) / norm if norm > 0 else 0.0


def _vector(frame: Observation) -> np.ndarray | None:
    if not frame.vector:
        return None
    return np.frombuffer(frame.vector, np.float16).astype(np.float64)


def _follow(average: bytes, vector: np.ndarray) -> np.ndarray:
    before = np.frombuffer(average, np.float64)
    return before + AVERAGE_RATE * (vector - before)
