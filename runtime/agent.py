"""One agent: a private run directory, its processes around one memory folder, and its card.

The card, ``MEMORY_DIR/agent.json``, tells other terminals where to find a running agent.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.abc
import msgspec
import zmq.asyncio
from msgspec import Struct
from msgspec.structs import replace

from runtime.bus import Member
from runtime.config import Config, ServeConfig
from runtime.encryption import held
from runtime.errors import ProcessFailed, StoreError, UserError
from runtime.plan import OnFolder, PerceiveFiles, PerceiveLive, Serve, ServePage
from runtime.processes import CORE, EMBEDDING, FILE_PERCEIVERS, GATEWAY, MIND, NAME_MAX, SERVER
from runtime.supervisor import ProcessEvent, Supervisor

# In a folder that is a hub of sites, or a site of a hub (runtime/sites/membership.py).
HUB_FILE, SITE_FILE = "hub.json", "site.json"
RUN_DIR_PREFIX = "mindstream-"
# In the run directory; locked for as long as the agent lives.
LOCK_NAME = "agent.lock"
# A run directory has its lock by then.
MADE_BY_S = 60.0
# A turn keeps to its own deadline; beyond it is the restart of a process that answers.
ANSWER_MARGIN_S = 30.0
# sun_path holds 108 bytes with its end; the longest socket names of ours begin with "control-".
MAX_RUN_DIR_BYTES = 107 - len("/control-") - NAME_MAX


class AgentCard(Struct, frozen=True):
    """Where a running agent is. ``answer_deadline_s``: how long whoever asks it waits for the whole answer at most."""

    pid: int
    run_dir: str
    members: tuple[Member, ...]
    answer_deadline_s: float = 60.0


class Agent:
    """A running agent. Made by `open_agent`."""

    def __init__(
        self,
        run_dir: Path,
        memory_dir: Path,
        context: zmq.asyncio.Context,
        supervisor: Supervisor,
        answer_deadline_s: float,
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        self.run_dir = run_dir
        self.memory_dir = memory_dir
        self.context = context
        self.supervisor = supervisor
        self.answer_deadline_s = answer_deadline_s
        self._is_ready = anyio.Event()
        self._tasks = tasks

    async def start(self, card_path: Path | None) -> None:
        """Start memory and reasoning; once they are ready, tell other terminals, unless memory cannot be written."""
        async with anyio.create_task_group() as starting:
            folder = OnFolder(path=str(self.memory_dir), read_only=card_path is None)
            locked = replace(folder, locked=held(self.memory_dir) is not None)
            for member in self.members:
                if member in CORE or member in MIND:
                    work = locked if member.role in ("memory", "talk") else folder
                    starting.start_soon(self.supervisor.start, member.name, member.role, work)
            if EMBEDDING in self.members:
                starting.start_soon(self._start_embedding)
        if GATEWAY in self.members and card_path is not None:
            self._tasks.start_soon(self._join)
        if card_path is not None:
            card = AgentCard(os.getpid(), str(self.run_dir), self.members, self.answer_deadline_s)
            await anyio.Path(card_path).write_bytes(msgspec.json.encode(card))
        self._is_ready.set()

    async def _start_embedding(self) -> None:
        with suppress(UserError, ProcessFailed):  # without it questions are compared by words alone
            await self.supervisor.start(EMBEDDING.name, EMBEDDING.role, Serve())

    async def _join(self) -> None:
        with suppress(UserError, ProcessFailed):  # its event says so; without it the site works on alone
            await self.supervisor.start(GATEWAY.name, GATEWAY.role, OnFolder(path=str(self.memory_dir)))

    async def until_ready(self) -> None:
        """Wait until memory and reasoning can be called."""
        await self._is_ready.wait()

    async def serve(self, page: ServeConfig) -> None:
        """Start the process that serves the page, the API and MCP, and wait until it does.

        Raises:
            UserError, ProcessFailed: it cannot.
        """
        await self.supervisor.start(SERVER.name, SERVER.role, ServePage(path=str(self.memory_dir), page=page))

    @property
    def members(self) -> tuple[Member, ...]:
        return self.supervisor.members

    async def perceive(self, work: Mapping[str, PerceiveFiles | PerceiveLive]) -> None:
        """Run perceiving members, by name, side by side until each has done all there is, or was given up.

        Where their ``epoch_s`` is not given it is now.

        Raises:
            UserError: this agent has no eyes or ears of its own.
        """
        if MIND[0] in self.members:
            raise UserError(f"{self.memory_dir} is a hub, which perceives nothing itself; perceive at a site")
        epoch_s = time.monotonic()
        roles = {member.name: member.role for member in self.members}

        async def start(name: str, own: PerceiveFiles | PerceiveLive) -> None:
            own = replace(own, epoch_s=epoch_s if own.epoch_s is None else own.epoch_s)
            with suppress(UserError, ProcessFailed):  # an optional process that cannot start is told of by its event
                await self.supervisor.start(name, roles[name], own)
            await self.supervisor.until_over(name)

        async with anyio.create_task_group() as tasks:
            for name, own in work.items():
                tasks.start_soon(start, name, own)


@asynccontextmanager
async def open_agent(
    memory_dir: Path,
    config: Config,
    on_event: Callable[[ProcessEvent], None] = lambda event: None,
    perceivers: tuple[Member, ...] = FILE_PERCEIVERS,
    *,
    serves: bool = False,
    read_only: bool = False,
) -> AsyncIterator[Agent]:
    """Start memory and reasoning on ``memory_dir``; on leaving, all processes are stopped in order.

    The agent is given before they are ready, so that what takes long to start can start beside them. ``perceivers``
    are those that may be started to perceive; ``serves``: `Agent.serve` may be called; ``read_only``: what is there is
    asked, and nothing written.

    Raises:
        StoreError: the memory folder cannot be used, or another agent runs on it.
        ProcessFailed: a required process cannot be kept alive.
    """
    if not read_only:
        prepare_memory_dir(memory_dir)
    if find_agent(memory_dir) is not None:  # before anything is started, whose logs would take the place of its
        raise StoreError(f"an agent runs on {memory_dir} already; `chat` talks to it, --memory names another folder")
    run_dir, lock = _make_run_dir()
    # The layout encoder has no words.
    embedding = () if config.perception.vision.describe == "layout" else (EMBEDDING,)
    is_hub, is_site = ((memory_dir / name).exists() for name in (HUB_FILE, SITE_FILE))
    core = MIND if is_hub else CORE
    joining = (GATEWAY,) if is_site else ()
    members = (*core, *embedding, *joining, *((SERVER,) if serves else ()), *perceivers)
    context = zmq.asyncio.Context()
    card_path = memory_dir / "agent.json"
    supervisor = Supervisor(run_dir, config, members, context, on_event)
    try:
        async with anyio.create_task_group() as tasks:
            await tasks.start(supervisor.run)
            answer_deadline_s = config.reasoning.deadline_s + ANSWER_MARGIN_S
            agent = Agent(run_dir, memory_dir, context, supervisor, answer_deadline_s, tasks)
            tasks.start_soon(agent.start, None if read_only else card_path)
            yield agent
            tasks.cancel_scope.cancel()
    finally:
        found = find_agent(memory_dir)
        if found is not None and found.pid == os.getpid():
            card_path.unlink(missing_ok=True)
        context.destroy(linger=0)
        if not read_only and (
            found is None or found.pid == os.getpid()
        ):  # else another had this memory first, and its are to be kept
            _keep_logs(run_dir, memory_dir)
        shutil.rmtree(run_dir, ignore_errors=True)
        os.close(lock)


def find_agent(memory_dir: Path) -> AgentCard | None:
    """The agent that is running on this memory folder, if one is."""
    try:
        card = msgspec.json.decode((memory_dir / "agent.json").read_bytes(), type=AgentCard)
    except (OSError, msgspec.DecodeError):
        return None
    return card if _is_alive(Path(card.run_dir)) else None


def has_memory(memory_dir: Path) -> bool:
    """Whether anything was ever remembered in this folder, or it is the hub of those where it was."""
    return any((memory_dir / name).exists() for name in ("memory.db", HUB_FILE))


def can_write(memory_dir: Path) -> bool:
    """Whether the memory that is in a folder, or is to be, can be written."""
    file = memory_dir / "memory.db"
    return os.access(memory_dir, os.W_OK | os.X_OK) and (not file.exists() or os.access(file, os.W_OK))


def default_memory_dir(name: str = "memory") -> Path:
    """Where memory is kept unless the user says otherwise; ``name`` "hub": where what is known of a hub is.

    Raises:
        UserError: this user has no home folder.
    """
    try:
        return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "mindstream" / name
    except RuntimeError:
        raise UserError("you have no home folder to keep memory in; give a folder with --memory") from None


def prepare_memory_dir(memory_dir: Path) -> None:
    """Make the folder, readable by its owner alone.

    Raises:
        StoreError: it is no folder, or cannot be made or written.
    """
    try:
        memory_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise StoreError(f"memory {memory_dir} is a file; give a folder with --memory") from error
    except NotADirectoryError as error:
        raise StoreError(f"memory {memory_dir}: a part of this path is a file; give a folder with --memory") from error
    except OSError as error:
        raise StoreError(f"memory {memory_dir} cannot be made: {error.strerror}; give another with --memory") from error
    if not os.access(memory_dir, os.W_OK | os.X_OK):
        raise StoreError(f"memory {memory_dir} cannot be written (no permission); give another with --memory")


def _is_alive(run_dir: Path) -> bool:
    """Whether the agent of a run directory lives. Its lock says so, which the system lets go of however it ends; its
    number may be another process's by now, and in a container is so at every start."""
    try:
        lock = os.open(run_dir / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _make_run_dir() -> tuple[Path, int]:
    """A fresh private folder for sockets, plans and logs; what dead agents left behind goes."""
    base = Path(tempfile.gettempdir())
    if len(os.fsencode(base)) + len(RUN_DIR_PREFIX) + 20 > MAX_RUN_DIR_BYTES:
        base = Path("/tmp")  # noqa: S108 - socket paths have a length limit; the folder is private (0700)
    for old in base.glob(f"{RUN_DIR_PREFIX}*-*"):
        pid = old.name.removeprefix(RUN_DIR_PREFIX).split("-")[0]
        with suppress(FileNotFoundError):  # another agent that starts removes it too
            if (old / LOCK_NAME).exists():  # its number says nothing: it may be one of another container
                is_dead = not _is_alive(old)
            else:  # one that has no lock yet is being made, or was
                is_dead = time.time() - old.stat().st_mtime > MADE_BY_S and not Path(f"/proc/{pid}").exists()
            if pid.isdigit() and is_dead and old.stat().st_uid == os.getuid():
                shutil.rmtree(old, ignore_errors=True)
    run_dir = Path(tempfile.mkdtemp(prefix=f"{RUN_DIR_PREFIX}{os.getpid()}-", dir=base))
    lock = os.open(run_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return run_dir, lock


def _keep_logs(run_dir: Path, memory_dir: Path) -> None:
    """The last run's logs stay in the memory folder, to look into after a failure."""
    logs = memory_dir / "logs"
    with suppress(OSError):
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(mode=0o700)
        for pattern in ("*.log", "*.stderr", "*.stacks"):
            for path in run_dir.glob(pattern):
                if path.stat().st_size:
                    shutil.copy(path, logs / path.name)
