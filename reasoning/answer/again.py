"""Questions about the last answer itself: when that was, what it rests on, what was said."""

from __future__ import annotations

from collections.abc import Sequence

from reasoning.answer.draft import Claim, Draft, claim, one, refusal
from reasoning.conversation import PastTurn
from reasoning.understand.follow_up import Recalled
from runtime.language.lists import join, quote, sentence
from runtime.messages import Observation, SpeechFacts
from runtime.moments import Moments

_PERCEIVED_BY = {"speech": "heard", "sound": "heard", "text": "read", "correction": "were told"}
QUOTED = ("speech", "text", "correction")
TOLD = 3
LONGEST = 160


def answer_again(asked: Recalled, last: PastTurn, cites: Sequence[Observation], moments: Moments) -> Draft:
    """An answer from the turn before. ``cites`` are the observations it cited, as far as they still exist."""
    if asked.what == "answer":
        return Draft((Claim(last.answer, tuple(cites)),), 1.0, last.abstained)
    if asked.what == "question":
        return Draft((Claim(sentence(f"You asked: {quote(last.asked)}")),), 1.0)
    if not cites:
        return refusal("I found nothing to go by for my last answer, so I can give neither a time nor a source")
    if asked.what == "when":
        return one(f"that was at {moments.at(cites[0].source, cites[0].t0_s)}", *cites, confidence=0.9)
    if asked.what == "who" and (said := [o for o in cites if o.channel == "speech"]):
        at = moments.at(said[0].source, said[0].t0_s)
        if speaker := said[0].facts(SpeechFacts).speaker:
            return one(f"it was {speaker}, at {at}", *said[:1], confidence=0.9)
        return refusal("I do not tell voices apart", claim(f"it was said at {at}", *said[:1]))
    told = [
        f"what I {_PERCEIVED_BY.get(o.channel, 'saw')} at {moments.at(o.source, o.t0_s)}{_content(o)}"
        for o in cites[:TOLD]
    ]
    return Draft((claim(f"I go by {join(told)}", *cites[:TOLD]),), 0.9)


def _content(observation: Observation) -> str:
    plain = observation.text.replace(" / ", " ").strip()
    plain = plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}…"
    if not plain:
        return ""
    return f": {quote(plain)}" if observation.channel in QUOTED else f" ({plain})"
