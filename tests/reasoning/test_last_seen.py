"""Last seen: the newest sighting of a thing with its place, what was only said told as said, and honestly none."""

from __future__ import annotations

from pathlib import Path

import anyio
import msgspec
import pytest

from memory.recall.last_seen import last_seen
from memory.store.views import open_view
from reasoning.answer.draft import Draft
from reasoning.answer.extract import ExtractiveBackend
from reasoning.answer.last_seen import parse_last_seen, place_of
from reasoning.query.context import Context
from reasoning.understand.questions import parse_question
from runtime.messages import LastSeenRequest, Observation, ViewRequest
from tests.fixtures.listed_memory import ListedMemory, appears, frame, observe, said, written
from tests.fixtures.memory_cases import memory_of, say, see, stream


@pytest.mark.parametrize(
    ("question", "named", "words"),
    [
        ("Where did I leave my keys?", "your keys", ("keys",)),
        ("Where did I last see the blue bag?", "the blue bag", ("blue", "bag")),
        ("When did you last see the umbrella?", "the umbrella", ("umbrella",)),
        ("where are my glasses", "your glasses", ("glasses",)),
        ("Where was the suitcase last seen?", "the suitcase", ("suitcase",)),
        ("Where did the remote go?", "the remote", ("remote",)),
        ("When was the last time I saw my wallet?", "your wallet", ("wallet",)),
        ("Have you seen my phone?", "your phone", ("phone",)),
    ],
)
def test_questions_after_the_last_sighting(question: str, named: str, words: tuple[str, ...]) -> None:
    thing = parse_last_seen(question)
    assert thing is not None and (thing.named, thing.words) == (named, words)


@pytest.mark.parametrize(
    "question",
    ["Where is the sign?", "When does the train leave?", "What did she say last?", "Who left the room?",
     "Where did the man go after he closed the door and left the house?", "Is my bag red?"],
)  # fmt: skip
def test_other_questions_are_not(question: str) -> None:
    assert parse_last_seen(question) is None


def draft(question: str, *observations: Observation) -> Draft:
    memory = ListedMemory(*observations, as_of_s=100.0)

    async def ask() -> Draft:
        view = await memory.view(ViewRequest())
        return await ExtractiveBackend(0.35, 4).draft(parse_question(question, 100.0), Context(memory, view))

    return anyio.run(ask)


def test_the_newest_sighting_is_told_with_its_place() -> None:
    early = appears(10.0, "thing", "a blue bag", box=[0.1, 0.1, 0.1, 0.1])
    late = appears(40.0, "thing", "a blue bag", box=[0.7, 0.8, 0.2, 0.1])
    answer = draft("Where did I last see the blue bag?", early, late)
    assert answer.text == "I last saw the blue bag [0:40], at the lower right of the picture: a blue bag."
    assert [o.id for o in answer.claims[0].cites] == [late.id] and not answer.abstained


def test_what_was_only_said_is_told_as_said() -> None:
    answer = draft("Where did I leave my keys?", said(7.0, 10.0, "the keys are on the kitchen table"))
    assert answer.text == 'I did not see your keys; somebody said "the keys are on the kitchen table" [0:07].'


def test_what_was_only_read_is_told_as_read() -> None:
    answer = draft("Where did I last see the suitcase?", written(20.0, "SUITCASE HALL 4", region="top left"))
    assert answer.text == (
        'I did not see the suitcase itself, but I read "SUITCASE HALL 4" [0:20], at the top left of the picture.'
    )


def test_a_sighting_and_what_was_said_stand_side_by_side() -> None:
    answer = draft(
        "Where did I leave my umbrella?",
        frame(30.0, "a hallway with an umbrella and a chair"),
        said(50.0, 53.0, "grandmother has forgotten her umbrella"),
    )
    assert answer.text.startswith("I last saw your umbrella [0:30]") and "Somebody said" in answer.text


def test_something_like_it_is_not_taken_for_it() -> None:
    answer = draft("Where did I last see the blue bag?", frame(30.0, "a red bag on a chair"))
    assert answer.abstained
    assert answer.text == 'I saw a bag [0:30] ("a red bag on a chair"), but not the blue bag.'


def test_nothing_of_the_name_is_said_to_be_nothing() -> None:
    answer = draft("Where did I leave my wallet?", frame(30.0, "a red bag on a chair"), said(1.0, 2.0, "good morning"))
    assert answer.abstained and "your wallet" in answer.text


PERSON = appears(5.0, "person", "a person in a red top enters from the left", colours={"top": "red"})
PERSON_LEFT = observe(
    "object", 9.0, "the person in a red top leaves at the right, after 4 s", kind="person", event="leaves",
    evidence=(PERSON.id,),
)  # fmt: skip
CAR = appears(20.0, "moving", "a large grey moving thing enters from the bottom", size="large", straight=0.9, k=1)
CAR_LEFT = observe(
    "object", 26.0, "the large grey moving thing leaves at the left, after 6 s", kind="moving", event="leaves",
    size="small", evidence=(CAR.id,),
)  # fmt: skip
CYCLIST = appears(22.0, "moving", "a grey moving thing enters from the top", size="", straight=0.9, k=2)
LEAF = appears(50.0, "moving", "a large brown moving thing appears at the top", size="large", straight=0.5, k=3)


@pytest.mark.parametrize("question", ["Where did I last see the person?", "When did you last see a person in red?"])
def test_a_person_was_last_seen_leaving_or_in_the_last_picture_that_shows_them(question: str) -> None:
    answer = draft(question, PERSON, PERSON_LEFT, CAR, CAR_LEFT)
    assert answer.text == "The last person I saw: the person in a red top leaves at the right, after 4 s [0:09]."
    shown = frame(7.0, "a yard", PERSON)
    assert draft(question, PERSON, frame(6.0), shown).text == (
        "The last person I saw: a person in a red top enters from the left [0:05], still there at [0:07]."
    )


@pytest.mark.parametrize("question", ["Where did I last see the car?", "when did i last see the car"])
def test_a_car_is_told_as_what_may_have_been_one_and_nothing_smaller_is_taken_for_it(question: str) -> None:
    answer = draft(question, PERSON, PERSON_LEFT, CAR, CAR_LEFT, CYCLIST, LEAF)
    assert answer.text == (
        "The last I saw that may have been the car: the large grey moving thing leaves at the left, after 6 s [0:26]; "
        "I cannot tell a car from other moving things."
    )
    assert draft(question, CYCLIST).text.startswith("The last I saw that may have been the car: a grey moving thing")


def test_where_nothing_moved_like_a_car_none_was_seen() -> None:
    answer = draft("Where did I last see the car?", PERSON, PERSON_LEFT, LEAF)
    assert answer.abstained and answer.text.startswith("I have not seen, read or heard anything of the car.")
    said_of = draft("Where did I last see the car?", PERSON, said(1.0, 3.0, "the car is in the garage"))
    assert said_of.text == 'I did not see the car; somebody said "the car is in the garage" [0:01].'


@pytest.mark.parametrize(
    ("seen", "place"),
    [
        (appears(1.0, "thing", "a bag", box=[0.0, 0.0, 0.1, 0.1]), "at the upper left of the picture"),
        (appears(1.0, "thing", "a bag", box=[0.4, 0.4, 0.2, 0.2]), "at the middle of the picture"),
        (appears(1.0, "thing", "a bag", side="left"), "at the left of the picture"),
        (observe("text", 1.0, "a bag", region="bottom right"), "at the bottom right of the picture"),
        (observe("text", 1.0, "a bag", region="centre"), "in the middle of the picture"),
        (appears(1.0, "thing", "a bag"), ""),
    ],
)
def test_places(seen: Observation, place: str) -> None:
    assert place_of(seen) == place


def test_memory_gives_the_newest_first_with_until_when_and_what_was_around(tmp_path: Path) -> None:
    sign = say(10.0, 10.0, "KEYS", channel="text")
    frames = [msgspec.structs.replace(see(float(t), f"a desk, {t}"), evidence=(sign.id,)) for t in (10, 12, 14)]
    spoken = say(40.0, 42.0, "where are the keys")
    store = memory_of(
        tmp_path, stream(sign, *frames, see(38.0, "a dark hall"), spoken, say(50.0, 51.0, "hello"), end_s=60.0)
    )
    reader = store.reader()
    view = open_view(reader, ViewRequest())
    found = last_seen(reader, LastSeenRequest(thing="keys", view=view)).sightings
    assert [(s.observation.id, s.until_s, s.beside and s.beside.text) for s in found] == [
        (spoken.id, 42.0, "a dark hall"), (sign.id, 14.0, "a desk, 14"),
    ]  # fmt: skip
    then = msgspec.structs.replace(view, limits={"clip": 12.5})
    (before,) = last_seen(reader, LastSeenRequest(thing="keys", view=then)).sightings
    assert (before.observation.id, before.until_s) == (sign.id, 12.0)
    assert last_seen(reader, LastSeenRequest(thing="keys", view=view, t0_s=20.0)).sightings == found[:1]
    assert last_seen(reader, LastSeenRequest(thing="zebra", view=view)).sightings == ()
    reader.close()
    store.close()
