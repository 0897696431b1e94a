"""The gate: a cheap look at every new observation, and which standing queries it may concern.

A stage: conditions in, `step(observation) -> candidates`; no I/O, no clock. It judges words, objects,
pictures, sounds and tags as perception tells them. What is seen again and again while it lasts (a person
who stays, a word that remains on screen) is one event: the same thing is told once until it has been away
for ``duplicate_s`` of media time, and no query speaks up twice within ``cool_down_s``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from reasoning.answer.draft import mark
from reasoning.query.sightings import name_of, worn
from reasoning.standing.conditions import Condition
from runtime.language import lexicon
from runtime.language.lists import quote, sentence, with_article
from runtime.language.match import NEAR, PART, Text
from runtime.language.normalise import words
from runtime.language.stem import stem
from runtime.messages import FrameFacts, ObjectFacts, Observation, SoundFacts, StandingQuery

# Brightness under which a picture is dark, and over which one that was dark is bright (0..1). Within a shot it must
# also have fallen to half of what was the shot's brightest: a scene that is dim from its beginning does not get dark.
DARK_BELOW = 0.06
BRIGHT_ABOVE = 0.12
DARK_FALL = 0.5
# A vehicle goes so straight at least, 0..1. Cars and bicycles of a car park had .81 to .99, hands and what a moving
# camera makes move .38 to .66 mostly.
STRAIGHT_LEAST = 0.75
# A notice quotes so many words around those waited for.
QUOTED_WORDS = 20


class GateOptions(Struct, frozen=True):
    """``cool_down_s`` and ``duplicate_s`` in media seconds; ``things_kept`` bounds what each query remembers."""

    cool_down_s: float = 20.0
    duplicate_s: float = 60.0
    things_kept: int = 256


class Candidate(Struct, frozen=True):
    """An observation that may be what a query waits for.

    sure  the sign itself was perceived; else only something like it, which a model has to confirm.
    said  how a sentence tells it.
    """

    query: str
    observation: Observation
    sure: bool
    said: str


class Gate:
    """Judges observations in the order memory stored them."""

    def __init__(self, options: GateOptions) -> None:
        self._options = options
        self._conditions: dict[str, Condition] = {}
        self._told_s: dict[tuple[str, str], float] = {}
        self._seen_s: dict[str, dict[tuple[str, str], float]] = {}
        self._dark: dict[str, bool] = {}
        self._brightest: dict[str, float] = {}
        self._faces: dict[str, bool] = {}

    def watch(self, conditions: Mapping[str, Condition]) -> None:
        """Judge by these from now on: query id -> condition."""
        self._conditions = dict(conditions)
        for gone in [query for query in self._seen_s if query not in conditions]:
            del self._seen_s[gone]
        self._told_s = {key: t_s for key, t_s in self._told_s.items() if key[0] in conditions}

    def step(self, observation: Observation) -> list[Candidate]:
        """What this observation may be, for every query it concerns."""
        turned = self._turned(observation)
        if observation.channel == "frame":
            self._faces[observation.source] = bool(observation.facts(FrameFacts).faces)
        found = []
        for query, condition in self._conditions.items():
            judged = _judge(condition, observation, turned, self._faces.get(observation.source, False))
            if judged is None:
                continue
            thing, candidate = judged
            if self._is_new(query, observation, thing):
                found.append(Candidate(query, observation, *candidate))
        return found

    def forget(self) -> None:
        """Remember nothing that was noticed; how long queries still cool down stays."""
        self._seen_s.clear()

    def notice(self, query: str, observation: Observation, thing: str) -> bool:
        """Whether a thing that was found otherwise is new to a query, and not within its cool-down."""
        return self._is_new(query, observation, thing)

    def told(self, candidate: Candidate) -> None:
        """The user was told of it: its query cools down."""
        self._told_s[candidate.query, candidate.observation.source] = candidate.observation.t0_s

    def _is_new(self, query: str, o: Observation, thing: str) -> bool:
        """Not what was noticed a while ago and is still there, and not within the cool-down."""
        seen = self._seen_s.setdefault(query, {})
        key = (o.source, thing)
        before_s = seen.pop(key, None)
        seen[key] = o.t0_s
        while len(seen) > self._options.things_kept:
            del seen[next(iter(seen))]
        if before_s is not None and abs(o.t0_s - before_s) < self._options.duplicate_s:
            return False
        told_s = self._told_s.get((query, o.source))
        return told_s is None or abs(o.t0_s - told_s) >= self._options.cool_down_s

    def _turned(self, o: Observation) -> str:
        """ "dark" or "bright" where a frame turned so, else ""."""
        brightness = o.facts(FrameFacts).brightness
        if brightness is None:
            return ""
        was_dark = self._dark.get(o.source)
        brightest = self._brightest.get(o.source, brightness)
        is_dark = brightness < (BRIGHT_ABOVE if was_dark else DARK_BELOW)
        if is_dark and was_dark is False:
            is_dark = brightness < DARK_FALL * brightest
        self._dark[o.source] = is_dark
        self._brightest[o.source] = brightness if o.facts(FrameFacts).cut else max(brightness, brightest)
        return "" if was_dark is None or was_dark == is_dark else "dark" if is_dark else "bright"


def _judge(condition: Condition, o: Observation, turned: str, close_up: bool) -> tuple[str, tuple[bool, str]] | None:
    """(what thing it is, (sure, how it is told)) if the observation shows a sign of the condition."""
    at = mark(o.t0_s)
    for sign in condition.signs:
        match sign:
            case "voice" if o.channel == "speech":
                heard = f": {quote(_around(o.text.split(), ()))}" if o.text.strip() else ""
                return "voice", (True, f"somebody speaks{heard} {at}")
            case "said" if o.channel == "speech":
                if (how_sure := _carries(condition, o, compact=False)) is not None:
                    return f"speech {o.t0_s:.0f}", (how_sure, f"I heard {_quoted(o, condition.words)} {at}")
            case "read" if o.channel == "text":
                if (how_sure := _carries(condition, o, compact=True)) is not None:
                    return f"text {' '.join(words(o.text))}", (how_sure, f"I read {_quoted(o, condition.words)} {at}")
            case "person" | "moving" if o.channel == "object":
                if _is_object(sign, condition, o, close_up):
                    certain = sign != "moving" or "thing" not in condition.signs or not condition.beyond
                    unsure = "" if certain else f"; whether it is {with_article(condition.names[0])} I cannot tell"
                    track = o.facts(ObjectFacts).track
                    return f"track {o.t0_s if track is None else track}", (True, f"{o.text} {at}{unsure}")
            case "cut" if o.channel == "frame":
                if o.facts(FrameFacts).cut and o.facts(FrameFacts).reason != "first":
                    return f"cut {o.t0_s}", (True, f"the picture changes {at}")
            case "dark" | "bright" if turned == sign:
                return f"{sign} {o.t0_s}", (
                    True,
                    f"the picture {'goes dark' if sign == 'dark' else 'becomes bright'} {at}",
                )
            case "sound" if o.channel == "sound":
                kind = o.facts(SoundFacts).kind
                if kind in condition.sounds or (not condition.sounds and kind != "silence"):
                    return f"sound {kind}", (True, f"I hear {o.text} {at}")
            case "thing" | "person" if o.channel == "derived":
                if condition.event == "appears" and _is_described(condition, o):
                    told = f"what I see is described as {quote(_around(o.text.split(), ()))} {at}"
                    return f"described {' '.join(condition.beyond or condition.names)}", (True, told)
            case "thing":
                if recognised := _recognised(condition, o):
                    named, complete = recognised
                    sensed = f"I {'hear' if o.channel == 'sound' else 'see'} {named}"
                    return f"thing {named}", (complete, f"{o.text if o.channel == 'object' else sensed} {at}")
    return None


def tell(candidate: Candidate, query: StandingQuery, confirmed: bool) -> str:
    """The unasked line: what happened, and what it was waited for; in few words where the user was told before."""
    doubt = "" if confirmed or candidate.sure else ", as far as I can tell"
    if query.told:
        return sentence(f"{candidate.said} ({query.id}: {query.text}{doubt})")
    return f"{sentence(candidate.said)} You asked me to tell you when {query.text}{doubt}."


def _carries(condition: Condition, o: Observation, compact: bool) -> bool | None:
    """True where the words are there, False where only something close to one is, None where one is missing."""
    if not condition.words:
        return True if sum(c.isalpha() for c in o.text) >= 3 else None
    text = Text(o.text, compact)
    near = [text.find(word)[0] for word in condition.words] if text.words else [0.0]
    fits = max(near) if condition.any_word else min(near)
    return True if fits >= NEAR else False if fits >= PART else None


def _is_object(sign: str, condition: Condition, o: Observation, close_up: bool) -> bool:
    """Whether it is the person or moving thing that is waited for. ``close_up``: a face is in view."""
    kind = name_of(o)
    if sign == "person":
        fits = kind == "person" or (kind == "face" and not condition.colours)
    elif condition.names:  # a vehicle
        fits = kind == "moving" and not close_up and _moves_like_a_vehicle(o)
    else:
        fits = kind != "face"
    return fits and _comes_as_waited_for(condition, o)


def _comes_as_waited_for(condition: Condition, o: Observation) -> bool:
    """Whether something comes or goes as it must, at the side and in the colours that are waited for."""
    facts = o.facts(ObjectFacts)
    if facts.event != condition.event:
        return False
    if condition.sides and not set(condition.sides) & set(facts.side.split()):
        return False
    shown = {colour for named in worn(o).values() for colour in lexicon.colours_in(named)}
    return not condition.colours or bool(shown & set(condition.colours))


def _moves_like_a_vehicle(o: Observation) -> bool:
    """Not upright as a person is, large enough to have a shape while it is there, and straight: what rolls cannot
    fidget as hands, cloth and leaves do."""
    facts = o.facts(ObjectFacts)
    large_enough = facts.size != "small" or facts.event == "leaves"
    return facts.shape != "tall" and large_enough and facts.straight >= STRAIGHT_LEAST


def _is_described(condition: Condition, o: Observation) -> bool:
    """Whether a caption has every word for the thing and its colours; what nothing but a word names."""
    text = Text(o.text)
    wanted = (*condition.beyond, *condition.colours)
    return bool(condition.beyond) and all(text.find(word)[0] >= NEAR for word in wanted)


def _recognised(condition: Condition, o: Observation) -> tuple[str, bool] | None:
    """The tag or label that names the thing, and whether it names all of it ("dog barks", not just "dog")."""
    names = condition.names
    if not names or o.channel not in ("frame", "sound", "object"):
        return None
    if o.channel == "object" and not _comes_as_waited_for(condition, o):
        return None
    if o.channel == "frame" and (condition.event == "leaves" or condition.sides or condition.colours):
        return None  # a tag tells of the whole picture
    labels = [name_of(o), o.facts(SoundFacts).kind]
    labels += [name for name, _ in (*o.facts(FrameFacts).tags, *o.facts(SoundFacts).labels)]
    fits = {name: [label for label in labels if label and _is_named(label, name)] for name in names}
    fitting = [label for found in fits.values() for label in found]
    return (fitting[0], all(fits.values())) if fitting else None


def _is_named(label: str, name: str) -> bool:
    return lexicon.is_thing(label.lower(), name) or stem(name) in {stem(word) for word in words(label)}


def _quoted(o: Observation, wanted: tuple[str, ...]) -> str:
    tokens = o.text.replace(" / ", " ").split()
    compact = o.channel == "text"
    at = [i for i, token in enumerate(tokens) if any(Text(token, compact).find(word)[0] for word in wanted)]
    return quote(_around(tokens, at))


def _around(spoken: list[str], at: Iterable[int]) -> str:
    """At most `QUOTED_WORDS` of ``spoken`` around the places ``at``, more after them than before."""
    if len(spoken) <= QUOTED_WORDS:
        return " ".join(spoken)
    first = min(at, default=0)
    begin = max(0, min(first - QUOTED_WORDS // 4, len(spoken) - QUOTED_WORDS))
    end = begin + QUOTED_WORDS
    return f"{'... ' if begin else ''}{' '.join(spoken[begin:end])}{' ...' if end < len(spoken) else ''}"
