"""What came first: two things sought one by one, told with both moments."""

from __future__ import annotations

from reasoning.answer.draft import Draft, claim, refusal
from reasoning.answer.tell import at
from reasoning.query.anchored import first_of
from reasoning.query.context import Context
from reasoning.understand.frame import Frame
from runtime.language import lexicon
from runtime.language.lists import join
from runtime.language.normalise import words
from runtime.language.stem import stem
from runtime.moments import Moments

# Moments so near, in seconds, are one.
SAME_S = 0.001


async def tell_order(frame: Frame, context: Context, moments: Moments) -> Draft:
    """Which of two came first, or last; whether one came before the other."""
    anchor = frame.times.anchor if not frame.options else None
    if not frame.options and anchor is None:
        return refusal('I am not sure which two things to compare; name both, as in "which came first, A or B?"')
    sought = (" ".join(frame.of("subject", "colour")) or frame.text, anchor.text) if anchor else frame.options
    if "speech" in frame.channels and all(lexicon.SPECIFIC & set(words(option)) for option in sought):
        return refusal(
            "I hear when somebody speaks, and do not tell voices apart; so I cannot say which of them it was"
        )
    predicate = " ".join(frame.of("predicate")) if frame.predicate == "leave" else ""
    expects = "question" if stem("ask") in map(stem, words(frame.text)) else "moment"
    ordinal = 0 if anchor else frame.ordinal
    rows = [await first_of(f"{option} {predicate}".strip(), context, ordinal, expects) for option in sought]
    names = [option.strip().rstrip("?.,").removeprefix("about ") for option in sought]
    found = [(row, name, f"{name} was at {at(row, moments)}") for row, name in zip(rows, names, strict=True) if row]
    if not found:
        return refusal(f"I did not see or hear either of them, {join(names, 'or')}")
    known = claim(join(told for _, _, told in found), *(row.observation for row, _, _ in found))
    if len(found) == 1:
        missing = names[rows.index(None)]
        return refusal(f"I did not see or hear {missing}, so I cannot say which came first", known)
    places = [(row.observation.source, row.t_s) for row, _, _ in found]
    later_s, unsure_s = moments.apart_s(*places)
    if unsure_s and abs(later_s) <= unsure_s:
        may = f"by {unsure_s:.1f} s the clocks of the two places may differ"
        return refusal(f"I cannot tell which came first: {may}", known)
    in_order = found if later_s > 0 else found[::-1]
    last = not anchor and frame.ordinal < 0
    (row, name, _), (other, other_name, _) = in_order[::-1] if last else in_order
    told = f"{name} comes {'last' if last else 'first'}, at {at(row, moments)}; {other_name} at {at(other, moments)}"
    if abs(later_s) < SAME_S:
        told = f"both at {at(row, moments)}"
    elif anchor:
        is_so = (in_order is found) == (anchor.relation == "before")
        told = f"{'yes' if is_so else 'no'}, {told}"
    return Draft((claim(told, row.observation, other.observation),), 0.8)
