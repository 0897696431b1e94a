"""The evidence a model is shown for a question: gathered through the View, packed into a budget of tokens.

What fits best is shown raw, what fits less as a sketch, the rest as a pointer to its moment: the ladder of
SCM's controller. What is packed stands in the order of time, since that is how it is read, whatever its rank.
The freshest frames come first of all for a question about now; of the past, the frames beside the best hits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio
from msgspec import Struct

from reasoning.backends import prompts
from reasoning.backends.chat_model import Picture
from reasoning.query.context import Context
from reasoning.query.evicted import span_text
from reasoning.query.present import age
from reasoning.safety.untrusted import Guard
from reasoning.understand.frame import Frame
from runtime.clock import media_time
from runtime.messages import PERCEIVED_CHANNELS, Observation, Span, SpeechFacts, TextFacts, TimeWindow, no_words
from runtime.trust import LOW_TRUST

# Raw while it fits into this share of the budget, then sketches; a single one takes no more than a fifth.
RAW_SHARE = 0.75
ONE_SHARE = 0.2
SKETCH_CHARACTERS = 80
POINTERS = 12
# Pictures say much and cost much; of now they say nearly all.
PICTURE_SHARE, NOW_PICTURE_SHARE = 0.5, 0.85
# Two pictures nearer than this show the same.
PICTURES_APART_S = 4.0
# Beside the best hits: the asked detail is often in the next utterance.
NEIGHBOURS_OF = 6
NEIGHBOURS_S = 12.0
NEIGHBOUR_SCORE = 0.5
# "Now" is the last seconds, of which the newest frames are looked at.
NOW_S = 20.0
NOW_FRAMES = 2
EVENTS = 200
# A reader of a whole day needs the episodes; of an hour, the events.
EPISODES_FROM_S = 3600.0

_WORDS_FOR = {
    "speech": "heard", "text": "read", "object": "seen", "sound": "sound", "frame": "picture", "gap": "not watched",
    "derived": "described", "correction": "corrected by the user", "question": "asked", "answer": "answered",
}  # fmt: skip
# Words that came from outside; the rest was put into words by the encoders.
_QUOTED = ("speech", "text", "derived", "correction", "frame")


class Gathered(Struct, frozen=True):
    """What could be shown: observations with their scores (0..1), spans for an overview, frames to look at, and the
    share of the room these may take.

    Of a question about now: ``now_s`` is when that is, and ``paused`` that watching is paused, in a sentence.
    """

    scored: tuple[tuple[Observation, float], ...]
    spans: tuple[Span, ...] = ()
    frames: tuple[Observation, ...] = ()
    picture_share: float = PICTURE_SHARE
    now_s: float | None = None
    paused: str = ""


class Packed(Struct, frozen=True):
    """What is shown. ``content`` is text and pictures in reading order, ``shown`` what may be cited."""

    content: tuple[str | Picture, ...]
    shown: tuple[Observation, ...]
    raw: int = 0
    sketched: int = 0
    pointed: int = 0

    def __str__(self) -> str:
        pictures = sum(isinstance(part, Picture) for part in self.content)
        return f"{self.raw} raw, {self.sketched} sketched, {self.pointed} pointed to, {pictures} pictures"


async def gather_evidence(frame: Frame, context: Context, pictures: int) -> Gathered:
    """What memory holds for the question, and up to ``pictures`` frames with their JPEGs."""
    if frame.is_now:
        return await _gather_now(context, pictures)
    hits = await context.recall(frame.query or frame.text)
    best = max((hit.score for hit in hits), default=0.0) or 1.0
    scores = {hit.observation.id: hit.score / best for hit in hits}
    found = {hit.observation.id: hit.observation for hit in hits}
    spans: list[Span] = []
    near: list[Observation] = []

    async def look_beside() -> None:
        windows = [
            TimeWindow(source=o.source, t0_s=o.t0_s - NEIGHBOURS_S, t1_s=o.t1_s + NEIGHBOURS_S)
            for o in (hit.observation for hit in hits[:NEIGHBOURS_OF])
        ]
        near.extend(await context.scan_windows(windows, "speech", "text", "object", limit=20))

    async def look_over() -> None:
        spans.extend(await _overview(context))

    frames: list[Observation] = []

    async def look_at(moments: Sequence[tuple[str, float]]) -> None:
        frames.extend(await context.frames_at(moments))

    looks = 0 if frame.channels == ("speech",) else pictures
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look_beside)
        if frame.reduce == "summary" or not hits:
            tasks.start_soon(look_over)
        tasks.start_soon(look_at, _moments_to_see([hit.observation for hit in hits], looks))
    if spans and looks and not frames:
        step = max(1, len(spans) // looks)
        await look_at([(span.source, span.t0_s) for span in spans[::step][:looks]])
    for o in near:
        if o.id not in found:
            found[o.id], scores[o.id] = o, NEIGHBOUR_SCORE
    scored = tuple((o, scores[identity]) for identity, o in found.items())
    return Gathered(scored, tuple(spans), tuple(frames))


def pack(gathered: Gathered, guard: Guard, budget: int, count: Callable[[str], int], image_tokens: int) -> Packed:
    """As much of it as fits into ``budget`` tokens, counted by ``count``."""
    kept = [frame for frame in gathered.frames if frame.payload]
    pictures = kept[: int(budget * gathered.picture_share) // image_tokens] if image_tokens else []
    left = budget - image_tokens * len(pictures) - count(guard.enclose())
    sources = {o.source for o, _ in gathered.scored} | {o.source for o in pictures}
    named = len(sources | {s.source for s in gathered.spans}) > 1
    lines: list[tuple[str, float, str | Picture]] = []
    shown: dict[str, Observation] = {}
    for frame in pictures:
        assert frame.payload is not None  # chosen so
        old = "" if gathered.now_s is None else f", {age(gathered.now_s - frame.t0_s)} old"
        at = prompts.PICTURE_AT.format(moment=moment(frame.t0_s, frame.source if named else ""), age=old)
        told = f" {guard.quote(frame.text, SKETCH_CHARACTERS)}" if frame.text else ""
        lines += [(frame.source, frame.t0_s, f"{at}{told}"), (frame.source, frame.t0_s, Picture(frame.payload))]
        shown[frame.id] = frame
        left -= count(f"{at}{told}\n")
    for span in gathered.spans:
        at = moment(span.t0_s, span.source if named else "")
        line = f"[{at}] {span.level}: {guard.quote(span_text(span), 400)}{doubt(span.trust)}"
        if (cost := count(line) + 1) > left // 2:
            break
        lines.append((span.source, span.t0_s, line))
        left -= cost
    raw = sketched = 0
    pointers: list[Observation] = []
    room = left - count(prompts.NOT_SHOWN) - 6 * POINTERS
    raw_room = int(room * RAW_SHARE)
    for o, _ in sorted(gathered.scored, key=lambda pair: (-pair[1], pair[0].source, pair[0].t0_s, pair[0].id)):
        if o.id in shown:
            continue
        line = observation_line(o, guard, named)
        cost = count(line) + 1
        if raw_room >= cost <= room * ONE_SHARE:
            raw, raw_room = raw + 1, raw_room - cost
        else:
            line = observation_line(o, guard, named, SKETCH_CHARACTERS)
            cost = count(line) + 1
            if cost > room:
                pointers.append(o)
                continue
            sketched += 1
        room -= cost
        raw_room = min(raw_room, room)
        lines.append((o.source, o.t0_s, line))
        shown[o.id] = o
    lines.sort(key=lambda line: line[:2])
    content = _joined([line[2] for line in lines] or [prompts.NOTHING_FOUND], guard)
    if pointers:
        listed = ", ".join(media_time(o.t0_s) for o in sorted(pointers[:POINTERS], key=lambda o: o.t0_s))
        content = (*content, f"\n{prompts.NOT_SHOWN.format(moments=listed)}")
    return Packed(content, tuple(shown.values()), raw, sketched, len(pointers))


def observation_line(o: Observation, guard: Guard, named: bool = False, longest: int = 2000) -> str:
    """One observation as a line of evidence, its words cleaned and quoted."""
    what = _WORDS_FOR.get(o.channel, o.channel)
    region = o.facts(TextFacts).region
    where = f" on screen at the {guard.quote(str(region), 20)[1:-1]}" if o.channel == "text" and region else ""
    speaker = o.facts(SpeechFacts).speaker
    by = f" from {guard.quote(str(speaker), 40)}" if o.channel == "speech" and speaker else ""
    until = f" until {media_time(o.t1_s)}" if o.t1_s - o.t0_s >= 2 and o.channel != "speech" else ""
    said = guard.quote(o.text, longest) if o.channel in _QUOTED else guard.quote(o.text, longest)[1:-1]
    if o.channel == "speech" and not o.text:
        said = no_words(o)
    return f"[{moment(o.t0_s, o.source if named else '')}] {what}{where}{by}{until}: {said}{doubt(o.trust)}"


def doubt(trust: float) -> str:
    """What is said of evidence that is believed little."""
    return " (not confirmed)" if trust < LOW_TRUST else ""


def moment(t_s: float, source: str = "") -> str:
    """What a model copies to cite: the time, with the source where there are several."""
    time = media_time(t_s)
    return f"{source} {time}" if source else time


def _joined(parts: Sequence[str | Picture], guard: Guard) -> tuple[str | Picture, ...]:
    """Lines and pictures between the delimiters, neighbouring lines as one text."""
    out: list[str | Picture] = [guard.opening]
    for part in (*parts, guard.closing):
        if isinstance(part, str) and isinstance(out[-1], str):
            out[-1] = f"{out[-1]}\n{part}"
        else:
            out.append(part)
    return tuple(out)


async def _gather_now(context: Context, pictures: int) -> Gathered:
    """What every live source shows at this moment, else the newest pictures that are kept, and the last seconds."""
    shown = await context.present.look() if context.present else ()
    live = tuple(context.present.frames.values())[:pictures] if context.present else ()
    now_s = max([context.view.as_of_s, *(reply.now_s for reply in shown)])
    kept: list[Observation] = []
    for source in [reply.source for reply in shown if not reply.jpeg] or ([] if live else [context.source]):
        kept += await context.of(source).freshest_frames(min(pictures - len(live) - len(kept), NOW_FRAMES))
    around = context.of("") if len(shown) > 1 else context
    recent = await around.scan(*PERCEIVED_CHANNELS, t0_s=context.view.as_of_s - NOW_S, newest_first=True, limit=60)
    if all(o.channel == "gap" for o in recent):  # nothing is watched; what was there last is better than nothing
        recent += await around.scan(*PERCEIVED_CHANNELS[:-1], newest_first=True, limit=20)
    scored = tuple((o, max(0.05, 1.0 - (now_s - o.t1_s) / NOW_S)) for o in recent)
    paused = await context.present.told_of_pause() if context.present else ""
    return Gathered(scored, (), (*kept, *live), NOW_PICTURE_SHARE, now_s, paused)


async def _overview(context: Context) -> tuple[Span, ...]:
    end_s = context.view.as_of_s if context.t1_s is None else context.t1_s
    long_s = sum(w.t1_s - w.t0_s for w in context.windows) if context.windows else end_s - (context.t0_s or 0.0)
    return await context.spans("episode" if long_s > EPISODES_FROM_S else "event", EVENTS)


def _moments_to_see(hits: Sequence[Observation], pictures: int) -> list[tuple[str, float]]:
    """Where to look: beside the best hits, apart from one another."""
    moments: list[tuple[str, float]] = []
    for o in hits:
        if all(o.source != source or abs(o.t0_s - t_s) >= PICTURES_APART_S for source, t_s in moments):
            moments.append((o.source, o.t0_s))
    return moments[:pictures]
