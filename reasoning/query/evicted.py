"""What memory held and gave up to stay within its bytes: said, so that it is not taken for what never was.

A span's ``stage`` says how much of it is left (`runtime.messages.Span`). Times are written without brackets: there is
nothing left to cite.
"""

from __future__ import annotations

from reasoning.query.context import Context
from runtime.clock import media_time
from runtime.messages import Span

FOR_BYTES = "to stay within the bytes that memory may have"


async def why_no_picture(context: Context, t_s: float) -> str:
    """Why a moment's picture is not there, "" where none was given up."""
    source = context.source or context.view.source
    for span in await context.within(t_s, t_s).spans("event"):
        if span.source == source and span.t0_s <= t_s < span.t1_s and span.stage != "full":
            return f"I no longer have the picture of {media_time(t_s)}; it was given up {FOR_BYTES}."
    return ""


def span_text(span: Span) -> str:
    """What a span says of itself; one that was given up, why."""
    return f"{span.text}: {span.why}" if span.stage == "tombstone" and span.why else span.text
