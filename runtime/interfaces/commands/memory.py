"""The commands about what is remembered, once their arguments are parsed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from runtime.agent import find_agent
from runtime.config import Config
from runtime.errors import UserError
from runtime.interfaces.attach import attached
from runtime.interfaces.client import Client
from runtime.interfaces.commands.evidence import evidence_talk
from runtime.interfaces.commands.reembed import configured_space, mismatch, tell_mismatch
from runtime.interfaces.terminal.chat import Chat
from runtime.interfaces.terminal.notices import Notices, print_standing, standing_json, typed_request
from runtime.interfaces.terminal.render import (
    OUT,
    byte_size,
    hits_json,
    print_answer,
    print_hits,
    print_status,
)
from runtime.messages import AskRequest, SearchRequest
from runtime.printable import say


@asynccontextmanager
async def told(memory_dir: Path, config: Config) -> AsyncIterator[Client]:
    """`attached`; an agent that is started for it says what it cannot ask memory by meaning."""
    is_running = find_agent(memory_dir) is not None
    async with attached(memory_dir, config) as client:
        if not is_running:
            await tell_mismatch(client, config)
        yield client


async def ask(question: str, config: Config, memory_dir: Path, as_json: bool) -> None:
    """Answer one question from what memory holds."""
    async with told(memory_dir, config) as client:
        await print_answer(client, AskRequest(question=question), as_json)


async def search(
    query: str, config: Config, memory_dir: Path, limit: int, as_json: bool, explain: bool = False
) -> None:
    """Show what memory holds that fits the query; ``explain``: and why each hit ranks where it does."""
    async with told(memory_dir, config) as client:
        reply = await client.search(SearchRequest(query=query, limit=limit))
        if as_json:
            say(hits_json(query, reply, explain))
        else:
            print_hits(reply, explain)


async def chat(config: Config, memory_dir: Path) -> None:
    """Chat with a running agent, or about what memory holds."""
    async with told(memory_dir, config) as client:

        def line() -> str:
            stored = client.watermarks.stored
            return f" memory {byte_size(stored.bytes)}, {stored.observations} observations "

        notices = Notices(client, config.reasoning.standing.bell)
        await notices.pass_over()
        await Chat(client, (), line, evidence=evidence_talk(config, memory_dir)).run()


async def standing(action: str, words: str, config: Config, memory_dir: Path, as_json: bool) -> None:
    """List standing queries, add one ("when the door opens"), or pause, resume, remove those ``words`` name.

    Raises:
        UserError: it could not be done; the agent's own words say why.
    """
    async with attached(memory_dir, config, new=action == "add") as client:
        reply = await client.standing(typed_request(action, words))
        if not reply.done:
            raise UserError(reply.said)
        if as_json:
            say(standing_json(reply))
        else:
            print_standing(reply)


async def status(config: Config, memory_dir: Path, as_json: bool) -> None:
    """What runs, what is remembered, with which encoders."""
    async with attached(memory_dir, config) as client:
        found = await client.status()
        if as_json:
            say(msgspec.json.encode(found).decode())
            return
        if (card := find_agent(memory_dir)) is not None:
            await client.hear_from(member.name for member in card.members)
        print_status(found, client.heartbeats)
        if line := mismatch(found.spaces, configured_space(config)):
            OUT.print(line)
