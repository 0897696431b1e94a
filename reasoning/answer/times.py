"""When something happened, and which of two things came first.

A word that was said has its own time inside the utterance; writing has its first sight and, by the
frames that list it, its last; people, moving things, new shots and the onset of movement have theirs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from reasoning.answer.draft import Claim, Draft, clause_around, join, mark, marks, one, quote, refusal, sentence, unique
from reasoning.query.context import Context
from reasoning.query.passages import Passage, coverage, evidence_terms, passages
from reasoning.query.things import beyond, things
from reasoning.query.visual_events import (
    CLOTHING,
    MOTION_VERBS,
    MOVING,
    PEOPLE,
    SOUND,
    SPEAKING,
    WRITING,
    VisualEvent,
    about_cuts,
    about_darkness,
    about_framing,
    about_people,
    about_vehicles,
    asked_stems,
    crowd,
    cuts,
    dark,
    event_asked,
    fullest,
    minimum_of_people,
    motion_onset,
    moving,
    people,
    sounds,
    unknown_nouns,
    vehicles,
    writing,
)
from reasoning.safety.attribution import asks_of_world
from reasoning.understand.alternatives import precedence
from reasoning.understand.questions import Question, Term, content_terms, noun_phrases
from reasoning.understand.words import match, ordinal_value, stem, words
from runtime.messages import FrameFacts, Observation, SpeechFacts, TextFacts

# Every asked word, as heard or read, or nearly: a time is only worth giving for the right event.
SURE = 0.6
LISTED = 3
# Fewer words after the asked ones are no more than the end of their sentence.
REST_WORDS = 3
_STOPPING = frozenset(("stop",))
LABEL_WORDS = 3
# A page that is there when a recording begins is read by then.
FROM_START_S = 1.0
_MOST = frozenset(("most", "busiest", "largest"))
# "The third person who enters"; "a third person" is one of three.
_NTH = re.compile(
    r"\bthe (\w+) (?:person|pedestrian|man|woman|visitor) (?:\w+ )?(?:enter|com(?:e|ing)|appear|arriv|leav|walk)"
)
COMING = frozenset(stem(word) for word in ("come", "appear", "enter", "arrive"))
JUST_MOVING = frozenset(stem(word) for word in ("move", "start", "begin"))


class Moment(Struct, frozen=True):
    """A time found for a thing: when, by what, and how sure (0..1)."""

    t0_s: float
    cites: tuple[Observation, ...]
    confidence: float


async def answer_when(question: Question, context: Context) -> Draft:
    """The time of the first (or last) event that fits, or a refusal."""
    told = await _from_words(question, context)
    pictured = None if question.spoken and not question.seen else await _from_pictures(question.text, context)
    words_first = bool(question.phrases) or question.spoken or question.read or not pictured
    if told and (words_first or not pictured):
        return told
    if pictured:
        return _listed(pictured, question.time.pick, about_framing(question.text))
    beyond = unknown_nouns(question.text)
    about = join(noun_phrases(question.text, beyond or question.strong)[:2], "or")
    if not about:
        about = "writing" if asked_stems(question.text) & WRITING else "that"
    return refusal(f"I did not see or hear {about}, so I cannot say when{_encoders(question, beyond)}")


async def answer_command(question: Question, context: Context) -> Draft:
    """Which of two things came first, if both are evidenced."""
    first, second = question.alternatives
    if question.spoken and asked_stems(first) & PEOPLE and asked_stems(second) & PEOPLE:
        return await _voices(question, context)
    # "Which leaves first: the car or the van?": each is looked for leaving, but for what has a verb of its own.
    leaving = " leaves" if event_asked(question.text) == "leaves" else ""
    verbs = ["" if asked_stems(name) & COMING else leaving for name in (first, second)]
    a, b = [
        await first_moment(f"{name}{verb}", context, coming=True)
        for name, verb in zip((first, second), verbs, strict=True)
    ]
    if a and b and a.t0_s != b.t0_s:
        early, late = (a, b) if a.t0_s < b.t0_s else (b, a)
        name, other = (_as_asked(n, question.text) for n in ((first, second) if early is a else (second, first)))
        wants_last = question.has("last", "later", "latest")
        verb, other_verb = (found or " comes" for found in (verbs if early is a else reversed(verbs)))
        lead = f"{other}{other_verb} last" if wants_last else f"{name}{verb} first"
        asked = precedence(question.text)
        if asked and asked[1]:
            lead = f"{'Yes' if (early is a) == (asked[1] == 'before') else 'No'}, {lead}"
        text = f"{lead}: {name} at {mark(early.t0_s)}, {other} at {mark(late.t0_s)}"
        return one(text, *early.cites, *late.cites, confidence=min(a.confidence, b.confidence))
    for moment, name, missing in ((a, first, second), (b, second, first)):
        if moment:
            name, missing = _as_asked(name, question.text), _as_asked(missing, question.text)
            text = f"I found {name} at {mark(moment.t0_s)}, but nothing of {missing}, so I cannot say which came first"
            return Draft((Claim(sentence(text), moment.cites),), 0.0, abstained=True)
    return refusal(
        "I cannot say which came first: I did not recognise "
        f"{_as_asked(first, question.text)} or {_as_asked(second, question.text)}"
        f"{_encoders(question, unknown_nouns(f'{first} {second}'))}"
    )


def _as_asked(name: str, text: str) -> str:
    """The thing with the article it has in the question, without a verb of its own ("the person came")."""
    told = name.split()
    if len(told) > 1 and asked_stems(told[-1]) & COMING:
        name = " ".join(told[:-1])
    found = re.search(rf"\b(?:the|an?) {re.escape(name)}", text, re.IGNORECASE)
    return found[0] if found else name


async def _voices(question: Question, context: Context) -> Draft:
    """Who of two people spoke first cannot be told; when speech begins can."""
    spoken = await context.scan("speech")
    if not spoken:
        return refusal("I heard nobody speak")
    text = f"I cannot tell voices apart; the first speech I heard begins at {mark(spoken[0].t0_s)}"
    return Draft((Claim(sentence(text), (spoken[0],)),), 0.0, abstained=True)


async def first_moment(text: str, context: Context, coming: bool = False) -> Moment | None:
    """The first time of the thing or event that ``text`` names.

    ``coming``: what was there from the start did not come; it counts only where there is nothing else.
    """
    strong = [term for term in content_terms(text) if term.weight >= 1.0]
    if not strong and asked_stems(text) & SPEAKING - WRITING:
        spoken = await context.scan("speech")
        return Moment(spoken[0].t0_s, spoken[:1], 0.6) if spoken else None
    # Which of two shots is the wide one cannot be told.
    picture = [] if about_framing(text) else await _from_pictures(text, context)
    if picture:
        first = picture[0]
        return Moment(first.t0_s, (first.observation,), 0.6)
    fitting = [
        o
        for o in await context.scan("speech", "text")
        if strong and coverage(strong, words(o.text), o.channel == "text") >= SURE
    ]
    # A label of a word or two names a button, not what the talk is of; unless there is nothing else.
    fitting = [o for o in fitting if o.channel == "speech" or not _is_label(o, strong)] or fitting
    if coming:
        fitting = [o for o in fitting if o.channel == "speech" or o.t0_s > FROM_START_S] or fitting
    for o in fitting:
        t_s = _said_at_s(o, [term.word for term in strong])
        return Moment(t_s, (o,), 0.55)
    return None


def said_until_s(moment: Moment, text: str) -> float | None:
    """When the last word of ``text`` was said inside the utterance a moment rests on; None where little follows it."""
    o = moment.cites[0]
    asked = [term.word for term in content_terms(text)]
    timed = [(words(str(entry[0])), float(entry[2])) for entry in o.facts(SpeechFacts).words]
    last = max((i for i, (spoken, _) in enumerate(timed) if any(match(word, spoken) for word in asked)), default=None)
    if o.channel != "speech" or last is None or len(timed) - 1 - last < REST_WORDS:
        return None
    return timed[last][1]


def _is_label(observation: Observation, strong: Sequence[Term]) -> bool:
    """Whether the words stand in lines of one or two words only."""
    lines = [words(str(line[0])) for line in observation.facts(TextFacts).lines] or [words(observation.text)]
    return not any(len(line) >= LABEL_WORDS and coverage(strong, line, compact=True) >= SURE for line in lines)


async def _from_words(question: Question, context: Context) -> Draft | None:
    terms = evidence_terms(question)
    if not question.phrases and all(stem(term.word) in SPEAKING | _STOPPING for term in terms):
        if question.read or asked_stems(question.text) & WRITING:
            return await _writing_appears(question, context)
        if question.spoken and asked_stems(question.text) & SPEAKING:
            return await _speech_begins(question, context)
        return None
    found = [p for p in await passages(question, context) if p.covered >= SURE]
    if not found:
        return None
    best = _pick(question, found)
    o = best.observation
    if o.channel == "text":
        last = await _last_frame(o, context)
        plain = o.text.replace(" / ", " ")
        shown = clause_around(plain.split(), ())
        if last is not None and int(last.t0_s) > int(o.t0_s):
            text = f"{quote(shown)} is on screen from {mark(o.t0_s)} to {mark(last.t0_s)}"
            return one(text, o, last, confidence=best.support)
        return one(f"{quote(shown)} is on screen at {mark(o.t0_s)}", o, confidence=best.support)
    at_s = _said_at_s(o, [term.word for term in terms])
    heard = clause_around(o.text.split(), best.at)
    who = "somebody said" if asks_of_world(question) else "I heard"
    return one(f"At {mark(at_s)} {who}: {quote(heard)}", o, confidence=best.support)


def _pick(question: Question, found: list[Passage]) -> Passage:
    """Among passages about as good as the best: on the channel asked for, then the first, or the last."""
    limit = max(p.covered for p in found) - 0.15
    good = [p for p in found if p.covered >= limit]
    wanted = "speech" if question.spoken and not question.read else "text" if question.read else ""
    channelled = [p for p in good if p.observation.channel == wanted] or good
    ordered = sorted(channelled, key=lambda p: (p.observation.t0_s, p.observation.id))
    return ordered[-1] if question.time.pick == "last" else ordered[0]


def _said_at_s(observation: Observation, asked: list[str]) -> float:
    """When the first of the asked words was said inside an utterance."""
    for entry in observation.facts(SpeechFacts).words:
        if any(match(word, words(str(entry[0]))) for word in asked):
            return max(observation.t0_s, min(float(entry[1]), observation.t1_s))
    return observation.t0_s


async def _writing_appears(question: Question, context: Context) -> Draft | None:
    texts = [s.observation for s in await writing(context, question.text)]
    if not texts:
        return None
    if question.time.pick == "last":
        texts = texts[-1:]
    shown = texts[:LISTED]
    said = join(f"{quote(clause_around(o.text.replace(' / ', ' ').split(), (), 12))} {mark(o.t0_s)}" for o in shown)
    return one(f"Writing can be read: {said}", *shown, confidence=0.6 if len(texts) <= LISTED else 0.4)


async def _speech_begins(question: Question, context: Context) -> Draft | None:
    spoken = await context.scan("speech")
    if not spoken:
        return None
    if question.time.pick == "last" or question.has("stop", "end", "finish"):
        o = spoken[-1]
        return one(f"The last speech I heard begins at {mark(o.t0_s)} and ends at {mark(o.t1_s)}", o, confidence=0.8)
    return one(f"Speech begins at {mark(spoken[0].t0_s)}", spoken[0], confidence=0.8)


async def _from_pictures(text: str, context: Context) -> list[VisualEvent]:
    """Times in pictures (and of sounds) that fit, or none where a word lies beyond the encoders."""
    asked = asked_stems(text)
    if about_darkness(text):
        return await dark(context)
    if about_cuts(text):
        changes = await cuts(context)
        number = minimum_of_people(text)
        if number > 1:
            fitting = [s for s in changes if s.observation.facts(FrameFacts).people >= number]
            return fitting or changes
        return changes
    vehicle = about_vehicles(text)
    unknown = [word for word in unknown_nouns(text) if word != vehicle]
    if unknown or vehicle:
        unnamed = [word for word in await beyond(context, text) if word != vehicle]
        named = await things(context, [word for word in words(text) if word == vehicle or word in unknown])
        if named and not unnamed:
            return [VisualEvent(s.t0_s, s.observation, f"I see {s.said}") for s in named]
    if unknown:
        return []
    if vehicle:
        return [_uncertain(s, vehicle) for s in await vehicles(context, text, event_asked(text))]
    if about_people(text):
        if asked & _MOST:
            return await fullest(context)
        if nth := _NTH.search(text.lower()):
            place = ordinal_value(nth[1]) or 1
            return (await people(context, text, event_asked(text)))[place - 1 : place]
        number = minimum_of_people(text)
        if number > 1:
            return await crowd(context, number)
        return await people(context, text, event_asked(text))
    if asked & MOVING:
        return await moving(context, text, event_asked(text))
    if asked & WRITING:
        return await writing(context, text)
    if asked & SOUND:
        return await sounds(context, text)
    if asked & MOTION_VERBS and not asked & (WRITING | SPEAKING | CLOTHING | PEOPLE):
        onset = await motion_onset(context)
        return [_named_motion(onset, text)] if onset else []
    return []


def _named_motion(onset: VisualEvent, text: str) -> VisualEvent:
    """Movement as what it was asked for is not known: "the pouring" is something that begins to move."""
    verb = next((word for word in words(text) if stem(word) in MOTION_VERBS - JUST_MOVING), "")
    caveat = f", which may be the {verb}" if verb.endswith("ing") else ""
    return VisualEvent(onset.t0_s, onset.observation, f"{onset.said}{caveat}")


def _uncertain(sighting: VisualEvent, name: str) -> VisualEvent:
    return VisualEvent(sighting.t0_s, sighting.observation, f"{sighting.said} (which could be a {name})")


def _listed(found: list[VisualEvent], pick: str, framing: bool) -> Draft:
    chosen = found[-1:] if pick == "last" else found[: 1 if pick == "first" else LISTED]
    said = list(dict.fromkeys(s.said for s in chosen))
    if len(chosen) == 1 or len(said) == 1:
        left = len(found) - len(chosen)
        more = f" (and {'once' if left == 1 else f'{left} times'} more)" if left and not pick else ""
        text = f"{said[0]} at {marks(s.observation for s in chosen)}{more}"
    else:
        text = "; ".join(f"{s.said} {mark(s.t0_s)}" for s in chosen)
    if framing and len(found) > 1:
        text += "; which of these pictures is meant I cannot tell"
    return one(text, *unique(s.observation for s in chosen), confidence=0.7 if pick or len(found) <= LISTED else 0.45)


async def _last_frame(observation: Observation, context: Context) -> Observation | None:
    limit_s = context.view.limits.get(observation.source, observation.t1_s)
    frames = await context.scan("frame", t0_s=0.0, t1_s=limit_s, limit=8000)
    listing = [f for f in frames if f.source == observation.source and observation.id in f.evidence]
    return listing[-1] if listing else None


def _encoders(question: Question, beyond: list[str]) -> str:
    if not beyond or question.spoken or question.read:
        return ""
    return ". With the embedded encoders I recognise people, movement, colours, writing and speech, not other things"
