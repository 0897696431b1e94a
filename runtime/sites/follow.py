"""Keeping the stream of a site as its memory is: what memory made durable is sent, what it let go is taken out.

Nothing is queued: memory itself is what waits to be sent, and the stream says how far that has come.
"""

from __future__ import annotations

import msgspec

from runtime.calls import Caller
from runtime.config import BudgetConfig
from runtime.errors import UserError
from runtime.messages import JournalEntry, JournalReply, JournalRequest
from runtime.sites.names import seq_of
from runtime.sites.stream import SiteState, SiteStream
from runtime.version import VERSION

MEMORY_S = 30.0
AT_ONCE = 200
DIGESTS_AT_ONCE = 50_000
# So many entries tell whether a stream is of this memory.
COMPARED = 200


class OtherMemory(UserError):
    """The stream is of another memory than this one."""


class Follower:
    """Follows one memory with one stream. ``pictures``: those that memory keeps are sent, too."""

    def __init__(self, stream: SiteStream, memory: Caller, budget: BudgetConfig, pictures: bool) -> None:
        self._stream = stream
        self._memory = memory
        self._budget = budget
        self._pictures = pictures
        self._state = SiteState()
        self._removed = -1
        # Memory let something go since this was last set to False; or may have, before it was followed.
        self.has_let_go = False

    @property
    def place(self) -> int:
        """The number up to which all that memory holds has been sent."""
        return self._state.place

    async def open(self) -> None:
        """Make the stream where there is none, and find how far it has come.

        Raises:
            OtherMemory: what it tells is not in this memory.
        """
        await self._stream.make(self._budget)
        self._state = await self._stream.read_state()
        if self._state.place:
            await self._check()
        if self._state.place and self._state.pictures != self._pictures:
            self._state = msgspec.structs.replace(self._state, pictures=self._pictures)
            await self.reconcile()

    async def follow(self) -> int:
        """Send what memory holds and the stream does not; how many observations that were.

        Raises:
            StreamFull: there is no room.
        """
        sent = 0
        while True:
            reply = await self._journal(self.place, AT_ONCE, whole=True)
            await self._stream.send(reply.entries)
            sent += len(reply.entries)
            place = reply.entries[-1].seq if reply.entries else self.place
            if reply.at_end:
                state = SiteState(
                    place=place,
                    version=VERSION,
                    pictures=self._pictures,
                    sources=reply.sources,
                    erasures=reply.erasures,
                )
                self.has_let_go |= reply.removed != self._removed
                self._removed = reply.removed
                if state != self._state:
                    await self._stream.send_state(state)
                self._state = state
                return sent
            self._state = msgspec.structs.replace(self._state, place=place)

    async def reconcile(self) -> list[bytes]:
        """Take out of the stream what memory has let go or holds otherwise by now, and send the latter anew; what was
        taken out."""
        there = {subject for subject in await self._stream.subjects() if seq_of(subject) <= self.place}
        held: dict[str, int] = {}
        for entry in await self._digests(0, self.place):
            held[self._stream.subject(entry)] = entry.seq
            if self._pictures and entry.picture:
                held[self._stream.picture(entry)] = entry.seq
        for seq in sorted({seq for subject, seq in held.items() if subject not in there}):
            reply = await self._journal(seq - 1, 1, whole=True)
            await self._stream.send((e for e in reply.entries if e.seq == seq), again=True)
        return await self._stream.erase(sorted(there - held.keys()))

    async def _check(self) -> None:
        there = await self._stream.subjects()
        known = await self._journal(max(0, self.place - COMPARED), 1, whole=False)
        upto = min(self.place, known.last)
        some = await self._digests(max(0, upto - COMPARED), upto)
        if there and (not known.last or (some and not any(self._stream.subject(entry) in there for entry in some))):
            raise OtherMemory(
                f"the stream of {self._stream.site} is of another memory than this one; was it lost? `sites rebuild"
                f" {self._stream.site}` brings it back, `sites leave` and another name begin anew"
            )
        if known.last < self.place:  # the machine died before its last seconds were on the disk
            self._state = msgspec.structs.replace(self._state, place=known.last)
            await self._stream.erase(sorted(subject for subject in there if seq_of(subject) > known.last))

    async def _digests(self, after: int, upto: int) -> list[JournalEntry]:
        found: list[JournalEntry] = []
        while True:
            reply = await self._journal(after, DIGESTS_AT_ONCE, whole=False)
            found += [entry for entry in reply.entries if entry.seq <= upto]
            if reply.at_end or reply.entries[-1].seq >= upto:
                return found
            after = reply.entries[-1].seq

    async def _journal(self, after: int, limit: int, *, whole: bool) -> JournalReply:
        request = JournalRequest(after=after, limit=limit, whole=whole, with_pictures=self._pictures)
        reply: JournalReply = await self._memory.call(request, MEMORY_S)
        return reply
