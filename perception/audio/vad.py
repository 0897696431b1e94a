"""Voice activity: where somebody speaks, cut into utterances (Silero VAD and its iterator's hysteresis)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from perception.audio.channels import Centre, say_different_things
from perception.capture.blocks import (
    CHUNK_S,
    CHUNK_SAMPLES,
    DIGITAL_SILENCE,
    SAMPLE_RATE_HZ,
    AudioBlock,
    Samples,
    seconds,
)
from runtime.errors import WeightsError
from runtime.messages import round_time
from runtime.weights.known import absent, locate
from runtime.weights.table import VOICE_ACTIVITY

# Each chunk is shown to the model behind the last 4 ms of the one before (Silero VAD v5/v6 at 16 kHz).
CONTEXT_SAMPLES = 64
# A voice is told at the threshold. What is said begins where the probability is this much below it, so that a voice
# behind music loses nothing (of 82 words of films 17 are misheard without, 14 with it, and nothing is heard in 5.6
# minutes without speech either way), and goes on until it is twice as much below (Silero's VADIterator has one margin).
_MARGIN = 0.15
_LEAST = 0.05
# After this much digital silence the model is not asked any more; less occurs inside noise-gated speech.
_SKIP_AFTER_CHUNKS = 16
# Silero's probability from which a channel of its own holds a speaker.
_SIDE_SPEAKS = 0.5
# An over-long utterance is cut in its later part, where the smoothed probability is lowest.
_CUT_FROM_SHARE = 0.4
_SMOOTHING_CHUNKS = 5

Probabilities = npt.NDArray[np.float32]
State = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


class SpeechModel(Protocol):
    """Speech probability of consecutive chunks; keeps no state of its own."""

    def initial_state(self) -> State: ...

    def probabilities(self, frames: Samples, state: State) -> tuple[Probabilities, State]:
        """0..1 for each row of ``frames`` (n, 576), and the state after the last one."""
        ...


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """threshold        probability, 0..1, at which a voice starts. Lower ones notice little sooner and begin at other
                     sounds: .3 instead of .5 is told after 40 ms of audio instead of 48 (p50) and 128 instead of 139
                     (p90), and starts 6 times instead of twice in 142 s of rain, dogs, guitars and the like.
    min_speech_s     utterances with less speech than this are none.
    min_silence_s    silence that ends an utterance.
    pad_s            sound kept before the first and after the last speech.
    max_utterance_s  longer speech is cut.
    """

    threshold: float = 0.5
    min_speech_s: float = 0.25
    min_silence_s: float = 0.5
    pad_s: float = 0.4
    max_utterance_s: float = 15.0


@dataclass(frozen=True, slots=True)
class VoiceStart:
    """Somebody began to speak; whether it becomes an utterance is not known yet."""

    t_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """Speech between two silences.

    t0_s, t1_s  with padding; consecutive utterances never overlap, but those of two channels may.
    samples     float32 (n,), 16 kHz.
    voice       (n / 512,), the speech probability of each chunk.
    sides       (2, n), the left and the right channel, where there are two that differ.
    side        "left" or "right" where it was said in that channel alone; else "".
    """

    t0_s: float
    t1_s: float
    samples: Samples
    voice: Probabilities
    sides: Samples | None = None
    side: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class VoiceActivity:
    """Every chunk once, in order: ``samples`` (n * 512,) from position ``start``, ``probabilities`` (n,)."""

    start: int
    samples: Samples
    probabilities: Probabilities
    lost: bool = False


class SegmentSpeech:
    """Blocks in; voice starts, utterances and each chunk's voice activity out.

    Chunks lie on the grid of media second 0: sound that begins between two grid points loses its first
    fraction of a chunk. The results do not depend on how the sound is divided into blocks.
    """

    def __init__(self, options: SpeechOptions, model: SpeechModel) -> None:
        self._options = options
        self._model = model
        self._pad = _chunks(options.pad_s)
        self._min_silence = max(1, _chunks(options.min_silence_s))
        self._min_speech = max(1, _chunks(options.min_speech_s))
        self._max = max(2 * self._pad + 2, _chunks(options.max_utterance_s))
        self.reset_states()

    def reset_states(self) -> None:
        """Forget all sound heard; the next block may begin anywhere."""
        self._pending = np.zeros((3, 0), np.float32)  # mix, left, right
        self._next = -1  # chunk number of the first pending sample, -1 before any sound
        self._mix = _Listener(self._model)
        self._middle = _Listener(self._model)
        self._centre = Centre()
        self._kept: list[Samples] = []  # chunks (3, 512) from number _kept_from on that an utterance may still need
        self._kept_probabilities: list[float] = []
        self._kept_from = 0
        self._first = -1  # first chunk of the open utterance without padding, -1 while nobody speaks
        self._last = -1  # its last chunk of speech so far
        self._told = False  # whether a voice was told of it
        self._closed = 0  # end of the utterance before, which the next must not overlap

    @property
    def settled_s(self) -> float:
        """Media time before which every utterance has been given out."""
        if self._first >= 0:
            return seconds(self._begin() * CHUNK_SAMPLES)
        return seconds(max(self._closed, self._next - self._pad, 0) * CHUNK_SAMPLES)

    @property
    def open_s(self) -> float | None:
        """When the utterance began that is still spoken, None while there is none. It may yet turn out to be none."""
        return None if self._first < 0 else seconds(self._begin() * CHUNK_SAMPLES)

    def so_far(self) -> Utterance:
        """What has been said of the open utterance (see `open_s`)."""
        return self._cut_out(self._begin(), self._next)

    def foreseen(self) -> Utterance | None:
        """The open utterance as it will be if nobody speaks on, once its padding has been heard; None before, and
        where it will be none. From then on until it ends it stays the same."""
        end = self._last + 1 + self._pad
        if self._first < 0 or self._next < end or self._pad > self._min_silence:
            return None
        return self._utterance(end)

    def step(self, block: AudioBlock) -> list[VoiceStart | Utterance | VoiceActivity]:
        sides = block.sides if block.sides is not None else np.stack((block.samples, block.samples))
        rows = np.concatenate((block.samples[None], sides))
        if self._next < 0:
            self._next = -(-block.start // CHUNK_SAMPLES)
            self._kept_from = self._closed = self._next
            rows = rows[:, self._next * CHUNK_SAMPLES - block.start :]
        pending = np.concatenate((self._pending, rows), axis=1) if self._pending.shape[1] else rows
        count = pending.shape[1] // CHUNK_SAMPLES
        self._pending = pending[:, count * CHUNK_SAMPLES :]
        return self._take(_in_chunks(pending[:, : count * CHUNK_SAMPLES]), block.lost) if count else []

    def finish(self) -> list[VoiceStart | Utterance | VoiceActivity]:
        """The sound is over: the last part of a chunk is filled with silence, an open utterance closed."""
        out: list[VoiceStart | Utterance | VoiceActivity] = []
        if self._pending.shape[1]:
            chunk = np.zeros((3, CHUNK_SAMPLES), np.float32)
            chunk[:, : self._pending.shape[1]] = self._pending
            self._pending = self._pending[:, :0]
            out += self._take(_in_chunks(chunk), False)
        if self._first >= 0:
            out += self._close(min(self._last + 1 + self._pad, self._next))
        return out

    def _take(self, chunks: Samples, lost: bool) -> list[VoiceStart | Utterance | VoiceActivity]:
        """``chunks`` (n, 3, 512): mix, left, right."""
        probabilities = self._mix.probabilities(chunks[:, 0])
        if np.array_equal(chunks[:, 1], chunks[:, 2]):
            self._centre, self._middle = Centre(), _Listener(self._model)
        else:
            middle = self._middle.probabilities(self._centre.step(chunks[:, 1], chunks[:, 2]))
            probabilities = np.maximum(probabilities, middle)
        start = self._next * CHUNK_SAMPLES
        out: list[VoiceStart | Utterance | VoiceActivity] = []
        for chunk, probability in zip(chunks, probabilities.tolist(), strict=True):
            out += self._follow(chunk, probability)
        out.append(VoiceActivity(start, np.ascontiguousarray(chunks[:, 0]).reshape(-1), probabilities, lost))
        return out

    def _follow(self, chunk: Samples, probability: float) -> list[VoiceStart | Utterance | VoiceActivity]:
        """One chunk on: the hysteresis."""
        number, self._next = self._next, self._next + 1
        self._kept.append(chunk)
        self._kept_probabilities.append(probability)
        out: list[VoiceStart | Utterance | VoiceActivity] = []
        threshold = self._options.threshold
        if self._first < 0:
            if probability < max(_LEAST, threshold - _MARGIN):
                self._forget(number + 1 - self._pad)
                return out
            self._first, self._told = number, False
        if probability >= threshold and not self._told:
            self._told = True
            out.append(VoiceStart(seconds(number * CHUNK_SAMPLES)))
        if probability >= max(_LEAST, threshold - 2 * _MARGIN):
            self._last = number
            if number + 1 - self._begin() >= self._max:
                out += self._cut()
        elif number - self._last >= self._min_silence:
            out += self._close(min(self._last + 1 + self._pad, number + 1))
        return out

    def _begin(self) -> int:
        """First chunk of the open utterance, padding included."""
        return max(self._first - self._pad, self._closed, self._kept_from)

    def _utterance(self, end: int) -> Utterance | None:
        """The open utterance up to chunk ``end``, if it holds enough speech."""
        utterance = self._cut_out(self._begin(), end)
        spoken = int((utterance.voice >= max(_LEAST, self._options.threshold - _MARGIN)).sum())
        return utterance if spoken >= self._min_speech else None

    def _cut_out(self, begin: int, end: int) -> Utterance:
        """Chunks ``begin`` to ``end`` of what is kept."""
        part = slice(begin - self._kept_from, end - self._kept_from)
        rows = np.concatenate(self._kept[part], axis=1)
        voice = np.array(self._kept_probabilities[part], np.float32)
        sides = None if np.array_equal(rows[1], rows[2]) else rows[1:]
        return Utterance(seconds(begin * CHUNK_SAMPLES), seconds(end * CHUNK_SAMPLES), rows[0], voice, sides)

    def _close(self, end: int) -> list[VoiceStart | Utterance | VoiceActivity]:
        """The open utterance is over at chunk ``end``."""
        utterance = self._utterance(end)
        self._first, self._closed = -1, end
        self._forget(max(end, self._next - self._pad))
        return [] if utterance is None else [utterance]

    def _cut(self) -> list[VoiceStart | Utterance | VoiceActivity]:
        """Speech without a pause: give out its first part, up to where it is least like speech."""
        begin, last, after = self._begin(), self._last, self._next
        probabilities = np.array(self._kept_probabilities[begin - self._kept_from :])
        padded = np.pad(probabilities, _SMOOTHING_CHUNKS // 2, mode="edge")
        smooth = np.convolve(padded, np.full(_SMOOTHING_CHUNKS, 1 / _SMOOTHING_CHUNKS), mode="valid")
        # Inside steady speech all probabilities are near 1; then the quieter place is the better one.
        power = np.array([float(np.mean(chunk[0] * chunk[0])) for chunk in self._kept[begin - self._kept_from :]])
        cost = smooth + 0.2 * np.sqrt(power / max(float(power.max()), 1e-12))
        earliest = int(len(cost) * _CUT_FROM_SHARE)
        cut = begin + earliest + int(np.argmin(cost[earliest : len(cost) - 1])) + 1
        kept, kept_probabilities, kept_from = self._kept.copy(), self._kept_probabilities.copy(), self._kept_from
        out = self._close(cut)
        # What follows the cut is the next utterance, already begun: no new voice start.
        self._kept, self._kept_probabilities = kept[cut - kept_from :], kept_probabilities[cut - kept_from :]
        self._kept_from, self._first, self._last, self._next = cut, cut, max(cut, last), after
        return out

    def _forget(self, before: int) -> None:
        """Drop the chunks that no utterance can need any more."""
        drop = min(max(0, before - self._kept_from), len(self._kept))
        del self._kept[:drop], self._kept_probabilities[:drop]
        self._kept_from += drop


class _Listener:
    """The model on one row of chunks in order, asked in as few calls as digital silence allows."""

    def __init__(self, model: SpeechModel) -> None:
        self._model = model
        self._silent_chunks = 0
        self._begin()

    def _begin(self) -> None:
        self._state = self._model.initial_state()
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)

    def probabilities(self, chunks: Samples) -> Probabilities:
        """Of all ``chunks``, (n, 512)."""
        loud = np.abs(chunks).max(axis=1) > DIGITAL_SILENCE
        result = np.zeros(len(chunks), np.float32)
        asked: list[int] = []
        for i in range(len(chunks)):
            self._silent_chunks = 0 if loud[i] else self._silent_chunks + 1
            if self._silent_chunks <= _SKIP_AFTER_CHUNKS:
                asked.append(i)
                continue
            if asked:
                self._ask(chunks, asked, result)
                asked = []
            self._begin()
        if asked:
            self._ask(chunks, asked, result)
        return result

    def _ask(self, chunks: Samples, asked: list[int], result: Probabilities) -> None:
        run = chunks[asked[0] : asked[-1] + 1]
        frames = np.empty((len(run), CONTEXT_SAMPLES + CHUNK_SAMPLES), np.float32)
        frames[:, CONTEXT_SAMPLES:] = run
        frames[0, :CONTEXT_SAMPLES] = self._context
        frames[1:, :CONTEXT_SAMPLES] = run[:-1, -CONTEXT_SAMPLES:]
        self._context = run[-1, -CONTEXT_SAMPLES:].copy()
        result[asked[0] : asked[-1] + 1], self._state = self._model.probabilities(frames, self._state)


def split_sides(utterance: Utterance, model: SpeechModel, pad_s: float, min_speech_s: float) -> list[Utterance]:
    """An utterance whose channels say different things, a speaker in each, as one of each channel; else itself."""
    sides = utterance.sides
    if sides is None or not say_different_things(sides[0], sides[1]):
        return [utterance]
    pad, least = _chunks(pad_s), max(1, _chunks(min_speech_s))
    split: list[Utterance] = []
    for side, samples in zip(("left", "right"), sides, strict=True):
        voice = _Listener(model).probabilities(samples.reshape(-1, CHUNK_SAMPLES))
        spoken = np.flatnonzero(voice >= _SIDE_SPEAKS)
        if len(spoken) < least:
            continue
        begin, end = max(0, int(spoken[0]) - pad), min(len(voice), int(spoken[-1]) + 1 + pad)
        t0_s, t1_s = (round_time(utterance.t0_s + chunk * CHUNK_S) for chunk in (begin, end))
        cut = samples[begin * CHUNK_SAMPLES : end * CHUNK_SAMPLES]
        split.append(Utterance(t0_s, t1_s, cut, voice[begin:end], side=side))
    return sorted(split, key=lambda part: part.t0_s) if split else [utterance]


def _in_chunks(rows: Samples) -> Samples:
    """(3, n * 512) as (n, 3, 512)."""
    return rows.reshape(3, -1, CHUNK_SAMPLES).transpose(1, 0, 2)


class SileroModel:
    """Silero VAD v6 in ONNX Runtime, the export that takes many chunks a call (bit-equal to one by one)."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # the export holds unused constants, which it warns about
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def initial_state(self) -> State:
        return np.zeros((1, 1, 128), np.float32), np.zeros((1, 1, 128), np.float32)

    def probabilities(self, frames: Samples, state: State) -> tuple[Probabilities, State]:
        speech, h, c = self._session.run(None, {"input": frames, "h": state[0], "c": state[1]})
        return speech, (h, c)


def load_silero() -> SileroModel:
    """The best export that an installed package carries; packages are located and not imported: silero-vad loads torch.

    Raises:
        WeightsError: there is none.
    """
    for name in VOICE_ACTIVITY:
        with suppress(WeightsError):  # another version of the package: the next one is as good as ever
            if (found := locate(name)) is not None:
                return SileroModel(found[0])
    raise WeightsError(absent(VOICE_ACTIVITY[-1]))


def _chunks(duration_s: float) -> int:
    return round(duration_s * SAMPLE_RATE_HZ / CHUNK_SAMPLES)
