"""A sound file to words, by the agent's own hearing: the same voice activity, the same recogniser, the same doubts."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import anyio.to_thread
from msgspec import Struct
from msgspec.structs import replace

from perception.audio.pipeline import Heard, Hearing
from perception.audio.vad import Utterance, load_silero
from perception.capture.file_tracks import SoundReader, open_sound
from perception.speech.models import choose_recogniser
from runtime.config import HearingConfig
from runtime.errors import UserError


class SpokenWord(Struct, frozen=True):
    text: str
    t0_s: float
    t1_s: float
    confidence: float


class Spoken(Struct, frozen=True):
    """One utterance; times in seconds of the file. ``text`` is empty where nothing was understood."""

    t0_s: float
    t1_s: float
    text: str
    language: str
    confidence: float
    words: tuple[SpokenWord, ...]


class FileTranscript(Struct, frozen=True):
    """``engine`` is the recogniser, ``duration_s`` how long the sound is."""

    engine: str
    duration_s: float
    utterances: tuple[Spoken, ...]


async def transcribe_file(path: Path, hearing: HearingConfig) -> FileTranscript:
    """The words of a sound or video file.

    Raises:
        MediaError: it is no such file, or has no sound.
        UserError: nothing here transcribes speech.
        MindstreamError: the recogniser failed.
    """
    recogniser = await anyio.to_thread.run_sync(choose_recogniser, hearing, 1)
    if not recogniser.there_is:
        raise UserError(recogniser.lacking or "speech is not transcribed under this profile")
    model = await anyio.to_thread.run_sync(load_silero)
    with open_sound(path) as reader:
        # What is not speech needs no name here.
        heard = _heard(reader, Hearing(replace(hearing, sounds=False), model))
        spoken: list[Spoken] = []
        while (event := await anyio.to_thread.run_sync(functools.partial(next, heard, None))) is not None:
            if not isinstance(event, Utterance):
                continue
            transcript = await recogniser.transcribe(event.samples, event.voice)
            words = tuple(
                SpokenWord(w.text, round(event.t0_s + w.t0_s, 3), round(event.t0_s + w.t1_s, 3), w.confidence)
                for w in transcript.words
            )
            spoken.append(
                Spoken(event.t0_s, event.t1_s, transcript.text, transcript.language, transcript.confidence, words)
            )
        return FileTranscript(recogniser.engine, reader.end_s, tuple(spoken))


def _heard(reader: SoundReader, hearing: Hearing) -> Iterator[Heard]:
    for block in reader:
        yield from hearing.step(block)
    yield from hearing.finish()
