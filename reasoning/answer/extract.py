"""The embedded answerer: composes an answer from evidence with no model at all.

Every claim quotes or restates observations it cites. Each family of questions has its room; this one
finds the window of time, sends the question to its room, and abstains under the calibrated threshold.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from reasoning.answer.colours import answer_colour
from reasoning.answer.compare import answer_pair, answer_sources, compares_sources
from reasoning.answer.counts import answer_count
from reasoning.answer.draft import Claim, Draft, join, mark, refusal, sentence, unique
from reasoning.answer.last_seen import answer_last_seen, answer_last_tracked, nothing_seen, parse_last_seen
from reasoning.answer.people import answer_people
from reasoning.answer.presence import ABILITY, answer_presence
from reasoning.answer.recordings import answer_recordings, asks_recordings
from reasoning.answer.scene import (
    answer_coming,
    answer_now,
    answer_sound,
    answer_speech_length,
    answer_summary,
    answer_where,
    as_its_end,
    describe_window,
)
from reasoning.answer.times import answer_command, answer_when, first_moment, said_until_s
from reasoning.answer.words import answer_words
from reasoning.backends import Verdict
from reasoning.query.context import Context
from reasoning.query.evicted import admit
from reasoning.query.things import beyond, name_things, things
from reasoning.query.unperceived import admit_gaps
from reasoning.query.visual_events import about_people, about_vehicles, place_asked, unknown_nouns
from reasoning.safety.evidence_filter import EvidenceFilter
from reasoning.understand.languages import ANOTHER, foreign_language, without_function_words
from reasoning.understand.questions import Kind, Question, noun_phrases

Room = Callable[[Question, Context], Awaitable[Draft]]

# What is asked for by these types is told in words even where the question says "shown".
WRITTEN_TYPES = ("name", "number", "date", "title", "web address")
# Windows include what touches them; the event itself lies outside "before" and "after" it.
ASIDE_S = 0.001
# Under this the nearest evidence is chance.
NEAREST = 0.2
# A question that is not understood is answered by its words alone only where nearly all of them were found.
NAMED_WORDS = 0.8
_WHY = re.compile(r"(?:and |so |but )?(?:why|how come|what for)\b", re.IGNORECASE)
NO_REASONS = "I cannot tell why: nobody said or wrote it, and I do not guess at reasons"
# Not said to be spoken or written: the words must be the better evidence for it.
UNSAID = 0.9


class ExtractiveBackend:
    """Answers from evidence; ``abstain_below`` is the confidence (0..1) under which it declines."""

    name = "extractive"

    def __init__(self, abstain_below: float, max_citations: int = 4) -> None:
        self.abstain_below = abstain_below
        self.max_citations = max_citations

    async def open(self) -> None:
        """Nothing to get ready."""

    async def respond(self, question: Question, context: Context) -> AsyncIterator[Claim | Verdict]:
        """The claims of the answer, then the verdict."""
        draft = await self.draft(question, context)
        for claim in draft.claims:
            yield claim
        yield Verdict(draft.confidence, draft.abstained)

    async def draft(self, question: Question, context: Context) -> Draft:
        """The whole answer, or a refusal where the evidence is too weak."""
        if asks_recordings(question):
            return await answer_recordings(question, context)
        if question.strong:  # it asks for a fact, not for what is said or written as such
            context = context.through(EvidenceFilter(context.memory, question))
        if (language := foreign_language(question.text)) and not question.phrases:
            return await _answer_foreign(question, context, language)
        window = await narrow(question, context)
        if isinstance(window, Draft):
            return await admit(window, context)
        draft = (
            await _last_sighting(question, window)
            or await _compared(question, window)
            or await _ROOMS[question.kind](question, window)
        )
        if not draft.abstained and draft.confidence < self.abstain_below:
            draft = _too_weak(question, draft)
        if question.kind == "now":
            return await as_its_end(draft, context)
        return await admit_gaps(await admit(draft, window), question, window)


async def narrow(question: Question, context: Context) -> Context | Draft:
    """The context narrowed to the question's time words; a refusal where their event is not found."""
    time = question.time
    t0_s, t1_s = time.t0_s, time.t1_s
    if time.anchor:
        moment = await first_moment(time.anchor.text, context)
        if moment is None:
            return refusal(
                f"I did not see or hear {time.anchor.text}, so I cannot say what was {time.anchor.relation} it"
            )
        begins_s = moment.t0_s
        ends_s = max(o.t1_s for o in moment.cites)
        if time.anchor.relation == "before":
            t1_s = begins_s - ASIDE_S
        elif time.anchor.relation == "after":
            within_s = said_until_s(moment, time.anchor.text) if question.kind == "spoken" else None
            t0_s = ends_s + ASIDE_S
            # After these very words comes the rest of their utterance; as it does where nothing else is said.
            if within_s is not None and (
                '"' in time.anchor.text or not await context.within(t0_s, None).scan("speech")
            ):
                t0_s = within_s
        else:
            t0_s, t1_s = begins_s, max(ends_s, begins_s + 1.0)
    if t0_s is None and t1_s is None:
        return context
    return context.within(t0_s, t1_s)


async def _last_sighting(question: Question, context: Context) -> Draft | None:
    """The answer to "where did I leave my keys": of a thing by its name, of people and vehicles by what was followed
    too."""
    thing = parse_last_seen(question.text)
    if thing is None:
        return None
    is_followed = about_people(question.text) or (
        about_vehicles(question.text) and not await things(context, thing.words)
    )
    if is_followed and (draft := await answer_last_tracked(thing, question, context)) is not None:
        return draft
    if (draft := await answer_last_seen(thing, question, context)) is not None:
        return draft
    heard = await answer_words(question, context)
    return nothing_seen(thing) if heard.abstained else heard


async def _answer_heard(question: Question, context: Context) -> Draft:
    """What was heard: a kind of sound where the question asks for one, else words."""
    if question.head in ("sound", "sounds", "noise", "noises") or (
        not question.strong and question.has("heard", "hear") and not question.has("say", "said", "words")
    ):
        return await answer_sound(question, context)
    if question.expects == "duration" and not question.strong:
        return await answer_speech_length(context)
    return await answer_words(question, context)


async def _answer_open(question: Question, context: Context) -> Draft:
    """ "What ..." and "who ..." with no channel named: words said or read, or the picture of a given time."""
    if _WHY.match(question.text):
        told = await answer_words(question, context) if question.strong else None
        return told if told and not told.abstained else refusal(NO_REASONS)
    if pictured := await _named(question, context) or await answer_people(question, context):
        return pictured
    known = not (question.spoken or question.read or unknown_nouns(question.body))
    moves = question.has("appear", "enter", "come", "leave", "pass", "arrive", "move")
    if known and moves and (coming := await answer_coming(question, context)):
        return coming
    if question.strong or question.phrases:
        if question.seen and not (question.spoken or question.read or question.expects in WRITTEN_TYPES):
            # "Which animal is shown?": of what kind a thing is its name may tell the asker.
            asks_kind = question.strong == (question.head,)
            return (await name_things(context) if asks_kind else None) or _beyond_sight(question)
        draft = await answer_words(question, context)
        if draft.abstained:
            return _beyond_sight(question)
        # A fact may be told in words, but the question did not say so: the evidence must be the better.
        return Draft(draft.claims, draft.confidence * UNSAID, draft.abstained)
    if question.expects:
        return await answer_words(question, context)
    looks = question.time.bounded or question.seen or place_asked(question.body)
    pictured = await describe_window(question, context) if looks else None
    return pictured or await name_things(context) or _beyond_sight(question)


async def _named(question: Question, context: Context) -> Draft | None:
    """What the question asks about, where tags name it, with what else is seen then; None where they do not."""
    unknown = unknown_nouns(question.body)
    if question.spoken or question.read or len(await beyond(context, question.body)) == len(unknown):
        return None
    shown = (await things(context, question.strong))[:2]
    if not shown:
        return None
    told = "; ".join(f"{s.said} {mark(s.t0_s)}" for s in shown)
    about = Claim(sentence(f"I see {told}"), unique(s.observation for s in shown))
    also = await name_things(context.within(shown[0].t0_s, shown[0].t0_s + 1.0))
    return Draft((about, *(also.claims if also else ())), 0.45)


def _beyond_sight(question: Question) -> Draft:
    beyond = unknown_nouns(question.body)
    about = join(noun_phrases(question.text, beyond or question.strong)[:2], "or")
    if not about:
        return refusal(f"I cannot tell. {ABILITY}")
    return refusal(f"I did not see or hear anything that tells me about {about}. {ABILITY}, not other things")


def _too_weak(question: Question, draft: Draft) -> Draft:
    """The refusal where evidence is under the threshold, with the nearest there was, as no more than that."""
    lead = "No, I" if question.kind == "presence" else "I"
    about = join(noun_phrases(question.text, question.strong)[:2], "or") or "that"
    refused = refusal(f"{lead} did not see or hear enough about {about} to answer")
    nearest = draft.claims[0] if draft.claims and draft.confidence >= NEAREST else None
    if nearest is None or question.kind == "presence":
        return refused
    told = Claim(f"The nearest to it: {nearest.text}", nearest.cites)
    return Draft((*refused.claims, told), draft.confidence, abstained=True)


async def _answer_foreign(question: Question, context: Context, language: str) -> Draft:
    """What was said or written in the words of a question that is not in English, where it has them all; else that it
    was not understood."""
    asked = set(without_function_words(question.strong, language))
    terms = tuple(term for term in question.terms if term.word in asked)
    if terms:
        sought = msgspec.structs.replace(question, kind="what", inner="what", terms=terms, expects="", head="")
        draft = await answer_words(sought, context)
        if not draft.abstained and draft.confidence >= NAMED_WORDS:
            return draft
    seems = f"this seems to be {language}" if language != ANOTHER else "this is in another language"
    return refusal(
        f"Without a language model I understand questions in English only, and {seems}; please ask in English"
    )


async def _compared(question: Question, context: Context) -> Draft | None:
    """Recordings, or two things, side by side; None if the question does not ask that."""
    if compares_sources(question):
        return await answer_sources(question, context, answer_summary, answer_presence)
    if question.kind == "presence" and not question.alternatives:
        return await answer_pair(question, context, answer_presence)
    return None


_ROOMS: dict[Kind, Room] = {
    "spoken": _answer_heard,
    "read": answer_words,
    "when": answer_when,
    "order": answer_command,
    "count": answer_count,
    "presence": answer_presence,
    "colour": answer_colour,
    "where": answer_where,
    "now": answer_now,
    "summary": answer_summary,
    "who": _answer_open,
    "what": _answer_open,
}
