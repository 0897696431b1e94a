"""How many: things and people that were followed, as many as were there at once and as many as came in all."""

from __future__ import annotations

from reasoning.answer.draft import Draft, claim
from reasoning.answer.tell import TOLD
from reasoning.query.context import Context
from reasoning.query.known import Known
from reasoning.query.sightings import FRAMES_READ, at_once, is_asked, row_of, sightings
from reasoning.understand.frame import Frame
from runtime.language import lexicon
from runtime.language.numbers import counted, number_in_words
from runtime.messages import FrameFacts
from runtime.moments import Moments


async def count_things(frame: Frame, context: Context, moments: Moments, known: Known) -> Draft | None:
    """The answer to how many things or people there were at once; None where none was seen, that is not what is
    counted, or nothing active recognises them."""
    if not frame.things or not known.recognises(frame.things[0]) or set(frame.channels) & {"speech", "text"}:
        return None
    if frame.predicate in ("enter", "leave", "pass") or frame.often:
        return None  # each is a row
    name = frame.things[0]
    if any(name in lexicon.THINGS.of(word) for word in frame.of("place")):
        return None  # "how many things are on the table?"
    shown = []
    for o in await context.scan("frame", limit=FRAMES_READ):
        facts = o.facts(FrameFacts)
        named = sum(n for thing, n in facts.things if is_asked(frame, thing))
        shown.append((max(named, facts.people if name == "person" else 0), o))
    if frame.extreme == "least" and shown:
        least, o = min(shown, key=lambda pair: pair[0])
        told = f"{counted(least, name)} at the least, at {moments.at(o.source, o.t0_s)}"
        return Draft((claim(told, o),), 0.6)
    found = [s for s in await sightings(context) if (row := row_of(frame, s)) and not row.missing]
    most, at_s, there = at_once(found)
    cites = [s.came for s in there]
    elsewhere = [w for w in frame.of("place") if not (lexicon.SIDES.of(w) or lexicon.PICTURES.of(w))]
    if name == "person" and shown and not (frame.colours or frame.sides or elsewhere):
        fullest, o = max(shown, key=lambda pair: pair[0])
        if fullest > most:
            most, at_s, cites = fullest, o.t0_s, [o]
    if not most:
        return None
    source = cites[0].source
    begin_s = min((w.t0_s for w in context.stretches if w.source == source and context.bounded), default=0.0)
    total, at = len(found), moments.at(source, max(at_s, begin_s))  # who came before was there then
    claims = [claim(f"{counted(most, name)}{' at once' * (total > most)}, at {at}", *cites[:TOLD])]
    if total > most and not frame.extreme:
        claims.append(claim(f"{number_in_words(total)} in all came into view", found[0].came))
    return Draft(tuple(claims), 0.8)
