"""CMU PocketSphinx behind the recogniser's Protocol: English without any download."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict

import numpy as np

from perception.audio.blocks import CHUNK_S, CHUNK_SAMPLES, Samples
from perception.audio.vad import Probabilities
from perception.speech.transcript import NO_VOICE_KNOWN, Transcript, Word, mean_confidence, moved

# Digital silence, telephones and lossy coding leave parts of the spectrum empty; the recogniser was trained on none of
# that and takes the logarithm of it. A trace of white noise this far below the speech fills them: wrong words fell from
# 9.8 to 6.9 % on synthetic speech between digital silences, and from 55.5 to 54.4 % on 230 s of hard real English.
_FILL_BELOW_SPEECH_DB = 45.0
_PEAK = 0.5
_LEAST_RMS = 1e-5
# Of 30000 by default: more than a third of the time saved, no more words wrong.
_MAX_STATES_PER_FRAME = 2500
# Mean word posterior under which words are no better than guesses. Measured: German, Spanish and Mandarin get
# 0.14-0.31 an utterance, English from 0.35 (a telephone) to 0.98; 29 % of words under 0.1 are right, 84 % over 0.9.
_UNDERSTOOD = 0.33
_FRAMES_PER_S = 100
# A phrase ends where nobody spoke for a quarter second, the padding of an utterance: so the words found in a pause that
# might have ended the utterance are not sought again if it did not. Shorter ones have too little for the mean.
_SPEAKS, _PAUSE_CHUNKS, _PHRASE_CHUNKS = 0.35, 8, round(1.5 / CHUNK_S)
_PHRASES_KNOWN = 16
_FILLER = re.compile(r"^(<.*>|\[.*\]|\+\+.*\+\+)$")
_VARIANT = re.compile(r"\(\d+\)$")


class PocketSphinx:
    """CMU PocketSphinx 5 with the American English model and dictionary of its package; nothing to download.

    The mean of the cepstrum is taken over all it is given, and three passes search it: it hears whole phrases, from
    pause to pause. What is said so far and what was said in the end have phrases in common, which it hears once.
    """

    name = "pocketsphinx"

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._decoder = Decoder(maxhmmpf=_MAX_STATES_PER_FRAME, loglevel="FATAL")
        self._known: OrderedDict[bytes, list[Word]] = OrderedDict()

    def transcribe(self, samples: Samples, voice: Probabilities = NO_VOICE_KNOWN, partial: bool = False) -> Transcript:
        """See `Transcriber`. Without ``voice`` all is one phrase; it cannot do less for a ``partial``."""
        words: list[Word] = []
        begins = [0, *phrase_ends(voice)]
        for begin, end in zip(begins, [*begins[1:], None], strict=True):
            if begin and not (voice[begin:end] >= _SPEAKS).any():
                continue  # what is left of the last pause
            phrase = samples[begin * CHUNK_SAMPLES : None if end is None else end * CHUNK_SAMPLES]
            words += moved(self._phrase(phrase), begin * CHUNK_S)
        if not words:
            return Transcript()
        confidence = mean_confidence(words)
        understood = confidence >= _UNDERSTOOD
        doubt = "" if understood else "no better than guesses"
        return Transcript(tuple(words) if understood else (), round(confidence, 3), understood, doubt=doubt)

    def _phrase(self, samples: Samples) -> list[Word]:
        """Its words, timed from its start; known if it is one of the last."""
        key = hashlib.blake2b(samples.tobytes(), digest_size=16).digest()
        words = self._known.pop(key, None)
        if words is None:
            words = self._search(samples)
        self._known[key] = words
        if len(self._known) > _PHRASES_KNOWN:
            self._known.popitem(last=False)
        return words

    def _search(self, samples: Samples) -> list[Word]:
        decoder = self._decoder
        decoder.reinit_feat()  # or the front end carries samples over, and the result depends on what came before
        decoder.start_utt()
        decoder.process_raw(_audible(samples), full_utt=True)
        decoder.end_utt()
        if decoder.hyp() is None:
            return []
        words = []
        for segment in decoder.seg():
            if _FILLER.match(segment.word):
                continue
            t0_s, t1_s = segment.start_frame / _FRAMES_PER_S, (segment.end_frame + 1) / _FRAMES_PER_S
            confidence = round(min(1.0, max(0.0, float(segment.prob))), 3)
            words.append(Word(_VARIANT.sub("", segment.word), round(t0_s, 2), round(t1_s, 2), confidence))
        return words


def phrase_ends(voice: Probabilities) -> list[int]:
    """Chunks with which a phrase ends and another begins: after `_PAUSE_CHUNKS` in which nobody speaks, where the
    phrase is long enough. Where a phrase ended does not change as ``voice`` grows."""
    ends, begin, spoken = [], 0, -1
    for chunk, probability in enumerate(voice.tolist()):
        if probability >= _SPEAKS:
            spoken = chunk
        elif chunk - spoken == _PAUSE_CHUNKS and spoken >= begin and chunk + 1 - begin >= _PHRASE_CHUNKS:
            ends.append(chunk + 1)
            begin = chunk + 1
    return ends


def _audible(samples: Samples) -> bytes:
    """16-bit samples of one level, with the empty bands filled. The noise is the same every time."""
    rms = max(_LEAST_RMS, float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))))
    noise = np.random.default_rng(0).standard_normal(len(samples), np.float32)
    filled = samples + noise * np.float32(rms * 10 ** (-_FILL_BELOW_SPEECH_DB / 20))
    filled *= np.float32(_PEAK * 32767 / max(float(np.abs(filled).max()), _LEAST_RMS))
    return filled.astype("<i2").tobytes()
