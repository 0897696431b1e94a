"""Whether a transcript is to be believed: a recogniser trained to always write something writes on silence and music.

Every rule looks at evidence of this utterance: what the model thinks of its own words, where they lie in time, and
where the voice activity model heard somebody. A list of stock phrases alone would forbid people to say "thank you".
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perception.audio.vad import Probabilities
from perception.capture.blocks import CHUNK_S
from perception.speech.transcript import Word

# Whisper's own thresholds (Radford et al. 2022, section 4.5; whisper/transcribe.py): the decoder is unsure, it repeats
# itself, it thinks that nobody speaks.
LEAST_LOGPROB = -1.0
MOST_COMPRESSION = 2.4
NO_SPEECH = 0.6
# Nobody speaks faster: 8 words a second is an auctioneer, and the fastest scripts have 30 letters to the second.
_WORDS_PER_S = 8.0
_LETTERS_PER_S = 30.0
_SHORTEST_VOICE_S = 0.2
# A word lies in silence if Silero is this sure that nobody spoke from a quarter second before to after it: word times
# by attention are that wrong.
_SILENT = 0.1
_TIME_ERROR_S = 0.25
# What subtitles of the training material end with. Said by a person these words have strong evidence, so they are only
# held to more.
_STOCK = re.compile(
    r"\bthank(s| you) (so much )?for (watching|listening|viewing)|\b(subtitles?|captions?|transcri(bed|ption)) by\b"
    r"|\bsubscribe\b|amara\.org|\bsee you (in the )?next (video|time)|\buntertitel|\bsous-titres|\bsubt[ií]tulos"
    r"|字幕|ご視聴|^\W*(thank you|bye|you)\W*$",
    re.IGNORECASE,
)
_STOCK_LOGPROB = -0.5
_STOCK_NO_SPEECH = 0.2
_STOCK_VOICED = 0.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for and against a transcript.

    text            as written.
    words           with times in seconds from the start of the utterance.
    mean_logprob    of its tokens.
    no_speech_prob  0..1, by the decoder.
    voice           Silero's probability of each 32 ms of the utterance; empty if not known.
    """

    text: str
    words: Sequence[Word]
    mean_logprob: float
    no_speech_prob: float
    voice: Probabilities


def compression_ratio(text: str) -> float:
    """Bytes to compressed bytes: text that repeats itself has more (zlib, as Whisper does)."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def doubt(evidence: Evidence) -> str:
    """Why this was not said, or not so, in a few words; empty where it is to be believed."""
    text = evidence.text.strip()
    if not any(letter.isalnum() for letter in text):
        return "no words"
    if evidence.no_speech_prob > NO_SPEECH and evidence.mean_logprob < LEAST_LOGPROB:
        return "nobody speaks"
    if evidence.mean_logprob < LEAST_LOGPROB:
        return "unsure of its words"
    if compression_ratio(text) > MOST_COMPRESSION:
        return "repeats itself"
    if voiced_s(evidence.voice, default_s=60.0) < _SHORTEST_VOICE_S:
        return "no voice"
    spoken_s = max(voiced_s(evidence.voice, default_s=60.0), 0.5)
    letters = sum(letter.isalnum() for letter in text)
    if letters > _LETTERS_PER_S * spoken_s or len(text.split()) > _WORDS_PER_S * spoken_s + 2:
        return "more words than there was time for"
    silent = [word for word in evidence.words if in_silence(word, evidence.voice)]
    if 2 * len(silent) > len(evidence.words):
        return "words where nobody speaks"
    share = float(np.mean(evidence.voice >= 0.5)) if len(evidence.voice) else 1.0
    weak = evidence.mean_logprob < _STOCK_LOGPROB or evidence.no_speech_prob > _STOCK_NO_SPEECH or share < _STOCK_VOICED
    return "a stock phrase on weak evidence" if weak and _STOCK.search(text) else ""


def in_silence(word: Word, voice: Probabilities) -> bool:
    """Whether nobody spoke anywhere near ``word``."""
    first = max(0, int((word.t0_s - _TIME_ERROR_S) / CHUNK_S))
    near = voice[first : int((word.t1_s + _TIME_ERROR_S) / CHUNK_S) + 1]
    return len(near) > 0 and float(near.max()) < _SILENT


def voiced_s(voice: Probabilities, default_s: float) -> float:
    """Seconds in which somebody more likely speaks than not; ``default_s`` where that is not known."""
    return float(np.count_nonzero(voice >= 0.5)) * CHUNK_S if len(voice) else default_s
