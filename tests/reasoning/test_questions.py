"""Questions are parsed to a kind, the words that must be evidenced, and the type of answer."""

from __future__ import annotations

import pytest

from reasoning.understand.questions import noun_phrases, parse_question
from reasoning.understand.words import likeness, match, words


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("When does the train arrive?", "when"),
        ("At what time is the name said?", "when"),
        ("What does the narrator say about the harbour?", "spoken"),
        ("How is the journey described?", "spoken"),
        ("What is written on the door?", "read"),
        ("Which web address is in the watermark?", "read"),
        ("What is the baby trying to read, according to the text?", "read"),
        ("How many people are visible?", "count"),
        ("How often does the picture change?", "count"),
        ("Which comes first: the tower or the bridge?", "order"),
        ("Who speaks first, the man or the woman?", "order"),
        ("Is there a dog?", "presence"),
        ("Does somebody speak?", "presence"),
        ("What colour is the coat?", "colour"),
        ("Who wrote the letter?", "who"),
        ("Where does she go?", "where"),
        ("What is on screen now?", "now"),
        ("How many people are there right now?", "now"),
        ("What happened?", "summary"),
        ("Summarise the first minute.", "summary"),
        ("What happens at the end?", "summary"),
        ("What happens to the bird?", "what"),
        ("What animal sits on the branch?", "what"),
    ],
)
def test_kind(text: str, kind: str) -> None:
    assert parse_question(text, 60.0).kind == kind


@pytest.mark.parametrize(
    ("text", "expects", "head"),
    [
        ("Which telescope is the narrator talking about?", "", "telescope"),
        ("What kind of room is it?", "", "room"),
        ("Which web address is shown?", "web address", "address"),
        ("In which languages is it published?", "language", "languages"),
        ("In which state is it?", "state", "state"),
        ("What name is in the watermark?", "name", "name"),
        ("What is the title of the film?", "title", "title"),
        ("What question does he ask?", "question", "question"),
        ("What stands on the table?", "", ""),
        ("Which project presents the film?", "", "project"),
        ("How many trains pass?", "number", "trains"),
    ],
)
def test_what_is_asked_for(text: str, expects: str, head: str) -> None:
    question = parse_question(text, 60.0)
    assert (question.expects, question.head) == (expects, head)


def test_several_are_wanted() -> None:
    question = parse_question("Which two actors are named on the last card?", 60.0)
    assert (question.wanted, question.several, question.expects, question.time.pick) == (2, True, "name", "last")


def test_only_distinctive_words_are_evidence() -> None:
    question = parse_question("What does the young woman say about the lighthouse in the video?", 60.0)
    assert question.strong == ("lighthouse",)


def test_quoted_and_capital_words_are_to_be_found_as_they_are() -> None:
    assert parse_question("When do the words COMING SOON appear?", 60.0).phrases == ("COMING SOON",)
    assert parse_question('When is "good morning" said?', 60.0).phrases == ("good morning",)
    assert parse_question("WHO IS THERE?", 60.0).phrases == ()


def test_alternatives_of_an_order_question() -> None:
    asked = "Who enters first: the person in the blue coat or the person in the red top?"
    assert parse_question(asked, 60.0).alternatives == ("person in the blue coat", "person in the red top")
    assert parse_question("Who speaks first, the man or the woman?", 60.0).alternatives == ("man", "woman")


def test_a_now_question_keeps_its_own_kind() -> None:
    question = parse_question("How many bottles are standing now?", 60.0)
    assert (question.kind, question.inner) == ("now", "count")


def test_noun_phrases_are_told_as_the_question_writes_them() -> None:
    assert noun_phrases("Is the launch date mentioned?", ["launch", "date"]) == ["the launch date"]
    assert noun_phrases("Is Spanish named beside a dog?", ["spanish", "dog"]) == ["Spanish", "a dog"]
    assert noun_phrases("What sport is shown?", ["sport"]) == ['"sport"']


@pytest.mark.parametrize(
    ("asked", "found"),
    [("centre", "centers"), ("colour", "color"), ("languages", "language"), ("organisation", "organization"),
     ("wrote", "written"), ("seventeen", "17"), ("room", "cleanrooms"), ("people", "person"),
     ("metternich", "metternick"), ("wolf", "wolves"), ("movie", "movies"), ("try", "tried"), ("use", "using")],
)  # fmt: skip
def test_the_same_word_is_recognised(asked: str, found: str) -> None:
    assert likeness(asked, found) >= 0.7


@pytest.mark.parametrize(
    ("asked", "found"), [("london", "landing"), ("cat", "car"), ("two", "too"), ("horse", "house"), ("phone", "photo")]
)
def test_another_word_is_not(asked: str, found: str) -> None:
    assert likeness(asked, found) == 0.0


def test_compounds_are_found_apart_and_run_together() -> None:
    assert match("audiobook", words("this audio book is free")) > 0.8
    assert match("coming", ["comingsoon"], compact=True) > 0.8
    assert match("price", words("it costs five dollars")) > 0.5


def test_an_endless_word_is_told_back_in_short() -> None:
    assert noun_phrases("x" * 3000, ["x" * 3000]) == [f'"{"x" * 57}..."']
