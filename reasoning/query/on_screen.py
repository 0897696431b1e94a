"""How long writing is on screen: it is told once, when it is first read, and the frames list it while it is there."""

from __future__ import annotations

from itertools import groupby, pairwise

from reasoning.query.context import Context
from runtime.messages import Observation, TimeWindow

# While nothing changes the picture is looked at every ten seconds (perception.sampling.still_interval_s).
STILL_S = 11.0
FRAMES = 400


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
