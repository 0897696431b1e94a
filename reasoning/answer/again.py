"""Questions about the last answer itself: when that was, what it rests on, what was said."""

from __future__ import annotations

from collections.abc import Sequence

from reasoning.answer.draft import Claim, Draft, clause_around, join, mark, marks, one, quote, refusal, sentence
from reasoning.conversation import PastTurn
from reasoning.understand.follow_up import Recalled
from runtime.messages import Observation

_PERCEIVED_BY = {
    "speech": "heard",
    "sound": "heard",
    "text": "read",
    "object": "saw",
    "frame": "saw",
    "correction": "were told",
}
QUOTED = ("speech", "text")
TOLD = 3


def answer_again(asked: Recalled, last: PastTurn, cites: Sequence[Observation]) -> Draft:
    """An answer from the turn before. ``cites`` are the observations it cited, as far as they still exist."""
    if asked.what == "answer":
        return Draft((Claim(last.answer, tuple(cites)),), 1.0, last.abstained)
    if asked.what == "question":
        return Draft((Claim(sentence(f"You asked: {quote(last.asked)}")),), 1.0)
    if not cites:
        return refusal("I found nothing to go by for my last answer, so I can give neither a time nor a source")
    if asked.what == "when":
        return one(f"That was at {marks(cites)}", *cites, confidence=0.9)
    told = [f"what I {_PERCEIVED_BY.get(o.channel, 'noticed')} at {mark(o.t0_s)}{_content(o)}" for o in cites[:TOLD]]
    return Draft((Claim(sentence(f"I go by {join(told)}"), tuple(cites[:TOLD])),), 0.9)


def unclear(word: str) -> Draft:
    """What is said to a follow-up that follows nothing."""
    return refusal(f"I am not sure what {quote(word)} refers to: please ask the whole question")


def _content(observation: Observation) -> str:
    plain = clause_around(observation.text.replace(" / ", " ").split(), ())
    if not plain:
        return ""
    return f": {quote(plain)}" if observation.channel in QUOTED else f" ({plain})"
