"""Calls between processes: a request with a deadline and an answer, or a stream of parts; cancellable.

DEALER to ROUTER. Frames to the callee: call id, deadline in ms, request. Back: call id, kind (part,
reply or failure), body. Cancelling goes over the callee's control socket, which is never behind data.
A call is sent again under the same id while nothing came back, because a request inside a process that
was killed is gone; the callee ignores an id that is running, and requests are idempotent. Once a part
came back it cannot begin again, so the end of the callee fails it at once.
"""

from __future__ import annotations

import math
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Protocol

import anyio
import anyio.lowlevel
import zmq
import zmq.asyncio
from anyio.streams.memory import MemoryObjectSendStream
from msgspec import Struct
from zmq.utils.monitor import recv_monitor_message

from runtime.bus import RECONNECT_MS, blocking_socket, endpoint
from runtime.errors import (
    CallCancelled,
    DeadlineExceeded,
    DecodeError,
    MindstreamError,
    ProcessFailed,
    RemoteError,
    root_cause,
)
from runtime.messages import AnswerPart, Cancel, DescribePart, Failure, Message, decode, encode

PART, REPLY, FAILURE = b"P", b"R", b"F"
SEND_AGAIN_AFTER_S = 1.0
# How many calls given up before they came, or after they ended, are remembered.
GIVEN_UP_KEPT = 64

# Answers one request: a coroutine returns the reply; an async generator yields parts and last the reply.
PARTS = (AnswerPart, DescribePart)
Handler = Callable[[Any], Awaitable[Message] | AsyncGenerator[Message, None]]


class ControlSender:
    """Sends control messages to one process; sending never blocks."""

    def __init__(self, context: zmq.asyncio.Context, run_dir: Path, name: str) -> None:
        self._socket = blocking_socket(context, zmq.PUSH)
        self._socket.setsockopt(zmq.LINGER, 100)
        self._socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        self._socket.connect(endpoint(run_dir, "control", name))

    def send(self, message: Message) -> bool:
        """True if the message is on its way; False if the process has not read many before it."""
        try:
            self._socket.send(encode(message), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        self._socket.close()


class _Waiting(Struct):
    """A call that has not ended. ``heard``: something of its answer came."""

    stream: MemoryObjectSendStream[tuple[bytes, Message]]
    heard: bool = False


class Calls(Protocol):
    """Calls one process, as a `Caller` does."""

    async def call(self, request: Message, deadline_s: float) -> Any: ...


class Caller:
    """Calls one process. ``run()`` must run in the owner's task group."""

    def __init__(self, context: zmq.asyncio.Context, run_dir: Path, name: str) -> None:
        self.name = name
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        self._socket.connect(endpoint(run_dir, "call", name))
        self._raw: zmq.Socket[bytes] = zmq.Socket.shadow(self._socket)
        self._control = ControlSender(context, run_dir, name)
        self._waiting: dict[bytes, _Waiting] = {}
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)

    async def run(self) -> None:
        """Hand what comes back to the calls that wait for it, until cancelled."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch_callee)
                while True:
                    await self._socket.poll()
                    self._receive()
                    await anyio.lowlevel.checkpoint()
        finally:
            self._socket.disable_monitor()
            self._monitor.close(linger=0)
            self._socket.close()
            self._control.close()

    def _receive(self) -> None:
        """Take what has come. Who waits for a message that cannot be read is told so; others are passed over."""
        while True:
            try:
                frames = self._raw.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            waiting = self._waiting.get(frames[0])
            if waiting is None:
                continue
            waiting.heard = True
            try:
                _, kind, body = frames
                message = decode(body)
            except (DecodeError, ValueError) as error:
                kind, message = FAILURE, Failure(kind=DecodeError.__name__, message=str(error))
            waiting.stream.send_nowait((kind, message))

    async def _watch_callee(self) -> None:
        """Fail what a process that has ended was answering: the one that takes its place knows nothing of it."""
        while True:
            await recv_monitor_message(self._monitor)
            self._receive()  # its last words count
            lost = f"{self.name} ended while it answered and is started again; ask once more"
            for waiting in self._waiting.values():
                if waiting.heard:
                    waiting.stream.send_nowait((FAILURE, Failure(kind=ProcessFailed.__name__, message=lost)))

    async def call(self, request: Message, deadline_s: float) -> Any:
        """The reply to ``request``.

        Raises:
            DeadlineExceeded: nothing came within ``deadline_s`` seconds.
            RemoteError: the callee failed.
        """
        async for message in self.stream(request, deadline_s):
            last = message
        return last

    async def stream(self, request: Message, deadline_s: float) -> AsyncGenerator[Any, None]:
        """The parts of the answer, then the reply. Leaving the iteration early cancels the call."""
        call = uuid.uuid4().bytes
        # Unbounded in count, bounded in time: a call ends by its deadline, and nobody else waits for a slow reader.
        send, receive = anyio.create_memory_object_stream[tuple[bytes, Message]](math.inf)
        waiting = self._waiting[call] = _Waiting(send)
        frames = (call, str(math.ceil(deadline_s * 1000)).encode(), encode(request))
        deadline = anyio.current_time() + deadline_s
        finished = False
        try:
            while not finished:
                left_s = deadline - anyio.current_time()
                if left_s <= 0:
                    raise DeadlineExceeded(f"{self.name} did not answer within {deadline_s:g} s")
                if not waiting.heard:
                    # Never blocks: where the callee takes nothing any more, it is tried again.
                    with suppress(zmq.Again):
                        await self._socket.send_multipart(frames, flags=zmq.NOBLOCK)
                with anyio.move_on_after(left_s if waiting.heard else min(left_s, SEND_AGAIN_AFTER_S)) as scope:
                    kind, message = await receive.receive()
                if scope.cancelled_caught:
                    continue
                if isinstance(message, Failure):
                    finished = True
                    if message.kind == CallCancelled.__name__:
                        raise CallCancelled(message.message)
                    raise RemoteError(message.kind, message.message)
                finished = kind == REPLY
                yield message
        finally:
            del self._waiting[call]
            send.close()
            receive.close()
            if not finished:
                self._control.send(Cancel(call=call.hex()))


class CallServer:
    """Serves the calls of one process."""

    def __init__(
        self,
        context: zmq.asyncio.Context,
        run_dir: Path,
        name: str,
        count_drop: Callable[[str], None] = lambda what: None,
    ) -> None:
        self._count_drop = count_drop
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 200)
        self._socket.bind(endpoint(run_dir, "call", name))
        self._running: dict[bytes, anyio.CancelScope] = {}
        self._given_up: deque[bytes] = deque(maxlen=GIVEN_UP_KEPT)
        self._on_bug: Callable[[BaseException], None] = lambda error: None

    def cancel(self, call_hex: str) -> None:
        """Give up a call: one that runs, or that comes yet, since cancelling may overtake it. Others have ended."""
        try:
            call = bytes.fromhex(call_hex)
        except ValueError:
            self._count_drop("control:undecodable")
            return
        scope = self._running.get(call)
        if scope is not None:
            scope.cancel()
        else:
            self._given_up.append(call)

    async def serve(
        self, handlers: dict[type[Message], Handler], on_bug: Callable[[BaseException], None] = lambda error: None
    ) -> None:
        """Answer calls, each in a task of its own under the caller's deadline, until cancelled."""
        self._on_bug = on_bug
        async with anyio.create_task_group() as tasks:
            while True:
                frames = await self._socket.recv_multipart()
                if len(frames) != 4:
                    self._count_drop("call:undecodable")
                    continue
                caller, call, deadline_ms, body = frames
                if call in self._running or call in self._given_up:
                    continue  # sent again while we work on it; or nobody waits for it any more
                try:
                    request, deadline_s = decode(body), int(deadline_ms) / 1000
                except (DecodeError, ValueError, OverflowError) as error:
                    self._count_drop("call:undecodable")
                    await self._send(caller, call, FAILURE, Failure(kind="DecodeError", message=str(error)))
                    continue
                handler = handlers.get(type(request))
                if handler is None:
                    what = f"no handler for {type(request).__name__}"
                    await self._send(caller, call, FAILURE, Failure(kind="RemoteError", message=what))
                    continue
                scope = anyio.CancelScope(deadline=anyio.current_time() + deadline_s)
                self._running[call] = scope
                tasks.start_soon(self._run, scope, handler, request, caller, call)

    async def _run(
        self, scope: anyio.CancelScope, handler: Handler, request: Message, caller: bytes, call: bytes
    ) -> None:
        last: tuple[bytes, Message] | None = None
        try:
            with scope:
                result = handler(request)
                if isinstance(result, AsyncGenerator):
                    async with aclosing(result) as messages:
                        async for message in messages:
                            if isinstance(message, PARTS):
                                await self._send(caller, call, PART, message)
                            else:
                                last = (REPLY, message)
                    assert last is not None, f"{handler} ended without a reply"
                else:
                    last = (REPLY, await result)
            if last is None:
                late = anyio.current_time() >= scope.deadline
                error = "DeadlineExceeded" if late else CallCancelled.__name__
                last = (FAILURE, Failure(kind=error, message="the call was given up"))
        except Exception as error:
            cause = root_cause(error)
            if isinstance(cause, MindstreamError):
                last = (FAILURE, Failure(kind=type(cause).__name__, message=str(cause)))
            else:  # a bug of ours: its traceback goes to the log, one line to the caller
                self._on_bug(error)
                last = (FAILURE, Failure(kind=type(cause).__name__, message=f"internal error: {cause}"))
        finally:
            del self._running[call]
        await self._send(caller, call, *last)

    async def _send(self, caller: bytes, call: bytes, kind: bytes, message: Message) -> None:
        await self._socket.send_multipart((caller, call, kind, encode(message)))

    def close(self) -> None:
        self._socket.close()
