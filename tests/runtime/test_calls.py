"""Calls: an answer or an error before the deadline, in parts if it comes in parts, cancellable at once."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import zmq
import zmq.asyncio

from runtime import calls
from runtime.bus import endpoint
from runtime.calls import Caller, CallServer, Handler
from runtime.errors import DeadlineExceeded, RemoteError, StoreError
from runtime.messages import (
    Answer,
    AnswerPart,
    AskRequest,
    Cancel,
    Done,
    Message,
    StatusRequest,
    TrackLost,
    decode,
    encode,
)

pytestmark = pytest.mark.anyio
ANSWER = Answer(
    question="q", answer="ab", abstained=False, as_of_s=0.0, citations=(), latency_s={}, backend="extractive"
)


class Peer:
    """A server and a caller in one process, over real sockets, with the callee's control socket read."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.context = zmq.asyncio.Context()
        self.caller = Caller(self.context, run_dir, "memory")
        self.cancelled: list[str] = []
        self.bugs: list[BaseException] = []
        self.drops: list[str] = []

    async def serve(self, handlers: dict[type[Message], Handler]) -> None:
        server = CallServer(self.context, self.run_dir, "memory", self.drops.append)
        control = self.context.socket(zmq.PULL)
        control.bind(endpoint(self.run_dir, "control", "memory"))
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(server.serve, handlers, self.bugs.append)
                while True:
                    message = decode(await control.recv())
                    assert isinstance(message, Cancel)
                    self.cancelled.append(message.call)
                    server.cancel(message.call)
        finally:
            server.close()
            control.close(linger=0)


@pytest.fixture
async def peer(run_dir: Path) -> AsyncIterator[Peer]:
    peer = Peer(run_dir)
    yield peer
    peer.context.destroy(linger=0)


async def with_server(peer: Peer, handlers: dict[type[Message], Handler], use: Any) -> None:
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(peer.caller.run)
            tasks.start_soon(peer.serve, handlers)
            await use(tasks)
            tasks.cancel_scope.cancel()


async def test_a_call_returns_its_reply(peer: Peer) -> None:
    async def done(request: StatusRequest) -> Done:
        return Done()

    async def use(tasks: Any) -> None:
        assert await peer.caller.call(StatusRequest(), 5.0) == Done()

    await with_server(peer, {StatusRequest: done}, use)


async def test_parts_come_before_the_end_and_in_order(peer: Peer) -> None:
    first_seen = anyio.Event()

    async def answer(request: AskRequest) -> AsyncGenerator[Message, None]:
        yield AnswerPart(text="a")
        await first_seen.wait()  # would never be set if the first part were held back
        yield AnswerPart(text="b")
        yield ANSWER

    async def use(tasks: Any) -> None:
        got = []
        async for part in peer.caller.stream(AskRequest(question="q"), 5.0):
            got.append(part)
            first_seen.set()
        assert got == [AnswerPart(text="a"), AnswerPart(text="b"), ANSWER]

    await with_server(peer, {AskRequest: answer}, use)


async def test_no_answer_before_the_deadline_is_an_error_and_nobody_hangs(peer: Peer) -> None:
    evicted = anyio.Event()

    async def never(request: StatusRequest) -> Done:
        try:
            await anyio.sleep_forever()
        finally:
            evicted.set()
        return Done()

    async def use(tasks: Any) -> None:
        with pytest.raises((DeadlineExceeded, RemoteError)):
            await peer.caller.call(StatusRequest(), 0.1)
        await evicted.wait()

    await with_server(peer, {StatusRequest: never}, use)


async def test_a_dead_callee_costs_the_deadline_not_for_ever(peer: Peer) -> None:
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(peer.caller.run)
            with pytest.raises(DeadlineExceeded, match="memory did not answer"):
                await peer.caller.call(StatusRequest(), 0.2)
            tasks.cancel_scope.cancel()


async def test_a_request_lost_in_a_killed_callee_is_sent_again(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "SEND_AGAIN_AFTER_S", 0.05)
    swallower = peer.context.socket(zmq.ROUTER)
    swallower.bind(endpoint(peer.run_dir, "call", "memory"))

    async def done(request: StatusRequest) -> Done:
        return Done()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(peer.caller.run)
            replies: list[Message] = []

            async def call() -> None:
                replies.append(await peer.caller.call(StatusRequest(), 15.0))

            tasks.start_soon(call)
            await swallower.recv_multipart()  # taken, and never answered: as if killed
            swallower.close(linger=0)
            handlers: dict[type[Message], Any] = {StatusRequest: done}
            tasks.start_soon(peer.serve, handlers)
            while not replies:
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
    assert replies == [Done()]


async def test_leaving_a_stream_early_cancels_it_at_the_callee(peer: Peer) -> None:
    stopped = anyio.Event()

    async def endless(request: AskRequest) -> AsyncGenerator[Message, None]:
        try:
            yield AnswerPart(text="a")
            await anyio.sleep_forever()
        finally:
            stopped.set()

    async def use(tasks: Any) -> None:
        stream = peer.caller.stream(AskRequest(question="q"), 30.0)
        async for _ in stream:
            break
        await stream.aclose()
        await stopped.wait()
        assert len(peer.cancelled) == 1

    await with_server(peer, {AskRequest: endless}, use)


async def test_a_call_whose_cancelling_overtakes_it_is_not_begun(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    ids = [uuid.uuid4(), uuid.uuid4()]
    given = iter(ids)
    monkeypatch.setattr("runtime.calls.uuid.uuid4", lambda: next(given))

    async def note(request: AskRequest) -> Done:
        begun.append(request.question)
        return Done()

    async def use(tasks: Any) -> None:
        peer.caller._control.send(Cancel(call=ids[0].bytes.hex()))
        while not peer.cancelled:
            await anyio.sleep(0.005)
        with anyio.CancelScope() as overtaken:

            async def ask_meanwhile() -> None:
                await peer.caller.call(AskRequest(question="second"), 20.0)
                overtaken.cancel()

            async with anyio.create_task_group() as both:
                both.start_soon(peer.caller.call, AskRequest(question="first"), 20.0)
                await anyio.wait_all_tasks_blocked()
                both.start_soon(ask_meanwhile)

    await with_server(peer, {AskRequest: note}, use)
    assert begun == ["second"]


async def test_the_callees_error_arrives_as_one_line_and_a_bug_is_reported_at_home(peer: Peer) -> None:
    async def refuse(request: StatusRequest) -> Done:
        raise StoreError("memory is read-only")

    async def bug(request: TrackLost) -> Done:
        raise KeyError("oops")

    async def use(tasks: Any) -> None:
        with pytest.raises(RemoteError, match="memory is read-only") as refused:
            await peer.caller.call(StatusRequest(), 5.0)
        assert refused.value.kind == "StoreError"
        with pytest.raises(RemoteError, match="internal error"):
            await peer.caller.call(TrackLost(track="video", reason="x"), 5.0)
        with pytest.raises(RemoteError, match="no handler for Done"):
            await peer.caller.call(Done(), 5.0)
        assert [type(error) for error in peer.bugs] == [KeyError]

    await with_server(peer, {StatusRequest: refuse, TrackLost: bug}, use)


async def test_a_call_to_a_slow_handler_does_not_delay_the_next(peer: Peer) -> None:
    release = anyio.Event()

    async def slow(request: StatusRequest) -> Done:
        await release.wait()
        return Done()

    async def quick(request: TrackLost) -> Done:
        return Done()

    async def use(tasks: Any) -> None:
        async def call_slow() -> None:
            assert await peer.caller.call(StatusRequest(), 10.0) == Done()

        async with anyio.create_task_group() as inner:
            inner.start_soon(call_slow)
            assert await peer.caller.call(TrackLost(track="video", reason="x"), 10.0) == Done()
            release.set()

    await with_server(peer, {StatusRequest: slow, TrackLost: quick}, use)


async def test_a_full_queue_costs_the_deadline_too(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody takes anything: what is sent waits in the socket until that is full, then in nobody's way."""
    monkeypatch.setattr(calls, "SEND_AGAIN_AFTER_S", 0.05)
    peer.caller._socket.setsockopt(zmq.SNDHWM, 1)
    peer.caller._socket.connect(endpoint(peer.run_dir, "call", "memory"))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(peer.caller.run)
            for _ in range(8):
                with pytest.raises(DeadlineExceeded, match="memory did not answer"):
                    await peer.caller.call(StatusRequest(), 0.1)
            tasks.cancel_scope.cancel()


async def test_a_callee_killed_after_its_first_part_fails_the_caller_at_once(peer: Peer) -> None:
    async def answers(request: AskRequest) -> AsyncGenerator[Message, None]:
        yield AnswerPart(text="a")
        await anyio.sleep_forever()

    serving = anyio.CancelScope()

    async def serve() -> None:
        handlers: dict[type[Message], Handler] = {AskRequest: answers}
        with serving:
            await peer.serve(handlers)

    got: list[Message] = []
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(peer.caller.run)
            tasks.start_soon(serve)
            with pytest.raises(RemoteError, match="memory ended while it answered") as failed:
                async for part in peer.caller.stream(AskRequest(question="q"), 600.0):
                    got.append(part)
                    serving.cancel()
            assert failed.value.kind == "ProcessFailed"
            tasks.cancel_scope.cancel()
    assert got == [AnswerPart(text="a")]


async def test_an_error_of_ours_inside_a_task_group_is_told_as_itself(peer: Peer) -> None:
    async def fail() -> None:
        raise StoreError("memory /x is a file")

    async def failing(request: StatusRequest) -> Done:
        async with anyio.create_task_group() as outer, anyio.create_task_group() as inner:
            outer.start_soon(anyio.sleep_forever)
            inner.start_soon(fail)
        return Done()

    async def use(tasks: Any) -> None:
        with pytest.raises(RemoteError, match=r"^memory /x is a file$") as failed:
            await peer.caller.call(StatusRequest(), 5.0)
        assert failed.value.kind == "StoreError"
        assert peer.bugs == []

    await with_server(peer, {StatusRequest: failing}, use)


async def test_what_cannot_be_read_on_a_calls_sockets_is_counted_and_harms_nobody(peer: Peer) -> None:
    async def done(request: StatusRequest) -> Done:
        return Done()

    deep = b"\x91" * 5000 + b"\xc0"
    malformed = [
        (b"x",),
        (b"1", b"x", b"\xc1"),
        (b"2", b"9" * 400, encode(StatusRequest())),
        (b"3", b"1000", deep),
        (b"4", b"1000", b"\xdf\xff\xff\xff\xff"),
    ]

    async def use(tasks: Any) -> None:
        stranger = peer.context.socket(zmq.DEALER)
        stranger.connect(endpoint(peer.run_dir, "call", "memory"))
        for frames in malformed:
            await stranger.send_multipart(frames)
        for _ in malformed[1:]:
            _, kind, _ = await stranger.recv_multipart()
            assert kind == calls.FAILURE
        stranger.close(linger=0)
        control = peer.context.socket(zmq.PUSH)
        control.connect(endpoint(peer.run_dir, "control", "memory"))
        await control.send(encode(Cancel(call="no hex")))
        while len(peer.drops) <= len(malformed):
            await anyio.sleep(0.005)
        control.close()
        assert await peer.caller.call(StatusRequest(), 5.0) == Done()

    await with_server(peer, {StatusRequest: done}, use)
    assert sorted(peer.drops) == ["call:undecodable"] * len(malformed) + ["control:undecodable"]
