"""What was found, told in one or two short sentences: a table of what is made of evidence by where it was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reasoning.answer.draft import Claim, Draft, claim, refusal
from reasoning.answer.honesty import Outcome
from reasoning.query.known import Known
from reasoning.query.present import age
from reasoning.query.rows import Row
from reasoning.query.sightings import is_asked, name_of
from reasoning.understand.frame import Frame
from runtime.language import lexicon
from runtime.language.lists import join, quote, with_article
from runtime.language.normalise import words
from runtime.language.numbers import counted, number_in_words, number_value
from runtime.language.stem import is_plural
from runtime.messages import ObjectFacts, SpeechFacts
from runtime.moments import Moments

# More is asked for with "what else?".
TOLD = 4
Tell = Callable[[Frame, Outcome, Moments], list[Claim]]


def tell(frame: Frame, outcome: Outcome, moments: Moments) -> Draft:
    """The answer from what was found."""
    if frame.offset and frame.offset >= len(outcome.rows):
        return refusal("that is all I found of it")
    words = outcome.matter == "words"
    told = _TELL.get((frame.reduce, words)) or (_quote_best if words else _first)
    if outcome.matter == "changes" and outcome.rows[0].missing:
        told = _changes
    elif frame.expects == "colour" and outcome.matter == "colours":
        told = _colour
    elif frame.expects in ("side", "place") and outcome.matter == "things":
        told = _side
    elif frame.expects == "duration" and outcome.rows[0].until_s is not None:
        told = _how_long
    return Draft(tuple(told(frame, outcome, moments)), outcome.confidence, abstained=_is_unsure(frame, outcome))


def _is_unsure(frame: Frame, outcome: Outcome) -> bool:
    """Whether one colour or one thing is asked for, and more than one fits."""
    if outcome.matter == "words" or frame.expects not in ("colour", "kind"):
        return False
    found = {row.value or name_of(row.observation) for row in outcome.rows}
    return len(found) > 1 and not any(map(is_plural, frame.of("subject", "head")))


def nearest(outcome: Outcome, moments: Moments) -> tuple[Claim, ...]:
    """The nearest that was found, told as no more than that."""
    return tuple(claim(f"The nearest I have: {_told(row, moments)}", *row.cites[:1]) for row in outcome.rows[:1])


# --- words ----------------------------------------------------------------------------------------------------------


def quoted(row: Row) -> str:
    """A passage as the words of whoever said or wrote it."""
    if row.kind == "read":
        return f"on screen I read {quote(row.told)}"
    if row.kind == "described":
        return f"what was to be seen is described as {quote(row.told)}"
    speaker = row.observation.facts(SpeechFacts).speaker
    return f"{speaker or 'somebody'} said: {quote(row.told)}"


def _quote_best(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    best = outcome.rows[0]
    also = [row for row in outcome.rows[1:] if not frame.matter and row.value == best.value and row.told != best.told]
    told = [best, *(also[: TOLD - 1] if not frame.expects else ())]
    if not frame.matter and not frame.expects:
        near = [row for row in outcome.rows if row.beside >= best.beside]
        told = sorted(near[: max(TOLD, frame.wanted)], key=lambda row: row.t_s)
        told = told[-2:] if frame.times.lately or frame.ordinal < 0 else told
    if frame.expects == "reason" and not any(row.value for row in told):
        return [claim(f"Nobody gave a reason that I heard or read; {quoted(best)}", *best.cites)]
    return [claim(f"{_value(frame, row)}{quoted(row)}", *row.cites) for row in told]


def _value(frame: Frame, row: Row) -> str:
    """The value that was asked for, to stand before its passage, where it is sure to be one."""
    if frame.expects in _LISTED_TYPES:
        asked = set(words(frame.text))
        return f"{join(named(v) for v in lexicon.places_in(frame.expects, row.told) if v not in asked)}; "
    return (
        f"{row.value}; "
        if frame.expects in ("phone", "name") and row.value and row.value.casefold() not in (row.told.casefold(),)
        else ""
    )


def named(place: str) -> str:
    """The name of a place or a language with its capitals."""
    return " ".join(word.capitalize() for word in place.split())


_LISTED_TYPES = ("language", "city", "state", "country")


def _when_said(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    row = outcome.rows[0]
    source = row.observation.source
    if row.until_s is not None:
        when = f"from {moments.at(source, row.t_s)} to {moments.at(source, row.until_s)}"
    else:
        when = f"at {moments.at(source, row.t_s)}"
    return [claim(f"{when} {quoted(row)}", *row.cites)]


def _is_said(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    row = outcome.rows[0]
    if frame.clause or not (set(frame.channels) & {"speech", "text"}):
        return [claim(quoted(row), *row.cites)]  # what is claimed in it is not for the agent to affirm
    return [claim(f"yes, {quoted(row)}", *row.cites)]


def _times_said(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    rows = outcome.rows
    times = "once" if len(rows) == 1 else "twice" if len(rows) == 2 else f"{number_in_words(len(rows))} times"
    at = moments.listed([(row.observation.source, row.t_s) for row in rows])
    return [claim(f"{times}, at {at}", *(row.observation for row in rows[:TOLD]))]


def _list_said(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    rows = outcome.rows[frame.offset : frame.offset + TOLD]
    left = len(outcome.rows) - frame.offset - len(rows)
    claims = [claim(_told(row, moments), *row.cites[:2]) for row in rows]
    return [*claims, *([Claim(f'There is more of it ({left}); ask "what else?".')] if left > 0 else [])]


# --- what was seen and heard ----------------------------------------------------------------------------------------


def _told(row: Row, moments: Moments) -> str:
    if row.kind in ("said", "read", "described"):
        return quoted(row)
    return f"{row.told} at {moments.at(row.observation.source, row.t_s)}"


def _first(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    row = _nth(frame, outcome.rows)
    at = moments.at(row.observation.source, row.t_s)
    return [claim(f"at {at} {row.told}", *row.cites[:1])]


def _changes(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    at = moments.listed([(row.observation.source, row.t_s) for row in outcome.rows])
    which = "whether to that" if len(outcome.rows) == 1 else "which of these is meant"
    return [claim(f"the picture changes at {at}; {which} I cannot tell", *(row.observation for row in outcome.rows))]


def _nth(frame: Frame, rows: Sequence[Row]) -> Row:
    return rows[min(frame.ordinal, len(rows)) - 1] if frame.ordinal > 0 else rows[0]


def _is_seen(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    row = outcome.rows[0]
    more = f", and {number_in_words(len(outcome.rows) - 1)} more" if len(outcome.rows) > 1 else ""
    return [claim(f"yes, {_told(row, moments)}{more}", *row.cites[:1])]


def none_counted(frame: Frame, outcome: Outcome) -> Claim:
    """That there was none of what can be counted."""
    return claim(f"never: there was no {_counted_name(frame, outcome)[0]} that I saw or heard")


def _count_seen(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    rows = outcome.rows
    name = _counted_name(frame, outcome)
    at = moments.listed([(row.observation.source, row.t_s) for row in rows])
    return [claim(f"{counted(len(rows), *name)}, at {at}", *(row.observation for row in rows[:TOLD]))]


def _counted_name(frame: Frame, outcome: Outcome) -> tuple[str, str]:
    if outcome.matter == "changes":
        return (
            ("change of the picture", "changes of the picture")
            if frame.predicate == "change"
            else ("picture", "pictures")
        )
    if outcome.matter == "sounds":
        return "sound", "sounds"
    name = frame.things[0] if frame.things else "thing"
    return (name, "people") if name == "person" else (name, plural(name))


def plural(noun: str) -> str:
    """The plural of a regular noun, and of those among the vocabulary's that are not."""
    first, _, rest = noun.partition(" ")
    if first == "person" and rest:
        return f"people {rest}"
    if is_plural(noun):
        return noun
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return _PLURALS.get(noun, f"{noun}s")


_PLURALS = {"person": "people", "knife": "knives", "sheep": "sheep", "mouse": "mice", "child": "children"}


def _list_seen(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    rows = outcome.rows[frame.offset : frame.offset + TOLD]
    left = len(outcome.rows) - frame.offset - len(rows)
    told = claim(join(_told(row, moments) for row in rows), *(row.observation for row in rows))
    return [told, *([Claim(f'There is more of it ({left}); ask "what else?".')] if left > 0 else [])]


def _colour(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    values = list(dict.fromkeys(row.value for row in outcome.rows))
    rows = [next(row for row in outcome.rows if row.value == value) for value in values[:TOLD]]
    what = " ".join(frame.of("subject")) or "it"
    if len(values) == 1:
        return [claim(f"{rows[0].value}: {_told(rows[0], moments)}", *rows[0].cites[:1])]
    told = join(f"{row.value} at {moments.at(row.observation.source, row.t_s)}" for row in rows)
    return [claim(f"more than one fits {quote(what)}: {told}", *(row.observation for row in rows))]


def _how_long(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    row = _nth(frame, outcome.rows)
    source, until_s = row.observation.source, row.until_s or row.t_s
    when = f"from {moments.at(source, row.t_s)} to {moments.at(source, until_s)}"
    return [claim(f"{age(until_s - row.t_s)}, {when}: {row.told}", *row.cites)]


def _side(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    row = outcome.rows[-1] if frame.ordinal < 0 or frame.expects == "place" else _nth(frame, outcome.rows)
    facts = row.observation.facts(ObjectFacts)
    where = facts.side or facts.direction
    if not where or where in words(row.told):
        return _first(frame, Outcome("found", (row,)), moments)
    return [claim(f"at the {where}: {_told(row, moments)}", *row.cites[:1])]


def _what_seen(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    if frame.expects == "kind":
        names = list(dict.fromkeys(name_of(row.observation) or row.told for row in outcome.rows))
        rows = [next(r for r in outcome.rows if (name_of(r.observation) or r.told) == name) for name in names[:TOLD]]
        told = join(f"{with_article(name)} ({_told(row, moments)})" for name, row in zip(names, rows, strict=False))
        told = f"more than one fits: {told}" if _is_unsure(frame, outcome) else told
        if unknown := outcome.rows[0].missing:
            told += f"; of {join(quote(word) for word in unknown)} I know nothing"
        return [claim(told, *(row.observation for row in rows))]
    return _list_seen(frame, outcome, moments)


_TELL: dict[tuple[str, bool], Tell] = {
    ("exists", True): _is_said,
    ("first", True): _when_said,
    ("last", True): _when_said,
    ("count", True): _times_said,
    ("list", True): _list_said,
    ("exists", False): _is_seen,
    ("first", False): _first,
    ("last", False): _first,
    ("count", False): _count_seen,
    ("list", False): _list_seen,
    ("value", False): _what_seen,
}


def refusal_text(frame: Frame, outcome: Outcome, known: Known) -> str:
    """What is said where nothing entitles to more."""
    what = frame.subject
    if outcome.unknown:
        by = f" by {known.by}" if known.by else ""
        return f"I cannot tell: {plural(outcome.unknown)} are not recognised{by}"
    seen = next((r for r in outcome.rows if r.kind == "seen" and is_asked(frame, name_of(r.observation))), None)
    if seen is not None and frame.things:
        if not seen.missing:
            return "More than that it was there I cannot tell"
        if unsure := [word for word in seen.missing if _is_unknowable(word, frame, known)]:
            return f"I cannot tell: what I saw says nothing of {join(quote(word) for word in unsure)}"
    channels = set(frame.channels)
    if outcome.matter == "words" and channels and channels <= {"speech"}:
        verb = "hear"
    elif channels and channels <= {"text"}:
        verb = "read"
    elif channels and channels <= {"object", "frame"}:
        verb = "see"
    else:
        verb = "see or hear"
    if frame.reduce == "exists" and outcome.matter == "things" and verb == "see" and what:
        return f"No, I did not see {what}"
    if frame.clause:
        return f"I did not {verb} anybody say that"
    joint = "" if verb == "see" else "anything of " if verb == "see or hear" else "anything about "
    return f"I did not {verb} {joint}{what}" if what else f"I did not {verb} anything of the kind"


def _is_unknowable(word: str, frame: Frame, known: Known) -> bool:
    """Whether nothing that looks could have told of a word of the question: it is no colour, number or side, and no
    thing that would have been recognised."""
    if lexicon.colour_of(word) or lexicon.SIDES.of(word) or number_value(word) or word in frame.of("predicate"):
        return False
    return not any(known.recognises(thing) for thing in lexicon.THINGS.of(word))
