"""Tombstones: what is left of a span that was let go. It knows when that was and why it went, and nothing of what it
held. Those that adjoin are one, so that there are never more of them than of spans between them.
"""

from __future__ import annotations

import sqlite3

from memory.budget.retained_items import weigh_span
from memory.spans.summarise import GONE_TEXT
from memory.store.records import change_span


def mark_deleted(db: sqlite3.Connection, span: str, why: str) -> int:
    """Make a tombstone of an event or episode, joined with those it adjoins; how many bytes that adds."""
    row = db.execute("SELECT source, level, t0_s, t1_s, generation, trust FROM spans WHERE id=?", (span,)).fetchone()
    if row is None:
        return 0
    source, level, t0_s, t1_s, generation, trust = row
    before = db.execute(
        "SELECT id, t0_s, why, trust, generation FROM spans"
        " WHERE source=? AND level=? AND t1_s=? AND stage='tombstone'",
        (source, level, t0_s),
    ).fetchone()
    after = db.execute(
        "SELECT id, t0_s, t1_s, stage, why, trust FROM spans WHERE source=? AND level=? AND t1_s>? ORDER BY t1_s"
        " LIMIT 1",
        (source, level, t1_s),
    ).fetchone()
    reasons = [why]
    weight = 0
    keep = span
    if before is not None and before[0] != span:
        weight -= weigh_span(db, before[0])
        db.execute("DELETE FROM spans WHERE id=?", (span,))
        keep, t0_s, trust, generation = before[0], before[1], min(trust, before[3]), min(generation, before[4])
        reasons += before[2].split("; ")
    if after is not None and after[3] == "tombstone" and after[1] == t1_s:
        weight -= weigh_span(db, after[0])
        db.execute("DELETE FROM spans WHERE id=?", (after[0],))
        t1_s, trust = after[2], min(trust, after[5])
        reasons += after[4].split("; ")
    change_span(
        db, keep, t0_s=t0_s, t1_s=t1_s, text=GONE_TEXT, parent="", keyframe="", stage="tombstone",
        why="; ".join(sorted(set(reasons))), trust=trust, generation=generation,
    )  # fmt: skip
    return weight + weigh_span(db, keep)
