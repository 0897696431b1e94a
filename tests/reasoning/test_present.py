"""Questions about now: the picture of this moment is shown, told by its age and cited; a pause is told of as such."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from reasoning.query.present import LOOK_S, Present, age
from reasoning.turn import Turns
from runtime.calls import Calls
from runtime.errors import DeadlineExceeded
from runtime.messages import Answer, AskRequest, LookReply, LookRequest, Message, Observation, View
from tests.fixtures.chat_server import Json, Reply
from tests.fixtures.listed_memory import SOURCE, frame
from tests.fixtures.model_turns import ask, asking, pictures, prompt

pytestmark = pytest.mark.anyio
VIEW = View(generation=1, limits={"door": 58.0, "garden": 58.0, "film.mp4": 9.0}, source="garden", as_of_s=58.0)
KEPT = frame(50.0, "grey; one person", people=1)


class Eye:
    """A process that watches: gives its reply, or none in time."""

    def __init__(self, reply: LookReply | None) -> None:
        self.reply = reply
        self.asked = 0

    async def call(self, request: Message, deadline_s: float) -> LookReply:
        assert (type(request), deadline_s) == (LookRequest, LOOK_S)
        self.asked += 1
        if self.reply is None:
            raise DeadlineExceeded("video:garden did not answer")
        return self.reply


def shows(source: str, t_s: float, now_s: float, jpeg: bytes = b"\xff\xd8live") -> LookReply:
    return LookReply(source=source, now_s=now_s, t_s=t_s, jpeg=jpeg)


def paused(source: str, since_s: float, now_s: float) -> LookReply:
    return LookReply(source=source, now_s=now_s, paused_since_s=since_s)


def watch(turns: Turns, watchers: Mapping[str, Calls]) -> None:
    turns._composer._watchers = watchers


async def says_so(request: Json, reply: Reply) -> None:
    await reply.say("There is a red cup [1:00].")


async def test_every_camera_is_asked_once_and_what_does_not_answer_or_is_not_in_the_view_is_left_out() -> None:
    door, garden = Eye(shows("door", 60.0, 60.1)), Eye(None)
    elsewhere = Eye(shows("cellar", 60.0, 60.1))
    present = Present({"video:door": door, "video:garden": garden, "video:cellar": elsewhere}, VIEW)
    assert [reply.source for reply in await present.look()] == ["door"]
    await present.look()
    assert (door.asked, garden.asked) == (1, 1)
    assert [(o.id, o.source, o.t0_s) for o in present.frames.values()] == [("door/frame/000060000", "door", 60.0)]
    assert await Present({"video:door": door}, VIEW, source="garden").look() == ()


async def test_a_model_sees_the_picture_of_this_moment_and_may_cite_it() -> None:
    async with asking(says_so, KEPT) as (server, turns):
        watch(turns, {"video:clip": Eye(shows(SOURCE, 60.4, 60.6))})
        answer = await ask(turns, "What do you see now?")
    assert pictures(server.requests[0]) == [b"\xff\xd8live"]
    assert "[1:00] picture, 0.2 s old:" in prompt(server.requests[0])
    assert answer.answer == "There is a red cup [1:00]."
    (cited,) = answer.citations
    assert cited.id == "clip/frame/000060400"
    assert answer.as_of_s >= cited.t1_s
    assert not answer.abstained


async def test_what_goes_on_is_asked_of_the_moment_where_a_camera_watches() -> None:
    for question in ("what's going on?", "What do you see?"):
        eye = Eye(shows(SOURCE, 60.4, 60.6))
        async with asking(says_so, KEPT) as (_, turns):
            watch(turns, {"video:clip": eye})
            await ask(turns, question)
        assert eye.asked == 1, question


async def test_where_no_picture_comes_in_time_the_newest_kept_one_is_shown_with_its_age() -> None:
    kept = with_picture(KEPT)
    async with asking(says_so, kept) as (server, turns):
        watch(turns, {"video:clip": Eye(None)})
        await ask(turns, "What do you see now?")
    assert pictures(server.requests[0]) == [kept.payload]
    assert "[0:50] picture, 10 s old:\n<picture>" in prompt(server.requests[0])


async def test_a_question_about_an_earlier_moment_is_not_shown_this_one() -> None:
    eye = Eye(shows(SOURCE, 60.4, 60.6))
    async with asking(says_so, KEPT) as (_, turns):
        watch(turns, {"video:clip": eye})
        for request in (
            AskRequest(question="What do you see now?", as_of_s=55.0),
            AskRequest(question="What was there at 0:50?"),
        ):
            assert isinstance([message async for message in turns.ask(request)][-1], Answer)
    assert eye.asked == 0


async def test_in_a_pause_the_answer_says_so_and_since_when_and_tells_of_the_last_picture() -> None:
    kept = with_picture(KEPT)

    async def script(request: Json, reply: Reply) -> None:
        await reply.say("A person stood there [0:50].")

    async with asking(script, kept) as (server, turns):
        watch(turns, {"video:clip": Eye(paused(SOURCE, 55.0, 295.0))})
        answer = await ask(turns, "What do you see now?")
    since = "Watching is paused since 0:55, 4 minutes ago: I see nothing now."
    assert answer.answer == f"{since} A person stood there [0:50]."
    shown = prompt(server.requests[0])
    assert since in shown
    assert "It is now 4:55" in shown
    assert "[0:50] picture, 4 minutes old" in shown
    assert pictures(server.requests[0]) == [kept.payload]


async def test_without_a_model_a_pause_is_told_and_the_last_picture_with_its_age() -> None:
    async with asking(refuses, KEPT) as (_, turns):
        turns._composer._memory.as_of_s = 290.0  # type: ignore[attr-defined]
        watch(turns, {"video:clip": Eye(paused(SOURCE, 55.0, 295.0))})
        answer = await ask(turns, "What do you see now?")
    assert answer.answer == (
        "Watching is paused since 0:55, 4 minutes ago: I see nothing now. "
        "The newest picture is 4 minutes old: I saw one person [0:50]."
    )
    assert answer.backend == "extractive"


@pytest.mark.parametrize(
    ("seconds", "told"), [(-0.1, "0.0 s"), (0.44, "0.4 s"), (35.2, "35 s"), (240.0, "4 minutes"), (7300.0, "2 hours")]
)
def test_an_age_is_told_as_one_says_it(seconds: float, told: str) -> None:
    assert age(seconds) == told


async def refuses(request: Json, reply: Reply) -> None:
    await reply.error(401, "wrong key")


def with_picture(o: Observation) -> Observation:
    return Observation(
        id=o.id, source=o.source, channel=o.channel, t0_s=o.t0_s, t1_s=o.t1_s, text=o.text, data=o.data,
        payload=b"\xff\xd8kept",
    )  # fmt: skip
