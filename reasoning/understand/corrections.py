"""What the user corrects: understood in a conversation, kept as an observation, and put first from then on.

"No, that was Anna" rejects the last answer and says what is right; "the red car is Bob's" and "remember that my keys
are in the drawer" tell something new. Either is stored as a `correction` whose evidence is what the answer had
cited, so that it is found again by what it is about, survives a restart, and can itself be corrected: what has a
correction as evidence takes its place. Pure but for `corrections_for`, which reads memory.
"""

from __future__ import annotations

import datetime
import re
import zlib
from collections.abc import Sequence

from msgspec import Struct

from reasoning.answer.draft import Claim, Draft, refusal
from reasoning.conversation import PastTurn
from reasoning.query.context import Context
from reasoning.query.passages import names_of
from reasoning.query.rows import cover
from reasoning.understand.frame import Frame
from reasoning.understand.grammar import parse_question
from reasoning.understand.reading import WORDS_READ, plain_text
from runtime.language import lexicon
from runtime.language.lists import quote, sentence
from runtime.language.match import Text
from runtime.language.normalise import tokenise, words
from runtime.language.stem import stem
from runtime.language.times import parse_times
from runtime.language.values import has_finder, value_in
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

# A correction bears on a question so much of which it is about, 0..1.
ABOUT_SHARE = 0.6
CORRECTIONS_READ = 400
TOLD = 2
_TIMES = ("moment", "hour", "date", "duration")

_ASK = frozenset("what who whose whom where when why how which".split())
_ORDER = frozenset("tell show find explain give".split())
_POINT = frozenset("it that this he she they there".split())
_DETERMINERS = frozenset("the my our your his her their this that".split())
_STATE = frozenset("is are was were belong belongs live lives work works mean means have has had".split())
# Words that say nothing by themselves; "me" and "both" do.
_EMPTY = lexicon.STOP_WORDS - {"me", "both", "mine", "ours", "yours", "hers", "theirs", "off", "on", "out", "again"}
_OWNED = re.compile(r"\w's\b|\b(?:belongs? to|mine|ours)\b", re.IGNORECASE)


class Correction(Struct, frozen=True):
    """What the user says is so. ``statement`` "" where only the answer was rejected, or nothing was told;
    ``corrects`` whether it is about the last answer."""

    statement: str
    corrects: bool


def parse_correction(text: str, last: PastTurn | None) -> Correction | None:
    """What ``text`` corrects or tells; None where it is a question or an order. ``last`` is the turn before."""
    plain = " ".join(text.split())
    tokens = tokenise(plain, WORDS_READ)
    stems = [stem(token.word) for token in tokens]
    told, rejected = lexicon.TELLING.leading(stems), lexicon.REJECTING.leading(stems)
    rest = tokens[told or rejected :]
    statement = plain[rest[0].start :].rstrip(".! ") if rest else ""
    said = words(plain_text(statement))
    if plain.endswith("?") or not tokens or _asks(said):
        return None
    if not set(said) - _EMPTY:
        statement = ""
    if told:
        return Correction(statement, corrects=False)
    is_named = statement[:1].isupper()
    if rejected:
        return Correction(statement, corrects=True) if last and (len(said) != 1 or is_named) else None
    if not statement or _ASK & set(said):
        return None
    if last is not None and said[0] in _POINT and said[1:2] and said[1] in _STATE | {"said"}:
        return Correction(statement, corrects=True)
    if _STATE & set(said[1:-1]) and (is_named or said[0] in _DETERMINERS):
        return Correction(statement, corrects=False)
    return None


def _asks(said: Sequence[str]) -> bool:
    """Whether it is a question without its mark, an order, or the question before put right ("I mean the red one")."""
    stems = [stem(word) for word in said]
    if not said:
        return False
    return said[0] in _ORDER or stems[:2] == ["i", "mean"] or lexicon.OPENINGS.at(stems, 0) is not None


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
    if frame.reduce in ("summary", "now") or frame.about:
        return ()
    request = ScanRequest(view=context.view, channels=("correction",), newest_first=True, limit=CORRECTIONS_READ)
    known = (await context.memory.scan(request)).observations
    replaced = {id_ for o in known for id_ in o.evidence}
    wanted = names_of(frame)
    found = []
    for o in known:
        share = cover(wanted, Text(_about(o))).share
        if share >= ABOUT_SHARE and o.id not in replaced and _answers(o, frame) and await _in_time(o, context):
            found.append((share, o))
    best = max((share for share, _ in found), default=0.0)
    return tuple(o for share, o in found if share == best)[:TOLD]


async def tell_corrections(found: Sequence[Observation], context: Context, moments: Moments) -> Draft:
    """What the user said, as the answer; it names that it is the user's word, and what it is about."""
    claims = []
    for o in found:
        rests_on = [e for e in await context.by_id(o.evidence) if e.channel != "correction"]
        where = f" (about {moments.marks(rests_on)})" if rests_on else f" {moments.marks([o])}"
        claims.append(Claim(sentence(f"You told me: {quote(o.text)}{where}"), (o, *rests_on)))
    return Draft(tuple(claims), 1.0)


def _about(correction: Observation) -> str:
    """What it tells of: what was asked then, and what is told."""
    owner = "owner owns belongs" if _OWNED.search(correction.text) else ""
    return f"{correction.facts(CorrectionFacts).asked} {correction.text} {owner}"


def _answers(correction: Observation, frame: Frame) -> bool:
    """Whether it is of the kind the question asks for: it was said to such a question, or holds such a value."""
    now = datetime.datetime.now(datetime.UTC)
    wanted, told_to = _kind(frame), _kind(parse_question(correction.facts(CorrectionFacts).asked, now))
    if wanted == told_to or not _is_typed(wanted):
        return not _is_typed(told_to) or wanted == told_to  # a time or a number alone answers no "what"
    if wanted == "time" and parse_times(correction.text, now).said:
        return True
    return any(value_in(kind, correction.text) for kind in (_TIMES if wanted == "time" else (wanted,)))


def _kind(frame: Frame) -> str:
    return "number" if frame.reduce == "count" else "time" if frame.expects in _TIMES else frame.expects


def _is_typed(kind: str) -> bool:
    """Whether it can be told what is of a kind; anything may be a name."""
    return kind == "time" or (has_finder(kind) and kind != "name")


async def _in_time(correction: Observation, context: Context) -> bool:
    """Whether what it is about lies in the window that is asked about."""
    if not context.bounded or not correction.evidence:
        return True
    about = {o.id for o in await context.by_id(correction.evidence)}
    return any(o.id in about for o in await context.scan(*PERCEIVED_CHANNELS))
