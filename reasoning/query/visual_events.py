"""What the embedded encoders can tell of pictures and sound, as times with the observations they rest on.

They tell people and faces, things that move, new shots, movement and stillness, colours, brightness,
writing, speech and kinds of sound. They do not tell a dog from a car. `unknown_nouns` says which words of
a question lie beyond them, so that nothing is claimed of those; `sightings` finds the times of the rest.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from msgspec import Struct

from reasoning.answer.layout import legible, line_height, plain
from reasoning.query.context import Context
from reasoning.understand.lexicon import COLOURS
from reasoning.understand.questions import FRAMING
from reasoning.understand.words import STOP_WORDS, number_value, ordinal_value, stem, words
from runtime.messages import FrameFacts, ObjectFacts, Observation, SoundFacts


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in text.split())


PEOPLE = _stems(
    """person people man men woman women boy girl somebody someone anybody anyone nobody pedestrian human child
    children lady guy figure crowd face faces everybody adult passerby stranger"""
)
# The encoders see a person, not which.
WHICH_PEOPLE = _stems("man men woman women boy girl child children lady guy adult")
# People by what they do: the encoders see a person, not the role.
ROLES = _stems(
    """climber dancer singer player worker speaker actor runner walker swimmer driver cyclist rider customer student
    teacher soldier visitor passenger kid baby narrator presenter interviewer host guest artist musician"""
)
VEHICLES = _stems("car van truck lorry bus vehicle train tram taxi automobile")
MOVING = _stems("movement motion moving mover moved activity")
SHOT = _stems("picture image scene shot view camera angle photograph photo slide frame screen clip cut video footage")
CHANGE = _stems("change cut switch transition turn replaced dissolve fade")
MOTION_VERBS = _stems(
    """pour pouring flow move start begin run walk drive ride fly jump dance shake swing rotate spin fall drop throw
    lift carry push pull turn wave climb swim roll slide cross pass enter leave arrive take put open close"""
)
PASSING = _stems("move pass come enter appear arrive")
# What somebody may do who is seen to move.
DEEDS = _stems(
    "run drive ride fly jump dance shake swing rotate spin fall drop throw lift carry push pull wave climb swim pour"
)
WRITING = _stems("text writing letters words caption captions subtitle title sign writing logo label watermark written")
SPEAKING = _stems("speech speak talk voice talking spoken words conversation speaking say said narration narrator")
SOUND = _stems("sound noise music audio heard hear audible silence silent quiet bang beep song melody tone loud")
LEAVING = _stems("leave exit disappear vanish depart")
TITLE = _stems("title heading headline")
CLOTHING = _stems(
    """top shirt jacket coat sweater jumper pullover blouse hoodie dress trousers pants jeans skirt
    shorts clothes clothing suit"""
)
LOWER_CLOTHING = _stems("trousers pants jeans skirt shorts")
_SOUND_NAMES = {
    "music-like": _stems("music song melody tone sing"),
    "impulse": _stems("bang knock clap explosion click loud beep"),
    "steady noise": _stems("hum hiss rain wind engine"),
    "silence": _stems("silence silent quiet"),
}
BLACK = _stems("black dark blank")
DARKNESS = _stems("dark black bright white blank empty still static")
MANNER = _stems(
    """wear enter leave pass walk appear come go cross stand sit bright dark first second third again together same time
    front behind near across way entrance foot total once twice background foreground right left top bottom upper lower
    side edge centre middle present alone shown visible simultaneously most moment through ever around play direction
    all past by stay nothing get become more away"""
)
# "After she left", "the car left the yard": gone, not a side.
_LEFT = re.compile(
    r"(?<!\bthe )(?<!\bat )(?<!\bon )(?<!\bto )(?<!\bfrom )(?<!\btop )(?<!\bbottom )(?<!\bupper )(?<!\blower )"
    r"(?<!\bfar )(?<!\byour )(?<!\bhis )\bleft\b(?=\s*(?:$|[?.!,]|the\b|again\b|first\b|last\b))"
)
_GOES = re.compile(
    r"\b(?:walk|go|drive|run)(?:s|es|ing)? (?:out|away|off)\b|\b(?:walked|went|drove|ran) (?:out|away|off)\b"
)
_GONE = re.compile(r"^(?:and |so |then )*where (?:did|does|has|have|do|is|are)\b.+\b(?:go|gone|going|disappear\w*)\b")
_DRESSED = re.compile(rf"\bones? (?:in|wearing|with) (?:the |a |an )?(?:\w+ ){{0,2}}?(?:{'|'.join(sorted(COLOURS))})\b")
_KNOWN = PEOPLE | MOVING | SHOT | CHANGE | WRITING | SPEAKING | SOUND | CLOTHING | DARKNESS | MANNER | FRAMING
_PLACES = {"upper": "top", "above": "top", "lower": "bottom", "below": "bottom", "center": "centre", "middle": "centre"}
_GETS_DARK = re.compile(
    r"\b(?:is|was|does|did|has|gets?|got|goes|go|went|turns?) (?:it|everything|all)?\b.*\b(?:dark|black)\W*$"
)
# The border over which somebody comes or goes; "a red top" is none.
BORDER = re.compile(r"\b(?:from|at|on|over|to|towards?) (?:the )?(left|right|top|bottom)\b")
_SIDES = ("left", "right", "top", "bottom")


# Mean brightness (0..1) of a picture that is black, writing on it included.
DARK_BELOW = 0.06


# How straight a vehicle goes at least, 0..1. Cars and bicycles of a car park had .81 to .99 when they were told, hands
# and what a moving camera makes move .38 to .66 mostly.
STRAIGHT_LEAST = 0.75


class VisualEvent(Struct, frozen=True):
    """Something seen from ``t0_s``; ``said`` is how a sentence names it ("a person in a red top")."""

    t0_s: float
    observation: Observation
    said: str


def asked_stems(text: str) -> frozenset[str]:
    """Stems of the words of ``text``."""
    return frozenset(stem(word) for word in words(text))


def unknown_nouns(text: str, roles_known: bool = False) -> list[str]:
    """Words of ``text`` that name something the embedded encoders cannot recognise."""
    known = _KNOWN | ROLES if roles_known else _KNOWN
    out = []
    for word in words(text):
        free = (
            word in STOP_WORDS or word in COLOURS or number_value(word) is not None or ordinal_value(word) is not None
        )
        if not free and stem(word) not in known and stem(word) not in MOTION_VERBS and len(word) > 1:
            out.append(word)
    return list(dict.fromkeys(out))


def about_people(text: str) -> bool:
    """Whether ``text`` speaks of people; "the one in red" is one, too."""
    return bool(asked_stems(text) & PEOPLE) or bool(_DRESSED.search(text.lower()))


def about_cuts(text: str) -> bool:
    asked = asked_stems(text)
    return bool(asked & SHOT and asked & CHANGE) or about_framing(text)


def about_darkness(text: str) -> bool:
    """Whether ``text`` speaks of a picture that is, or gets, black."""
    asked = asked_stems(text)
    return bool(asked & BLACK and (asked & SHOT or _GETS_DARK.search(text.lower()))) and not unknown_nouns(text)


def about_framing(text: str) -> bool:
    """Whether ``text`` speaks of a shot by how near it is ("the close-up", "the wide shot")."""
    return bool(re.search(r"\b(?:close[- ]up|wide[- ]shot|long[- ]shot|medium[- ]shot|full[- ]shot)\b", text.lower()))


def minimum_of_people(text: str) -> int:
    """How many people at once ``text`` speaks of ("both", "two people", "a third person"); 1 if it does not say."""
    values = [number_value(word) or ordinal_value(word) for word in words(text) if word != "first"]
    return max([int(value) for value in values if value and value < 20], default=1) + ("more than" in text.lower())


async def people(context: Context, text: str, event: str = "appears") -> list[VisualEvent]:
    """Persons coming into view (or leaving it) that fit the colours of ``text``, in order of time.

    Where no person was made out, tall moving things of that colour stand in for them, and faces where no
    colour is asked for: each is told by its own text, as what it was seen as.
    """
    appearing = [o for o in await context.scan("object") if o.facts(ObjectFacts).event == event]
    wanted = colours_of(text)
    parts = _parts_asked(asked_stems(text))

    def fits(o: Observation) -> bool:
        worn = clothing(o)
        return not wanted or bool(wanted & {_same_colour(worn[part]) for part in parts if part in worn})

    by_kind = {
        kind: [o for o in appearing if o.facts(ObjectFacts).kind == kind and fits(o)]
        for kind in ("person", "face", "moving")
    }
    tall = [o for o in by_kind["moving"] if o.facts(ObjectFacts).shape == "tall"]
    found = by_kind["person"] or (tall if wanted else by_kind["face"] or tall)
    return [VisualEvent(o.t0_s, o, o.text) for o in found]


async def vehicles(context: Context, text: str, event: str = "appears") -> list[VisualEvent]:
    """Moving things that could be vehicles, being no persons, of the colours ``text`` names if any."""
    return [s for s in await moving(context, text, event) if moves_like_a_vehicle(s.observation)]


def moves_like_a_vehicle(o: Observation) -> bool:
    """Not upright as a person is, large enough to have a shape while it is there, and straight: what rolls cannot
    fidget as hands, cloth and leaves do."""
    return (
        o.facts(ObjectFacts).shape != "tall"
        and (o.facts(ObjectFacts).size != "small" or o.facts(ObjectFacts).event == "leaves")
        and o.facts(ObjectFacts).straight >= STRAIGHT_LEAST
    )


def about_vehicles(text: str) -> str:
    """The word for a vehicle in ``text``, or ""; the encoders see that it moves, not what it is."""
    return next((word for word in words(text) if stem(word) in VEHICLES), "")


def vehicle_named(word: str) -> str:
    """ "cars" or "a car"."""
    return word if word.endswith("s") and word != "bus" else f"a {word}"


def _parts_asked(asked: frozenset[str]) -> tuple[str, ...]:
    if asked & LOWER_CLOTHING:
        return ("bottom",)
    return ("top", "whole") if asked & CLOTHING else ("top", "bottom", "whole")


def event_asked(text: str) -> str:
    """Which event ``text`` is about: "leaves" or "appears"."""
    low = text.lower()
    leaves = asked_stems(text) & LEAVING or any(pattern.search(low) for pattern in (_LEFT, _GONE, _GOES))
    return "leaves" if leaves else "appears"


async def writing(context: Context, text: str) -> list[VisualEvent]:
    """Writing coming into view; of a title, the largest there is."""
    texts = [o for o in await context.scan("text") if legible(o)]
    if texts and asked_stems(text) & TITLE:
        texts = [min(texts, key=lambda o: (-line_height(o), o.t0_s, o.id))]
    return [VisualEvent(o.t0_s, o, f'"{plain(o)}" is on screen') for o in texts]


async def utterances(context: Context) -> list[VisualEvent]:
    """Stretches of speech, understood or not."""
    return [VisualEvent(o.t0_s, o, "somebody speaks") for o in await context.scan("speech")]


def sound_classes(text: str) -> tuple[str, ...]:
    """The classes of sound that ``text`` asks for; none means any."""
    asked = asked_stems(text)
    return tuple(kind for kind, named in _SOUND_NAMES.items() if asked & named)


async def sounds(context: Context, text: str) -> list[VisualEvent]:
    """Sounds of the classes ``text`` names; silence only if it does."""
    wanted = sound_classes(text)
    return [
        VisualEvent(o.t0_s, o, o.text)
        for o in await context.scan("sound")
        if (o.facts(SoundFacts).kind in wanted if wanted else o.facts(SoundFacts).kind != "silence")
    ]


async def crowd(context: Context, at_least: int) -> list[VisualEvent]:
    """Frames in which at least ``at_least`` people are visible at once."""
    return [
        VisualEvent(frame.t0_s, frame, f"{at_least} people")
        for frame in await context.frames()
        if people_in(frame) >= at_least
    ]


async def fullest(context: Context) -> list[VisualEvent]:
    """The first frame with the most people of all."""
    frames = [frame for frame in await context.frames() if people_in(frame)]
    best = max(frames, key=people_in, default=None)
    if best is None:
        return []
    number = people_in(best)
    return [VisualEvent(best.t0_s, best, f"{number} {'person' if number == 1 else 'people'}, the most at once,")]


async def moving(context: Context, text: str = "", event: str = "appears") -> list[VisualEvent]:
    """Moving things coming into view (or leaving it), of the colours ``text`` names if any."""
    wanted = colours_of(text)
    return [
        VisualEvent(o.t0_s, o, o.text)
        for o in await context.scan("object")
        if o.facts(ObjectFacts).event == event
        and o.facts(ObjectFacts).kind == "moving"
        and (not wanted or wanted & {_same_colour(colour) for colour in clothing(o).values()})
    ]


async def cuts(context: Context) -> list[VisualEvent]:
    """New shots. The first frame of a source is no change of picture."""
    return [
        VisualEvent(frame.t0_s, frame, "the picture changes")
        for frame in await context.frames()
        if frame.facts(FrameFacts).cut and frame.t0_s > 0.5 and frame.facts(FrameFacts).reason != "first"
    ]


async def dark(context: Context) -> list[VisualEvent]:
    """When the picture turns black, from the start on."""
    known = [(frame, frame.facts(FrameFacts).brightness) for frame in await context.frames()]
    frames = [frame for frame, brightness in known if brightness is not None]
    black = [brightness < DARK_BELOW for _, brightness in known if brightness is not None]
    begins = [frame for i, frame in enumerate(frames) if black[i] and not (i and black[i - 1])]
    return [VisualEvent(frame.t0_s, frame, "the picture is black") for frame in begins]


async def motion_onset(context: Context, threshold: float = 0.02) -> VisualEvent | None:
    """When movement begins after stillness: the first moving frame that follows a still one, or the first at all."""
    known = [(frame, frame.facts(FrameFacts)) for frame in await context.frames()]
    moves = [(frame, facts, facts.motion) for frame, facts in known if facts.motion is not None]
    for (_, _, before), (frame, facts, motion) in itertools.pairwise(moves):
        if motion >= threshold > before and not facts.cut:
            return VisualEvent(frame.t0_s, frame, "movement begins")
    return None


def people_in(frame: Observation) -> int:
    """People visible in a frame: persons or faces, whichever the detectors found more of."""
    return max(frame.facts(FrameFacts).people, frame.facts(FrameFacts).faces)


def clothing(observation: Observation) -> dict[str, str]:
    """Colours of a tracked thing by part: "top", "bottom", or "whole"."""
    colours = observation.facts(ObjectFacts).colours
    if isinstance(colours, dict):
        return {part: colour for part, colour in colours.items() if colour}
    return {"whole": colours[0]} if colours and colours[0] else {}


def side_asked(text: str) -> str:
    """The side of the picture ``text`` speaks of, or ""."""
    spoken = words(text)
    return next((side for side in _SIDES if side in spoken), "")


def place_asked(text: str) -> str:
    """The part of the picture that ``text`` speaks of, as regions are named ("top left", "centre"), or ""."""
    spoken = [_PLACES.get(word, word) for word in words(text)]
    rows = [word for word in ("top", "bottom") if word in spoken]
    columns = [word for word in ("left", "right") if word in spoken]
    return " ".join([*rows[:1], *columns[:1]]) or ("centre" if "centre" in spoken else "")


def prominent(frames: Sequence[Observation], number: int) -> bool:
    """Whether ``number`` people at once is more than a detector's slip: in two frames, or all of very few."""
    agreeing = sum(1 for frame in frames if people_in(frame) >= number)
    return agreeing >= 2 or (agreeing == 1 and len(frames) <= 3)


_ALIKE = {"gray": "grey", "violet": "purple", "turquoise": "blue", "teal": "blue", "cyan": "blue", "navy": "blue",
          "maroon": "red", "crimson": "red", "beige": "brown", "gold": "yellow", "golden": "yellow", "silver": "grey",
          "cream": "white", "tan": "brown", "magenta": "pink"}  # fmt: skip


def _same_colour(colour: str) -> str:
    basic = colour.split()[-1] if colour else ""
    return _ALIKE.get(basic, basic)


def colours_of(text: str) -> set[str]:
    """The colours that ``text`` names, alike ones as one."""
    return {_same_colour(word) for word in words(text) if word in COLOURS}
