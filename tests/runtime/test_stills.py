"""Pictures of a recording decoded again: at full size, private regions black, of that very recording alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from perception.capture.fingerprint import fingerprint
from runtime.stills import StillsOrder, decode_stills
from tests.fixtures.drawn_clips import at_rate, decoded, plain, write_clip

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


async def test_pictures_are_decoded_of_the_recording_that_was_perceived_alone(tmp_path: Path) -> None:
    size = (640, 360)
    colours = [(20, 20, 200), (20, 200, 20)]
    clip = write_clip(tmp_path / "clip.mp4", at_rate(5, 4, lambda t_s: plain(colours[t_s >= 2], size)), size=size)
    mask = ((0.0, 0.0, 1.0, 0.5),)
    found = await decode_stills(StillsOrder(str(clip), fingerprint(str(clip)), (1.0, 3.0), mask))
    assert sorted(found) == [1.0, 3.0]
    red, green = (decoded(found[t_s]) for t_s in (1.0, 3.0))
    assert red.shape == green.shape == (360, 640, 3)
    assert red[300, 300].argmax() == 2 and green[300, 300].argmax() == 1
    assert red[:170].max() < 20, "what is private stays so"
    assert await decode_stills(StillsOrder(str(clip), "another", (1.0,))) == {}
    assert await decode_stills(StillsOrder(str(tmp_path / "gone.mp4"), "", (1.0,))) == {}
