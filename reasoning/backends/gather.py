"""The evidence a model is shown for a question, gathered through the View: what fits, what is beside it, pictures.

A model that sees looks for itself, so what pictures are described by, their colours, is neither sought nor told to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio
from msgspec import Struct

from reasoning.backends.chosen_pictures import WHOLE_S, choose_pictures
from reasoning.backends.told import beside_pictures, uncoloured
from reasoning.query.context import Context
from reasoning.understand.frame import Frame
from runtime.messages import DESCRIPTIONS, EVIDENCE_CHANNELS, DerivedFacts, ObjectFacts, Observation, Span, TimeWindow

# Beside the best hits: the asked detail is often in the next utterance.
NEIGHBOURS_OF = 6
NEIGHBOURS_S = 12.0
NEIGHBOUR_SCORE = 0.5
# Of a stretch as short as this all that was said and read is told where there is room: words may miss what was meant.
WHOLE_ROWS = 80
WHOLE_SCORE = 0.3
# "Now" is the last seconds, of which the newest frames are looked at.
NOW_S = 20.0
NOW_FRAMES = 2
EVENTS = 200
# A reader of a whole day needs the episodes; of an hour, the events.
EPISODES_FROM_S = 3600.0
# Things that move and have no name mislead more than they tell: so many at most, of what is alike one.
UNNAMED = 2
UNNAMED_SCORE = 0.2
_WITH_THE_SHOT = "as the picture changes"
_SEEN_FOR_ITSELF = tuple(channel for channel in EVIDENCE_CHANNELS if channel != "frame")


class Gathered(Struct, frozen=True):
    """What could be shown: observations with their scores (0..1), spans for an overview, and frames to look at.

    keyframes of the spans, by id.
    again     by id, when else the same was observed.
    now_s     of a question about now: when that is. ``paused``: that watching is paused, in a sentence.
    """

    scored: tuple[tuple[Observation, float], ...]
    spans: tuple[Span, ...] = ()
    frames: tuple[Observation, ...] = ()
    keyframes: dict[str, Observation] = {}
    again: dict[str, tuple[float, ...]] = {}
    now_s: float | None = None
    paused: str = ""


async def gather_evidence(frame: Frame, context: Context, pictures: int) -> Gathered:
    """What memory holds for the question, and up to ``pictures`` frames with their JPEGs; 0 for a model that is
    blind."""
    if frame.is_now:
        return await _gather_now(context, pictures)
    recalled = await context.recall(frame.query or frame.text, _SEEN_FOR_ITSELF if pictures else ())
    hits = [hit for hit in recalled if is_of_world(hit.observation)]
    best = max((hit.score for hit in hits), default=0.0) or 1.0
    scores = {hit.observation.id: hit.score / best for hit in hits}
    found = {hit.observation.id: hit.observation for hit in hits}
    spans: list[Span] = []
    near: list[Observation] = []
    wholly: list[Observation] = []
    frames: list[Observation] = []

    async def look_beside() -> None:
        windows = [
            TimeWindow(source=o.source, t0_s=o.t0_s - NEIGHBOURS_S, t1_s=o.t1_s + NEIGHBOURS_S)
            for o in (hit.observation for hit in hits[:NEIGHBOURS_OF])
        ]
        near.extend(await context.scan_windows(windows, "speech", "text", "object", "derived", limit=20))

    short = sum(w.t1_s - w.t0_s for w in context.stretches) <= WHOLE_S

    async def read_whole() -> None:
        wholly.extend(await context.scan("speech", "text", "derived", limit=WHOLE_ROWS))

    async def look_over() -> None:
        found_spans = await _overview(context)
        spans.extend(beside_pictures(found_spans) if pictures else found_spans)

    async def look_at() -> None:
        beside = [hit.observation for hit in hits]
        if pictures and await _knows_pictures(context):
            beside = [hit.observation for hit in await context.recall(frame.text, ("frame",), pictures)] + beside
        frames.extend(await choose_pictures(context, beside, pictures))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look_beside)
        if short:
            tasks.start_soon(read_whole)
        elif frame.reduce == "summary" or not hits:
            tasks.start_soon(look_over)
        if pictures:
            tasks.start_soon(look_at)
    for o, score in (*((o, NEIGHBOUR_SCORE) for o in near), *((o, WHOLE_SCORE) for o in wholly)):
        if o.id not in found and is_of_world(o):
            found[o.id], scores[o.id] = o, score
    told = [uncoloured(o) for o in found.values() if not is_cut_off(o)] if pictures else list(found.values())
    kept, again = fold(told, scores)
    keyframes = {o.id: o for o in await context.by_id(span.keyframe for span in spans if span.keyframe)}
    return Gathered(tuple((o, scores[o.id]) for o in kept), tuple(spans), tuple(frames), keyframes, again)


def fold(
    observations: Sequence[Observation], scores: dict[str, float]
) -> tuple[list[Observation], dict[str, tuple[float, ...]]]:
    """Of things that were seen and sounds that are told alike the one that fits best, with when the others were; few of
    those without a name."""
    kept: dict[tuple[str, str, str], Observation] = {}
    others: dict[tuple[str, str, str], list[float]] = {}
    rest: list[Observation] = []
    for o in sorted(observations, key=lambda o: (-scores[o.id], o.t0_s, o.id)):
        if o.channel not in ("object", "sound"):
            rest.append(o)
            continue
        key: tuple[str, str, str] = (o.source, o.channel, o.text)
        if key in kept:
            others.setdefault(key, []).append(o.t0_s)
        else:
            kept[key] = o
    nameless = [key for key, o in kept.items() if _is_nameless(o)]
    for key in nameless[UNNAMED:]:
        del kept[key]
    for key in nameless[:UNNAMED]:
        scores[kept[key].id] = min(scores[kept[key].id], UNNAMED_SCORE)
    again = {o.id: tuple(sorted(others[key])) for key, o in kept.items() if key in others}
    return [*rest, *kept.values()], again


def is_of_world(o: Observation) -> bool:
    """Whether it tells of what was perceived, and not of what was asked and told before."""
    return o.channel != "derived" or o.facts(DerivedFacts).kind in DESCRIPTIONS


def is_cut_off(o: Observation) -> bool:
    """Whether it tells only that a thing went with the shot it was in."""
    return o.channel == "object" and _WITH_THE_SHOT in o.text


def _is_nameless(o: Observation) -> bool:
    facts = o.facts(ObjectFacts)
    return o.channel == "object" and facts.kind == "moving" and not facts.label


async def _knows_pictures(context: Context) -> bool:
    """Whether pictures are found by what they show, and not by their colours alone."""
    return any(r.encoders.get("frame", "layout") not in ("", "layout") for r in await context.records())


async def _gather_now(context: Context, pictures: int) -> Gathered:
    """What every live source shows at this moment, else the newest pictures that are kept, and the last seconds."""
    shown = await context.present.look() if context.present else ()
    live = tuple(context.present.frames.values())[:pictures] if context.present else ()
    now_s = max([context.view.as_of_s, *(reply.now_s for reply in shown)])
    kept: list[Observation] = []
    for source in [reply.source for reply in shown if not reply.jpeg] or ([] if live else [context.source]):
        kept += await context.of(source).freshest_frames(min(pictures - len(live) - len(kept), NOW_FRAMES))
    around = context.of("") if len(shown) > 1 else context
    channels = _SEEN_FOR_ITSELF if pictures else EVIDENCE_CHANNELS
    lately = around.within(context.view.as_of_s - NOW_S, around.t1_s)
    recent = await lately.scan(*channels, newest_first=True, limit=60)
    if all(o.channel == "gap" for o in recent):  # nothing is watched; what was there last is better than nothing
        before = tuple(channel for channel in channels if channel != "gap")
        recent += await around.scan(*before, newest_first=True, limit=20)
    recent = tuple(o for o in recent if is_of_world(o))
    scores = {o.id: max(0.05, 1.0 - (now_s - o.t1_s) / NOW_S) for o in recent}
    told, again = fold([uncoloured(o) for o in recent] if pictures else recent, scores)
    paused = await context.present.told_of_pause() if context.present else ""
    return Gathered(tuple((o, scores[o.id]) for o in told), (), (*kept, *live), {}, again, now_s, paused)


async def _overview(context: Context) -> tuple[Span, ...]:
    end_s = context.view.as_of_s if context.t1_s is None else context.t1_s
    long_s = sum(w.t1_s - w.t0_s for w in context.windows) if context.windows else end_s - (context.t0_s or 0.0)
    return await context.spans("episode" if long_s > EPISODES_FROM_S else "event", EVENTS)
