"""Things followed from look to look, and what each look said they are.

A detector names things anew in every picture. Here what it finds is joined to what was found before: boxes are
matched by the assignment of greatest overlap (Kuhn, 1955; Jonker and Volgenant, 1987) against where each thing should
be by now, which the movement seen against the background tells, else its own course. Its name is voted over all looks
at it; it is known only when the looks agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import lap
import numpy as np

from perception.vision.detector import Sighting, intersection, is_part, overlap
from perception.vision.motion import Box, MovingThing, centre
from perception.vision.thing_colours import ThingColours
from runtime.language.vocabulary import Vocabulary

# A closer look counts twice as much as one at the whole picture. Older looks count less and less, by these factors for
# each newer one of their sort: what was half hidden at first is named by how it looks since.
CLOSER_WEIGHT = 2.0
_FADE_WHOLE, _FADE_CLOSER = 0.75, 0.85
_AGREED, _AGREED_LOOKS = 0.8, 1.8
# A name is told that has at least so much of the votes, after votes of so much weight, from several moments; with more,
# of one moment, where a shot begins. Of what is called a person by this detector more are right.
_SURE, _SURE_PERSON, _SURE_WEIGHT = 0.65, 0.5, 4.0
_MORE_AT_ONCE, _AT_ONCE_WEIGHT = 0.15, 5.0
_AHEAD = 0.15  # of the next name
# What fills more of the picture than this is no thing in it: leaves and dunes are a "bed", web pages a "laptop".
_SCENE = 0.5
# In what gets about by itself a name of something that cannot counts so much, if one that can has so many votes.
_CARRIED, _OPEN = 0.25, 0.15
_BEGIN = 0.25  # a place less probable than this begins no thing
_STRAY = 2.5  # how far from where it should be a thing is still it, in its own sizes, ...
_STRAY_PER_S = 0.12  # ... and in widths of the picture for each second since it was seen
_MATCH_MIN = 0.12
# What was told by a name is seen again only under that name, and is gone once so little of the votes are left to it.
_STILL_IT = 0.2
# A place is known again by how it stands out from what is around it, so much of its own size.
_PATCH_PX, _EDGE = 16, 0.3
_UNCHANGED = 9.0  # mean difference in grey levels up to which a place looks as before
# A thing is part of a movement that has so much of it, or that it has so much of, and some of the other.
_INSIDE, _OF_IT = 0.6, 0.2
_ENTRY_S = 4.0
_MOVES_REACH = 0.1  # in widths of the picture
_DOUBLE = 0.6
_KEPT = 64  # things followed at once


class Told(NamedTuple):
    """What a thing was told as: the observation, its name, and what it was called with its colours; "" so far."""

    id: str = ""
    name: str = ""
    called: str = ""


class _Ballot:
    """Votes for names, of which older ones count less and less."""

    __slots__ = ("looks", "votes")

    def __init__(self) -> None:
        self.looks = 0.0
        self.votes: dict[str, float] = {}

    def count(self, names: Iterable[tuple[str, float]], fade: float) -> None:
        self.looks = fade * self.looks + 1.0
        self.votes = {name: fade * votes for name, votes in self.votes.items()}
        for name, probability in names:
            self.votes[name] = self.votes.get(name, 0.0) + probability


class Followed:
    """A thing as far as it has been followed.

    number     the same for the same thing.
    first_s    when it was first seen, ``last_s`` when last; boxes are where. ``from_start``: the shot began with it.
    missed     looks in a row that did not find it; ``unseen`` counts on while its movement or place tells it is there.
    motion     the moving thing that it is or is part of at present; ``entry`` the first of these, ``exit`` the last,
               once that is gone.
    came       how far ``entry`` had come when it was joined to it.
    moves      it got somewhere against a still background.
    told       what it was told as; ``track`` is its number there.
    """

    __slots__ = (
        "box", "came", "closer", "closer_looks", "colours", "entry", "exit", "first_box", "first_s",
        "from_start", "largest", "last_s", "looked_s", "missed", "moments", "motion", "moves", "number",
        "patch", "told", "track", "unseen", "velocity", "weight", "whole",
    )  # fmt: skip

    def __init__(self, number: int, t_s: float, box: Box, from_start: bool) -> None:
        self.number, self.from_start = number, from_start
        self.first_s = self.last_s = t_s
        self.first_box = self.box = box
        self.largest = box[2] * box[3]
        self.velocity = (0.0, 0.0)
        self.whole, self.closer = _Ballot(), _Ballot()
        self.weight = 0.0
        self.moments, self.looked_s = 0, -1.0
        self.closer_looks = self.missed = self.unseen = 0
        self.motion: MovingThing | None = None
        self.entry: MovingThing | None = None
        self.exit: MovingThing | None = None
        self.came = (0.0, 0.0)
        self.moves = False
        self.patch: np.ndarray | None = None
        self.colours = ThingColours()
        self.told = Told()
        self.track = 0

    def vote(self, t_s: float, names: Iterable[tuple[str, float]], closer: bool) -> None:
        """Count a look at it, closer or at the whole picture, that found it under these names."""
        ballot, fade = (self.closer, _FADE_CLOSER) if closer else (self.whole, _FADE_WHOLE)
        ballot.count(names, fade)
        self.weight += CLOSER_WEIGHT if closer else 1.0
        if t_s > self.looked_s:
            self.moments, self.looked_s = self.moments + 1, t_s

    def share(self, name: str) -> float:
        """0..1: how far the looks at it agree on a name; closer looks that agree outweigh those at the whole."""
        closer, looks = self.closer.votes.get(name, 0.0), self.closer.looks
        weight = self.whole.looks + CLOSER_WEIGHT * looks
        share = (self.whole.votes.get(name, 0.0) + CLOSER_WEIGHT * closer) / weight if weight else 0.0
        agreed = closer / looks if looks >= _AGREED_LOOKS else 0.0
        return max(share, agreed) if agreed >= _AGREED else share

    def moved_to(self, t_s: float, box: Box) -> None:
        (x, y), (old_x, old_y) = centre(box), centre(self.box)
        seconds = t_s - self.last_s
        if seconds > 0:
            self.velocity = (0.5 * self.velocity[0] + 0.5 * (x - old_x) / seconds,
                             0.5 * self.velocity[1] + 0.5 * (y - old_y) / seconds)  # fmt: skip
        self.box, self.last_s, self.missed = box, max(t_s, self.last_s), 0
        self.largest = max(self.largest, box[2] * box[3])
        self.exit = None

    def ranked(self, vocabulary: Vocabulary) -> list[tuple[str, float]]:
        """(name, share of the votes), best first.

        Where it is open whether it is something that gets about by itself, and it does, it rather is.
        """
        shares = {name: self.share(name) for name in {*self.whole.votes, *self.closer.votes}}
        if self.moves and any(share >= _OPEN for name, share in shares.items() if vocabulary.moves(name)):
            shares = {name: share * (1.0 if vocabulary.moves(name) else _CARRIED) for name, share in shares.items()}
        return sorted(shares.items(), key=lambda entry: (-entry[1], entry[0]))

    def name(self, vocabulary: Vocabulary) -> tuple[str, float]:
        """What it is, with what probability; ("", 0) while the looks at it leave that open."""
        ranked = self.ranked(vocabulary)
        if not ranked:
            return "", 0.0
        (best, share), second = ranked[0], ranked[1][1] if len(ranked) > 1 else 0.0
        if self.largest > _SCENE and not vocabulary.moves(best):
            return "", 0.0
        least, weight = _SURE_PERSON if best == "person" else _SURE, _SURE_WEIGHT
        if self.moments < 2:
            least, weight = least + _MORE_AT_ONCE, _AT_ONCE_WEIGHT
        if share < least or self.weight < weight or share - second < _AHEAD:
            return "", 0.0
        return best, round(share, 3)


class ThingFollower:
    """Keeps the things of one shot; knows nothing of pictures but the places it is shown."""

    def __init__(self) -> None:
        self.things: list[Followed] = []
        self._numbers = 0

    def begin_shot(self) -> list[Followed]:
        """Follow nothing any more; what was followed."""
        gone, self.things = self.things, []
        return gone

    def carry(self, movements: Iterable[MovingThing]) -> None:
        """Carry things along with the movements they are part of, ended ones among them."""
        by_number = {movement.track: movement for movement in movements}
        for thing in self.things:
            if thing.motion is None:
                continue
            now = by_number.get(thing.motion.track)
            if now is not None:
                (x, y), (old_x, old_y) = centre(now.box), centre(thing.motion.box)
                thing.box = _shifted(thing.box, x - old_x, y - old_y)
                thing.patch = None
                if thing.entry is not None and thing.entry.track == now.track:
                    thing.entry = now
            thing.exit = now if now is not None and now.gone else None
            thing.motion = now if now is not None and not now.gone else None

    def see(self, t_s: float, seen: Sequence[Sighting], from_start: bool, closer: bool = False) -> list[Followed]:
        """Join what a look found to what is followed, and follow what is new; the things it found.

        closer  the look was at a part of the picture; what one at all of it does not find is missed.
        """
        found: list[Followed] = []
        matches = _matches(t_s, self.things, seen)
        for i, thing in enumerate(self.things):
            if i in matches:
                sighting = seen[matches[i]]
                thing.vote(t_s, sighting.names, closer)
                thing.moved_to(t_s, sighting.box)
                found.append(thing)
            elif not closer:
                thing.missed += 1
        taken = set(matches.values())
        for j, sighting in enumerate(seen):
            if j in taken or sighting.names[0][1] < _BEGIN or len(self.things) >= _KEPT:
                continue
            if closer and any(_is_part_of(sighting, thing) for thing in self.things):
                continue
            self._numbers += 1
            thing = Followed(self._numbers, t_s, sighting.box, from_start)
            thing.vote(t_s, sighting.names, closer)
            self.things.append(thing)
            found.append(thing)
        return found

    def join(self, movements: Sequence[MovingThing]) -> None:
        """Find which movement each thing is, or is part of."""
        for thing in self.things:
            best, most = None, _INSIDE
            for movement in movements:
                shared = intersection(thing.box, movement.box)
                inside = shared / (thing.box[2] * thing.box[3])
                filled = shared / (movement.box[2] * movement.box[3])
                if max(inside, filled) >= most and min(inside, filled) >= _OF_IT:
                    best, most = movement, max(inside, filled)
            thing.motion = best
            if best is not None:
                # What was there long before, or came long after, did not come in as this movement did.
                if thing.entry is None and abs(best.first_s - thing.first_s) <= _ENTRY_S:
                    thing.entry = best
                    (x, y), (first_x, first_y) = centre(best.box), centre(best.first_box)
                    thing.came = (x - first_x, y - first_y)
                thing.moves = thing.moves or best.reach >= _MOVES_REACH

    def doubles(self) -> list[Followed]:
        """Things told by the name of another that was followed before them and is at the same place: it once more."""
        told = [thing for thing in self.things if thing.told.id]
        return [
            thing
            for i, thing in enumerate(told)
            if any(o.told.name == thing.told.name and overlap(o.box, thing.box) >= _DOUBLE for o in told[:i])
        ]

    def drop(self, gone: Iterable[Followed]) -> None:
        numbers = {thing.number for thing in gone}
        self.things = [thing for thing in self.things if thing.number not in numbers]


def place_patch(grey: np.ndarray, box: Box) -> np.ndarray:
    """float32 (16, 16): what a place and its edge look like, to know it again. ``grey`` is uint8 (height, width)."""
    rows, columns = grey.shape
    left, right = (box[0] - _EDGE * box[2]) * columns, (box[0] + (1 + _EDGE) * box[2]) * columns
    top, bottom = (box[1] - _EDGE * box[3]) * rows, (box[1] + (1 + _EDGE) * box[3]) * rows
    part = grey[max(0, int(top)) : max(1, int(bottom)), max(0, int(left)) : max(1, int(right))]
    if part.size == 0:
        return np.zeros((_PATCH_PX, _PATCH_PX), np.float32)
    return cv2.resize(part, (_PATCH_PX, _PATCH_PX), interpolation=cv2.INTER_AREA).astype(np.float32)


def looks_as_before(patch: np.ndarray, before: np.ndarray) -> bool:
    """Whether a place looks as it did, whatever the light: then what was there still is."""
    difference = (patch - patch.mean()) - (before - before.mean())
    return float(np.abs(difference).mean()) <= _UNCHANGED


def _matches(t_s: float, things: Sequence[Followed], seen: Sequence[Sighting]) -> dict[int, int]:
    """Which thing (index) was seen as which sighting (index)."""
    if not things or not seen:
        return {}
    costs = np.full((len(things), len(seen)), 2.0)
    for i, thing in enumerate(things):
        expected = _expected(t_s, thing)
        for j, sighting in enumerate(seen):
            likeness = _likeness(t_s, thing, expected, sighting)
            if likeness >= _MATCH_MIN:
                costs[i, j] = 1.0 - likeness
    _, columns, _ = lap.lapjv(costs, extend_cost=True, cost_limit=1.0 - _MATCH_MIN)
    return {i: int(j) for i, j in enumerate(columns) if j >= 0}


def _is_part_of(sighting: Sighting, thing: Followed) -> bool:
    """Whether a closer look found a part of a thing under the name of the whole: a head, a hand."""
    return thing.share(sighting.names[0][0]) > 0 and is_part(sighting.box, thing.box)


def _expected(t_s: float, thing: Followed) -> Box:
    """Where a thing should be: where its movement has carried it, else on along its course."""
    if thing.motion is not None:
        return thing.box
    seconds = min(1.5, t_s - thing.last_s)
    return _shifted(thing.box, thing.velocity[0] * seconds, thing.velocity[1] * seconds)


def _likeness(t_s: float, thing: Followed, expected: Box, sighting: Sighting) -> float:
    """0..1: how well a sighting fits a thing, by place, size and name."""
    if thing.told.id and sighting.probability(thing.told.name) < _STILL_IT:
        return 0.0
    covered = max(overlap(expected, sighting.box), overlap(thing.box, sighting.box))
    (x, y), (other_x, other_y) = centre(expected), centre(sighting.box)
    size = max(*thing.box[2:], *sighting.box[2:])
    reach = 0.5 * size + _STRAY_PER_S * min(2.0, t_s - thing.last_s)
    near = 1.0 - ((x - other_x) ** 2 + (y - other_y) ** 2) ** 0.5 / reach
    larger = abs(np.log(sighting.box[2] * sighting.box[3] / (thing.box[2] * thing.box[3])))
    share = sum(thing.share(name) * probability for name, probability in sighting.names)
    if covered < 0.1 and (near <= 0 or larger > 1.2 or share < 0.15):
        return 0.0
    if covered < 0.5 and share < 0.05:
        return 0.0  # of another kind, and elsewhere
    place = max(covered, 0.6 * max(0.0, near) * float(np.exp(-0.5 * larger)))
    return float(min(1.0, 0.75 * place + 0.25 * min(1.0, 2 * share)))


def _shifted(box: Box, dx: float, dy: float) -> Box:
    return (box[0] + dx, box[1] + dy, box[2], box[3])
