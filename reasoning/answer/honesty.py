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
from reasoning.query.plan import Matter, recognisable, step
from reasoning.query.rows import IN_WORDS, Row
from reasoning.query.sightings import is_asked
from reasoning.understand.frame import Frame
from runtime.language import lexicon
from runtime.language.normalise import words
from runtime.language.values import has_finder

Verdict = Literal["found", "nearest", "unknown", "none"]
# Below this the nearest is chance, and only misleads.
NEAREST = 0.45
# So few changes of the picture are told though what they change to is not known.
FEW_CHANGES = 3
# What was seen is told no more surely than things are recognised (benchmarks/reliability.py).
SURELY_SEEN = 0.8
# With nothing to cover ("what is the title?"), a value of the type asked for is what there is to go by.
BARE_TYPED, BARE = 0.7, 0.5
# Below what is told: a value of the type, beside nothing that the question says of it.
GUESSED = 0.3


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
    """What these rows, in the order of the plan, entitle the answer to.

    A description that lacks a word of the question is of something else: "the nurse with the ladder" is neither the
    nurse nor the man with the ladder.
    """
    needs_all = step(frame, matter)[1] == "all"
    whole = [row for row in rows if not row.missing or not (needs_all or row.kind == "described")]
    kept = [row for row in whole if matter != "words" or strength(frame, row) >= abstain_below]
    if needs_all:
        kept = [row for row in kept if _says_more(frame, row)]
    else:
        if has_finder(frame.expects) and frame.expects not in _LOOSE:
            # "How long" is answered by a length, however much of the rest another passage has.
            kept = [row for row in kept if row.value] or kept
        if _is_anywhere(frame) and len({row.told for row in rows}) > 1:
            kept = []
    if kept:
        sure = strength(frame, kept[0]) if matter == "words" else min(SURELY_SEEN, strength(frame, kept[0]))
        return Outcome("found", tuple(kept), round(min(1.0, sure), 4), matter)
    if matter == "changes" and frame.reduce != "exists" and 0 < len(rows) <= FEW_CHANGES:
        return Outcome("found", tuple(rows), 0.5, matter)  # that it changes, and no more, is claimed
    nearest = max(rows, key=lambda row: row.coverage, default=None)
    near = (nearest,) if nearest is not None and nearest.coverage >= NEAREST else ()
    if unknown := recognisable(frame, matter, known):
        return Outcome("unknown", near, 0.0, matter, unknown)
    return Outcome("nearest" if near else "none", near, 0.0, matter)


def _says_more(frame: Frame, row: Row) -> bool:
    """Whether what was seen says more than the question does: that a thing was there is no answer to what it did, what
    became of it, or what stood beside it."""
    if row.kind != "seen" or frame.reduce != "value" or not frame.things or frame.expects not in _OPEN:
        return True
    if frame.predicate == "happen":
        return row.observation.text.split(",")[0].count(" leaves ") > 0  # and is not only lost sight of
    moves = frame.expects in ("", "thing") and any(told in row.observation.text for told in _MOVES)
    if moves and not frame.predicate and _DOES & set(words(frame.text)):
        return True
    return frame.predicate in _SEEN_HOW or not is_asked(frame, row.value)


# What is asked where anything might be the answer; and what a sighting tells of the thing that is asked about.
_OPEN = ("", "thing", "manner", "reason")
_DOES, _MOVES = frozenset(("do", "doing")), (" enters ", " leaves ", "moving ")
_SEEN_HOW = ("enter", "leave", "pass", "move", "wear")


def _is_anywhere(frame: Frame) -> bool:
    """Whether words are asked for by nothing but a place of which nothing is known: any text might be the one."""
    if frame.matter or frame.phrases or frame.ordinal or has_finder(frame.expects) or frame.expects == "title":
        return False
    return any(not lexicon.SIDES.of(word) for word in frame.of("place"))


_CALLS = lexicon.CALLED | {"name", "title"}
# Any run of capitals may be one of these; names and numbers are said of anything.
_LOOSE, _LOOSER = ("name", "organisation", "product"), ("name", "number")


def strength(frame: Frame, row: Row) -> float:
    """How surely a row is about what is asked, 0..1."""
    is_in_words = row.kind in IN_WORDS
    if frame.expects == "kind" and is_in_words and not any(is_asked(frame, t) for t in lexicon.THINGS.of(row.told)):
        return 0.0  # an animal was asked for, and none is named
    if frame.expects == "title" and row.kind != "read" and not _CALLS & set(words(row.told)):
        return 0.0  # titles are written, or somebody says what a thing is called
    if not frame.matter and not frame.phrases:
        if row.value:
            # What is only said may be any, and so may what "which product is announced?" or "where is this?" find.
            is_any = frame.expects in _LOOSE and len(frame.of("head")) > 1
            is_any |= (frame.expects in _LOOSER and row.kind == "said") or not (frame.of("head") or frame.channels)
            is_any |= frame.expects == "colour"  # of what, nothing tells
            return GUESSED if is_any and not row.coverage else BARE_TYPED
        if row.kind == "described":
            return 0.0  # of nothing in particular everything is a description
        if not is_in_words:
            return row.coverage
        if frame.expects == "title" and lexicon.CREDITS & set(words(row.told)):
            return GUESSED
        if not (frame.channels or frame.expects == "title" or frame.times.said or frame.times.anchor):
            return GUESSED  # nothing says what of all there is
        return BARE if frame.expects in ("", "title", "moment") else 0.0
    if frame.expects == "number" and not row.value:
        return 0.0
    if is_in_words and frame.predicate in ("wear", "hold") and set(frame.of("predicate")) & set(row.missing):
        return 0.0  # what somebody has on him or with him is told by who says so
    return row.coverage
