"""What happened, told as a person would: how many first, then who and what, what was said and written; transcripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from reasoning.answer.draft import Claim, Draft, all_cited, claim, refusal
from reasoning.query.context import Context
from reasoning.query.known import FIGURES
from reasoning.query.passages import Sentence, as_sentences
from reasoning.query.sightings import BEGAN_S, UNKNOWN, Sighting, sightings, worn
from reasoning.understand.frame import Frame
from runtime.clock import media_time
from runtime.language.lexicon import FRAMING, STOP_WORDS
from runtime.language.lists import join, quote
from runtime.language.normalise import words
from runtime.language.numbers import counted, number_in_words
from runtime.language.stem import stem
from runtime.messages import CAPTION, DESCRIPTIONS, HOUR, DerivedFacts, FrameFacts, Observation, SoundFacts
from runtime.moments import Moments, label

WORDS_READ = 2000
# Of a long time so many words, and twice as many pictures, are read from all over it.
SPREAD = 400
# Of several recordings each gets a line; of more, the newest.
SOURCES_TOLD = 6
# "Most between ...": the busiest tenth of the time, where half of them came.
BUSY_SHARE, BUSY_OF = 0.2, 0.5
# A summary quotes so many sentences, of so many words each.
QUOTED, QUOTED_WORDS = 3, 24
TRANSCRIPT_LINES = 60
LISTED = 4


async def summarise(frame: Frame, context: Context, moments: Moments) -> Draft:
    """What happened in the window, a line a source where there are several."""
    sources = [name for name in context.view.limits if context.source in ("", name)]
    if len(sources) == 1:
        claims = (await _told(frame, context, moments))[frame.offset :][:LISTED]
        return Draft(tuple(claims), 0.8) if claims else refusal("I saw and heard nothing there")
    claims, told_of = [], sources[-SOURCES_TOLD:]
    for name in told_of:
        lines = (await _told(frame, context.of(name), moments))[:2]
        text = " ".join(line.text for line in lines) or "nothing that I saw or heard."
        claims.append(Claim(f"{label(name)}: {text}", tuple(o for line in lines for o in line.cites[:1])))
    if not all_cited(claims):
        return refusal("I saw and heard nothing there")
    more = len(sources) - len(told_of)
    return Draft((*claims, *([Claim(f"There are {more} more; ask for one by its name.")] if more else [])), 0.8)


async def transcript(frame: Frame, context: Context, moments: Moments) -> Draft:
    """All that was said, a line an utterance."""
    spoken = [o for o in await context.scan("speech", limit=WORDS_READ) if o.text.strip()]
    if not spoken:
        return refusal("I heard nobody say anything that I understood")
    shown = spoken[frame.offset : frame.offset + TRANSCRIPT_LINES]
    claims = [Claim(f"\n{moments.at(o.source, o.t0_s)} {o.text.strip()}") for o in shown]
    first = claim(f"{counted(len(spoken), 'utterance')}", shown[0])
    left = len(spoken) - frame.offset - len(shown)
    more = [Claim(f'\nThere are {left} more; ask "what else?".')] if left > 0 else []
    return Draft((first, *claims, *more), 1.0)


async def _told(frame: Frame, context: Context, moments: Moments) -> list[Claim]:
    """Lines on one source, what weighs most first; of what was said alone where that is asked for."""
    spoken = [o for o in await context.spread("speech", limit=SPREAD) if o.text.strip()]
    if frame.channels == ("speech",):
        return _said(as_sentences(spoken, "speech"))
    found = await sightings(context)
    written = [o for o in await context.spread("text", limit=SPREAD) if o.text.strip()]
    frames = await context.spread("frame", limit=2 * SPREAD)
    described = _described(await context.spread("derived", limit=SPREAD))
    there = [
        *_people([s for s in found if s.name in FIGURES], frames, moments),
        *_things([s for s in found if s.name not in FIGURES]),
    ]
    return [
        *described,
        *(_came_and_went(found, context, moments) or there),
        *_said(as_sentences(spoken, "speech")),
        *_written(written),
        *_heard(await context.spread("sound", limit=SPREAD)),
        *_pictures(frames, bool(found or spoken or written or described)),
    ]


def _came_and_went(found: Sequence[Sighting], context: Context, moments: Moments) -> list[Claim]:
    """What came and went in a bounded time, one by one; nothing where that is much, or nothing."""
    happened = sorted(
        (o for s in found for o in (s.came, s.left) if o is not None and o.t0_s > BEGAN_S), key=lambda o: o.t0_s
    )
    inside = [
        o for o in happened if any(w.source == o.source and w.t0_s <= o.t0_s <= w.t1_s for w in context.stretches)
    ]
    if not context.bounded or not 0 < len(inside) <= LISTED:
        return []
    return [claim(join(f"{o.text} at {moments.at(o.source, o.t0_s)}" for o in inside), *inside)]


def _people(people: Sequence[Sighting], frames: Sequence[Observation], moments: Moments) -> list[Claim]:
    if not people:
        return []
    told, source = counted(len(people), "person"), people[0].came.source
    span_s = frames[-1].t0_s - frames[0].t0_s if len(frames) > 1 else max(s.until_s for s in people) - people[0].t0_s
    if len(people) > 2 and span_s > 0:
        told += f" in {media_time(span_s)}"
        if busy := _busiest([s.t0_s for s in people], span_s):
            told += f", most between {moments.at(source, busy[0])} and {moments.at(source, busy[1])}"
    tops = Counter(top for s in people if (top := worn(s.came).get("top", "")))
    if tops and len(people) <= LISTED:
        told += f", in {join(tops)}"
    elif again := [colour for colour in tops if tops[colour] > 1]:
        rarest = min(again, key=tops.__getitem__)
        times = "twice" if tops[rarest] == 2 else f"{number_in_words(tops[rarest])} times"
        told += f"; one in {rarest} came {times}"
    return [claim(told, *(s.came for s in people[:2]))]


def _busiest(times_s: Sequence[float], span_s: float) -> tuple[float, float] | None:
    """The fifth of the time in which most of them came, where that is at least half; None where they are spread."""
    window_s = max(10.0, BUSY_SHARE * span_s)
    best = max(times_s, key=lambda t_s: sum(t_s <= other < t_s + window_s for other in times_s))
    count = sum(best <= other < best + window_s for other in times_s)
    return (best, best + window_s) if count >= BUSY_OF * len(times_s) else None


def _things(found: Sequence[Sighting]) -> list[Claim]:
    named = Counter(s.name for s in found if s.name != UNKNOWN)
    first = {s.name: s.came for s in reversed(found)}
    told = [counted(count, name) for name, count in named.items()][:LISTED]
    if found and not named:
        told = [f"{counted(len(found), 'moving thing')} I have no name for"]
    return [claim(join(told), *[first[name] for name in named or first][:LISTED])] if told else []


def _said(parted: Sequence[Sentence]) -> list[Claim]:
    """The sentences that say most: how it begins, and those whose words the rest takes up again, in order of time."""
    if not parted:
        return []
    content = [{stem(w) for w in words(s.text) if w not in STOP_WORDS} - FRAMING for s in parted]
    counts = Counter(word for found in content for word in found)
    weight = [sum(counts[w] - 1 for w in found) / (4 + len(found)) for found in content]
    best = [0] if len(parted) > QUOTED and len(content[0]) > 2 else []
    for i in sorted(range(len(parted)), key=lambda i: (-weight[i], i)):
        again = any(2 * len(content[i] & content[j]) >= len(content[i]) > 0 for j in best)
        if len(best) < QUOTED and i not in best and not again:  # what only says again what is quoted is no news
            best.append(i)
    chosen = [parted[i] for i in sorted(best)]
    told = " ... ".join(_shortened(s.text) for s in chosen)
    return [claim(f"somebody said: {quote(told)}", *(s.observations[0] for s in chosen))]


def _described(derived: Sequence[Observation]) -> list[Claim]:
    """The paragraph of the newest hour that has one, else some captions from begin to end."""
    told = {kind: [o for o in derived if o.text and o.facts(DerivedFacts).kind == kind] for kind in DESCRIPTIONS}
    chosen = told[HOUR][-1:] or told[CAPTION][:: max(1, len(told[CAPTION]) // QUOTED)][:QUOTED]
    if not chosen:
        return []
    text = " ... ".join(_shortened(o.text) for o in chosen) if not told[HOUR] else chosen[0].text
    return [claim(f"what was to be seen is described as {quote(text)}", *chosen)]


def _written(written: Sequence[Observation]) -> list[Claim]:
    seen = {o.text: o for o in reversed(written)}  # when it was read first
    longest = sorted(seen.values(), key=lambda o: (-min(40, len(o.text)), o.t0_s, o.id))[:QUOTED]
    longest.sort(key=lambda o: (o.t0_s, o.id))
    if not longest:
        return []
    told = join(quote(_shortened(o.text.replace(" / ", " "))) for o in longest)
    more = f", and {len(seen) - len(longest)} more texts" if len(seen) > len(longest) + 1 else ""
    return [claim(f"on screen I read {told}{more}", *longest)]


def _heard(heard: Sequence[Observation]) -> list[Claim]:
    facts = [(o, o.facts(SoundFacts)) for o in reversed(heard)]
    kinds = {o.text.partition(",")[0]: o for o, f in facts if f.kind not in ("silence", "other") and not f.goes_on}
    listed = sorted(kinds.items(), key=lambda item: item[1].t0_s)[:QUOTED]
    return [claim(f"I heard {join(text for text, _ in listed)}", *(o for _, o in listed))] if listed else []


def _pictures(frames: Sequence[Observation], is_told: bool) -> list[Claim]:
    cuts = [o for o in frames if o.facts(FrameFacts).cut and o.facts(FrameFacts).reason != "first"]
    if cuts and len(frames) < 2 * SPREAD:  # of those read here and there no number can be told
        times = "once" if len(cuts) == 1 else f"{number_in_words(len(cuts))} times"
        return [claim(f"the picture changes {times}", *cuts[:2])]
    still = [claim("the picture hardly changes, and nothing is said or written", o) for o in frames[:1]]
    return [] if is_told else still


def _shortened(text: str) -> str:
    spoken = text.split()
    return text if len(spoken) <= QUOTED_WORDS else f"{' '.join(spoken[:QUOTED_WORDS])} …"
