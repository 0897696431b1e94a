"""How many: things and people that were followed, as many as came in all and as many as were there at once."""

from __future__ import annotations

from reasoning.answer.draft import Draft, claim, refusal
from reasoning.answer.tell import plural
from reasoning.query.context import Context
from reasoning.query.known import Known
from reasoning.query.rows import Row
from reasoning.query.sightings import FRAMES_READ, Sighting, at_once, is_asked, seen_rows, sightings, unplaced
from reasoning.understand.frame import Frame
from runtime.language import lexicon
from runtime.language.lists import join, quote
from runtime.language.numbers import counted, number_in_words
from runtime.messages import FrameFacts, Observation
from runtime.moments import Moments

_CAME = ("enter", "leave", "pass")
LISTED = 4


async def count_things(frame: Frame, context: Context, moments: Moments, known: Known) -> Draft | None:
    """The answer to how many things or people there were; None where that is not what is counted, or nothing active
    recognises them."""
    if not frame.things or not known.recognises(frame.things[0]) or set(frame.channels) & {"speech", "text"}:
        return None
    unsure = await unplaced(frame, context)
    name = frame.things[0]
    placed = {w for w in frame.of("place") if not lexicon.SIDES.of(w) and not lexicon.PICTURES.of(w)}
    names = (name, "people") if name == "person" else (name, plural(name))
    rows = [row for row in await seen_rows(frame, context) if not set(row.missing) - placed]
    ids = {o.id for row in rows for o in row.cites}
    found = [
        s
        for s in await sightings(context)
        if is_asked(frame, s.name) and (s.came.id in ids or (s.left and s.left.id in ids))
    ]
    if frame.extreme == "least":
        return await _least(frame, names, context, moments)
    often = frame.text.lower().startswith(("how often", "how many times", "how frequently"))
    if frame.predicate in _CAME or often:
        return _came(rows, names, frame, moments)
    most, at, there = await _most(frame, found, context)
    if not most:
        return None
    total = len(found)
    claims = [
        claim(
            f"{counted(most, *names)}{' at once' if total > most else ''}, at {moments.at(there[0].source, at)}",
            *there[:LISTED],
        )
    ]
    if total > most and not frame.extreme:
        claims.append(claim(f"{number_in_words(total)} in all came into view", *(s.came for s in found[:1])))
    if unsure:
        return refusal(f"I cannot tell of {join(quote(word) for word in unsure)}", *claims)
    return Draft(tuple(claims), 0.8)


async def _least(frame: Frame, names: tuple[str, str], context: Context, moments: Moments) -> Draft | None:
    """The fewest that a picture shows."""
    frames = await context.scan("frame", limit=FRAMES_READ)
    if not frames or not any(o.facts(FrameFacts).things for o in frames):
        return None
    few = {o.id: sum(n for name, n in o.facts(FrameFacts).things if is_asked(frame, name)) for o in frames}
    fewest = min(frames, key=lambda o: few[o.id])
    at = moments.at(fewest.source, fewest.t0_s)
    return Draft((claim(f"{counted(few[fewest.id], *names)} at the least, at {at}", fewest),), 0.6)


def _came(rows: list[Row], names: tuple[str, str], frame: Frame, moments: Moments) -> Draft | None:
    if not rows:
        return None
    rows = sorted(rows, key=lambda row: row.t_s)
    at = moments.listed([(row.observation.source, row.t_s) for row in rows])
    return Draft((claim(f"{counted(len(rows), *names)}, at {at}", *(row.observation for row in rows[:LISTED])),), 0.8)


async def _most(frame: Frame, found: list[Sighting], context: Context) -> tuple[int, float, list[Observation]]:
    """The most at the same time: of what was followed, or for people of what one picture shows where that is more."""
    most, at_s, there = at_once(found)
    cites = [s.came for s in there]
    if frame.things[0] == "person" and not frame.colours:
        frames = await context.scan("frame", limit=FRAMES_READ)
        fullest = max(frames, key=lambda o: o.facts(FrameFacts).people, default=None)
        if fullest is not None and (shown := fullest.facts(FrameFacts).people) > most:
            return shown, fullest.t0_s, [fullest]
    return most, at_s, cites
