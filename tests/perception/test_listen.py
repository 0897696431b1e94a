"""The audio process, driven at its lowest seam: a service without sockets."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread
import pytest

from perception.audio.vad import Probabilities
from perception.capture.blocks import Samples
from perception.processes import listen
from perception.speech.language import NOTHING_KNOWN, Spoken
from perception.speech.recogniser import Recogniser
from perception.speech.transcript import NO_VOICE_KNOWN, Transcript, Word
from runtime.config import Config, parse_config
from runtime.errors import ConfigError
from runtime.messages import (
    Message,
    Observation,
    Progress,
    SoundFacts,
    SourceEnded,
    SourceOpened,
    SourceRecord,
    SpeechFacts,
    SpeechStarted,
)
from runtime.service import Service
from tests.fixtures.quiet_service import QuietService

MEDIA = Path(os.environ.get("MINDSTREAM_MEDIA", Path(__file__).parents[3] / "shared" / "media"))
pytestmark = pytest.mark.skipif(not MEDIA.is_dir(), reason=f"real media not found at {MEDIA}")


class HearingService(QuietService):
    """Keeps the voice starts too, and loses nothing."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given, holds=True)
        self.voices: list[SpeechStarted] = []

    def drop(self, what: str, n: int = 1) -> None:
        raise AssertionError(f"{n} lost: {what}")

    def publish(self, topic: str, message: Message) -> None:
        assert topic == "voice"
        self.voices.append(cast(SpeechStarted, message))


def hear(
    *paths: str, config: Config | None = None, records: tuple[SourceRecord, ...] = (), stop_after: int = 1 << 30
) -> HearingService:
    async def run() -> HearingService:
        service = HearingService([MEDIA / path for path in paths], config or Config(), records, stop_after)
        with anyio.fail_after(60):
            await listen.main(cast(Service, service))
        return service

    return anyio.run(run)


def observations(service: HearingService) -> list[Observation]:
    return [m for m in service.outbox.sent if isinstance(m, Observation)]


@pytest.fixture(scope="module")
def two_clips() -> HearingService:
    return hear("audio/speech/whats_the_weather_like.wav", "audio/speech/librivox_sense_0880.wav")


@pytest.mark.processes
def test_a_spoken_question_becomes_an_utterance_with_word_times(two_clips: HearingService) -> None:
    first = next(o for o in observations(two_clips) if o.channel == "speech")
    assert first.text == "What's the weather like?"
    assert first.id == "whats_the_weather_like.wav/speech/000000000"
    assert [word[0] for word in first.facts(SpeechFacts).words] == first.text.split()
    assert all(first.t0_s <= t0 < t1 <= first.t1_s for _, t0, t1, _ in first.facts(SpeechFacts).words)
    assert first.facts(SpeechFacts).understood is True
    assert first.facts(SpeechFacts).engine == "whisper base"
    assert two_clips.counters["utterances"] == 2
    assert two_clips.counters["words"] == sum(len(o.facts(SpeechFacts).words) for o in observations(two_clips))


@pytest.mark.processes
def test_voices_are_told_before_their_words(two_clips: HearingService) -> None:
    assert [v.source for v in two_clips.voices] == ["whats_the_weather_like.wav", "librivox_sense_0880.wav"]
    assert 0.0 < two_clips.voices[0].t_s < 0.6


@pytest.mark.processes
def test_each_source_opens_and_ends_and_progress_never_overtakes_what_is_sent(two_clips: HearingService) -> None:
    opened = [m.source for m in two_clips.outbox.sent if isinstance(m, SourceOpened)]
    ended = {m.source: (m.t_s, m.reason) for m in two_clips.outbox.sent if isinstance(m, SourceEnded)}
    assert opened == ["whats_the_weather_like.wav", "librivox_sense_0880.wav"]
    assert ended == {"whats_the_weather_like.wav": (2.03, "end"), "librivox_sense_0880.wav": (2.99, "end")}


def test_progress_is_told_each_second_and_everything_after_it_ends_later() -> None:
    service = hear("video/big_buck_bunny_0_30.webm")
    marks = [m.t_s for m in service.outbox.sent if isinstance(m, Progress)]
    assert marks[-1] > 28.0
    assert all(0 < b - a <= 4.5 for a, b in pairwise(marks))  # a sound is held back for 3 s at most
    reached_s = 0.0
    for message in service.outbox.sent:
        if isinstance(message, Progress):
            reached_s = message.t_s
        elif isinstance(message, Observation):
            assert message.t1_s > reached_s
    assert not service.voices


@pytest.mark.processes
def test_hearing_twice_gives_identical_messages() -> None:
    paths = ("audio/sounds/dog_imagebind.wav", "audio/speech/librivox_sense_0880.wav", "odd/made/negative_start.mkv")
    assert hear(*paths).outbox.sent == hear(*paths).outbox.sent


def test_a_picture_without_sound_says_so_and_ends() -> None:
    (opened, ended) = hear("video/climbing_wall.mp4").outbox.sent
    assert isinstance(opened, SourceOpened)
    assert opened.missing == "no audio track"
    assert isinstance(ended, SourceEnded)
    assert (ended.t_s, ended.reason) == (0.0, "end")


def test_digital_silence_is_one_sound_restated_rarely() -> None:
    service = hear("video/vtest_pedestrians.mp4")
    assert [(o.channel, o.facts(SoundFacts).kind) for o in observations(service)] == [("sound", "silence")] * 4
    assert observations(service)[0].text.startswith("digital silence")
    assert observations(service)[-1].t1_s == pytest.approx(79.5, abs=0.1)


def test_a_file_that_cannot_be_opened_ends_with_its_reason() -> None:
    (opened, ended) = hear("odd/made/truncated_no_moov.mp4").outbox.sent
    assert isinstance(opened, SourceOpened)
    assert isinstance(ended, SourceEnded)
    assert "moov" in ended.reason


def record(name: str, **fields: Any) -> SourceRecord:
    return SourceRecord(source=name, kind="file", uri="", fingerprint="", started_wall_s=0.0, **fields)


def test_what_was_heard_to_its_end_is_not_heard_again() -> None:
    done = record("climbing_wall.mp4", ended={"audio": "end"})
    assert hear("video/climbing_wall.mp4", records=(done,)).outbox.sent == []


class Scribbles(Recogniser):
    """Hears one word in everything, at once."""

    def __init__(self) -> None:
        super().__init__("scribbles", None)

    async def transcribe(
        self, samples: Samples, voice: Probabilities = NO_VOICE_KNOWN, spoken: Spoken = NOTHING_KNOWN
    ) -> Transcript:
        return Transcript((Word("blah", 0.0, 0.1, 1.0),), 1.0, True)


def test_hearing_goes_on_from_the_watermark_with_the_same_observations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "choose_recogniser", lambda hearing, threads: Scribbles())
    name = "black_journal_interview.mp4"
    whole = hear(f"video/{name}")
    marks = [m.t_s for m in whole.outbox.sent if isinstance(m, Progress)]
    watermark_s = next(t_s for t_s in marks if t_s > 32.0)
    rest = hear(f"video/{name}", records=(record(name, watermarks={"audio": watermark_s, "video": 20.0}),))
    expected = [o for o in observations(whole) if o.t1_s > watermark_s]
    assert len(expected) >= 4
    assert [o.id for o in observations(rest)] == [o.id for o in expected]
    for again, before in zip(observations(rest), expected, strict=True):
        assert again.t1_s == pytest.approx(before.t1_s, abs=0.1)  # a decoder that starts anew is a sample off
    assert [v.t_s for v in rest.voices] == [v.t_s for v in whole.voices if v.t_s >= watermark_s]
    assert [m.t_s for m in rest.outbox.sent if isinstance(m, SourceEnded)] == [73.004]


def test_told_to_stop_it_returns_without_an_end() -> None:
    service = hear("video/vtest_pedestrians.mp4", stop_after=5)
    assert not [m for m in service.outbox.sent if isinstance(m, SourceEnded)]


def test_a_model_that_there_is_not_is_a_users_error() -> None:
    config = parse_config({"perception": {"hearing": {"whisper": "bsae"}}}, "test")
    with pytest.raises(ConfigError, match="bsae"):
        hear("video/climbing_wall.mp4", config=config)
