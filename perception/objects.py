"""People, faces and moving things as events: what appears, what leaves, where, which way, in what colours.

A person is claimed for a moving thing only when OpenCV's HOG detector (Dalal and Triggs, 2005) finds a person's
figure in it at several looks; anything else that moves is called by its shape and colour. What cannot be told is
not said.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import cv2
import numpy as np
from msgspec import Struct

from perception.colours import ACHROMATIC, main_colour
from perception.describe import place_of
from perception.faces import FaceDetector, same_face
from perception.motion import Box, MovingThing, centre
from runtime.messages import Observation, observation_id, round_time

# A moving thing is worth telling when it gets somewhere: parts of a body that sits or talks do not. A person's figure
# is told sooner; anything else must come in or go out over the border, or cross a third of the picture.
_PERSON_REACH, _PERSON_REACH_FROM_BORDER = 0.2, 0.06
_REACH, _REACH_FROM_BORDER = 0.3, 0.15
_SHOT_MIN_S = 5.0  # in short shots nothing is known of the background, and what moves is the scene
_STRAIGHT_MIN = 0.35
_LOOKS_MIN = 5
_AREA_MAX = 0.4
# Figures are scaled to the height the HOG detector was trained at, 96 of its window's 128 pixels.
_FIGURE_PX = 96
_FIGURE_SURE = 0.35
_FIGURE_VOTES = 2
_FIGURE_SHARE = 0.4
_FIGURE_LOOKS_MAX = 8
_FIGURE_LOOKS = 4  # while one look of so many found a figure, wait for another before calling it a thing
_BACKGROUND_NEAR = 14.0  # Lab distance to what is beside a thing, under which a pixel shows what is behind it
_OWN_SHARE_MIN = 0.15
_GAIN_MAX = 1.35
_CUT_OFF = 0.01
_PERSON_ASPECT = (1.3, 5.0)
_TALL, _WIDE = 1.5, 0.75
_LARGE, _SMALL = 0.03, 0.006
_FACE_INTERVAL_S, _FACE_SEEK_S = 2.0, 3.0  # 50 ms each, so 25 ms a second while faces are in view, and 17 while not
_FACE_MISSES = 2
_DIRECTION_MIN = 0.04


class ObjectOptions(Struct, frozen=True):
    source: str
    people: bool = True
    faces: bool = True
    motion: bool = True
    detect_width_px: int = 480


class _Seen:
    """What is known of a moving thing beside its track."""

    __slots__ = ("bottom", "figures", "id", "looks", "name", "tested", "told_person", "top", "whole")

    def __init__(self) -> None:
        self.id = self.name = ""
        self.looks = self.figures = self.tested = 0
        self.told_person = False
        self.top: Counter[str] = Counter()
        self.bottom: Counter[str] = Counter()
        self.whole: Counter[str] = Counter()

    @property
    def is_person(self) -> bool:
        return self.figures >= _FIGURE_VOTES and self.figures >= _FIGURE_SHARE * self.tested


class _Face:
    __slots__ = ("box", "id", "missed", "number", "since_s", "top")

    def __init__(self, number: int, box: Box, t_s: float, identity: str, top: str) -> None:
        self.number, self.box, self.since_s, self.id, self.top, self.missed = number, box, t_s, identity, top, 0


class ObjectFinder:
    """Stage: sampled pictures and what moves in them in, `object` observations out."""

    def __init__(self, options: ObjectOptions) -> None:
        self._options = options
        self._seen: dict[int, _Seen] = {}
        self._visible: list[str] = []
        self._people_now = 0
        self._shot_t_s = 0.0
        self._faces: list[_Face] = []
        self._face_numbers = 0
        self._looked_for_faces_s = -_FACE_INTERVAL_S
        self.faces_interval = 1.0  # factor of the time between two searches for faces
        self._detector = FaceDetector(options.detect_width_px) if options.faces else None
        self._figures: Any = None
        if options.people:
            self._figures = cv2.HOGDescriptor()
            self._figures.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())  # type: ignore[attr-defined]

    @property
    def visible(self) -> tuple[str, ...]:
        """Ids of the "appears" observations of all that the last picture shows."""
        return tuple(self._visible)

    @property
    def people(self) -> int:
        """People in the last picture, as far as known: figures that move, or faces if these are more."""
        return max(self._people_now, len(self._faces))

    @property
    def faces(self) -> int:
        return len(self._faces)

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
            gain = _exposure_gain(bgr) if things else 1.0
            for thing in things:
                self._look_at(bgr, thing, gain)
                self._tell_appearing(told, t_s, thing)
        if new_shot:
            self._shot_t_s = t_s
        self._people_now = sum(s.is_person and bool(s.id) for t in things if (s := self._seen.get(t.track)) is not None)
        interval_s = (_FACE_INTERVAL_S if self._faces else _FACE_SEEK_S) * self.faces_interval
        due = t_s - self._looked_for_faces_s >= interval_s and not still
        if self._detector is not None and (new_shot or due):
            self._looked_for_faces_s = t_s
            self._follow_faces(told, t_s, bgr, self._detector.detect(bgr), new_shot)
        moving = [self._seen[thing.track].id for thing in things if thing.track in self._seen]
        self._visible = [identity for identity in (*moving, *(face.id for face in self._faces)) if identity]
        return told

    # --- moving things -----------------------------------------------------------------------------

    def _look_at(self, bgr: np.ndarray, thing: MovingThing, gain: float) -> None:
        """Take note of a thing's colours, and of whether it has a person's figure."""
        seen = self._seen.setdefault(thing.track, _Seen())
        seen.looks += 1
        pixels, own = _thing_pixels(bgr, thing.box, gain)
        rows = len(pixels)
        for colours, (start, end) in ((seen.whole, (0.0, 1.0)), (seen.top, (0.18, 0.48)), (seen.bottom, (0.58, 0.88))):
            part = slice(int(start * rows), max(int(start * rows) + 1, int(end * rows)))
            mask = own[part] if float(own[part].mean()) >= _OWN_SHARE_MIN else np.ones_like(own[part])
            colours[main_colour(pixels[part], mask)] += 1
        tall = _PERSON_ASPECT[0] <= thing.aspect <= _PERSON_ASPECT[1]
        if self._figures is not None and tall and seen.tested < _FIGURE_LOOKS_MAX and _is_whole(thing.box):
            seen.tested += 1
            seen.figures += self._has_figure(bgr, thing.box)

    def _has_figure(self, bgr: np.ndarray, box: Box) -> bool:
        """Whether HOG finds a person about as large as ``box`` in it."""
        rows, columns = bgr.shape[:2]
        x, y, width, height = box[0] * columns, box[1] * rows, box[2] * columns, box[3] * rows
        scale = _FIGURE_PX / max(height, 1.0)
        if scale > 6.0:
            return False
        half_width, half_height = 0.5 * 88 / scale, 0.5 * 152 / scale
        patch = _window(
            bgr, (x + width / 2 - half_width, y + height / 2 - half_height), (2 * half_width, 2 * half_height)
        )
        patch = cv2.resize(patch, (88, 152), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        _, weights = self._figures.detectMultiScale(
            patch, hitThreshold=0.0, winStride=(4, 4), padding=(0, 0), scale=1.08, groupThreshold=0
        )
        return len(weights) > 0 and float(np.max(weights)) >= _FIGURE_SURE

    def _tell_appearing(self, told: list[Observation], t_s: float, thing: MovingThing) -> None:
        seen = self._seen.get(thing.track)
        if seen is None or seen.id or t_s - self._shot_t_s < _SHOT_MIN_S or not _worth_telling(thing, seen.is_person):
            return
        undecided = seen.looks < 2 or (seen.figures and not seen.is_person and seen.tested < _FIGURE_LOOKS)
        if undecided and not thing.gone:
            return
        where = f"enters from the {thing.entered}" if thing.entered else (
            f"appears at the {place_of(*centre(thing.first_box))}"
        )  # fmt: skip
        way = direction(thing.travel)
        seen.name, seen.told_person = _called(seen, thing), seen.is_person
        text = f"{seen.name} {where}" + (f", moving {way}" if way else "")
        seen.id = self._event(told, thing.first_s, t_s, text, _facts(seen, thing, "appears", thing.first_box, way)).id

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
        facts = _facts(seen, thing, "leaves", thing.box, direction(thing.travel))
        self._event(told, thing.last_s, t_s, text, facts, evidence=(seen.id,))

    # --- faces -------------------------------------------------------------------------------------

    def _follow_faces(
        self, told: list[Observation], t_s: float, bgr: np.ndarray, found: list[Box], new_shot: bool
    ) -> None:
        unmatched = list(found)
        for face in list(self._faces):
            match = next((box for box in unmatched if same_face(box, face.box)), None)
            if match is not None:
                unmatched.remove(match)
                face.box, face.missed = match, 0
                continue
            face.missed += 1
            if new_shot or face.missed > _FACE_MISSES:
                self._faces.remove(face)
                text = (
                    f"the face at the {place_of(*centre(face.box))} is no longer seen, after {t_s - face.since_s:.0f} s"
                )
                facts = self._face_facts(face.number, face.box, "leaves", face.top)
                self._event(told, t_s, t_s, text, facts, evidence=(face.id,))
        for box in unmatched:
            self._face_numbers += 1
            x, y, width, height = box
            top = main_colour(_part(bgr, (x - 0.3 * width, y + 1.45 * height, 1.6 * width, 1.2 * height)))
            clothes = f", {top} below it" if top and y + 1.8 * height < 1 else ""
            text = f"a person's face at the {place_of(*centre(box))}{clothes}"
            facts = self._face_facts(self._face_numbers, box, "appears", top)
            facts["count"] = max(self._people_now, len(self._faces) + 1)
            observation = self._event(told, t_s, t_s, text, facts)
            self._faces.append(_Face(self._face_numbers, box, t_s, observation.id, top))

    def _face_facts(self, number: int, box: Box, event: str, top: str) -> dict[str, Any]:
        return {
            "kind": "face",
            "event": event,
            "track": number,
            "box": list(box),
            "colours": {"top": top},
            "side": _side(box),
            "direction": "",
            "count": self.people,
        }

    def _event(
        self,
        told: list[Observation],
        t0_s: float,
        t1_s: float,
        text: str,
        facts: dict[str, Any],
        evidence: tuple[str, ...] = (),
    ) -> Observation:
        facts.setdefault("count", self.people)
        k = facts["track"] * 4 + 2 * (facts["kind"] == "face") + (facts["event"] == "leaves")
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


def _is_whole(box: Box) -> bool:
    """Whether a thing is inside the picture from top to bottom: what is cut off cannot be told by its figure."""
    return box[1] > _CUT_OFF and box[1] + box[3] < 1 - _CUT_OFF


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


def _facts(seen: _Seen, thing: MovingThing, event: str, box: Box, way: str) -> dict[str, Any]:
    person = seen.is_person
    top, bottom, whole = _most(seen.top), _most(seen.bottom), _most(seen.whole)
    return {
        "kind": "person" if person else "moving",
        "event": event,
        "track": thing.track,
        "box": list(box),
        "colours": {"top": top, "bottom": bottom} if person else [whole],
        "side": (thing.left_over if event == "leaves" else thing.entered) or _side(box),
        "direction": way,
        "shape": _shape(thing.aspect),
        "size": _size(thing.box),
    }


def _called(seen: _Seen, thing: MovingThing) -> str:
    if seen.is_person:
        top, bottom = _most(seen.top), _most(seen.bottom)
        if top == bottom or not bottom:
            return f"a person in {top or 'dark'} clothes"
        return f"a person in a {top} top, {bottom} below"
    words = [word for word in (_size(thing.box), _shape(thing.aspect), _most(seen.whole)) if word]
    return f"a {' '.join(words)} moving thing"


def _most(colours: Counter[str]) -> str:
    """The colour seen most often; where a chromatic one is seen in a third of the looks it is the thing's own."""
    total = sum(colours.values())
    ranked = sorted(colours.items(), key=lambda pair: (-pair[1], pair[0]))
    for name, count in ranked:
        if name and name not in ACHROMATIC and count >= 0.34 * total:
            return name
    return next((name for name, _ in ranked if name), "")


def _shape(aspect: float) -> str:
    return "tall" if aspect >= _TALL else "wide" if aspect <= _WIDE else ""


def _size(box: Box) -> str:
    area = box[2] * box[3]
    return "large" if area >= _LARGE else "small" if area <= _SMALL else ""


def _side(box: Box) -> str:
    x, _ = centre(box)
    return "left" if x < 1 / 3 else "right" if x > 2 / 3 else "centre"


def _exposure_gain(bgr: np.ndarray) -> float:
    """Factor that brings the brightest part of a dull picture to white, as the eye does; 1 to _GAIN_MAX."""
    small = cv2.resize(bgr, (64, 64), interpolation=cv2.INTER_AREA)
    return float(np.clip(245.0 / max(1.0, float(np.percentile(small.max(axis=2), 99.5))), 1.0, _GAIN_MAX))


def _thing_pixels(bgr: np.ndarray, box: Box, gain: float) -> tuple[np.ndarray, np.ndarray]:
    """The pixels of a moving thing's box, and which of them (bool) are unlike what is right beside the box."""
    x, y, width, height = box
    margin_x, margin_y = 0.35 * width, 0.2 * height
    inside = _part(bgr, box)
    sides = (
        (x - margin_x, y, margin_x, height),
        (x + width, y, margin_x, height),
        (x, y - margin_y, width, margin_y),
        (x, y + height, width, margin_y),
    )
    pixels = np.clip(inside.astype(np.float32) * gain, 0, 255).astype(np.uint8)
    lab = cv2.cvtColor(inside.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
    own = np.ones(inside.shape[:2], bool)
    for side in sides:
        if side[0] < 0 or side[1] < 0 or side[0] + side[2] > 1 or side[1] + side[3] > 1:
            continue  # nothing is beside it there
        beside = cv2.cvtColor(_part(bgr, side).astype(np.float32) / 255, cv2.COLOR_BGR2Lab).reshape(-1, 3)
        own &= np.linalg.norm(lab - np.median(beside, axis=0), axis=2) > _BACKGROUND_NEAR
    return pixels, own


def _part(bgr: np.ndarray, box: Box) -> np.ndarray:
    """The pixels of ``box``, at most 32x32 of them; empty outside the picture."""
    rows, columns = bgr.shape[:2]
    left, right = (int(np.clip(value * columns, 0, columns)) for value in (box[0], box[0] + box[2]))
    top, bottom = (int(np.clip(value * rows, 0, rows)) for value in (box[1], box[1] + box[3]))
    part = bgr[top : max(bottom, top + 1), left : max(right, left + 1)]
    if part.size == 0 or max(part.shape[:2]) <= 32:
        return part
    return cv2.resize(part, (min(32, part.shape[1]), min(32, part.shape[0])), interpolation=cv2.INTER_AREA)


def _window(bgr: np.ndarray, corner: tuple[float, float], size: tuple[float, float]) -> np.ndarray:
    """The part of the picture at ``corner`` (x, y) in pixels, its border repeated where it reaches outside."""
    rows, columns = bgr.shape[:2]
    left, top = int(np.floor(corner[0])), int(np.floor(corner[1]))
    right, bottom = int(np.ceil(corner[0] + size[0])), int(np.ceil(corner[1] + size[1]))
    inside = bgr[max(0, top) : min(rows, bottom), max(0, left) : min(columns, right)]
    return cv2.copyMakeBorder(
        inside, max(0, -top), max(0, bottom - rows), max(0, -left), max(0, right - columns), cv2.BORDER_REPLICATE
    )
