"""Calls between sites: a message of ours and its reply over NATS, in pieces where that is long, with a deadline."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
from msgspec import Struct, field

from runtime.errors import DeadlineExceeded, DecodeError, MindstreamError, RemoteError, root_cause
from runtime.messages import Failure, Message, decode, encode
from runtime.sites.link import Away
from runtime.sites.names import PROTOCOL

if TYPE_CHECKING:
    from nats.aio.client import Client as Nats
    from nats.aio.msg import Msg

PIECE_BYTES = 512 << 10
# So many pieces of a reply at most: as much as memory gives for one request, many times over.
PIECES_MAX = 1024
_PIECE, _PIECES, _DEADLINE, _PROTOCOL, _STATUS = "Piece", "Pieces", "Deadline-Ms", "Protocol", "Status"

Handler = Callable[[Message, float], Awaitable[Message]]


class _Waiting(Struct):
    """A call whose reply has not come whole."""

    done: anyio.Event
    pieces: dict[int, bytes] = field(default_factory=dict)
    expected: int = 0
    away: bool = False


class SiteCaller:
    """Calls whoever listens on a subject."""

    def __init__(self, connection: Nats) -> None:
        self._connection = connection
        self._inbox = connection.new_inbox()
        self._numbers = itertools.count(1)
        self._waiting: dict[str, _Waiting] = {}

    async def open(self) -> None:
        """Listen for replies; before the first call."""
        await self._connection.subscribe(f"{self._inbox}.*", cb=self._take)

    async def call(self, subject: str, request: Message, deadline_s: float) -> Any:
        """The reply.

        Raises:
            Away: nobody listens there.
            DeadlineExceeded: it was late.
            RemoteError: it failed there.
        """
        from nats.errors import Error

        number = str(next(self._numbers))
        waiting = self._waiting[number] = _Waiting(anyio.Event())
        headers = {_DEADLINE: str(int(deadline_s * 1000)), _PROTOCOL: str(PROTOCOL)}
        try:
            with anyio.move_on_after(deadline_s):
                await self._connection.publish(subject, encode(request), f"{self._inbox}.{number}", headers)
                await waiting.done.wait()
        except Error as error:  # our own link is gone
            raise Away(f"cannot be reached ({error})") from error
        finally:
            del self._waiting[number]
        if waiting.away:
            raise Away("is away")
        if not waiting.done.is_set():
            raise DeadlineExceeded(f"did not answer within {deadline_s:g} s")
        reply = decode(b"".join(waiting.pieces[i] for i in range(waiting.expected)))
        if isinstance(reply, Failure):
            raise RemoteError(reply.kind, reply.message)
        return reply

    async def _take(self, message: Msg) -> None:
        waiting = self._waiting.get(message.subject.rpartition(".")[2])
        if waiting is None:
            return
        headers = message.headers or {}
        if headers.get(_STATUS) == "503":
            waiting.away = True
            waiting.done.set()
            return
        try:
            number, expected = int(headers.get(_PIECE, "0")), int(headers.get(_PIECES, "1"))
        except ValueError:
            return
        if 0 <= number < expected <= PIECES_MAX:
            waiting.pieces[number], waiting.expected = message.data, expected
            if len(waiting.pieces) == expected:
                waiting.done.set()


async def answer_calls(connection: Nats, subject: str, handler: Handler, tasks: anyio.abc.TaskGroup) -> None:
    """Have ``handler(request, deadline_s)`` answer what comes on ``subject``, each in a task of its own."""

    async def take(message: Msg) -> None:
        if message.reply:
            tasks.start_soon(_answer, connection, message, handler)

    await connection.subscribe(subject, cb=take)


async def _answer(connection: Nats, message: Msg, handler: Handler) -> None:
    from nats.errors import Error

    headers = message.headers or {}
    try:
        if headers.get(_PROTOCOL, str(PROTOCOL)) != str(PROTOCOL):
            raise RemoteError("UserError", f"it speaks protocol {PROTOCOL}, the hub another")
        deadline_s = int(headers.get(_DEADLINE, "5000")) / 1000
        with anyio.fail_after(deadline_s):
            reply = await handler(decode(message.data), deadline_s)
    except TimeoutError:
        return  # nobody waits any more
    except (DecodeError, ValueError) as error:
        reply = Failure(kind=DecodeError.__name__, message=str(error))
    except Exception as error:
        cause = root_cause(error)
        if not isinstance(cause, MindstreamError):
            raise
        kind = cause.kind if isinstance(cause, RemoteError) else type(cause).__name__
        reply = Failure(kind=kind, message=str(cause))
    body = encode(reply)
    pieces = [body[i : i + PIECE_BYTES] for i in range(0, len(body), PIECE_BYTES)] or [b""]
    with suppress(Error):  # whoever asked has its deadline
        for i, piece in enumerate(pieces):
            await connection.publish(message.reply, piece, headers={_PIECE: str(i), _PIECES: str(len(pieces))})
