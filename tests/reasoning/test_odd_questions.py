"""Whatever is typed or pasted is read as a question of some kind, and nothing of it is too much."""

from __future__ import annotations

import random

import pytest

from reasoning.understand.grammar import parse_question
from reasoning.understand.reading import WORDS_READ
from reasoning.understand.talk import small_talk
from tests.fixtures.extracting import NOW

ALPHABET = (
    "abc what when \"'“”‘’«»()[]{}:;,.?!0123456789 日本語 ñ é \u200f\u202e 😀 yesterday at 14:30 or before the last "
)
PIECES = (
    "what ",
    "yesterday at 14:30 ",
    '"',
    "\"'“",
    "the last ",
    "in the ",
    "before ",
    "or ",
    "who said that ",
    "1:2:3:",
)


def odd(seed: int) -> str:
    r = random.Random(seed)
    length = r.choice((1, 3, 10, 100, 1000, 10_000))
    match seed % 3:
        case 0:
            return "".join(chr(r.randrange(32, 0x2FFF)) for _ in range(length))
        case 1:
            return "".join(r.choice(PIECES) for _ in range(1 + length // 6))[:length]
        case _:
            return "".join(r.choice(ALPHABET) for _ in range(length))


@pytest.mark.parametrize("seeds", [range(first, first + 100) for first in range(0, 1200, 100)])
def test_odd_strings_are_questions_of_some_kind(seeds: range) -> None:
    for seed in seeds:
        text = odd(seed)
        frame = parse_question(text, NOW)
        small_talk(text)
        assert len(frame.terms) <= WORDS_READ
        assert frame.reduce and frame.query is not None and frame.subject is not None


@pytest.mark.parametrize(
    "text", ["", "?", "halfway", "initially through", "in the last", "at the very", "between", "from 2 to", "since the"]
)
def test_what_breaks_off_in_the_middle_of_a_time_is_read(text: str) -> None:
    assert parse_question(text, NOW).reduce


@pytest.mark.parametrize(
    "text",
    [
        "{}", "{}th", "how many of the {} keys are red", "the {}th red car", "man-{}", "in the last {} minutes",
        "at {}:30", "between {} and {}", "{} minutes ago", "{}.5 seconds after the bell", "on {} May {}",
        "from 0:{} to {}:00", "{}%",
    ],
)  # fmt: skip
@pytest.mark.parametrize("digits", [25, 400, 5000])
def test_numbers_of_hundreds_of_digits_are_none(text: str, digits: int) -> None:
    assert parse_question(text.replace("{}", "9" * digits), NOW).reduce
