"""What pictures as a whole tell, as rows: their colours, that they change, go dark; and sounds that are not speech."""

from __future__ import annotations

from functools import partial

from reasoning.query.context import Context
from reasoning.query.rows import Row, row_for
from reasoning.query.sightings import BEGAN_S, FRAMES_READ, OBJECTS_READ, Sighting, is_asked, sightings, tells, worn
from reasoning.understand.frame import Frame
from runtime.language import lexicon
from runtime.language.normalise import words
from runtime.messages import FrameFacts, Observation, SoundFacts

# 0..1: a picture below the first is dark, one above the second bright again.
DARK_BELOW, BRIGHT_ABOVE = 0.1, 0.2
SOUNDS_READ = 2000
# A picture this dark shows nothing.
BLACK_BELOW = 0.06


async def changes(frame: Frame, context: Context) -> list[Row]:
    """When the picture changes to another: a row each."""
    frames = await context.scan("frame", limit=FRAMES_READ)
    facts = {o.id: o.facts(FrameFacts) for o in frames}
    if frame.predicate == "change" or frame.reduce != "count":
        cuts = [o for o in frames if facts[o.id].cut and facts[o.id].reason != "first" and o.t0_s > BEGAN_S]
        return [_row(frame, o, "the picture changes", "change") for o in cuts]
    # How many pictures there are: each begins with a change, and a dark one between two is none.
    begun = [o for i, o in enumerate(frames) if i == 0 or facts[o.id].cut]
    lit = [o for o in begun if (brightness := facts[o.id].brightness) is None or brightness >= BLACK_BELOW]
    return [_row(frame, o, "another picture begins", "different") for o in lit]


async def light(frame: Frame, context: Context) -> list[Row]:
    """When the picture goes dark, or becomes bright."""
    wanted = "dark" if "dark" in lexicon.PICTURES.of(frame.text) else "bright"
    rows: list[Row] = []
    was_dark: bool | None = None
    for o in await context.scan("frame", limit=FRAMES_READ):
        brightness = o.facts(FrameFacts).brightness
        if brightness is None:
            continue
        is_dark = brightness < (BRIGHT_ABOVE if was_dark else DARK_BELOW)
        if is_dark != was_dark and is_dark == (wanted == "dark") and (was_dark is not None or is_dark):
            rows.append(_row(frame, o, f"the picture {'goes dark' if is_dark else 'becomes bright'}", wanted))
        was_dark = is_dark
    return rows


async def sounds(frame: Frame, context: Context) -> list[Row]:
    """What was heard that is no speech; only sounds of the class or name asked for, where one is."""
    wanted = set(lexicon.SOUNDS.of(frame.text)) - {"silence"}
    named = [word for word in frame.of("subject") if not lexicon.SOUNDS.of(word)]
    asked = [word for word in frame.of("subject", "predicate") if word in named or lexicon.SOUNDS.of(word)]
    rows = []
    for o in await context.scan("sound", limit=SOUNDS_READ):
        facts = o.facts(SoundFacts)
        labels = [label.lower() for label, _ in facts.labels]
        fits = any(lexicon.is_thing(word, label) or word in label for word in named for label in labels)
        if not (facts.goes_on or facts.kind == "silence" or (wanted and facts.kind not in wanted and not fits)):
            known = set(asked) if fits else set(asked) - set(named) | set(words(o.text))  # "a loud sound"
            rows.append(row_for(asked, known.__contains__, (o,), o.text, "heard"))
    return rows


async def colours(frame: Frame, context: Context) -> list[Row]:
    """The colours of what is asked about, a thing that was recognised or a part of clothes: the value of each row."""
    parts = lexicon.CLOTHES.of(frame.text)
    thing_asked = any(not lexicon.CLOTHES.of(thing) for thing in frame.things)
    found = [s for s in await sightings(context) if is_asked(frame, s.name) or (parts and s.name == "person")]
    if context.bounded and {"enter", "leave"} & set(lexicon.PREDICATES.of(frame.text)):
        came = {o.id for o in await context.scan("object", limit=OBJECTS_READ)}
        found = [s for s in found if s.came.id in came]  # who was there already did not come at that time
    if frame.ordinal > 0 and thing_asked:
        found = found[frame.ordinal - 1 : frame.ordinal]
    if set(frame.of("subject")) & lexicon.SPECIFIC and len(found) > 1:
        return []  # which of them is meant cannot be told
    rows: list[Row] = []
    for s in found if thing_asked or parts else []:
        shown = worn(s.came)
        if value := shown.get(parts[0], "") if parts else next(iter(shown.values()), ""):
            asked = frame.of("subject", "place")
            rows.append(row_for(asked, partial(_has_colour, s), (s.came,), s.came.text, "seen", value=value))
    return rows


def _has_colour(s: Sighting, word: str) -> bool:
    """Whether a word names what has a colour that is known, a thing or clothes and no part of a thing; or is told."""
    return bool(lexicon.THINGS.of(word) or lexicon.KINDS.of(word) or lexicon.CLOTHES.of(word)) or tells(s, s.came, word)


def _row(frame: Frame, o: Observation, told: str, answered: str) -> Row:
    """A change of the picture answers for the words that ask for one, and for no more."""
    known = {*frame.of("predicate"), answered}
    wanted = frame.of("subject", "predicate", "colour")
    return row_for(wanted, lambda word: word in known or lexicon.PICTURES.of(word), (o,), told, "pictured")
