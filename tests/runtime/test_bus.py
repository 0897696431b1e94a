"""The bus: `latest` keeps the newest, `every` loses none, whatever starts late or restarts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest
import zmq.asyncio

from runtime import bus
from runtime.bus import Delivery, Member, Outbox, Publisher, Subscription
from runtime.errors import RestartNeeded
from runtime.messages import Ack, Heartbeat, Message, Progress, SpeechStarted, Stored, encode

pytestmark = pytest.mark.anyio
VIDEO = Member(name="video", role="video")
AUDIO = Member(name="audio", role="audio")
MEMORY = Member(name="memory", role="memory")


@pytest.fixture
async def context() -> AsyncIterator[zmq.asyncio.Context]:
    context = zmq.asyncio.Context()
    yield context
    context.destroy(linger=0)


@asynccontextmanager
async def running(*subscriptions: Subscription) -> AsyncIterator[anyio.abc.TaskGroup]:
    async with anyio.create_task_group() as tasks:
        for subscription in subscriptions:
            tasks.start_soon(subscription.pump)
        with anyio.fail_after(20):
            yield tasks
        tasks.cancel_scope.cancel()


def progress(t_s: float) -> Progress:
    return Progress(source="clip", track="video", t_s=t_s)


def times(deliveries: list[Delivery]) -> list[float]:
    return [delivery.message.t_s for delivery in deliveries]  # type: ignore[attr-defined]


async def until_heard(publisher: Publisher, subscription: Subscription, message: Message, topic: str) -> Delivery:
    """Publish until the subscription has joined: PUB drops what nobody listens to yet."""
    while (delivery := subscription.poll()) is None:
        publisher.publish(topic, message)
        await anyio.sleep(0.005)
    return delivery


async def until_joined(publisher: Publisher, *subscriptions: Subscription) -> None:
    """Until each of these, which take heartbeats too, hears the publisher, and has read all that it sent so far."""
    for subscription in subscriptions:
        await until_heard(publisher, subscription, Heartbeat(process=publisher.name, pid=1), "heartbeat")
    publisher.publish("heartbeat", Heartbeat(process=publisher.name, pid=2))
    for subscription in subscriptions:
        while (await anext(subscription)).message != Heartbeat(process=publisher.name, pid=2):
            pass


async def test_every_loses_nothing_that_was_sent_before_the_reader_joined(
    context: zmq.asyncio.Context, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "RESEND_AFTER_S", 0.02)
    publisher = Publisher(context, run_dir, "video")
    outbox = Outbox(publisher, "perceived", limit=100)
    await outbox.send(*(progress(t) for t in range(5)))  # nobody listens: lost on the wire
    subscription = Subscription(context, run_dir, (VIDEO,), ("perceived",))
    async with running(subscription) as tasks:
        tasks.start_soon(outbox.resend_forever)
        got = [await anext(subscription) for _ in range(5)]
    assert times(got) == [0, 1, 2, 3, 4]
    assert [delivery.seq for delivery in got] == [1, 2, 3, 4, 5]
    publisher.close()


async def test_what_is_sent_again_is_delivered_once(
    context: zmq.asyncio.Context, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus, "RESEND_AFTER_S", 0.01)
    publisher = Publisher(context, run_dir, "video")
    outbox = Outbox(publisher, "perceived", limit=100)
    subscription = Subscription(context, run_dir, (VIDEO,), ("perceived",))
    sent, sent_again, send = [0], anyio.Event(), publisher.send

    def count(topic: str, seq: int, body: bytes) -> None:
        send(topic, seq, body)
        sent[0] += 1
        if sent[0] == 2 + 3 * 2:  # two messages, and three rounds of both
            sent_again.set()

    monkeypatch.setattr(publisher, "send", count)
    async with running(subscription) as tasks:
        tasks.start_soon(outbox.resend_forever)
        await outbox.send(progress(0), progress(1))
        got = [await anext(subscription), await anext(subscription)]
        await sent_again.wait()
        await outbox.send(progress(2))
        got.append(await anext(subscription))
        assert subscription.poll() is None
    assert times(got) == [0, 1, 2]
    publisher.close()


@pytest.mark.parametrize("of_it", [True, False])
async def test_a_memory_that_was_away_long_and_is_there_again_is_sent_the_rest_at_once(
    context: zmq.asyncio.Context, run_dir: Path, monkeypatch: pytest.MonkeyPatch, of_it: bool
) -> None:
    monkeypatch.setattr(bus, "RESEND_AFTER_S", 0.01)
    monkeypatch.setattr(bus, "RESEND_AFTER_MAX_S", 1e6)
    now_s = [0.0]
    publisher = Publisher(context, run_dir, "video")
    monkeypatch.setattr(bus, "time", SimpleNamespace(monotonic=lambda: now_s[0]))  # the event loop keeps its own
    outbox = Outbox(publisher, "perceived", limit=100)
    sent: list[int] = []
    monkeypatch.setattr(publisher, "send", lambda topic, seq, body: sent.append(seq))
    await outbox.send(progress(0), progress(1))
    outbox.acknowledge(Ack(publisher="video", epoch=publisher.epoch, seq=1), 7)
    await outbox.send(progress(2))
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outbox.resend_forever)
            for away_s in (1.0, 4.0, 16.0, 64.0):  # it is sent again, and then waited for longer
                sent.clear()
                now_s[0] = away_s
                while not sent:
                    await anyio.sleep(0.001)
            sent.clear()
            outbox.acknowledge(Ack(publisher="video", epoch=publisher.epoch, seq=1), 7)  # it was there all the while
            now_s[0] += 0.001
            await anyio.wait_all_tasks_blocked()
            assert not sent
            ack = Ack(publisher="video", epoch=publisher.epoch, seq=1) if of_it else Ack(publisher="", epoch=0, seq=0)
            outbox.acknowledge(ack, 8)  # the next one says what it has
            now_s[0] += 0.001
            while not sent:
                await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()
    assert sent == [2, 3]
    publisher.close()


async def test_a_full_outbox_waits_for_acknowledgement_and_a_live_source_is_told_there_is_no_room(
    context: zmq.asyncio.Context, run_dir: Path
) -> None:
    publisher = Publisher(context, run_dir, "video")
    outbox = Outbox(publisher, "perceived", limit=2)
    await outbox.send(progress(0), progress(1))
    assert not outbox.offer(progress(2))
    sent = anyio.Event()

    async def send() -> None:
        await outbox.send(progress(2))
        sent.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        assert not sent.is_set()
        assert outbox.blocked
        outbox.acknowledge(Ack(publisher="video", epoch=publisher.epoch + 1, seq=2), 7)  # of a life before
        await anyio.wait_all_tasks_blocked()
        assert not sent.is_set()
        outbox.acknowledge(Ack(publisher="video", epoch=publisher.epoch, seq=1), 7)
        with anyio.fail_after(5):
            await sent.wait()
    outbox.acknowledge(Ack(publisher="video", epoch=publisher.epoch, seq=3), 7)
    with anyio.fail_after(5):
        await outbox.drained()
    publisher.close()


async def test_a_reader_that_restarts_goes_on_after_what_it_had(context: zmq.asyncio.Context, run_dir: Path) -> None:
    publisher = Publisher(context, run_dir, "video")
    topics = ("perceived", "heartbeat")
    subscription = Subscription(context, run_dir, (VIDEO,), topics, after={("video", publisher.epoch): 2})
    drops: list[str] = []
    refused: list[tuple[str, int]] = []
    fresh = Subscription(
        context, run_dir, (VIDEO,), topics, count_drop=drops.append, on_refused=lambda *who: refused.append(who)
    )
    async with running(subscription, fresh):
        await until_joined(publisher, subscription, fresh)
        drops.clear()
        for seq in (1, 2, 3):
            publisher.send("perceived", seq, encode(progress(seq)))
        publisher.send("perceived", 5, encode(progress(5)))  # a hole before it
        assert (await anext(subscription)).seq == 3
        assert [(await anext(fresh)).seq for _ in range(3)] == [1, 2, 3]
        assert subscription.poll() is None
        assert fresh.poll() is None
    assert drops == ["perceived:hole"]
    assert refused == [("video", publisher.epoch)]
    publisher.close()


async def test_a_publisher_whose_memory_has_lost_what_it_acknowledged_begins_anew(
    context: zmq.asyncio.Context, run_dir: Path
) -> None:
    publisher = Publisher(context, run_dir, "video")
    outbox = Outbox(publisher, "perceived", limit=100)
    await outbox.send(*(progress(t) for t in range(5)))
    for seq in (0, 2, 2, 3):
        outbox.acknowledge(Ack(publisher="video", epoch=publisher.epoch, seq=seq), 7)
    outbox.acknowledge(Ack(publisher="video", epoch=publisher.epoch - 1, seq=1), 7)  # of a life before
    with pytest.raises(RestartNeeded, match="from what it still holds"):
        outbox.acknowledge(Ack(publisher="video", epoch=publisher.epoch, seq=2), 7)
    publisher.close()


async def test_latest_keeps_the_newest_of_each_slot_and_counts_what_it_replaced(
    context: zmq.asyncio.Context, run_dir: Path
) -> None:
    publisher = Publisher(context, run_dir, "audio")
    drops: list[str] = []
    subscription = Subscription(context, run_dir, (AUDIO,), ("voice",), count_drop=drops.append)
    async with running(subscription):
        await until_heard(publisher, subscription, SpeechStarted(source="other", t_s=0.0), "voice")
        while subscription.poll():
            pass
        drops.clear()
        for t_s in (1.0, 2.0, 3.0):
            publisher.publish("voice", SpeechStarted(source="a", t_s=t_s))
        publisher.publish("voice", SpeechStarted(source="b", t_s=9.0))
        while len(subscription._slots) < 2:
            await anyio.sleep(0.005)
        got = {(await anext(subscription)).message, (await anext(subscription)).message}
    assert got == {SpeechStarted(source="a", t_s=3.0), SpeechStarted(source="b", t_s=9.0)}
    assert drops == ["voice:replaced"] * 2
    publisher.close()


async def test_whoever_joins_late_still_learns_the_newest_generation(
    context: zmq.asyncio.Context, run_dir: Path
) -> None:
    publisher = Publisher(context, run_dir, "memory")
    publisher.publish("stored", Stored(generation=7, watermarks={"clip": 3.0}))
    subscription = Subscription(context, run_dir, (MEMORY,), ("stored",))
    async with running(subscription):
        while (delivery := subscription.poll()) is None:
            publisher.repeat()
            await anyio.sleep(0.005)
    assert delivery.message == Stored(generation=7, watermarks={"clip": 3.0})
    publisher.close()


async def test_rubbish_and_messages_of_another_topic_are_counted_not_delivered(
    context: zmq.asyncio.Context, run_dir: Path
) -> None:
    publisher = Publisher(context, run_dir, "video")
    drops: list[str] = []
    subscription = Subscription(context, run_dir, (VIDEO,), ("perceived", "heartbeat"), count_drop=drops.append)
    async with running(subscription):
        await until_joined(publisher, subscription)
        drops.clear()
        publisher._socket.send_multipart([b"perceived", b"short", b"x"])
        publisher._socket.send_multipart([b"perceived"])
        publisher.send("perceived", 1, b"\xc1")
        publisher.send("perceived", 1, b"\x91" * 5000 + b"\xc0")  # nested without end
        publisher.send("perceived", 1, encode(Stored(generation=1, watermarks={})))
        publisher.send("perceived", 1, encode(progress(1)))
        assert (await anext(subscription)).message == progress(1)
    assert sorted(drops) == ["bus:undecodable"] * 4 + ["perceived:unexpected"]
    publisher.close()


async def test_all_publishers_go_on_when_a_full_queue_has_room_again(
    context: zmq.asyncio.Context, run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Subscription, "QUEUE_LIMIT", 2)
    publishers = [Publisher(context, run_dir, name) for name in ("video", "audio")]
    subscription = Subscription(context, run_dir, (VIDEO, AUDIO), ("perceived",))
    async with running(subscription):
        for publisher in publishers:
            while subscription.poll() is None:
                publisher.send("perceived", 1, encode(progress(1)))
                await anyio.sleep(0.005)
        for seq in range(2, 12):
            for publisher in publishers:
                publisher.send("perceived", seq, encode(progress(seq)))
        while len(subscription._queue) < Subscription.QUEUE_LIMIT:
            await anyio.sleep(0.005)
        await anyio.wait_all_tasks_blocked()  # both wait for room
        got = [await anext(subscription) for _ in range(20)]
    for name in ("video", "audio"):
        assert [delivery.seq for delivery in got if delivery.publisher == name] == list(range(2, 12))
    for publisher in publishers:
        publisher.close()
