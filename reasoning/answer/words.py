"""Answers that are words: what was said, what was written, and facts that either of them states.

The answer quotes the passage; a value of the asked type (a name, an address) is picked out of on-screen
text first, where spelling can be trusted. Speech is always quoted as heard.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from reasoning.answer.draft import (
    QUOTE_WORDS,
    Claim,
    Draft,
    clause_around,
    join,
    mark,
    quote,
    refusal,
    sentence,
    unique,
)
from reasoning.answer.layout import TOGETHER_S, answer_layout, legible, line_height, plain
from reasoning.query.captions import as_captioned, captions
from reasoning.query.context import Context
from reasoning.query.passages import TYPES_OF_WORDS, Passage, evidence_terms, in_region, name_like, passages
from reasoning.safety.attribution import agreeing, asks_of_world, differs
from reasoning.understand import lexicon
from reasoning.understand.questions import Question, noun_phrases
from reasoning.understand.words import STOP_WORDS, stem, words
from runtime.messages import Channel, Observation, SpeechFacts, TextFacts, why_unheard

# Where nobody speaks, "it" is a screen or a sign.
_IT_SAYS = re.compile(r"\b(?:does|did) (?:it|this|that) say\b", re.IGNORECASE)
LISTED = 3
LABEL_WORDS = 3
NAMES_TOLD = 4
# Asked for one of these, writing that holds none is no answer.
VALUES = ("name", "number", "date", "web address")
# "On the back of the shirt", "beside the arrow": where writing stands, not what it says.
_PLACED = re.compile(
    r"\b(?:beside|next to|near|above|below|beneath|under|behind|over|across|"
    r"(?:on|in|at) (?:the|his|her|their|its|a|an))\b"
)
# Word times of a recogniser overlap by so much.
WORD_SLACK_S = 0.05
# "At 0:20", with its slack on either side.
MOMENT_S = 6.0
# Asked what was said or written before or after something, what is nearest to it is meant.
NEXT_TO = 2
# Without any word of the question evidenced, what was said is only offered, never asserted.
OFFERED = 0.45
# How soon the next utterance or caption follows when it goes on with the same sentence.
GOES_ON_S = 1.5
CAPTION_GOES_ON_S = 3.0
# Share of a question's words that its answer takes up.
RECURS = 0.6
# A stretch of talk that tells whether a recording has captions.
CAPTIONED_S = 120.0
# Words that an older passage has of those asked for, not to be hidden by a newer one.
BEARS = 0.7
# A second witness bears on the question nearly as much.
AGREES = 0.75


async def answer_words(question: Question, context: Context) -> Draft:
    """Answer from speech and on-screen text, or refuse."""
    if question.kind == "spoken" and _IT_SAYS.search(question.text) and not await context.scan("speech"):
        question = msgspec.structs.replace(question, kind="read", spoken=False, read=True)
    laid_out = await answer_layout(question, context)
    if laid_out:
        return laid_out
    found = await passages(question, context)
    reading = question.kind == "read" or (question.read and not question.spoken)
    if not evidence_terms(question):
        typed = [p for p in found if p.typed and p.support > 0]
        if question.expects and typed:
            return _quoted(question, typed[0], found)
        # Few utterances name a country at all, but a name or a number may hide in any.
        if question.kind not in ("spoken", "read") or question.expects in (VALUES if reading else TYPES_OF_WORDS):
            return await nothing_said_or_read(question, context)
        return await _all_said_or_read(question, context, reading)
    if not found or found[0].support <= 0:
        return (reading and await _unplaced(question, context, found)) or await nothing_said_or_read(question, context)
    best = _better_value(question, found)
    if question.expects == "question" and not best.typed and (asked := _asked_for(best, found)):
        return asked
    return _quoted(question, best, found)


async def nothing_said_or_read(question: Question, context: Context) -> Draft:
    """The refusal for words that were neither heard nor read, with what may have kept them from us."""
    heard = await context.scan("speech", limit=50)
    within = f" {question.time.said[0]}" if question.time.bounded and question.time.said else ""
    if question.kind == "spoken" and await context.lacks("audio"):
        return refusal(f"I did not hear that: there is no sound{within}")
    if question.kind == "spoken" and not heard:
        return refusal(f"I did not hear that: nobody speaks{within} as far as I can hear")
    if question.kind == "read" and not [o for o in await context.scan("text", limit=50) if legible(o)]:
        return refusal(f"I read no writing{within}")
    verb = {"spoken": "hear", "read": "read"}.get(question.kind, "hear or read")
    text = f"I did not {verb} anything about {topic(question)}"
    unclear = [o for o in heard if not o.text.strip()][:LISTED]
    if not unclear or question.kind == "read":
        return refusal(text)
    claim = Claim(sentence(f"{text}; {_not_made_out(unclear)}"), tuple(unclear))
    return Draft((claim,), 0.0, abstained=True)


def _not_made_out(spoken: Sequence[Observation]) -> str:
    """When something was said that there are no words of, and why there are none."""
    marks: dict[str, list[str]] = {}
    for o in spoken:
        marks.setdefault(why_unheard(o), []).append(mark(o.t0_s))
    return "; ".join(
        f"{'to ' if why else ''}what was said at {join(dict.fromkeys(at))} I could not "
        + (f"listen: {why}" if why else "make out")
        for why, at in sorted(marks.items())
    )


def topic(question: Question) -> str:
    """What the question is about, in its own words."""
    named = [quote(phrase) for phrase in question.phrases] or noun_phrases(question.text, question.strong)
    return join(named[:3], "or") or "that"


def _quoted(question: Question, best: Passage, found: list[Passage]) -> Draft:
    """The passage as the answer: as what was heard or read where that is asked or another witness agrees, else as
    somebody's claim."""
    o = best.observation
    second = before = None
    if claimed := asks_of_world(question):
        likely = [p.observation for p in found if p.support >= AGREES * best.support]
        asked = [term.word for term in question.terms]
        second = agreeing(o, likely, asked)
        claimed = second is None
        if claimed:
            older = [p for p in found if p.covered >= BEARS and p.observation.t1_s < o.t0_s and _states(p)]
            before = next((p for p in older if differs(o, p.observation, asked)), None)
    said = f"{_told(question, o, best, claimed)} {mark(o.t0_s)}"
    if second is not None:
        said += f", and {'read' if second.channel == 'text' else 'heard'} the same {mark(second.t0_s)}"
    claims = [Claim(sentence(said), (o,) if second is None else (o, second))]
    if before is not None:
        earlier = before.observation
        text = _told(question, earlier, before, claimed)
        claims.append(Claim(f"Earlier {text[:1].lower()}{text[1:]} {mark(earlier.t0_s)}.", (earlier,)))
    following = _continuation(best, found)
    if following is not None:
        after = clause_around(plain(following).split(), ())
        claims.append(Claim(sentence(f"It goes on: {quote(after)} {mark(following.t0_s)}"), (following,)))
    return Draft(tuple(claims), best.support)


def _states(passage: Passage) -> bool:
    """Whether a passage can state anything: it is no question, and more than a label."""
    return len(passage.spoken) >= LABEL_WORDS and not passage.observation.text.rstrip().endswith("?")


def _told(question: Question, o: Observation, passage: Passage, claimed: bool) -> str:
    """What a passage says, as somebody's claim or as what was heard or read."""
    if o.channel != "text":
        return f"{'Somebody said' if claimed else 'I heard'}: {quote(clause_around(o.text.split(), passage.at))}"
    value, whole = _pick_value(question, o), _text_quote(passage)
    inside = f" in {quote(whole)}" if value and value != quote(whole) else ""
    return f"{'A sign or screen says' if claimed else 'I read'} {value or quote(whole)}{inside}"


def _continuation(best: Passage, found: list[Passage]) -> Observation | None:
    """The next utterance or caption, when the best one ends where the answer should begin."""
    o = best.observation
    if not best.at or len(best.spoken) > 12 or best.at[-1] < len(best.spoken) - 3:
        return None
    within_s = GOES_ON_S if o.channel == "speech" else CAPTION_GOES_ON_S
    after = [
        p.observation
        for p in found
        if p.observation.channel == o.channel
        and p.observation.source == o.source
        and p.observation.text.strip()
        and (o.channel == "speech" or (len(best.spoken) <= 5 and _beneath(o, p.observation)))
        and p.observation.t0_s - o.t0_s > 0
        and p.observation.t0_s - o.t1_s <= within_s
    ]
    return min(after, key=lambda n: (n.t0_s, n.id), default=None)


def _beneath(text: Observation, other: Observation) -> bool:
    """Whether another text can go on with this one: it is legible and stands in the same place."""
    return legible(other) and other.facts(TextFacts).region == text.facts(TextFacts).region


def _asked_for(best: Passage, found: list[Passage]) -> Draft | None:
    """The written question that what was found answers: the one most of whose words recur in it."""
    answering = set(map(stem, best.spoken))

    def recurring(p: Passage) -> float:
        asked = [stem(word) for word in p.spoken if word not in STOP_WORDS]
        return sum(word in answering for word in asked) / len(asked) if asked else 0.0

    o = best.observation
    written = [
        p for p in found if p.typed and p.observation.channel == o.channel and p.observation.t0_s <= o.t0_s + GOES_ON_S
    ]
    likely = max(written, key=lambda p: (recurring(p), p.observation.t0_s), default=None)
    if likely is None or recurring(likely) < RECURS:
        return None
    q = likely.observation
    claims = (
        Claim(sentence(f"The question should be {quote(plain(q))}"), unique([o, q])),
        Claim(sentence(f"The answer to it reads {quote(_text_quote(best))} {mark(o.t0_s)}"), (o,)),
    )
    return Draft(claims, best.support)


def _better_value(question: Question, found: list[Passage]) -> Passage:
    """The best passage, or one nearly as good that holds a value of the expected type."""
    best = found[0]
    if question.expects and not best.typed:
        for other in found[1:8]:
            if other.typed and other.support >= 0.75 * best.support:
                return other
    return best


def _text_quote(passage: Passage) -> str:
    """The block's lines as one run of text, cut around the words that matched."""
    tokens = plain(passage.observation).split()
    if len(tokens) <= QUOTE_WORDS:
        return " ".join(tokens)
    wanted = {passage.spoken[i] for i in passage.at}
    return clause_around(tokens, [i for i, token in enumerate(tokens) if wanted & set(words(token))])


def _pick_value(question: Question, observation: Observation) -> str:
    """The value of the asked type in a text, quoted; "" if the text as a whole is the answer."""
    text = observation.text
    if question.expects == "web address":
        return join(quote(address) for address in lexicon.web_addresses(text)[:2])
    if (question.expects == "name" and question.head != "names") or question.kind == "who":
        several = question.several or question.kind == "who"
        return join(quote(name) for name in name_like(text)[: question.wanted or (NAMES_TOLD if several else 1)])
    if question.expects == "number":
        return join(quote(number) for number in lexicon.numbers_in(text)[:2])
    return ""


async def _unplaced(question: Question, context: Context, found: list[Passage]) -> Draft | None:
    """Writing asked for by where it stands ("on the back of the shirt"), which cannot be seen: offer what there is.

    Only when there is so little of it that the one meant must be among it.
    """
    if not _PLACED.search(question.body.lower()):
        return None
    typed = [p.observation for p in found if p.typed and p.observation.channel == "text"]
    candidates = typed or [o for o in await context.scan("text") if legible(o)]
    if not candidates or len(candidates) > LISTED or (question.expects and not typed):
        return None
    shown = sorted(candidates, key=lambda o: (o.t0_s, o.id))
    said = join(f"{_pick_value(question, o) or quote(_short(o))} {mark(o.t0_s)}" for o in shown)
    text = f"I read {said}, but I cannot tell what is {topic(question)}"
    return Draft((Claim(sentence(text), unique(shown)),), OFFERED)


async def _all_said_or_read(question: Question, context: Context, reading: bool) -> Draft:
    """No word of the question can be evidenced: offer what was said or written, if that is little enough."""
    channel: Channel = "text" if reading else "speech"
    if reading and question.time.bounded and (visible := await _on_screen(context)):
        return visible
    scanned = await context.scan(channel)
    captioned = await _captions_around(scanned, context) if scanned and not reading else {}
    listed = (
        [o for o in scanned if legible(o)] if reading else [o for o in scanned if o.text.strip() or o.id in captioned]
    )
    if reading:
        listed = [o for o in listed if in_region(question, o)] or listed
    if not listed:
        return await nothing_said_or_read(question, context)
    one_sided = (context.t0_s is None) != (context.t1_s is None)
    if one_sided and not reading:  # a word or two over the edge say nothing
        listed = [o for o in listed if not 0 < len(_part(o, context).split()) < LABEL_WORDS] or listed
    if not question.time.pick and one_sided:
        listed = listed[-NEXT_TO:] if context.t0_s is None else listed[:NEXT_TO]
    if question.time.pick == "last":
        listed = [o for o in listed if reading and listed[-1].t0_s - o.t0_s <= TOGETHER_S] or listed[-1:]
    elif question.time.pick == "first":
        listed = [o for o in listed if reading and o.t0_s - listed[0].t0_s <= TOGETHER_S] or listed[:1]
    largest = sorted(listed, key=lambda o: (-line_height(o), o.id)) if reading else listed
    shown = sorted(largest[:LISTED], key=lambda o: (o.t0_s, o.id))
    verb = "I read" if reading else "I heard"
    more = f", and {len(listed) - len(shown)} more" if len(listed) > len(shown) else ""
    within = context if one_sided else None
    text = f"{verb}: {join(_shown(o, captioned.get(o.id, ()), within) for o in shown)}{more}"
    cites = [cited for o in shown for cited in (o, *captioned.get(o.id, ()))]
    unclear = [] if reading else [o for o in scanned if not o.text.strip() and o.id not in captioned]
    if unclear and not question.time.pick:
        unclear = unclear[: LISTED + 1 - len(shown)]
        text += f"; {_not_made_out(unclear)}"
        cites += unclear
    # The fewer there are, the surer it is that the one meant is among them.
    few = question.time.bounded or bool(question.time.pick) or len(listed) <= LISTED
    return Draft((Claim(sentence(text), unique(cites)),), 0.6 if few else OFFERED)


async def _on_screen(context: Context) -> Draft | None:
    """What the picture in the middle of a short window shows in writing, whenever that came into view, the newest
    first; None where the window is no moment, or its picture shows none."""
    if context.t0_s is None or context.t1_s is None or context.t1_s - context.t0_s > MOMENT_S:
        return None
    frames = await context.frames()
    middle_s = (context.t0_s + context.t1_s) / 2
    frame = min(frames, key=lambda f: (abs(f.t0_s - middle_s), f.t0_s), default=None)
    visible = [o for o in await context.by_id(frame.evidence) if o.channel == "text" and legible(o)] if frame else []
    if frame is None or not visible:
        return None
    newest = sorted(visible, key=lambda o: (-o.t0_s, -line_height(o), o.id))[:LISTED]
    more = f", and {len(visible) - len(newest)} more" if len(visible) > len(newest) else ""
    text = f"On screen at {mark(frame.t0_s)} I read {join(quote(_short(o)) for o in newest)}{more}"
    return Draft((Claim(sentence(text), unique([frame, *newest])),), 0.6)


def _shown(o: Observation, captioned: tuple[Observation, ...], within: Context | None) -> str:
    """What was read or heard, with its captions; these alone where nothing of it was understood.

    Of an utterance that reaches over the edge of the window ``within`` only what lies in it.
    """
    said = (_part(o, within) if within else "") or _short(o)
    heard = f"{quote(said) if o.text.strip() else 'words'} {mark(o.t0_s)}"
    return f"{heard}, captioned {as_captioned(captioned)}" if captioned else heard


async def _captions_around(spoken: Sequence[Observation], context: Context) -> dict[str, tuple[Observation, ...]]:
    """The captions of utterances near these, judged by a longer stretch: most repeat what is heard, not each."""
    t0_s, t1_s = spoken[0].t0_s - CAPTIONED_S, spoken[-1].t1_s + CAPTIONED_S
    return captions(
        await context.scan("speech", t0_s=t0_s, t1_s=t1_s), await context.scan("text", t0_s=t0_s, t1_s=t1_s)
    )


def _part(o: Observation, window: Context) -> str:
    """The words of an utterance said inside the window, "" where that is all of them, or none."""
    timed = [(str(word), float(t0_s)) for word, t0_s, *_ in o.facts(SpeechFacts).words]
    after_s = window.t0_s if window.t0_s is not None else float("-inf")
    before_s = window.t1_s if window.t1_s is not None else float("inf")
    kept = [word for word, t0_s in timed if after_s - WORD_SLACK_S <= t0_s < before_s]
    if not kept or len(kept) == len(timed):
        return ""
    if window.t0_s is None:
        return f"{'... ' if len(kept) > QUOTE_WORDS else ''}{' '.join(kept[-QUOTE_WORDS:])} ..."
    return f"... {clause_around(kept, ())}"


def _short(observation: Observation) -> str:
    return clause_around(plain(observation).split(), ())
