"""How things are told: the words and the facts of an object that appears or leaves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from perception.vision.follow_faces import FaceEvent
from perception.vision.followed import Followed
from perception.vision.layout import NUMBERS, a, place_of
from perception.vision.motion import Box, MovingThing, border_of, centre
from perception.vision.thing_colours import ThingColours
from runtime.language.numbers import plural
from runtime.language.vocabulary import Vocabulary
from runtime.messages import ObjectFacts, round_time

EventKind = Literal["appears", "leaves"]

_TALL, _WIDE = 1.5, 0.75
_LARGE, _SMALL = 0.03, 0.006
_DIRECTION_MIN = 0.04
_ENTERED_TRAVEL = 0.05
# On these things stand, on those people ride; how much of it must be over what it is on, and over its width.
_SUPPORTS = ("table", "bed", "sofa", "bench", "chair", "oven")
_MOUNTS = ("bicycle", "motorcycle", "horse")
_RESTS_ON = 0.6
_MOUNT_GAP = 0.2  # in heights of the person
_REST_LARGER = 0.7  # a thing stands on what is larger than it: it has at most so much of its size
# Greys are mostly light and shade, on things of glass, plastic and steel above all.
_NO_COLOUR = ("grey", "")


class Event(Struct, frozen=True):
    """``called``: what the thing is called in ``text``, with its article."""

    text: str
    facts: ObjectFacts
    called: str = ""


class Way(Struct, frozen=True):
    """Where a thing came from and went. ``entered``, ``left_over``: the border, or ""; the rest as of `MovingThing`."""

    first_s: float
    last_s: float
    first_box: Box
    entered: str
    left_over: str
    travel: tuple[float, float]
    reach: float
    straight: float


def way_of(thing: Followed) -> Way:
    """From the movement it was seen in, else from its own boxes."""
    entry, gone = thing.entry, thing.exit
    first_box = entry.first_box if entry is not None else thing.first_box
    (x, y), (first_x, first_y) = centre(thing.box), centre(thing.first_box)
    dx, dy = x - first_x + thing.came[0], y - first_y + thing.came[1]
    reach = (dx * dx + dy * dy) ** 0.5
    entered, left_over = "", ""
    if not thing.from_start:
        if entry is not None:
            entered = entry.entered
        elif reach >= _ENTERED_TRAVEL:
            entered = border_of(first_box, (dx, dy))
    if gone is not None:
        left_over = gone.left_over
    elif thing.missed and max(map(abs, thing.velocity)) >= _ENTERED_TRAVEL:
        left_over = border_of(thing.box, (-thing.velocity[0], -thing.velocity[1]))
    return Way(
        first_s=thing.first_s if entry is None else min(entry.first_s, thing.first_s),
        last_s=thing.last_s if gone is None else max(gone.last_s, thing.last_s),
        first_box=first_box,
        entered=entered,
        left_over=left_over,
        travel=(round(dx, 4), round(dy, 4)),
        reach=max(reach, entry.reach if entry is not None else 0.0),
        straight=entry.straight if entry is not None else 1.0,
    )


def appears(
    thing: Followed, name: str, probability: float, way: Way, count: int, beside: Sequence[Followed], names: Vocabulary
) -> Event:
    """A named thing that appears. ``count`` of its name are in view, itself included; ``beside`` are the others."""
    place = place_of(*centre(way.first_box))
    on = _mount(thing, beside, names) if name == "person" else ""
    if not names.moves(name):
        on = _support(thing, name, beside, names)
    if way.entered:
        where = f"enters from the {way.entered}"
    else:
        where = f"at the {place}" if thing.from_start else f"appears at the {place}"
    heading = direction(way.travel) if thing.moves else ""
    among = f"one of {NUMBERS[count] if count <= 10 else count} {plural(name)} in view" if count > 1 else ""
    called = _called(name, thing.colours)
    text = " ".join(filter(None, (called, on and f"on {a(on)}", where)))
    text = ", ".join(filter(None, (text, heading and f"moving {heading}", among)))
    facts = _facts("appears", thing, name, way.first_box, way.entered)
    return Event(
        text,
        msgspec.structs.replace(
            facts,
            probability=probability,
            place=place,
            on=on,
            direction=direction(way.travel),
            straight=way.straight,
            count=count,
            came_s=round_time(way.first_s),
        ),
        called,
    )


def leaves(thing: Followed, name: str, called: str, way: Way, count: int, cut: bool) -> Event:
    """A named thing that leaves, as it was called when it came; ``cut``: with the shot. ``count`` are still in view."""
    place = place_of(*centre(thing.box))
    if cut:
        where = "is no longer seen, as the picture changes"
    else:
        where = f"leaves at the {way.left_over}" if way.left_over else f"is no longer seen at the {place}"
    text = f"the {called.split(' ', 1)[1]} {where}, after {way.last_s - way.first_s:.0f} s"
    facts = _facts("leaves", thing, name, thing.box, way.left_over)
    return Event(
        text,
        msgspec.structs.replace(
            facts,
            probability=round(thing.share(name), 3),
            place=place,
            direction=direction(way.travel),
            straight=way.straight,
            count=count,
            came_s=round_time(way.first_s),
            left_s=round_time(way.last_s),
        ),
        called,
    )


def _facts(event: EventKind, thing: Followed, name: str, box: Box, border: str) -> ObjectFacts:
    colours = thing.colours
    person = name == "person"
    return ObjectFacts(
        kind="person" if person else "thing",
        event=event,
        label=name,
        box=(round(box[0], 4), round(box[1], 4), round(box[2], 4), round(box[3], 4)),
        colours={"top": colours.top, "bottom": colours.bottom} if person else (colours.whole,),
        side=border or side(box),
        size=_size(box),
    )


def _called(name: str, colours: ThingColours) -> str:
    return _person(colours.top, colours.bottom) if name == "person" else _thing(name, colours.whole)


def of_moving(event: EventKind, thing: MovingThing, colours: ThingColours, people: int, called: str = "") -> Event:
    """What moves and has no name, ``called`` as it was when it came; ``people`` are in view."""
    way = direction(thing.travel)
    box = thing.box if event == "leaves" else thing.first_box
    place = place_of(*centre(box))
    words = [word for word in (_size(thing.box), _shape(thing.aspect), colours.whole) if word]
    called = called or a(f"{' '.join(words)} moving thing")
    if event == "leaves":
        where = f"leaves at the {thing.left_over}" if thing.left_over else f"is no longer seen moving, at the {place}"
        text = f"the {called.split(' ', 1)[1]} {where}, after {thing.last_s - thing.first_s:.0f} s"
    else:
        where = f"enters from the {thing.entered}" if thing.entered else f"appears at the {place}"
        text = f"{called} {where}" + (f", moving {way}" if way else "")
    facts = ObjectFacts(
        kind="moving",
        event=event,
        box=box,
        colours=(colours.whole,),
        place=place,
        side=(thing.left_over if event == "leaves" else thing.entered) or side(box),
        direction=way,
        shape=_shape(thing.aspect),
        size=_size(box),
        straight=thing.straight,
        count=people,
        came_s=round_time(thing.first_s),
        left_s=round_time(thing.last_s) if event == "leaves" else None,
    )
    return Event(text, facts, called)


def of_face(face: FaceEvent, people: int) -> Event:
    """A face; ``people`` are in view with it."""
    facts = ObjectFacts(
        kind="face",
        event=face.event,
        box=face.box,
        colours={"top": face.top},
        place=place_of(*centre(face.box)),
        side=side(face.box),
        count=people,
    )
    return Event(face.text, facts)


def direction(travel: tuple[float, float]) -> str:
    """The way of a movement in words: "left", "up and right", ...; "" if it is too short to tell."""
    dx, dy = travel
    parts = []
    if abs(dy) >= max(_DIRECTION_MIN, 0.5 * abs(dx)):
        parts.append("down" if dy > 0 else "up")
    if abs(dx) >= max(_DIRECTION_MIN, 0.5 * abs(dy)):
        parts.append("right" if dx > 0 else "left")
    return " and ".join(parts)


def side(box: Box) -> str:
    x, _ = centre(box)
    return "left" if x < 1 / 3 else "right" if x > 2 / 3 else "centre"


def listed(named: Iterable[tuple[str, int]]) -> list[str]:
    """Counts in words: ["two people", "a cup"]."""
    return [a(name) if n == 1 else f"{NUMBERS[n] if n <= 10 else n} {plural(name)}" for name, n in named]


def _person(top: str, bottom: str) -> str:
    if top == bottom or not bottom or not top:
        return f"a person in {top or bottom or 'dark'} clothes"
    return f"a person in a {top} top, {bottom} below"


def _thing(name: str, colour: str) -> str:
    return a(name if colour in _NO_COLOUR else f"{colour} {name}")


def _mount(person: Followed, beside: Sequence[Followed], vocabulary: Vocabulary) -> str:
    """What a person rides on: below it, as wide as it, and mostly within its width."""
    for other in beside:
        name = _likely(other, vocabulary)
        if name not in _MOUNTS:
            continue
        shared = min(person.box[0] + person.box[2], other.box[0] + other.box[2]) - max(person.box[0], other.box[0])
        under = centre(other.box)[1] > centre(person.box)[1]
        gap = other.box[1] - person.box[1] - person.box[3]
        if under and gap <= _MOUNT_GAP * person.box[3] and shared >= _RESTS_ON * min(person.box[2], other.box[2]):
            return name
    return ""


def _support(thing: Followed, name: str, beside: Sequence[Followed], vocabulary: Vocabulary) -> str:
    """What a thing stands on: its foot is in the box of something larger."""
    x, foot = thing.box[0] + thing.box[2] / 2, thing.box[1] + thing.box[3]
    for other in beside:
        support = _likely(other, vocabulary)
        left, top, width, height = other.box
        larger = thing.box[2] * thing.box[3] < _REST_LARGER * width * height
        stands_on = left <= x <= left + width and top <= foot <= top + height + 0.02
        if support in _SUPPORTS and support != name and larger and stands_on:
            return support
    return ""


def _likely(thing: Followed, vocabulary: Vocabulary) -> str:
    """What a thing most likely is, sure or not."""
    ranked = thing.ranked(vocabulary)
    return ranked[0][0] if ranked and ranked[0][1] >= 0.4 else ""


def _shape(aspect: float) -> str:
    return "tall" if aspect >= _TALL else "wide" if aspect <= _WIDE else ""


def _size(box: Box) -> str:
    area = box[2] * box[3]
    return "large" if area >= _LARGE else "small" if area <= _SMALL else ""
