"""Speech to words: which recogniser, and the worker processes of `transcriber_pool` that run it.

Run as ``python -m perception.transcribe RECOGNISER`` it is a worker: utterances on standard input, transcripts on
standard output.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from perception.audio.blocks import Samples
from perception.audio.vad import Probabilities
from perception.speech.pocketsphinx import PocketSphinx
from perception.speech.transcript import NO_VOICE_KNOWN, Transcriber
from runtime.config import HearingConfig
from runtime.errors import ConfigError, WeightsError
from runtime.weights.known import locate, require

# A length goes before each message of a worker, little-endian.
_LENGTH_BYTES = 4


class Recogniser(Struct, frozen=True):
    """Which recogniser a worker loads.

    name        a key of `TRANSCRIBERS`.
    checkpoint  file of its weights; empty where they come with its package.
    language    code of the language spoken, or empty: detected, or the only one it knows.
    threads     of each worker.
    whole       Whisper only: in windows of 30 s, not fitted to the utterance.
    """

    name: str
    checkpoint: str = ""
    language: str = ""
    threads: int = 1
    whole: bool = False


class Loaded(Struct, frozen=True):
    """A worker's first message: the recogniser it loaded, or in one line why it could not."""

    name: str = ""
    error: str = ""


class Request(Struct, frozen=True, array_like=True):
    """An utterance for a worker: float32 samples and voice probabilities, little-endian; see `Transcriber`."""

    samples: bytes
    voice: bytes = b""
    partial: bool = False

    @staticmethod
    def of(samples: Samples, voice: Probabilities = NO_VOICE_KNOWN, partial: bool = False) -> Request:
        return Request(samples.astype("<f4").tobytes(), voice.astype("<f4").tobytes(), partial)


def _whisper(recogniser: Recogniser) -> Transcriber:
    from perception.speech.whisper import load_whisper

    checkpoint = Path(recogniser.checkpoint)
    return load_whisper(
        recogniser.name, checkpoint, recogniser.language, max(1, recogniser.threads), fit=not recogniser.whole
    )


TRANSCRIBERS: dict[str, Callable[[Recogniser], Transcriber]] = {
    "pocketsphinx": lambda _: PocketSphinx(),
    "whisper": _whisper,
    "whisper-ctranslate2": _whisper,
    "whisper-torch": _whisper,
}
# What `auto` may mean besides, and what a recogniser that cannot be loaded is replaced by: it needs no weights.
ALWAYS = Recogniser("pocketsphinx")


def choose_recogniser(config: HearingConfig, threads: int) -> tuple[Recogniser, str]:
    """The recogniser that the profile asks for, and one line to tell where it is not the best there is.

    ``threads`` are divided among the workers. ``auto``: Whisper where its package and weights are here.

    Raises:
        ConfigError: there is none of that name, or its package is not installed.
        WeightsError: Whisper was asked for and its weights are not here or damaged.
    """
    check_transcriber(config.transcribe)
    name = config.transcribe
    if name == "pocketsphinx":
        return ALWAYS, ""
    weights = config.whisper if Path(config.whisper).suffix else f"whisper/{config.whisper}"
    each = max(1, threads // config.workers)
    chosen = Recogniser(name, language=config.language, threads=each, whole=config.whisper_whole_windows)
    if name != "auto":
        if not _installed(name):
            raise ConfigError(f"perception.hearing.transcribe: {name} needs packages that the full profile installs")
        return replace(chosen, checkpoint=str(require(weights)[0])), ""
    if not _installed("whisper"):
        return ALWAYS, "speech by PocketSphinx: Whisper is not installed (it comes with the full profile)"
    try:
        files = locate(weights)
    except WeightsError as error:
        return ALWAYS, f"speech by PocketSphinx: {error}"
    if files is None:
        return ALWAYS, f"speech by PocketSphinx: weights {weights} are not on this machine; `run_agent.py setup`"
    return replace(chosen, name="whisper", checkpoint=str(files[0])), ""


def prepare(config: HearingConfig) -> str:
    """Derive now what the first start would have to: Whisper for CTranslate2. What there is then, in one line.

    Raises:
        ConfigError, WeightsError: see `choose_recogniser`; or the checkpoint is damaged.
    """
    recogniser, lacking = choose_recogniser(config, threads=1)
    if recogniser.name not in ("whisper", "whisper-ctranslate2") or find_spec("ctranslate2") is None:
        return lacking or f"speech by {recogniser.name}: nothing to prepare"
    from perception.speech.whisper_conversion import converted

    try:
        made = converted(Path(recogniser.checkpoint))
    except ValueError as error:
        raise WeightsError(str(error)) from error
    return f"{Path(recogniser.checkpoint).stem}: converted for CTranslate2 ({made.compute_type}, checked against torch)"


def _installed(name: str) -> bool:
    """Whether the packages are here. CTranslate2 needs torch too, once, to read a checkpoint."""
    wanted = ["whisper", "torch"] + (["ctranslate2"] if name == "whisper-ctranslate2" else [])
    return all(find_spec(package) is not None for package in wanted)


def load_transcriber(recogniser: Recogniser) -> Transcriber:
    """The recogniser, loaded (a second or two).

    Raises:
        ConfigError: there is none of that name.
        ValueError, WeightsError: its weights are damaged or of another model.
    """
    check_transcriber(recogniser.name)
    return TRANSCRIBERS[recogniser.name](recogniser)


def check_transcriber(name: str) -> None:
    """Raise ConfigError if there is no recogniser of that name; loads nothing."""
    if name not in TRANSCRIBERS and name != "auto":
        known = ", ".join(("auto", *sorted(TRANSCRIBERS)))
        raise ConfigError(f"perception.hearing.transcribe: no speech recogniser {name!r}; known: {known}")


def frame(message: Struct) -> bytes:
    """A message of a worker's pipe: its length (4 bytes, little-endian), and MessagePack."""
    data = msgspec.msgpack.encode(message)
    return len(data).to_bytes(_LENGTH_BYTES, "little") + data


def serve(load: Callable[[], Transcriber], requests: BinaryIO, replies: BinaryIO) -> None:
    """Say whether a recogniser could be loaded, then answer each `Request` with a `Transcript` until they end."""
    try:
        transcriber = load()
    except Exception as error:  # whatever is wrong with weights or packages, the pool tells it and does without
        replies.write(frame(Loaded(error=" ".join(str(error).split()) or type(error).__name__)))
        replies.flush()
        return
    replies.write(frame(Loaded(transcriber.name)))
    replies.flush()
    decoder = msgspec.msgpack.Decoder(Request)
    while len(length := requests.read(_LENGTH_BYTES)) == _LENGTH_BYTES:
        request = decoder.decode(requests.read(int.from_bytes(length, "little")))
        samples, voice = np.frombuffer(request.samples, "<f4"), np.frombuffer(request.voice, "<f4")
        replies.write(frame(transcriber.transcribe(samples, voice, request.partial)))
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
    _asked = msgspec.json.decode(sys.argv[1], type=Recogniser)
    # What libraries print is no reply: their standard output is the log.
    _replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(lambda: load_transcriber(_asked), sys.stdin.buffer, _replies)
