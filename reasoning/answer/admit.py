"""What a refusal owes besides: what was not perceived, not understood, or given up since: it is not what never was."""

from __future__ import annotations

from collections.abc import Sequence

from reasoning.answer.draft import Claim, Draft, claim, refusal
from reasoning.query.context import Context
from reasoning.query.evicted import FOR_BYTES
from reasoning.understand.frame import Frame
from runtime.language.lists import join
from runtime.messages import PERCEIVED_CHANNELS, FrameFacts, GapFacts, Observation, Span, why_unheard
from runtime.moments import Moments, label

# More stretches than this are not listed.
LISTED = 3
# A window is asked for by whole seconds; a gap that leaves less of it than this leaves nothing to be told.
LEFT_S = 0.5


async def admit(draft: Draft, frame: Frame, context: Context, moments: Moments) -> Draft:
    """The draft with what has to be owned up to; one that is answered as it is, but for words nobody understood."""
    heard = frame.channels[:1] == ("speech",)
    unheard = _unheard(await context.scan("speech"), moments) if heard else []
    if not draft.abstained:
        return Draft((*draft.claims, *unheard), draft.confidence) if not frame.matter else draft
    gaps, left_s = await _gaps("audio" if heard else "video", context)
    told = []
    if gaps:
        when = join(f"{_stretch(gap, moments)}: {gap.text}" for gap in gaps[:LISTED])
        told.append(claim(f"I could not {'hear' if heard else 'see'} {when}", *gaps[:LISTED]))
    if "text" in frame.channels and (small := [o for o in await context.scan("frame") if o.facts(FrameFacts).unread]):
        at = moments.at(small[0].source, small[0].t0_s)
        told.append(claim(f"at {at} there is writing that is too small for me to read", small[0]))
    claims = told if gaps and left_s < LEFT_S else (*draft.claims, *told)
    return await _evicted(Draft((*claims, *unheard), draft.confidence, abstained=True), context, moments)


def _unheard(spoken: Sequence[Observation], moments: Moments) -> list[Claim]:
    """Utterances without words, those that were not listened to with the reason."""
    claims = []
    for busy in (False, True):
        dumb = [o for o in spoken if not o.text.strip() and bool(why_unheard(o)) == busy]
        at = f"what was said at {moments.listed([(o.source, o.t0_s) for o in dumb])}"
        why = f"to {at} I could not listen: {why_unheard(dumb[0])}" if busy and dumb else f"{at} I could not make out"
        claims += [claim(why, *dumb[:LISTED])] if dumb else []
    return claims


async def _gaps(track: str, context: Context) -> tuple[list[Observation], float]:
    """The gaps of a bounded window in a track, and the seconds of it that are none."""
    if not context.bounded:
        return [], 0.0
    gaps = [o for o in await context.scan("gap") if o.facts(GapFacts).track in (track, "all")]
    left_s = 0.0
    for w in context.stretches:
        lost_s = [min(o.t1_s, w.t1_s) - max(o.t0_s, w.t0_s) for o in gaps if o.source == w.source]
        left_s += w.t1_s - w.t0_s - sum(seconds for seconds in lost_s if seconds > 0)
    return gaps, left_s


async def _evicted(draft: Draft, context: Context, moments: Moments) -> Draft:
    """A refusal that names the stretches of its window that were given up for bytes. Where nothing of it is left, that
    alone is said: "I saw nothing" would be wrong."""
    windows = context.stretches
    events = [  # those that only touch the window are not of it
        event
        for event in await context.spans("event")
        if any(w.source == event.source and event.t0_s <= w.t1_s and event.t1_s > w.t0_s for w in windows)
    ]
    gone = [event for event in events if event.stage == "tombstone"]
    if not gone:
        return draft
    named = len(context.view.limits) > 1
    longest = sorted(sorted(gone, key=lambda span: span.t0_s - span.t1_s)[:LISTED], key=lambda span: span.t0_s)
    told = [_stretch(span, moments) + (f" of {label(span.source)}" if named else "") for span in longest]
    more = len(gone) - len(longest)
    when = join([*told, f"at {more} other times" if more else ""])
    if len(gone) == len(events) and not await context.scan(*PERCEIVED_CHANNELS, limit=1):
        return refusal(f"I no longer have what was {when}; it was given up {FOR_BYTES}")
    told_of = claim(f"what I saw {when} I no longer have; it was given up {FOR_BYTES}")
    return Draft((*draft.claims, told_of), draft.confidence, abstained=True)


def _stretch(of: Observation | Span, moments: Moments) -> str:
    return f"from {moments.at(of.source, of.t0_s)} to {moments.at(of.source, of.t1_s)}"
