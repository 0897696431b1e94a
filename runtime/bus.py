"""The bus: one PUB socket a process, read through subscriptions with a policy per topic.

A published message is three frames: topic, header (publisher's epoch and sequence number), body.
`latest` topics keep the newest message of each slot, in a slot of our own: ZeroMQ's CONFLATE breaks
multipart messages and a high-water mark of one keeps the oldest. `every` topics are read in order and
without holes: a message after a hole is refused, and the publisher's outbox sends it again because
memory did not acknowledge it (go-back-N).
"""

from __future__ import annotations

import struct
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import msgspec
import zmq
import zmq.asyncio
from msgspec import Struct

from runtime.broadcast import Broadcast
from runtime.errors import DecodeError, RestartNeeded
from runtime.messages import Ack, Message, decode, encode
from runtime.recording import Recorder
from runtime.topics import TOPICS

_HEADER = struct.Struct("<QQ")
RECONNECT_MS = 20
SEND_HWM = 20_000
RESEND_AFTER_S = 0.4
RESEND_AFTER_MAX_S = 5.0


class Member(Struct, frozen=True):
    """A process of this agent: its name and its role in the process table."""

    name: str
    role: str


def endpoint(run_dir: Path, kind: str, name: str) -> str:
    """Address of a process's socket: ``kind`` is "pub", "call" or "control"."""
    return f"ipc://{run_dir}/{kind}-{name}"


def blocking_socket(context: zmq.asyncio.Context, kind: int) -> zmq.Socket[bytes]:
    """A socket without futures, for sends that never wait; closed with its context like any other."""
    socket: zmq.Socket[bytes] = context.socket(kind, socket_class=zmq.Socket)  # type: ignore[arg-type, assignment]
    return socket


class Publisher:
    """The PUB socket of one process. Sending never blocks."""

    def __init__(
        self, context: zmq.asyncio.Context, run_dir: Path, name: str, recorder: Recorder | None = None
    ) -> None:
        self.name = name
        self.recorder = recorder
        self.epoch = time.time_ns()
        self._socket = blocking_socket(context, zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, SEND_HWM)
        self._socket.setsockopt(zmq.LINGER, 200)
        self._socket.bind(endpoint(run_dir, "pub", name))
        self._seq: dict[str, int] = {}
        self._repeated: dict[tuple[str, str], Message] = {}

    def publish(self, topic: str, message: Message) -> None:
        """Send on a `latest` topic."""
        row = TOPICS[topic]
        if row.repeated:
            self._repeated[(topic, str(getattr(message, row.key)) if row.key else "")] = message
        self.record(topic, message)
        seq = self._seq[topic] = self._seq.get(topic, 0) + 1
        self.send(topic, seq, encode(message))

    def record(self, topic: str, message: Message) -> None:
        """Keep a message that is about to be sent for the first time, if recording is on."""
        if self.recorder is not None and TOPICS[topic].recorded:
            self.recorder.write(message)

    def repeat(self) -> None:
        """Send again what late joiners must know."""
        for (topic, _), message in list(self._repeated.items()):
            self.publish(topic, message)

    def send(self, topic: str, seq: int, body: bytes) -> None:
        self._socket.send_multipart((topic.encode(), _HEADER.pack(self.epoch, seq), body))

    def close(self) -> None:
        self._socket.close()
        if self.recorder is not None:
            self.recorder.close()


class Outbox:
    """The sending end of an `every` topic: keeps what memory has not acknowledged and sends it again.

    At most ``limit`` messages wait. A replay waits for room (nothing is lost); a live source never
    waits and offers instead, counting what found no room.
    """

    def __init__(self, publisher: Publisher, topic: str, limit: int) -> None:
        self._publisher = publisher
        self._topic = topic
        self._limit = limit
        self._seq = self._acknowledged = 0
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._moved = Broadcast()
        self._moved_at_s = time.monotonic()
        self._heard_from = 0
        self._resend_after_s = RESEND_AFTER_S
        self._blocked = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def blocked(self) -> bool:
        """Whether somebody waits for an acknowledgement."""
        return self._blocked > 0

    async def send(self, *messages: Message) -> None:
        """Send in order; waits while too much is unacknowledged."""
        for message in messages:
            await self._until(lambda: len(self._waiting) < self._limit)
            self._put(message)
        await anyio.lowlevel.checkpoint()

    def offer(self, message: Message) -> bool:
        """Send without waiting; False if there was no room and the message was not taken."""
        if len(self._waiting) >= self._limit:
            return False
        self._put(message)
        return True

    async def drained(self) -> None:
        """Wait until everything sent is acknowledged."""
        await self._until(lambda: not self._waiting)

    def acknowledge(self, ack: Ack, epoch: int) -> None:
        """Drop what memory, in this ``epoch`` of its own, made durable. One that was away and is there again gets the
        rest at once: what is sent again to nobody is sent less and less often.

        Raises:
            RestartNeeded: memory has lost what it had acknowledged, and that is kept here no more.
        """
        moved = False
        if ack.publisher == self._publisher.name and ack.epoch == self._publisher.epoch:
            if ack.seq < self._acknowledged:
                raise RestartNeeded("memory lost what it had acknowledged; perceiving goes on from what it still holds")
            self._acknowledged = ack.seq
            while self._waiting and self._waiting[0][0] <= ack.seq:
                self._waiting.popleft()
                moved = True
        is_new, self._heard_from = epoch != self._heard_from, epoch
        if moved or is_new:
            self._moved_at_s = time.monotonic() - (RESEND_AFTER_S if is_new else 0.0)
            self._resend_after_s = RESEND_AFTER_S
        if moved:
            self._moved.notify()

    async def resend_forever(self) -> None:
        """Send the unacknowledged again when acknowledgements have stopped coming."""
        while True:
            await anyio.sleep(RESEND_AFTER_S / 2)
            now_s = time.monotonic()
            if self._waiting and now_s - self._moved_at_s > self._resend_after_s:
                for seq, body in self._waiting:
                    self._publisher.send(self._topic, seq, body)
                self._moved_at_s = now_s
                self._resend_after_s = min(2 * self._resend_after_s, RESEND_AFTER_MAX_S)

    def _put(self, message: Message) -> None:
        if not self._waiting:
            self._moved_at_s = time.monotonic()
        self._publisher.record(self._topic, message)
        self._seq += 1
        body = encode(message)
        self._waiting.append((self._seq, body))
        self._publisher.send(self._topic, self._seq, body)

    async def _until(self, acknowledged: Callable[[], bool]) -> None:
        self._blocked += 1
        try:
            await self._moved.until(acknowledged)
        finally:
            self._blocked -= 1


class Delivery(Struct, frozen=True):
    """A message as it arrived. ``seq`` counts the publisher's messages of this topic in its ``epoch``."""

    topic: str
    publisher: str
    epoch: int
    seq: int
    message: Message


class Subscription:
    """The receiving end: an async iterator of deliveries of the topics given.

    ``after`` maps (publisher, epoch) to the last sequence number already had, for `every` topics. ``on_refused`` is
    told publisher and epoch of every message that is not delivered because it was had already or leaves a hole.
    """

    QUEUE_LIMIT = 4096

    def __init__(
        self,
        context: zmq.asyncio.Context,
        run_dir: Path,
        members: tuple[Member, ...],
        topics: tuple[str, ...],
        after: dict[tuple[str, int], int] | None = None,
        count_drop: Callable[[str], None] = lambda what: None,
        on_refused: Callable[[str, int], None] = lambda publisher, epoch: None,
    ) -> None:
        self._count_drop = count_drop
        self._on_refused = on_refused
        self._last = dict(after or {})
        self._queue: deque[Delivery] = deque()
        self._slots: OrderedDict[tuple[str, str, str], Delivery] = OrderedDict()
        self._arrived = Broadcast()
        self._room = Broadcast()
        self._sockets: dict[str, tuple[zmq.asyncio.Socket, zmq.Socket[bytes]]] = {}
        roles = {role for topic in topics for role in TOPICS[topic].roles}
        for member in members:
            if member.role not in roles:
                continue
            # One socket a publisher: the socket says who sent, so a sender cannot claim to be another.
            socket = context.socket(zmq.SUB)
            socket.setsockopt(zmq.RCVHWM, SEND_HWM)
            socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
            socket.setsockopt(zmq.LINGER, 0)
            for topic in topics:
                if member.role in TOPICS[topic].roles:
                    socket.setsockopt(zmq.SUBSCRIBE, topic.encode())
            socket.connect(endpoint(run_dir, "pub", member.name))
            self._sockets[member.name] = (socket, zmq.Socket.shadow(socket))

    async def pump(self) -> None:
        """Move messages from the sockets to the slots; runs in its owner's task group until cancelled."""
        try:
            async with anyio.create_task_group() as tasks:
                for name in self._sockets:
                    tasks.start_soon(self._pump_one, name)
        finally:
            for socket, _ in self._sockets.values():
                socket.close()

    def __aiter__(self) -> AsyncIterator[Delivery]:
        return self

    async def __anext__(self) -> Delivery:
        await self._arrived.until(lambda: bool(self._queue or self._slots))
        return self._take()

    def poll(self) -> Delivery | None:
        """The next delivery if one is there."""
        return self._take() if self._queue or self._slots else None

    def _take(self) -> Delivery:
        if self._queue:
            delivery = self._queue.popleft()
            if len(self._queue) == self.QUEUE_LIMIT - 1:
                self._room.notify()
            return delivery
        return self._slots.popitem(last=False)[1]

    async def _pump_one(self, publisher: str) -> None:
        waiting, socket = self._sockets[publisher]
        while True:
            await waiting.poll()
            for _ in range(256):  # then let other tasks run
                await self._room.until(lambda: len(self._queue) < self.QUEUE_LIMIT)
                try:
                    frames = socket.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    break
                self._accept(publisher, frames)
            await anyio.lowlevel.checkpoint()

    def _accept(self, publisher: str, frames: list[bytes]) -> None:
        try:
            topic_name, header, body = frames
            topic = TOPICS[topic_name.decode()]
            epoch, seq = _HEADER.unpack(header)
            message = decode(body)
        except (ValueError, KeyError, struct.error, DecodeError, msgspec.MsgspecError):
            self._count_drop("bus:undecodable")
            return
        if not isinstance(message, topic.types):
            self._count_drop(f"{topic.name}:unexpected")
            return
        delivery = Delivery(topic.name, publisher, epoch, seq, message)
        if topic.policy == "latest":
            slot = (topic.name, publisher, str(getattr(message, topic.key)) if topic.key else "")
            if self._slots.pop(slot, None) is not None and not topic.repeated:
                self._count_drop(f"{topic.name}:replaced")
            self._slots[slot] = delivery
            self._arrived.notify()
            return
        last = self._last.get((publisher, epoch), 0)
        if seq != last + 1:  # had already, and sent again; or it will be, in order
            if seq > last:
                self._count_drop(f"{topic.name}:hole")
            self._on_refused(publisher, epoch)
            return
        self._last[(publisher, epoch)] = seq
        self._queue.append(delivery)
        self._arrived.notify()
