"""Sound of every channel: a wrong phase, a dead channel, a speaker in each, a silent track, an offset, cut crests."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from perception.audio.channels import is_clipped, say_different_things
from perception.audio.pipeline import Hearing
from perception.audio.sounds import Sound
from perception.audio.vad import Utterance, VoiceActivity, load_silero
from perception.capture import file_tracks
from perception.capture.blocks import SAMPLE_RATE_HZ, AudioBlock, Samples, level_db
from perception.capture.channels import MixChannels
from perception.capture.file_tracks import open_sound
from runtime.config import HearingConfig
from tests.fixtures.agent_runs import SAMPLE


def read(path: Path) -> list[AudioBlock]:
    with open_sound(path) as reader:
        return list(reader)


def joined(blocks: Sequence[AudioBlock]) -> Samples:
    return np.concatenate([block.samples for block in blocks])


@pytest.fixture(scope="module")
def voices() -> tuple[Samples, Samples]:
    """Two sentences of the sample, 4 s each."""
    sound = joined(read(SAMPLE))
    return tuple(sound[round(t0_s * SAMPLE_RATE_HZ) :][: 4 * SAMPLE_RATE_HZ] for t0_s in (7.0, 25.0))  # type: ignore[return-value]


def write(path: Path, *tracks: Samples, languages: Sequence[str] = (), second: int = 0) -> Path:
    """A recording whose tracks are (channels, n); the first is the default, ``second`` marks the others."""
    with av.open(str(path), "w") as out:
        streams = []
        for track in tracks:
            stream = out.add_stream("pcm_s16le", rate=SAMPLE_RATE_HZ, layout="mono" if len(track) == 1 else "stereo")
            stream.disposition = av.stream.Disposition(second)
            streams.append(stream)
        for stream, language in zip(streams, languages, strict=False):
            stream.metadata["language"] = language
        streams[0].disposition = av.stream.Disposition.default
        for stream, track in zip(streams, tracks, strict=True):
            pcm = (np.clip(track, -1, 1) * 32767).astype(np.int16).T.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout=stream.layout.name)
            frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, 0
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    return path


def heard(blocks: Sequence[AudioBlock]) -> list[Utterance | Sound]:
    hearing = Hearing(HearingConfig(), load_silero())
    events = [event for block in blocks for event in hearing.step(block)] + hearing.finish()
    return [event for event in events if isinstance(event, Utterance | Sound)]


def utterances(blocks: Sequence[AudioBlock]) -> list[Utterance]:
    return [event for event in heard(blocks) if isinstance(event, Utterance)]


def test_two_channels_in_opposite_phase_are_as_loud_as_one(voices: tuple[Samples, Samples], tmp_path: Path) -> None:
    voice = voices[0]
    wrong = joined(read(write(tmp_path / "phase.mkv", np.stack((voice, -voice)))))
    assert level_db(wrong) == pytest.approx(level_db(voice), abs=0.5)
    assert np.abs(np.corrcoef(wrong, voice[: len(wrong)])[0, 1]) > 0.99


def test_a_dead_channel_takes_nothing_from_the_other(voices: tuple[Samples, Samples], tmp_path: Path) -> None:
    voice = voices[0]
    for dead in (np.zeros_like(voice), 1e-4 * np.random.default_rng(1).standard_normal(len(voice))):
        half = joined(read(write(tmp_path / "dead.mkv", np.stack((dead.astype(np.float32), voice)))))
        assert level_db(half) == pytest.approx(level_db(voice), abs=0.5)


def test_a_speaker_in_each_channel_is_heard_by_himself_also_at_once(
    voices: tuple[Samples, Samples], tmp_path: Path
) -> None:
    left, right = voices
    both = utterances(read(write(tmp_path / "call.mkv", np.stack((left, right)))))
    assert [utterance.side for utterance in both] == ["left", "right"] or [u.side for u in both] == ["right", "left"]
    for utterance in both:
        own = (left if utterance.side == "left" else right)[: len(utterance.samples) + round(16_000 * utterance.t0_s)]
        said = own[round(16_000 * utterance.t0_s) :][: len(utterance.samples)]
        assert np.corrcoef(utterance.samples[: len(said)], said)[0, 1] > 0.99


def test_one_voice_before_two_microphones_is_one(voices: tuple[Samples, Samples], tmp_path: Path) -> None:
    voice = voices[0]
    noise = np.random.default_rng(2).standard_normal((2, len(voice))).astype(np.float32) * 0.003
    later = np.concatenate((np.zeros(24, np.float32), voice[:-24]))  # half a metre further away
    for second in (voice, -voice, later, 0.3 * later):
        assert not say_different_things(voice + noise[0], second + noise[1])
    assert say_different_things(*voices)
    (one,) = utterances(read(write(tmp_path / "two.mkv", np.stack((voice, later)) + noise)))
    assert one.side == ""


def test_a_voice_in_the_middle_is_found_behind_music_at_the_sides(voices: tuple[Samples, Samples]) -> None:
    from perception.audio.vad import SegmentSpeech, SpeechOptions

    voice = voices[0]
    t_s = np.arange(len(voice)) / SAMPLE_RATE_HZ
    chords = [sum(np.sin(2 * np.pi * f * t_s + f) * (1 + np.sin(2 * np.pi * rate * t_s)) for f in tones)
              for rate, tones in ((1.7, (196, 247, 294, 587, 880)), (2.3, (220, 277, 330, 660, 990)))]  # fmt: skip
    music = np.stack(chords).astype(np.float32) * 0.12
    left, right = voice + music[0], voice + music[1]
    mix = (left + right) / 2

    def most(sides: Samples | None) -> float:
        speech = SegmentSpeech(SpeechOptions(), load_silero())
        events = speech.step(AudioBlock(0, mix, sides=sides)) + speech.finish()
        return float(np.mean([e.probabilities.mean() for e in events if isinstance(e, VoiceActivity)]))

    assert most(np.stack((left, right))) > most(None) + 0.05


def test_a_voice_on_a_second_track_is_heard_as_well_as_alone_beside_a_silent_one(
    voices: tuple[Samples, Samples], tmp_path: Path
) -> None:
    voice = voices[0]
    nothing = np.zeros((2, len(voice)), np.float32)
    # What an encoder leaves of digital silence.
    hiss = 3e-5 * np.random.default_rng(1).standard_normal((2, len(voice))).astype(np.float32)
    for silent in (nothing, hiss):
        recorded = read(write(tmp_path / "recorder.mkv", silent, voice[None]))
        assert [utterance.side for utterance in utterances(recorded)] == [""]
        assert level_db(joined(recorded)) == pytest.approx(level_db(voice), abs=0.5)


def test_who_speaks_on_a_track_of_his_own_is_heard_though_the_others_speak_too(
    voices: tuple[Samples, Samples], tmp_path: Path
) -> None:
    desktop, microphone = voices
    both = utterances(read(write(tmp_path / "call.mkv", desktop[None], microphone[None])))
    assert {utterance.side for utterance in both} == {"left", "right"}


def test_one_sound_that_is_coded_twice_is_heard_once(voices: tuple[Samples, Samples], tmp_path: Path) -> None:
    voice = voices[0]
    hiss = 0.002 * np.random.default_rng(1).standard_normal(len(voice)).astype(np.float32)
    later = np.concatenate((np.zeros(300, np.float32), 0.7 * voice[:-300])) + hiss
    recorded = write(tmp_path / "twice.mkv", voice[None], later[None])
    assert np.corrcoef(joined(read(recorded)), voice)[0, 1] > 0.9999
    assert all(block.sides is None for block in read(recorded))


def test_of_tracks_that_begin_silent_both_are_heard(
    voices: tuple[Samples, Samples], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_tracks, "COMPARED_S", 1.0)
    late = np.concatenate((np.zeros(2 * SAMPLE_RATE_HZ, np.float32), voices[0]))
    recorded = write(tmp_path / "late.mkv", np.zeros((1, len(late)), np.float32), late[None])
    assert len(utterances(read(recorded))) == 1


def test_tracks_of_different_length_are_heard_each_to_its_end(voices: tuple[Samples, Samples], tmp_path: Path) -> None:
    voice = voices[0]
    begun = voice[: SAMPLE_RATE_HZ // 2]
    for tracks in ((begun, voice), (voice, begun)):
        blocks = read(write(tmp_path / "short.mkv", *(track[None] for track in tracks)))
        assert sum(len(block.samples) for block in blocks) == len(voice)
        assert all(a.t1_s == b.t0_s for a, b in itertools.pairwise(blocks))


def test_of_a_film_in_two_languages_with_commentary_one_track_is_heard(
    voices: tuple[Samples, Samples], tmp_path: Path
) -> None:
    voice = voices[0]
    for languages, flags in ((("eng", "deu"), 0), (("eng", "eng"), int(av.stream.Disposition.comment))):
        film = write(tmp_path / "film.mkv", voice[None], voices[1][None], languages=languages, second=flags)
        assert np.corrcoef(joined(read(film))[: len(voice)], voice)[0, 1] > 0.999


def test_an_offset_is_no_noise_and_takes_nothing_from_a_voice(voices: tuple[Samples, Samples], tmp_path: Path) -> None:
    voice = voices[0] * np.float32(0.5)
    (silence,) = heard(read(write(tmp_path / "offset.mkv", np.full((1, 5 * SAMPLE_RATE_HZ), 0.3, np.float32))))
    assert isinstance(silence, Sound) and silence.kind == "silence"
    lifted = joined(read(write(tmp_path / "lifted.mkv", np.stack((voice + 0.3, voice - 0.2)))))
    assert level_db(lifted) == pytest.approx(level_db(voice), abs=0.5)


@pytest.mark.parametrize("pieces", [341, 5000])
def test_the_mix_does_not_click_when_a_channel_dies_and_comes_back(pieces: int) -> None:
    tone = (0.4 * np.sin(2 * np.pi * 200 * np.arange(14 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ)).astype(np.float32)
    second = tone.copy()
    second[2 * SAMPLE_RATE_HZ : 12 * SAMPLE_RATE_HZ] = 0.0
    mixer = MixChannels(("FL", "FR"))
    both = np.stack((tone, second))
    mix = np.concatenate([mixer.step(both[:, at : at + pieces])[0] for at in range(0, len(tone), pieces)])
    steepest = 2 * np.pi * 200 / SAMPLE_RATE_HZ * 0.4
    inside = np.abs(np.diff(mix))
    assert np.delete(inside, [2 * SAMPLE_RATE_HZ - 1, 12 * SAMPLE_RATE_HZ - 1]).max() < 1.2 * steepest
    assert level_db(mix[11 * SAMPLE_RATE_HZ : 12 * SAMPLE_RATE_HZ]) == pytest.approx(level_db(tone), abs=0.5)


def test_crests_that_were_cut_off_are_noticed_however_loud_they_are(voices: tuple[Samples, Samples]) -> None:
    voice = voices[0]
    loud = float(np.abs(voice).max())
    clipped = np.clip(voice, -0.2 * loud, 0.2 * loud)
    assert is_clipped(clipped) and is_clipped(clipped * np.float32(0.1))
    assert not is_clipped(voice) and not is_clipped(np.zeros(100, np.float32))
