"""Whisper behind the recogniser's Protocol: language, words with times, and nothing where nothing was said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from perception.audio import CHUNK_SAMPLES, SAMPLE_RATE_HZ, Samples
from perception.invented_text import LEAST_LOGPROB, MOST_COMPRESSION, Evidence, compression_ratio, doubt, in_silence
from perception.segment_speech import Probabilities
from perception.transcript import NO_VOICE_KNOWN, Transcript, Word
from perception.whisper_conversion import converted
from perception.whisper_features import HOP_SAMPLES, WINDOW_SAMPLES, log_mel, tokenizer
from perception.whisper_runtimes import (
    BEAM_SIZE,
    CTranslate2Whisper,
    Decoded,
    TokenTime,
    TorchWhisper,
    WhisperRuntime,
)

# Half of the decoder's context of 448 tokens, as in whisper/decoding.py; 30 s of speech have about 120.
_MOST_TOKENS = 224
_UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})


class Whisper:
    """Any Whisper model on one runtime. Each utterance is heard by itself, so the order of utterances is no matter.

    language    code of the language spoken, or empty: detected anew in each utterance.
    max_tokens  the decoder stops there; for measuring with weights that never would.
    """

    def __init__(self, runtime: WhisperRuntime, name: str, language: str = "", max_tokens: int = _MOST_TOKENS) -> None:
        self.name = name
        self._runtime = runtime
        self._language = language if runtime.multilingual else ""
        self._max_tokens = max_tokens

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
        runtime = self._runtime
        encoded = runtime.encode(log_mel(samples, runtime.n_mels))
        language = self._language
        if not language and runtime.multilingual:
            shares = runtime.languages(encoded)
            language = max(shares, key=lambda code: shares[code])
        split = tokenizer(runtime.multilingual, runtime.num_languages, language)
        decoded, text = self._decode(encoded, language, split.decode, partial)
        known = "" if not runtime.multilingual else language
        if not decoded.tokens:
            return Transcript(language=known, doubt="no words")
        frames = max(2, len(samples) // HOP_SAMPLES)
        times = runtime.align(encoded, language, decoded.tokens, frames)
        separator = "" if language in _UNSPACED else " "
        words = _words(split, decoded.tokens, times, len(samples) / SAMPLE_RATE_HZ)
        why = doubt(Evidence(text, words, decoded.mean_logprob, decoded.no_speech_prob, voice))
        words = [word for word in words if not in_silence(word, voice)]
        confidence = _confidence(words)
        if why or not words:
            return Transcript(confidence=confidence, language=known, doubt=why or "words where nobody speaks")
        return Transcript(tuple(words), confidence, True, known, separator)

    def _decode(
        self, encoded: Any, language: str, to_text: Callable[[list[int]], str], partial: bool
    ) -> tuple[Decoded, str]:
        """The most probable words and their text; decoded again where they repeat themselves or are unlikely."""
        for again in (False,) if partial else (False, True):
            decoded = self._runtime.decode(
                encoded, language, beam_size=1 if partial else BEAM_SIZE, max_tokens=self._max_tokens, again=again
            )
            text = to_text(list(decoded.tokens))
            if decoded.mean_logprob >= LEAST_LOGPROB and compression_ratio(text) <= MOST_COMPRESSION:
                break
        return decoded, text


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


def _confidence(words: list[Word]) -> float:
    """Mean over the words by their duration."""
    if not words:
        return 0.0
    weights = [max(word.t1_s - word.t0_s, 0.02) for word in words]
    return round(float(np.average([word.confidence for word in words], weights=weights)), 3)


def _joined(pieces: list[tuple[float, Transcript]]) -> Transcript:
    """One transcript of consecutive windows; its language is that of the piece with most words."""
    words = tuple(
        Word(word.text, round(word.t0_s + from_s, 2), round(word.t1_s + from_s, 2), word.confidence)
        for from_s, piece in pieces
        for word in piece.words
    )
    most = max((piece for _, piece in pieces), key=lambda piece: len(piece.words))
    if not words:
        return Transcript(language=most.language, doubt=most.doubt)
    return Transcript(words, _confidence(list(words)), True, most.language, most.separator)


def load_whisper(name: str, checkpoint: Path, language: str, threads: int) -> Whisper:
    """``name`` "whisper-ctranslate2" or "whisper-torch", or "whisper" for the quicker one that is installed.

    Whisper base on 2 cores takes 5 s of speech in .25 s with CTranslate2 in 8-bit integers and .34 s with torch
    (`python -m benchmarks.speech`), and without torch a process starts in a tenth of the time.

    Raises:
        ValueError: the checkpoint is damaged or of another model; one line.
        ImportError: the runtime is not installed.
    """
    if name == "whisper":
        try:
            return load_whisper("whisper-ctranslate2", checkpoint, language, threads)
        except ImportError:
            name = "whisper-torch"
    if name == "whisper-torch":
        return Whisper(TorchWhisper(checkpoint, threads), name, language)
    made = converted(checkpoint)
    return Whisper(CTranslate2Whisper(made.folder, threads, made.compute_type), name, language)
