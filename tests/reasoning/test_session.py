"""Live sources of one session are one place: asked what is, was said or comes now, all of them tell, by the clock on
the wall; a place or a camera that is named tells alone."""

from __future__ import annotations

import datetime

import anyio
import msgspec
import pytest

from reasoning.backends.brackets import Brackets
from reasoning.query.present import together
from reasoning.turn import Turns
from runtime.calls import Calls
from runtime.messages import Answer, AskRequest, LookReply, LookRequest, Message, Observation, View
from runtime.named_sources import find_scope
from runtime.sources import begin_session, parse_source, session_of
from tests.fixtures.listed_memory import ListedMemory, appears, frame, live, observe, recording, said, written
from tests.fixtures.turns import make

pytestmark = pytest.mark.anyio

BEGAN_S = datetime.datetime(2026, 11, 23, 10, 0).astimezone().timestamp()
DOOR, GARDEN, MIC = (f"{label}@2026-11-23T10:00:00" for label in ("front-door", "garden", "mic"))
BEFORE = "garden@2026-11-22T18:30:00"
RECORDS = (
    live(BEFORE, 500.0, BEGAN_S - 15.5 * 3600),
    live(GARDEN, 60.0, BEGAN_S),
    live(MIC, 60.0, BEGAN_S, "microphone"),
    live(DOOR, 60.0, BEGAN_S),
)


def of(source: str, o: Observation) -> Observation:
    return msgspec.structs.replace(o, source=source, id=o.id.replace("clip", source))


class Eye:
    def __init__(self, source: str) -> None:
        self.source = source

    async def call(self, request: Message, deadline_s: float) -> LookReply:
        assert isinstance(request, LookRequest)
        return LookReply(source=self.source, now_s=60.2, t_s=60.1, jpeg=b"\xff\xd8")


async def ask(question: str, *observations: Observation, source: str = "") -> Answer:
    memory = ListedMemory(*observations, records=RECORDS)
    async with anyio.create_task_group() as tasks:
        turns: Turns = make(tasks, memory)
        watchers: dict[str, Calls] = {f"video:{name}": Eye(name) for name in (GARDEN, DOOR)}
        turns._composer._watchers = watchers
        request = AskRequest(question=question, source=source, asked_wall_s=BEGAN_S + 60.2)
        answer = [m async for m in turns.ask(request)][-1]
        tasks.cancel_scope.cancel()
    assert isinstance(answer, Answer)
    return answer


SIGHTS = (
    of(GARDEN, frame(58.0, "a dark picture; one person", people=1)),
    of(DOOR, frame(59.0, "a bright picture; nothing moves")),
    of(BEFORE, frame(59.5, "a red picture", people=4)),
)
WORDS = (of(MIC, said(50.0, 57.0, "the parcel is behind the shed")), of(BEFORE, said(51.0, 58.0, "good night")))
CAME = (
    of(GARDEN, appears(40.0, "person", "a person enters from the left")),
    of(DOOR, appears(20.0, "person", "a person enters from the right")),
)


def test_a_session_is_told_from_the_names_of_its_sources() -> None:
    begun = begin_session(parse_source("front_door=rtsp://x/"), 1_750_000_000.0, ())
    assert session_of(begun.source) == ("front-door", begun.source.partition("@")[2])
    assert session_of("me@home.mp4") == ("", "")
    view = View(generation=1, limits={BEFORE: 5.0, "film.mp4": 9.0, GARDEN: 6.0, DOOR: 7.0}, source=DOOR, as_of_s=7.0)
    assert together(view).limits == {GARDEN: 6.0, DOOR: 7.0}
    of_file = msgspec.structs.replace(view, source="film.mp4")
    assert together(of_file) is of_file


async def test_what_is_seen_now_is_told_of_each_camera() -> None:
    answer = await ask("What do you see now?", *SIGHTS)
    assert "garden: I see one person [today 10:00:58, garden]." in answer.answer
    assert {c.source for c in answer.citations} == {GARDEN, DOOR}


@pytest.mark.parametrize("question", ["Is anybody in the garden now?", "Is there anybody in the garden camera now?"])
async def test_a_camera_that_is_named_tells_alone(question: str) -> None:
    answer = await ask(question, *SIGHTS)
    assert answer.answer == "Yes, I see one person [today 10:00:58, garden]."
    assert not answer.abstained


async def test_nobody_before_a_camera_is_said_of_that_camera() -> None:
    answer = await ask("Is anybody at the front door now?", *SIGHTS)
    assert answer.answer.startswith("No, I see nobody")
    assert answer.abstained and {c.source for c in answer.citations} == {DOOR}


async def test_what_a_microphone_heard_is_told_though_a_camera_was_opened_last() -> None:
    answer = await ask("What was just said?", *SIGHTS, *WORDS)
    assert "the parcel is behind the shed" in answer.answer
    assert "good night" not in answer.answer
    answer = await ask("Is anybody speaking now?", *SIGHTS, *WORDS)
    assert "good night" not in answer.answer and not answer.abstained


async def test_what_happened_is_in_order_of_time_over_all_sources() -> None:
    answer = await ask("Who came last?", *SIGHTS, *CAME)
    assert [(c.source, c.at) for c in answer.citations] == [(GARDEN, "today 10:00:40, garden")]


@pytest.mark.parametrize("question", ["Who came to the front door?", "Did anyone come to the front door today?"])
async def test_a_camera_is_known_by_its_label_in_any_question(question: str) -> None:
    answer = await ask(question, *SIGHTS, *CAME)
    assert [c.source for c in answer.citations] == [DOOR] and not answer.abstained


async def test_a_day_reaches_the_sessions_of_that_day() -> None:
    answer = await ask("What was said yesterday?", *SIGHTS, *WORDS)
    assert [c.at for c in answer.citations] == ["yesterday 18:30:51, garden"]
    assert "good night" in answer.answer


@pytest.mark.parametrize(
    ("question", "at"),
    [
        ("Who came at 10:00:20?", "10:00:20"),
        ("Who came 20 seconds ago?", "10:00:40"),
        ("Who came at 0:40?", "10:00:40"),
    ],
)
async def test_a_time_of_day_and_media_time_are_told_apart_by_what_was_perceived(question: str, at: str) -> None:
    answer = await ask(question, *SIGHTS, *CAME)
    assert [c.at.split()[1].rstrip(",") for c in answer.citations] == [at]


async def test_a_time_at_which_nothing_was_perceived_is_said_to_be_so() -> None:
    answer = await ask("Who came at 3 am?", *SIGHTS, *CAME)
    assert answer.abstained and "perceived nothing" in answer.answer and "10:00:00" in answer.answer


async def test_a_place_that_is_no_camera_is_said_to_be_none() -> None:
    for question in ("Who is in the cellar?", "Did anyone come to the cellar camera?"):
        answer = await ask(question, *SIGHTS, *CAME)
        assert answer.abstained and "cellar" in answer.answer and "front-door" in answer.answer, question


async def test_a_source_that_is_asked_about_is_alone() -> None:
    answer = await ask("What do you see now?", *SIGHTS, source=GARDEN)
    assert {c.source for c in answer.citations} == {GARDEN}


async def talk(*questions: str, seen: tuple[Observation, ...] = ()) -> list[Answer]:
    """The answers of one conversation."""
    memory = ListedMemory(*seen, records=RECORDS)
    answers = []
    async with anyio.create_task_group() as tasks:
        turns: Turns = make(tasks, memory)
        for question in questions:
            request = AskRequest(question=question, asked_wall_s=BEGAN_S + 60.2)
            answers += [m async for m in turns.ask(request) if isinstance(m, Answer)]
        tasks.cancel_scope.cancel()
    return answers


async def test_after_a_camera_was_talked_of_a_whole_question_is_of_all_of_them_again() -> None:
    *_, last = await talk("What happened in the garden?", "What happened in the last ten minutes?", seen=CAME)
    assert {c.source for c in last.citations} == {GARDEN, DOOR}
    assert last.answer.count("person") == 2  # each camera tells of what was before it alone
    *_, then = await talk("Who came to the garden?", "When was that?", seen=CAME)
    assert {c.source for c in then.citations} == {GARDEN}


async def test_what_a_camera_saw_is_summed_up_and_not_only_what_it_sees() -> None:
    answer = await ask("Summarise what the garden camera saw.", *SIGHTS, *CAME)
    assert "One person" in answer.answer and {c.source for c in answer.citations} == {GARDEN}
    for question in ("What was seen in the last minute?", "What has the garden camera seen today?"):
        assert not (await ask(question, *SIGHTS, *CAME)).abstained, question


AWAY = tuple(
    of(GARDEN, observe("gap", t_s, "nothing was seen for 4 s: it stopped sending", t_s + 4.0, track="video",
                       reason="it stopped sending"))
    for t_s in (0.0, 30.0, 34.0)
)  # fmt: skip


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Was the garden camera away?", "Yes. Garden was away from 10:00:30 to 10:00:38, 8.0 s in all"),
        ("When was the garden camera offline?", "Garden was away from 10:00:30 to 10:00:38"),
        ("Is the garden camera still running?", "Yes. Garden was away"),
        ("Was the front door camera away?", "No. Front-door was there all the time"),
    ],
)
async def test_whether_a_camera_was_away_is_told_from_when_nothing_came(question: str, said: str) -> None:
    answer = await ask(question, *SIGHTS, *AWAY)
    assert answer.answer.startswith(said), answer.answer
    assert not answer.abstained


async def test_what_the_recording_talked_of_does_not_hold_is_sought_in_the_others() -> None:
    records = tuple(recording(name, 60.0) for name in ("harbour_tour.mp4", "bread_course.mp4"))
    tour = msgspec.structs.replace(said(5.0, 9.0, "the lighthouse is two hundred years old"), source="harbour_tour.mp4")
    bread = msgspec.structs.replace(
        said(5.0, 9.0, "the dough rests for an hour"), source="bread_course.mp4", id="bread_course.mp4/speech/5"
    )
    memory = ListedMemory(tour, bread, records=records)
    async with anyio.create_task_group() as tasks:
        turns: Turns = make(tasks, memory)
        for question in ("How long is the harbour tour?", "What was said about the dough?"):
            answer = [m async for m in turns.ask(AskRequest(question=question))][-1]
        tasks.cancel_scope.cancel()
    assert isinstance(answer, Answer)
    assert [c.source for c in answer.citations] == ["bread_course.mp4"] and "(in bread_course.mp4)" in answer.answer


def test_a_model_may_cite_a_live_source_by_its_name_though_a_time_of_day_is_in_it() -> None:
    brackets = Brackets(named=True)
    brackets.add(of(source, frame(4.5, "a square")) for source in (GARDEN, DOOR))
    claim = brackets.claim(f"I see a square [{GARDEN} 0:04].")
    assert claim.text == "I see a square [0:04]."
    assert [o.source for o in claim.cites] == [GARDEN]


@pytest.mark.parametrize(
    ("question", "source", "rest"),
    [
        ("Summarise the telephone call", "telephone_two_speakers.wav", "Summarise"),
        ("What do they talk about in the telephone call?", "telephone_two_speakers.wav", "What do they talk about?"),
        ("What was said in the ferry recording?", "ferry_talk.mp4", "What was said?"),
    ],
)
def test_a_recording_is_known_by_a_part_of_its_name_and_what_it_is_called(
    question: str, source: str, rest: str
) -> None:
    files = [recording("telephone_two_speakers.wav", 30.0), recording("ferry_talk.mp4", 30.0)]
    named = find_scope(question, files)
    assert (named.scope.sources, named.rest) == ((source,), rest)
    assert not find_scope('Who says "two speakers of the ferry talk"?', files).scope.sources, "quoted words name none"


@pytest.mark.parametrize("question", ["What is on the poster?", "What should you do about the ferry?"])
async def test_what_names_a_recording_may_be_all_that_is_asked_about(question: str) -> None:
    sign = of("ferry_poster.png", written(0.0, "Book the ferry a day before"))
    other = of("market.mp4", written(0.0, "Fresh fish today"))
    files = (recording("ferry_poster.png", 1.0), recording("market.mp4", 1.0))
    memory = ListedMemory(sign, other, records=files, as_of_s=1.0)
    async with anyio.create_task_group() as tasks:
        turns: Turns = make(tasks, memory)
        answer = [m async for m in turns.ask(AskRequest(question=question))][-1]
        tasks.cancel_scope.cancel()
    assert isinstance(answer, Answer)
    assert not answer.abstained and [c.id for c in answer.citations] == [sign.id]
