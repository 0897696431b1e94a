"""The process that stands in the place of memory where many memories are asked as one.

Whoever calls memory calls it: the same requests, the same replies, of sources and ids that begin with their site. A
request goes to every site it concerns at once, each with a deadline; who did not answer is named. What is talked about
is kept in a memory of its own, beside it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from runtime.errors import RemoteError, UserError
from runtime.messages import (
    PERCEIVED_CHANNELS,
    Done,
    ForgetRequest,
    MemoryStatus,
    Message,
    RecallReply,
    RecallRequest,
    RememberRequest,
    ScanReply,
    ScanRequest,
    SourceRecord,
    SpansReply,
    SpansRequest,
    StatusRequest,
    Stored,
    TimelineReply,
    TimelineRequest,
    View,
    ViewRequest,
    decode,
)
from runtime.service import Service
from runtime.sites import merge
from runtime.sites.asking import Sites
from runtime.sites.forgetting import TALK, Forgetting
from runtime.sites.generations import Generations
from runtime.sites.hub import joined_hub
from runtime.sites.names import joined, observed_at, span_at, split

if TYPE_CHECKING:
    from nats.aio.client import Client as Nats
    from nats.aio.msg import Msg

TALKED = ("question", "answer")
FORGET_S = 1800.0
GREET_S = 10.0
ANNOUNCE_S, SAVE_S = 0.25, 5.0
# What is known of sources may be this old when their names are sought.
STATUS_AGE_S = 1.0
# A question asks for the same words in several ways.
COUNTED_KEPT = 64


class Mind:
    """Asks the sites of one hub."""

    def __init__(self, service: Service, connection: Nats) -> None:
        self._service = service
        self._connection = connection
        self._sites = Sites(service.folder, connection, service.config.sites.deadline_s)
        self._talk = service.caller("talk")
        self._generations = Generations(service.folder)
        self._statuses: dict[str, tuple[float, MemoryStatus]] = {}
        self._stored: dict[str, Stored] = {}
        self._is_news = anyio.Event()
        # What the sites have counted for a query as a View shows it, which stays as it is.
        self._counted: dict[tuple[object, ...], dict[str, RecallReply]] = {}

    async def run(self) -> None:
        """Answer in the place of memory until stopping."""
        await self._sites.open()
        await self._connection.subscribe("mind.*.stored", cb=self._hear)
        await self._greet()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._greet_forever)
            tasks.start_soon(self._announce_forever)
            self._service.report(idle=True)
            self._service.ready()
            await self._service.serve(
                {
                    ViewRequest: self._view,
                    RecallRequest: self._recall,
                    ScanRequest: self._scan,
                    SpansRequest: self._spans,
                    TimelineRequest: self._timeline,
                    StatusRequest: self._status,
                    RememberRequest: self._remember,
                    ForgetRequest: Forgetting(self._service.folder, self._sites, self._talk, self._connection).forget,
                }
            )
            tasks.cancel_scope.cancel()
        self._generations.save()

    async def _greet_forever(self) -> None:
        while True:
            await anyio.sleep(GREET_S)
            await self._greet()

    async def _greet(self) -> None:
        await self._sites.greet()
        self._service.report(notes=tuple(f"{site} {why}" for site, why in self._sites.away.items()))

    async def _ask_talk(self, request: Message) -> Any:
        return await self._talk.call(request, self._sites.deadline_s)

    # --- what is new --------------------------------------------------------------------------------

    async def _hear(self, message: Msg) -> None:
        site = message.subject.split(".")[1]
        stored = decode(message.data)
        if site in self._sites.names and isinstance(stored, Stored):
            self._stored[site] = stored
            self._is_news.set()

    async def _announce_forever(self) -> None:
        """Tell of what the sites have stored, a few times a second at most."""
        saved_s = 0.0
        while True:
            await self._is_news.wait()
            self._is_news = anyio.Event()
            generation = self._generations.note({site: stored.generation for site, stored in self._stored.items()})
            self._service.publish("stored", self._merged_stored(generation))
            if anyio.current_time() - saved_s > SAVE_S:
                saved_s = anyio.current_time()
                await anyio.to_thread.run_sync(self._generations.save)
            await anyio.sleep(ANNOUNCE_S)

    def _merged_stored(self, generation: int) -> Stored:
        told = self._stored.items()
        return Stored(
            generation=generation,
            watermarks={joined(site, name): t_s for site, stored in told for name, t_s in stored.watermarks.items()},
            ended=tuple(joined(site, name) for site, stored in told for name in stored.ended),
            observations=sum(stored.observations for _, stored in told),
            bytes=sum(stored.bytes for _, stored in told),
        )

    # --- the calls of memory ------------------------------------------------------------------------

    async def _view(self, request: ViewRequest) -> View:
        of_site, _ = split(request.source, self._sites.names)
        wanted = [split(name, self._sites.names) for name in request.sources]
        sites = [site for site in self._sites.names if not wanted or site in {of for of, _ in wanted} | {of_site}]

        def asked(site: str) -> ViewRequest:
            own = tuple(name for of, name in wanted if of == site)
            if site != of_site:
                return ViewRequest(sources=own)
            source = split(request.source, self._sites.names)[1]
            return ViewRequest(source=source, as_of_s=request.as_of_s, sources=own)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._refresh_statuses)
            views = await self._sites.ask(sites, asked)
            talk: View = await self._ask_talk(ViewRequest())
        records = {
            joined(site, r.source): msgspec.structs.replace(r, source=joined(site, r.source))
            for site in views
            if site in self._statuses
            for r in self._statuses[site][1].sources
        }
        records = {r.source: r for r in merge.in_order_of_begin(records.values())}
        limits = {joined(site, name): t_s for site, view in views.items() for name, t_s in view.limits.items()}
        order = {name: i for i, name in enumerate(records)}
        limits = dict(sorted(limits.items(), key=lambda item: order.get(item[0], -1)))
        if request.as_of_s is not None and request.source in limits:
            limits = _until(limits, request.source, request.as_of_s, records)
        generations = {site: view.generation for site, view in views.items()}
        number = self._generations.note(generations)
        source = request.source or next(reversed([name for name in limits if name in records]), "")
        return View(
            generation=number,
            limits=limits,
            source=source,
            as_of_s=limits.get(source, 0.0) if request.as_of_s is None else request.as_of_s,
            generations={**generations, TALK: talk.generation},
        )

    def _at(self, site: str, view: View) -> View:
        generation = view.generations.get(site)
        if generation is None:
            generation = self._generations.of(view.generation, site)
        return merge.view_at(site, view, generation)

    def _seen(self, view: View, source: str = "") -> list[str]:
        """The sites of which a View shows anything; only that of ``source`` where it is given."""
        only = split(source or "", self._sites.names)[0]
        of = {split(name, self._sites.names)[0] for name in view.limits}
        return [site for site in self._sites.names if site in of and (not source or site == only)]

    async def _recall(self, request: RecallRequest) -> RecallReply:
        began_s = time.perf_counter()

        def counting(site: str) -> RecallRequest:
            return RecallRequest(query=request.query, view=self._at(site, request.view), limit=0)

        key = (request.query, request.view.generation, tuple(request.view.limits.items()))
        counted = self._counted.get(key)
        if counted is None:
            seen = self._seen(request.view)
            counted = await self._sites.ask(seen, counting)
            if len(counted) == len(seen):  # who was late is asked again
                self._counted[key] = counted
            while len(self._counted) > COUNTED_KEPT:
                del self._counted[next(iter(self._counted))]
        if not request.limit:
            return merge.elsewhere(counted, "")

        def asked(site: str) -> RecallRequest:
            others = merge.elsewhere(counted, site)
            return msgspec.structs.replace(
                request,
                view=self._at(site, request.view),
                source=split(request.source, self._sites.names)[1],
                elsewhere=others.counted,
                elsewhere_size=others.size,
                elsewhere_groups=others.groups,
            )

        replies = await self._sites.ask([s for s in self._seen(request.view, request.source) if s in counted], asked)
        hits = merge.merge_hits(replies, request.limit)
        return RecallReply(hits=hits, took_s=round(time.perf_counter() - began_s, 6))

    async def _scan(self, request: ScanRequest) -> ScanReply:
        channels = request.channels or (*PERCEIVED_CHANNELS, "question", "answer", "correction", "derived")
        at_sites = tuple(channel for channel in channels if channel not in TALKED)
        talked = tuple(channel for channel in channels if channel not in PERCEIVED_CHANNELS)
        found = []
        if at_sites:
            windows = [(*split(window.source, self._sites.names), window) for window in request.windows]
            ids = [split(id_, self._sites.names) for id_ in request.ids]
            sites = [
                site
                for site in self._seen(request.view, request.source)
                if (not windows or any(of == site for of, *_ in windows))
                and (not ids or any(of == site for of, _ in ids))
            ]

            def asked(site: str) -> ScanRequest:
                after = request.after_generation
                return msgspec.structs.replace(
                    request,
                    view=self._at(site, request.view),
                    source=split(request.source, self._sites.names)[1],
                    channels=at_sites,
                    ids=tuple(own for of, own in ids if of == site),
                    windows=tuple(
                        msgspec.structs.replace(window, source=own) for of, own, window in windows if of == site
                    ),
                    after_generation=self._generations.of(after, site) if after else 0,
                )

            for site, reply in (await self._sites.ask(sites, asked)).items():
                found += [observed_at(site, o) for o in reply.observations]
        if talked and not request.after_generation:
            generation = request.view.generations.get(TALK, 1 << 62)
            view = msgspec.structs.replace(request.view, generation=generation)
            reply = await self._ask_talk(msgspec.structs.replace(request, view=view, channels=talked))
            found += reply.observations
        most = request.limit * max(1, len(request.windows))
        return ScanReply(observations=tuple(merge.merge_scans(found, request.view.limits, request.newest_first, most)))

    async def _spans(self, request: SpansRequest) -> SpansReply:
        def asked(site: str) -> SpansRequest:
            source = split(request.source, self._sites.names)[1]
            return msgspec.structs.replace(request, view=self._at(site, request.view), source=source)

        replies = await self._sites.ask(self._seen(request.view, request.source), asked)
        found = [span_at(site, span) for site, reply in replies.items() for span in reply.spans]
        return SpansReply(spans=tuple(found[: request.limit]))

    async def _timeline(self, request: TimelineRequest) -> TimelineReply:
        site, source = split(request.source, self._sites.names)
        view = self._at(site, request.view)
        asked = msgspec.structs.replace(request, view=view, source=source)
        reply: TimelineReply | None = await self._sites.ask_one(site, asked)
        if reply is None:
            raise RemoteError(UserError.__name__, f"{site} {self._sites.away.get(site, 'is no site')}")
        return msgspec.structs.replace(reply, pictures=tuple(joined(site, id_) for id_ in reply.pictures))

    async def _status(self, request: StatusRequest) -> MemoryStatus:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._refresh_statuses)
            talk: MemoryStatus = await self._ask_talk(StatusRequest())
        away = self._sites.away
        here = {s: self._statuses[s][1] for s in self._sites.names if s in self._statuses and s not in away}
        newest = self._generations.newest
        return merge.merge_status({**here, TALK: talk}, self._sites.uncertainty_s, newest, away)

    async def _refresh_statuses(self) -> None:
        now_s = anyio.current_time()
        stale = [s for s in self._sites.names if s not in self._statuses or now_s - self._statuses[s][0] > STATUS_AGE_S]
        for site, status in (await self._sites.ask(stale, lambda _: StatusRequest())).items():
            self._statuses[site] = (now_s, status)

    async def _remember(self, request: RememberRequest) -> Done:
        done: Done = await self._ask_talk(request)
        return done


def _until(
    limits: Mapping[str, float], source: str, as_of_s: float, records: Mapping[str, SourceRecord]
) -> dict[str, float]:
    """Limits of a question asked of ``source`` at a media time: nothing is seen of any source that came later by the
    clock on the wall, as far as clocks tell."""
    record = records.get(source)
    if record is None or not record.started_wall_s:
        return {name: t_s for name, t_s in limits.items() if split(name, (source.partition("/")[0],))[0]}
    wall_s = record.started_wall_s + as_of_s
    found = {}
    for name, limit_s in limits.items():
        other = records.get(name)
        if name == source or other is None or not other.started_wall_s:
            found[name] = min(limit_s, as_of_s) if name == source else limit_s
            continue
        seen_s = wall_s - other.started_wall_s
        if seen_s > 0:
            found[name] = min(limit_s, round(seen_s, 3))
    return found


async def main(service: Service) -> None:
    """Be the memory of all sites of the hub in this folder.

    Raises:
        UserError: its server does not run, or what that needs is not installed.
    """
    async with joined_hub(service.folder) as connection:
        await Mind(service, connection).run()
