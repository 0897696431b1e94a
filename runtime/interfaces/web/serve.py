"""Serving an agent over HTTP until told to stop: the socket, TLS, uvicorn."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Generator
from pathlib import Path

import anyio
import uvicorn

from runtime.config import Config, ServeConfig
from runtime.errors import UserError
from runtime.interfaces.client import Client
from runtime.interfaces.web.access import bind, open_access
from runtime.interfaces.web.app import build_app
from runtime.interfaces.web.served import Served

# Streams that go on for ever are not waited for.
GRACE_S = 2
CONNECTIONS_MAX = 200
IDLE_S = 15
# A peer that acknowledges nothing for so long has gone (TCP_USER_TIMEOUT).
DEAD_MS = 30_000


class _Server(uvicorn.Server):
    """Signals are the process's own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def page_address(serve: ServeConfig, port: int) -> str:
    """Where a browser of this machine finds the page."""
    scheme = "https" if serve.certificate else "http"
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(serve.host, serve.host)  # noqa: S104 - compared, not bound
    return f"{scheme}://{f'[{host}]' if ':' in host and '[' not in host else host}:{port}/"


def check_tls(serve: ServeConfig) -> None:
    """Raise UserError unless the certificate and its key are there and belong together, or none is wanted."""
    if bool(serve.certificate) != bool(serve.key):
        raise UserError("TLS needs both serve.certificate and serve.key")
    if not serve.certificate:
        return
    for path in (serve.certificate, serve.key):
        if not Path(path).is_file():
            raise UserError(f"TLS: there is no file {path}")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(serve.certificate, serve.key)
    except (ssl.SSLError, OSError) as error:
        raise UserError(f"TLS: {serve.certificate} and {serve.key} are no certificate with its key ({error})") from None


async def serve_client(
    client: Client,
    config: Config,
    memory_dir: Path,
    stopping: anyio.Event,
    on_ready: Callable[[str], None],
) -> None:
    """Serve the agent ``client`` talks to, until ``stopping``. ``on_ready`` is told the page's address.

    Raises:
        UserError: the address is taken, or the certificate is none.
    """
    serve = config.serve
    check_tls(serve)
    listening = bind(serve.host, serve.port)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_MS)
    served = Served(client, config, memory_dir, open_access(serve, memory_dir))
    try:
        server = _Server(
            uvicorn.Config(
                build_app(served),
                loop="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                limit_concurrency=CONNECTIONS_MAX,
                timeout_keep_alive=IDLE_S,
                timeout_graceful_shutdown=GRACE_S,
                ssl_certfile=serve.certificate or None,
                ssl_keyfile=serve.key or None,
            )
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listening])
            while not server.started:
                await anyio.sleep(0.01)
            on_ready(page_address(serve, listening.getsockname()[1]))
            await stopping.wait()
            server.should_exit = True
    finally:
        listening.close()
        served.close()
