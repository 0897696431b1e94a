"""Speech to words as the process uses it: one after another, loaded when needed, and known clips give known words."""

from __future__ import annotations

import anyio
import numpy as np
import pytest

from perception.audio.pipeline import Hearing
from perception.audio.vad import Probabilities, Utterance, load_silero
from perception.capture.blocks import AudioBlock, Samples
from perception.capture.file import audio_stream, open_container
from perception.capture.file_audio import AudioReader
from perception.speech.language import NOTHING_KNOWN, Spoken
from perception.speech.models import choose_recogniser, find_whisper, load_whisper
from perception.speech.recogniser import Recogniser, RecogniserFailed
from perception.speech.transcript import NO_VOICE_KNOWN, Transcript, Word
from perception.speech.whisper import Whisper
from runtime.config import HearingConfig
from runtime.weights.known import located
from tests.fixtures.agent_runs import SAMPLE

pytestmark = pytest.mark.anyio
needs_base = pytest.mark.skipif(located("whisper/base") is None, reason="Whisper base is not on this machine")


def utterances_of_sample(until_s: float) -> list[Utterance]:
    with open_container(SAMPLE) as container:
        sound = np.concatenate([block.samples for block in AudioReader(container, audio_stream(container))])
    hearing = Hearing(HearingConfig(sounds=False), load_silero())
    heard = hearing.step(AudioBlock(0, sound[: round(16_000 * until_s)])) + hearing.finish()
    return [event for event in heard if isinstance(event, Utterance)]


@pytest.fixture(scope="module")
def base() -> Whisper:
    return load_whisper(find_whisper(HearingConfig()), "", 1)


@pytest.fixture(scope="module")
def spoken() -> list[Utterance]:
    return utterances_of_sample(24.0)


@needs_base
def test_a_known_clip_gives_its_words_at_their_times(base: Whisper, spoken: list[Utterance]) -> None:
    heard = [base.transcribe(utterance.samples, utterance.voice) for utterance in spoken]
    assert [transcript.text for transcript in heard] == [
        "Welcome to the house by the river.",
        "The keys are on the kitchen table.",
        "Somebody is opening the red door.",
        "Grandmother has forgotten her umbrella.",
    ]
    assert {transcript.language for transcript in heard} == {"en"}
    for utterance, transcript in zip(spoken, heard, strict=True):
        times = [t for word in transcript.words for t in (word.t0_s, word.t1_s)]
        assert times == sorted(times)
        assert times[0] >= 0.0
        assert times[-1] <= utterance.t1_s - utterance.t0_s
        assert all(0.0 <= word.confidence <= 1.0 for word in transcript.words)
        assert transcript.confidence > 0.8


@needs_base
def test_quiet_speech_gives_the_same_words_as_loud(base: Whisper, spoken: list[Utterance]) -> None:
    keys = spoken[1]
    assert base.transcribe(keys.samples * np.float32(0.01), keys.voice).text == "The keys are on the kitchen table."


@needs_base
def test_a_transcript_does_not_depend_on_what_was_heard_before(base: Whisper, spoken: list[Utterance]) -> None:
    first = base.transcribe(spoken[1].samples, spoken[1].voice)
    base.transcribe(spoken[0].samples[:20_000])
    assert base.transcribe(spoken[1].samples, spoken[1].voice) == first


@needs_base
@pytest.mark.parametrize("rms", [0.0, 0.1])
def test_silence_and_noise_have_no_words(base: Whisper, rms: float) -> None:
    noise = (np.random.default_rng(4).standard_normal(16_000) * rms).astype(np.float32)
    assert base.transcribe(noise, np.zeros(31, np.float32)).words == ()


class Counts:
    """A recogniser whose only word is how many samples it got and how many calls came before."""

    name = "counts"

    def __init__(self) -> None:
        self.calls: list[int] = []

    def transcribe(
        self, samples: Samples, voice: Probabilities = NO_VOICE_KNOWN, spoken: Spoken = NOTHING_KNOWN
    ) -> Transcript:
        if not len(samples):
            raise RuntimeError("nothing to hear")
        self.calls.append(len(samples))
        return Transcript((Word(f"{len(samples)} {len(self.calls)}", 0.0, 1.0, 1.0),), 1.0, True)


async def test_it_is_loaded_once_when_first_needed_and_works_in_the_order_asked() -> None:
    loads: list[Counts] = []

    def load() -> Counts:
        loads.append(Counts())
        return loads[-1]

    recogniser = Recogniser("counts", load)
    assert not recogniser.loaded and not recogniser.free and not loads
    said: list[str] = []

    async def say(samples: int) -> None:
        said.append((await recogniser.transcribe(np.zeros(samples, np.float32))).text)

    async with anyio.create_task_group() as tasks:
        for samples in (3, 5, 4):
            tasks.start_soon(say, samples)
            await anyio.lowlevel.checkpoint()
    assert said == ["3 1", "5 2", "4 3"]
    assert len(loads) == 1
    assert recogniser.loaded and recogniser.free


async def test_an_utterance_it_fails_on_costs_that_utterance_alone() -> None:
    recogniser = Recogniser("counts", Counts)
    with pytest.raises(RecogniserFailed, match="counts failed on an utterance: nothing to hear"):
        await recogniser.transcribe(np.zeros(0, np.float32))
    assert (await recogniser.transcribe(np.zeros(2, np.float32))).text == "2 1"


async def test_where_there_is_none_speech_is_told_as_not_listened_to() -> None:
    off = choose_recogniser(HearingConfig(transcribe=False), 1)
    assert not off.there_is and not off.lacking
    assert (await off.transcribe(np.zeros(2, np.float32))).unheard == "absent"
