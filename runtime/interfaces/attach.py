"""Reaching the agent of a memory: the one that runs on it, else one started for the occasion."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import zmq.asyncio

from runtime.agent import Agent, can_write, find_agent, has_memory, open_agent
from runtime.bus import Member
from runtime.config import Config
from runtime.errors import StoreError
from runtime.interfaces.client import Client
from runtime.printable import say
from runtime.supervisor import ProcessEvent


@asynccontextmanager
async def attached(memory_dir: Path, config: Config, *, new: bool = False) -> AsyncIterator[Client]:
    """A client of the agent that runs on this memory, else of one started for the occasion.

    ``new``: where there is no memory yet, make one. A memory whose disk cannot be written can be asked.
    """
    card = find_agent(memory_dir)
    if card is not None:
        async with client_at(Path(card.run_dir), card.members, card.answer_deadline_s) as client:
            yield client
        return
    if not (new or has_memory(memory_dir)):
        raise StoreError(f"no memory in {memory_dir}; replay a file first, or give its folder with --memory")
    read_only = has_memory(memory_dir) and not can_write(memory_dir)
    if read_only:
        say(f"memory {memory_dir} cannot be written: it is asked as it is, and nothing is remembered", sys.stderr)
    async with open_agent(memory_dir, config, tell_working, read_only=read_only) as agent:
        await agent.until_ready()
        async with client_of(agent) as client:
            yield client


def tell_working(event: ProcessEvent) -> None:
    """Say what takes the start of a process long, beside the answers."""
    if event.kind == "working":
        say(event.text, sys.stderr)


@asynccontextmanager
async def client_at(run_dir: Path, members: tuple[Member, ...], answer_deadline_s: float) -> AsyncIterator[Client]:
    """A client of the agent of a run directory, which another process runs."""
    context = zmq.asyncio.Context()
    try:
        async with _running(Client(run_dir, members, context, answer_deadline_s)) as client:
            yield client
    finally:
        context.destroy(linger=0)


@asynccontextmanager
async def client_of(agent: Agent) -> AsyncIterator[Client]:
    """A client of an agent that this process runs; it may be there before the agent is ready."""
    async with _running(Client(agent.run_dir, agent.members, agent.context, agent.answer_deadline_s)) as client:
        yield client


@asynccontextmanager
async def _running(client: Client) -> AsyncIterator[Client]:
    async with anyio.create_task_group() as tasks:
        await tasks.start(client.run)
        yield client
        tasks.cancel_scope.cancel()
