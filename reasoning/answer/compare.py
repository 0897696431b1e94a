"""Several things, or several recordings, side by side: "I saw X at .., but not Y"."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from reasoning.answer.draft import Claim, Draft, clause_around, join, mark, quote, refusal, sentence, unique
from reasoning.answer.times import Moment, first_moment
from reasoning.query.context import Context
from reasoning.understand.questions import Question, parse_question

_RECORDING = r"(?:videos?|clips?|films?|recordings?|files?|sources?|talks?|lectures?|meetings?|cameras?)"
_OF_THE = r"(?: of)?(?: (?:the|these|my))?(?: \w+)?"
_WHICH = re.compile(rf"\b(?:in |on |by |from )?(?:which|what)(?: one)?{_OF_THE} {_RECORDING}\b", re.I)
_ALL_OF = re.compile(
    rf"\b(?:in |on )?(?:both|all|each|every|any|either|several|how many)(?: one)?{_OF_THE} {_RECORDING}\b",
    re.I,
)
_COMPARE = re.compile(
    rf"\bcompare\b|\bdiffer(?:s|ent|ence|ences)?\b.*\b{_RECORDING}\b|"
    rf"\b{_RECORDING}\b.*\bdiffer",
    re.I,
)
_AUXILIARY = re.compile(r"^\W*(?:is|are|was|were|do|does|did|has|have|can|could|will)\b(?: (?:there|it|one))?", re.I)
_PAIR = re.compile(
    r"^(?P<before>.*?)\b(?P<one>(?:a|an|any|the|some|no) [\w' -]{1,40}?),? (?:and|or|as well as) (?:also )?"
    r"(?P<other>(?:a|an|any|the|some) [\w' -]{1,40}?)"
    r"(?P<after>\s+(?:in|on|at|during|visible|shown|seen|mentioned|heard)\b.*)?[?.!]*$",
    re.I,
)
TOLD = 4

Present = Callable[[Question, Context], Awaitable[Draft]]


def compares_sources(question: Question) -> bool:
    """Whether a question sets recordings side by side."""
    return any(pattern.search(question.text) for pattern in (_WHICH, _ALL_OF, _COMPARE))


async def answer_sources(question: Question, context: Context, summarise: Present, present: Present) -> Draft | None:
    """In which recordings something was seen or heard, and in which not; None where there is but one recording."""
    sources = [source for source in context.view.limits if not source.startswith("conversation")]
    if len(sources) < 2:
        return None
    asked = _ALL_OF.sub(" ", _WHICH.sub(" ", question.text))
    about = re.sub(r"[?.!]+$", "", _AUXILIARY.sub(" ", asked)).strip(" ,")
    if _COMPARE.search(question.text) or not re.search(r"[a-z]{3}", about, re.I):
        return await _each_in_short(question, context, sources, summarise)
    found = []
    for source in sources:
        own = context.of(source)
        moment = await first_moment(about, own)
        if moment is None and question.kind == "presence":
            there = await present(parse_question(asked, context.view.as_of_s), own)
            cites = there.claims[0].cites if not there.abstained else ()
            moment = Moment(cites[0].t0_s, cites[:1], there.confidence) if cites else None
        found.append((source, moment))
    having = [(source, moment) for source, moment in found if moment is not None]
    lacking = [source for source, moment in found if moment is None]
    if not having:
        return refusal(f"I did not see or hear {about} in any of the {len(sources)} recordings")
    places = join(f"in {source} at {mark(moment.t0_s)}" for source, moment in having[:TOLD])
    more = f" and {len(having) - TOLD} more" if len(having) > TOLD else ""
    missing = f", but not in {join(lacking[:TOLD], 'or')}" if lacking else ""
    claims = [Claim(sentence(f"I found it {places}{more}{missing}"), unique(m.cites[0] for _, m in having[:TOLD]))]
    claims += [Claim(sentence(_told(source, moment)), moment.cites[:1]) for source, moment in having[:1]]
    return Draft(tuple(claims), min(moment.confidence for _, moment in having))


async def answer_pair(question: Question, context: Context, present: Present) -> Draft | None:
    """Whether each of two things was there: yes to both, to one ("... but not ..."), or to none; None if not two."""
    pair = _PAIR.match(question.text)
    if pair is None or question.time.anchor:
        return None
    after = pair["after"] or ""
    parts = []
    for name in (pair["one"], pair["other"]):
        text = f"{pair['before']}{name}{after}?"
        parts.append((name, await present(parse_question(text, context.view.as_of_s), context)))
    seen = [(name, draft) for name, draft in parts if not draft.abstained]
    if len(seen) != 1:
        return None if not seen else Draft(
            tuple(claim for _, draft in seen for claim in draft.claims), min(draft.confidence for _, draft in seen)
        )  # fmt: skip
    name, draft = seen[0]
    other = next(other for other, refused in parts if refused.abstained)
    first = draft.claims[0]
    told = re.sub(r"^Yes[,:] ", "", first.text).rstrip(".")
    text = f"Not both: {told}, but I did not see or hear {other}"
    return Draft((Claim(sentence(text), first.cites),), draft.confidence)


async def _each_in_short(question: Question, context: Context, sources: list[str], summarise: Present) -> Draft | None:
    claims = []
    for source in sources[-TOLD:]:
        draft = await summarise(question, context.of(source))
        if draft.claims and draft.claims[0].cites:
            first = draft.claims[0]
            claims.append(Claim(f"{source}: {first.text}", first.cites))
    return Draft(tuple(claims), 0.6) if claims else None


def _told(source: str, moment: Moment) -> str:
    o = moment.cites[0]
    plain = clause_around(o.text.replace(" / ", " ").split(), ())
    if o.channel in ("speech", "text"):
        return f"in {source} I {'heard' if o.channel == 'speech' else 'read'}: {quote(plain)} {mark(moment.t0_s)}"
    return f"in {source}: {plain} {mark(moment.t0_s)}"
