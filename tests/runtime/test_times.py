"""Times as people say them become stretches of the clock or of media time, and leave the rest of the sentence."""

from __future__ import annotations

import datetime

import pytest

from runtime.language.clock_words import Bound
from runtime.language.times import Anchor, parse_length_s, parse_times

NOW = datetime.datetime(2026, 11, 30, 15, 0).astimezone()  # a Monday


def at(day: int, hour: float, month: int = 11) -> float:
    midnight = datetime.datetime(2026, month, day).astimezone()
    return midnight.timestamp() + hour * 3600


def media(begin_s: float | None, end_s: float | None) -> tuple[Bound | None, Bound | None]:
    return (
        None if begin_s is None else Bound("media", begin_s),
        None if end_s is None else Bound("media", end_s),
    )


@pytest.mark.parametrize(
    ("text", "begin_s", "end_s", "rest"),
    [
        ("What was said in the first ten seconds?", 0.0, 10.0, "What was said?"),
        ("Summarise the first minute", 0.0, 60.0, "Summarise"),
        ("Who enters at about 42 seconds?", 39.0, 45.0, "Who enters?"),
        ("What is written at second 12?", 10.0, 14.0, "What is written?"),
        ("What is shown between 10 and 20 s?", 10.0, 20.0, "What is shown?"),
        ("How many people came before 1 min 30 s?", None, 90.0, "How many people came?"),
        ("What happened after 40 seconds?", 40.0, None, "What happened?"),
    ],
)
def test_lengths_and_seconds_are_media_time(text: str, begin_s: float | None, end_s: float | None, rest: str) -> None:
    found = parse_times(text, NOW)
    assert ((found.begin, found.end), found.rest) == (media(begin_s, end_s), rest)


@pytest.mark.parametrize(
    ("text", "kind", "begin", "end"),
    [
        ("What was shown in the last half minute?", "ago", 30.0, None),
        ("What happened two minutes ago?", "ago", 138.0, 102.0),
        ("anything in the last 10 minutes?", "ago", 600.0, None),
        ("What is on the table at the start?", "share", 0.0, 0.12),
        ("What happened at the end of the film?", "share", 0.88, 1.0),
        ("What was read in the second half?", "share", 0.5, 1.0),
        ("What was said in the middle?", "share", 0.4, 0.6),
        ("What happened from 0:10 to 0:20?", "clock", 10.0, 20.0),
        ("How many people came after 0:30?", "clock", 30.0, None),
        ("What happened just before 0:30?", "clock", 15.0, 30.0),
    ],
)
def test_what_is_meant_of_the_whole_or_of_now(text: str, kind: str, begin: float, end: float | None) -> None:
    found = parse_times(text, NOW)
    assert found.begin is not None and (found.begin.kind, found.begin.s) == (kind, begin)
    assert (None if found.end is None else found.end.s) == (None if end is None else pytest.approx(end))


@pytest.mark.parametrize(
    ("text", "begin_s", "end_s"),
    [
        ("Who came yesterday?", at(29, 0), at(29, 24)),
        ("who came this morning?", at(30, 5), at(30, 12)),
        ("did anyone come last night?", at(29, 20), at(29, 30)),
        ("what happened at 2 pm", at(30, 13.75), at(30, 14.25)),
        ("what happened at two o'clock", at(30, 13.75), at(30, 14.25)),
        ("what was said last Tuesday", at(24, 0), at(24, 24)),
        ("What was said on November 29?", at(29, 0), at(29, 24)),
        ("what was said on the 28th of November", at(28, 0), at(28, 24)),
        ("what happened on 2026-11-29 at 14:00", at(29, 14) - 90, at(29, 14) + 90),
        ("who came yesterday morning between 8 and 10 am", at(29, 8), at(29, 10)),
        ("what happened between 2 and 4 pm?", at(30, 14), at(30, 16)),
        ("what did I miss since 2 pm?", at(30, 14), None),
        ("who came at seven in the evening yesterday", at(29, 18.75), at(29, 19.25)),
        ("who was there two days ago", at(28, 0), at(28, 24)),
        ("what happened last week", at(23, 0), at(29, 24)),
    ],
)
def test_days_and_hours_are_of_the_clock_on_the_wall(text: str, begin_s: float, end_s: float | None) -> None:
    found = parse_times(text, NOW)
    assert found.begin is not None and found.begin.kind == "wall"
    assert found.begin.s == pytest.approx(begin_s)
    assert (None if found.end is None else found.end.s) == (None if end_s is None else pytest.approx(end_s))


@pytest.mark.parametrize(
    "text",
    [
        "What stands at the edge of the lawn?",
        "When are two bottles taken away at the same time?",
        "How many cars are in two groups?",
        "What colour is the close-up?",
        "Where does the man sit on the second chair?",
        "Is there just one person?",
        "What happens in May?",
        "is it 3.5 metres?",
        "What was said about the morning?",
        "When was this recorded?",
    ],
)
def test_other_words_are_no_stretch(text: str) -> None:
    found = parse_times(text, NOW)
    assert not found.bounded and found.rest == text.strip("?") + "?" * text.endswith("?")


@pytest.mark.parametrize(
    ("text", "anchor", "rest"),
    [
        ("What happened after the car?", Anchor("after", "the car"), "What happened?"),
        ("What did she say before the door opened?", Anchor("before", "the door opened"), "What did she say?"),
        ("Before the car came, what was said?", Anchor("before", "the car came"), "what was said?"),
        ("What was shown while she was singing?", Anchor("during", "she was singing"), "What was shown?"),
    ],
)
def test_an_event_anchors_the_time(text: str, anchor: Anchor, rest: str) -> None:
    found = parse_times(text, NOW)
    assert (found.anchor, found.rest, found.bounded) == (anchor, rest, False)


@pytest.mark.parametrize("phrase", ["now", "right now", "currently", "at the moment"])
def test_now_is_the_moment_of_asking(phrase: str) -> None:
    found = parse_times(f"Who is speaking {phrase}?", NOW)
    assert found.now and found.rest == "Who is speaking?"


def test_what_just_happened_was_lately() -> None:
    assert parse_times("What was just said?", NOW).lately
    assert not parse_times("Is there just one person?", NOW).lately


def test_a_time_that_no_calendar_knows_and_one_to_come_are_told_as_such() -> None:
    assert parse_times("what happened at easter?", NOW).unknown == "easter"
    assert parse_times("who comes tomorrow?", NOW).future


@pytest.mark.usefixtures("berlin")
def test_a_day_of_a_change_of_the_clock_has_its_own_length() -> None:
    monday = datetime.datetime(2026, 10, 26, 12, 0).astimezone()
    found = parse_times("what happened yesterday", monday)
    assert found.begin is not None and found.end is not None
    assert found.end.s - found.begin.s == 25 * 3600


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("two minutes", 120.0),
        ("a minute and a half", 90.0),
        ("twenty-five s", 25.0),
        ("1 min 20 s", 80.0),
        ("1h 30m", 5400.0),
        ("half an hour", 1800.0),
        ("the car", None),
        ("0 s", None),
    ],
)
def test_length_in_seconds(text: str, seconds: float | None) -> None:
    assert parse_length_s(text) == seconds
