"""Evidence for one question, gathered from memory through a View and put in order of time.

`MemoryClient` is the seam: in the process it is calls to memory, in tests an in-memory list. `Context`
keeps the question's window and asks memory at most once for the same thing. While a memory is small the
whole window of a channel is read; when it does not fit, recall chooses and its neighbours join, because
the asked detail is often in the next utterance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import anyio
from msgspec import Struct

from reasoning.query.memory_client import MemoryClient
from reasoning.query.present import Present
from runtime.messages import (
    Channel,
    Hit,
    LastSeenRequest,
    MemoryStatus,
    Observation,
    RecallRequest,
    ScanRequest,
    Sighted,
    Span,
    SpansRequest,
    StatusRequest,
    TimeWindow,
    View,
)
from runtime.sources import session_of

# A clip of some minutes is read whole; of more, recall chooses.
READ_WHOLE = 800
FRAMES_LIMIT = 8000
NEIGHBOURS_S = 12.0
SPANS_LIMIT = 1000
# While nothing changes frames are kept every ten seconds.
FRAME_NEAR_S = 11.0


class Exchange(Struct, frozen=True):
    """An earlier question of the conversation and what was answered."""

    question: str
    answer: str


class Context:
    """The evidence of one question.

    ``t0_s``/``t1_s`` bound the window (None is open), ``source`` narrows it to one source ("" is all).
    ``history`` is what was said before in the conversation, oldest first; a model reads it, it is no evidence.
    ``being_said`` is what is understood of an utterance that goes on while the question is asked; it may yet turn out
    otherwise and is in no memory, so nothing can be cited for it.
    ``present`` is what live sources show at this moment, for a question about now.
    ``spent_s`` is the time waited for memory.
    """

    def __init__(
        self,
        memory: MemoryClient,
        view: View,
        *,
        t0_s: float | None = None,
        t1_s: float | None = None,
        source: str = "",
        limit: int = 20,
        history: tuple[Exchange, ...] = (),
        being_said: str = "",
        present: Present | None = None,
    ) -> None:
        self.memory = memory
        self.view = view
        self.t0_s = t0_s
        self.t1_s = t1_s
        self.source = source
        self.limit = limit
        self.history = history
        self.being_said = being_said
        self.present = present
        self.spent_s = 0.0
        self._calls = 0
        self._since_s = 0.0
        self._scanned: dict[tuple[object, ...], tuple[Observation, ...]] = {}
        self._status: MemoryStatus | None = None

    def within(self, t0_s: float | None, t1_s: float | None) -> Context:
        """The same evidence in another window."""
        return self._again(self.memory, t0_s, t1_s)

    def through(self, memory: MemoryClient) -> Context:
        """The same question through another client of memory."""
        return self._again(memory, self.t0_s, self.t1_s)

    def _again(self, memory: MemoryClient, t0_s: float | None, t1_s: float | None) -> Context:
        return Context(
            memory,
            self.view,
            t0_s=t0_s,
            t1_s=t1_s,
            source=self.source,
            limit=self.limit,
            history=self.history,
            being_said=self.being_said,
            present=self.present,
        )

    def of(self, source: str) -> Context:
        """The evidence of one source alone."""
        narrowed = self.within(self.t0_s, self.t1_s)
        narrowed.source = source
        return narrowed

    async def recall(self, query: str, channels: tuple[Channel, ...] = ()) -> tuple[Hit, ...]:
        """What fits ``query`` in the window, best first."""
        if not query.strip():
            return ()
        with self._waiting():
            reply = await self.memory.recall(
                RecallRequest(
                    query=query,
                    view=self.view,
                    source=self.source,
                    t0_s=self.t0_s,
                    t1_s=self.t1_s,
                    channels=channels,
                    limit=self.limit,
                )
            )
        return reply.hits

    async def scan(
        self,
        *channels: Channel,
        t0_s: float | None = None,
        t1_s: float | None = None,
        newest_first: bool = False,
        limit: int = READ_WHOLE,
    ) -> tuple[Observation, ...]:
        """What was observed in the window (or in ``t0_s``..``t1_s``) on these channels, in order of time."""
        t0_s = self.t0_s if t0_s is None else t0_s
        t1_s = self.t1_s if t1_s is None else t1_s
        key = (channels, t0_s, t1_s, newest_first, limit)
        if key not in self._scanned:
            request = ScanRequest(
                view=self.view, source=self.source, channels=channels, t0_s=t0_s, t1_s=t1_s,
                newest_first=newest_first, limit=limit,
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

    async def last_seen(self, thing: str) -> tuple[Sighted, ...]:
        """The newest sightings of a thing in the window, in any source, newest first."""
        with self._waiting():
            reply = await self.memory.last_seen(
                LastSeenRequest(thing=thing, view=self.view, source=self.source, t0_s=self.t0_s, t1_s=self.t1_s)
            )
        return reply.sightings

    async def by_id(self, ids: Iterable[str]) -> tuple[Observation, ...]:
        """The visible observations among ``ids``."""
        wanted = tuple(dict.fromkeys(ids))
        if not wanted:
            return ()
        return await self._scan(ScanRequest(view=self.view, ids=wanted, limit=len(wanted)))

    async def frames(self) -> tuple[Observation, ...]:
        """The sampled frames of the window."""
        return await self.scan("frame", limit=FRAMES_LIMIT)

    async def gather(self, query: str, channels: tuple[Channel, ...]) -> list[tuple[Observation, float]]:
        """Candidates for ``query`` with memory's own score (0..1 within this list), in order of time."""
        hits = await self.recall(query, channels)
        best = max((hit.score for hit in hits), default=0.0) or 1.0
        scores = {hit.observation.id: hit.score / best for hit in hits}
        found = {hit.observation.id: hit.observation for hit in hits}
        whole = await self.scan(*channels)
        if len(whole) < READ_WHOLE:
            found.update((o.id, o) for o in whole)
        else:
            for hit in hits[:5]:
                o = hit.observation
                near = await self.scan(*channels, t0_s=o.t0_s - NEIGHBOURS_S, t1_s=o.t1_s + NEIGHBOURS_S, limit=50)
                found.update((n.id, n) for n in near if n.source == o.source)
            if not hits:
                found.update((o.id, o) for o in whole)
        return [(o, max(0.0, scores.get(o.id, 0.0))) for o in self._in_order(found.values())]

    async def events(self) -> tuple[Span, ...]:
        """The events of the window, in order of time."""
        return await self.spans("event", SPANS_LIMIT)

    async def spans(self, level: Literal["event", "episode"], limit: int) -> tuple[Span, ...]:
        """The first ``limit`` spans of the window at this level, in order of time."""
        with self._waiting():
            reply = await self.memory.spans(
                SpansRequest(
                    view=self.view, source=self.source, level=level, t0_s=self.t0_s, t1_s=self.t1_s, limit=limit
                )
            )
        return reply.spans

    async def frame_at(self, t_s: float, source: str = "") -> Observation | None:
        """The frame nearest to a moment, with its JPEG if that is still kept; None if none is near."""
        return next(iter(await self.frames_at([(source, t_s)])), None)

    async def frames_at(self, moments: Sequence[tuple[str, float]]) -> tuple[Observation, ...]:
        """The frames nearest to these moments of sources ("" is the one asked about), with what JPEGs are kept."""
        places = [(source or self.source or self.view.source, t_s) for source, t_s in moments]
        windows = [
            TimeWindow(source=source, t0_s=t_s - FRAME_NEAR_S, t1_s=t_s + FRAME_NEAR_S) for source, t_s in places
        ]
        around = await self.scan_windows(windows, "frame", limit=4 * int(FRAME_NEAR_S))
        nearest: set[str] = set()
        for source, t_s in places:
            of_source = [o for o in around if o.source == source and abs(o.t0_s - t_s) <= FRAME_NEAR_S]
            nearest.update(o.id for o in sorted(of_source, key=lambda o: (abs(o.t0_s - t_s), o.t0_s))[:1])
        if not nearest:
            return ()
        ids = tuple(sorted(nearest))
        return await self._scan(ScanRequest(view=self.view, ids=ids, limit=len(ids), with_payload=True))

    async def freshest_frames(self, newest: int) -> tuple[Observation, ...]:
        """The newest frames of the View with their JPEGs, in order of time."""
        if newest < 1:
            return ()
        request = ScanRequest(
            view=self.view, source=self.source or self.view.source, channels=("frame",),
            t1_s=self.t1_s, newest_first=True, limit=newest, with_payload=True,
        )  # fmt: skip
        return tuple(o for o in await self._scan(request) if o.payload)

    async def status(self) -> MemoryStatus:
        """What memory knows of its sources."""
        if self._status is None:
            self._status = await self.memory.status(StatusRequest())
        return self._status

    async def lacks(self, track: str) -> bool:
        """Whether no source of the View has this track at all ("audio", "video")."""
        sources = [
            record
            for record in (await self.status()).sources
            if record.source in self.view.limits and self.source in ("", record.source)
        ]
        return bool(sources) and all(record.missing.get(track) for record in sources)

    async def ended_s(self) -> float | None:
        """When the source asked about came to its end, in media seconds; None while it goes on, or up to its View."""
        source = self.source or self.view.source
        record = next((record for record in (await self.status()).sources if record.source == source), None)
        if record is None or not record.ended or set(record.watermarks) - set(record.ended):
            return None
        end_s = max(record.watermarks.values(), default=0.0)
        return end_s if self.view.limits.get(source, 0.0) >= end_s else None

    async def _scan(self, request: ScanRequest) -> tuple[Observation, ...]:
        with self._waiting():
            reply = await self.memory.scan(request)
        return tuple(self._in_order(reply.observations))

    def _in_order(self, observations: Iterable[Observation]) -> list[Observation]:
        """In order of time, of each source apart where their clocks are not one."""
        moments = {session_of(name)[1] for name in self.view.limits}
        one_clock = len(moments) == 1 and "" not in moments
        return sorted(observations, key=lambda o: ("" if one_clock else o.source, o.t0_s, o.id))

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
