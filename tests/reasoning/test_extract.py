"""The embedded answerer: what it says, cites and declines, on hand-made observations."""

from __future__ import annotations

import pytest

from tests.fixtures.extracting import MARK, STREET, TALK, answer, cited
from tests.fixtures.listed_memory import ListedMemory, appears, frame, observe, said, written

pytestmark = pytest.mark.anyio


async def test_a_spoken_answer_quotes_the_utterance_that_carries_the_asked_words() -> None:
    draft = await answer(ListedMemory(*TALK), "What does the narrator say about the lighthouse?")
    assert draft.text == 'I heard: "the lighthouse was built by two brothers" [0:06].'
    assert not draft.abstained


@pytest.mark.parametrize(
    ("question", "t0_s"),
    [
        ("In which languages is it printed?", 12.0),
        ("In which state does it stand?", 20.0),
        ("What question does the man ask?", 40.0),
        ("How many brothers built the lighthouse, according to the narrator?", 6.0),
        ("What was said in the first five seconds?", 1.0),
        ("What was said last?", 40.0),
        ("What is said after the lighthouse?", 12.0),
        ("What was said just now?", 40.0),
    ],
)
async def test_the_expected_type_and_the_window_choose_the_utterance(question: str, t0_s: float) -> None:
    draft = await answer(ListedMemory(*TALK), question)
    assert cited(draft)[0].t0_s == t0_s, draft.text
    assert not draft.abstained


async def test_a_misheard_word_still_finds_its_utterance() -> None:
    heard = said(5.0, 8.0, "prince metternick and the others")
    draft = await answer(ListedMemory(heard, *TALK), "What is said about Metternich?")
    assert cited(draft) == [heard]


async def test_an_utterance_that_breaks_off_is_continued_by_the_next() -> None:
    cut, rest = said(3.0, 5.0, "and this is the new"), said(5.4, 7.0, "pocket player")
    draft = await answer(ListedMemory(cut, rest), "Which product is announced?")
    assert cited(draft) == [cut, rest]
    assert "pocket player" in draft.text


CARDS = (
    written(2.0, "Copyright 2013 Maria Santos", region="bottom left"),
    written(2.0, "www.example.org", k=1, region="bottom right"),
    written(10.0, "THE RIVER FOUNDATION", "presents", height=0.08),
    written(20.0, "LONG WAY HOME", height=0.2),
    written(30.0, "ANNA BERG - TOM HALE", "with the support of many"),
)


@pytest.mark.parametrize(
    ("question", "says", "t0_s"),
    [
        ("Which web address is in the watermark?", '"www.example.org"', 2.0),
        ("What name is in the watermark?", '"Maria Santos"', 2.0),
        ("Which foundation presents the film?", "THE RIVER FOUNDATION presents", 10.0),
        ("What is the title of the film?", "LONG WAY HOME", 20.0),
        ("Which two actors are named on the last card?", '"ANNA BERG" and "TOM HALE"', 30.0),
    ],
)
async def test_a_read_answer_picks_the_value_out_of_the_writing(question: str, says: str, t0_s: float) -> None:
    draft = await answer(ListedMemory(*CARDS), question)
    assert says in draft.text
    assert cited(draft)[0].t0_s == t0_s


async def test_a_row_of_buttons_is_read_in_order() -> None:
    row = [["Send", 0.9, [0.1, 0.9, 0.1, 0.03]], ["Clear", 0.9, [0.5, 0.9, 0.1, 0.03]]]
    buttons = observe("text", 0.0, "Send / Clear", lines=row, region="bottom")
    upper = written(0.0, "Input", k=1)
    draft = await answer(ListedMemory(buttons, upper), "What are the names of the two buttons in the lower row?")
    assert draft.text == 'I read "Send" and "Clear" in one row [0:00].'


async def test_writing_asked_for_by_its_place_is_offered_without_claiming_the_place() -> None:
    sign = written(4.0, "ANNA BERG")
    draft = await answer(ListedMemory(sign), "Which name is shown beside the purple arrow?")
    assert '"ANNA BERG"' in draft.text
    assert "cannot tell" in draft.text
    assert draft.confidence < 0.5


async def test_when_a_word_was_said_is_the_time_of_the_word_inside_the_utterance() -> None:
    long = said(60.0, 72.0, "we went to many places and at last we reached lisbon in spring")
    draft = await answer(ListedMemory(long), "When is Lisbon mentioned?")
    assert MARK.findall(draft.text) == [("1", "09")]


async def test_when_writing_was_visible_is_a_range_from_the_frames_that_list_it() -> None:
    card = written(10.0, "COMING SOON")
    frames = (frame(9.0), frame(10.0, "", card), frame(11.0, "", card), frame(12.0, "", card), frame(13.0))
    draft = await answer(ListedMemory(card, *frames), "When do the words COMING SOON appear?")
    assert draft.text == '"COMING SOON" is on screen from [0:10] to [0:12].'


@pytest.mark.parametrize(
    ("question", "t0_s"),
    [
        ("When does the person in the red top enter?", 5.0),
        ("When does the man in the blue jacket appear?", 20.0),
        ("When does the picture change?", 20.0),
        ("When are two people visible?", 20.0),
        ("When does something white start moving?", 30.0),
    ],
)
async def test_when_something_was_seen(question: str, t0_s: float) -> None:
    draft = await answer(ListedMemory(*STREET), question)
    assert cited(draft)[0].t0_s == t0_s, draft.text


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("How many people are visible?", "two people"),
        ("How many people are visible in the first ten seconds?", "one person"),
        ("How often does the picture change?", "once"),
        ("How many people enter in total?", "two people"),
        ("How many bottles stand there?", "cannot count"),
    ],
)
async def test_counts(question: str, says: str) -> None:
    assert says in (await answer(ListedMemory(*STREET), question)).text.lower()


async def test_a_picture_that_never_changes_changes_zero_times() -> None:
    still = [frame(float(t)) for t in range(0, 60, 10)]
    draft = await answer(ListedMemory(*still), "How often does the picture change?")
    assert "never changes (0 times)" in draft.text
    assert not draft.abstained


async def test_order_compares_first_times() -> None:
    asked = "Who enters first: the person in the blue top or the person in the red top?"
    draft = await answer(ListedMemory(*STREET), asked)
    assert draft.text.startswith("The person in the red top comes first")


async def test_order_with_one_side_unknown_says_so_and_abstains() -> None:
    draft = await answer(ListedMemory(*STREET), "Which comes first, the person in the red top or the elephant?")
    assert draft.abstained
    assert "[0:05]" in draft.text
    assert "nothing of the elephant" in draft.text


@pytest.mark.parametrize(
    "question",
    [
        "Is a dog shown?",
        "Does a third person enter?",
        "Does somebody speak?",
        "Is there any caption with a name?",
        "Is the price mentioned?",
        "Does a person in a green coat appear?",
        "Is there music?",
    ],
)
async def test_what_is_not_there_is_denied_and_abstained(question: str) -> None:
    draft = await answer(ListedMemory(*STREET), question)
    assert draft.text.startswith("No")
    assert draft.abstained
    assert cited(draft) == []


@pytest.mark.parametrize(
    ("question", "t0_s"),
    [
        ("Does a person appear?", 5.0),
        ("Are there two people?", 20.0),
        ("Does the picture change?", 20.0),
        ("Does anything move?", 30.0),
        ("Is there a person in a blue top?", 20.0),
    ],
)
async def test_what_is_there_is_affirmed_with_its_evidence(question: str, t0_s: float) -> None:
    draft = await answer(ListedMemory(*STREET), question)
    assert draft.text.startswith("Yes")
    assert cited(draft)[0].t0_s == t0_s


async def test_a_word_on_screen_is_no_thing_that_is_shown() -> None:
    memory = ListedMemory(written(3.0, "call this phone number"))
    assert (await answer(memory, "Is a phone shown?")).abstained
    assert not (await answer(memory, "Is a phone mentioned in the captions?")).abstained


async def test_a_near_word_is_not_enough_for_a_yes() -> None:
    memory = ListedMemory(said(1.0, 3.0, "in english french and danish"))
    assert (await answer(memory, "Is Spanish named as one of the languages?")).abstained


async def test_silence_is_told_from_a_missing_track() -> None:
    silent = ListedMemory(observe("sound", 0.0, "digital silence", 30.0, kind="silence"))
    assert (
        await answer(silent, "Is any speech or other sound heard?")
    ).text == "No, I heard no speech and no other sound."
    deaf = ListedMemory(frame(1.0), missing="audio")
    assert "no sound at all" in (await answer(deaf, "Does somebody speak?")).text


async def test_colours_are_tied_to_clothes_or_refused() -> None:
    memory = ListedMemory(*STREET)
    draft = await answer(memory, "What colour is the top of the person who enters from the right?")
    assert "red" in draft.text
    assert not draft.abstained
    assert (await answer(memory, "What colour is the kettle?")).abstained


async def test_the_sky_is_looked_for_at_the_top() -> None:
    memory = ListedMemory(frame(1.0, "a pink picture", regions={"top": "pink", "bottom": "green"}))
    draft = await answer(memory, "What colour is the sky?")
    assert "pink" in draft.text
    assert "top of the picture" in draft.text


async def test_now_is_answered_from_the_freshest_frame() -> None:
    card = written(12.0, "Watermark")
    memory = ListedMemory(
        card, frame(8.0, "a bright picture"), frame(13.0, "a black picture", card), frame(14.0, "later")
    )
    draft = await answer(memory, "What is on screen now?", as_of_s=13.5)
    assert draft.text == 'Now I see a black picture; on screen "Watermark" [0:13].'


async def test_nothing_of_the_future_is_known() -> None:
    draft = await answer(ListedMemory(*TALK), "What does the narrator say about the lighthouse?", as_of_s=5.0)
    assert draft.abstained


async def test_a_summary_tells_the_window_in_order_of_time() -> None:
    draft = await answer(ListedMemory(*TALK, *CARDS, *STREET), "What happened?")
    times = [int(m) * 60 + int(s) for m, s in MARK.findall(draft.text)]
    assert times == sorted(times)
    assert 2 <= len(draft.claims) <= 4
    early = await answer(ListedMemory(*TALK, *CARDS), "Summarise the first five seconds.")
    assert max(o.t0_s for o in cited(early)) <= 5.0


async def test_who_comes_after_an_event_is_told_from_what_was_followed() -> None:
    draft = await answer(ListedMemory(*STREET), "Who appears after the person in the red top?")
    assert cited(draft)[0].t0_s == 20.0


async def test_speech_that_was_not_understood_is_told_by_its_time() -> None:
    memory = ListedMemory(said(3.0, 5.0, "good morning"), said(9.0, 11.0, ""))
    draft = await answer(memory, "What is said about the harbour?")
    assert draft.abstained
    assert "[0:09] I could not make out" in draft.text
    assert "[0:09]" in (await answer(memory, "What does the woman say?")).text


async def test_a_person_is_seen_but_not_whether_it_is_a_woman() -> None:
    draft = await answer(ListedMemory(*STREET), "Is there a woman?")
    assert not draft.text.startswith("Yes")
    assert "cannot tell men, women and children apart" in draft.text
    assert cited(draft)[0].t0_s == 5.0


async def test_voices_are_not_told_apart() -> None:
    draft = await answer(ListedMemory(*TALK), "Who speaks first, the man or the woman?")
    assert draft.abstained
    assert "cannot tell voices apart" in draft.text
    assert MARK.findall(draft.text) == [("0", "01")]


async def test_a_vehicle_is_told_as_the_moving_thing_it_was_seen_as() -> None:
    memory = ListedMemory(*STREET)
    draft = await answer(memory, "How many cars pass in total?")
    assert draft.text.startswith("One moving thing came into view, at [0:30]")
    assert "cannot tell cars from other moving things" in draft.text
    assert (await answer(memory, "Does a car pass?")).abstained


SOUNDS = (
    observe("sound", 2.0, "a short loud sound", 2.3, kind="impulse"),
    observe("sound", 8.0, "music or tones", 20.0, kind="music-like"),
    observe("sound", 20.0, "silence", 30.0, kind="silence"),
)


@pytest.mark.parametrize(
    ("question", "t0_s"),
    [
        ("When does the music start?", 8.0),
        ("When is there a loud bang?", 2.0),
        ("Is there music?", 8.0),
        ("What sound is heard at the start?", 2.0),
    ],
)
async def test_sounds_are_told_by_their_class(question: str, t0_s: float) -> None:
    assert cited(await answer(ListedMemory(*SOUNDS), question))[0].t0_s == t0_s


async def test_a_moment_singles_out_the_person_who_entered_then() -> None:
    others = (
        appears(2.0, "person", "a person in a black top", colours={"top": "black"}, side="right", track=1),
        appears(41.0, "person", "a person in a white top", colours={"top": "white"}, side="left", track=2),
        appears(42.5, "person", "a person in a yellow top", colours={"top": "yellow"}, side="right", track=3),
    )
    asked = "What colour top does the person wear who enters from the right at about 42 seconds?"
    assert "yellow" in (await answer(ListedMemory(*others), asked)).text


async def test_pictures_are_counted_once_each_though_a_fade_is_noticed_twice() -> None:
    frames = (
        frame(0.0, brightness=0.0, reason="first"),
        frame(1.0, brightness=0.3, cut=True),
        frame(6.0, brightness=0.01, cut=True),
        frame(7.6, brightness=0.15),
        frame(8.1, brightness=0.25, cut=True),
    )
    draft = await answer(ListedMemory(*frames), "How many different photographs are shown?")
    assert draft.text == "I saw two different pictures, beginning at [0:01] and [0:07]."


async def test_an_anchor_that_was_not_seen_is_said() -> None:
    draft = await answer(ListedMemory(*TALK), "What was said after the explosion?")
    assert draft.abstained
    assert "the explosion" in draft.text


async def test_weak_evidence_is_no_answer() -> None:
    asked = "What does he say about the lighthouse enforcer's daughter and her wedding?"
    draft = await answer(ListedMemory(*TALK), asked)
    assert draft.abstained
    assert draft.text.startswith("I did not see or hear enough about the lighthouse enforcer")
    # What came nearest is told as no more than that.
    assert all(claim.text.startswith("The nearest to it:") for claim in draft.claims if claim.cites)


async def test_an_empty_memory_answers_every_kind() -> None:
    for text in ("What happened?", "When does it rain?", "How many people are there?", "Is there a dog?", "Who spoke?",
                 "What is on screen now?", "What colour is the sky?", "Which comes first, day or night?"):  # fmt: skip
        draft = await answer(ListedMemory(), text)
        assert draft.abstained
        assert draft.text
