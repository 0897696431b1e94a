"""What memory held and gave up to stay within its bytes: said, so that it is not taken for what never was.

A span's ``stage`` says how much of it is left (`runtime.messages.Span`). Times are written without brackets: there is
nothing left to cite.
"""

from __future__ import annotations

from collections.abc import Sequence

from reasoning.answer.draft import Claim, Draft, join, refusal, sentence
from reasoning.query.context import Context
from runtime.clock import media_time
from runtime.messages import PERCEIVED_CHANNELS, Span

# More stretches than this are not listed.
LISTED = 3
FOR_BYTES = "to stay within the bytes that memory may have"


async def why_no_picture(context: Context, t_s: float) -> str:
    """Why a moment's picture is not there, "" where none was given up."""
    source = context.source or context.view.source
    for span in await context.within(t_s, t_s).events():
        if span.source == source and span.t0_s <= t_s < span.t1_s and span.stage != "full":
            return f"I no longer have the picture of {media_time(t_s)}; it was given up {FOR_BYTES}."
    return ""


def span_text(span: Span) -> str:
    """What a span says of itself; one that was given up, why."""
    return f"{span.text}: {span.why}" if span.stage == "tombstone" and span.why else span.text


async def admit(draft: Draft, context: Context) -> Draft:
    """A refusal that names the stretches of its window that were given up; any other draft as it is.

    Where nothing of the window is left, that alone is said: "I saw nothing" would be wrong.
    """
    if not draft.abstained:
        return draft
    begin_s = context.t0_s or 0.0
    end_s = context.view.as_of_s if context.t1_s is None else context.t1_s
    # Those that only touch the window are not of it.
    events = [event for event in await context.events() if event.t0_s <= end_s and event.t1_s > begin_s]
    gone = [event for event in events if event.stage == "tombstone"]
    if not gone:
        return draft
    named = not context.source and len(context.view.limits) > 1
    if len(gone) == len(events) and not await context.scan(*PERCEIVED_CHANNELS, limit=1):
        return refusal(f"I no longer have what was {_stretches(gone, named)}; it was given up {FOR_BYTES}")
    told = f"What I saw {_stretches(gone, named)} I no longer have; it was given up {FOR_BYTES}"
    return Draft((*draft.claims, Claim(sentence(told))), draft.confidence, abstained=True)


def _stretches(gone: Sequence[Span], named: bool) -> str:
    longest = sorted(sorted(gone, key=lambda span: span.t0_s - span.t1_s)[:LISTED], key=lambda span: span.t0_s)
    more = len(gone) - len(longest)
    told = [f"from {media_time(s.t0_s)} to {media_time(s.t1_s)}{f' of {s.source}' if named else ''}" for s in longest]
    return join([*told, f"at {more} other times" if more else ""])
