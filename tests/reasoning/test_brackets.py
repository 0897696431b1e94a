"""Brackets: each of one observation and of no other, in moments or in numbers, and what a model writes for them."""

from __future__ import annotations

import pytest

from reasoning.backends.brackets import Brackets
from tests.fixtures.listed_memory import frame, said, written

GREETING, PICTURE, SIGN, LATER = (
    said(18.2, 20.0, "good morning"),
    frame(18.2, "grey"),
    written(18.9, "KEEP OUT"),
    frame(25.0),
)


def test_of_several_in_one_second_none_has_the_bracket_of_another() -> None:
    brackets = Brackets()
    brackets.add((PICTURE, GREETING, SIGN, LATER))
    assert [brackets.of(o) for o in (PICTURE, GREETING, SIGN, LATER)] == ["0:18.2", "0:18.2b", "0:18.9", "0:25"]
    for o in (PICTURE, GREETING, SIGN):
        claim = brackets.claim(f"So it is [{brackets.of(o)}].")
        assert (claim.text, claim.cites) == ("So it is [0:18].", (o,))


def test_a_second_alone_means_what_the_sentence_shares_words_with() -> None:
    brackets = Brackets()
    brackets.add((PICTURE, GREETING, SIGN))
    assert brackets.claim('A sign says "keep out" [0:18].').cites == (SIGN,)
    assert brackets.claim("Somebody wished a good morning (0:18).").cites == (GREETING,)


def test_what_comes_to_light_later_gets_a_bracket_of_its_own() -> None:
    brackets = Brackets()
    assert [brackets.of(PICTURE), brackets.of(SIGN)] == ["0:18", "0:18.9"]
    assert brackets.of(PICTURE) == "0:18"


@pytest.mark.parametrize(
    ("written_as", "cites"),
    [
        ("[2]", (SIGN,)),
        ("[1, 2]", (GREETING, SIGN)),
        ("[1][2]", (GREETING, SIGN)),
        ("【2】", (SIGN,)),
        ("[line 2]", (SIGN,)),
        ("[7]", ()),
        ("[2 (0:18)]", (SIGN,)),
        ("[2] (0:18)", (SIGN,)),
        ("[0:18]", (GREETING,)),
    ],
)
def test_numbers_are_resolved_to_moments(written_as: str, cites: tuple[object, ...]) -> None:
    brackets = Brackets(numbered=True)
    brackets.add((GREETING, SIGN))
    claim = brackets.claim(f"Good morning {written_as}.")
    assert claim.cites == cites
    assert claim.text == f"Good morning {'[0:18]' if cites else ''}.".replace(" .", " .")


def test_what_was_never_shown_is_left_for_the_check_to_strike() -> None:
    brackets = Brackets()
    brackets.add((GREETING,))
    claim = brackets.claim("It burned down [0:44].")
    assert (claim.text, claim.cites) == ("It burned down [0:44].", ())
