"""What seeing may cost: rates are lowered in a declared order while a live source takes more than its share.

For live sources alone: a recording is replayed as fast as it can be, and must be seen the same way every time. The
stage reads no clock; the process that watches tells it what was used.
"""

from __future__ import annotations

from msgspec import Struct

# Of the mean that is kept of what was used: a burst of new text is over in two seconds and no reason to change.
_FOLLOW = 0.3
# A level is left when less than this share of the budget is used, for so many steps: rates must not swing.
_EASY, _EASY_STEPS = 0.6, 6
# After a change the mean must follow before the next.
_SETTLE_STEPS = 4


class SamplingLevel(Struct, frozen=True):
    """How much is looked at, as factors of what the profile says.

    faces_interval  of the time between two searches for faces.
    things_interval of the time between two searches for things, and between closer looks at them.
    text_budget     of what reading text may cost.
    look_gap        of the least time between two looks at novel pictures.
    base_interval   of the time between two looks that come whatever happens.
    """

    what: str
    faces_interval: float = 1.0
    things_interval: float = 1.0
    text_budget: float = 1.0
    look_gap: float = 1.0
    base_interval: float = 1.0


# The order in which rates are lowered: what is missed least first. Each level keeps what those before it lowered.
LEVELS = (
    SamplingLevel("all rates as configured"),
    SamplingLevel("faces sought half as often", faces_interval=2),
    SamplingLevel("faces and things half", faces_interval=2, things_interval=2),
    SamplingLevel("faces and things half, text at half its budget", 2, 2, text_budget=0.5),
    SamplingLevel("faces, things and text half, novel pictures at least 3 gaps apart", 2, 2, 0.5, look_gap=3),
    SamplingLevel("faces, things and text a quarter, novel pictures 5 gaps apart", 4, 4, 0.25, 5),
    SamplingLevel("faces, things, text and looks at a quarter", 4, 4, 0.25, 5, base_interval=4),
)


class CpuUse(Struct, frozen=True):
    """Processor time used since the last one, in cores: 0.5 is half of one core all the time."""

    cores: float


class SamplingBudget:
    """Stage: what was used in, the level of sampling out when it changes.

    budget_cores  what may be used on average; 0 sets no limit.
    """

    def __init__(self, budget_cores: float) -> None:
        self._budget = budget_cores
        self._mean: float | None = None
        self._easy = self._settling = 0
        self._level = 0

    @property
    def level(self) -> SamplingLevel:
        return LEVELS[self._level]

    def step(self, use: CpuUse) -> list[SamplingLevel]:
        self._mean = use.cores if self._mean is None else (1 - _FOLLOW) * self._mean + _FOLLOW * use.cores
        if not self._budget:
            return []
        self._easy = self._easy + 1 if self._mean < _EASY * self._budget else 0
        if self._settling:
            self._settling -= 1
            return []
        if self._mean > self._budget and self._level < len(LEVELS) - 1:
            return self._change(1)
        if self._easy >= _EASY_STEPS and self._level:
            return self._change(-1)
        return []

    def _change(self, by: int) -> list[SamplingLevel]:
        self._level += by
        self._easy, self._settling = 0, _SETTLE_STEPS
        return [self.level]
