"""How many, and how often: people at once, arrivals, changes of picture, words said, numbers stated.

Only what an encoder counts is counted. For other things a number that somebody said or wrote about them
is quoted; else the answer says what cannot be told apart.
"""

from __future__ import annotations

from reasoning.answer.draft import Draft, join, mark, marks, one, quote, refusal, unique
from reasoning.query.context import Context
from reasoning.query.passages import coverage, evidence_terms, passages
from reasoning.query.visual_events import (
    CHANGE,
    DARK_BELOW,
    MOVING,
    PEOPLE,
    ROLES,
    SHOT,
    SPEAKING,
    VisualEvent,
    about_darkness,
    about_people,
    about_vehicles,
    asked_stems,
    cuts,
    dark,
    moving,
    people,
    people_in,
    prominent,
    unknown_nouns,
    utterances,
    vehicles,
)
from reasoning.understand.lexicon import COLOURS, numbers_in
from reasoning.understand.questions import Question, noun_phrases
from reasoning.understand.words import number_in_words, words
from runtime.messages import FrameFacts, Observation

MARKED = 4
# After a fade in, this long belongs to it.
FADE_S = 1.5
STATED = 0.5


async def answer_count(question: Question, context: Context) -> Draft:
    """A number with what was counted, or a refusal."""
    asked = asked_stems(question.text)
    # "Times", not "at the same time".
    often = bool({"often", "times", "frequently"} & set(words(question.text)))
    counted = asked_stems(question.head)
    if counted & (SHOT | CHANGE) or (often and asked & SHOT and asked & CHANGE):
        return await _pictures(question, context, changes=bool(asked & CHANGE))
    if about_darkness(question.body):
        return _tally(await dark(context), "time", "the picture turns black")
    if question.spoken or question.read:
        if often and evidence_terms(question):
            return await _times_said(question, context)
        stated = await _stated(question, context)
        if stated:
            return stated
        if often and asked & SPEAKING:
            return _tally(await utterances(context), "utterance", "could be heard")
    # Where and among what they are counted may lie beyond us; what is counted may not.
    beyond = unknown_nouns(question.head if counted else question.body, roles_known=True)
    if not beyond and counted & (PEOPLE | ROLES) and set(asked - counted) & SPEAKING and await context.scan("speech"):
        return refusal("I heard somebody speak, but I cannot tell voices apart, so I cannot say how many there are")
    if (not beyond and counted & (PEOPLE | ROLES)) or (
        often and not unknown_nouns(question.body) and about_people(question.text)
    ):
        total = question.has("total", "enter", "pass", "past", "appear", "altogether", "different", "come", "leave")
        worn = COLOURS & set(words(question.body))
        total = total or often or bool(worn) or "in all" in question.text.lower()
        return await (_arrivals if total else people_at_once)(question, context)
    if not beyond and asked & MOVING:
        return _tally(await moving(context, question.text), "moving thing", "came into view")
    stated = await _stated(question, context)
    if stated:
        return stated
    vehicle = about_vehicles(question.head or question.body)
    if vehicle and not [word for word in unknown_nouns(question.body) if word != vehicle]:
        found = await vehicles(context, question.text)
        if found:
            return _tally(
                found, "moving thing", "came into view", tail=f"; I cannot tell {vehicle} from other moving things"
            )
    about = join(noun_phrases(question.text, beyond or question.strong)[:3], "or") or "that"
    return refusal(
        f"I cannot count {about}: with the embedded encoders I count people, moving things and changes of picture, "
        "and nobody said or wrote a number of them"
    )


async def people_at_once(question: Question, context: Context) -> Draft:
    """The most people that one picture shows."""
    frames = await context.frames()
    if not frames:
        return refusal("I saw no picture then, so I cannot count people")
    most = max((n for n in range(1, 50) if prominent(frames, n)), default=0)
    if most == 0:
        return refusal("I made out no people; I recognise frontal faces, and people who move before a still camera")
    best = [frame for frame in frames if people_in(frame) == most] or [f for f in frames if people_in(f) >= most]
    noun = "person" if most == 1 else "people"
    role = [word for word in words(question.text) if asked_stems(word) & ROLES]
    caveat = f"; I cannot tell {role[0]} from other people" if role else ""
    text = f"I made out at most {number_in_words(most)} {noun} at once, for example at {mark(best[0].t0_s)}{caveat}"
    return one(text, best[0], confidence=0.65)


async def _arrivals(question: Question, context: Context) -> Draft:
    beings = await people(context, question.text)
    return _tally(beings, "person", "came into view", "people")


def _tally(found: list[VisualEvent], noun: str, verb: str, plural: str = "", tail: str = "") -> Draft:
    if not found:
        return refusal(f"I did not see a single {noun} come into view")
    number = len(found)
    shown = [s.observation for s in found[:MARKED]]
    more = f" and {number - MARKED} later" if number > MARKED else ""
    named = noun if number == 1 else plural or f"{noun}s"
    text = f"{number_in_words(number)} {named} {verb}, at {marks(shown)}{more}{tail}"
    return one(text, *unique(shown), confidence=0.55)


async def _pictures(question: Question, context: Context, changes: bool) -> Draft:
    frames = await context.frames()
    if not frames:
        return refusal("I saw no picture then")
    found = await cuts(context)
    if changes:
        if not found:
            text = f"The picture never changes (0 times) between {mark(frames[0].t0_s)} and {mark(frames[-1].t0_s)}"
            return one(text, frames[0], frames[-1], confidence=0.8)
        shown = [s.observation for s in found[:MARKED]]
        times = "once" if len(found) == 1 else "twice" if len(found) == 2 else f"{number_in_words(len(found))} times"
        more = " and later" if len(found) > MARKED else ""
        return one(f"The picture changes {times}, at {marks(shown)}{more}", *shown, confidence=0.65)
    begins = _pictures_begin(frames)
    shown = begins[:MARKED]
    noun = "picture" if len(begins) == 1 else "different pictures"
    text = f"I saw {number_in_words(len(begins))} {noun}, beginning at {marks(shown)}"
    return one(text + (" and later" if len(begins) > MARKED else ""), *shown, confidence=0.5)


def _pictures_begin(frames: tuple[Observation, ...]) -> list[Observation]:
    """First frames of pictures: after a cut, or where one rises out of black."""
    begins: list[Observation] = []
    dark = True
    for frame in frames:
        brightness = frame.facts(FrameFacts).brightness
        black = brightness is not None and brightness < DARK_BELOW
        # A fade in is noticed while it rises and again when it is complete.
        settling = bool(begins) and frame.t0_s - begins[-1].t0_s < FADE_S
        if not black and not settling and (dark or frame.facts(FrameFacts).cut):
            begins.append(frame)
        dark = black
    return begins


async def _stated(question: Question, context: Context) -> Draft | None:
    """A number that somebody said or wrote of the thing."""
    terms = evidence_terms(question)
    if not terms:
        return None
    channels = ("speech",) if question.spoken and not question.read else ("speech", "text")
    for passage in await passages(question, context):
        o = passage.observation
        if o.channel in channels and passage.covered >= STATED and numbers_in(o.text):
            verb = "heard" if o.channel == "speech" else "read"
            return one(f"I {verb}: {quote(o.text.replace(' / ', ' '))} {mark(o.t0_s)}", o, confidence=passage.support)
    return None


async def _times_said(question: Question, context: Context) -> Draft:
    terms = evidence_terms(question)
    found = [
        o for o in await context.scan("speech", "text") if coverage(terms, words(o.text), o.channel == "text") >= 0.8
    ]
    about = quote(" ".join(term.word for term in terms))
    if not found:
        return refusal(f"I never heard or read {about}")
    shown = found[:MARKED]
    times = "once" if len(found) == 1 else f"{number_in_words(len(found))} times"
    return one(f"I heard or read {about} {times}, at {marks(shown)}", *shown, confidence=0.55)
