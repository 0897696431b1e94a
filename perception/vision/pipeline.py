"""What is seen: every decoded picture goes in, observations come out, in two halves that may run in two threads.

`FrameSelector` is cheap and takes every picture: it picks keyframes and follows what moves. `FrameAnalyser` is slow and
takes the picked ones only: it describes, reads, finds people and keeps a small picture. Both are stages, so the same
file gives the same observations every time.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import msgspec
import numpy as np
from msgspec import Struct

from perception.capture.file_video import Picture
from perception.vision.description import Description, Encoder
from perception.vision.detector import Detector
from perception.vision.in_sight import Found, InSight, InView, sight
from perception.vision.keyframes import Keyframe, KeyframeOptions, KeyframeSelector
from perception.vision.layout import NUMBERS, place_of
from perception.vision.motion import MotionTracker, MovingThing, Place
from perception.vision.object_events import listed
from perception.vision.objects import ObjectFinder, ObjectOptions
from perception.vision.ocr import TextEngine
from perception.vision.read_text import TextOptions, TextReader
from perception.vision.sampling_budget import LEVELS, SamplingLevel
from perception.vision.text_lines import Box
from runtime.config import SamplingConfig, VisionConfig
from runtime.language.vocabulary import EVERYDAY, load_vocabulary
from runtime.messages import FrameFacts, Observation, Patch, observation_id, round_time

_UNREAD_TOLD = 8  # places of writing too small to be read
_MOTION_TOLD = 0.004  # share of the picture that must move to be mentioned
# What is followed no longer than this, in looks of the tracker (five a second), deserves a glance now and then: what it
# is should be known soon.
_YOUNG_LOOKS = 12
_GLANCE_S = 0.4
# A picture is kept large where it begins a shot, or differs so much from the last one that was, and, while something
# goes on, once in a while: so all 21 events of seven clips have one that can be their keyframe (at .15, 17).
_LARGE_DISTANCE = 0.06
_LARGE_APART_S, _LARGE_AGAIN_S = 1.0, 16.0
_MOVEMENT, _STILL = "movement at the ", "nothing moves"


class Look(Struct, frozen=True):
    """A keyframe with what moved by then, as handed from `FrameSelector` to `FrameAnalyser`."""

    keyframe: Keyframe
    things: tuple[MovingThing, ...] = ()
    gone: tuple[MovingThing, ...] = ()


def merge_looks(older: Look, newer: Look) -> Look:
    """The newer look with what the older one, which nobody got to see, would have told besides."""
    earlier, later = older.keyframe, newer.keyframe
    keyframe = msgspec.structs.replace(
        later,
        reason=earlier.reason if earlier.reason in ("first", "cut") else later.reason,
        transition=later.transition or earlier.transition,
        change=max(earlier.change, later.change),
        motion=max(earlier.motion, later.motion),
        motion_at=later.motion_at or earlier.motion_at,
        still=earlier.still and later.still,
        moving=earlier.moving | later.moving,
    )
    return msgspec.structs.replace(newer, keyframe=keyframe, gone=(*older.gone, *newer.gone))


class QuickDetection(Struct, frozen=True):
    """A picture between two looks, for the sake of what has just begun to move in it. One not taken is no loss."""

    picture: Picture
    things: tuple[MovingThing, ...]


class FrameSelector:
    """Stage: pictures in, looks and glances out, in the order of time."""

    def __init__(self, sampling: SamplingConfig, motion: bool) -> None:
        self._sampling = sampling
        self._selector = KeyframeSelector(_options(sampling, LEVELS[0]))
        self._tracker = MotionTracker() if motion else None
        self._glances = True
        self._looked_s = 0.0

    def adapt(self, level: SamplingLevel) -> None:
        """Look as often as ``level`` says from the next picture on."""
        self._selector.set_options(_options(self._sampling, level))
        self._glances = level == LEVELS[0]

    def step(self, picture: Picture, asked: bool = False) -> list[Look | QuickDetection]:
        """``asked``: somebody wants to see this picture, so it gets a look however like the last one it is."""
        keyframes = self._selector.step(picture)
        if asked and not keyframes:
            keyframes = self._selector.look()
        followed = False
        if self._tracker is not None:
            new_shot = any(keyframe.transition for keyframe in keyframes)
            followed = self._tracker.step(picture.t_s, picture.luma, new_shot)
        if keyframes:
            self._looked_s = picture.t_s
        if keyframes or not followed or not self._glances or picture.t_s - self._looked_s < _GLANCE_S:
            return [self._look(keyframe) for keyframe in keyframes]
        return self._glance(picture)

    def places(self, t_s: float) -> dict[int, Place]:
        """Track -> where what moves should be at ``t_s``."""
        return {} if self._tracker is None else self._tracker.places(t_s)

    def finish(self) -> list[Look]:
        """The look at the very last picture, if it deserves one."""
        return [self._look(keyframe) for keyframe in self._selector.finish()]

    def _glance(self, picture: Picture) -> list[Look | QuickDetection]:
        assert self._tracker is not None
        things = self._tracker.things()
        if not any(thing.looks <= _YOUNG_LOOKS for thing in things):
            return []
        self._looked_s = picture.t_s
        return [QuickDetection(picture, things)]

    def _look(self, keyframe: Keyframe) -> Look:
        if self._tracker is None:
            return Look(keyframe=keyframe)
        return Look(keyframe=keyframe, things=self._tracker.things(), gone=self._tracker.take_gone())


class FrameAnalyser:
    """Stage: looks in, observations out: what appeared or left, what is to be read, then the frame that shows it.

    encoder  describes the picture.
    engine   reads text; None reads none.
    detector names things; None names none.
    """

    def __init__(
        self,
        source: str,
        vision: VisionConfig,
        encoder: Encoder,
        engine: TextEngine | None,
        detector: Detector | None = None,
    ) -> None:
        self._source = source
        self._vision = vision
        self._encoder = encoder
        options = TextOptions(source=source, min_confidence=vision.read_text_min_confidence)
        self._reader = TextReader(options, engine) if engine is not None else None
        # The vector of the last picture that was kept large, and when that was.
        self._large: tuple[np.ndarray, float] | None = None
        self._finder = ObjectFinder(
            ObjectOptions(
                source=source, faces=vision.faces, motion=vision.motion, detect_width_px=vision.detect_width_px
            ),
            load_vocabulary(vision.tags or EVERYDAY),
            detector,
        )

    @property
    def text_searches(self) -> int:
        """How often text was looked for, in all."""
        return self._reader.searches if self._reader is not None else 0

    def adapt(self, level: SamplingLevel) -> None:
        """Seek faces, things and text as often as ``level`` says from the next look on."""
        self._finder.seek_less(level.faces_interval, level.things_interval)
        if self._reader is not None:
            self._reader.budget = level.text_budget

    def step(self, *looks: Look) -> list[Observation]:
        """What is seen at looks that follow each other, in order."""
        told, bgrs = [], []
        for look in looks:
            keyframe = look.keyframe
            t_s = keyframe.picture.t_s
            bgr = keyframe.picture.bgr()
            new_shot = bool(keyframe.transition) or keyframe.reason == "first"
            seen = self._finder.step(t_s, bgr, look.things, look.gone, new_shot, keyframe.still)
            visible, unread = self._finder.visible, tuple[Box, ...]()
            if self._reader is not None:
                seen += self._reader.step(t_s, bgr, keyframe.moving, new_shot)
                visible, unread = (*self._reader.visible, *visible), self._reader.unread[:_UNREAD_TOLD]
            told.append((seen, visible, self._finder.in_view, unread))
            bgrs.append(bgr)
        descriptions = self._encoder.describe(bgrs)
        observations: list[Observation] = []
        for look, bgr, description, (seen, visible, in_view, unread) in zip(
            looks, bgrs, descriptions, told, strict=True
        ):
            observations += seen
            observations.append(self._frame(look.keyframe, bgr, description, visible, in_view, unread))
        return observations

    def glance(self, glance: QuickDetection) -> list[Observation]:
        """Who has just come into view, if somebody has."""
        return self._finder.glance(glance.picture.t_s, glance.picture.bgr(), glance.things)

    def in_sight(self, picture: Picture) -> tuple[InSight, ...]:
        """What the last look or glance, at this picture, left known, to be found again in the pictures after it."""
        written = () if self._reader is None else self._reader.shown
        return sight((*self._finder.shown, *(Found(text, box) for text, box in written)), picture.t_s, picture.luma)

    def _frame(
        self,
        keyframe: Keyframe,
        bgr: np.ndarray,
        description: Description,
        visible: tuple[str, ...],
        in_view: InView,
        unread: tuple[Box, ...],
    ) -> Observation:
        t_s = round_time(keyframe.picture.t_s)
        is_large = self._is_kept_large(keyframe, description, t_s)
        facts = FrameFacts(
            large=is_large,
            cut=bool(keyframe.transition),
            transition=keyframe.transition,
            reason=keyframe.reason,
            change=keyframe.change,
            motion=keyframe.motion,
            still=keyframe.still,
            brightness=description.brightness,
            colours=tuple(description.colours),
            regions=description.regions,
            patches=tuple(Patch(*patch) for patch in description.patches),
            tags=tuple(description.tags),
            things=in_view.things,
            people=in_view.people,
            faces=in_view.faces,
            width=int(bgr.shape[1]),
            height=int(bgr.shape[0]),
            unread=unread,
        )
        return Observation(
            id=observation_id(self._source, "frame", t_s),
            source=self._source,
            channel="frame",
            t0_s=t_s,
            t1_s=t_s,
            text=_sentence(keyframe, description, in_view),
            data=facts,
            vector=description.vector,
            vector_space=self._encoder.space,
            payload=self._coded(bgr, is_large),
            evidence=visible,
        )

    def _is_kept_large(self, keyframe: Keyframe, description: Description, t_s: float) -> bool:
        """Whether this picture is one to read and look closer at later, as an event's keyframe or beside it."""
        vector = np.frombuffer(description.vector, np.float16).astype(np.float32)
        if self._large is not None:
            before, since_s = self._large[0], t_s - self._large[1]
            is_new = before.size != vector.size or 1.0 - float(before @ vector) >= _LARGE_DISTANCE
            goes_on = since_s >= _LARGE_AGAIN_S and not keyframe.still
            if not keyframe.transition and not goes_on and (not is_new or since_s < _LARGE_APART_S):
                return False
        self._large = (vector, t_s)
        return True

    def _coded(self, bgr: np.ndarray, is_large: bool) -> bytes:
        """JPEG of the picture: no wider than configured and no higher than twice that, or, large, no longer on either
        side than is configured of keyframes."""
        height, width = bgr.shape[:2]
        small_px = self._vision.thumbnail_width_px
        scale = min(1.0, small_px / width, 2 * small_px / height)
        if is_large:
            scale = max(scale, min(1.0, self._vision.keyframe_px / max(width, height)))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = bgr if scale == 1.0 else cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
        coded, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, self._vision.thumbnail_quality])
        assert coded
        return bytes(jpeg.tobytes())


def _options(sampling: SamplingConfig, level: SamplingLevel) -> KeyframeOptions:
    return KeyframeOptions(
        base_hz=sampling.base_hz / level.base_interval,
        novelty=sampling.novelty,
        min_gap_s=sampling.min_gap_s * level.look_gap,
        still_interval_s=sampling.still_interval_s,
    )


def _sentence(keyframe: Keyframe, description: Description, in_view: InView) -> str:
    parts = [description.text]
    if keyframe.transition:
        parts.insert(
            0, "a new shot" if keyframe.transition == "cut" else f"a new picture after a {keyframe.transition}"
        )
    if description.tags:
        parts.append(_shows(description.tags))
    if people := in_view.people:
        parts.append("one person" if people == 1 else f"{NUMBERS[people] if people <= 10 else people} people")
    if things := listed(entry for entry in in_view.things if entry[0] != "person"):
        parts.append(", ".join(things))
    if keyframe.motion >= _MOTION_TOLD and keyframe.motion_at is not None:
        parts.append(f"{_MOVEMENT}{place_of(*keyframe.motion_at)}")
    elif keyframe.still:
        parts.append(_STILL)
    return "; ".join(parts)


def _shows(tags: Sequence[tuple[str, float]]) -> str:
    return "shows " + ", ".join(name for name, _ in tags)


def describe_anew(frame: Observation, description: Description, encoder: Encoder) -> Observation:
    """A remembered frame, less its small picture, with the vector and the tags that ``encoder`` gives that.

    What else is told of it was seen in the whole picture, which is gone, and stays; as do tags, where this encoder
    names nothing.
    """
    anew = msgspec.structs.replace(frame, vector=description.vector, vector_space=encoder.space, payload=None)
    if not encoder.names_things:
        return anew
    parts = frame.text.split("; ")
    if known := frame.facts(FrameFacts).tags:
        parts = [part for part in parts if part != _shows(known)]
    facts = msgspec.structs.replace(frame.facts(FrameFacts), tags=tuple(description.tags))
    if description.tags:
        tells_motion = parts[-1].startswith(_MOVEMENT) or parts[-1] == _STILL
        tells_things = any(name != "person" for name, _ in facts.things)
        parts.insert(len(parts) - tells_motion - tells_things - bool(facts.people), _shows(description.tags))
    return msgspec.structs.replace(anew, text="; ".join(parts), data=facts)
