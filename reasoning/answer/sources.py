"""Questions about the recordings and cameras as such: which there are, how long, since when, how many have speech."""

from __future__ import annotations

from collections.abc import Sequence

from reasoning.answer.draft import Claim, Draft, claim, refusal
from reasoning.query.context import Context
from reasoning.query.present import age
from reasoning.understand.frame import Frame
from runtime.clock import media_time
from runtime.language import lexicon
from runtime.language.lists import join, join_some
from runtime.language.numbers import counted, number_in_words
from runtime.messages import Channel, GapFacts, Observation, SourceRecord
from runtime.moments import Moments, label
from runtime.stretches import goes_on

LISTED = 8
# Pieces of one outage follow each other to the millisecond; its two tracks notice it a little apart.
TOUCHING_S = 0.5
_HAVING: dict[str, tuple[Channel, str]] = {
    "speech": ("speech", "speech"), "told": ("speech", "speech"), "text": ("text", "writing"),
    "sound": ("sound", "sound"),
}  # fmt: skip


async def tell_sources(frame: Frame, context: Context, moments: Moments) -> Draft:
    """The answer from what memory knows of its sources."""
    records = [r for r in await context.records() if _is_kind(r, frame)] or list(await context.records())
    if not records:
        return refusal("I remember no recording yet")
    if frame.expects in ("moment", "date", "hour"):
        told = [f"{label(r.source)} {_began(r, moments)}" for r in records[-LISTED:]]
        return Draft((claim(join(told)),), 1.0)
    if frame.expects == "duration":
        return Draft((claim(join(_length(r, context) for r in records[-LISTED:])),), 1.0)
    having = next((_HAVING[c] for c in frame.channels if c in _HAVING), None)
    if having is not None:
        found = [
            r for r in records if any(o.text.strip() for o in await context.of(r.source).scan(having[0], limit=20))
        ]
        noun = _noun(records)
        names = f": {join(label(r.source) for r in found[:LISTED])}" if found else ""
        lead = (
            f"{number_in_words(len(found))} of {number_in_words(len(records))} {noun}"
            if found
            else f"none of {number_in_words(len(records))} {noun}"
        )
        return Draft((claim(f"{lead} {'has' if len(found) == 1 else 'have'} {having[1]}{names}"),), 1.0)
    lengths = join(_length(r, context) for r in records[-LISTED:])
    return Draft((claim(f"{counted(len(records), _noun(records)[:-1], _noun(records))}: {lengths}"),), 1.0)


async def tell_presence(frame: Frame, context: Context, moments: Moments) -> Draft:
    """Whether sources were away, when and for how long, by the gaps of their pictures and sound."""
    records = [r for r in await context.records() if _is_kind(r, frame)] or list(await context.records())
    told: list[Claim] = []
    away = False
    for record in records:
        outages = _joined(await context.of(record.source).scan("gap"))
        lost_s = sum(pieces[-1].t1_s - pieces[0].t0_s for pieces in outages)
        away = away or bool(outages)
        name = label(record.source)
        over = record.ended and not set(record.watermarks) - set(record.ended)
        state = f"it ended at {moments.at(record.source, context.view.limits[record.source])}" if over else "it is on"
        if not outages:
            told.append(claim(f"{name} was there all the time, and {state}"))
            continue
        at = [
            f"from {moments.at(record.source, pieces[0].t0_s)} to {moments.at(record.source, pieces[-1].t1_s)}"
            for pieces in outages
        ]
        times = join_some(at, LISTED)
        why = pieces[0].facts(GapFacts).reason if (pieces := outages[0]) else ""
        told.append(
            claim(
                f"{name} was away {times}, {age(lost_s)} in all{f' ({why})' if why else ''}; {state}",
                *(pieces[0] for pieces in outages[:LISTED]),
            )
        )
    if not told:
        return refusal("I remember no recording yet")
    if frame.reduce != "exists":
        return Draft(tuple(told), 0.9)
    asked_away = "there" not in lexicon.PRESENCE.of(frame.text)
    now = frame.still or frame.times.now
    is_so = (not any(goes_on(r) for r in records) if now else away) == asked_away
    return Draft((Claim("Yes."), *told) if is_so else (Claim("No."), *told), 0.9)


def _joined(gaps: Sequence[Observation]) -> list[list[Observation]]:
    """Gaps as outages: they are told in pieces, of each track apart. Until it was first opened nothing was away."""
    found: list[list[Observation]] = []
    for o in gaps:
        if found and o.t0_s <= found[-1][-1].t1_s + TOUCHING_S:
            found[-1].append(o)
        else:
            found.append([o])
    return [pieces for pieces in found if pieces[0].t0_s > 0]


def _is_kind(record: SourceRecord, frame: Frame) -> bool:
    kinds = set(lexicon.SOURCES.of(frame.text)) - {"any"}
    if not kinds:
        return True
    kind = "file" if record.kind == "file" else "microphone" if record.kind == "microphone" else "live"
    return kind in kinds


def _noun(records: list[SourceRecord]) -> str:
    kinds = {r.kind for r in records}
    if kinds == {"file"}:
        return "recordings"
    return "cameras" if kinds <= {"camera", "stream", "screen"} else "sources"


def _began(record: SourceRecord, moments: Moments) -> str:
    began = moments.began(record.source)
    verb = "was recorded" if record.kind == "file" else "is watched since"
    return f"{verb} {began}" if began else "does not say when it was recorded"


def _length(record: SourceRecord, context: Context) -> str:
    known_s = max(record.watermarks.values(), default=0.0)
    over = record.ended and not set(record.watermarks) - set(record.ended)
    if record.kind != "file":
        return f"{label(record.source)} ({'ended' if over else 'on'}, {media_time(known_s)})"
    if not over and record.duration_s and known_s < record.duration_s - 1:
        return (
            f"{label(record.source)} is {media_time(record.duration_s)} long, {media_time(known_s)} of it seen so far"
        )
    return f"{label(record.source)} is {media_time(max(known_s, record.duration_s or 0.0))} long"
