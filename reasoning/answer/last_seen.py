"""Where, or when, something was last seen: the newest sighting with its place and surroundings, or honestly none.

"Where did I leave my keys?" is answered from what was made out in pictures, read and said, whichever is there. What
was only spoken of was not seen, and is told as what somebody said. (TIDEE, arXiv 2207.10761, keeps objects and their
places; here both follow from observations when the question is asked.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from reasoning.answer.draft import Claim, Draft, clause_around, mark, one, quote, refusal, sentence
from reasoning.answer.presence import ABILITY
from reasoning.query.context import Context
from reasoning.query.visual_events import (
    WHICH_PEOPLE,
    about_people,
    about_vehicles,
    asked_stems,
    people,
    vehicle_named,
    vehicles,
)
from reasoning.understand.questions import Question
from reasoning.understand.words import STOP_WORDS, fold, words
from runtime.messages import ObjectFacts, Observation, Sighted, TextFacts

# A place is told where it was seen for so long.
LASTED_S = 2.0
SURROUNDINGS_WORDS = 18
SEEN = ("frame", "object")

_SUBJECT = r"(?:i|you|we|one|anybody|anyone|somebody|someone)"
_THING = r"(?P<thing>.+?)"
_END = r"(?:\s+(?:last|most recently|for the last time|lately|go|gone))?\s*[?.!]*$"
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"^(?:where|when) (?:did|have|has|had) {_SUBJECT} (?:last |most recently )?"
        rf"(?:see|saw|seen|noticed?|leave|left|put|laid|lay|drop|dropped|forget|forgot|lose|lost) {_THING}{_END}",
        rf"^(?:where|when) (?:was|were|is|are) {_THING} (?:last|most recently) (?:seen|noticed|left|put){_END}",
        rf"^(?:where|when) (?:did|have|has) {_THING} (?:last |most recently )?(?:go|gone|been seen|turn up){_END}",
        rf"^(?:where(?:'s| is| are| were) |have you seen |did you see )(?P<thing>my .+?){_END}",
        rf"^when (?:was|is) the last time (?:that )?{_SUBJECT} (?:saw|noticed|left) {_THING}{_END}",
        rf"^(?:find|look for) (?P<thing>my .+?){_END}",
    )
)  # fmt: skip
_WHERE_IS = re.compile(r"^where (?:is|are) (?P<thing>(?:the|a|an|that) (?:\w+ ){0,2}\w+)\s*[?.!]*$", re.IGNORECASE)
_LAST = re.compile(
    r"\b(?:last|most recently|leave|left|put|drop|dropped|forget|forgot|lose|lost|lay|laid|my|go|gone)\b", re.I
)


class Thing(Struct, frozen=True):
    """What is looked for: as a sentence names it ("your blue bag"), and the words that evidence has to hold."""

    named: str
    words: tuple[str, ...]

    @property
    def head(self) -> str:
        """The noun itself: "bag"."""
        return self.words[-1]


def parse_last_seen(text: str) -> Thing | None:
    """The thing a question asks the last sighting of; None if it is no such question. Whoever comes and goes is where
    they were last: "where is the car?" asks that, "where is the sign?" does not."""
    plain = " ".join(text.split())
    comes_and_goes = about_people(plain) or about_vehicles(plain)
    if not _LAST.search(plain) and not comes_and_goes:
        return None
    for pattern in (*_PATTERNS, *((_WHERE_IS,) if comes_and_goes else ())):
        found = pattern.match(plain)
        if found:
            thing = re.sub(r"^(?:the|a|an)\s+", "", found["thing"].strip(" ?.!"), flags=re.IGNORECASE)
            kept = tuple(word for word in words(thing) if word not in STOP_WORDS)
            if not kept or len(kept) > 4:
                return None
            mine = re.match(r"(?:my|our)\s+", thing, re.IGNORECASE)
            bare = thing[mine.end() :] if mine else thing
            owner = "your" if mine else "" if re.match(r"(?:his|her|their|your)\b|[A-Z]", bare) else "the"
            return Thing(f"{owner} {bare}".strip(), kept)
    return None


async def answer_last_tracked(thing: Thing, question: Question, context: Context) -> Draft | None:
    """The newest sighting of a person or a vehicle among what was followed; None where nothing was that may be one.

    A car is not told from other things that roll. It is larger than a bicycle of the same scene, so that where
    something large did, nothing smaller is taken for it.
    """
    vehicle = about_vehicles(question.text)
    came = [s.observation for s in await (vehicles if vehicle else people)(context, question.text)]
    came = [o for o in came if vehicle and o.facts(ObjectFacts).size == "large"] or came
    if not came:
        return None
    left = {
        id_: o for o in await context.scan("object") if o.facts(ObjectFacts).event == "leaves" for id_ in o.evidence
    }
    shown = {id_: frame for frame in await context.frames() for id_ in frame.evidence}
    ends = [(o, left.get(o.id) or shown.get(o.id) or o) for o in came]
    last, end = max(ends, key=lambda seen: (seen[1].t0_s, seen[0].t0_s))
    told = f"{end.text} {mark(end.t0_s)}" if end is left.get(last.id) else f"{last.text} {mark(last.t0_s)}"
    if end is shown.get(last.id) and end is not left.get(last.id):
        told += f", still there at {mark(end.t0_s)}"
    if vehicle:
        text = f"The last I saw that may have been {thing.named}: {told}"
        text += f"; I cannot tell {vehicle_named(vehicle)} from other moving things"
        return one(text, last, end, confidence=0.45)
    which = asked_stems(question.text) & WHICH_PEOPLE
    caveat = "; I cannot tell men, women and children apart" if which else ""
    return one(f"The last person I saw: {told}{caveat}", last, end, confidence=0.45 if which else 0.6)


async def answer_last_seen(thing: Thing, question: Question, context: Context) -> Draft | None:
    """The newest sighting, and what was said of the thing if that is newer or was all there is; None where nothing
    holds the word, so that whoever knows other ways may try them."""
    # Words seen last in any source count, and time words like "last" are part of the question, not of the window.
    found = await context.last_seen(" ".join(thing.words))
    if not found and len(thing.words) > 1:
        return _only_the_like(thing, await context.last_seen(thing.head))
    if not found:
        return None
    seen = next((s for s in found if s.observation.channel in SEEN), None)
    read = next((s for s in found if s.observation.channel == "text"), None)
    said = next((s for s in found if s.observation.channel == "speech"), None)
    claims = []
    if seen is not None:
        claims.append(_seen(thing, seen))
    if read is not None and (seen is None or read.until_s > seen.until_s):
        claims.append(_read(thing, read, is_only=seen is None))
    if said is not None and (not claims or question.kind == "where" or said.until_s > found[0].until_s - LASTED_S):
        claims.append(_said(thing, said, is_only=not claims))
    return Draft(tuple(claims), 0.8 if seen is not None else 0.6)


def nothing_seen(thing: Thing) -> Draft:
    """Neither the thing nor anything of its name was perceived."""
    return refusal(f"I have not seen, read or heard anything of {thing.named}. {ABILITY}, not every thing")


def place_of(observation: Observation) -> str:
    """Where in the picture something was, in words; "" where that is not known."""
    thing = observation.facts(ObjectFacts)
    if (box := thing.box) is not None and thing.event != "leaves":
        x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
        row = "upper " if y < 1 / 3 else "lower " if y > 2 / 3 else ""
        column = "left" if x < 1 / 3 else "right" if x > 2 / 3 else "middle"
        return f"at the {row}{column} of the picture"
    where = observation.facts(TextFacts).region or thing.side
    if not where:
        return ""
    return "in the middle of the picture" if where in ("centre", "center") else f"at the {where} of the picture"


def _seen(thing: Thing, sighted: Sighted) -> Claim:
    o = sighted.observation
    place = place_of(o)
    told = o.text if o.channel == "object" else ""
    text = f"I last saw {thing.named} {mark(sighted.until_s)}"
    text += f", {place}" if place else ""
    text += f": {told}" if told else ""
    around = _around(sighted)
    text += f"; around it: {around}" if around else ""
    cites = [o] + ([sighted.beside] if sighted.beside is not None and sighted.beside.id != o.id else [])
    return Claim(sentence(text), tuple(cites))


def _read(thing: Thing, sighted: Sighted, is_only: bool) -> Claim:
    o = sighted.observation
    place = place_of(o)
    lead = f"I did not see {thing.named} itself, but I read" if is_only else "Later I read"
    text = f"{lead} {quote(clause_around(o.text.replace(' / ', ' ').split(), ()))} {mark(o.t0_s)}"
    cites = [o]
    if sighted.until_s - o.t1_s > LASTED_S and sighted.beside is not None:
        text += f", visible until {mark(sighted.until_s)}"
        cites.append(sighted.beside)
    return Claim(sentence(text + (f", {place}" if place else "")), tuple(cites))


def _said(thing: Thing, sighted: Sighted, is_only: bool) -> Claim:
    o = sighted.observation
    spoken = o.text.split()
    at = [i for i, word in enumerate(spoken) if set(words(word)) & set(thing.words)]
    lead = f"I did not see {thing.named}; somebody said" if is_only else "Somebody said"
    return Claim(sentence(f"{lead} {quote(clause_around(spoken, at))} {mark(o.t0_s)}"), (o,))


def _only_the_like(thing: Thing, found: Sequence[Sighted]) -> Draft | None:
    """ "I saw a bag, but not the blue bag"."""
    if not found:
        return None
    newest = found[0].observation
    verb = {"text": "read of", "speech": "heard of"}.get(newest.channel, "saw")
    told = quote(clause_around(newest.text.replace(" / ", " ").split(), (), SURROUNDINGS_WORDS))
    t_s = found[0].until_s if newest.channel in SEEN else newest.t0_s
    beside = found[0].beside
    cites = (newest,) if beside is None or beside.id == newest.id else (newest, beside)
    claim = Claim(sentence(f"I {verb} {_plural(thing.head)} {mark(t_s)} ({told}), but not {thing.named}"), cites)
    return Draft((claim,), 0.5, abstained=True)


def _around(sighted: Sighted) -> str:
    """What the picture of that moment shows besides."""
    beside = sighted.beside
    if beside is None or not beside.text:
        return ""
    return clause_around(fold(beside.text).split(), (), SURROUNDINGS_WORDS)


def _plural(head: str) -> str:
    return head if head.endswith("s") else f"a {head}" if head[:1] not in "aeiou" else f"an {head}"
