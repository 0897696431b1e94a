"""The evidence of a question as a model reads it, packed into a budget of tokens.

What fits best is shown raw, what fits less as a sketch, the rest as a pointer to its moment: the ladder of
SCM's controller. What is packed stands in the order of time, since that is how it is read, whatever its rank; for a
small model, which reads the begin best, in that of its rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from reasoning.backends import prompts
from reasoning.backends.brackets import Brackets
from reasoning.backends.chat_model import Picture
from reasoning.backends.contact_sheet import contact_sheet
from reasoning.backends.gather import Gathered
from reasoning.backends.plans import Plan
from reasoning.backends.told import observation_line, span_line, told_of
from reasoning.query.present import age
from reasoning.safety.untrusted import Guard
from runtime.clock import media_time
from runtime.messages import Observation, Span, SpeechFacts

# Raw while it fits into this share of the budget, then sketches; a single one takes no more than a fifth.
RAW_SHARE = 0.75
ONE_SHARE = 0.2
SKETCH_CHARACTERS = 80
POINTERS = 12
# Pictures say much; of now they say nearly all.
PICTURE_SHARE, NOW_PICTURE_SHARE = 0.6, 0.85
# A bracket and what stands around it.
BRACKET_TOKENS = 8
# Of a row of three on a contact sheet.
SHEET_TOKENS = 280
# Pieces of an utterance that was cut at its longest are this close.
SAME_UTTERANCE_S = 1.0
# What ends a sentence.
_STOPS = (".", "!", "?", "…", '"', "。")


class Costs(Protocol):
    """What of a `ChatModel` says what it costs to show it something."""

    def count_tokens(self, text: str) -> int: ...

    def count_picture(self, jpeg: bytes) -> int: ...


class Packed(Struct, frozen=True):
    """What is shown. ``content`` is text and pictures in reading order, ``moments`` how many pictures these are of."""

    content: tuple[str | Picture, ...]
    raw: int = 0
    sketched: int = 0
    pointed: int = 0
    moments: int = 0

    def __str__(self) -> str:
        return f"{self.raw} raw, {self.sketched} sketched, {self.pointed} pointed to, {self.moments} pictures"


def pack(
    gathered: Gathered, guard: Guard, brackets: Brackets, budget: int, costs: Costs, plan: Plan | None = None
) -> Packed:
    """As much of it as fits into ``budget`` tokens, pictures as ``plan`` wants them."""
    share = PICTURE_SHARE if gathered.now_s is None else NOW_PICTURE_SHARE
    frames = [o for o in gathered.frames if o.payload]
    pictures, cost = _fitting(frames, int(budget * share), costs, sheet=False)
    sheet = plan is not None and plan.sheet and (len(frames) > plan.apart or len(pictures) < len(frames))
    if sheet:
        pictures, cost = _fitting(frames, int(budget * share), costs, sheet=True)
    left = budget - cost - costs.count_tokens(guard.enclose())
    spans: list[Span] = []
    for span in gathered.spans:
        cost = costs.count_tokens(span_line(span, guard, "")) + BRACKET_TOKENS
        if cost > left // 2:
            break
        spans.append(span)
        left -= cost
    lines: dict[str, tuple[Observation, int]] = {}
    raw = sketched = 0
    pointers: list[Observation] = []
    room = left - costs.count_tokens(prompts.NOT_SHOWN) - 6 * POINTERS
    raw_room = int(room * RAW_SHARE)
    pictured = {o.id for o in pictures}
    for o, _ in sorted(gathered.scored, key=lambda pair: (-pair[1], pair[0].source, pair[0].t0_s, pair[0].id)):
        if o.id in pictured:
            continue
        cost = costs.count_tokens(observation_line(o, guard, "")) + BRACKET_TOKENS
        if raw_room >= cost <= room * ONE_SHARE:
            raw, raw_room, longest = raw + 1, raw_room - cost, 0
        else:
            longest = SKETCH_CHARACTERS
            cost = costs.count_tokens(observation_line(o, guard, "", longest)) + BRACKET_TOKENS
            if cost > room:
                pointers.append(o)
                continue
            sketched += 1
        room -= cost
        raw_room = min(raw_room, room)
        lines[o.id] = (o, longest)
    written = _written(gathered, pictures, spans, list(lines.values()), guard, brackets, sheet)
    content = joined(written or [prompts.NOTHING_FOUND], guard)
    if pointers:
        listed = ", ".join(media_time(o.t0_s) for o in sorted(pointers[:POINTERS], key=lambda o: o.t0_s))
        content = (*content, f"\n{prompts.NOT_SHOWN.format(moments=listed)}")
    return Packed(content, raw, sketched, len(pointers), len(pictures))


def joined(parts: Sequence[str | Picture], guard: Guard) -> tuple[str | Picture, ...]:
    """Lines and pictures between the delimiters."""
    return merged((guard.opening, *parts, guard.closing))


def merged(parts: Sequence[str | Picture]) -> tuple[str | Picture, ...]:
    """The same with neighbouring lines as one text."""
    out: list[str | Picture] = []
    for part in parts:
        if out and isinstance(part, str) and isinstance(out[-1], str):
            out[-1] = f"{out[-1]}\n{part}"
        else:
            out.append(part)
    return tuple(out)


def _fitting(frames: Sequence[Observation], room: int, costs: Costs, sheet: bool) -> tuple[list[Observation], int]:
    """The frames whose pictures fit, and what they cost; of too many every other one goes, the first and the last
    stay."""
    kept = list(frames)
    while kept:
        jpegs = [o.payload or b"" for o in kept]
        cost = sum(costs.count_picture(jpeg) for jpeg in jpegs)
        if sheet:  # a tile of it costs no more than the least of pictures does, and often less
            cost = min(cost, SHEET_TOKENS * -(-len(kept) // 3))
        cost += BRACKET_TOKENS * len(kept)
        if cost <= room:
            return kept, cost
        if len(kept) < 3:
            kept = kept[:-1]
        else:
            most = max(2, min(len(kept) - 1, len(kept) * room // cost))
            kept = [kept[round(k * (len(kept) - 1) / (most - 1))] for k in range(most)]
    return [], 0


def _written(
    gathered: Gathered,
    pictures: Sequence[Observation],
    spans: Sequence[Span],
    lines: Sequence[tuple[Observation, int]],
    guard: Guard,
    brackets: Brackets,
    sheet: bool,
) -> list[str | Picture]:
    """Everything in its order, with its brackets, which are given in that order."""
    head: list[str | Picture] = []
    if sheet and len(pictures) > 1:
        head, pictures = sheet_of(pictures, brackets, gathered.now_s), ()
    if brackets.numbered:
        head += [part for o in pictures for part in picture_of(o, brackets, gathered.now_s)]
        told = [told_of(o, guard, brackets, longest, gathered.again.get(o.id, ())) for o, longest in lines]
        return [*head, *told, *(_span_of(span, gathered, guard, brackets) for span in spans)]
    parts: list[tuple[str, float, int, list[str | Picture]]] = []
    # Brackets are given in the order of time, so that of several in a second the first has the plain one.
    everything = [*pictures, *(o for o, _ in lines)]
    brackets.add(sorted(everything, key=lambda o: (o.source, o.t0_s, o.channel != "frame", o.id)))
    for o in pictures:
        parts.append((o.source, o.t0_s, 0, picture_of(o, brackets, gathered.now_s)))
    for span in spans:
        parts.append((span.source, span.t0_s, 1, [_span_of(span, gathered, guard, brackets)]))
    for run in _whole_sentences(lines):
        told = [told_of(o, guard, brackets, longest, gathered.again.get(o.id, ())) for o, longest in run]
        parts.append((run[0][0].source, run[0][0].t0_s, 2, [" ".join(told)]))
    parts.sort(key=lambda part: part[:3])
    return [*head, *(each for part in parts for each in part[3])]


def picture_of(o: Observation, brackets: Brackets, now_s: float | None = None, what: str = "") -> list[str | Picture]:
    """A picture right after its bracket."""
    old = "" if now_s is None else f", {age(now_s - o.t0_s)} old"
    at = prompts.PICTURE_AT.format(bracket=brackets.of(o), when=brackets.time_of(o), what=what, age=old)
    return [at, Picture(o.payload or b"")]


def sheet_of(pictures: Sequence[Observation], brackets: Brackets, now_s: float | None = None) -> list[str | Picture]:
    """Pictures as one, each with its bracket on it and in the line before; one by one where none can be decoded."""
    labels = [f"[{brackets.of(o)}]{brackets.time_of(o)}" for o in pictures]
    try:
        sheet = contact_sheet([(label, o.payload or b"") for label, o in zip(labels, pictures, strict=True)])
    except ValueError:
        return [part for o in pictures for part in picture_of(o, brackets, now_s)]
    told = ", ".join(
        label + ("" if now_s is None else f" {age(now_s - o.t0_s)} old")
        for label, o in zip(labels, pictures, strict=True)
    )
    return [prompts.SHEET_AT.format(brackets=told), Picture(sheet)]


def _span_of(span: Span, gathered: Gathered, guard: Guard, brackets: Brackets) -> str:
    """A span is no observation: what may be cited of it is its keyframe."""
    keyframe = gathered.keyframes.get(span.keyframe)
    return span_line(span, guard, brackets.of(keyframe) if keyframe else media_time(span.t0_s))


def _whole_sentences(lines: Sequence[tuple[Observation, int]]) -> list[list[tuple[Observation, int]]]:
    """The lines in order of time; those of one speaker whose sentence goes on in the next are together."""
    runs: list[list[tuple[Observation, int]]] = []
    for line in sorted(lines, key=lambda line: (line[0].source, line[0].channel, line[0].t0_s, line[0].id)):
        o, before = line[0], runs[-1][-1][0] if runs else None
        goes_on = (
            before is not None
            and o.channel == before.channel == "speech"
            and o.source == before.source
            and o.facts(SpeechFacts).speaker == before.facts(SpeechFacts).speaker
            and bool(o.text and before.text)
            and o.t0_s - before.t1_s <= SAME_UTTERANCE_S
            and not before.text.rstrip().endswith(_STOPS)
        )
        if goes_on:
            runs[-1].append(line)
        else:
            runs.append([line])
    return runs
