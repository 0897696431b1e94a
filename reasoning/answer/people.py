"""What tracked people wear, where they come from, which way they go and how long they stay."""

from __future__ import annotations

import re

from reasoning.answer.draft import Claim, Draft, mark, one, refusal, sentence, unique
from reasoning.query.context import Context
from reasoning.query.visual_events import (
    SPEAKING,
    WHICH_PEOPLE,
    VisualEvent,
    about_people,
    asked_stems,
    clothing,
    event_asked,
    people,
    people_in,
    prominent,
    unknown_nouns,
)
from reasoning.understand.questions import Question
from reasoning.understand.words import number_in_words, stem, words
from runtime.messages import ObjectFacts, Observation

TOLD = 2
_WEAR = frozenset(map(stem, ("wear", "dressed")))
# "Tell me about the woman", as `reasoning.understand.wording` puts it.
_OPEN = re.compile(r"what is there about\b")
_DOING = re.compile(r"\bwhat (?:is|are|was|were|does|did|do)\b.+\b(?:doing|do)\b")
_WAY = frozenset(map(stem, ("side", "direction", "way", "where")))
# What is worn there is smaller than the colours of a figure tell.
_NOT_TOLD = frozenset(("face", "head", "hand", "hands", "feet", "neck"))


async def answer_people(question: Question, context: Context) -> Draft | None:
    """What is asked of the people who fit; None if it is something else, or nobody fits."""
    asked = asked_stems(question.text)
    if question.kind == "who" and not question.strong and not question.expects and not unknown_nouns(question.body):
        return await (_speakers if asked & SPEAKING else _anybody)(question, context)
    if not about_people(question.text) or unknown_nouns(question.body) or _NOT_TOLD & set(words(question.text)):
        return None
    if question.expects == "duration":
        return _told(await people(context, question.body, "leaves"), asked)
    if asked & _WEAR:
        dressed = [s for s in await _there(question, context) if clothing(s.observation)]
        return _told(dressed, asked)
    if asked & _WAY:
        return _told(await people(context, question.body, event_asked(question.text)), asked)
    if _DOING.search(question.text.lower()):
        return _told(await _there(question, context), asked)
    if _OPEN.match(question.text.lower()):
        return await _anybody(question, context)
    return None


async def _speakers(question: Question, context: Context) -> Draft | None:
    """That somebody speaks, and when: who it is no voice tells."""
    spoken = await context.scan("speech")
    if not spoken:
        return None
    chosen = spoken[-1] if question.time.pick == "last" else spoken[0]
    text = f"Somebody speaks from {mark(chosen.t0_s)} on; I cannot tell voices apart, so I cannot say who"
    return Draft((Claim(sentence(text), (chosen,)),), 0.0, abstained=True)


async def _anybody(question: Question, context: Context) -> Draft | None:
    """Who is to be seen: people as they look, by name nobody."""
    seen = await people(context, question.body, event_asked(question.text))
    if not seen:
        frames = await context.frames()
        best = max(frames, key=people_in, default=None)
        if best is None or not prominent(frames, max(1, people_in(best))):
            return refusal("I made out no people; I recognise frontal faces, and people who move before a still camera")
        number = people_in(best)
        named = f"{number_in_words(number)} {'person' if number == 1 else 'people'}"
        seen = [VisualEvent(best.t0_s, best, f"I see {named}")]
    shown = seen[-1:] if question.time.pick == "last" else seen[:TOLD]
    left = len(seen) - len(shown)
    more = f"; {number_in_words(left)} more later" if left > 0 and not question.time.pick else ""
    told = "; ".join(f"{s.said} {mark(s.t0_s)}" for s in shown)
    text = f"{told}{more}; who it is I cannot tell"
    return one(text, *unique(s.observation for s in shown), confidence=0.5)


async def _there(question: Question, context: Context) -> list[VisualEvent]:
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
    return observation.source, observation.facts(ObjectFacts).track


def _told(found: list[VisualEvent], asked: frozenset[str]) -> Draft | None:
    if not found:
        return None
    shown = found[:TOLD]
    caveat = "; I cannot tell men, women and children apart" if asked & WHICH_PEOPLE else ""
    text = "; ".join(f"{s.said} {mark(s.t0_s)}" for s in shown) + caveat
    return one(text, *unique(s.observation for s in shown), confidence=0.5)
