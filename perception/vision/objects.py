"""Things as events: what appears, what leaves, by name where that is sure; where, which way, in what colours; faces.

A detector looks at the whole picture and closer at what its looks leave open (`zoom`); things are followed and their
names voted over all looks (`followed`). What moves before a still camera and has no sure name is called by its shape
and colour. What cannot be told is not said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import msgspec
import numpy as np
from msgspec import Struct

from perception.vision.detector import Detection, Detector, is_part, overlap, sightings
from perception.vision.follow_faces import FaceEvent, FaceFollower
from perception.vision.followed import Followed, ThingFollower, Told, looks_as_before, place_patch
from perception.vision.in_sight import Found, InView
from perception.vision.motion import Box, MovingThing
from perception.vision.object_events import Event, appears, leaves, of_face, of_moving, way_of
from perception.vision.thing_colours import ThingColours, exposure_gain
from perception.vision.zoom import look_closer, part_around, shows_all
from runtime.language.vocabulary import Vocabulary
from runtime.messages import Observation, observation_id, round_time

# The whole picture is looked at this often, at most; a closer look is saved up for in so many seconds, so many at most.
_WHOLE_S, _CLOSER_S, _CLOSER_SAVED = 0.45, 1.0, 5
# Looks in a row that found nothing with such a probability make the next dearer, so that a scene without a name costs
# little.
_BARREN_STEP, _BARREN_COST, _TELLING = 0.25, 3.0, 0.5
_CLOSER_EACH = 4  # closer looks at one thing; then its name is voted by looks at the whole picture alone
_CLOSER_AT_ONCE = 3
_PROMISING = 0.3
# A thing not found so often in a row has left, unless its place looks as before; of one seen to go over the border
# one look is enough.
_MISSED, _MISSED_OVER_BORDER = 3, 1
_UNSEEN_LIVING = 10  # looks for which what gets about by itself may be overlooked where its place looks as before
_SAME_PLACE = 0.3
_UNSEEN = 4  # looks for which its movement alone tells that a named thing is still there
_COLOUR_LOOKS = 8
# Something without a name is worth telling when it gets somewhere: parts of a body that sits or talks do not. It must
# come in or go out over the border, or cross a third of the picture, and not just as a new shot begins.
_REACH, _REACH_FROM_BORDER = 0.3, 0.15
_SHOT_MIN_S = 5.0
_STRAIGHT_MIN = 0.35
_LOOKS_MIN = 5
_AREA_MAX = 0.4
_NAMELESS_LOOKS = 3
# Who comes in is told once it is seen which way, or after so long.
_ENTERED_REACH, _ENTERED_S = 0.06, 1.0


class ObjectOptions(Struct, frozen=True):
    source: str
    faces: bool = True
    motion: bool = True
    detect_width_px: int = 480


class _Moving:
    """What is known of a moving thing beside its track."""

    __slots__ = ("called", "closer_looks", "colours", "id", "looks", "named", "number")

    def __init__(self) -> None:
        self.id, self.called, self.number = "", "", 0
        self.looks = self.closer_looks = 0
        self.named = False
        self.colours = ThingColours()


class ObjectFinder:
    """Stage: sampled pictures and what moves in them in, `object` observations out.

    detector  names things; without one nothing is named.
    """

    def __init__(self, options: ObjectOptions, vocabulary: Vocabulary, detector: Detector | None = None) -> None:
        self._options = options
        self._vocabulary = vocabulary
        self._detector = detector
        self._follower = ThingFollower()
        self._moving: dict[int, _Moving] = {}
        self._movements: tuple[MovingThing, ...] = ()
        self._numbers = 0
        self._visible: list[str] = []
        self._shot_t_s = 0.0
        self._whole_t_s = -_WHOLE_S
        self._closer_t_s, self._closer_saved = 0.0, float(_CLOSER_SAVED)
        self._barren = 0
        self._interval = 1.0
        self._faces = FaceFollower(options.detect_width_px) if options.faces else None

    @property
    def visible(self) -> tuple[str, ...]:
        """Ids of the "appears" observations of all that the last picture shows."""
        return tuple(self._visible)

    @property
    def in_view(self) -> InView:
        """What the last picture shows: people told, or faces if these are more; and all that is named."""
        names = [thing.told.name for thing in self._follower.things if thing.told.id and not thing.missed]
        counts = [(name, names.count(name)) for name in dict.fromkeys(names)]
        counts.sort(key=lambda entry: (entry[0] != "person", -entry[1], entry[0]))
        faces = 0 if self._faces is None else len(self._faces.visible)
        return InView(people=max(names.count("person"), faces), faces=faces, things=tuple(counts))

    @property
    def shown(self) -> tuple[Found, ...]:
        """What was told of what is in view."""
        things = [thing for thing in self._follower.things if thing.told.id and not thing.missed]
        moving = [(self._moving.get(thing.track), thing) for thing in self._movements]
        return (
            *(Found(thing.told.name, thing.box, thing.looked_s, thing.motion) for thing in things),
            *(Found(seen.called, at.box, at.last_s, at) for seen, at in moving if seen and seen.id and not seen.named),
            *(Found("face", box) for box in (() if self._faces is None else self._faces.boxes)),
        )

    def seek_less(self, faces: float, things: float) -> None:
        """Take so many times as long between two searches for faces, and for things, from now on."""
        if self._faces is not None:
            self._faces.interval = faces
        self._interval = things

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

        new_shot  a cut lies before it, so that faces and things are sought at once.
        still     nothing changed since the last picture.
        """
        told: list[Observation] = []
        things, gone = (things, gone) if self._options.motion else ((), ())
        self._movements = things
        if new_shot:
            for thing in self._follower.begin_shot():
                self._tell_leaving(told, t_s, thing, cut=True)
            self._shot_t_s = t_s
        gain = exposure_gain(bgr)
        self._follower.carry((*gone, *things))
        if self._detector is not None:
            self._name(t_s, bgr, gain, new_shot, still)
            self._tell_named(told, t_s)
        self._tell_moving(told, t_s, bgr, gain, things, gone)
        if self._faces is not None:
            for event in self._faces.step(t_s, bgr, new_shot, still):
                self._tell_face(told, t_s, event)
        named = [thing.told.id for thing in self._follower.things if not thing.missed]
        moving = [self._moving[thing.track].id for thing in things if thing.track in self._moving]
        faces = () if self._faces is None else self._faces.visible
        self._visible = [identity for identity in (*named, *moving, *faces) if identity]
        return told

    def glance(self, t_s: float, bgr: np.ndarray, things: tuple[MovingThing, ...]) -> list[Observation]:
        """Between two looks, what it is that has just begun to move: that is worth knowing at once."""
        told: list[Observation] = []
        if self._detector is None or not self._options.motion:
            return told
        self._movements = things
        self._follower.carry(things)
        moving = [thing for thing in self._open_things() if thing.motion is not None]
        if (moving or self._open_movements(things)) and self._may_look_closer(t_s):
            gain = exposure_gain(bgr)
            if moving:
                self._look_closer(t_s, bgr, gain, moving[0].box, moving[0])
            else:
                self._look_at_movement(t_s, bgr, gain, self._open_movements(things)[0])
        self._follower.join(things)
        self._tell_named(told, t_s)
        return told

    # --- looking -------------------------------------------------------------------------------------

    def _name(self, t_s: float, bgr: np.ndarray, gain: float, new_shot: bool, still: bool) -> None:
        """Look at the picture as often as is due, and closer at what that leaves open."""
        assert self._detector is not None
        grey: np.ndarray | None = None
        due = new_shot or t_s - self._whole_t_s >= _WHOLE_S * self._interval - 0.001
        looked = False
        if due and (new_shot or not still):
            self._whole_t_s, looked = t_s, True
            from_start = t_s - self._shot_t_s < _WHOLE_S
            found = self._follower.see(t_s, sightings(self._detector.detect(bgr)), from_start)
            self._note_colours(bgr, gain, found)
        for thing in self._open_things()[:_CLOSER_AT_ONCE]:
            # At once from both sides where the shot is new: it may be over before there is another look.
            for _ in range(2 if new_shot else 1):
                is_open = thing.closer_looks < _CLOSER_EACH and not thing.name(self._vocabulary)[0]
                if is_open and self._may_look_closer(t_s):
                    self._look_closer(t_s, bgr, gain, thing.box, thing)
        for movement in self._open_movements(self._movements)[:1]:
            if self._may_look_closer(t_s):
                self._look_at_movement(t_s, bgr, gain, movement)
        self._follower.join(self._movements)
        if looked or still:
            grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
            self._keep_those_there(t_s, grey, still)

    def _look_closer(self, t_s: float, bgr: np.ndarray, gain: float, box: Box, thing: Followed | None) -> None:
        """Look at the part of the picture around ``box``, where ``thing`` is, if it is known already."""
        assert self._detector is not None
        size = (bgr.shape[0], bgr.shape[1])
        tried = thing.closer_looks if thing is not None else 0
        part = part_around(size, box)
        if (tried % 2 == 1) != shows_all(size, part):
            part = part_around(size, box, mirrored=True)
        seen: list[Detection] = look_closer(self._detector, bgr, part)
        found = self._follower.see(t_s, sightings(seen), t_s - self._shot_t_s < _WHOLE_S, closer=True)
        told_apart = any(detection.probability >= _TELLING for detection in seen)
        self._barren = 0 if told_apart else self._barren + 1
        if thing is not None:
            thing.closer_looks += 1
            if thing not in found:
                thing.vote(t_s, (), closer=True)
        self._note_colours(bgr, gain, found)

    def _look_at_movement(self, t_s: float, bgr: np.ndarray, gain: float, movement: MovingThing) -> None:
        """Look closer at what moves and is no thing that is followed."""
        self._look_closer(t_s, bgr, gain, movement.box, None)
        self._moving.setdefault(movement.track, _Moving()).closer_looks += 1

    def _may_look_closer(self, t_s: float) -> bool:
        """Whether a closer look is saved up for; it is spent then."""
        saved = self._closer_saved + max(0.0, t_s - self._closer_t_s) / (_CLOSER_S * self._interval)
        self._closer_saved, self._closer_t_s = min(float(_CLOSER_SAVED), saved), t_s
        if self._closer_saved < 1.0:
            return False
        self._closer_saved -= min(_BARREN_COST, 1.0 + _BARREN_STEP * self._barren)
        return True

    def _open_things(self) -> list[Followed]:
        """Things whose name a closer look may settle, the most promising first."""
        open_things = []
        for thing in self._follower.things:
            ranked = thing.ranked(self._vocabulary)
            promising = bool(ranked) and ranked[0][1] >= _PROMISING and not thing.missed
            if promising and thing.closer_looks < _CLOSER_EACH and not thing.name(self._vocabulary)[0]:
                open_things.append((thing.closer_looks, -ranked[0][1], thing.number, thing))
        return [entry[-1] for entry in sorted(open_things, key=lambda entry: entry[:3])]

    def _open_movements(self, movements: Sequence[MovingThing]) -> list[MovingThing]:
        """Moving things in which nothing is found yet, those looked at least first."""
        boxes = [thing.box for thing in self._follower.things if not thing.missed]
        open_ = [m for m in movements if not any(is_part(m.box, box) for box in boxes)]
        known = [(self._moving.get(m.track) or _Moving(), m) for m in open_]
        wanted = [(seen.closer_looks, m.track, m) for seen, m in known if seen.closer_looks < _CLOSER_EACH]
        return [entry[-1] for entry in sorted(wanted, key=lambda entry: entry[:2])]

    def _note_colours(self, bgr: np.ndarray, gain: float, found: Iterable[Followed]) -> None:
        for thing in found:
            if thing.colours.looks < _COLOUR_LOOKS:
                thing.colours.look(bgr, thing.box, gain)

    def _keep_those_there(self, t_s: float, grey: np.ndarray, still: bool) -> None:
        """Of things this look did not find, those whose place looks as before are there all the same."""
        seen = [thing for thing in self._follower.things if not thing.missed]
        for thing in self._follower.things:
            thing.unseen = thing.unseen + 1 if thing.missed else 0
            if thing.missed and thing.motion is not None and thing.told.id and thing.unseen <= _UNSEEN:
                # Unless what moves there was seen as another.
                taken = any(overlap(thing.box, other.box) >= _SAME_PLACE for other in seen if other is not thing)
                thing.missed = thing.missed if taken else 0
            there = not thing.missed or still
            stays = thing.unseen <= _UNSEEN_LIVING or not self._vocabulary.moves(thing.told.name)
            if not there and stays and thing.patch is not None:
                there = looks_as_before(place_patch(grey, thing.box), thing.patch)
            if there and (still or thing.motion is None or not thing.unseen):
                thing.last_s, thing.missed = t_s, 0
                thing.patch = place_patch(grey, thing.box)

    # --- telling -------------------------------------------------------------------------------------

    def _tell_named(self, told: list[Observation], t_s: float) -> None:
        """Tell of things whose name is sure, and of those that are gone."""
        gone = self._follower.doubles()
        for thing in self._follower.things:
            if thing in gone:
                continue
            over_border = thing.exit is not None and bool(thing.exit.left_over)
            if thing.missed >= (_MISSED_OVER_BORDER if over_border else _MISSED):
                gone.append(thing)
            elif not thing.told.id:
                self._tell_appearing(told, t_s, thing)
        self._follower.drop(gone)
        for thing in gone:
            self._tell_leaving(told, t_s, thing)
        for thing in (*self._follower.things, *gone):
            if thing.told.id and thing.motion is not None:
                self._moving.setdefault(thing.motion.track, _Moving()).named = True

    def _tell_appearing(self, told: list[Observation], t_s: float, thing: Followed) -> None:
        name, probability = thing.name(self._vocabulary)
        if not name:
            return
        way = way_of(thing)
        waits = way.entered and way.reach < _ENTERED_REACH and t_s - way.first_s < _ENTERED_S
        if waits and not thing.missed:
            return
        self._numbers += 1
        count = self._count(name) + 1
        beside = [other for other in self._follower.things if other is not thing]
        event = appears(thing, name, probability, way, count, beside, self._vocabulary)
        was_moving = self._moving.get(thing.motion.track) if thing.motion is not None else None
        evidence = (was_moving.id,) if was_moving is not None and was_moving.id else ()
        observation = self._event(told, way.first_s, t_s, event, self._numbers, evidence)
        thing.told, thing.track = Told(observation.id, name, event.called), self._numbers

    def _tell_leaving(self, told: list[Observation], t_s: float, thing: Followed, cut: bool = False) -> None:
        if not thing.told.id:
            if not cut:
                self._tell_appearing(told, t_s, thing)
            if not thing.told.id:
                return
        way = way_of(thing)
        if cut:
            way = msgspec.structs.replace(way, last_s=t_s)
        event = leaves(thing, thing.told.name, thing.told.called, way, self._count(thing.told.name), cut)
        self._event(told, way.last_s, t_s, event, thing.track, (thing.told.id,))

    def _tell_moving(
        self,
        told: list[Observation],
        t_s: float,
        bgr: np.ndarray,
        gain: float,
        things: tuple[MovingThing, ...],
        gone: tuple[MovingThing, ...],
    ) -> None:
        """Tell of what moves and has no name."""
        open_ = {thing.motion.track for thing in self._follower.things if thing.motion is not None}
        for thing in (*gone, *things):
            seen = self._moving.setdefault(thing.track, _Moving())
            if not thing.gone:
                seen.looks += 1
                if seen.looks <= _COLOUR_LOOKS:
                    seen.colours.look(bgr, thing.box, gain)
            waits = not thing.gone and (seen.looks < _NAMELESS_LOOKS or thing.track in open_)
            if not seen.id and not seen.named and not waits and self._worth_telling(t_s, thing):
                self._numbers += 1
                seen.number = self._numbers
                event = of_moving("appears", thing, seen.colours, self.in_view.people)
                seen.called = event.called
                seen.id = self._event(told, thing.first_s, t_s, event, seen.number, ()).id
            if thing.gone:
                del self._moving[thing.track]
                if seen.id and not seen.named:
                    event = of_moving("leaves", thing, seen.colours, self.in_view.people, seen.called)
                    self._event(told, thing.last_s, t_s, event, seen.number, (seen.id,))

    def _worth_telling(self, t_s: float, thing: MovingThing) -> bool:
        least = _REACH_FROM_BORDER if thing.entered or thing.left_over else _REACH
        return (
            thing.looks >= _LOOKS_MIN
            and thing.reach >= least
            and thing.straight >= _STRAIGHT_MIN
            and thing.box[2] * thing.box[3] <= _AREA_MAX
            and t_s - self._shot_t_s >= _SHOT_MIN_S
        )

    def _tell_face(self, told: list[Observation], t_s: float, face: FaceEvent) -> None:
        event = of_face(face, max(self._count("person"), face.count))
        evidence = (face.id,) if face.id else ()
        observation = self._event(told, t_s, t_s, event, face.number, evidence)
        if self._faces is not None and face.event == "appears":
            self._faces.name(face.number, observation.id)

    def _event(
        self,
        told: list[Observation],
        t0_s: float,
        t1_s: float,
        event: Event,
        number: int,
        evidence: tuple[str, ...],
    ) -> Observation:
        facts = msgspec.structs.replace(event.facts, track=number)
        k = number * 4 + 2 * (facts.kind == "face") + (facts.event == "leaves")
        observation = Observation(
            id=observation_id(self._options.source, "object", round_time(t0_s), k),
            source=self._options.source,
            channel="object",
            t0_s=round_time(t0_s),
            t1_s=round_time(max(t0_s, t1_s)),
            text=event.text,
            data=facts,
            evidence=evidence,
        )
        told.append(observation)
        return observation

    def _count(self, name: str) -> int:
        return sum(thing.told.name == name and not thing.missed for thing in self._follower.things)
