"""What memory gave up for its bytes is owned up to, by answers and by the tools of a model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reasoning.answer.draft import mark
from reasoning.answer.extract import ExtractiveBackend
from reasoning.backends.brackets import Brackets
from reasoning.backends.chat_model import ToolCall
from reasoning.backends.tools import Toolbox
from reasoning.query.context import Context
from reasoning.safety.untrusted import Guard
from reasoning.understand.understand import understand
from runtime.messages import Span, SpansRequest, StatusRequest, View, ViewRequest
from tests.fixtures.budget_scenes import SCENE_S, SOURCE, Memory, many_scenes
from tests.fixtures.extracting import NOW
from tests.fixtures.stored_memory import StoredMemory

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredMemory]:
    """Twenty minutes of pictures in a budget of a quarter of their bytes."""
    kept = Memory(tmp_path_factory.mktemp("given-up"))
    for batch in many_scenes(150):
        kept.take(batch)
    stored = StoredMemory(kept.store)
    yield stored
    stored.close()
    kept.store.close()


async def view_and_spans(memory: StoredMemory) -> tuple[View, tuple[Span, ...]]:
    view = await memory.view(ViewRequest(source=SOURCE))
    return view, (await memory.spans(SpansRequest(view=view, level="event"))).spans


async def answer(memory: StoredMemory, question: str) -> str:
    view, _ = await view_and_spans(memory)
    records = (await memory.status(StatusRequest())).sources
    asked = understand(question, view, records, (), NOW)
    context = Context(memory, asked.view, now_wall_s=NOW.timestamp()).in_windows(asked.windows)
    draft = await ExtractiveBackend(0.3).draft(asked.frame, context)
    assert draft.abstained
    return draft.text


async def look(memory: StoredMemory, t_s: float) -> str:
    view, _ = await view_and_spans(memory)
    toolbox = Toolbox(Context(memory, view, source=SOURCE), Guard(), Brackets(), sees=True)
    return (await toolbox.use(ToolCall(id="1", name="look", arguments={"time": t_s}))).text


def clock(t_s: float) -> str:
    return mark(t_s)[1:-1]


async def test_a_question_about_a_time_that_was_given_up_says_so_and_which(memory: StoredMemory) -> None:
    _, spans = await view_and_spans(memory)
    gone = next(s for s in spans if s.stage == "tombstone" and s.t1_s - s.t0_s >= SCENE_S)
    told = await answer(memory, f"Which animal was there at {clock(gone.t0_s + 4)}?")
    assert f"from {clock(gone.t0_s)} to {clock(gone.t1_s)}" in told
    assert "no longer have" in told and "bytes" in told


async def test_a_refusal_about_a_time_that_is_kept_says_nothing_of_it(memory: StoredMemory) -> None:
    _, spans = await view_and_spans(memory)
    full = next(s for s in spans if s.stage == "full" and s.t1_s - s.t0_s >= 6)
    assert "no longer have" not in await answer(memory, f"Which animal was there at {clock(full.t0_s + 3)}?")


async def test_looking_at_a_picture_that_was_given_up_says_why_there_is_none(memory: StoredMemory) -> None:
    _, spans = await view_and_spans(memory)
    for stage in ("pointer", "tombstone"):
        t_s = next((s.t0_s + s.t1_s) / 2 for s in spans if s.stage == stage)
        assert "I no longer have the picture" in await look(memory, t_s)
    kept = next((s.t0_s + s.t1_s) / 2 for s in spans if s.stage == "full")
    assert "no longer" not in await look(memory, kept)
