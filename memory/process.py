"""The memory process: makes durable what is perceived, acknowledges it, and answers calls about it.

Writing and reading have a thread and a connection each, so that a question never waits for a commit, nor a
commit for a question, and the event loop for neither. The order that must hold: commit, then acknowledge,
then announce; so nobody is told of what a crash could still take back.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from memory.announcer import Announcer
from memory.archive.exporter import clear_unfinished
from memory.calls import Answerer
from memory.store.admission import find_fault
from memory.store.batch import Batch, Delivered, gather, lost_gap
from memory.store.connect import SQL_ERRORS
from memory.store.database import Store
from memory.store.levels import budget_of
from memory.store.read_only import ReadOnlyStore
from memory.transactions import MemoryWriter
from memory.upkeep.repair import find_damage
from memory.upkeep.rows import BadRow, find_bad_rows
from runtime import program
from runtime.encryption import held
from runtime.errors import StoreError
from runtime.footage import FOOTAGE, trim_all
from runtime.messages import (
    TRACKS,
    Ack,
    ArchiveReply,
    BackupRequest,
    Done,
    ExportRequest,
    ForeignRequest,
    ForgetReply,
    ForgetRequest,
    ImportRequest,
    JournalRequest,
    ReaddRequest,
    RecallRequest,
    RedescribeReply,
    RedescribeRequest,
    RememberRequest,
    ScanRequest,
    SpansRequest,
    StatusRequest,
    TimelineRequest,
    Track,
    TrackLost,
    ViewRequest,
)

if TYPE_CHECKING:
    from runtime.service import Service

# Half of what a publisher may have unacknowledged, so that it need not wait while a batch is written.
BATCH_LIMIT = 128
# What belongs together arrives together: a moment longer than the first message of it.
GATHER_S = 0.02
# Reading what recall holds of a large memory.
WARMING_S = 300.0
# Of what age and budget remove, bytes stay in the file until it is scrubbed; and bits flip.
UPKEEP_INTERVAL_S = 3600.0
# Whoever cuts the log has lost what is in it; what comes after would be lost as well.
LOG_CHECK_S = 1.0
# So long at most is looked for damage at a time, the newest first.
CHECK_S = 20.0

T = TypeVar("T")


class Remembering:
    """The process: batches in, acknowledgements and answers out."""

    def __init__(self, service: Service, store: Store) -> None:
        self._service = service
        self._interval_s = service.config.memory.commit_interval_s
        self._recorder = MemoryWriter(store, service.config.memory)
        self._answerer = Answerer(store, service.config.memory)
        self._writer_thread = anyio.CapacityLimiter(1)
        self._store = store
        self._beside_limit = anyio.CapacityLimiter(1)
        self._lost: dict[tuple[str, Track], str] = {}
        self._taken: list[Delivered] = []
        # How far each publisher is durable, and whose message was acknowledged last: only that is repeated.
        self._durable: dict[tuple[str, int], int] = {}
        self._told: dict[str, int] = {}
        self._committed_at = 0.0
        self._is_indexed_anew = False

    async def run(self) -> None:
        """Remember until stopping; then store what has arrived."""
        self._service.report(notes=())
        status = await self._read_mended(self._answerer.status, StatusRequest())
        stored, spans = sum(status.observations.values()), sum(status.spans.values())
        self._announcer = Announcer(self._service, stored, spans)
        durable = await self._read(self._answerer.durable)
        subscription = self._service.subscribe("perceived", after=durable, on_refused=self._tell_again)
        # To nobody: whoever waits for one that has stored nothing of it yet learns that it is there.
        self._service.publish("ack", Ack(publisher="", epoch=0, seq=0))
        # A publisher whose acknowledgement died with an earlier process waits for it still.
        for (publisher, epoch), seq in durable.items():
            self._acknowledge(publisher, epoch, seq)
        try:
            await self._catch_up()
        except Exception as error:
            if not await self._mended_for(error):
                raise
            await self._catch_up()
        self._service.ready()
        self._service.report(idle=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._remember_forever, subscription)
            if not isinstance(self._store, ReadOnlyStore):
                tasks.start_soon(self._look_after_forever)
                tasks.start_soon(self._watch_log)
            await self._service.serve(
                {
                    ViewRequest: self._handler(self._answerer.view),
                    RecallRequest: self._handler(self._answerer.recall),
                    ScanRequest: self._handler(self._answerer.scan),
                    SpansRequest: self._handler(self._answerer.spans),
                    TimelineRequest: self._handler(self._answerer.timeline),
                    StatusRequest: self._handler(self._answerer.status),
                    JournalRequest: self._handler(self._answerer.journal),
                    ForeignRequest: self._handler(self._answerer.foreign),
                    RedescribeRequest: self._redescribe,
                    RememberRequest: self._remember,
                    TrackLost: self._lose,
                    ForgetRequest: self._forget,
                    ReaddRequest: self._readd,
                    ExportRequest: self._export,
                    BackupRequest: self._back_up,
                    ImportRequest: self._import,
                }
            )
            tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._drain(subscription)
            await self._read(self._answerer.close)

    async def _catch_up(self) -> None:
        if not isinstance(self._store, ReadOnlyStore):
            self._announcer.note(await self._write(self._recorder.catch_up))
        with self._service.may_take(WARMING_S):
            await self._read(self._answerer.warm)

    async def _remember_forever(self, subscription: Any) -> None:
        while True:
            if (delivery := subscription.poll()) is None:
                self._announcer.announce()
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
            # Where more has always come meanwhile, nothing above waits, and nothing would ever be given up.
            await anyio.lowlevel.checkpoint()

    async def _look_after_forever(self) -> None:
        """Let footage go whose time is over, scrub what was removed since, and look for damage."""
        while True:
            await self._beside(trim_all, self._store.directory / FOOTAGE, time.time())
            await anyio.sleep(UPKEEP_INTERVAL_S)
            with anyio.CancelScope(shield=True):
                await self._write(self._store.scrub_if_needed)
            await self._mended()
            damage = await self._beside(find_damage, self._store.path, CHECK_S, self._store.key)
            if damage:
                note = f"memory is damaged ({damage}); stop the agent, then run `{program.name()} repair`"
                self._service.log.error(note)
                self._service.report(notes=(note,))

    async def _watch_log(self) -> None:
        while True:
            await anyio.sleep(LOG_CHECK_S)
            await self._write(self._store.check_log)

    async def _mended(self) -> bool:
        """Put aside rows that are not as they were stored; whether there were any."""
        bad = await self._beside(self._bad_rows)
        if bad:
            with anyio.CancelScope(shield=True):
                await self._write(self._recorder.put_aside, bad)
            told = ", ".join(f"{n} x {why}" for why, n in Counter(row.why for row in bad).items())
            self._service.log.warning("damaged rows were put aside: %s", told)
        return bool(bad)

    async def _mended_for(self, error: Exception) -> bool:
        """Put aside what may have led to an error; where all rows are as they were stored, and something cannot be read
        all the same, it is in the index, which is made anew: once, for it takes long."""
        if await self._mended():
            return True
        if self._is_indexed_anew or not isinstance(error, (*SQL_ERRORS, ValueError)):
            return False
        self._is_indexed_anew = True
        self._service.log.warning("the index cannot be read (%s); it is made anew", error)
        with anyio.CancelScope(shield=True), self._service.may_take(WARMING_S):
            await self._write(self._recorder.put_aside, [])
        return True

    def _bad_rows(self) -> list[BadRow]:
        with closing(self._store.reader()) as reader:
            return list(find_bad_rows(reader, time.monotonic() + CHECK_S))

    async def _beside(self, function: Callable[..., T], *args: Any) -> T:
        """Run beside reading and writing, one at a time."""
        return await anyio.to_thread.run_sync(function, *args, limiter=self._beside_limit)

    async def _drain(self, subscription: Any) -> None:
        while (delivery := subscription.poll()) is not None:
            self._taken.append(delivery)
        await self._store_taken()
        self._announcer.announce()

    async def _store_taken(self) -> None:
        batch = gather(self._taken)
        self._taken.clear()
        for reason, n in batch.refused.items():
            self._service.drop(f"perceived:malformed {reason}", n)
        committed = await self._write(self._recorder.commit, batch)
        self._committed_at = anyio.current_time()
        for (publisher, epoch), seq in batch.sequence.items():
            self._acknowledge(publisher, epoch, seq)
        self._announcer.note(committed)
        if self._lost and batch.opened:
            await self._end_lost_tracks()

    def _acknowledge(self, publisher: str, epoch: int, seq: int) -> None:
        self._durable[publisher, epoch] = seq
        self._told[publisher] = epoch
        self._service.publish("ack", Ack(publisher=publisher, epoch=epoch, seq=seq))

    def _tell_again(self, publisher: str, epoch: int) -> None:
        """Tell a publisher whose message was refused how far it is durable, unless that is being repeated: it does not
        know, or what it has is not what is missing here, and waits for an acknowledgement that never comes."""
        if self._told.get(publisher) != epoch:
            self._acknowledge(publisher, epoch, self._durable.get((publisher, epoch), 0))

    async def _remember(self, request: RememberRequest) -> Done:
        for observation in request.observations:
            if fault := find_fault(observation):
                raise StoreError(f"observation {observation.id!r} cannot be stored: its {fault} is wrong")
        committed = await self._write(self._recorder.commit, Batch(observations=request.observations))
        self._announcer.note(committed)
        self._announcer.announce()
        return Done()

    async def _forget(self, request: ForgetRequest) -> ForgetReply:
        if request.preview:
            return await self._read(self._answerer.preview, request)
        reply = await self._write(self._recorder.forget, request, (self._service.run_dir,))
        self._announcer.note(await self._write(self._recorder.catch_up))
        self._announcer.count(-sum(reply.observations.values()))
        self._announcer.announce()
        return reply

    async def _redescribe(self, request: RedescribeRequest) -> RedescribeReply:
        return await self._write(self._recorder.redescribe, request)

    async def _readd(self, request: ReaddRequest) -> Done:
        done = await self._write(self._recorder.readd, request)
        self._announcer.forget_source(request.source)
        self._announcer.note(await self._write(self._recorder.catch_up))
        self._announcer.announce()
        return done

    async def _export(self, request: ExportRequest) -> ArchiveReply:
        return await anyio.to_thread.run_sync(self._answerer.export, request, abandon_on_cancel=True)

    async def _import(self, request: ImportRequest) -> ArchiveReply:
        reply = await self._write(self._recorder.import_archive, request)
        self._announcer.count(reply.observations)
        self._announcer.note(await self._write(self._recorder.catch_up))
        self._announcer.announce()
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
            self._announcer.note(await self._write(self._recorder.commit, Batch(observations=tuple(gaps))))
            self._announcer.announce()

    def _handler(self, answer: Callable[[Any], T]) -> Callable[[Any], Any]:
        async def handle(request: Any) -> T:
            return await self._read_mended(answer, request)

        return handle

    async def _read_mended(self, function: Callable[..., T], *args: Any) -> T:
        """Read; where a row is in the way that is not as it was stored, put it aside and read again."""
        try:
            return await self._read(function, *args)
        except StoreError:
            raise
        except Exception as error:
            if not await self._mended_for(error):
                raise
            return await self._read(function, *args)

    async def _back_up(self, request: BackupRequest) -> ArchiveReply:
        return await anyio.to_thread.run_sync(self._answerer.back_up, request, abandon_on_cancel=True)

    async def _read(self, function: Callable[..., T], *args: Any) -> T:
        return await self._service.in_thread(function, *args)

    async def _write(self, function: Callable[..., T], *args: Any) -> T:
        # Never abandoned: a transaction is either done or undone before the next begins.
        return await anyio.to_thread.run_sync(function, *args, limiter=self._writer_thread)


async def open_store(service: Service) -> Store | None:
    """Open the memory folder in a thread, and tell how far that is: a file of an older version takes minutes. None
    where the process is to stop before it is open.

    Raises:
        StoreError: the folder cannot be used.
    """
    store: Store | None = None
    failure: StoreError | None = None

    def progress(text: str) -> None:
        service.progressed()
        if text:
            service.report(notes=(text,))

    service.report(idle=False)
    budget = budget_of(service.config.memory)
    async with anyio.create_task_group() as tasks:

        async def stop() -> None:
            await service.stopping.wait()
            tasks.cancel_scope.cancel()

        tasks.start_soon(stop)
        try:
            kind = ReadOnlyStore if service.read_only else Store
            key = held(service.folder)
            store = await anyio.to_thread.run_sync(kind, service.folder, budget, progress, key, abandon_on_cancel=True)
        except StoreError as error:  # here, where it is not yet in a group
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return store


async def main(service: Service) -> None:
    """Run the memory process.

    Raises:
        StoreError: the folder cannot be used.
        RestartNeeded: the log was cut; what is left of it is read by the next process.
    """
    store = await open_store(service)
    if store is None:
        return
    if not isinstance(store, ReadOnlyStore):
        clear_unfinished(store.directory)
    try:
        await Remembering(service, store).run()
    finally:
        store.close()
