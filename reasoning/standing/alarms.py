"""What was decided of standing queries, and which of it were false alarms: nothing like those is told again."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

import msgspec

from reasoning.query.memory_client import MemoryClient
from reasoning.standing.learned import Mistake, is_mistaken_again, told_of
from reasoning.standing.store import StandingQueryStore
from runtime.messages import Decision, Observation, ScanRequest, StandingQuery, View

# A sign's picture is sought so near to it; and so many pictures before tell what is usual of a source.
NEAR_S = 11.0
USUAL = 64


class Alarms:
    """Decisions and false alarms, in ``book``; pictures are read from ``memory``."""

    def __init__(self, memory: MemoryClient, book: StandingQueryStore) -> None:
        self._memory = memory
        self._book = book

    async def decide(
        self, query: StandingQuery, o: Observation, yes: bool, by: str, reason: str, picture: Observation | None
    ) -> Decision:
        """Note a decision about ``o``, with the picture that it rests on."""
        decision = Decision(
            query=query.id, source=o.source, t_s=o.t0_s, yes=yes, by=by,  # type: ignore[arg-type]
            reason=" ".join(reason.split()), picture=picture.id if picture is not None else "",
        )  # fmt: skip
        self._book.decide(decision)
        return decision

    async def picture_of(self, o: Observation) -> Observation | None:
        """The frame that shows what was noticed, without its JPEG; None where none is near."""
        if o.channel == "frame" or not o.id:
            return o if o.channel == "frame" else None
        frames = await self._frames(o.source, o.t0_s - NEAR_S, o.t1_s + NEAR_S)
        return min(frames, key=lambda frame: (abs(frame.t0_s - o.t0_s), frame.t0_s), default=None)

    async def is_mistaken_again(self, query: StandingQuery, picture: Observation | None) -> bool:
        """Whether it looks like what the user called a false alarm of this query."""
        mistakes = [m for m in self._book.mistakes if m.query == query.id and picture and m.source == picture.source]
        if picture is None or not mistakes or not picture.vector:
            return False
        right = [d.picture for d in self._book.decisions if d.query == query.id and d.told and not d.mistaken]
        told = await self._by_id(picture.source, right)
        usual = await self._frames(picture.source, None, picture.t0_s)
        vectors = [vector_of(o) for o in told if o.id != picture.id]
        return is_mistaken_again(vector_of(picture), mistakes, vectors, [vector_of(o) for o in usual])

    async def mark(self, query: StandingQuery) -> str:
        """The user says that what this query told last was a false alarm: what is to be said to that; "" where it told
        nothing."""
        told = [d for d in self._book.decisions if d.query == query.id and d.told and not d.mistaken]
        if not told:
            return ""
        wrong = told[-1]
        self._book.replace(wrong, msgspec.structs.replace(wrong, mistaken=True))
        found = await self._by_id(wrong.source, [wrong.picture] if wrong.picture else [])
        if not found or not found[0].vector:
            return "noted; no picture of it is kept, so I cannot know the like of it again"
        self._book.add_mistake(
            Mistake(query.id, wrong.source, wrong.picture, vector_of(found[0]), wrong.reason)
        )  # fmt: skip
        return "noted; what looks like that I will not tell you for it again"

    def notes(self, queries: Sequence[StandingQuery]) -> dict[str, str]:
        """By query what a model that judges is told of false alarms."""
        return {q.id: told_of([m for m in self._book.mistakes if m.query == q.id]) for q in queries}

    async def let_go(self) -> None:
        """Something was erased: what was learned of a picture that is gone is let go, too."""
        kept: list[Mistake] = []
        for source in {m.source for m in self._book.mistakes}:
            mine = [m for m in self._book.mistakes if m.source == source]
            there = {o.id for o in await self._by_id(source, [m.picture for m in mine])}
            kept += [m for m in mine if m.picture in there]
        if len(kept) < len(self._book.mistakes):
            self._book.mistakes = tuple(kept)

    async def _by_id(self, source: str, ids: Sequence[str]) -> list[Observation]:
        wanted = tuple(dict.fromkeys(id_ for id_ in ids if id_))
        if not wanted:
            return []
        request = ScanRequest(view=_all_of(source), ids=wanted, limit=len(wanted))
        return list((await self._memory.scan(request)).observations)

    async def _frames(self, source: str, t0_s: float | None, t1_s: float) -> list[Observation]:
        """The newest frames of a stretch."""
        request = ScanRequest(
            view=_all_of(source), source=source, channels=("frame",), t0_s=t0_s, t1_s=t1_s, newest_first=True,
            limit=USUAL,
        )  # fmt: skip
        return list((await self._memory.scan(request)).observations)


def vector_of(o: Observation) -> tuple[float, ...]:
    """The descriptor of a frame; () where it has none."""
    return struct.unpack(f"<{len(o.vector) // 2}e", o.vector) if o.vector else ()


def _all_of(source: str) -> View:
    """Everything of a source that is in memory by now."""
    return View(generation=(1 << 62), limits={source: math.inf}, source=source)
