"""Follow-ups: what leans on the exchange before it, made of the Frame of that.

"And before that?", "who was it?", "what about the red one?", "in the yard?", "what else?". What comes back is a Frame
that stands alone, or a request that the conversation itself answers (`Recalled`). A question that stands alone comes
back as None.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from reasoning.answer.draft import Draft, refusal
from reasoning.conversation import PastTurn
from reasoning.understand.frame import Frame
from runtime.clock import media_time
from runtime.language import lexicon
from runtime.language.clock_words import Bound
from runtime.language.lists import quote
from runtime.language.normalise import words
from runtime.language.stem import stem
from runtime.language.times import TimeWords
from runtime.named_sources import Scope

# What lies on the very edge of the cited moment is that moment, not before or after it.
ASIDE_S = 0.001
# A list goes on after so many.
STEP = 4
_PRONOUNS = frozenset("it that this they them those these he she him her there one ones".split())
_LEADS = frozenset("and but so then well ok okay also please hm no not actually sorry".split())
_ONE = ("one", "ones")


class Recalled(Struct, frozen=True):
    """A question about the last answer itself."""

    what: Literal["when", "who", "evidence", "answer", "question"]


Resolved = Frame | Recalled | Draft


def resolve(text: str, frame: Frame, before: Frame | None, cited: PastTurn | None) -> Resolved | None:
    """What ``text``, by itself ``frame``, asks after the question ``before``; a refusal where it leans on nothing.

    ``cited``: the newest turn that cites something, to which "and then?" goes back.
    """
    said = words(text)
    leads = next((i for i, word in enumerate(said[:-1]) if word not in _LEADS), max(0, len(said) - 1))
    said = said[leads:]
    stems = [stem(word) for word in said]
    what_about = said[:2] in (["what", "about"], ["how", "about"])
    step, recalled = _whole(lexicon.STEPS, stems), _whole(lexicon.RECALLED, stems)
    if before is None:
        points = len(said) < 6 and ((frame.fragment and leads) or (what_about and "one" in said))
        return _unclear(text) if step or recalled or points else None
    if step:
        return _step(step, before, cited) or _unclear(text)
    if recalled:
        return Recalled(recalled)  # type: ignore[arg-type]
    if what_about or (frame.fragment and (leads or len(said) <= 4)):
        return _replaced(text, frame, before)
    return _filled(text, frame, before) if _leans(frame, said) else None


def _unclear(text: str) -> Draft:
    return refusal(f"I am not sure what {quote(text.strip(' ?.!'))} refers to: please ask the whole question")


def _whole(table: lexicon.PhraseTable, stems: list[str]) -> str:
    """What all of these words together stand for in a table; "" where it is no such thing."""
    found = table.at(stems, 0) if stems else None
    return found.value if found is not None and found.length == len(stems) else ""


def _step(step: str, before: Frame, cited: PastTurn | None) -> Frame | None:
    """What came before or after, or what else there is; None where nothing was cited that it could follow."""
    if step == "more" and (before.reduce in ("list", "summary") or cited is None):
        return msgspec.structs.replace(before, offset=before.offset + STEP)
    if cited is None:
        return None
    first = cited.cites[0]
    mine = [c for c in cited.cites if c.source == first.source]
    begin = end = None
    if step == "before":
        edge_s = min(c.t0_s for c in mine)
        end, which, ordinal = Bound("media", max(0.0, edge_s - ASIDE_S)), "before", -1
    else:
        edge_s = max(c.t1_s for c in mine)
        begin, which, ordinal = Bound("media", edge_s + ASIDE_S), "after", 1
    when, scope = f"{which} {media_time(edge_s)}", Scope((first.source,))
    times = TimeWords("", begin, end, said=when)
    if first.channel == "speech":
        return Frame(f"What was said {when}?", "value", times, channels=("speech",), scope=scope, ordinal=ordinal)
    return Frame(f"What happened {when}?", "summary", times, scope=scope)


def _in_full(before: Frame, text: str) -> str:
    """What leans on a question, after it; of many that lean on each other the last two."""
    asked = before.text.rstrip("?.! ").rpartition("? ")[2]
    return f"{asked}? {text.strip()}"


def _replaced(text: str, frame: Frame, before: Frame) -> Frame:
    """The question before with what the fragment names in place of what it named: a time, a source, a thing."""
    changes: dict[str, object] = {}
    if frame.times.bounded or frame.times.now or frame.times.anchor:
        changes["times"] = frame.times
    if frame.scope != Scope():
        changes["scope"] = frame.scope
    if frame.ordinal and before.reduce in ("first", "last"):
        changes |= {"reduce": "last" if frame.ordinal < 0 else "first", "ordinal": frame.ordinal}
    if frame.colours and all(t.role == "colour" or t.word in _ONE for t in frame.terms):  # "the red one"
        kept = [t for t in before.terms if t.role != "colour"]
        changes |= {"terms": (*kept, *(t for t in frame.terms if t.role == "colour")), "colours": frame.colours}
    elif frame.terms:
        subject = [
            t if t.role in ("colour", "predicate") else msgspec.structs.replace(t, role="subject") for t in frame.terms
        ]
        changes |= {name: getattr(frame, name) for name in ("things", "colours", "phrases")}
        changes["terms"] = (*subject, *(t for t in before.terms if t.role == "predicate"))
    return msgspec.structs.replace(before, text=_in_full(before, text), offset=0, **changes)


def _leans(frame: Frame, said: list[str]) -> bool:
    """Whether a question names nothing itself but points: "who was it?", "what colour was that?", "how many?"."""
    if frame.about or frame.extreme or frame.reduce in ("summary", "now") or set(frame.things) - {lexicon.PERSON}:
        return False
    if any(t.role in ("subject", "colour") and t.word not in _ONE for t in frame.terms):
        return False
    if lexicon.OF_SCENE & set(frame.of("head")) or said[-2:] in (["is", "this"], ["was", "this"]):
        return False  # "what year is it?", "where is this?"
    # "What buttons are there?", "who was there at the end?"
    pronouns = _PRONOUNS - {"there"} if frame.channels or frame.times.bounded else _PRONOUNS
    points = bool(pronouns & set(said)) and frame.channels[:1] != ("speech",)
    return points or (len(said) <= 3 and not (frame.things or frame.terms or frame.channels))


def _filled(text: str, frame: Frame, before: Frame) -> Frame | None:
    """The question with the subject of the one before it."""
    subject = tuple(t for t in before.terms if t.role in ("subject", "colour", "head"))
    if not subject and not before.things:
        return None
    return msgspec.structs.replace(
        frame, text=_in_full(before, text), terms=(*subject, *(t for t in frame.terms if t.role == "predicate")),
        things=before.things, colours=before.colours, phrases=before.phrases, ordinal=frame.ordinal or before.ordinal,
        scope=frame.scope if frame.scope.sources else before.scope,
        times=frame.times if frame.times.bounded or frame.times.now else before.times,
    )  # fmt: skip
