"""Pictures a model is shown, and those it asks for: spread over the time, of the second that was meant, each after its
bracket, at full size where the recording is still there."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from reasoning.backends.brackets import Brackets
from reasoning.backends.chat_model import Picture, ToolCall
from reasoning.backends.chosen_pictures import choose_pictures
from reasoning.backends.contact_sheet import contact_sheet
from reasoning.backends.tools import Toolbox
from reasoning.query.context import Context
from reasoning.safety.untrusted import Guard
from runtime.messages import Observation, SourceRecord, Span, SpansReply, SpansRequest, ViewRequest
from tests.fixtures.chat_server import Json, Reply
from tests.fixtures.listed_memory import SOURCE, ListedMemory, frame, said, written
from tests.fixtures.model_turns import ask, asking

pytestmark = pytest.mark.anyio


def jpeg(colour: tuple[int, int, int], size: tuple[int, int] = (384, 216)) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


def pictured(t_s: float, *visible: Observation) -> Observation:
    return msgspec.structs.replace(frame(t_s, "a grey picture", *visible), payload=jpeg((int(t_s), 80, 80)))


def size_of(picture: str | Picture) -> tuple[int, int]:
    from PIL import Image

    assert isinstance(picture, Picture)
    with Image.open(io.BytesIO(picture.jpeg)) as image:
        return image.size


class FullSize:
    """Recordings of which every moment shows one large picture; notes which were asked for."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def decode(self, record: SourceRecord, moments: Sequence[float]) -> dict[float, bytes]:
        self.asked += moments
        return {t_s: jpeg((9, 9, 9), (1280, 720)) for t_s in moments}


async def context_of(*observations: Observation, recordings: Any = None, as_of_s: float = 30.0) -> Context:
    memory = ListedMemory(*observations, as_of_s=as_of_s)
    return Context(memory, await memory.view(ViewRequest()), source=SOURCE, recordings=recordings)


async def use(context: Context, name: str, **arguments: Any) -> Any:
    toolbox = Toolbox(context, Guard("ab"), Brackets(), sees=True)
    return await toolbox.use(ToolCall("1", name, {key.rstrip("_"): value for key, value in arguments.items()}))


def brackets_of(content: Sequence[str | Picture]) -> list[str]:
    """The bracket before each picture; fails where one stands elsewhere."""
    assert [isinstance(part, Picture) for part in content] == [False, True] * (len(content) // 2)
    return [str(part).partition("]")[0].lstrip("[") for part in content[::2]]


FRAMES = tuple(pictured(t_s) for t_s in (0.0, 9.9, 10.6, 17.9, 18.4, 20.0, 29.0))


async def test_a_moment_means_its_whole_second() -> None:
    context = await context_of(*FRAMES)
    result = await use(context, "look", times=["0:18", "0:10"])
    assert brackets_of(result.content) == ["0:10", "0:18"]
    assert [f.t0_s for f in await context.frames_at([("", 18.0), ("", 10.0)])] == [10.6, 18.4]


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"time": "0:20"}, ["0:20"]),
        ({"times": "[0:20]"}, ["0:20"]),
        ({"times": [20, "0:00"]}, ["0:00", "0:20"]),
        ({"from_": "0:00", "to": "0:29", "n": 3}, ["0:00", "0:17", "0:29"]),
        ({"from_": "0:17", "to": "0:20", "n": "many"}, ["0:17", "0:18", "0:20"]),
    ],
)
async def test_several_moments_or_a_stretch_are_one_look(arguments: Json, shown: list[str]) -> None:
    result = await use(await context_of(*FRAMES), "look", **arguments)
    assert brackets_of(result.content) == shown
    assert f"{len(shown)} picture{'s' * (len(shown) > 1)} follow." in result.text


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("look", {}, '"times", or "from" and "to", are missing'),
        ("look", {"times": ["soon"]}, "is no moment"),
        ("look", {"times": [{"a": 1}]}, "is no moment"),
        ("look", {"from_": "0:20", "to": "0:10"}, '"from" is after "to"'),
        ("look", {"time": "9:00"}, "that is not over yet"),
        ("zoom", {"region": "left"}, '"time" is missing'),
        ("compare", {"t1": "0:10"}, '"t1" and "t2" are needed'),
    ],
)
async def test_a_look_that_cannot_be_had_says_why(name: str, arguments: Json, told: str) -> None:
    result = await use(await context_of(*FRAMES), name, **arguments)
    assert told in result.text and not result.content


async def test_a_recording_that_is_still_there_is_looked_at_in_full_and_that_is_told() -> None:
    recordings = FullSize()
    context = await context_of(*FRAMES, recordings=recordings)
    pair = await use(context, "compare", t1="0:10", t2="0:20")
    assert recordings.asked == [10.6, 20.0]
    assert [size_of(part) for part in pair.content[1::2]] == [(1280, 720)] * 2
    assert all("from the recording" in str(part) for part in pair.content[::2])
    several = await use(context, "look", from_="0:00", to="0:29", n=5)
    assert {size_of(part)[0] for part in several.content[1::2]} == {768}
    kept = await use(await context_of(*FRAMES), "look", time="0:10")
    assert "(as kept)" in str(kept.content[0]) and size_of(kept.content[1]) == (384, 216)


@pytest.mark.parametrize(
    ("region", "size"), [("top left", (1024, 576)), ([0.1, 0.2, 0.2, 0.8], (455, 1024)), (None, (1024, 576))]
)
async def test_a_part_is_shown_as_large_as_there_is(region: object, size: tuple[int, int]) -> None:
    context = await context_of(*FRAMES, recordings=FullSize())
    result = await use(context, "zoom", time="0:18", region=region)
    assert size_of(result.content[1]) == size


async def test_what_was_read_is_told_beside_a_picture_and_its_colours_are_not() -> None:
    sign = written(18.4, "KEEP OUT")
    result = await use(await context_of(sign, pictured(18.4, sign)), "look", time="0:18")
    assert "KEEP OUT" in result.text and "grey" not in result.text


async def test_the_first_and_the_last_picture_are_always_shown_and_the_rest_spread() -> None:
    frames = [pictured(float(t_s)) for t_s in range(30)]
    chosen = await choose_pictures(await context_of(*frames), (), 5)
    assert [f.t0_s for f in chosen] == [0.0, 8.0, 15.0, 22.0, 29.0]
    assert all(f.payload for f in chosen)


async def test_pictures_are_chosen_beside_what_fits_and_within_the_time_asked_for() -> None:
    frames = [pictured(float(t_s)) for t_s in range(30)]
    context = (await context_of(*frames, said(12.0, 13.0, "the keys"))).within(10.0, 20.0)
    chosen = await choose_pictures(context, [said(12.0, 13.0, "the keys")], 4)
    times = [f.t0_s for f in chosen]
    assert times[0] == 10.0 and times[-1] == 20.0 and 12.0 in times


async def test_of_a_long_time_pictures_lie_at_even_steps() -> None:
    frames = [pictured(float(t_s)) for t_s in range(0, 3600, 10)]
    chosen = await choose_pictures(await context_of(*frames, as_of_s=3590.0), (), 5)
    assert [f.t0_s for f in chosen] == [0.0, 900.0, 1790.0, 2690.0, 3590.0]


def test_a_sheet_holds_every_picture_that_can_be_decoded() -> None:
    sheet = contact_sheet(
        [("[0:01]", jpeg((250, 0, 0))), ("[0:02]", b"\xff\xd8nothing"), ("[0:03]", jpeg((0, 0, 250)))]
    )
    width, height = size_of(Picture(sheet))
    assert width == 2 * 512 + 3 * 6 and height == 288 + 2 * 6
    upright = [(f"[{n}]", jpeg((0, n, 0), (216, 384))) for n in range(9)]
    assert size_of(Picture(contact_sheet(upright))) == (5 * 189 + 6 * 6, 2 * 336 + 3 * 6)
    with pytest.raises(ValueError, match="no picture"):
        contact_sheet([("[0:02]", b"nothing")])


async def test_each_picture_of_a_result_follows_its_bracket_and_the_steps_left_are_told() -> None:
    async def script(request: Json, reply: Reply) -> None:
        if request["messages"][-1]["role"] == "user" and "asked for" in str(request["messages"][-1]["content"]):
            await reply.say("A wall [0:20].")
        else:
            await reply.call("look", {"times": ["0:10", "0:20"]})

    async with asking(script, *FRAMES, context_tokens=32000, max_steps=3) as (server, turns):
        answer = await ask(turns, "Which colour had the wall?")
    assert answer.answer == "A wall [0:20]."
    result, shown = server.requests[1]["messages"][-2:]
    assert "(2 more tool calls are left.)" in result["content"]
    kinds = [part["type"] for part in shown["content"]]
    assert kinds == ["text", "image_url", "text", "image_url"]
    assert "[0:10] picture" in shown["content"][0]["text"] and "[0:20] picture" in shown["content"][2]["text"]


async def test_a_picture_that_shows_somebody_is_chosen_before_an_empty_one() -> None:
    busy = msgspec.structs.replace(frame(4.0, "one person", people=1), payload=jpeg((4, 4, 4)))
    frames = [busy if t_s == 4 else pictured(float(t_s)) for t_s in range(20)]
    chosen = await choose_pictures(await context_of(*frames, as_of_s=19.0), (), 4)
    assert 4.0 in [f.t0_s for f in chosen]


async def test_between_two_pictures_the_nearest_is_shown() -> None:
    context = (await context_of(*FRAMES)).within(12.0, 13.0)
    assert [f.t0_s for f in await choose_pictures(context, (), 4)] == [10.6]


async def test_where_a_picture_was_given_up_that_of_its_event_is_shown() -> None:
    class Sketched(ListedMemory):
        async def spans(self, request: SpansRequest) -> SpansReply:
            span = Span(id="e", source=SOURCE, level="event", t0_s=0.0, t1_s=9.0, keyframe=FRAMES[0].id, stage="sketch")
            return SpansReply(spans=(span,))

    memory = Sketched(FRAMES[0], frame(4.0, "grey"), frame(8.0, "grey"), as_of_s=9.0)
    context = Context(memory, await memory.view(ViewRequest()), source=SOURCE)
    assert [f.t0_s for f in await choose_pictures(context, (), 3)] == [0.0]
