"""What is now: the newest picture and what is said, with its age, and whether the source is still there at all."""

from __future__ import annotations

from msgspec import Struct

from reasoning.answer.draft import Claim, Draft, claim, refusal
from reasoning.answer.tell import plural
from reasoning.query.context import Context
from reasoning.query.known import Known
from reasoning.query.pictured import BLACK_BELOW
from reasoning.query.present import age
from reasoning.query.sightings import is_asked, name_of
from reasoning.understand.frame import Frame
from runtime.clock import media_time
from runtime.language import lexicon
from runtime.language.lists import join, quote
from runtime.language.normalise import words
from runtime.language.numbers import counted
from runtime.messages import FrameFacts, GapFacts, Observation, SourceRecord, TimeWindow
from runtime.moments import Moments, label

# Seconds: a picture this old is of now, one older than the second is no more than what was; speech that ended so long
# ago was "just now".
FRESH_S, STALE_S, JUST_SAID_S = 3.0, 60.0, 8.0
LOOKED_BACK_S = 15.0


class Now(Struct, frozen=True):
    """The newest of one source.

    lead    what has to be said first: that it ended, is away, or is not through yet; with ``aged`` nothing is "now".
    frame   its newest picture; ``visible`` what that shows. ``spoken`` the newest utterance.
    """

    source: str
    lead: str
    aged: bool
    frame: Observation | None
    visible: tuple[Observation, ...]
    spoken: Observation | None


async def look(context: Context, record: SourceRecord, moments: Moments) -> Now:
    """The newest of a source, and how new that is."""
    source = record.source
    now_s = context.view.limits[source]
    shown = [reply for reply in (await context.present.look() if context.present else ()) if reply.source == source]
    now_s = max([now_s, *(reply.now_s for reply in shown)])
    frame = next(iter(reversed(await context.freshest_frames(1, source))), None)
    visible = await context.by_id(frame.evidence) if frame is not None else ()
    recent = TimeWindow(source=source, t0_s=now_s - LOOKED_BACK_S, t1_s=now_s)
    around = await context.scan_windows([recent], "speech", "gap", limit=40)
    spoken = next((o for o in reversed(around) if o.channel == "speech"), None)
    gap = next((o for o in reversed(around) if o.channel == "gap" and o.t1_s >= now_s - FRESH_S), None)
    lead, aged = _state(record, now_s, frame, gap, moments)
    return Now(source, lead, aged, frame, visible, spoken)


def _state(
    record: SourceRecord, now_s: float, frame: Observation | None, gap: Observation | None, moments: Moments
) -> tuple[str, bool]:
    """What is to be said of how present a source is, and whether that makes what was seen a thing of the past."""
    name = label(record.source)
    ended = record.ended and not set(record.watermarks) - set(record.ended)
    if ended and now_s >= max(record.watermarks.values(), default=0.0) - FRESH_S:
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
    """What is to be seen and heard at this moment, of each source that is asked about."""
    claims: list[Claim] = []
    if context.being_said:
        claims.append(Claim(f"Somebody is saying (not finished yet): {quote(context.being_said)}."))
    records = await context.records()
    for record in records if len(records) < 4 else records[-1:]:
        now = await look(context, record, moments)
        name = f"{label(record.source)}: " if len(records) > 1 else ""
        if now.frame is None and now.spoken is None:
            continue
        told = _described(now)
        lead = f"{now.lead}: " if now.lead else ""
        cites = [o for o in (now.frame, now.spoken) if o is not None]
        claims.append(_labelled(name, f"{lead}{told}", *cites))
    return Draft(tuple(claims), 0.8) if claims else refusal("I have no picture and no sound yet")


def _labelled(name: str, told: str, *cites: Observation) -> Claim:
    """A claim about one of several sources, led by its name as it is written."""
    made = claim(told, *cites)
    return Claim(f"{name}{made.text}", made.cites)


def _described(now: Now) -> str:
    parts = []
    people = [o for o in now.visible if name_of(o) in ("person", "face")]
    shown = now.frame.facts(FrameFacts).things if now.frame is not None else ()
    count = max(len(people), now.frame.facts(FrameFacts).people if now.frame is not None else 0)
    things = [
        name_of(o) for o in now.visible if o.channel == "object" and name_of(o) not in ("person", "face", "moving", "")
    ]
    things = max(things, [n for n, count in shown for _ in range(count) if n != "person"], key=len)
    tags = [tag for tag, _ in now.frame.facts(FrameFacts).tags] if now.frame is not None else []
    if count:
        parts.append(counted(count, "person", "people"))
    parts += [counted(things.count(n), n, plural(n)) for n in dict.fromkeys(things)]
    parts += [tag for tag in tags if tag not in things and tag != "person"][:3]
    parts += [f"on screen {quote(o.text.replace(' / ', ' '))}" for o in now.visible if o.channel == "text"][:2]
    if any(name_of(o) == "moving" for o in now.visible):
        parts.append("something that moves")
    brightness = now.frame.facts(FrameFacts).brightness if now.frame is not None else None
    if brightness is not None and brightness < BLACK_BELOW:
        parts.insert(0, "a black picture")
    elif not parts and now.frame is not None:
        parts.append("nobody, and nothing I have a name for")
    told = f"I {'saw' if now.aged else 'see'} {join(parts)}" if parts else ""
    if now.spoken is not None and now.spoken.text.strip():
        told += f"{'; ' if told else ''}the last I heard was {quote(now.spoken.text)}"
    return told


async def answer_now(frame: Frame, context: Context, moments: Moments, known: Known, abstain_below: float) -> Draft:
    """Whether, how many, which: of the newest picture, and of what has just been said."""
    claims: list[Claim] = []
    counts: list[int] = []
    records = await context.records()
    if set(frame.channels) & {"speech"} or frame.predicate == "speak":
        return await _speaking(frame, context, moments, records)
    if frame.things and not known.recognises(frame.things[0]):
        by = f" by {known.by}" if known.by else ""
        return refusal(f"I cannot tell: {plural(frame.things[0])} are not recognised{by}")
    if frame.expects and frame.expects not in ("kind", "thing", "name", "number"):
        return refusal("I cannot tell that from a picture")
    is_emptiness = frame.reduce == "exists" and bool(set(words(frame.text)) & lexicon.EMPTY)
    unsure = [t.word for t in frame.terms if t.role in ("subject", "place") and not lexicon.THINGS.of(t.word)]
    for record in records:
        now = await look(context, record, moments)
        if now.frame is None:
            continue
        visible = [o for o in now.visible if o.channel == "object" and is_asked(frame, name_of(o))]
        count = len(visible)
        facts = now.frame.facts(FrameFacts)
        if frame.things:
            count = max(count, sum(n for thing, n in facts.things if is_asked(frame, thing)))
        if frame.things[:1] == ("person",):
            count = max(count, facts.people)
        counts.append(len([o for o in now.visible if o.channel == "object"]) + facts.people if is_emptiness else count)
        name = f"{label(record.source)}: " if len(records) > 1 else ""
        lead = f"{now.lead}: " if now.lead else ""
        verb = "saw" if now.aged else "see"
        told = _described(now)
        if frame.things and not is_emptiness:
            thing = frame.things[0]
            none = "nobody" if thing == "person" else f"no {thing}"
            told = f"I {verb} {counted(count, thing, plural(thing)) if count else none}"
        claims.append(_labelled(name, f"{lead}{told}", now.frame, *(visible[:1] if frame.things else ())))
    if not claims:
        return refusal("I have no picture yet")
    if frame.reduce == "exists" and not is_emptiness and (unsure or not frame.things):
        about = f" about {frame.subject}" if frame.subject else ""
        return refusal(f"I cannot tell{about} from the newest picture", *claims)
    if frame.reduce == "exists":
        yes = any(counts) != is_emptiness
        first = claims[0]
        rest = first.text if first.text.startswith("I ") else first.text[0].lower() + first.text[1:]
        led = f"{'Yes' if yes else 'No'}, {rest}"
        return Draft((Claim(led, first.cites), *claims[1:]), 0.8, abstained=not yes and not is_emptiness)
    return Draft(tuple(claims), 0.8)


async def _speaking(frame: Frame, context: Context, moments: Moments, records: tuple[SourceRecord, ...]) -> Draft:
    if context.being_said:
        return Draft((Claim(f"Yes, somebody is saying (not finished yet): {quote(context.being_said)}."),), 0.9)
    newest: Now | None = None
    for record in records:
        now = await look(context, record, moments)
        if now.spoken is not None and (newest is None or newest.spoken is None or now.spoken.t1_s > newest.spoken.t1_s):
            newest = now
    if newest is None or newest.spoken is None:
        return refusal("No, I hear nobody speak")
    o = newest.spoken
    since_s = context.view.limits[o.source] - o.t1_s
    said = f": {quote(o.text)}" if o.text.strip() else ", but I understood no words"
    lead = f"{newest.lead}: " if newest.lead else ""
    who = (
        "; who it is I cannot tell, since I do not tell voices apart"
        if frame.expects == "name" or frame.options
        else ""
    )
    if since_s <= JUST_SAID_S and frame.reduce == "exists":
        return Draft((claim(f"yes, {lead}somebody spoke {age(since_s)} ago{said}", o),), 0.8)
    if since_s > JUST_SAID_S and frame.reduce == "exists":
        return refusal(f"Nobody has spoken for {age(since_s)}", claim(f"the last was{said}", o))
    return Draft((claim(f"{lead}somebody spoke {age(since_s)} ago{said}{who}", o),), 0.6, abstained=bool(who))
