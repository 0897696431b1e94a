"""Questions about the scene itself: where things are, what is there now, what is heard, what happened.

"Now" is answered from the freshest frames, not from search: a baseline of the last few frames beats most
memory systems on such questions (SimpleStream, 2026).
"""

from __future__ import annotations

import re

from reasoning.answer.draft import Claim, Draft, clause_around, join, mark, one, quote, refusal, sentence, unique
from reasoning.answer.presence import ABILITY
from reasoning.answer.words import answer_words
from reasoning.query.captions import as_captioned, captions
from reasoning.query.context import Context
from reasoning.query.present import age
from reasoning.query.visual_events import (
    DARKNESS,
    MOTION_VERBS,
    MOVING,
    PEOPLE,
    ROLES,
    SPEAKING,
    WRITING,
    VisualEvent,
    about_people,
    about_vehicles,
    asked_stems,
    event_asked,
    moving,
    people,
    people_in,
    place_asked,
    unknown_nouns,
    vehicle_named,
    vehicles,
    writing,
)
from reasoning.understand.questions import Question, noun_phrases, parse_question
from reasoning.understand.words import number_in_words
from runtime.clock import media_time
from runtime.messages import FrameFacts, ObjectFacts, Observation, SoundFacts, TextFacts
from runtime.sources import session_of

# A picture older than this is not of now.
NOW_S = 20.0
SPEAKING_S = 2.0
# "Now", outside of what is quoted.
_NOW = re.compile(r'("[^"]*")|\s*\b[Nn]ow\b')
EVENTS_TOLD = 4
# Of what happened first, or last.
FIRST_TOLD = 2
# How much of what happens each channel tells: words, then who comes; colours of a picture least.
SAID, READ, CAME, SHOWN = 1.0, 0.9, 0.8, 0.4
SIDES_TOLD = 2
DESCRIBED = 4
MOVING_ABOVE = 0.02
# A camera as a question names it: "at the front door", "in the garden camera".
_NAMED = r"\b(?:(?:at|in|on|by|before|from|through|of) )?(?:the )?{}(?: camera)?\b"


async def answer_where(question: Question, context: Context) -> Draft:
    """The side where tracked things enter, leave or are; else a place that was said or written."""
    vehicle = about_vehicles(question.body)
    beyond = [word for word in unknown_nouns(question.body) if word != vehicle]
    asked = asked_stems(question.text)
    event = event_asked(question.text)
    if not beyond and (vehicle or asked & (PEOPLE | MOVING)):
        if vehicle:
            tracked = await vehicles(context, question.text, event)
        elif asked & MOVING:
            tracked = await moving(context, question.text, event)
        else:
            tracked = await people(context, question.text, event)
        found = [s.observation for s in tracked]
        if found:
            shown = found[-1:] if question.time.pick == "last" else found[: 1 if question.time.pick else SIDES_TOLD]
            caveat = f"; I cannot tell {vehicle_named(vehicle)} from other moving things" if vehicle else ""
            text = "; ".join(f"{o.text} {mark(o.t0_s)}" for o in shown) + caveat
            return one(text, *shown, confidence=0.5)
    if not beyond and not question.strong and asked & WRITING:
        written = [
            s.observation for s in await writing(context, question.text) if s.observation.facts(TextFacts).region
        ]
        if written:
            shown = written[-1:] if question.time.pick == "last" else written[:SIDES_TOLD]
            text = join(f"{quote(_brief_text(o))} is at the {o.facts(TextFacts).region} {mark(o.t0_s)}" for o in shown)
            return one(text, *shown, confidence=0.6)
    if not question.seen or question.spoken or question.read:
        said = await answer_words(question, context)
        if not said.abstained:
            return said
    about = join(noun_phrases(question.text, beyond or question.strong)[:2]) or "that"
    return refusal(f"I cannot tell where: I did not recognise {about}. {ABILITY}, not places or things")


async def answer_now(question: Question, context: Context) -> Draft:
    """What is there at the moment of asking, from the freshest frames: of every camera there is, or the one named."""
    as_of_s = context.view.as_of_s
    if asked_stems(question.text) & SPEAKING and not question.read:
        return await _speaking_now(question, context.within(max(0.0, as_of_s - NOW_S), as_of_s), as_of_s)
    watched = [reply.source for reply in await context.present.look()] if context.present else []
    if len(watched) < 2:
        return await _before_one(question, context)
    labels = {source: session_of(source)[0] or source for source in watched}
    for source, label in labels.items():
        named = re.compile(_NAMED.format(re.escape(label).replace(r"\-", "[- ]")), re.I)
        if named.search(question.text):
            return await _before_one(parse_question(named.sub(" ", question.text), as_of_s), context.of(source))
    drafts = [(label, await _before_one(question, context.of(source))) for source, label in labels.items()]
    claims = tuple(Claim(f"{label}: {claim.text}", claim.cites) for label, draft in drafts for claim in draft.claims)
    abstained = all(draft.abstained for _, draft in drafts)
    return Draft(claims, max(draft.confidence for _, draft in drafts), abstained)


async def _before_one(question: Question, context: Context) -> Draft:
    """The same before one camera."""
    as_of_s = context.view.limits.get(context.source, context.view.as_of_s)
    near = context.within(max(0.0, as_of_s - NOW_S), as_of_s)
    frames = await near.scan("frame", newest_first=True, limit=4)
    asked = asked_stems(question.text)
    if not frames:
        return await _describe_last(context)
    frame = frames[-1]
    visible = await context.by_id(frame.evidence)
    beyond = unknown_nouns(question.body, roles_known=True)
    if question.inner == "count" and not beyond and (about_people(question.text) or asked & ROLES):
        number = people_in(frame)
        noun = "person" if number == 1 else "people"
        return one(
            f"I see {number_in_words(number) if number else 'no'} {noun} now {mark(frame.t0_s)}", frame, confidence=0.65
        )
    if question.inner == "count":
        return refusal(f"I cannot count {join(beyond[:2]) or 'that'}. {ABILITY}, not other things")
    if question.has("empty", "deserted", "nobody"):
        return _empty_now(frame)
    if question.inner == "presence":
        return _presence_now(question, frame, visible, beyond)
    if question.inner == "read" and any(o.channel == "text" for o in visible) and not question.seen:
        texts = [o for o in visible if o.channel == "text"]
        said = join(quote(clause_around(o.text.replace(" / ", " ").split(), (), 20)) for o in texts[:3])
        return one(f"I read {said} now {mark(frame.t0_s)}", frame, *texts[:3], confidence=0.8)
    return _describe_now(frame, visible)


async def as_its_end(draft: Draft, context: Context) -> Draft:
    """What is told of "now", of a recording that has ended: its last moment, and said to be that."""
    end_s = await context.ended_s()
    if end_s is None:
        return draft
    lead = f"The recording {context.source or context.view.source} ended at {media_time(end_s)}; this was its end"
    claims = [
        Claim(sentence(_NOW.sub(lambda found: found[1] or "", claim.text)), claim.cites) for claim in draft.claims
    ]
    return Draft((Claim(sentence(lead)), *claims), draft.confidence, draft.abstained)


async def answer_summary(question: Question, context: Context) -> Draft:
    """The events of the window, each in one sentence."""
    frames = await context.frames()
    spoken = [o for o in await context.scan("speech") if o.text.strip()]
    texts = [o for o in await context.scan("text") if sum(c.isalpha() for c in o.text) >= 3]
    objects = [
        o
        for o in await context.scan("object")
        if o.facts(ObjectFacts).event == "appears" and o.facts(ObjectFacts).kind != "face"
    ]
    # What began before the window is of the time before it, unless there is nothing else.
    spoken = [o for o in spoken if context.t0_s is None or o.t0_s >= context.t0_s] or spoken
    objects = [o for o in objects if context.t0_s is None or o.t0_s >= context.t0_s]
    captioned = captions(spoken, texts)
    repeated = {text.id for found in captioned.values() for text in found}
    texts = [o for o in texts if o.id not in repeated]
    pictures = _distinct([f for i, f in enumerate(frames) if f.text and (i == 0 or f.facts(FrameFacts).cut)])
    told = [(o.t0_s, SAID, _heard(o, captioned.get(o.id, ()))) for o in _spread(spoken, EVENTS_TOLD)]
    for o in _spread(texts, EVENTS_TOLD):
        plain = clause_around(o.text.replace(" / ", " ").split(), (), 14)
        told.append((o.t0_s, READ, Claim(sentence(f"At {mark(o.t0_s)} I read {quote(plain)}"), (o,))))
    for o in _spread(objects, EVENTS_TOLD):
        told.append((o.t0_s, CAME, Claim(sentence(f"At {mark(o.t0_s)} {o.text}"), (o,))))
    for frame in _spread(pictures, EVENTS_TOLD):
        text = sentence(f"At {mark(frame.t0_s)} I see {_brief(frame.text)}")
        told.append((frame.t0_s, SHOWN, Claim(text, (frame,))))
    if not told:
        return refusal("I did not see or hear anything then")
    if question.time.pick:
        told.sort(key=lambda entry: entry[:2])
        told = told[:FIRST_TOLD] if question.time.pick == "first" else told[-FIRST_TOLD:]
    return Draft(tuple(_over_all(told)), 0.8)


def _over_all(told: list[tuple[float, float, Claim]]) -> list[Claim]:
    """Claims over all of the time, in its order, that cite `EVENTS_TOLD` observations at most: what tells the most
    first, then whatever lies farthest from those chosen, by what it tells."""
    left = sorted(told, key=lambda entry: (-entry[1], entry[0]))
    chosen: list[tuple[float, float, Claim]] = []
    room = EVENTS_TOLD
    while left := [entry for entry in left if len(entry[2].cites) <= room]:
        best = max(left, key=lambda entry: entry[1] * min((abs(entry[0] - c[0]) for c in chosen), default=1.0))
        left.remove(best)
        chosen.append(best)
        room -= len(best[2].cites)
    return [claim for *_, claim in sorted(chosen, key=lambda entry: entry[:2])]


def _heard(o: Observation, texts: tuple[Observation, ...]) -> Claim:
    """An utterance in a summary, by its captions where it has some."""
    if texts:
        return Claim(sentence(f"At {mark(texts[0].t0_s)} is said, as captioned, {as_captioned(texts[:2])}"), texts[:2])
    return Claim(sentence(f"At {mark(o.t0_s)} I heard: {quote(clause_around(o.text.split(), (), 16))}"), (o,))


async def answer_speech_length(context: Context) -> Draft:
    """How long somebody speaks in all."""
    spoken = await context.scan("speech")
    if not spoken:
        return refusal("I heard nobody speak")
    seconds = sum(o.t1_s - o.t0_s for o in spoken)
    first, last = spoken[0], spoken[-1]
    text = f"I heard speech for {age(seconds)} in all, from {mark(first.t0_s)} to {mark(last.t1_s)}"
    return one(text, first, last, confidence=0.6)


async def answer_sound(question: Question, context: Context) -> Draft:
    """The sounds of the window and whether somebody speaks, in order of time."""
    heard = [o for o in await context.scan("sound", "speech") if o.facts(SoundFacts).kind != "silence"]
    if not heard:
        lacks = await context.lacks("audio")
        return refusal("There is no sound at all" if lacks else "I heard no speech and no other sound")
    shown = heard[-1:] if question.time.pick == "last" else _spread(heard, EVENTS_TOLD - 1)
    told = join(f"{o.text if o.channel == 'sound' else 'somebody speaking'} {mark(o.t0_s)}" for o in shown)
    return one(f"I heard {told}", *shown, confidence=0.7)


async def describe_window(question: Question, context: Context) -> Draft | None:
    """The picture at the time asked about, for "what is shown at 0:12"; None without a picture then."""
    frames = [frame for frame in await context.frames() if frame.text]
    if not frames:
        return None
    if side := place_asked(question.text):
        return await _describe_place(side, frames[len(frames) // 2], context)
    chosen = frames[{"first": 0, "last": -1}.get(question.time.pick, len(frames) // 2)]
    return one(f"At {mark(chosen.t0_s)} I see {_brief(chosen.text)}", chosen, confidence=0.5)


async def _describe_place(side: str, frame: Observation, context: Context) -> Draft | None:
    """What is at one side of the picture: its colour, what stands out there, what is written there."""
    wanted = set(side.split())
    told = [f"a {patch[0]} patch" for patch in frame.facts(FrameFacts).patches if wanted <= set(str(patch[1]).split())]
    colour = frame.facts(FrameFacts).regions.get(side)
    texts = [
        o for o in await context.by_id(frame.evidence)
        if o.channel == "text" and wanted <= set(o.facts(TextFacts).region.split())
    ][:2]  # fmt: skip
    parts = [*([f"mostly {colour}"] if colour else []), *dict.fromkeys(told)]
    parts += [f"the words {quote(_brief_text(o))}" for o in texts]
    if not parts:
        return None
    caveat = "; what it is I cannot tell" if told else ""
    text = f"At the {side} I see {join(parts)} {mark(frame.t0_s)}{caveat}"
    return one(text, *unique([frame, *texts]), confidence=0.45)


def _brief_text(o: Observation) -> str:
    return clause_around(o.text.replace(" / ", " ").split(), (), 14)


def _distinct(frames: list[Observation]) -> list[Observation]:
    """Frames without those that would be described like the one before."""
    return [f for i, f in enumerate(frames) if not i or _brief(f.text) != _brief(frames[i - 1].text)]


async def answer_coming(question: Question, context: Context) -> Draft | None:
    """Who or what comes into view (or leaves) in the window; None if nothing was followed then."""
    event = event_asked(question.text)
    if about_people(question.text) or question.kind == "who":
        tracked = await people(context, question.body, event)
    else:
        kinds = ("person", "moving")
        tracked = [
            VisualEvent(o.t0_s, o, o.text)
            for o in await context.scan("object")
            if o.facts(ObjectFacts).event == event and o.facts(ObjectFacts).kind in kinds
        ]
    begun = [s for s in tracked if context.t0_s is None or s.t0_s >= context.t0_s]
    if not begun:
        return None
    chosen = begun[-1:] if question.time.pick == "last" else begun[: 1 if question.time.pick else SIDES_TOLD]
    text = "; ".join(f"{s.said} {mark(s.t0_s)}" for s in chosen)
    return one(text, *(s.observation for s in chosen), confidence=0.55)


def _spread(observations: list[Observation], count: int) -> list[Observation]:
    """``count`` of them, evenly over the list, the first and the last included."""
    if len(observations) <= count:
        return observations
    if count < 2:
        return observations[:count]
    return [observations[i * (len(observations) - 1) // (count - 1)] for i in range(count)]


async def _speaking_now(question: Question, near: Context, as_of_s: float) -> Draft:
    spoken = await near.scan("speech", newest_first=True, limit=3)
    caveat = "; I cannot tell voices apart" if question.alternatives or question.inner in ("who", "order") else ""
    if near.being_said:
        so_far = quote(clause_around(near.being_said.split(), (), 26))
        return one(f"Somebody is speaking{caveat}; so far I hear {so_far}, and it is not finished", confidence=0.5)
    if spoken and spoken[-1].t1_s >= as_of_s - SPEAKING_S:
        o = spoken[-1]
        heard = f": {quote(clause_around(o.text.split(), (), 16))}" if o.text.strip() else ""
        return one(f"Somebody is speaking or spoke a moment ago{caveat}{heard} {mark(o.t0_s)}", o, confidence=0.5)
    if spoken:
        o = spoken[-1]
        return one(f"The last speech I heard to its end stopped at {mark(o.t1_s)}{caveat}", o, confidence=0.5)
    return refusal("No, I hear nobody speaking now")


def _empty_now(frame: Observation) -> Draft:
    number = people_in(frame)
    motion = frame.facts(FrameFacts).motion or 0.0
    if number == 0 and motion < MOVING_ABOVE:
        return one(f"Yes, I see no people and nothing moving now {mark(frame.t0_s)}", frame, confidence=0.6)
    seen = f"{number_in_words(number)} {'person' if number == 1 else 'people'}" if number else "movement"
    return one(f"No, I see {seen} now {mark(frame.t0_s)}", frame, confidence=0.6)


def _presence_now(question: Question, frame: Observation, visible: tuple[Observation, ...], beyond: list[str]) -> Draft:
    asked = asked_stems(question.text)
    number = people_in(frame)
    motion = frame.facts(FrameFacts).motion or 0.0
    caveat = f"; whether it is {join(beyond[:2])} I cannot tell" if beyond else ""
    texts = [o for o in visible if o.channel == "text"]
    if asked & PEOPLE:
        if not number:
            return refusal("No, I see nobody now")
        doing = ", and something moves" if motion >= MOVING_ABOVE and asked & MOTION_VERBS else ""
        who = "one person" if number == 1 else f"{number_in_words(number)} people"
        caveat = f"; {join(beyond[:2])} I do not recognise" if beyond else ""
        return one(
            f"Yes, I see {who} now{doing} {mark(frame.t0_s)}{caveat}", frame, confidence=0.55 if not beyond else 0.4
        )
    if asked & DARKNESS and not beyond:
        return _describe_now(frame, visible)
    if asked & WRITING:
        if not texts:
            return refusal("No, I read nothing on screen now")
        return one(
            f"Yes, I read {quote(texts[0].text.replace(' / ', ' '))} now {mark(frame.t0_s)}",
            frame,
            texts[0],
            confidence=0.75,
        )
    if asked & (MOVING | MOTION_VERBS):
        if motion < MOVING_ABOVE:
            return refusal(f"No, I see nothing moving now{caveat}")
        return one(f"Yes, something is moving now {mark(frame.t0_s)}{caveat}", frame, confidence=0.5)
    about = join(noun_phrases(question.text, beyond)[:2], "or") or "that"
    return refusal(f"I cannot tell anything of {about} now. {ABILITY}, not other things")


def _brief(text: str) -> str:
    """The first parts of a frame's description, without how its shot began."""
    parts = [part for part in text.split("; ") if not part.startswith(("a new shot", "a new picture"))]
    return "; ".join(parts[:DESCRIBED] or [text])


async def _describe_last(context: Context) -> Draft:
    """The last picture there was, and how old it is: whatever is asked of now, it is not known any more."""
    last = await context.scan("frame", newest_first=True, limit=1)
    if not last:
        return refusal("I see no picture now")
    shown = await context.present.look() if context.present else ()
    now_s = max([context.view.as_of_s, *(reply.now_s for reply in shown)])
    lead = f"The last picture I have is {age(now_s - last[0].t0_s)} old and shows"
    return _describe_now(last[0], await context.by_id(last[0].evidence), lead)


def _describe_now(frame: Observation, visible: tuple[Observation, ...], lead: str = "Now I see") -> Draft:
    said = [_brief(frame.text)] if frame.text else []
    texts = [o for o in visible if o.channel == "text"][:2]
    if texts:
        said.append(
            f"on screen {join(quote(clause_around(o.text.replace(' / ', ' ').split(), (), 14)) for o in texts)}"
        )
    objects = [o for o in visible if o.channel == "object" and o.text][:2]
    if objects:
        said.append(join(o.text for o in objects))
    if not said:
        return refusal("I see a picture now but cannot describe it")
    return one(f"{lead} {'; '.join(said)} {mark(frame.t0_s)}", *unique([frame, *texts, *objects]), confidence=0.6)
