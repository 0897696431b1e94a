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

from reasoning.standing.learned import KEPT_PER_QUERY, Mistake
from runtime.errors import StoreError
from runtime.messages import Decision, Notice, StandingQuery

FILE = "standing.json"
NOTICES_KEPT, DECISIONS_KEPT = 64, 128


class Page(Struct, frozen=True, forbid_unknown_fields=False):
    """What the file holds. ``generation``: of memory, up to which all was looked at."""

    generation: int = 0
    numbered: int = 0
    queries: tuple[StandingQuery, ...] = ()
    notices: tuple[Notice, ...] = ()
    decisions: tuple[Decision, ...] = ()
    mistakes: tuple[Mistake, ...] = ()


class StandingQueryStore:
    """The queries of one memory folder, by id. Changes are on disk after `save`, where it can be written."""

    def __init__(self, memory_dir: Path, read_only: bool = False) -> None:
        self._path = memory_dir / FILE
        self.read_only = read_only
        page = _read(self._path)
        self.queries: dict[str, StandingQuery] = {query.id: query for query in page.queries}
        self.notices: tuple[Notice, ...] = page.notices
        self.decisions: tuple[Decision, ...] = page.decisions
        self.mistakes: tuple[Mistake, ...] = page.mistakes
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
        self.decisions = tuple(d for d in self.decisions if d.query not in ids)
        self.mistakes = tuple(m for m in self.mistakes if m.query not in ids)

    def add_notice(self, notice: Notice, query: StandingQuery) -> None:
        """Keep what was told, together with the state its query is in after it."""
        self.notices = (*self.notices, notice)[-NOTICES_KEPT:]
        self.put(query)

    def cite(self, notice: Notice) -> None:
        """A notice whose evidence is known by now."""
        self.notices = tuple(notice if kept.id == notice.id else kept for kept in self.notices)

    def decide(self, decision: Decision) -> None:
        """Keep what was decided; the oldest makes room."""
        self.decisions = (*self.decisions, decision)[-DECISIONS_KEPT:]

    def replace(self, before: Decision, after: Decision) -> None:
        """A decision of which more is known."""
        self.decisions = tuple(after if d is before else d for d in self.decisions)

    def add_mistake(self, mistake: Mistake) -> None:
        """Keep a false alarm; of one query the oldest make room."""
        mine = [m for m in self.mistakes if m.query == mistake.query]
        dropped = mine[: max(0, len(mine) + 1 - KEPT_PER_QUERY)]
        self.mistakes = (*(m for m in self.mistakes if m not in dropped), mistake)

    def forget_told(self) -> None:
        """Drop what was told and decided; the queries stay."""
        self.notices, self.decisions = (), ()
        self.put(*(msgspec.structs.replace(query, last_text="") for query in self.queries.values()))

    def save(self) -> None:
        """Write the file beside itself, then put it in place: a crash leaves the old one or the new one.

        Raises:
            StoreError: it cannot be written.
        """
        if self.read_only:
            raise StoreError(f"standing queries {self._path} cannot be written, nor what else is there")
        queries = tuple(self.queries.values())
        page = Page(self.generation, self._numbered, queries, self.notices, self.decisions, self.mistakes)
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
