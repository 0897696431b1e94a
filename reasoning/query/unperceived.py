"""Stretches that could not be perceived: said where a question about them is refused, so that "nothing" is not told
of what nobody saw."""

from __future__ import annotations

from reasoning.answer.draft import Claim, Draft, join, sentence
from reasoning.query.context import Context
from reasoning.understand.questions import Question
from runtime.clock import media_time
from runtime.messages import GapFacts, Observation

# A window is asked for by whole seconds; a gap that leaves less of it than this leaves nothing to be told.
_LEFT_S = 0.5
_LISTED = 3


async def admit_gaps(draft: Draft, question: Question, context: Context) -> Draft:
    """A refusal that names the gaps in the window that was asked about; any other draft as it is."""
    if not draft.abstained or context.t0_s is None or context.t1_s is None:
        return draft
    heard = question.kind == "spoken"
    tracks = ("audio" if heard else "video", "all")
    gaps = [gap for gap in await context.scan("gap") if isinstance(gap.data, GapFacts) and gap.data.track in tracks]
    if not gaps:
        return draft
    verb = "hear" if heard else "see"
    told = join([_stretch(gap) for gap in gaps[:_LISTED]])
    claim = Claim(sentence(f"I could not {verb} {told}"), tuple(gaps[:_LISTED]))
    seen_s = context.t1_s - context.t0_s
    seen_s -= sum(min(gap.t1_s, context.t1_s) - max(gap.t0_s, context.t0_s) for gap in gaps)
    claims = (claim,) if seen_s < _LEFT_S else (*draft.claims, claim)
    return Draft(claims, draft.confidence, abstained=True)


def _stretch(gap: Observation) -> str:
    return f"from {media_time(gap.t0_s)} to {media_time(gap.t1_s)}: {gap.text}"
