"""Speech to words: known clips give known words, and what is no English gives none."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import anyio
import msgspec
import numpy as np
import pytest

from perception.audio.blocks import CHUNK_S, CHUNK_SAMPLES, Samples
from perception.audio.vad import Probabilities
from perception.capture.file import audio_stream, open_container
from perception.capture.file_audio import AudioReader
from perception.speech.pocketsphinx import PocketSphinx, phrase_ends
from perception.speech.pool import TranscriberPool
from perception.speech.recognisers import ALWAYS, Loaded, Recogniser, Request, frame, load_transcriber, serve
from perception.speech.transcript import NO_VOICE_KNOWN, Transcriber, Transcript, Word
from runtime.errors import ConfigError

MEDIA = Path(os.environ.get("MINDSTREAM_MEDIA", Path(__file__).parents[3] / "shared" / "media"))
needs_media = pytest.mark.skipif(not MEDIA.is_dir(), reason=f"real media not found at {MEDIA}")


@pytest.fixture(scope="module")
def pocketsphinx() -> PocketSphinx:
    return PocketSphinx()


def sound_of(name: str) -> Samples:
    with open_container(MEDIA / name) as container:
        return np.concatenate([block.samples for block in AudioReader(container, audio_stream(container))])


@needs_media
def test_a_known_clip_gives_its_words_at_their_times(pocketsphinx: PocketSphinx) -> None:
    transcript = pocketsphinx.transcribe(sound_of("audio/speech/whats_the_weather_like.wav"))
    assert transcript.text == "what's the weather like"
    assert transcript.understood
    times = [t for word in transcript.words for t in (word.t0_s, word.t1_s)]
    assert times == sorted(times)
    assert times[0] >= 0.0
    assert times[-1] <= 2.03
    assert all(0.0 <= word.confidence <= 1.0 for word in transcript.words)


@needs_media
def test_quiet_speech_gives_the_same_words_as_loud(pocketsphinx: PocketSphinx) -> None:
    loud = sound_of("audio/speech/whats_the_weather_like.wav")
    assert pocketsphinx.transcribe(loud * np.float32(0.001)).text == pocketsphinx.transcribe(loud).text


@needs_media
def test_a_transcript_does_not_depend_on_what_was_heard_before(pocketsphinx: PocketSphinx) -> None:
    weather = sound_of("audio/speech/whats_the_weather_like.wav")
    first = pocketsphinx.transcribe(weather)
    pocketsphinx.transcribe(sound_of("audio/speech/librivox_sense_0880.wav")[:20_000])
    assert pocketsphinx.transcribe(weather) == first


@needs_media
def test_a_phrase_is_searched_once_however_often_it_is_a_part_of_what_is_said(
    pocketsphinx: PocketSphinx, monkeypatch: pytest.MonkeyPatch
) -> None:
    weather = sound_of("audio/speech/whats_the_weather_like.wav")
    spoken = weather[: len(weather) // CHUNK_SAMPLES * CHUNK_SAMPLES]
    pause = np.zeros(12 * CHUNK_SAMPLES, np.float32)
    once = np.r_[np.ones(len(spoken) // CHUNK_SAMPLES), np.zeros(12)].astype(np.float32)
    twice = np.r_[once, once]
    searched: list[int] = []
    search = pocketsphinx._search

    def count(samples: Samples) -> list[Word]:
        searched.append(len(samples))
        return search(samples)

    monkeypatch.setattr(pocketsphinx, "_search", count)
    until_pause = len(spoken) + 8 * CHUNK_SAMPLES  # as the utterance is foreseen in the pause
    foreseen = pocketsphinx.transcribe(np.concatenate((spoken, pause))[:until_pause], once[:-4])
    said = pocketsphinx.transcribe(np.concatenate((spoken, pause, spoken, pause)), twice)
    assert foreseen.text == "what's the weather like"
    assert said.text == "what's the weather like what's the weather like"
    assert searched[0] == until_pause and len(searched) == 2
    assert said.words[4].t0_s == pytest.approx(said.words[0].t0_s + len(once) * CHUNK_S, abs=0.1)


def test_where_a_phrase_ended_does_not_change_while_somebody_speaks_on() -> None:
    voice = np.r_[np.ones(60), np.zeros(9), np.ones(20), np.zeros(9), np.ones(47), np.zeros(30)].astype(np.float32)
    ends = [phrase_ends(voice[:n]) for n in range(len(voice) + 1)]
    assert ends[-1] == [68, 153]  # the second pause comes too soon after the first
    assert all(later[: len(earlier)] == earlier for earlier, later in itertools.pairwise(ends))
    assert phrase_ends(NO_VOICE_KNOWN) == []


@needs_media
def test_another_language_is_not_understood(pocketsphinx: PocketSphinx) -> None:
    transcript = pocketsphinx.transcribe(sound_of("audio/speech/leopard_de.wav"))
    assert not transcript.understood
    assert transcript.text == ""


@pytest.mark.parametrize("rms", [0.0, 0.1])
def test_silence_and_noise_have_no_words(pocketsphinx: PocketSphinx, rms: float) -> None:
    noise = (np.random.default_rng(4).standard_normal(16_000) * rms).astype(np.float32)
    assert pocketsphinx.transcribe(noise).words == ()


def test_an_unknown_recogniser_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"'wispr'.*known: auto, pocketsphinx"):
        load_transcriber(Recogniser("wispr"))


class Counts:
    """A recogniser whose only word is how many samples and voice probabilities it got, and whether it was partial."""

    name = "counts"

    def transcribe(self, samples: Samples, voice: Probabilities = NO_VOICE_KNOWN, partial: bool = False) -> Transcript:
        return Transcript((Word(f"{len(samples)} {len(voice)} {partial}", 0.0, 1.0, 1.0),), 1.0, True)


def served(load: Callable[[], Transcriber], *requests: Request) -> tuple[Loaded, list[str]]:
    replies = io.BytesIO()
    serve(load, io.BytesIO(b"".join(map(frame, requests))), replies)
    data, messages = replies.getvalue(), []
    while data:
        size = int.from_bytes(data[:4], "little")
        messages.append(data[4 : 4 + size])
        data = data[4 + size :]
    texts = [msgspec.msgpack.decode(message, type=Transcript).text for message in messages[1:]]
    return msgspec.msgpack.decode(messages[0], type=Loaded), texts


def test_a_worker_answers_each_request_in_order_until_its_input_ends() -> None:
    sounds = [np.zeros(n, np.float32) for n in (3, 0, 70_000)]
    voice = np.ones(5, np.float32)
    loaded, texts = served(Counts, *map(Request.of, sounds), Request.of(sounds[0], voice, partial=True))
    assert loaded == Loaded("counts")
    assert texts == ["3 0 False", "0 0 False", "70000 0 False", "3 5 True"]


def test_a_worker_that_cannot_load_says_why_in_one_line_and_ends() -> None:
    def load() -> Transcriber:
        raise ValueError("weights x.pt:\n damaged")

    assert served(load, Request.of(np.zeros(3, np.float32))) == (Loaded(error="weights x.pt: damaged"), [])


@pytest.mark.processes
@needs_media
def test_workers_side_by_side_say_what_one_says_and_a_dead_one_is_replaced(pocketsphinx: PocketSphinx) -> None:
    weather = sound_of("audio/speech/whats_the_weather_like.wav")
    alone = pocketsphinx.transcribe(weather)

    async def together() -> tuple[list[Transcript], list[int], int]:
        said: list[Transcript] = []

        async def say() -> None:
            said.append(await pool.transcribe(weather))

        async with TranscriberPool(ALWAYS, 2) as pool:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(say)
                tasks.start_soon(say)
            pids = pool.pids
            os.kill(pids[-1], 9)
            await say()
        return said, pids, pool.failures

    said, pids, failures = anyio.run(together)
    assert said == [alone] * 3
    assert failures <= 1
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
