"""An event that bounds a question's time ("after the white car"), found first; the window it gives."""

from __future__ import annotations

import datetime

import msgspec

from reasoning.query.context import Context
from reasoning.query.plan import gather, matters
from reasoning.query.rows import Row
from reasoning.understand.frame import Frame
from reasoning.understand.grammar import parse_question

# Windows include what touches them; the event itself lies outside "before" and "after" it.
ASIDE_S = 0.001
DURING_S = 1.0


async def narrow(frame: Frame, context: Context) -> Context | None:
    """The context in the window of the question's anchor, or as it is where there is none; None where the event that
    it hangs on is not found."""
    anchor = frame.times.anchor
    if anchor is None or (frame.reduce == "order" and not frame.options):
        return context
    row = await first_of(anchor.text, context)
    if row is None:
        return None
    begin_s, end_s = row.t_s, max(o.t1_s for o in row.cites)
    within = context.of(row.observation.source)
    if anchor.relation == "before":
        return within.within(None, begin_s - ASIDE_S)
    if anchor.relation == "after":
        return within.within(end_s + ASIDE_S, None)
    return within.within(begin_s, max(end_s, begin_s + DURING_S))


async def first_of(text: str, context: Context, ordinal: int = 0, expects: str = "moment") -> Row | None:
    """The first that was perceived of what ``text`` names, every word of it covered; the last for an ``ordinal`` of
    -1. With another type to be expected only what is of that: "question"."""
    now = datetime.datetime.fromtimestamp(context.now_wall_s).astimezone()
    frame = parse_question(f"When is {text}?" if text.split()[0] in ("the", "a", "an") else f"When does {text}?", now)
    frame = msgspec.structs.replace(frame, expects=expects)
    rows: list[Row] = []
    for matter in matters(frame):
        rows += [row for row in await gather(frame, matter, context) if not row.missing]
        if rows:
            break
    return (
        max(rows, key=lambda row: row.t_s) if rows and ordinal < 0 else min(rows, key=lambda row: row.t_s, default=None)
    )
