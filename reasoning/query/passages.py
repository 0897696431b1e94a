"""Passages: sentences said or read, weighed against the words of a question.

Utterances are cut at pauses and not at the ends of sentences, so what belongs together is joined first, then parted
into sentences. A sentence is weighed by what it covers itself; one that is no answer by itself is told with the one
beside it: a question with what follows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise

import msgspec
from msgspec import Struct

from reasoning.query.captions import caption_places, captioned, spelled
from reasoning.query.context import Context
from reasoning.query.on_screen import SIZE_SHARE, grown, last_shown, looks_of, shown_in
from reasoning.query.rows import Covered, Kind, Row, best_first, cover, unique
from reasoning.understand.frame import Frame
from runtime.language import lexicon
from runtime.language.match import Text
from runtime.language.normalise import sentences, words
from runtime.language.stem import stem
from runtime.language.values import value_in
from runtime.messages import CAPTION, Channel, DerivedFacts, Observation, SpeechFacts, TextFacts, TimeWindow

# A stretch of talk or writing of a few minutes is read whole; of more, recall chooses and what is beside it joins.
READ_WHOLE = 400
RECALLED = 40
NEIGHBOURS_OF = 12
NEIGHBOURS_S = 12.0
# A pause this long parts two sentences, whatever their punctuation.
PAUSE_S = 2.0
# Where a recogniser writes no ends of sentences, hardly any pause is within one.
UNPUNCTUATED_PAUSE_S = 0.4
# Sentences this close may be told together.
BESIDE_S = 6.0
# How much the words beside a value count, where it stands in a sentence that has none of them.
LENT = 0.5
# Nobody reads a longer quotation as one.
QUOTE_WORDS = 45
# How much weighs what a question points to: a channel, a side, the noun it asks for, which of several; recall.
CHANNEL_SHARE, SIDE_SHARE, ORDER_SHARE, RECALL_SHARE = 0.1, 0.1, 0.25, 0.1
# What a sentence begins with is what it tells something of.
FIRST_SHARE, FIRST_WORDS = 0.05, 2
# A question repeats the words of a question; its answer is what follows it.
IS_QUESTION = 0.7
# Words more between two words of a clause than the question has there.
CLAUSE_GAP = 1
_KINDS: dict[Channel, Kind] = {"speech": "said", "text": "read", "derived": "described"}


class Sentence(Struct):
    """A sentence and the observations it is taken from; ``t0_s``/``t1_s`` are when its words were said or seen.
    ``begins``: the place of its first word in the first of them."""

    text: str
    observations: list[Observation]
    t0_s: float
    t1_s: float
    begins: int = 0

    def moment_s(self, at: int) -> float:
        """When its word at this place was said."""
        timed = self.observations[0].facts(SpeechFacts).words
        return timed[min(self.begins + at, len(timed) - 1)].t0_s if timed else self.t0_s


async def passages(frame: Frame, context: Context, channels: Sequence[Channel]) -> list[Row]:
    """Sentences of these channels that bear on the question, best first."""
    gathered, liked = await _gather(frame, context, tuple(channels))
    names = names_of(frame)
    is_titled = "text" in channels and frame.expects in ("title", "name") and not names
    if is_titled:
        looks = await looks_of([o for o in gathered if o.channel == "text"], context)
        liked = {id_: SIZE_SHARE * share for id_, share in looks.items()}
    rows: list[Row] = []
    in_tracks = sorted(gathered, key=lambda o: (o.source, o.channel, o.t0_s, o.id))
    for (_, channel), group in groupby(in_tracks, key=lambda o: (o.source, o.channel)):
        rows += _weigh(frame, names, as_sentences(list(group), channel), channel, liked)
    places = caption_places(gathered)
    rows = [spelled(captioned(row, gathered, places, names), gathered) for row in best_first(rows)[:RECALLED]]
    rows = best_first({(row.told, row.observation.source): row for row in reversed(rows)}.values())
    if rows and rows[0].kind == "read" and (frame.reduce in ("first", "last") or frame.expects == "duration"):
        until = await last_shown(context, rows[0].observation)
        if until is not None:
            rows[0] = msgspec.structs.replace(rows[0], cites=unique([*rows[0].cites, until]), until_s=until.t0_s)
    return rows


def as_sentences(observations: Sequence[Observation], channel: Channel) -> list[Sentence]:
    """The sentences of what was said or read in one source, in order."""
    if channel == "text":
        return [Sentence(part, [o], since_s, o.t1_s) for o, since_s in grown(observations) for part in _parts(o)]
    found: list[Sentence] = []
    for o in observations:
        timed, begins = o.facts(SpeechFacts).words, 0
        for part in sentences(o.text):
            ends = begins + len(part.split())
            known = begins < ends <= len(timed)
            t0_s, t1_s = (timed[begins].t0_s, timed[ends - 1].t1_s) if known else (o.t0_s, o.t1_s)
            if begins == 0 and found and _goes_on(found[-1], o, part):
                found[-1].text += f" {part}"
                found[-1].observations.append(o)
                found[-1].t1_s = t1_s
            else:
                found.append(Sentence(part, [o], t0_s, t1_s, begins))
            begins = ends
    return found


def _parts(o: Observation) -> list[str]:
    """What is written at one place, whole where it is read as one."""
    whole = o.text.replace(" / ", " ")
    return [whole] if len(whole.split()) <= QUOTE_WORDS else sentences(whole)


def _goes_on(before: Sentence, o: Observation, part: str) -> bool:
    """Whether an utterance goes on with the sentence before it: no end, no capital, hardly a pause between them."""
    if before.text.rstrip("\"'”").endswith((".", "?", "!", "…")) or part[:1].isupper():
        return False
    pause_s = PAUSE_S if before.text[:1].isupper() else UNPUNCTUATED_PAUSE_S
    is_short = len(before.text.split()) + len(part.split()) <= QUOTE_WORDS
    return is_short and o.t0_s - before.observations[-1].t1_s < pause_s


async def _gather(
    frame: Frame, context: Context, channels: tuple[Channel, ...]
) -> tuple[list[Observation], dict[str, float]]:
    """What may hold the answer, in order; of a long time with how much recall likes it, by id, as it knows what is
    rare there."""
    held, liked = (await context.status()).observations, {}
    is_long = not context.bounded and sum(held.get(channel, 0) for channel in channels) >= READ_WHOLE
    whole = () if is_long else await context.scan(*channels, limit=READ_WHOLE)
    if is_long or len(whole) >= READ_WHOLE:
        hits = await context.recall(frame.query, channels, RECALLED)
        liked = {hit.observation.id: RECALL_SHARE * hit.score / (hits[0].score or 1.0) for hit in hits}
        found = [hit.observation for hit in hits]
        near = [
            TimeWindow(source=o.source, t0_s=o.t0_s - NEIGHBOURS_S, t1_s=o.t1_s + NEIGHBOURS_S)
            for o in found[:NEIGHBOURS_OF]
        ]
        whole = (*found, *await context.scan_windows(near, *channels, limit=40))
    shown = await shown_in(context) if "text" in channels and context.bounded else ()
    # Of what is derived a caption tells what was there at a moment; what else there is tells again what is read anyhow.
    told = [o for o in unique((*whole, *shown)) if o.channel != "derived" or o.facts(DerivedFacts).kind == CAPTION]
    return [o for o in told if o.text.strip()], liked


def _weigh(
    frame: Frame, names: Sequence[str], parted: Sequence[Sentence], channel: Channel, liked: Mapping[str, float]
) -> Iterator[Row]:
    telling = {name for name in names if stem(name) not in lexicon.LIGHT_VERBS} or set(names)
    sought = names or frame.of("head", "speaker")  # "what does the second law say?"
    asked = words(frame.text)
    texts = [Text(s.text, compact=channel == "text") for s in parted]
    values = [value_in(frame.expects, _lines(s, channel), asked) for s in parted]
    covers = [cover(sought, text) for text in texts]
    for i, sentence in enumerate(parted):
        own, value = covers[i], values[i]
        if (names and telling.isdisjoint(own.words) and not value) or (frame.expects == "question" and not value):
            continue
        is_question = sentence.text.rstrip().endswith("?") and frame.expects != "question"
        told, cites, covered = sentence.text, sentence.observations, set(own.words)
        joined = _joined(parted, covers, i, is_question, bool(value)) if channel == "speech" else None
        if joined is not None:
            first, second = sorted((i, joined))
            told = f"{parted[first].text} {parted[second].text}"
            cites = [*cites, *parted[joined].observations]
            covered |= set(covers[joined].words)
            value = value or (values[joined] if joined > i else "")
        lent = len(covered - set(own.words)) / max(1, len(sought))
        share = min(1.0, own.share + lent * (1.0 if own.words else LENT))
        score = share * (IS_QUESTION if is_question and joined is None else 1.0)
        score += CHANNEL_SHARE * (channel in frame.channels[:1])
        score += FIRST_SHARE * bool(own.places and own.places[0] <= FIRST_WORDS)
        score += max(liked.get(o.id, 0.0) for o in sentence.observations)
        score += SIDE_SHARE * bool(set(frame.sides) & set(sentence.observations[0].facts(TextFacts).region.split()))
        if frame.ordinal and len(parted) > 1:
            along = i / (len(parted) - 1)
            score += ORDER_SHARE * (along if frame.ordinal < 0 else 1.0 - along)
        if frame.clause and frame.reduce == "exists" and not Text(told).runs(names, _gaps(frame, names)):
            covered = set()  # the words of it, and yet something else
        yield Row(
            cites=unique(cites),
            told=told,
            kind=_KINDS[channel],
            t_s=sentence.moment_s(own.places[0] if own.places else 0),
            missing=tuple(w for w in names if w not in covered),
            coverage=round(share, 4),
            score=round(score, 4),
            value=value,
        )


def names_of(frame: Frame) -> list[str]:
    """The words that a passage has to carry; its place too where all else is a verb that goes with anything, as in
    "who lives in Texas?"."""
    names = (*frame.matter, *(word for phrase in frame.phrases for word in words(phrase)))
    if all(stem(name) in lexicon.LIGHT_VERBS for name in names) and names:
        names += frame.of("place")
    return list(dict.fromkeys(names))


def _gaps(frame: Frame, names: Sequence[str]) -> list[int]:
    """How many words may stand between two of the names, where they are a clause."""
    asked = words(frame.times.rest)
    places = [asked.index(name) if name in asked else 0 for name in names]
    return [max(0, b - a - 1) + CLAUSE_GAP for a, b in pairwise(places)]


def _lines(sentence: Sentence, channel: Channel) -> str:
    """A sentence as it is written, its lines apart; what is only part of a text as it is told."""
    whole = sentence.observations[0].text
    return whole if channel == "text" and len(whole.split()) <= QUOTE_WORDS else sentence.text


def _joined(
    parted: Sequence[Sentence], covers: Sequence[Covered], i: int, is_question: bool, has_value: bool
) -> int | None:
    """The sentence beside one that is told with it: what follows a question, or what has words that it lacks."""
    for j in (i + 1, i - 1):
        if not 0 <= j < len(parted):
            continue
        first, second = parted[min(i, j)], parted[max(i, j)]
        is_short = len(first.text.split()) + len(second.text.split()) <= QUOTE_WORDS
        lends = not set(covers[j].words) <= set(covers[i].words)
        if (
            is_short
            and second.t0_s - first.t1_s <= BESIDE_S
            and (((lends and not has_value) or is_question) if j > i else lends)
        ):
            return j
    return None
