"""What tracked people wear, where they come from, which way they go and how long they stay."""

from __future__ import annotations

from reasoning.context import Context
from reasoning.draft import Draft, mark, one, unique
from reasoning.questions import Question
from reasoning.sights import (
    WHICH_PEOPLE,
    Sighting,
    about_people,
    asked_stems,
    clothing,
    event_asked,
    people,
    unknown_nouns,
)
from reasoning.words import stem, words
from runtime.messages import Observation

TOLD = 2
_WEAR = frozenset(map(stem, ("wear", "dressed")))
_WAY = frozenset(map(stem, ("side", "direction", "way", "where")))
# What is worn there is smaller than the colours of a figure tell.
_NOT_TOLD = frozenset(("face", "head", "hand", "hands", "feet", "neck"))


async def answer_people(question: Question, context: Context) -> Draft | None:
    """What is asked of the people who fit; None if it is something else, or nobody fits."""
    asked = asked_stems(question.text)
    if not about_people(question.text) or unknown_nouns(question.body) or _NOT_TOLD & set(words(question.text)):
        return None
    if question.expects == "duration":
        return _told(await people(context, question.body, "leaves"), asked)
    if asked & _WEAR:
        dressed = [s for s in await _there(question, context) if clothing(s.observation)]
        return _told(dressed, asked)
    if asked & _WAY:
        return _told(await people(context, question.body, event_asked(question.text)), asked)
    return None


async def _there(question: Question, context: Context) -> list[Sighting]:
    """The people who come within the window, else those who are still there then."""
    come = await people(context, question.body)
    if come or context.t0_s is None or context.t1_s is None:
        return come
    begin_s, end_s = context.t0_s, context.t1_s
    whole = context.within(None, None)
    gone = {_track(s.observation): s.t0_s for s in await people(whole, question.body, "leaves")}
    before = [s for s in await people(whole, question.body) if s.t0_s <= end_s]
    return [s for s in before if gone.get(_track(s.observation), begin_s) >= begin_s][-TOLD:]


def _track(observation: Observation) -> tuple[str, object]:
    return observation.source, observation.data.get("track")


def _told(found: list[Sighting], asked: frozenset[str]) -> Draft | None:
    if not found:
        return None
    shown = found[:TOLD]
    caveat = "; I cannot tell men, women and children apart" if asked & WHICH_PEOPLE else ""
    text = "; ".join(f"{s.said} {mark(s.t0_s)}" for s in shown) + caveat
    return one(text, *unique(s.observation for s in shown), confidence=0.5)
