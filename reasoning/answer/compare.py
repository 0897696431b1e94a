"""What came first: two things sought one by one, told with both moments."""

from __future__ import annotations

from reasoning.answer.draft import Draft, claim, refusal
from reasoning.query.anchored import first_of
from reasoning.query.context import Context
from reasoning.query.known import Known
from reasoning.query.rows import Row
from reasoning.understand.frame import Frame
from runtime.language import lexicon
from runtime.language.normalise import words
from runtime.language.stem import stem
from runtime.moments import Moments


async def tell_order(frame: Frame, context: Context, moments: Moments, known: Known, abstain_below: float) -> Draft:
    """Which of two came first, or last; whether one came before the other."""
    anchor = frame.times.anchor
    if frame.options:
        first, second = frame.options
        asked_for_yes = False
    elif anchor is not None:
        first, second = " ".join(frame.of("subject", "colour")) or frame.text, anchor.text
        asked_for_yes = True
    else:
        return refusal('I am not sure which two things to compare; name both, as in "which came first, A or B?"')
    if {"speech"} & set(frame.channels) and all(lexicon.SPECIFIC & set(words(option)) for option in (first, second)):
        return refusal(
            "I hear when somebody speaks, and do not tell voices apart; so I cannot say which of them it was"
        )
    predicate = " ".join(frame.of("predicate")) if frame.predicate in ("leave",) else ""
    expects = "question" if stem("ask") in map(stem, words(frame.text)) else "moment"
    rows = [
        await first_of(f"{option} {predicate}".strip(), context, frame.ordinal if not asked_for_yes else 0, expects)
        for option in (first, second)
    ]
    names = (_bare(first), _bare(second))
    if rows[0] is None or rows[1] is None:
        return _one_missing(names, rows, moments)
    places = [(row.observation.source, row.t_s) for row in rows if row is not None]
    later_s, unsure_s = moments.apart_s(places[0], places[1])
    before, after = (0, 1) if later_s >= 0 else (1, 0)
    if abs(later_s) <= unsure_s:
        told = f"{names[0]} was at {_at(rows[0], moments)}, {names[1]} at {_at(rows[1], moments)}"
        return refusal(
            f"I cannot tell which came first: by {unsure_s:.1f} s the clocks of the two places may differ",
            claim(told, *rows[0].cites[:1], *rows[1].cites[:1]),
        )
    if abs(later_s) < 0.001:
        return Draft((claim(f"both at {_at(rows[0], moments)}", *rows[0].cites, *rows[1].cites),), 0.7)
    told = (
        f"{names[before]} comes first, at {_at(rows[before], moments)}; {names[after]} at {_at(rows[after], moments)}"
    )
    if frame.ordinal < 0 and not asked_for_yes:
        last, first_at = _at(rows[after], moments), _at(rows[before], moments)
        told = f"{names[after]} comes last, at {last}; {names[before]} at {first_at}"
    if asked_for_yes:
        assert anchor is not None  # by which it was asked
        is_so = (before == 0) == (anchor.relation == "before")
        told = f"{'yes' if is_so else 'no'}, {told}"
    found = [rows[before], rows[after]]
    return Draft((claim(told, *(row.observation for row in found if row is not None)),), 0.8)


def _at(row: Row | None, moments: Moments) -> str:
    assert row is not None  # told of only where it was found
    return moments.at(row.observation.source, row.t_s)


def _one_missing(names: tuple[str, str], rows: list[Row | None], moments: Moments) -> Draft:
    found = next((i for i, row in enumerate(rows) if row is not None), None)
    if found is None:
        return refusal(f"I did not see or hear either of them, {names[0]} or {names[1]}")
    row = rows[found]
    assert row is not None  # found
    told = claim(f"{names[found]} was at {_at(row, moments)}", *row.cites[:1])
    return refusal(f"I did not see or hear {names[1 - found]}, so I cannot say which came first", told)


def _bare(option: str) -> str:
    return option.strip().rstrip("?.,").removeprefix("about ")
