"""What happened, told as a person would: how many first, then who and what, what was said and written; transcripts."""

from __future__ import annotations

from collections.abc import Sequence

from reasoning.answer.counts import LISTED
from reasoning.answer.draft import Claim, Draft, claim, refusal
from reasoning.answer.tell import plural
from reasoning.query.context import Context
from reasoning.query.passages import Sentence, as_sentences
from reasoning.query.sightings import Sighting, sightings, worn
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


async def summarise(frame: Frame, context: Context, moments: Moments) -> Draft:
    """What happened in the window, a line a source where there are several."""
    sources = [name for name in context.view.limits if context.source in ("", name)]
    if len(sources) == 1:
        lines = await _told(sources[0], context, moments, frame.offset)
        if not lines:
            return refusal("I saw and heard nothing there")
        return Draft(tuple(lines[:LISTED]), 0.8)
    claims: list[Claim] = []
    live = [name for name in sources if moments.is_live(name)]
    if live and len(live) == len(sources):
        for name in sources:
            lines = await _told(name, context.of(name), moments, frame.offset)
            claims += [Claim(f"{label(name)}: {line.text}", line.cites) for line in lines[:2]]
        return Draft(tuple(claims[: 2 * LISTED]), 0.8) if claims else refusal("I saw and heard nothing there")
    for name in sources[-SOURCES_TOLD:]:
        lines = await _told(name, context.of(name), moments, 0)
        text = " ".join(line.text for line in lines[:2]) or "nothing that I saw or heard."
        claims.append(Claim(f"{label(name)}: {text}", tuple(o for line in lines[:2] for o in line.cites[:1])))
    if len(sources) > SOURCES_TOLD:
        claims.append(Claim(f"There are {len(sources) - SOURCES_TOLD} more; ask for one by its name."))
    return Draft(tuple(claims), 0.8) if claims else refusal("I remember nothing yet")


async def transcript(frame: Frame, context: Context, moments: Moments) -> Draft:
    """All that was said, a line an utterance."""
    spoken = [o for o in await context.scan("speech", limit=WORDS_READ) if o.text.strip()]
    if not spoken:
        return refusal("I heard nobody say anything that I understood")
    shown = spoken[frame.offset : frame.offset + TRANSCRIPT_LINES]
    claims = [Claim(f"\n{moments.at(o.source, o.t0_s)} {o.text.strip()}") for o in shown]
    first = claim(f"{counted(len(spoken), 'utterance', 'utterances')}", shown[0])
    left = len(spoken) - frame.offset - len(shown)
    more = [Claim(f'\nThere are {left} more; ask "what else?".')] if left > 0 else []
    return Draft((first, *claims, *more), 1.0)


async def _told(source: str, context: Context, moments: Moments, offset: int) -> list[Claim]:
    """Lines on one source, what weighs most first."""
    within = context if context.source == source or len(context.view.limits) == 1 else context.of(source)
    found = await sightings(within)
    spoken = [o for o in await within.spread("speech", limit=SPREAD) if o.text.strip()]
    written = [o for o in await within.spread("text", limit=SPREAD) if o.text.strip()]
    frames = await within.spread("frame", limit=2 * SPREAD)
    described = _described(await within.spread("derived", limit=SPREAD))
    lines = [
        *described,
        *_people(source, found, frames, moments),
        *_things(source, found, moments),
        *_said(as_sentences(spoken, "speech"), len(spoken)),
        *_written(written),
        *_heard(await within.spread("sound", limit=SPREAD)),
        *_pictures(frames, found or spoken or written or described),
    ]
    return lines[offset:]


def _people(source: str, found: Sequence[Sighting], frames: Sequence[Observation], moments: Moments) -> list[Claim]:
    people = [s for s in found if s.name in ("person", "face")]
    if not people:
        return []
    begin_s, end_s = people[0].t0_s, max(s.until_s for s in people)
    told = counted(len(people), "person", "people")
    span_s = frames[-1].t0_s - frames[0].t0_s if len(frames) > 1 else end_s - begin_s
    if len(people) > 2 and span_s > 0:
        told += f" in {media_time(span_s)}"
        if busy := _busiest([s.t0_s for s in people], span_s):
            told += f", most between {moments.at(source, busy[0])} and {moments.at(source, busy[1])}"
    colours = [worn(s.came).get("top", "") for s in people]
    shown = list(dict.fromkeys(colour for colour in colours if colour))
    if shown and len(people) <= LISTED:
        told += f", in {join(shown)}"
    again = [colour for colour in shown if colours.count(colour) > 1]
    if again and len(people) > LISTED:
        rarest = min(again, key=colours.count)
        times = colours.count(rarest)
        told += f"; one in {rarest} came {'twice' if times == 2 else f'{number_in_words(times)} times'}"
    return [claim(told, *(s.came for s in people[:2]))]


def _busiest(times_s: Sequence[float], span_s: float) -> tuple[float, float] | None:
    """The fifth of the time in which most of them came, where that is at least half; None where they are spread."""
    window_s = max(10.0, BUSY_SHARE * span_s)
    best = max(times_s, key=lambda t_s: sum(t_s <= other < t_s + window_s for other in times_s))
    count = sum(best <= other < best + window_s for other in times_s)
    return (best, best + window_s) if count >= BUSY_OF * len(times_s) else None


def _things(source: str, found: Sequence[Sighting], moments: Moments) -> list[Claim]:
    named: dict[str, list[Sighting]] = {}
    for s in found:
        if s.name not in ("person", "face"):
            named.setdefault(s.name, []).append(s)
    if not named:
        return []
    known = {name: listed for name, listed in named.items() if name != "moving"}
    if known:
        told = [f"{counted(len(listed), name, plural(name))}" for name, listed in known.items()]
        return [claim(join(told[:LISTED]), *(listed[0].came for listed in list(known.values())[:LISTED]))]
    moving = named["moving"]
    if len(moving) <= 2:
        return [
            claim(join(f"{s.came.text} at {moments.at(source, s.t0_s)}" for s in moving), *(s.came for s in moving))
        ]
    return [claim(f"{counted(len(moving), 'moving thing', 'moving things')} I have no name for", moving[0].came)]


def _said(parted: Sequence[Sentence], utterances: int) -> list[Claim]:
    """The sentences that say most: those whose words the rest takes up again, in order of time."""
    if not parted:
        return []
    counts: dict[str, int] = {}
    content = [_content(s.text) for s in parted]
    for found in content:
        for word in found:
            counts[word] = counts.get(word, 0) + 1
    weight = [sum(counts[w] - 1 for w in found) / (4 + len(found)) for found in content]
    best: list[int] = []
    for i in sorted(range(len(parted)), key=lambda i: (-weight[i], i)):
        if len(best) < QUOTED and not any(2 * len(content[i] & content[j]) >= len(content[i]) > 0 for j in best):
            best.append(i)  # what only says again what is quoted is no news
    if len(parted) > QUOTED and 0 not in best and len(content[0]) > 2:
        best = [0, *best[: QUOTED - 1]]
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
    seen: dict[str, Observation] = {}
    for o in written:
        seen.setdefault(o.text, o)
    longest = sorted(seen.values(), key=lambda o: -min(40, len(o.text)))[:QUOTED]
    longest.sort(key=lambda o: o.t0_s)
    if not longest:
        return []
    told = join(quote(_shortened(o.text.replace(" / ", " "))) for o in longest)
    more = f", and {len(seen) - len(longest)} more texts" if len(seen) > len(longest) + 1 else ""
    return [claim(f"on screen I read {told}{more}", *longest)]


def _heard(heard: Sequence[Observation]) -> list[Claim]:
    kinds: dict[str, Observation] = {}
    for o in heard:
        if o.facts(SoundFacts).kind not in ("silence", "other") and not o.facts(SoundFacts).goes_on:
            kinds.setdefault(o.text.partition(",")[0], o)
    listed = list(kinds.items())[:QUOTED]
    return [claim(f"I heard {join(text for text, _ in listed)}", *(o for _, o in listed))] if listed else []


def _pictures(frames: Sequence[Observation], else_told: object) -> list[Claim]:
    cuts = [o for o in frames if o.facts(FrameFacts).cut and o.facts(FrameFacts).reason != "first"]
    if cuts and len(frames) < 2 * SPREAD:  # of those read here and there no number can be told
        return [
            claim(
                f"the picture changes {number_in_words(len(cuts))} {'time' if len(cuts) == 1 else 'times'}", *cuts[:2]
            )
        ]
    if not else_told and frames:
        return [claim("the picture hardly changes, and nothing is said or written", frames[0])]
    return []


def _content(text: str) -> set[str]:
    return {stem(w) for w in words(text) if w not in STOP_WORDS and stem(w) not in FRAMING}


def _shortened(text: str) -> str:
    spoken = text.split()
    return text if len(spoken) <= QUOTED_WORDS else f"{' '.join(spoken[:QUOTED_WORDS])} …"
