"""What a recogniser is given and what it gives back: an utterance, a transcript, words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from msgspec import Struct

from perception.audio.vad import Probabilities
from perception.capture.blocks import Samples
from perception.speech.language import NOTHING_KNOWN, Spoken

NO_VOICE_KNOWN: Probabilities = np.zeros(0, np.float32)


class Word(Struct, frozen=True, array_like=True):
    """A word, when it was said (seconds from the start of the utterance), and 0..1 how sure that is."""

    text: str
    t0_s: float
    t1_s: float
    confidence: float


class Transcript(Struct, frozen=True):
    """What was heard in one utterance.

    understood  false where the words are no better than guesses; then there are none, and ``doubt`` says why.
    language    its code ("en"), empty where that is not known.
    separator   what stands between its words: nothing in Chinese, say.
    spoken      what is known, after it, of the language of its source (`perception.speech.language`).
    unheard     why nobody listened to it at all: "busy", "failed", "stopped" or "absent", where that is so.
    """

    words: tuple[Word, ...] = ()
    confidence: float = 0.0
    understood: bool = False
    language: str = ""
    separator: str = " "
    doubt: str = ""
    unheard: str = ""
    spoken: Spoken = NOTHING_KNOWN

    @property
    def text(self) -> str:
        return self.separator.join(word.text for word in self.words)


class Transcriber(Protocol):
    """A speech recogniser for whole utterances; the same input always gives the same transcript."""

    name: str

    def transcribe(
        self, samples: Samples, voice: Probabilities = NO_VOICE_KNOWN, spoken: Spoken = NOTHING_KNOWN
    ) -> Transcript:
        """``samples`` float32 (n,), 16 kHz mono, of any level; ``voice`` Silero's probability of each 32 ms;
        ``spoken`` what the utterances of this source before it told of its language."""
        ...


def moved(words: Iterable[Word], by_s: float) -> list[Word]:
    """Words of a part that begins so much later, timed from the start of the whole."""
    return [Word(word.text, round(word.t0_s + by_s, 2), round(word.t1_s + by_s, 2), word.confidence) for word in words]


def joined(pieces: Sequence[tuple[float, Transcript]]) -> Transcript:
    """One transcript of consecutive parts, each with where it begins; its language is that of the part with most
    words."""
    if len(pieces) == 1:
        return pieces[0][1]
    words = tuple(word for from_s, piece in pieces for word in moved(piece.words, from_s))
    spoken = pieces[-1][1].spoken
    most = max((piece for _, piece in pieces), key=lambda piece: len(piece.words))
    if not words:
        return Transcript(language=most.language, doubt=most.doubt, spoken=spoken)
    return Transcript(words, round(mean_confidence(words), 3), True, most.language, most.separator, spoken=spoken)


def mean_confidence(words: Sequence[Word]) -> float:
    """0..1, over the words by their duration; 0 of none."""
    if not words:
        return 0.0
    weights = [max(word.t1_s - word.t0_s, 0.02) for word in words]
    return float(np.average([word.confidence for word in words], weights=weights))
