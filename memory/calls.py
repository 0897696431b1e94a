"""The reading half of the memory process: every question about what is remembered, over one read connection."""

from __future__ import annotations

from memory.archive.exporter import export_memory
from memory.erasure.forget import preview
from memory.recall.rank import Recall, RecallOptions
from memory.redescribe import foreign_frames
from memory.spans.read_spans import read_spans
from memory.store.database import Store
from memory.store.journal import read_journal
from memory.store.levels import budget_of
from memory.store.reader import read_status, scan, snapshot
from memory.store.records import read_durable
from memory.store.timeline import read_timeline
from memory.store.views import open_view
from memory.upkeep.backup import back_up
from runtime.config import MemoryConfig
from runtime.messages import (
    ArchiveReply,
    BackupRequest,
    ExportRequest,
    ForeignReply,
    ForeignRequest,
    ForgetReply,
    ForgetRequest,
    JournalReply,
    JournalRequest,
    MemoryStatus,
    RecallReply,
    RecallRequest,
    ScanReply,
    ScanRequest,
    SpansReply,
    SpansRequest,
    StatusRequest,
    TimelineReply,
    TimelineRequest,
    View,
    ViewRequest,
)


class Answerer:
    """Used in one thread, but for `export`."""

    def __init__(self, store: Store, options: MemoryConfig) -> None:
        self._store = store
        self._budget = budget_of(options)
        self._connection = store.reader()
        self._recall = Recall(self._connection, RecallOptions.of(options))

    def view(self, request: ViewRequest) -> View:
        with snapshot(self._connection):
            return open_view(self._connection, request)

    def recall(self, request: RecallRequest) -> RecallReply:
        return self._recall.recall(request)

    def scan(self, request: ScanRequest) -> ScanReply:
        return ScanReply(observations=scan(self._connection, request))

    def foreign(self, request: ForeignRequest) -> ForeignReply:
        with snapshot(self._connection):
            return foreign_frames(self._connection, request)

    def spans(self, request: SpansRequest) -> SpansReply:
        return SpansReply(spans=read_spans(self._connection, request))

    def timeline(self, request: TimelineRequest) -> TimelineReply:
        return read_timeline(self._connection, request)

    def journal(self, request: JournalRequest) -> JournalReply:
        return read_journal(self._connection, request)

    def status(self, request: StatusRequest) -> MemoryStatus:
        return read_status(self._connection, str(self._store.path), self._store.size_bytes(), self._budget)

    def preview(self, request: ForgetRequest) -> ForgetReply:
        return preview(self._connection, request)

    def warm(self) -> None:
        self._recall.warm()

    def back_up(self, request: BackupRequest) -> ArchiveReply:
        return back_up(self._store, request)

    def export(self, request: ExportRequest) -> ArchiveReply:
        """Write an archive, through a connection of its own: other questions need not wait."""
        connection = self._store.reader()
        try:
            return export_memory(connection, request)
        finally:
            connection.close()

    def durable(self) -> dict[tuple[str, int], int]:
        """(publisher, epoch) -> last sequence number stored."""
        return read_durable(self._connection)

    def close(self) -> None:
        self._connection.close()
