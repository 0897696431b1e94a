"""Which decoded frames deserve a closer look: a base rate, novelty, new shots, and hardly any of a still scene.

Every frame costs one comparison of an 80x45 grey picture (0.1 ms). Cuts are found as in content-aware
detectors (a jump that also breaks the correlation with the frame before); dissolves and fades by testing whether the
frames in between are blends of the picture before and after, as in Lienhart, "Reliable Transition Detection In
Videos" (2001), section 4.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

import cv2
import numpy as np
from msgspec import Struct

from perception.capture.file_video import Picture

Reason = Literal["first", "base", "novelty", "cut", "asked", "last"]  # last: of the recording, or before a change
Transition = Literal["", "cut", "fade", "dissolve"]

_TINY_PX = (80, 45)
# A tiny pixel averages 4x4 luma pixels, so sensor noise stays under 3 levels and codec noise under 8 (measured on
# fixed cameras); more than this is a real change there.
_PIXEL_CHANGED = 10.0
_STILL_PIXELS = 1  # changed tiny pixels (of 3600) up to which nothing happened
# Of a still scene the last picture is looked at, too, if the look before lies further back than so many of the usual
# intervals: up to ten seconds, in which what was on screen may have gone.
_STILL_ENDS = 2.0
# Novelty also counts where it is strongest: a hand entering changes a ninth of the picture, not its mean.
_REGIONS = 3
_REGION_WEIGHT = 0.4
_CUT_CHANGE = 0.05  # mean change of a hard cut; camera motion between two frames stays below or keeps its correlation
_CUT_CORRELATION = 0.6
_CUT_OVER_RECENT = 3.0
_FLASH_S = 0.4  # a picture that is back after this time was a flash, not a cut
_SHOT_MIN_S = 0.3  # jumps that follow a cut sooner are the same burst of movement
_MEMORY_HZ = 8.0
_TRANSITION_S = 2.5  # longest gradual transition recognised
_SETTLED = 0.006  # mean change between remembered pictures (1/8 s) once a transition is over
_SHOT_CHANGE = 0.06
_SHOT_CORRELATION = 0.75
_BLEND_RESIDUAL = 0.35
_FLAT_DEVIATION = 7.0  # grey levels; a picture below is one colour (black, or nearly)
_FLAT_SHARE = 0.98
_FLAT_DEVIATION_MAX = 37.0
_FADED_IN = 1.02  # growth of contrast in 1/8 s under which a fade-in is over


class KeyframeOptions(Struct, frozen=True):
    """The same as `SamplingConfig`, which documents each."""

    base_hz: float = 1.0
    novelty: float = 0.06
    min_gap_s: float = 0.2
    still_interval_s: float = 10.0


class Keyframe(Struct, frozen=True):
    """A frame to look at closely.

    change      0..1, mean absolute change of brightness since the previous keyframe, the busiest ninth counting more.
    motion      0..1, largest share of the picture that moved within 1/8 s since the previous keyframe.
    motion_at   centre (x, y) in 0..1 of what moved, weighted; None if nothing did.
    still       nothing visible changed since the previous keyframe.
    moving      bool (45, 80), where the picture changed within the last 1/8 s.
    transition  how a new shot began here; "" if it did not.
    """

    picture: Picture
    reason: Reason
    change: float
    motion: float
    still: bool
    moving: np.ndarray
    transition: Transition = ""
    motion_at: tuple[float, float] | None = None


class _Remembered(Struct, frozen=True):
    t_s: float
    tiny: np.ndarray
    flat: bool


class KeyframeSelector:
    """Stage: pictures in, keyframes out; call `finish` after the last.

    A picture gives one at most, or two where a still scene ends with it: how long what was there stayed is told by the
    picture before, too.
    """

    def __init__(self, options: KeyframeOptions) -> None:
        self._options = options
        self._previous: np.ndarray | None = None
        self._latest: Picture | None = None
        self._key: np.ndarray | None = None
        self._key_t_s = 0.0
        self._recent_change = 0.01
        self._memory: deque[_Remembered] = deque(maxlen=int(_TRANSITION_S * _MEMORY_HZ) + 4)
        self._flash: _Remembered | None = None
        self._shot_t_s = 0.0
        self._moving = _nothing()
        self._still = True
        self._motion = 0.0
        self._moved = np.zeros((_TINY_PX[1], _TINY_PX[0]))

    def set_options(self, options: KeyframeOptions) -> None:
        """Pick by other rates from the next picture on."""
        self._options = options

    def step(self, picture: Picture) -> list[Keyframe]:
        tiny = _tiny(picture.luma)
        if self._previous is None or self._key is None:
            self._previous, self._latest = tiny, picture
            self._remember(picture.t_s, tiny)
            return [self._take(picture, tiny, "first", "")]
        t_s = picture.t_s
        before, before_tiny, was_still = self._latest, self._previous, self._still
        transition = self._transition(t_s, tiny)
        self._previous, self._latest = tiny, picture
        difference = cv2.absdiff(tiny, self._key)
        change = _change(difference)
        self._still = self._still and _pixels_changed(difference) <= _STILL_PIXELS
        since_s = t_s - self._key_t_s
        options = self._options
        if transition:
            reason: Reason = "cut"
        elif since_s < options.min_gap_s:
            return []
        # The sooner after the last look, the more must have changed: lively scenes cost at most a few looks a second.
        elif change >= options.novelty * max(1.0, 1.0 / (since_s * options.base_hz)):
            reason = "novelty"
        elif since_s >= (options.still_interval_s if self._still else 1.0 / options.base_hz) - 0.001:
            reason = "base"
        else:
            return []
        earlier = []
        if was_still and not self._still and before is not None:
            earlier = self._end_of_still(before, before_tiny)
        return [*earlier, self._take(picture, tiny, reason, transition)]

    def _end_of_still(self, picture: Picture, tiny: np.ndarray) -> list[Keyframe]:
        """The last picture of a still scene, unless it was looked at a short while before."""
        if picture.t_s - self._key_t_s < _STILL_ENDS / self._options.base_hz:
            return []
        motion, moved, moving = self._motion, self._moved, self._moving
        self._motion, self._moved, self._moving, self._still = 0.0, np.zeros_like(moved), _nothing(), True
        keyframe = self._take(picture, tiny, "last", "")
        self._motion, self._moved, self._moving, self._still = motion, moved, moving, False
        return [keyframe]

    def finish(self) -> list[Keyframe]:
        """The very last picture, unless it was just looked at or nothing changed since."""
        picture = self._latest
        if picture is None or self._previous is None or picture.t_s - self._key_t_s < self._options.min_gap_s:
            return []
        return [self._take(picture, self._previous, "last", "")]

    def look(self) -> list[Keyframe]:
        """The picture last stepped, because somebody asks to see it."""
        if self._latest is None or self._previous is None:
            return []
        return [self._take(self._latest, self._previous, "asked", "")]

    def _take(self, picture: Picture, tiny: np.ndarray, reason: Reason, transition: Transition) -> Keyframe:
        change = 1.0 if self._key is None else _change(cv2.absdiff(tiny, self._key))
        moved = float(self._moved.sum())
        at = None
        if moved > 0:
            rows, columns = np.indices(self._moved.shape, dtype=np.float64)
            at = (
                round(float((self._moved * (columns + 0.5)).sum()) / moved / self._moved.shape[1], 3),
                round(float((self._moved * (rows + 0.5)).sum()) / moved / self._moved.shape[0], 3),
            )
        keyframe = Keyframe(
            picture=picture,
            reason=reason,
            change=round(min(1.0, change), 4),
            motion=round(self._motion, 4),
            still=self._still and reason not in ("first", "cut"),
            moving=self._moving,
            transition=transition,
            motion_at=at,
        )
        self._key, self._key_t_s = tiny, picture.t_s
        self._reset_since_key()
        return keyframe

    def _reset_since_key(self) -> None:
        self._still = True
        self._motion = 0.0
        self._moved = np.zeros((_TINY_PX[1], _TINY_PX[0]))

    def _transition(self, t_s: float, tiny: np.ndarray) -> Transition:
        """How a new shot begins with this picture; "" if none does."""
        assert self._previous is not None
        step = float(cv2.mean(cv2.absdiff(tiny, self._previous))[0]) / 255
        if self._is_jump(t_s, tiny, step):
            self._memory.clear()
            self._remember(t_s, tiny)
            self._moving = _nothing()
            if self._is_flash_over(t_s, tiny):
                return ""
            self._flash = _Remembered(t_s=t_s, tiny=self._previous, flat=False)
            self._shot_t_s = t_s
            return "cut"
        self._recent_change = 0.9 * self._recent_change + 0.1 * step
        if t_s - self._memory[-1].t_s < 1 / _MEMORY_HZ - 0.001:
            return ""
        before = self._memory[-1].tiny
        self._note_motion(tiny, before)
        transition = self._fade(t_s, tiny)
        if not transition and float(np.abs(tiny - before).mean()) / 255 < _SETTLED:
            transition = self._dissolve(t_s, tiny)
        if transition:
            self._memory.clear()
            self._shot_t_s = t_s
        self._remember(t_s, tiny)
        return transition

    def _is_jump(self, t_s: float, tiny: np.ndarray, step: float) -> bool:
        """Whether this picture is a different one from that before."""
        assert self._previous is not None
        if step < max(_CUT_CHANGE, _CUT_OVER_RECENT * self._recent_change) or t_s - self._shot_t_s < _SHOT_MIN_S:
            return self._is_flash_over(t_s, tiny)
        return _correlation(tiny, self._previous) < _CUT_CORRELATION

    def _is_flash_over(self, t_s: float, tiny: np.ndarray) -> bool:
        """Whether the picture from before the last jump is back."""
        flash = self._flash
        return flash is not None and t_s - flash.t_s <= _FLASH_S and _correlation(tiny, flash.tiny) > 0.9

    def _fade(self, t_s: float, tiny: np.ndarray) -> Transition:
        """A picture that has become one colour, or one that has come out of it and gains no more contrast."""
        memories = [memory for memory in self._memory if t_s - memory.t_s <= _TRANSITION_S]
        was_flat = any(memory.flat for memory in memories)
        if _is_flat(tiny):
            return "fade" if memories and not was_flat else ""
        if not was_flat or memories[-1].flat or float(tiny.std()) > _FADED_IN * float(memories[-1].tiny.std()):
            return ""
        return "fade"

    def _dissolve(self, t_s: float, tiny: np.ndarray) -> Transition:
        """Whether the remembered pictures are blends leading from an older picture to this one."""
        memories = [memory for memory in self._memory if t_s - memory.t_s <= _TRANSITION_S]
        for start, memory in enumerate(memories[:-2]):
            before = memory.tiny
            if memory.flat or float(np.abs(tiny - before).mean()) / 255 < _SHOT_CHANGE:
                continue
            if _correlation(tiny, before) > _SHOT_CORRELATION:
                continue
            if _are_blends(before, tiny, [between.tiny for between in memories[start + 1 :]]):
                return "dissolve"
        return ""

    def _note_motion(self, tiny: np.ndarray, before: np.ndarray) -> None:
        self._moving = moved = np.abs(tiny - before) > _PIXEL_CHANGED
        self._motion = max(self._motion, float(moved.mean()))
        if int(moved.sum()) > _STILL_PIXELS:
            self._moved += moved

    def _remember(self, t_s: float, tiny: np.ndarray) -> None:
        self._memory.append(_Remembered(t_s=t_s, tiny=tiny, flat=_is_flat(tiny)))


def _nothing() -> np.ndarray:
    return np.zeros((_TINY_PX[1], _TINY_PX[0]), bool)


def _tiny(luma: np.ndarray) -> np.ndarray:
    """float32 (45, 80) of the brightness, 0..255."""
    return cv2.resize(luma, _TINY_PX, interpolation=cv2.INTER_AREA).astype(np.float32)


def _change(difference: np.ndarray) -> float:
    """0..1: mean of an absolute difference, or a share of its busiest ninth if that is more."""
    regions = cv2.resize(difference, (_REGIONS, _REGIONS), interpolation=cv2.INTER_AREA)
    return max(float(regions.mean()), _REGION_WEIGHT * float(regions.max())) / 255


def _pixels_changed(difference: np.ndarray) -> int:
    return int(np.count_nonzero(difference > _PIXEL_CHANGED))


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """-1..1; 0 if exactly one of both is of one colour, 1 if both are."""
    a, b = one - one.mean(), other - other.mean()
    if _is_flat(one) or _is_flat(other):
        return 1.0 if _is_flat(one) and _is_flat(other) else 0.0
    return float((a * b).sum() / np.sqrt(float((a * a).sum()) * float((b * b).sum())))


def _is_flat(tiny: np.ndarray) -> bool:
    """One colour but for a small caption or logo."""
    # A fiftieth of white on black deviates by 36 levels; the median, which costs ten times as much, decides below that.
    if float(tiny.std()) > _FLAT_DEVIATION_MAX:
        return False
    return float((np.abs(tiny - np.median(tiny)) < _FLAT_DEVIATION).mean()) >= _FLAT_SHARE


def _are_blends(before: np.ndarray, after: np.ndarray, between: list[np.ndarray]) -> bool:
    """Whether some pictures lie truly between both, and all of those are their mixture in growing share."""
    direction = (after - before).ravel()
    length = float(direction @ direction)
    last_share, mixtures = -0.1, 0
    for picture in between:
        offset = (picture - before).ravel()
        share = float(offset @ direction) / length
        if share < last_share - 0.05:
            return False
        last_share = max(last_share, share)
        if 0.1 < share < 0.9:
            residual = offset - share * direction
            if float(np.sqrt((residual @ residual) / length)) > _BLEND_RESIDUAL:
                return False
            mixtures += 1
    return mixtures >= 2
