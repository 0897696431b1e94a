"""The answerer without a model: seeks where the plan says, judges by the one rule of honesty, tells what it may."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from reasoning.answer import compare, counts, present, sources, summary
from reasoning.answer.admit import admit
from reasoning.answer.draft import Claim, Draft, Verdict, claim, refusal
from reasoning.answer.honesty import judge
from reasoning.answer.tell import nearest, none_counted, refusal_text, tell
from reasoning.query.anchored import narrow
from reasoning.query.context import Context
from reasoning.query.known import Known, known_of
from reasoning.query.plan import gather, matters
from reasoning.safety.evidence_filter import EvidenceFilter
from reasoning.understand.frame import Frame
from runtime.language import lexicon
from runtime.language.lists import join
from runtime.messages import SourceRecord, SpeechFacts
from runtime.moments import Moments, label
from runtime.named_sources import Scope


class ExtractiveBackend:
    """Answers from evidence; ``abstain_below`` is the confidence (0..1) under which it declines."""

    name = "extractive"

    def __init__(self, abstain_below: float, max_citations: int = 4) -> None:
        self.abstain_below = abstain_below
        self.max_citations = max_citations

    async def open(self) -> None:
        """Nothing to get ready."""

    async def model(self) -> None:
        """It has none."""

    async def respond(self, frame: Frame, context: Context) -> AsyncIterator[Claim | Verdict]:
        """The claims of the answer, then the verdict."""
        draft = await self.draft(frame, context)
        for told in draft.claims:
            yield told
        yield Verdict(draft.confidence, draft.abstained)

    async def draft(self, frame: Frame, context: Context) -> Draft:
        """The whole answer, or a refusal where the evidence is too weak. What the source talked of before does not hold
        is sought in all there are."""
        draft = await self._draft(frame, context)
        if draft.abstained and (all_of_it := context.widened()) is not None:
            anywhere = await self._draft(msgspec.structs.replace(frame, scope=Scope()), all_of_it)
            return draft if anywhere.abstained else anywhere
        return draft

    async def _draft(self, frame: Frame, context: Context) -> Draft:
        records = await context.records()
        known, moments = known_of(records), Moments(records, context.now_wall_s)
        if frame.about in ("sources", "presence"):
            return await sources.tell_sources(frame, context, moments)
        if frame.matter:  # it asks for a fact, not for what is said or written as such
            context = context.through(EvidenceFilter(context.memory, frame))
        window = await narrow(frame, context)
        if window is None:
            assert frame.times.anchor is not None  # all else gives a window
            return refusal(f"I did not see or hear {frame.times.anchor.text}, so I cannot say what was "
                           f"{frame.times.anchor.relation} it")  # fmt: skip
        if frame.is_now and frame.reduce in ("now", "exists", "count", "value", "list"):
            return await present.tell_now(frame, window, moments, known)
        if frame.about == "transcript":
            draft = await summary.transcript(frame, window, moments)
        elif frame.reduce == "summary":
            draft = await summary.summarise(frame, window, moments)
        elif _asks_who_speaks(frame):
            draft = await _tell_speakers(window, moments)
        elif frame.reduce == "order":
            draft = await compare.tell_order(frame, window, moments)
        else:
            counted = await counts.count_things(frame, window, moments, known) if frame.reduce == "count" else None
            draft = counted or await self._sought(frame, window, moments, known)
        return await admit(draft, frame, window, moments)

    async def _sought(self, frame: Frame, context: Context, moments: Moments, known: Known) -> Draft:
        """What may be said, by the first place of the plan that entitles to an answer; else a refusal, with the best of
        the rest.

        How many there are is told by what was seen; in words a number is sought, unless it is how often they were said.
        """
        outcomes = []
        for matter in matters(frame):
            asked = frame
            if matter == "words" and frame.reduce == "count" and not _counts_mentions(frame):
                expects = "frequency" if frame.often else "number"
                asked = msgspec.structs.replace(frame, reduce="value", expects=expects)
            outcome = judge(asked, matter, await gather(asked, matter, context), known, self.abstain_below)
            if outcome.verdict == "found":
                return tell(asked, outcome, moments)
            outcomes.append(outcome)
        best = min(outcomes, key=lambda outcome: ("unknown", "nearest", "none").index(outcome.verdict))
        is_countable = best.matter in ("changes", "sounds") and frame.reduce == "count" and not frame.of("subject")
        if best.verdict == "none" and is_countable:
            return Draft((none_counted(frame, best),), 0.7)
        rows = best.rows or next((outcome.rows for outcome in outcomes if outcome.rows), ())
        best = msgspec.structs.replace(best, rows=rows)
        return refusal(
            refusal_text(frame, best, known), *_unknown_place(frame, await context.records()), *nearest(best, moments)
        )


def _asks_who_speaks(frame: Frame) -> bool:
    """Whether a voice is asked for: whose it is, or when somebody in particular speaks."""
    if frame.matter or frame.phrases or frame.channels != ("speech",):
        return False
    named = lexicon.SPECIFIC & set(frame.of("speaker"))
    return frame.reduce in ("first", "last") if named else frame.expects == "name" and frame.predicate == "speak"


async def _tell_speakers(context: Context, moments: Moments) -> Draft:
    """Who speaks: by name where that is known, else that somebody does."""
    spoken = await context.scan("speech")
    named = {speaker: o for o in reversed(spoken) if (speaker := o.facts(SpeechFacts).speaker)}
    if named:
        told = f"{join(sorted(named))} {'speaks' if len(named) == 1 else 'speak'}"
        return Draft((claim(told, *named.values()),), 0.8)
    if not spoken:
        return refusal("I did not hear anybody speak")
    at = moments.at(spoken[0].source, spoken[0].t0_s)
    return refusal("I do not tell voices apart", claim(f"somebody speaks, first at {at}", spoken[0]))


def _unknown_place(frame: Frame, records: Sequence[SourceRecord]) -> list[Claim]:
    """That no source goes by the name of the place asked about, where there are several."""
    places = [w for w in frame.of("place") if not lexicon.SIDES.of(w) and not lexicon.THINGS.of(w)]
    if len(records) < 2 or not places or all(record.kind == "file" for record in records):
        return []
    return [Claim(f"I know no place called {join(places)}; there are {join(label(r.source) for r in records)}.")]


def _counts_mentions(frame: Frame) -> bool:
    """Whether it asks how often something was said or written, and not for a number that was told."""
    return frame.predicate == "say" or (frame.often and bool(set(frame.channels) & {"speech", "text"} or frame.phrases))
