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
_HAVING: dict[Channel, str] = {"speech": "speech", "text": "writing", "sound": "sound"}


async def tell_sources(frame: Frame, context: Context, moments: Moments) -> Draft:
    """The answer from what memory knows of its sources, and for "presence" from the gaps of their pictures and sound:
    whether they were away, when and for how long."""
    every = await context.records()
    kinds = set(lexicon.SOURCES.of(frame.text)) - {"any"}
    records = [r for r in every if not kinds or _kind(r) in kinds] or list(every)
    if not records:
        return refusal("I remember no recording yet")
    if frame.about == "presence":
        return await _presence(frame, records, context, moments)
    told = records[-LISTED:]
    if frame.expects in ("moment", "date", "hour"):
        return Draft((claim(join(f"{label(r.source)} {_began(r, moments)}" for r in told)),))
    lengths = join(_length(r) for r in told)
    if frame.expects == "duration":
        return Draft((claim(lengths),))
    nouns = {"file": "recordings", "live": "cameras"}
    noun = nouns.get("".join({_kind(r) for r in records}), "sources")
    if (channel := next((c for c in frame.channels if c in _HAVING), None)) is None:
        return Draft((claim(f"{counted(len(records), noun[:-1])}: {lengths}"),))
    having = [r for r in records if any(o.text.strip() for o in await context.of(r.source).scan(channel, limit=20))]
    names = f": {join(label(r.source) for r in having[:LISTED])}" if having else ""
    lead = f"{number_in_words(len(having)) if having else 'none'} of {number_in_words(len(records))} {noun}"
    return Draft((claim(f"{lead} {'has' if len(having) == 1 else 'have'} {_HAVING[channel]}{names}"),))


async def _presence(frame: Frame, records: Sequence[SourceRecord], context: Context, moments: Moments) -> Draft:
    told: list[Claim] = []
    away = False
    for r in records:
        outages = _joined(await context.of(r.source).scan("gap"))
        away = away or bool(outages)
        ended = moments.at(r.source, context.view.limits[r.source])
        state = "it is on" if goes_on(r) else f"it ended at {ended}"
        at = [f"from {moments.at(r.source, p[0].t0_s)} to {moments.at(r.source, p[-1].t1_s)}" for p in outages]
        lost_s = sum(pieces[-1].t1_s - pieces[0].t0_s for pieces in outages)
        reason = outages[0][0].facts(GapFacts).reason if outages else ""
        why = f" ({reason})" if reason else ""
        was = f"was away {join_some(at, LISTED)}, {age(lost_s)} in all{why};" if at else "was there all the time, and"
        told.append(claim(f"{label(r.source)} {was} {state}", *(pieces[0] for pieces in outages[:LISTED])))
    if frame.reduce != "exists":
        return Draft(tuple(told), 0.9)
    asked_away = "there" not in lexicon.PRESENCE.of(frame.text)
    now = frame.still or frame.times.now
    is_so = (not any(goes_on(r) for r in records) if now else away) == asked_away
    return Draft((Claim("Yes." if is_so else "No."), *told), 0.9)


def _joined(gaps: Sequence[Observation]) -> list[list[Observation]]:
    """Gaps as outages: they are told in pieces, of each track apart. Until it was first opened nothing was away."""
    found: list[list[Observation]] = []
    for o in gaps:
        if found and o.t0_s <= found[-1][-1].t1_s + TOUCHING_S:
            found[-1].append(o)
        else:
            found.append([o])
    return [pieces for pieces in found if pieces[0].t0_s > 0]


def _kind(record: SourceRecord) -> str:
    return record.kind if record.kind in ("file", "microphone") else "live"


def _began(record: SourceRecord, moments: Moments) -> str:
    began = moments.began(record.source)
    verb = "was recorded" if record.kind == "file" else "is watched since"
    return f"{verb} {began}" if began else "does not say when it was recorded"


def _length(record: SourceRecord) -> str:
    name, on = label(record.source), goes_on(record)
    known_s = max(record.watermarks.values(), default=0.0)
    if record.kind != "file":
        return f"{name} ({'on' if on else 'ended'}, {media_time(known_s)})"
    whole_s = record.duration_s or 0.0
    if on and known_s < whole_s - 1:
        return f"{name} is {media_time(whole_s)} long, {media_time(known_s)} of it seen so far"
    return f"{name} is {media_time(max(known_s, whole_s))} long"
