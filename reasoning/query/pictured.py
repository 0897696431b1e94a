"""What pictures as a whole tell, as rows: their colours, that they change, go dark; and sounds that are not speech."""

from __future__ import annotations

from reasoning.query.context import Context
from reasoning.query.rows import Row
from reasoning.query.sightings import FRAMES_READ, OBJECTS_READ, is_asked, sightings, tells, worn
from reasoning.understand.frame import Frame
from runtime.language import lexicon
from runtime.messages import FrameFacts, Observation, SoundFacts

# 0..1: a picture below the first is dark, one above the second bright again.
DARK_BELOW, BRIGHT_ABOVE = 0.1, 0.2
SOUNDS_READ = 2000
# A picture this dark shows nothing.
BLACK_BELOW = 0.06


async def changes(frame: Frame, context: Context) -> list[Row]:
    """When the picture changes to another: a row each."""
    frames = await context.scan("frame", limit=FRAMES_READ)
    if frame.predicate == "change" or frame.reduce != "count":
        return [
            _row(frame, o, "the picture changes", ("change",))
            for o in frames
            if o.facts(FrameFacts).cut and o.facts(FrameFacts).reason != "first" and o.t0_s > 0.5
        ]
    # How many pictures there are: each begins with a change, and a dark one between two is none.
    begun = [o for i, o in enumerate(frames) if i == 0 or o.facts(FrameFacts).cut]
    return [_row(frame, o, "another picture begins", ("different",)) for o in begun if not _is_dark(o)]


def _is_dark(o: Observation) -> bool:
    brightness = o.facts(FrameFacts).brightness
    return brightness is not None and brightness < BLACK_BELOW


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
            rows.append(_row(frame, o, f"the picture {'goes dark' if is_dark else 'becomes bright'}", (wanted,)))
        was_dark = is_dark
    return rows


async def sounds(frame: Frame, context: Context) -> list[Row]:
    """What was heard that is no speech; only sounds of the class or name asked for, where one is."""
    wanted = set(lexicon.SOUNDS.of(frame.text)) - {"silence"}
    named = [word for word in frame.of("subject") if not lexicon.SOUNDS.of(word)]
    rows = []
    for o in await context.scan("sound", limit=SOUNDS_READ):
        facts = o.facts(SoundFacts)
        labels = [label for label, _ in facts.labels]
        fits = any(lexicon.is_thing(word, label.lower()) or word in label.lower() for word in named for label in labels)
        if facts.goes_on or facts.kind == "silence" or (wanted and facts.kind not in wanted and not fits):
            continue
        covered = tuple(w for w in frame.of("subject", "predicate") if lexicon.SOUNDS.of(w) or fits)
        missing = tuple(w for w in named if not fits)
        rows.append(Row((o,), o.text, "heard", o.t0_s, covered, missing, 0.0 if missing else 1.0, 1.0))
    return rows


async def colours(frame: Frame, context: Context) -> list[Row]:
    """The colours of what is asked about, a thing that was recognised or a part of clothes: the value of each row."""
    rows: list[Row] = []
    parts = lexicon.CLOTHES.of(frame.text)
    thing_asked = bool([t for t in frame.things if not lexicon.CLOTHES.of(t)])
    found = [s for s in await sightings(context) if is_asked(frame, s.name) or (parts and s.name == "person")]
    if context.bounded and {"enter", "leave"} & set(lexicon.PREDICATES.of(frame.text)):
        came = {o.id for o in await context.scan("object", limit=OBJECTS_READ)}
        found = [s for s in found if s.came.id in came]  # who was there already did not come at that time
    if frame.ordinal > 0 and thing_asked:
        found = found[frame.ordinal - 1 : frame.ordinal]
    if set(frame.of("subject")) & lexicon.SPECIFIC and len(found) > 1:
        return []  # which of them is meant cannot be told
    for s in found if thing_asked or parts else []:
        shown = worn(s.came)
        value = shown.get(parts[0], "") if parts else next(iter(shown.values()), "")
        if value:
            asked = frame.of("subject", "place")
            missing = tuple(w for w in asked if not _named(w) and not tells(s, s.came, w))
            covered = tuple(w for w in asked if w not in missing)
            share = len(covered) / max(1, len(asked))
            rows.append(Row((s.came,), s.came.text, "seen", s.t0_s, covered, missing, share, share, value))
    return rows


def _named(word: str) -> bool:
    """Whether a word names what has a colour that is known: a thing, or clothes; not a part of a thing."""
    return bool(lexicon.THINGS.of(word) or lexicon.KINDS.of(word) or lexicon.CLOTHES.of(word))


def _row(frame: Frame, o: Observation, told: str, covers: tuple[str, ...]) -> Row:
    """A change of the picture answers for the words that ask for one, and for no more."""
    wanted = frame.of("subject", "predicate", "colour")
    covered = tuple(w for w in wanted if w in frame.of("predicate") or lexicon.PICTURES.of(w) or w in covers)
    missing = tuple(w for w in wanted if w not in covered)
    share = 1.0 - len(missing) / max(1, len(wanted))
    return Row((o,), told, "pictured", o.t0_s, covered, missing, share, share)
