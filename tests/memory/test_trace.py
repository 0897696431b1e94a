"""`/trace` shows each step on the way to the last answer."""

from __future__ import annotations

import pytest

from runtime.interfaces.terminal.render import print_trace
from runtime.messages import Answer, TraceStep


def test_each_step_is_shown_with_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    print_trace(None)
    steps = (
        TraceStep(tool="search", arguments={"text": "keys", "to": "1:00"}, found="2 observations", took_s=0.02),
        TraceStep(tool="model", found="the server limits how often it may be asked; asked again after 0.5 s"),
    )
    print_trace(
        Answer(
            question="q", answer="a", abstained=False, as_of_s=9.0, citations=(), latency_s={"first_part": 0.5},
            backend="openai:tiny", confidence=0.9, trace=steps,
        )
    )  # fmt: skip
    assert capsys.readouterr().out.splitlines() == [
        "nothing was asked yet",
        "  search(text: keys, to: 1:00) -> 2 observations (0.02 s)",
        "  model() -> the server limits how often it may be asked; asked again after 0.5 s",
        "  answered by openai:tiny, confidence 0.90; first part 0.50 s",
    ]
