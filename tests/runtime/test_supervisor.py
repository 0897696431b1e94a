"""The supervisor: what dies comes back, what hangs is found out, what cannot be mended is said, none is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
import zmq.asyncio

from runtime.bus import Member
from runtime.config import Config, SupervisorConfig
from runtime.errors import ProcessFailed, UserError
from runtime.plan import OnFolder, Serve
from runtime.processes import PROCESSES, ProcessRow, member
from runtime.supervisor import ProcessEvent, Supervisor
from tests.fixtures.agent_runs import ended_with_its_test, is_running

pytestmark = [pytest.mark.anyio, pytest.mark.processes]
LIMITS = SupervisorConfig(
    start_deadline_s=15.0, liveness_deadline_s=3.0, data_deadline_s=1.5, restart_budget=2, stop_deadline_s=4.0
)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Rows of the process table for test processes: ``table("memory", "hangs")``."""

    def row(role: str, main: str) -> None:
        real = PROCESSES[role]
        own = ProcessRow(role, f"tests.fixtures.process_mains:{main}", real.required, real.lost, real.lost_source)
        monkeypatch.setitem(PROCESSES, role, own)

    return row


class World:
    def __init__(self, supervisor: Supervisor, events: list[ProcessEvent]) -> None:
        self.supervisor = supervisor
        self.events = events

    async def until(self, kind: str, process: str) -> ProcessEvent:
        while True:
            for event in self.events:
                if (event.kind, event.process) == (kind, process):
                    return event
            await anyio.sleep(0.02)


@asynccontextmanager
async def supervised(
    run_dir: Path, limits: SupervisorConfig = LIMITS, members: tuple[Member, ...] = ()
) -> AsyncIterator[World]:
    context = zmq.asyncio.Context()
    events: list[ProcessEvent] = []
    members = members or tuple(Member(name=role, role=role) for role in PROCESSES)
    supervisor = Supervisor(run_dir, Config(supervisor=limits), members, context, events.append)
    try:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                await tasks.start(supervisor.run)
                yield World(supervisor, events)
                tasks.cancel_scope.cancel()
    finally:
        context.destroy(linger=0)


async def test_processes_start_ready_and_stop_in_reverse_order(run_dir: Path, table: Any, tmp_path: Path) -> None:
    stopped = tmp_path / "stopped"
    async with supervised(run_dir) as world:
        for role in PROCESSES:
            table(role, "well_behaved")
            await world.supervisor.start(role, role, OnFolder(path=str(stopped)))
        pids = [world.supervisor.pid(role) for role in PROCESSES]
        assert [event.kind for event in world.events] == ["ready"] * len(PROCESSES)
    order = stopped.read_text().split()
    assert order[2:] == [role for role in reversed(PROCESSES) if role not in ("video", "audio")]
    assert set(order[:2]) == {"video", "audio"}
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


async def test_a_process_that_is_told_to_stop_while_it_starts_stops_in_order(
    run_dir: Path, table: Any, tmp_path: Path
) -> None:
    table("video", "well_behaved")
    async with supervised(run_dir) as world:
        with anyio.move_on_after(0):
            await world.supervisor.start("video", "video", OnFolder(path=str(tmp_path / "stopped")))
        assert not world.events
    assert (tmp_path / "stopped").read_text().split() == ["video"]


async def test_a_killed_process_is_started_again(run_dir: Path, table: Any, tmp_path: Path) -> None:
    table("video", "well_behaved")
    async with supervised(run_dir) as world:
        await world.supervisor.start("video", "video", OnFolder(path=str(tmp_path / "stopped")))
        first = world.supervisor.pid("video")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await world.until("restarted", "video")
        assert world.supervisor.pid("video") != first
        assert "SIGKILL" in (await world.until("died", "video")).text


async def test_an_optional_process_out_of_budget_is_given_up_and_the_rest_goes_on(
    run_dir: Path, table: Any, tmp_path: Path
) -> None:
    table("video", "crashes")
    table("memory", "well_behaved")
    async with supervised(run_dir) as world:
        await world.supervisor.start("memory", "memory", OnFolder(path=str(tmp_path / "stopped")))
        with suppress(ProcessFailed):  # it may be given up before it was ever seen ready
            await world.supervisor.start("video", "video", Serve())
        event = await world.until("lost", "video")
        assert "blind" in event.text
        assert "a bug in here" in event.text
        assert sum(event.kind == "died" for event in world.events) == LIMITS.restart_budget
        assert world.supervisor.is_alive("memory")
        assert not world.supervisor.is_alive("video")


async def test_several_sources_have_a_process_each_and_one_that_is_lost_costs_only_itself(
    run_dir: Path, table: Any, tmp_path: Path
) -> None:
    table("video", "crashes_at_the_garden")
    door, garden = member("video", "front-door"), member("video", "garden")
    async with supervised(run_dir, members=(door, garden)) as world:
        await world.supervisor.start(door.name, "video", Serve())
        with suppress(ProcessFailed):
            await world.supervisor.start(garden.name, "video", Serve())
        event = await world.until("lost", "video:garden")
        assert "garden is not seen from here on" in event.text
        assert world.supervisor.is_alive("video:front-door")
        assert world.supervisor.heartbeats["video:front-door"].ready
    assert not world.supervisor.is_alive("video:front-door")


async def test_a_required_process_out_of_budget_stops_the_agent_with_its_reason(run_dir: Path, table: Any) -> None:
    table("memory", "crashes")
    with pytest.raises(ExceptionGroup) as failed:
        async with supervised(run_dir) as world:
            await world.supervisor.start("memory", "memory", Serve())
            await anyio.sleep_forever()
    failure: BaseException = failed.value
    while isinstance(failure, ExceptionGroup):
        failure = failure.exceptions[0]
    assert isinstance(failure, ProcessFailed)
    assert "memory" in str(failure)
    assert "a bug in here" in str(failure)


async def test_a_users_error_is_told_at_once_and_not_retried(run_dir: Path, table: Any) -> None:
    table("video", "user_error")
    async with supervised(run_dir) as world:
        with pytest.raises(UserError, match="memory /x is a file; give a folder"):
            await world.supervisor.start("video", "video", Serve())
        assert [event.kind for event in world.events] == ["lost"]


async def test_a_process_that_is_never_ready_is_killed_at_its_start_deadline(run_dir: Path, table: Any) -> None:
    table("video", "never_ready")
    limits = SupervisorConfig(start_deadline_s=1.5, restart_budget=1, stop_deadline_s=4.0)
    async with supervised(run_dir, limits) as world:
        with pytest.raises(ProcessFailed, match=r"not ready after 1\.5 s"):
            await world.supervisor.start("video", "video", Serve())


async def test_a_process_that_is_never_ready_spends_its_budget_however_long_each_start_takes(
    run_dir: Path, table: Any
) -> None:
    table("video", "never_ready")
    limits = SupervisorConfig(start_deadline_s=1.0, restart_budget=2, stable_after_s=0.1, stop_deadline_s=4.0)
    async with supervised(run_dir, limits) as world:
        with pytest.raises(ProcessFailed, match=r"failed 3 times in a row: not ready after 1 s"):
            await world.supervisor.start("video", "video", Serve())


async def test_a_process_that_has_been_ready_for_a_while_has_all_its_budget_again(
    run_dir: Path, table: Any, tmp_path: Path
) -> None:
    table("video", "well_behaved")
    limits = SupervisorConfig(restart_budget=1, stable_after_s=0.001, stop_deadline_s=4.0)
    async with supervised(run_dir, limits) as world:
        await world.supervisor.start("video", "video", OnFolder(path=str(tmp_path / "stopped")))
        for n in range(3):
            pid = world.supervisor.pid("video")
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            while sum(event.kind == "restarted" for event in world.events) <= n:
                await anyio.sleep(0.02)


async def test_a_start_that_gets_on_may_take_as_long_as_it_takes_and_says_what_it_does(
    run_dir: Path, table: Any
) -> None:
    table("video", "works_before_it_is_ready")
    limits = SupervisorConfig(start_deadline_s=1.8, restart_budget=1, stop_deadline_s=4.0)
    async with supervised(run_dir, limits) as world:
        await world.supervisor.start("video", "video", Serve())
        assert {event.kind for event in world.events} == {"working", "ready"}
        assert "video: step 3" in [event.text for event in world.events]


async def test_a_start_that_stands_still_is_killed(run_dir: Path, table: Any) -> None:
    table("video", "stands_still_before_it_is_ready")
    limits = SupervisorConfig(start_deadline_s=1.5, restart_budget=1, stop_deadline_s=4.0)
    async with supervised(run_dir, limits) as world:
        with pytest.raises(ProcessFailed, match=r"not ready after 1\.5 s"):
            await world.supervisor.start("video", "video", Serve())


async def test_long_work_that_gets_on_or_is_known_to_take_long_is_left_alone(
    run_dir: Path, table: Any, tmp_path: Path
) -> None:
    table("video", "works_long")
    async with supervised(run_dir) as world:
        await world.supervisor.start("video", "video", OnFolder(path=str(tmp_path / "done")))
        while not (tmp_path / "done").exists():
            await anyio.sleep(0.02)
        assert [event.kind for event in world.events] == ["ready"]


async def test_a_hung_event_loop_is_found_and_its_stacks_are_kept(run_dir: Path, table: Any, tmp_path: Path) -> None:
    table("video", "hangs")
    async with supervised(run_dir) as world:
        await world.supervisor.start("video", "video", OnFolder(path=str(tmp_path / "mark")))
        (tmp_path / "mark").touch()
        assert "not heard from" in (await world.until("died", "video")).text
        assert "stuck_in_here" in (run_dir / "video.stacks").read_text()
        await world.until("restarted", "video")
        assert "stuck_in_here" in (run_dir / "video.stacks").read_text()


async def test_data_that_stand_still_count_as_a_failure_though_the_loop_runs(
    run_dir: Path, table: Any, tmp_path: Path
) -> None:
    table("video", "stalls")
    async with supervised(run_dir) as world:
        await world.supervisor.start("video", "video", OnFolder(path=str(tmp_path / "mark")))
        assert "no progress" in (await world.until("died", "video")).text
        await world.until("restarted", "video")


async def test_a_process_that_ends_by_itself_is_done_not_restarted(run_dir: Path, table: Any) -> None:
    table("video", "done_at_once")
    async with supervised(run_dir) as world:
        await world.supervisor.start("video", "video", Serve())
        await world.supervisor.until_over("video")
        assert not world.supervisor.is_alive("video")
        assert all(event.kind == "ready" for event in world.events)


async def test_what_is_done_is_started_again_where_memory_has_lost_what_it_held(
    run_dir: Path, table: Any, tmp_path: Path
) -> None:
    table("memory", "loses_what_it_held")
    table("video", "done_at_once")
    async with supervised(run_dir) as world:
        await world.supervisor.start("memory", "memory", OnFolder(path=str(tmp_path / "mark")))
        await world.supervisor.start("video", "video", Serve())
        await world.supervisor.until_over("video")
        done = world.supervisor.pid("video")
        (tmp_path / "mark").touch()
        await world.until("restarted", "memory")
        assert "the log was cut" in (await world.until("died", "memory")).text
        while world.supervisor.pid("video") == done:
            await anyio.sleep(0.02)


async def test_a_process_deaf_to_stop_is_killed_in_the_end(run_dir: Path, table: Any) -> None:
    table("video", "ignores_stop")
    limits = SupervisorConfig(stop_deadline_s=0.5)
    async with supervised(run_dir, limits) as world:
        await world.supervisor.start("video", "video", Serve())
        pid = world.supervisor.pid("video")
    assert not Path(f"/proc/{pid}").exists()


ORPHAN = """
import sys, anyio, zmq.asyncio
from pathlib import Path
from runtime.bus import Member
from runtime.config import Config
from runtime.plan import OnFolder
from runtime.processes import PROCESSES, ProcessRow
from runtime.supervisor import Supervisor
PROCESSES["video"] = ProcessRow("video", "tests.fixtures.process_mains:tells_pid", False, "blind")
async def main():
    supervisor = Supervisor(Path(sys.argv[1]), Config(), (Member(name="video", role="video"),), zmq.asyncio.Context())
    async with anyio.create_task_group() as tasks:
        await tasks.start(supervisor.run)
        await supervisor.start("video", "video", OnFolder(path=sys.argv[2]))
        print("ready", flush=True)
        await anyio.sleep_forever()
anyio.run(main)
"""


async def test_children_die_with_a_supervisor_that_was_killed(run_dir: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    project = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", ORPHAN, str(run_dir), str(pid_file)]
    parent = ended_with_its_test(subprocess.Popen(command, stdout=subprocess.PIPE, cwd=project))
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    while not (pid_file.exists() and pid_file.read_text()):
        await anyio.sleep(0.02)
    child = int(pid_file.read_text())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    with anyio.fail_after(15):
        while is_running(child):
            await anyio.sleep(0.05)
