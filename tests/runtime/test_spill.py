"""The outbox of a live source: never waits, keeps order, loses nothing silently."""

from __future__ import annotations

from collections import Counter
from typing import cast

from runtime.bus import Outbox
from runtime.messages import Ack, Message, Observation, Progress
from runtime.spill import LiveOutbox


class Narrow:
    """An outbox with room for ``room`` messages; ``acknowledge`` makes room again."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.sent: list[Message] = []

    def offer(self, message: Message) -> bool:
        if not self.room:
            return False
        self.room -= 1
        self.sent.append(message)
        return True

    def acknowledge(self, ack: Ack, epoch: int) -> None:
        self.room += ack.seq


def frame(t_s: float, size: int = 0) -> Observation:
    return Observation(id=f"door/{t_s}", source="door", channel="frame", t0_s=t_s, t1_s=t_s, payload=bytes(size))


def progress(t_s: float) -> Progress:
    return Progress(source="door", track="video", t_s=t_s)


def spilling(room: int, limit_bytes: float) -> tuple[LiveOutbox, Narrow, Counter[str]]:
    narrow, drops = Narrow(room), Counter[str]()
    return (
        LiveOutbox(cast(Outbox, narrow), "video", limit_bytes, lambda what, n: drops.update({what: n})),
        narrow,
        drops,
    )


def make_room(outbox: LiveOutbox, n: int) -> None:
    outbox.acknowledge(Ack(publisher="video", epoch=1, seq=n), 1)


def test_what_finds_no_room_is_sent_later_in_order() -> None:
    outbox, narrow, drops = spilling(1, 1e6)
    outbox.put(frame(1.0), frame(2.0), frame(3.0))
    assert [m.t0_s for m in narrow.sent if isinstance(m, Observation)] == [1.0]
    make_room(outbox, 10)
    assert [m.t0_s for m in narrow.sent if isinstance(m, Observation)] == [1.0, 2.0, 3.0]
    assert not drops
    assert outbox._bytes == 0


def test_of_progress_that_waits_only_the_newest_is_kept() -> None:
    outbox, narrow, _ = spilling(0, 1e6)
    outbox.put(*(progress(float(t)) for t in range(1000)))
    assert len(narrow.sent) + outbox._bytes < 5000
    make_room(outbox, 10)
    assert narrow.sent == [progress(999.0)]


def test_beyond_the_bound_observations_become_a_counted_gap_that_no_progress_overtakes() -> None:
    outbox, narrow, drops = spilling(0, 25_000)
    for t in range(10):
        outbox.put(frame(float(t), 10_000), progress(float(t)))
    assert drops == {"perceived:memory busy": 8}
    assert outbox._bytes <= 27_000
    make_room(outbox, 100)
    told = [(m.channel, m.t0_s, m.t1_s) if isinstance(m, Observation) else getattr(m, "t_s", None) for m in narrow.sent]
    assert told == [("frame", 0.0, 0.0), 0.0, ("frame", 1.0, 1.0), 1.0, ("gap", 2.0, 9.0), 9.0]
    (gap,) = [m for m in narrow.sent if isinstance(m, Observation) and m.channel == "gap"]
    assert "8 things" in gap.text
