"""Voice activity: hysteresis on exact hand-made probabilities, boundaries on real speech."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest

from perception.audio.vad import (
    Probabilities,
    SegmentSpeech,
    SpeechModel,
    SpeechOptions,
    State,
    Utterance,
    VoiceActivity,
    VoiceStart,
    load_silero,
)
from perception.capture.blocks import CHUNK_S, CHUNK_SAMPLES, SAMPLE_RATE_HZ, AudioBlock, Samples
from perception.capture.file import audio_stream, open_container
from perception.capture.file_audio import AudioReader
from tests.fixtures.agent_runs import SAMPLE

MEDIA = Path(os.environ.get("MINDSTREAM_MEDIA", Path(__file__).parents[3] / "shared" / "media"))
needs_media = pytest.mark.skipif(not MEDIA.is_dir(), reason=f"real media not found at {MEDIA}")

Event = VoiceStart | Utterance | VoiceActivity


class WrittenInSound:
    """A model at the lowest seam: the first sample of each chunk *is* its probability."""

    def __init__(self) -> None:
        self.asked = 0

    def initial_state(self) -> State:
        return np.zeros(1, np.float32), np.zeros(1, np.float32)

    def probabilities(self, frames: Samples, state: State) -> tuple[Probabilities, State]:
        self.asked += len(frames)
        return frames[:, 64].copy(), state


def written(*runs: tuple[float, int]) -> Samples:
    """Sound in which each (probability, chunks) run is written."""
    probabilities = np.concatenate([np.full(count, p, np.float32) for p, count in runs])
    samples = np.full((len(probabilities), CHUNK_SAMPLES), 0.01, np.float32)
    samples[:, 0] = probabilities
    return samples.reshape(-1)


def heard(samples: Samples, options: SpeechOptions, block: int = 4096, model: SpeechModel | None = None) -> list[Event]:
    stage = SegmentSpeech(options, model or WrittenInSound())
    out: list[Event] = []
    for i in range(0, len(samples), block):
        out += stage.step(AudioBlock(i, samples[i : i + block]))
    return out + stage.finish()


def utterances(events: list[Event]) -> list[tuple[float, float]]:
    return [(e.t0_s, e.t1_s) for e in events if isinstance(e, Utterance)]


# 10 chunks of silence end an utterance, 5 are kept as padding, 4 of speech are enough.
OPTIONS = SpeechOptions(
    min_speech_s=4 * CHUNK_S, min_silence_s=10 * CHUNK_S, pad_s=5 * CHUNK_S, max_utterance_s=100 * CHUNK_S
)


def chunks(*numbers: int) -> list[float]:
    return [round(n * CHUNK_S, 3) for n in numbers]


def test_a_voice_starts_at_its_first_chunk_and_its_utterance_is_padded() -> None:
    events = heard(written((0.1, 20), (0.9, 30), (0.1, 20)), OPTIONS)
    assert [e.t_s for e in events if isinstance(e, VoiceStart)] == chunks(20)
    assert utterances(events) == [tuple(chunks(15, 55))]
    (utterance,) = (e for e in events if isinstance(e, Utterance))
    assert len(utterance.samples) == 40 * CHUNK_SAMPLES
    assert utterance.samples[5 * CHUNK_SAMPLES] == np.float32(0.9)
    assert float(np.mean(utterance.voice >= 0.5)) == 0.75


def test_a_dip_above_the_release_or_a_short_pause_does_not_end_an_utterance() -> None:
    dip = heard(written((0.0, 5), (0.9, 10), (0.4, 30), (0.9, 10), (0.0, 20)), OPTIONS)
    assert utterances(dip) == [tuple(chunks(0, 60))]
    pause = heard(written((0.0, 5), (0.9, 10), (0.0, 9), (0.9, 10), (0.0, 20)), OPTIONS)
    assert utterances(pause) == [tuple(chunks(0, 39))]
    two = heard(written((0.0, 5), (0.9, 10), (0.0, 10), (0.9, 10), (0.0, 20)), OPTIONS)
    assert utterances(two) == [tuple(chunks(0, 20)), tuple(chunks(20, 40))]


def test_an_utterance_is_foreseen_in_its_pause_as_it_will_be_and_not_where_somebody_speaks_on() -> None:
    stage = SegmentSpeech(OPTIONS, WrittenInSound())
    sound = written((0.0, 5), (0.9, 10), (0.0, 7), (0.9, 10), (0.0, 30), (0.9, 3), (0.0, 20))
    foreseen: dict[float, tuple[float, float]] = {}
    over: list[Utterance] = []
    for i in range(0, len(sound), CHUNK_SAMPLES):
        over += [e for e in stage.step(AudioBlock(i, sound[i : i + CHUNK_SAMPLES])) if isinstance(e, Utterance)]
        expected = stage.foreseen()
        if expected is not None:
            foreseen[round((i / CHUNK_SAMPLES + 1) * CHUNK_S, 3)] = (expected.t0_s, expected.t1_s)
            last = expected
    first, second = tuple(chunks(0, 20)), tuple(chunks(0, 37))
    assert foreseen == dict.fromkeys(chunks(20, 21, 22), first) | dict.fromkeys(chunks(37, 38, 39, 40, 41), second)
    assert [(u.t0_s, u.t1_s) for u in over] == [second]
    assert np.array_equal(over[0].samples, last.samples)
    assert np.array_equal(over[0].voice, last.voice)


def test_a_burst_too_short_to_be_speech_starts_a_voice_but_is_no_utterance() -> None:
    events = heard(written((0.0, 20), (0.9, 3), (0.0, 30)), OPTIONS)
    assert [type(e) for e in events if not isinstance(e, VoiceActivity)] == [VoiceStart]


def test_endless_speech_is_cut_at_its_least_likely_place_without_a_hole() -> None:
    options = SpeechOptions(0.5, 4 * CHUNK_S, 10 * CHUNK_S, 5 * CHUNK_S, 60 * CHUNK_S)
    sound = written((0.9, 45), (0.6, 5), (0.9, 50), (0.0, 20))
    sound += np.random.default_rng(1).normal(0, 1e-4, len(sound)).astype(np.float32)
    events = heard(sound, options)
    assert utterances(events) == [tuple(chunks(0, 48)), tuple(chunks(48, 105))]
    assert sum(isinstance(e, VoiceStart) for e in events) == 1
    joined = np.concatenate([e.samples for e in events if isinstance(e, Utterance)])
    assert np.array_equal(joined, sound[: len(joined)])


def test_the_result_does_not_depend_on_the_size_of_blocks() -> None:
    random = np.random.default_rng(3)
    runs = [(float(p), int(n)) for p, n in zip(random.random(60), random.integers(1, 30, 60), strict=True)]
    sound = written(*runs)
    expected = heard(sound, OPTIONS, 100_000)
    for block in (300, 512, 5000):
        events = heard(sound, OPTIONS, block)
        assert utterances(events) == utterances(expected)
        for a, b in zip(
            (e for e in events if isinstance(e, Utterance)),
            (e for e in expected if isinstance(e, Utterance)),
            strict=True,
        ):
            assert np.array_equal(a.samples, b.samples)


def test_every_chunk_is_accounted_for_once() -> None:
    events = heard(written((0.0, 7), (0.9, 20), (0.0, 33))[:-100], OPTIONS, 700)
    activity = [e for e in events if isinstance(e, VoiceActivity)]
    assert [a.start for a in activity] == list(np.cumsum([0] + [len(a.samples) for a in activity])[:-1])
    assert sum(len(a.probabilities) for a in activity) == 60


def test_digital_silence_is_not_shown_to_the_model() -> None:
    model = WrittenInSound()
    heard(np.zeros(SAMPLE_RATE_HZ * 60, np.float32), OPTIONS, model=model)
    assert model.asked == 16


def test_nothing_settled_is_ever_followed_by_an_earlier_utterance() -> None:
    random = np.random.default_rng(5)
    sound = written(*[(float(p), int(n)) for p, n in zip(random.random(80), random.integers(1, 25, 80), strict=True)])
    stage, settled_s = SegmentSpeech(OPTIONS, WrittenInSound()), 0.0
    for i in range(0, len(sound), 1000):
        for event in stage.step(AudioBlock(i, sound[i : i + 1000])):
            assert not isinstance(event, Utterance) or event.t0_s >= settled_s
        assert stage.settled_s >= settled_s
        settled_s = stage.settled_s


def test_hearing_resumed_in_the_middle_cuts_at_the_same_places() -> None:
    sound = written((0.0, 40), (0.9, 30), (0.0, 40), (0.9, 30), (0.0, 40))
    stage = SegmentSpeech(OPTIONS, WrittenInSound())
    start = 80 * CHUNK_SAMPLES - 100  # off the grid: the stage goes on from its next point
    later = stage.step(AudioBlock(start, sound[start:])) + stage.finish()
    assert utterances(later) == utterances(heard(sound, OPTIONS))[1:]


def heard_file(path: Path) -> list[Event]:
    stage = SegmentSpeech(SpeechOptions(), load_silero())
    out: list[Event] = []
    with open_container(path) as container:
        for block in AudioReader(container, audio_stream(container)):
            out += stage.step(block)
    return out + stage.finish()


@needs_media
def test_an_utterance_holds_all_words_of_a_read_sentence() -> None:
    words = json.loads((MEDIA / "audio/speech/librivox_sense_0870.align.json").read_text())["w"]
    spoken = [w for w in words if not w["t"].startswith("<")]
    ((t0_s, t1_s),) = utterances(heard_file(MEDIA / "audio/speech/librivox_sense_0870.wav"))
    assert 0.0 <= t0_s <= spoken[0]["b"]
    assert spoken[-1]["b"] + spoken[-1]["d"] <= t1_s <= 7.104


@needs_media
def test_a_telephone_call_is_heard_where_its_speakers_talk() -> None:
    lines = (MEDIA / "audio/speech/telephone_two_speakers.rttm").read_text().splitlines()
    turns = [(float(f[3]), float(f[3]) + float(f[4])) for f in map(str.split, lines)]
    found = utterances(heard_file(MEDIA / "audio/speech/telephone_two_speakers.wav"))
    assert found[0][0] == pytest.approx(turns[0][0], abs=0.35)
    assert found[-1][1] == pytest.approx(30.0, abs=0.1)
    for t0_s, t1_s in turns:
        covered = sum(max(0.0, min(t1_s, b) - max(t0_s, a)) for a, b in found)
        assert covered >= 0.9 * (t1_s - t0_s)


@needs_media
@pytest.mark.parametrize(
    "name",
    ["sounds/rain_moviepy.mp3", "sounds/applause_woven.wav", "sounds/dog_imagebind.wav", "speech/no_speech_empty.mp3"],
)
def test_what_is_not_speech_is_no_utterance(name: str) -> None:
    assert utterances(heard_file(MEDIA / f"audio/{name}")) == []


@needs_media
def test_speech_at_minus_sixty_decibels_is_heard() -> None:
    ((t0_s, t1_s),) = utterances(heard_file(MEDIA / "odd/made/very_quiet.wav"))
    assert t0_s < 1.0
    assert t1_s > 5.5


def test_an_open_utterance_shows_what_was_said_so_far_and_is_the_beginning_of_the_whole() -> None:
    stage = SegmentSpeech(SpeechOptions(), WrittenInSound())
    sound = written((0.0, 20), (0.9, 40), (0.0, 40))
    assert stage.open_s is None
    stage.step(AudioBlock(0, sound[: 30 * CHUNK_SAMPLES]))
    opened_s, so_far = stage.open_s, stage.so_far()
    assert opened_s is not None
    assert (so_far.t0_s, so_far.t1_s) == (opened_s, round(30 * CHUNK_S, 3))
    events = stage.step(AudioBlock(30 * CHUNK_SAMPLES, sound[30 * CHUNK_SAMPLES :]))
    (whole,) = (event for event in events if isinstance(event, Utterance))
    assert whole.t0_s == opened_s
    assert np.array_equal(whole.samples[: len(so_far.samples)], so_far.samples)
    assert np.array_equal(whole.voice[: len(so_far.voice)], so_far.voice)
    assert stage.open_s is None


def test_without_the_package_of_the_model_the_export_that_the_recogniser_carries_finds_the_same_voices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = utterances(heard_file(SAMPLE))
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "silero_vad" else find_spec(name))
    found = utterances(heard_file(SAMPLE))
    assert found != known  # it is another model
    assert found == [(pytest.approx(t0_s, abs=0.2), pytest.approx(t1_s, abs=0.2)) for t0_s, t1_s in known]
