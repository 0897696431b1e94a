"""The writing half of the memory process: what arrives, or is asked to go, in one transaction each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from memory.archive.importer import import_memory
from memory.budget.compress import load_compressor
from memory.budget.enforce import BudgetEnforcer
from memory.budget.retention import DAY_S, Limit, note_hour, retain
from memory.budget.value_density import Policy
from memory.erasure.forget import forget, readd
from memory.redescribe import redescribe
from memory.spans.integrate import Integration
from memory.spans.segment import SegmentOptions
from memory.store.batch import Batch
from memory.store.database import Store
from memory.store.levels import MIB, budget_of
from memory.store.size_accounting import CHANNELS
from memory.store.writing import Writing
from memory.upkeep.rows import BadRow, quarantine
from runtime.config import MemoryConfig
from runtime.errors import StoreError
from runtime.footage import FOOTAGE
from runtime.footage import erase as erase_footage
from runtime.messages import (
    ArchiveReply,
    Channel,
    Done,
    ForgetReply,
    ForgetRequest,
    ImportRequest,
    ReaddRequest,
    RedescribeReply,
    RedescribeRequest,
)

# Of so many sources each commit tells how far it has come: the newest.
ANNOUNCED_SOURCES = 256


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


class MemoryWriter:
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
        self._keeper = BudgetEnforcer(budget_of(options), load_compressor(options.budget.compressor), policy)
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
        """Erase what the user wants gone, and prove it (`memory.erasure.forget`).

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
            return import_memory(self._store, request, self._fit)
        except BaseException:
            with suppress(StoreError):
                self._store.scrub()  # what was undone may have reached the write-ahead log
            raise
        finally:
            self._integration.forget_unsaved()
            self._keeper.forget_unsaved()

    def _fit(self, writing: Writing) -> None:
        """What is written fits into the budget."""
        writing.settle()
        self._keeper.keep(writing, self._keeper.find_untaken(writing))

    def put_aside(self, bad: list[BadRow]) -> None:
        """Take out rows that are not as they were stored, and have what is made of them made again."""
        quarantine(self._store, bad, time.time())
        self._integration.forget_unsaved()
        self._keeper.forget_unsaved()

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
        """Let a source be perceived again from its begin, or from its end where it has grown."""
        readd(self._store, request.source, request.grown_to)
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
            if writing.untold:
                self._integration.forget_unsaved()
        except BaseException:
            self._integration.forget_unsaved()
            self._keeper.forget_unsaved()
            raise
        erase_footage(self._store.directory / FOOTAGE, writing.refused)
        return Committed(
            generation=writing.generation, stored=writing.stored, spans=writing.spans, points=points,
            size_bytes=self._store.size_bytes(), erased=writing.erased, unfinished=unfinished,
        )  # fmt: skip
