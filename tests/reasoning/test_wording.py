"""Questions as people type them: contractions, terse and polite forms, slips, small talk, other languages."""

from __future__ import annotations

import pytest

from reasoning.understand.alternatives import precedence
from reasoning.understand.languages import ANOTHER, foreign_language
from reasoning.understand.questions import parse_question
from reasoning.understand.small_talk import small_talk
from reasoning.understand.wording import mend_slips, plain_wording


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("waht happened at the end?", "what happened at the end?"),
        ("wat does teh sign say", "what does the sign say"),
        ("hwo many poeple are there?", "how many people are there?"),
        ("hwo is that?", "who is that?"),
        ("In wich city is it?", "In which city is it?"),
        ("Sumarise the clip", "Summarise the clip"),
        ("what was there at the begining", "what was there at the beginning"),
        ("what did he say abuot it", "what did he say about it"),
        ("was there movment befor noon", "was there movement before noon"),
    ],
)
def test_misspelt_words_of_the_frame_are_mended(typed: str, meant: str) -> None:
    assert mend_slips(typed) == meant


@pytest.mark.parametrize(
    "text",
    [
        "whos there?", "What is written on the hat?", "Who wrote the form?",
        "When does Wen arrive?", "What did Sadi say?",
        "Is there a parson on the screen?", "What are you waiting for?",
        'What does "teh" mean?', "Does she sing?", "Who are the three men?",
        "What is the colour of the shoe?", "What is the color of the shoe?",
    ],
)  # fmt: skip
def test_names_things_and_quotations_are_left_as_they_are_spelt(text: str) -> None:
    assert mend_slips(text) == text


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("whats going on?", "what is going on?"),
        ("what's happened?", "what has happened?"),
        ("Can you tell me when the door opened?", "when the door opened?"),
        ("could you please tell me what he said?", "what he said?"),
        ("tell me about the woman", "what is there about the woman"),
        ("any cars?", "is there any cars?"),
        ("anything about London?", "is there any mention of London?"),
        ("what is the time, please?", "what is the time?"),
        ("Does he tell me the truth?", "Does he tell me the truth?"),
        ("when did u last see ur bag", "when did you last see your bag"),
        ("what r they saying abt it thx", "what are they saying about it"),
        ("The U.S. flag?", "The U.S. flag?"),
        ("Which letter is U?", "Which letter is U?"),
        ("what was he called before", "what was he called before"),
        ("isnt there a cat", "is there a cat"),
        ("didnt he leave?", "did he leave?"),
        ("what hes holding", "what he is holding"),
        ("tell me everything", "what happened"),
        ("did the scene change a lot?", "did the scene change?"),
        ("Was it a parking lot?", "Was it a parking lot?"),
        ("at what point does it start", "when does it start"),
        ("what's the last thing that happened", "what happened last"),
        ("whered any1 go b4 that", "where did anyone go before that"),
        ("what did he say 5 seconds in?", "what did he say at 5 seconds?"),
        ("whats the movie called", "what is the title of the movie"),
        ("is there a button called submit", 'is there a button called "submit"'),
        ("what is on screen now?", "what is on screen now?"),
    ],
)
def test_how_one_asks_to_be_told_is_no_part_of_what_is_asked(typed: str, plain: str) -> None:
    assert plain_wording(typed) == plain


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("What is happening now?", "now"),
        ("whats going on right now", "now"),
        ("what's going on?", "summary"),
        ("What has happened up to now?", "summary"),
        ("did anything happen around 0:20?", "summary"),
        ("anything interesting?", "summary"),
        ("tl;dr", "summary"),
        ("Did anything fall?", "presence"),
        ("did the umbrella come before the bread?", "order"),
        ("Did he say anything before the bread?", "presence"),
    ],
)
def test_terse_questions_keep_their_kind(text: str, kind: str) -> None:
    assert parse_question(text, 60.0).kind == kind


def test_what_came_before_what_is_asked_of_two_things() -> None:
    assert precedence("Did the red car come before the bus?") == ("red car", "before", "bus")
    assert precedence("Was London mentioned before or after Europe?") == ("London", "", "Europe")
    assert precedence("Was London mentioned before 0:30?") is None


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("hello", "Hello."),
        ("ok, thanks!", "You are welcome."),
        ("cool", "All right."),
        ("what can you do?", "I am Mindstream"),
        ("...", "I did not catch a question"),
        ("🙂", "I did not catch a question"),
        ("no", "Then tell me what is right"),
    ],
)
def test_small_talk_is_answered_as_such(said: str, reply: str) -> None:
    found = small_talk(said)
    assert found is not None and found.text.startswith(reply) and not found.abstained


@pytest.mark.parametrize(
    "text",
    ["no, that was Anna", "What do you see?", "hello world is printed where?", "Is it good?", "Is the sign right?"],
)
def test_questions_and_corrections_are_no_small_talk(text: str) -> None:
    assert small_talk(text) is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Was steht auf dem Schild?", "German"),
        ("Wer spricht?", "German"),
        ("hast du jemanden gesehen", "German"),
        ("Was passiert?", "German"),
        ("Was the man in the car?", ""),
        ("Was Die Hard shown?", ""),
        ("Combien de personnes y a-t-il ?", "French"),
        ("¿Qué dice el letrero?", "Spanish"),
        ("Cosa dice il cartello?", "Italian"),
        ("这个牌子上写着什么？", ANOTHER),
        ("Where does De Niro sit?", ""),
        ("De Niro?", ""),
        ("What does 'el perro' mean?", ""),
        ("comment on the screenshot", ""),
        ("cars?", ""),
        ("iron man action figures", ""),
    ],
)
def test_the_language_of_a_question(text: str, language: str) -> None:
    assert foreign_language(text) == language
