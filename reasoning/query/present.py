"""What is before the eyes at this moment, asked of the processes that watch live sources, all at once and briefly.

The picture a source gives then is looked at and stored as a frame like any other, a moment after it is shown here.
It is newer than the View of the question, which ends at what memory had, and may be cited all the same: it is what the
question is about.
"""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import msgspec

from runtime.calls import Calls
from runtime.clock import media_time
from runtime.errors import CallError
from runtime.messages import LookReply, LookRequest, Observation, View, observation_id
from runtime.sources import session_of

# Seconds: a camera gives the next picture sooner, and an answer must not wait for one that does not.
LOOK_S = 0.2


class Present:
    """What the live sources of a View show, looked up once for a question.

    ``watchers`` are the processes to ask, by name; ``source`` is the one asked about, "" all there are.
    """

    def __init__(self, watchers: Mapping[str, Calls], view: View, source: str = "") -> None:
        self._watchers = watchers
        self._sources = [name for name in view.limits if source in ("", name)]
        self._shown: tuple[LookReply, ...] | None = None
        # By id, what was shown: frames memory has, or will have in a moment.
        self.frames: dict[str, Observation] = {}

    async def look(self) -> tuple[LookReply, ...]:
        """What each of the sources shows, in the order of the View; without those that do not say in time."""
        if self._shown is None:
            found: dict[str, LookReply] = {}

            async def ask(watcher: Calls) -> None:
                try:
                    reply: LookReply = await watcher.call(LookRequest(), LOOK_S)
                except CallError:
                    return
                found[reply.source] = reply

            async with anyio.create_task_group() as tasks:
                for watcher in self._watchers.values():
                    tasks.start_soon(ask, watcher)
            self._shown = tuple(found[name] for name in self._sources if name in found)
            self.frames = {o.id: o for o in map(_frame, self._shown) if o.payload}
        return self._shown

    async def told_of_pause(self) -> str:
        """One sentence that the user has watching paused, and since when; "" where it goes on. It holds for all."""
        for shown in await self.look():
            if shown.paused_since_s is not None:
                since = f"since {media_time(shown.paused_since_s)}, {age(shown.now_s - shown.paused_since_s)} ago"
                return f"Watching is paused {since}: I see nothing now."
        return ""


def together(view: View) -> View:
    """The View of all that is perceived beside the source it is about: a camera and its microphone, several cameras.

    Live sources of one session share their clock, so that times, counts and "now" are of all of them.
    """
    _, moment = session_of(view.source)
    if not moment:
        return view
    limits = {name: limit_s for name, limit_s in view.limits.items() if session_of(name)[1] == moment}
    return msgspec.structs.replace(view, limits=limits)


def age(seconds: float) -> str:
    """A length of time as one says it: "0.4 s", "35 s", "4 minutes", "2 hours"."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"


def _frame(shown: LookReply) -> Observation:
    """The frame as it may be shown and cited; what it is described by comes with what memory stores."""
    return Observation(
        id=observation_id(shown.source, "frame", shown.t_s), source=shown.source, channel="frame", t0_s=shown.t_s,
        t1_s=shown.t_s, text="", payload=shown.jpeg,
    )  # fmt: skip
