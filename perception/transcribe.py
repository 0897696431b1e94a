"""Speech to words: one utterance in, its words with times and confidences out.

Run as ``python -m perception.transcribe NAME`` it is a worker of `transcriber_pool`: utterances on standard input,
transcripts on standard output.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import BinaryIO, Protocol

import msgspec
import numpy as np
from msgspec import Struct

from perception.audio import Samples
from runtime.errors import ConfigError

# Digital silence, telephones and lossy coding leave parts of the spectrum empty; the recogniser was trained on none of
# that and takes the logarithm of it. A trace of white noise this far below the speech fills them: wrong words fell from
# 9.8 to 6.9 % on synthetic speech between digital silences, and from 55.5 to 54.4 % on 230 s of hard real English.
_FILL_BELOW_SPEECH_DB = 45.0
_PEAK = 0.5
_LEAST_RMS = 1e-5
# Of 30000 by default: a quarter of the time saved, no more words wrong.
_MAX_STATES_PER_FRAME = 3000
# Mean word posterior under which words are no better than guesses. Measured: German, Spanish and Mandarin get
# 0.14-0.31 an utterance, English from 0.35 (a telephone) to 0.98; 29 % of words under 0.1 are right, 84 % over 0.9.
_UNDERSTOOD = 0.33
_FRAMES_PER_S = 100
_FILLER = re.compile(r"^(<.*>|\[.*\]|\+\+.*\+\+)$")
_VARIANT = re.compile(r"\(\d+\)$")


class Word(Struct, frozen=True, array_like=True):
    """A word, when it was said (seconds from the start of the utterance), and 0..1 how sure that is."""

    text: str
    t0_s: float
    t1_s: float
    confidence: float


class Transcript(Struct, frozen=True):
    """What was heard in one utterance. ``understood`` is false where the words are no better than guesses;
    then there are none."""

    words: tuple[Word, ...] = ()
    confidence: float = 0.0
    understood: bool = False

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


class Transcriber(Protocol):
    """A speech recogniser for whole utterances; the same samples always give the same transcript."""

    name: str

    def transcribe(self, samples: Samples) -> Transcript:
        """``samples`` float32 (n,), 16 kHz mono, of any level."""
        ...


class PocketSphinx:
    """CMU PocketSphinx 5 with the American English model and dictionary of its package; nothing to download.

    Whole utterances only: the mean of the cepstrum is taken over all of one, and three passes search it.
    """

    name = "pocketsphinx"

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._decoder = Decoder(maxhmmpf=_MAX_STATES_PER_FRAME, loglevel="FATAL")

    def transcribe(self, samples: Samples) -> Transcript:
        decoder = self._decoder
        decoder.reinit_feat()  # or the front end carries samples over, and the result depends on what came before
        decoder.start_utt()
        decoder.process_raw(_audible(samples), full_utt=True)
        decoder.end_utt()
        if decoder.hyp() is None:
            return Transcript()
        words, weights = [], []
        for segment in decoder.seg():
            if _FILLER.match(segment.word):
                continue
            t0_s, t1_s = segment.start_frame / _FRAMES_PER_S, (segment.end_frame + 1) / _FRAMES_PER_S
            confidence = round(min(1.0, max(0.0, float(segment.prob))), 3)
            words.append(Word(_VARIANT.sub("", segment.word), round(t0_s, 2), round(t1_s, 2), confidence))
            weights.append(t1_s - t0_s)
        if not words:
            return Transcript()
        confidence = float(np.average([word.confidence for word in words], weights=weights))
        understood = confidence >= _UNDERSTOOD
        return Transcript(tuple(words) if understood else (), round(confidence, 3), understood)


TRANSCRIBERS: dict[str, Callable[[], Transcriber]] = {"pocketsphinx": PocketSphinx}


def load_transcriber(name: str) -> Transcriber:
    """The recogniser of that name, loaded (about a second).

    Raises:
        ConfigError: there is none of that name.
    """
    check_transcriber(name)
    return TRANSCRIBERS[name]()


def check_transcriber(name: str) -> None:
    """Raise ConfigError if there is no recogniser of that name; loads nothing."""
    if name not in TRANSCRIBERS:
        known = ", ".join(sorted(TRANSCRIBERS))
        raise ConfigError(f"perception.hearing.transcribe: no speech recogniser {name!r}; known: {known}")


def _audible(samples: Samples) -> bytes:
    """16-bit samples of one level, with the empty bands filled. The noise is the same every time."""
    rms = max(_LEAST_RMS, float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))))
    noise = np.random.default_rng(0).standard_normal(len(samples), np.float32)
    filled = samples + noise * np.float32(rms * 10 ** (-_FILL_BELOW_SPEECH_DB / 20))
    filled *= np.float32(_PEAK * 32767 / max(float(np.abs(filled).max()), _LEAST_RMS))
    return filled.astype("<i2").tobytes()


def serve(transcriber: Transcriber, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer until ``requests`` ends. A request is a count of samples (4 bytes, little-endian) and as many
    float32; a reply is a count of bytes (the same) and a Transcript in MessagePack."""
    encoder = msgspec.msgpack.Encoder()
    while len(header := requests.read(4)) == 4:
        data = requests.read(4 * int.from_bytes(header, "little"))
        reply = encoder.encode(transcriber.transcribe(np.frombuffer(data, "<f4")))
        replies.write(len(reply).to_bytes(4, "little") + reply)
        replies.flush()


def _die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies: PocketSphinx holds the interpreter's lock while it
    decodes, so that no thread of ours could notice. Standard input's end does for other systems."""
    if sys.platform == "linux":
        import ctypes
        import signal

        parent = os.getppid()
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent or parent == 1:
            sys.exit(1)


if __name__ == "__main__":
    _die_with_parent()
    serve(load_transcriber(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
