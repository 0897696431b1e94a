"""How long writing is on screen: it is told once, when it is first read, and the frames list it while it is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby, pairwise
from statistics import median

from rapidfuzz.fuzz import partial_ratio

from reasoning.query.context import Context
from runtime.language.normalise import fold
from runtime.messages import Observation, TextFacts, TimeWindow

# While nothing changes the picture is looked at every ten seconds (perception.sampling.still_interval_s).
STILL_S = 11.0
FRAMES = 400
# A title is the tallest writing, where it is so much taller than is usual there, or the topmost.
SIZE_SHARE, STAYS_SHARE = 0.4, 0.2
TALLER = 1.3
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


def region(o: Observation) -> str:
    """Where in the picture something is written: "top left" ... "bottom right"."""
    return o.facts(TextFacts).region


def height(o: Observation) -> float:
    """How tall the largest line of a text is, 0..1 of the picture."""
    return max((line.box[3] for line in o.facts(TextFacts).lines), default=0.0)


def top(o: Observation) -> float:
    """How far below the top of the picture a text begins, 0..1."""
    return min((line.box[1] for line in o.facts(TextFacts).lines), default=1.0)


def _tops(o: Observation) -> list[float]:
    return [line.box[1] for line in o.facts(TextFacts).lines]


async def looks_of(written: Sequence[Observation], context: Context) -> dict[int, float]:
    """How much each text looks like a title, 0..1: taller than the rest, high up, on screen for long."""
    shown = Counter(id_ for o in await context.scan("frame", limit=FRAMES) for id_ in o.evidence)
    longest = max((shown[o.id] for o in written), default=0) or 1
    usual = median(map(height, written)) if written else 0.0
    found = {}
    for i, o in enumerate(written):
        taller = height(o) / usual if usual and (longest == 1 or shown[o.id] > 1) else 1.0  # else it is a glimpse
        looks = min(1.0, taller - 1.0) if taller >= TALLER else 0.0
        found[i] = (looks + 1.0 - top(o) + STAYS_SHARE * shown[o.id] / longest) / 2
    return found


async def shown_in(context: Context) -> tuple[Observation, ...]:
    """The writing that is on screen in a bounded window, though it was read before that began."""
    windows = context.windows
    if not windows and context.t0_s is not None and context.t1_s is not None:
        windows = (TimeWindow(source=context.source, t0_s=context.t0_s, t1_s=context.t1_s),)
    ids: list[str] = []
    for window in windows:
        around = TimeWindow(source=window.source, t0_s=max(0.0, window.t0_s - STILL_S), t1_s=window.t1_s + STILL_S)
        frames = await context.scan("frame", t0_s=around.t0_s, t1_s=around.t1_s, limit=FRAMES)
        frames = tuple(o for o in frames if window.source in ("", o.source))
        for _, group in groupby(sorted(frames, key=lambda o: (o.source, o.t0_s)), key=lambda o: o.source):
            for before, after in pairwise(group):
                if before.t0_s <= window.t1_s and after.t0_s >= window.t0_s:
                    ids += [id_ for id_ in before.evidence if "/text/" in id_ and id_ in after.evidence]
    return await context.by_id(ids)


async def last_shown(context: Context, text: Observation) -> Observation | None:
    """The last of the frames that show this writing from when it was read on; None where only that one does."""
    frames = await context.of(text.source).scan("frame", t0_s=text.t0_s, t1_s=context.view.as_of_s, limit=FRAMES)
    last = None
    for frame in frames:
        if text.id in frame.evidence:
            last = frame
        elif last is not None:
            break
    return last if last is not None and last.t0_s - text.t0_s >= 1.0 else None
