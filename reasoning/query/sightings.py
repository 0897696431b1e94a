"""What was seen, as rows: things and people that came and went, and what pictures are tagged with.

An observation of the object channel tells that something came or left; the two are one sighting, from when to when it
was there, by what name, in which colours, on which side. What a question says of a thing is compared with that, word by
word, so that "a red car" is not answered by a white one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from reasoning.query.context import Context
from reasoning.query.rows import SURE, Row, row_for
from reasoning.understand.frame import Frame
from runtime.language import lexicon
from runtime.language.lists import with_article
from runtime.language.match import Text
from runtime.language.normalise import words
from runtime.language.numbers import number_value
from runtime.messages import FrameFacts, ObjectFacts, Observation

OBJECTS_READ = 4000
FRAMES_READ = 4000
UNKNOWN = "moving"
# What is there when a source begins did not come in.
BEGAN_S = 0.5
# A tag that is seen again within this time has not been away.
TAG_AWAY_S = 12.0


class Sighting(Struct, frozen=True):
    """Something that was there. ``left`` is its leaving, where it was seen; ``until_s`` the last it was known of."""

    name: str
    came: Observation
    until_s: float
    left: Observation | None = None

    @property
    def t0_s(self) -> float:
        return self.came.t0_s

    @property
    def told(self) -> str:
        """What is told of its coming; of a tag, that it is there."""
        return self.came.text if self.came.channel == "object" else f"{with_article(self.name)} is in the picture"


def name_of(o: Observation) -> str:
    """What a thing was recognised as: a name of the vocabulary, "person", "face", or "moving"."""
    facts = o.facts(ObjectFacts)
    return facts.label or facts.kind


def worn(o: Observation) -> dict[str, str]:
    """The colours of a thing by its parts; of one without parts under ""."""
    colours = o.facts(ObjectFacts).colours
    if isinstance(colours, dict):
        return dict(colours)
    return {"": colours[0]} if colours else {}


async def sightings(context: Context) -> list[Sighting]:
    """Everything that came into view in the window, in order of time; faces only where no figure is followed."""
    seen = list(await context.scan("object", limit=OBJECTS_READ))
    if context.bounded:  # what came before it and is still there
        shown = {e for o in await context.scan("frame", limit=FRAMES_READ) for e in o.evidence if "/object/" in e}
        seen = [*(o for o in await context.by_id(shown - {o.id for o in seen})), *seen]
    gone = {o.evidence[0]: o for o in seen if o.facts(ObjectFacts).event == "leaves" and o.evidence}
    found = []
    for o in seen:
        if o.facts(ObjectFacts).event != "appears":
            continue
        left = gone.get(o.id)
        until_s = left.t0_s if left is not None else max(o.t1_s, context.view.limits.get(o.source, o.t1_s))
        found.append(Sighting(name_of(o), o, until_s, left))
    figures = {s.came.source for s in found if s.name == "person"}
    return [s for s in found if s.name != "face" or s.came.source not in figures]


async def seen_rows(frame: Frame, context: Context) -> list[Row]:
    """The sightings and tags that have something of what the question is about."""
    found = await sightings(context)
    if frame.reduce == "exists" and at_once([s for s in found if is_asked(frame, s.name)])[0] < frame.ordinal:
        return []  # no third is known where no more than two were there at once
    return [row for s in (*found, *await _tags(frame, context)) if (row := row_of(frame, s)) is not None]


async def _tags(frame: Frame, context: Context) -> list[Sighting]:
    """What is asked for, where pictures begin to be tagged with it."""
    found: list[Sighting] = []
    last_s: dict[tuple[str, str], float] = {}
    for o in await context.scan("frame", limit=FRAMES_READ) if frame.things else ():
        for tag in (tag for tag, _ in o.facts(FrameFacts).tags if is_asked(frame, tag)):
            if o.t0_s - last_s.get((o.source, tag), -math.inf) > TAG_AWAY_S:
                found.append(Sighting(tag, o, o.t1_s))
            last_s[o.source, tag] = o.t0_s
    return found


def is_asked(frame: Frame, name: str) -> bool:
    """Whether a name that something was recognised by is the thing asked about."""
    asked = lexicon.PERSON if frame.expects == "name" and not frame.of("head") else next(iter(frame.things), "")
    return not asked or _is(name, asked)


def _is(name: str, thing: str) -> bool:
    """Whether what was recognised as ``name`` is the ``thing``, or what it is known by: somebody by the face."""
    known = (thing, lexicon.IMPLIES.get(thing, thing))
    return any(lexicon.is_thing(name, by) for by in known) or (name, thing) == ("face", "person")


def at_once(found: Sequence[Sighting]) -> tuple[int, float, list[Sighting]]:
    """The most that were there at the same time, when that began, and which."""
    best: tuple[int, float, list[Sighting]] = (0, 0.0, [])
    for s in found:
        there = [
            o for o in found if o.came.source == s.came.source and o.t0_s <= s.t0_s < max(o.until_s, o.t0_s + 0.001)
        ]
        if len(there) > best[0]:
            best = (len(there), s.t0_s, there)
    return best


def row_of(frame: Frame, s: Sighting) -> Row | None:
    """A sighting as evidence; None where it is of something else."""
    on = s.came.facts(ObjectFacts).on
    if not is_asked(frame, s.name):
        if not (on and frame.reduce == "value" and is_asked(frame, on)):
            return None
        # What is on the thing that is asked about answers for all words that say so.
        return row_for(frame.of("subject", "predicate", "place"), bool, (s.came,), s.told, "seen", value=s.name)
    event = s.left if frame.predicate in ("leave", "happen") and s.left is not None else s.came
    told = s.told if event is s.came else event.text
    if event is s.left and (was := _stood(s)) and was not in words(told):
        told = f"{told} (it was at the {was})"
    return row_for(
        frame.of("subject", "predicate", "colour", "place"),
        lambda word: _answers(frame, s, event, word),
        (event,) if s.left is None or event is s.came else (event, s.came),
        told,
        "seen",
        value=s.name,
        until_s=s.until_s if frame.expects == "duration" else None,
    )


def _stood(s: Sighting) -> str:
    """Where something stood, "" where it came by or moved."""
    facts = s.came.facts(ObjectFacts)
    return facts.place if f"at the {facts.place}" in s.came.text and "moving" not in s.came.text else ""


def _answers(frame: Frame, s: Sighting, event: Observation, word: str) -> bool:
    """Whether what was seen answers for a word of the question."""
    roles = {term.role for term in frame.terms if term.word == word}
    colours, on = worn(s.came), s.came.facts(ObjectFacts).on
    named, colour = lexicon.THINGS.of(word), lexicon.colour_of(word)
    if word in lexicon.ON_FOOT and (on or roles == {"place"}):
        return not on  # "on foot" is no place, and who rides does not walk
    if roles == {"place"} and not colour:
        # Where in the picture is known, and for some what they stand or ride on; beside what is not.
        return bool(on and any(_is(on, name) for name in named)) or (
            bool(lexicon.SIDES.of(word)) and tells(s, event, word)
        )
    if word in lexicon.SPECIFIC and frame.reduce in ("exists", "count") and word not in words(s.told):
        return False
    if colour and "colour" in roles:
        part = next(iter(lexicon.CLOTHES.of(frame.text)), "")
        shown = [colours[part]] if part and part in colours else list(colours.values())
        return any(colour in lexicon.colours_in(told) for told in shown)
    if any(_is(s.name, name) for name in (*named, *lexicon.KINDS.of(word))):
        return True
    if any(part in colours for part in lexicon.CLOTHES.of(word)):
        return True  # "in a red top": which colour is judged by itself
    return _does(s, frame) if "predicate" in roles else tells(s, event, word)


def tells(s: Sighting, event: Observation, word: str) -> bool:
    """Whether what is told of a sighting has a word; of a side, whether it was there, came from it or left by it."""
    if sides := lexicon.SIDES.of(word):
        facts = [o.facts(ObjectFacts) for o in (event, s.came)]
        return any(side in words(f"{of.place} {of.side}") for side in sides for of in facts)
    if number_value(word) is not None:
        return False  # "one of two bottles in view" is one bottle
    return Text(s.told if event is s.came else f"{event.text} {s.told}").find(word)[0] >= SURE


def _does(s: Sighting, frame: Frame) -> bool:
    predicate = frame.predicate
    if predicate == "enter" and frame.reduce in ("count", "last") and s.t0_s <= BEGAN_S:
        return False
    if predicate == "leave":
        return s.left is not None
    if s.name == "face" and predicate in ("enter", "pass", "move"):
        return False  # a face comes with a change of the picture, or turns to it
    if predicate in ("pass", "move"):
        return bool(s.came.facts(ObjectFacts).direction) or s.left is not None
    return predicate in ("enter", "stay", "") or (predicate == "wear" and bool(worn(s.came)))
