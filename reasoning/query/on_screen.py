"""How long writing is on screen: it is told once, when it is first read, and the frames list it while it is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from rapidfuzz.fuzz import partial_ratio

from reasoning.query.context import Context
from runtime.language.normalise import fold
from runtime.messages import Observation, TextFacts, TimeWindow

# While nothing changes the picture is looked at every ten seconds (perception.sampling.still_interval_s).
STILL_S = 11.0
FRAMES = 400
# How much it weighs that a text looks like a title, where one is asked for; and to look like one, that it stays.
SIZE_SHARE, STAYS_SHARE, TALLER = 0.4, 0.2, 1.3
# A text that is part of one read up to so much later at its place, with so many of 100 letters alike, is that one.
GROWS_S = 4.0
ALIKE = 88.0
SAME_LINE = 0.05


def grown(written: Sequence[Observation]) -> list[tuple[Observation, float]]:
    """Each text, of one source in order of time, as it was read last, and since when it is there: what fades in or is
    typed is read several times, at first in part or wrongly."""
    since_s = {o.id: o.t0_s for o in written}
    kept: list[Observation] = []
    for o in reversed(written):
        whole = _whole_of(o, kept)
        if whole is None or whole.t0_s == o.t0_s:
            kept.append(o)
        else:
            since_s[whole.id] = o.t0_s
    return [(o, since_s[o.id]) for o in reversed(kept)]


def _whole_of(o: Observation, later: Sequence[Observation]) -> Observation | None:
    """The text that ``o`` is a part of, among those read ``later``, the latest first."""
    for p in reversed(later):
        if p.t0_s - o.t0_s > GROWS_S:
            return None
        in_line = any(abs(a - b) <= SAME_LINE for a in _tops(o) for b in _tops(p))
        if in_line and len(p.text) >= len(o.text) and partial_ratio(fold(o.text), fold(p.text)) >= ALIKE:
            return p
    return None


def _tops(o: Observation) -> list[float]:
    return [line.box[1] for line in o.facts(TextFacts).lines]


async def looks_of(written: Sequence[Observation], context: Context) -> dict[str, float]:
    """How much each text, by id, looks like a title, 0..1: much taller than is usual there, high up, and on
    screen for long. How tall something is that one picture alone shows, as a mark that wanders over it, is no sign."""
    shown = Counter(id_ for o in await context.scan("frame", limit=FRAMES) for id_ in o.evidence)
    tall = {o.id: max((line.box[3] for line in o.facts(TextFacts).lines), default=0.0) for o in written}
    usual, stay = median(tall.values() or [0.0]) or 1.0, {o.id for o in written if shown[o.id] > 1} or set(tall)
    taller = {id_: height / usual if id_ in stay else 1.0 for id_, height in tall.items()}
    looks = {id_: min(1.0, times - 1.0) if times >= TALLER else 0.0 for id_, times in taller.items()}
    longest = max((shown[o.id] for o in written), default=0) or 1
    stays = {o.id: STAYS_SHARE * shown[o.id] / longest for o in written}
    return {o.id: (looks[o.id] + 1.0 - min(_tops(o), default=1.0) + stays[o.id]) / 2 for o in written}


async def shown_in(context: Context) -> tuple[Observation, ...]:
    """The writing that is on screen in a bounded window, though it was read before that began."""
    ids: list[str] = []
    for w in context.stretches:
        around = TimeWindow(source=w.source, t0_s=w.t0_s - STILL_S, t1_s=w.t1_s + STILL_S)
        for before, after in pairwise(await context.scan_windows([around], "frame", limit=FRAMES)):
            if before.t0_s <= w.t1_s and after.t0_s >= w.t0_s:
                ids += [id_ for id_ in before.evidence if "/text/" in id_ and id_ in after.evidence]
    return await context.by_id(ids)


async def last_shown(context: Context, text: Observation) -> Observation | None:
    """The last of the frames that show this writing from when it was read on; None where only that one does."""
    after = context.of(text.source).within(text.t0_s, context.view.as_of_s)
    frames = await after.scan("frame", limit=FRAMES)
    last = None
    for frame in frames:
        if text.id in frame.evidence:
            last = frame
        elif last is not None:
            break
    return last if last is not None and last.t0_s - text.t0_s >= 1.0 else None
