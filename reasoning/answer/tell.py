"""What was found, told in one or two short sentences: a table by what is made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from reasoning.answer.draft import Claim, Draft, claim, refusal
from reasoning.answer.honesty import Outcome
from reasoning.query.known import Known
from reasoning.query.present import age
from reasoning.query.rows import IN_WORDS, Row
from reasoning.query.sightings import is_asked, name_of
from reasoning.understand.frame import Frame, Reduce
from runtime.language import lexicon
from runtime.language.lists import join, quote, with_article
from runtime.language.normalise import words
from runtime.language.numbers import counted, number_in_words, number_value, plural
from runtime.language.stem import is_plural
from runtime.messages import Channel, ObjectFacts, SpeechFacts
from runtime.moments import Moments

# More is asked for with "what else?".
TOLD = 4
Tell = Callable[[Frame, Outcome, Moments], list[Claim]]


def tell(frame: Frame, outcome: Outcome, moments: Moments) -> Draft:
    """The answer from what was found."""
    if frame.offset and frame.offset >= len(outcome.rows):
        return refusal("that is all I found of it")
    told = _TELL.get(frame.reduce, _quote_best if outcome.matter == "words" else _list)
    if outcome.matter == "changes" and outcome.rows[0].missing:
        told = _changes
    elif outcome.matter == {"colour": "colours", "kind": "things"}.get(frame.expects) and frame.reduce == "value":
        told = _which
    elif frame.expects in ("side", "place") and outcome.matter == "things":
        told = _side
    elif frame.expects == "duration" and outcome.rows[0].until_s is not None:
        told = _how_long
    return Draft(tuple(told(frame, outcome, moments)), outcome.confidence, abstained=_is_unsure(frame, outcome))


def _is_unsure(frame: Frame, outcome: Outcome) -> bool:
    """Whether one colour or one thing is asked for, and more than one fits."""
    if outcome.matter == "words" or frame.expects not in ("colour", "kind"):
        return False
    found = {row.value for row in outcome.rows}
    return len(found) > 1 and not any(map(is_plural, frame.of("subject", "head")))


def nearest(outcome: Outcome, moments: Moments) -> tuple[Claim, ...]:
    """The nearest that was found, told as no more than that."""
    return tuple(claim(f"The nearest I have: {_told(row, moments)}", *row.cites[:1]) for row in outcome.rows[:1])


def quoted(row: Row) -> str:
    """A passage as the words of whoever said or wrote it."""
    if row.kind == "read":
        return f"on screen I read {quote(row.told)}"
    if row.kind == "described":
        return f"what was to be seen is described as {quote(row.told)}"
    return f"{row.observation.facts(SpeechFacts).speaker or 'somebody'} said: {quote(row.told)}"


def at(row: Row, moments: Moments) -> str:
    """The moment a row tells of, within a sentence."""
    return moments.at(row.observation.source, row.t_s)


def all_at(rows: Iterable[Row], moments: Moments) -> str:
    """The moments of several rows, within a sentence."""
    return moments.listed([(row.observation.source, row.t_s) for row in rows])


def _told(row: Row, moments: Moments) -> str:
    """A row with its moment, which a quotation needs not."""
    return quoted(row) if row.kind in IN_WORDS else f"{row.told} at {at(row, moments)}"


def _nth(frame: Frame, rows: Sequence[Row]) -> Row:
    return rows[min(frame.ordinal, len(rows)) - 1] if frame.ordinal > 0 else rows[0]


# --- whatever was found ---------------------------------------------------------------------------------------------


def _whether(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    row, others = outcome.rows[0], len(outcome.rows) - 1
    in_words = outcome.matter == "words"
    # What is claimed in a passage is not for the agent to affirm.
    yes = "" if in_words and (frame.clause or not set(frame.channels) & {"speech", "text"}) else "yes, "
    more = f", and {number_in_words(others)} more" if others and not in_words else ""
    return [claim(f"{yes}{_told(row, moments)}{more}", *(row.cites if in_words else row.cites[:1]))]


def _moment(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    if outcome.matter != "words":
        row = _nth(frame, outcome.rows)
        return [claim(f"at {at(row, moments)} {row.told}", *row.cites[:1])]
    row = outcome.rows[0]
    until = f" to {moments.at(row.observation.source, row.until_s)}" if row.until_s is not None else ""
    return [claim(f"{'from' if until else 'at'} {at(row, moments)}{until} {quoted(row)}", *row.cites)]


def _count(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    rows = outcome.rows
    number = counted(len(rows), _counted_name(frame, outcome))
    if outcome.matter == "words":
        number = {1: "once", 2: "twice"}.get(len(rows), f"{number_in_words(len(rows))} times")
    return [claim(f"{number}, at {all_at(rows, moments)}", *(row.observation for row in rows[:TOLD]))]


def none_counted(frame: Frame, outcome: Outcome) -> Claim:
    """That there was none of what can be counted."""
    return claim(f"never: there was no {_counted_name(frame, outcome)} that I saw or heard")


def _counted_name(frame: Frame, outcome: Outcome) -> str:
    if outcome.matter == "changes":
        return "picture change" if frame.predicate == "change" else "picture"
    return "sound" if outcome.matter == "sounds" else next(iter(frame.things), "thing")


def _list(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    rows = outcome.rows[frame.offset : frame.offset + TOLD]
    left = len(outcome.rows) - frame.offset - len(rows)
    if outcome.matter == "words":
        claims = [claim(quoted(row), *row.cites[:2]) for row in rows]
    else:
        claims = [claim(join(_told(row, moments) for row in rows), *(row.observation for row in rows))]
    return [*claims, *([Claim(f'There is more of it ({left}); ask "what else?".')] if left > 0 else [])]


# --- words ----------------------------------------------------------------------------------------------------------


def _quote_best(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    told = list(outcome.rows[:1])
    if not frame.matter and not frame.expects:
        near = [row for row in outcome.rows if row.coverage >= told[0].coverage][:TOLD]
        told = sorted(near, key=lambda row: row.t_s) if frame.ordinal not in (1, -1) else told
        if 1 < frame.ordinal <= len(told) and not frame.of("speaker"):  # "the second law" is none of several
            told = told[frame.ordinal - 1 :][:1]
        told = told[-2:] if frame.times.lately else told
    if frame.expects == "reason" and not told[0].value:
        return [claim(f"Nobody gave a reason that I heard or read; {quoted(told[0])}", *told[0].cites)]
    return [claim(f"{_value(frame, row)}{quoted(row)}", *row.cites) for row in told]


def _value(frame: Frame, row: Row) -> str:
    """The value that was asked for, to stand before its passage, where it is sure to be one."""
    value = ""
    if frame.expects in ("language", "city", "state", "country"):
        asked = set(words(frame.text))
        found = [place for place in lexicon.places_in(frame.expects, row.told) if place not in asked]
        value = join(" ".join(word.capitalize() for word in place.split()) for place in found)
    elif frame.expects in ("phone", "name") and row.value.casefold() != row.told.casefold():
        value = row.value
    return f"{value}; " if value else ""


# --- what was seen and heard ----------------------------------------------------------------------------------------


def _changes(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    which = "whether to that" if len(outcome.rows) == 1 else "which of these is meant"
    told = f"the picture changes at {all_at(outcome.rows, moments)}; {which} I cannot tell"
    return [claim(told, *(row.observation for row in outcome.rows))]


def _which(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    """The colour, or the thing of a kind, that is asked for: each that fits, with the first that has it."""
    fitting: dict[str, Row] = {}
    for row in outcome.rows:
        fitting.setdefault(with_article(row.value) if frame.expects == "kind" else row.value, row)
    named = list(fitting.items())[:TOLD]
    told = join(f"{name} at {at(row, moments)}" for name, row in named)
    if len(named) == 1:
        told = f"{named[0][0]}: {_told(named[0][1], moments)}"
    lead = "more than one fits: " if _is_unsure(frame, outcome) else ""
    return [claim(f"{lead}{told}", *(row.observation for _, row in named))]


def _how_long(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    row = _nth(frame, outcome.rows)
    until_s = row.until_s or row.t_s
    when = f"from {at(row, moments)} to {moments.at(row.observation.source, until_s)}"
    return [claim(f"{age(until_s - row.t_s)}, {when}: {row.told}", *row.cites)]


def _side(frame: Frame, outcome: Outcome, moments: Moments) -> list[Claim]:
    row = outcome.rows[-1] if frame.ordinal < 0 or frame.expects == "place" else _nth(frame, outcome.rows)
    facts = row.observation.facts(ObjectFacts)
    where = facts.side or facts.direction
    if not where or where in words(row.told):
        return _moment(frame, Outcome("found", (row,), matter="things"), moments)
    return [claim(f"at the {where}: {_told(row, moments)}", *row.cites[:1])]


_TELL: dict[Reduce, Tell] = {
    "exists": _whether, "first": _moment, "last": _moment, "count": _count, "list": _list,
}  # fmt: skip
# Where all the channels that a question points to are of one of these, that is what was not done.
_VERBS: tuple[tuple[str, set[Channel]], ...] = (("hear", {"speech"}), ("read", {"text"}), ("see", {"object", "frame"}))
# What somebody was not seen to do though he was seen.
_GOING = ("enter", "leave", "pass", "move")


def refusal_text(frame: Frame, outcome: Outcome, known: Known) -> str:
    """What is said where nothing entitles to more."""
    what, channels = frame.subject, set(frame.channels)
    if outcome.unknown:
        by = f" by {known.by}" if known.by else ""
        return f"I cannot tell: {plural(outcome.unknown)} are not recognised{by}"
    seen = next((r for r in outcome.rows if r.kind == "seen" and is_asked(frame, name_of(r.observation))), None)
    if seen is not None and frame.things:
        if not seen.missing:
            return "More than that it was there I cannot tell"
        if unsure := [word for word in seen.missing if _is_unknowable(word, frame, known)]:
            return _says_nothing_of(unsure)
    if frame.expects == "name" and outcome.matter == "things" and frame.things:
        return "I did not see who"  # the car that somebody was in may well have been seen
    unheard = [word for word in frame.of("subject") if not lexicon.SOUNDS.of(word)]
    if outcome.matter == "sounds" and unheard and not known.sounds:
        return f"I cannot tell of {join(quote(word) for word in unheard)}: sounds are not recognised by name"
    verb = next((verb for verb, of in _VERBS if channels and channels <= of), "see or hear")
    if frame.reduce == "exists" and outcome.matter == "things" and verb == "see" and what:
        unsure = [word for word in frame.of("subject") if _is_unknowable(word, frame, known)]
        did = f" {frame.predicate}" if seen is not None and frame.predicate in _GOING else ""
        return _says_nothing_of(unsure) if unsure else f"No, I did not see {what}{did}"
    if frame.clause:
        return f"I did not {verb} anybody say that"
    joint = {"see": "", "see or hear": "anything of "}.get(verb, "anything about ")
    return f"I did not {verb} {f'{joint}{what}' if what else 'anything of the kind'}"


def _says_nothing_of(unsure: Sequence[str]) -> str:
    return f"I cannot tell: what I saw says nothing of {join(quote(word) for word in unsure)}"


def _is_unknowable(word: str, frame: Frame, known: Known) -> bool:
    """Whether nothing that looks could have told of a word of the question: it is no colour, number or side, and no
    thing that would have been recognised."""
    if lexicon.colour_of(word) or lexicon.SIDES.of(word) or number_value(word) or word in frame.of("predicate"):
        return False
    return not any(known.recognises(thing) for thing in lexicon.THINGS.of(word))
