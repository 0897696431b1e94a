"""Whisper behind the recogniser's Protocol: words with times, the language, and nothing where nothing was said.

faster-whisper loads the network, computes the spectra, splits tokens into words and aligns them; what is ours is the
window, which fits the utterance, and what is believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from perception.audio.vad import Probabilities
from perception.capture.blocks import CHUNK_SAMPLES, SAMPLE_RATE_HZ, Samples
from perception.speech.hallucination import LEAST_LOGPROB, MOST_COMPRESSION, Evidence, compression_ratio, doubt
from perception.speech.language import NOTHING_KNOWN, Spoken, after, likeliest
from perception.speech.transcript import NO_VOICE_KNOWN, Transcript, Word, joined, mean_confidence

# Whisper hears windows of 30 s at 100 frames a second (Radford et al. 2022, section 2.2).
WINDOW_FRAMES = 3000
_FRAMES_PER_S = 100
_HOP_SAMPLES = SAMPLE_RATE_HZ // _FRAMES_PER_S
WINDOW_SAMPLES = WINDOW_FRAMES * _HOP_SAMPLES
# Silence after the utterance in a window that is fitted to it (decision 14).
_MARGIN_FRAMES = 500
# What silence is in a log-mel spectrum: 8 powers of ten below its maximum, scaled as Whisper's is.
_RANGE = 2.0
# Beam search as in the paper (section 4.5). Of 390 words without it 61 are misheard, with two beams 57, three 54, five
# 53, and five cost a tenth more time than none.
_BEAM_SIZE = 5
# How it is searched where that search repeated itself: without saying three tokens twice. (Draws, as in the paper,
# cannot be repeated: CTranslate2's seed counts for the first use of a thread only.)
_NO_REPEAT = 3
# Words of a sentence that, said twice, is suspected to have been said once.
_SENTENCE_WORDS = 3
# Half of the decoder's context of 448 tokens, as in whisper/decoding.py; 30 s of speech have about 120.
_MOST_TOKENS = 224
# Nobody says more: English has 3.5 tokens a second, the fastest speakers twice that. What goes on is a loop, which ends
# sooner here. Languages that the vocabulary spells byte by byte have several tokens a letter.
_TOKENS_PER_S, _TOKENS_MORE = 12.0, 16
_SPELT_TOKENS_PER_S = 48.0
_LATIN = frozenset("en de es fr it pt nl ca gl ro sv da no nn fi id ms tr pl".split())
_UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})


@dataclass(frozen=True, slots=True)
class _Decoded:
    """What the decoder wrote: text tokens, the mean logarithm of their probability, and 0..1 that nobody speaks."""

    tokens: list[int]
    mean_logprob: float
    no_speech_prob: float


class Whisper:
    """Any Whisper model in CTranslate2. The same samples after the same language always give the same words.

    model     a `faster_whisper.WhisperModel`.
    language  code of the language spoken, or empty: found in what is said.
    """

    def __init__(self, model: Any, name: str, language: str = "") -> None:
        self.name = name
        self.model = model
        self._language = language or ("" if model.model.is_multilingual else "en")
        self._tokenizers: dict[str, Any] = {}

    def transcribe(
        self, samples: Samples, voice: Probabilities = NO_VOICE_KNOWN, spoken: Spoken = NOTHING_KNOWN
    ) -> Transcript:
        """See `Transcriber`. Utterances over 30 s are heard in pieces of 30 s."""
        pieces: list[tuple[float, Transcript]] = []
        for start in range(0, max(1, len(samples)), WINDOW_SAMPLES):
            part = voice[start // CHUNK_SAMPLES : (start + WINDOW_SAMPLES) // CHUNK_SAMPLES]
            piece = self._window(samples[start : start + WINDOW_SAMPLES], part, spoken)
            pieces.append((start / SAMPLE_RATE_HZ, piece))
            spoken = piece.spoken
        return joined(pieces)

    def _window(self, samples: Samples, voice: Probabilities, spoken: Spoken) -> Transcript:
        """The words of one window. Where a decoding repeats itself or is unlikely, it is heard another way."""
        fitted, duration_s, language = fitted_frames(len(samples)), len(samples) / SAMPLE_RATE_HZ, self._language
        ways = [(fitted, 0), (WINDOW_FRAMES, 0), (WINDOW_FRAMES, _NO_REPEAT)]
        heard_frames = 0
        for frames, no_repeat in ways if fitted < WINDOW_FRAMES else ways[1:]:
            if frames != heard_frames:
                encoded, heard_frames = self._encode(samples, frames), frames
            if not language:
                spoken = after(spoken, self._shares(encoded))
                language = likeliest(spoken)
            decoded, text = self._decode(encoded, language, duration_s, no_repeat)
            likely = decoded.mean_logprob >= LEAST_LOGPROB and compression_ratio(text) <= MOST_COMPRESSION
            if likely and not (frames < WINDOW_FRAMES and said_twice(text)):
                break
        words = self._words(encoded, language, decoded.tokens, len(samples)) if decoded.tokens else []
        why = doubt(Evidence(text, words, decoded.mean_logprob, decoded.no_speech_prob, voice))
        confidence = round(mean_confidence(words), 3)
        if why or not words:
            return Transcript(confidence=confidence, language=language, doubt=why or "no words", spoken=spoken)
        separator = "" if language in _UNSPACED else " "
        return Transcript(tuple(words), confidence, True, language, separator, spoken=spoken)

    def _encode(self, samples: Samples, frames: int) -> Any:
        """``samples`` in a window of so many frames, the rest of it silence, encoded."""
        mel = self.model.feature_extractor(samples)[:, :frames]
        window = np.full((mel.shape[0], frames), mel.max() - _RANGE, np.float32)
        window[:, : mel.shape[1]] = mel
        return self.model.encode(window)

    def _shares(self, encoded: Any) -> dict[str, float]:
        """Probability of each language by its code ("en")."""
        return {token.strip("<|>"): float(share) for token, share in self.model.model.detect_language(encoded)[0]}

    def _decode(self, encoded: Any, language: str, duration_s: float, no_repeat: int) -> tuple[_Decoded, str]:
        """The most probable words and their text."""
        tokenizer = self._tokenizer(language)
        (result,) = self.model.model.generate(
            encoded,
            [list(tokenizer.sot_sequence)],  # with time stamps: of 581 words 60 are misheard, without them 66
            beam_size=_BEAM_SIZE,
            no_repeat_ngram_size=no_repeat,
            max_length=2 * most_tokens(language, duration_s),  # a half of it is for what was said before
            return_scores=True,
            return_no_speech_prob=True,
        )
        written = result.sequences_ids[0]
        # A score is the mean over the tokens; Whisper counts the end among them.
        mean_logprob = float(result.scores[0]) * len(written) / (len(written) + 1)
        tokens = [token for token in written if token < tokenizer.eot]
        return _Decoded(tokens, mean_logprob, float(result.no_speech_prob)), tokenizer.decode(tokens)

    def _words(self, encoded: Any, language: str, tokens: list[int], samples: int) -> list[Word]:
        """Tokens as words with their times, within the utterance."""
        (pieces,) = self.model.find_alignment(
            self._tokenizer(language), [tokens], encoded, max(2, samples // _HOP_SAMPLES)
        )
        return words_of(pieces, samples / SAMPLE_RATE_HZ, language not in _UNSPACED)

    def _tokenizer(self, language: str) -> Any:
        if language not in self._tokenizers:
            from faster_whisper.tokenizer import Tokenizer

            multilingual = self.model.model.is_multilingual
            self._tokenizers[language] = Tokenizer(self.model.hf_tokenizer, multilingual, "transcribe", language)
        return self._tokenizers[language]


def fitted_frames(samples: int) -> int:
    """Frames of a window for so many samples of an utterance: an even number."""
    return min(WINDOW_FRAMES, -(-samples // (2 * _HOP_SAMPLES)) * 2 + _MARGIN_FRAMES)


def said_twice(text: str) -> bool:
    """Whether a text is one sentence and the same once more, which a decoder does that finds nothing after it."""
    words = [word.strip(".,!?;: ").casefold() for word in text.split()]
    half = len(words) // 2
    return half >= _SENTENCE_WORDS and len(words) == 2 * half and words[:half] == words[half:]


def most_tokens(language: str, duration_s: float) -> int:
    """As many tokens as can have been said in this time."""
    a_second = _TOKENS_PER_S if language in _LATIN else _SPELT_TOKENS_PER_S
    return min(_MOST_TOKENS, round(a_second * duration_s) + _TOKENS_MORE)


def words_of(pieces: list[dict[str, Any]], until_s: float, spaced: bool) -> list[Word]:
    """faster-whisper's pieces as words: what does not begin with a space ("," "500" after " $2") belongs to the word
    before it, and so does punctuation; in languages without spaces only that."""
    words: list[Word] = []
    weights: list[int] = []
    for piece in pieces:
        text = str(piece["word"])
        shown = text.strip()
        if not shown:
            continue
        t0_s = round(min(float(piece["start"]), until_s), 2)
        t1_s = round(min(max(float(piece["end"]), t0_s), until_s), 2)
        sure, weight = float(np.clip(piece["probability"], 0.0, 1.0)), len(piece["tokens"])
        inside = not text[0].isspace() if spaced else not any(letter.isalnum() for letter in shown)
        if words and inside:
            before, count = words[-1], weights[-1]
            spoken = any(letter.isalnum() for letter in shown)
            together = (before.confidence * count + sure * weight) / (count + weight) if spoken else before.confidence
            words[-1] = Word(before.text + shown, before.t0_s, t1_s if spoken else before.t1_s, round(together, 3))
            weights[-1] += weight if spoken else 0
        else:
            words.append(Word(shown, t0_s, t1_s, round(sure, 3)))
            weights.append(weight)
    return words
