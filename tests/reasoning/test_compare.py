"""The embedded answerer on things side by side: pairs, recordings, things named by tags, pages of a screen."""

from __future__ import annotations

import msgspec
import pytest

from reasoning.answer.draft import Draft
from reasoning.answer.extract import ExtractiveBackend
from reasoning.query.context import Context
from reasoning.understand.questions import parse_question
from runtime.messages import Observation, TextFacts, View, ViewRequest, WrittenLine
from tests.fixtures.listed_memory import ListedMemory, appears, frame, said, written

pytestmark = pytest.mark.anyio


async def answer(memory: ListedMemory, text: str, view: View | None = None) -> Draft:
    view = view or await memory.view(ViewRequest())
    question = parse_question(text, view.as_of_s)
    return await ExtractiveBackend(0.35, 4).draft(question, Context(memory, view))


LIGHT = said(6.0, 9.0, "the lighthouse is closed")
PARK = (
    frame(0.0, tags=[["tree", 0.4]]),
    frame(10.0, tags=[["tree", 0.4], ["small dog", 0.6]]),
    frame(11.0, tags=[["small dog", 0.5]]),
    frame(30.0, tags=[["bicycle", 0.5]]),
)


async def test_one_of_two_things_is_told_with_what_was_missed() -> None:
    draft = await answer(ListedMemory(LIGHT), "Is a lighthouse and a ferry mentioned?")
    assert draft.text == 'Not both: I heard: "the lighthouse is closed" [0:06], but I did not see or hear a ferry.'
    assert not draft.abstained
    neither = await answer(ListedMemory(LIGHT), "Is a submarine and a ferry mentioned?")
    assert neither.abstained


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("Is there a dog?", "Yes, I see a small dog [0:10]."),
        ("When does the dog appear?", "I see a small dog at [0:10]."),
        ("Which comes first, the bicycle or the dog?", "the dog comes first"),
        ("Is there a dog and a cat?", "but I did not see or hear a cat"),
        ("What animal is shown?", "a small dog"),
    ],
)
async def test_things_are_known_by_their_tags(question: str, says: str) -> None:
    assert says.lower() in (await answer(ListedMemory(*PARK), question)).text.lower()


async def test_a_thing_without_a_tag_stays_unknown() -> None:
    assert (await answer(ListedMemory(*PARK), "Is there a cat?")).abstained
    assert (await answer(ListedMemory(*PARK), "When does the dog house appear?")).abstained


class TwoRecordings(ListedMemory):
    """A memory of "clip" and a copy of other observations as "talk"."""

    def __init__(self, clip: tuple[Observation, ...], talk: tuple[Observation, ...]) -> None:
        renamed = [msgspec.structs.replace(o, source="talk", id=o.id.replace("clip/", "talk/", 1)) for o in talk]
        super().__init__(*clip, *renamed)

    async def scan(self, request):  # type: ignore[no-untyped-def]
        reply = await super().scan(request)
        kept = tuple(o for o in reply.observations if request.source in ("", o.source))
        return msgspec.structs.replace(reply, observations=kept)


BOTH = View(generation=1, limits={"clip": 60.0, "talk": 60.0}, source="talk", as_of_s=60.0)


async def test_recordings_are_told_apart() -> None:
    memory = TwoRecordings((LIGHT,), (said(3.0, 5.0, "good morning everybody"),))
    which = await answer(memory, "In which recording is the lighthouse mentioned?", BOTH)
    assert which.claims[0].text == "I found it in clip at [0:06], but not in talk."
    assert [o.source for claim in which.claims for o in claim.cites] == ["clip", "clip"]
    both = await answer(memory, "Is there speech in both recordings?", BOTH)
    assert both.claims[0].text == "I found it in clip at [0:06] and in talk at [0:03]."
    person = appears(7.0, "person", "a person enters from the left")
    silent = await answer(TwoRecordings((LIGHT,), (person,)), "In which recording does somebody speak?", BOTH)
    assert silent.claims[0].text == "I found it in clip at [0:06], but not in talk."
    none = await answer(memory, "Which of the recordings mentions a submarine?", BOTH)
    assert none.abstained


PAGE = (
    *(written(0.3, line, k=i, height=0.024) for i, line in enumerate(("Upvote", "Downvote", "Send", "Submit"))),
    msgspec.structs.replace(
        written(0.3, "Video-LLaVA", k=9),
        data=TextFacts(lines=(WrittenLine("Video-LLaVA", 0.9, (0.3, 0.01, 0.1, 0.02)),)),
    ),
)


async def test_on_a_page_of_like_sizes_the_topmost_writing_is_the_title() -> None:
    assert '"Video-LLaVA"' in (await answer(ListedMemory(*PAGE), "What is the name of the demo?")).text


async def test_the_question_that_an_answer_takes_up_is_found() -> None:
    memory = ListedMemory(
        written(0.3, "Why is this video funny?"),
        written(0.3, "What is unusual about this image?", k=2),
        written(17.5, "The video is funny because the baby reads a book", k=3),
    )
    draft = await answer(memory, "Which question is asked about the baby?")
    assert draft.claims[0].text == 'The question should be "Why is this video funny?"'


async def test_an_icon_read_as_a_letter_is_no_part_of_a_word() -> None:
    buttons = written(4.0, "ΛFlag", "Send", height=0.0)
    lines = (WrittenLine("ΛFlag", 0.9, (0.1, 0.9, 0.1, 0.03)), WrittenLine("Send", 0.9, (0.5, 0.9, 0.1, 0.03)))
    memory = ListedMemory(msgspec.structs.replace(buttons, data=TextFacts(lines=lines)))
    assert '"Flag" and "Send"' in (await answer(memory, "What are the names of the two buttons?")).text


async def test_what_was_there_from_the_start_did_not_come_first() -> None:
    memory = ListedMemory(
        written(0.3, "Does the flag in the image appear?"),
        written(8.0, "a red boxing glove hangs there", k=2),
        written(28.0, "the flag is visible in the video", k=3),
    )
    draft = await answer(memory, "Which is asked first: about the flag or about the boxing glove?")
    assert draft.text.startswith("The boxing glove comes first")
