"""One thing that was perceived as a line for a model: its bracket, where it comes from, its words as quoted data."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from reasoning.backends.brackets import Brackets
from reasoning.query.evicted import span_text
from reasoning.safety.untrusted import LONGEST, Guard
from runtime.clock import media_time
from runtime.messages import Observation, Span, SpeechFacts, TextFacts, no_words
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
    until = media_time(span.t1_s)
    return f"[{bracket}] {span.level} until {until}: {guard.quote(span_text(span), SPAN_CHARACTERS)}{doubt(span.trust)}"


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
    """The words of an utterance, those marked that were hardly understood; "" where they are sure."""
    text, at, unsure = speech.text, 0, False
    for word in speech.facts(SpeechFacts).words:
        plain = word.text.strip()
        found = text.find(plain, at) if plain else -1
        if found < 0:
            continue
        at = found + len(plain)
        if word.confidence < LOW_CONFIDENCE:
            bare = len(plain.rstrip(".,;:!?"))
            text = f"{text[: found + bare]}{UNSURE}{text[found + bare :]}"
            at, unsure = at + len(UNSURE), True
    return text if unsure else ""
