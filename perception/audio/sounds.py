"""What is heard that is not speech: silence, impulses, steady noise, music-like sound, and the rest.

Kinds need no model: levels, onsets and held spectral peaks tell these few classes apart, and what they cannot tell is
called "other". Music and tones are known by peaks of the spectrum that stay in place (as in McAulay and
Quatieri's sinusoidal model, 1986): noise, strokes and animals have next to none.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from perception.audio.sound_events import Labels, SoundEvents
from perception.audio.vad import VoiceActivity
from perception.capture.blocks import CHUNK_S, CHUNK_SAMPLES, DIGITAL_SILENCE, Samples, level_db, seconds

SoundClass = Literal["silence", "impulse", "steady noise", "music-like", "other"]

# The edges of speech are softer than Silero's threshold: this far around it nothing is named a sound.
_SPEECH_MARGIN_CHUNKS = 10
_SPEECH = 0.4
# Gaps shorter than half a second do not end a sound; silence is one from two seconds on.
_GAP_CHUNKS = 16
_SILENCE_CHUNKS = 62
# An onset rises this much above what was there up to 0.16 s before, and is an impulse if it has fallen by
# _DECAY_DB 0.8 s later.
_RISE_DB = 12.0
_STROKE_DB = -32.0
_SHORTEST_S = 0.5
# A sound's end is told if it lasted this much longer than was stated; that of silence is less of an event.
_REST_S = 1.0
_SILENT_REST_S = 5.0
_DECAY_DB = 10.0
_DECAY_CHUNKS = 25
# A struck or exploding thing may ring longer, but begins from next to nothing and fades all the way.
_RING_CHUNKS = 94
_SUDDEN_DB = 20.0
_STEADY_DB = 4.5
_STEADY_RANGE_DB = 14.0
# Share of power in held peaks: measured under 0.01 for rain, applause, thunder and hiss, 0.02-0.05 for loud
# percussion, 0.15 and more for tones and melodies.
_TONAL = 0.15
_STILL_TONAL = 0.05
_TONELESS = 0.015
_PEAK_OVER_MEDIAN = 10.0
_HELD_FRAMES = 5
_FRAME_SAMPLES = 2 * CHUNK_SAMPLES
# 94 Hz to 7 kHz in bins of 15.6 Hz: below is hum, above is little but hiss after lossy coding.
_BINS = slice(6, 450)


@dataclass(frozen=True, slots=True)
class SoundOptions:
    """quiet_db    level below which nothing is heard, dB of full scale.
    state_s     a sound is stated after this long, or when it ends before.
    restate_s   one that goes on is stated again at multiples of this media time.
    """

    quiet_db: float = -52.0
    state_s: float = 3.0
    restate_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound, or the next stretch of one that goes on.

    kind      its class.
    level_db  mean power of the stretch (of an impulse: its loudest 32 ms) relative to full scale.
    digital   the recording holds no sound at all here; only for silence.
    onsets    strokes counted in it; 0 for what has none.
    goes_on   it was stated before and still lasts.
    labels    what it is by name, with scores 0..1, best first, where a classifier is there and knows it.
    """

    t0_s: float
    t1_s: float
    kind: SoundClass
    level_db: float
    digital: bool = False
    onsets: int = 0
    goes_on: bool = False
    labels: Labels = ()

    @property
    def text(self) -> str:
        """What a person would say of it."""
        if self.labels:
            name = self.labels[0][0].lower()
            words = name + {"loud": ", loud", "faint": ", faint"}.get(self._loudness(), "")
        elif self.kind == "silence":
            words = "digital silence, the recording holds no sound at all" if self.digital else "silence"
        elif self.kind == "impulse":
            loud = {"loud": "loud ", "faint": "faint "}.get(self._loudness(), "")
            words = f"repeated short {loud}sounds" if self.onsets > 2 else f"a short {loud}sound"
        else:
            name = {"steady noise": "a steady noise", "music-like": "music or tones"}.get(
                self.kind, "a sound that changes"
            )
            words = name + {"loud": ", loud", "faint": ", faint"}.get(self._loudness(), "")
        return f"{words}, going on" if self.goes_on else words

    def _loudness(self) -> str:
        return "loud" if self.level_db > -22 else "faint" if self.level_db < -42 else ""


@dataclass(slots=True)
class _Run:
    """Consecutive chunks that are all silent, or all sounding but for short gaps."""

    silent: bool
    first: int  # chunk number
    window: int  # chunk number at which the window under way begins
    stated: int  # everything before this chunk number is stated
    kind: SoundClass | None = None
    digital: bool = False
    labels: Labels = ()


class NameSounds:
    """Voice activity in, sounds out, in order of their ends. Consecutive statements of one sound never overlap."""

    def __init__(self, options: SoundOptions, events: SoundEvents | None = None) -> None:
        self._options = options
        self._events = events
        self._window_chunks = max(_SILENCE_CHUNKS, round(options.state_s / CHUNK_S))
        self._restate_chunks = round(options.restate_s / CHUNK_S)
        self.reset_states()

    def reset_states(self) -> None:
        self._ahead: deque[tuple[Samples, float, bool]] = deque()  # chunk, speech probability, lost
        self._since_speech = _SPEECH_MARGIN_CHUNKS + 1
        self._next = -1  # number of the next chunk to decide
        self._run: _Run | None = None
        self._quiet = 0  # silent chunks at the end of a sounding run
        self._chunks: list[Samples] = []  # of the window under way
        self._before: list[float] = []  # levels before the window, for onsets at its beginning

    @property
    def settled_s(self) -> float:
        """Media time before which no sound can begin that was not stated yet."""
        run = self._run
        pending = self._next - self._quiet if run is None or run.kind is not None else run.first
        return seconds(max(0, pending) * CHUNK_SAMPLES)

    def step(self, activity: VoiceActivity) -> list[Sound]:
        chunks = activity.samples.reshape(-1, CHUNK_SAMPLES)
        if self._next < 0:
            self._next = activity.start // CHUNK_SAMPLES
        out: list[Sound] = []
        for chunk, probability in zip(chunks, activity.probabilities.tolist(), strict=True):
            self._ahead.append((chunk, probability, activity.lost))
            if len(self._ahead) > _SPEECH_MARGIN_CHUNKS:
                out += self._decide()
        return out

    def finish(self) -> list[Sound]:
        """The sound is over."""
        out: list[Sound] = []
        while self._ahead:
            out += self._decide()
        return out + self._end_run()

    def _decide(self) -> list[Sound]:
        """The oldest chunk, now that enough is known of what follows it."""
        chunk, probability, lost = self._ahead.popleft()
        self._since_speech = 0 if probability >= _SPEECH else self._since_speech + 1
        spoken = self._since_speech <= _SPEECH_MARGIN_CHUNKS or any(p >= _SPEECH for _, p, _ in self._ahead)
        number, self._next = self._next, self._next + 1
        if spoken or lost:
            out = self._end_run()
            self._before.clear()
            return out
        out = []
        silent = level_db(chunk) < self._options.quiet_db
        run = self._run
        if run is not None and run.silent and not silent:
            out += self._end_run()
        elif run is not None and not run.silent:
            self._quiet = self._quiet + 1 if silent else 0
            if self._quiet >= _GAP_CHUNKS:
                tail = self._chunks[-(_GAP_CHUNKS - 1) :]
                self._quiet -= 1  # this chunk is not in the window
                out += self._end_run()
                begin = number - len(tail)
                self._run, self._chunks = _Run(True, begin, begin, begin), tail
        if self._run is None:
            self._run, self._chunks, self._quiet = _Run(silent, number, number, number), [], 0
        self._chunks.append(chunk)
        if len(self._chunks) >= self._window_chunks and not self._quiet:
            out += self._state_window(len(self._chunks), ended=False)
        return out

    def _end_run(self) -> list[Sound]:
        run, self._run = self._run, None
        out: list[Sound] = []
        if run is not None:
            self._run = run
            count = len(self._chunks) - (0 if run.silent else self._quiet)
            long_enough = count >= (_SILENCE_CHUNKS if run.silent and run.kind is None else 1)
            if count > 0 and long_enough:
                out = self._state_window(count, ended=True)
            elif run.silent and run.kind is None:
                # Too short to be told, and all the same what a stroke that follows stands out from.
                self._before = _levels_db(np.stack(self._chunks[-5:])).tolist()
            elif run.kind is not None:
                out = self._state(run.window, ended=True)
        self._run, self._chunks, self._quiet = None, [], 0
        return out

    def _state_window(self, count: int, ended: bool) -> list[Sound]:
        """Name the first ``count`` chunks of the window under way and say so where it is news."""
        run = self._run
        assert run is not None
        chunks = np.stack(self._chunks[:count])
        levels = _levels_db(chunks)
        first, after = run.window, run.window + count
        digital = bool(np.abs(chunks).max() <= DIGITAL_SILENCE)
        strokes = [] if run.silent else _impulses(np.array(self._before), levels)
        if ended and run.kind is None and not run.silent and _rings(np.array(self._before), levels):
            strokes = strokes or [0]
            kind: SoundClass = "impulse"
        elif run.kind not in (None, "impulse") and count * CHUNK_S < 1.0:
            kind = run.kind  # too little to tell that it changed
        else:
            kind = "silence" if run.silent else _classify(chunks, levels, strokes, run.kind)
        self._before = levels[-5:].tolist()
        self._chunks, run.window = self._chunks[count:], after
        if kind == "other" and count * CHUNK_S < _SHORTEST_S:
            return self._state(first, ended)  # a breath, a creak, the tail of a sound: too little to be named
        labels = self._label(chunks, kind) if not run.silent else ()
        renamed = bool(labels) and labels[0][0] not in (name for name, _ in run.labels)
        news = kind != run.kind or digital != run.digital or kind == "impulse" or renamed
        out: list[Sound] = []
        if news:
            out += self._state(first, ended=True)
            strokes_in = strokes if kind == "impulse" else []
            level = float(levels.max()) if kind == "impulse" else _mean_db(levels)
            begin = first * CHUNK_SAMPLES
            if strokes_in and strokes_in[0] <= 1:
                begin += _onset(chunks[: strokes_in[0] + 1])
            t0, t1 = seconds(begin), seconds(after * CHUNK_SAMPLES)
            out.append(Sound(t0, t1, kind, round(level, 1), digital, len(strokes_in), labels=labels))
            run.kind, run.digital, run.stated, run.labels = kind, digital, after, labels
        if kind not in ("impulse", "silence") and len(strokes) <= 2:
            out += self._inside(first, chunks, levels, strokes)
        self._level = _mean_db(levels)
        if not news and (ended or after // self._restate_chunks > run.stated // self._restate_chunks):
            out += self._state(after, ended)
        return out

    def _state(self, until: int, ended: bool) -> list[Sound]:
        """What went on since the last statement, up to chunk ``until``; a mere rest is let go."""
        run = self._run
        assert run is not None
        rest_s = _SILENT_REST_S if run.silent else _REST_S
        if run.kind in (None, "impulse") or (until - run.stated) * CHUNK_S < (rest_s if ended else CHUNK_S):
            return []
        t0, t1 = seconds(run.stated * CHUNK_SAMPLES), seconds(until * CHUNK_SAMPLES)
        run.stated = until
        assert run.kind is not None
        return [Sound(t0, t1, run.kind, round(self._level, 1), run.digital, goes_on=True, labels=run.labels)]

    def _label(self, chunks: Samples, kind: SoundClass) -> Labels:
        return self._events.label(chunks.reshape(-1), kind == "impulse") if self._events is not None else ()

    def _inside(self, first: int, chunks: Samples, levels: npt.NDArray[np.float64], strokes: list[int]) -> list[Sound]:
        """Strokes that stand out of a longer sound."""
        out = []
        for stroke in strokes:
            if levels[stroke] >= float(np.median(levels)) + 1.5 * _RISE_DB:
                end = stroke + int(np.argmax(np.append(levels[stroke:] < levels[stroke] - _DECAY_DB, True)))
                from_chunk = max(0, stroke - 1)
                begin = (first + from_chunk) * CHUNK_SAMPLES + _onset(chunks[from_chunk : stroke + 1])
                t0, t1 = seconds(begin), seconds((first + max(end, stroke + 1)) * CHUNK_SAMPLES)
                out.append(Sound(t0, t1, "impulse", round(float(levels[stroke]), 1), onsets=1))
        return out


def _classify(
    chunks: Samples, levels: npt.NDArray[np.float64], strokes: list[int], before: SoundClass | None
) -> SoundClass:
    share = tonal_share(chunks.reshape(-1))
    if share >= (_STILL_TONAL if before == "music-like" else _TONAL):
        return "music-like"
    length_s = len(levels) * CHUNK_S
    if strokes and (len(strokes) >= 2 * length_s / 3 or length_s < 1.2):
        return "impulse"
    # A quarter of a second is averaged, so that the grain of rain or applause does not count as change.
    smooth = np.convolve(levels, np.full(8, 1 / 8), mode="valid") if len(levels) >= 24 else levels
    low, high = np.percentile(levels, (10, 90))
    steady = float(np.std(smooth)) <= _STEADY_DB and float(high - low) <= _STEADY_RANGE_DB
    if length_s >= 0.75 and steady and share <= _TONELESS:
        return "steady noise"
    return "other"


def _rings(before: npt.NDArray[np.float64], levels: npt.NDArray[np.float64]) -> bool:
    """Whether a whole sound is one blow that rings off: it begins suddenly, peaks early and fades away."""
    peak = int(np.argmax(levels))
    quiet_before = not len(before) or float(levels[: peak + 1].max()) - float(before.max()) >= _SUDDEN_DB
    faded = float(levels[-len(levels) // 4 :].max()) <= float(levels[peak]) - _RISE_DB
    early = peak <= len(levels) // 4 and float(levels[peak]) > _STROKE_DB
    return len(levels) <= _RING_CHUNKS and quiet_before and faded and early


def _impulses(before: npt.NDArray[np.float64], levels: npt.NDArray[np.float64]) -> list[int]:
    """Chunks at which a stroke begins: a steep rise that soon decays."""
    padded = np.concatenate((np.full(max(0, 5 - len(before)), -100.0), before[-5:], levels))
    found: list[int] = []
    for i in range(len(levels)):
        peak = float(levels[i : i + 3].max())
        rose = peak - float(padded[i : i + 4].max()) >= _RISE_DB
        after = levels[i : i + _DECAY_CHUNKS]
        fell = float(after.min()) <= peak - _DECAY_DB or len(after) < _DECAY_CHUNKS
        if rose and fell and peak > _STROKE_DB and (not found or i - found[-1] > 4):
            # A stroke that begins at the end of one chunk has its peak in the next.
            found.append(i + int(np.argmax(levels[i : i + 4])))
    return found


def _onset(chunks: Samples) -> int:
    """Sample at which a stroke begins whose peak is in these chunks: the first that reaches half of it."""
    loudness = np.abs(chunks.reshape(-1))
    return int(np.argmax(loudness >= 0.5 * loudness.max()))


def tonal_share(samples: Samples) -> float:
    """Share of the power, 0..1, that lies in spectral peaks held for at least 160 ms."""
    if len(samples) < _FRAME_SAMPLES + _HELD_FRAMES * CHUNK_SAMPLES:
        return 0.0
    frames = sliding_window_view(samples, _FRAME_SAMPLES)[::CHUNK_SAMPLES] * np.hanning(_FRAME_SAMPLES).astype(
        np.float32
    )
    power = np.square(np.abs(np.fft.rfft(frames, axis=1)))[:, _BINS]
    highest = sliding_window_view(np.pad(power, ((0, 0), (3, 3)), mode="edge"), 7, axis=1).max(axis=2)
    around = np.median(sliding_window_view(np.pad(power, ((0, 0), (12, 12)), mode="edge"), 25, axis=1), axis=2)
    peaks = (power >= highest) & (power > _PEAK_OVER_MEDIAN * around + 1e-9)
    held = np.zeros(power.shape[1], np.int64)
    inside = np.zeros(power.shape, bool)
    for i, row in enumerate(peaks):
        near = np.maximum(held, np.maximum(np.append(0, held[:-1]), np.append(held[1:], 0)))
        held = np.where(row, near + 1, 0)
        inside[i] = held >= _HELD_FRAMES
    for shift in (1, 2):  # a peak's power lies in the bins beside it too
        inside[:, shift:] |= inside[:, :-shift].copy()
        inside[:, :-shift] |= inside[:, shift:].copy()
    shares = (power * inside).sum(axis=1) / (power.sum(axis=1) + 1e-12)
    return float(np.mean(shares))


def _levels_db(chunks: Samples) -> npt.NDArray[np.float64]:
    """Mean level of each chunk, dB of full scale."""
    levels: npt.NDArray[np.float64] = 10 * np.log10(np.mean(chunks * chunks, axis=1, dtype=np.float64) + 1e-12)
    return levels


def _mean_db(levels: npt.NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.mean(10 ** (levels / 10))))
