"""Words nobody said are let go, by evidence; the same words well said are kept."""

from __future__ import annotations

import numpy as np
import pytest

from perception.audio.vad import Probabilities
from perception.speech.hallucination import Evidence, doubt
from perception.speech.transcript import Word

LOUD = np.full(100, 0.95, np.float32)  # 3.2 s of speech


def words(text: str, each_s: float = 0.3, confidence: float = 0.9, t0_s: float = 0.2) -> tuple[Word, ...]:
    return tuple(
        Word(word, t0_s + each_s * i, t0_s + each_s * (i + 1), confidence) for i, word in enumerate(text.split())
    )


def why(
    text: str,
    heard: tuple[Word, ...] | None = None,
    logprob: float = -0.3,
    no_speech: float = 0.01,
    voice: Probabilities = LOUD,
) -> str:
    return doubt(Evidence(text, words(text) if heard is None else heard, logprob, no_speech, voice))


def test_what_is_well_said_is_believed() -> None:
    assert why("Put the kettle on, please.") == ""


@pytest.mark.parametrize("text", ["", " ... ", "♪♪"])
def test_marks_are_no_words(text: str) -> None:
    assert why(text) == "no words"


def test_what_the_decoder_doubts_is_not_believed() -> None:
    assert why("Put the kettle on", logprob=-1.4, no_speech=0.8) == "nobody speaks"
    assert why("Put the kettle on", logprob=-1.4) == "unsure of its words"
    assert why("Put the kettle on", no_speech=0.8) == ""  # sure words outweigh it, as in Whisper


def test_a_text_that_repeats_itself_is_not_believed() -> None:
    assert why("I see. " * 15, words("I see. " * 15, each_s=0.1)) == "repeats itself"


def test_more_words_than_there_was_voice_for_are_not_believed() -> None:
    breath = np.concatenate([np.full(8, 0.6, np.float32), np.full(92, 0.3, np.float32)])
    assert why("Ladies and gentlemen, please welcome the speaker", voice=breath) == "more words than there was time for"
    assert why("Hello", voice=np.full(100, 0.2, np.float32)) == "no voice"


def test_words_in_silence_are_not_believed() -> None:
    voice = np.concatenate([np.full(20, 0.9, np.float32), np.zeros(80, np.float32)])
    assert why("Yes we do", words("Yes we do", t0_s=1.6), voice=voice) == "words where nobody speaks"


def test_short_words_and_improbable_ones_are_words() -> None:
    assert why("So we are", words("So we are", each_s=0.02, confidence=0.1)) == ""


@pytest.mark.parametrize("text", ["Thanks for watching!", "Thank you.", "Subtitles by the community", "字幕"])
def test_a_stock_phrase_needs_strong_evidence(text: str) -> None:
    assert why(text) == ""
    assert why(text, logprob=-0.8) == "a stock phrase on weak evidence"
    assert why(text, no_speech=0.4) == "a stock phrase on weak evidence"
