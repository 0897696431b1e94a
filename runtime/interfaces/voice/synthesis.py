"""Text to sound: Piper's voices in ONNX Runtime with espeak-ng's phonemes, espeak-ng alone, or none."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from runtime.errors import ConfigError, MindstreamError, WeightsError
from runtime.interfaces.voice.phonemes import find_espeak, load_phonemizer, phonemes, run_espeak
from runtime.pcm import decoded
from runtime.weights.known import require

Samples = npt.NDArray[np.float32]

VOICE = "piper/en_US-joe-medium"


class Speech(Struct, frozen=True):
    """``samples`` float32 (n,), -1..1, at ``sample_rate_hz``."""

    samples: Any
    sample_rate_hz: int


class Synthesizer(Protocol):
    """Speaks one sentence at a time; blocks while it does."""

    name: str

    def speak(self, sentence: str) -> Speech:
        """
        Raises:
            MindstreamError: it cannot be spoken.
        """
        ...


class EspeakNg:
    """The espeak-ng command: robotic, small, a hundred languages."""

    name = "espeak-ng"

    def __init__(self) -> None:
        self._command = find_espeak()

    def speak(self, sentence: str) -> Speech:
        ran = run_espeak([self._command, "--stdout", "--stdin"], sentence)
        try:
            with wave.open(io.BytesIO(ran)) as sound:
                rate_hz = sound.getframerate()
        except (wave.Error, EOFError) as error:
            raise MindstreamError(f"espeak-ng gave no sound ({error})") from error
        # It writes to a pipe and cannot know the length beforehand: all that follows the header is sound.
        data = ran[ran.index(b"data") + 8 :]
        return Speech(decoded(data[: len(data) // 2 * 2]), rate_hz)


class Piper:
    """A Piper voice (VITS, Kim et al. 2021): phonemes by espeak-ng, sound by one ONNX network.

    ``input`` int64 (1, n) phoneme ids, each followed by the pad, ``input_lengths`` (1,), ``scales`` noise, length,
    noise of durations (3,); out float32 (1, 1, samples).
    """

    name = "piper"

    def __init__(self) -> None:
        import onnxruntime

        self._phonemize = load_phonemizer()
        model, config = require(VOICE)
        try:
            self._config = json.loads(config.read_text(encoding="utf-8"))
            self._ids: dict[str, list[int]] = self._config["phoneme_id_map"]
            self._rate_hz = int(self._config["audio"]["sample_rate"])
            self._session: Any = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        except Exception as error:  # JSON's, ours by key, ONNX Runtime's: all mean that the voice is unusable
            raise WeightsError(f"{model}: damaged, or no Piper voice ({' '.join(str(error).split())[:100]})") from error

    def speak(self, sentence: str) -> Speech:
        voice = str(self._config.get("espeak", {}).get("voice", "en-us"))
        ids = self.phoneme_ids(phonemes(self._phonemize, voice, sentence))
        inference = self._config.get("inference", {})
        scales = [
            inference.get("noise_scale", 0.667),
            inference.get("length_scale", 1.0),
            inference.get("noise_w", 0.8),
        ]
        inputs = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array(scales, np.float32),
        }
        if int(self._config.get("num_speakers", 1)) > 1:
            inputs["sid"] = np.array([0], np.int64)
        try:
            sound = np.asarray(self._session.run(None, inputs)[0], np.float32).reshape(-1)
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise MindstreamError(f"{VOICE} failed: {' '.join(str(error).split())[:100]}") from error
        # As loud as it may be, as Piper's own program has it: voices differ.
        return Speech(sound / max(1e-8, float(np.abs(sound).max(initial=0.0))), self._rate_hz)

    def phoneme_ids(self, phonemes: str) -> list[int]:
        """Begin, each known phoneme with a pad behind it, end; phonemes the voice does not know are left out."""
        pad = self._ids["_"]
        ids = [*self._ids["^"], *pad]
        for phoneme in phonemes:
            if phoneme in self._ids:
                ids += [*self._ids[phoneme], *pad]
        return [*ids, *self._ids["$"]]


SYNTHESIZERS: dict[str, Callable[[], Synthesizer]] = {"piper": Piper, "espeak-ng": EspeakNg}


def load_synthesizer(which: str) -> tuple[Synthesizer | None, str]:
    """The synthesizer ``which`` ("auto": the best there is), or None and in one line why answers are not spoken.

    Raises:
        ConfigError: there is none of that name.
    """
    if which not in (*SYNTHESIZERS, "auto", "none"):
        raise ConfigError(f"voice.synthesis: no {which!r}; known: auto, none, {', '.join(SYNTHESIZERS)}")
    if which == "none":
        return None, ""
    why = ""
    for name in SYNTHESIZERS if which == "auto" else (which,):
        try:
            return SYNTHESIZERS[name](), ""
        except (MindstreamError, ImportError) as error:
            why = str(error)
    return None, f"answers are written, not spoken: {why}"


def sound_starts_s(speech: Speech, quiet: float = 0.01, pause_s: float = 0.3) -> tuple[float, ...]:
    """Seconds at which sound begins in ``speech`` after at least ``pause_s`` of silence, its beginning included."""
    step = max(1, speech.sample_rate_hz // 50)
    count = len(speech.samples) // step
    loud = np.abs(speech.samples[: count * step].reshape(count, step)).max(axis=1) > quiet if count else np.zeros(0)
    starts: list[float] = []
    silent = round(pause_s * 50)
    for i, is_loud in enumerate(loud.tolist()):
        if is_loud and silent >= round(pause_s * 50):
            starts.append(i * step / speech.sample_rate_hz)
        silent = 0 if is_loud else silent + 1
    return tuple(starts)
