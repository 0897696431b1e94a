"""Is there, was there, does it: yes only with evidence on a channel that can carry it.

Something *shown* must be seen, something *mentioned* heard or read: the word "phone" in a caption is no
phone. Every distinctive word of the question has to be evidenced; a mishearing is not enough for a yes.
Otherwise the answer is "No, I did not ...", marked as abstained, and says what the encoders cannot tell.
"""

from __future__ import annotations

import re

from reasoning.answer.counts import people_at_once
from reasoning.answer.draft import Claim, Draft, clause_around, join, mark, marks, one, quote, refusal, sentence
from reasoning.query.context import Context
from reasoning.query.passages import evidence_terms, holds_type, passages
from reasoning.query.things import beyond as unnamed_by_tags
from reasoning.query.things import things
from reasoning.query.visual_events import (
    BORDER,
    CHANGE,
    DARK_BELOW,
    DARKNESS,
    DEEDS,
    LEAVING,
    MOTION_VERBS,
    MOVING,
    PASSING,
    SHOT,
    SOUND,
    SPEAKING,
    WHICH_PEOPLE,
    WRITING,
    about_people,
    about_vehicles,
    asked_stems,
    colours_of,
    crowd,
    cuts,
    event_asked,
    minimum_of_people,
    moving,
    people,
    people_in,
    prominent,
    sound_classes,
    unknown_nouns,
    vehicle_named,
    vehicles,
)
from reasoning.understand import lexicon
from reasoning.understand.questions import Question, noun_phrases
from reasoning.understand.words import COMPOUND, match, words
from runtime.messages import FrameFacts, ObjectFacts, SoundFacts

ABILITY = "With the embedded encoders I recognise people, movement, colours, writing, speech and kinds of sound"
MOVING_ABOVE = 0.02
# Mean brightness (0..1) under and over which a picture is called dark and bright.
DIM, BRIGHT = 0.3, 0.55
_EITHER = re.compile(r"(?:is|are|was|were) (?:it|this|that|he|she|they)\b", re.IGNORECASE)
_ANYTHING = frozenset(("anything", "something", "things"))
SHOWN = 3


async def answer_presence(question: Question, context: Context) -> Draft:
    """Yes with citations, or "No, I did not see or hear ..." abstaining."""
    asked = asked_stems(question.text)
    told = question.spoken or question.read or question.has("mention", "mentioned", "named", "name")
    beyond = [word for word in unknown_nouns(question.body) if word not in ("any", "anything", "something")]
    if not question.strong or not beyond:
        if asked & SPEAKING and not asked & (WRITING - SPEAKING) and not question.read:
            return await _speaking(question, context)
        if asked & SOUND:
            return await _sound(question, context)
        is_writing = asked & WRITING or (question.has("name", "names") and not question.strong)
        if is_writing and not question.phrases and not beyond:
            return await _writing(question, context)
        is_anything = bool(_ANYTHING & set(words(question.text)))
        if asked & CHANGE and (asked & SHOT or (is_anything and not beyond)):
            changed = await _cut(context)
            return await _moving(question, context) if is_anything and changed.abstained else changed
        if about_people(question.text) and not beyond:
            return await _people(question, context)
        if not beyond and (asked & MOVING or (is_anything and asked & (PASSING | LEAVING))):
            return await _moving(question, context)
        if asked & DARKNESS and not asked & MOTION_VERBS and not beyond:  # "still climbing" is no still picture
            either = question.alternatives or question.has("bright")
            return await (_brightness if either else _dark)(context)
        if not beyond and is_anything and (coloured := await _coloured(question, context)):
            return coloured
    if beyond and not told:
        named = await things(context, beyond)
        if named and not await unnamed_by_tags(context, question.body):
            first = named[0]
            return one(f"Yes, I see {first.said} {mark(first.t0_s)}", first.observation, confidence=0.6)
        vehicle = about_vehicles(question.body)
        if beyond == [vehicle] and (moved := await vehicles(context, question.text)):
            o = moved[0].observation
            text = f"I cannot tell {vehicle_named(vehicle)} from other moving things; {o.text} {mark(o.t0_s)}"
            return Draft((Claim(sentence(text), (o,)),), 0.0, abstained=True)
    if told or not question.seen:
        said = await _told(question, context, told)
        if said:
            return said
    return _no(question, beyond, told)


async def _told(question: Question, context: Context, told: bool) -> Draft | None:
    """Speech or writing that carries every distinctive word, exactly or in a compound."""
    terms = evidence_terms(question)
    if not terms or not told:
        return None
    for passage in await passages(question, context):
        o = passage.observation
        spoken = list(passage.spoken)
        if all(match(term.word, spoken, o.channel == "text") >= COMPOUND for term in terms):
            verb = "heard" if o.channel == "speech" else "read"
            shown = clause_around(o.text.replace(" / ", " ").split(), passage.at)
            return one(f"Yes, I {verb}: {quote(shown)} {mark(o.t0_s)}", o, confidence=0.75)
    return None


def _no(question: Question, beyond: list[str], told: bool) -> Draft:
    about = join(noun_phrases(question.text, beyond or question.strong)[:2], "or") or "that"
    if told:
        verb = (
            "hear"
            if question.spoken and not question.read
            else "read"
            if question.read and not question.spoken
            else "hear or read"
        )
        return refusal(f"No, I did not {verb} anything about {about}")
    if question.alternatives and _EITHER.match(question.text):
        return refusal(f"I cannot tell whether it is {join(question.alternatives, 'or')}. {ABILITY}")
    what = about if beyond else "that happen"
    return refusal(f"No, I did not see or hear {what}. {ABILITY}, so I could have missed it")


async def _speaking(question: Question, context: Context) -> Draft:
    spoken = await context.scan("speech")
    if spoken:
        understood = next((o for o in spoken if o.text.strip()), None)
        tail = (
            f": {quote(clause_around(understood.text.split(), (), 14))} {mark(understood.t0_s)}" if understood else ""
        )
        first = spoken[0]
        cites = (first, understood) if understood else (first,)
        return one(f"Yes, somebody speaks from {mark(first.t0_s)}{tail}", *cites, confidence=0.9)
    if await context.lacks("audio"):
        return refusal("No, I heard nobody speak: there is no sound at all")
    if asked_stems(question.text) & SOUND:
        return await _sound(question, context)
    return refusal("No, I heard nobody speak")


async def _sound(question: Question, context: Context) -> Draft:
    sounds = [o for o in await context.scan("sound") if o.facts(SoundFacts).kind != "silence"]
    spoken = await context.scan("speech")
    wanted = sound_classes(question.text)
    if question.has("silence", "silent", "quiet"):
        silent = [o for o in await context.scan("sound") if o.facts(SoundFacts).kind == "silence"]
        if silent and not spoken and not sounds:
            return one(f"Yes, the sound is silent from {mark(silent[0].t0_s)}", silent[0], confidence=0.9)
        if await context.lacks("audio"):
            return refusal("There is no sound track at all")
        if not silent:
            return refusal("No, I heard no silence")
        return one(f"Yes, there is silence at {marks(silent[:SHOWN])}", *silent[:SHOWN], confidence=0.7)
    if wanted:
        sounds = [o for o in sounds if o.facts(SoundFacts).kind in wanted]
        spoken = ()
    if sounds:
        return one(f"Yes, I heard {sounds[0].text} {mark(sounds[0].t0_s)}", sounds[0], confidence=0.75)
    if spoken:
        return one(f"Yes, somebody speaks at {mark(spoken[0].t0_s)}", spoken[0], confidence=0.9)
    if await context.lacks("audio"):
        return refusal("No, there is no sound at all")
    return refusal("No, I heard no sound of that kind" if wanted else "No, I heard no speech and no other sound")


async def _writing(question: Question, context: Context) -> Draft:
    texts = [o for o in await context.scan("text") if sum(c.isalpha() for c in o.text) >= 3]
    if question.has("name", "names"):
        texts = [o for o in texts if holds_type("name", o)]
        kind = "a name"
    elif question.has("address", "website", "url"):
        texts = [o for o in texts if lexicon.mentions_web_address(o.text)]
        kind = "a web address"
    else:
        kind = "any writing"
    if not texts:
        return refusal(f"No, I did not read {kind} on screen")
    shown = texts[:2]
    said = join(f"{quote(clause_around(o.text.replace(' / ', ' ').split(), (), 12))} {mark(o.t0_s)}" for o in shown)
    return one(f"Yes, I read {said}", *shown, confidence=0.8)


async def _cut(context: Context) -> Draft:
    found = await cuts(context)
    if not found:
        return refusal("No, I did not see the picture change to another")
    shown = [s.observation for s in found[:SHOWN]]
    return one(f"Yes, the picture changes at {marks(shown)}", *shown, confidence=0.8)


async def _people(question: Question, context: Context) -> Draft:
    if question.has("many", "several", "lots", "crowd", "crowded", "busy"):
        return await people_at_once(question, context)
    frames = await context.frames()
    number = minimum_of_people(question.body)
    if number > 1:
        together = [s.observation for s in await crowd(context, number)]
        if not together or not prominent(frames, number):
            return refusal(f"No, I did not see {number} people at once")
        return one(f"Yes, I see {number} people at {mark(together[0].t0_s)}", together[0], confidence=0.65)
    seen = [s.observation for s in await people(context, question.body, event_asked(question.text))]
    border = BORDER.search(question.body.lower())
    if border and seen:
        seen = [o for o in seen if border[1] in f"{o.facts(ObjectFacts).side} {o.facts(ObjectFacts).direction}".split()]
        if not seen:
            return refusal(f"No, I did not see a person come or go at the {border[1]}")
    coloured = bool(question.strong) and any(word in lexicon.COLOURS for word in words(question.text))
    if coloured:
        if not seen:
            return refusal("No, I did not see a person like that")
        return one(f"Yes: {seen[0].text} {mark(seen[0].t0_s)}", seen[0], confidence=0.6)
    populated = [frame for frame in frames if people_in(frame) >= 1]
    if not prominent(frames, 1):
        return refusal("No, I did not see a person" if not populated else "No, I cannot say that I saw a person")
    first = seen[0] if seen else populated[0]
    said = first.text if seen and first.text else "a person"
    if asked_stems(question.text) & WHICH_PEOPLE:
        text = f"{said} {mark(first.t0_s)}; I cannot tell men, women and children apart"
        return one(text, first, confidence=0.45)
    if asked_stems(question.body) & DEEDS:
        text = f"I cannot tell what people do; {said} {mark(first.t0_s)}"
        return Draft((Claim(sentence(text), (first,)),), 0.0, abstained=True)
    lead = "" if question.alternatives else "Yes, "
    return one(f"{lead}{said} {mark(first.t0_s)}", first, confidence=0.7)


async def _moving(question: Question, context: Context) -> Draft:
    event = event_asked(question.text)
    found = [s.observation for s in await moving(context, question.text, event)]
    if event == "leaves" and not found:
        return refusal("No, I saw nothing that moves leave")
    moved = found or [f for f in await context.frames() if (f.facts(FrameFacts).motion or 0.0) >= MOVING_ABOVE]
    if not moved:
        return refusal("No, I saw nothing move")
    said = moved[0].text if found else "something moves"
    return one(f"Yes, {said} {mark(moved[0].t0_s)}", moved[0], confidence=0.7)


async def _coloured(question: Question, context: Context) -> Draft | None:
    """Whether anything of a colour is there: what moves in it, or a part of the picture that stands out in it."""
    wanted = colours_of(question.text)
    if not wanted:
        return None
    if seen := [s.observation for s in await moving(context, question.text)]:
        return one(f"Yes, {seen[0].text} {mark(seen[0].t0_s)}", seen[0], confidence=0.6)
    for frame in await context.frames():
        for patch in frame.facts(FrameFacts).patches:
            if colours_of(str(patch[0])) & wanted:
                return one(f"Yes, a {patch[0]} patch at the {patch[1]} {mark(frame.t0_s)}", frame, confidence=0.6)
    named = " or ".join(word for word in words(question.text) if word in lexicon.COLOURS)
    return refusal(f"No, I saw nothing {named} that stands out")


async def _brightness(context: Context) -> Draft:
    """Whether the pictures are bright or dark, most of them."""
    measured = [(f.facts(FrameFacts).brightness, f) for f in await context.frames()]
    known = [(brightness, f.t0_s, f) for brightness, f in measured if brightness is not None]
    if not known:
        return refusal("I saw no picture then")
    value, _, middle = sorted(known, key=lambda picture: picture[:2])[len(known) // 2]
    how = "dark" if value < DIM else "bright" if value > BRIGHT else "neither bright nor dark"
    return one(f"The picture is mostly {how}, for example at {mark(middle.t0_s)}", middle, confidence=0.6)


async def _dark(context: Context) -> Draft:
    measured = [(f, f.facts(FrameFacts).brightness) for f in await context.frames()]
    dark = [f for f, brightness in measured if brightness is not None and brightness < DARK_BELOW]
    if not dark:
        return refusal("No, I did not see a dark picture")
    return one(f"Yes, the picture is dark at {marks(dark[:SHOWN])}", *dark[:SHOWN], confidence=0.75)
