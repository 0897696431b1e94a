"""What memory does not hold yet, out of what is perceived again after a restart."""

from __future__ import annotations

from collections.abc import Iterator

from runtime.messages import Observation


class Fresh:
    """Passes on what memory does not hold yet; what a new frame refers to is told again, in case it is not there."""

    def __init__(self, watermark_s: float) -> None:
        self._watermark_s = watermark_s
        self._withheld: dict[str, Observation] = {}

    def pick(self, observations: list[Observation]) -> Iterator[Observation]:
        for observation in observations:
            if observation.t1_s <= self._watermark_s:
                if observation.channel != "frame":
                    self._withheld[observation.id] = observation
                continue
            for identity in observation.evidence:
                if identity in self._withheld:
                    yield self._withheld.pop(identity)
            yield observation
