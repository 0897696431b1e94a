"""Questions about the last answer itself: when that was, what it rests on, what was said."""

from __future__ import annotations

from collections.abc import Sequence

from reasoning.answer.draft import Claim, Draft, claim, refusal
from reasoning.conversation import PastTurn
from reasoning.understand.follow_up import Recalled
from runtime.language.lists import join, quote, sentence
from runtime.messages import Observation, SpeechFacts
from runtime.moments import Moments

_PERCEIVED_BY = {"speech": "heard", "sound": "heard", "text": "read", "correction": "were told"}
QUOTED = ("speech", "text", "correction")
TOLD = 3
LONGEST = 160
SURE = 0.9


def answer_again(asked: Recalled, last: PastTurn, cites: Sequence[Observation], moments: Moments) -> Draft:
    """An answer from the turn before. ``cites`` are the observations it cited, as far as they still exist."""
    if asked.what == "answer":
        return Draft((Claim(last.answer, tuple(cites)),), 1.0, last.abstained)
    if asked.what == "question":
        return Draft((Claim(sentence(f"You asked: {quote(last.asked)}")),))
    if not cites:
        return refusal("I found nothing to go by for my last answer, so I can give neither a time nor a source")
    first = next((o for o in cites if o.channel == "speech"), cites[0]) if asked.what == "who" else cites[0]
    at = moments.at(first.source, first.t0_s)
    if asked.what == "when":
        return Draft((claim(f"that was at {at}", *cites),), SURE)
    if asked.what == "who" and first.channel == "speech":
        if speaker := first.facts(SpeechFacts).speaker:
            return Draft((claim(f"it was {speaker}, at {at}", first),), SURE)
        return refusal("I do not tell voices apart", claim(f"it was said at {at}", first))
    told = [
        f"what I {_PERCEIVED_BY.get(o.channel, 'saw')} at {moments.at(o.source, o.t0_s)}{_content(o)}"
        for o in cites[:TOLD]
    ]
    return Draft((claim(f"I go by {join(told)}", *cites[:TOLD]),), SURE)


def _content(observation: Observation) -> str:
    plain = observation.text.replace(" / ", " ").strip()
    plain = plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}…"
    if not plain:
        return ""
    return f": {quote(plain)}" if observation.channel in QUOTED else f" ({plain})"
