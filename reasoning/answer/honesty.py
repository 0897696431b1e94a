"""The one rule of honesty: no "yes", no time and no number, unless what is cited covers every content word asked for.

A passage that is quoted as what somebody said or wrote claims less: it has to cover so much of the question that it is
no chance (`reasoning.abstain_below`, calibrated on questions asked of the wrong recording). What falls short of it is
"I did not see or hear ...", with the nearest that was found, told as that and as no answer. What nothing active could
have recognised was not "not there".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from reasoning.query.known import Known
from reasoning.query.plan import PLAN, Matter, recognisable
from reasoning.query.rows import Row
from reasoning.understand.frame import Frame
from runtime.language.values import has_finder

Verdict = Literal["found", "nearest", "unknown", "none"]
# Below this the nearest is chance, and only misleads.
NEAREST = 0.45
# So few changes of the picture are told though what they change to is not known.
FEW_CHANGES = 3
# With nothing to cover ("what is the title?"), a value of the type asked for is what there is to go by.
BARE_TYPED, BARE = 0.7, 0.5


class Outcome(Struct, frozen=True):
    """What may be said. ``rows`` are those that may be told: as the answer where it is ``found``, else as the nearest.

    unknown  a thing that nothing active recognises, where that is why nothing was found.
    """

    verdict: Verdict
    rows: tuple[Row, ...] = ()
    confidence: float = 0.0
    matter: Matter = "words"
    unknown: str = ""


def judge(frame: Frame, matter: Matter, rows: Sequence[Row], known: Known, abstain_below: float) -> Outcome:
    """What these rows, in the order of the plan, entitle the answer to."""
    step = PLAN[frame.reduce, matter]
    if step.need == "all":
        kept = [row for row in rows if not row.missing]
    else:
        best = max((strength(frame, row) for row in rows), default=0.0)
        kept = [row for row in rows if strength(frame, row) >= max(abstain_below, 0.6 * best)]
    if kept and len(kept) >= (frame.ordinal if frame.reduce == "exists" else 1):
        sure = strength(frame, kept[0])
        return Outcome("found", tuple(kept), round(min(1.0, sure), 4), matter)
    if matter == "changes" and frame.reduce != "exists" and 0 < len(rows) <= FEW_CHANGES:
        return Outcome("found", tuple(rows), 0.5, matter)  # that it changes, and no more, is claimed
    nearest = max(rows, key=lambda row: row.coverage, default=None)
    near = (nearest,) if nearest is not None and nearest.coverage >= NEAREST else ()
    if unknown := recognisable(frame, matter, known):
        return Outcome("unknown", near, 0.0, matter, unknown)
    return Outcome("nearest" if near else "none", near, 0.0, matter)


def strength(frame: Frame, row: Row) -> float:
    """How surely a row is about what is asked, 0..1."""
    if not frame.matter and not frame.phrases:
        if row.value:
            return BARE_TYPED
        if row.kind not in ("said", "read"):
            return row.coverage
        return BARE if frame.expects in ("", "title", "moment") else 0.0
    if frame.expects == "number" and not row.value:
        return 0.0
    if has_finder(frame.expects) and not row.value:
        return 0.8 * row.coverage  # it tells of the matter, and not what was asked of it
    return row.coverage
