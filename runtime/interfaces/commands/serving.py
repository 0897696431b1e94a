"""`serve` and `mcp`: an agent's page, API and tools, with an agent started for them where none runs."""

from __future__ import annotations

import os
import webbrowser
from pathlib import Path

import anyio
import msgspec

from runtime.agent import Agent, find_agent, has_memory, open_agent
from runtime.config import Config, ServeConfig
from runtime.errors import StoreError, UserError
from runtime.interfaces.attach import attached, client_of
from runtime.interfaces.commands.evidence import evidence_talk
from runtime.interfaces.terminal.chat import Chat
from runtime.interfaces.terminal.notices import Notices
from runtime.interfaces.terminal.render import byte_size, note
from runtime.interfaces.web.access import ADDRESS_NAME, ensure_token, is_loopback, needs_token


class ServeWish(msgspec.Struct, frozen=True):
    """What a command line says of serving; "" and None leave it to the profile."""

    address: str = ""
    certificate: str = ""
    key: str = ""
    sign_in: bool = False
    opens: bool = False


def serve_options(config: ServeConfig, wish: ServeWish) -> ServeConfig:
    """The profile with what the command line says.

    Raises:
        UserError: its address is none.
    """
    changes: dict[str, object] = {}
    if wish.address:
        host, colon, port = wish.address.rpartition(":")
        if not colon and wish.address.isdigit():
            port = wish.address
        elif not colon or (":" in host and not host.startswith("[")):
            host, port = wish.address, str(config.port)
        if not port.isdigit() or int(port) > 65535:
            raise UserError(f"{wish.address!r} is no address to serve on; write PORT, HOST or HOST:PORT")
        changes = {"port": int(port), **({"host": host.strip("[]")} if host else {})}
    if wish.certificate or wish.key:
        changes |= {"certificate": wish.certificate and os.path.abspath(wish.certificate)}
        changes |= {"key": wish.key and os.path.abspath(wish.key)}
    if wish.sign_in:
        changes["sign_in"] = "always"
    return msgspec.structs.replace(config, **changes)


def tell_token(serve: ServeConfig, memory_dir: Path) -> None:
    """Make the token where one is needed, and show it the one time it is made."""
    if not needs_token(serve):
        return
    token, is_new = ensure_token(memory_dir)
    if is_new:
        note(f"the token, shown this once (it is kept in {memory_dir / 'serve.token'}): {token}")
    if not serve.certificate and not is_loopback(serve.host):
        note("without TLS whoever listens on the network reads the token and all that is shown; see --certificate")


async def start_server(agent: Agent, serve: ServeConfig, opens: bool) -> str:
    """Have an agent that runs serve too; where.

    Raises:
        UserError, ProcessFailed: it cannot.
    """
    tell_token(serve, agent.memory_dir)
    await agent.serve(serve)
    address = await anyio.Path(agent.run_dir / ADDRESS_NAME).read_text(encoding="ascii")
    tell_address(address, opens)
    return address


def tell_address(address: str, opens: bool) -> None:
    """Say where the page is, and open it where there is a desktop."""
    note(f"the page: {address}   API: {address}api   MCP: {address}mcp")
    if opens and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(address)


async def serve(config: Config, memory_dir: Path, wish: ServeWish, chat: bool) -> None:
    """Serve until stopped; beside a chat, until that is left. An agent that runs on the memory is served as it is.

    Raises:
        StoreError: there is no memory yet.
        UserError, ProcessFailed: see the messages.
    """
    options = serve_options(config.serve, wish)
    if find_agent(memory_dir) is not None:
        await _serve_running(msgspec.structs.replace(config, serve=options), memory_dir, wish.opens)
        return
    if not has_memory(memory_dir):
        raise StoreError(f"no memory in {memory_dir}; replay a file first, or give its folder with --memory")
    async with open_agent(memory_dir, config, perceivers=(), serves=True) as agent:
        await agent.until_ready()
        await start_server(agent, options, wish.opens)
        if not chat:
            await anyio.sleep_forever()
        async with client_of(agent) as client:

            def line() -> str:
                stored = client.watermarks.stored
                return f" memory {byte_size(stored.bytes)}, {stored.observations} observations "

            notices = Notices(client, config.reasoning.standing.bell)
            await notices.pass_over()
            await Chat(client, (), line, evidence=evidence_talk(config, memory_dir)).run()


async def _serve_running(config: Config, memory_dir: Path, opens: bool) -> None:
    """Serve an agent of another terminal from here; with it, it ends."""
    from runtime.interfaces.web.serve import serve_client

    tell_token(config.serve, memory_dir)
    stopping = anyio.Event()
    async with attached(memory_dir, config) as client, anyio.create_task_group() as tasks:

        async def stop_with_agent() -> None:
            while find_agent(memory_dir) is not None:
                await anyio.sleep(1.0)
            note("the agent has ended")
            stopping.set()

        tasks.start_soon(stop_with_agent)
        await serve_client(client, config, memory_dir, stopping, lambda address: tell_address(address, opens))
        tasks.cancel_scope.cancel()


async def speak_mcp(config: Config, memory_dir: Path) -> None:
    """The Model Context Protocol over standard input and output.

    Raises:
        UserError: its package is not installed.
    """
    try:
        from runtime.interfaces.mcp.server import serve_stdio
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise UserError("the package mcp is not installed; install the extra: pip install 'mindstream[mcp]'") from None
    async with attached(memory_dir, config) as client:
        await serve_stdio(client, config, memory_dir)
