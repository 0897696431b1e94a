"""Time expressions become windows of media time, anchors or picks, and leave the rest of the question."""

from __future__ import annotations

import pytest

from reasoning.understand.time_words import Anchor, length_s, parse_time_words

AS_OF_S = 200.0


@pytest.mark.parametrize(
    ("question", "t0_s", "t1_s", "rest"),
    [
        ("What was said in the first ten seconds?", 0.0, 10.0, "What was said?"),
        ("Summarise the first minute", 0.0, 60.0, "Summarise"),
        ("What was shown in the last half minute?", 170.0, 200.0, "What was shown?"),
        ("How many bottles stand on the table at the start?", 0.0, 24.0, "How many bottles stand on the table?"),
        ("What happened at the end of the film?", 176.0, 200.0, "What happened?"),
        ("Where does she walk near the end?", 140.0, 200.0, "Where does she walk?"),
        ("What was said in the middle?", 80.0, 120.0, "What was said?"),
        ("What was read in the second half?", 100.0, 200.0, "What was read?"),
        ("What happened two minutes ago?", 62.0, 98.0, "What happened?"),
        ("A minute and a half ago, who spoke?", 96.5, 123.5, "who spoke?"),
        ("What was that just now?", 192.0, 200.0, "What was that?"),
        ("What was just said?", None, 200.0, "What was said?"),
        ("Who just came in?", None, 200.0, "Who came in?"),
        ("What just happened?", 170.0, 200.0, "What happened?"),
        ("At 1:17 what is heard?", 75.0, 79.0, "what is heard?"),
        ("Who enters at about 42 seconds?", 39.0, 45.0, "Who enters?"),
        ("What happens around 40 seconds?", 37.0, 43.0, "What happens?"),
        ("What is written at second 12?", 10.0, 14.0, "What is written?"),
        ("What is shown between 10 and 20 s?", 10.0, 20.0, "What is shown?"),
        ("What happened from 0:10 to 0:20?", 10.0, 20.0, "What happened?"),
        ("What was said in seconds 10-20?", 10.0, 20.0, "What was said?"),
        ("How many people came after 0:30?", 30.0, None, "How many people came?"),
        ("What happened just before 0:30?", 15.0, 30.0, "What happened?"),
        ("What was said right after 0:30?", 30.0, 45.0, "What was said?"),
        ("How many people came before 1 min 30 s?", None, 90.0, "How many people came?"),
    ],
)
def test_an_expression_becomes_a_window(question: str, t0_s: float, t1_s: float, rest: str) -> None:
    found = parse_time_words(question, AS_OF_S)
    assert (found.t0_s, found.t1_s, found.rest) == (t0_s, t1_s, rest)


@pytest.mark.parametrize(
    "question",
    [
        "What stands at the edge of the lawn?",
        "When are two bottles taken away at the same time?",
        "How many cars are in two groups?",
        "What colour is the close-up?",
        "Where does the man sit on the second chair?",
        "Is there just one person?",
    ],
)
def test_other_words_are_no_window(question: str) -> None:
    assert not parse_time_words(question, AS_OF_S).bounded


@pytest.mark.parametrize(
    ("question", "anchor", "rest"),
    [
        ("What happened after the car?", Anchor("after", "the car"), "What happened?"),
        ("What did she say before the door opened?", Anchor("before", "the door opened"), "What did she say?"),
        ("Before the car came, what was said?", Anchor("before", "the car came"), "what was said?"),
        ("What was shown while she was singing?", Anchor("during", "she was singing"), "What was shown?"),
    ],
)
def test_an_event_anchors_the_window(question: str, anchor: Anchor, rest: str) -> None:
    found = parse_time_words(question, AS_OF_S)
    assert (found.anchor, found.rest, found.bounded) == (anchor, rest, False)


def test_an_order_question_keeps_its_alternatives_beside_the_anchor() -> None:
    found = parse_time_words("Which comes first after the white car: a pedestrian or a cyclist?", AS_OF_S)
    assert found.anchor == Anchor("after", "the white car")
    assert found.pick == "first"
    assert "a pedestrian or a cyclist" in found.rest


@pytest.mark.parametrize("phrase", ["now", "right now", "currently", "at the moment"])
def test_now_is_the_moment_of_asking(phrase: str) -> None:
    found = parse_time_words(f"Who is speaking {phrase}?", AS_OF_S)
    assert found.now
    assert found.rest == "Who is speaking?"


def test_first_and_last_pick_one_of_several() -> None:
    assert parse_time_words("What was on the last card?", AS_OF_S).pick == "last"
    assert parse_time_words("What was the first thing said?", AS_OF_S).pick == "first"


def test_a_window_never_leaves_what_was_seen() -> None:
    assert parse_time_words("What happened at 0:50?", as_of_s=20.0).t0_s == 20.0
    assert parse_time_words("What happened two minutes ago?", as_of_s=30.0).t0_s == 0.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1:17", 77.0), ("1:02:03", 3723.0), ("two minutes", 120.0), ("a minute and a half", 90.0), ("second 40", 40.0),
     ("twenty-five s", 25.0), ("1 min 20 s", 80.0), ("the car", None)],
)  # fmt: skip
def test_length_in_seconds(text: str, seconds: float | None) -> None:
    assert length_s(text) == seconds
