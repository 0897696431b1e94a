"""Follow-ups: what leans on the exchange before it, made of the Frame of that.

"And before that?", "who was it?", "what about the red one?", "in the yard?", "what else?". What comes back is a Frame
that stands alone, or a request that the conversation itself answers (`Recalled`). A question that stands alone comes
back as None.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from msgspec import Struct

from reasoning.conversation import PastTurn
from reasoning.understand.frame import Frame, Term
from runtime.clock import media_time
from runtime.language import lexicon
from runtime.language.clock_words import Bound
from runtime.language.normalise import words
from runtime.language.stem import is_plural, stem
from runtime.language.times import TimeWords
from runtime.messages import Citation
from runtime.named_sources import Scope

# What lies on the very edge of the cited moment is that moment, not before or after it.
ASIDE_S = 0.001
# A list goes on after so many.
STEP = 4
_PRONOUNS = frozenset("it that this they them those these he she him her there one ones".split())
_LEADS = frozenset("and but so then well ok okay also please hm no not actually sorry".split())
_ABOUT = frozenset("what how about the same for with is it in".split())
# Verbs that agree with what they are of.
_AGREES = {"is": "are", "are": "is", "was": "were", "were": "was", "does": "do", "do": "does", "has": "have",
           "have": "has"}  # fmt: skip
_AGREE = re.compile(rf"\b(?:{'|'.join(_AGREES)})\b", re.IGNORECASE)


class Recalled(Struct, frozen=True):
    """A question about the last answer itself."""

    what: Literal["when", "who", "evidence", "answer", "question"]


class Unclear(Struct, frozen=True):
    """A follow-up to nothing: ``word`` is what it leans on."""

    word: str


Resolved = Frame | Recalled | Unclear


def resolve(
    text: str, frame: Frame, last: PastTurn | None, before: Frame | None, cited: PastTurn | None
) -> Resolved | None:
    """What ``text``, by itself ``frame``, asks after the turn ``last``, whose Frame was ``before``.

    ``cited``: the newest turn that cites something, to which "and then?" goes back.
    """
    said = words(text)
    while said and said[0] in _LEADS and len(said) > 1:
        said = said[1:]
    stems = [stem(word) for word in said]
    leads = len(words(text)) > len(said)
    if step := _whole(lexicon.STEPS, stems):
        return _step(step, text, last, before, cited)
    if recalled := _whole(lexicon.RECALLED, stems):
        return Recalled(recalled) if last is not None else Unclear(text.strip(" ?.!"))  # type: ignore[arg-type]
    if before is None or last is None:
        pointing = (frame.fragment and leads) or (said[:2] in (["what", "about"], ["how", "about"]) and "one" in said)
        return Unclear(text.strip(" ?.!")) if pointing and len(said) < 6 else None
    if said[:2] in (["what", "about"], ["how", "about"]) or (frame.fragment and (leads or len(said) <= 4)):
        return _replaced(text, frame, before)
    if _leans(frame, said):
        return _filled(text, frame, before, last)
    return None


def _whole(table: lexicon.PhraseTable, stems: list[str]) -> str:
    """What all of these words together stand for in a table; "" where it is no such thing."""
    found = table.at(stems, 0) if stems else None
    return found.value if found is not None and found.length == len(stems) else ""


def _step(step: str, text: str, last: PastTurn | None, before: Frame | None, cited: PastTurn | None) -> Resolved:
    """What came before or after, or what else there is."""
    if last is None or before is None:
        return Unclear(text.strip(" ?.!"))
    if (step == "more" and before.reduce in ("list", "summary")) or (step == "more" and not (cited and cited.cites)):
        return msgspec.structs.replace(before, offset=before.offset + STEP)
    if cited is None or not cited.cites:
        return Unclear(text.strip(" ?.!"))
    spoken = cited.cites[0].channel == "speech"
    source = cited.cites[0].source
    edge_s = _edge_s(cited.cites, source, last=step != "before")
    at = media_time(edge_s)
    what = "was said" if spoken else "happened"
    if step == "before":
        times = TimeWords("", None, Bound("media", max(0.0, edge_s - ASIDE_S)), said=f"before {at}")
        asked = f"What {what} before {at}?"
    else:
        times = TimeWords("", Bound("media", edge_s + ASIDE_S), None, said=f"after {at}")
        asked = f"What {what} after {at}?"
    return Frame(
        text=asked, reduce="value" if spoken else "summary", times=times, channels=("speech",) if spoken else (),
        scope=Scope((source,)), ordinal=-1 if step == "before" else 1 if spoken else 0,
    )  # fmt: skip


def _edge_s(cites: tuple[Citation, ...], source: str, last: bool) -> float:
    mine = [c for c in cites if c.source == source]
    return max(c.t1_s for c in mine) if last else min(c.t0_s for c in mine)


def _replaced(text: str, frame: Frame, before: Frame) -> Frame:
    """The question before with what the fragment names in place of what it named: a time, a source, a thing."""
    content = [term for term in frame.terms if term.word not in _ABOUT]
    changes: dict[str, object] = {}
    if frame.times.bounded or frame.times.now or frame.times.anchor:
        changes["times"] = frame.times
    if frame.scope.sources or frame.scope.unknown or frame.scope.every:
        changes["scope"] = frame.scope
    asked = before.text
    if frame.ordinal and before.reduce in ("first", "last"):
        changes |= {"reduce": "last" if frame.ordinal < 0 else "first", "ordinal": frame.ordinal}
    if content:
        kept_noun = frame.colours and not [t for t in content if t.role != "colour" and t.word not in ("one", "ones")]
        if kept_noun:  # "the red one"
            terms = tuple(t for t in before.terms if t.role != "colour") + tuple(
                t for t in content if t.role == "colour"
            )
            changes |= {"terms": terms, "colours": frame.colours}
        else:
            subject = tuple(
                msgspec.structs.replace(t, role="subject" if t.role in ("place", "head", "speaker") else t.role)
                for t in content
            )
            kept = tuple(t for t in before.terms if t.role == "predicate")
            changes |= {
                "terms": (*subject, *kept),
                "things": frame.things,
                "colours": frame.colours,
                "phrases": frame.phrases,
            }
        asked = _in_words(before, frame, bool(kept_noun))
    elif changes:
        asked = f"{before.text.rstrip('?.! ')}, {text.strip(' ?.!')}?"
    return msgspec.structs.replace(before, text=asked, offset=0, **changes)


def _in_words(before: Frame, frame: Frame, kept_noun: bool) -> str:
    """The question before, reworded with the new subject."""
    new = " ".join(term.word for term in frame.terms if term.word not in _ABOUT)
    old = [t for t in before.terms if t.role in (("colour",) if kept_noun else ("subject", "colour"))]
    text = before.text
    if not old:
        return f"{text.rstrip('?.! ')} ({new})?"
    lowered = text.lower()
    first = lowered.find(old[0].word)
    last = lowered.rfind(old[-1].word)
    if first < 0 or last < 0:
        return f"{text.rstrip('?.! ')} ({new})?"
    lead = text[:first]
    if not kept_noun and is_plural(old[-1].word) != is_plural(frame.terms[-1].word):
        lead = _AGREE.sub(lambda verb: _AGREES[verb[0].lower()], lead, count=1)
    return f"{lead}{new}{text[last + len(old[-1].word) :]}"


def _leans(frame: Frame, said: list[str]) -> bool:
    """Whether a question names nothing itself but points: "who was it?", "what colour was that?", "how many?"."""
    if frame.about or frame.reduce in ("summary", "now") or (frame.is_now and frame.things):
        return False
    own = [t for t in frame.terms if t.role in ("subject", "colour") and t.word not in ("one", "ones")]
    if own or frame.phrases or frame.options or (frame.things and frame.things != ("person",)):
        return False
    pronoun = bool(_PRONOUNS & set(said))
    bare = len(said) <= 3 and frame.reduce in ("value", "count") and not (frame.things or frame.terms or frame.channels)
    return (pronoun and frame.channels[:1] != ("speech",)) or bare


def _filled(text: str, frame: Frame, before: Frame, last: PastTurn) -> Frame | None:
    """The question with the subject of the one before it."""
    subject = tuple(t for t in before.terms if t.role in ("subject", "colour", "head"))
    if not subject and not before.things:
        return None
    terms: tuple[Term, ...] = (*subject, *(t for t in frame.terms if t.role == "predicate"))
    scope = frame.scope if frame.scope.sources else before.scope
    times = frame.times if frame.times.bounded or frame.times.now else before.times
    if frame.expects == "name" and last.cites and not frame.predicate:
        # "Who was it?" asks of the moment that was told.
        times = TimeWords("", Bound("media", last.cites[0].t0_s - 1.5), Bound("media", last.cites[0].t1_s + 1.5))
        scope = Scope((last.cites[0].source,))
    named = " ".join(dict.fromkeys(t.word for t in subject))
    return msgspec.structs.replace(
        frame, text=f"{text.strip(' ?.!')} ({named})?", terms=terms, things=before.things, colours=before.colours,
        scope=scope,
        times=times, ordinal=before.ordinal if frame.ordinal == 0 else frame.ordinal, phrases=before.phrases,
    )  # fmt: skip
