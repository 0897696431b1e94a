"""Evidence for one question, gathered from memory through a View, in a scope of sources and in windows of time.

`MemoryClient` is the seam: in the process it is calls to memory, in tests an in-memory list. A `Context` is a
question's limits on what may be evidence: sources outside of its scope are not in its View, times outside of its
windows are not read. It asks memory at most once for the same thing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

import anyio

from reasoning.query.memory_client import MemoryClient
from reasoning.query.present import Present
from reasoning.query.recordings import Recordings
from runtime.messages import (
    Channel,
    Hit,
    MemoryStatus,
    Observation,
    RecallRequest,
    ScanRequest,
    SourceRecord,
    Span,
    SpansRequest,
    StatusRequest,
    TimeWindow,
    View,
)
from runtime.sources import session_of

READ_WHOLE = 800
# So many that follow each other are read of each stretch of a window that has too many.
RUN = 20
NEVER_S = -1.0
SPANS_LIMIT = 1000
# Times of the calendar can lie in many sessions; so many of the newest are searched one by one.
WINDOWS_RECALLED = 12
# While nothing changes frames are kept every ten seconds.
FRAME_NEAR_S = 11.0


@dataclass(kw_only=True, eq=False)
class Context:
    """The evidence of one question.

    ``t0_s``/``t1_s`` bound the time in every source alike (None is open); ``windows``, where there are any, say it of
    each source in place of them. ``source`` narrows it to one source ("" is all of the View's).
    ``history`` is what was asked and answered before in the conversation; a model reads it, it is no evidence.
    ``being_said`` is what is understood of an utterance that goes on while the question is asked; it may yet turn out
    otherwise and is in no memory, so nothing can be cited for it.
    ``present`` is what live sources show at this moment, for a question about now.
    ``recordings`` decodes pictures again that are wanted larger than they were kept.
    ``wider`` is the View of all there is, where this one's is of the source talked of before alone.
    ``known`` is what memory said of its sources. ``now_wall_s`` is when it is asked, Unix seconds.
    ``spent_s`` is the time waited for memory.
    """

    memory: MemoryClient = field(kw_only=False)
    view: View = field(kw_only=False)
    t0_s: float | None = None
    t1_s: float | None = None
    windows: tuple[TimeWindow, ...] = ()
    source: str = ""
    limit: int = 20
    history: tuple[tuple[str, str], ...] = ()
    being_said: str = ""
    present: Present | None = None
    now_wall_s: float = 0.0
    known: MemoryStatus | None = None
    recordings: Recordings | None = None
    wider: View | None = None
    spent_s: float = field(default=0.0, init=False)
    _calls: int = field(default=0, init=False)
    _since_s: float = field(default=0.0, init=False)
    _scanned: dict[tuple[object, ...], tuple[Observation, ...]] = field(default_factory=dict, init=False)

    def within(self, t0_s: float | None, t1_s: float | None) -> Context:
        """The same evidence in another window, of every source alike."""
        return replace(self, t0_s=t0_s, t1_s=t1_s, windows=())

    def in_windows(self, windows: tuple[TimeWindow, ...]) -> Context:
        """The same evidence in these windows alone."""
        return replace(self, t0_s=None, t1_s=None, windows=windows)

    def through(self, memory: MemoryClient) -> Context:
        """The same question through another client of memory."""
        return replace(self, memory=memory)

    def widened(self) -> Context | None:
        """The evidence of all that may be meant, where this is of what was talked of before alone."""
        return replace(self, view=self.wider, wider=None) if self.wider is not None else None

    def of(self, source: str) -> Context:
        """The evidence of one source alone. In windows none of which is of it, that is nothing."""
        mine = tuple(window for window in self.windows if window.source in ("", source))
        never = (TimeWindow(source=source, t0_s=NEVER_S, t1_s=NEVER_S),) if self.windows else ()
        return replace(self, source=source, windows=mine or never)

    @property
    def bounded(self) -> bool:
        """Whether its time is bounded at all."""
        return bool(self.windows) or self.t0_s is not None or self.t1_s is not None

    @property
    def stretches(self) -> tuple[TimeWindow, ...]:
        """The time asked about, of each source that is, as far as it may be seen."""
        limits = {s: t for s, t in self.view.limits.items() if self.source in ("", s)}
        last_s = math.inf if self.t1_s is None else self.t1_s
        asked = self.windows or (TimeWindow(source="", t0_s=self.t0_s or 0.0, t1_s=last_s),)
        cut = [
            TimeWindow(source=s, t0_s=max(0.0, w.t0_s), t1_s=min(w.t1_s, limits[s]))
            for w in asked
            for s in ([w.source] if w.source else limits)
            if s in limits
        ]
        return tuple(w for w in cut if w.t0_s <= w.t1_s)

    # --- asking memory ---------------------------------------------------------------------------------------

    @property
    def _bounds(self) -> list[tuple[str, float | None, float | None]]:
        """(source, from, to) of the window, or of each window."""
        return [(w.source, w.t0_s, w.t1_s) for w in self.windows] or [(self.source, self.t0_s, self.t1_s)]

    async def recall(self, query: str, channels: tuple[Channel, ...] = (), limit: int = 0) -> tuple[Hit, ...]:
        """What fits ``query`` in the window, best first."""
        hits: dict[str, Hit] = {}
        limit = limit or self.limit
        with self._waiting():
            for source, t0_s, t1_s in self._bounds[-WINDOWS_RECALLED:] if query.strip() else ():
                request = RecallRequest(
                    query=query, view=self.view, source=source, t0_s=t0_s, t1_s=t1_s, channels=channels, limit=limit
                )
                hits |= {hit.observation.id: hit for hit in (await self.memory.recall(request)).hits}
        return tuple(sorted(hits.values(), key=lambda hit: -hit.score)[:limit])

    async def scan(
        self, *channels: Channel, newest_first: bool = False, limit: int = READ_WHOLE
    ) -> tuple[Observation, ...]:
        """What was observed in the window on these channels, in order of time, the first (or newest) ``limit``."""
        key = (channels, newest_first, limit)
        if key not in self._scanned:
            request = ScanRequest(
                view=self.view, source=self.source, channels=channels, t0_s=self.t0_s, t1_s=self.t1_s,
                newest_first=newest_first, limit=limit, windows=self.windows,
            )  # fmt: skip
            self._scanned[key] = await self._scan(request)
        return self._scanned[key]

    async def scan_windows(
        self, windows: Sequence[TimeWindow], *channels: Channel, limit: int
    ) -> tuple[Observation, ...]:
        """What was observed in several windows at once, ``limit`` of each at most, each observation once."""
        if not windows:
            return ()
        return await self._scan(ScanRequest(view=self.view, channels=channels, windows=tuple(windows), limit=limit))

    async def spread(self, *channels: Channel, limit: int) -> tuple[Observation, ...]:
        """What was observed in the window on these channels; where that is more than ``limit``, as much of it from all
        over the window, in runs of what follows each other."""
        whole = await self.scan(*channels, limit=limit)
        if len(whole) < limit:
            return whole
        bounds = self.stretches
        total_s = sum(w.t1_s - w.t0_s for w in bounds) or 1.0
        pieces = []
        for w in bounds:
            count = max(1, round(limit / RUN * (w.t1_s - w.t0_s) / total_s))
            step_s = (w.t1_s - w.t0_s) / count
            edges = [w.t0_s + i * step_s for i in range(count + 1)]
            pieces += [TimeWindow(source=w.source, t0_s=a, t1_s=b) for a, b in pairwise(edges)]
        return await self.scan_windows(pieces, *channels, limit=RUN)

    async def by_id(self, ids: Iterable[str], pictures: bool = False) -> tuple[Observation, ...]:
        """The visible observations among ``ids``; of frames with what JPEGs are kept where ``pictures`` are wanted."""
        wanted = tuple(dict.fromkeys(ids))
        request = ScanRequest(view=self.view, ids=wanted, limit=len(wanted), with_payload=pictures)
        return await self._scan(request) if wanted else ()

    async def spans(self, level: Literal["event", "episode"], limit: int = SPANS_LIMIT) -> tuple[Span, ...]:
        """The first ``limit`` spans of the window at this level, in order of time."""
        found: list[Span] = []
        with self._waiting():
            for source, t0_s, t1_s in self._bounds:
                request = SpansRequest(view=self.view, source=source, level=level, t0_s=t0_s, t1_s=t1_s, limit=limit)
                found += (await self.memory.spans(request)).spans
        return tuple(found[:limit])

    async def frames_at(self, moments: Sequence[tuple[str, float]], seconds: bool = True) -> tuple[Observation, ...]:
        """The frames nearest to these moments of sources ("" is the one asked about), with what JPEGs are kept.

        ``seconds``: a moment that is a whole second stands for all of it, as people and models write it.
        """
        places = [(source or self.source or self.view.source, t_s) for source, t_s in moments]
        windows = [TimeWindow(source=of, t0_s=t_s - FRAME_NEAR_S, t1_s=t_s + FRAME_NEAR_S) for of, t_s in places]
        around = await self.scan_windows(windows, "frame", limit=4 * int(FRAME_NEAR_S))
        nearest: dict[str, None] = {}
        for source, t_s in places:
            of_source = [o for o in around if o.source == source and abs(o.t0_s - t_s) <= FRAME_NEAR_S]
            until_s = t_s + 0.999 if seconds and t_s == int(t_s) else t_s
            of_source.sort(key=lambda o: (max(t_s - o.t0_s, o.t0_s - until_s, 0.0), o.t0_s))
            nearest.update((o.id, None) for o in of_source[:1])
        return await self.by_id(sorted(nearest), pictures=True)

    async def decoded(self, moments: Sequence[tuple[str, float]]) -> dict[tuple[str, float], bytes]:
        """The pictures of these moments of sources, as JPEGs at full size, from recordings that are still there."""
        if self.recordings is None:
            return {}
        records = {record.source: record for record in await self.records()}
        found: dict[tuple[str, float], bytes] = {}
        for source in dict.fromkeys(source for source, _ in moments):
            times = [t_s for of, t_s in moments if of == source]
            if record := records.get(source):
                found |= {(source, t_s): jpeg for t_s, jpeg in (await self.recordings.decode(record, times)).items()}
        return found

    async def freshest_frames(self, newest: int, source: str = "") -> tuple[Observation, ...]:
        """The newest frames of a source of the View with what JPEGs are kept, in order of time."""
        request = ScanRequest(
            view=self.view, source=source or self.source or self.view.source, channels=("frame",),
            t1_s=self.t1_s, newest_first=True, limit=newest, with_payload=True,
        )  # fmt: skip
        return await self._scan(request) if newest > 0 else ()

    async def status(self) -> MemoryStatus:
        """What memory knows of its sources."""
        if self.known is None:
            with self._waiting():
                self.known = await self.memory.status(StatusRequest())
        return self.known

    async def records(self) -> tuple[SourceRecord, ...]:
        """The sources that are asked about, in the order in which they were opened."""
        known = (await self.status()).sources
        return tuple(r for r in known if r.source in self.view.limits and self.source in ("", r.source))

    async def _scan(self, request: ScanRequest) -> tuple[Observation, ...]:
        with self._waiting():
            reply = await self.memory.scan(request)
        return tuple(self.in_order(reply.observations))

    def in_order(self, observations: Iterable[Observation]) -> list[Observation]:
        """In order of time, of each source apart where their clocks are not one."""
        moments = {session_of(name)[1] for name in self.view.limits}
        one_clock = len(moments) == 1 and "" not in moments
        order = {name: i for i, name in enumerate(self.view.limits)}
        return sorted(observations, key=lambda o: (0 if one_clock else order.get(o.source, -1), o.t0_s, o.id))

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Time waited for memory, calls that run side by side counted once."""
        if not self._calls:
            self._since_s = anyio.current_time()
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self.spent_s += anyio.current_time() - self._since_s
