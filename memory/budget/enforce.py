"""The budget pass: after every commit the bytes of memory are within their budgets, by level and in all.

Each level bears what it is charged (`memory.store.size_accounting`), scaled so that all levels together are what the
file uses: so tables, indexes and half-empty pages are paid for by those whose they are. A level over its budget has its
holding of least worth per byte step down: full -> sketch -> pointer -> tombstone, words full -> sketch -> nothing.
Worths are looked at again only when it is a holding's turn (as lazy greedy selection does; Minoux, 1978): what was like
another that went has become novel. Nothing is scanned; a step costs as much as its event is long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from memory.budget.compress import Compressor, Kept, Member, Pooling
from memory.budget.retained_items import (
    add_retained,
    least_valuable,
    rarest_terms,
    rarities,
    read_keys,
    read_members,
    read_retained,
    remove_retained,
    retained_at,
    update_retained,
    weigh,
    weigh_moments,
    weigh_span,
)
from memory.budget.tombstones import mark_deleted
from memory.budget.value_density import KeptVectors, Policy, RetainedItem, ValueDensity, novelty
from memory.spans.integrate import Closed
from memory.store.levels import Budget, share_out
from memory.store.records import SPAN_COLUMNS, change_span, span_of
from memory.store.size_accounting import CHANNELS, LEVELS, Kind, Level, Stage, charge, charged, kind_of, level_of
from memory.store.writing import Writing
from runtime.messages import Observation

# Of the write-ahead log's own index: 32 KiB for each 16 MiB of log.
LOG_INDEX_BYTES = 64 << 10
# The tables themselves, borne by no level: the first page of each table and index.
FIXED_BYTES = 232 << 10
# How often a worth that is out of date is renewed before the holding at hand is taken as it is.
_RENEWALS = 8
_THIN_AT_ONCE = 16
_FOR_SPACE = "its bytes were needed"

_HELD_BY_LEVEL: dict[Level, tuple[tuple[Kind, Stage], ...]] = {
    "hot": (("seen", "full"),),
    "events": (("seen", "sketch"),),
    "episodes": (("seen", "pointer"), ("told", "pointer")),
    "words": (("said", "full"), ("said", "sketch"), ("asked", "full")),
}


class BudgetEnforcer:
    """Keeps the budgets, in the transaction that stores. One writer uses it."""

    def __init__(
        self, budget: Budget, compressor: Compressor | None = None, policy: Policy | None = None, beside_bytes: int = 0
    ) -> None:
        """``beside_bytes``: of files beside the store's that count too, as a rebuilt vector index."""
        self.budget = budget
        self.beside_bytes = beside_bytes
        self._compressor = compressor or Pooling()
        self._policy = policy or ValueDensity()
        self._kept: KeptVectors | None = None

    def keep(self, writing: Writing, closed: Iterable[Closed]) -> None:
        """Take up what has ended, count what was cited, and step down until everything fits."""
        writing.settle()
        writing.settle_index()
        db = writing.connection
        if self._kept is None:
            self._kept = _kept_vectors(db)
        for ended in closed:
            self.take_up(db, ended)
        self._take_up_asked(db, writing.asked)
        self._count_uses(db, writing.cited)
        self._fit(writing)

    def find_untaken(self, writing: Writing) -> list[Closed]:
        """Spans that no holding is of: of this transaction, and of a memory made before budgets were kept."""
        rows = writing.connection.execute(
            f"SELECT {SPAN_COLUMNS}, p.source FROM spans p JOIN sources s USING (source)"  # noqa: S608
            " LEFT JOIN holdings h ON h.span=p.id WHERE p.level IN ('event', 'episode') AND p.stage='full'"
            " AND h.span IS NULL ORDER BY p.source, p.t0_s, p.level DESC"
        ).fetchall()
        last = {(row[-1], row[2]): row[4] for row in rows if writing.release_point(row[-1])[1]}
        return [Closed(row[-1], span_of(row[:-1]), is_last=last.get((row[-1], row[2])) == row[4]) for row in rows]

    def forget_unsaved(self) -> None:
        """A transaction was undone: read again what is durable."""
        self._kept = None

    # --- taking up ---------------------------------------------------------------------------------

    def take_up(self, db: sqlite3.Connection, ended: Closed) -> None:
        """Note what an event holds that has just ended, or what is told of an episode."""
        span = ended.span
        if span.level == "episode":
            self._take_up_episode(db, ended)
        elif span.level == "event":
            for kind in ("seen", "said"):
                self._take_up_event(db, ended, kind)

    def _take_up_event(self, db: sqlite3.Connection, ended: Closed, kind: Kind) -> None:
        span = ended.span
        if known := read_retained(db, span.id, kind):  # perceived once more: what it holds is what it held
            if kind == "seen":
                change_span(db, span.id, stage=known.stage)
            return
        until_s = span.t1_s + 0.001 if ended.is_last else span.t1_s
        rows = read_members(db, ended.source, kind, span.t0_s, until_s)
        n_bytes = weigh(db, [seq for seq, _ in rows])
        if kind == "seen":
            span_bytes = weigh_span(db, span.id) + weigh_moments(db, ended.source, span)
            charge(db, "hot", 0, span_bytes)
            n_bytes += span_bytes
        elif not rows:
            return
        # The mean, not the least: one planted word must not drag down the worth of all that was perceived beside it.
        trusts = [o.trust for _, o in rows]
        held = RetainedItem(
            span=span.id, kind=kind, source=ended.source, t0_s=span.t0_s, t1_s=until_s,
            begun_wall_s=_started_wall_s(db, ended.source) + span.t0_s, stage="full", bytes=n_bytes,
            trust=sum(trusts) / len(trusts) if trusts else 1.0, novelty=0.0, uses=0, rate=0.0, keys=[], terms=[],
        )  # fmt: skip
        held.terms, rarity = rarest_terms(db, [o for _, o in rows])
        if kind == "seen":
            kept = self._compressor.compress_seen(_members(rows, rarity), span.keyframe, "full")
            self._note_keys(db, held, rows, kept)
        self._appraise(db, held)
        add_retained(db, held)

    def _take_up_episode(self, db: sqlite3.Connection, ended: Closed) -> None:
        span = ended.span
        if read_retained(db, span.id, "told"):
            return
        n_bytes = weigh_span(db, span.id)
        charge(db, "episodes", 1, n_bytes)
        (most_novel,) = db.execute(
            "SELECT max(novelty) FROM holdings WHERE source=? AND kind='seen' AND t0_s>=? AND t0_s<?",
            (ended.source, span.t0_s, span.t1_s),
        ).fetchone()
        held = RetainedItem(
            span=span.id, kind="told", source=ended.source, t0_s=span.t0_s, t1_s=span.t1_s,
            begun_wall_s=_started_wall_s(db, ended.source) + span.t0_s, stage="pointer", bytes=n_bytes,
            trust=span.trust, novelty=most_novel or 0.0, uses=0, rate=0.0, keys=[], terms=[],
        )  # fmt: skip
        held.rate = self._policy.rate(held)
        add_retained(db, held)

    def _take_up_asked(self, db: sqlite3.Connection, observations: Sequence[Observation]) -> None:
        """A question, an answer, a correction: each is worth what its words are."""
        for o in observations:
            row = db.execute("SELECT seq, source, wall_s FROM observations WHERE id=?", (o.id,)).fetchone()
            terms, _ = rarest_terms(db, [o])
            held = RetainedItem(
                span=f"{o.source}/asked/{round(o.t1_s * 1000):09d}", kind="asked", source=row[1], t0_s=o.t1_s,
                t1_s=o.t1_s + 0.001, begun_wall_s=row[2], stage="full", bytes=weigh(db, [row[0]]), trust=o.trust,
                novelty=0.0, uses=0, rate=0.0, keys=[], terms=terms,
            )  # fmt: skip
            self._appraise(db, held)
            add_retained(db, held)

    def _count_uses(self, db: sqlite3.Connection, cited: Iterable[str]) -> None:
        """What an answer rests on is worth more: its event's sights and words alike."""
        for id_ in cited:
            row = db.execute("SELECT source, t0_s FROM observations WHERE id=?", (id_,)).fetchone()
            for kind in ("seen", "said") if row else ():
                if held := retained_at(db, row[0], kind, row[1]):
                    held.uses += 1
                    held.rate = self._policy.rate(held)
                    update_retained(db, held)

    def _note_keys(
        self, db: sqlite3.Connection, held: RetainedItem, rows: Sequence[tuple[int, Observation]], kept: Kept
    ) -> None:
        assert self._kept is not None
        seq_of = {o.id: seq for seq, o in rows}
        held.keys = [seq_of[id_] for id_ in kept.keys if id_ in seq_of]
        if held.stage == "pointer":
            self._kept.remove(held.span)
        else:
            self._kept.add(held.span, *read_keys(db, held.keys))

    def _appraise(self, db: sqlite3.Connection, held: RetainedItem) -> None:
        """Novelty against what is kept now, and the rate that follows."""
        assert self._kept is not None
        if held.kind != "told":
            held.novelty = novelty(self._kept.distance(held.span), rarities(db, held.terms))
        held.rate = self._policy.rate(held)

    # --- stepping down -----------------------------------------------------------------------------

    def _fit(self, writing: Writing) -> None:
        db = writing.connection
        ceiling = self.budget.total - self.budget.log - LOG_INDEX_BYTES - self.beside_bytes
        while True:
            writing.settle()
            used, free = writing.file_bytes()
            borne = share_out(charged(db), max(0, used - FIXED_BYTES))
            shares = {level: self.budget.of(level) * (ceiling - FIXED_BYTES) / self.budget.total for level in LEVELS}
            # Pixels before words: the levels are in the order in which they give way.
            over = [level for level in LEVELS if borne[level] > shares[level]]
            if any(self._step_down(writing, level) for level in over):
                continue
            # What is left over is tables and tombstones, or has not ended: only too many bytes in all are a reason now.
            # What goes on gives way first: it must not cost the others what is theirs.
            if used > ceiling and (
                ("hot" in over and self._thin_pictures(writing))
                or any(self._step_down(writing, level) for level in LEVELS)
                or self._thin(writing, over)
            ):
                continue
            writing.settle_index()
            used, free = writing.file_bytes()
            if used + free > ceiling and free:
                writing.give_back(min(free, used + free - ceiling))
            return

    def _step_down(self, writing: Writing, level: Level) -> bool:
        held = self._least(writing.connection, _HELD_BY_LEVEL[level])
        if held is None:
            return False
        stage = self._policy.next_stage(held)
        if stage == "tombstone":
            self.let_go(writing, held, _FOR_SPACE)
        else:
            self._compress(writing, held, stage)
        return True

    def _least(self, db: sqlite3.Connection, held_as: Sequence[tuple[Kind, Stage]]) -> RetainedItem | None:
        """The holding of least worth per byte, its worth looked at again."""
        for _ in range(_RENEWALS):
            least = least_valuable(db, held_as, 2)
            if not least:
                return None
            held, before = least[0], least[0].rate
            self._appraise(db, held)
            if held.rate <= before or len(least) == 1 or held.rate <= least[1].rate:
                return held
            update_retained(db, held)
        return held

    def _compress(self, writing: Writing, held: RetainedItem, stage: Stage) -> None:
        db = writing.connection
        rows = read_members(db, held.source, held.kind, held.t0_s, held.t1_s)
        _, rarity = rarest_terms(db, [o for _, o in rows])
        members = _members(rows, rarity)
        if held.kind == "seen" and stage in ("sketch", "pointer"):
            keyframe = db.execute("SELECT keyframe FROM spans WHERE id=?", (held.span,)).fetchone()
            kept = self._compressor.compress_seen(members, keyframe[0] if keyframe else "", stage)
        else:
            kept = self._compressor.compress_said(members)
        for made in kept.made:  # while what it rests on is there: it is believed as the least of that
            writing.add_observation(made)
        writing.remove(o.id for _, o in rows if o.id not in kept.rows)
        writing.remove_pictures(kept.rows - kept.pictures)
        after = [(seq, o) for seq, o in rows if o.id in kept.rows]
        n_bytes = weigh(db, [seq for seq, _ in after])
        now = read_retained(db, held.span, held.kind)
        if held.kind == "seen":
            _remove_moments(db, held)
            change_span(db, held.span, stage=stage)
            n_bytes += weigh_span(db, held.span)
        charge(db, level_of(held.kind, held.stage), 0, -(now.bytes if now else 0))
        charge(db, level_of(held.kind, stage), 0, n_bytes)
        held.stage, held.bytes = stage, n_bytes
        held.terms, _ = rarest_terms(db, [o for _, o in after])
        if held.kind == "seen":
            self._note_keys(db, held, after, kept)
        self._appraise(db, held)
        update_retained(db, held)

    def let_go(self, writing: Writing, held: RetainedItem, why: str) -> None:
        """Step down to a tombstone: when it was and why it went, nothing else."""
        db = writing.connection
        if held.kind != "told":
            writing.remove(o.id for _, o in read_members(db, held.source, held.kind, held.t0_s, held.t1_s))
        if held.kind == "asked":
            writing.remove(_asked_at(db, held))
        now = read_retained(db, held.span, held.kind)
        charge(db, level_of(held.kind, held.stage), -1 if held.kind == "told" else 0, -(now.bytes if now else 0))
        remove_retained(db, held)
        if held.kind in ("seen", "told"):
            _remove_moments(db, held)
            if self._kept is not None:
                self._kept.remove(held.span)
            charge(db, "episodes", 0, mark_deleted(db, held.span, why))

    def _thin_pictures(self, writing: Writing) -> bool:
        """The oldest pictures of what goes on: of events that have not ended yet."""
        pictures = writing.connection.execute(
            "SELECT o.id FROM sources s JOIN observations o ON o.source=s.source AND o.t0_s >= coalesce("
            "(SELECT max(t1_s) FROM spans p WHERE p.source=s.source AND p.level='event'), 0)"
            " JOIN payloads USING (seq) ORDER BY o.seq LIMIT ?",
            (_THIN_AT_ONCE,),
        ).fetchall()
        writing.remove_pictures(id_ for (id_,) in pictures)
        return bool(pictures)

    def _thin(self, writing: Writing, over: Sequence[Level]) -> bool:
        """Nothing that has ended is left to step down: what is oldest goes, pictures first."""
        db = writing.connection
        if "words" not in over and self._thin_pictures(writing):
            return True
        oldest: list[tuple[int, str]] = []
        for channel in CHANNELS:
            if level_of(kind_of(channel)) == "words" or "words" not in over:
                oldest += db.execute(
                    "SELECT seq, id FROM observations WHERE channel=? ORDER BY seq LIMIT ?", (channel, _THIN_AT_ONCE)
                ).fetchall()
        return bool(writing.remove(id_ for _, id_ in sorted(oldest)[:_THIN_AT_ONCE]))


def _members(rows: Sequence[tuple[int, Observation]], rarity: Sequence[float]) -> list[Member]:
    return [Member(o, r) for (_, o), r in zip(rows, rarity, strict=True)]


def _remove_moments(db: sqlite3.Connection, held: RetainedItem) -> None:
    db.execute(
        "DELETE FROM spans WHERE source=? AND level='moment' AND t1_s>=? AND t1_s<=? AND parent=?",
        (held.source, held.t0_s, held.t1_s, held.span),
    )


def _asked_at(db: sqlite3.Connection, held: RetainedItem) -> list[str]:
    rows = db.execute(
        "SELECT id FROM observations WHERE source=? AND t1_s>=? AND t1_s<?"
        " AND channel IN ('question', 'answer', 'correction', 'derived')",
        (held.source, held.t0_s, held.t1_s),
    )
    return [id_ for (id_,) in rows]


def _started_wall_s(db: sqlite3.Connection, source: int) -> float:
    return float(db.execute("SELECT started_wall_s FROM sources WHERE source=?", (source,)).fetchone()[0])


def _kept_vectors(db: sqlite3.Connection) -> KeptVectors:
    """The keys of all events whose pictures are kept, read once at the start."""
    kept = KeptVectors()
    rows = db.execute("SELECT span FROM holdings WHERE kind='seen' AND stage IN ('full', 'sketch')").fetchall()
    for (span,) in rows:
        held = read_retained(db, span, "seen")
        if held is not None and held.keys:
            kept.add(span, *read_keys(db, held.keys))
    return kept
