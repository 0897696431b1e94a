"""What is now: the newest picture and what is said, with its age, and whether the source is still there at all."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from reasoning.answer.draft import Claim, Draft, claim, refusal
from reasoning.answer.honesty import Outcome
from reasoning.answer.tell import refusal_text
from reasoning.query.context import Context
from reasoning.query.known import FIGURES, Known
from reasoning.query.pictured import BLACK_BELOW
from reasoning.query.plan import recognisable
from reasoning.query.present import age
from reasoning.query.sightings import UNKNOWN, is_asked, name_of
from reasoning.understand.frame import Frame
from runtime.clock import media_time
from runtime.language import lexicon
from runtime.language.lists import join, quote, sentence
from runtime.language.normalise import words
from runtime.language.numbers import counted
from runtime.messages import FrameFacts, GapFacts, Observation, SourceRecord, TimeWindow
from runtime.moments import Moments, label
from runtime.stretches import goes_on

# Seconds: a picture this old is of now, one older than the second is no more than what was; speech that ended so long
# ago was "just now".
FRESH_S, STALE_S, JUST_SAID_S = 3.0, 60.0, 8.0
LOOKED_BACK_S = 15.0
# Of more sources the newest alone is described.
DESCRIBED = 3


class Now(Struct, frozen=True):
    """The newest of one source.

    lead    what has to be said first: that it ended, is away, or is not through yet; with ``aged`` nothing is "now".
    frame   its newest picture; ``objects`` and ``written`` what that shows. ``spoken`` the newest utterance.
    """

    source: str
    lead: str
    aged: bool
    frame: Observation | None
    objects: tuple[Observation, ...]
    written: tuple[Observation, ...]
    spoken: Observation | None

    @property
    def seen(self) -> Counter[str]:
        """How many of each its picture shows, by name: of what is followed, or was found in it, whichever is more."""
        followed = Counter("person" if name in FIGURES else name for name in map(name_of, self.objects))
        return followed | Counter(dict(self.facts.things)) | Counter(person=self.facts.people)

    @property
    def facts(self) -> FrameFacts:
        return self.frame.facts(FrameFacts) if self.frame is not None else FrameFacts()

    def told(self, what: str, before: str = "", named: bool = False) -> str:
        """A sentence of it, led by the name of its source as that is written where it is ``named``."""
        body = f"{self.lead}: {what}" if self.lead else what
        return f"{before}{label(self.source)}: {sentence(body)}" if named else sentence(f"{before}{body}")


async def look(context: Context, record: SourceRecord, moments: Moments) -> Now:
    """The newest of a source, and how new that is."""
    source = record.source
    shown = await context.present.look() if context.present else ()
    now_s = max([context.view.limits[source], *(reply.now_s for reply in shown if reply.source == source)])
    frame = next(iter(await context.freshest_frames(1, source)), None)
    visible = await context.by_id(frame.evidence) if frame is not None else ()
    recent = TimeWindow(source=source, t0_s=now_s - LOOKED_BACK_S, t1_s=now_s)
    around = await context.scan_windows([recent], "speech", "gap", limit=40)
    spoken = next((o for o in reversed(around) if o.channel == "speech"), None)
    gap = next((o for o in reversed(around) if o.channel == "gap" and o.t1_s >= now_s - FRESH_S), None)
    lead, aged = _state(record, now_s, frame, gap, moments)
    objects = tuple(o for o in visible if o.channel == "object")
    written = tuple(o for o in visible if o.channel == "text")
    return Now(source, lead, aged, frame, objects, written, spoken)


def _state(
    record: SourceRecord, now_s: float, frame: Observation | None, gap: Observation | None, moments: Moments
) -> tuple[str, bool]:
    """What is to be said of how present a source is, and whether that makes what was seen a thing of the past."""
    name = label(record.source)
    if not goes_on(record) and now_s >= max(record.watermarks.values(), default=0.0) - FRESH_S:
        if record.kind == "file":
            return f"{name} ended at {media_time(now_s)}; this was its end", True
        return f"{name} is not watched any more, since {moments.at(record.source, now_s)}", True
    if gap is not None:
        return f"{name} is away ({gap.facts(GapFacts).reason or gap.text})", True
    old_s = now_s - frame.t0_s if frame is not None else 0.0
    if old_s > FRESH_S:
        return f"the newest picture is {age(old_s)} old", old_s > STALE_S
    total = record.duration_s
    if record.kind == "file" and total and now_s < total - 1:
        return f"so far, {media_time(now_s)} of {media_time(total)}", False
    return "", False


async def tell_now(frame: Frame, context: Context, moments: Moments, known: Known) -> Draft:
    """What is to be seen and heard at this moment, of each source that is asked about; or whether there is what is
    asked for, how many of it and which: of the newest picture, and of what has just been said."""
    records = await context.records()
    if frame.reduce != "now":
        return await _answer(frame, [await look(context, record, moments) for record in records], context, known)
    claims = []
    if context.being_said:
        claims.append(Claim(f"Somebody is saying (not finished yet): {quote(context.being_said)}."))
    for record in records if len(records) <= DESCRIBED else records[-1:]:
        now = await look(context, record, moments)
        if cites := tuple(o for o in (now.frame, now.spoken) if o is not None):
            claims.append(Claim(now.told(_described(now), named=len(records) > 1), cites))
    return Draft(tuple(claims), 0.8) if claims else refusal("I have no picture and no sound yet")


def _described(now: Now) -> str:
    facts, seen = now.facts, now.seen
    people, moving = seen.pop("person", 0), seen.pop(UNKNOWN, 0)
    parts = [counted(people, "person")] if people else []
    parts += [counted(count, name) for name, count in seen.items()]
    parts += [tag for tag, _ in facts.tags if tag not in seen and tag != "person"][:3]
    parts += [f"on screen {quote(o.text.replace(' / ', ' '))}" for o in now.written[:2]]
    parts += ["something that moves"] if moving else []
    if facts.brightness is not None and facts.brightness < BLACK_BELOW:
        parts.insert(0, "a black picture")
    elif not parts and now.frame is not None:
        parts.append("nobody, and nothing I have a name for")
    told = [f"I {'saw' if now.aged else 'see'} {join(parts)}"] if parts else []
    if now.spoken is not None and now.spoken.text.strip():
        told.append(f"the last I heard was {quote(now.spoken.text)}")
    return "; ".join(told)


async def _answer(frame: Frame, looks: list[Now], context: Context, known: Known) -> Draft:
    if "speech" in frame.channels or frame.predicate == "speak":
        return _speaking(frame, looks, context)
    if unknown := recognisable(frame, "things", known):
        return refusal(refusal_text(frame, Outcome("unknown", unknown=unknown), known))
    if frame.expects not in ("", "kind", "thing", "name", "number"):
        return refusal("I cannot tell that from a picture")
    shown = [(now, now.frame) for now in looks if now.frame is not None]
    if not shown:
        return refusal("I have no picture yet")
    asks = frame.reduce == "exists"
    is_emptiness = asks and bool(set(words(frame.text)) & lexicon.EMPTY)
    thing = "" if is_emptiness else next(iter(frame.things), "")
    counts = [sum(n for name, n in now.seen.items() if not thing or is_asked(frame, name)) for now, _ in shown]
    unsure = [t.word for t in frame.terms if t.role in ("subject", "place") and not lexicon.THINGS.of(t.word)]
    refused = asks and not is_emptiness and (bool(unsure) or not thing)
    yes = any(counts) != is_emptiness
    before = f"{'Yes' if yes else 'No'}, " if asks and not refused else ""
    claims: list[Claim] = []
    for (now, picture), count in zip(shown, counts, strict=True):
        what = counted(count, thing) if count or thing != "person" else "nobody"
        told = f"I {'saw' if now.aged else 'see'} {what}"
        of = [o for o in now.objects if thing and is_asked(frame, name_of(o))][:1]
        told = now.told(told if thing else _described(now), before if not claims else "", len(shown) > 1)
        claims.append(Claim(told, (picture, *of)))
    if refused:
        about = f" about {frame.subject}" if frame.subject else ""
        return refusal(f"I cannot tell{about} from the newest picture", *claims)
    return Draft(tuple(claims), 0.8, abstained=bool(before) and not yes and not is_emptiness)


def _speaking(frame: Frame, looks: list[Now], context: Context) -> Draft:
    if context.being_said:
        return Draft((Claim(f"Yes, somebody is saying (not finished yet): {quote(context.being_said)}."),), 0.9)
    heard = [(now.spoken, now) for now in looks if now.spoken is not None]
    if not heard:
        return refusal("No, I hear nobody speak")
    o, newest = max(heard, key=lambda pair: pair[0].t1_s)
    since_s = context.view.limits[o.source] - o.t1_s
    said = f": {quote(o.text)}" if o.text.strip() else ", but I understood no words"
    if frame.reduce == "exists" and since_s > JUST_SAID_S:
        return refusal(f"Nobody has spoken for {age(since_s)}", claim(f"the last was{said}", o))
    told = newest.told(f"somebody spoke {age(since_s)} ago{said}", "yes, " if frame.reduce == "exists" else "")
    if frame.reduce == "exists":
        return Draft((Claim(told, (o,)),), 0.8)
    unsure = frame.expects == "name" or bool(frame.options)
    who = "Who it is I cannot tell, since I do not tell voices apart."
    return Draft((Claim(told, (o,)), *([Claim(who)] if unsure else [])), 0.6, abstained=unsure)
