"""What the user corrects: understood in a conversation, kept as an observation, and put first from then on.

"No, that was Anna" rejects the last answer and says what is right; "the red car is Bob's" and "remember that my keys
are in the drawer" tell something new. Either is stored as a `correction` whose evidence is what the answer had
cited, so that it is found again by what it is about, survives a restart, and can itself be corrected: what has a
correction as evidence takes its place. By rule and pure but for `corrections_for`, which reads memory.
"""

from __future__ import annotations

import datetime
import re
import zlib
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from reasoning.answer.draft import Claim, Draft, refusal
from reasoning.conversation import PastTurn
from reasoning.query.context import Context
from reasoning.understand.frame import Frame
from reasoning.understand.grammar import parse_question
from runtime.language.lexicon import STOP_WORDS
from runtime.language.lists import quote, sentence
from runtime.language.normalise import fold, words
from runtime.language.stem import stem
from runtime.language.times import parse_times
from runtime.language.values import value_in
from runtime.messages import (
    PERCEIVED_CHANNELS,
    CorrectionFacts,
    Observation,
    ScanRequest,
    View,
    observation_id,
    round_time,
)
from runtime.moments import Moments

Form = Literal["time", "number", "colour", "place", "name"]

# A correction bears on a question that shares so much of its content words with what it is about.
ABOUT_SHARE = 0.65
# With the same evidence, less will do.
ABOUT_SHARE_SAME_EVIDENCE = 0.5
BEST_HITS = 3
CORRECTIONS_READ = 400
TOLD = 2

_LEAD = re.compile(
    r"^(?:(?:no+|nope|wrong|incorrect|actually|correction|not (?:true|right|correct)|"
    r"(?:that|it|this)(?:'?s| is| was) (?:not (?:true|right|correct|it)|wrong|incorrect|false|a mistake)|"
    r"you(?:'?re| are| were) (?:wrong|mistaken)|i (?:already )?told you)\b[\s,.:;!-]*)+",
    re.IGNORECASE,
)
_TELLS = re.compile(
    r"^(?:please )?(?:remember|note|keep in mind|for the record|by the way|know)[\s,:]+(?:that\s+)?(?=\w)",
    re.IGNORECASE,
)
_POINTS = re.compile(
    r"^(?:it|that|this|he|she|they|there)\b(?:'s\b|'re\b|\s+(?:was|is|were|are|had|has|said)\b)", re.IGNORECASE
)
_STATES = re.compile(
    r"^(?:the|my|our|your|his|her|their|this|that|[A-Z]\w+(?:'s)?)\b.*?\b(?:is|are|was|were|isn't|aren't|wasn't|weren't|"
    r"belongs? to|lives?|works?|means|has|had)\b\s+\S"
)
_ASKS = re.compile(
    r"^(?:what|who|whose|whom|where|when|why|how|which|is|are|was|were|do|does|did|can|could|will|would|has|have|had|"
    r"should|tell|show|describe|list|count|find|summari[sz]e|explain|give|name)\b"
)
_WH = re.compile(r"\b(?:what|who|whose|where|when|why|how|which)\b")
# What a statement can be the answer to, by the types of the values in it.
_TYPES: dict[Form, tuple[str, ...]] = {
    "time": ("hour", "date", "duration"), "number": ("number",), "colour": ("colour",), "place": ("place",)
}  # fmt: skip


class Correction(Struct, frozen=True):
    """What the user says is so. ``statement`` "" where only the answer was rejected, or nothing was told;
    ``corrects`` whether it is about the last answer."""

    statement: str
    corrects: bool


def parse_correction(text: str, last: PastTurn | None) -> Correction | None:
    """What ``text`` corrects or tells; None where it is a question or an order. ``last`` is the turn before."""
    plain = " ".join(text.split()).strip()
    if not plain or plain.endswith("?"):
        return None
    if tells := _TELLS.match(plain):
        told = plain[tells.end() :].rstrip(".! ")
        if _WH.match(fold(told)):
            return None
        return Correction(told if _tells_something(told) else "", corrects=False)
    lead = _LEAD.match(plain)
    rest = plain[lead.end() :] if lead else plain
    low = fold(rest)
    if _ASKS.match(low) or low.startswith(("i mean ", "i meant ")):  # that is the question before, put right
        return None
    statement = rest.rstrip(".! ")
    if lead:
        if last is None:
            return None
        if not statement:
            # A bare "no" may be no more than an exclamation.
            return (
                Correction("", corrects=True) if len(words(lead[0])) > 1 or fold(lead[0]).startswith("wrong") else None
            )
        if len(words(statement)) < 2 and not _is_name(statement):
            return None
        return Correction(statement if _tells_something(statement) else "", corrects=True)
    if _WH.search(low) or not _tells_something(statement):
        return None
    if last is not None and _POINTS.match(statement):
        return Correction(statement, corrects=True)
    if _STATES.match(statement[:1].upper() + statement[1:] if low.startswith(("the ", "my ")) else statement):
        return Correction(statement, corrects=False)
    return None


def as_correction(said: Correction, conversation: str, last: PastTurn | None, view: View) -> Observation | None:
    """The correction as memory keeps it; None where there is nothing to keep, or no source to keep it beside."""
    source = view.source or next(iter(view.limits), "")
    if not said.statement or not source:
        return None
    t_s = round_time(view.as_of_s)
    k = zlib.crc32(f"{conversation}\0{said.statement}\0{view.generation}".encode()) or 1
    about = last if said.corrects else None
    before = [id_ for id_ in about.ids if "/correction/" in id_] if about else []
    evidence = tuple(dict.fromkeys([*(c.id for c in about.cites), *before])) if about else ()
    facts = CorrectionFacts(
        conversation=conversation,
        asked=about.understood if about else "",
        answered=about.answer if about else "",
    )
    return Observation(
        id=observation_id(source, "correction", t_s, k), source=source, channel="correction", t0_s=t_s, t1_s=t_s,
        text=said.statement, data=facts, evidence=evidence,
    )  # fmt: skip


def acknowledge(said: Correction, cited: Sequence[Observation], moments: Moments) -> Draft:
    """What the user hears: that it was understood, and what it is taken to be about."""
    if not said.statement and not said.corrects:
        return refusal('Tell me what to remember, as in "remember that my keys are in the drawer"')
    if not said.statement:
        return refusal("I see that my answer was wrong. Tell me what is right, and I will go by it")
    perceived = [o for o in cited if o.channel != "correction"]
    where = f", about {moments.marks(perceived)}" if perceived and said.corrects else ""
    return Draft((Claim(sentence(f"Noted{where}: {quote(said.statement)}. I will go by that"), tuple(cited)),), 1.0)


async def corrections_for(frame: Frame, context: Context) -> tuple[Observation, ...]:
    """The user's own words that bear on a question, newest first; what was corrected again is left out."""
    if frame.reduce in ("summary", "now") or frame.about or not (asked := _content(frame.text)):
        return ()
    request = ScanRequest(view=context.view, channels=("correction",), newest_first=True, limit=CORRECTIONS_READ)
    known = (await context.memory.scan(request)).observations
    replaced = {id_ for o in known for id_ in o.evidence}
    standing = [o for o in known if o.id not in replaced]
    if not standing:
        return ()
    best = {hit.observation.id for hit in (await context.recall(frame.query))[:BEST_HITS]}
    found = []
    for o in standing:
        share = len(asked & _about(o)) / len(asked)
        enough = ABOUT_SHARE_SAME_EVIDENCE if best.intersection(o.evidence) else ABOUT_SHARE
        if share >= enough and _answers(o, frame) and await _in_time(o, context):
            found.append((share, o))
    found.sort(key=lambda pair: -pair[0])
    return tuple(o for share, o in found if share == found[0][0])[:TOLD]


async def tell_corrections(found: Sequence[Observation], context: Context, moments: Moments) -> Draft:
    """What the user said, as the answer; it names that it is the user's word, and what it is about."""
    claims = []
    for o in found:
        rests_on = [e for e in await context.by_id(o.evidence) if e.channel != "correction"]
        where = f" (about {moments.marks(rests_on)})" if rests_on else f" {moments.marks([o])}"
        claims.append(Claim(sentence(f"You told me: {quote(o.text)}{where}"), (o, *rests_on)))
    return Draft(tuple(claims), 1.0)


def takes_the_place(frame: Frame) -> bool:
    """Whether the user's word is the whole answer; beside a question of yes or no it only stands first."""
    return frame.reduce != "exists"


def form_of(statement: str) -> set[Form]:
    """What a statement can be the answer to."""
    forms = {form for form, types in _TYPES.items() if any(value_in(type_, statement) for type_ in types)}
    if parse_times(statement, datetime.datetime.now(datetime.UTC)).said:
        forms.add("time")
    if not forms or _is_name(statement) or "'s" in statement:
        forms.add("name")
    return forms


# What a question asks for -> what the statement must be able to be.
_FORM_OF: dict[str, Form] = {
    "moment": "time", "hour": "time", "date": "time", "number": "number", "colour": "colour", "place": "place",
    "name": "name",
}  # fmt: skip


def _form_asked(text: str) -> Form | None:
    frame = parse_question(text, datetime.datetime.now(datetime.UTC))
    return "number" if frame.reduce == "count" else _FORM_OF.get(frame.expects)


def _answers(correction: Observation, frame: Frame) -> bool:
    """Whether it is of the kind the question asks for."""
    asked = correction.facts(CorrectionFacts).asked
    forms = form_of(correction.text)
    wanted = "number" if frame.reduce == "count" else _FORM_OF.get(frame.expects)
    if wanted is not None:
        return wanted in forms or (bool(asked) and _form_asked(asked) == wanted)
    # A time or a number alone answers no "what": unless that was what it was asked to.
    return not asked or bool(forms & {"name", "place", "colour"}) or _form_asked(asked) is None


async def _in_time(correction: Observation, context: Context) -> bool:
    """Whether what it is about lies in the window that is asked about."""
    if not context.bounded or not correction.evidence:
        return True
    about = {o.id for o in await context.by_id(correction.evidence)}
    return any(o.id in about for o in await context.scan(*PERCEIVED_CHANNELS))


def _about(correction: Observation) -> set[str]:
    told = f"{correction.facts(CorrectionFacts).asked} {correction.text}"
    found = _content(told)
    if re.search(r"\w's\b|\bbelongs? to\b|\bmine\b|\bours\b", fold(correction.text)):
        found |= {stem("owner"), stem("own"), stem("owns"), stem("belong"), stem("whose")}
    return found


def _content(text: str) -> set[str]:
    return {stem(word) for word in words(text) if word not in STOP_WORDS and len(word) > 1} - _ASKING


# How a question asks for a thing says nothing of what it is about.
_ASKING = {stem(word) for word in ("leave", "left", "put", "see", "saw", "seen", "find", "last", "know", "tell", "say")}


def _tells_something(statement: str) -> bool:
    """Whether any word of it says more than "that was the"."""
    return any(word not in _EMPTY for word in words(statement))


# Words that say nothing by themselves; "me" and "both" do.
_EMPTY = frozenset(
    """a an the this that these those there here it it's its is are was were be been being am do does did done has have
    had having can could will would shall should may might must of at to from by for with and or but nor so if than
    then as not no yes now please exactly actually really just only such s t ll re ve d isn't aren't wasn't weren't"""
    .split()
)  # fmt: skip


def _is_name(text: str) -> bool:
    return bool(re.search(r"(?<!^)(?<![.!?] )\b[A-Z][a-z]+", text)) or bool(re.fullmatch(r"[A-Z][\w'-]+", text))
