"""What colour: only of what it can be tied to.

That is a tracked person's clothes, a moving thing, the picture as a whole or the region where a thing like
the sky always is. For anything else the answer says which colours stand out, and that it cannot tell whose.
"""

from __future__ import annotations

import re

from reasoning.answer.draft import Claim, Draft, join, mark, one, refusal, sentence
from reasoning.answer.words import answer_words
from reasoning.query.context import Context
from reasoning.query.visual_events import (
    CLOTHING,
    LOWER_CLOTHING,
    MOVING,
    SPEAKING,
    WRITING,
    about_vehicles,
    asked_stems,
    clothing,
    moving,
    people,
    side_asked,
    unknown_nouns,
    vehicle_named,
    vehicles,
)
from reasoning.understand.lexicon import COLOURS
from reasoning.understand.questions import Question, noun_phrases
from reasoning.understand.words import words
from runtime.messages import FrameFacts, ObjectFacts, Observation

# Regions of the picture that some things are always in.
_PLACED = {"sky": "top", "ceiling": "top", "ground": "bottom", "floor": "bottom", "road": "bottom", "grass": "bottom"}
_WHOLE = frozenset(("background", "picture", "image", "screen", "scene", "page", "cover", "frame", "slide", "poster"))
# Whoever enters "at 0:42" entered about then.
ENTERED_SLACK_S = 1.0


async def answer_colour(question: Question, context: Context) -> Draft:
    """A colour tied to evidence, or a refusal."""
    asked = asked_stems(question.text)
    if asked & CLOTHING:
        worn = await _clothing(question, context)
        if worn:
            return worn
    vehicle = about_vehicles(question.body)
    if vehicle or asked & MOVING:
        plain = _without_colours(question.text)
        moved = await (vehicles(context, plain) if vehicle else moving(context, plain))
        if moved:
            return _thing(question, [s.observation for s in moved], vehicle)
    frames = await context.frames()
    told = _region_colour(_subject(question), frames)
    if told:
        return told
    if asked & (WRITING | SPEAKING):
        said = await answer_words(question, context)
        if not said.abstained and any(word in COLOURS for word in words(said.text)):
            return said
    about = join(noun_phrases(question.text, unknown_nouns(question.body) or question.strong)[:2]) or "that"
    lead = f"I do not recognise {about}, so I cannot tell the colour"
    middle = frames[len(frames) // 2] if frames else None
    stands_out = _standing_out(middle) if middle else ""
    if not middle or not stands_out:
        return refusal(lead)
    text = f"{lead}; the colours that stand out are {stands_out} {mark(middle.t0_s)}"
    return Draft((Claim(sentence(text), (middle,)),), 0.0, abstained=True)


async def _clothing(question: Question, context: Context) -> Draft | None:
    lower = bool(asked_stems(question.text) & LOWER_CLOTHING)
    part = "bottom" if lower else "top"
    seen = [s.observation for s in await people(context, _without_colours(question.text))]
    time = question.time
    if time.t0_s is not None and time.t1_s is not None:
        # The one who came into view then, not who was there already.
        seen = [o for o in seen if time.t0_s - ENTERED_SLACK_S <= o.t0_s <= time.t1_s + ENTERED_SLACK_S]
        middle_s = (time.t0_s + time.t1_s) / 2
        seen.sort(key=lambda o: abs(o.t0_s - middle_s))
    side = side_asked(question.text)
    seen = [o for o in seen if side and o.facts(ObjectFacts).side == side] or seen
    known = [o for o in seen if clothing(o).get(part) or clothing(o).get("whole")]
    if not known:
        return None
    chosen = known[-1] if time.pick == "last" else known[0]
    colours = {clothing(o).get(part) or clothing(o)["whole"] for o in known}
    # One person, or all alike, or a moment that singles one out: else the wrong one might be meant.
    sure = len(colours) == 1 or time.bounded or bool(time.pick)
    colour = clothing(chosen).get(part) or clothing(chosen)["whole"]
    wear = "trousers or skirt" if lower else "top"
    text = f"The person's {wear} looks {colour}: {chosen.text} {mark(chosen.t0_s)}"
    return one(text, chosen, confidence=0.6 if sure else 0.3)


def _thing(question: Question, found: list[Observation], vehicle: str) -> Draft:
    chosen = found[-1] if question.time.pick == "last" else found[0]
    caveat = f"; I cannot tell {vehicle_named(vehicle)} from other moving things" if vehicle else ""
    sure = len(found) == 1 or bool(question.time.pick) or question.time.bounded
    return one(f"{chosen.text} {mark(chosen.t0_s)}{caveat}", chosen, confidence=0.45 if sure else 0.3)


def _subject(question: Question) -> str:
    """The noun whose colour is asked, when it is a region of the picture or all of it."""
    asked = re.search(
        r"\bcolou?rs? (?:is|are|was|were|of) (?:the |this )?(.+?)"
        r"(?: (?:on|in|at|of|behind|beside|near|that|which)\b|[?.]|$)",
        question.body.lower(),
    )
    nouns = words(asked[1]) if asked else []
    return nouns[-1] if nouns and (nouns[-1] in _PLACED or nouns[-1] in _WHOLE) else ""


def _without_colours(text: str) -> str:
    return " ".join(word for word in text.split() if word.lower().strip("?,.") not in COLOURS)


def _region_colour(noun: str, frames: tuple[Observation, ...]) -> Draft | None:
    if not noun or not frames:
        return None
    region = _PLACED.get(noun, "")
    shown: dict[str, list[Observation]] = {}
    for frame in frames:
        colours = frame.facts(FrameFacts).colours
        regions = frame.facts(FrameFacts).regions or {}
        colour = regions.get(region, "") if region else (colours[0][0] if colours else "")
        if colour:
            shown.setdefault(str(colour), []).append(frame)
    if not shown:
        return None
    colour, showing = max(shown.items(), key=lambda entry: (len(entry[1]), entry[0]))
    where = f"the {region} of the picture, where the {noun} would be," if region else "the picture"
    confidence = 0.35 + 0.3 * len(showing) / len(frames)
    return one(f"{where} is mostly {colour} {mark(showing[0].t0_s)}", showing[0], confidence=confidence)


def _standing_out(frame: Observation) -> str:
    patches = [f"{patch[0]} ({patch[1]})" for patch in (frame.facts(FrameFacts).patches)[:3]]
    return join(patches or [str(entry[0]) for entry in frame.facts(FrameFacts).colours[:3]])
