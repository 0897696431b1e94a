"""Hearing as one stage: sound in; voice starts, utterances and sounds out."""

from __future__ import annotations

from perception.audio.sound_events import SoundEvents
from perception.audio.sounds import NameSounds, Sound, SoundOptions
from perception.audio.vad import (
    SegmentSpeech,
    SpeechModel,
    SpeechOptions,
    Utterance,
    VoiceActivity,
    VoiceStart,
    split_sides,
)
from perception.capture.blocks import AudioBlock
from runtime.config import HearingConfig

Heard = VoiceStart | Utterance | Sound


class Hearing:
    """The stages of hearing as one: blocks in; voice starts, utterances and sounds out."""

    def __init__(self, config: HearingConfig, model: SpeechModel, events: SoundEvents | None = None) -> None:
        self._model, self._pad_s, self._min_speech_s = model, config.pad_s, config.min_speech_s
        self._speech = SegmentSpeech(
            SpeechOptions(
                threshold=config.speech_threshold,
                min_speech_s=config.min_speech_s,
                min_silence_s=config.min_silence_s,
                pad_s=config.pad_s,
                max_utterance_s=config.max_utterance_s,
            ),
            model,
        )
        self._sounds = NameSounds(SoundOptions(), events) if config.sounds else None

    @property
    def settled_s(self) -> float:
        """Media time before which nothing new can begin."""
        settled_s = self._speech.settled_s
        return settled_s if self._sounds is None else min(settled_s, self._sounds.settled_s)

    @property
    def open_s(self) -> float | None:
        """When the utterance began that is still spoken; see `SegmentSpeech.open_s`."""
        return self._speech.open_s

    def so_far(self) -> Utterance:
        """What has been said of it."""
        return self._speech.so_far()

    def foreseen(self) -> Utterance | None:
        """What it will be if nobody speaks on; see `SegmentSpeech.foreseen`."""
        return self._speech.foreseen()

    def step(self, block: AudioBlock) -> list[Heard]:
        return self._name(self._speech.step(block))

    def finish(self) -> list[Heard]:
        out = self._name(self._speech.finish())
        return out + (self._sounds.finish() if self._sounds is not None else [])

    def _name(self, events: list[VoiceStart | Utterance | VoiceActivity]) -> list[Heard]:
        out: list[Heard] = []
        for event in events:
            if isinstance(event, Utterance):
                out += split_sides(event, self._model, self._pad_s, self._min_speech_s)
            elif not isinstance(event, VoiceActivity):
                out.append(event)
            elif self._sounds is not None:
                out += self._sounds.step(event)
        return out
