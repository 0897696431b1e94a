"""The reading half of the memory process: every question about what is remembered, over one read connection."""

from __future__ import annotations

import threading

from memory.archive.exporter import export_memory
from memory.erasure.forget import preview
from memory.recall.last_seen import last_seen
from memory.recall.rank import Recall, RecallOptions
from memory.spans.read_spans import read_spans
from memory.store.database import Store
from memory.store.levels import budget_of
from memory.store.reader import read_status, scan, snapshot
from memory.store.redescribe import foreign_frames
from memory.store.views import open_view
from runtime.config import MemoryConfig
from runtime.messages import (
    ArchiveReply,
    ExportRequest,
    ForeignReply,
    ForeignRequest,
    ForgetReply,
    ForgetRequest,
    LastSeenReply,
    LastSeenRequest,
    MemoryStatus,
    RecallReply,
    RecallRequest,
    ScanReply,
    ScanRequest,
    SpansReply,
    SpansRequest,
    StatusRequest,
    View,
    ViewRequest,
)


class Answerer:
    """A lock, because a call that was given up may still be reading when the next begins."""

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
