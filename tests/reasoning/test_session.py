"""Live sources of one session are one place: asked what is, was said or comes now, all of them tell."""

from __future__ import annotations

import anyio
import msgspec
import pytest

from reasoning.answer.citations import resolve_marks
from reasoning.compose import name_source
from reasoning.query.present import CallsWatcher, together
from reasoning.turn import Turns
from runtime.messages import Answer, AskRequest, LookReply, LookRequest, Message, Observation, View, ViewRequest
from runtime.sources import begin_session, parse_source, session_of
from tests.fixtures.listed_memory import ListedMemory, appears, frame, said
from tests.fixtures.turns import make

pytestmark = pytest.mark.anyio

DOOR, GARDEN, MIC = (f"{label}@2026-11-23T10:00:00" for label in ("front-door", "garden", "mic"))
BEFORE = "garden@2026-11-22T18:30:00"


def of(source: str, o: Observation) -> Observation:
    return msgspec.structs.replace(o, source=source, id=o.id.replace("clip", source))


class Session(ListedMemory):
    """Two cameras and a microphone of today, and a camera of yesterday; the camera at the door was opened last."""

    async def view(self, request: ViewRequest) -> View:
        limits = {BEFORE: 500.0, GARDEN: 60.0, MIC: 60.0, DOOR: 60.0}
        return View(generation=1, limits=limits, source=request.source or DOOR, as_of_s=60.0)


class Eye:
    def __init__(self, source: str) -> None:
        self.source = source

    async def call(self, request: Message, deadline_s: float) -> LookReply:
        assert isinstance(request, LookRequest)
        return LookReply(source=self.source, now_s=60.2, t_s=60.1, jpeg=b"\xff\xd8")


async def ask(question: str, *observations: Observation, source: str = "") -> Answer:
    memory = Session(*observations)
    async with anyio.create_task_group() as tasks:
        turns: Turns = make(tasks, memory)
        watchers: dict[str, CallsWatcher] = {f"video:{name}": Eye(name) for name in (GARDEN, DOOR)}
        turns._composer._watchers = watchers
        answer = [m async for m in turns.ask(AskRequest(question=question, source=source))][-1]
        tasks.cancel_scope.cancel()
    assert isinstance(answer, Answer)
    return answer


SIGHTS = (
    of(GARDEN, frame(58.0, "a dark picture; one person", people=1)),
    of(DOOR, frame(59.0, "a bright picture; nothing moves")),
    of(BEFORE, frame(59.5, "a red picture", people=4)),
)
WORDS = (of(MIC, said(50.0, 57.0, "the parcel is behind the shed")), of(BEFORE, said(51.0, 58.0, "good night")))


def test_a_session_is_told_from_the_names_of_its_sources() -> None:
    live = begin_session(parse_source("front_door=rtsp://x/"), 1_750_000_000.0, ())
    assert session_of(live.source) == ("front-door", live.source.partition("@")[2])
    assert session_of("me@home.mp4") == ("", "")
    view = View(generation=1, limits={BEFORE: 5.0, "film.mp4": 9.0, GARDEN: 6.0, DOOR: 7.0}, source=DOOR, as_of_s=7.0)
    assert together(view).limits == {GARDEN: 6.0, DOOR: 7.0}
    of_file = msgspec.structs.replace(view, source="film.mp4")
    assert together(of_file) is of_file


async def test_what_is_seen_now_is_told_of_each_camera() -> None:
    answer = await ask("What do you see now?", *SIGHTS)
    assert answer.answer == (
        "garden: Now I see a dark picture; one person [0:58]. "
        "front-door: Now I see a bright picture; nothing moves [0:59]."
    )
    assert {c.source for c in answer.citations} == {GARDEN, DOOR}


@pytest.mark.parametrize("question", ["Is anybody in the garden now?", "Is there anybody in the garden camera now?"])
async def test_a_camera_that_is_named_tells_alone(question: str) -> None:
    answer = await ask(question, *SIGHTS)
    assert answer.answer == "Yes, I see one person now [0:58] (in garden)."
    assert not answer.abstained


async def test_nobody_before_either_camera_is_no_evidence_of_anybody() -> None:
    answer = await ask("Is anybody at the front door now?", *SIGHTS)
    assert answer.answer == "No, I see nobody now."
    assert answer.abstained


async def test_what_a_microphone_heard_is_told_though_a_camera_was_opened_last() -> None:
    answer = await ask("What was just said?", *SIGHTS, *WORDS)
    assert "the parcel is behind the shed" in answer.answer
    assert "good night" not in answer.answer
    answer = await ask("Is anybody speaking now?", *SIGHTS, *WORDS)
    assert "good night" not in answer.answer and "hear nobody" not in answer.answer


async def test_what_happened_is_in_order_of_time_over_all_sources() -> None:
    came = (
        of(GARDEN, appears(40.0, "person", "a person enters from the left")),
        of(DOOR, appears(20.0, "person", "a person enters from the right")),
    )
    answer = await ask("Who came last?", *SIGHTS, *came)
    assert "from the left" in answer.answer
    assert "(in garden)" in answer.answer


async def test_a_source_that_is_asked_about_is_alone() -> None:
    answer = await ask("What do you see now?", *SIGHTS, source=GARDEN)
    assert answer.answer.count("Now I see") == 1


def test_where_something_was_perceived_is_named_once_and_as_short_as_may_be() -> None:
    view = View(generation=1, limits={BEFORE: 9.0, GARDEN: 9.0, DOOR: 9.0}, source=DOOR, as_of_s=9.0)
    cited = {source: of(source, frame(5.0)) for source in (GARDEN, BEFORE)}
    assert name_source("A cup [0:05].", (cited[GARDEN],), view) == "A cup [0:05] (in garden)."
    assert name_source("A cup [0:05].", (cited[BEFORE],), view) == f"A cup [0:05] (in {BEFORE})."
    assert name_source("garden: A cup [0:05].", (cited[GARDEN],), view) == "garden: A cup [0:05]."


def test_a_model_may_cite_a_live_source_by_its_name_though_a_time_of_day_is_in_it() -> None:
    shown = tuple(of(source, frame(4.5, "a square")) for source in (GARDEN, DOOR))
    claim = resolve_marks(f"I see a square [{GARDEN} 0:04].", shown)
    assert claim.text == "I see a square [0:04]."
    assert [o.source for o in claim.cites] == [GARDEN]
