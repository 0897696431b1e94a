"""What is written while it is said is spelled better than it is heard: captions whole, else single names."""

from __future__ import annotations

import pytest

from reasoning.query.captions import spelled
from reasoning.query.rows import Row
from runtime.messages import Observation
from tests.fixtures.extracting import answer, cited
from tests.fixtures.listed_memory import EMBEDDED, ListedMemory, recording, said, written

pytestmark = pytest.mark.anyio


def told(heard: str, *shown: Observation) -> str:
    spoken = said(10.0, 14.0, heard)
    return spelled(Row(cites=(spoken,), told=heard, kind="said", t_s=10.0), [spoken, *shown]).told


@pytest.mark.parametrize(
    ("heard", "shown", "right"),
    [
        ("This is the new Sarfox.", "ZARVOX 9", "This is the new Zarvox."),
        ("We run it on Cooper Nettys now.", "Kubernetes at scale", "We run it on Kubernetes now."),
        ("Please call Catherine today.", "Contact: Katharine Maier", "Please call Katharine today."),
    ],
)
def test_a_name_is_told_as_it_is_written_while_it_is_said(heard: str, shown: str, right: str) -> None:
    assert told(heard, written(9.0, shown)) == right


@pytest.mark.parametrize(
    ("heard", "shown"),
    [
        ("The bread is still warm.", "RIVERSIDE BAKERY"),
        ("The price is forty dollars.", "Press here"),
        ("He reads the letter.", "RED LADDER"),
        ("We met at the bakery.", "Bakery and Café"),
        ("the new sarfox", "a zarvox is small here"),
    ],
)
def test_what_only_looks_a_little_alike_is_left_as_it_was_heard(heard: str, shown: str) -> None:
    assert told(heard, written(9.0, shown)) == heard


def test_what_is_written_at_another_time_spells_nothing() -> None:
    assert told("This is the new Sarfox.", written(60.0, "ZARVOX 9")) == "This is the new Sarfox."


async def test_the_answer_has_the_name_as_written_and_cites_both() -> None:
    spoken, shown = said(10.0, 14.0, "This is our new phone, the Sarfox."), written(9.0, "ZARVOX")
    memory = ListedMemory(spoken, shown, records=(recording("clip", 60.0, encoders=EMBEDDED),), as_of_s=60.0)
    draft = await answer(memory, "What is the new phone called?")
    assert "Zarvox" in draft.text and "Sarfox" not in draft.text
    assert {o.id for o in cited(draft)} == {spoken.id, shown.id}


async def test_what_is_said_is_told_in_the_words_of_its_captions_where_there_are_some() -> None:
    heard = (
        said(1.0, 4.0, "Welcome to the market hall of Lynd."),
        said(6.0, 9.0, "The old bridge is closed for repairs."),
        said(11.0, 14.0, "Now you can buy the new kettle mane."),
    )
    captions = (
        written(1.5, "Welcome to the market hall of Lund", k=1),
        written(6.5, "The old bridge is closed for repairs", k=2),
        written(11.5, "Now you can buy the new Kettle Nano", k=3),
    )
    memory = ListedMemory(*heard, *captions, records=(recording("clip", 60.0, encoders=EMBEDDED),), as_of_s=60.0)
    draft = await answer(memory, "What did he say about the kettle?")
    assert "Kettle Nano" in draft.text and {o.id for o in cited(draft)} == {heard[2].id, captions[2].id}
