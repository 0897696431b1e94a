"""Citations checked: each must be an observation that exists in the View the question was asked in.

What does not exist is struck out and counted, and a `[m:ss]` mark that no remaining citation of its
sentence covers goes with it. A sentence that claimed evidence and has none left is not said at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from reasoning.answer.draft import Claim
from reasoning.query.memory_client import MemoryClient
from runtime.clock import media_time
from runtime.messages import Citation, Observation, ScanRequest, View

# A mark and the little words that lead to it, which would dangle without it.
_MARK = re.compile(r"(?:,|\s+(?:and|at|from|to|until))*\s*\[(?:(\d+):)?(\d{1,3}):(\d{2})\]")

# A mark of any kind, of media time or of the clock ("[today 06:47:20, yard]").
_ANY_MARK = re.compile(r"\[[^\[\]\n]{0,60}\d:\d{2}[^\[\]\n]{0,60}\]")


class Checked(Struct, frozen=True):
    """A claim after the check; ``text`` is "" when nothing of it stands. ``struck`` counts what was removed."""

    text: str
    cites: tuple[Observation, ...] = ()
    struck: int = 0


async def check_claim(
    claim: Claim, view: View, memory: MemoryClient, room_for: int, shown: Mapping[str, Observation] | None = None
) -> Checked:
    """``claim`` with only citations that exist, at most ``room_for`` of them, and only marks these cover.

    ``shown``: by id, what was looked at for the question itself and is newer than its View.
    """
    if not claim.cites:
        unfounded = strike_marks(claim.text, ())[1]
        return Checked("" if unfounded else claim.text, (), unfounded)
    ids = tuple(dict.fromkeys(o.id for o in claim.cites))
    reply = await memory.scan(ScanRequest(view=view, ids=ids, limit=len(ids)))
    existing = {o.id: o for o in reply.observations} | dict(shown or {})
    standing = [existing[o.id] for o in claim.cites if o.id in existing]
    missing = len(claim.cites) - len(standing)
    kept = tuple(standing[: max(0, room_for)])
    if not kept:
        return Checked("", (), missing)
    text, unfounded = strike_marks(claim.text, kept)
    return Checked(text, kept, missing + unfounded)


def has_mark(text: str) -> bool:
    """Whether a sentence names a moment it rests on itself."""
    return bool(_ANY_MARK.search(text))


def strike_marks(text: str, cites: Sequence[Observation]) -> tuple[str, int]:
    """``text`` without the marks that no citation covers to the second, and how many those were."""
    struck = 0

    def keep(found: re.Match[str]) -> str:
        nonlocal struck
        t_s = int(found[1] or 0) * 3600 + int(found[2]) * 60 + int(found[3])
        if any(int(o.t0_s) <= t_s <= int(o.t1_s) for o in cites):
            return found[0]
        struck += 1
        return ""

    return _MARK.sub(keep, text), struck


def cite(observations: Iterable[Observation]) -> tuple[Citation, ...]:
    """The citations of an answer, each observation once, in the order the answer mentions them."""
    return tuple(
        Citation(
            source=o.source, t0_s=o.t0_s, t1_s=o.t1_s, channel=o.channel, text=o.text, id=o.id, at=media_time(o.t0_s)
        )
        for o in {o.id: o for o in observations}.values()
    )
