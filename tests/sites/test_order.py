"""What came first at different places is told where their clocks can tell it, and owned up to where they cannot."""

from __future__ import annotations

import msgspec
import pytest

from runtime.messages import Observation, SourceRecord
from tests.fixtures.extracting import answer
from tests.fixtures.listed_memory import EMBEDDED, ListedMemory, said

pytestmark = pytest.mark.anyio


def at(source: str, o: Observation) -> Observation:
    return msgspec.structs.replace(o, source=source, id=f"{source}/{o.id}")


def camera(source: str, uncertainty_s: float) -> SourceRecord:
    return SourceRecord(
        source=source,
        kind="camera",
        uri="",
        fingerprint="",
        started_wall_s=1796000000.0,
        watermarks={"video": 60.0, "audio": 60.0},
        encoders=EMBEDDED,
        wall_uncertainty_s=uncertainty_s,
    )


@pytest.mark.parametrize(("uncertainty_s", "told"), [(0.1, "the lamp comes first"), (3.0, "I cannot tell which")])
async def test_which_came_first_is_as_sure_as_the_clocks(uncertainty_s: float, told: str) -> None:
    memory = ListedMemory(
        at("shop/door", said(10.0, 11.0, "here is the lamp")),
        at("lab/hall", said(12.0, 13.0, "and there the ladder")),
        records=(camera("shop/door", uncertainty_s), camera("lab/hall", uncertainty_s)),
        as_of_s=60.0,
    )
    draft = await answer(memory, "Which was mentioned first, the lamp or the ladder?")
    assert told.lower() in draft.text.lower()
    assert len([o for claim in draft.claims for o in claim.cites]) == 2
