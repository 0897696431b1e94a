"""What Whisper is given and what it speaks: log-mel spectra and tokens, both without torch.

The filter bank, the vocabularies and the tokenizer's rules are those of the installed `openai-whisper` package,
which is located and not imported: it would load torch, and the CTranslate2 runtime needs none.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from perception.audio.blocks import Samples
from runtime.errors import MindstreamError

# Whisper hears windows of 30 s at 100 frames a second (Radford et al. 2022, section 2.2).
WINDOW_SAMPLES = 480_000
WINDOW_FRAMES = 3000
HOP_SAMPLES = 160
_FFT_SAMPLES = 400
_LEAST_POWER = 1e-10
# Of the spectrum's maximum, in powers of ten: what is further below is set to that.
_RANGE = 8.0

Mel = npt.NDArray[np.float32]


def log_mel(samples: Samples, n_mels: int, window_frames: int = WINDOW_FRAMES) -> Mel:
    """Whisper's input for up to 30 s: (n_mels, window_frames) float32, filled up with silence.

    ``samples`` float32 (n,), 16 kHz; what is beyond the window is left out. ``n_mels`` 80, or 128 for large-v3.
    The same numbers as `whisper.log_mel_spectrogram` gives after `pad_or_trim` to the window, to 1e-4.
    """
    window_samples = window_frames * HOP_SAMPLES
    samples = samples[:window_samples]
    padded = np.zeros(len(samples) + 2 * _FFT_SAMPLES, np.float32)
    half = _FFT_SAMPLES // 2
    padded[half : half + len(samples)] = samples
    padded[:half] = padded[2 * half : half : -1]  # torch.stft reflects at the edges
    if len(samples) == window_samples:  # else there is silence
        padded[half + len(samples) : 2 * half + len(samples)] = samples[-2 : -half - 2 : -1]
    window = np.hanning(_FFT_SAMPLES + 1)[:-1].astype(np.float32)
    frames = sliding_window_view(padded, _FFT_SAMPLES)[::HOP_SAMPLES][:window_frames]
    power = np.square(np.abs(np.fft.rfft(frames * window, axis=1))).astype(np.float32)
    mel = np.full((n_mels, window_frames), _LEAST_POWER, np.float32)
    mel[:, : len(frames)] = np.maximum(_filters(n_mels) @ power.T, _LEAST_POWER)
    mel = np.log10(mel)
    return np.asarray((np.maximum(mel, mel.max() - _RANGE) + 4.0) / 4.0, np.float32)


def tokenizer(multilingual: bool, num_languages: int, language: str = "") -> Any:
    """Whisper's tokenizer for transcription in ``language`` (English where none is given)."""
    return _tokenizer_module().get_tokenizer(
        multilingual, num_languages=num_languages, language=language or None, task="transcribe"
    )


@lru_cache
def _filters(n_mels: int) -> Mel:
    with np.load(_package() / "assets" / "mel_filters.npz", allow_pickle=False) as banks:
        return np.asarray(banks[f"mel_{n_mels}"], np.float32)


@lru_cache
def _tokenizer_module() -> Any:
    spec = importlib.util.spec_from_file_location("_whisper_tokenizer", _package() / "tokenizer.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


def _package() -> Path:
    spec = importlib.util.find_spec("whisper")
    if spec is None or not spec.submodule_search_locations:
        raise MindstreamError("openai-whisper is not installed: it holds Whisper's vocabulary (full profile)")
    return Path(spec.submodule_search_locations[0])
