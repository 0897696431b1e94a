"""Which pictures a model is shown with a question: beside what fits, and spread over the time it is about.

The first and the last picture of that time are always among them: what somebody asks about is often how it began or
ended, and words seldom lead there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reasoning.query.context import Context
from runtime.messages import FrameFacts, Observation, TimeWindow

# Of a stretch as short as this all frames are known, and the best are taken; of a longer one those near even steps.
WHOLE_S = 180.0
FRAMES_READ = 600
# Beside what fits: this share of the pictures, as even steps through a long time rarely meet what is asked.
SHARE_BESIDE, LONG_SHARE_BESIDE = 0.4, 0.7
# Two pictures nearer than this show the same.
APART_S = 1.5


async def choose_pictures(context: Context, beside: Sequence[Observation], most: int) -> tuple[Observation, ...]:
    """Up to ``most`` frames with pictures, in the order of time. ``beside``: what fits the question, best first."""
    stretches = context.stretches
    long_s = sum(w.t1_s - w.t0_s for w in stretches)
    whole = long_s <= WHOLE_S
    wanted: list[tuple[str, float]] = []
    for o in beside:
        if len(wanted) >= most * (SHARE_BESIDE if whole else LONG_SHARE_BESIDE):
            break
        if all(o.source != source or abs(o.t0_s - t_s) >= APART_S for source, t_s in wanted):
            wanted.append((o.source, o.t0_s))
    if not whole:
        steps = spread(stretches, most - len(wanted))
        return await _kept(context, (await context.frames_at([*wanted, *steps], seconds=False))[:most])
    frames = await context.scan_windows(stretches, "frame", limit=FRAMES_READ)
    if not frames:  # a moment between two of them
        middles = [(w.source, (w.t0_s + w.t1_s) / 2) for w in stretches]
        return await _kept(context, await context.frames_at(middles[:most], seconds=False))
    chosen = sorted(set(_least_alike(frames, wanted, most)))
    return await _kept(context, await context.by_id(chosen, pictures=True))


def spread(stretches: Sequence[TimeWindow], most: int) -> list[tuple[str, float]]:
    """Moments at even steps through stretches, the first and the last of each as far as there are enough."""
    total_s = sum(w.t1_s - w.t0_s for w in stretches) or 1.0
    moments: list[tuple[str, float]] = []
    for w in sorted(stretches, key=lambda w: w.t0_s - w.t1_s):
        count = min(most - len(moments), max(2, round(most * (w.t1_s - w.t0_s) / total_s)))
        moments += [(w.source, w.t0_s + (w.t1_s - w.t0_s) * k / max(1, count - 1)) for k in range(count)]
    return moments


async def _kept(context: Context, frames: Sequence[Observation]) -> tuple[Observation, ...]:
    """These frames; in place of those whose picture was given up the keyframes of their events, kept longer."""
    gone = [frame for frame in frames if not frame.payload]
    if not gone:
        return tuple(frames)
    windows = tuple(TimeWindow(source=o.source, t0_s=o.t0_s, t1_s=o.t0_s) for o in gone)
    spans = await context.in_windows(windows).spans("event")
    keyframes = await context.by_id(sorted({span.keyframe for span in spans if span.keyframe}), pictures=True)
    kept = {frame.id: frame for frame in (*frames, *keyframes) if frame.payload}
    return tuple(context.in_order(kept.values()))


def _least_alike(frames: Sequence[Observation], wanted: Sequence[tuple[str, float]], most: int) -> list[str]:
    """Ids of the first and the last frame of each source, those nearest to what is wanted, and then, one by one, the
    frame that is furthest in time from all that are chosen; a frame that shows more counts as further."""
    by_source: dict[str, list[Observation]] = {}
    for frame in frames:
        by_source.setdefault(frame.source, []).append(frame)
    chosen: dict[str, Observation] = {}
    for of_source in by_source.values():
        chosen |= {o.id: o for o in (of_source[0], of_source[-1])}
    for source, t_s in wanted:
        near = min(by_source.get(source, ()), key=lambda o: (abs(o.t0_s - t_s), o.t0_s), default=None)
        if near is not None:
            chosen[near.id] = near
    left = {o.id: _alone_s(o, chosen.values()) for o in frames if o.id not in chosen}
    by_id = {o.id: o for o in frames}
    while left and len(chosen) < most:
        furthest = max(left, key=lambda identity: (left[identity] * _worth(by_id[identity]), identity))
        if left.pop(furthest) <= 0.0:
            continue
        newest = chosen[furthest] = by_id[furthest]
        left = {i: min(apart_s, _alone_s(by_id[i], (newest,))) for i, apart_s in left.items()}
    return list(chosen)[:most]


def _worth(frame: Observation) -> float:
    """How much a frame shows: more where it is unlike those before it, and where somebody or something is in view."""
    facts = frame.facts(FrameFacts)
    return 1.0 + facts.large + bool(facts.people or facts.things)


def _alone_s(o: Observation, among: Iterable[Observation]) -> float:
    """Seconds to the nearest of these of the same source; without end where there is none."""
    return min((abs(o.t0_s - other.t0_s) for other in among if other.source == o.source), default=float("inf"))
