"""What was seen, as rows: things and people that came and went, and what pictures are tagged with.

An observation of the object channel tells that something came or left; the two are one sighting, from when to when it
was there, by what name, in which colours, on which side. What a question says of a thing is compared with that, word by
word, so that "a red car" is not answered by a white one.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from reasoning.query.context import Context
from reasoning.query.rows import SURE, Row
from reasoning.understand.frame import Frame, Term
from runtime.language import lexicon
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
_PEOPLE = ("person", "face")


class Sighting(Struct, frozen=True):
    """Something that was there. ``left`` is its leaving, where it was seen; ``until_s`` the last it was known of."""

    name: str
    came: Observation
    until_s: float
    left: Observation | None = None

    @property
    def t0_s(self) -> float:
        return self.came.t0_s


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
    """The sightings and tags that have something of what the question is about, best first by coverage."""
    found = await sightings(context)
    if frame.reduce == "exists" and at_once([s for s in found if is_asked(frame, s.name)])[0] < frame.ordinal:
        return []  # no third is known where no more than two were there at once
    rows = [row for s in found if (row := _row(frame, s)) is not None]
    return rows + await _tagged(frame, context)


async def unplaced(frame: Frame, context: Context) -> tuple[str, ...]:
    """Words of the question for where something is that nothing seen answers for: "on the grass", "in the wide shot".
    A thing that was seen itself, as the table that bottles stand on, is a place."""
    seen: set[str] = set()
    if places := [w for w in frame.of("place") if not lexicon.SIDES.of(w) and not lexicon.PICTURES.of(w)]:
        seen = {s.name for s in await sightings(context)}
        seen |= {tag for o in await context.scan("frame", limit=FRAMES_READ) for tag, _ in o.facts(FrameFacts).tags}
    return tuple(
        w for w in places if not any(lexicon.is_thing(name, thing) for thing in lexicon.THINGS.of(w) for name in seen)
    )


def is_asked(frame: Frame, name: str) -> bool:
    """Whether a name that something was recognised by is the thing asked about."""
    things = frame.things[:1]
    if not things:
        return True
    return any(
        lexicon.is_thing(name, thing) or lexicon.is_thing(name, lexicon.IMPLIES.get(thing, thing)) for thing in things
    ) or (name == "face" and things[0] == "person")


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


def _row(frame: Frame, s: Sighting) -> Row | None:
    on = s.came.facts(ObjectFacts).on
    if on and frame.reduce == "value" and is_asked(frame, on) and not is_asked(frame, s.name):
        covered = frame.of("subject", "predicate", "place")
        return Row((s.came,), s.came.text, "seen", s.t0_s, covered, (), 1.0, 1.0)  # "what is on the table?"
    if not is_asked(frame, s.name):
        return None
    leaves = frame.predicate == "leave"
    event = s.left if (leaves or frame.predicate == "happen") and s.left is not None else s.came
    wanted = [term for term in frame.terms if term.role in ("subject", "predicate", "colour", "place")]
    covered = tuple(dict.fromkeys(term.word for term in wanted if _covers(frame, s, event, term)))
    needed = [term.word for term in wanted]
    missing = tuple(word for word in dict.fromkeys(needed) if word not in covered)
    if leaves and s.left is None:
        missing = (*missing, *(word for word in frame.of("predicate") if word not in missing))
    share = 1.0 - len(missing) / max(1, len(set(needed))) if needed else 1.0
    cites = (event,) if s.left is None or event is s.came else (event, s.came)
    told = event.text
    if event is s.left and (was := _stood(s)) and was not in words(told):
        told = f"{told} (it was at the {was})"
    until_s = s.until_s if frame.expects == "duration" else None
    return Row(cites, told, "seen", event.t0_s, covered, missing, round(share, 4), round(share, 4), until_s=until_s)


def _stood(s: Sighting) -> str:
    """Where something stood, "" where it came by or moved."""
    facts = s.came.facts(ObjectFacts)
    return facts.place if f"at the {facts.place}" in s.came.text and "moving" not in s.came.text else ""


def _covers(frame: Frame, s: Sighting, event: Observation, term: Term) -> bool:
    """Whether what was seen answers for a word of the question."""
    word = term.word
    colours = worn(s.came)
    if term.role == "place" and not lexicon.colour_of(word):
        # Where in the picture is known, and for some what they stand or ride on; beside what is not.
        on = s.came.facts(ObjectFacts).on
        if on and any(lexicon.is_thing(on, name) for name in lexicon.THINGS.of(word)):
            return True
        return bool(lexicon.SIDES.of(word)) and tells(s, event, word)
    if word in lexicon.SPECIFIC and frame.reduce in ("exists", "count") and word not in words(s.came.text):
        return False
    if (colour := lexicon.colour_of(word)) and term.role == "colour":
        part = next(iter(lexicon.CLOTHES.of(frame.text)), "")
        shown = [colours[part]] if part and part in colours else list(colours.values())
        return any(colour in lexicon.colours_in(named) for named in shown)
    if word in lexicon.ON_FOOT and s.came.facts(ObjectFacts).on:
        return False
    named = lexicon.THINGS.of(word)
    if any(lexicon.is_thing(s.name, name) for name in named) or (named and s.name == "face" and "person" in named):
        return True
    if any(lexicon.is_thing(s.name, lexicon.IMPLIES.get(name, name)) for name in named):
        return True
    if s.name in _PEOPLE and word in ("person", "people", "somebody") and "person" in frame.things:
        return True
    if lexicon.KINDS.of(word) and any(lexicon.is_thing(s.name, kind) for kind in lexicon.KINDS.of(word)):
        return True
    if any(part in colours for part in lexicon.CLOTHES.of(word)):
        return True  # "in a red top": which colour is judged by itself
    if term.role == "predicate":
        return _does(s, frame)
    return tells(s, event, word)


def tells(s: Sighting, event: Observation, word: str) -> bool:
    """Whether what is told of a sighting has a word; of a side, whether it was there, came from it or left by it."""
    if sides := lexicon.SIDES.of(word):
        facts = [o.facts(ObjectFacts) for o in (event, s.came)]
        return any(side in words(f"{of.place} {of.side}") for side in sides for of in facts)
    if number_value(word) is not None:
        return False  # "one of two bottles in view" is one bottle
    return Text(f"{event.text} {s.came.text}").find(word)[0] >= SURE


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
    if predicate == "wear":
        return bool(worn(s.came))
    return predicate in ("enter", "stay", "")


async def _tagged(frame: Frame, context: Context) -> list[Row]:
    """When pictures begin to be tagged with a thing that is asked for."""
    if not frame.things:
        return []
    rows: list[Row] = []
    last_s: dict[tuple[str, str], float] = {}
    for o in await context.scan("frame", limit=FRAMES_READ):
        for tag, score in o.facts(FrameFacts).tags:
            if not is_asked(frame, tag):
                continue
            key = (o.source, tag)
            if o.t0_s - last_s.get(key, -1e9) > TAG_AWAY_S:
                wanted = dict.fromkeys(frame.of("subject", "predicate", "colour"))
                text = Text(f"{tag} {' '.join(lexicon.colours_in(o.text))}")
                covered = tuple(
                    w
                    for w in wanted
                    if text.find(w)[0] >= SURE
                    or any(lexicon.is_thing(tag, n) for n in lexicon.THINGS.of(w))
                    or (w in frame.of("predicate") and frame.predicate in ("enter", "stay", ""))
                )
                missing = tuple(w for w in wanted if w not in covered)
                share = len(covered) / max(1, len(wanted)) if wanted else 1.0
                rows.append(
                    Row(
                        (o,),
                        f"{_article(tag)} is in the picture",
                        "seen",
                        o.t0_s,
                        covered,
                        missing,
                        share,
                        share * score,
                    )
                )
            last_s[key] = o.t0_s
    return rows


def _article(name: str) -> str:
    first = words(name)[:1]
    return f"{'an' if first and first[0][0] in 'aeiou' else 'a'} {name}"
