"""Calls between processes: a request with a deadline and an answer, or a stream of parts; cancellable.

DEALER to ROUTER. Frames to the callee: call id, deadline in ms, request. Back: call id, kind (part,
reply or failure), body. Cancelling goes over the callee's control socket, which is never behind data.
A call is sent again under the same id while nothing came back, because a request inside a process that
was killed is gone; the callee ignores an id that is running, and requests are idempotent.
"""

from __future__ import annotations

import math
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import zmq
import zmq.asyncio
from anyio.streams.memory import MemoryObjectSendStream

from runtime.bus import RECONNECT_MS, blocking_socket, endpoint
from runtime.errors import CallCancelled, DeadlineExceeded, DecodeError, MindstreamError, RemoteError
from runtime.messages import AnswerPart, Cancel, Failure, Message, decode, encode

PART, REPLY, FAILURE = b"P", b"R", b"F"
SEND_AGAIN_AFTER_S = 1.0
# How many calls given up before they came, or after they ended, are remembered.
GIVEN_UP_KEPT = 64

# Answers one request: a coroutine returns the reply; an async generator yields AnswerParts and last the reply.
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
        self._streams: dict[bytes, MemoryObjectSendStream[tuple[bytes, Message]]] = {}

    async def run(self) -> None:
        """Hand what comes back to the calls that wait for it, until cancelled."""
        try:
            while True:
                await self._socket.poll()
                while True:
                    try:
                        call, kind, body = self._raw.recv_multipart(zmq.NOBLOCK)
                    except zmq.Again:
                        break
                    stream = self._streams.get(call)
                    if stream is None:
                        continue
                    try:
                        stream.send_nowait((kind, decode(body)))
                    except DecodeError as error:
                        stream.send_nowait((FAILURE, Failure(kind="DecodeError", message=str(error))))
                await anyio.lowlevel.checkpoint()
        finally:
            self._socket.close()
            self._control.close()

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
        self._streams[call] = send
        frames = (call, str(math.ceil(deadline_s * 1000)).encode(), encode(request))
        deadline = anyio.current_time() + deadline_s
        finished = heard = False
        try:
            await self._socket.send_multipart(frames)
            while not finished:
                left_s = deadline - anyio.current_time()
                if left_s <= 0:
                    raise DeadlineExceeded(f"{self.name} did not answer within {deadline_s:g} s")
                with anyio.move_on_after(left_s if heard else min(left_s, SEND_AGAIN_AFTER_S)) as waiting:
                    kind, message = await receive.receive()
                if waiting.cancelled_caught:
                    if not heard and left_s > SEND_AGAIN_AFTER_S:
                        await self._socket.send_multipart(frames)
                    continue
                heard = True
                if kind == FAILURE:
                    finished = True
                    assert isinstance(message, Failure)
                    if message.kind == CallCancelled.__name__:
                        raise CallCancelled(message.message)
                    raise RemoteError(message.kind, message.message)
                finished = kind == REPLY
                yield message
        finally:
            del self._streams[call]
            send.close()
            receive.close()
            if not finished:
                self._control.send(Cancel(call=call.hex()))


class CallServer:
    """Serves the calls of one process."""

    def __init__(self, context: zmq.asyncio.Context, run_dir: Path, name: str) -> None:
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 200)
        self._socket.bind(endpoint(run_dir, "call", name))
        self._running: dict[bytes, anyio.CancelScope] = {}
        self._given_up: deque[bytes] = deque(maxlen=GIVEN_UP_KEPT)
        self._on_bug: Callable[[BaseException], None] = lambda error: None

    def cancel(self, call_hex: str) -> None:
        """Give up a call: one that runs, or that comes yet, since cancelling may overtake it. Others have ended."""
        call = bytes.fromhex(call_hex)
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
                    continue
                caller, call, deadline_ms, body = frames
                if call in self._running or call in self._given_up:
                    continue  # sent again while we work on it; or nobody waits for it any more
                try:
                    request, deadline_s = decode(body), int(deadline_ms) / 1000
                except (DecodeError, ValueError) as error:
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
                            if isinstance(message, AnswerPart):
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
        except MindstreamError as error:
            last = (FAILURE, Failure(kind=type(error).__name__, message=str(error)))
        except Exception as error:  # a bug of ours: its traceback goes to the log, one line to the caller
            self._on_bug(error)
            last = (FAILURE, Failure(kind=type(error).__name__, message=f"internal error: {error}"))
        finally:
            del self._running[call]
        await self._send(caller, call, *last)

    async def _send(self, caller: bytes, call: bytes, kind: bytes, message: Message) -> None:
        await self._socket.send_multipart((caller, call, kind, encode(message)))

    def close(self) -> None:
        self._socket.close()
