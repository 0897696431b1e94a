"""How the clips benchmark judges answers and citations, on cases made by hand."""

from __future__ import annotations

import pytest

from benchmarks.clips import Question, pair, tally
from benchmarks.clips import Row as ClipRow
from benchmarks.clips_scoring import denies, distance_s, matches, names_first, options, score, times_s, words


def test_words_drop_case_punctuation_articles_accents_and_plurals_and_spell_numbers_as_digits() -> None:
    assert words("The THREE naïve cats and a glass, twice!") == ["3", "naive", "cat", "glass", "2"]


@pytest.mark.parametrize(
    ("answer", "alternatives"),
    [
        ("I read “THE PEACH OPEN MOVIE PROJECT PRESENTS” [0:20].", ["Peach open movie project"]),
        ("It said: www.marxists.org", ["marxists.org"]),
        ("I counted two people [0:12].", ["2"]),
        ("Twice, it seems.", ["2", "two"]),
        ("На футболке: КОМАНДА СКАЛОДРОМА", ["команда скалодрома"]),
        ("The clock said 10:45.", ["10:45"]),
        ("One of the largest clean rooms in the world.", ["cleanroom", "clean room"]),
        ("I read “Send”, “Flag” and “Clear history”.", ["Send, Flag, Clear history"]),
    ],
)
def test_an_alternative_matches_as_whole_neighbouring_words(answer: str, alternatives: list[str]) -> None:
    assert matches(answer, alternatives)


@pytest.mark.parametrize(
    ("answer", "alternatives"),
    [
        ("It was rendered in grey.", ["red"]),
        ("project of the peach movie, open", ["Peach open movie project"]),
        ("People were seen [0:02], [2:01].", ["2"]),
        ("Somebody entered at 0:02 and left after 2 seconds.", ["2", "two"]),
        ("", ["a bird"]),
    ],
)
def test_parts_of_words_other_orders_and_stated_times_do_not_match(answer: str, alternatives: list[str]) -> None:
    assert not matches(answer, alternatives)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("at 0:42", [42.0]),
        ("It appears [1:02:03].", [3723.0]),
        ("12.5 s", [12.5]),
        ("about sixteen seconds in", [16.0]),
        ("1 minute 17 seconds", [77.0]),
        ("2 minutes", [120.0]),
        ("from 8 to 12 seconds", [8.0, 12.0]),
        ("0:08-0:12", [8.0, 12.0]),
        ("three people at 3 tables", []),
        ("version 1.2.3, 14 stones", []),
    ],
)
def test_times_are_read_in_every_usual_form(text: str, found: list[float]) -> None:
    assert times_s(text) == found


def test_distance_is_zero_inside_and_infinite_without_evidence() -> None:
    assert distance_s([5.0, 6.0], [[0.0, 1.0], [5.5, 9.0]]) == 0.0
    assert distance_s([3.0], [[0.0, 1.0], [5.5, 9.0]]) == 2.0
    assert distance_s([3.0], []) == float("inf")


def test_options_of_a_question_are_found_after_a_colon_or_comma() -> None:
    assert options("Which comes first, the deer or the leaf?") == [["deer"], ["leaf"]]
    assert options("Which comes first after the car: a walker or a cyclist?") == [["walker"], ["cyclist"]]
    assert options("Which bottle is put back last?") == []


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("The leaf [0:01]; the deer came later [0:08].", True),
        ("The leaf came before the deer.", True),
        ("The deer came before the leaf.", False),
        ("Something else.", False),
    ],
)
def test_order_is_right_only_if_the_right_option_is_named_first(answer: str, right: bool) -> None:
    assert names_first("Which comes first, the deer or the leaf?", answer, ["the leaf"]) is right


def test_order_tells_options_apart_by_the_words_they_do_not_share() -> None:
    question = "Who enters first: the person in the blue jacket or the person in the red top?"
    alternatives = ["the person in the red top", "red"]
    assert names_first(question, "A person in red [0:42], then one in blue.", alternatives)
    assert not names_first(question, "The one in the blue jacket, then the one in red.", alternatives)


@pytest.mark.parametrize(
    "answer",
    [
        "No.",
        "A dog does not appear.",
        "Here no one is heard.",
        "I did not see or hear that.",
        "Nobody was heard.",
        "There is no sound.",
        "I never heard anyone speak.",
    ],
)
def test_denials(answer: str) -> None:
    assert denies(answer, ["no", "never", "there is no sound"])


@pytest.mark.parametrize(
    "answer", ["Yes [0:03].", "I read “NO PARKING” [0:03].", 'He said: "I did not see it" [0:03].']
)
def test_what_is_quoted_is_no_denial(answer: str) -> None:
    assert not denies(answer, ["no", "does not appear"])


def test_when_accepts_two_seconds_around_the_evidence_and_not_more() -> None:
    def right(answer: str) -> bool:
        return score("when", "When?", [], [[10.0, 12.0]], answer, False, []).right

    assert right("At 0:08 [0:08].")
    assert right("At 14 seconds.")
    assert not right("At 0:07 [0:07].")
    assert not right("I cannot say.")


def test_abstaining_is_right_for_absent_things_alone() -> None:
    assert score("absent", "A cat?", ["no"], [], "I did not see a cat.", True, []).right
    told = score("what", "What?", ["cat"], [[0, 1]], "I did not see a cat.", True, [])
    assert not told.right
    assert not told.wrong


def test_a_confident_answer_about_what_is_absent_is_wrong() -> None:
    assert score("absent", "A cat?", ["no"], [], "A cat sits there [0:01].", False, [(1.0, 1.0)]).wrong


def test_citations_count_within_a_second_of_the_evidence_the_first_one_apart() -> None:
    def cited(*citations: tuple[float, float]) -> tuple[bool | None, bool | None]:
        found = score("what", "What?", ["x"], [[10.0, 12.0]], "x", False, citations)
        return found.first_cited, found.any_cited

    assert cited((8.0, 9.0)) == (True, True)
    assert cited((8.0, 8.9), (13.0, 20.0)) == (False, True)
    assert cited((13.1, 14.0)) == (False, False)
    assert cited() == (False, False)
    assert score("absent", "?", ["no"], [], "no", False, [(1.0, 2.0)]).first_cited is None


def test_answers_are_paired_by_their_question_and_missing_ones_stay_missing() -> None:
    twice = [Question("now?", "now", ["1"], [[1, 2]], 2.0), Question("now?", "now", ["2"], [[3, 4]], 4.0)]
    other = Question("who?", "who", ["me"], [[0, 1]], None)
    answers = [{"question": "now?", "answer": "1"}, {"question": "now?", "answer": "2"}]
    assert [answer and answer["answer"] for _, answer in pair([*twice, other], answers)] == ["1", "2", None]


def test_the_tally_counts_unanswered_questions_in_n_alone() -> None:
    question = Question("who?", "who", ["me"], [[0, 1]], None)
    right = score("who", "who?", ["me"], [[0, 1]], "It is me.", False, [(0.0, 1.0)])
    rows = [ClipRow("a", question, {}, right), ClipRow("a", question, None, None)]
    assert tally(rows) == {
        "n": 2, "right": 1, "wrong": 0, "abstained": 0, "cited": 1, "any": 1, "%right": 50, "%cited": 50,
    }  # fmt: skip
