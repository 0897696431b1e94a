"""How much of a model background work may have in an hour: calls and tokens, counted over the last hour."""

from __future__ import annotations

from collections import deque

from runtime.clock import Clock

WINDOW_S = 3600.0


class Allowance:
    """So many calls (1 or more) and tokens in any hour; ``tokens`` 0 or less counts none."""

    def __init__(self, calls: int, tokens: int, clock: Clock) -> None:
        self._calls = calls
        self._tokens = tokens
        self._clock = clock
        self._spent: deque[tuple[float, int]] = deque()

    def spend(self, tokens: int) -> None:
        """A call was made that took so many tokens."""
        self._spent.append((self._clock.now(), tokens))

    def wait_s(self) -> float:
        """Seconds until the next call may be made; 0 where one may be now."""
        now_s = self._clock.now()
        while self._spent and now_s - self._spent[0][0] >= WINDOW_S:
            self._spent.popleft()
        wait_s, calls, tokens = 0.0, len(self._spent), sum(n for _, n in self._spent)
        for spent_s, n in self._spent:
            if calls < self._calls and not 0 < self._tokens <= tokens:
                break
            wait_s, calls, tokens = spent_s + WINDOW_S - now_s, calls - 1, tokens - n
        return max(0.0, wait_s)
