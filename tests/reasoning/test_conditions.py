"""Conditions of standing queries: what is understood of them, and that what cannot be is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from reasoning.standing.commands import StandingCommand, parse_command
from reasoning.standing.conditions import account, parse_condition
from reasoning.standing.gate import Gate, GateOptions
from runtime.messages import ObjectFacts, StandingRequest
from tests.fixtures.listed_memory import appears, said, written
from tests.fixtures.standing_world import Stores, standing

EMPTY = (
    "",
    "  ",
    "?",
    "...",
    "when",
    "whenever",
    "tell me when",
    "let me know if",
    '""',
    "“ ”",
    "😀",
    "tell me when .",
)
NO_THING = ("x", "the", "a of the", "it", "it happens", "this or that", "everything", "tell me when x", "whenever it")
NO_WORD = ("somebody says", "when I hear ''", 'someone says " "', "somebody says the", "I hear", "someone says x")
NO_CONDITION = ("what is the time?", "tell me about the door", "remind me to buy milk")
PAST = ("the door opened", "tell me when he said Texas")
CLOCK = ("it is 5 pm", "at 12:30", "tomorrow", "in 5 minutes")
OPPOSITE = ("a person appears and leaves", "it gets dark and bright", "the lights go on and off")
ABSENT = ("the music stops", "nobody speaks", "it does not rain")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("conditions", "says"),
    [
        (EMPTY, "Say what to wait for"),
        (NO_CONDITION, "Say what to wait for"),
        (NO_THING, "that I could see, hear or read"),
        (NO_WORD, "Which word is to be said?"),
        (PAST, "told as past"),
        (CLOCK, "not for a time"),
        (OPPOSITE, "two opposite things"),
        (ABSENT, "not what ends or stays away"),
        (("a person " * 50,), "too long"),
    ],
)
async def test_what_cannot_be_waited_for_is_refused_in_one_line_with_an_example(
    tmp_path: Path, conditions: tuple[str, ...], says: str
) -> None:
    watch, _ = standing(Stores(), tmp_path)
    for text in conditions:
        reply = await watch.serve(StandingRequest(action="add", text=text))
        assert not reply.done and reply.queries == (), text
        assert says in reply.said and "\n" not in reply.said, (text, reply.said)
        assert '"a person appears"' in reply.said or '"somebody says Texas"' in reply.said, text


@pytest.mark.anyio
async def test_said_in_a_conversation_it_is_refused_as_well(tmp_path: Path) -> None:
    watch, _ = standing(Stores(), tmp_path)
    for text in ("let me know when", "tell me when it happens", "wait for it", 'tell me when somebody says ""'):
        said = await watch.order(text, "main")
        assert said is not None and said.abstained, text
    assert (await watch.serve(StandingRequest())).queries == ()
    # What it was about may be what was said before: a question.
    assert parse_command("tell me when") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("somebody says “Texas”", ("texas",)),
        ("he says ‘porcupine’", ("porcupine",)),
        ("she says „Hallo“", ("hallo",)),
        ('when he says "porcupine', ("porcupine",)),
        ("somebody says 42", ("42",)),
        ("somebody says it was late", ("late",)),
        ("somebody says dark and light", ("dark", "light")),
        ("'the' is said", ("the",)),
        ("门开了", ("门开了",)),
    ],
)
def test_words_to_watch_for_are_found_in_odd_quotes_or_none(text: str, words: tuple[str, ...]) -> None:
    assert parse_condition(text).words == words


SPOKEN = said(4.0, 6.0, "in taxes and wolves")
SPOKEN_OF = said(30.0, 33.0, "a wolf came to Texas")
SUBTITLE = written(60.0, "THE WOLVES OF TEXAS")


@pytest.mark.parametrize(
    ("text", "signs"),
    [
        ("Texas is mentioned", ("said", "read")),
        ("there is any mention of Texas", ("said", "read")),
        ("the name Texas comes up", ("said", "read")),
        ("the video mentions Texas", ("said", "read")),
        ("you see or hear the word Texas", ("said", "read")),
        ("somebody mentions Texas", ("said",)),
        ("Texas is mentioned by somebody", ("said",)),
        ("somebody speaks of Texas", ("said",)),
        ("the teacher says Texas", ("said",)),
        ("the caption mentions Texas", ("read",)),
        ("Texas appears in the captions", ("read",)),
        ("Texas is mentioned on screen", ("read",)),
    ],
)
def test_what_is_mentioned_may_be_heard_or_read_and_what_is_said_is_heard(text: str, signs: tuple[str, ...]) -> None:
    condition = parse_condition(text)
    assert (condition.signs, condition.words) == (signs, ("texas",))
    gate = Gate(GateOptions(cool_down_s=0.0))
    gate.watch({"q1": condition})
    told = [candidate.said for o in (SPOKEN, SPOKEN_OF, SUBTITLE) for candidate in gate.step(o)]
    by = {"said": 'I heard "a wolf came to Texas" [0:30]', "read": 'I read "THE WOLVES OF TEXAS" [1:00]'}
    assert told == [by[sign] for sign in signs]


@pytest.mark.parametrize(
    ("waited", "is_told"),
    [("wolves", True), ("wolf", True), ("coming", True), ("come", True), ("works", False), ("text", False)],
)
def test_a_word_is_told_in_any_form_of_it(waited: str, is_told: bool) -> None:
    gate = Gate(GateOptions())
    gate.watch({"q1": parse_condition(f"somebody speaks of {waited}")})
    assert bool(gate.step(SPOKEN_OF)) is is_told


def test_a_sound_that_is_to_be_heard_is_no_word_to_be_said() -> None:
    assert parse_condition("I hear a bang").sounds == ("impulse",)
    assert parse_condition("you hear the doorbell").signs == ("thing", "said", "read")
    assert parse_condition("you hear the word doorbell").signs == ("said",)


def test_an_apostrophe_is_no_quotation_mark() -> None:
    assert parse_condition("it's raining and there's thunder").sounds == ("steady noise",)
    assert "hid" not in parse_condition("the dog's barking and the cat's here").words


def test_a_colour_alone_is_of_something_that_moves() -> None:
    condition = parse_condition("something red")
    assert (condition.signs, condition.colours) == (("moving",), ("red",))
    assert parse_condition("a red thing appears").signs == ("moving",)


def test_the_side_somebody_comes_or_goes_at_counts() -> None:
    condition = parse_condition("a person in a red top enters from the left")
    assert (condition.signs, condition.sides, condition.colours) == (("person",), ("left",), ("red",))
    assert account(condition, {}, every=True).endswith("a person in red come into view at the left.")
    gate = Gate(GateOptions(cool_down_s=0.0))
    gate.watch({"q1": condition})
    came = [
        appears(float(k), "person", "a person", track=k, side=side, colours={"top": "red", "bottom": "black"})
        for k, side in enumerate(("right", "left", "top left", "centre"))
    ]
    assert [o.facts(ObjectFacts).side for o in came if gate.step(o)] == ["left", "top left"]


@pytest.mark.parametrize("text", ["tell me when Fred arrives", "tell me when two armed men are there"])
def test_a_name_or_an_adjective_that_ends_like_a_past_is_none(text: str) -> None:
    assert parse_command(text) == StandingCommand("add", condition=text.removeprefix("tell me when "))


def test_that_a_place_is_empty_waits_for_no_word_at_all() -> None:
    assert parse_condition("the room is empty").words == ("room", "empty")
