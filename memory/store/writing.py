"""What can be written in one transaction of the store: observations, tracks, spans, and how far each
publisher is durable. Everything is idempotent, so what is delivered twice is stored once.
"""

# ruff: noqa: S608 - only names of columns and question marks are put into statements
from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from memory.index.blocks import index_key, repack, seal_full_blocks, unindex
from memory.index.keys import Key, counted_terms, observation_key
from memory.index.vocabulary import learn
from memory.store.batch import Batch, ends_track
from memory.store.pending import PendingErasure
from memory.store.records import (
    OBSERVATION_COLUMNS,
    OBSERVATION_JOIN,
    checksum,
    insert_observation,
    insert_span,
    observation_of,
    read_durable,
    seal_tracks,
)
from memory.store.removal import count_terms, remove_observations, remove_pictures
from memory.store.size_accounting import charge_since
from memory.store.views import tracks_of
from runtime.errors import StoreError
from runtime.messages import PERCEIVED_CHANNELS, Observation, SourceOpened, Span, TimeWindow
from runtime.trust import trust_of

EPOCHS_KEPT = 8
KNOWN_TERMS_LIMIT = 100_000


class Writing:
    """An open transaction, made by `Store.write`. ``generation`` is the number it will be visible under."""

    def __init__(self, connection: sqlite3.Connection, known_terms: set[str], pending_erasure: PendingErasure) -> None:
        self.connection = connection
        self._known_terms = known_terms
        self._unwelcome = pending_erasure
        self._sources: dict[str, tuple[int, float]] = {}
        self._erasures: dict[str, list[tuple[str, float, float]]] | None = None
        self.generation = self._generation() + 1
        self.stored = 0
        self.erased = 0
        # Where what was refused would have been: footage of it goes, too.
        self.refused: list[TimeWindow] = []
        self.spans = 0
        # Consolidation saved before this has to tell less: what of it is in memory must be read anew.
        self.untold = False
        self._is_scrubbed = True
        # What was asked, answered or corrected in this transaction, and what its answers rest on.
        self.asked: list[Observation] = []
        self.cited: list[str] = []
        self._charged_to = self._last_seq()
        self.first_seq = self._charged_to + 1
        self._term_counts: Counter[str] = Counter()
        self._to_unindex: list[tuple[int, Key]] = []

    def add(self, batch: Batch) -> None:
        """Store a batch: tracks first, because observations belong to their sources."""
        for opened in batch.opened:
            self.open_track(opened)
        for observation in batch.observations:
            self.add_observation(observation)
        for (source, track), t_s in batch.watermarks.items():
            self.advance(source, track, t_s)
            self._unwelcome.passed(source, t_s)
        for (source, track), reason in batch.ended.items():
            self.end_track(source, track, reason)
        for (publisher, epoch), seq in batch.sequence.items():
            self._note_sequence(publisher, epoch, seq)

    def open_track(self, opened: SourceOpened) -> None:
        """Note that a track began. A track that broke and is opened again goes on where it was."""
        known = self.connection.execute("SELECT kind FROM sources WHERE name=?", (opened.source,)).fetchone()
        if known is None or known[0] == "":
            self.connection.execute(
                "INSERT INTO sources(name, kind, uri, fingerprint, started_wall_s, duration_s) VALUES (?,?,?,?,?,?)"
                " ON CONFLICT(name) DO UPDATE SET kind=excluded.kind, uri=excluded.uri,"
                " fingerprint=excluded.fingerprint, started_wall_s=excluded.started_wall_s,"
                " duration_s=excluded.duration_s",
                (
                    opened.source, opened.kind, opened.uri, opened.fingerprint, opened.started_wall_s,
                    opened.duration_s,
                ),
            )  # fmt: skip
            self._sources.pop(opened.source, None)
        elif opened.duration_s is not None:
            self.connection.execute(
                "UPDATE sources SET duration_s=max(coalesce(duration_s, 0), ?) WHERE name=?",
                (opened.duration_s, opened.source),
            )
        encoders = msgspec.json.encode(opened.encoders).decode()
        self.connection.execute(
            "INSERT INTO tracks(source, track, missing, encoders) VALUES (?,?,?,?)"
            " ON CONFLICT DO UPDATE SET missing=excluded.missing, encoders=excluded.encoders,"
            " ended=CASE WHEN ended='end' THEN ended END",
            (self.source(opened.source), opened.track, opened.missing, encoders),
        )
        seal_tracks(self.connection, self.source(opened.source))

    def add_observation(self, observation: Observation) -> bool:
        """Store and index one observation, with the trust it deserves; False if it was there, or was erased."""
        source, started_wall_s = self._source(observation.source)
        if self._is_erased(observation):
            self.erased += 1
            window = TimeWindow(source=observation.source, t0_s=observation.t0_s, t1_s=observation.t1_s)
            self.refused.append(window)
            return False
        observation = msgspec.structs.replace(
            observation,
            trust=trust_of(observation, self._trust_of_evidence(observation)),
            evidence=self._evidence_there(observation),
        )
        seq = insert_observation(
            self.connection, observation, source, self.generation, round(started_wall_s + observation.t0_s, 3)
        )
        if seq is None:
            if observation.data.imported or not self._is_imported(observation.id):
                return False
            # What the agent perceives itself takes the place of what an archive claimed of the same moment.
            self.remove([observation.id])
            seq = insert_observation(
                self.connection, observation, source, self.generation, round(started_wall_s + observation.t0_s, 3)
            )
            assert seq is not None
        self.stored += 1
        self._index(seq, observation)
        if observation.channel not in PERCEIVED_CHANNELS:
            self.asked.append(observation)
            if observation.channel == "answer":
                self.cited += observation.evidence
        if ended := ends_track(observation):
            self.advance(*ended, observation.t0_s)
            self.end_track(*ended, observation.text or "lost")
        return True

    def _is_imported(self, id_: str) -> bool:
        row = self.connection.execute(
            "SELECT coalesce(json_extract(data, '$.imported'), '') FROM observations WHERE id=?", (id_,)
        ).fetchone()
        return bool(row and row[0])

    def remove(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Delete observations with their pictures, vectors, words and links; the ids of those that were there."""
        self.settle()
        self._leave_to_scrub()
        removed = remove_observations(self.connection, ids)
        self.unlearn(removed.terms)
        self._to_unindex += removed.keys
        return tuple(removed.ids)

    def unlearn(self, terms: set[str]) -> None:
        """These terms have left the vocabulary."""
        self._known_terms -= terms

    def remove_pictures(self, ids: Iterable[str]) -> None:
        """Delete the pictures of observations and keep what else is known of them."""
        self.settle()
        self._leave_to_scrub()
        remove_pictures(self.connection, ids)

    def _leave_to_scrub(self) -> None:
        """Bytes of what goes may stay in the file until it is scrubbed."""
        if self._is_scrubbed:
            self.connection.execute("UPDATE memory SET value=1 WHERE key='unscrubbed' AND value=0")
            self._is_scrubbed = False

    def advance(self, source: str, track: str, t_s: float) -> None:
        """Raise the watermark of a track; it never falls."""
        self.connection.execute(
            "INSERT INTO tracks(source, track, watermark_s) VALUES (?,?,?)"
            " ON CONFLICT DO UPDATE SET watermark_s=max(watermark_s, excluded.watermark_s)",
            (self.source(source), track, t_s),
        )
        seal_tracks(self.connection, self.source(source))

    def end_track(self, source: str, track: str, reason: str) -> None:
        self.connection.execute(
            "UPDATE tracks SET ended=? WHERE source=? AND track=?", (reason, self.source(source), track)
        )
        seal_tracks(self.connection, self.source(source))

    def source(self, name: str) -> int:
        """Number of a source; one never opened (a conversation, say) gets a row without a kind."""
        return self._source(name)[0]

    def file_bytes(self) -> tuple[int, int]:
        """(bytes in use, bytes of free pages) of the file as it would be if committed now."""
        page, pages, free = (
            int(self.connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_size", "page_count", "freelist_count")
        )
        return page * (pages - free), page * free

    def give_back(self, n_bytes: int) -> None:
        """Give free pages back to the file system, when the log is next folded into the file."""
        page = int(self.connection.execute("PRAGMA page_size").fetchone()[0])
        for _ in range(-(-n_bytes // page)):
            # The module steps a statement without columns once only, and each step gives back one page.
            self.connection.execute("PRAGMA incremental_vacuum")

    def settle(self) -> None:
        """Bring the running totals up to what this transaction has stored so far."""
        self._charged_to = charge_since(self.connection, self._charged_to)
        count_terms(self.connection, self._term_counts.items())
        self._term_counts.clear()

    def settle_index(self) -> None:
        """Seal blocks that are full, and take out of the index what this transaction has removed so far."""
        unindex(self.connection, self._to_unindex)
        self._to_unindex.clear()
        seal_full_blocks(self.connection)
        repack(self.connection)

    def begin_again(self, source: str) -> None:
        """Let a source be perceived from its begin once more, erased stretches too: its tombstones, watermarks and
        spans go (they are made anew), what is known of it stays.

        Raises:
            StoreError: there is no such source.
        """
        row = self.connection.execute("SELECT source FROM sources WHERE name=? AND kind!=''", (source,)).fetchone()
        if row is None:
            raise StoreError(f"there is no source {source!r} in memory")
        stones = self.connection.execute(
            "SELECT id FROM observations WHERE source=? AND channel='gap' AND json_extract(data, '$.reason')='erased'",
            row,
        ).fetchall()
        self.remove(id_ for (id_,) in stones)
        for table in ("erasures", "spans", "consolidation"):
            self.connection.execute(f"DELETE FROM {table} WHERE source=?", row)
        self.connection.execute("UPDATE tracks SET watermark_s=0, ended=NULL WHERE source=?", row)
        seal_tracks(self.connection, row[0])

    def go_on(self, source: str, fingerprint: str) -> None:
        """A recording has grown: its tracks, which had ended, go on where they were.

        Raises:
            StoreError: there is no such source.
        """
        row = self.connection.execute("SELECT source FROM sources WHERE name=? AND kind!=''", (source,)).fetchone()
        if row is None:
            raise StoreError(f"there is no source {source!r} in memory")
        self.recognise(source, fingerprint)
        self.connection.execute("UPDATE tracks SET ended=NULL WHERE source=?", row)
        seal_tracks(self.connection, row[0])

    def recognise(self, source: str, fingerprint: str) -> None:
        """A source that is there is the recording of this fingerprint."""
        self.connection.execute("UPDATE sources SET fingerprint=? WHERE name=? AND kind!=''", (fingerprint, source))

    def fingerprint(self, source: str) -> str | None:
        """Of the recording known by this name; None where there is none."""
        row = self.connection.execute("SELECT fingerprint FROM sources WHERE name=? AND kind!=''", (source,)).fetchone()
        return None if row is None else str(row[0])

    def add_erasure(self, source: str, channel: str, t0_s: float, t1_s: float, erased_wall_s: float) -> None:
        """Have a stretch refused from now on, as it was where it comes from."""
        stone = (self.source(source), channel, t0_s, t1_s)
        known = "SELECT 1 FROM erasures WHERE source=? AND channel=? AND t0_s=? AND t1_s=?"
        if not self.connection.execute(known, stone).fetchone():
            insert = "INSERT INTO erasures(source, channel, t0_s, t1_s, erased_wall_s) VALUES (?,?,?,?,?)"
            self.connection.execute(insert, (*stone, erased_wall_s))
            self._erasures = None

    def _is_erased(self, observation: Observation) -> bool:
        """Whether this was forgotten at the user's wish before, or rests on what was."""
        if observation.channel == "gap":
            return False
        if self._unwelcome.holds(observation):
            return True
        if observation.channel in PERCEIVED_CHANNELS:
            t0_s, t1_s = observation.t0_s, observation.t1_s
            if any(
                channel in ("", observation.channel) and t0_s <= stone_t1_s and t1_s >= stone_t0_s
                for channel, stone_t0_s, stone_t1_s in self.stones().get(observation.source, ())
            ):
                return True
            # A picture on its way in which a forgotten word can be read.
            return self._unwelcome.began_in_time(observation) and bool(self._evidence_gone(observation))
        # A turn that was under way: it may quote what has been erased meanwhile.
        stones = self.stones()
        gone = self._evidence_gone(observation) if stones else ()
        return any(id_.startswith(f"{source}/") for id_ in gone for source in stones)

    def stones(self) -> dict[str, list[tuple[str, float, float]]]:
        """Source -> (channel or "" for all, t0_s, t1_s) of its tombstones."""
        if self._erasures is None:
            self._erasures = {}
            stones = "SELECT name, channel, t0_s, t1_s FROM erasures JOIN sources USING (source)"
            for source, *stone in self.connection.execute(stones):
                self._erasures.setdefault(source, []).append(tuple(stone))
        return self._erasures

    def _evidence_there(self, observation: Observation) -> tuple[str, ...]:
        """Its evidence; without what was erased, where it goes on after it (a sign that is still there)."""
        if observation.channel not in PERCEIVED_CHANNELS or observation.source not in self.stones():
            return observation.evidence
        gone = self._evidence_gone(observation)
        return tuple(id_ for id_ in observation.evidence if id_ not in gone)

    def _evidence_gone(self, observation: Observation) -> set[str]:
        """Ids of its evidence that are not in memory."""
        ids = set(observation.evidence)
        if ids:
            marks = ",".join("?" * len(ids))
            there = self.connection.execute(f"SELECT id FROM observations WHERE id IN ({marks})", tuple(ids))
            ids.difference_update(id_ for (id_,) in there)
        return ids

    def _trust_of_evidence(self, observation: Observation) -> list[float]:
        """Trust of what a derived observation rests on, as far as it is there."""
        if observation.channel in PERCEIVED_CHANNELS or not observation.evidence:
            return []
        ids = tuple(dict.fromkeys(observation.evidence))
        marks = ",".join("?" * len(ids))
        return [
            trust for (trust,) in self.connection.execute(f"SELECT trust FROM observations WHERE id IN ({marks})", ids)
        ]

    # --- consolidation -----------------------------------------------------------------------------

    def media_sources(self) -> list[str]:
        """Names of all sources that have tracks, in the order they were opened."""
        return [name for (name,) in self.connection.execute("SELECT name FROM sources WHERE kind!='' ORDER BY source")]

    def consolidation(self, source: int) -> bytes:
        """The last saved state of a source's consolidation; empty before the first."""
        select = "SELECT CAST(state AS BLOB) FROM consolidation WHERE source=?"
        row = self.connection.execute(select, (source,)).fetchone()
        return bytes(row[0]) if row else b""

    def save_consolidation(self, source: int, state: bytes) -> None:
        self.connection.execute(
            "INSERT OR REPLACE INTO consolidation VALUES (?,?,?)", (source, state, checksum((source, state)))
        )

    def last_event_s(self, source: int) -> float:
        """Up to where events of a source were made; 0 before the first."""
        ends = self.connection.execute("SELECT max(t1_s) FROM spans WHERE source=? AND level='event'", (source,))
        return float(ends.fetchone()[0] or 0.0)

    def released(self, source: int, after: tuple[float, float, str, str], upto_s: float) -> Iterator[Observation]:
        """Perceived observations after ``after`` that end by ``upto_s``, in the order (t1_s, t0_s, channel, id):
        one that no process's pace can change, because a watermark promises that nothing earlier will come."""
        rows = self.connection.execute(
            f"SELECT {OBSERVATION_COLUMNS} FROM {OBSERVATION_JOIN} WHERE o.source=? AND o.t1_s>=? AND o.t1_s<=?"
            " AND (o.t1_s, o.t0_s, o.channel, o.id) > (?,?,?,?)"
            f" AND o.channel IN ({','.join('?' * len(PERCEIVED_CHANNELS))}) ORDER BY o.t1_s, o.t0_s, o.channel, o.id",
            (source, after[0], upto_s, *after, *PERCEIVED_CHANNELS),
        ).fetchall()
        for row in rows:
            yield observation_of(row)

    def release_point(self, source: int) -> tuple[float, bool]:
        """(media seconds up to which all tracks of a source are in, whether all have ended)."""
        kind = self.connection.execute("SELECT kind FROM sources WHERE source=?", (source,)).fetchone()[0]
        return tracks_of(self.connection, {source: kind})[source]

    def broke_off(self, source: int) -> bool:
        """Whether a track of a source ended otherwise than by itself."""
        ends = self.connection.execute("SELECT 1 FROM tracks WHERE source=? AND ended != 'end'", (source,))
        return ends.fetchone() is not None

    def duration_s(self, source: int) -> float | None:
        row = self.connection.execute("SELECT duration_s FROM sources WHERE source=?", (source,)).fetchone()
        return None if row[0] is None else float(row[0])

    def add_span(self, source: int, span: Span) -> None:
        self.spans += insert_span(self.connection, span, source, self.generation)

    # --- the end -----------------------------------------------------------------------------------

    def finish(self) -> None:
        """Make the generation visible; called by the store before it commits."""
        self.settle()
        self.settle_index()
        self.connection.execute("UPDATE memory SET value=? WHERE key='generation'", (self.generation,))

    def _last_seq(self) -> int:
        row = self.connection.execute("SELECT seq FROM sqlite_sequence WHERE name='observations'").fetchone()
        return int(row[0]) if row else 0

    def _generation(self) -> int:
        return int(self.connection.execute("SELECT value FROM memory WHERE key='generation'").fetchone()[0])

    def _source(self, name: str) -> tuple[int, float]:
        if name not in self._sources:
            self.connection.execute("INSERT OR IGNORE INTO sources(name, kind) VALUES (?, '')", (name,))
            row = self.connection.execute("SELECT source, started_wall_s FROM sources WHERE name=?", (name,)).fetchone()
            self._sources[name] = (int(row[0]), float(row[1]))
        return self._sources[name]

    def _note_sequence(self, publisher: str, epoch: int, seq: int) -> None:
        durable = read_durable(self.connection).get((publisher, epoch), 0)
        self.connection.execute(
            "INSERT OR REPLACE INTO publisher_seq VALUES (?,?,?,?)",
            (publisher, epoch, max(durable, seq), checksum((publisher, epoch, max(durable, seq)))),
        )
        self.connection.execute(
            # Never this one, though the machine's clock may have been set back since the others began.
            "DELETE FROM publisher_seq WHERE publisher=? AND epoch!=? AND epoch NOT IN"
            " (SELECT epoch FROM publisher_seq WHERE publisher=? ORDER BY epoch DESC LIMIT ?)",
            (publisher, epoch, publisher, EPOCHS_KEPT),
        )

    def _index(self, seq: int, observation: Observation) -> None:
        key = observation_key(observation)
        index_key(self.connection, seq, key)
        if len(self._known_terms) > KNOWN_TERMS_LIMIT:
            self._known_terms.clear()
        self._term_counts.update(counted_terms(key))
        for term in {*key.own, *key.speaker} - self._known_terms:
            self._known_terms.add(term)
            learn(self.connection, term)
