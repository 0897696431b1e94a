"""One thing that was perceived as a line for a model: its bracket, where it comes from, its words as quoted data."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from reasoning.backends.brackets import Brackets
from reasoning.query.evicted import span_text
from reasoning.safety.untrusted import LONGEST, Guard
from runtime.clock import media_time
from runtime.messages import ObjectFacts, Observation, Span, SpeechFacts, TextFacts, no_words
from runtime.trust import LOW_TRUST

_WORDS_FOR = {
    "speech": "heard", "text": "read", "object": "seen", "sound": "sound", "frame": "picture", "gap": "not watched",
    "derived": "described", "correction": "corrected by the user", "question": "asked", "answer": "answered",
}  # fmt: skip
# Words that came from outside; the rest was put into words by the encoders.
_QUOTED = ("speech", "text", "derived", "correction", "frame")
# What pictures are described by in the sketch of an event, and where the sketch of one begins in that of an episode.
_SEEN = re.compile(r"\bseen: .*?(?: \| |(?=; \[\d)|$)")
_ENTRY = re.compile(r"(?:; )?\[[\d:]+\]")
# "in a pink top, black below", "in beige clothes"
_CLOTHES = re.compile(r" in (?:an? )?\w+ (?:top|clothes)(?:, \w+ below)?| in \w+ below")
# Seconds: of a shorter utterance it is enough to know when it began.
LONG_UTTERANCE_S = 4.0
# 0..1: of Whisper base, half of the words it is less sure of are wrong.
LOW_CONFIDENCE = 0.35
UNSURE = "(?)"
TOLD_AGAIN = 3
SPAN_CHARACTERS = 400


def told_of(o: Observation, guard: Guard, brackets: Brackets, longest: int = 0, again: Sequence[float] = ()) -> str:
    """The line of ``o`` with its bracket, and when the same was observed besides."""
    line = observation_line(o, guard, brackets.of(o), longest, brackets.time_of(o))
    if not again:
        return line
    times = ", ".join(media_time(t_s) for t_s in again[:TOLD_AGAIN])
    return f"{line} (the same at {times}{', ...' if len(again) > TOLD_AGAIN else ''})"


def observation_line(o: Observation, guard: Guard, bracket: str, longest: int = 0, when: str = "") -> str:
    """One observation as a line of evidence, its words cleaned and quoted, at most ``longest`` characters of them."""
    what = _WORDS_FOR.get(o.channel, o.channel)
    region = o.facts(TextFacts).region
    where = f" on screen at the {guard.quote(str(region), 20)[1:-1]}" if o.channel == "text" and region else ""
    speaker = o.facts(SpeechFacts).speaker
    by = f" from {guard.quote(str(speaker), 40)}" if o.channel == "speech" and speaker else ""
    until = f" until {media_time(o.t1_s)}" if o.t1_s - o.t0_s >= 2 and o.channel != "speech" else ""
    said = guard.quote(o.text, longest or LONGEST, _marked(o) if o.channel == "speech" else "")
    if o.channel not in _QUOTED:
        said = said[1:-1]
    if o.channel == "speech" and not o.text:
        said = no_words(o)
    return f"[{bracket}]{when} {what}{where}{by}{until}: {said}{doubt(o.trust)}"


def span_line(span: Span, guard: Guard, bracket: str) -> str:
    """A stretch of time as a line, with what it was about."""
    when = f"from {media_time(span.t0_s)} to {media_time(span.t1_s)}"
    return f"[{bracket}] {span.level} {when}: {guard.quote(span_text(span), SPAN_CHARACTERS)}{doubt(span.trust)}"


def beside_pictures(spans: Sequence[Span]) -> list[Span]:
    """The stretches as they are told to a model that sees: without what their pictures are described by, and without
    those of which nothing else is known."""
    told = [
        span if span.stage == "tombstone" else msgspec.structs.replace(span, text=_SEEN.sub("", span.text).strip(" |"))
        for span in spans
    ]
    return [span for span in told if re.search(r"\w{2}", _ENTRY.sub("", span.text))]


def doubt(trust: float) -> str:
    """What is said of evidence that is believed little."""
    return " (not confirmed)" if trust < LOW_TRUST else ""


def _marked(speech: Observation) -> str:
    """The words of an utterance, with what a reader should know of them: those marked that were hardly understood, and,
    in a long one, when each of its sentences begins; "" where there is nothing of that."""
    text, at, changed = speech.text, 0, False
    is_long, begins = speech.t1_s - speech.t0_s >= LONG_UTTERANCE_S, False
    for word in speech.facts(SpeechFacts).words:
        plain = word.text.strip()
        found = text.find(plain, at) if plain else -1
        if found < 0:
            continue
        if is_long and begins and int(word.t0_s) > int(speech.t0_s):
            when = f"({media_time(word.t0_s)}) "
            text, found, changed = f"{text[:found]}{when}{text[found:]}", found + len(when), True
        at, begins = found + len(plain), plain.endswith((".", "!", "?"))
        if word.confidence < LOW_CONFIDENCE:
            bare = found + len(plain.rstrip(".,;:!?"))
            text, at, changed = f"{text[:bare]}{UNSURE}{text[bare:]}", at + len(UNSURE), True
    return text if changed else ""


def uncoloured(o: Observation) -> Observation:
    """A thing that was seen, told without its colours, which a model that sees the picture tells better itself."""
    colours = o.facts(ObjectFacts).colours
    if o.channel != "object" or not colours:
        return o
    text = _CLOTHES.sub("", o.text)
    for colour in () if isinstance(colours, dict) else colours:
        text = re.sub(rf"\b{re.escape(colour)} ", "", text)
    return msgspec.structs.replace(o, text=re.sub(r"\ba (?=[aeio])", "an ", text))
