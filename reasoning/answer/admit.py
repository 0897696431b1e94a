"""What a refusal owes besides: what was not perceived, not understood, or given up since: it is not what never was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reasoning.answer.draft import Claim, Draft, claim, refusal
from reasoning.query.context import Context
from reasoning.query.evicted import FOR_BYTES
from reasoning.understand.frame import Frame
from runtime.language.lists import join, join_some
from runtime.messages import PERCEIVED_CHANNELS, FrameFacts, GapFacts, Observation, Span, why_unheard
from runtime.moments import Moments, label

# More stretches than this are not listed.
LISTED = 3
# A window is asked for by whole seconds; a gap that leaves less of it than this leaves nothing to be told.
LEFT_S = 0.5


async def admit(draft: Draft, frame: Frame, context: Context, moments: Moments) -> Draft:
    """The draft with what has to be owned up to; one that is answered as it is, but for words nobody understood."""
    unheard = await _unheard(frame, context, moments)
    if not draft.abstained:
        return Draft((*draft.claims, *unheard), draft.confidence) if not frame.matter and unheard else draft
    gaps, left_s = await _gaps(frame, context)
    told = (
        [claim(f"I could not {_verb(frame)} {join(_stretch(gap, moments) for gap in gaps[:LISTED])}", *gaps[:LISTED])]
        if gaps
        else []
    )
    told += await _too_small(frame, context, moments)
    claims = tuple(told) if gaps and left_s < LEFT_S else (*draft.claims, *told)
    return await _evicted(Draft((*claims, *unheard), draft.confidence, abstained=True), context, moments)


def _verb(frame: Frame) -> str:
    return "hear" if frame.channels[:1] == ("speech",) else "see"


async def _unheard(frame: Frame, context: Context, moments: Moments) -> list[Claim]:
    """Utterances without words, of a question for what was said."""
    if frame.channels[:1] != ("speech",):
        return []
    dumb = [o for o in await context.scan("speech") if not o.text.strip()]
    busy = [o for o in dumb if why_unheard(o)]
    mumbled = [o for o in dumb if not why_unheard(o)]
    claims = []
    if mumbled:
        at = join_some([moments.at(o.source, o.t0_s) for o in mumbled], LISTED)
        claims.append(claim(f"what was said at {at} I could not make out", *mumbled[:LISTED]))
    if busy:
        at = moments.listed([(o.source, o.t0_s) for o in busy])
        claims.append(claim(f"to what was said at {at} I could not listen: {why_unheard(busy[0])}", *busy[:LISTED]))
    return claims


async def _too_small(frame: Frame, context: Context, moments: Moments) -> list[Claim]:
    """Pictures with writing that is too small to be read, of a question for what was written."""
    if "text" not in frame.channels:
        return []
    small = [o for o in await context.scan("frame") if o.facts(FrameFacts).unread]
    if not small:
        return []
    at = moments.at(small[0].source, small[0].t0_s)
    return [claim(f"at {at} there is writing that is too small for me to read", small[0])]


async def _gaps(frame: Frame, context: Context) -> tuple[list[Observation], float]:
    """The gaps of a bounded window in what the question is about, and the seconds of it that are none."""
    windows = [(w.t0_s, w.t1_s) for w in context.windows]
    if context.t0_s is not None and context.t1_s is not None:
        windows = [(context.t0_s, context.t1_s)]
    if not windows:
        return [], 0.0
    tracks = ("audio" if _verb(frame) == "hear" else "video", "all")
    gaps = [o for o in await context.scan("gap") if o.facts(GapFacts).track in tracks]
    left_s = sum(end - begin for begin, end in windows)
    left_s -= sum(
        min(o.t1_s, end) - max(o.t0_s, begin) for o in gaps for begin, end in windows if o.t1_s > begin and o.t0_s < end
    )
    return gaps, left_s


def _stretch(gap: Observation, moments: Moments) -> str:
    return f"from {moments.at(gap.source, gap.t0_s)} to {moments.at(gap.source, gap.t1_s)}: {gap.text}"


async def _evicted(draft: Draft, context: Context, moments: Moments) -> Draft:
    """A refusal that names the stretches of its window that were given up for bytes. Where nothing of it is left, that
    alone is said: "I saw nothing" would be wrong."""
    # Those that only touch the window are not of it.
    events = [
        event
        for event in await context.spans("event")
        if (context.t1_s is None or event.t0_s <= context.t1_s) and (context.t0_s is None or event.t1_s > context.t0_s)
    ]
    gone = [event for event in events if event.stage == "tombstone"]
    if not gone:
        return draft
    named = not context.source and len(context.view.limits) > 1
    if len(gone) == len(events) and not await context.scan(*PERCEIVED_CHANNELS, limit=1):
        return refusal(f"I no longer have what was {_stretches(gone, named, moments)}; it was given up {FOR_BYTES}")
    told = claim(f"what I saw {_stretches(gone, named, moments)} I no longer have; it was given up {FOR_BYTES}")
    return Draft((*draft.claims, told), draft.confidence, abstained=True)


def _stretches(gone: Sequence[Span], named: bool, moments: Moments) -> str:
    longest = sorted(sorted(gone, key=lambda span: span.t0_s - span.t1_s)[:LISTED], key=lambda span: span.t0_s)
    more = len(gone) - len(longest)
    told = [
        f"from {moments.at(s.source, s.t0_s)} to {moments.at(s.source, s.t1_s)}"
        + (f" of {label(s.source)}" if named else "")
        for s in longest
    ]
    return join([*told, f"at {more} other times" if more else ""])


def tell_away(away: Mapping[str, str]) -> str:
    """Which of several sites could not be asked, and why."""
    return f"Without {join([f'{site}, which {why}' for site, why in away.items()])}."
