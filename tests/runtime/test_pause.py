"""A pause: nothing that touches it passes, its time is a gap, and it holds for a process started meanwhile."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import cast

import pytest

from runtime.messages import GapFacts, Message, Observation, Progress, SourceEnded, SourceOpened
from runtime.pause import PAUSED_BY_USER, PausableOutbox, pause, pause_path, resume
from runtime.spill import LiveOutbox
from tests.fixtures.memory_cases import say, see

pytestmark = pytest.mark.anyio
OPENED = SourceOpened(source="clip", track="video", kind="camera")


class Kept:
    def __init__(self) -> None:
        self.sent: list[Message] = []

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def put(self, *messages: Message) -> None:
        self.sent += messages


def at(run_dir: Path, t_s: float, kept: Kept) -> tuple[PausableOutbox, list[float]]:
    now = [t_s]
    return PausableOutbox(cast(LiveOutbox, kept), run_dir, lambda: now[0]), now


def progress(t_s: float) -> Progress:
    return Progress(source="clip", track="video", t_s=t_s)


def told(kept: Kept) -> list[str | tuple[float, float, str]]:
    found: list[str | tuple[float, float, str]] = []
    for m in kept.sent:
        if isinstance(m, Observation):
            found.append((m.t0_s, m.t1_s, m.facts(GapFacts).reason) if m.channel == "gap" else m.text)
    return found


async def test_what_touches_a_pause_is_let_go_and_its_time_is_a_gap(tmp_path: Path) -> None:
    kept = Kept()
    outbox, now = at(tmp_path, 10.0, kept)
    await outbox.send(OPENED, see(9.0, "before"))
    pause(tmp_path)
    assert outbox.paused
    await outbox.send(see(9.5, "on its way"), see(11.0, "in it"), say(8.0, 12.0, "began before"), progress(12.0))
    now[0] = 20.0
    resume(tmp_path)
    await outbox.send(say(19.0, 22.0, "began in it"), see(23.0, "after"))
    (before, on_its_way, gap, after) = told(kept)
    assert (before, on_its_way, after) == ("before", "on its way", "after")
    assert gap == (pytest.approx(10.0, abs=0.5), 20.0, PAUSED_BY_USER)


@pytest.mark.parametrize("jump_s", [-86400.0, 3600.0])
async def test_a_pause_begins_when_it_began_though_the_wall_clock_was_set_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    kept = Kept()
    outbox, now = at(tmp_path, 7000.0, kept)
    await outbox.send(OPENED)
    pause(tmp_path)
    began_s = time.time()
    monkeypatch.setattr(time, "time", lambda: began_s + jump_s)
    assert outbox.paused_since_s == pytest.approx(7000.0, abs=60.0)
    now[0] = 7100.0
    resume(tmp_path)
    await outbox.send(progress(7101.0))
    assert told(kept) == [(pytest.approx(7000.0, abs=60.0), 7100.0, PAUSED_BY_USER)]


async def test_a_long_pause_is_told_of_while_it_lasts_without_a_hole(tmp_path: Path) -> None:
    kept = Kept()
    outbox, now = at(tmp_path, 10.0, kept)
    await outbox.send(OPENED)
    pause(tmp_path)
    for t_s in (11.0, 30.0, 45.0, 60.0, 80.0):
        now[0] = t_s
        await outbox.send(progress(t_s))
    await outbox.send(SourceEnded(source="clip", track="video", t_s=90.0))
    gaps = [gap for gap in told(kept) if isinstance(gap, tuple)]
    assert len(gaps) == 3 and gaps[-1][1] == 90.0
    assert all(first[1] == second[0] for first, second in itertools.pairwise(gaps))
    # Each is told of before the watermark passes it.
    assert isinstance(kept.sent[-1], SourceEnded)


async def test_a_process_started_in_a_pause_is_paused(tmp_path: Path) -> None:
    pause(tmp_path)
    kept = Kept()
    outbox, _ = at(tmp_path, 50.0, kept)
    await outbox.send(OPENED, see(51.0, "nobody should see this"))
    assert outbox.paused and told(kept) == []
    resume(tmp_path)
    assert not outbox.paused and not pause_path(tmp_path).exists()


def test_what_is_put_without_waiting_is_let_go_as_well(tmp_path: Path) -> None:
    kept = Kept()
    outbox, now = at(tmp_path, 10.0, kept)
    outbox.put(OPENED, see(9.0, "before"))
    pause(tmp_path)
    outbox.put(see(11.0, "in it"))
    now[0] = 20.0
    resume(tmp_path)
    outbox.put(see(23.0, "after"))
    assert [entry for entry in told(kept) if isinstance(entry, str)] == ["before", "after"]
    assert len(told(kept)) == 3
