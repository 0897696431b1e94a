"""What is asked, given what there is to be asked about and what was said before: one Frame, one scope, one window.

text -> scope -> Frame -> follow-up made to stand alone -> sources and stretches of time in which evidence is sought
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from reasoning.answer.draft import Draft, refusal
from reasoning.conversation import PastTurn
from reasoning.query.present import together
from reasoning.understand.follow_up import Recalled, resolve
from reasoning.understand.frame import Frame
from reasoning.understand.grammar import parse_question
from reasoning.understand.reading import plain_text
from reasoning.understand.talk import foreign_language
from runtime.language.clock_words import Bound
from runtime.language.lists import join, quote
from runtime.language.times import LATELY_S, TimeWords
from runtime.messages import SourceRecord, TimeWindow, View
from runtime.moments import Moments, label
from runtime.named_sources import Named, Scope, find_scope
from runtime.stretches import Now, goes_on, is_live, windows_of

# "And then?" after an answer that found nothing goes on from the one before that.
GOES_BACK = 3
# A name is told of so many sources.
LISTED = 6


class Asked(Struct, frozen=True):
    """What is asked and where it is to be sought.

    in_full  the question as it stands alone, "" where it was no follow-up.
    view     what may be seen: of the sources in scope. ``windows`` when, none for all of it.
    carried  the source talked of before is meant.
    recalled it asks for the last answer itself; ``problem`` what is said instead of an answer.
    """

    frame: Frame
    view: View
    windows: tuple[TimeWindow, ...] = ()
    in_full: str = ""
    carried: bool = False
    recalled: Recalled | None = None
    problem: Draft | None = None


def understand(
    text: str,
    view: View,
    records: Sequence[SourceRecord],
    before: Sequence[PastTurn],
    now: datetime.datetime,
    only: str = "",
) -> Asked:
    """What ``text`` asks of these sources, or ``only`` of one, after the turns ``before``."""
    records = [record for record in records if record.source in view.limits]
    named = find_scope(text, records)
    frame = parse_question(named.rest, now, named.scope)
    if named.scope.sources and frame.is_bare:  # what names the source is what is asked about: "what is on the poster?"
        named = Named(named.scope, text)
        frame = parse_question(text, now, named.scope)
    if language := foreign_language(text):
        frame = msgspec.structs.replace(frame, language=language, reduce="value", expects="", channels=())
        return Asked(frame, view)
    last = before[-1] if before else None
    cited = next((turn for turn in reversed(before[-GOES_BACK:]) if turn.cites), None)
    # What it was understood as is lost in a restart.
    asked_before = (last.frame or parse_question(last.understood, now)) if last is not None else None
    found = resolve(text, frame, asked_before, cited)
    if isinstance(found, Draft):
        return Asked(frame, view, problem=found)
    if isinstance(found, Recalled):
        return Asked(frame, view, recalled=found)
    frame, alone = found or _with_last_scope(frame, last, records), frame
    if only and not frame.scope.sources:
        frame = msgspec.structs.replace(frame, scope=Scope((only,)))
    if frame.scope.unknown:
        return Asked(frame, view, problem=_unknown_source(frame.scope.unknown, records))
    if frame.expects == "source":
        frame = msgspec.structs.replace(frame, scope=Scope(every=True))
    scoped = _scoped(frame, view, records)
    mine = [record for record in records if record.source in scoped.limits]
    windows = _windows(frame, scoped, mine, now)
    elsewhere = windows is None or frame.times.future or bool(frame.times.unknown)
    if elsewhere and not frame.times.dated and not any(is_live(record) for record in mine):
        # "At seven", "tomorrow", "in summer": of a recording made at another time it is what is told in it.
        frame = parse_question(named.rest, now, frame.scope, TimeWords(plain_text(named.rest)))
        windows = ()
    if frame.reduce == "now" and not frame.times.now and not any(goes_on(record) for record in mine):
        frame = msgspec.structs.replace(frame, reduce="summary")  # "what's going on?", of what is over
    if unknown := frame.times.unknown:
        problem = refusal(f"I do not know when {quote(unknown)} is; say a day or a time of day")
        return Asked(frame, view, problem=problem)
    if frame.times.future:
        return Asked(frame, view, problem=refusal("That is yet to come; I remember only what was"))
    if windows is None:
        return Asked(frame, scoped, problem=_nothing_then(frame, scoped, mine, now))
    carried = found is None and frame.scope != alone.scope and not windows
    return Asked(frame, scoped, windows, found.text if found is not None else "", carried)


def _with_last_scope(frame: Frame, last: PastTurn | None, records: Sequence[SourceRecord]) -> Frame:
    """The recording talked of goes on to be meant until another is named. What comes live is one scene: a question that
    stands alone is of all of it again."""
    scope = last.frame.scope if last is not None and last.frame is not None else Scope()
    if frame.scope != Scope() or frame.about or not scope.sources or scope.every:
        return frame
    if any(is_live(record) for record in records if record.source in scope.sources):
        return frame
    return msgspec.structs.replace(frame, scope=scope)


def _scoped(frame: Frame, view: View, records: Sequence[SourceRecord]) -> View:
    """The View of the sources in scope: those named; else the session that goes on, or all recordings."""
    if frame.scope.sources:
        return narrowed(view, frame.scope.sources)
    if frame.scope.every or frame.about == "sources":
        return view
    bound = frame.times.begin or frame.times.end
    is_wall = bound is not None and bound.kind == "wall"
    session = together(view)
    if session is not view:
        return view if is_wall else session  # "yesterday" is of other sessions, too
    newest_goes_on = any(record.source == view.source and goes_on(record) for record in records)
    of_one = (bound is not None and not is_wall) or frame.is_now or frame.times.lately
    if of_one or (frame.reduce == "summary" and newest_goes_on):
        return narrowed(view, (view.source,))
    return view


def narrowed(view: View, sources: Sequence[str]) -> View:
    """The View of these sources alone; of all it shows, where it shows none of them."""
    limits = {name: limit_s for name, limit_s in view.limits.items() if name in sources}
    source = view.source if view.source in limits else next(reversed(limits), view.source)
    as_of_s = view.as_of_s if source == view.source else limits.get(source, view.as_of_s)
    return msgspec.structs.replace(view, limits=limits or view.limits, source=source, as_of_s=as_of_s)


def _windows(
    frame: Frame, view: View, records: Sequence[SourceRecord], now: datetime.datetime
) -> tuple[TimeWindow, ...] | None:
    """The stretches of time that are meant, none for all of it; None where nothing was perceived then."""
    begin, end = frame.times.begin, frame.times.end
    if frame.times.lately and begin is None and frame.predicate in ("happen", "") and not frame.channels:
        begin = Bound("ago", LATELY_S)
    if begin is None and end is None:
        return ()
    return windows_of(begin, end, records, Now(now.timestamp()), view.limits) or None


def _unknown_source(name: str, records: Sequence[SourceRecord]) -> Draft:
    known = list(dict.fromkeys(label(record.source) for record in records))
    more = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
    return refusal(f"I know no {quote(name)}; there {'is' if len(known) == 1 else 'are'} {join(known[-LISTED:])}{more}")


def _nothing_then(frame: Frame, view: View, records: Sequence[SourceRecord], now: datetime.datetime) -> Draft:
    """That nothing was perceived at the time asked about, and what was."""
    moments = Moments(records, now.timestamp())
    had = []
    for record in records[-LISTED:]:
        source, began = record.source, moments.began(record.source)
        recorded = f" (recorded {began})" if began and not moments.is_live(source) else ""
        until_s = view.limits[source]
        had.append(f"{label(source)}{recorded}, {moments.at(source, 0.0)} to {moments.at(source, until_s)}")
    said = frame.times.said or "then"
    return refusal(f"I perceived nothing {said if said[:1].islower() else quote(said)}; what I have is {join(had)}")
