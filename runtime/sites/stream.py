"""The stream of a site: one message for each observation its memory holds, and one of what is known beside them.

A subject names an observation by its number in memory and its digest, and holds one message: so sending it twice leaves
one, however long after, and what differs between memory and stream is told by names alone.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import msgspec
from msgspec import Struct

from runtime.config import BudgetConfig
from runtime.errors import CallError, UserError
from runtime.messages import ForgetReply, JournalEntry, SourceRecord, Tombstone, encode
from runtime.sites.names import (
    MIRROR_PREFIX,
    PROTOCOL,
    log_subjects,
    observation_subject,
    picture_subject,
    state_subject,
    stream_name,
)

if TYPE_CHECKING:
    from nats.aio.client import Client as Nats
    from nats.js.api import RawStreamMsg

MIB = 1 << 20
# A stream holds what memory holds, words twice as large at most; until what memory let go is taken out, more.
OVER_BUDGET = 3
MESSAGE_ID = "Nats-Msg-Id"
API_S = 10.0
_NO_SUCH_MESSAGE = 10043
_FULL = ("maximum bytes exceeded", "maximum messages exceeded", "insufficient resources", "no space")


class SiteState(Struct, frozen=True):
    """What the last message of a stream tells. ``place``: the number up to which all of memory has been sent; what is
    known of ``sources`` holds for that, and ``erasures`` are refused."""

    place: int = 0
    protocol: int = PROTOCOL
    version: str = ""
    pictures: bool = False
    sources: tuple[SourceRecord, ...] = ()
    erasures: tuple[Tombstone, ...] = ()


class StreamFull(UserError):
    """The stream takes nothing more."""


class SiteStream:
    """The stream of a site, at its own server; or, of ``domain``, seen from another; or the hub's copy of it."""

    def __init__(self, connection: Nats, site: str, domain: str = "") -> None:
        self.site = site
        self.name = stream_name(site)
        self._connection = connection
        self._js = connection.jetstream(domain=domain) if domain else connection.jetstream()
        self._prefix = f"$JS.{domain}.API" if domain else "$JS.API"

    async def make(self, budget: BudgetConfig) -> None:
        """Have it there, as large as its memory may need."""
        from nats.js import api
        from nats.js.errors import NotFoundError

        whole_mib = budget.hot_mib + budget.events_mib + budget.episodes_mib + budget.words_mib
        config = api.StreamConfig(
            name=self.name,
            subjects=[log_subjects(self.site)],
            max_msgs_per_subject=1,
            max_bytes=int(OVER_BUDGET * whole_mib * MIB),
            storage=api.StorageType.FILE,
            discard=api.DiscardPolicy.NEW,
            allow_direct=True,
        )
        try:
            await self._js.stream_info(self.name)
        except NotFoundError:
            await self._js.add_stream(config)
        else:
            await self._js.update_stream(config)

    async def make_mirror(self) -> None:
        """Have the hub keep a copy of it, taken up again whenever there is a link."""
        from nats.js import api

        external = api.ExternalStream(api=f"$JS.{self.site}.API", deliver=f"{MIRROR_PREFIX}.{self.site}")
        await self._js.add_stream(
            api.StreamConfig(
                name=self.name,
                storage=api.StorageType.FILE,
                mirror=api.StreamSource(name=self.name, external=external),
                max_msgs_per_subject=1,
                allow_direct=True,
            )
        )

    async def is_there(self) -> bool:
        from nats.js.errors import NotFoundError

        try:
            await self._js.stream_info(self.name)
        except NotFoundError:
            return False
        return True

    async def delete(self) -> None:
        """Have it gone, where it is there."""
        if await self.is_there():
            await self._js.delete_stream(self.name)

    async def size(self) -> tuple[int, int]:
        """(messages, bytes)"""
        state = (await self._js.stream_info(self.name)).state
        return state.messages, state.bytes

    async def read_state(self) -> SiteState:
        """What it tells beside observations; an empty one nothing."""
        from nats.js.errors import NotFoundError

        try:
            message = await self._js.get_last_msg(self.name, state_subject(self.site))
        except NotFoundError:
            return SiteState()
        return msgspec.msgpack.decode(message.data or b"", type=SiteState)

    async def send(self, entries: Iterable[JournalEntry], *, again: bool = False) -> int:
        """Have these observations in it, with the pictures they bring, acknowledged; how many messages. ``again``: they
        are there in another form, so that their ids are known to it.

        Raises:
            StreamFull: there is no room.
        """
        failed: list[Exception] = []

        async def publish(subject: str, data: bytes, message_id: str) -> None:
            # Not `publish_async`: of one that is refused nats-py 2.16 never tells.
            try:
                await self._js.publish(subject, data, timeout=API_S, headers={MESSAGE_ID: message_id})
            except Exception as error:
                failed.append(error)

        sent = 0
        async with anyio.create_task_group() as tasks:
            for entry in entries:
                o = entry.observation
                assert o is not None
                mark = f"#{entry.digest}" if again else ""
                words = encode(msgspec.structs.replace(o, payload=None))
                tasks.start_soon(publish, self.subject(entry), words, o.id + mark)
                sent += 1
                if o.payload is not None:
                    tasks.start_soon(publish, self.picture(entry), o.payload, f"{o.id}#picture{mark}")
                    sent += 1
        if failed:
            raise _explained(failed[0]) from failed[0]
        return sent

    async def send_state(self, state: SiteState) -> None:
        """Have it tell this beside its observations.

        Raises:
            StreamFull: there is no room.
        """
        try:
            await self._js.publish(state_subject(self.site), msgspec.msgpack.encode(state), timeout=API_S)
        except Exception as error:
            raise _explained(error) from error

    def subject(self, entry: JournalEntry) -> str:
        return observation_subject(self.site, entry.seq, entry.digest)

    def picture(self, entry: JournalEntry) -> str:
        """The subject of its picture; "" where none is kept."""
        return picture_subject(self.site, entry.seq, entry.picture) if entry.picture else ""

    async def subjects(self) -> set[str]:
        """Of all the observations and pictures in it."""
        found: set[str] = set()
        while True:
            asked = json.dumps({"subjects_filter": ">", "offset": len(found)}).encode()
            reply = await self._connection.request(f"{self._prefix}.STREAM.INFO.{self.name}", asked, timeout=API_S)
            told = json.loads(reply.data)
            if "error" in told:
                raise CallError(f"the stream of {self.site} cannot be read: {told['error'].get('description')}")
            before = len(found)
            found |= (told["state"].get("subjects") or {}).keys()
            if len(found) >= told.get("total", 0) or len(found) == before:
                return found - {state_subject(self.site)}

    async def messages(self) -> AsyncIterator[RawStreamMsg]:
        """All of its messages, in its order."""
        from nats.js.errors import NotFoundError

        last = (await self._js.stream_info(self.name)).state.last_seq
        seq = 1
        while seq <= last:
            try:
                message = await self._js.get_msg(
                    self.name, seq=seq, next=True, subject=log_subjects(self.site), direct=True
                )
            except NotFoundError:
                return
            assert message.seq is not None
            yield message
            seq = message.seq + 1

    async def erase(self, subjects: Iterable[str]) -> list[bytes]:
        """Take these out, their bytes overwritten; what they held.

        A message is overwritten where it lies, which a purge would leave until its file is written anew.
        """
        from nats.js.errors import BadRequestError, NotFoundError

        gone: list[bytes] = []
        for subject in subjects:
            try:
                message = await self._js.get_last_msg(self.name, subject)
                gone.append(message.data or b"")
                assert message.seq is not None
                await self._js.delete_msg(self.name, message.seq)
            except NotFoundError:
                continue
            except BadRequestError as error:  # another took it out meanwhile
                if error.err_code != _NO_SUCH_MESSAGE:
                    raise
        return gone


def _explained(error: Exception) -> Exception:
    if any(words in str(error) for words in _FULL):
        return StreamFull("the stream is full: memory holds more than its budget allows for, or the disk is full")
    return error


def without_folder(reply: ForgetReply, folder: str) -> ForgetReply:
    """What a memory tells of erasing, without the files of its folder that streams are in: those are rid of it only
    after, and looked through then."""
    return msgspec.structs.replace(
        reply,
        files={name: size for name, size in reply.files.items() if not name.startswith(f"{folder}/")},
        traces={name: n for name, n in reply.traces.items() if not name.startswith(f"{folder}/")},
    )


def traces_in(folder: Path, pieces: Iterable[bytes]) -> dict[str, int]:
    """File of ``folder`` -> how many of these pieces stand in it, 0 in most; of all files there are."""
    wanted = [piece for piece in pieces if piece]
    found: dict[str, int] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            held = path.read_bytes()
            found[str(path.relative_to(folder))] = sum(piece in held for piece in wanted)
    return found
