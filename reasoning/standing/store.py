"""The book of standing queries: one small file beside the memory, written atomically.

Not in the memory's database: that holds what was perceived, which never changes and can be forgotten or
moved by time ranges and words; a query is an intention, changes its state, and must survive both. A file of
a few kilobytes that is replaced whole needs no migration, and can be read and mended with any editor.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from runtime.errors import StoreError
from runtime.messages import Notice, StandingQuery

FILE = "standing.json"
NOTICES_KEPT = 64


class Page(Struct, frozen=True, forbid_unknown_fields=False):
    """What the file holds. ``generation``: of memory, up to which all was looked at."""

    generation: int = 0
    numbered: int = 0
    queries: tuple[StandingQuery, ...] = ()
    notices: tuple[Notice, ...] = ()


class StandingQueryStore:
    """The queries of one memory folder, by id. Changes are on disk after `save`."""

    def __init__(self, memory_dir: Path) -> None:
        self._path = memory_dir / FILE
        page = _read(self._path)
        self.queries: dict[str, StandingQuery] = {query.id: query for query in page.queries}
        self.notices: tuple[Notice, ...] = page.notices
        self.generation = page.generation
        self._numbered = page.numbered

    def next_id(self) -> str:
        """An id that was never given to another query."""
        self._numbered += 1
        return f"q{self._numbered}"

    def put(self, *queries: StandingQuery) -> None:
        """Add or replace queries."""
        self.queries.update((query.id, query) for query in queries)

    def remove(self, *ids: str) -> None:
        for id_ in ids:
            del self.queries[id_]

    def add_notice(self, notice: Notice, query: StandingQuery) -> None:
        """Keep what was told, together with the state its query is in after it."""
        self.notices = (*self.notices, notice)[-NOTICES_KEPT:]
        self.put(query)

    def cite(self, notice: Notice) -> None:
        """A notice whose evidence is known by now."""
        self.notices = tuple(notice if kept.id == notice.id else kept for kept in self.notices)

    def forget_told(self) -> None:
        """Drop what was told; the queries stay."""
        self.notices = ()
        self.put(*(msgspec.structs.replace(query, last_text="") for query in self.queries.values()))

    def save(self) -> None:
        """Write the file beside itself, then put it in place: a crash leaves the old one or the new one.

        Raises:
            StoreError: it cannot be written.
        """
        page = Page(self.generation, self._numbered, tuple(self.queries.values()), self.notices)
        beside = self._path.with_suffix(".new")
        try:
            with beside.open("wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(page), indent=1))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            raise StoreError(f"standing queries {self._path} cannot be written: {error.strerror}") from error


def _read(path: Path) -> Page:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Page)
    except FileNotFoundError:
        return Page()
    except OSError as error:
        raise StoreError(f"standing queries {path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise StoreError(f"standing queries {path} are damaged ({error}); mend the file or move it away") from error
