"""A device's own clock on the clock of the session: samples counted or time stamps in, media seconds out.

No two crystals agree: a sound card runs some tens of parts per million beside the machine's clock, a camera on the
network likewise, which is a quarter of a second in an hour. What is known is when each piece arrived, which is never
too early but late by what waiting there was on the way. So the delay is taken where it is least, once for every
window, and a line through these minima tells offset and drift (cf. Moon, Skelly and Towsley, "Estimation and Removal
of Clock Skew from Network Delay Measurements", INFOCOM 1999, which fits below all points what is fitted here through
the lowest).
"""

from __future__ import annotations

from collections import deque

import numpy as np
from msgspec import Struct

# Long enough to hold a piece that hardly waited, short enough to see a change soon.
_WINDOW_S = 2.0
# Ten minutes: minima that scatter by 5 ms then give the drift to a few parts per million.
_WINDOWS = 300
# Before so many, the scatter of the minima would be taken for drift.
_WINDOWS_FOR_DRIFT = 15
# No sound card or camera is further off; a steeper line is congestion, not a crystal.
_DRIFT_MAX = 500e-6
# A piece so much earlier than foretold, or windows so much later, tell of a clock that jumped.
_JUMP_S = 0.05
_WINDOWS_FOR_JUMP = 3


class _Minimum(Struct, frozen=True):
    """The least delay (arrival minus device time) of a window, and the device time it was found at."""

    device_s: float
    delay_s: float


class DeviceClock:
    """Stage: the device time of a piece and the media time it arrived at in, the media time it was taken at out."""

    def __init__(self) -> None:
        self._minima: deque[_Minimum] = deque(maxlen=_WINDOWS)
        self._least: _Minimum | None = None
        self._window_from_s = 0.0
        self._offset_s = 0.0
        self._origin_s = 0.0
        self.drift = 0.0

    @property
    def drift_ppm(self) -> float:
        """By how much the device's second is longer than ours, in parts per million; 0 until it is known."""
        return 1e6 * self.drift

    def step(self, device_s: float, arrival_s: float) -> float:
        """Media seconds at which the device's clock showed ``device_s``."""
        now = _Minimum(device_s, arrival_s - device_s)
        if self._least is None or now.delay_s < self._foretold_s(device_s) - _JUMP_S:
            self._begin(now)
        elif device_s - self._window_from_s >= _WINDOW_S or device_s < self._window_from_s:
            self._minima.append(self._least)
            self._least, self._window_from_s = now, device_s
            self._fit()
        elif now.delay_s < self._least.delay_s:
            self._least = now
            if len(self._minima) < _WINDOWS_FOR_DRIFT:
                self._fit()
        return self.at(device_s)

    def at(self, device_s: float) -> float:
        """The same, without anything having arrived."""
        return device_s + self._foretold_s(device_s)

    def _begin(self, first: _Minimum) -> None:
        self._minima.clear()
        self._least, self._window_from_s = first, first.device_s
        self._fit()

    def _foretold_s(self, device_s: float) -> float:
        return self._offset_s + self.drift * (device_s - self._origin_s)

    def _fit(self) -> None:
        """Offset and drift from the minima; early on the least delay of all, and no drift."""
        assert self._least is not None
        late = list(self._minima)[-_WINDOWS_FOR_JUMP:]
        has_fit = len(self._minima) > _WINDOWS_FOR_DRIFT
        if has_fit and all(m.delay_s > self._foretold_s(m.device_s) + _JUMP_S for m in late):
            self._minima.clear()
            self._minima.extend(late)
        if len(self._minima) < _WINDOWS_FOR_DRIFT:
            known = [*self._minima, self._least]
            self.drift, self._origin_s = 0.0, self._least.device_s
            self._offset_s = min(minimum.delay_s for minimum in known)
            return
        at_s = np.array([minimum.device_s for minimum in self._minima])
        delays_s = np.array([minimum.delay_s for minimum in self._minima])
        self._origin_s, mean_s = float(at_s.mean()), float(delays_s.mean())
        spread = at_s - self._origin_s
        slope = float(spread @ (delays_s - mean_s)) / float(spread @ spread)
        self.drift = max(-_DRIFT_MAX, min(_DRIFT_MAX, slope))
        self._offset_s = mean_s
