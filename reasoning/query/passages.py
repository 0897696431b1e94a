"""Passages: sentences said or read, weighed against the words of a question.

Utterances are cut at pauses and not at the ends of sentences, so what belongs together is joined first, then parted
into sentences. A sentence is weighed by what it covers itself and, for less, by what its neighbours add; a question is
told with what follows it. Memory's own recall only breaks near ties: coverage is what can be accounted for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec
from msgspec import Struct

from reasoning.query.captions import caption_places, captioned, spelled
from reasoning.query.context import Context
from reasoning.query.on_screen import SIZE_SHARE, grown, last_shown, looks_of, region, shown_in
from reasoning.query.rows import Kind, Row, best_first, cover, unique
from reasoning.query.wanted import Wanted
from reasoning.understand.frame import Frame
from runtime.language.match import Text
from runtime.language.normalise import sentences
from runtime.language.values import has_finder, value_in
from runtime.messages import CAPTION, Channel, DerivedFacts, Observation, SpeechFacts, TimeWindow

# A stretch of talk or writing of a few minutes is read whole; of more, recall chooses and what is beside it joins.
READ_WHOLE = 400
RECALLED = 40
NEIGHBOURS_OF = 12
NEIGHBOURS_S = 12.0
# A pause this long parts two sentences, whatever their punctuation.
PAUSE_S = 2.0
# Where a recogniser writes no ends of sentences, hardly any pause is within one.
UNPUNCTUATED_PAUSE_S = 0.4
# Sentences this close lend each other their words; so much of it counts.
LENDS_S = 6.0
LENT = 0.5
# Nobody reads a longer quotation as one.
QUOTE_WORDS = 45
# How much what a question asks for weighs: a value of its type, the channel it points to, its place, recall.
TYPED, UNTYPED = 0.2, 0.75
OTHER_CHANNEL = 0.85
PLACE_SHARE, HEAD_SHARE, ORDER_SHARE, RECALL_SHARE, RARE_SHARE = 0.1, 0.1, 0.25, 0.1, 0.1
# What a sentence begins with is what it tells something of.
FIRST_SHARE, FIRST_WORDS = 0.05, 2
# A question repeats the words of a question; its answer is what follows it.
IS_QUESTION = 0.7
# Writing that came at once is one screen.
SAME_SCREEN_S = 0.5
_KINDS: dict[Channel, Kind] = {"speech": "said", "text": "read", "derived": "described"}


class Sentence(Struct):
    """A sentence and the observations it is taken from; ``t0_s``/``t1_s`` are when its words were said or seen."""

    text: str
    observations: list[Observation]
    t0_s: float
    t1_s: float


async def passages(frame: Frame, context: Context, channels: Sequence[Channel]) -> list[Row]:
    """Sentences of these channels that bear on the question, best first."""
    gathered, scores = await _gather(frame, context, tuple(channels))
    rows: list[Row] = []
    for (_, channel), group in groupby(
        sorted(gathered, key=lambda o: (o.source, o.channel, o.t0_s, o.id)), key=lambda o: (o.source, o.channel)
    ):
        parted = as_sentences(list(group), channel)
        sizes = (
            await looks_of([s.observations[0] for s in parted], context)
            if channel == "text" and frame.expects in ("title", "name")
            else {}
        )
        rows += _weigh(frame, parted, channel, scores, channels, sizes)
    places = caption_places(gathered)
    rows = [spelled(captioned(row, gathered, places), gathered) for row in best_first(rows)[:RECALLED]]
    rows = best_first({(row.told, row.observation.source): row for row in reversed(rows)}.values())
    if rows and rows[0].kind == "read" and (frame.reduce in ("first", "last") or frame.expects == "duration"):
        until = await last_shown(context, rows[0].observation)
        if until is not None:
            rows[0] = msgspec.structs.replace(rows[0], cites=unique([*rows[0].cites, until]), until_s=until.t0_s)
    return rows


def as_sentences(observations: Sequence[Observation], channel: Channel) -> list[Sentence]:
    """The sentences of what was said or read in one source, in order."""
    found: list[Sentence] = []
    last: Observation | None = None
    if channel == "text":
        for o, since_s in grown(observations):
            whole = o.text.replace(" / ", " ")
            parts = [whole] if len(whole.split()) <= QUOTE_WORDS else sentences(whole)
            found += [Sentence(part, [o], since_s, o.t1_s) for part in parts]
        return found
    for o in observations:
        for i, part in enumerate(sentences(o.text)):
            before = found[-1] if found else None
            t0_s, t1_s = _said_at(o, i, part)
            if i == 0 and before is not None and last is not None and _goes_on(before, last, o, part):
                before.text = f"{before.text} {part}"
                before.observations.append(o)
                before.t1_s = t1_s
            else:
                found.append(Sentence(part, [o], t0_s, t1_s))
        last = o
    return found


def _goes_on(before: Sentence, last: Observation, o: Observation, part: str) -> bool:
    """Whether an utterance goes on with the sentence before it: no end, no capital, hardly a pause between them."""
    if before.text.rstrip("\"'”").endswith((".", "?", "!", "…")) or part[:1].isupper():
        return False
    pause_s = PAUSE_S if before.text[:1].isupper() else UNPUNCTUATED_PAUSE_S
    return o.t0_s - last.t1_s < pause_s and len(before.text.split()) + len(part.split()) <= QUOTE_WORDS


def word_time_s(o: Observation, word_at: int) -> float:
    """When the word at this place of an utterance was said; its begin where that is not known."""
    timed = o.facts(SpeechFacts).words
    return timed[word_at].t0_s if 0 <= word_at < len(timed) else o.t0_s


def _said_at(o: Observation, number: int, part: str) -> tuple[float, float]:
    """When a sentence of an utterance was said, by the times of its words."""
    timed = o.facts(SpeechFacts).words
    before = sum(len(s.split()) for s in sentences(o.text)[:number])
    size = len(part.split())
    if len(timed) < before + size or not size:
        return o.t0_s, o.t1_s
    return timed[before].t0_s, timed[before + size - 1].t1_s


async def _gather(
    frame: Frame, context: Context, channels: tuple[Channel, ...]
) -> tuple[list[Observation], dict[str, float]]:
    """What may hold the answer, in order, with memory's own scores (0..1 within this question)."""
    held = (await context.status()).observations
    is_long = not context.bounded and sum(held.get(channel, 0) for channel in channels) >= READ_WHOLE
    whole = () if is_long else await context.scan(*channels, limit=READ_WHOLE)
    hits = await context.recall(frame.query, channels, RECALLED)
    best = max((hit.score for hit in hits), default=0.0) or 1.0
    scores = {hit.observation.id: hit.score / best for hit in hits}
    found = {o.id: o for o in whole}
    if "text" in channels and context.bounded:
        found |= {o.id: o for o in await shown_in(context)}
    if is_long or len(whole) >= READ_WHOLE:
        found = {hit.observation.id: hit.observation for hit in hits}
        near = [hit.observation for hit in hits[:NEIGHBOURS_OF]]
        windows = [TimeWindow(source=o.source, t0_s=o.t0_s - NEIGHBOURS_S, t1_s=o.t1_s + NEIGHBOURS_S) for o in near]
        found |= {o.id: o for o in await context.scan_windows(windows, *channels, limit=40)}
    # Of what is derived a caption tells what was there at a moment; what else there is tells again what is read anyhow.
    told = [o for o in found.values() if o.channel != "derived" or o.facts(DerivedFacts).kind == CAPTION]
    return [o for o in told if o.text.strip() and not _is_speck(o.text)], scores


def _is_speck(text: str) -> bool:
    """Whether it is a single letter, as is read off lamp posts and railings."""
    return len(text) == 1 and text.isascii() and text.isalpha()


def _weigh(
    frame: Frame,
    parted: list[Sentence],
    channel: Channel,
    scores: dict[str, float],
    channels: Sequence[Channel],
    sizes: dict[int, float],
) -> Iterable[Row]:
    wanted = Wanted(frame)
    texts = [Text(s.text, compact=channel == "text") for s in parted]
    values = [value_in(frame.expects, _lines(s, channel), wanted.asked) for s in parted]
    speakers = wanted.speakers if channel == "speech" else ()
    covers = [cover(wanted.names, text, wanted.weights, speakers) for text in texts]
    # Which of the words are rare here: what few sentences have tells more.
    held = Counter(word for found in covers for word in found.words)
    common = sum(1.0 / held[word] for word in held) or 1.0
    rarity = {word: 1.0 / held[word] / common for word in held}
    for i, sentence in enumerate(parted):
        own = covers[i]
        if (wanted.names and not own.words and not values[i]) or (frame.expects == "question" and not values[i]):
            continue
        near = [j for j in _beside(parted, i, channel) if _gap_s(sentence, parted[j]) <= LENDS_S]
        lent = {j: [w for w in covers[j].words if w not in own.words] for j in near}
        is_question = sentence.text.rstrip().endswith("?") and frame.expects != "question"
        told, cited, value = sentence.text, list(sentence.observations), values[i]
        after, before = i + 1 if i + 1 in near else None, i - 1 if i - 1 in near else None
        joined: list[int] = []
        if channel == "speech":
            if after is not None and (is_question or (lent[after] and not value)) and _fits(told, parted[after]):
                told, joined = f"{told} {parted[after].text}", [after]
                value = value or values[after]
            elif before is not None and lent[before] and _fits(told, parted[before]):
                told, joined = f"{parted[before].text} {told}", [before]
        cited += [o for j in joined for o in parted[j].observations]
        covered = {*own.words, *(w for j in joined for w in covers[j].words)}
        share = min(1.0, own.share + wanted.share(w for j in joined for w in lent[j]))
        joint = min(1.0, own.share + LENT * wanted.share({w for found in lent.values() for w in found}))
        if value and not own.words:
            share = joint  # the value stands beside what it is of
        score = max(joint, share if joined else 0.0)
        if has_finder(frame.expects):
            # A line that is nothing but the value is the surest.
            alone = (
                channel == "text" and frame.expects == "name" and value in sentence.observations[0].text.split(" / ")
            )
            score = score + TYPED * (1 + alone) if value else score * UNTYPED
        score *= IS_QUESTION if is_question and not joined else 1.0
        score *= 1.0 if not frame.channels or channel in frame.channels[:1] else OTHER_CHANNEL
        score += PLACE_SHARE * cover(wanted.places, texts[i]).share + HEAD_SHARE * (
            beside := cover(wanted.heads, texts[i]).share
        )
        score += RARE_SHARE * sum(rarity[w] for w in own.words)
        score += FIRST_SHARE * bool(own.places and own.places[0] <= FIRST_WORDS)
        score += RECALL_SHARE * max(scores.get(o.id, 0.0) for o in sentence.observations)
        score += SIZE_SHARE * sizes.get(i, 0.0) if not wanted.names else 0.0
        score += PLACE_SHARE * bool(frame.sides and set(frame.sides) & set(region(sentence.observations[0]).split()))
        if frame.ordinal and len(parted) > 1:
            along = i / (len(parted) - 1)
            score += ORDER_SHARE * (along if frame.ordinal < 0 else 1.0 - along)
        if frame.clause and frame.reduce == "exists" and not Text(told).runs(wanted.names, wanted.gaps):
            covered = set()  # the words of it, and yet something else
        yield Row(
            cites=unique([_bearer(sentence, wanted.names), *cited]),
            told=told,
            kind=_KINDS[channel],
            t_s=_moment_s(sentence, own.places[0] if own.places else 0),
            covered=tuple(w for w in wanted.names if w in covered),
            missing=tuple(w for w in wanted.names if w not in covered),
            coverage=round(share, 4),
            score=round(score, 4),
            value=value,
            beside=round(beside, 4),
        )


def _lines(sentence: Sentence, channel: Channel) -> str:
    """A sentence as it is written, its lines apart; what is only part of a text as it is told."""
    whole = sentence.observations[0].text
    return whole if channel == "text" and len(whole.split()) <= QUOTE_WORDS else sentence.text


def _beside(parted: Sequence[Sentence], i: int, channel: Channel) -> list[int]:
    """The sentences before and after one; of writing, all that came with it."""
    if channel != "text":
        return [j for j in (i - 1, i + 1) if 0 <= j < len(parted)]
    return [j for j, other in enumerate(parted) if j != i and abs(other.t0_s - parted[i].t0_s) <= SAME_SCREEN_S]


def _fits(told: str, other: Sentence) -> bool:
    return len(told.split()) + len(other.text.split()) <= QUOTE_WORDS


def _bearer(sentence: Sentence, names: Sequence[str]) -> Observation:
    """The observation of a sentence that holds most of what is asked for."""
    return max(sentence.observations, key=lambda o: len(cover(names, Text(o.text)).words))


def _moment_s(sentence: Sentence, at: int) -> float:
    """When the word at this place of a sentence was said."""
    o = sentence.observations[0]
    timed = o.facts(SpeechFacts).words
    if not timed:
        return sentence.t0_s
    first = next((i for i, word in enumerate(timed) if word.t0_s >= sentence.t0_s - 0.001), 0)
    return word_time_s(o, min(first + at, len(timed) - 1))


def _gap_s(sentence: Sentence, other: Sentence) -> float:
    return max(other.t0_s - sentence.t1_s, sentence.t0_s - other.t1_s, 0.0)
