"""The memory process: makes durable what is perceived, acknowledges it, and answers calls about it.

Writing and reading have a thread and a connection each, so that a question never waits for a commit, nor a
commit for a question, and the event loop for neither. The order that must hold: commit, then acknowledge,
then announce; so nobody is told of what a crash could still take back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread
from msgspec import Struct

from memory.archive import export_memory, import_memory
from memory.budget import MIB, Budget, Keeper
from memory.charges import CHANNELS
from memory.compress import load_compressor
from memory.forget import forget, preview, readd
from memory.integrate import Integration
from memory.last_seen import last_seen
from memory.observe import Batch, Delivered, find_fault, gather, lost_gap
from memory.reader import read_spans, read_status, scan, snapshot
from memory.recall import Recall, RecallOptions
from memory.redescribe import foreign_frames, redescribe
from memory.retention import DAY_S, Limit, note_hour, retain
from memory.segment import SegmentOptions
from memory.store import Store, explained
from memory.vector_segments import segment_vectors
from memory.views import open_view
from memory.worth import Policy
from runtime.config import MemoryConfig
from runtime.errors import StoreError
from runtime.messages import (
    TRACKS,
    Ack,
    ArchiveReply,
    Channel,
    Done,
    ExportRequest,
    ForeignReply,
    ForeignRequest,
    ForgetReply,
    ForgetRequest,
    ImportRequest,
    LastSeenReply,
    LastSeenRequest,
    MemoryStatus,
    ReaddRequest,
    RecallReply,
    RecallRequest,
    RedescribeReply,
    RedescribeRequest,
    RememberRequest,
    ScanReply,
    ScanRequest,
    SpansReply,
    SpansRequest,
    StatusRequest,
    Stored,
    Track,
    TrackLost,
    View,
    ViewRequest,
)

if TYPE_CHECKING:
    from runtime.service import Service

# Half of what a publisher may have unacknowledged, so that it need not wait while a batch is written.
BATCH_LIMIT = 128
ANNOUNCE_INTERVAL_S = 0.1
# What belongs together arrives together: a moment longer than the first message of it.
GATHER_S = 0.02
ANNOUNCED_SOURCES = 256
SEGMENT_INTERVAL_S = 30.0

T = TypeVar("T")


class Committed(Struct, frozen=True):
    """What a commit led to. ``points``: source -> (media seconds all tracks are in up to, whether all ended).
    ``erased``: what was refused because the user had it forgotten.
    ``unfinished``: more is beyond the limits of its channel than one commit removes."""

    generation: int
    stored: int
    spans: int
    points: dict[str, tuple[float, bool]]
    size_bytes: int
    erased: int = 0
    unfinished: bool = False


def budget_of(options: MemoryConfig) -> Budget:
    """The budgets of a profile, in bytes."""
    mib = options.budget
    return Budget(
        hot=int(mib.hot_mib * MIB), events=int(mib.events_mib * MIB), episodes=int(mib.episodes_mib * MIB),
        words=int(mib.words_mib * MIB),
    )  # fmt: skip


def limits_of(options: MemoryConfig) -> dict[Channel, Limit]:
    """The channels that a profile limits."""
    ages, sizes = options.retention.max_age_days, options.retention.max_mib
    return {
        channel: Limit(
            age_s=ages[channel] * DAY_S if channel in ages else None,
            bytes=int(sizes[channel] * MIB) if channel in sizes else None,
        )
        for channel in CHANNELS
        if channel in ages or channel in sizes
    }


class Recorder:
    """The writing half: one thread at a time, in its own connection."""

    def __init__(self, store: Store, options: MemoryConfig, policy: Policy | None = None) -> None:
        self._store = store
        self._integration = Integration(
            SegmentOptions(
                min_s=options.event_min_s,
                max_s=options.event_max_s,
                gamma=options.surprise_gamma,
                window=options.surprise_window,
            )
        )
        self._keeper = Keeper(budget_of(options), load_compressor(options.budget.compressor), policy)
        self._limits = limits_of(options)

    def catch_up(self) -> Committed:
        """Consolidate what an earlier process did not live to, and keep limits that are new."""
        while True:
            committed = self._commit(Batch(), None)
            if not committed.unfinished:
                return committed

    def commit(self, batch: Batch) -> Committed:
        """Make a batch durable with the spans it completes.

        Raises:
            StoreError: it could not be written; nothing of it was.
        """
        touched = [opened.source for opened in batch.opened]
        touched += [source for source, _ in (*batch.watermarks, *batch.ended)]
        touched += [o.source for o in batch.observations if o.channel == "gap"]
        return self._commit(batch, list(dict.fromkeys(touched)))

    def forget(self, request: ForgetRequest, log_folders: Sequence[Path]) -> ForgetReply:
        """Erase what the user wants gone, and prove it (`memory.forget`).

        Raises:
            StoreError: nothing was asked for that can be found, or it could not be done.
        """
        try:
            return forget(self._store, request, log_folders)
        finally:
            self._integration.forget_unsaved()  # it holds what has gone
            self._keeper.forget_unsaved()

    def import_archive(self, request: ImportRequest) -> ArchiveReply:
        """Take in an archive, whole or not at all."""
        try:
            return import_memory(self._store, request)
        finally:
            self._integration.forget_unsaved()

    def redescribe(self, request: RedescribeRequest) -> RedescribeReply:
        """Give frames what another encoder says of them.

        Raises:
            StoreError: that is not of one encoder, or it could not be written; nothing of it was.
        """
        try:
            with self._store.write() as writing:
                reply = RedescribeReply(redescribed=redescribe(writing, request.frames))
                self._keeper.keep(writing, ())
        finally:
            self._keeper.forget_unsaved()  # it compares events by their vectors
        return reply

    def readd(self, request: ReaddRequest) -> Done:
        """Let a source be perceived again from its begin."""
        readd(self._store, request.source)
        self._integration.forget_unsaved()
        return Done()

    def _commit(self, batch: Batch, touched: list[str] | None) -> Committed:
        try:
            with self._store.write() as writing:
                writing.add(batch)
                media = writing.media_sources()
                names = media if touched is None else [name for name in media if name in set(touched)]
                closed = self._integration.advance(writing, names)
                now_wall_s = time.time()
                note_hour(writing.connection, now_wall_s, writing.first_seq)
                unfinished = retain(writing, self._limits, now_wall_s)
                if touched is None:
                    closed = self._keeper.find_untaken(writing)
                self._keeper.keep(writing, closed)
                announced = names[-ANNOUNCED_SOURCES:]
                points = {name: writing.release_point(writing.source(name)) for name in announced}
        except BaseException:
            self._integration.forget_unsaved()
            self._keeper.forget_unsaved()
            raise
        return Committed(
            generation=writing.generation, stored=writing.stored, spans=writing.spans, points=points,
            size_bytes=self._store.size_bytes(), erased=writing.erased, unfinished=unfinished,
        )  # fmt: skip


class Answerer:
    """The reading half. A lock, because a call that was given up may still be reading when the next begins."""

    def __init__(self, store: Store, options: MemoryConfig) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._budget = budget_of(options)
        self._connection = store.reader()
        self._recall = Recall(self._connection, RecallOptions.of(options))

    def view(self, request: ViewRequest) -> View:
        with self._lock, snapshot(self._connection):
            return open_view(self._connection, request)

    def recall(self, request: RecallRequest) -> RecallReply:
        with self._lock:
            return self._recall.recall(request)

    def scan(self, request: ScanRequest) -> ScanReply:
        with self._lock:
            return ScanReply(observations=scan(self._connection, request))

    def foreign(self, request: ForeignRequest) -> ForeignReply:
        with self._lock, snapshot(self._connection):
            return foreign_frames(self._connection, request)

    def last_seen(self, request: LastSeenRequest) -> LastSeenReply:
        with self._lock:
            return last_seen(self._connection, request)

    def spans(self, request: SpansRequest) -> SpansReply:
        with self._lock:
            return SpansReply(spans=read_spans(self._connection, request))

    def status(self, request: StatusRequest) -> MemoryStatus:
        with self._lock:
            return read_status(self._connection, str(self._store.path), self._store.size_bytes(), self._budget)

    def preview(self, request: ForgetRequest) -> ForgetReply:
        with self._lock:
            return preview(self._connection, request)

    def warm(self) -> None:
        with self._lock:
            self._recall.warm()

    def export(self, request: ExportRequest) -> ArchiveReply:
        """Write an archive, through a connection of its own: other questions need not wait."""
        connection = self._store.reader()
        try:
            return export_memory(connection, request)
        finally:
            connection.close()

    def durable(self) -> dict[tuple[str, int], int]:
        """(publisher, epoch) -> last sequence number stored."""
        with self._lock:
            rows = self._connection.execute("SELECT publisher, epoch, seq FROM publisher_seq").fetchall()
        return {(publisher, epoch): seq for publisher, epoch, seq in rows}

    def close(self) -> None:
        with self._lock:
            self._connection.close()


class Remembering:
    """The process: batches in, acknowledgements and answers out."""

    def __init__(self, service: Service, store: Store) -> None:
        self._service = service
        self._interval_s = service.config.memory.commit_interval_s
        self._recorder = Recorder(store, service.config.memory)
        self._answerer = Answerer(store, service.config.memory)
        self._writer_thread = anyio.CapacityLimiter(1)
        self._store = store
        self._segmenting = anyio.CapacityLimiter(1)
        self._over = threading.Event()
        self._points: dict[str, tuple[float, bool]] = {}
        self._lost: dict[tuple[str, Track], str] = {}
        self._stored = self._spans = 0
        self._taken: list[Delivered] = []
        self._news: Committed | None = None
        self._announce_at = self._committed_at = 0.0

    async def run(self) -> None:
        """Remember until stopping; then store what has arrived."""
        status = await self._read(self._answerer.status, StatusRequest())
        self._stored, self._spans = sum(status.observations.values()), sum(status.spans.values())
        durable = await self._read(self._answerer.durable)
        subscription = self._service.subscribe("perceived", after=durable)
        # A publisher whose acknowledgement died with an earlier process waits for it still.
        for (publisher, epoch), seq in durable.items():
            self._service.publish("ack", Ack(publisher=publisher, epoch=epoch, seq=seq))
        self._note(await self._write(self._recorder.catch_up))
        await self._read(self._answerer.warm)
        self._service.ready()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._remember_forever, subscription)
            tasks.start_soon(self._segment_vectors_forever)
            await self._service.serve(
                {
                    ViewRequest: self._handler(self._answerer.view),
                    RecallRequest: self._handler(self._answerer.recall),
                    ScanRequest: self._handler(self._answerer.scan),
                    SpansRequest: self._handler(self._answerer.spans),
                    LastSeenRequest: self._handler(self._answerer.last_seen),
                    StatusRequest: self._handler(self._answerer.status),
                    ForeignRequest: self._handler(self._answerer.foreign),
                    RedescribeRequest: self._redescribe,
                    RememberRequest: self._remember,
                    TrackLost: self._lose,
                    ForgetRequest: self._forget,
                    ReaddRequest: self._readd,
                    ExportRequest: self._export,
                    ImportRequest: self._import,
                }
            )
            self._over.set()
            tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._drain(subscription)
            self._answerer.close()

    async def _remember_forever(self, subscription: Any) -> None:
        while True:
            if (delivery := subscription.poll()) is None:
                self._announce()
                self._service.report(idle=True)
                delivery = await anext(subscription)
            self._taken.append(delivery)
            self._service.report(idle=False)
            # Counted from the last commit: after a pause at once, in full flow in batches.
            left_s = self._committed_at + self._interval_s - anyio.current_time()
            with anyio.move_on_after(max(left_s, GATHER_S)):
                while len(self._taken) < BATCH_LIMIT:
                    self._taken.append(subscription.poll() or await anext(subscription))
            with anyio.CancelScope(shield=True):
                await self._store_taken()

    async def _segment_vectors_forever(self) -> None:
        """Put vectors into cells whenever enough have come, beside everything else."""
        while True:
            # Not abandoned, because it holds a connection; it ends between two transactions.
            while await anyio.to_thread.run_sync(self._segment_vectors, limiter=self._segmenting):
                pass
            await anyio.sleep(SEGMENT_INTERVAL_S)

    def _segment_vectors(self) -> bool:
        with explained(self._store.where), closing(self._store.maintainer()) as connection:
            return segment_vectors(connection, self._over.is_set)

    async def _drain(self, subscription: Any) -> None:
        while (delivery := subscription.poll()) is not None:
            self._taken.append(delivery)
        await self._store_taken()
        self._announce()

    async def _store_taken(self) -> None:
        batch = gather(self._taken)
        self._taken.clear()
        for reason, n in batch.refused.items():
            self._service.drop(f"perceived:malformed {reason}", n)
        committed = await self._write(self._recorder.commit, batch)
        self._committed_at = anyio.current_time()
        for (publisher, epoch), seq in batch.sequence.items():
            self._service.publish("ack", Ack(publisher=publisher, epoch=epoch, seq=seq))
        self._note(committed)
        if self._lost and batch.opened:
            await self._end_lost_tracks()

    async def _remember(self, request: RememberRequest) -> Done:
        for observation in request.observations:
            if fault := find_fault(observation):
                raise StoreError(f"observation {observation.id!r} cannot be stored: its {fault} is wrong")
        committed = await self._write(self._recorder.commit, Batch(observations=request.observations))
        self._note(committed)
        self._announce()
        return Done()

    async def _forget(self, request: ForgetRequest) -> ForgetReply:
        if request.preview:
            return await self._read(self._answerer.preview, request)
        reply = await self._write(self._recorder.forget, request, (self._service.run_dir,))
        self._note(await self._write(self._recorder.catch_up))
        self._stored -= sum(reply.observations.values())
        self._announce()
        return reply

    async def _redescribe(self, request: RedescribeRequest) -> RedescribeReply:
        return await self._write(self._recorder.redescribe, request)

    async def _readd(self, request: ReaddRequest) -> Done:
        done = await self._write(self._recorder.readd, request)
        self._points.pop(request.source, None)
        self._note(await self._write(self._recorder.catch_up))
        self._announce()
        return done

    async def _export(self, request: ExportRequest) -> ArchiveReply:
        return await anyio.to_thread.run_sync(self._answerer.export, request, abandon_on_cancel=True)

    async def _import(self, request: ImportRequest) -> ArchiveReply:
        reply = await self._write(self._recorder.import_archive, request)
        self._stored += reply.observations
        self._note(await self._write(self._recorder.catch_up))
        self._announce()
        return reply

    async def _lose(self, request: TrackLost) -> Done:
        for source in request.sources:
            self._lost[(source, request.track)] = request.reason
        await self._end_lost_tracks()
        return Done()

    async def _end_lost_tracks(self) -> None:
        """End the tracks whose process is gone, as soon as their source is known."""
        known = await self._read(self._answerer.status, StatusRequest())
        gaps = []
        for record in known.sources:
            for track in TRACKS:
                reason = self._lost.pop((record.source, track), None)
                if reason is not None and track not in record.ended:
                    gaps.append(lost_gap(record, track, reason))
        if gaps:
            self._note(await self._write(self._recorder.commit, Batch(observations=tuple(gaps))))
            self._announce()

    def _note(self, committed: Committed) -> None:
        """Report a commit, and announce it unless one was announced a moment ago."""
        self._stored += committed.stored
        if committed.erased:
            self._service.drop("perceived:erased before", committed.erased)
        self._spans += committed.spans
        self._points |= committed.points
        while len(self._points) > ANNOUNCED_SOURCES:
            del self._points[next(iter(self._points))]
        for source, (point_s, _) in committed.points.items():
            self._service.report(source=source, media_s=point_s)
        self._service.report(
            counters={"observations": self._stored, "spans": self._spans, "bytes": committed.size_bytes}
        )
        self._news = committed
        if anyio.current_time() >= self._announce_at:
            self._announce()

    def _announce(self) -> None:
        """Tell of the newest commit, if that has not been done."""
        if self._news is None:
            return
        self._announce_at = anyio.current_time() + ANNOUNCE_INTERVAL_S
        self._service.publish(
            "stored",
            Stored(
                generation=self._news.generation,
                watermarks={source: point_s for source, (point_s, _) in self._points.items()},
                ended=tuple(source for source, (_, ended) in self._points.items() if ended),
                observations=self._stored,
                bytes=self._news.size_bytes,
            ),
        )
        self._news = None

    def _handler(self, answer: Callable[[Any], T]) -> Callable[[Any], Any]:
        async def handle(request: Any) -> T:
            return await self._read(answer, request)

        return handle

    async def _read(self, function: Callable[..., T], *args: Any) -> T:
        return await self._service.in_thread(function, *args)

    async def _write(self, function: Callable[..., T], *args: Any) -> T:
        # Never abandoned: a transaction is either done or undone before the next begins.
        return await anyio.to_thread.run_sync(function, *args, limiter=self._writer_thread)


async def main(service: Service) -> None:
    """Run the memory process. ``params["path"]`` is the memory folder.

    Raises:
        StoreError: the folder cannot be used.
    """
    store = Store(Path(service.params["path"]), budget_of(service.config.memory))
    try:
        await Remembering(service, store).run()
    finally:
        store.close()
