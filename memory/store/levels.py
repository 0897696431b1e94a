"""How many bytes each level of memory may have, and what each bears of those that are used.

In all, the file including its free pages, its write-ahead log and what indexes lie beside it stay within the sum of
the budgets (`memory.budget.enforce`). A sixteenth of that, at most 8 MiB, is the log's.
"""

from __future__ import annotations

from msgspec import Struct

from memory.store.size_accounting import LEVELS, Level
from runtime.config import MemoryConfig

MIB = 1 << 20
LOG_SHARE = 16
LOG_MAX_BYTES = 8 * MIB


class Budget(Struct, frozen=True):
    """Bytes for each level; all index bytes are charged to the level they serve."""

    hot: int = 128 * MIB
    events: int = 64 * MIB
    episodes: int = 16 * MIB
    words: int = 64 * MIB

    @property
    def total(self) -> int:
        return self.hot + self.events + self.episodes + self.words

    @property
    def log(self) -> int:
        """Bytes that the write-ahead log may have after a commit."""
        return min(LOG_MAX_BYTES, self.total // LOG_SHARE)

    def of(self, level: Level) -> int:
        return int(getattr(self, level))


def budget_of(options: MemoryConfig) -> Budget:
    """The budgets of a profile, in bytes."""
    mib = options.budget
    return Budget(
        hot=int(mib.hot_mib * MIB), events=int(mib.events_mib * MIB), episodes=int(mib.episodes_mib * MIB),
        words=int(mib.words_mib * MIB),
    )  # fmt: skip


def share_out(totals: dict[str, int], used_bytes: int) -> dict[Level, int]:
    """What each level bears of ``used_bytes``, by what it is charged."""
    all_charged = max(1, sum(max(0, totals.get(level, 0)) for level in LEVELS))
    return {level: max(0, totals.get(level, 0)) * used_bytes // all_charged for level in LEVELS}
