"""Which language a source is taken to be in: by all that was said in it, and the more recent the more."""

from __future__ import annotations

import pytest

from perception.speech.language import NOTHING_KNOWN, Spoken, after, likeliest


def heard(*utterances: dict[str, float]) -> Spoken:
    spoken = NOTHING_KNOWN
    for shares in utterances:
        spoken = after(spoken, shares)
    return spoken


SPANISH = {"es": 0.99, "pt": 0.005, "en": 0.005}


def test_what_is_known_settles_an_utterance_that_could_be_either() -> None:
    unsure = {"pt": 0.73, "es": 0.08, "en": 0.01}
    assert likeliest(heard(unsure)) == "pt"
    assert likeliest(heard(SPANISH, unsure)) == "es"


def test_somebody_who_clearly_speaks_another_language_is_understood_in_it_at_once_however_long_it_was_this() -> None:
    assert likeliest(heard(*[SPANISH] * 50, {"en": 0.995, "es": 0.002, "pt": 0.001})) == "en"


def test_a_little_doubt_each_time_adds_up() -> None:
    rather_english = {"en": 0.8, "es": 0.15, "pt": 0.05}
    assert likeliest(heard(SPANISH, SPANISH, rather_english)) == "es"
    assert likeliest(heard(SPANISH, SPANISH, *[rather_english] * 4)) == "en"


@pytest.mark.parametrize("code", ["en", "zh"])
def test_one_utterance_alone_is_what_it_sounds_like(code: str) -> None:
    assert likeliest(heard({"en": 0.4, "zh": 0.3, code: 0.6})) == code
    assert likeliest(NOTHING_KNOWN) == "en"
