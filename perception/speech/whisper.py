"""Whisper behind the recogniser's Protocol: language, words with times, and nothing where nothing was said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perception.audio.blocks import CHUNK_SAMPLES, SAMPLE_RATE_HZ, Samples
from perception.audio.vad import Probabilities
from perception.speech.hallucination import (
    LEAST_LOGPROB,
    MOST_COMPRESSION,
    Evidence,
    compression_ratio,
    doubt,
    in_silence,
)
from perception.speech.transcript import NO_VOICE_KNOWN, Transcript, Word, mean_confidence, moved
from perception.speech.whisper_conversion import converted
from perception.speech.whisper_features import HOP_SAMPLES, WINDOW_FRAMES, WINDOW_SAMPLES, log_mel, tokenizer
from perception.speech.whisper_runtimes import (
    BEAM_SIZE,
    CTranslate2Whisper,
    Decoded,
    TokenTime,
    TorchWhisper,
    WhisperRuntime,
)

# Half of the decoder's context of 448 tokens, as in whisper/decoding.py; 30 s of speech have about 120.
_MOST_TOKENS = 224
# Nobody says more: English has 3.5 tokens a second, the fastest speakers twice that. What goes on is a loop, which ends
# sooner here. Languages that the vocabulary spells byte by byte have several tokens a letter.
_TOKENS_PER_S, _TOKENS_MORE = 12.0, 16
_SPELT_TOKENS_PER_S = 48.0
_LATIN = frozenset("en de es fr it pt nl ca gl ro sv da no nn fi id ms tr pl".split())
# Silence after the utterance in a window that is fitted to it: 128 tokens of sound (decision 14).
_MARGIN_FRAMES = 256
_UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})


@dataclass(frozen=True, slots=True)
class _Heard:
    """Encoded sound, its language ("" for models that know only English), and how long it is."""

    encoded: Any
    language: str
    duration_s: float


class Whisper:
    """Any Whisper model on one runtime. Each utterance is heard by itself, so the order of utterances is no matter.

    language    code of the language spoken, or empty: detected anew in each utterance.
    fit         windows are as long as the utterance and a margin, where the runtime can: the 30 s it was trained on
                cost four times as much for an utterance of 5 s. What is unsure in its first decoding is heard again
                in a whole window (decision 14).
    """

    def __init__(self, runtime: WhisperRuntime, name: str, language: str = "", fit: bool = True) -> None:
        self.name = name
        self._runtime = runtime
        self._language = language if runtime.multilingual else ""
        self._fit = fit and runtime.shorter_windows

    def transcribe(self, samples: Samples, voice: Probabilities = NO_VOICE_KNOWN, partial: bool = False) -> Transcript:
        """See `Transcriber`. Utterances over 30 s are heard in pieces of 30 s."""
        if len(samples) <= WINDOW_SAMPLES:
            return self._window(samples, voice, partial)
        chunks = WINDOW_SAMPLES // CHUNK_SAMPLES
        pieces = []
        for number in range(-(-len(samples) // (chunks * CHUNK_SAMPLES))):
            part = slice(number * chunks * CHUNK_SAMPLES, (number + 1) * chunks * CHUNK_SAMPLES)
            piece = self._window(samples[part], voice[number * chunks : (number + 1) * chunks], partial)
            pieces.append((part.start / SAMPLE_RATE_HZ, piece))
        return _joined(pieces)

    def _window(self, samples: Samples, voice: Probabilities, partial: bool) -> Transcript:
        """The words of one window. Where its first decoding repeats itself or is unlikely, it is heard another way."""
        frames = fitted_frames(len(samples)) if self._fit else WINDOW_FRAMES
        heard = self._hear(samples, frames)
        decoded, text = self._decode(heard, partial)
        if not partial and (decoded.mean_logprob < LEAST_LOGPROB or compression_ratio(text) > MOST_COMPRESSION):
            heard = heard if frames == WINDOW_FRAMES else self._hear(samples, WINDOW_FRAMES)
            decoded, text = self._decode(heard, partial, again=True)
        known = heard.language if self._runtime.multilingual else ""
        if not decoded.tokens:
            return Transcript(language=known, doubt="no words")
        spoken_frames = max(2, len(samples) // HOP_SAMPLES)
        times = self._runtime.align(heard.encoded, heard.language, decoded.tokens, spoken_frames)
        separator = "" if heard.language in _UNSPACED else " "
        words = _words(self._tokenizer(heard), decoded.tokens, times, len(samples) / SAMPLE_RATE_HZ)
        why = doubt(Evidence(text, words, decoded.mean_logprob, decoded.no_speech_prob, voice))
        words = [word for word in words if not in_silence(word, voice)]
        confidence = round(mean_confidence(words), 3)
        if why or not words:
            return Transcript(confidence=confidence, language=known, doubt=why or "words where nobody speaks")
        return Transcript(tuple(words), confidence, True, known, separator)

    def _hear(self, samples: Samples, frames: int) -> _Heard:
        """``samples`` in a window of so many frames, encoded, and the language of it."""
        runtime = self._runtime
        encoded = runtime.encode(log_mel(samples, runtime.n_mels, frames))
        language = self._language
        if not language and runtime.multilingual:
            shares = runtime.languages(encoded)
            language = max(shares, key=lambda code: shares[code])
        return _Heard(encoded, language, len(samples) / SAMPLE_RATE_HZ)

    def _decode(self, heard: _Heard, partial: bool, again: bool = False) -> tuple[Decoded, str]:
        """The most probable words and their text."""
        decoded = self._runtime.decode(
            heard.encoded,
            heard.language,
            beam_size=1 if partial else BEAM_SIZE,
            max_tokens=most_tokens(heard.language, heard.duration_s),
            again=again,
        )
        return decoded, self._tokenizer(heard).decode(list(decoded.tokens))

    def _tokenizer(self, heard: _Heard) -> Any:
        return tokenizer(self._runtime.multilingual, self._runtime.num_languages, heard.language)


def fitted_frames(samples: int) -> int:
    """Frames of a window for so many samples of an utterance: an even number."""
    return min(WINDOW_FRAMES, -(-samples // (2 * HOP_SAMPLES)) * 2 + _MARGIN_FRAMES)


def most_tokens(language: str, duration_s: float) -> int:
    """As many tokens as can have been said in this time."""
    a_second = _TOKENS_PER_S if language in _LATIN or not language else _SPELT_TOKENS_PER_S
    return min(_MOST_TOKENS, round(a_second * duration_s) + _TOKENS_MORE)


def _words(split: Any, tokens: tuple[int, ...], times: list[TokenTime], until_s: float) -> list[Word]:
    """Tokens as words, punctuation at the word it belongs to, times within the utterance."""
    words: list[Word] = []
    at = 0
    for text, parts in zip(*split.split_to_word_tokens(list(tokens)), strict=True):
        own = times[at : at + len(parts)]
        at += len(parts)
        shown = text.strip()
        if not shown or not own:
            continue
        if words and not any(letter.isalnum() for letter in shown):
            words[-1] = Word(words[-1].text + shown, words[-1].t0_s, words[-1].t1_s, words[-1].confidence)
            continue
        t0_s = round(min(own[0].t0_s, until_s), 2)
        t1_s = round(min(max(own[-1].t1_s, t0_s), until_s), 2)
        confidence = round(float(np.clip(np.mean([token.probability for token in own]), 0.0, 1.0)), 3)
        words.append(Word(shown, t0_s, t1_s, confidence))
    return words


def _joined(pieces: list[tuple[float, Transcript]]) -> Transcript:
    """One transcript of consecutive windows; its language is that of the piece with most words."""
    words = tuple(word for from_s, piece in pieces for word in moved(piece.words, from_s))
    most = max((piece for _, piece in pieces), key=lambda piece: len(piece.words))
    if not words:
        return Transcript(language=most.language, doubt=most.doubt)
    return Transcript(words, round(mean_confidence(words), 3), True, most.language, most.separator)


def load_whisper(name: str, checkpoint: Path, language: str, threads: int, fit: bool = True) -> Whisper:
    """``name`` "whisper-ctranslate2" or "whisper-torch", or "whisper" for the quicker one that is installed.

    CTranslate2 in 8-bit integers takes about a fifth of torch's time (`python -m benchmarks.speech`), and without
    torch a process starts in a tenth of it.

    Raises:
        ValueError: the checkpoint is damaged or of another model; one line.
        ImportError: the runtime is not installed.
    """
    if name == "whisper":
        try:
            return load_whisper("whisper-ctranslate2", checkpoint, language, threads, fit)
        except ImportError:
            name = "whisper-torch"
    if name == "whisper-torch":
        return Whisper(TorchWhisper(checkpoint, threads), name, language)
    made = converted(checkpoint)
    return Whisper(CTranslate2Whisper(made.folder, threads, made.compute_type), name, language, fit)
