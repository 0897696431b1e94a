"""Follow-ups: which questions lean on the one before, and what they ask in full."""

from __future__ import annotations

import pytest

from reasoning.conversation import PastTurn
from reasoning.understand.follow_up import InFull, Recalled, Unclear, resolve
from runtime.messages import Channel, Citation


def asked(question: str, channel: Channel = "object", t0_s: float = 28.0, t1_s: float = 28.5) -> PastTurn:
    cited = Citation(source="clip", t0_s=t0_s, t1_s=t1_s, channel=channel, text="", id=f"clip/{channel}/1")
    return PastTurn(question, question, "An answer.", cites=(cited,))


CAR = asked("When does the white car appear?")
TRAINS = asked("What does she say about trains?", "speech", 42.3, 45.0)
CROWD = asked("How many people are in the picture?")
PERSON = asked("When does the person in the red top appear?")


@pytest.mark.parametrize(
    ("text", "last", "full"),
    [
        ("what about the red one?", CAR, "When does the red car appear?"),
        ("What about the bus?", CAR, "When does the bus appear?"),
        ("and the cyclist?", CAR, "When does the cyclist appear?"),
        ("and in the last minute?", CAR, "When does the white car appear in the last minute?"),
        ("What colour was it?", CAR, "What colour was the white car?"),
        ("and where was it?", CAR, "Where was the white car?"),
        ("who was it?", CAR, "Who appears at 0:28?"),
        ("And before that?", CAR, "What happened just before 0:28?"),
        ("And then?", CAR, "What happened just after 0:28?"),
        ("what about Texas?", TRAINS, "What does she say about Texas?"),
        ("and about buses?", TRAINS, "What does she say about buses?"),
        ("and before that?", TRAINS, "What was the last thing said before 0:42?"),
        ("What did she say after that?", TRAINS, "What did she say after 0:45?"),
        ("who said that?", TRAINS, "Who spoke at 0:42?"),
        ("what else?", TRAINS, "What does she say about trains after 0:45?"),
        ("Where are they?", CROWD, "Where are the people?"),
        ("and cars?", CROWD, "How many cars are in the picture?"),
        ("which way did he go?", PERSON, "Which way did the person in red go?"),
        ("how about now?", CROWD, "How many people are in the picture now?"),
    ],
)
def test_a_follow_up_in_full(text: str, last: PastTurn, full: str) -> None:
    found = resolve(text, last, 80.0)
    assert isinstance(found, InFull)
    assert found.text == full


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("when does it come out?", "who made it?"),
        ("Is it a trailer?", "Is it animated?"),
        ("What was the last thing that moved?", "When does the white car appear?"),
        ("Was it still?", "did anything leave?"),
        ("When does it start?", "What colour is the sky?"),
    ],
)
def test_a_verb_or_an_adjective_is_no_thing_to_lean_on(text: str, before: str) -> None:
    assert resolve(text, asked(before), 80.0) is None


def test_before_and_after_mean_the_moment_that_was_cited() -> None:
    before, after = resolve("and before that?", TRAINS, 80.0), resolve("and after?", TRAINS, 80.0)
    assert isinstance(before, InFull)
    assert isinstance(after, InFull)
    assert (before.t0_s, before.t1_s, before.pick, before.source) == (None, pytest.approx(42.299), "last", "clip")
    assert (after.t0_s, after.t1_s, after.pick) == (pytest.approx(45.001), None, "first")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("when?", "when"),
        ("And when was that?", "when"),
        ("when did she say that?", "when"),
        ("how do you know?", "evidence"),
        ("Are you sure?", "evidence"),
        ("where did you see that?", "evidence"),
        ("what did you say?", "answer"),
        ("Say that again", "answer"),
    ],
)
def test_questions_about_the_last_answer(text: str, what: str) -> None:
    assert resolve(text, TRAINS, 80.0) == Recalled(what)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "When does the white car appear?",
        "Is it raining?",
        "What is this video about?",
        "And how many people come in?",
        "What is the title?",
        "Does she mention planes?",
        "What happens after the man sits down?",
        "Who is in the picture now?",
    ],
)
def test_a_question_that_stands_alone_is_left_as_it_is(text: str) -> None:
    assert resolve(text, CAR, 80.0) is None


def test_a_follow_up_to_nothing_says_what_is_unclear() -> None:
    assert resolve("And before that?", None, 80.0) == Unclear("before that")
    assert resolve("what about the red one?", None, 80.0) == Unclear("what about the red one")
    assert resolve("What does she say about trains?", None, 80.0) is None


def test_they_are_people_or_several_things_else_whoever_is_meant() -> None:
    language = asked("When did somebody speak of the language?", "speech")
    assert resolve("What did they say?", language, 80.0) is None
    assert resolve("What did they say?", CAR, 80.0) is None


def test_he_is_the_person_just_told_of_from_then_on() -> None:
    found = resolve("where did she go?", PERSON, 80.0)
    assert isinstance(found, InFull)
    assert (found.t0_s, found.t1_s, found.pick) == (26.5, None, "first")
    assert resolve("What did she say?", PERSON, 80.0) is None
    assert resolve("Where did he go?", CAR, 80.0) is None


def test_a_step_goes_on_from_the_newest_moment_there_is() -> None:
    nothing = PastTurn("Is there a dog?", "Is there a dog?", "No.", abstained=True)
    assert isinstance(resolve("and then?", nothing, 80.0), Unclear)
    found = resolve("and then?", nothing, 80.0, cited=CAR)
    assert isinstance(found, InFull) and found.text == "What happened just after 0:28?"


def test_going_on_and_on_leaves_earlier_times_behind() -> None:
    last = asked("What happened just after 0:10?", "object", 22.0, 23.0)
    found = resolve("what else?", last, 80.0)
    assert isinstance(found, InFull) and found.text == "What happened after 0:23?"
    found = resolve("who else is there?", last, 80.0)
    assert isinstance(found, InFull) and found.text == "Who is there after 0:23?"


def test_what_was_asked_before_is_recalled_from_the_conversation() -> None:
    assert resolve("What did I ask before?", CAR, 80.0) == Recalled("question")
    assert resolve("what did you say before?", CAR, 80.0) == Recalled("answer")
