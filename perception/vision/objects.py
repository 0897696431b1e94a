"""People and moving things as events: what appears, what leaves, where, which way, in what colours; and faces.

A person is claimed for a moving thing only when a person's figure is found in it at several looks
(`figures`); anything else that moves is called by its shape and colour. What cannot be told is not said.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from perception.vision.describe import place_of
from perception.vision.figures import FigureDetector, may_be_figure
from perception.vision.follow_faces import FaceEvent, FaceFollower
from perception.vision.motion import Box, MovingThing, centre
from perception.vision.thing_colours import ThingColours, exposure_gain
from runtime.messages import ObjectFacts, Observation, observation_id, round_time

# A moving thing is worth telling when it gets somewhere: parts of a body that sits or talks do not. A person's figure
# is told sooner; anything else must come in or go out over the border, or cross a third of the picture.
_PERSON_REACH, _PERSON_REACH_FROM_BORDER = 0.2, 0.06
_REACH, _REACH_FROM_BORDER = 0.3, 0.15
# In short shots nothing is known of the background, and what moves is the scene. A figure found again and again is a
# person all the same: in 13 clips no other moving thing had three, but for one that went nowhere.
_SHOT_MIN_S = 5.0
_SURE_VOTES, _SURE_SHARE = 3, 0.6
_STRAIGHT_MIN = 0.35
_LOOKS_MIN = 5
_AREA_MAX = 0.4
_FIGURE_VOTES = 2
_FIGURE_SHARE = 0.4
_FIGURE_LOOKS_MAX = 8
_GLANCES_MAX = 5
_FIGURE_LOOKS = 4  # while one look of so many found a figure, wait for another before calling it a thing
_TALL, _WIDE = 1.5, 0.75
_LARGE, _SMALL = 0.03, 0.006
_DIRECTION_MIN = 0.04


class ObjectOptions(Struct, frozen=True):
    source: str
    people: bool = True
    faces: bool = True
    motion: bool = True
    detect_width_px: int = 480


class _Seen:
    """What is known of a moving thing beside its track."""

    __slots__ = ("colours", "figures", "glances", "id", "looks", "name", "tested", "told_person")

    def __init__(self) -> None:
        self.id = self.name = ""
        self.looks = self.glances = self.figures = self.tested = 0
        self.told_person = False
        self.colours = ThingColours()

    @property
    def is_person(self) -> bool:
        """``tested`` counts looks at its figure, ``glances`` beside those."""
        return self.figures >= _FIGURE_VOTES and self.figures >= _FIGURE_SHARE * (self.tested + self.glances)

    @property
    def is_surely_person(self) -> bool:
        return self.figures >= _SURE_VOTES and self.figures >= _SURE_SHARE * (self.tested + self.glances)


class ObjectFinder:
    """Stage: sampled pictures and what moves in them in, `object` observations out."""

    def __init__(self, options: ObjectOptions) -> None:
        self._options = options
        self._seen: dict[int, _Seen] = {}
        self._visible: list[str] = []
        self._people_now = 0
        self._shot_t_s = 0.0
        self._faces = FaceFollower(options.detect_width_px) if options.faces else None
        self._figures = FigureDetector() if options.people else None

    @property
    def visible(self) -> tuple[str, ...]:
        """Ids of the "appears" observations of all that the last picture shows."""
        return tuple(self._visible)

    @property
    def people(self) -> int:
        """People in the last picture, as far as known: figures that move, or faces if these are more."""
        return max(self._people_now, self.faces)

    @property
    def faces(self) -> int:
        return 0 if self._faces is None else len(self._faces.visible)

    def seek_faces(self, interval: float) -> None:
        """Take ``interval`` times as long between two searches for faces from now on."""
        if self._faces is not None:
            self._faces.interval = interval

    def step(
        self,
        t_s: float,
        bgr: np.ndarray,
        things: tuple[MovingThing, ...] = (),
        gone: tuple[MovingThing, ...] = (),
        new_shot: bool = False,
        still: bool = False,
    ) -> list[Observation]:
        """Look at a picture, uint8 (height, width, 3), with what moves in it and what went since the last.

        new_shot  a cut lies before it, so that faces are sought at once.
        still     nothing changed since the last picture.
        """
        told: list[Observation] = []
        if self._options.motion:
            for thing in gone:
                self._tell_leaving(told, t_s, thing)
            gain = exposure_gain(bgr) if things else 1.0
            for thing in things:
                self._look_at(bgr, thing, gain)
                self._tell_appearing(told, t_s, thing)
        if new_shot:
            self._shot_t_s = t_s
        self._people_now = sum(s.is_person and bool(s.id) for t in things if (s := self._seen.get(t.track)) is not None)
        if self._faces is not None:
            for event in self._faces.step(t_s, bgr, new_shot, still):
                self._tell_face(told, t_s, event)
        moving = [self._seen[thing.track].id for thing in things if thing.track in self._seen]
        faces = () if self._faces is None else self._faces.visible
        self._visible = [identity for identity in (*moving, *faces) if identity]
        return told

    def glance(self, t_s: float, bgr: np.ndarray, things: tuple[MovingThing, ...]) -> list[Observation]:
        """Between two looks, whether what has just begun to move is a person: that is worth knowing at once."""
        told: list[Observation] = []
        gain: float | None = None
        for thing in things if self._options.motion and self._figures is not None else ():
            seen = self._seen.setdefault(thing.track, _Seen())
            if seen.id or seen.glances >= _GLANCES_MAX or not may_be_figure(thing.box, thing.aspect):
                continue
            assert self._figures is not None
            gain = exposure_gain(bgr) if gain is None else gain
            seen.glances += 1
            seen.figures += self._figures.has_figure(bgr, thing.box)
            seen.colours.look(bgr, thing.box, gain)
            if seen.is_person:
                self._tell_appearing(told, t_s, thing)
        return told

    # --- moving things -----------------------------------------------------------------------------

    def _look_at(self, bgr: np.ndarray, thing: MovingThing, gain: float) -> None:
        """Take note of a thing's colours, and of whether it has a person's figure."""
        seen = self._seen.setdefault(thing.track, _Seen())
        seen.looks += 1
        seen.colours.look(bgr, thing.box, gain)
        worth_testing = seen.tested < _FIGURE_LOOKS_MAX and may_be_figure(thing.box, thing.aspect)
        if self._figures is not None and worth_testing:
            seen.tested += 1
            seen.figures += self._figures.has_figure(bgr, thing.box)

    def _tell_appearing(self, told: list[Observation], t_s: float, thing: MovingThing) -> None:
        seen = self._seen.get(thing.track)
        if seen is None or seen.id or not _worth_telling(thing, seen.is_person):
            return
        if t_s - self._shot_t_s < _SHOT_MIN_S and not seen.is_surely_person:
            return
        undecided = seen.looks < 2 or (seen.figures and seen.tested < _FIGURE_LOOKS)
        if undecided and not seen.is_person and not thing.gone:
            return
        where = f"enters from the {thing.entered}" if thing.entered else (
            f"appears at the {place_of(*centre(thing.first_box))}"
        )  # fmt: skip
        way = direction(thing.travel)
        seen.name, seen.told_person = _called(seen, thing), seen.is_person
        text = f"{seen.name} {where}" + (f", moving {way}" if way else "")
        facts = _facts(seen, thing, "appears", thing.first_box, way, self.people)
        seen.id = self._event(told, thing.first_s, t_s, text, thing.track, facts).id

    def _tell_leaving(self, told: list[Observation], t_s: float, thing: MovingThing) -> None:
        self._tell_appearing(told, t_s, thing)
        seen = self._seen.pop(thing.track, None)
        if seen is None or not seen.id:
            return
        place = place_of(*centre(thing.box))
        where = f"leaves at the {thing.left_over}" if thing.left_over else f"is no longer seen moving, at the {place}"
        # The name it was told by, unless more is known by now.
        name = _called(seen, thing) if seen.is_person and not seen.told_person else seen.name
        text = f"the {name.split(' ', 1)[1]} {where}, after {thing.last_s - thing.first_s:.0f} s"
        facts = _facts(seen, thing, "leaves", thing.box, direction(thing.travel), self.people)
        self._event(told, thing.last_s, t_s, text, thing.track, facts, evidence=(seen.id,))

    def _tell_face(self, told: list[Observation], t_s: float, event: FaceEvent) -> None:
        facts = ObjectFacts(
            kind="face",
            event=event.event,
            track=event.number,
            box=event.box,
            colours={"top": event.top},
            side=_side(event.box),
            count=max(self._people_now, event.count),
        )
        evidence = (event.id,) if event.id else ()
        observation = self._event(told, t_s, t_s, event.text, event.number, facts, evidence)
        if self._faces is not None and event.event == "appears":
            self._faces.name(event.number, observation.id)

    def _event(
        self,
        told: list[Observation],
        t0_s: float,
        t1_s: float,
        text: str,
        track: int,
        facts: ObjectFacts,
        evidence: tuple[str, ...] = (),
    ) -> Observation:
        k = track * 4 + 2 * (facts.kind == "face") + (facts.event == "leaves")
        observation = Observation(
            id=observation_id(self._options.source, "object", t0_s, k),
            source=self._options.source,
            channel="object",
            t0_s=round_time(t0_s),
            t1_s=round_time(t1_s),
            text=text,
            data=facts,
            evidence=evidence,
        )
        told.append(observation)
        return observation


def direction(travel: tuple[float, float]) -> str:
    """The way of a movement in words: "left", "up and right", ...; "" if it is too short to tell."""
    dx, dy = travel
    parts = []
    if abs(dy) >= max(_DIRECTION_MIN, 0.5 * abs(dx)):
        parts.append("down" if dy > 0 else "up")
    if abs(dx) >= max(_DIRECTION_MIN, 0.5 * abs(dy)):
        parts.append("right" if dx > 0 else "left")
    return " and ".join(parts)


def _worth_telling(thing: MovingThing, person: bool) -> bool:
    at_border = bool(thing.entered or thing.left_over)
    if person:
        least = _PERSON_REACH_FROM_BORDER if at_border else _PERSON_REACH
    else:
        least = _REACH_FROM_BORDER if at_border else _REACH
    return (
        thing.looks >= _LOOKS_MIN
        and thing.reach >= least
        and thing.straight >= _STRAIGHT_MIN
        and thing.box[2] * thing.box[3] <= _AREA_MAX
    )


def _facts(seen: _Seen, thing: MovingThing, event: str, box: Box, way: str, people: int) -> ObjectFacts:
    person = seen.is_person
    colours = seen.colours
    return ObjectFacts(
        kind="person" if person else "moving",
        event=event,
        track=thing.track,
        box=box,
        colours={"top": colours.top, "bottom": colours.bottom} if person else (colours.whole,),
        side=(thing.left_over if event == "leaves" else thing.entered) or _side(box),
        direction=way,
        shape=_shape(thing.aspect),
        size=_size(thing.box),
        straight=thing.straight,
        count=people,
    )


def _called(seen: _Seen, thing: MovingThing) -> str:
    if seen.is_person:
        top, bottom = seen.colours.top, seen.colours.bottom
        if top == bottom or not bottom:
            return f"a person in {top or 'dark'} clothes"
        return f"a person in a {top} top, {bottom} below"
    words = [word for word in (_size(thing.box), _shape(thing.aspect), seen.colours.whole) if word]
    return f"a {' '.join(words)} moving thing"


def _shape(aspect: float) -> str:
    return "tall" if aspect >= _TALL else "wide" if aspect <= _WIDE else ""


def _size(box: Box) -> str:
    area = box[2] * box[3]
    return "large" if area >= _LARGE else "small" if area <= _SMALL else ""


def _side(box: Box) -> str:
    x, _ = centre(box)
    return "left" if x < 1 / 3 else "right" if x > 2 / 3 else "centre"
