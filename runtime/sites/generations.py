"""One number for the generations of many memories, so that "what is new since" means something for them all.

Kept in a file: who looks for what is new may have been away when this process was not.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from runtime.sites.membership import write_private

NAME = "generations.json"
KEPT = 500
# More than are given between two times that the file is written.
SKIPPED = 1000


class _Page(Struct, frozen=True):
    numbers: list[int]
    of_sites: list[dict[str, int]]


class Generations:
    """Site -> generation, by a number that only ever rises."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        try:
            page = msgspec.json.decode(self._path.read_bytes(), type=_Page)
        except (OSError, msgspec.DecodeError):
            page = _Page([0], [{}])
        self._numbers, self._of_sites = page.numbers, page.of_sites
        if self._numbers[-1]:  # those given after the file was written last are not given again
            self._numbers.append(self._numbers[-1] + SKIPPED)
            self._of_sites.append(self._of_sites[-1])

    @property
    def newest(self) -> int:
        return self._numbers[-1]

    def note(self, seen: Mapping[str, int]) -> int:
        """The number for what these sites have come to, and the others had. News that was overtaken is passed over; a
        memory that was made anew begins again far below."""
        before = self._of_sites[-1]
        now = {**before, **{s: n for s, n in seen.items() if not before.get(s, 0) // 2 <= n <= before.get(s, 0)}}
        if now != self._of_sites[-1]:
            self._numbers.append(self._numbers[-1] + 1)
            self._of_sites.append(now)
            del self._numbers[:-KEPT], self._of_sites[:-KEPT]
        return self._numbers[-1]

    def of(self, number: int, site: str) -> int:
        """What a site had come to by then; nothing where that is no longer known."""
        at = bisect.bisect_right(self._numbers, number) - 1
        return self._of_sites[at].get(site, 0) if at >= 0 else 0

    def save(self) -> None:
        write_private(self._path, msgspec.json.encode(_Page(self._numbers, self._of_sites)))
